/**
 * The front through real sockets: first bytes, bindings, limits, time-outs, HTTP at its edges, ending and reloading.
 */
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect as connectHttp2, constants as http2 } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import { connect as connectTcp, createServer as createTcpServer, Server as NetServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import type { Digest, Millis } from '../../src/base/brand.ts';
import type { BindingSettings, ConnectionLimits } from '../../src/tls/binding.ts';
import { startFront } from '../../src/tls/front.ts';
import type { FrontOptions } from '../../src/tls/front.ts';
import { connectionOf } from '../../src/tls/live-connection.ts';
import { writeHello, writeHelloBody, writeRecords } from '../support/client-hello-writer.ts';
import {
  describe,
  generousLimits,
  getRequest,
  talk,
  talkTcp,
  talkTls,
  testBinding,
  testFront,
  testPki,
  untilTrue,
} from '../support/front.ts';
import type { Described, Talk, TestFront } from '../support/front.ts';

const ms = (value: number) => value as Millis;
const { alice } = await testPki();
const never = { bindings: [{ clientCertificate: 'never' as const }] };
const plain = { bindings: [{ name: 'plain', certificate: null }] };
const host = (name: string, port = 0) => ({ kind: 'host' as const, host: name, port, listen: '127.0.0.1' });
const address = (ip: string, port = 0) => ({ kind: 'address' as const, address: ip, port });
/** HTTP/2 by hand (RFC 9113 sections 3.4, 4.1): preface with empty SETTINGS, a frame, and a request for `/` of a.test. */
const frame = (type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};
const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]);
const settingsAck = frame(4, 1, 0);
const requestBlock = Buffer.concat([Buffer.from([0x82, 0x87, 0x84, 0x41, 6]), Buffer.from('a.test')]);
/** Never answers. */
const silent: FrontOptions['handler'] = () => {};

await t.test('first bytes', async (t) => {
  await t.test('a whole handshake in pieces of one byte goes through', async (t) => {
    const { port } = await testFront(t, never);
    const wire = createTcpServer({ noDelay: true }, (client) => {
      const onward = connectTcp({ port: port(), host: '127.0.0.1', noDelay: true });
      client.on('data', (bytes) => {
        for (const byte of bytes) onward.write(Buffer.of(byte as number));
      });
      onward.pipe(client);
      client.on('close', () => onward.destroy());
    });
    t.teardown(() => wire.close());
    wire.listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const client = await talkTls((wire.address() as AddressInfo).port, { servername: 'a.test' });
    t.match(await client.get('/'), { serverName: 'a.test' });
    client.socket.destroy();
  });

  await t.test('a ClientHello over several records and packets is answered', async (t) => {
    const { port } = await testFront(t, never);
    const bytes = writeRecords(writeHelloBody(), [1, 2, 30]);
    const client = await talkTcp(port());
    const answered = once(client.socket, 'data') as Promise<[Buffer]>;
    client.socket.setNoDelay(true);
    for (const part of [bytes.subarray(0, 3), bytes.subarray(3, 20), bytes.subarray(20)]) {
      client.send(part);
      await new Promise(setImmediate);
    }
    t.equal((await answered)[0][0], 22);
    client.socket.destroy();
  });

  await t.test('a ClientHello beyond its maximum is refused with an alert', async (t) => {
    const { port, memory } = await testFront(t, { ...never, limits: { maximumClientHello: 1000 } });
    t.equal(await received(port(), writeHello({ extensions: [[21, Buffer.alloc(2000)]] })), '15030300020232');
    t.match(memory.refused, [{ reason: 'tooLarge', remote: { address: '127.0.0.1', binding: null } }]);
    t.same(memory.connections, []);
  });

  await t.test('a broken ClientHello is refused with an alert', async (t) => {
    const { port, memory } = await testFront(t, never);
    t.equal(await received(port(), writeHello({ suites: Buffer.alloc(0) })), '15030300020232');
    t.equal(memory.refused[0]?.reason, 'handshake');
  });

  await t.test('a slow ClientHello is cut off by the handshake time-out', async (t) => {
    const { port, memory } = await testFront(t, { ...never, limits: { handshakeTimeout: ms(80) } });
    const client = await talkTcp(port());
    const bytes = writeHello();
    const trickle = setInterval(() => client.send(bytes.subarray(0, 1)), 20);
    t.teardown(() => clearInterval(trickle));
    client.send(bytes.subarray(0, 30));
    clearInterval(trickle);
    await client.closed();
    t.match(memory.refused, [{ reason: 'handshakeTimeout', remote: { binding: null } }]);
  });

  await t.test('a client that connects and says nothing is cut off as well', async (t) => {
    const { port, memory } = await testFront(t, { ...never, limits: { handshakeTimeout: ms(80) } });
    await (await talkTcp(port())).closed();
    t.match(memory.refused, [{ reason: 'handshakeTimeout' }]);
  });

  await t.test('a handshake that stops after its ClientHello is cut off, and says at which binding', async (t) => {
    const { port, memory } = await testFront(t, { ...never, limits: { handshakeTimeout: ms(80) } });
    const client = await talkTcp(port());
    client.send(writeHello());
    await client.closed();
    t.match(memory.refused, [{ reason: 'handshakeTimeout', remote: { binding: 'never' } }]);
  });

  await t.test('a finished handshake is not bound by the handshake time-out', async (t) => {
    const { port, memory } = await testFront(t, { ...never, limits: { handshakeTimeout: ms(400) } });
    const fine = await talkTls(port());
    await (await talkTcp(port())).closed();
    t.equal(memory.refused.length, 1);
    t.match(await fine.get('/'), { binding: 'never' });
    fine.socket.destroy();
  });

  await t.test('plain HTTP on an https port gets a short 400, garbage gets nothing', async (t) => {
    const { port, memory } = await testFront(t, never);
    const client = await talkTcp(port());
    client.send(getRequest('/'));
    t.match(await client.next(), { status: 400, body: 'This port speaks https.\n' });
    await client.closed();
    t.equal(await received(port(), Buffer.from('\0\x01\x02')), '');
    t.same(
      memory.refused.map(({ reason }) => reason),
      ['plainHttp', 'notTls'],
    );
  });

  await t.test('a refused connection is given up when its client closes, else a moment later', async (t) => {
    const accepted: Socket[] = [];
    const note = (message: unknown) => accepted.push((message as { socket: Socket }).socket);
    const sockets = channel('net.server.socket');
    sockets.subscribe(note);
    t.teardown(() => sockets.unsubscribe(note));
    const { port } = await testFront(t, never);
    const clients = [await talkTcp(port()), await talkTcp(port())];
    clients[0]?.socket.pause();
    clients[0]?.send(getRequest('/'));
    await untilTrue(() => accepted.some((socket) => socket.writableEnded));
    clients[1]?.send(getRequest('/') + 'x'.repeat(500_000));
    await untilTrue(() => accepted.some((socket) => socket.destroyed));
    t.same(
      accepted.map((socket) => socket.destroyed),
      [false, true],
    );
    await untilTrue(() => accepted.every((socket) => socket.destroyed));
    clients[0]?.socket.destroy();
  });

  await t.test('a ClientHello on a plain port is closed without an HTTP answer', async (t) => {
    const { port, memory } = await testFront(t, plain);
    t.equal(await received(port(), writeHello()), '');
    await memory.until(() => memory.closed.length === 1);
  });

  await t.test('a client that goes away in the middle leaves no socket behind', async (t) => {
    const { port, front, memory } = await testFront(t, never);
    const hello = writeHello();
    await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const client = await talkTcp(port());
        client.send(hello.subarray(0, (i * 7) % (hello.length + 1)));
        if (i % 2 === 0) await new Promise(setImmediate);
        if (i % 3 === 0) client.socket.resetAndDestroy();
        else client.socket.destroy();
        await client.closed();
      }),
    );
    const last = await talkTls(port());
    t.match(await last.get('/'), { binding: 'never' });
    last.socket.destroy();
    await memory.until(() => memory.closed.length === memory.connections.length);
    t.equal([...front.connections()].length, 0);
    await front.close();
  });
});

await t.test('bindings', async (t) => {
  const shared: Partial<BindingSettings>[] = [
    { name: 'address', clientCertificate: 'never', endpoint: address('127.0.0.1') },
    { name: 'late', clientCertificate: 'late', endpoint: host('late.test') },
    { name: 'up', clientCertificate: 'upFront', endpoint: host('Up.Test') },
  ];
  const as = (servername: string): ConnectionOptions => ({ servername, cert: alice.cert, key: alice.key });

  await t.test('of every kind share one port: SNI chooses, then the address', async (t) => {
    const { port, front } = await testFront(t, { bindings: shared });
    t.equal(new Set(front.addresses().map((at) => at.port)).size, 1);
    for (const [servername, expected] of [
      ['late.test', { binding: 'late', protocol: 'TLSv1.2', presented: null, serverName: 'late.test' }],
      ['LATE.test', { binding: 'late', serverName: 'late.test' }],
      ['up.test', { binding: 'up', protocol: 'TLSv1.3', presented: { how: 'upFront' } }],
      ['unknown.test', { binding: 'address', protocol: 'TLSv1.3', presented: null, serverName: 'unknown.test' }],
      ['', { binding: 'address', serverName: null }],
    ] as const) {
      const client = await talkTls(port(), as(servername));
      t.match(await client.get('/'), expected, servername || 'no SNI');
      client.socket.destroy();
    }
  });

  await t.test('a name that no binding has is refused with unrecognized_name where there are only names', async (t) => {
    const { port, memory } = await testFront(t, { bindings: shared.slice(1) });
    for (const options of [as('unknown.test'), as('')]) {
      const [error] = (await once(connectTls({ port: port(), rejectUnauthorized: false, ...options }), 'error')) as [
        Error,
      ];
      t.match(error, { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
    }
    t.match(memory.refused, [{ reason: 'noBinding' }, { reason: 'noBinding' }]);
    const client = await talkTls(port(), as('up.test'));
    t.match(await client.get('/'), { binding: 'up' });
    client.socket.destroy();
  });

  await t.test('of the same port are told apart by local address, the unspecified one last', async (t) => {
    const fixed = await freePort();
    const { front } = await testFront(t, {
      bindings: [
        { name: 'all', endpoint: address('0.0.0.0', fixed) },
        { name: 'two', endpoint: address('127.0.0.2', fixed) },
      ],
    });
    t.same(front.addresses(), [
      { binding: 'all', address: '0.0.0.0', port: fixed },
      { binding: 'two', address: '127.0.0.2', port: fixed },
    ]);
    for (const [ip, binding] of [
      ['127.0.0.2', 'two'],
      ['127.0.0.3', 'all'],
    ] as const) {
      const client = await talkTls(fixed, { host: ip });
      t.equal((await client.get('/'))?.binding, binding);
      client.socket.destroy();
    }
  });

  await t.test('are found for a Host by the rule that connections follow', async (t) => {
    const { port, front } = await testFront(t, { bindings: shared });
    const name = (hostName: string | null, at = port()) => front.bindingFor(hostName, '127.0.0.1', at)?.name ?? null;
    t.equal(name('up.test'), 'up');
    t.equal(name('LATE.TEST'), 'late');
    t.equal(name('else.test'), 'address');
    t.equal(name(null), 'address');
    t.equal(name('up.test', 1), null, 'a port that nobody listens on');
    const client = await talkTls(port(), as('up.test'));
    await client.get('/');
    const [connection] = front.connections();
    t.equal(
      front.bindingFor('up.test', connection?.localAddress ?? '', connection?.localPort ?? 0),
      connection?.binding,
    );
    client.socket.destroy();
  });

  await t.test('of plain http know their ends', async (t) => {
    const { port, memory } = await testFront(t, plain);
    const client = await talkTcp(port());
    t.match(await client.get('/x'), {
      binding: 'plain',
      protocol: null,
      alpn: null,
      serverName: null,
      presented: null,
    });
    t.match(memory.connections[0], {
      encrypted: false,
      remoteAddress: '127.0.0.1',
      remotePort: client.socket.localPort,
      localAddress: '127.0.0.1',
      localPort: port(),
    });
    client.socket.destroy();
  });

  await t.test('offer the protocols they are set to', async (t) => {
    for (const [settings, offered, alpn, protocol] of [
      [{}, ['h2', 'http/1.1'], 'h2', 'TLSv1.3'],
      [{}, ['http/1.1', 'h2'], 'h2', 'TLSv1.3'],
      [{ disableHttp2: true }, ['h2', 'http/1.1'], 'http/1.1', 'TLSv1.3'],
      [{ disableTls13: true }, ['http/1.1'], 'http/1.1', 'TLSv1.2'],
      [{ clientCertificate: 'late' as const }, ['h2', 'http/1.1'], 'http/1.1', 'TLSv1.2'],
    ] as const) {
      const { port, memory } = await testFront(t, { bindings: [settings] });
      const client = await talkTls(port(), { ALPNProtocols: [...offered] });
      await memory.until(() => memory.connections.length === 1);
      t.match(memory.connections[0], { alpn, protocol, encrypted: true }, JSON.stringify(settings));
      client.socket.destroy();
    }
    const { port, memory } = await testFront(t, { bindings: [{ disableTls12: true }] });
    const [error] = (await once(
      connectTls({ port: port(), rejectUnauthorized: false, maxVersion: 'TLSv1.2' }),
      'error',
    )) as [Error];
    t.match(error, { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
    await memory.until(() => memory.tlsErrors.length === 1);
    t.match(memory.tlsErrors[0], {
      reason: 'ERR_SSL_UNSUPPORTED_PROTOCOL',
      remote: { address: '127.0.0.1', binding: 'never' },
    });
  });

  await t.test('hundreds of connections at once each keep their own facts', async (t) => {
    const { port } = await testFront(t, { bindings: shared });
    await Promise.all(
      Array.from({ length: 120 }, async (_, i) => {
        const client = await talkTls(port(), as(`n${i}.test`));
        t.equal((await client.get('/'))?.serverName, `n${i}.test`);
        client.socket.destroy();
      }),
    );
  });
});

await t.test('limits', async (t) => {
  await t.test('on connections: one too many is closed, and its place is free again later', async (t) => {
    const { port, memory } = await testFront(t, { ...never, limits: { maximumConnections: 2 } });
    const first = await talkTls(port());
    const second = await talkTls(port());
    const third = await talkTcp(port());
    await third.closed();
    t.match(memory.refused, [{ reason: 'tooManyConnections', remote: { address: '127.0.0.1', binding: 'never' } }]);
    first.socket.destroy();
    await memory.until(() => memory.closed.length === 1);
    const fourth = await talkTls(port());
    t.match(await fourth.get('/'), { binding: 'never' });
    for (const { socket } of [second, fourth]) socket.destroy();
  });

  await t.test('on connections of one address leave others alone', async (t) => {
    const { port, memory } = await testFront(t, { ...plain, limits: { maximumConnectionsPerAddress: 1 } });
    const first = await talkTcp(port());
    await first.get('/');
    await (await talkTcp(port())).closed();
    t.equal(memory.refused[0]?.reason, 'tooManyFromAddress');
    const other = talk(connectTcp({ port: port(), host: '127.0.0.1', localAddress: '127.0.0.5' }));
    t.match(await other.get('/'), { binding: 'plain' });
    for (const { socket } of [first, other]) socket.destroy();
  });

  await t.test('on handshakes count only those that have not ended', async (t) => {
    const { port, memory } = await testFront(t, {
      bindings: [...never.bindings, ...plain.bindings],
      limits: { maximumHandshakes: 2 },
    });
    const done = await talkTls(port());
    const half = [await talkTcp(port()), await talkTcp(port())];
    for (const { socket } of half) socket.write(writeHello());
    await Promise.all(half.map(({ socket }) => once(socket, 'data')));
    await (await talkTcp(port())).closed();
    t.equal(memory.refused[0]?.reason, 'tooManyHandshakes');
    t.match(await done.get('/'), { binding: 'never' }, 'established connections serve on');
    const other = await talkTcp(port('plain'));
    t.match(await other.get('/'), { binding: 'plain' }, 'plain http has no handshake');
    half[0]?.socket.destroy();
    await memory.until(() => memory.tlsErrors.length === 1);
    const again = await talkTls(port());
    t.match(await again.get('/'), { binding: 'never' });
    for (const { socket } of [done, other, again, ...half]) socket.destroy();
  });
});

/** The three kinds of server that speak HTTP/1, each with a client of its own. */
const http1: readonly {
  name: string;
  front: typeof plain | typeof never;
  dial: (port: number, options?: { allowHalfOpen: boolean }) => Promise<Talk>;
}[] = [
  { name: 'plain http', front: plain, dial: talkTcp },
  { name: 'https beside HTTP/2', front: never, dial: talkTls },
  {
    name: 'https alone',
    front: { bindings: [{ clientCertificate: 'never', ...({ disableHttp2: true } as object) }] },
    dial: talkTls,
  },
];

for (const { name, front: base, dial } of http1)
  await t.test(`HTTP/1 by ${name}`, async (t) => {
    const start = async (t: Test, limits: Partial<ConnectionLimits> = {}, rest: Partial<FrontOptions> = {}) => {
      const started = await testFront(t, { ...base, ...rest, limits });
      return { ...started, client: await dial(started.port()) };
    };

    await t.test('ends a connection whose request header does not come in time', async (t) => {
      const { client } = await start(t, { headersTimeout: ms(80) });
      client.send('GET / HTTP/1.1\r\nHost: a');
      t.match(await client.next(), { status: 408 });
      await client.closed();
    });

    await t.test('ends a connection that never sends a request', async (t) => {
      const { client, memory } = await start(t, { headersTimeout: ms(80) });
      await client.closed();
      await memory.until(() => memory.closed.length === 1);
    });

    await t.test('ends a connection whose request body does not come in time', async (t) => {
      const { client } = await start(t, { headersTimeout: ms(80), requestTimeout: ms(120) });
      client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
      t.match(await client.next(), { status: 408 });
      await client.closed();
    });

    await t.test('ends a connection that is kept alive for too long, long before one that is only idle', async (t) => {
      const { client, memory, port } = await start(
        t,
        { keepAliveTimeout: ms(60), idleTimeout: ms(3000) },
        { handler: (request, response) => (request.url === '/busy' ? undefined : describe(request, response)) },
      );
      const busy = await dial(port());
      busy.send(getRequest('/busy'));
      t.match(await client.get('/'), { url: '/' });
      t.equal(await client.next(), null);
      await memory.until(() => memory.closed.length > 0);
      t.same(
        memory.closed.map(({ id }) => id),
        [1],
      );
      busy.socket.destroy();
    });

    await t.test('ends a connection without a byte in either direction, whoever else listens for it', async (t) => {
      const handler: FrontOptions['handler'] = (request, response) => {
        (request as IncomingMessage).on('timeout', () => {});
        (response as ServerResponse).on('timeout', () => {});
      };
      const { client, memory } = await start(t, { idleTimeout: ms(80) }, { handler });
      client.send(getRequest('/'));
      t.equal(await client.next(), null);
      await memory.until(() => memory.closed.length === 1);
    });

    await t.test('answers a malformed request once, and closes', async (t) => {
      const { client, memory } = await start(t);
      client.send('GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n');
      t.match(await client.next(), { status: 400, body: '' });
      client.send('GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n');
      t.equal(await client.next(), null);
      await memory.until(() => memory.closed.length === 1);
    });

    await t.test('reads and drops what comes after its refusal, so that no reset overtakes the answer', async (t) => {
      const { memory, port } = await testFront(t, base);
      const client = await dial(port(), { allowHalfOpen: true });
      client.socket.removeAllListeners('end');
      client.send('bad\r\n\r\n');
      t.match(await client.next(), { status: 400 });
      const wave = Buffer.alloc(100_000, 'x');
      await new Promise((resolve) => client.socket.write(wave, resolve));
      const other = await dial(port());
      await other.get('/');
      t.same(memory.closed, []);
      other.socket.destroy();
      client.socket.destroy();
      await memory.until(() => memory.closed.length === 2);
    });

    await t.test('closes on a client that never closes after its refusal', async (t) => {
      const { client, memory } = await start(t);
      client.socket.pause();
      client.send('bad\r\n\r\n');
      await memory.until(() => memory.closed.length === 1);
      client.socket.destroy();
    });

    await t.test('refuses a header beyond its bytes with 431', async (t) => {
      const { client } = await start(t, { maximumHeaderBytes: 4096 });
      client.send(getRequest('/', `X: ${'x'.repeat(3000)}`));
      t.match(await client.next(), { status: 200 });
      client.send(getRequest('/', `X: ${'x'.repeat(5000)}`));
      t.match(await client.next(), { status: 431 });
      await client.closed();
    });

    await t.test('refuses a header beyond its count with 431 instead of dropping the rest', async (t) => {
      const { client } = await start(t, { maximumHeaderCount: 10 });
      const headers = (count: number) => Array.from({ length: count }, (_, i) => `X${i}: y`);
      client.send(getRequest('/', ...headers(9)));
      t.match(await client.next(), { status: 200 });
      client.send(getRequest('/', ...headers(10)));
      t.match(await client.next(), { status: 431, head: /connection: close/i });
      await client.closed();
    });

    await t.test('does not answer a broken request in the place of one that is pending', async (t) => {
      const { client } = await start(t, {}, { handler: silent });
      client.send(`${getRequest('/first')}nonsense\r\n\r\n`);
      t.equal(await client.next(), null);
    });

    await t.test('answers a body that turns out malformed, and closes', async (t) => {
      const { client } = await start(t);
      client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n');
      t.match(await client.next(), { status: 400 });
      await client.closed();
      const begun = await start(t, {}, { handler: (_, response) => void (response as ServerResponse).write('begun') });
      begun.client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
      await once(begun.client.socket, 'data');
      const rest = text(begun.client.socket);
      begun.client.send('zz\r\n');
      t.notMatch(await rest, '400', 'but not into an answer that has begun');
    });

    await t.test('ends a connection that pipelines more than may be in flight', async (t) => {
      const { client, memory } = await start(t, { maximumStreams: 5 }, { handler: silent });
      client.send(getRequest('/').repeat(5));
      client.send(getRequest('/').repeat(2000));
      t.equal(await client.next(), null);
      t.match(memory.refused[0], { reason: 'tooManyInFlight' });
    });

    await t.test('serves only so many requests on one connection', async (t) => {
      const { client } = await start(t, { maximumRequestsPerConnection: 2 });
      t.match(await client.get('/1'), { url: '/1' });
      client.send(getRequest('/2'));
      t.match(await client.next(), { status: 200, head: /connection: close/i });
      await client.closed();
    });

    await t.test('leaves Host and Expect to the handler', async (t) => {
      const { client } = await start(t);
      client.send('GET /no-host HTTP/1.1\r\n\r\n');
      t.match(await client.next(), { status: 200, body: /no-host/ });
      client.send('POST /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
      t.match(await client.next(), { status: 100 });
      client.send('hi');
      t.match(await client.next(), { status: 200, body: /"body":"hi"/ });
      client.send('GET /e HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n');
      t.match(await client.next(), { status: 200, body: /"url":"\/e"/ });
      client.socket.destroy();
    });

    await t.test('closes on CONNECT', async (t) => {
      const { client } = await start(t);
      client.send('CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n');
      t.equal(await client.next(), null);
    });

    await t.test('survives half-closed and reset connections with requests in flight', async (t) => {
      const { client, memory, port } = await start(t, {}, { handler: silent });
      client.send(getRequest('/'));
      client.socket.end();
      await memory.until(() => memory.closed.length === 1);
      const other = connectTcp({ port: port(), host: '127.0.0.1' });
      await once(other, 'connect');
      other.resetAndDestroy();
      t.ok(true);
    });

    await t.test('ends gently: at once when idle, else with the last answer in flight', async (t) => {
      const waiting: (() => void)[] = [];
      const { client, memory, front } = await start(
        t,
        {},
        {
          handler: (request, response) => {
            if (request.url === '/idle') describe(request, response);
            else waiting.push(() => describe(request, response));
          },
        },
      );
      t.match(await client.get('/idle'), { url: '/idle' });
      for (const connection of front.connections()) connection.end('gently');
      t.equal(await client.next(), null);

      const busy = await dial(memory.connections[0]?.localPort ?? 0);
      busy.send(getRequest('/1') + getRequest('/2'));
      await untilTrue(() => waiting.length === 2);
      for (const connection of front.connections()) connection.end('gently');
      for (const answer of waiting) answer();
      t.match(await busy.next(), { status: 200, body: /"\/1"/ });
      t.match(await busy.next(), { status: 200, body: /"\/2"/, head: /connection: close/i });
      t.equal(await busy.next(), null);
      await memory.until(() => memory.closed.length === 2);
    });

    await t.test('ends gently after an answer that had already promised to keep the connection', async (t) => {
      const { client, front } = await start(
        t,
        {},
        {
          handler: (_, response) => {
            response.setHeader('content-length', '4');
            (response as ServerResponse).write('ab');
            for (const connection of front.connections()) connection.end('gently');
            response.end('cd');
          },
        },
      );
      client.send(getRequest('/'));
      t.match(await client.next(), { status: 200, body: 'abcd' });
      await client.closed();
    });

    await t.test('ends at once, request or not', async (t) => {
      const { client, front } = await start(
        t,
        {},
        {
          handler: () => {
            for (const connection of front.connections()) connection.end('atOnce');
          },
        },
      );
      client.send(getRequest('/'));
      t.equal(await client.next(), null);
    });

    await t.test('gives an Upgrade away, and still bounds its idleness', async (t) => {
      const upgrade: NonNullable<FrontOptions['upgrade']> = (request, socket, head) => {
        t.equal(connectionOf(request).closed, false);
        socket.write(`HTTP/1.1 101 Switching Protocols\r\n\r\n${head.toString()}`);
        socket.on('data', (bytes) => socket.write(bytes));
      };
      const { client, memory } = await start(t, { idleTimeout: ms(500) }, { upgrade });
      client.send(getRequest('/', 'Connection: Upgrade', 'Upgrade: echo'));
      t.match(await client.next(), { status: 101 });
      const echoed = once(client.socket, 'data');
      client.send('ping');
      t.equal(String((await echoed)[0]), 'ping');
      memory.connections[0]?.end('gently');
      const again = once(client.socket, 'data');
      client.send('pong');
      t.equal(String((await again)[0]), 'pong', 'a tunnel is not idle HTTP');
      await client.closed();
    });

    await t.test(
      'lets no Upgrade jump a pending answer or a body: it is a request like others, and the last',
      async (t) => {
        const { port } = await start(t, {}, { upgrade: () => t.fail('upgraded') });
        const upgrade = ['Connection: Upgrade', 'Upgrade: echo'];
        for (const [before, request, described] of [
          [1, getRequest('/1') + getRequest('/2', ...upgrade), { url: '/2' }],
          [0, `${getRequest('/3', ...upgrade, 'Content-Length: 2')}hi`, { url: '/3', body: 'hi' }],
          [
            0,
            `${getRequest('/4', ...upgrade, 'Transfer-Encoding: chunked')}2\r\nhi\r\n0\r\n\r\n`,
            { url: '/4', body: 'hi' },
          ],
        ] as const) {
          const client = await dial(port());
          client.send(request);
          for (let i = 0; i < before; i += 1) t.match(await client.next(), { status: 200 });
          const answer = await client.next();
          t.match(answer, { status: 200, head: /connection: close/i });
          t.match(JSON.parse(answer?.body ?? 'null'), described);
          await client.closed();
        }
      },
    );

    await t.test('hands an Upgrade that nobody takes to the handler', async (t) => {
      const { client } = await start(t);
      client.send(getRequest('/', 'Connection: Upgrade', 'Upgrade: echo'));
      t.match(await client.next(), { status: 200, head: /connection: close/i });
      await client.closed();
    });

    await t.test('survives an error on a tunnel that nobody listens for', async (t) => {
      const tunnels: { destroy(error: Error): void }[] = [];
      const { client, memory } = await start(t, {}, { upgrade: (_, socket) => tunnels.push(socket) });
      client.send(getRequest('/', 'Connection: Upgrade', 'Upgrade: echo'));
      await untilTrue(() => tunnels.length === 1);
      tunnels[0]?.destroy(new Error('broken'));
      await memory.until(() => memory.closed.length === 1);
    });
  });

await t.test('HTTP/2', async (t) => {
  const start = async (t: Test, limits: Partial<ConnectionLimits> = {}, rest: Partial<FrontOptions> = {}) => {
    const started: TestFront = await testFront(t, { bindings: [{ clientCertificate: 'upFront' }], ...rest, limits });
    const session = connectHttp2(`https://127.0.0.1:${started.port()}`, {
      rejectUnauthorized: false,
      cert: alice.cert,
      key: alice.key,
    });
    session.on('error', () => {});
    t.teardown(() => session.destroy());
    return { ...started, session };
  };

  await t.test('requests know their connection, also those with Expect', async (t) => {
    const { session } = await start(t);
    const first = await ask(session, { ':path': '/1' });
    t.match(first, { alpn: 'h2', protocol: 'TLSv1.3', binding: 'upFront', presented: { how: 'upFront' } });
    t.same(first?.presented?.chain, [alice.der.toString('base64')]);
    t.equal((await ask(session, { ':path': '/2' }))?.id, first?.id);
    t.match(await ask(session, { ':path': '/3', expect: 'magic' }), { url: '/3' });
    t.match(await ask(session, { ':path': '/4', expect: '100-continue', ':method': 'POST' }, 'body'), { body: 'body' });
  });

  await t.test('a session that never sends a request is closed', async (t) => {
    const { session } = await start(t, { headersTimeout: ms(80) });
    await once(session, 'close');
    t.ok(session.destroyed);
  });

  await t.test('half a header block does not keep a session open, nor do PINGs', async (t) => {
    const { port, memory } = await start(t, { headersTimeout: ms(150) });
    const client = await talkTls(port(), { ALPNProtocols: ['h2'] });
    client.send(Buffer.concat([preface, frame(1, 1, 0, Buffer.from([0x82]))]));
    const pings = setInterval(() => client.send(frame(6, 0, 0, Buffer.alloc(8))), 20);
    t.teardown(() => clearInterval(pings));
    await client.closed();
    clearInterval(pings);
    t.ok(memory.closed.length > 0);
  });

  await t.test('a session without requests for too long is closed', async (t) => {
    const { session } = await start(t, { keepAliveTimeout: ms(60) });
    await ask(session, { ':path': '/' });
    await once(session, 'close');
    t.ok(session.destroyed);
  });

  await t.test('a session with a request is not closed by the keep-alive time-out', async (t) => {
    const held: (() => void)[] = [];
    const { session, port } = await start(
      t,
      { keepAliveTimeout: ms(200), headersTimeout: ms(200) },
      {
        handler: (request, response) => {
          if (request.url === '/held') held.push(() => describe(request, response));
          else describe(request, response);
        },
      },
    );
    const answer = ask(session, { ':path': '/held' });
    await untilTrue(() => held.length === 1);
    const other = await talkTls(port(), { ALPNProtocols: ['h2'] });
    await other.closed();
    held[0]?.();
    t.match(await answer, { url: '/held' });
  });

  await t.test('a request body that does not come in time is reset, the session lives', async (t) => {
    const { session } = await start(t, { requestTimeout: ms(80) });
    const stream = session.request({ ':path': '/', ':method': 'POST' });
    stream.on('error', () => {});
    stream.write('half');
    await once(stream, 'close');
    t.equal(stream.rstCode, http2.NGHTTP2_CANCEL);
    t.match(await ask(session, { ':path': '/after' }), { url: '/after' });
  });

  await t.test('a session without a byte in either direction is ended', async (t) => {
    const { session, memory } = await start(t, { idleTimeout: ms(80) }, { handler: silent });
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await memory.until(() => memory.closed.length === 1);
  });

  await t.test('streams beyond the maximum are refused', async (t) => {
    const seen: string[] = [];
    const handler: FrontOptions['handler'] = (request) => seen.push(request.url ?? '');
    const { session, port } = await start(t, { maximumStreams: 3 }, { handler });
    await once(session, 'remoteSettings');
    t.match(session.remoteSettings, {
      maxConcurrentStreams: 3,
      maxHeaderListSize: 16_384,
      enableConnectProtocol: false,
    });
    const client = await talkTls(port(), { ALPNProtocols: ['h2'] });
    const headers = (id: number) => frame(1, 5, id, requestBlock);
    client.send(preface);
    await untilTrue(() => framesOf(client.bytes()).some(({ type }) => type === 4));
    client.send(Buffer.concat([settingsAck, ...[1, 3, 5, 7].map(headers)]));
    await client.closed();
    const goaway = framesOf(client.bytes()).find(({ type }) => type === 7);
    t.equal(goaway?.payload.readUInt32BE(4), http2.NGHTTP2_PROTOCOL_ERROR);
    t.same(seen, ['/', '/', '/']);
  });

  await t.test('a flood of streams opened and reset ends the session (CVE-2023-44487)', async (t) => {
    const seen: string[] = [];
    const { port, memory } = await start(
      t,
      { maximumStreams: 20 },
      {
        handler: (request) => seen.push(request.url ?? ''),
      },
    );
    const client = await talkTls(port(), { ALPNProtocols: ['h2'] });
    const reset = Buffer.from([0, 0, 0, http2.NGHTTP2_CANCEL]);
    const flood = Array.from({ length: 2000 }, (_, i) => [
      frame(1, 5, 2 * i + 1, requestBlock),
      frame(3, 0, 2 * i + 1, reset),
    ]);
    client.send(Buffer.concat([preface, ...flood.flat()]));
    await client.closed();
    await memory.until(() => memory.closed.length === 1);
    t.ok(seen.length <= 41, `${seen.length} of 2000 reached the handler`);
    t.match(memory.refused, [{ reason: 'tooManyInFlight' }]);
    t.same(memory.acceptErrors, []);
  });

  await t.test('the same flood, but slow, ends the session as well', async (t) => {
    const { port, memory } = await start(t, { maximumStreams: 20 });
    const client = await talkTls(port(), { ALPNProtocols: ['h2'] });
    client.send(preface);
    const reset = Buffer.from([0, 0, 0, http2.NGHTTP2_CANCEL]);
    let id = 1;
    await untilTrue(() => {
      if (client.socket.writable) client.send(Buffer.concat([frame(1, 5, id, requestBlock), frame(3, 0, id, reset)]));
      id += 2;
      return memory.closed.length === 1;
    });
    t.same(memory.refused, []);
  });

  await t.test('a header beyond its bytes or its count is refused before the handler', async (t) => {
    const seen: string[] = [];
    const { session } = await start(
      t,
      { maximumHeaderBytes: 4096, maximumHeaderCount: 20 },
      {
        handler: (request, response) => {
          seen.push(request.url ?? '');
          describe(request, response);
        },
      },
    );
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, 'y']));
    t.match(await ask(session, { ':path': '/few', ...many(18) }), { url: '/few' });
    t.equal(await ask(session, { ':path': '/many', ...many(40) }), null);
    t.equal(await ask(session, { ':path': '/long', 'x-long': 'x'.repeat(9000) }), null);
    t.same(seen, ['/few']);
  });

  await t.test('only so many requests are served on one session', async (t) => {
    const { session } = await start(t, { maximumRequestsPerConnection: 2 });
    t.match(await ask(session, { ':path': '/1' }), { url: '/1' });
    t.match(await ask(session, { ':path': '/2' }), { url: '/2' });
    await once(session, 'close');
    t.ok(session.destroyed);
  });

  await t.test('ends gently when its streams are answered', async (t) => {
    const held: (() => void)[] = [];
    const { session, front } = await start(
      t,
      {},
      { handler: (request, response) => held.push(() => describe(request, response)) },
    );
    const answer = ask(session, { ':path': '/held' });
    await untilTrue(() => held.length === 1);
    for (const connection of front.connections()) connection.end('gently');
    held[0]?.();
    t.match(await answer, { url: '/held' });
    if (!session.closed) await once(session, 'close');
  });

  await t.test('ends at once', async (t) => {
    const { session, front, memory } = await start(t, {}, { handler: silent });
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await memory.until(() => memory.connections.length === 1);
    for (const connection of front.connections()) connection.end('atOnce');
    await memory.until(() => memory.closed.length === 1);
    if (!session.destroyed) await once(session, 'close');
  });

  await t.test('garbage after the handshake ends the connection', async (t) => {
    const { port, memory } = await start(t);
    const client = await talkTls(port(), { ALPNProtocols: ['h2'] });
    client.send('GET / HTTP/1.1\r\n\r\n');
    await client.closed();
    await memory.until(() => memory.closed.length === 1);
  });

  await t.test('CONNECT is not served', async (t) => {
    const { session } = await start(t, {}, { handler: () => t.fail('handled') });
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:443' });
    stream.on('error', () => {});
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status'?: number }];
    t.equal(headers[':status'], 405);
    stream.close();
  });
});

await t.test('starting', async (t) => {
  const tryStart = async (...bindings: Partial<BindingSettings>[]) =>
    startFront({
      bindings: await Promise.all(bindings.map(testBinding)),
      limits: generousLimits,
      handler: describe,
      events: {},
      secret: Buffer.alloc(32),
    });

  await t.test('fails with a reason, and leaves nothing open', async (t) => {
    const taken = createTcpServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    t.teardown(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const free = await freePort();
    await t.rejects(
      tryStart(
        { name: 'a', endpoint: address('127.0.0.1', free) },
        { name: 'b', endpoint: address('127.0.0.1', port) },
      ),
      { code: 'listen-failed', hint: /another process/, exitCode: 1, message: `cannot listen on 127.0.0.1:${port}` },
    );
    const again = await tryStart({ endpoint: address('127.0.0.1', free) });
    await again.close();
    await t.rejects(tryStart({ endpoint: address('192.0.2.1', 0) }), {
      code: 'listen-failed',
      hint: /no such address/,
    });
  });

  await t.test('fails on a certificate that cannot serve, and names the binding', async (t) => {
    const pki = await testPki();
    for (const certificate of [
      { cert: 'nonsense', key: 'nonsense' },
      { cert: pki.server.cert, key: pki.alice.key },
      { pfx: Buffer.from('nonsense'), passphrase: '' },
    ])
      await t.rejects(tryStart({ name: 'web', certificate }), { code: 'binding-certificate', message: /web/ });
    await t.rejects(tryStart({ disableTls12: true, disableTls13: true }), { code: 'binding-protocols' });
    await t.rejects(tryStart({}, {}), { code: 'binding-conflict' });
  });

  await t.test('listens on IPv6 for what it says', async (t) => {
    const front = await tryStart({ endpoint: address('::1', 0) }).catch(() => null);
    if (front === null) return t.comment('skipped: no IPv6 here');
    const port = front.addresses()[0]?.port ?? 0;
    t.match(front.addresses(), [{ address: '::1' }]);
    const client = await talkTls(port, { host: '::1' });
    t.match(await client.get('/'), { binding: 'never' });
    client.socket.destroy();
    await front.close();
    const all = await tryStart({ endpoint: address('::', 0) });
    const [error] = (await once(connectTcp({ port: all.addresses()[0]?.port ?? 0, host: '127.0.0.1' }), 'error')) as [
      Error,
    ];
    t.match(error, { code: 'ECONNREFUSED' }, 'the unspecified IPv6 address is not IPv4');
    await all.close();
  });

  await t.test('switches the delay of small packets off', async (t) => {
    const accepted: Socket[] = [];
    const note = (message: unknown) => accepted.push((message as { socket: Socket }).socket);
    const sockets = channel('net.server.socket');
    sockets.subscribe(note);
    t.teardown(() => sockets.unsubscribe(note));
    const { port } = await testFront(t, plain);
    const client = await talkTcp(port());
    await client.get('/');
    t.equal(hidden(accepted[0], 'kSetNoDelay'), true);
    client.socket.destroy();
  });

  await t.test('goes on when the system cannot accept for a while', async (t) => {
    const servers: Server[] = [];
    const listening = channel('tracing:net.server.listen:asyncStart');
    const note = (message: unknown) => servers.push((message as { server: Server }).server);
    listening.subscribe(note);
    const { port, memory } = await testFront(t, never);
    listening.unsubscribe(note);
    servers[0]?.emit('error', new Error('EMFILE'));
    t.match(memory.acceptErrors, [{ message: 'EMFILE' }]);
    const client = await talkTls(port());
    t.match(await client.get('/'), { binding: 'never' });
    client.socket.destroy();
  });
});

await t.test('stopping', async (t) => {
  await t.test('to accept leaves connections alone', async (t) => {
    const { port, front } = await testFront(t, never);
    const client = await talkTls(port());
    const at = port();
    front.stopAccepting();
    const [error] = (await once(connectTcp({ port: at, host: '127.0.0.1' }), 'error')) as [NodeJS.ErrnoException];
    t.equal(error.code, 'ECONNREFUSED');
    t.match(await client.get('/'), { binding: 'never' });
    client.socket.destroy();
  });

  await t.test('closes every socket, in whatever state, and can be asked twice', async (t) => {
    const { port, front, memory } = await testFront(t, {
      bindings: [...never.bindings, ...plain.bindings],
      handler: silent,
    });
    const at = port();
    const clients = [await talkTls(at), await talkTcp(at), await talkTcp(at), await talkTcp(port('plain'))];
    clients[0]?.send(getRequest('/'));
    clients[2]?.send(writeHello().subarray(0, 20));
    clients[3]?.send(getRequest('/'));
    await memory.until(() => memory.connections.length === 2);
    await front.close();
    await Promise.all(clients.map((client) => client.closed()));
    t.equal(memory.closed.length, 2);
    await front.close();
  });
});

await t.test('replacing bindings', async (t) => {
  await t.test('keeps listeners, ports and connections of what has not changed', async (t) => {
    const one = await testBinding({ name: 'one' });
    const { front, port, memory } = await testFront(t, { bindings: [one, { name: 'two' }] });
    const client = await talkTls(port('one'));
    await client.get('/');
    const gone = await talkTls(port('two'));
    await gone.get('/');
    const before = port('one');
    await front.replaceBindings([structuredClone(one), await testBinding({ name: 'three' })]);
    t.equal(port('one'), before);
    t.equal(port('two'), 0);
    await gone.closed();
    t.match(await client.get('/after'), { url: '/after' });
    const [connection] = front.connections();
    t.equal(front.bindingFor(null, '127.0.0.1', before), connection?.binding, 'still the very same binding');
    const third = await talkTls(port('three'));
    t.match(await third.get('/'), { binding: 'three' });
    t.equal(memory.closed.length, 1);
    for (const { socket } of [client, third]) socket.destroy();
  });

  await t.test('ends connections of what has changed, with their last answer, and serves new ones anew', async (t) => {
    const held: (() => void)[] = [];
    const one = await testBinding({ name: 'one', clientCertificate: 'never' });
    const { front, port } = await testFront(t, {
      bindings: [one],
      handler: (request, response) => {
        if (request.url === '/held') held.push(() => describe(request, response));
        else describe(request, response);
      },
    });
    const client = await talkTls(port(), { cert: alice.cert, key: alice.key });
    client.send(getRequest('/held'));
    await untilTrue(() => held.length === 1);
    await front.replaceBindings([{ ...one, clientCertificate: 'upFront', trustDigest: 'other' as Digest }]);
    held[0]?.();
    t.match(await client.next(), { status: 200, head: /connection: close/i });
    await client.closed();
    const next = await talkTls(port(), { cert: alice.cert, key: alice.key });
    t.match(await next.get('/'), { presented: { how: 'upFront' } });
    next.socket.destroy();
  });

  await t.test('does not let a handshake begun under the old binding become a connection', async (t) => {
    const one = await testBinding({ name: 'one' });
    const { front, port, memory } = await testFront(t, { bindings: [one] });
    let hold = false;
    const kept: Buffer[] = [];
    const wire = createTcpServer((client) => {
      const onward = connectTcp({ port: port(), host: '127.0.0.1' });
      onward.on('data', (bytes: Buffer) => {
        hold = true;
        client.write(bytes);
      });
      client.on('data', (bytes: Buffer) => {
        if (!hold) onward.write(bytes);
        else {
          kept.push(bytes);
          void front.replaceBindings([{ ...one, trustDigest: 'other' as Digest }]).then(() => onward.write(bytes));
        }
      });
      onward.on('close', () => client.destroy());
      client.on('error', () => onward.destroy());
      client.on('close', () => onward.destroy());
    });
    t.teardown(() => wire.close());
    wire.listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const client = talk(
      connectTls({ port: (wire.address() as AddressInfo).port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' }),
    );
    await client.closed();
    t.equal(kept.length, 1);
    t.same(memory.connections, []);
    const next = await talkTls(port());
    t.match(await next.get('/'), { binding: 'one' });
    next.socket.destroy();
  });

  await t.test('disposes of a former server when its last connection is gone, and not before', async (t) => {
    const one = await testBinding({ name: 'one', disableHttp2: true });
    let server: object | null = null;
    const { front, port, memory } = await testFront(t, {
      bindings: [one],
      handler: (request) => (server ??= (request.socket as Socket & { server: object }).server),
    });
    const client = await talkTls(port());
    client.send(getRequest('/'));
    await untilTrue(() => server !== null);
    await front.replaceBindings([{ ...one, trustDigest: 'other' as Digest }]);
    t.equal(checksTimeouts(server), true, 'a request still under way keeps its time-outs');
    client.socket.destroy();
    await memory.until(() => memory.closed.length === 1);
    await untilTrue(() => !checksTimeouts(server));
  });

  await t.test('changes nothing when it fails', async (t) => {
    const fixed = await freePort();
    const one = await testBinding({ name: 'one', endpoint: address('127.0.0.1', fixed) });
    const { front, memory } = await testFront(t, { bindings: [one] });
    const client = await talkTls(fixed);
    await client.get('/');
    const taken = createTcpServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    t.teardown(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const bad = await testBinding({ name: 'bad', endpoint: address('127.0.0.1', port) });
    const wide = await testBinding({ name: 'wide', endpoint: address('0.0.0.0', fixed) });
    const changed = { ...one, trustDigest: 'other' as Digest };
    for (const [attempt, code] of [
      [[changed, bad], 'listen-failed'],
      [[wide, bad], 'listen-failed'],
      [[changed, await testBinding({ certificate: { cert: 'nonsense', key: '' } })], 'binding-certificate'],
      [[changed, changed], 'binding-conflict'],
    ] as const) {
      await t.rejects(front.replaceBindings(attempt), { code });
      t.same(front.addresses(), [{ binding: 'one', address: '127.0.0.1', port: fixed }]);
      t.match(await client.get('/still'), { url: '/still' });
      const other = await talkTls(fixed);
      t.match(await other.get('/'), { binding: 'one' });
      other.socket.destroy();
    }
    await memory.until(() => memory.closed.length === memory.connections.length - 1);
    client.socket.destroy();
  });

  await t.test('disposes of the new servers when it fails', async (t) => {
    const { front } = await testFront(t, { bindings: [{ name: 'one' }] });
    const good = await testBinding({ name: 'good', disableHttp2: true });
    const bad = await testBinding({ name: 'bad', endpoint: address('192.0.2.1', 0), disableHttp2: true });
    const close = Reflect.get(NetServer.prototype, 'close');
    const calls = t.capture(NetServer.prototype, 'close', close);
    await t.rejects(front.replaceBindings([good, bad]), { code: 'listen-failed' });
    t.equal(calls().filter(({ receiver }) => (receiver as object) instanceof HttpsServer).length, 2);
  });

  await t.test('can widen an address and narrow it again', async (t) => {
    const fixed = await freePort();
    const narrow = await testBinding({ name: 'narrow', endpoint: address('127.0.0.1', fixed) });
    const wide = await testBinding({ name: 'wide', endpoint: address('0.0.0.0', fixed) });
    const { front } = await testFront(t, { bindings: [narrow] });
    for (const [bindings, host] of [
      [[narrow, wide], '127.0.0.4'],
      [[wide], '127.0.0.4'],
      [[narrow], '127.0.0.1'],
    ] as const) {
      await front.replaceBindings(bindings);
      const client = await talkTls(fixed, { host });
      t.match(await client.get('/'), { binding: bindings.at(-1)?.name });
      client.socket.destroy();
    }
  });

  await t.test('twice at once takes effect in order, and not after closing', async (t) => {
    const { front } = await testFront(t, { bindings: [{ name: 'one' }] });
    const [two, three] = [await testBinding({ name: 'two' }), await testBinding({ name: 'three' })];
    await Promise.all([front.replaceBindings([two]), front.replaceBindings([three])]);
    t.match(front.addresses(), [{ binding: 'three' }]);
    const late = front.replaceBindings([two]);
    front.stopAccepting();
    await late;
    t.same(front.addresses(), []);
  });
});

/** Hex of all that a server says to these bytes until it closes. */
async function received(port: number, bytes: Buffer): Promise<string> {
  const socket = connectTcp({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.write(bytes);
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  await once(socket, 'close');
  return Buffer.concat(parts).toString('hex');
}

/** Whether an HTTP server's own timer for header and request time-outs runs; Node shows it nowhere else. */
function checksTimeouts(server: object | null): boolean {
  const timer = hidden(server, 'http.server.connectionsCheckingInterval') as NodeJS.Timeout;
  return Reflect.get(timer, '_destroyed') === false;
}

/** What Node keeps under a symbol. */
function hidden(owner: object | null | undefined, description: string): unknown {
  const symbol = Object.getOwnPropertySymbols(owner ?? {}).find((each) => each.description === description);
  if (symbol === undefined) throw new Error(`this Node keeps ${description} elsewhere`);
  return (owner as Record<symbol, unknown>)[symbol];
}

/** A port that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createTcpServer();
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Null when the stream is reset instead of answered. */
async function ask(session: ClientHttp2Session, headers: Record<string, string>, body = ''): Promise<Described | null> {
  const stream: ClientHttp2Stream = session.request(headers, { endStream: body === '' });
  if (body !== '') stream.end(body);
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  stream.on('error', () => {});
  await new Promise<void>((resolve) => stream.once('close', () => resolve()));
  if (stream.rstCode !== 0 || parts.length === 0) return null;
  return JSON.parse(Buffer.concat(parts).toString()) as Described;
}

interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly payload: Buffer;
}

function framesOf(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    frames.push({
      type: bytes[at + 3] ?? 0,
      stream: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return frames;
}
