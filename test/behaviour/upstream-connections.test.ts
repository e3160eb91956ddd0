/**
 * Connections to servers: which server a request goes to when one cannot be reached, connections that belong to one client, the PROXY
 * protocol, TLS.
 */
import http from 'node:http';
import http2 from 'node:http2';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { asksForConnection, bringsConnection } from '../../src/forward/client-pins.ts';
import { startConnectBudget } from '../../src/forward/connect-budget.ts';
import { proxyHeader } from '../../src/forward/proxy-protocol.ts';
import { createUpstream } from '../../src/forward/upstream.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { startEcho } from '../../src/lab/echo.ts';
import { answering, ask, ask2, echoed, header, ms, ok, until, withEcho, withRaw } from '../support/bare-clients.ts';
import type { Ask } from '../support/bare-clients.ts';
import type { BareGateway } from '../support/bare-gateway.ts';
import { connectRaw, listen, patient, startBareGateway, startRawBackend } from '../support/bare-gateway.ts';

/** Nobody listens there. */
async function deadOrigin(): Promise<string> {
  const backend = await startRawBackend(() => {});
  await backend.stop();
  return backend.origin;
}

/** A client that keeps its connection, over either version. */
function keeping(t: Test, gateway: BareGateway, version: 'HTTP/1.1' | 'HTTP/2') {
  if (version === 'HTTP/2') {
    const session = gateway.h2();
    return { ask: (what: Ask = {}) => ask2(session, what), leave: () => session.destroy() };
  }
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  return { ask: (what: Ask = {}) => ask(gateway, { ...what, agent }), leave: () => agent.destroy() };
}

const versions = ['HTTP/1.1', 'HTTP/2'] as const;

await t.test(
  'what could reach no server is tried at the next one, whatever its method, with its whole body',
  async (t) => {
    const body = Buffer.alloc(200_000, 'x');
    for (const way of [ask, (gateway: BareGateway, what: Ask) => ask2(gateway.h2(), what)]) {
      for (const headers of [{}, { 'content-length': String(body.length) }]) {
        const [first, second] = [await deadOrigin(), await deadOrigin()];
        const failed: string[] = [];
        const { gateway, echo } = await withEcho(
          t,
          {
            upstream: { origin: first },
            others: [{ origin: second }],
            events: { connectFailed: (origin) => failed.push(origin) },
          },
          true,
        );
        const answer = echoed(await way(gateway, { method: 'POST', headers, body: Readable.from([body]) }));
        t.match(answer, { method: 'POST', bodyBytes: body.length });
        t.strictSame(failed, [first, second]);
        t.equal(echo.requests, 1);
        t.strictSame(
          gateway.group.states().map(({ healthy }) => healthy),
          [false, false, true],
          'the group has been told',
        );
      }
    }
  },
);

await t.test('each server is tried once, and the last one’s failure is the answer', async (t) => {
  const origins = [await deadOrigin(), await deadOrigin(), await deadOrigin()] as const;
  const failed: string[] = [];
  const gateway = await startBareGateway({
    upstream: { origin: origins[0] },
    others: [{ origin: origins[1] }, { origin: origins[2] }],
    events: { connectFailed: (origin) => failed.push(origin) },
  });
  t.teardown(() => gateway.stop());
  t.equal((await ask(gateway, { method: 'POST', body: Buffer.from('x') })).headers['x-verdict'], 'upstreamUnavailable');
  t.strictSame(failed, [...origins]);
  const result = await gateway.result(0);
  t.match(result, { kind: 'refused', verdict: { detail: /ECONNREFUSED.*nobody listens there/ } });
  t.match(JSON.stringify(result), origins[2], 'which is named');
  for (const { stats } of gateway.group.servers) t.match(stats, { busy: 0, queued: 0, open: 0 });
});

await t.test('connections together take no longer than one may, and the last attempt has all that is left', (t) => {
  let now = 0;
  const budget = startConnectBudget(1000, { monotonic: () => now });
  t.equal(budget.share(true), 500);
  now += 500;
  budget.failed();
  t.equal(budget.share(true), 250);
  now += 50;
  budget.connected();
  now += 100_000;
  t.equal(budget.share(false), 450, 'the time of a request does not count');
  now += 450;
  t.equal(budget.spent, false);
  budget.failed();
  t.equal(budget.spent, true);
  t.end();
});

await t.test('a server that swallows connections holds nobody for long', async (t) => {
  const silent = await startRawBackend((socket) => socket.resume());
  const https = silent.origin.replace('http:', 'https:');
  const { gateway } = await withEcho(t, { upstream: { origin: https, connectTimeout: ms(200) } }, true);
  t.equal((await ask(gateway)).status, 200);
  t.match(gateway.group.states()[0]?.reason, /no connection to 127.0.0.1:\d+ within 100 ms/, 'half of the time');

  const alone = await startBareGateway({
    upstream: { origin: https, connectTimeout: ms(50) },
    others: [{}, {}],
  });
  t.teardown(async () => {
    await alone.stop();
    await silent.stop();
  });
  t.equal((await ask(alone)).headers['x-verdict'], 'upstreamTimeout');
});

await t.test('what a server may have begun to act on goes to no other', async (t) => {
  for (const method of ['GET', 'POST']) {
    let requests = 0;
    const backend = await startRawBackend(
      answering((socket) => {
        requests += 1;
        socket.destroy();
      }),
    );
    const { gateway, echo } = await withEcho(t, { upstream: { origin: backend.origin } }, true);
    t.teardown(() => backend.stop());
    t.equal((await ask(gateway, { method })).headers['x-verdict'], 'upstreamFailed');
    t.equal(requests, 1);
    t.equal(echo.requests, 0);
  }
});

await t.test(
  'a kept connection that is lost with its server leads to the next server, for what may be sent again',
  async (t) => {
    const server = net.createServer();
    const sockets: net.Socket[] = [];
    server.on('connection', (socket) => {
      sockets.push(socket);
      answering((to, _, count) => {
        if (count === 0) to.write(ok);
        else {
          server.close(() => {});
          to.destroy();
        }
      })(socket);
    });
    const port = await listen(server);
    const { gateway, echo } = await withEcho(t, { upstream: { origin: `http://127.0.0.1:${port}` } }, true);
    t.equal((await ask(gateway)).body.toString(), 'ok');
    await until(() => gateway.upstream.stats.busy === 0);
    // The other one has its turn, then this one again.
    t.equal((await ask(gateway, { path: '/between' })).status, 200);
    t.equal(echoed(await ask(gateway, { path: '/lost' })).url, '/lost');
    t.equal(sockets.length, 1);
    t.equal(echo.requests, 2);
  },
);

await t.test('a full queue sends to another server', async (t) => {
  const held = await startRawBackend(() => {});
  t.teardown(() => held.stop());
  const { gateway, echo } = await withEcho(
    t,
    { upstream: { origin: held.origin, maximumConnections: 1, maximumQueue: 0 } },
    true,
  );
  const stuck = connectRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => held.sockets.size === 1);
  const [first] = gateway.group.servers;
  const choose = (tried?: ReadonlySet<unknown>) => (tried?.has(first) === true ? gateway.group.servers[1] : first);
  Object.assign(gateway.group, { choose });
  t.equal((await ask(gateway)).status, 200);
  t.equal(echo.requests, 1);
  stuck.socket.destroy();
});

await t.test('the Host is the client’s or the server’s, as the group wants it', async (t) => {
  for (const hostHeader of ['client', 'server'] as const) {
    const { gateway, echo } = await withEcho(t, { group: { hostHeader } });
    const answer = echoed(await ask(gateway, { headers: { host: 'www.example.test' } }));
    t.strictSame(header(answer, 'host'), [hostHeader === 'client' ? 'www.example.test' : new URL(echo.url).host]);
  }
});

await t.test('which challenges and credentials belong to a connection', (t) => {
  const raw = (...fields: readonly string[]) => fields.map((text) => Buffer.from(text));
  const challenges: readonly (readonly [boolean, readonly string[]])[] = [
    [true, ['WWW-Authenticate', 'NTLM']],
    [true, ['www-authenticate', 'Negotiate']],
    [true, ['WwW-AuThEnTiCaTe', 'nEgOtIaTe']],
    [true, ['WWW-Authenticate', 'NTLM TlRMTVNTUAACAAAA']],
    [true, ['WWW-Authenticate', 'Basic realm="x, y",NTLM']],
    [true, ['WWW-Authenticate', 'Negotiate, Basic realm="x"']],
    [true, ['WWW-Authenticate', 'Bearer', 'X', 'y', 'WWW-Authenticate', 'NTLM']],
    [true, ['Proxy-Authenticate', 'NTLM']],
    [true, ['WWW-Authenticate', 'Nego2']],
    [false, ['WWW-Authenticate', 'Basic realm="x"']],
    [false, ['WWW-Authenticate', 'Bearer', 'X-Other-Header-X', 'NTLM']],
    [false, ['WWW-Authenticate', 'Negotiator']],
    [false, ['WWW-Authenticate', 'X-NTLM']],
    [false, []],
  ];
  for (const [asks, fields] of challenges) t.equal(asksForConnection(raw(...fields)), asks, fields.join(' '));
  const credentials: readonly (readonly [boolean, readonly string[]])[] = [
    [true, ['Authorization', 'NTLM TlRMTVNTUAABAAAA']],
    [true, ['authorization', 'negotiate YII']],
    [true, ['X', 'y', 'AUTHORIZATION', 'nego2 abc']],
    [true, ['Authorization', 'Basic abc', 'Authorization', 'NTLM abc']],
    [false, ['Authorization', 'Basic NTLM']],
    [false, ['X-Authorization', 'NTLM abc']],
    [false, ['Authorisation', 'NTLM abc']],
  ];
  for (const [brings, fields] of credentials) t.equal(bringsConnection(fields), brings, fields.join(' '));
  t.end();
});

/** A backend that authenticates connections, as IIS does with NTLM: whoever comes later on the same one is the same user. */
function authenticating(challenge = 'WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM') {
  const users: (string | null)[] = [];
  const sockets: net.Socket[] = [];
  const log: string[] = [];
  const script = (socket: net.Socket, connection: number) => {
    users[connection] = null;
    sockets[connection] = socket;
    answering((to, request) => {
      const [, user] = /^authorization: NTLM type3-(\w+)\r?$/im.exec(request) ?? [];
      const answer = (status: number, fields: string, body: string) =>
        to.write(`HTTP/1.1 ${status} X\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`);
      if (user !== undefined) users[connection] = user;
      const name = users[connection] ?? null;
      log.push(`${connection} ${name ?? 'nobody'}`);
      if (name !== null) answer(200, '', `${name} on ${connection}`);
      else if (/^authorization: NTLM type1/im.test(request)) answer(401, 'WWW-Authenticate: NTLM type2\r\n', '');
      else answer(401, `${challenge}\r\n`, `${connection}`);
    })(socket);
  };
  return { script, users, sockets, log };
}

const authorization = (text: string) => ({ headers: { authorization: text } });

await t.test('a connection that a client has authenticated is that client’s alone', async (t) => {
  for (const version of versions) {
    for (const challenge of [
      'www-authenticate: ntlm',
      'WWW-Authenticate: Basic realm="a"\r\nWWW-AUTHENTICATE: x, Negotiate',
    ]) {
      const backend = authenticating(challenge);
      const { gateway } = await withRaw(t, backend.script, { upstream: { maximumConnections: 30 } });
      const alice = keeping(t, gateway, version);
      const asked = await alice.ask();
      t.equal(asked.status, 401);
      t.equal(asked.body.toString(), '0', 'the connection that asked');
      t.equal((await ask(gateway)).body.toString(), '1', 'serves nobody else, though nothing was said on it yet');
      t.equal((await alice.ask(authorization('NTLM type1'))).headers['www-authenticate'], 'NTLM type2');
      t.equal((await alice.ask(authorization('NTLM type3-alice'))).body.toString(), 'alice on 0');
      t.equal((await alice.ask()).body.toString(), 'alice on 0', 'and remembers who it is');

      const strangers = await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? ask(gateway) : ask2(gateway.h2()))),
      );
      t.ok(
        strangers.every(({ status }) => status === 401),
        `${version}: nobody else is alice`,
      );
      t.equal((await alice.ask()).body.toString(), 'alice on 0');
      t.equal(backend.users.filter((user) => user === 'alice').length, 1);
    }
  }
});

await t.test('credentials alone bind a connection, before the backend has said a word', async (t) => {
  for (const version of versions) {
    const backend = authenticating();
    const { gateway } = await withRaw(t, backend.script);
    const alice = keeping(t, gateway, version);
    t.equal((await alice.ask(authorization('NTLM type3-alice'))).body.toString(), 'alice on 0');
    const stranger = keeping(t, gateway, version);
    t.equal((await stranger.ask()).body.toString(), '1');
    t.equal((await alice.ask()).body.toString(), 'alice on 0');
  }
});

await t.test('a connection that was anybody’s before is bound by what is asked on it', async (t) => {
  const backend = authenticating();
  let open = true;
  const { gateway } = await withRaw(t, (socket, connection) =>
    open ? answering((to) => to.write(ok))(socket) : backend.script(socket, connection),
  );
  t.equal((await ask(gateway)).status, 200);
  open = false;
  const upstream = gateway.upstream;
  t.match(upstream.stats, { open: 1, busy: 0 });
  const alice = keeping(t, gateway, 'HTTP/1.1');
  t.equal((await alice.ask(authorization('Negotiate YII'))).status, 200, 'it takes the kept one');
  t.match(upstream.stats, { open: 1, busy: 0 });
  t.equal((await ask(gateway)).body.toString(), '1', 'and nobody else gets that any more');
});

await t.test('on a bound connection requests wait for each other, and not for ever', async (t) => {
  const held: net.Socket[] = [];
  const { gateway, backend } = await withRaw(
    t,
    answering((socket) => held.push(socket)),
    { upstream: { queueTimeout: ms(100) } },
  );
  const session = gateway.h2();
  const first = ask2(session, { path: '/1', ...authorization('NTLM type1') });
  await until(() => held.length === 1);
  const second = ask2(session, { path: '/2' });
  await until(() => gateway.upstream.stats.queued === 1);
  t.equal(held.length, 1, 'one at a time');
  held[0]?.write(ok);
  t.equal((await first).status, 200);
  await until(() => held.length === 2);
  const [third, fourth] = [ask2(session, { path: '/3' }), ask2(session, { path: '/4' })];
  t.equal((await third).headers['x-verdict'], 'overloaded');
  t.equal((await fourth).headers['x-verdict'], 'overloaded');
  held[1]?.write(ok);
  t.equal((await second).status, 200);
  t.equal(backend.sockets.size, 1);
  const leaving = session.request({ ':path': '/5' });
  leaving.on('error', () => {});
  await until(() => held.length === 3);
  const waiting = session.request({ ':path': '/6' });
  waiting.on('error', () => {});
  await until(() => gateway.upstream.stats.queued === 1);
  waiting.close(8);
  await until(() => gateway.upstream.stats.queued === 0);
  leaving.close(8);
  await until(() => gateway.upstream.stats.busy === 0);
});

await t.test(
  'a bound connection that breaks leaves a stranger, and those who waited for it are strangers too',
  async (t) => {
    for (const version of versions) {
      const backend = authenticating();
      const { gateway } = await withRaw(t, backend.script);
      const alice = keeping(t, gateway, version);
      await alice.ask(authorization('NTLM type1'));
      t.equal((await alice.ask(authorization('NTLM type3-alice'))).status, 200);
      backend.sockets[0]?.destroy();
      await until(() => gateway.upstream.stats.open === 0);
      t.equal((await alice.ask()).status, 401, 'to be authenticated anew');
      t.match(gateway.upstream.stats, { busy: 0, queued: 0 });
    }
    const held: net.Socket[] = [];
    const { gateway } = await withRaw(
      t,
      answering((socket) => held.push(socket)),
    );
    const session = gateway.h2();
    const answers = [ask2(session, { method: 'POST', ...authorization('NTLM type1') })];
    await until(() => held.length === 1);
    answers.push(ask2(session), ask2(session));
    await until(() => gateway.upstream.stats.queued === 2);
    held[0]?.destroy();
    await until(() => held.length === 3);
    for (const socket of held.slice(1)) socket.write(ok);
    t.strictSame(
      (await Promise.all(answers)).map(({ status, headers }) => headers['x-verdict'] ?? status),
      ['upstreamFailed', 200, 200],
    );
  },
);

await t.test('a second connection that asks for authentication is closed, not shared', async (t) => {
  const held: net.Socket[] = [];
  const { gateway, backend } = await withRaw(
    t,
    answering((socket) => held.push(socket)),
  );
  const session = gateway.h2();
  const answers = [ask2(session), ask2(session)];
  await until(() => held.length === 2);
  for (const socket of held) {
    socket.write('HTTP/1.1 401 X\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n');
  }
  await Promise.all(answers);
  await until(() => backend.sockets.size === 1);
  await until(() => gateway.upstream.stats.open === 1);
});

await t.test('what is bound ends with its client, also where it is in use', async (t) => {
  for (const version of versions) {
    const backend = authenticating();
    const { gateway, backend: server } = await withRaw(t, backend.script);
    const alice = keeping(t, gateway, version);
    await alice.ask(authorization('NTLM type3-alice'));
    alice.leave();
    await until(() => server.sockets.size === 0);
    await until(() => gateway.upstream.stats.open === 0);
    t.equal((await ask(gateway)).status, 401);
    const { client } = await gateway.input(0);
    t.equal((client.pins as ReadonlyMap<unknown, unknown>).size, 0, 'nothing is remembered');
  }
  const { gateway, backend: server } = await withRaw(t, (socket) => socket.resume());
  const raw = connectRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM type1\r\n\r\n');
  await until(() => server.sockets.size === 1);
  raw.socket.destroy();
  await until(() => server.sockets.size === 0);
  await until(() => gateway.upstream.stats.busy === 0);
});

await t.test('bound connections count, and idle ones give way, the longest idle first', async (t) => {
  const backend = authenticating();
  const { gateway, backend: server } = await withRaw(t, backend.script, {
    upstream: { maximumConnections: 2, queueTimeout: ms(100) },
  });
  const [alice, bob, carol] = versions.concat('HTTP/1.1').map((version) => keeping(t, gateway, version));
  t.equal((await alice?.ask(authorization('NTLM type3-alice')))?.body.toString(), 'alice on 0');
  t.equal((await bob?.ask(authorization('NTLM type3-bob')))?.body.toString(), 'bob on 1');
  t.equal((await carol?.ask(authorization('NTLM type3-carol')))?.body.toString(), 'carol on 2');
  await until(() => server.sockets.size === 2);
  t.equal((await bob?.ask())?.body.toString(), 'bob on 1');
  t.equal((await alice?.ask())?.status, 401, 'alice had been idle for longest');
  t.match(gateway.upstream.stats, { busy: 0, queued: 0 });

  const dave = keeping(t, gateway, 'HTTP/1.1');
  t.equal((await dave.ask()).status, 401, 'alice gives way to one who is only asked');
  t.equal((await ask(gateway)).status, 401, 'who gives way to the next');
  t.equal((await bob?.ask())?.body.toString(), 'bob on 1', 'before anybody who has shown credentials');

  const { gateway: busy } = await withRaw(t, (socket) => socket.resume(), {
    upstream: { maximumConnections: 1, queueTimeout: ms(100) },
  });
  const raw = connectRaw(busy.port, 'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM type1\r\n\r\n');
  await until(() => busy.upstream.stats.open === 1);
  t.equal((await ask(busy)).headers['x-verdict'], 'overloaded', 'one that is in use does not');
  raw.socket.destroy();
});

await t.test(
  'idle connections are closed by us: anybody’s after seconds, bound ones when the backend would',
  async (t) => {
    const { gateway, backend } = await withRaw(
      t,
      answering((socket, request) => {
        const hint = request.includes('NTLM') ? 'Keep-Alive: timeout=3\r\n' : '';
        socket.write(ok.replace('\r\n\r\n', `\r\n${hint}\r\n`));
      }),
    );
    const client = keeping(t, gateway, 'HTTP/1.1');
    await Promise.all([client.ask(authorization('NTLM type1')), ask(gateway)]);
    t.match(gateway.upstream.stats, { open: 2, busy: 0 });
    await until2(() => gateway.upstream.stats.open === 1);
    await until2(() => gateway.upstream.stats.open === 0 && backend.sockets.size === 0);
    const { client: seen } = await gateway.input(0);
    await until2(() => ((seen.pins as Map<unknown, unknown> | undefined)?.size ?? 0) === 0);
  },
);

/** As `until`, for what takes seconds: without a busy loop. */
async function until2(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

await t.test('the PROXY protocol, octet by octet as its text has it', (t) => {
  const of = (remoteAddress: string, localAddress: string) => ({
    remoteAddress,
    remotePort: 56324,
    localAddress,
    localPort: 443,
  });
  const longest = of('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe');
  const lines: readonly (readonly [string, ReturnType<typeof of> | null])[] = [
    ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n', of('192.168.0.1', '192.168.0.11')],
    ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n', of('::ffff:192.168.0.1', '::ffff:192.168.0.11')],
    ['PROXY TCP6 2001:db8:0:0:0:0:0:1 0:0:0:0:0:0:0:1 56324 443\r\n', of('2001:db8::1', '::1')],
    ['PROXY TCP6 fe80:0:0:0:1:2:3:4 fe80:0:0:0:0:0:0:0 56324 443\r\n', of('fe80::1:2:3:4%eth0', 'fe80::')],
    ['PROXY TCP6 0:0:0:0:0:ffff:c0a8:1 2001:db8:0:0:0:0:0:1 56324 443\r\n', of('192.168.0.1', '2001:db8::1')],
    ['PROXY TCP6 2001:db8:0:0:0:0:0:1 0:0:0:0:0:ffff:c0a8:1 56324 443\r\n', of('2001:db8::1', '::ffff:192.168.0.1')],
    ['PROXY UNKNOWN\r\n', of('', '')],
    ['PROXY UNKNOWN\r\n', null],
  ];
  for (const [line, client] of lines) t.equal(proxyHeader('v1', client).toString('latin1'), line);
  t.ok(proxyHeader('v1', longest).length <= 107, 'section 2.1: 107 octets at most');

  const signature = '0d0a0d0a000d0a515549540a';
  const binaries: readonly (readonly [string, ReturnType<typeof of> | null])[] = [
    ['2111000cc0a80001c0a8000bdc0401bb', of('192.168.0.1', '192.168.0.11')],
    ['2111000cc0a80001c0a8000bdc0401bb', of('::ffff:192.168.0.1', '192.168.0.11')],
    ['2121002420010db800000000000000000000000100000000000000000000000000000001dc0401bb', of('2001:db8::1', '::1')],
    [
      '2121002400000000000000000000ffffc0a8000120010db8000000000000000000000001dc0401bb',
      of('192.168.0.1', '2001:db8::1'),
    ],
    ['21000000', of('', '192.168.0.1')],
    ['20000000', null],
  ];
  for (const [rest, client] of binaries) t.equal(proxyHeader('v2', client).toString('hex'), signature + rest);
  t.end();
});

/** Reads what a connection begins with; the rest goes to `then`. */
const behindProxyHeader =
  (headers: string[], then: (socket: net.Socket) => void) =>
  (socket: net.Socket): void => {
    socket.once('readable', () => {
      const first = socket.read() as Buffer;
      const length = first[0] === 0x0d ? 16 + first.readUInt16BE(14) : first.indexOf('\r\n') + 2;
      headers.push(first.subarray(0, length).toString('latin1'));
      socket.unshift(first.subarray(length));
      then(socket);
    });
  };

await t.test('a connection begins with the address of its client, and serves no other', async (t) => {
  for (const [index, proxyProtocol] of (['v1', 'v2'] as const).entries()) {
    const headers: string[] = [];
    const served: string[] = [];
    const { gateway, backend } = await withRaw(
      t,
      behindProxyHeader(headers, (socket) => {
        const header = headers.at(-1) ?? '';
        answering((to, request) => {
          served.push(header);
          if (!request.includes('/held')) to.write(ok);
        })(socket);
      }),
      { upstream: { proxyProtocol } },
    );
    const one = keeping(t, gateway, 'HTTP/1.1');
    for (let count = 0; count < 3; count += 1) t.equal((await one.ask()).status, 200);
    t.equal(headers.length, 1, 'the client keeps its connection');
    const { client } = await gateway.input(0);
    t.equal(headers[0], proxyHeader(proxyProtocol, client).toString('latin1'));
    t.not(client.remotePort, 0);

    const two = keeping(t, gateway, 'HTTP/2');
    const both = Promise.all([two.ask(), two.ask()]);
    t.ok((await both).every(({ status }) => status === 200));
    const { client: second } = await gateway.input(3);
    t.equal(headers[1], proxyHeader(proxyProtocol, second).toString('latin1'));
    t.equal(headers[2], headers[1], 'several at once have several connections, all of them its own');
    t.not(headers[1], headers[0]);
    t.equal((await one.ask()).status, 200);
    t.equal(served.at(-1), headers[0]);
    t.equal(backend.sockets.size, 3);
    one.leave();
    two.leave();
    await until(() => backend.sockets.size === 0);
    await until(() => gateway.upstream.stats.open === 0);

    const before = headers.length;
    t.equal(await gateway.upstream.probe(), null);
    await until(() => headers.length === before + 1);
    t.equal(headers.at(-1), proxyHeader(proxyProtocol, null).toString('latin1'), 'our own connections say so');
    t.match(headers.at(-1), index === 0 ? /^PROXY UNKNOWN\r\n$/ : /QUIT\n\x20\0\0\0$/);
  }
});

await t.test('with the PROXY protocol clients wait for places, and idle ones give way', async (t) => {
  const headers: string[] = [];
  const held: net.Socket[] = [];
  const { gateway, backend } = await withRaw(
    t,
    behindProxyHeader(
      headers,
      answering((socket, request) => {
        if (request.includes('/held')) held.push(socket);
        else socket.write(ok);
      }),
    ),
    { upstream: { proxyProtocol: 'v1', maximumConnections: 1 } },
  );
  const [one, two] = [keeping(t, gateway, 'HTTP/1.1'), keeping(t, gateway, 'HTTP/2')];
  for (let count = 0; count < 3; count += 1) {
    t.equal((await one.ask()).status, 200);
    t.equal((await two.ask()).status, 200);
  }
  t.equal(headers.length, 6, 'a connection for each turn');
  await until(() => backend.sockets.size === 1);
  const stuck = one.ask({ path: '/held' });
  await until(() => held.length === 1);
  const waiting = two.ask();
  await until(() => gateway.upstream.stats.queued === 1);
  held[0]?.write(ok);
  t.equal((await stuck).status, 200);
  t.equal((await waiting).status, 200);
  t.match(gateway.upstream.stats, { busy: 0, queued: 0 });
});

const serverAuth = '1.3.6.1.5.5.7.3.1';

await t.test('the PROXY protocol comes before TLS', async (t) => {
  const authority = await createAuthority({ subject: 'CN=Upstream Root' });
  const issued = await authority.issue({
    subject: 'CN=b',
    dnsNames: ['b.example.test'],
    extendedKeyUsage: [serverAuth],
  });
  for (const proxyProtocol of ['v1', 'v2'] as const) {
    const headers: string[] = [];
    const echo = await startEcho({ tls: issued });
    const relay = await startRawBackend(
      behindProxyHeader(headers, (socket) => {
        const inner = net.connect(echo.port, '127.0.0.1');
        inner.on('error', () => {});
        socket.on('close', () => inner.destroy());
        inner.on('close', () => socket.destroy());
        socket.pipe(inner).pipe(socket);
      }),
    );
    const gateway = await startBareGateway({
      upstream: {
        origin: relay.origin.replace('http:', 'https:'),
        proxyProtocol,
        tls: { ca: authority.cert, serverName: 'b.example.test' },
      },
    });
    t.teardown(async () => {
      await gateway.stop();
      await relay.stop();
      await echo.stop();
    });
    const client = keeping(t, gateway, 'HTTP/1.1');
    t.equal(echoed(await client.ask({ method: 'POST', body: Buffer.from('abc') })).bodyBytes, 3);
    t.equal((await client.ask()).status, 200);
    const { client: seen } = await gateway.input(0);
    t.strictSame(headers, [proxyHeader(proxyProtocol, seen).toString('latin1')]);
    t.equal(await gateway.upstream.probe(), null);
    t.equal(headers.at(-1), proxyHeader(proxyProtocol, null).toString('latin1'));

    for (const socket of relay.sockets) socket.destroy();
    await until(() => gateway.upstream.stats.open === 0);
    t.equal((await client.ask()).status, 200, 'made anew when it is lost');
  }
  const silent = await startRawBackend((socket) => socket.resume());
  t.teardown(() => silent.stop());
  const origin = silent.origin.replace('http:', 'https:');
  const upstream = createUpstream({ ...patient, origin, proxyProtocol: 'v2', connectTimeout: ms(50) });
  t.match(await upstream.probe(), /no connection to 127.0.0.1:\d+ within 50 ms/);
  await until(() => silent.sockets.size === 0);
  await upstream.destroy();
});

await t.test('a Unix socket with TLS, and a client certificate of ours', async (t) => {
  const authority = await createAuthority({ subject: 'CN=Upstream Root' });
  const [issued, own] = await Promise.all([
    authority.issue({ subject: 'CN=b', dnsNames: ['b.example.test'], extendedKeyUsage: [serverAuth] }),
    authority.issue({ subject: 'CN=gateway' }),
  ]);
  const directory = await mkdtemp(join(tmpdir(), 'dsmapper-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const socketPath = join(directory, 'b.sock');
  // Under TLS 1.3 the refusal comes after the handshake, and the end of the connection may overtake it.
  const demands = { requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' } as const;
  const server = tls.createServer({ ...issued, ca: authority.cert, ...demands });
  const subjects: string[] = [];
  server.on('secureConnection', (socket) => {
    subjects.push(socket.getPeerX509Certificate()?.subject ?? '');
    answering((to) => to.write(ok))(socket);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  t.teardown(() => server.close());
  const trust = { ca: authority.cert, serverName: 'b.example.test' };
  const origin = 'https://backend.internal.test';
  const gateway = await startBareGateway({ upstream: { origin, socketPath, tls: { ...trust, certificate: own } } });
  t.teardown(() => gateway.stop());
  t.equal((await ask(gateway)).body.toString(), 'ok');
  t.strictSame(subjects, ['CN=gateway']);
  t.equal(await gateway.upstream.probe(), null);

  const nameless = await startBareGateway({ upstream: { origin, socketPath, tls: trust } });
  t.teardown(() => nameless.stop());
  t.equal((await ask(nameless)).headers['x-verdict'], 'upstreamUnavailable');
  t.match(await nameless.result(0), { verdict: { detail: /does not accept how we show ourselves/ } });

  const lost = await startBareGateway({ upstream: { origin, socketPath: join(directory, 'none.sock') } });
  t.teardown(() => lost.stop());
  t.equal((await ask(lost)).headers['x-verdict'], 'upstreamUnavailable');
  t.match(await lost.result(0), { verdict: { detail: /^unix:\S+none\.sock: .*no such Unix socket/ } });
});

await t.test(
  'without an offer requests travel over HTTP/1.1, also where the server would rather have HTTP/2',
  async (t) => {
    const authority = await createAuthority({ subject: 'CN=Upstream Root' });
    const issued = await authority.issue({
      subject: 'CN=b',
      dnsNames: ['b.example.test'],
      extendedKeyUsage: [serverAuth],
    });
    const seen: string[] = [];
    const server = http2.createSecureServer({ ...issued, allowHTTP1: true }, (request, response) => {
      seen.push(request.httpVersion);
      response.end('ok');
    });
    const origin = `https://127.0.0.1:${await listen(server)}`;
    const trust = { ca: authority.cert, serverName: 'b.example.test' };
    const gateway = await startBareGateway({ upstream: { origin, tls: trust } });
    t.teardown(async () => {
      await gateway.stop();
      server.close();
    });
    t.equal((await ask(gateway)).body.toString(), 'ok');
    t.equal((await ask2(gateway.h2(), { method: 'POST', body: Buffer.from('x') })).body.toString(), 'ok');
    t.strictSame(seen, ['1.1', '1.1']);
  },
);

await t.test('what is wrong with a server’s certificate is said, with what to do', async (t) => {
  const authority = await createAuthority({ subject: 'CN=Upstream Root' });
  const recipe = { subject: 'CN=b', dnsNames: ['b.example.test'], extendedKeyUsage: [serverAuth] };
  const expired = { ...recipe, notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01') };
  const early = { ...recipe, notBefore: new Date('2049-01-01'), notAfter: new Date('2050-01-01') };
  const client = { ...recipe, extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] };
  const trust = { ca: authority.cert, serverName: 'b.example.test' };
  const cases = [
    [recipe, { serverName: 'b.example.test' }, /no trusted root: name the root of its issuer under `tls.roots`/],
    [recipe, { ...trust, serverName: 'c.example.test' }, /for other names: write one of them as `tls.serverName`/],
    [expired, trust, /has expired: renew it/],
    [early, trust, /not valid yet: compare the clocks/],
    [client, trust, /not one of a server/],
  ] as const;
  for (const [made, settings, text] of cases) {
    const { gateway, echo } = await withEcho(t, {
      echo: { tls: await authority.issue(made) },
      upstream: { tls: settings },
    });
    t.equal((await ask(gateway)).headers['x-verdict'], 'upstreamUnavailable');
    const result = await gateway.result(0);
    t.match(result, { verdict: { detail: text } });
    t.match(JSON.stringify(result), echo.url, 'the server is named');
    t.match(await gateway.upstream.probe(), text);
  }
  const { gateway, echo } = await withEcho(t);
  const upstream = createUpstream({ ...patient, origin: echo.url.replace('http:', 'https:') });
  t.teardown(() => upstream.destroy());
  t.match(await upstream.probe(), /does not speak TLS: is its origin http\?/);
  t.equal(await gateway.upstream.probe(), null);
});
