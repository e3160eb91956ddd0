/**
 * Forwarding over real sockets: HTTP/1.1 and HTTP/2 clients, the echo backend, and backends that misbehave octet by octet.
 */
import { createHash } from 'node:crypto';
import http from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { ForwardInput } from '../../src/forward/dispatch.ts';
import type { UpstreamGroup } from '../../src/forward/upstream-group.ts';
import type { Slot, Upstream, Waiter } from '../../src/forward/upstream.ts';
import { createUpstream } from '../../src/forward/upstream.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { echoPattern, startEcho } from '../../src/lab/echo.ts';
import {
  answering,
  ask,
  ask2,
  echoed,
  header,
  ms,
  ok,
  until,
  withEcho,
  withRaw,
  type Ask,
} from '../support/bare-clients.ts';
import { connectRaw, limits, patient, startBareGateway, startRawBackend } from '../support/bare-gateway.ts';

const digest = (body: Buffer) => createHash('sha256').update(body).digest('hex');

async function digestOfPattern(size: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of echoPattern(size)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

await t.test('a request arrives as it was sent, over HTTP/1.1 and HTTP/2', async (t) => {
  const { gateway } = await withEcho(t, { identity: ['X-Remote-User', 'LAB\\alice'] });
  const first = await ask(gateway, { path: '/a/b?c=%20d', headers: { 'X-MiXed': 'case', Host: 'www.example.test' } });
  t.match(echoed(first), { method: 'GET', url: '/a/b?c=%20d', httpVersion: '1.1', bodyBytes: 0 });
  t.strictSame(header(echoed(first), 'host'), ['www.example.test']);
  t.ok(echoed(first).headers.some(([name, value]) => name === 'X-MiXed' && value === 'case'));
  t.strictSame(header(echoed(first), 'x-remote-user'), ['LAB\\alice']);
  t.equal(first.headers['x-request-id'], 'r1');
  t.equal(first.headers['cache-control'], 'no-store');

  const session = gateway.h2();
  const second = await ask2(session, {
    path: '/h2',
    headers: { cookie: ['a=1', 'b=2'], ':authority': 'h2.example.test' },
  });
  t.match(echoed(second), { method: 'GET', url: '/h2' });
  t.strictSame(header(echoed(second), 'host'), ['h2.example.test']);
  t.strictSame(header(echoed(second), 'cookie'), ['a=1; b=2']);
  t.notOk(echoed(second).headers.some(([name]) => name.startsWith(':')));
  t.match(await gateway.result(1), { kind: 'answered', status: 200, bytes: second.body.length });
});

await t.test('every method but the forbidden ones passes', async (t) => {
  const { gateway, echo } = await withEcho(t);
  for (const method of ['PROPFIND', 'PURGE', 'QUERY', 'MKCOL', 'REPORT', 'OPTIONS', 'DELETE', 'M-SEARCH', 'LOCK']) {
    t.equal(echoed(await ask(gateway, { method })).method, method);
  }
  const session = gateway.h2();
  const before = echo.requests;
  t.equal((await ask(gateway, { method: 'TRACE' })).headers['x-verdict'], 'methodNotAllowed');
  t.equal((await ask2(session, { method: 'TRACK' })).headers['x-verdict'], 'methodNotAllowed');
  t.equal(echo.requests, before);

  const seen: string[] = [];
  const { gateway: other } = await withRaw(
    t,
    answering((socket, request) => {
      seen.push(request);
      socket.write(ok);
    }),
  );
  t.equal((await ask2(other.h2(), { method: 'XYZZY' })).status, 200);
  t.match(seen[0], /^XYZZY \/ HTTP\/1.1\r\n/, 'also one that no list knows');
});

await t.test('a thousand requests that undici would refuse cost no connection', async (t) => {
  const kinds: readonly (readonly [change: (input: ForwardInput) => object, verdict: string])[] = [
    [({ headers }) => ({ headers: [...headers, 'Expect', '100-continue'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Expect', 'something'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Upgrade', 'websocket'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Connection', 'upgrade'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Connection', 'a b'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Keep-Alive', '5'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Transfer-Encoding', 'chunked'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Host', 'other'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Content-Length', 'x'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'Content-Length', '1', 'content-length', '1'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'X Y', '1'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'X', 'a\r\nb'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'X', 'Ā'] }), 'badRequest'],
    [({ headers }) => ({ headers: [...headers, 'X'] }), 'badRequest'],
    [() => ({ host: 'a\nb' }), 'badRequest'],
    [() => ({ method: 'G ET' }), 'badRequest'],
    [() => ({ method: '' }), 'badRequest'],
    [() => ({ method: 'CONNECT' }), 'methodNotAllowed'],
    [() => ({ method: 'OPTIONS', path: '*' }), 'pathNotCanonical'],
    [() => ({ path: 'relative' }), 'pathNotCanonical'],
    [() => ({ path: 'http://elsewhere.example.test/' }), 'pathNotCanonical'],
    [() => ({ path: '/a b' }), 'pathNotCanonical'],
    [() => ({ path: '/ü' }), 'pathNotCanonical'],
    [() => ({ bodyLength: 5, method: 'POST' }), 'badRequest'],
    [() => ({ bodyLength: 5, method: 'GET' }), 'badRequest'],
  ];
  let turnOf = 0;
  const { gateway, echo } = await withEcho(t, {
    upstream: { maximumConnections: 3 },
    change: (input) => (turnOf < 0 ? input : { ...input, ...kinds[turnOf++ % kinds.length]?.[0](input) }),
  });
  const session = gateway.h2();
  const seen = new Map<string, number>();
  for (let round = 0; round < 1000 / (2 * kinds.length); round += 1) {
    for (const [, verdict] of kinds) {
      const answer = await ask2(session);
      t.equal(answer.headers['x-verdict'], verdict, `kind ${turnOf % kinds.length}`);
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
    }
    for (const [, verdict] of kinds) {
      const answer = await ask(gateway);
      t.equal(answer.headers['x-verdict'], verdict, `kind ${turnOf % kinds.length}`);
    }
  }
  t.equal(gateway.results.length, 1000);
  t.equal(gateway.upstream.stats.busy, 0);
  t.equal(echo.requests, 0, 'none of them reached the backend');
  turnOf = -1;
  const all = await Promise.all(Array.from({ length: 9 }, () => ask(gateway)));
  t.ok(all.every(({ status }) => status === 200));
  t.match(gateway.upstream.stats, { busy: 0, queued: 0 });
});

await t.test('what undici refuses after all is an internal error and costs no connection either', async (t) => {
  const released: Slot[] = [];
  interface Handler {
    onResponseError(controller: null, error: Error): void;
  }
  const refusing = (upstream: Upstream): Upstream => ({
    origin: upstream.origin,
    label: upstream.label,
    settings: upstream.settings,
    serverName: upstream.serverName,
    stats: upstream.stats,
    outstanding: 0,
    connector: upstream.connector,
    acquire(waiter) {
      const error = Object.assign(new Error('no'), { code: 'UND_ERR_INVALID_ARG' });
      const client = {
        dispatch: (_options: object, handler: Handler) => handler.onResponseError(null, error),
      };
      waiter.begin({ client, open: false, served: 1 } as unknown as Slot);
      return 'accepted';
    },
    leave: () => {},
    release: (slot) => released.push(slot),
    probe: () => Promise.resolve(null),
    close: () => Promise.resolve(),
    destroy: () => Promise.resolve(),
  });
  const { gateway } = await withEcho(t, {
    change(input) {
      const { name, settings, servers } = input.group;
      const group = {
        name,
        settings,
        servers,
        choose: () => refusing(servers[0] as Upstream),
      } as unknown as UpstreamGroup;
      return { ...input, group };
    },
  });
  t.equal((await ask(gateway)).headers['x-verdict'], 'internalError');
  t.equal(released.length, 1);
});

await t.test('a client that leaves frees its connection, wherever it stands', async (t) => {
  const { gateway, echo } = await withEcho(t, { upstream: { maximumConnections: 1 } });
  const raw = connectRaw(gateway.port, 'GET /?delay=never HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => echo.requests === 1);
  t.equal(gateway.upstream.stats.busy, 1);

  const waiting = connectRaw(gateway.port, 'GET /queued HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => gateway.upstream.stats.queued === 1);
  waiting.socket.destroy();
  t.match(await gateway.result(0), { kind: 'aborted', by: 'client', status: 0 }, 'in the queue');
  t.equal(gateway.upstream.stats.queued, 0);

  raw.socket.destroy();
  t.match(await gateway.result(1), { kind: 'aborted', by: 'client', status: 0 }, 'while the upstream is silent');
  await until(() => gateway.upstream.stats.busy === 0);
  await until(() => echo.connections === 0);

  for (const method of ['GET', 'HEAD']) {
    const index = gateway.results.length;
    const count = echo.requests;
    const stream = gateway.h2().request({ ':method': method, ':path': '/?delay=never' });
    stream.on('error', () => {});
    await until(() => echo.requests === count + 1);
    stream.close(8);
    t.match(await gateway.result(index), { kind: 'aborted', by: 'client' }, `${method} over HTTP/2`);
    await until(() => gateway.upstream.stats.busy === 0);
  }

  const half = connectRaw(gateway.port, 'GET /?size=400000000 HTTP/1.1\r\nHost: a\r\n\r\n');
  await half.until(/200 OK/);
  const index = gateway.results.length;
  half.socket.destroy();
  t.match(await gateway.result(index), { kind: 'aborted', by: 'client', status: 200 }, 'in the middle of the answer');

  const upload = connectRaw(gateway.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc');
  await until(() => gateway.upstream.stats.busy === 1 && gateway.upstream.stats.open === 1);
  upload.socket.destroy();
  t.match(await gateway.result(index + 1), { kind: 'aborted', by: 'client' }, 'in the middle of its body');
  await until(() => gateway.upstream.stats.busy === 0);
  t.equal((await ask(gateway)).status, 200, 'and the only connection still serves');
});

await t.test('a client that left before its request was decided on is not forwarded', async (t) => {
  const clients: (() => void)[] = [];
  const { gateway, echo } = await withEcho(t, {
    async change(input) {
      clients.shift()?.();
      const { response } = input;
      await until(() => ('stream' in response ? response.stream.destroyed : response.destroyed));
      return input;
    },
  });
  const raw = connectRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  clients.push(() => raw.socket.destroy());
  t.match(await gateway.result(0), { kind: 'aborted', by: 'client', status: 0 });
  const stream = gateway.h2().request({ ':path': '/' });
  stream.on('error', () => {});
  clients.push(() => stream.close(8));
  t.match(await gateway.result(1), { kind: 'aborted', by: 'client', status: 0 });
  t.equal(echo.connections, 0);
});

await t.test('a pipelined request whose turn has not come is aborted with its connection', async (t) => {
  const { gateway, echo } = await withEcho(t);
  const one = 'GET /?delay=never HTTP/1.1\r\nHost: a\r\n\r\n';
  const raw = connectRaw(gateway.port, one.repeat(4));
  await until(() => echo.requests === 4);
  raw.socket.destroy();
  for (const index of [0, 1, 2, 3]) t.match(await gateway.result(index), { kind: 'aborted', by: 'client' });
  await until(() => gateway.upstream.stats.busy === 0);
});

await t.test('a client that leaves while the connection is being made is not waited for', async (t) => {
  // Over https a backend that does not answer the ClientHello keeps the connection in the making.
  const authority = await createAuthority({ subject: 'CN=Upstream Root' });
  const recipe = { subject: 'CN=b', dnsNames: ['b.example.test'], extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] };
  const echo = await startEcho({ tls: await authority.issue(recipe) });
  const relay = await startRawBackend((socket) => socket.pause());
  const failures: string[] = [];
  const gateway = await startBareGateway({
    upstream: {
      origin: relay.origin.replace('http:', 'https:'),
      maximumConnections: 1,
      tls: { ca: authority.cert, serverName: 'b.example.test' },
    },
    events: { connectFailed: (_, reason) => failures.push(reason) },
  });
  t.teardown(async () => {
    await gateway.stop();
    await relay.stop();
    await echo.stop();
  });
  for (const [index, how] of ['fails', 'succeeds'].entries()) {
    const raw = connectRaw(gateway.port, 'GET /abandoned HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => relay.sockets.size === 1);
    raw.socket.destroy();
    t.match(await gateway.result(index), { kind: 'aborted', by: 'client' });
    t.equal(gateway.upstream.stats.busy, 1, 'the place is taken as long as the connection is being made');
    const [socket] = relay.sockets;
    if (how === 'fails') socket?.destroy();
    else socket?.pipe(net.connect(echo.port, '127.0.0.1').on('error', () => {})).pipe(socket);
    await until(() => gateway.upstream.stats.busy === 0);
    await until(() => relay.sockets.size === 0);
  }
  t.equal(failures.length, 1);
  t.equal(echo.requests, 0, 'nobody asks for what nobody waits for');
});

await t.test('upstreams that misbehave before the answer give a verdict and cost no connection', async (t) => {
  const long = 'x'.repeat(70_000);
  const cases: readonly (readonly [title: string, verdict: string, script: (socket: net.Socket) => void])[] = [
    ['closes', 'upstreamFailed', (socket) => socket.end()],
    ['resets', 'upstreamFailed', (socket) => socket.resetAndDestroy()],
    ['sends garbage', 'upstreamFailed', (socket) => socket.write('\x16\x03\x01 hello\r\n\r\n')],
    ['sends half a head', 'upstreamFailed', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Le')],
    ['is silent', 'upstreamTimeout', () => {}],
    ['sends half a head and is silent', 'upstreamTimeout', (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Le')],
    ['sends too large a head', 'upstreamFailed', (socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${long}\r\n\r\n`)],
    [
      'switches protocols unasked',
      'upstreamFailed',
      (socket) => socket.write('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n'),
    ],
    ['sends 100 unasked', 'upstreamFailed', (socket) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${ok}`)],
    ['sends a status that is none', 'upstreamFailed', (socket) => socket.write('HTTP/1.1 099 X\r\n\r\n')],
    [
      'sends two lengths',
      'upstreamFailed',
      (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'),
    ],
    [
      'sends a length and chunks',
      'upstreamFailed',
      (socket) =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
    ],
    ['sends a control character', 'upstreamFailed', (socket) => socket.write('HTTP/1.1 200 OK\r\nX: a\x01b\r\n\r\n')],
    [
      'never ends its interim answers',
      'upstreamFailed',
      (socket) => socket.write('HTTP/1.1 103 Early\r\n\r\n'.repeat(100)),
    ],
  ];
  t.jobs = cases.length; // side by side: the silent ones wait for undici's coarse clock
  for (const [title, verdict, script] of cases) {
    void t.test(title, { buffered: true }, async (t) => {
      let behave = false;
      const { gateway } = await withRaw(
        t,
        answering((socket) => (behave ? socket.write(ok) : script(socket))),
        { upstream: { headersTimeout: ms(100), maximumConnections: 2 } },
      );
      const answers = await Promise.all([ask(gateway), ask2(gateway.h2())]);
      for (const { headers } of answers) {
        t.equal(headers['x-verdict'], verdict);
        t.notOk(headers['x'], 'nothing of it leaks');
      }
      t.equal(gateway.upstream.stats.busy, 0);
      behave = true;
      t.equal((await ask(gateway)).body.toString(), 'ok', 'and the next request is served');
    });
  }
});

await t.test('nobody listens there: unavailable, at once and every time', async (t) => {
  const backend = await startRawBackend(() => {});
  await backend.stop();
  const gateway = await startBareGateway({
    upstream: { origin: backend.origin, maximumConnections: 2, maximumQueue: 100 },
  });
  t.teardown(() => gateway.stop());
  const all = await Promise.all(Array.from({ length: 20 }, () => ask(gateway)));
  // Over HTTP/2 they come in one piece, so that most of them wait in the queue when the connection fails.
  const session = gateway.h2();
  all.push(...(await Promise.all(Array.from({ length: 20 }, () => ask2(session)))));
  t.ok(all.every(({ headers }) => headers['x-verdict'] === 'upstreamUnavailable'));
  t.match(gateway.upstream.stats, { open: 0, busy: 0, queued: 0 });
  t.match(await gateway.upstream.probe(), /ECONNREFUSED/);
});

await t.test('an answer that breaks off looks broken to the client', async (t) => {
  const cases: readonly (readonly [title: string, script: (socket: net.Socket) => void])[] = [
    ['a length that does not come', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf')],
    [
      'chunks without an end',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
    ],
    [
      'a chunk that is none',
      (socket) => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n'),
    ],
    ['a reset', (socket) => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')],
    ['silence', (socket) => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')],
  ];
  t.jobs = cases.length;
  for (const [title, script] of cases) {
    void t.test(title, { buffered: true }, async (t) => {
      const { gateway, backend } = await withRaw(t, answering(script), {
        upstream: { bodyTimeout: ms(100) },
        change: (input) => ({
          ...input,
          // What a reset overtakes is lost: it comes when the first half has been read.
          onAnswer: () =>
            title === 'a reset' && setImmediate(() => backend.sockets.forEach((s) => s.resetAndDestroy())),
        }),
      });
      const raw = connectRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      const text = await raw.closed;
      t.match(text, /^HTTP\/1.1 200 OK\r\n/);
      t.notMatch(text, /\r\n0\r\n\r\n$/, 'no last chunk');
      t.match(await gateway.result(0), { kind: 'aborted', by: 'upstream', status: 200, bytes: 4 });
      await t.rejects(ask2(gateway.h2()), /INTERNAL_ERROR/);
      t.match(await gateway.result(1), { kind: 'aborted', by: 'upstream', status: 200, bytes: 4 });
      t.equal(gateway.upstream.stats.busy, 0);
    });
  }
});

await t.test('octets after an answer are not the answer to the next request', async (t) => {
  const { gateway } = await withRaw(
    t,
    answering((socket, request) => {
      const path = request.split(' ')[1] ?? '';
      const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`;
      socket.write(path === '/1' ? `${answer}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen` : answer);
    }),
    { upstream: { maximumConnections: 1 } },
  );
  const answers = await Promise.all(['/1', '/2', '/3'].map((path) => ask(gateway, { path })));
  t.strictSame(
    answers.map(({ body }) => body.toString()),
    ['/1', '/2', '/3'],
  );
});

await t.test('a kept connection that was just closed is noticed: GET is sent again, POST is not', async (t) => {
  let connections = 0;
  const { gateway, backend } = await withRaw(
    t,
    answering((socket, _, count) => (count === 0 ? socket.write(ok) : socket.destroy())),
    { upstream: { maximumConnections: 1 }, events: { connected: () => (connections += 1) } },
  );
  t.equal((await ask(gateway)).body.toString(), 'ok');
  t.equal((await ask(gateway)).body.toString(), 'ok', 'second request of the first connection');
  t.equal(connections, 2);
  t.equal((await ask(gateway, { method: 'POST' })).headers['x-verdict'], 'upstreamFailed');
  t.equal(backend.sockets.size, 0);

  t.equal((await ask(gateway)).status, 200);
  const withBody = await ask(gateway, { headers: { 'content-length': '2' }, body: Buffer.from('ab') });
  t.equal(withBody.headers['x-verdict'], 'upstreamFailed', 'nor is a GET whose body has gone');
  t.equal(connections, 3);
});

await t.test('an answer that has begun is not asked for again', async (t) => {
  let requests = 0;
  const { gateway } = await withRaw(
    t,
    answering((socket, _, count) => {
      requests += 1;
      if (count === 0) socket.write(ok);
      else socket.end('HTTP/1.1 200 OK\r\nContent-Le');
    }),
    { upstream: { maximumConnections: 1 } },
  );
  t.equal((await ask(gateway)).status, 200);
  t.equal((await ask(gateway)).headers['x-verdict'], 'upstreamFailed');
  t.equal(requests, 2);
});

await t.test('a fresh connection that fails is not tried again', async (t) => {
  let requests = 0;
  const { gateway } = await withRaw(
    t,
    answering((socket) => {
      requests += 1;
      socket.destroy();
    }),
  );
  t.equal((await ask(gateway)).headers['x-verdict'], 'upstreamFailed');
  t.equal(requests, 1);

  const counts: number[] = [];
  const { gateway: other } = await withRaw(
    t,
    (socket, connection) =>
      answering((socket, _, count) => {
        counts.push(connection);
        if (connection === 0) socket.end(ok.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
        else if (count === 0) socket.destroy();
      })(socket),
    { upstream: { maximumConnections: 1 } },
  );
  t.equal((await ask(other)).status, 200);
  t.equal((await ask(other)).headers['x-verdict'], 'upstreamFailed');
  t.strictSame(counts, [0, 1], 'not even where its predecessor served well');
});

await t.test('a full queue refuses at once, a long wait refuses later, and the rest goes in order', async (t) => {
  const held: net.Socket[] = [];
  const order: string[] = [];
  const { gateway } = await withRaw(
    t,
    answering((socket, request) => {
      order.push(request.split(' ')[1] ?? '');
      held.push(socket);
    }),
    { upstream: { maximumConnections: 1, maximumQueue: 3 } },
  );
  const session = gateway.h2();
  const answers = ['/1', '/2', '/3', '/4'].map((path) => ask2(session, { path }));
  await until(() => held.length === 1 && gateway.upstream.stats.queued === 3);
  t.equal((await ask(gateway)).headers['x-verdict'], 'overloaded');
  for (let count = 1; count <= 4; count += 1) {
    await until(() => held.length === count);
    t.match(gateway.upstream.stats, { busy: 1, queued: 4 - count });
    held[count - 1]?.write(ok);
  }
  t.ok((await Promise.all(answers)).every(({ status }) => status === 200));
  t.strictSame(order, ['/1', '/2', '/3', '/4']);
});

await t.test('whoever waits too long for a connection is told so', async (t) => {
  const { gateway, echo } = await withEcho(t, { upstream: { maximumConnections: 1, queueTimeout: ms(50) } });
  const stuck = connectRaw(gateway.port, 'GET /?delay=never HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => echo.requests === 1);
  const late = await Promise.all([ask(gateway), ask(gateway)]);
  t.ok(late.every(({ headers }) => headers['x-verdict'] === 'overloaded'));
  t.match(gateway.upstream.stats, { busy: 1, queued: 0 });
  stuck.socket.destroy();
});

await t.test('each waits its own time', async (t) => {
  let now = 0;
  const settings = { ...patient, origin: 'http://127.0.0.1:1', maximumConnections: 1, queueTimeout: ms(50) };
  const upstream = createUpstream(settings, {}, { monotonic: () => now });
  t.teardown(() => upstream.destroy());
  const waiterFor = () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const waiter: Waiter = { begin: () => resolve('begun'), giveUp: (reason) => resolve(reason) };
    return { waiter, promise };
  };
  const [holder, first, second] = [waiterFor(), waiterFor(), waiterFor()];
  upstream.acquire(holder.waiter);
  t.equal(await holder.promise, 'begun');
  upstream.acquire(first.waiter);
  now = 40;
  upstream.acquire(second.waiter);
  now = 50;
  t.equal(await first.promise, 'timeout');
  t.equal(upstream.stats.queued, 1, 'the second has ten to go');
  now = 90;
  t.equal(await second.promise, 'timeout');
});

await t.test('a client that reads slowly slows the upstream down, in bounded memory', async (t) => {
  const size = 30_000_000;
  const wanted = await digestOfPattern(size);
  for (const version of ['HTTP/1.1', 'HTTP/2']) {
    const { gateway } = await withEcho(t);
    let request: Readable;
    if (version === 'HTTP/2') {
      request = gateway.h2().request({ ':path': `/?size=${size}` });
    } else {
      const sent = http.get({ port: gateway.port, host: '127.0.0.1', path: `/?size=${size}`, agent: false });
      request = await new Promise((resolve) => sent.on('response', resolve));
    }
    const { response } = await gateway.input(0);
    const held = () =>
      ('stream' in response ? (response.stream as unknown as { writableLength: number }) : response).writableLength;
    let most = 0;
    // Nothing is read yet: the answer must get stuck with a window's worth at the client and a buffer's worth here.
    for (let still = 0; still < 200; still = held() > 0 ? still + 1 : 0) {
      most = Math.max(most, held());
      await turn();
    }
    t.equal(gateway.results.length, 0);
    const hash = createHash('sha256');
    let read = 0;
    for await (const chunk of request) {
      most = Math.max(most, held());
      hash.update(chunk as Buffer);
      read += (chunk as Buffer).length;
    }
    t.equal(read, size);
    t.equal(hash.digest('hex'), wanted);
    t.ok(most < 500_000, `${version}: never more than ${most} octets held`);
  }
});

await t.test('an upstream that reads slowly slows the client down', async (t) => {
  for (const version of ['HTTP/1.1', 'HTTP/2']) {
    const sockets: net.Socket[] = [];
    const { gateway } = await withRaw(t, (socket) => {
      socket.pause();
      sockets.push(socket);
    });
    const size = 50_000_000;
    const sent =
      version === 'HTTP/2'
        ? gateway.h2().request({ ':method': 'POST', ':path': '/' })
        : http.request({ port: gateway.port, host: '127.0.0.1', method: 'POST', agent: false });
    sent.on('error', () => {});
    let taken = 0;
    const source = echoPattern(size).on('data', (chunk: Buffer) => (taken += chunk.length));
    source.pipe(sent as never);
    const { request } = await gateway.input(0);
    for (let still = 0; still < 200; still = request.isPaused() ? still + 1 : 0) await turn();
    t.ok(request.readableLength < 500_000, `${version}: ${request.readableLength} octets held`);
    t.ok(taken < size / 2, `${version}: the client got rid of ${taken} octets only`);
    const [socket] = sockets;
    let received = 0;
    let tail = '';
    socket?.on('data', (chunk: Buffer) => {
      received += chunk.length;
      tail = (tail + chunk.toString('latin1')).slice(-7);
      if (tail.endsWith('\r\n0\r\n\r\n')) socket.write(ok);
    });
    socket?.resume();
    t.match(await gateway.result(0), { kind: 'answered', status: 200, bytes: 2 });
    t.ok(received > size, 'all of it arrived in the end');
    source.destroy();
  }
});

await t.test('50 MB go both ways unharmed', async (t) => {
  const { gateway } = await withEcho(t);
  const session = gateway.h2();
  const ways = [(what: Ask) => ask(gateway, what), (what: Ask) => ask2(session, what)];
  // Each version carries the large size once each way, and every framing at least a small one.
  const [small, large] = [1_000_000, 50_000_000];
  for (const [index, way] of ways.entries()) {
    for (const size of index === 0 ? [small, large] : [large, small]) {
      const wanted = await digestOfPattern(size);
      const sized = size === small;
      const headers = sized ? { 'content-length': String(size) } : {};
      const answer = echoed(await way({ method: 'POST', headers, body: echoPattern(size) }));
      t.equal(answer.bodyBytes, size);
      t.equal(answer.bodySha256, wanted);
      t.strictSame(header(answer, 'content-length'), sized ? [String(size)] : [], "the framing is the client's");
      const { body } = await way({ path: `/?size=${size}${sized === (index === 0) ? '&chunks=1' : ''}` });
      t.equal(digest(body), wanted);
    }
  }
  t.match(gateway.upstream.stats, { busy: 0, queued: 0 });
});

await t.test('a body that was read ahead is replayed before the rest', async (t) => {
  const body = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
  for (const readAhead of [0, 1, 70_000, body.length]) {
    for (const headers of [{}, { 'content-length': String(body.length) }]) {
      const { gateway } = await withEcho(t, {
        async change(input) {
          const bodyPrefix: Buffer[] = [];
          let octets = 0;
          while (octets < readAhead || (readAhead === body.length && !input.request.readableEnded)) {
            const chunk = input.request.read() as Buffer | null;
            if (chunk === null) {
              await turn();
              continue;
            }
            bodyPrefix.push(chunk);
            octets += chunk.length;
          }
          return { ...input, bodyPrefix };
        },
      });
      const session = gateway.h2();
      for (const way of [(what: Ask) => ask(gateway, what), (what: Ask) => ask2(session, what)]) {
        const answer = echoed(await way({ method: 'POST', headers, body: Readable.from([body]) }));
        t.equal(answer.bodyBytes, body.length, `${readAhead} read ahead`);
        t.equal(answer.bodySha256, digest(body));
      }
    }
  }
});

await t.test('a body that is longer or shorter than announced never looks complete', async (t) => {
  const { gateway, echo } = await withEcho(t, {
    change: (input) => ({ ...input, bodyLength: 10 }),
  });
  const answer = await ask(gateway, { method: 'POST', body: Readable.from([Buffer.alloc(5)]) });
  t.equal(answer.headers['x-verdict'], 'badRequest');
  const longer = await ask(gateway, { method: 'POST', body: Readable.from([Buffer.alloc(50)]) });
  t.equal(longer.headers['x-verdict'], 'badRequest');
  const stream = gateway.h2().request({ ':method': 'POST', ':path': '/' });
  stream.on('error', () => {});
  stream.write(Buffer.alloc(5));
  await until(() => gateway.upstream.stats.busy === 1);
  stream.close(0);
  t.match(await gateway.result(2), { kind: 'aborted', by: 'client' }, 'a stream that is reset without an error');
  await until(() => gateway.upstream.stats.busy === 0);
  await until(() => echo.connections === 0);
});

await t.test('a body beyond the limit is refused, announced or not', async (t) => {
  const { gateway, echo } = await withEcho(t, {
    change: (input) => ({ ...input, limits: { ...limits, maximumBody: 1000 } }),
  });
  const announced = await ask(gateway, { method: 'POST', body: Buffer.alloc(1001) });
  t.equal(announced.headers['x-verdict'], 'bodyTooLarge');
  t.equal(echo.connections, 0, 'without asking the upstream');
  const chunked = await ask(gateway, { method: 'POST', body: Readable.from([Buffer.alloc(600), Buffer.alloc(600)]) });
  t.equal(chunked.headers['x-verdict'], 'bodyTooLarge');
  t.equal(echoed(await ask(gateway, { method: 'POST', body: Buffer.alloc(1000) })).bodyBytes, 1000);
  t.equal(gateway.upstream.stats.busy, 0);
});

await t.test('trailers reach clients that can have them', async (t) => {
  const { gateway } = await withEcho(t);
  const path = '/?trailer=X-Sum:1&trailer=X-Sum:2&trailer=X-DSMapper-X:no&trailer=Set-Cookie:no&header=Trailer:X-Sum';
  const first = await ask(gateway, { path });
  t.strictSame(Object.entries(first.trailers), [['x-sum', '1, 2']]);
  t.equal(first.headers['trailer'], 'X-Sum');
  const second = await ask2(gateway.h2(), { path });
  t.match(second.trailers, { 'x-sum': '1, 2' });
  t.notOk('set-cookie' in second.trailers);
  const old = await connectRaw(gateway.port, `GET ${path} HTTP/1.0\r\nHost: a\r\n\r\n`).closed;
  t.notMatch(old, /^(X-Sum|Trailer|Transfer-Encoding):/im, 'HTTP/1.0 knows none');
  t.match(await gateway.result(2), { kind: 'answered', status: 200 });
});

await t.test('HEAD, 204 and 304 have no body and keep what they may', async (t) => {
  const { gateway } = await withEcho(t);
  const session = gateway.h2();
  for (const way of [(what: Ask) => ask(gateway, what), (what: Ask) => ask2(session, what)]) {
    const head = await way({ method: 'HEAD', path: '/?size=1234' });
    t.match(head, { status: 200, headers: { 'content-length': '1234' } });
    t.equal(head.body.length, 0);
    const none = await way({ path: '/?status=204&header=Content-Length:5' });
    t.equal(none.status, 204);
    t.notOk(none.headers['content-length']);
    const same = await way({ path: '/?status=304&size=7&header=ETag:x' });
    t.match(same, { status: 304, headers: { 'content-length': '7', etag: 'x' } });
    t.equal(same.body.length, 0);
  }
  t.equal(gateway.upstream.stats.busy, 0);
});

await t.test('early hints reach clients that know them, other interim answers nobody', async (t) => {
  const { gateway } = await withEcho(t);
  const path = '/?hints=%3C/a.css%3E;rel=preload';
  t.strictSame((await ask(gateway, { path })).hints, ['103 </a.css>;rel=preload']);
  t.strictSame((await ask2(gateway.h2(), { path })).hints, ['103 </a.css>;rel=preload']);
  t.match(await connectRaw(gateway.port, `GET ${path} HTTP/1.0\r\n\r\n`).closed, /^HTTP\/1.1 200/);
  const { gateway: other } = await withRaw(
    t,
    answering((socket) => socket.write(`HTTP/1.1 102 Processing\r\n\r\n${ok}`)),
  );
  const plain = await ask(other);
  t.equal(plain.status, 200);
  t.strictSame(plain.hints, []);
});

await t.test('100 Continue comes from the gateway, when the upstream takes the body and not before', async (t) => {
  const { gateway, echo } = await withEcho(t);
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n';
  const raw = connectRaw(gateway.port, head);
  t.equal(await raw.until(/\r\n\r\n/), 'HTTP/1.1 100 Continue\r\n\r\n');
  raw.socket.write('abc');
  const text = await raw.closed;
  t.equal(text.match(/100 Continue/g)?.length, 1);
  t.match(text, /"bodyBytes":3/);
  t.notMatch(text, /"Expect"/i, 'the upstream is not asked');

  const stream = gateway.h2().request({ ':method': 'POST', ':path': '/', expect: '100-continue' });
  await new Promise((resolve) => stream.on('continue', resolve));
  stream.end('abc');
  stream.resume();
  t.match(await gateway.result(1), { kind: 'answered', status: 200 });

  const oldest = connectRaw(gateway.port, `${head.replace('1.1', '1.0')}abc`);
  t.match(await oldest.closed, /^HTTP\/1.1 200 OK/, 'HTTP/1.0 knows no interim answer');

  await echo.stop();
  const refused = connectRaw(gateway.port, head);
  t.match(await refused.closed, /^HTTP\/1.1 599/, 'no 100 where there is nobody to take the body');
  const old = connectRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n');
  t.match(await old.until(/\r\n\r\n/), /x-verdict: expectationFailed/);
});

await t.test('an answer before the end of the upload reaches the client', async (t) => {
  const patience = { ...limits, lingerTimeout: ms(600_000) };
  const { gateway } = await withEcho(t, { change: (input) => ({ ...input, limits: patience }) });
  const rest = Buffer.alloc(400_000, 'x');
  const head = `POST /?early=1&status=413 HTTP/1.1\r\nHost: a\r\nContent-Length: ${rest.length}\r\n`;
  const next = Buffer.from('GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const raw = connectRaw(gateway.port, `${head}\r\nx`);
  await raw.until(/413[^]*"bodyBytes":0/);
  raw.socket.write(Buffer.concat([rest.subarray(1), next]));
  t.match(await raw.closed, /413[^]*200 OK[^]*\/second/, 'and the connection goes on after the rest of the body');

  const chunked = connectRaw(gateway.port, `${head.replace('early', 'chunks=1&early')}\r\nx`);
  t.match(await chunked.until(/\r\n0\r\n\r\n$/), /413/, 'a client that sends the rest after the answer gets all of it');
  chunked.socket.destroy();

  const closing = connectRaw(gateway.port, `${head}Connection: close\r\n\r\nx`);
  await closing.until(/413/);
  closing.socket.write(rest.subarray(1));
  t.match(await closing.closed, /413[^]*"bodyBytes":0/);

  const leaving = connectRaw(gateway.port, `${head}Connection: close\r\n\r\nx`);
  await leaving.until(/413/);
  leaving.socket.destroy();
  const { request } = await gateway.input(4);
  await gateway.result(4);
  await until(() => request.listenerCount('data') === 0);

  const stream = gateway.h2().request({ ':method': 'POST', ':path': '/?early=1&status=413' });
  stream.write('abc');
  stream.resume();
  await new Promise((resolve) => stream.on('close', resolve));
  t.equal(stream.rstCode, 0, 'over HTTP/2 the stream ends without an error');
  t.match(gateway.upstream.stats, { busy: 0, queued: 0 });
});

await t.test('a client that goes on sending what nobody wants is cut off, by octets and by time', async (t) => {
  const never = 600_000;
  for (const bound of [
    { lingerBytes: 100_000, lingerTimeout: ms(never) },
    { lingerBytes: 1e9, lingerTimeout: ms(50) },
  ]) {
    const { gateway } = await withEcho(t, { change: (input) => ({ ...input, limits: { ...limits, ...bound } }) });
    const raw = connectRaw(gateway.port, 'POST /?early=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nabc');
    await raw.until(/200 OK/);
    if (bound.lingerTimeout === never) raw.socket.write(Buffer.alloc(400_000));
    t.match(await raw.closed, /200 OK[^]*"bodyBytes":0/);
  }
});

await t.test('a client that leaves before it has read the whole answer is not counted as served', async (t) => {
  const sockets: net.Socket[] = [];
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  const { gateway } = await withRaw(
    t,
    answering((socket) => {
      socket.write(head);
      sockets.push(socket);
    }),
  );
  const leavers: (() => void)[] = [];
  const raw = connectRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  raw.socket.pause();
  leavers.push(() => raw.socket.destroy());
  await gateway.input(0);
  const stream = gateway.h2().request({ ':path': '/' });
  stream.on('error', () => {});
  stream.pause();
  leavers.push(() => stream.close(8));
  for (const index of [0, 1]) {
    const { response } = await gateway.input(index);
    const answer = ('stream' in response ? response.stream : response) as unknown as Writable;
    await until(() => sockets.length === index + 1);
    const [backend] = sockets.slice(index);
    // Piece by piece until the way to the client is full, with less than a buffer's worth left here.
    while (answer.writableLength === 0) {
      backend?.write(`2000\r\n${'x'.repeat(8192)}\r\n`);
      for (let turns = 0; turns < 5; turns += 1) await turn();
    }
    backend?.write('0\r\n\r\n');
    await until(() => answer.writableEnded);
    leavers[index]?.();
    t.match(await gateway.result(index), { kind: 'aborted', by: 'client', status: 200 }, index === 0 ? 'h1' : 'h2');
  }
});

/** An HTTP/2 frame (RFC 9113 section 4.1) of stream 1, or 0 for SETTINGS. */
function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.from([0, payload.length >> 8, payload.length & 0xff, type, flags, 0, 0, 0, type === 4 ? 0 : 1]);
  return Buffer.concat([head, payload]);
}

await t.test(
  'a stream that is reset, with or without an error, does not end the request at the upstream',
  async (t) => {
    for (const code of [0, 2, 8]) {
      const seen: string[] = [];
      const { gateway, backend } = await withRaw(t, (socket) => {
        socket.on('data', (chunk: Buffer) => seen.push(chunk.toString('latin1')));
      });
      // Octet by octet, because node:http2 ends a stream before it resets it: POST, http, /, authority a.
      const headers = frame(1, 4, Buffer.from([0x83, 0x86, 0x84, 0x41, 1, 0x61]));
      const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      const data = frame(0, 0, Buffer.from('abc'));
      const raw = connectRaw(gateway.h2Port, Buffer.concat([preface, frame(4, 0, Buffer.alloc(0)), headers, data]));
      await until(() => seen.join('').includes('abc'));
      raw.socket.write(frame(3, 0, Buffer.from([0, 0, 0, code])));
      t.match(await gateway.result(0), { kind: 'aborted', by: 'client' }, `code ${code}`);
      await until(() => backend.sockets.size === 0);
      t.notMatch(seen.join(''), /\r\n0\r\n\r\n/);
    }
  },
);

await t.test('the reason phrase is passed on where it can be', async (t) => {
  const phrases: readonly (readonly [sent: string, got: string])[] = [
    ['All Fine', 'All Fine'],
    ['', 'OK'],
    ['Zu teuer: 5 €', 'OK'],
  ];
  for (const [sent, got] of phrases) {
    const { gateway } = await withRaw(
      t,
      answering((socket) => socket.write(ok.replace('OK', sent))),
    );
    const raw = connectRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    t.equal((await raw.until(/\r\n/)).split('\r\n')[0], `HTTP/1.1 200 ${got}`);
    t.equal((await ask2(gateway.h2())).status, 200);
  }
});

await t.test('a request body where none is expected closes the connection after it', async (t) => {
  const { gateway, echo } = await withEcho(t, { echo: { record: true } });
  const answer = await ask(gateway, { method: 'GET', headers: { 'content-length': '5' }, body: Buffer.from('hello') });
  t.match(echoed(answer), { bodyBytes: 5 });
  t.strictSame(header(echoed(answer), 'connection'), ['close']);
  await until(() => echo.connections === 0);
  t.match(echo.raw[0]?.toString(), /^GET \/ HTTP\/1.1\r\nHost: /i);
  const posted = await ask(gateway, { method: 'POST', body: Buffer.from('hello') });
  t.strictSame(header(echoed(posted), 'connection'), ['keep-alive']);
});

await t.test('the head of an answer does not wait for its body', async (t) => {
  const sockets: net.Socket[] = [];
  const { gateway } = await withRaw(
    t,
    answering((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      sockets.push(socket);
    }),
  );
  const raw = connectRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const head = await raw.until(/\r\n\r\n/);
  t.match(head, /event-stream/);
  sockets[0]?.write('6\r\nfirst\n\r\n');
  await raw.until(/first/);
  sockets[0]?.write('0\r\n\r\n');
  t.match(await raw.closed, /first\n\r\n0\r\n\r\n$/);
});

await t.test("an https upstream is verified by the operator's name and roots, whatever Host says", async (t) => {
  const authority = await createAuthority({ subject: 'CN=Upstream Root' });
  const other = await createAuthority({ subject: 'CN=Other Root' });
  const issued = await authority.issue({
    subject: 'CN=backend',
    dnsNames: ['backend.example.test'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
  });
  const tls = { ca: authority.cert, serverName: 'backend.example.test' };
  let connections = 0;
  const { gateway, echo } = await withEcho(t, {
    echo: { tls: issued },
    upstream: { tls, maximumConnections: 1 },
    events: { connected: () => (connections += 1) },
  });
  for (const host of ['a.example.test', 'b.example.test', '127.0.0.1', '[::1]:8']) {
    t.equal((await ask(gateway, { headers: { host } })).status, 200, host);
  }
  t.equal(connections, 1, 'one connection served them all');
  t.equal(await gateway.upstream.probe(), null);

  const wrong = [
    { ca: other.cert, serverName: 'backend.example.test' },
    { ca: authority.cert, serverName: 'another.example.test' },
    { ca: authority.cert },
  ];
  for (const settings of wrong) {
    const bad = await startBareGateway({ upstream: { origin: echo.url, tls: settings } });
    t.teardown(() => bad.stop());
    const answer = await ask(bad, { headers: { host: 'backend.example.test' } });
    t.equal(answer.headers['x-verdict'], 'upstreamUnavailable');
    t.equal(bad.upstream.stats.busy, 0);
  }
});

await t.test('an upstream on a Unix socket', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'dsmapper-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const socketPath = join(directory, 'echo.sock');
  const { gateway } = await withEcho(t, { echo: { unix: socketPath }, upstream: { socketPath } });
  t.equal((await ask(gateway, { path: '/unix' })).status, 200);
});

await t.test('closing waits for what is in hand, destroying does not', async (t) => {
  const sockets: net.Socket[] = [];
  const { gateway } = await withRaw(
    t,
    answering((socket) => sockets.push(socket)),
    { upstream: { maximumConnections: 2 } },
  );
  const session = gateway.h2();
  const [running, other, queued] = [ask2(session), ask2(session), ask2(session)];
  await until(() => sockets.length === 2 && gateway.upstream.stats.queued === 1);
  let closed = false;
  const closing = gateway.upstream.close().then(() => (closed = true));
  t.equal((await ask(gateway)).headers['x-verdict'], 'overloaded', 'nothing new');
  t.notOk(closed);
  sockets[0]?.write(ok);
  t.equal((await running).status, 200);
  await until(() => sockets.length === 3);
  sockets[1]?.write(ok);
  t.equal((await other).status, 200);
  await gateway.result(2);
  t.notOk(closed, 'one is still in hand');
  sockets[2]?.write(ok);
  t.equal((await queued).status, 200);
  await closing;
  t.match(gateway.upstream.stats, { open: 0, busy: 0, queued: 0 });

  const echo = await startEcho();
  const second = await startBareGateway({ upstream: { origin: echo.url, maximumConnections: 1 } });
  t.teardown(async () => {
    await second.stop();
    await echo.stop();
  });
  const asked = [ask(second, { path: '/?delay=never' })];
  await until(() => echo.requests === 1);
  asked.push(ask(second));
  await until(() => second.upstream.stats.queued === 1);
  await second.upstream.destroy();
  const codes = (await Promise.all(asked)).map(({ headers }) => headers['x-verdict']);
  t.strictSame(codes, ['upstreamFailed', 'overloaded']);
});

await t.test('connections come and go with events, and answers are announced', async (t) => {
  const events: string[] = [];
  const { gateway } = await withEcho(t, {
    events: {
      connected: () => events.push('connected'),
      disconnected: () => events.push('disconnected'),
    },
    change: (input) => ({ ...input, onAnswer: (status) => events.push(`answer ${status}`) }),
  });
  await ask(gateway, { path: '/?status=404&header=Connection:close' });
  await until(() => events.length === 3);
  t.strictSame(events, ['connected', 'answer 404', 'disconnected']);
});
