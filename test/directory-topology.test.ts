/**
 * How directory servers are found and spoken to: StartTLS, certificates that log on, passwords that change, servers that DNS names,
 * several forests.
 */
import { hash } from 'node:crypto';
import type { SrvRecord } from 'node:dns';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import t from 'tap';
import type { Millis } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import type { BindOutcome } from '../src/directory/bind-gate.ts';
import type {
  Assertion,
  BindCredentials,
  DiscoverySettings,
  ForestSettings,
  Located,
} from '../src/directory/directory.ts';
import { ConnectionPool, type PoolState } from '../src/directory/connection-pool.ts';
import type { Controller } from '../src/directory/controller.ts';
import { discover, questionsForCatalog, questionsForDomain, type Discovered } from '../src/directory/discovery.ts';
import type { DnsLookup } from '../src/directory/dns-lookup.ts';
import { endpointOf, parseEndpoint } from '../src/directory/endpoint.ts';
import type { LiveForest } from '../src/directory/forest.ts';
import { createDirectory, type LiveDirectory } from '../src/directory/forests.ts';
import { createDiscoveredList } from '../src/directory/server-list.ts';
import { orderTargets } from '../src/directory/srv-order.ts';
import { encode } from '../src/lab/directory-ber.ts';
import { encodeDisconnection, encodeResult, responseTag } from '../src/lab/directory-messages.ts';
import type { DirectoryServer, DirectoryServerOptions } from '../src/lab/directory-server.ts';
import {
  authority,
  base,
  bind,
  childCrossRef,
  childOptions,
  domain,
  gateFor,
  handClock,
  openDirectory,
  openOne,
  readyDirectory,
  serverCertificate,
  settingsFor,
  startDc,
  startScript,
  until,
  user,
  type LabTest,
} from './support/directory-world.ts';
import { startDns, type DnsServer, type SrvLine } from './support/dns-server.ts';
import { asksFor, startSilentServer } from './support/scripted-ldap.ts';

const patience = 20_000 as Millis;
const long = 60_000 as Millis;
const alice = user(1001, 'alice', { altSecurityIdentities: ['A'] });

function alt(value: string): Assertion[] {
  return [{ attribute: 'altSecurityIdentities', value }];
}

function outcome(located: Located): string {
  if (located.kind === 'unknown') return `unknown: ${located.reason}`;
  return located.accounts.map(({ samAccountName }) => samAccountName).join() || 'nobody';
}

async function failureOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'no failure',
    (error: unknown) => String(error),
  );
}

await t.test('StartTLS', async (t) => {
  const request = encode(0x30, encode(0x02, Buffer.from([1])), encode(0x77, encode(0x80, '1.3.6.1.4.1.1466.20037')));
  const agreed = encodeResult(1, responseTag.extended, { code: 0 });

  /** A server that answers the first octets as told, and keeps all octets that it gets in clear. */
  async function startPlain(t: LabTest, respond: (socket: Socket) => void) {
    const heard: Buffer[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => respond(socket));
      socket.on('data', (chunk: Buffer) => heard.push(chunk));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    return { url: `ldap://127.0.0.1:${(server.address() as AddressInfo).port}`, heard: () => Buffer.concat(heard) };
  }

  await t.test('comes first, and everything else is encrypted', async (t) => {
    const dc = await startDc(t, [alice], { startTls: true });
    t.match(dc.url, /^ldap:/);
    const forest = await readyDirectory(t, settingsFor([dc.url]));
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    t.match(await forest.health(), [{ state: 'up', url: dc.url }]);
    const plain = await startPlain(t, (socket) => socket.write(agreed));
    const opened = failureOf(openOne(t, plain.url, { connectTimeout: 300 }));
    t.match(await opened, /TLS connection within 300 ms/);
    t.strictSame(plain.heard().subarray(0, request.length), request);
    t.equal(plain.heard()[request.length], 0x16, 'the handshake follows, nothing else in clear');
  });

  await t.test('whatever the server says instead of agreeing, nothing follows', async (t) => {
    const other = encodeResult(1, responseTag.extended, { code: 0, tail: [encode(0x8a, '1.2.3')] });
    const stories: Record<string, readonly [Buffer, RegExp]> = {
      'a refusal': [
        encodeResult(1, responseTag.extended, { code: 2, message: 'no\u0007' }),
        /refuses StartTLS with protocolError \(2\): no$/,
      ],
      'a referral': [encodeResult(1, responseTag.extended, { code: 10, referrals: ['ldap://y/'] }), /referral \(10\)/],
      'the answer to another question': [encodeResult(2, responseTag.extended, { code: 0 }), /something else/],
      'another kind of answer': [encodeResult(1, responseTag.bind, { code: 0 }), /something else/],
      'another operation': [other, /something else/],
      'its end': [encodeDisconnection(52, 'no'), /announced that it disconnects/],
      'no LDAP': [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /not LDAP/],
      'more than fits': [Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]), /not LDAP/],
      'octets behind its answer': [Buffer.concat([agreed, Buffer.from([0x30])]), /went on in clear text/],
      'an answer that was not asked for': [
        Buffer.concat([agreed, encodeResult(2, responseTag.bind, { code: 0 })]),
        /went on in clear text/,
      ],
    };
    for (const [what, [answer, reason]] of Object.entries(stories)) {
      const plain = await startPlain(t, (socket) => socket.write(answer));
      t.match(await failureOf(openOne(t, plain.url)), reason, what);
      t.strictSame(plain.heard(), request, `${what}: neither a handshake nor a password`);
    }
    const closing = await startPlain(t, (socket) => socket.destroy());
    t.match(await failureOf(openOne(t, closing.url)), /ECONNRESET|closed the connection before it answered/);
    const ending = await startPlain(t, (socket) => socket.end(agreed.subarray(0, 5)));
    t.match(
      await failureOf(openOne(t, ending.url, { connectTimeout: 500 })),
      /closed the connection before|within 500/,
    );
  });

  await t.test('a server that does not agree is down, with its reason, and gets no password', async (t) => {
    const dc = await startDc(t, [alice], { startTls: true });
    for (const fault of [{ startTlsCode: 52 }, { injection: encodeResult(2, responseTag.bind, { code: 0 }) }]) {
      Object.assign(dc.faults, { startTlsCode: null, injection: null }, fault);
      const forest = openDirectory(t, settingsFor([dc.url]));
      t.match(await forest.health(), [{ state: 'down', reason: /unavailable \(52\)|in clear text/ }]);
      t.match(outcome(await forest.locate(alt('A'), long)), /^unknown: .*is down/);
      await forest.close();
    }
    t.equal(dc.binds, 0);
  });

  await t.test('octets that come in clear after the handshake has begun break it', async (t) => {
    const plain = await startPlain(t, (socket) => {
      socket.write(agreed);
      socket.once('data', () => socket.write(encodeResult(2, responseTag.bind, { code: 0 })));
    });
    t.match(await failureOf(openOne(t, plain.url)), /failed: .*(?:wrong version|packet length|SSL|ssl)/);
  });

  await t.test('the certificate must be that of the host of the URL', async (t) => {
    const named = await authority.issue({
      subject: 'CN=127.0.0.1',
      dnsNames: ['elsewhere.test', 'localhost'],
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    });
    const stranger = await startDc(t, [], { startTls: true, tls: named });
    t.match(await failureOf(openOne(t, stranger.url)), /127\.0\.0\.1.*cert/i);
    t.ok(await openOne(t, stranger.url.replace('127.0.0.1', 'localhost')));
    const dc = await startDc(t, [], { startTls: true });
    t.match(await failureOf(openOne(t, dc.url, { certificateAuthorities: [] })), /certificate/);
    t.equal(stranger.binds + dc.binds, 1);
  });

  await t.test('a server that goes back to clear text is left', async (t) => {
    const passwords: string[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write(agreed, () => {
          const secure = new TLSSocket(socket, { isServer: true, ...serverCertificate });
          secure.on('error', () => {});
          secure.once('data', (chunk) => {
            passwords.push(chunk.toString('latin1'));
            // Past TLS, as somebody on the way could.
            socket.write(encodeResult(2, responseTag.bind, { code: 0 }));
          });
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    const url = `ldap://127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.match(await failureOf(openOne(t, url)), /failed: /);
    t.equal(passwords.length, 1);
  });

  await t.test('a server that is silent, or says half of it, costs its own time only', async (t) => {
    const silent = await startSilentServer();
    t.teardown(() => silent.close());
    const half = await startPlain(t, (socket) => socket.write(agreed.subarray(0, 5)));
    const dc = await startDc(t, [alice], { startTls: true });
    const urls = [silent.url.replace('ldaps:', 'ldap:'), half.url, dc.url];
    const forest = openDirectory(t, settingsFor(urls, { connectTimeout: 300 as Millis }), { random: () => 1_000_000 });
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    const down = { state: 'down', reason: /no TLS connection within 300 ms/ };
    t.match(await forest.health(), [down, down, { state: 'up' }]);
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
  });

  await t.test('one that is killed under load: each lookup is right or unknown, and it is found again', async (t) => {
    const people = Array.from({ length: 20 }, (_, index) =>
      user(2000 + index, `user${index}`, { altSecurityIdentities: [`X${index}`] }),
    );
    const dc = await startDc(t, people, { startTls: true });
    const second = await startDc(t, people, { startTls: true });
    const forest = await readyDirectory(t, settingsFor([dc.url, second.url]));
    dc.faults.hold = true;
    const before = dc.searches;
    const lookups = Array.from({ length: 100 }, (_, index) => forest.locate(alt(`X${index % 20}`), patience));
    await dc.reached(before + 1);
    await dc.stop();
    const outcomes = (await Promise.all(lookups)).map(outcome);
    t.strictSame(
      outcomes.filter((one, index) => one !== `user${index % 20}`),
      [],
      'the other one answers',
    );
    dc.faults.hold = false;
    await dc.start();
    await until(async () => (await forest.health())[0]?.state === 'up');
    t.equal(outcome(await forest.locate(alt('X3'), patience)), 'user3');
    dc.faults.halfMessage = true;
    t.equal(outcome(await forest.locate(alt('X3'), patience)), 'user3', 'half a message is no answer');
    dc.faults.silent = true;
    t.equal(outcome(await forest.locate(alt('X3'), patience)), 'user3', 'nor is silence');
  });
});

await t.test('a certificate that logs on', async (t) => {
  const logon = await authority.issue({ subject: 'CN=dsmapper', extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] });
  const external: BindCredentials = {
    kind: 'external',
    certificate: logon.cert,
    key: logon.key,
    authorizationId: null,
  };
  const known = new Map<string, string | null>([[hash('sha256', logon.der, 'hex'), bind.dn]]);
  const nobody = new Map<string, string | null>([[hash('sha256', logon.der, 'hex'), null]]);
  const settingsOf = (urls: readonly string[], credentials: BindCredentials = external): ForestSettings => ({
    ...settingsFor(urls),
    domains: [{ name: domain, controllers: urls, discovery: null, bind: credentials }],
  });

  await t.test('after StartTLS by SASL EXTERNAL, on ldaps without a bind, as Active Directory does', async (t) => {
    const plain = await startDc(t, [alice], { startTls: true, certificates: known });
    const first = await readyDirectory(t, settingsOf([plain.url]));
    t.equal(outcome(await first.locate(alt('A'), patience)), 'alice');
    await until(() => plain.binds === 2 && plain.accepted === 2);
    const secure = await startDc(t, [alice], { certificates: known });
    const second = await readyDirectory(t, settingsOf([secure.url]));
    t.equal(outcome(await second.locate(alt('A'), patience)), 'alice');
    t.equal(secure.binds, 0, 'the handshake was the bind');
  });

  await t.test('on ldaps too where the server wants a bind, with the name it is to act for', async (t) => {
    let mechanism: string | null = null;
    const server = await startScript(t, {
      bind(request) {
        mechanism = request.mechanism;
        return false;
      },
      extended(request, connection) {
        const value = mechanism === null ? '' : 'dn:cn=reader';
        connection.raw(encodeResult(request.id, responseTag.extended, { code: 0, tail: [encode(0x8b, value)] }));
        return true;
      },
    });
    await openOne(t, server.url, { gate: gateFor(external) });
    t.equal(mechanism, 'EXTERNAL');
    mechanism = null;
    await openOne(t, server.url, { gate: gateFor({ ...external, authorizationId: 'dn:cn=reader' }) });
    t.equal(mechanism, 'EXTERNAL');
  });

  await t.test('a success that makes us nobody is a refusal that says what to do', async (t) => {
    for (const startTls of [true, false]) {
      const dc = await startDc(t, [alice], { startTls, certificates: nobody });
      const forest = openDirectory(t, settingsOf([dc.url]));
      const [health] = await forest.health();
      t.equal(health?.state, 'refused');
      t.ok(health?.reason.includes(dc.url));
      t.match(
        health?.reason,
        startTls ? /for nobody: map it to an account/ : /unwillingToPerform.*map it to an account/,
      );
      const { binds, accepted } = dc;
      t.match(outcome(await forest.locate(alt('A'), long)), /unknown: .*refused/);
      t.strictSame([dc.binds, dc.accepted], [binds, accepted], 'it is not tried again');
      dc.faults.refuseBind = false;
      forest.retry();
      await forest.health();
      t.equal(dc.accepted, accepted + 1, 'until somebody says so');
    }
    for (const identity of ['dn:', 'u:', ' ', '']) {
      const server = await startScript(t, {
        extended(request, connection) {
          connection.raw(encodeResult(request.id, responseTag.extended, { code: 0, tail: [encode(0x8b, identity)] }));
          return true;
        },
      });
      const gate = gateFor(external);
      t.match(await failureOf(openOne(t, server.url, { gate })), /refused: .*for nobody/, JSON.stringify(identity));
    }
  });

  await t.test('a server that does not take certificates, or does not say for whom, is refused for good', async (t) => {
    for (const [code, advice] of [
      [7, /authMethodNotSupported \(7\).*use a name and a password/],
      [49, /invalidCredentials \(49\).*trust the issuer/],
      [50, /may not act for/],
    ] as const) {
      const server = await startScript(t, {
        bind: (request, connection) => (connection.bound(request.id, code, 'no'), true),
      });
      const forest = openDirectory(t, settingsOf([server.url]));
      const [health] = await forest.health();
      t.match(health, { state: 'refused', reason: advice });
      t.ok(health?.reason.includes(server.url));
    }
    const mute = await startScript(t);
    const forest = openDirectory(t, settingsOf([mute.url]));
    t.match(await forest.health(), [{ state: 'refused', reason: /does not say for whom.*protocolError/ }]);
  });

  await t.test("what is the moment's is tried again, and one server's refusal is not another's", async (t) => {
    let busy = true;
    const server = await startScript(t, {
      bind: (request, connection) => busy && (connection.bound(request.id, 51, 'later'), true),
      extended(request, connection) {
        const value = busy ? '' : 'u:LAB\\reader';
        connection.raw(encodeResult(request.id, responseTag.extended, { code: 0, tail: [encode(0x8b, value)] }));
        return true;
      },
    });
    const refusing = await startDc(t, [alice], { startTls: true, certificates: nobody });
    const forest = openDirectory(t, settingsOf([refusing.url, server.url]));
    t.match(await forest.health(), [{ state: 'refused' }, { state: 'down', reason: /busy \(51\)/ }]);
    busy = false;
    await until(async () => (await forest.health())[1]?.state === 'up');
    t.match(await forest.health(), [{ state: 'refused' }, { state: 'up' }]);
  });

  await t.test('settings without certificate or key, or with the name of a mechanism, are refused', (t) => {
    const bad: readonly BindCredentials[] = [
      { ...external, certificate: '' },
      { ...external, key: '' },
      { ...bind, dn: 'EXTERNAL' },
    ];
    for (const credentials of bad)
      t.throws(() => openDirectory(t, settingsOf(['ldaps://127.0.0.1:1'], credentials)), {
        code: 'directory-settings',
      });
    t.end();
  });
});

await t.test('passwords that change', async (t) => {
  /** A controller and the secret of its reader, both to be changed by the test. */
  async function setUp(t: LabTest, more: Partial<DirectoryServerOptions> = {}) {
    const accounts = [{ dn: bind.dn, password: 'one' }];
    const secret = { value: 'one' as string | null, reads: 0 };
    const dc = await startDc(t, [alice], { bind: accounts, ...more });
    const reread = (): Promise<string | null> => {
      secret.reads += 1;
      return Promise.resolve(secret.value);
    };
    const settings: ForestSettings = {
      ...settingsFor([dc.url]),
      domains: [{ name: domain, controllers: [dc.url], discovery: null, bind: { ...bind, password: 'one', reread } }],
    };
    const change = (password: string): void => void accounts.splice(0, 1, { dn: bind.dn, password });
    return { dc, secret, settings, change };
  }
  /** What was on its way has arrived. */
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const stateOf = async (forest: LiveForest) => (await forest.health())[0]?.state;
  const restart = async (dc: DirectoryServer): Promise<void> => {
    await dc.stop();
    await dc.start();
  };

  await t.test('one that is good again under another value is found by itself, at one bind each', async (t) => {
    const { dc, secret, settings, change } = await setUp(t);
    change('two');
    secret.value = 'two';
    const forest = openDirectory(t, settings);
    await until(async () => (await stateOf(forest)) === 'up' && dc.binds >= 3);
    await settled();
    t.equal(dc.binds, 3, 'one with the old value, and two connections with the new');
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
  });

  await t.test('the same value is not tried again; told by an operator, once', async (t) => {
    const { dc, secret, settings, change } = await setUp(t);
    change('two');
    const forest = openDirectory(t, settings);
    t.equal(await stateOf(forest), 'refused');
    await until(() => secret.reads === 1);
    for (let index = 0; index < 20; index++)
      t.match(outcome(await forest.locate(alt('A'), long)), /refused: .*invalidCredentials/);
    t.equal(dc.binds, 1);
    forest.retry();
    t.equal(await stateOf(forest), 'refused');
    t.equal(dc.binds, 2);
    secret.value = 'wrong too';
    forest.retry();
    t.equal(await stateOf(forest), 'refused');
    await settled();
    t.equal(dc.binds, 3, 'the new value, and not the old one before it');
    secret.value = 'two';
    forest.retry();
    await until(async () => (await stateOf(forest)) === 'up');
    await until(() => dc.binds === 5);
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
  });

  await t.test(
    'changed in the directory while we run: open connections go on, new ones use the new value',
    async (t) => {
      const { dc, secret, settings, change } = await setUp(t);
      const forest = await readyDirectory(t, settings);
      await until(() => dc.binds === 2);
      change('two');
      secret.value = 'two';
      t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
      t.equal(dc.binds, 2);
      await restart(dc);
      await until(async () => dc.binds >= 5 && (await stateOf(forest)) === 'up');
      await settled();
      t.ok(dc.binds <= 6, `${dc.binds} binds: what was on its way with the old value, then two with the new`);
      t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    },
  );

  await t.test('changed in the secret first: the value that works is used as long as it works', async (t) => {
    const { dc, secret, settings, change } = await setUp(t);
    const forest = await readyDirectory(t, settings);
    await until(() => dc.binds === 2);
    secret.value = 'two';
    await restart(dc);
    await until(async () => dc.binds >= 4 && (await stateOf(forest)) === 'up');
    await settled();
    t.equal(secret.reads, 0);
    t.equal(dc.binds, 4, 'no bind was refused');
    change('two');
    await restart(dc);
    await until(async () => dc.binds >= 7 && (await stateOf(forest)) === 'up');
    await settled();
    t.ok(dc.binds <= 8, `${dc.binds} binds`);
  });

  await t.test('the gate reads it again at an interval, bounded, and opens for another value only', async (t) => {
    const values: (string | null)[] = ['one', null, '', 'one'];
    let reads = 0;
    const never = new AbortController().signal;
    let opened = 0;
    const reread = (): Promise<string | null> => {
      reads += 1;
      if (reads === 2) throw new Error('the file is not there');
      return Promise.resolve(values.length === 0 ? 'two' : (values.shift() ?? null));
    };
    const gate = gateFor({ ...bind, password: 'one', reread }, { interval: 1 as Millis });
    t.teardown(() => gate.close());
    gate.watch(() => (opened += 1));
    const refuse: BindOutcome = { kind: 'refused', reason: 'no' };
    const pass = await gate.enter(long, never);
    t.equal(pass?.password, 'one');
    t.equal(reads, 0);
    pass?.leave(refuse);
    t.equal(gate.refusal, 'no');
    await until(() => gate.refusal === null);
    t.equal(opened, 1);
    t.equal(reads, 6);
    const second = await gate.enter(long, never);
    t.equal(second?.password, 'two');
    second?.leave(refuse);
    values.push('one', 'two', 'three');
    await until(() => gate.refusal === null);
    const third = await gate.enter(long, never);
    t.equal(third?.password, 'three', 'one and two were refused already');
    third?.leave({ kind: 'accepted' });
    const before = reads;
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(reads, before, 'one that works is not read again');
  });

  await t.test('an old pass says nothing of the new password', async (t) => {
    const never = new AbortController().signal;
    const clock = handClock();
    const gate = gateFor(
      { ...bind, password: 'one', reread: () => Promise.resolve('two') },
      { monotonic: () => clock.monotonic() },
    );
    t.teardown(() => gate.close());
    const first = await gate.enter(long, never);
    first?.leave({ kind: 'accepted' });
    const [slow, fast] = [await gate.enter(long, never), await gate.enter(long, never)];
    fast?.leave({ kind: 'refused', reason: 'changed' });
    const next = await gate.enter(long, never);
    t.equal(next?.password, 'two');
    next?.leave({ kind: 'accepted' });
    slow?.leave({ kind: 'refused', reason: 'late' });
    t.equal(gate.refusal, null);
  });

  await t.test('a value that was good half a minute ago goes to one server first', async (t) => {
    const never = new AbortController().signal;
    const clock = handClock();
    const gate = gateFor(bind, { monotonic: () => clock.monotonic() });
    (await gate.enter(long, never))?.leave({ kind: 'accepted' });
    const [one, two] = await Promise.all([gate.enter(long, never), gate.enter(long, never)]);
    t.ok(one !== null && two !== null, 'just now it was good');
    for (const pass of [one, two]) pass?.leave({ kind: 'unanswered' });
    clock.advance(30_001);
    const alone = await gate.enter(long, never);
    let others = 0;
    const waiting = [gate.enter(long, never), gate.enter(long, never)].map((entered) =>
      entered.then(() => (others += 1)),
    );
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(others, 0);
    alone?.leave({ kind: 'refused', reason: 'changed' });
    t.strictSame([await gate.enter(long, never)], [null]);
    await Promise.all(waiting);
  });

  await t.test('a refusal that is over when it arrives is none', async (t) => {
    const { dc } = await setUp(t, { bind: [bind] });
    const gate = gateFor(bind);
    let refusals = 1;
    const pool = new ConnectionPool({
      endpoint: parseEndpoint(dc.url),
      certificateAuthorities: [authority.cert],
      gate: {
        ...gate,
        refusal: null,
        enter: (time, signal) => (refusals-- > 0 ? Promise.resolve(null) : gate.enter(time, signal)),
      },
      connectTimeout: patience,
      connections: 2,
      monotonic: () => performance.now(),
      random: () => 0,
      greet: () => Promise.resolve(null),
      changed: () => {},
    });
    t.teardown(() => pool.close());
    await until(() => pool.state === 'up');
    t.equal(refusals < 1, true);
  });

  await t.test('a secret that cannot be read holds nobody up', async (t) => {
    const never = new AbortController().signal;
    const gate = gateFor({ ...bind, reread: () => new Promise(() => {}) });
    t.teardown(() => gate.close());
    (await gate.enter(long, never))?.leave({ kind: 'refused', reason: 'no' });
    t.equal(await gate.enter(20 as Millis, never), null);
  });
});

await t.test('servers that DNS names', async (t) => {
  const site = 'Branch-1';
  const names = ['dc1', 'dc2', 'dc3', 'dc4', 'dc5', 'dc6'].map((name) => `${name}.${domain}`);
  const tls = await authority.issue({
    subject: 'CN=controllers',
    dnsNames: names,
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
  });
  const everywhere = `_ldap._tcp.dc._msdcs.${domain}`;
  const ownSite = `_ldap._tcp.${site}._sites.dc._msdcs.${domain}`.toLowerCase();

  function discoveryOf(dns: DnsServer, more: Partial<DiscoverySettings> = {}): DiscoverySettings {
    return { site, names: [], refresh: 5 as Millis, resolver: [dns.address], ...more };
  }
  function settingsOf(discovery: DiscoverySettings, controllers: readonly string[] = []): ForestSettings {
    return { ...settingsFor([]), domains: [{ name: domain, controllers, discovery, bind }] };
  }
  /** A controller that DNS can name. */
  async function startNamed(t: LabTest, dns: DnsServer, index: number, more: Partial<DirectoryServerOptions> = {}) {
    const dc = await startDc(t, [alice], { tls, ...more });
    const target = names[index] ?? '';
    dns.hosts.set(target, '127.0.0.1');
    const line: SrvLine = { target, port: dc.port };
    return { dc, line, url: `ldaps://${target}:${dc.port}` };
  }
  const urlsUp = async (forest: LiveForest): Promise<string[]> =>
    (await forest.health()).filter(({ state }) => state === 'up').map(({ url }) => url);

  await t.test('are found, asked over TLS, and those of our own site first', async (t) => {
    const dns = await startDns(t);
    const [far, near] = [await startNamed(t, dns, 0), await startNamed(t, dns, 1)];
    dns.srv.set(everywhere, [far.line, near.line]);
    dns.srv.set(ownSite, [near.line]);
    const forest = openDirectory(t, settingsOf(discoveryOf(dns, { refresh: long })));
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice', 'whoever is early waits for DNS');
    await until(async () => (await urlsUp(forest)).length === 2);
    t.strictSame(await urlsUp(forest), [near.url, far.url]);
    const located = await forest.locate(alt('A'), patience);
    t.match(located, { kind: 'answered', accounts: [{ samAccountName: 'alice' }], searches: [{ server: near.url }] });
    t.equal(far.dc.searches, 1, 'the other one is only greeted');
    await near.dc.stop();
    await until(async () => !(await urlsUp(forest)).includes(near.url));
    t.match(await forest.locate(alt('A'), patience), { kind: 'answered', searches: [{ server: far.url }] });
    t.ok(forest.serves(names[0] ?? ''), 'objects are read there too');
  });

  await t.test('join, leave, and stay while DNS is silent, without a lookup that suffers', async (t) => {
    const dns = await startDns(t);
    const [one, two] = [await startNamed(t, dns, 0), await startNamed(t, dns, 1)];
    dns.srv.set(everywhere, [one.line]);
    const forest = await readyDirectory(t, settingsOf(discoveryOf(dns)));
    const rounds = { over: false };
    const seen = new Set<string>();
    const client = (async () => {
      while (!rounds.over) {
        seen.add(outcome(await forest.locate(alt('A'), patience)));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    dns.srv.set(everywhere, [one.line, two.line]);
    await until(async () => (await urlsUp(forest)).length === 2);
    dns.srv.set(everywhere, [two.line]);
    await until(async () => (await urlsUp(forest)).join() === two.url);
    await until(() => one.dc.connections === 0);
    dns.srv.delete(everywhere);
    let asked = dns.questions.length;
    await until(() => dns.questions.length > asked + 4);
    t.strictSame(await urlsUp(forest), [two.url], 'an answer without a server changes nothing');
    dns.srv.set(everywhere, [{ target: `nobody.${domain}`, port: 1 }]);
    asked = dns.questions.length;
    await until(() => dns.questions.length > asked + 4);
    t.ok((await urlsUp(forest)).includes(two.url), 'one that serves stays until another does');
    dns.silent = true;
    asked = dns.questions.length;
    await until(() => dns.questions.length > asked);
    t.ok((await urlsUp(forest)).includes(two.url), 'nor does silence');
    rounds.over = true;
    await client;
    t.strictSame([...seen], ['alice']);
  });

  await t.test('a server that leaves finishes what it has begun', async (t) => {
    const dns = await startDns(t);
    const [one, two] = [await startNamed(t, dns, 0), await startNamed(t, dns, 1)];
    dns.srv.set(everywhere, [
      { ...one.line, priority: 1 },
      { ...two.line, priority: 2 },
    ]);
    const forest = await readyDirectory(t, settingsOf(discoveryOf(dns)));
    await until(async () => (await urlsUp(forest)).length === 2);
    const before = one.dc.searches;
    one.dc.faults.hold = true;
    const lookup = forest.locate(alt('A'), patience);
    await one.dc.reached(before + 1);
    dns.srv.set(everywhere, [two.line]);
    await until(async () => (await urlsUp(forest)).join() === two.url);
    t.ok(one.dc.connections > 0);
    one.dc.faults.hold = false;
    t.match(await lookup, { kind: 'answered', searches: [{ server: one.url, result: '1 entry' }] });
    await until(() => one.dc.connections === 0);
  });

  await t.test('outside of the domain and the listed suffixes nobody is contacted', async (t) => {
    const dns = await startDns(t);
    const trap = await startDc(t, [alice]);
    dns.hosts.set('dc1.elsewhere.test', '127.0.0.1').set(`evil${domain}`, '127.0.0.1');
    const strangers = ['dc1.elsewhere.test', `evil${domain}`].map((target) => ({ target, port: trap.port }));
    dns.srv.set(everywhere, strangers);
    const forest = openDirectory(t, settingsOf(discoveryOf(dns, { refresh: long })));
    t.match(await forest.health(), [
      { domain, url: `srv:${domain}`, state: 'down', reason: /outside of lab\.example\.test.*: dc1\.elsewhere\.test/ },
    ]);
    t.match(outcome(await forest.locate(alt('A'), long)), /unknown: DNS names servers outside/);
    t.equal(trap.accepted, 0);
    t.notOk(
      dns.questions.some((question) => question.startsWith('A ')),
      'not even their addresses are asked for',
    );
    const listed = openDirectory(t, settingsOf(discoveryOf(dns, { refresh: long, names: ['elsewhere.test'] })));
    t.match(await listed.health(), [{ url: /dc1\.elsewhere\.test/, state: 'down', reason: /cert/i }]);
    t.equal(trap.binds, 0, 'contacted, but its certificate is another');
  });

  await t.test('that are controllers of another domain, or say nothing, are not asked', async (t) => {
    const dns = await startDns(t);
    const other = await startNamed(t, dns, 0, { ...childOptions, entries: [] });
    const mute = await startNamed(t, dns, 1, { rootDse: { defaultNamingContext: [] } });
    const stray = await startNamed(t, dns, 2, { rootDse: { configurationNamingContext: [] } });
    dns.srv.set(everywhere, [other.line, mute.line, stray.line]);
    const forest = openDirectory(t, settingsOf(discoveryOf(dns, { refresh: long }), []), { random: () => 0.999 });
    await until(async () => (await forest.health()).length === 3);
    const reasons = new Map((await forest.health()).map(({ url, reason }) => [url, reason]));
    t.match(reasons.get(other.url), /controller of DC=child/);
    t.match(reasons.get(mute.url), /does not say that it is a controller/);
    t.match(reasons.get(stray.url), /does not say which forest/);
  });

  await t.test('come after those of the configuration', async (t) => {
    const dns = await startDns(t);
    const configured = await startDc(t, [alice]);
    const named = await startNamed(t, dns, 0);
    dns.srv.set(everywhere, [named.line]);
    const forest = await readyDirectory(t, settingsOf(discoveryOf(dns, { refresh: long }), [configured.url]));
    await until(async () => (await urlsUp(forest)).length === 2);
    t.strictSame(await urlsUp(forest), [configured.url, named.url]);
    dns.silent = true;
    const patient = openDirectory(t, settingsOf(discoveryOf(dns, { refresh: long }), [configured.url]));
    t.equal(outcome(await patient.locate(alt('A'), patience)), 'alice', 'nobody waits for DNS while one is up');
  });

  await t.test('a few are connected, more when none of them is up', async (t) => {
    const dns = await startDns(t);
    const dcs = await Promise.all(names.map((_, index) => startNamed(t, dns, index)));
    dns.srv.set(
      everywhere,
      dcs.map(({ line }, index) => ({ ...line, priority: index })),
    );
    const forest = await readyDirectory(t, settingsOf(discoveryOf(dns, { refresh: long })));
    await until(async () => (await urlsUp(forest)).length === 4);
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    t.strictSame(
      dcs.slice(4).map(({ dc }) => dc.accepted),
      [0, 0],
    );
    await Promise.all(dcs.slice(0, 4).map(({ dc }) => dc.stop()));
    await until(async () => (await urlsUp(forest)).length === 0);
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    t.strictSame(
      (await urlsUp(forest)).toSorted(),
      dcs
        .slice(4)
        .map(({ url }) => url)
        .toSorted(),
    );
  });

  await t.test('global catalogs by the name of the forest', async (t) => {
    const dns = await startDns(t);
    const one = await startNamed(t, dns, 0);
    const catalog = await startNamed(t, dns, 1, { globalCatalog: true });
    dns.srv.set(`_ldap._tcp.gc._msdcs.${domain}`, [catalog.line]);
    const dc = await startDc(t, [alice]);
    const settings = { ...settingsFor([dc.url]), globalCatalogDiscovery: discoveryOf(dns, { refresh: long }) };
    const forest = await readyDirectory(t, settings);
    await until(async () => (await urlsUp(forest)).includes(catalog.url));
    const located = await forest.locate(alt('A'), patience);
    t.match(located, { kind: 'answered', searches: [{ server: catalog.url }, { server: dc.url }] });
    t.ok(dns.questions.includes(`SRV _ldap._tcp.${site.toLowerCase()}._sites.gc._msdcs.${domain}`));
    t.equal(one.dc.accepted, 0);
    const lost = openDirectory(t, {
      ...settings,
      domains: settingsFor(['ldaps://127.0.0.1:1']).domains,
      connectTimeout: 50 as Millis,
      searchTimeout: 50 as Millis,
    });
    t.match(await lost.health(), [
      {},
      { domain: 'globalCatalog', state: 'down', reason: /told the name of the forest/ },
    ]);
  });

  await t.test('an end while DNS is silent', async (t) => {
    const dns = await startDns(t);
    dns.silent = true;
    const forest = openDirectory(t, settingsOf(discoveryOf(dns)));
    const lookup = forest.locate(alt('A'), 300 as Millis);
    await until(() => dns.questions.length > 0);
    t.match(outcome(await lookup), /unknown: DNS has not been asked yet/);
    await forest.close();
    t.match(await forest.health(), [{ state: 'down', reason: /DNS/ }]);
    const asked = dns.questions.length;
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(dns.questions.length, asked);
  });

  await t.test('the list: what an answer of DNS changes in it', async (t) => {
    const events: string[] = [];
    const states = new Map<string, PoolState>();
    const controllerAt = (name: string): Controller => {
      const { url } = endpointOf('ldaps', name, 636);
      const act = (what: string) => (): Promise<void> => Promise.resolve(void events.push(`${what} ${name}`));
      const fake: Partial<Controller> = {
        url,
        host: name,
        get state() {
          return states.get(name) ?? 'connecting';
        },
        drain: act('drain'),
        close: act('close'),
      };
      return fake as Controller;
    };
    let answer: Discovered = { kind: 'nothing', reason: 'silence' };
    let asked = 0;
    const list = createDiscoveredList({
      configured: [controllerAt('fixed')],
      source: 'srv:x',
      discover: () => ((asked += 1), Promise.resolve(answer)),
      connect: ({ host }) => (events.push(`connect ${host}`), controllerAt(host)),
      refresh: long,
      random: () => 1_000_000,
    });
    t.teardown(() => list.close());
    const named = async (hosts: string, partial = false): Promise<void> => {
      answer = { kind: 'found', partial, endpoints: hosts.split('').map((host) => endpointOf('ldaps', host, 636)) };
      await refreshed();
    };
    const refreshed = async (): Promise<void> => {
      const before = asked;
      events.length = 0;
      list.retry();
      await until(() => asked > before);
      await new Promise((resolve) => setImmediate(resolve));
    };
    const hosts = (): string => list.current.map(({ host }) => host).join(' ');
    await list.first;
    t.equal(hosts(), 'fixed');
    await named('ab', true);
    t.equal(hosts(), 'fixed a b', 'half an answer is better than none');
    await named('c', true);
    t.equal(hosts(), 'fixed a b', 'but not than a whole one');
    answer = { kind: 'found', partial: false, endpoints: [endpointOf('ldaps', 'fixed', 636)] };
    await refreshed();
    t.equal(hosts(), 'fixed', 'one of the configuration is not there twice');
    t.strictSame(events, ['drain a', 'drain b'], 'who leaves is not cut off');
    await named('abcdefghij');
    t.equal(hosts(), 'fixed a b c d');
    answer = { kind: 'nothing', reason: 'no such name' };
    await refreshed();
    t.strictSame([hosts(), list.widen()], ['fixed a b c d', true], 'an answer without servers is not believed');
    t.equal(hosts(), 'fixed a b c d e f g h');
    t.ok(list.widen());
    t.equal(hosts(), 'fixed a b c d e f g h i j');
    t.notOk(list.widen(), 'there are no more');
    await named('abcdefghij');
    t.equal(hosts(), 'fixed a b c d e f g h i j', 'they stay until one of the first is up');
    states.set('b', 'up').set('j', 'up');
    await named('abcdefghij');
    t.equal(hosts(), 'fixed a b c d');
    t.equal(events.length, 6);
    states.set('b', 'down').set('c', 'up');
    await named('xyz');
    t.equal(hosts(), 'fixed x y z c', 'one that serves stays until one of the new ones does');
    states.set('y', 'up');
    await named('xyz');
    t.equal(hosts(), 'fixed x y z');
    await list.close();
    t.strictSame(events.slice(-4), ['close fixed', 'close x', 'close y', 'close z']);
    t.notOk(list.widen());
  });

  await t.test('what is asked for, and which answers are taken', async (t) => {
    t.strictSame(questionsForDomain('a.test', 'X'), {
      names: ['_ldap._tcp.X._sites.dc._msdcs.a.test', '_ldap._tcp.dc._msdcs.a.test'],
      otherwise: null,
    });
    t.strictSame(questionsForCatalog('a.test', null), {
      names: ['_ldap._tcp.gc._msdcs.a.test'],
      otherwise: '_gc._tcp.a.test',
    });
    const record = (name: string, port = 389, priority = 0, weight = 0): SrvRecord => ({
      name,
      port,
      priority,
      weight,
    });
    const discovered = async (
      answers: Record<string, readonly SrvRecord[] | null>,
      questions = questionsForDomain('a.test', 'X'),
    ): Promise<Discovered> => {
      const dns: DnsLookup = {
        srv(name) {
          const records = answers[name];
          if (records === null) return Promise.resolve({ kind: 'silent', reason: `${name} is silent` });
          return Promise.resolve({ kind: 'answered', records: records ?? [] });
        },
        lookup: undefined,
        close: () => {},
      };
      return await discover(questions, { dns, suffixes: ['a.test'], random: () => 0 }, []);
    };
    const urls = (found: Discovered): readonly string[] | string =>
      found.kind === 'found' ? found.endpoints.map(({ url }) => url) : found.reason;
    const [own, all] = ['_ldap._tcp.X._sites.dc._msdcs.a.test', '_ldap._tcp.dc._msdcs.a.test'];
    t.strictSame(
      urls(
        await discovered({ [all]: [record('DC1.A.test.'), record('dc2.a.test', 3268), record('dc3.a.test', 1636)] }),
      ),
      ['ldaps://dc1.a.test:636', 'ldaps://dc2.a.test:3269', 'ldaps://dc3.a.test:1636'],
      'never a port of clear text',
    );
    const odd = ['.', '', 'dc', '10.0.0.1', '-x.a.test', 'a b.a.test', 'x..a.test', 'evil.a.test@b.test', '[::1]'];
    t.match(urls(await discovered({ [all]: odd.map((name) => record(name)) })), /DNS has no servers at/);
    t.match(urls(await discovered({ [all]: [record('dc1.a.test', 0)] })), /no servers/);
    t.match(urls(await discovered({ [all]: [record(`${'x'.repeat(250)}.a.test`)] })), /no servers/);
    const many = Array.from({ length: 100 }, (_, index) => record(`dc${index}.a.test`, 389, index));
    t.equal(urls(await discovered({ [all]: many.toReversed() })).length, 32);
    t.equal(urls(await discovered({ [all]: many.toReversed() }))[31], 'ldaps://dc31.a.test:636', 'the best of them');
    t.match(await discovered({ [own]: null, [all]: [record('dc1.a.test')] }), { kind: 'found', partial: true });
    t.match(await discovered({ [own]: [record('dc1.a.test')], [all]: [record('dc1.a.test')] }), {
      partial: false,
      endpoints: { length: 1 },
    });
    t.match(urls(await discovered({ [own]: [], [all]: null })), /is silent/);
    t.strictSame(
      urls(await discovered({ '_gc._tcp.a.test': [record('gc.a.test', 3268)] }, questionsForCatalog('a.test', null))),
      ['ldaps://gc.a.test:3269'],
    );
  });

  await t.test('the order: priority, then chance by weight, those in use before their equals', (t) => {
    const target = (name: string, priority: number, weight: number) => ({ name, port: 1, priority, weight });
    const order = (dice: number, inUse: readonly string[] = []): string =>
      orderTargets([target('d', 2, 0), target('a', 1, 10), target('b', 1, 30), target('c', 1, 0)], inUse, () => dice)
        .map(({ name }) => name)
        .join('');
    t.equal(order(0), 'cabd', 'those without weight only where the dice show 0');
    t.equal(order(0.999), 'bacd');
    t.equal(order(0.1), 'abcd');
    t.equal(order(0.999, ['c', 'x', 'd']), 'cbad');
    let state = 12_345;
    const random = (): number => (state = (state * 48_271) % 0x7fffffff) / 0x7fffffff;
    let first = 0;
    for (let index = 0; index < 4000; index += 1)
      if (orderTargets([target('a', 1, 10), target('b', 1, 30)], [], random)[0]?.name === 'b') first += 1;
    t.ok(first > 2700 && first < 3300, `${first} of 4000 for three quarters of the weight, seed 12345`);
    t.end();
  });

  await t.test('a site that cannot stand in a DNS name is refused, and a DNS server that is none', async (t) => {
    const dns = await startDns(t);
    t.throws(() => openDirectory(t, settingsOf(discoveryOf(dns, { resolver: ['dns.test'] }))), {
      code: 'directory-settings',
    });
    for (const bad of ['a.b', 'ä', '', 'x'.repeat(64)])
      t.throws(
        () => openDirectory(t, settingsOf(discoveryOf(dns, { site: bad }))),
        { code: 'directory-settings' },
        bad,
      );
  });
});

await t.test('several forests', async (t) => {
  const second = { domain: 'other.test', domainSid: 'S-1-5-21-9-8-7' };
  const carol = user(1001, 'carol', { ...second, altSecurityIdentities: ['C'] });
  const openBoth = (t: LabTest, settings: readonly ForestSettings[]): LiveDirectory => {
    const directory = createDirectory({ forests: settings }, { clock: systemClock, random: () => 0 });
    t.teardown(() => directory.close());
    return directory;
  };
  const forestOf = (name: string, urls: readonly string[], password: string = bind.password): ForestSettings => ({
    ...settingsFor(urls),
    name,
    domains: [{ name, controllers: urls, discovery: null, bind: { ...bind, password } }],
  });

  await t.test('each answers for itself; health, retry and objects are of all', async (t) => {
    const lab = await startDc(t, [alice]);
    const other = await startDc(t, [carol], { ...second, netbiosName: 'OTHER' });
    const directory = openBoth(t, [forestOf(domain, [lab.url]), forestOf(second.domain, [other.url])]);
    t.match(await directory.health(), [
      { domain, state: 'up' },
      { domain: second.domain, state: 'up' },
    ]);
    const [first, next] = directory.forests;
    t.equal(outcome((await first?.locate(alt('C'), patience)) as Located), 'nobody');
    t.equal(outcome((await next?.locate(alt('C'), patience)) as Located), 'carol');
    const read = (dn: string) =>
      directory.readObject({
        dn,
        attribute: 'sAMAccountName',
        timeout: patience,
        maximumBytes: 100,
        signal: new AbortController().signal,
      });
    const asked = [lab.accepted, other.accepted];
    t.match(await read('CN=carol,CN=Users,DC=other,DC=test'), { kind: 'read', server: other.url });
    t.match(await read('CN=nobody,CN=Users,DC=other,DC=test'), { kind: 'absent' });
    t.equal(lab.accepted, asked[0], 'only where the domain is');
    t.match(await read('CN=alice,CN=Users,DC=lab,DC=example,DC=test'), { kind: 'read', server: lab.url });
    t.equal(other.accepted, (asked[1] ?? 0) + 2);
    t.match(await read('CN=x,O=elsewhere'), { kind: 'absent' }, 'whose it is cannot be told: all are asked');
    t.equal(other.accepted, (asked[1] ?? 0) + 3);
    t.ok(directory.serves('127.0.0.1'));
    await other.stop();
    await until(async () => (await directory.health())[1]?.state === 'down');
    t.match(await read('CN=carol,CN=Users,DC=other,DC=test'), { kind: 'unknown' }, 'and silence is not absence');
    await other.start();
    directory.retry();
    await until(async () => (await directory.health()).every(({ state }) => state === 'up'));
  });

  await t.test('an account that both use is tried once, and mended once', async (t) => {
    const lab = await startDc(t, [alice]);
    const other = await startDc(t, [carol], { ...second, netbiosName: 'OTHER' });
    const directory = openBoth(t, [
      forestOf(domain, [lab.url], 'wrong'),
      forestOf(second.domain, [other.url], 'wrong'),
    ]);
    t.match(await directory.health(), [{ state: 'refused' }, { state: 'refused' }]);
    t.equal(lab.binds + other.binds, 1);
    directory.retry();
    t.match(await directory.health(), [{ state: 'refused' }, { state: 'refused' }]);
    t.equal(lab.binds + other.binds, 2);
  });

  await t.test('where one cannot be, the others end', async (t) => {
    const [lab, clock] = [await startDc(t, [alice]), await startDc(t, [alice])];
    const broken = forestOf(second.domain, ['ldap:nowhere']);
    t.throws(() => openBoth(t, [forestOf(domain, [lab.url]), broken]), { code: 'directory-url' });
    await openDirectory(t, settingsFor([clock.url])).health();
    await until(() => lab.connections === 0);
    t.equal(lab.binds, 0);
  });

  await t.test('settings that contradict each other are refused', (t) => {
    const one = forestOf(domain, ['ldaps://127.0.0.1:1']);
    const cases: Record<string, readonly ForestSettings[]> = {
      'no forest': [],
      'a domain in two': [one, { ...one, name: 'again' }],
      'two of one name': [one, { ...forestOf(second.domain, ['ldaps://127.0.0.1:1']), name: domain }],
      'one that cannot work': [one, forestOf(second.domain, [])],
    };
    for (const [what, forests] of Object.entries(cases))
      t.throws(() => openBoth(t, forests), { code: 'directory-settings', exitCode: 2 }, what);
    t.end();
  });
});

await t.test('references and referrals are not followed, whatever they name', async (t) => {
  const trap = await startDc(t, [alice], { startTls: true });
  const plain = trap.url.replace(/^ldaps?:/, 'ldap:');

  await t.test('where the server knows the control it is asked to make none', async (t) => {
    for (const supportedControl of [['1.2.840.113556.1.4.1339'], ['1.2.840.113556.1.4.319']]) {
      const controls: string[] = [];
      const server = await startScript(t, {
        search(request, connection) {
          if (request.base === '')
            connection.entry(request.id, '', {
              defaultNamingContext: [base],
              configurationNamingContext: [`CN=Configuration,${base}`],
              supportedControl,
            });
          if (request.scope === 'subtree') controls.push(...request.controls.map(({ oid }) => oid));
          if (request.base === '') connection.done(request.id);
          return request.base === '';
        },
      });
      const forest = await readyDirectory(t, settingsFor([server.url]));
      t.equal(outcome(await forest.locate(alt('A'), patience)), 'nobody');
      t.strictSame(
        controls,
        supportedControl.filter((oid) => oid.endsWith('1339')),
      );
    }
  });

  await t.test('the embedded controller says that it knows it, and makes no references then', async (t) => {
    const dc = await startDc(t, [alice, childCrossRef]);
    const forest = await readyDirectory(t, settingsFor([dc.url]));
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
  });

  await t.test('neither a reference nor result code 10 makes a connection', async (t) => {
    const dc = await startDc(t, [alice]);
    const forest = await readyDirectory(t, settingsFor([dc.url]));
    dc.faults.references = [`${plain}/${base}`];
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    t.equal(outcome(await forest.locate(alt('none'), patience)), 'nobody');
    dc.faults.referral = [`${plain}/${base}`];
    t.match(outcome(await forest.locate(alt('A'), patience)), /unknown: .*referral \(10\)/);
    t.equal(trap.accepted, 0);
  });
});

await t.test('lookups that do not travel together', async (t) => {
  const people = Array.from({ length: 20 }, (_, index) =>
    user(2000 + index, `user${index}`, { altSecurityIdentities: [`X${index}`] }),
  );
  const dc = await startDc(t, people);
  const forest = await readyDirectory(t, settingsFor([dc.url], { batching: false }));
  const before = dc.searches;
  const located = await Promise.all(people.map((_, index) => forest.locate(alt(`X${index}`), patience)));
  t.strictSame(
    located.map(outcome),
    people.map((_, index) => `user${index}`),
  );
  t.equal(dc.searches - before, 20);
  t.ok(located.every(({ searches }) => searches.length === 1));
  const two = await forest.locate([...alt('X1'), ...alt('X2')], patience);
  t.equal(outcome(two), 'user1,user2');
  t.equal(two.searches.length, 2, 'one value a search');
  dc.faults.judge = (request) => (asksFor(request, 'X3') ? 11 : null);
  t.match(outcome(await forest.locate([...alt('X1'), ...alt('X3')], patience)), /unknown/);
});
