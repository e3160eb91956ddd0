/**
 * Events of a KDC on their way out: the record with its fields, the syslog message (RFC 5424), its frame and its connection (RFC 5425) against
 * a real TLS server.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import { setAlarm, type SetAlarm } from '../src/base/alarm.ts';
import type { Instant, Millis } from '../src/base/brand.ts';
import { kdcRecord, type KdcRecord } from '../src/gateway/kdc-event.ts';
import { createMetrics, silentGauges } from '../src/gateway/metrics.ts';
import { createSyslog, frameOf, maximumMessage, syslogMessage } from '../src/gateway/syslog.ts';
import { createAuthority } from '../src/lab/authority.ts';
import type { Candidate, KdcEvent } from '../src/mapping/mapper-contract.ts';
import { createSecureSender, type SecureSenderMeans, type SecureSenderSettings } from '../src/tls/secure-sender.ts';
import { usageOids } from '../src/x509/oid.ts';
import { certificateOf } from './support/chains.ts';
import { fakeAccount } from './support/fake-directory.ts';
import { alice as aliceFacts, cached, I, minute, setScene } from './support/mapping-scene.ts';

const key = 'p256';
const root = await createAuthority({ subject: 'CN=Log Root', key });
const asServer = { extendedKeyUsage: [usageOids.serverAuth] };
const server = await root.issue({
  subject: 'CN=log',
  key,
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  ...asServer,
});
const now = Date.parse('2026-11-22T12:00:00Z') as Instant;

const leaf = certificateOf(
  await root.issue({ subject: 'CN=alice', key, serial: '0102ff', notBefore: new Date('2025-01-01T00:00:00Z') }),
);
const candidate = (method: Candidate['method'], value: string): Candidate => ({
  method,
  value,
  strength: 'weak',
  used: true,
  why: '',
});
const event = (more: Partial<KdcEvent> = {}): KdcEvent => ({
  id: 39,
  level: 'error',
  account: fakeAccount({ name: 'LAB\\alice', rid: 1105, whenCreated: '2026-01-01T00:00:00Z' }),
  leaf,
  issuer: certificateOf(root),
  certificateSid: 'S-1-5-21-9',
  matched: [candidate('X509SubjectOnly', 'X509:<S>CN=alice')],
  candidates: [candidate('X509SubjectOnly', 'X509:<S>CN=alice'), candidate('UPN', 'alice@lab')],
  ...more,
});

await t.test('the record has the fields of the event, and what was looked for', async (t) => {
  t.strictSame(kdcRecord(event(), now, true), {
    time: '2026-11-22T12:00:00.000Z',
    event: 'kdc.39',
    level: 'error',
    text: 'The certificate is valid, but it could not be mapped to the user in a strong way.',
    user: 'LAB\\alice',
    userSid: 'S-1-5-21-1111111111-2222222222-3333333333-1105',
    certificateSubject: 'CN=alice',
    certificateIssuer: 'CN=Log Root',
    serial: '0102ff',
    serialReversed: 'ff0201',
    thumbprint: leaf.thumbprint,
    certificateSid: 'S-1-5-21-9',
    notBefore: '2025-01-01T00:00:00.000Z',
    whenCreated: '2026-01-01T00:00:00.000Z',
    matched: ['X509SubjectOnly: X509:<S>CN=alice'],
    candidates: ['X509SubjectOnly: X509:<S>CN=alice', 'UPN: alice@lab'],
  });
  t.match(kdcRecord(event({ id: 40, level: 'warning' }), now, true), {
    event: 'kdc.40',
    level: 'warning',
    text: /before/,
  });
  t.match(kdcRecord(event({ id: 41 }), now, true), { event: 'kdc.41', text: /SID/ });
  const quiet = kdcRecord(event(), now, false);
  t.match(quiet, {
    user: null,
    userSid: null,
    certificateSubject: null,
    certificateSid: null,
    matched: ['X509SubjectOnly'],
  });
  t.notMatch(JSON.stringify(quiet), /alice|S-1-5/);
  const long = kdcRecord(event({ candidates: Array(1000).fill(candidate('UPN', 'x'.repeat(10_000))) }), now, true);
  t.ok(JSON.stringify(long).length < 32 * 600 + 2000, 'a hostile certificate costs little');
});

await t.test('the mapper tells once for a question to the directory, not for what it remembers', async (t) => {
  const weak = { ...aliceFacts, altSecurityIdentities: [`${I}<S>CN=alice`] };
  const scene = setScene({ accounts: [weak], settings: { cache: { ...cached, stale: 0 as Millis } } });
  const { events } = scene;
  t.match(await scene.map(), { result: { kind: 'refused', verdict: { code: 'weakMapping' } } });
  t.match(events, [
    { id: 39, level: 'error', account: { name: 'LAB\\alice' }, matched: [{ method: 'X509IssuerSubject' }] },
  ]);
  await scene.map();
  t.equal(events.length, 1, 'a hit is silent');
  await scene.map({ fresh: true });
  t.equal(events.length, 1, 'and so is explain');
  scene.advance(2 * minute);
  await scene.map();
  t.equal(events.length, 2);
});

const place = { hostname: 'gw1.lab.example.test', facility: 10 };
const record = (more: Partial<KdcRecord> = {}): KdcRecord =>
  ({ ...kdcRecord(event(), now, true), ...more }) as KdcRecord;

await t.test('a message is RFC 5424 to the letter', async (t) => {
  const message = syslogMessage(record(), place);
  t.match(
    message,
    `<83>1 2026-11-22T12:00:00.000Z gw1.lab.example.test dsmapper ${process.pid} kdc.39 [dsmapper@32473 user="LAB\\\\alice" userSid="S-1-5-21-`,
  );
  t.match(
    message,
    / whenCreated="[^"]+" matched="X509SubjectOnly: X509:<S>CN=alice" candidates="X509[^"]+" candidates="UPN: alice@lab"\] The certificate/,
  );
  t.match(syslogMessage(record({ level: 'warning' }), { ...place, facility: 0 }), /^<4>1 /);
  t.notMatch(syslogMessage(record({ user: null }), place), / user=/, 'what is not known is left out');
  t.equal(frameOf('é').toString('utf8'), '2 é', 'octets, not characters');
});

await t.test('nothing in a value ends it, a message or a line', async (t) => {
  const hostile = '"] <13>1 - x\\ ]\r\n\u0000\u001b[2J\u202e\ud800é';
  const message = syslogMessage(record({ user: hostile }), place);
  t.match(
    message,
    ' user="\\"\\] <13>1 - x\\\\ \\]\\\\u{d}\\\\u{a}\\\\u{0}\\\\u{1b}[2J\\\\u{202e}\\\\u{d800}é" userSid="',
  );
  // oxlint-disable-next-line no-control-regex
  t.notMatch(message, /[\u0000-\u001f\u007f-\u009f\u202e]/);
  const odd = syslogMessage(record({ event: 'kdc.39 x\n' }), { ...place, hostname: 'a b\né]' });
  t.match(odd, /^<83>1 \S+ ab\] dsmapper \d+ kdc\.39x \[dsmapper/);
  t.match(syslogMessage(record(), { ...place, hostname: ' ' }), / - dsmapper /);
  const long = syslogMessage(record({ candidates: Array(100).fill('"'.repeat(512)) }), place);
  t.ok(Buffer.byteLength(long) <= maximumMessage);
  t.match(long, / whenCreated="[^"]+" .*\] The certificate is valid/, 'lists are cut, not what follows');
});

interface Collector {
  readonly port: number;
  /** Whole messages so far. */
  readonly messages: readonly string[];
  readonly sockets: Set<TLSSocket>;
  accepted: number;
  paused: boolean;
  stop(): Promise<void>;
  again(): Promise<void>;
}

async function collector(t: Test, options: TlsOptions = {}): Promise<Collector> {
  const messages: string[] = [];
  const sockets = new Set<TLSSocket>();
  const tls = createServer({ cert: server.cert, key: server.key, ...options }, (socket) => {
    let held: Buffer[] = [];
    let size = 0;
    let wanted = 0;
    sockets.add(socket);
    collected.accepted += 1;
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    if (collected.paused) return;
    socket.on('data', (piece: Buffer) => {
      held.push(piece);
      size += piece.length;
      while (size > 0 && size >= wanted) {
        const all = Buffer.concat(held);
        const blank = all.indexOf(0x20);
        wanted = blank < 0 ? 0 : blank + 1 + Number(all.toString('ascii', 0, blank));
        if (blank < 0 || size < wanted) return;
        messages.push(all.toString('utf8', blank + 1, wanted));
        held = [all.subarray(wanted)];
        size -= wanted;
        wanted = 0;
      }
    });
  });
  tls.on('tlsClientError', () => {});
  const listen = async (port: number) => {
    tls.listen(port, '127.0.0.1');
    await once(tls, 'listening');
  };
  await listen(0);
  const { port } = tls.address() as AddressInfo;
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    if (tls.listening) await new Promise((resolve) => tls.close(resolve));
  };
  const collected: Collector = { port, messages, sockets, accepted: 0, paused: false, stop, again: () => listen(port) };
  t.teardown(stop);
  return collected;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** An alarm that rings at once, so that nobody waits for a pause; the length of each is kept. Bounds on connections ring as they should. */
function hurried() {
  const pauses: number[] = [];
  const alarm: SetAlarm = (work, delay) => {
    if (delay === 10_000 || delay === 30_000) return setAlarm(work, delay);
    pauses.push(delay);
    const immediate = setImmediate(work);
    return () => clearImmediate(immediate);
  };
  return { pauses, alarm };
}

function senderTo(
  t: Test,
  port: number,
  more: Partial<SecureSenderSettings> = {},
  means: Partial<SecureSenderMeans> = {},
) {
  const troubles: string[] = [];
  const hurry = hurried();
  const sender = createSecureSender(
    { server: { host: '127.0.0.1', port }, certificateAuthorities: [root.cert], certificate: null, ...more },
    { random: () => 0.5, setAlarm: hurry.alarm, onTrouble: (reason) => troubles.push(reason), ...means },
  );
  t.teardown(() => sender.close());
  return { sender, troubles, pauses: hurry.pauses };
}

const piece = (text: string) => frameOf(text);

await t.test('syslog over TLS', { timeout: 60_000 }, async (t) => {
  await t.test('messages arrive whole and in order', async (t) => {
    const to = await collector(t);
    const { sender } = senderTo(t, to.port);
    const syslog = createSyslog(
      { server: { host: '127.0.0.1', port: to.port }, certificateAuthorities: [], certificate: null, ...place },
      sender,
    );
    for (let id = 0; id < 50; id += 1) syslog.write(record({ user: `u${id}` }));
    await until(() => to.messages.length === 50);
    t.match(to.messages[0], /^<83>1 .* user="u0" /);
    t.same(
      to.messages.map((text) => /user="u(\d+)"/.exec(text)?.[1]),
      Array.from({ length: 50 }, (_, id) => String(id)),
    );
    t.equal(to.accepted, 1, 'on one connection');
    t.equal(syslog.dropped, 0);
    syslog.write(record());
    await syslog.close();
    await until(() => to.messages.length === 51);
    syslog.write(record());
    t.equal(syslog.dropped, 1, 'nothing after the end');
    await syslog.close();
  });

  await t.test('nothing is opened before there is something to say', async (t) => {
    const to = await collector(t);
    const { sender } = senderTo(t, to.port);
    for (let count = 0; count < 20; count += 1) await turn();
    t.equal(to.accepted, 0);
    await sender.close();
  });

  await t.test('after a loss what waits is sent on another connection', async (t) => {
    const to = await collector(t);
    const { sender, troubles, pauses } = senderTo(t, to.port);
    sender.send(piece('one'));
    await until(() => to.messages.length === 1);
    await to.stop();
    await until(() => troubles.length === 1);
    sender.send(piece('two'));
    sender.send(piece('three'));
    await until(() => troubles.length > 8);
    t.same(pauses.slice(0, 4), [500, 1000, 2000, 4000], 'less and less often');
    t.equal(Math.max(...pauses), 60_000);
    await to.again();
    await until(() => to.messages.length === 3);
    t.same(to.messages, ['one', 'two', 'three']);
    t.equal(sender.dropped, 0);
    const before = pauses.length;
    for (const socket of to.sockets) socket.destroy();
    await until(() => pauses.length > before);
    t.equal(pauses[before], 500, 'and patience starts anew');
  });

  await t.test('a server that is not the one of the configuration hears nothing', async (t) => {
    const other = await createAuthority({ subject: 'CN=Log Root', key });
    const named = async (recipe: object, by = root) => {
      const made = await by.issue({ subject: 'CN=localhost', key, ...asServer, ...recipe });
      return collector(t, { cert: made.cert, key: made.key });
    };
    const refusals: readonly (readonly [string, string, Collector, RegExp])[] = [
      [
        'another authority',
        '127.0.0.1',
        await named({ ipAddresses: ['127.0.0.1'] }, other),
        /self-signed|unable to|signature/i,
      ],
      ['another address', '127.0.0.1', await named({ ipAddresses: ['127.0.0.2'] }), /does not match|127\.0\.0\.1/],
      ['a common name alone', 'localhost', await named({}), /no DNS name/],
      ['another name', 'localhost', await named({ dnsNames: ['elsewhere'] }), /does not match/],
      [
        'an expired certificate',
        '127.0.0.1',
        await named({ ipAddresses: ['127.0.0.1'], notAfter: new Date('2021-01-01') }),
        /expired/,
      ],
    ];
    for (const [what, host, to, reason] of refusals) {
      const { sender, troubles } = senderTo(t, to.port, { server: { host, port: to.port } });
      sender.send(piece('secret'));
      await until(() => troubles.length > 1);
      t.match(troubles[0], reason, what);
      t.same(to.messages, [], what);
      await sender.close();
      t.equal(sender.dropped, 1);
    }
  });

  await t.test('our certificate is shown where the server asks for it', async (t) => {
    const ours = await root.issue({ subject: 'CN=gateway', key });
    const to = await collector(t, { requestCert: true, rejectUnauthorized: true, ca: root.cert });
    const { sender } = senderTo(t, to.port, { certificate: { cert: ours.cert, key: ours.key } });
    sender.send(piece('hello'));
    await until(() => to.messages.length === 1);
    const bare = senderTo(t, to.port);
    bare.sender.send(piece('nobody'));
    await until(() => bare.troubles.length > 0);
    t.same(to.messages, ['hello']);
  });

  await t.test('a server that reads nothing costs bounded memory, and what is given up is counted', async (t) => {
    const to = await collector(t);
    to.paused = true;
    const bounds: (() => void)[] = [];
    const { alarm: hurry } = hurried();
    const alarm: SetAlarm = (work, delay) => {
      if (delay !== 30_000) return hurry(work, delay);
      bounds.push(work);
      return () => {};
    };
    const { sender, troubles } = senderTo(t, to.port, {}, { setAlarm: alarm, maximumWaiting: 33 * 1024 * 1024 });
    // More than all buffers on the way hold.
    const big = 'x'.repeat(32 * 1024 * 1024);
    sender.send(piece(big));
    await until(() => to.sockets.size === 1);
    for (let count = 0; count < 100; count += 1) sender.send(piece('y'.repeat(100_000)));
    t.equal(sender.dropped, 90, 'of 100 there is room for 10');
    await until(() => bounds.length > 0);
    bounds.at(-1)?.();
    await until(() => troubles.length === 1);
    t.match(troubles[0], /takes nothing/, 'it is left in the end');
    to.paused = false;
    await until(() => to.messages.length === 11);
    t.ok(to.messages[0] === big, 'and the next connection gets all of it, from the beginning of a message');
  });

  await t.test('close waits no longer than it must for a server that is not there', async (t) => {
    const to = await collector(t);
    await to.stop();
    const { sender, troubles } = senderTo(t, to.port, {}, { setAlarm });
    sender.send(piece('lost'));
    await until(() => troubles.length === 1);
    const [first, second] = [sender.close(), sender.close()];
    t.equal(first, second);
    await first;
    t.equal(sender.dropped, 1);
  });
});

await t.test('counters', async (t) => {
  const metrics = createMetrics({ ...silentGauges, syslogDropped: () => 7 });
  metrics.countKdcEvent(40);
  const text = await metrics.text();
  t.match(text, 'dsmapper_kdc_events_total{id="39"} 0\ndsmapper_kdc_events_total{id="40"} 1');
  t.match(text, /# TYPE dsmapper_syslog_dropped_total counter\ndsmapper_syslog_dropped_total 7/);
  t.match(await metrics.text(), /dsmapper_syslog_dropped_total 7/, 'read anew at each scrape');
});
