/**
 * Upstreams of several servers: which takes a request, how one is lost and comes back, what a health check asks and what is made of its answer.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { createConfigWorld } from './support/config-world.ts';
import type { SetAlarm } from '../src/base/alarm.ts';
import { setAlarm } from '../src/base/alarm.ts';
import type { Millis } from '../src/base/brand.ts';
import { contactUpstreams } from '../src/cli/upstream-contacts.ts';
import { loadConfiguration } from '../src/config/load.ts';
import type { HealthCheckSettings, UpstreamGroupSettings, UpstreamSettings } from '../src/forward/forward-contract.ts';
import { askHealth } from '../src/forward/health-check.ts';
import { createUpstreamGroup, type GroupMeans, type ServerState } from '../src/forward/upstream-group.ts';
import { createUpstream, type Slot, type Upstream } from '../src/forward/upstream.ts';
import { createGenerations } from '../src/gateway/generations.ts';
import type { Setup } from '../src/gateway/setup.ts';
import { createAuthority } from '../src/lab/authority.ts';
import { listen, patient, startRawBackend } from './support/bare-gateway.ts';

const ms = (count: number) => count as Millis;

const check: HealthCheckSettings = {
  path: '/healthz',
  interval: ms(1000),
  timeout: ms(5000),
  status: { from: 200, to: 399 },
  unhealthyAfter: 2,
  healthyAfter: 2,
};

function groupOf(
  origins: readonly string[],
  more: Partial<UpstreamGroupSettings> = {},
  server: Partial<UpstreamSettings> = {},
): UpstreamGroupSettings {
  const servers = origins.map((origin) => ({ ...patient, origin, ...server }));
  return { name: 'app', servers, healthCheck: null, hostHeader: 'client', ...more };
}

/** Alarms that ring when the test says so, in the order of their times; a clock that moves with them. */
function stoppedTime() {
  let now = 0;
  const alarms: { readonly at: number; readonly work: () => void }[] = [];
  const set: SetAlarm = (work, delay) => {
    const alarm = { at: now + delay, work };
    alarms.push(alarm);
    return () => {
      const index = alarms.indexOf(alarm);
      if (index >= 0) alarms.splice(index, 1);
    };
  };
  return {
    clock: { monotonic: () => now },
    setAlarm: set,
    get waiting(): readonly number[] {
      return alarms.map(({ at }) => at - now).toSorted((a, b) => a - b);
    },
    pass(milliseconds: number) {
      now += milliseconds;
      for (const alarm of alarms.filter(({ at }) => at <= now)) {
        alarms.splice(alarms.indexOf(alarm), 1);
        alarm.work();
      }
    },
  };
}

function meansOf(time = stoppedTime()) {
  const changes: ServerState[] = [];
  const means: GroupMeans = {
    clock: time.clock,
    random: () => 0.5,
    setAlarm: time.setAlarm,
    onHealth: (_, state) => changes.push(state),
  };
  return { time, means, changes };
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A backend that answers with what `answer` says now; its requests as they came. */
async function backend(t: Test, answer: (response: http.ServerResponse) => void = (response) => response.end('ok')) {
  const requests: http.IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    requests.push(request);
    answer(response);
  });
  const port = await listen(server);
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${port}`, port, requests, server };
}

/** Nobody listens there. */
async function deadOrigin(): Promise<string> {
  const server = net.createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

function begin(server: Upstream): Slot[] {
  const slots: Slot[] = [];
  const client = {
    remoteAddress: '192.0.2.1',
    remotePort: 1,
    localAddress: '192.0.2.2',
    localPort: 2,
    pins: undefined,
  };
  const waiter = {
    client: { ...client, onceClosed: () => {} },
    binds: false,
    http1: false,
    begin: (slot: Slot) => slots.push(slot),
  };
  server.acquire({ ...waiter, giveUp: () => {} });
  return slots;
}

/** A request's connection attempt, as a dispatch makes it. */
function connectOnce(server: Upstream): void {
  const [slot] = begin(server);
  if (slot === undefined) throw new Error('no slot');
  slot.client.dispatch(
    { path: '/', method: 'GET' },
    {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData() {},
      onResponseEnd: () => server.release(slot, null),
      onResponseError: () => server.release(slot, null),
    },
  );
}

await t.test('servers that are equally busy take requests in turn', async (t) => {
  const group = createUpstreamGroup(groupOf(['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3']));
  t.teardown(() => group.destroy());
  const chosen = Array.from({ length: 6 }, () => group.choose()?.origin.slice(-1));
  t.strictSame(chosen, ['1', '2', '3', '1', '2', '3']);
});

await t.test('the server with the fewest outstanding requests is taken', async (t) => {
  const group = createUpstreamGroup(groupOf(['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3']));
  t.teardown(() => group.destroy());
  const [first, second, third] = group.servers as [Upstream, Upstream, Upstream];
  begin(first);
  begin(first);
  begin(second);
  begin(third);
  const [slot] = begin(third) as [Slot];
  for (let turn = 0; turn < 4; turn += 1) t.equal(group.choose(), second);
  third.release(slot, null);
  t.same(new Set([group.choose(), group.choose()]), new Set([second, third]));
});

await t.test(
  'what has failed a request already is not chosen for it again, and with none left there is none',
  async (t) => {
    const group = createUpstreamGroup(groupOf(['http://127.0.0.1:1', 'http://127.0.0.1:2']));
    t.teardown(() => group.destroy());
    const [first, second] = group.servers as [Upstream, Upstream];
    for (let turn = 0; turn < 3; turn += 1) t.equal(group.choose(new Set([first])), second);
    t.equal(group.choose(new Set([first, second])), null);
  },
);

await t.test(
  'a server whose connection fails is passed over until one is made again, with growing pauses',
  async (t) => {
    const { time, means, changes } = meansOf();
    const [up, dead] = [await backend(t), await deadOrigin()];
    const group = createUpstreamGroup(groupOf([dead, up.origin]), {}, means);
    t.teardown(() => group.destroy());
    const [gone, there] = group.servers as [Upstream, Upstream];
    connectOnce(gone);
    await until(() => changes.length === 1, 'the loss is reported');
    t.match(changes[0], { server: dead, healthy: false, reason: /ECONNREFUSED/ });
    t.match(group.states(), [
      { server: dead, healthy: false, reason: /ECONNREFUSED/ },
      { server: up.origin, healthy: true, reason: null },
    ]);
    for (let turn = 0; turn < 3; turn += 1) t.equal(group.choose(), there);
    for (const pause of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      t.strictSame(time.waiting, [pause]);
      time.pass(pause);
      await until(() => time.waiting.length === 1, `an attempt after ${pause}`);
    }
    t.equal(changes.length, 1, 'failed attempts are no news');
  },
);

await t.test('a server that is reached again takes requests at once', async (t) => {
  const { time, means, changes } = meansOf();
  const one = await backend(t);
  const group = createUpstreamGroup(groupOf([one.origin, await deadOrigin()]), {}, means);
  t.teardown(() => group.destroy());
  const [server] = group.servers as [Upstream];
  group.failed(server, 'it was away');
  group.failed(server, 'and is told so twice');
  t.strictSame(time.waiting, [1000], 'one attempt for both');
  time.pass(1000);
  await until(() => changes.length === 2, 'it comes back');
  t.match(changes[1], { server: one.origin, healthy: true, reason: 'it answers again' });
  t.strictSame(time.waiting, []);
  group.failed(server, 'again');
  t.strictSame(time.waiting, [2000], 'who comes and goes waits longer');
  connectOnce(server);
  await until(() => changes.length === 4, 'a request gets through');
  t.strictSame(time.waiting, [], 'nothing is left to try');
  time.pass(100_000);
  group.failed(server, 'much later');
  t.strictSame(time.waiting, [1000]);
});

await t.test('with all servers away requests still go, to the one that failed longest ago', async (t) => {
  const { time, means } = meansOf();
  const group = createUpstreamGroup(
    groupOf(['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3']),
    {},
    means,
  );
  t.teardown(() => group.destroy());
  const [first, second, third] = group.servers as [Upstream, Upstream, Upstream];
  for (const server of [second, first, third]) {
    group.failed(server, 'away');
    time.pass(10);
  }
  t.equal(group.choose(), second);
  t.equal(group.choose(), second);
  group.failed(second, 'still away');
  t.equal(group.choose(), first);
  t.equal(group.choose(new Set([first])), third);
});

await t.test('a health check asks with a GET that shows nothing of any client', async (t) => {
  const one = await backend(t);
  const upstream = createUpstream({ ...patient, origin: one.origin });
  t.teardown(() => upstream.destroy());
  const answer = await askHealth({ upstream, http2: false }, { ...check, path: '/health?deep=1' }, setAlarm);
  t.strictSame(answer, { healthy: true, detail: 'answers 200' });
  t.equal(one.requests[0]?.method, 'GET');
  t.equal(one.requests[0]?.url, '/health?deep=1');
  t.strictSame(one.requests[0]?.rawHeaders, [
    ...['host', `127.0.0.1:${one.port}`, 'connection', 'close'],
    ...['User-Agent', 'dsmapper-health-check', 'Accept', '*/*'],
  ]);
  t.match(upstream.stats, { open: 0, busy: 0 }, 'over a connection of its own');
});

await t.test(
  'what is wrong with TLS is told without the noise of OpenSSL and of Node, and with what to do',
  async (t) => {
    const authority = await createAuthority({ subject: 'CN=Servers' });
    const { cert, key } = await authority.issue({
      subject: 'CN=b',
      dnsNames: ['b.example.test'],
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    });
    const strict = https.createServer({ cert, key, ca: authority.cert, requestCert: true });
    const plain = await backend(t);
    const port = await listen(strict);
    t.teardown(() => strict.close());
    const tls = { ca: authority.cert, serverName: 'b.example.test' };
    for (const [origin, settings, text] of [
      [`https://127.0.0.1:${port}`, tls, /^other side closed \(UND_ERR_SOCKET\): .* want another certificate of ours$/],
      [
        `https://127.0.0.1:${port}`,
        { serverName: 'b.example.test' },
        /^[^;]+ \(\w+\): .* `tls\.roots` of the upstream$/,
      ],
      [plain.origin.replace('http:', 'https:'), tls, /^wrong version number \(\w+\): it does not speak TLS/],
    ] as const) {
      const upstream = createUpstream({ ...patient, origin, tls: settings });
      t.teardown(() => upstream.destroy());
      const { detail } = await askHealth({ upstream, http2: false }, check, setAlarm);
      t.match(detail, text);
    }
  },
);

await t.test('the status says whether a server is well; redirects are not followed', async (t) => {
  let status = 200;
  const one = await backend(t, (response) => response.writeHead(status, { Location: '/elsewhere' }).end());
  const upstream = createUpstream({ ...patient, origin: one.origin });
  t.teardown(() => upstream.destroy());
  const ask = (range = check.status) => askHealth({ upstream, http2: false }, { ...check, status: range }, setAlarm);
  for (status of [200, 204, 302, 399]) t.match(await ask(), { healthy: true, detail: `answers ${status}` });
  for (status of [400, 500, 503])
    t.strictSame(await ask(), { healthy: false, detail: `answers ${status}, not 200 to 399` });
  t.strictSame(await ask({ from: 200, to: 200 }), { healthy: false, detail: 'answers 503, not 200' });
  t.equal(one.requests.length, 8);
});

await t.test('an answer that never ends, or never begins, costs no more than the time-out and 64 KiB', async (t) => {
  let written = 0;
  const endless = await backend(t, (response) => {
    const more = () => {
      while (!response.destroyed && written < 64 * 1024 * 1024) {
        written += 65_536;
        if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', more);
      }
    };
    more();
  });
  const first = createUpstream({ ...patient, origin: endless.origin });
  t.strictSame(await askHealth({ upstream: first, http2: false }, check, setAlarm), {
    healthy: true,
    detail: 'answers 200',
  });
  t.ok(written < 32 * 1024 * 1024, `${written} octets were written`);
  const silent = await startRawBackend((socket) => socket.resume());
  const second = createUpstream({ ...patient, origin: silent.origin });
  const time = stoppedTime();
  const asking = askHealth({ upstream: second, http2: false }, check, time.setAlarm);
  await until(() => silent.sockets.size === 1, 'it is asked');
  time.pass(5000);
  t.strictSame(await asking, { healthy: false, detail: 'no answer within 5000 ms' });
  await until(() => silent.sockets.size === 0, 'the connection is closed');
  const drip = await startRawBackend((socket) =>
    socket.resume().write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1'),
  );
  const third = createUpstream({ ...patient, origin: drip.origin });
  const dripping = askHealth({ upstream: third, http2: false }, check, time.setAlarm);
  await until(() => drip.sockets.size === 1, 'it is asked as well');
  time.pass(5000);
  t.match(await dripping, { healthy: false });
  for (const end of [first.destroy(), second.destroy(), third.destroy(), silent.stop(), drip.stop()]) await end;
});

await t.test('bad checks in a row take a server out, good ones bring it back; requests do not', async (t) => {
  let status = 200;
  const { time, means, changes } = meansOf();
  const one = await backend(t, (response) => response.writeHead(status).end());
  const group = createUpstreamGroup(groupOf([one.origin, one.origin], { healthCheck: check }), {}, means);
  t.teardown(() => group.destroy());
  group.watch();
  const asked = async (delay: number) => {
    t.strictSame(time.waiting, [delay, delay]);
    const { length } = one.requests;
    time.pass(delay);
    // The time-outs of the checks stand among the alarms while they are under way.
    await until(() => one.requests.length === length + 2 && time.waiting.join() === '1000,1000', 'both are asked');
  };
  await asked(500);
  status = 503;
  await asked(1000);
  t.strictSame(changes, [], 'one failure says nothing');
  await asked(1000);
  t.equal(changes.length, 2);
  t.match(changes[0], { healthy: false, reason: 'health check GET /healthz: answers 503, not 200 to 399' });
  connectOnce(group.servers[0] as Upstream);
  await until(() => one.requests.length === 7, 'a request is answered');
  t.notOk(group.states()[0]?.healthy, 'which says nothing about health');
  t.ok(group.choose(), 'a server is chosen all the same');
  status = 200;
  await asked(1000);
  t.equal(changes.length, 2, 'one success says nothing');
  await asked(1000);
  t.match(changes.slice(2), [{ healthy: true }, { healthy: true }]);
});

await t.test('a check that succeeds brings back a server that could not be reached', async (t) => {
  const { time, means, changes } = meansOf();
  const one = await backend(t);
  const group = createUpstreamGroup(groupOf([one.origin], { healthCheck: check }), {}, means);
  t.teardown(() => group.destroy());
  group.watch();
  group.failed(group.servers[0] as Upstream, 'away');
  t.strictSame(time.waiting, [500, 1000]);
  time.pass(500);
  await until(() => changes.length === 2, 'it comes back');
  t.match(changes[1], { healthy: true });
});

for (const end of ['close', 'destroy', 'unwatch'] as const)
  await t.test(`${end} ends checks and attempts, also those under way`, async (t) => {
    const { time, means, changes } = meansOf();
    const silent = await startRawBackend((socket) => socket.resume());
    t.teardown(() => silent.stop());
    const group = createUpstreamGroup(groupOf([silent.origin], { healthCheck: check }), {}, means);
    group.watch();
    group.failed(group.servers[0] as Upstream, 'away');
    time.pass(500);
    await until(() => silent.sockets.size === 1, 'it is asked');
    await group[end]();
    await until(() => silent.sockets.size === 0, 'the check is called off');
    t.strictSame(time.waiting, []);
    group.failed(group.servers[0] as Upstream, 'after the end');
    t.strictSame(time.waiting, []);
    t.equal(changes.length, 1);
    await group.destroy();
  });

await t.test('a setup that was replaced ends its checks, though requests still hold it', (t) => {
  const retired: string[] = [];
  const setupOf = (name: string) =>
    ({ retire: () => retired.push(name), close: () => Promise.resolve() }) as unknown as Setup;
  const generations = createGenerations(setupOf('former'));
  generations.enter();
  generations.replace(setupOf('next'));
  t.strictSame(retired, ['former']);
  t.end();
});

await t.test('a server is called by its origin or its socket', async (t) => {
  const group = createUpstreamGroup(groupOf(['http://localhost'], {}, { socketPath: '/run/app.sock' }));
  t.teardown(() => group.destroy());
  t.strictSame(group.states(), [{ server: 'unix:/run/app.sock', healthy: true, reason: null }]);
});

await t.test('servers do not ask at the same moment, nor at the same pace', async (t) => {
  for (const [random, first, next] of [
    [0, 0, 900],
    [1, 1000, 1100],
  ] as const) {
    const { time, means } = meansOf();
    const one = await backend(t);
    const slow = { ...check, interval: ms(1000) };
    const group = createUpstreamGroup(
      groupOf([one.origin], { healthCheck: slow }),
      {},
      { ...means, random: () => random },
    );
    group.watch();
    t.strictSame(time.waiting, [first]);
    time.pass(first);
    await until(() => time.waiting.join() === String(next), `the next check after ${next}`);
    group.failed(group.servers[0] as Upstream, 'away');
    t.strictSame(time.waiting, [random === 0 ? 750 : 1100, random === 0 ? 900 : 1250]);
    await group.destroy();
  }
});

await t.test(
  'checks go by TLS with the roots, name and certificate of the upstream, and by Unix sockets',
  async (t) => {
    const authority = await createAuthority({ subject: 'CN=Upstream Root' });
    const server = await authority.issue({
      subject: 'CN=backend',
      dnsNames: ['app.example.test'],
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    });
    const own = await authority.issue({ subject: 'CN=gateway', extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] });
    const seen: (readonly [string, string | undefined])[] = [];
    const options = {
      cert: server.cert,
      key: server.key,
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: true,
    };
    const secure = https.createServer(options, (request, response) => {
      const socket = request.socket as TLSSocket;
      seen.push([String(socket.servername), socket.getPeerCertificate().subject.CN as string | undefined]);
      response.end();
    });
    const port = await listen(secure);
    t.teardown(() => {
      secure.closeAllConnections();
      secure.close();
    });
    const tls = { ca: authority.cert, serverName: 'app.example.test', certificate: { cert: own.cert, key: own.key } };
    const answerOf = async (settings: Partial<UpstreamSettings>) => {
      const upstream = createUpstream({ ...patient, origin: `https://127.0.0.1:${port}`, ...settings });
      const answer = await askHealth({ upstream, http2: settings.http2 === true }, check, setAlarm);
      await upstream.destroy();
      return answer;
    };
    t.strictSame(await answerOf({ tls }), { healthy: true, detail: 'answers 200' });
    t.strictSame(seen, [['app.example.test', 'gateway']]);
    t.match(await answerOf({ tls: { ...tls, serverName: 'other.example.test' } }), {
      healthy: false,
      detail: /altnames/,
    });
    t.match(await answerOf({ tls: { serverName: tls.serverName, certificate: tls.certificate } }), { healthy: false });
    t.match(await answerOf({ tls: { ca: tls.ca, serverName: tls.serverName } }), { healthy: false });
    t.equal(seen.length, 1, 'nothing was asked of whom is not trusted');

    const folder = await mkdtemp(join(tmpdir(), 'dsmapper-sock-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const socketPath = join(folder, 'app.sock');
    const local = http.createServer((request, response) =>
      response.writeHead(request.headers.host === 'localhost' ? 204 : 500).end(),
    );
    await new Promise<void>((resolve) => {
      local.listen(socketPath, resolve);
    });
    t.teardown(() => local.close());
    t.match(await answerOf({ origin: 'http://localhost', socketPath }), { healthy: true, detail: 'answers 204' });
  },
);

await t.test('interim answers say nothing about health, and no answer may have an endless head', async (t) => {
  for (const [text, expected] of [
    [
      'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n',
      { healthy: false, detail: /answers 503/ },
    ],
    ['HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', { healthy: true }],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, { healthy: false }],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx', { healthy: false }],
    ['SSH-2.0-OpenSSH\r\n', { healthy: false }],
    ['', { healthy: false }],
  ] as const) {
    const raw = await startRawBackend((socket) => socket.once('data', () => socket.end(text)).resume());
    const upstream = createUpstream({ ...patient, origin: raw.origin });
    t.match(await askHealth({ upstream, http2: false }, check, setAlarm), expected, text.slice(0, 60));
    await upstream.destroy();
    await raw.stop();
  }
});

await t.test('a server that speaks HTTP/2 alone is asked by HTTP/2', async (t) => {
  const authority = await createAuthority({ subject: 'CN=Upstream Root' });
  const { cert, key } = await authority.issue({
    subject: 'CN=b',
    dnsNames: ['localhost'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
  });
  const seen: http2.IncomingHttpHeaders[] = [];
  const server = http2.createSecureServer({ cert, key }, (request, response) => {
    seen.push(request.headers);
    response.end();
  });
  const port = await listen(server);
  t.teardown(() => server.close());
  const settings = { ...patient, origin: `https://localhost:${port}`, tls: { ca: authority.cert } };
  const upstream = createUpstream({ ...settings, http2: true });
  t.match(await askHealth({ upstream, http2: true }, check, setAlarm), { healthy: true, detail: 'answers 200' });
  t.match(seen, [
    { ':method': 'GET', ':path': '/healthz', ':authority': `localhost:${port}`, 'user-agent': 'dsmapper-health-check' },
  ]);
  await upstream.destroy();
});

await t.test('a check shows no client to a server that expects the PROXY protocol', async (t) => {
  for (const [version, header] of [
    ['v1', /^PROXY UNKNOWN\r\nGET \/healthz HTTP\/1.1\r\n/],
    ['v2', /^\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET \/healthz HTTP\/1.1\r\n/],
  ] as const) {
    let received = '';
    const raw = await startRawBackend((socket) => {
      socket.on('data', (piece: Buffer) => {
        received += piece.toString('latin1');
        if (received.endsWith('\r\n\r\n') && received.includes('GET'))
          socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      });
    });
    const upstream = createUpstream({ ...patient, origin: raw.origin, proxyProtocol: version });
    t.match(await askHealth({ upstream, http2: false }, check, setAlarm), { healthy: true });
    t.match(received, header, version);
    await upstream.destroy();
    await raw.stop();
  }
});

await t.test('check tells of every server, and what its health check says', async (t) => {
  let status = 200;
  const one = await backend(t, (response) => response.writeHead(status).end());
  const dead = await deadOrigin();
  const checked = createUpstreamGroup(groupOf([one.origin, dead], { healthCheck: check }));
  const bare = createUpstreamGroup({ ...groupOf([one.origin]), name: one.origin });
  const twin = createUpstreamGroup({ ...groupOf([one.origin]), name: one.origin });
  t.teardown(() => Promise.all([checked, bare, twin].map((group) => group.destroy())));
  const contacts = () => contactUpstreams({ upstreams: () => [checked, bare, twin] });
  t.match(await contacts(), [
    { what: `upstream app, ${one.origin}`, answers: true, finding: false, detail: 'answers' },
    { what: `upstream app, ${one.origin}, GET /healthz`, answers: true, finding: false, detail: 'answers 200' },
    { what: `upstream app, ${dead}`, answers: false, finding: false, detail: /ECONNREFUSED|refused/ },
    { what: `upstream ${one.origin}`, answers: true, finding: false, detail: 'answers' },
  ]);
  status = 500;
  t.match((await contacts())[1], { answers: true, finding: true, detail: 'answers 500, not 200 to 399' });
});

const world = await createConfigWorld();

async function upstreamsOf(configuration: string, base = '') {
  const path = `${base}config.yaml`;
  const { facilities } = { facilities: world.facilities(configuration) };
  const { settings } = await loadConfiguration(path, {
    ...facilities,
    readFile: (file, maximum) => facilities.readFile(file.slice(base.length), maximum),
  });
  return new Map(settings.sites[0]?.locations.map(({ path: at, upstream }) => [at, upstream]));
}

const site = (rest: string) => `
bindings: [{ endpoint: 0.0.0.0:80 }]
sites:
  - name: Default Web Site
    bindings: ["0.0.0.0:80"]
${rest}`;

await t.test(
  'configuration: limits of the location win over those of the upstream, these over the common ones',
  async (t) => {
    const upstreams = await upstreamsOf(
      site(`    upstream: app
    upstreamLimits: { maximumQueue: 7 }
    locations:
      /: { authentication: { anonymous: fallback } }
      /a: { upstreamLimits: { maximumConnections: 3, queueTimeout: 9s } }
      /b: { upstream: http://b3 }
upstreams:
  app:
    servers: [http://b1, http://b2]
    limits: { maximumQueue: 5, maximumConnections: 4, connectTimeout: 3s }
limits: { upstream: { maximumQueue: 1, maximumConnections: 2, connectTimeout: 1s, headersTimeout: 8s } }
`),
    );
    const limits = { maximumQueue: 7, maximumConnections: 4, connectTimeout: 3000, headersTimeout: 8000 };
    t.match(upstreams.get('/'), {
      name: 'app',
      servers: [
        { origin: 'http://b1', ...limits },
        { origin: 'http://b2', ...limits },
      ],
      healthCheck: null,
      hostHeader: 'client',
    });
    t.match(upstreams.get('/a')?.servers[1], { ...limits, maximumConnections: 3, queueTimeout: 9000 });
    t.match(upstreams.get('/b'), {
      name: 'http://b3',
      servers: [{ origin: 'http://b3', maximumQueue: 7, maximumConnections: 2, connectTimeout: 1000 }],
    });
  },
);

await t.test('configuration: every key of an upstream arrives', async (t) => {
  const upstreams = await upstreamsOf(
    site(`    upstream: app
    locations:
      /: { authentication: { anonymous: fallback } }
      /s: { upstream: unix:run/one.sock }
      /t: { upstream: sockets }
upstreams:
  app:
    servers: ["https://b1", "https://b2:8443"]
    tls:
      roots: [file:trust/root.pem]
      serverName: App.example.test
      certificate: { cert: file:tls/web.pem, key: file:tls/web.key }
    http2: enabled
    proxyProtocol: v1
    hostHeader: server
    healthCheck: { path: /healthz, interval: 2s, timeout: 1s, status: 204, unhealthyAfter: 4, healthyAfter: 5 }
  sockets: { servers: [unix:/run/two.sock, http://b3], healthCheck: { path: / } }
`),
    'etc/',
  );
  const app = upstreams.get('/');
  const [first, second] = app?.servers ?? [];
  t.match(first, { origin: 'https://b1', http2: true, proxyProtocol: 'v1', tls: { serverName: 'app.example.test' } });
  t.equal(second?.origin, 'https://b2:8443');
  t.match(first?.tls?.ca, /^-----BEGIN CERTIFICATE-----/);
  t.match(first?.tls?.certificate, { cert: /^-----BEGIN CERTIFICATE-----/, key: /^-----BEGIN PRIVATE KEY-----/ });
  t.equal(app?.hostHeader, 'server');
  t.strictSame(app?.healthCheck, {
    path: '/healthz',
    interval: 2000,
    timeout: 1000,
    status: { from: 204, to: 204 },
    unhealthyAfter: 4,
    healthyAfter: 5,
  });
  t.match(upstreams.get('/s')?.servers, [{ origin: 'http://localhost', socketPath: 'etc/run/one.sock' }]);
  const sockets = upstreams.get('/t');
  t.match(sockets?.servers, [{ socketPath: '/run/two.sock' }, { origin: 'http://b3' }]);
  t.strictSame(sockets?.healthCheck, {
    path: '/',
    interval: 10_000,
    timeout: 5000,
    status: { from: 200, to: 399 },
    unhealthyAfter: 3,
    healthyAfter: 2,
  });
  for (const key of ['tls', 'http2', 'proxyProtocol', 'socketPath'])
    t.notOk(Object.hasOwn(sockets?.servers[1] ?? {}, key), key);
});
