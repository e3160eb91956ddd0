/**
 * The PROXY protocol from proxies in front of us: read to the letter, demanded of those who are listed and refused of everybody else, and what it
 * tells goes everywhere that a client's address goes, but for being at home.
 */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { Failure } from '../src/base/failure.ts';
import type { Millis } from '../src/base/brand.ts';
import type { BindingSettings } from '../src/tls/binding.ts';
import type { FrontOptions } from '../src/tls/front.ts';
import { connectionOf } from '../src/tls/live-connection.ts';
import { planListens } from '../src/tls/endpoints.ts';
import { proxyAddresses, proxyHeaderIn } from '../src/tls/proxy-protocol.ts';
import { connect as connectTls } from 'node:tls';
import { loadConfiguration } from '../src/config/load.ts';
import { createConfigWorld } from './support/config-world.ts';
import { talk, testBinding, testFront, testPki } from './support/front.ts';
import type { Talk, TestFrontOptions } from './support/front.ts';
import { startRecordingBackend } from './support/recording-backend.ts';
import { testGateway } from './support/gateway.ts';

const local = { from: ['127.0.0.0/8'] };
const elsewhere = { from: ['192.0.2.1'] };
const signature = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];

function v1(source: string, port: number | string = 4711, family = 4): Buffer {
  const target = family === 4 ? '203.0.113.9' : '2001:db8::9';
  return Buffer.from(`PROXY TCP${family} ${source} ${target} ${port} 443\r\n`, 'latin1');
}

function v2(command: number, family: number, addresses: readonly number[], length = addresses.length): Buffer {
  return Buffer.from([...signature, command, family, length >> 8, length & 255, ...addresses]);
}

const source4 = [198, 51, 100, 7, 203, 0, 113, 9, 0x12, 0x67, 1, 187];
const source6 = [
  0x20,
  1,
  0xd,
  0xb8,
  ...Array.from({ length: 11 }, () => 0),
  7,
  ...Array.from({ length: 16 }, () => 1),
  0x12,
  0x67,
  1,
  187,
];
const mapped6 = [...Array.from({ length: 10 }, () => 0), 255, 255, 198, 51, 100, 7, ...source6.slice(16)];
const nulls = (length: number) => Array.from({ length }, () => 0);

const told4 = { address: '198.51.100.7', port: 4711 };
const told6 = { address: '2001:db8::7', port: 4711 };

const sound: readonly (readonly [string, Buffer, { address: string; port: number } | null])[] = [
  ['v1 TCP4', v1('198.51.100.7'), told4],
  ['v1 TCP6', v1('2001:db8::7', 4711, 6), told6],
  ['v1 TCP6, spelled otherwise', v1('2001:DB8:0:0:0:0:0:7', 4711, 6), told6],
  ['v1 TCP6 around an IPv4 address', v1('::ffff:198.51.100.7', 4711, 6), told4],
  ['v1 with the least port', v1('198.51.100.7', 0), { address: '198.51.100.7', port: 0 }],
  ['v1 with the greatest port', v1('198.51.100.7', 65_535), { address: '198.51.100.7', port: 65_535 }],
  ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['v1 UNKNOWN with addresses', Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n'), null],
  ['v1 of 107 octets', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`), null],
  ['v2 TCP4', v2(0x21, 0x11, source4), told4],
  ['v2 TCP4 with additions', v2(0x21, 0x11, [...source4, 1, 0, 2, 104, 50, 4, 255, 255, 0]), told4],
  ['v2 TCP6', v2(0x21, 0x21, source6), told6],
  ['v2 TCP6 around an IPv4 address', v2(0x21, 0x21, mapped6), told4],
  ['v2 of a Unix socket', v2(0x21, 0x31, nulls(216)), null],
  ['v2 without a family', v2(0x21, 0x00, []), null],
  ['v2 without a family, with additions', v2(0x21, 0x00, nulls(9)), null],
  ['v2 LOCAL', v2(0x20, 0x00, []), null],
  ['v2 LOCAL with addresses, which say nothing', v2(0x20, 0x11, source4), null],
  ['v2 with as many additions as there may be', v2(0x21, 0x11, [...source4, ...nulls(4084)]), told4],
];

const broken: readonly (readonly [string, Buffer])[] = [
  ['nothing of it', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a ClientHello', Buffer.from([22, 3, 1, 0, 100])],
  ['lower case', Buffer.from('proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n')],
  ['a family that is none', Buffer.from('PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n')],
  ['UDP4', Buffer.from('PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n')],
  ['UNKNOWN and more', Buffer.from('PROXY UNKNOWNX\r\n')],
  ['two blanks', Buffer.from('PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n')],
  ['a tab', Buffer.from('PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n')],
  ['a blank at the end', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n')],
  ['no ports', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4\r\n')],
  ['a port too great', v1('1.2.3.4', 65_536)],
  ['a port with a zero before it', v1('1.2.3.4', '080')],
  ['a port with a sign', v1('1.2.3.4', '+80')],
  ['an address too great', v1('1.2.3.256')],
  ['an address in octal', v1('1.2.3.010')],
  ['an IPv6 address in TCP4', v1('::1')],
  ['an IPv4 address in TCP6', v1('1.2.3.4', 1, 6)],
  ['an address with a zone', v1('fe80::1%eth0', 1, 6)],
  ['a name', v1('evil.test')],
  ['an address with something to inject', v1('1.2.3.4,5.6.7.8')],
  ['LF alone', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\nGET / HTTP/1.1\r\n\r\n')],
  ['CR alone', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rGET / HTTP/1.1\r\n\r\n')],
  ['108 octets', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
  ['no end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(500)}`)],
  ['v2: another version', v2(0x31, 0x11, source4)],
  ['v2: version 1', v2(0x11, 0x11, source4)],
  ['v2: another command', v2(0x22, 0x11, source4)],
  ['v2: another family', v2(0x21, 0x41, source4)],
  ['v2: datagrams', v2(0x21, 0x12, source4)],
  ['v2: no transport', v2(0x21, 0x10, source4)],
  ['v2: addresses too short', v2(0x21, 0x11, source4.slice(1))],
  ['v2: IPv6 addresses too short', v2(0x21, 0x21, source4)],
  ['v2: Unix addresses too short', v2(0x21, 0x31, nulls(215))],
  ['v2: more than there may be', v2(0x21, 0x11, source4, 4097)],
  ['v2: as long as can be', v2(0x20, 0x00, [], 65_535)],
  ['v2: half a signature and something else', Buffer.from([...signature.slice(0, 6), 71])],
];

await t.test('headers are read to the letter', (t) => {
  const behind = Buffer.from('behind');
  for (const [name, bytes, client] of sound) {
    const whole = { kind: 'header', octets: bytes.length, client };
    t.strictSame(proxyHeaderIn(bytes), whole, name);
    t.strictSame(proxyHeaderIn(Buffer.concat([bytes, behind])), whole, `${name}, with something behind it`);
    for (let length = 1; length < bytes.length; length += 1)
      if (proxyHeaderIn(bytes.subarray(0, length)).kind !== 'incomplete') t.fail(`${name}: ${length} octets`);
  }
  for (const [name, bytes] of broken) t.strictSame(proxyHeaderIn(bytes), { kind: 'malformed' }, name);
  t.end();
});

await t.test('proxies are addresses and networks', (t) => {
  for (const text of ['192.0.2.7', '192.0.2.0/24', '0.0.0.0/0', '::1', '2001:db8::/32'])
    t.ok(proxyAddresses({ from: [text] }), text);
  for (const text of [
    '',
    'x',
    '192.0.2.7/33',
    '192.0.2.7/-1',
    '192.0.2.7/08',
    '192.0.2.7/',
    '::/129',
    '1.2.3',
    'fe80::1%eth0',
    '192.0.2.0/24/1',
    ' 192.0.2.7',
  ])
    t.equal(proxyAddresses({ from: [text] }), null, text);
  t.end();
});

/** Answers with what the rest of the product sees of the client. */
const tell: FrontOptions['handler'] = (request, response) => {
  const { remoteAddress, remotePort, localAddress, throughProxy, binding, presented } = connectionOf(request);
  const body = JSON.stringify({
    remoteAddress,
    remotePort,
    localAddress,
    throughProxy,
    binding: binding.name,
    chain: presented?.chain.length ?? 0,
  });
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
};

const http: Partial<BindingSettings> = { name: 'http', certificate: null };
const front = (t: Test, options: TestFrontOptions) => testFront(t, { handler: tell, ...options });
const get = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';

async function dial(port: number, ...pieces: readonly Buffer[]): Promise<Socket> {
  const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise(setImmediate);
  }
  return socket;
}

async function secure(socket: Socket): Promise<Talk> {
  const { alice } = await testPki();
  const secured = connectTls({
    socket,
    rejectUnauthorized: false,
    servername: 'a.test',
    cert: alice.cert,
    key: alice.key,
  });
  await once(secured, 'secureConnect');
  return talk(secured);
}

async function answerOf(client: Talk): Promise<unknown> {
  client.send(get);
  const answer = await client.next();
  client.socket.destroy();
  return answer === null ? null : (JSON.parse(answer.body) as unknown);
}

await t.test('what a listed proxy tells is the client, over TLS and plain http', async (t) => {
  const { port } = await front(t, {
    bindings: [
      { name: 'upFront', clientCertificate: 'upFront', proxyProtocol: local },
      { name: 'late', clientCertificate: 'late', proxyProtocol: local },
      { ...http, proxyProtocol: local },
    ],
  });
  const own = { localAddress: '127.0.0.1', throughProxy: '127.0.0.1' };
  for (const [name, header, client] of sound) {
    const seen =
      client === null ? { remoteAddress: '127.0.0.1' } : { remoteAddress: client.address, remotePort: client.port };
    t.match(
      await answerOf(talk(await dial(port('http'), header))),
      { ...own, ...seen, binding: 'http' },
      `${name}, http`,
    );
    t.match(
      await answerOf(await secure(await dial(port('upFront'), header))),
      { ...own, ...seen, binding: 'upFront', chain: 1 },
      `${name}, https`,
    );
  }
  t.match(await answerOf(await secure(await dial(port('late'), v1('198.51.100.7')))), {
    ...own,
    remoteAddress: '198.51.100.7',
    binding: 'late',
  });
});

await t.test('a header may come in any pieces, and together with what is behind it', async (t) => {
  const { port } = await front(t, {
    bindings: [
      { ...http, proxyProtocol: local },
      { name: 'https', proxyProtocol: local },
    ],
  });
  for (const header of [v1('198.51.100.7'), v2(0x21, 0x11, [...source4, ...nulls(5)])]) {
    const whole = Buffer.concat([header, Buffer.from(get)]);
    for (let at = 1; at < whole.length; at += 1) {
      const client = talk(await dial(port('http'), whole.subarray(0, at), whole.subarray(at)));
      const answer = await client.next();
      client.socket.destroy();
      if (answer?.status !== 200 || !answer.body.includes('198.51.100.7')) t.fail(`cut at ${at}: ${answer?.body}`);
    }
    const single = talk(await dial(port('http'), ...Array.from(header, (octet) => Buffer.from([octet]))));
    t.match(await answerOf(single), { remoteAddress: '198.51.100.7' }, 'octet by octet');
    const octets = Array.from(header, (octet) => Buffer.from([octet]));
    t.match(await answerOf(await secure(await dial(port('https'), ...octets))), { remoteAddress: '198.51.100.7' });
  }
});

await t.test('a listed proxy must send a sound header', async (t) => {
  const { port, memory } = await front(t, {
    bindings: [
      { ...http, proxyProtocol: local },
      { name: 'https', proxyProtocol: local },
    ],
  });
  for (const binding of ['http', 'https'])
    for (const [name, bytes] of broken) {
      const before = memory.refused.length;
      const client = talk(await dial(port(binding), bytes));
      await client.closed();
      t.equal(client.bytes().length, 0, `${name}: nothing is said`);
      t.strictSame(
        memory.refused.slice(before),
        [{ reason: 'proxyHeader', remote: { ...memory.refused.at(-1)?.remote, binding: null } }],
        name,
      );
    }
  t.equal(memory.connections.length, 0);
});

await t.test('everybody else must send none', async (t) => {
  const { port, memory } = await front(t, {
    bindings: [{ ...http, proxyProtocol: elsewhere }, { name: 'https', proxyProtocol: elsewhere }, { name: 'without' }],
  });
  for (const header of [v1('198.51.100.7'), v2(0x21, 0x11, source4)]) {
    const plain = talk(await dial(port('http'), header, Buffer.from(get)));
    t.not((await plain.next())?.status, 200);
    await plain.closed();
    for (const binding of ['https', 'without']) {
      const client = talk(await dial(port(binding), header));
      await client.closed();
    }
  }
  t.notOk(memory.connections.some(({ encrypted }) => encrypted));
  t.match(await answerOf(talk(await dial(port('http')))), { remoteAddress: '127.0.0.1', throughProxy: null });
  t.match(await answerOf(await secure(await dial(port('https')))), { remoteAddress: '127.0.0.1', throughProxy: null });
});

await t.test('half a header is not waited for longer than a handshake', async (t) => {
  const { port, memory } = await front(t, {
    bindings: [
      { ...http, proxyProtocol: local },
      { name: 'https', proxyProtocol: local },
    ],
    limits: { handshakeTimeout: 150 as Millis },
  });
  for (const binding of ['http', 'https'])
    for (const bytes of [
      Buffer.from('PROXY TCP4 198.51'),
      v2(0x21, 0x11, source4).subarray(0, 20),
      v1('198.51.100.7'),
    ]) {
      if (binding === 'http' && bytes.at(-1) === 10) continue;
      const client = talk(await dial(port(binding), bytes));
      await client.closed();
      t.equal(memory.refused.at(-1)?.reason, 'handshakeTimeout');
    }
  t.equal(memory.refused.at(-1)?.remote.address, '198.51.100.7', 'once it is told, the client is who took too long');
  const client = talk(await dial(port('http'), v1('198.51.100.7')));
  await memory.until(() => memory.connections.length === 1);
  const later = talk(await dial(port('http')));
  await later.closed();
  t.match(
    await answerOf(client),
    { remoteAddress: '198.51.100.7' },
    'with its header a connection of plain http is in time',
  );
});

await t.test('limits per address count the client that is told, not the proxy', async (t) => {
  const { port, memory } = await front(t, {
    bindings: [{ ...http, proxyProtocol: local }],
    limits: { maximumConnectionsPerAddress: 1, maximumHandshakes: 2 },
  });
  const one = await dial(port(), v1('198.51.100.1'));
  const other = await dial(port(), v1('198.51.100.2'));
  await memory.until(() => memory.connections.length === 2);
  const again = talk(await dial(port(), v1('198.51.100.1')));
  await again.closed();
  t.match(memory.refused, [{ reason: 'tooManyFromAddress', remote: { address: '198.51.100.1' } }]);
  one.destroy();
  await memory.until(() => memory.closed.length === 1);
  t.match(
    await answerOf(talk(await dial(port(), v1('198.51.100.1')))),
    { remoteAddress: '198.51.100.1' },
    'and gives back',
  );
  await memory.until(() => memory.closed.length === 2);
  const waiting = [await dial(port()), await dial(port())];
  const tooMany = talk(await dial(port()));
  await tooMany.closed();
  t.equal(memory.refused.at(-1)?.reason, 'tooManyHandshakes', 'headers that are waited for are handshakes');
  for (const socket of [...waiting, other]) socket.destroy();
});

await t.test('bindings that a header comes before expect the same', async (t) => {
  const host = { kind: 'host', host: 'b.test', port: 8443, listen: '0.0.0.0' } as const;
  const address = { kind: 'address', address: '0.0.0.0', port: 8443 } as const;
  const single = { kind: 'address', address: '127.0.0.2', port: 8443 } as const;
  const plan = async (...list: readonly Partial<BindingSettings>[]) =>
    planListens(await Promise.all(list.map((binding, index) => testBinding({ name: `b${index}`, ...binding }))));
  await t.rejects(plan({ endpoint: address, proxyProtocol: local }, { endpoint: host }), Failure);
  await t.rejects(plan({ endpoint: address }, { endpoint: host, proxyProtocol: local }), Failure);
  await t.rejects(
    plan({ endpoint: address, proxyProtocol: elsewhere }, { endpoint: host, proxyProtocol: local }),
    Failure,
  );
  await t.rejects(plan({ endpoint: address, proxyProtocol: { from: ['x'] } }), Failure);
  await t.resolves(
    plan({ endpoint: address, proxyProtocol: local }, { endpoint: host, proxyProtocol: { from: ['127.0.0.0/8'] } }),
  );
  const [listen] = await plan({ endpoint: address, proxyProtocol: local }, { endpoint: single });
  t.equal(listen?.group.comesThroughProxy('127.0.0.1', '127.0.0.1'), true);
  t.equal(
    listen?.group.comesThroughProxy('127.0.0.1', '127.0.0.2'),
    false,
    'an address endpoint of its own has a rule of its own',
  );
  t.equal(listen?.group.comesThroughProxy('192.0.2.1', '127.0.0.1'), false);
  const [named] = await plan({ endpoint: host, proxyProtocol: local });
  t.equal(named?.group.comesThroughProxy('127.0.0.1', '127.0.0.1'), true);
});

await t.test('a reload takes up another list without closing the port', async (t) => {
  const binding = { ...http, endpoint: { kind: 'address', address: '127.0.0.1', port: 0 } } as const;
  const { front: opened, port } = await front(t, { bindings: [binding] });
  const before = port('http');
  await opened.replaceBindings([await testBinding({ ...binding, proxyProtocol: local })]);
  t.equal(port('http'), before);
  t.match(await answerOf(talk(await dial(before, v1('198.51.100.7')))), { remoteAddress: '198.51.100.7' });
});

await t.test('through the gateway', async (t) => {
  const backend = await startRecordingBackend(t);
  const to = await testGateway(t, {
    configure: (yaml) =>
      yaml
        .replace(/upstream: .*/, `upstream: ${backend.url}`)
        .replace('sslFlags: [Ssl] }', 'sslFlags: [] }')
        .replace(
          /( {2}- endpoint: 127\.0\.0\.1:\d+ {10}# plain http.*\n)/,
          '$1    proxyProtocol: { from: ["127.0.0.1"] }\n',
        ),
  });
  const ask = async (header: Buffer, path: string) => {
    const client = talk(await dial(to.ports.http, header));
    client.send(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${to.ports.http}\r\nAccept: application/json\r\n\r\n`);
    const answer = await client.next();
    client.socket.destroy();
    return answer;
  };
  const served = await ask(v1('198.51.100.7'), '/');
  t.equal(served?.status, 200);
  t.match(backend.requests.at(-1)?.text, '\r\nX-Forwarded-For: 198.51.100.7\r\n');
  t.match(await to.logged(/^x-request-id: (.*)$/im.exec(served?.head ?? '')?.[1]), { client: '198.51.100.7' });
  for (const header of [v1('127.0.0.1'), v1('::1', 1, 6), Buffer.from('PROXY UNKNOWN\r\n'), v2(0x20, 0, [])]) {
    const refused = await ask(header, '/%00');
    t.equal(refused?.status, 400);
    t.notMatch(refused?.body, /pathNotCanonical|control character/, 'nobody behind a proxy is at home');
  }
});

await t.test('in the configuration', async (t) => {
  const world = await createConfigWorld();
  const certificate = 'certificate: { cert: file:tls/web.pem, key: file:tls/web.key }';
  const load = (...bindings: readonly string[]) =>
    loadConfiguration(
      'config.yaml',
      world.facilities(`bindings:
${bindings.map((binding) => `  - { ${binding} }\n`).join('')}sites:
  - { name: S, bindings: [${bindings.map((binding) => JSON.stringify(/endpoint: "([^"]+)"/.exec(binding)?.[1])).join(', ')}], upstream: "http://127.0.0.1:8080", locations: { /: { authentication: { anonymous: fallback } } } }
`),
    );
  const { settings } = await load(
    `endpoint: "0.0.0.0:443", ${certificate}, proxyProtocol: { from: [192.0.2.7, "2001:db8::/32"] }`,
    `endpoint: "www.example.test:443", ${certificate}, proxyProtocol: { from: ["2001:db8::/32", 192.0.2.7] }`,
    'endpoint: "0.0.0.0:80", proxyProtocol: { from: [192.0.2.7] }',
  );
  t.strictSame(
    settings.bindings.map(({ proxyProtocol }) => proxyProtocol?.from.length),
    [2, 2, 1],
  );
  await t.rejects(load('endpoint: "0.0.0.0:80", proxyProtocol: { from: [192.0.2.0/33, proxy.test] }'), {
    message:
      /proxyProtocol\.from\[0\]: `192\.0\.2\.0\/33` is neither an address nor a network[^]*from\[1\]: `proxy\.test`/,
  });
  await t.rejects(load('endpoint: "0.0.0.0:80", proxyProtocol: { from: [] }'), { code: 'configuration' });
  for (const [one, other] of [
    ['proxyProtocol: { from: [192.0.2.7] }', 'disableHttp2: true'],
    ['disableHttp2: true', 'proxyProtocol: { from: [192.0.2.7] }'],
    ['proxyProtocol: { from: [192.0.2.7] }', 'proxyProtocol: { from: [192.0.2.8] }'],
  ])
    await t.rejects(
      load(
        `endpoint: "0.0.0.0:443", ${certificate}, ${one}`,
        `endpoint: "www.example.test:443", ${certificate}, ${other}`,
      ),
      { message: /0\.0\.0\.0:443 on the same port expects the PROXY protocol of others/ },
    );
});
