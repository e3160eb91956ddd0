/**
 * Streams of events and WebSockets that last, through `dsmapper serve` and its reloads (SIGHUP): they go on while their rule stays, and end when
 * their right is gone. Twenty seconds; with DSMAPPER_LONG=1 five minutes, with the time-outs that are the defaults.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { frameOf, opcodes } from '../../src/lab/web-socket.ts';
import { testLab } from '../support/gateway.ts';
import { servedGateway, type ServedGateway } from '../support/served-gateway.ts';
import { openWebSocket, scriptedBackend, until, type Reachable } from '../support/web-socket.ts';

const long = process.env['DSMAPPER_LONG'] === '1';
/** Milliseconds: five minutes and what belongs to them, or a fifteenth of each. */
const scaled = (minutes: number): number => (minutes * 60_000) / (long ? 1 : 15);
const period = scaled(5);
const idleTimeout = scaled(2);
const tunnelTimeout = scaled(3);
const sayEvery = scaled(0.5);
const recheck = scaled(1);
const never = 86_400_000;
const reloads = 5;

const bindings = ['late', 'upFront'] as const;
const kinds = ['late', 'upFront', 'h2'] as const;
type Kind = (typeof kinds)[number];

/** Something that lasts. */
interface Lasting {
  readonly title: string;
  /** How often it was heard of since it began. */
  heard(): number;
  /** Milliseconds from its beginning to its end; null while it is open. */
  ended(): number | null;
}

/** The directory is not polled: rechecks alone see what changes in it. */
const limits = (more: string) => (yaml: string) =>
  `${yaml.replace('\ndirectory:\n', '\ndirectory:\n  pollInterval: 0s\n')}
limits:
  idleTimeout: ${idleTimeout}ms
  upstream: { tunnelTimeout: ${tunnelTimeout}ms, bodyTimeout: ${tunnelTimeout}ms }
  ${more}
`;
const onlyBob = (yaml: string) =>
  yaml.replace('        maximumAge: 10m\n', "        maximumAge: 10m\n        authorize: { users: ['LAB\\bob'] }\n");
/** Where an answer stops in the middle. */
const stuck = (upstream: string) => (yaml: string) =>
  yaml.replace('      /computers:\n', `      /stuck:\n        upstream: ${upstream}\n      /computers:\n`);
/** A rule elsewhere, one location more each time. */
const another = (index: number) => (yaml: string) =>
  yaml.replace(
    '      /computers:\n',
    `      /other-${index}:\n        authentication: { anonymous: fallback }\n      /computers:\n`,
  );

const timeout = period + recheck + 120_000;
/** tap writes into the object: one for each test. */
const options = () => ({ timeout, buffered: true });
await t.test('what lasts', { timeout, jobs: 2 }, async (t) => {
  const lab = await testLab(t);

  const lives = t.test('lives through reloads and silence, and ends when one takes its right', options(), async (t) => {
    const stopping = await scriptedBackend(t);
    stopping.script = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    const to = await servedGateway(t, lab, (yaml) => stuck(stopping.url)(limits('recheck: 24d')(yaml)));
    const talking = await open(t, to, 'alice', sayEvery);
    const silent = await open(t, to, 'alice', never);
    const half = await lastingAnswer(t, to);
    for (let index = 1; index <= reloads; index += 1) {
      await pause(period / (reloads + 1));
      await to.reload(another(index));
    }
    await pause(period / (reloads + 1));

    const least = Math.floor((period / sayEvery) * 0.6);
    for (const one of talking) {
      t.equal(one.ended(), null, `${one.title} is open`);
      t.ok(one.heard() >= least, `${one.title} was heard of ${one.heard()} times`);
    }
    for (const one of silent) {
      const after = one.ended();
      if (one.title.startsWith('WebSocket')) {
        t.ok(after !== null && after > idleTimeout && after >= tunnelTimeout * 0.95, `${one.title}: after ${after} ms`);
      } else t.equal(after, null, `${one.title} may be silent for as long as it likes`);
    }
    const cut = half.ended() ?? 0;
    t.ok(cut >= idleTimeout * 0.95 && cut < tunnelTimeout, `${half.title}: the connection is ended, after ${cut} ms`);

    await to.reload(onlyBob);
    const last = [...talking, ...silent.filter(({ title }) => title.startsWith('events'))];
    await until(() => last.every((one) => one.ended() !== null));
    t.strictSame(
      await endings(to, last.length),
      last.map(() => 'notAuthorised'),
    );
    const tunnels = (await to.log()).flatMap(({ tunnel }) => (tunnel === undefined ? [] : [tunnel]));
    t.strictSame(tunnels.map((tunnel) => (tunnel as { end: string }).end).sort(), ['client', 'client', 'idle', 'idle']);
  });

  const disabled = t.test('ends within the recheck interval when its account is disabled', options(), async (t) => {
    const to = await servedGateway(t, lab, limits(`recheck: ${recheck}ms`));
    const before = lab.directory.snapshot();
    t.teardown(() => lab.directory.restore(before));
    const talking = await open(t, to, 'bob', sayEvery);
    // Rounds of rechecks go by.
    await until(() => talking.every((one) => one.heard() > (2 * recheck) / sayEvery));
    for (const one of talking) t.equal(one.ended(), null, one.title);
    const at = performance.now();
    lab.directory.replace('CN=bob,CN=Users,DC=lab,DC=example,DC=test', 'userAccountControl', ['514']);
    await until(() => talking.every((one) => one.ended() !== null));
    const after = performance.now() - at;
    // A round begins within the interval, and is itself not done at once.
    t.ok(after < 2 * recheck, `all ended after ${Math.round(after)} ms, of ${recheck} between rounds`);
    t.strictSame(
      await endings(to, talking.length),
      talking.map(() => 'accountDisabled'),
    );
  });
  await Promise.all([lives, disabled]);
});

/** Why connections were ended, once so many are in the log; it is written a little later. */
async function endings(to: ServedGateway, count: number): Promise<unknown[]> {
  for (;;) {
    const lines = await to.log();
    const codes = lines.flatMap(({ event, code }) => (event === 'connection.ended' ? [code] : []));
    if (codes.length >= count && lines.filter(({ requestId }) => requestId !== undefined).length >= count) return codes;
    await pause(50);
  }
}

/** A stream of events on every kind of connection, and WebSockets on both bindings. @param every milliseconds between two words */
function open(t: Test, to: Reachable, as: string, every: number): Promise<Lasting[]> {
  return Promise.all([
    ...kinds.map((kind) => lastingEvents(t, to, kind, as, every)),
    ...bindings.map((where) => lastingSocket(t, to, where, as, every)),
  ]);
}

async function lastingEvents(t: Test, to: Reachable, kind: Kind, as: string, every: number): Promise<Lasting> {
  const stream = await get(t, to, kind, as, `/payroll/feed?events=forever&interval=${every}`);
  let text = '';
  let ended: number | null = null;
  stream.on('data', (piece: Buffer) => (text += piece.toString()));
  stream.on('error', () => {});
  const began = performance.now();
  stream.once('close', () => (ended = performance.now() - began));
  await until(() => text.includes('\n\n') || ended !== null);
  if (!text.includes(`LAB\\\\${as}`)) throw new Error(`no events: ${text}`);
  const heard = () => {
    const ids = text.match(/^id: \d+$/gm) ?? [];
    // None is lost and none comes twice.
    return ids.every((id, index) => id === `id: ${index + 1}`) ? ids.length : Number.NaN;
  };
  return { title: `events, ${kind}, every ${every} ms`, heard, ended: () => ended };
}

/** An answer that is not a stream of events, and stops in the middle: no connection may be silent like that. */
async function lastingAnswer(t: Test, to: Reachable): Promise<Lasting> {
  const stream = await get(t, to, 'upFront', 'alice', '/stuck');
  let ended: number | null = null;
  const began = performance.now();
  stream.on('error', () => {});
  stream.resume();
  stream.once('close', () => (ended = performance.now() - began));
  return { title: 'an answer that stops', heard: () => 0, ended: () => ended };
}

async function get(t: Test, to: Reachable, kind: Kind, as: string, path: string) {
  const tls = { ca: to.ca, ...to.identity(as) };
  if (kind === 'h2') {
    const session = http2.connect(`https://127.0.0.1:${to.ports.upFront}`, tls);
    session.on('error', () => {});
    t.teardown(() => session.destroy());
    return session.request({ ':path': path });
  }
  const request = https.get({ host: '127.0.0.1', port: to.ports[kind], path, agent: false, ...tls });
  t.teardown(() => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** Its words are pings, which the backend answers. */
async function lastingSocket(
  t: Test,
  to: Reachable,
  where: (typeof bindings)[number],
  as: string,
  every: number,
): Promise<Lasting> {
  const client = await openWebSocket(t, to, where, { as });
  const began = performance.now();
  let pongs = 0;
  let ended: number | null = null;
  const ping = () => void client.socket.write(frameOf(opcodes.ping, Buffer.from(String(pongs)), randomBytes(4)));
  const timer = setInterval(ping, every);
  t.teardown(() => clearInterval(timer));
  void (async () => {
    for (;;) {
      const frame = await client.frame();
      if (frame === null) break;
      if (frame.opcode === opcodes.pong) pongs += 1;
    }
    ended = performance.now() - began;
    clearInterval(timer);
    client.vanish();
  })();
  return { title: `WebSocket, ${where}, a ping every ${every} ms`, heard: () => pongs, ended: () => ended };
}
