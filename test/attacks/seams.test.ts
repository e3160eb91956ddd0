/**
 * What goes wrong between two rooms that are each right: sessions that come back with less than they showed, methods and
 * names that one of them knows and the other does not, clients that take nothing, connections that arrive while the gateway ends.
 */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Stream } from 'node:http2';
import net from 'node:net';
import { PassThrough } from 'node:stream';
import tls from 'node:tls';
import t from 'tap';
import { createAccessLog } from '../../src/gateway/access-log.ts';
import { testFront } from '../support/front.ts';
import type { TestGateway } from '../support/gateway.ts';
import { ask, testGateway, testLab } from '../support/gateway.ts';
import { http2Request } from '../support/raw-http.ts';

const lab = await testLab(t);

await t.test(
  'a resumed session, which carries the leaf alone, is judged with the intermediates of its first handshake',
  async (t) => {
    const to = await testGateway(t, { lab, configure: (yaml) => yaml.replace(/ {2}intermediates: .*\n/, '') });
    for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
      const full = await payroll(to, 'alice', version);
      t.match(full, { status: 200, resumed: false });
      const resumed = await payroll(to, 'alice', version, full.session);
      t.match(resumed, { status: 200, resumed: true }, version);
      to.gateway.setup.chains.clear();
      t.match(await payroll(to, 'alice', version, full.session), { status: 403, resumed: true }, 'nothing is made up');
    }
  },
);

await t.test('a client cannot choose the request id that the backend sees', async (t) => {
  const to = await testGateway(t, { lab });
  const answer = await ask(to, 'upFront', { as: 'alice', headers: { 'X-Request-Id': 'evil', X_Request_ID: 'evil' } });
  const seen = answer.echo().headers.filter(([name]) => /^x.request.id$/i.test(name));
  t.strictSame(seen, [['X-Request-Id', answer.headers['x-request-id']]]);
});

await t.test('a method that only HTTP/2 can carry goes the way of all requests, and is logged', async (t) => {
  const to = await testGateway(t, { lab });
  const refused = await http2Request(to, undefined, { ':path': '/payroll', ':method': 'FROBNICATE' });
  t.equal(refused.status, 403);
  t.ok(to.log.some(({ method, code }) => method === 'FROBNICATE' && code === 'certificateRequired'));
});

await t.test('a log line shows nothing raw that a terminal or an eye takes for something else', async (t) => {
  const stream = new PassThrough();
  let line = '';
  stream.on('data', (piece: Buffer) => (line += piece.toString('utf8')));
  const log = createAccessLog({ stream, owned: true });
  const record = { path: '/\u009b2J\u007f', detail: 'CN=\u202egpj\u2028\u0085\u{e0041}\ud800 ü "' };
  log.write(record);
  await log.close();
  t.notMatch(line.trimEnd(), /[\p{C}\p{Zl}\p{Zp}]/u);
  t.match(line, 'ü', 'letters stay');
  t.strictSame(JSON.parse(line), record, 'and the value is the same');
});

await t.test(
  'an HTTP/2 client that takes nothing of an answer loses it, not the upstream its connection',
  async (t) => {
    const limits = 'limits: { idleTimeout: 300ms, upstream: { maximumConnections: 1, connectTimeout: 20s } }\n';
    const to = await testGateway(t, { lab, configure: (yaml) => yaml + limits });
    const session = connectHttp2(`https://127.0.0.1:${to.ports.upFront}`, {
      ca: to.ca,
      settings: { initialWindowSize: 1000 },
    });
    session.on('error', () => {});
    const alive = setInterval(() => !session.destroyed && session.ping(() => {}), 30);
    t.teardown(() => {
      clearInterval(alive);
      session.destroy();
    });
    const greedy = session.request({ ':path': '/?size=1000000' });
    greedy.on('error', () => {});
    const [head] = (await once(greedy, 'response')) as [{ ':status'?: number }];
    t.equal(head[':status'], 200);
    // Both clocks run out at once: now and then the session ends with its stream, and who waited comes again.
    const lost = once(session, 'close').then(() => null);
    const served = await Promise.race([statusOf(session.request({ ':path': '/' })), lost]);
    t.equal(served ?? (await ask(to, 'upFront', { path: '/' })).status, 200, 'who waited behind it is served');
    t.ok(greedy.destroyed || greedy.rstCode !== 0, 'the answer nobody took was given up');
  },
);

await t.test('while the gateway ends', async (t) => {
  await t.test('a connection that is still there belongs to its binding', async (t) => {
    const { front, port } = await testFront(t, { bindings: [{}] });
    const here = port();
    const before = front.bindingFor('127.0.0.1', '127.0.0.1', here);
    front.stopAccepting();
    t.ok(before);
    t.equal(front.bindingFor('127.0.0.1', '127.0.0.1', here), before);
  });

  await t.test('a handshake that finishes only now does not hold it up', async (t) => {
    const to = await testGateway(t, { lab, configure: (yaml) => `${yaml}limits: { drainTimeout: 1h }\n` });
    const busy = secure(to, 'alice');
    busy.write('GET /payroll?delay=never HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    const raw = net.connect(to.ports.upFront, '127.0.0.1');
    await once(raw, 'connect');
    while (to.gateway.requestsInFlight() === 0) await new Promise(setImmediate);
    const closing = to.gateway.close();
    const late = secure(to, 'alice', raw);
    await once(late, 'secureConnect');
    await once(late, 'close');
    busy.destroy();
    await closing;
    t.pass('it was told to end like all others');
  });
});

function secure(to: TestGateway, as: string, socket?: net.Socket): tls.TLSSocket {
  const where = socket === undefined ? { port: to.ports.upFront, host: '127.0.0.1' } : { socket };
  const made = tls.connect({ ...where, ca: to.ca, ...to.identity(as), checkServerIdentity: () => undefined });
  made.on('error', () => {});
  made.resume();
  return made;
}

async function statusOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  const [head] = (await once(stream.resume().end(), 'response')) as [{ ':status'?: number }];
  return head[':status'];
}

interface Visit {
  readonly status: number;
  readonly resumed: boolean;
  readonly session: Buffer | undefined;
}

function payroll(to: TestGateway, as: string, version: 'TLSv1.2' | 'TLSv1.3', session?: Buffer): Promise<Visit> {
  const socket = tls.connect({
    port: to.ports.upFront,
    host: '127.0.0.1',
    ca: to.ca,
    maxVersion: version,
    ...to.identity(as),
    ...(session === undefined ? {} : { session }),
  });
  return new Promise((resolve, reject) => {
    let text = '';
    let resumed = false;
    let ticket: Buffer | undefined;
    socket.on('session', (made) => (ticket = made));
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
    socket.on('error', reject);
    socket.once('secureConnect', () => {
      resumed = socket.isSessionReused();
      socket.write('GET /payroll HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n');
    });
    socket.once('close', () => resolve({ status: Number(text.slice(9, 12)), resumed, session: ticket }));
  });
}
