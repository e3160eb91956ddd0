/**
 * Upgrades: a request that asks for another protocol walks the flow like every other, and only then becomes a tunnel; and answers that are streams of
 * events. Over a renegotiated (TLS 1.2) and an up-front (TLS 1.3) binding, on real sockets.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import https from 'node:https';
import type { IncomingMessage } from 'node:http';
import t from 'tap';
import type { Test } from 'tap';
import { neverUpgraded, protocolAsked } from '../../src/forward/upgrade-offer.ts';
import type { Rule } from '../../src/gateway/stages.ts';
import { upgradeOf } from '../../src/gateway/upgrade.ts';
import { echoPattern } from '../../src/lab/echo.ts';
import { frameOf, opcodes } from '../../src/lab/web-socket.ts';
import { ask, testGateway, testLab, type TestGateway } from '../support/gateway.ts';
import {
  clientOn,
  dial,
  handshake,
  openWebSocket,
  scriptedBackend,
  switching,
  until,
  webSocketAccept,
  type ScriptedBackend,
  type UpgradeClient,
} from '../support/web-socket.ts';

const bindings = ['late', 'upFront'] as const;
const lab = await testLab(t);
const alice = 'CN=alice,CN=Users,DC=lab,DC=example,DC=test';

/** Lines below `/payroll:` of the lab's configuration. */
const payroll = (lines: string) => (yaml: string) =>
  yaml.replace('        maximumAge: 10m\n', `        maximumAge: 10m\n${lines.replace(/^/gm, '        ')}\n`);
const upstreamAt = (url: string, then: (yaml: string) => string) => (yaml: string) =>
  then(yaml.replace(/upstream: \S+/, `upstream: ${url}`));
const plain = (yaml: string) => yaml;

const echoed = await testGateway(t, { lab });
const scripted = await scriptedBackend(t);
const to = await testGateway(t, { lab, configure: upstreamAt(scripted.url, plain) });

/** Says it on a connection of its own and reads what comes until the server closes. */
async function answerTo(t: Test, gateway: TestGateway, where: 'late' | 'upFront' | 'http', lines: string, as?: string) {
  const client = await dial(t, gateway, where, as);
  client.socket.write(lines);
  const head = await client.head();
  const body = await client.rest();
  client.vanish();
  return { ...head, body };
}

/** An open tunnel whose two ends the test holds. */
async function pair(t: Test, gateway: TestGateway, backend: ScriptedBackend, where: 'late' | 'upFront' = 'upFront') {
  const reached = Promise.withResolvers<UpgradeClient>();
  backend.script = (socket) => {
    reached.resolve(clientOn(socket));
    socket.write(switching);
  };
  const client = await dial(t, gateway, where, 'alice');
  client.socket.write(handshake('/payroll'));
  const head = await client.head();
  if (head.status !== 101) throw new Error(`no tunnel: ${head.text}`);
  const line = () => gateway.logged(head.header('x-request-id'));
  return { client, upstream: await reached.promise, line };
}

const idle = async (gateway: TestGateway) => {
  await until(() => gateway.gateway.connectionCount() === 0 && gateway.gateway.requestsInFlight() === 0);
  await until(() =>
    [...gateway.gateway.setup.upstreams()].every(({ servers }) => servers.every((s) => s.stats.busy === 0)),
  );
};

/** Who comes first waits for the directory and for revocation lists; tests of time-outs come after. */
async function warm(gateway: TestGateway): Promise<void> {
  await ask(gateway, 'upFront', { as: 'alice', path: '/payroll/.dsmapper/whoami' });
}

/** Whether so much time has passed since now. */
const after = (milliseconds: number) => {
  const end = performance.now() + milliseconds;
  return () => performance.now() > end;
};

for (const where of bindings) {
  await t.test(`a WebSocket on the ${where} binding`, async (t) => {
    await t.test('carries the identity in its own request head, and then everything', async (t) => {
      const { seen, say, frame, socket, requestId, closed } = await openWebSocket(t, echoed, where, {
        path: '/x/../%70ayroll//chat?room=1',
        Connection: 'keep-alive, X-Hop, Upgrade',
        Upgrade: 'WebSocket',
        'X-Hop': 'mine',
        'X-Remote-User': 'LAB\\administrator',
        x_remote_user: 'LAB\\administrator',
        'Sec-WebSocket-Protocol': 'chat, superchat',
        Origin: 'https://app.example.test',
        Cookie: 'a=1',
      });
      const values = (name: string) => seen.headers.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);
      t.equal(seen.url, '/payroll/chat?room=1');
      t.strictSame(values('x-remote-user'), ['LAB\\alice']);
      t.strictSame(values('x_remote_user'), []);
      t.strictSame(values('x-hop'), []);
      t.strictSame(values('connection'), ['upgrade']);
      t.strictSame(values('upgrade'), ['websocket']);
      t.strictSame(values('sec-websocket-protocol'), ['chat, superchat']);
      t.strictSame([values('origin'), values('cookie')], [['https://app.example.test'], ['a=1']]);
      for (const text of ['one', 'x'.repeat(70_000), 'three']) {
        say(text);
        t.equal((await frame())?.payload.toString(), text);
      }
      socket.write(frameOf(opcodes.ping, Buffer.from('p'), randomBytes(4)));
      t.match(await frame(), { opcode: opcodes.pong, payload: Buffer.from('p') });
      t.match(await echoed.gateway.metrics.text(), /^dsmapper_tunnels 1$/m);
      t.equal(
        echoed.log.some((line) => line['requestId'] === requestId),
        false,
        'one line, when it ends',
      );

      socket.write(frameOf(opcodes.close, Buffer.from([3, 232]), randomBytes(4)));
      t.match(await frame(), { opcode: opcodes.close });
      t.equal(await frame(), null);
      await closed();
      const line = await echoed.logged(requestId);
      t.match(line, {
        status: 101,
        code: 'authorised',
        account: 'LAB\\alice',
        location: '/payroll',
        protocol: where === 'late' ? 'TLSv1.2' : 'TLSv1.3',
        tunnel: { protocol: 'websocket', end: 'ended' },
      });
      const { bytesIn, bytesOut, ms } = line['tunnel'] as Record<string, number>;
      t.ok((bytesIn ?? 0) > 70_000 && (bytesOut ?? 0) > 70_000 && (ms ?? 0) > 0);
      await idle(echoed);
      const metrics = await echoed.gateway.metrics.text();
      t.match(metrics, /^dsmapper_tunnels 0$/m);
      t.ok(Number(/^dsmapper_tunnel_bytes_total\{direction="in"\} (\d+)$/m.exec(metrics)?.[1]) >= (bytesIn ?? 0));
    });

    await t.test('is refused before anything is forwarded, with a page that can be read', async (t) => {
      const before = lab.echo.requests;
      const cases = [
        [undefined, '/payroll', 403, 'certificateRequired', '403.7'],
        ['nobody', '/payroll', 401, 'notMapped', '401.2'],
        ['disabled', '/payroll', 403, 'accountDisabled', '403.12'],
        ['revoked', '/payroll', 403, 'certificateRevoked', '403.13'],
        ['bob', '/staff', 403, 'notAuthorised', '403'],
        ['alice', '/payroll/%2e%2e%5c', 400, 'pathNotCanonical', '400'],
      ] as const;
      for (const [as, path, status, code, text] of cases) {
        const answer = await answerTo(t, echoed, where, handshake(path), as);
        t.equal(answer.status, status, `${as}: ${answer.text}`);
        t.equal(answer.header('x-dsmapper-verdict'), text);
        t.equal(answer.header('connection'), 'close');
        t.equal(answer.body.length, Number(answer.header('content-length')), 'complete');
        t.match(await echoed.logged(answer.header('x-request-id')), { code, status });
      }
      t.equal(lab.echo.requests, before);
      await idle(echoed);
    });

    await t.test('keeps what an impatient client sends, in order, and not without end', async (t) => {
      const reached = Promise.withResolvers<UpgradeClient>();
      scripted.script = (socket) => {
        reached.resolve(clientOn(socket));
        socket.write(`${switching}first words`);
      };
      const client = await dial(t, to, where, 'alice');
      client.socket.write(`${handshake('/payroll')}one `);
      for (const word of ['two ', 'three ', 'four ']) client.socket.write(word);
      const head = await client.head();
      t.equal(head.status, 101, head.text);
      t.equal(String(await client.octets(11)), 'first words');
      client.socket.write('five');
      t.equal(String(await (await reached.promise).octets(23)), 'one two three four five');
      client.vanish();

      const heads = scripted.heads.length;
      scripted.script = (socket) => void socket.write(switching);
      const flood = await answerTo(t, to, where, handshake('/payroll') + 'x'.repeat(100_000), 'alice');
      t.equal(flood.status, 400, flood.text);
      t.equal(flood.header('upgrade'), null);
      t.equal(scripted.heads.length, heads + 1, 'the 101 came, and opened nothing');
      await until(() => scripted.sockets.size === 0);
      const drowned = await dial(t, to, where);
      drowned.socket.write(handshake('/payroll') + 'x'.repeat(5_000_000));
      await drowned.closed();
      await idle(to);
    });
  });
}

await t.test(
  'a late certificate is asked for behind the upgrade request and before anything is forwarded',
  async (t) => {
    const before = echoed.lab.echo.requests;
    const client = await dial(t, echoed, 'late', 'alice');
    let asked = 0;
    // What a client of TLS 1.2 does on a HelloRequest; nothing is forwarded until it is done.
    client.socket.on('secure', () => {
      asked += 1;
      t.equal(echoed.lab.echo.requests, before);
    });
    client.socket.write(handshake('/payroll'));
    t.equal((await client.head()).status, 101);
    t.equal(echoed.lab.echo.requests, before + 1);
    t.match(await echoed.gateway.metrics.text(), /dsmapper_connections_total\{event="renegotiated"\} [1-9]/);
    client.vanish();
    await idle(echoed);
    t.ok(asked <= 1);
  },
);

await t.test('what is not an upgrade here goes on as a request like others', async (t) => {
  const not = await testGateway(t, { lab, configure: payroll('upgrades: [tcp, websocket/13]') });
  const cases: readonly (readonly [title: string, gateway: TestGateway, change: Record<string, string | null>])[] = [
    ['a protocol that is not listed', echoed, { Upgrade: 'spdy/3.1' }],
    ['a choice', echoed, { Upgrade: 'websocket, tcp' }],
    ['h2c', echoed, { Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__', Connection: 'Upgrade, HTTP2-Settings' }],
    ['websocket where it is not listed', not, {}],
    ['without Connection', echoed, { Connection: 'keep-alive' }],
    ['HTTP/1.0 (RFC 9110 section 7.8)', echoed, { version: 'HTTP/1.0' }],
    ['another protocol behind a body', not, { Upgrade: 'tcp', method: 'POST', 'Transfer-Encoding': 'chunked' }],
  ];
  for (const [title, gateway, change] of cases) {
    for (const where of bindings) {
      const body = change['Transfer-Encoding'] === undefined ? '' : '2\r\nhi\r\n0\r\n\r\n';
      const end = change['Connection'] === 'keep-alive' ? { Connection: 'close' } : {};
      const answer = await answerTo(t, gateway, where, handshake('/payroll', { ...change, ...end }) + body, 'alice');
      t.equal(answer.status, 200, `${title}: ${answer.text}`);
      const names = (JSON.parse(unchunked(answer.body)) as { headers: [string, string][] }).headers.map(([name]) =>
        name.toLowerCase(),
      );
      t.notOk(names.includes('upgrade') || names.includes('http2-settings'), title);
      t.ok(names.includes('x-remote-user'), title);
      const line = await gateway.logged(/^x-request-id: (\S+)/im.exec(answer.text)?.[1]);
      t.equal(line['upgrade'], 'ignored', 'the log tells why there was no tunnel');
    }
  }
  t.equal(
    (await ask(echoed, 'upFront', { as: 'alice', path: '/payroll', headers: { upgrade: 'websocket' } })).status,
    200,
  );
});

function unchunked(body: string): string {
  return body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1);
}

await t.test('some protocols are never let in, whatever is listed', (t) => {
  const rawHeaders = (protocol: string) => ['Connection', 'Upgrade', 'Upgrade', protocol];
  for (const protocol of ['h2c', 'H2C', 'h2', 'HTTP/2.0', 'TLS/1.0', 'tls']) {
    const location = { upgrades: [protocol.toLowerCase()], webSocketOrigins: null };
    const request = { httpVersionMajor: 1, httpVersionMinor: 1, method: 'GET', rawHeaders: rawHeaders(protocol) };
    t.equal(upgradeOf({ location, whoami: false } as unknown as Rule, request as unknown as IncomingMessage), null);
    t.ok(neverUpgraded(protocol), protocol);
  }
  for (const protocol of ['websocket', 'tcp', 'h2cat', 'tlsx']) t.notOk(neverUpgraded(protocol), protocol);
  for (const unclear of ['a/b/c', '/1', 'a/', 'a b', '"h2c"', ',', 'a,b'])
    t.equal(protocolAsked(rawHeaders(unclear)), null);
  t.end();
});

await t.test('CONNECT and methods that are never forwarded stay what they were', async (t) => {
  for (const where of bindings) {
    const heads = scripted.heads.length;
    const trace = await answerTo(t, to, where, handshake('/payroll', { method: 'TRACE' }), 'alice');
    t.equal(trace.status, 405);
    const connect = await dial(t, to, where, 'alice');
    connect.socket.write(
      'CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    );
    t.ok([0, 400, 405].includes((await connect.head()).status));
    connect.socket.destroy();
    t.equal(scripted.heads.length, heads);
  }
});

await t.test('a WebSocket that does not open as RFC 6455 demands is refused', async (t) => {
  const cases: readonly (readonly [title: string, change: Record<string, string | null>, more?: string])[] = [
    ['POST', { method: 'POST' }],
    ['HEAD', { method: 'HEAD' }],
    ['a body', { 'Content-Length': '2' }, 'hi'],
    ['a chunked body', { 'Transfer-Encoding': 'chunked' }, '0\r\n\r\n'],
    ['no key', { 'Sec-WebSocket-Key': null }],
    ['a key that is not base64', { 'Sec-WebSocket-Key': 'not base64 at all, no!!=' }],
    ['a key of 15 octets', { 'Sec-WebSocket-Key': Buffer.alloc(15).toString('base64') }],
    ['a key of 17 octets', { 'Sec-WebSocket-Key': Buffer.alloc(17).toString('base64') }],
    ['a key with spare bits', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZR==' }],
    ['two keys', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }],
    ['no version', { 'Sec-WebSocket-Version': null }],
    ['version 8', { 'Sec-WebSocket-Version': '8' }],
    ['two versions', { 'Sec-WebSocket-Version': '13, 8' }],
    ['a key that Connection takes away', { Connection: 'Upgrade, Sec-WebSocket-Key' }],
  ];
  const heads = scripted.heads.length;
  for (const [title, change, more = ''] of cases) {
    const answer = await answerTo(t, to, 'upFront', handshake('/payroll', change) + more, 'alice');
    t.equal(answer.status, 400, `${title}: ${answer.text}`);
    t.match(await to.logged(answer.header('x-request-id')), { code: 'badRequest' });
    const version = change['Sec-WebSocket-Version'];
    t.equal(answer.header('sec-websocket-version'), typeof version === 'string' ? '13' : null, title);
  }
  t.equal(scripted.heads.length, heads, 'nothing of them is forwarded');
});

await t.test('pages of origins that are not listed open no WebSocket', async (t) => {
  const listed = 'webSocketOrigins: ["https://app.example.test", "https://app.example.test:8443"]';
  const gateway = await testGateway(t, { lab, configure: payroll(listed) });
  const before = lab.echo.requests;
  for (const origin of [
    null,
    'null',
    'https://evil.example.test',
    'https://app.example.test.evil.test',
    'http://app.example.test',
    'https://app.example.test:443',
    'https://APP.example.test',
    'https://app.example.test/',
    'https://app.example.test, https://app.example.test',
  ]) {
    const answer = await answerTo(t, gateway, 'late', handshake('/payroll', { Origin: origin }), 'alice');
    t.equal(answer.status, 403, `${origin}`);
    t.match(await gateway.logged(answer.header('x-request-id')), { code: 'originRefused' });
  }
  const twice = handshake('/payroll', { Origin: 'https://app.example.test', origin: 'https://app.example.test' });
  t.equal((await answerTo(t, gateway, 'upFront', twice, 'alice')).status, 403, 'two fields');
  t.equal(lab.echo.requests, before);
  t.notMatch(
    await gateway.gateway.metrics.text(),
    /event="renegotiated"\} [1-9]/,
    'nor is anybody asked for a certificate',
  );
  for (const where of bindings)
    await (await openWebSocket(t, gateway, where, { Origin: 'https://app.example.test:8443' })).closed();
  t.equal(
    (await ask(gateway, 'upFront', { as: 'alice', headers: { origin: 'https://evil.example.test' } })).status,
    200,
  );
});

await t.test('only a right 101 opens the tunnel; nothing of a wrong one reaches the client', async (t) => {
  const head = (lines: Record<string, string | null>, first = 'HTTP/1.1 101 Switching Protocols') => {
    const fields = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Accept': webSocketAccept, ...lines };
    const text = Object.entries(fields).map(([name, value]) => (value === null ? '' : `${name}: ${value}\r\n`));
    return `${first}\r\n${text.join('')}X-Secret: 1\r\n\r\nsecret`;
  };
  const wrong: readonly (readonly [title: string, answer: string])[] = [
    ['no Connection', head({ Connection: null })],
    ['Connection without upgrade', head({ Connection: 'close' })],
    ['no Upgrade', head({ Upgrade: null })],
    ['another protocol', head({ Upgrade: 'h2c' })],
    ['two protocols', head({ Upgrade: 'websocket, h2c' })],
    ['no Accept', head({ 'Sec-WebSocket-Accept': null })],
    ['a wrong Accept', head({ 'Sec-WebSocket-Accept': 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=' })],
    ['an Accept in another case', head({ 'Sec-WebSocket-Accept': webSocketAccept.toLowerCase() })],
    ['two Accepts', head({ 'sec-websocket-accept': webSocketAccept })],
    ['a subprotocol that was not offered', head({ 'Sec-WebSocket-Protocol': 'Chat' })],
    ['two subprotocols', head({ 'Sec-WebSocket-Protocol': 'chat, superchat' })],
    ['an extension that was not offered', head({ 'Sec-WebSocket-Extensions': 'x-webkit-deflate-frame' })],
    ['a length', head({ 'Content-Length': '6' })],
    ['chunks', head({ 'Transfer-Encoding': 'chunked' })],
    ['100', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['nothing', ''],
  ];
  const offer = {
    'Sec-WebSocket-Protocol': 'chat, superchat',
    'Sec-WebSocket-Extensions': 'permessage-deflate; a="1, 2"',
  };
  for (const [title, answer] of wrong) {
    scripted.script = (socket) => void (answer === '' ? socket.destroy() : socket.write(answer));
    const got = await answerTo(t, to, 'upFront', handshake('/payroll', offer), 'alice');
    t.equal(got.status, 502, `${title}: ${got.text}`);
    t.notMatch(got.text + got.body, /secret/i, title);
    t.match(await to.logged(got.header('x-request-id')), { code: 'upstreamFailed' });
    await until(() => scripted.sockets.size === 0);
  }
  const right = { 'Sec-WebSocket-Protocol': 'superchat', 'Sec-WebSocket-Extensions': 'permessage-deflate' };
  scripted.script = (socket) =>
    void socket.write(head({ ...right, Upgrade: 'WebSocket', 'X-Remote-User': 'x', 'X-Request-Id': 'x' }));
  const client = await dial(t, to, 'upFront', 'alice');
  client.socket.write(handshake('/payroll', offer));
  const taken = await client.head();
  t.equal(taken.status, 101);
  t.equal(taken.header('sec-websocket-protocol'), 'superchat');
  t.equal(taken.text.match(/^x-request-id:/gim)?.length, 1, 'ours alone');
  t.notMatch(taken.header('x-request-id'), /^x$/);
  t.equal(taken.text.match(/^(connection|upgrade):/gim)?.length, 2);
  t.equal(String(await client.octets(6)), 'secret', 'what came behind the head is kept');
  client.vanish();
  await idle(to);
});

await t.test('a 101 that nobody asked for is a failure, with Upgrade or without', async (t) => {
  for (const answer of [
    switching,
    'HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  ]) {
    scripted.script = (socket) => void socket.write(answer);
    for (const headers of [{}, { upgrade: 'spdy/3.1', connection: 'upgrade' }]) {
      const got = await ask(to, 'upFront', { as: 'alice', headers });
      t.equal(got.status, 502);
      t.match(await to.logged(got.headers['x-request-id']), { code: 'upstreamFailed' });
    }
  }
  await until(() => scripted.sockets.size === 0);
});

await t.test('any other answer is passed on like those to other requests', async (t) => {
  for (const where of bindings) {
    scripted.script = (socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-Other: 1\r\n\r\ngone');
    const gone = await answerTo(t, to, where, `${handshake('/payroll')}early`, 'alice');
    t.match(gone, { status: 404, body: 'gone' });
    t.equal(gone.header('x-other'), '1');
    t.equal(gone.header('connection'), 'close');
    t.match(await to.logged(gone.header('x-request-id')), { status: 404, code: 'authorised' });
    t.notOk('tunnel' in (await to.logged(gone.header('x-request-id'))));

    // More than any buffer on the way: the answer waits for its reader, and comes whole.
    const size = 8_000_000;
    scripted.script = (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      echoPattern(size).pipe(socket, { end: false });
    };
    const client = await dial(t, to, where, 'alice');
    client.socket.pause();
    client.socket.write(handshake('/payroll'));
    await until(() => [...scripted.sockets].some((socket) => socket.writableNeedDrain));
    client.socket.resume();
    const head = await client.head();
    t.equal(head.status, 200, head.text);
    const body = await client.octets(size);
    t.ok(body.equals(Buffer.concat(await echoPattern(size).toArray())), 'every octet, in order');
    client.vanish();
    for (const socket of scripted.sockets) socket.destroy();
    await idle(to);
  }
});

await t.test('other protocols that are listed are tunnels too, with their methods', async (t) => {
  const gateway = await testGateway(t, {
    lab,
    configure: upstreamAt(scripted.url, payroll('upgrades: [websocket, SPDY/3.1]')),
  });
  scripted.script = (socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  };
  for (const where of bindings) {
    const client = await dial(t, gateway, where, 'alice');
    const lines = { method: 'POST', Upgrade: 'SPDY/3.1', 'Content-Length': '0', 'Sec-WebSocket-Key': null };
    client.socket.write(handshake('/payroll/exec', lines));
    const head = await client.head();
    t.equal(head.status, 101, head.text);
    t.match(scripted.heads.at(-1), /^POST \/payroll\/exec HTTP\/1\.1\r\n/);
    client.socket.write('octets');
    t.equal(String(await client.octets(6)), 'octets');
    await client.closed();
    t.match(await gateway.logged(head.header('x-request-id')), {
      tunnel: { protocol: 'spdy/3.1', bytesIn: 6, bytesOut: 6 },
    });
  }
});

await t.test('a tunnel', async (t) => {
  for (const where of bindings) {
    await t.test(`waits for whoever reads slowly, both ways, on the ${where} binding`, async (t) => {
      const size = 48_000_000; // more than the buffers of two TCP connections may grow to
      const expected = Buffer.concat(await echoPattern(size).toArray());
      const { client, upstream } = await pair(t, to, scripted, where);
      for (const [from, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        other.socket.pause();
        let sent = 0;
        const source = echoPattern(size);
        source.on('data', (piece: Buffer) => (sent += piece.length));
        source.pipe(from.socket, { end: false });
        let [last, same] = [0, 0];
        await until(() => {
          same = sent === last ? same + 1 : 0;
          last = sent;
          return same === 20;
        });
        // What the systems and our own buffers hold is little of this.
        t.ok(sent < size, `${sent} octets sent while nobody reads`);
        other.socket.resume();
        t.ok((await other.octets(size)).equals(expected));
      }
      client.vanish();
      await idle(to);
      await until(() => scripted.sockets.size === 0);
    });

    await t.test(
      `hands on that a side has ended, and what the other still says, on the ${where} binding`,
      async (t) => {
        scripted.polite = false;
        t.teardown(() => (scripted.polite = true));
        const one = await pair(t, to, scripted, where);
        one.client.socket.end('last words');
        t.equal(await one.upstream.rest(), 'last words');
        one.upstream.socket.end('and the answer');
        t.equal(await one.client.rest(), 'and the answer');
        t.match(await one.line(), { tunnel: { end: 'ended', bytesIn: 10, bytesOut: 14 } });

        const two = await pair(t, to, scripted, where);
        two.upstream.socket.end('bye');
        t.equal(await two.client.rest(), 'bye');
        two.client.socket.end('farewell');
        t.equal(await two.upstream.rest(), 'farewell');
        t.match(await two.line(), { tunnel: { end: 'ended' } });
        await idle(to);
      },
    );

    await t.test(`ends with either side on the ${where} binding`, async (t) => {
      const one = await pair(t, to, scripted, where);
      one.client.vanish();
      await one.upstream.rest();
      await until(() => scripted.sockets.size === 0);
      t.match(await one.line(), { tunnel: { end: 'client' } });

      const two = await pair(t, to, scripted, where);
      two.upstream.socket.resetAndDestroy();
      await two.client.rest();
      t.match(await two.line(), { tunnel: { end: 'upstream' } });
      await idle(to);
    });
  }

  await t.test('ends after silence, and not before', async (t) => {
    const gateway = await testGateway(t, {
      lab,
      configure: upstreamAt(
        scripted.url,
        (yaml) => `${payroll('upstreamLimits: { tunnelTimeout: 5s }')(yaml)}\nlimits: { idleTimeout: 2s }\n`,
      ),
    });
    await warm(gateway);
    const { client, upstream, line } = await pair(t, gateway, scripted);
    // Longer than the time-out of the client's connection, each way.
    for (const from of [client, upstream]) {
      await until(after(2300));
      from.socket.write('x');
      await (from === client ? upstream : client).octets(1);
    }
    await client.rest();
    await upstream.rest();
    t.match(await line(), { tunnel: { end: 'idle', bytesIn: 1, bytesOut: 1 } });
    await idle(gateway);
  });

  await t.test('counts as a connection to its upstream until it ends', async (t) => {
    const limits = 'upstreamLimits: { maximumConnections: 1, maximumQueue: 0 }';
    const gateway = await testGateway(t, { lab, configure: upstreamAt(scripted.url, payroll(limits)) });
    const { client } = await pair(t, gateway, scripted);
    t.equal((await ask(gateway, 'upFront', { as: 'alice' })).status, 503);
    t.equal((await answerTo(t, gateway, 'late', handshake('/payroll'), 'alice')).status, 503);
    t.match(await gateway.gateway.metrics.text(), /^dsmapper_upstream_busy 1$/m);
    await client.closed();
    await idle(gateway);
    scripted.script = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    t.equal((await ask(gateway, 'upFront', { as: 'alice' })).status, 200);
  });
});

await t.test('a thousand tunnels opened and closed leave nothing behind', { timeout: 180_000 }, async (t) => {
  const gateway = await testGateway(t, { lab });
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const { socket, closed, say, frame } = await openWebSocket(t, gateway, index % 4 === 0 ? 'late' : 'upFront');
        say(`${round}.${index}`);
        await frame();
        if (index % 3 === 0) socket.destroy();
        else if (index % 3 === 1) await closed();
        else {
          socket.write(frameOf(opcodes.close, Buffer.alloc(0), randomBytes(4)));
          await closed();
        }
      }),
    );
  }
  await idle(gateway);
  await until(() => lab.echo.connections === 0);
  t.equal(gateway.log.filter((line) => 'tunnel' in line).length, 1000);
  t.match(await gateway.gateway.metrics.text(), /^dsmapper_tunnels 0$/m);
});

await t.test('what lives on ends when its right is gone', async (t) => {
  const before = lab.directory.snapshot();
  t.teardown(() => lab.directory.restore(before));
  const gateway = await testGateway(t, { lab, configure: (yaml) => `${yaml}\nmapping: { cache: { positive: 1d } }\n` });
  const tunnels = await Promise.all(bindings.map((where) => openWebSocket(t, gateway, where)));
  const streams = await Promise.all(bindings.map((where) => openEvents(t, gateway, where)));
  const h2 = await openEvents2(t, gateway);
  t.equal(await gateway.gateway.recheck(), 0);
  for (const tunnel of tunnels) {
    tunnel.say('still here');
    t.equal((await tunnel.frame())?.payload.toString(), 'still here');
  }
  lab.directory.replace(alice, 'userAccountControl', ['514']);
  t.equal(await gateway.gateway.recheck(), 5);
  for (const tunnel of tunnels) {
    t.equal(await tunnel.frame(), null);
    t.match(await gateway.logged(tunnel.requestId), { code: 'authorised', tunnel: { end: 'client' } });
  }
  await Promise.all([...streams.map(({ ended }) => ended), h2.ended]);
  t.equal(
    gateway.events.filter(({ event, code }) => event === 'connection.ended' && code === 'accountDisabled').length,
    5,
  );
  await until(() => lab.echo.connections === 0);
  await idle(gateway);
});

await t.test('a gateway that ends gives tunnels and streams their time, and no more', async (t) => {
  const gateway = await testGateway(t, { lab, configure: (yaml) => `${yaml}\nlimits: { drainTimeout: 500ms }\n` });
  const tunnel = await openWebSocket(t, gateway, 'late');
  const stream = await openEvents(t, gateway, 'upFront');
  const closing = gateway.gateway.close();
  tunnel.say('in the meantime');
  t.equal((await tunnel.frame())?.payload.toString(), 'in the meantime');
  await closing;
  t.equal(await tunnel.frame(), null);
  await stream.ended;
  t.match(await gateway.logged(tunnel.requestId), { tunnel: { end: 'client' } });
  await until(() => lab.echo.connections === 0);
});

interface Events {
  readonly response: IncomingMessage;
  /** Text so far. */
  text(): string;
  readonly ended: Promise<unknown>;
  leave(): void;
}

/** A stream of events of the lab's echo, its first event read. */
async function openEvents(
  t: Test,
  gateway: TestGateway,
  where: 'late' | 'upFront',
  query = 'events=forever&interval=5',
): Promise<Events> {
  const request = https.get({
    host: '127.0.0.1',
    port: gateway.ports[where],
    path: `/payroll/feed?${query}`,
    ca: gateway.ca,
    ...gateway.identity('alice'),
    agent: false,
    headers: { accept: 'text/event-stream' },
  });
  t.teardown(() => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  response.on('error', () => {});
  response.on('data', (piece: Buffer) => (text += piece.toString()));
  const ended = new Promise((resolve) => response.once('close', resolve));
  await until(() => text.includes('\n\n'));
  return { response, text: () => text, ended, leave: () => void request.destroy() };
}

async function openEvents2(t: Test, gateway: TestGateway, query = 'events=forever&interval=5') {
  const session = connectHttp2(`https://127.0.0.1:${gateway.ports.upFront}`, {
    ca: gateway.ca,
    ...gateway.identity('alice'),
  });
  t.teardown(() => session.destroy());
  session.on('error', () => {});
  const stream = session.request({ ':path': `/payroll/feed?${query}` });
  let text = '';
  stream.on('error', () => {});
  stream.on('data', (piece: Buffer) => (text += piece.toString()));
  const ended = new Promise((resolve) => stream.once('close', resolve));
  await until(() => text.includes('\n\n'));
  return { session, text: () => text, ended, leave: () => session.destroy() };
}

await t.test('a stream of events', async (t) => {
  const impatient = (yaml: string) =>
    `${payroll('upstreamLimits: { bodyTimeout: 500ms, tunnelTimeout: 500ms }')(yaml)}\nlimits: { idleTimeout: 1s }\n`;
  const open = (t: Test, gateway: TestGateway, where: 'late' | 'upFront' | 'h2', query?: string) =>
    where === 'h2' ? openEvents2(t, gateway, query) : openEvents(t, gateway, where, query);
  for (const where of [...bindings, 'h2'] as const) {
    await t.test(`arrives event by event over ${where}, and ends at the upstream when the client leaves`, async (t) => {
      const events = await open(t, echoed, where);
      t.match(events.text(), /^event: request\ndata: \{.*"X-Remote-User","LAB\\\\alice"/);
      for (const id of [1, 2, 3]) await until(() => events.text().includes(`id: ${id}\ndata: ${id}\n\n`));
      t.equal(lab.echo.connections >= 1, true);
      events.leave();
      await until(() => lab.echo.connections === 0);
      await idle(echoed);
    });

    await t.test(`may be silent over ${where} for longer than other answers and connections`, async (t) => {
      const gateway = await testGateway(t, { lab, configure: impatient });
      await warm(gateway);
      const events = await open(t, gateway, where, 'events=1&interval=1500');
      await until(() => events.text().includes('id: 1\n'));
      t.pass('nothing came for 1.5 s, and then the event');
      events.leave();
      await idle(gateway);
    });
  }

  await t.test('is not what another answer is that stops in the middle', async (t) => {
    const gateway = await testGateway(t, { lab, configure: upstreamAt(scripted.url, impatient) });
    await warm(gateway);
    for (const type of ['text/plain', 'text/event-streams', 'application/json']) {
      scripted.script = (socket) =>
        void socket.write(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n`);
      await t.rejects(ask(gateway, 'upFront', { as: 'alice' }), type);
      await until(() => scripted.sockets.size === 0);
    }
    t.match(gateway.log.at(-1), { code: 'upstreamFailed', status: 200 });
  });

  await t.test('has its head at once, before there is an event', async (t) => {
    scripted.script = (socket) =>
      void socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n');
    const request = https.get({
      host: '127.0.0.1',
      port: to.ports.late,
      path: '/payroll',
      ca: to.ca,
      ...to.identity('alice'),
      agent: false,
    });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    t.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8');
    request.on('error', () => {});
    request.destroy();
    await until(() => scripted.sockets.size === 0);
  });
});

await t.test('nothing is smuggled through an upgrade', async (t) => {
  const hidden = 'GET /payroll/hidden HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Remote-User: LAB\\administrator\r\n\r\n';
  await t.test('behind one that the backend does not take', async (t) => {
    for (const where of bindings) {
      const heads = scripted.heads.length;
      let octets = 0;
      scripted.script = (socket, _, rest) => {
        octets += rest.length;
        socket.on('data', (piece: Buffer) => (octets += piece.length));
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      };
      const answer = await answerTo(t, to, where, handshake('/payroll') + hidden, 'alice');
      t.match(answer, { status: 200, body: 'ok' });
      t.equal(scripted.heads.length, heads + 1);
      t.equal(octets, 0, 'not an octet behind the request');
    }
  });

  await t.test('behind one that the gateway does not take', async (t) => {
    const requests = lab.echo.requests;
    for (const where of bindings) {
      const answer = await answerTo(t, echoed, where, handshake('/payroll', { Upgrade: 'spdy/3.1' }) + hidden, 'alice');
      t.equal(answer.status, 200);
      t.equal(answer.header('connection'), 'close');
    }
    t.equal(lab.echo.requests, requests + 2);
  });

  await t.test('with two readings of its length', async (t) => {
    const heads = scripted.heads.length;
    for (const lines of [
      { 'Content-Length': '0', 'Transfer-Encoding': 'chunked' },
      { 'Content-Length': '5', 'Transfer-Encoding': 'chunked' },
      { 'Content-Length': '0, 5' },
      { 'Content-Length': '0', 'content-length': '5' },
      { 'Content-Length': '+0' },
      { 'Transfer-Encoding': 'identity' },
      { 'Transfer-Encoding': 'xchunked' },
    ]) {
      for (const Upgrade of ['websocket', 'spdy/3.1']) {
        const message = handshake('/payroll', { ...lines, Upgrade }) + `0\r\n\r\n${hidden}`;
        const answer = await answerTo(t, to, 'upFront', message, 'alice');
        t.ok(answer.status >= 400 && answer.status < 502, `${JSON.stringify(lines)} ${Upgrade}: ${answer.status}`);
      }
    }
    t.equal(scripted.heads.length, heads);
  });

  await t.test('behind an answer that is still due', async (t) => {
    scripted.script = (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const heads = scripted.heads.length;
    const first = 'GET /payroll/first HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
    for (const where of bindings) {
      const both = await answerTo(t, to, where, first + handshake('/payroll/second') + hidden, 'alice');
      t.equal(both.status, 200);
      t.match(both.body, /^okHTTP\/1\.1 200 /);
      t.notMatch(both.body, /101 Switching/);
    }
    t.equal(
      scripted.heads.slice(heads).filter((head) => /upgrade/i.test(head)).length,
      0,
      'the second is a plain request',
    );
    t.equal(
      scripted.heads.slice(heads).some((head) => head.includes('/hidden')),
      false,
    );
  });

  await t.test('on plain http, where a location wants TLS', async (t) => {
    const answer = await answerTo(t, to, 'http', handshake('/payroll'));
    t.equal(answer.header('x-dsmapper-verdict'), '403.4');
  });
});
