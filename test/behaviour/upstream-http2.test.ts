/**
 * HTTP/2 to servers: what they see of a request, what a client sees of an answer, whole or not, and what becomes of connections.
 */
import { createHash } from 'node:crypto';
import http from 'node:http';
import http2, { constants } from 'node:http2';
import net from 'node:net';
import { Readable } from 'node:stream';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { Http2Client } from '../../src/forward/http2-client.ts';
import { secondAttempt } from '../../src/forward/second-attempt.ts';
import { brokenStream, refusedStream } from '../../src/forward/http2-failure.ts';
import type { Answer, Ask } from '../support/bare-clients.ts';
import { ask, ask2, ms, until } from '../support/bare-clients.ts';
import { connectRaw, startRawBackend, type BareGateway } from '../support/bare-gateway.ts';
import type { Frame, FrameWire, Options } from '../support/http2-backend.ts';
import {
  frameType,
  gatewayTo,
  goaway,
  reset,
  startFrameBackend,
  startHttp2Backend,
  trust,
  withHttp2,
} from '../support/http2-backend.ts';
import { data, endStream, frame, headers } from '../support/http2-wire.ts';

t.jobs = 4; // side by side: many of them are about waiting

/** What the client saw: a verdict, `whole STATUS OCTETS`, or `broken`. */
async function outcomeOf(asked: Promise<Answer>): Promise<string> {
  try {
    const { status, headers: fields, body } = await asked;
    return String(fields['x-verdict'] ?? `whole ${status} ${body.length}`);
  } catch {
    return 'broken';
  }
}

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

const endless = (): Ask => {
  const body = new Readable({ read() {} });
  body.push('first');
  return { method: 'POST', body };
};

/** Answers each request once its head is there. */
async function withFrames(
  t: Test,
  onRequest: (wire: FrameWire, stream: number, connection: number, frame: Frame) => void,
  options: Options = {},
  settings: Buffer = Buffer.alloc(0),
) {
  const backend = await startFrameBackend(
    t,
    (wire, one, connection) => {
      if (one.type === frameType.headers) onRequest(wire, one.stream, connection, one);
    },
    settings,
  );
  return { backend, gateway: await gatewayTo(t, backend.origin, options) };
}

const okHead = (stream: number, more = false) => headers(stream, [[':status', '200']], more);
const okAnswer = (stream: number) => [okHead(stream, true), data(stream, 'ok')];
const ways: readonly (readonly [string, (gateway: BareGateway, what?: Ask) => Promise<Answer>])[] = [
  ['HTTP/1.1', ask],
  ['HTTP/2', (gateway, what) => ask2(gateway.h2(), what)],
];

void t.test('what the server sees of a request', async (t) => {
  for (const hostHeader of ['client', 'server'] as const) {
    const heads: (readonly string[])[] = [];
    const { gateway, backend } = await withHttp2(
      t,
      (request, response) => {
        heads.push(request.rawHeaders);
        response.end('ok');
      },
      {
        group: { hostHeader },
        // What nobody should get as far as this.
        change: (input) => ({
          ...input,
          headers: [...input.headers, 'TE', 'trailers', 'te', 'gzip', 'Proxy-Connection', 'x', 'HTTP2-Settings', 'x'],
        }),
      },
    );
    const fields = {
      host: 'www.example.test:8443',
      'X-Upper-Case': 'A',
      'x-octets': 'caf\u00e9',
      'X-Twice': ['1', '2'],
      cookie: 'a=1; b=2',
      te: 'trailers',
      connection: 'x-hop, keep-alive',
      'x-hop': 'gone',
      'if-none-match': '"x"',
    };
    const path = '/a%2Fb/;c=d?q=%20&r=/..';
    t.equal((await ask(gateway, { path, headers: fields })).body.toString(), 'ok');
    const authority = hostHeader === 'client' ? 'www.example.test:8443' : new URL(backend.origin).host;
    t.strictSame(heads[0], [
      ...[':method', 'GET', ':scheme', 'https', ':authority', authority, ':path', path],
      ...['x-upper-case', 'A', 'x-octets', 'caf\u00e9', 'x-twice', '1', 'x-twice', '2', 'cookie', 'a=1; b=2'],
      ...['if-none-match', '"x"', 'te', 'trailers'],
    ]);
    const crumbs = { cookie: ['a=1', 'b=2'] };
    t.equal((await ask2(gateway.h2(), { method: 'DELETE', headers: crumbs })).status, 200);
    t.match(heads[1]?.join(' '), /:method DELETE .*cookie a=1; b=2/);
    t.equal((await ask(gateway, { method: 'PROPFIND' })).status, 200);
    t.equal(backend.seen.handshakes, 1, 'one connection, and the handshake that made it');
    t.equal(backend.sessions.length, 1);
  }
});

void t.test('bodies and their lengths, both ways', async (t) => {
  const seen: { length: string | undefined; octets: number; sha256: string }[] = [];
  const { gateway, backend } = await withHttp2(t, (request, response) => {
    const hash = createHash('sha256');
    let octets = 0;
    request.on('data', (piece: Buffer) => {
      octets += piece.length;
      hash.update(piece);
      response.write(piece);
    });
    request.on('end', () => {
      seen.push({ length: request.headers['content-length'], octets, sha256: hash.digest('hex') });
      response.end();
    });
  });
  for (const size of [0, 1, 16_384, 65_536, 3_000_000]) {
    const body = Buffer.alloc(size, 'abcdefghi');
    const sha256 = createHash('sha256').update(body).digest('hex');
    for (const [name, way] of ways) {
      for (const length of [String(size), undefined]) {
        const fields = length === undefined ? {} : { 'content-length': length };
        const answer = await way(gateway, { method: 'POST', headers: fields, body: Readable.from([body]) });
        t.equal(answer.body.equals(body), true, `${name} ${size}`);
        // An empty body may come with its length although none was told.
        t.match(seen.at(-1), { octets: size, sha256 });
        if (size > 0) t.equal(seen.at(-1)?.length, length);
      }
    }
  }
  t.equal(backend.sessions.length, 1);
});

void t.test('who does not read is not written to', async (t) => {
  const flood = 64_000_000;
  const piece = Buffer.alloc(64_000, 'x');
  let written = 0;
  let go: (() => void) | undefined;
  let taken = 0;
  const { gateway } = await withHttp2(t, (request, response) => {
    if (request.method === 'POST') {
      go = () => {
        request.on('data', (octets: Buffer) => (taken += octets.length));
        request.on('end', () => response.end('ok'));
      };
      return;
    }
    const more = () => {
      while (written < flood) {
        written += piece.length;
        if (!response.write(piece)) return;
      }
      response.end();
    };
    response.on('drain', more);
    more();
  });
  const stream = gateway.h2().request({ ':path': '/' });
  stream.pause();
  const held = await standstill(() => written);
  t.ok(held < flood / 2, `${held} octets of ${flood} left the server`);
  let octets = 0;
  stream.on('data', (chunk: Buffer) => (octets += chunk.length)).resume();
  await new Promise((resolve) => stream.on('end', resolve));
  t.equal(octets, flood);

  let sent = 0;
  const body = Readable.from(
    (function* () {
      for (; sent < flood; sent += piece.length) yield piece;
    })(),
  );
  const asked = ask(gateway, { method: 'POST', body });
  const left = await standstill(() => sent);
  t.ok(left < flood / 2, `${left} octets of ${flood} left the client`);
  await until(() => go !== undefined);
  go?.();
  t.equal((await asked).body.toString(), 'ok');
  t.equal(taken, flood);
});

/** Polls until it has not changed for half a second: a busy machine can only make it too low. */
async function standstill(value: () => number): Promise<number> {
  let last = -1;
  for (let same = 0; same < 25; same += 1) {
    if (value() !== last || last === 0) same = 0;
    last = value();
    await pause(20);
  }
  return last;
}

void t.test('interim answers: 103 goes on, others do not, and endless ones are cut off', async (t) => {
  const { gateway } = await withHttp2(t, ({ stream, url }) => {
    const hint = (link: string) => stream.additionalHeaders({ ':status': 103, link });
    if (url === '/endless') for (let count = 0; count < 40; count += 1) hint('</x>');
    else {
      stream.additionalHeaders({ ':status': 102 });
      hint('</a.css>; rel=preload');
      hint('</b.css>; rel=preload');
    }
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  for (const [name, way] of ways) {
    const answer = await way(gateway);
    t.strictSame(answer.hints, ['103 </a.css>; rel=preload', '103 </b.css>; rel=preload'], name);
    t.equal(answer.body.toString(), 'ok');
    t.equal((await way(gateway, { path: '/endless' })).headers['x-verdict'], 'upstreamFailed');
  }
});

void t.test('answers that came whole before the request had ended', async (t) => {
  let closed = 0;
  const { gateway, backend } = await withHttp2(
    t,
    ({ stream, url }) => {
      stream.on('close', () => (closed += 1));
      stream.respond({ ':status': 413 });
      stream.end('no');
      if (url === '/reset') stream.on('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
    },
    { change: (input) => ({ ...input, limits: { ...input.limits, lingerTimeout: ms(50) } }) },
  );
  for (const path of ['/open', '/reset']) {
    for (const [name, way] of ways) {
      t.equal(await outcomeOf(way(gateway, { ...endless(), path })), 'whole 413 2', `${name} ${path}`);
      await until(() => gateway.upstream.stats.busy === 0);
    }
  }
  await until(() => closed === 4);
  t.equal(backend.sessions.length, 1, 'the connection is kept');
});

void t.test('an answer is whole when END_STREAM has come, and never by another end', async (t) => {
  const cases: readonly (readonly [string, (wire: FrameWire, stream: number) => void, RegExp])[] = [
    ['END_STREAM', (wire, stream) => wire.send(...okAnswer(stream)), /^whole 200 2$/],
    ['END_STREAM with the head', (wire, stream) => wire.send(okHead(stream)), /^whole 200 0$/],
    [
      'END_STREAM in a frame without octets',
      (wire, stream) => wire.send(okHead(stream, true), data(stream, 'ok', true), data(stream, '')),
      /^whole 200 2$/,
    ],
    [
      'END_STREAM with trailers',
      (wire, stream) => wire.send(okHead(stream, true), data(stream, 'ok', true), headers(stream, [['x-t', '1']])),
      /^whole 200 2$/,
    ],
    [
      'END_STREAM, then RST_STREAM with NO_ERROR',
      (wire, stream) => wire.send(...okAnswer(stream), reset(stream, 0)),
      /^whole 200 2$/,
    ],
    ...[0, 1, 2, 3, 5, 7, 8, 11, 13, 99].map(
      (code) =>
        [
          `RST_STREAM ${code} in the body`,
          (wire: FrameWire, stream: number) =>
            wire.send(okHead(stream, true), data(stream, 'half', true), reset(stream, code)),
          /^broken$/,
        ] as const,
    ),
    ...[0, 1, 2, 8, 11].map(
      (code) =>
        [
          `RST_STREAM ${code} before the answer`,
          (wire: FrameWire, stream: number) => wire.send(reset(stream, code)),
          /^upstreamFailed$/,
        ] as const,
    ),
    [
      'RST_STREAM 0 after the head',
      (wire, stream) => wire.send(okHead(stream, true), reset(stream, 0)),
      /^broken$|^upstreamFailed$/,
    ],
    [
      'the end of the connection',
      (wire, stream) => {
        wire.send(okHead(stream, true), data(stream, 'half', true));
        wire.end();
      },
      /^broken$/,
    ],
    [
      'GOAWAY and the end of the connection',
      (wire, stream) => {
        wire.send(okHead(stream, true), data(stream, 'half', true), goaway(stream));
        wire.end();
      },
      /^broken$/,
    ],
    [
      'GOAWAY with an error',
      (wire, stream) => wire.send(okHead(stream, true), data(stream, 'half', true), goaway(stream, 11)),
      /^broken$/,
    ],
    [
      'a length that is longer',
      (wire, stream) =>
        wire.send(
          headers(
            stream,
            [
              [':status', '200'],
              ['content-length', '5'],
            ],
            true,
          ),
          data(stream, 'half'),
        ),
      /^broken$/,
    ],
    [
      'a length that is shorter',
      (wire, stream) =>
        wire.send(
          headers(
            stream,
            [
              [':status', '200'],
              ['content-length', '3'],
            ],
            true,
          ),
          data(stream, 'half'),
        ),
      /^broken$/,
    ],
    [
      'two lengths',
      (wire, stream) =>
        wire.send(
          headers(
            stream,
            [
              [':status', '200'],
              ['content-length', '4'],
              ['content-length', '3'],
            ],
            true,
          ),
          data(stream, 'half'),
        ),
      /^upstreamFailed$/,
    ],
    ['no status', (wire, stream) => wire.send(headers(stream, [['x', 'y']])), /^upstreamFailed$/],
    [
      'Transfer-Encoding',
      (wire, stream) =>
        wire.send(
          headers(stream, [
            [':status', '200'],
            ['transfer-encoding', 'chunked'],
          ]),
        ),
      /^upstreamFailed$/,
    ],
    [
      'upper case',
      (wire, stream) =>
        wire.send(
          headers(stream, [
            [':status', '200'],
            ['X-A', 'b'],
          ]),
        ),
      /^upstreamFailed$/,
    ],
    ['101', (wire, stream) => wire.send(headers(stream, [[':status', '101']], true)), /^upstreamFailed$/],
    ['103 and the end', (wire, stream) => wire.send(headers(stream, [[':status', '103']])), /^upstreamFailed$/],
    ['a body without a head', (wire, stream) => wire.send(data(stream, 'half')), /^upstreamFailed$/],
    ['octets that are no frames', (wire) => void wire.socket.write('HTTP/1.1 200 OK\r\n\r\n'), /^upstreamFailed$/],
    [
      'a frame that is too long',
      (wire, stream) => wire.send(okHead(stream, true), frame('data', 0, stream, Buffer.alloc(20_000))),
      /^broken$|^upstreamFailed$/,
    ],
    [
      'a promise',
      (wire, stream) =>
        wire.send(Buffer.concat([Buffer.from([0, 0, 4, 5, 4, 0, 0, 0, stream]), Buffer.from([0, 0, 0, 2])])),
      /^upstreamFailed$/,
    ],
  ];
  for (const [title, script, outcome] of cases) {
    let good = false;
    const { gateway } = await withFrames(
      t,
      (wire, stream) => {
        if (good) wire.send(...okAnswer(stream));
        else script(wire, stream);
      },
      { upstream: { headersTimeout: ms(1500), bodyTimeout: ms(1500) } },
    );
    for (const [name, way] of ways) {
      for (const what of [{}, { method: 'POST', body: Buffer.from('x') }]) {
        t.match(await outcomeOf(way(gateway, what)), outcome, `${title}: ${name}`);
      }
    }
    await until(() => gateway.upstream.stats.busy === 0);
    good = true;
    for (const [name, way] of ways) t.equal(await outcomeOf(way(gateway)), 'whole 200 2', `${title}, then ${name}`);
  }
});

void t.test('HEAD, 204, 304 and trailers', async (t) => {
  const { gateway } = await withHttp2(t, ({ stream, url, method }, response) => {
    const status = Number(url.slice(1, 4));
    if (url.endsWith('trailers')) {
      stream.respond({ ':status': 200, trailer: 'x-sum' }, { waitForTrailers: true });
      response.addTrailers({ 'x-sum': '42' });
      stream.end('body');
    } else if (method === 'HEAD' || status !== 200) {
      const length = status === 204 ? {} : { 'content-length': 1234 };
      stream.respond({ ':status': status, ...length, etag: '"e"' }, { endStream: true });
    } else stream.end('x');
  });
  for (const [name, way] of ways) {
    t.match(await way(gateway, { method: 'HEAD', path: '/200' }), {
      status: 200,
      headers: { 'content-length': '1234', etag: '"e"' },
    });
    t.match(await way(gateway, { path: '/204' }), { status: 204, headers: { etag: '"e"' } });
    t.match(await way(gateway, { path: '/304' }), { status: 304, headers: { etag: '"e"' } });
    const { trailers, body } = await way(gateway, { path: '/200/trailers' });
    t.equal(body.toString(), 'body');
    t.strictSame(Object.entries(trailers), [['x-sum', '42']], name);
  }
  t.equal(gateway.upstream.stats.open, 1);
});

/** Sends a request of its own for each outcome, and says how often the server saw one. */
void t.test('what the server did not process goes elsewhere, once', async (t) => {
  const refusals: readonly (readonly [string, (wire: FrameWire, stream: number) => void])[] = [
    ['REFUSED_STREAM', (wire, stream) => wire.send(reset(stream, constants.NGHTTP2_REFUSED_STREAM))],
    ['GOAWAY with a lower stream', (wire, stream) => wire.send(goaway(Math.max(stream - 2, 0)))],
    ['GOAWAY with a lower stream and an error', (wire, stream) => wire.send(goaway(Math.max(stream - 2, 0), 2))],
  ];
  for (const [title, refuse] of refusals) {
    const echo = await startHttp2Backend(t, (_, response) => response.end('other'));
    let requests = 0;
    let refused = 1;
    const backend = await startFrameBackend(t, (wire, one) => {
      if (one.type !== frameType.headers) return;
      requests += 1;
      if (requests <= refused) refuse(wire, one.stream);
      else wire.send(...okAnswer(one.stream));
    });
    const alone = await gatewayTo(t, backend.origin);
    for (const method of ['GET', 'DELETE', 'POST', 'PATCH']) {
      requests = 0;
      t.equal((await ask(alone, { method })).body.toString(), 'ok', `${title}: ${method} at the same server`);
      t.equal(requests, 2);
    }
    requests = 0;
    refused = 2;
    t.equal(await outcomeOf(ask(alone, { method: 'POST' })), 'upstreamFailed', `${title}: not twice`);
    t.equal(requests, 2);
    requests = 0;
    refused = 1;
    const body = Buffer.from('read already');
    t.equal(await outcomeOf(ask(alone, { method: 'POST', body })), 'upstreamFailed', `${title}: not with a body`);
    t.equal(requests, 1);
    t.match(alone.upstream.stats, { busy: 0, queued: 0 });

    const both = await gatewayTo(t, backend.origin, { others: [{ origin: echo.origin }] });
    requests = 0;
    refused = 100;
    for (const method of ['POST', 'POST']) t.equal((await ask(both, { method })).body.toString(), 'other', title);
    t.equal(requests, 2, 'each goes there once');
    t.ok(
      both.group.states().every(({ healthy }) => healthy),
      'no server is lost by that',
    );
  }
});

void t.test('what may be sent once more', (t) => {
  const lost = Object.assign(new Error('x'), { code: 'UND_ERR_SOCKET' });
  const base = { method: 'GET', started: true, body: 'none', served: 1, refused: false } as const;
  t.equal(secondAttempt({ ...base, error: lost }), 'again');
  for (const change of [{ method: 'POST' }, { served: 0 }, { started: false }, { body: 'unread' }] as const)
    t.equal(secondAttempt({ ...base, error: lost, ...change }), 'none');
  for (const method of ['GET', 'POST'])
    for (const body of ['none', 'unread'] as const) {
      t.equal(secondAttempt({ ...base, error: refusedStream('x'), method, body }), 'elsewhere');
      t.equal(secondAttempt({ ...base, error: brokenStream(13), method, body }), 'http1');
      t.equal(secondAttempt({ ...base, error: brokenStream(8), method, body }), 'none');
    }
  for (const change of [{ refused: true }, { body: 'begun' }, { started: false }] as const) {
    t.equal(secondAttempt({ ...base, error: refusedStream('x'), ...change }), 'none');
    t.equal(secondAttempt({ ...base, error: brokenStream(13), ...change }), 'none');
  }
  t.end();
});

void t.test('a server that wants HTTP/1.1 for a request gets it', async (t) => {
  const versions: string[] = [];
  const { gateway, backend } = await withHttp2(t, (request, response) => {
    versions.push(request.httpVersion);
    if (request.httpVersion === '2.0') request.stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED);
    else response.end('ok');
  });
  t.equal((await ask(gateway, { method: 'DELETE' })).body.toString(), 'ok');
  t.strictSame(versions, ['2.0', '1.1']);
  t.equal((await ask(gateway)).body.toString(), 'ok', 'and the connection serves on');
  t.strictSame(versions, ['2.0', '1.1', '1.1']);
  t.equal(backend.seen.handshakes, 2);
  await until(() => backend.sockets.size === 1);
});

void t.test('GOAWAY in use: the answer comes whole, and the next request has a new connection', async (t) => {
  const { gateway, backend } = await withHttp2(t, ({ stream }) => {
    stream.respond({ ':status': 200 });
    stream.write('first');
    stream.session?.goaway();
    setTimeout(() => stream.end('last'), 50);
  });
  for (let count = 1; count <= 3; count += 1) {
    t.equal((await ask(gateway)).body.toString(), 'firstlast');
    t.equal(backend.sessions.length, count);
    await until(() => gateway.upstream.stats.open === 0);
  }
  await until(() => backend.sockets.size === 0);
});

void t.test('a connection that ends before a slow client has read takes nothing with it', async (t) => {
  const size = 200_000;
  const { backend, gateway } = await withFrames(t, (wire, stream) => {
    wire.send(okHead(stream, true));
    for (let sent = 0; sent < size; sent += 10_000) wire.send(data(stream, 'x'.repeat(10_000), sent + 10_000 < size));
    wire.send(goaway(stream));
    wire.end();
  });
  for (let count = 0; count < 5; count += 1) {
    const stream = gateway.h2().request({ ':path': '/' });
    stream.pause();
    await until(() => backend.wires.length === count + 1 && backend.wires[count]?.socket.destroyed === true);
    await pause(50);
    let octets = 0;
    stream.on('data', (piece: Buffer) => (octets += piece.length)).resume();
    stream.on('error', () => {});
    await new Promise((resolve) => stream.on('close', resolve));
    t.equal(octets, size);
    t.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  }
});

void t.test('a client that leaves ends its request with CANCEL, and the connection stays', async (t) => {
  const ends: { code: number | undefined; whole: boolean }[] = [];
  const { gateway, backend } = await withHttp2(t, (request, response) => {
    const { stream } = request;
    let whole = false;
    request.on('end', () => (whole = !stream.aborted && stream.rstCode === 0));
    request.on('data', () => {});
    stream.on('close', () => ends.push({ code: stream.rstCode, whole }));
    if (request.url === '/answering') response.write('x'.repeat(500_000));
    else if (request.url === '/ok') response.end('y'.repeat(1_000_000));
  });
  const leave = async (head: string) => {
    const before = backend.streams.length;
    const { socket } = connectRaw(gateway.port, `${head}Host: a\r\n\r\n`);
    if (head.startsWith('POST')) socket.write('5\r\nfirst\r\n');
    await until(() => backend.streams.length === before + 1);
    await pause(10);
    socket.destroy();
    await until(() => ends.length === backend.streams.length);
    t.equal(ends.at(-1)?.code, constants.NGHTTP2_CANCEL, head);
  };
  for (let count = 0; count < 10; count += 1) {
    await leave('GET /silent HTTP/1.1\r\n');
    await leave('GET /answering HTTP/1.1\r\n');
    await leave('POST /silent HTTP/1.1\r\nTransfer-Encoding: chunked\r\n');
    t.equal(ends.at(-1)?.whole, false, 'half a request never looks whole');
  }
  await until(() => gateway.upstream.stats.busy === 0);
  t.match(gateway.upstream.stats, { open: 1, busy: 0 });
  t.equal((await ask(gateway, { path: '/ok' })).body.length, 1_000_000, 'and its window is whole');
  t.equal(backend.sessions.length, 1);
  t.ok((await gateway.result(0)).kind === 'aborted');
});

void t.test('half a request is cut off over HTTP/2 when its body is refused', async (t) => {
  const frames: Frame[] = [];
  const backend = await startFrameBackend(t, (_, one) => void frames.push(one));
  const gateway = await gatewayTo(t, backend.origin, {
    change: (input) => ({ ...input, limits: { ...input.limits, maximumBody: 10 } }),
  });
  for (const [name, way] of ways) {
    frames.length = 0;
    const body = new Readable({ read() {} });
    body.push('12345');
    const asked = outcomeOf(way(gateway, { method: 'POST', body }));
    await until(() => frames.some(({ type }) => type === frameType.data));
    body.push('6789012345');
    t.match(await asked, /^bodyTooLarge$|^broken$/, name);
    await until(() => frames.some(({ type }) => type === frameType.reset));
    t.notOk(
      frames.some(({ type, flags }) => type <= 1 && (flags & endStream) !== 0),
      'no END_STREAM',
    );
    t.equal(frames.find(({ type }) => type === frameType.reset)?.payload.readUInt32BE(), constants.NGHTTP2_CANCEL);
  }
});

void t.test('an answer’s head that is too large', async (t) => {
  const { gateway } = await withHttp2(
    t,
    ({ stream, url }) => {
      const [, kind, number = '0'] = url.split('/');
      const count = Number(number);
      if (kind === 'octets') stream.respond({ ':status': 200, 'x-long': 'x'.repeat(count) });
      else {
        const fields = Array.from({ length: count }, (_, index) => [`x-${index}`, 'v']).flat();
        stream.respond([':status', '200', ...fields]);
      }
      stream.end('ok');
    },
    {},
    { maxSendHeaderBlockLength: 1_000_000 },
  );
  for (const way of [ask]) {
    t.equal(await outcomeOf(way(gateway, { path: '/octets/12000' })), 'whole 200 2');
    t.equal(await outcomeOf(way(gateway, { path: '/fields/300' })), 'whole 200 2');
    for (const path of ['/octets/70000', '/fields/3000'])
      t.equal(await outcomeOf(way(gateway, { path })), 'upstreamFailed', path);
    t.equal(await outcomeOf(way(gateway, { path: '/octets/10' })), 'whole 200 2');
  }
});

void t.test('a server that takes HTTP/1.1 gets it over the connection to which HTTP/2 was offered', async (t) => {
  const versions: string[] = [];
  const offered: string[][] = [];
  const backend = await startHttp2Backend(
    t,
    (request, response) => {
      versions.push(request.httpVersion);
      request.resume();
      request.on('end', () => response.end('ok'));
    },
    {
      ALPNCallback: ({ protocols }) => {
        offered.push([...protocols]);
        return 'http/1.1';
      },
    },
  );
  const gateway = await gatewayTo(t, backend.origin);
  for (let count = 0; count < 3; count += 1)
    t.equal((await ask(gateway, { method: 'POST', body: Buffer.from('x') })).body.toString(), 'ok');
  t.strictSame(versions, ['1.1', '1.1', '1.1']);
  t.strictSame(offered, [['h2', 'http/1.1']]);
  t.match(gateway.upstream.stats, { open: 1, busy: 0 });
  for (const socket of backend.sockets) socket.destroy();
  await until(() => gateway.upstream.stats.open === 0);
  t.equal((await ask(gateway)).body.toString(), 'ok');
  t.equal(offered.length, 2);
});

void t.test('what authenticates a connection, upgrades and the PROXY protocol stay on HTTP/1.1', async (t) => {
  const versions: string[] = [];
  const offered: string[][] = [];
  const backend = await startHttp2Backend(
    t,
    (request, response) => {
      versions.push(request.httpVersion);
      if (request.url === '/asks') response.setHeader('www-authenticate', 'Negotiate');
      response.statusCode = request.url === '/asks' ? 401 : 200;
      response.end('ok');
    },
    {
      ALPNCallback: ({ protocols }) => {
        offered.push([...protocols]);
        return protocols.includes('h2') ? 'h2' : 'http/1.1';
      },
    },
  );
  const gateway = await gatewayTo(t, backend.origin, {
    change: (input) =>
      input.path === '/upgrade'
        ? { ...input, upgrade: { offer: { protocol: 'websocket' } } as NonNullable<typeof input.upgrade> }
        : input,
  });
  t.equal((await ask(gateway)).body.toString(), 'ok');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  t.equal((await ask(gateway, { path: '/asks', agent })).status, 401);
  for (let count = 0; count < 2; count += 1)
    t.equal((await ask(gateway, { agent, headers: { authorization: 'Negotiate YII' } })).status, 200);
  t.equal((await ask(gateway, { agent })).status, 200, 'the rest of that client’s as well');
  t.strictSame(versions, ['2.0', '2.0', '1.1', '1.1', '1.1']);
  t.strictSame(offered, [['h2', 'http/1.1'], ['http/1.1']], 'to that connection HTTP/2 was not offered');
  t.equal((await ask(gateway)).status, 200);
  t.equal(versions.at(-1), '2.0', 'others go on over HTTP/2');

  t.equal((await ask(gateway, { path: '/upgrade' })).status, 200);
  t.equal(versions.at(-1), '1.1');

  const direct = await gatewayTo(t, backend.origin, {
    change: (input) => ({ ...input, headers: [...input.headers, 'Authorization', 'NTLM TlRM'] }),
  });
  t.equal((await ask(direct)).status, 200);
  t.equal(versions.at(-1), '1.1', 'credentials that come with the first request');

  const heads: string[] = [];
  const relay = await startRelay(t, backend.origin, heads);
  const proxied = await gatewayTo(t, relay, { upstream: { proxyProtocol: 'v1' } });
  t.equal((await ask(proxied)).status, 200);
  t.match(heads[0], /^PROXY TCP4 /);
  t.equal(versions.at(-1), '1.1');
});

/** Takes a PROXY line off. */
async function startRelay(t: Test, origin: string, heads: string[]): Promise<string> {
  const relay = await startRawBackend((socket) => {
    socket.once('readable', () => {
      const first = socket.read() as Buffer;
      const length = first.indexOf('\r\n') + 2;
      heads.push(first.subarray(0, length).toString('latin1'));
      socket.unshift(first.subarray(length));
      const inner = net.connect(Number(new URL(origin).port), '127.0.0.1');
      inner.on('error', () => {});
      inner.on('close', () => socket.destroy());
      socket.on('close', () => inner.destroy());
      socket.pipe(inner).pipe(socket);
    });
  });
  t.teardown(() => relay.stop());
  return relay.origin.replace('http:', 'https:');
}

void t.test('time-outs have the names that they have over HTTP/1.1', async (t) => {
  const { gateway, backend } = await withHttp2(
    t,
    (request, response) => {
      request.resume();
      const type = request.url === '/events' ? 'text/event-stream' : 'text/plain';
      if (request.url === '/head') return;
      if (request.url === '/slow') {
        request.on('end', () => response.end('heard'));
        return;
      }
      response.writeHead(200, { 'content-type': type });
      response.write('half');
      if (request.url === '/events') setTimeout(() => response.end('!'), 900);
    },
    { upstream: { headersTimeout: ms(400), bodyTimeout: ms(400) } },
  );
  for (const [name, way] of ways) {
    t.equal(await outcomeOf(way(gateway, { path: '/head' })), 'upstreamTimeout', name);
    await until(() => backend.sockets.size === 0); // who is silent is not asked again on the same connection
    t.equal(await outcomeOf(way(gateway, { path: '/body' })), 'broken', name);
    t.equal(await outcomeOf(way(gateway, { path: '/events' })), 'whole 200 5', name);
    const body = Buffer.from('x');
    t.equal(await outcomeOf(way(gateway, { path: '/head', method: 'POST', body })), 'upstreamTimeout', name);
  }
  t.match(
    gateway.results.filter(({ kind }) => kind === 'refused'),
    [{ verdict: { detail: /UND_ERR_HEADERS_TIMEOUT/ } }],
  );
  t.match(
    gateway.results.filter(({ kind }) => kind === 'aborted'),
    [{ by: 'upstream', reason: /the answer stopped in the middle/ }],
  );
  // A client that is slow with its body is no silence of the server.
  const slow = new Readable({ read() {} });
  slow.push('first');
  const asked = outcomeOf(ask(gateway, { path: '/slow', method: 'POST', body: slow }));
  await pause(900);
  slow.push(null);
  t.equal(await asked, 'whole 200 5', 'however long it takes');
  await until(() => gateway.upstream.stats.busy === 0);
  await until(() => backend.sockets.size <= 1);

  // SETTINGS_MAX_CONCURRENT_STREAMS 0, and a window of 0: a server that takes nothing holds nobody.
  for (const settings of [Buffer.from([0, 3, 0, 0, 0, 0]), Buffer.from([0, 4, 0, 0, 0, 0])]) {
    const stuck = await startFrameBackend(t, () => {}, settings);
    const before = await gatewayTo(t, stuck.origin, { upstream: { headersTimeout: ms(200) } });
    for (let count = 0; count < 2; count += 1) {
      const body = Buffer.alloc(500_000);
      t.equal(await outcomeOf(ask(before, { method: 'POST', body })), 'upstreamTimeout');
      t.equal(await outcomeOf(ask(before)), 'upstreamTimeout');
    }
    await until(() => stuck.wires.every(({ socket }) => socket.destroyed));
  }
  const silent = await startRawBackend((socket) => socket.resume());
  t.teardown(() => silent.stop());
  const nowhere = await gatewayTo(t, silent.origin.replace('http:', 'https:'), {
    upstream: { connectTimeout: ms(100) },
  });
  t.equal(await outcomeOf(ask(nowhere)), 'upstreamTimeout');
});

void t.test('idle connections are closed by us, and by the server without harm', async (t) => {
  const { gateway, backend } = await withHttp2(t, (_, response) => response.end('ok'));
  t.equal((await ask(gateway)).body.toString(), 'ok');
  t.match(gateway.upstream.stats, { open: 1, busy: 0 });
  while (gateway.upstream.stats.open > 0) await pause(50);
  await until(() => backend.sockets.size === 0);
  for (const act of [
    (session: http2.ServerHttp2Session) => session.close(),
    (session: http2.ServerHttp2Session) => session.destroy(),
    (session: http2.ServerHttp2Session) => session.goaway(),
  ]) {
    t.equal((await ask(gateway)).body.toString(), 'ok');
    const session = backend.sessions.at(-1);
    if (session !== undefined) act(session);
    await until(() => gateway.upstream.stats.open === 0);
    t.equal((await ask(gateway)).body.toString(), 'ok');
    backend.sessions.at(-1)?.destroy();
    await until(() => gateway.upstream.stats.open === 0);
  }
});

void t.test('a server that goes away and does not leave, or takes nothing, keeps no connection open', async (t) => {
  const backend = await startFrameBackend(
    t,
    (wire, { type, stream }) => {
      if (type !== frameType.headers) return;
      wire.send(...okAnswer(stream));
      setTimeout(() => wire.send(goaway(stream)), 50);
    },
    Buffer.alloc(0),
    { allowHalfOpen: true },
  );
  const gateway = await gatewayTo(t, backend.origin);
  t.equal((await ask(gateway)).body.toString(), 'ok');
  await until(() => gateway.upstream.stats.open === 0);

  // It gives all the window there is, so that what it does not read fills the buffers of the system.
  const stuck = await startFrameBackend(
    t,
    (wire, { type }) => {
      if (type !== frameType.headers) return;
      wire.send(frame('window', 0, 0, Buffer.from([0x7f, 0, 0, 0])));
      wire.socket.pause();
    },
    Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]),
  );
  const socket = tls.connect({
    ...{ port: Number(new URL(stuck.origin).port), host: '127.0.0.1', ALPNProtocols: ['h2'] },
    ...{ ca: trust.ca, servername: trust.serverName },
  });
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  let ends = 0;
  const onEnd = () => (ends += 1);
  const facts = { origin: stuck.origin, headersTimeout: 0, longestIdle: 1000, maximumHead: 1000, onEnd };
  const client = new Http2Client(socket, facts);
  const failures: string[] = [];
  const body = Readable.from([Buffer.alloc(40_000_000)]);
  const onResponseError = (_: unknown, error: Error) => void failures.push(error.message);
  client.dispatch({ method: 'POST', path: '/', headers: [], body }, { onResponseError });
  await until(() => stuck.wires[0]?.socket.isPaused() === true);
  await pause(100);
  client.destroy(new Error('enough'));
  await until(() => socket.destroyed);
  t.strictSame(failures, ['enough']);
  t.equal(ends, 1);
});

void t.test('a kept connection that is lost when it is used again is made anew', async (t) => {
  let lost = 0;
  const { gateway } = await withFrames(t, (wire, stream, connection) => {
    if (connection === 0 && stream > 1) {
      lost += 1;
      wire.socket.destroy();
    } else wire.send(...okAnswer(stream));
  });
  t.equal((await ask(gateway)).body.toString(), 'ok');
  t.equal((await ask(gateway)).body.toString(), 'ok');
  t.equal(lost, 1);
});

void t.test('a server that cannot be reached is lost, and the next one has the request', async (t) => {
  const dead = await startRawBackend(() => {});
  await dead.stop();
  const refusing = await startRawBackend((socket) => void socket.destroy());
  t.teardown(() => refusing.stop());
  const failed: string[] = [];
  const other = await startHttp2Backend(t, (request, response) => request.pipe(response));
  const origins = [dead, refusing].map(({ origin }) => origin.replace('http:', 'https:'));
  const gateway = await gatewayTo(t, origins[0] ?? '', {
    others: [{ origin: origins[1] ?? '' }, { origin: other.origin }],
    events: { connectFailed: (origin) => failed.push(origin) },
  });
  const answer = await ask(gateway, { method: 'POST', body: Buffer.from('whole') });
  t.equal(answer.body.toString(), 'whole');
  t.strictSame(failed, origins);
  for (const { stats } of gateway.group.servers) t.match(stats, { busy: 0, queued: 0 });
});

void t.test('after 2,000 requests to a server that does everything wrong nothing is left', async (t) => {
  const half = (stream: number) => [okHead(stream, true), data(stream, 'half', true)];
  const scripts: readonly ((wire: FrameWire, stream: number) => void)[] = [
    (wire, stream) => wire.send(...okAnswer(stream)),
    (wire, stream) => wire.send(...half(stream), reset(stream, 0)),
    (wire, stream) => wire.send(...half(stream), reset(stream, 8)),
    (wire, stream) => wire.send(reset(stream, 7)),
    (wire, stream) => wire.send(reset(stream, 2)),
    (wire, stream) => wire.send(goaway(Math.max(stream - 2, 0))),
    (wire, stream) => wire.send(...half(stream), goaway(stream, 11)),
    (wire, stream) => wire.send(...okAnswer(stream), goaway(stream)),
    (wire) => void wire.socket.destroy(),
    (wire, stream) => {
      wire.send(...half(stream));
      wire.end();
    },
    (wire) => void wire.socket.write('HTTP/1.1 200 OK\r\n\r\n'),
    (wire, stream) => wire.send(headers(stream, [['x', 'y']])),
  ];
  const connections = { made: 0, ended: 0 };
  let picked = 0;
  const silent = scripts.length;
  const { gateway, backend } = await withFrames(
    t,
    (wire, stream) => {
      picked += 1;
      // Silence takes a fifth of a second each time; a few are enough.
      const at = picked % 100 === 0 ? silent : (picked * 7) % scripts.length;
      scripts[at]?.(wire, stream);
    },
    {
      upstream: { headersTimeout: ms(200), bodyTimeout: ms(200), maximumConnections: 8 },
      events: { connected: () => (connections.made += 1), disconnected: () => (connections.ended += 1) },
    },
  );
  const session = gateway.h2();
  await outcomeOf(ask2(session));
  const outcomes = new Map<string, number>();
  let next = 0;
  const one = async (index: number) => {
    const body = index % 3 === 0 ? { method: 'POST', body: Buffer.from('x') } : {};
    if (index % 10 === 0) {
      const stream = session.request({ ':path': '/' });
      stream.on('error', () => {}).resume();
      setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), index % 7);
      await new Promise((resolve) => stream.on('close', resolve));
      return;
    }
    const outcome = await outcomeOf(index % 2 === 0 ? ask(gateway, body) : ask2(session, body));
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  };
  const worker = async () => {
    while (next < 2000) await one(next++);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  t.strictSame(
    [...outcomes.keys()].filter((outcome) => !/^(?:whole 200 2|broken|upstream(?:Failed|Timeout))$/.test(outcome)),
    [],
  );
  for (const wanted of ['whole 200 2', 'broken', 'upstreamFailed', 'upstreamTimeout'])
    t.ok((outcomes.get(wanted) ?? 0) > 0, `${wanted}: ${outcomes.get(wanted) ?? 0}`);
  await until(() => gateway.upstream.stats.busy === 0);
  while (gateway.upstream.stats.open > 0) await pause(50);
  // Each connection has ended at both ends, and by the gateway's doing where the server left it open.
  while (!backend.wires.every(({ socket }) => socket.destroyed)) await pause(50);
  t.equal(connections.made, backend.wires.length);
  t.equal(connections.ended, backend.wires.length);
  t.match(gateway.upstream.stats, { open: 0, busy: 0, queued: 0 });
});

void t.test('closing waits for answers, destroying does not', async (t) => {
  const { gateway, backend } = await withHttp2(t, ({ stream }) => {
    stream.respond({ ':status': 200 });
    stream.write('first');
    setTimeout(() => stream.destroyed || stream.end('last'), 100);
  });
  const asked = ask(gateway);
  await until(() => backend.streams.length === 1);
  const closing = gateway.upstream.close();
  t.equal((await asked).body.toString(), 'firstlast');
  await closing;
  await until(() => backend.sockets.size === 0);
  const second = await withHttp2(t, ({ stream }) => {
    stream.respond({ ':status': 200 });
    stream.write('first');
  });
  const cut = outcomeOf(ask(second.gateway));
  await until(() => second.backend.streams.length === 1);
  await second.gateway.upstream.destroy();
  t.match(await cut, /^broken$|^upstreamFailed$/);
  await until(() => second.backend.sockets.size === 0);
});

void t.test('through the gateway and directly: the same answers', async (t) => {
  const { gateway, backend } = await withHttp2(t, (request, response) => {
    const url = new URL(request.url, 'http://x');
    const status = Number(url.searchParams.get('status') ?? 200);
    const size = Number(url.searchParams.get('size') ?? 0);
    const hash = createHash('sha256');
    request.on('data', (piece: Buffer) => hash.update(piece));
    request.on('end', () => {
      const fields: string[] = [':status', String(status), 'x-method', request.method, 'x-path', request.url];
      fields.push('x-body', hash.digest('hex'), 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'x-octets', 'caf\u00e9');
      fields.push('x-empty', '', 'cache-control', 'private');
      if (url.searchParams.has('length')) fields.push('content-length', String(size));
      const { stream } = response;
      const bare = request.method === 'HEAD' || status === 204 || status === 304;
      const trailers = url.searchParams.has('trailers') && !bare;
      stream.respond(fields, { endStream: bare, waitForTrailers: trailers });
      if (trailers) response.addTrailers({ 'x-sum': '1', 'x-more': 'a, b' });
      if (!bare) stream.end(Buffer.alloc(size, 'pattern of octets '));
    });
  });
  const direct = http2.connect(backend.origin, { ...trust, servername: trust.serverName });
  direct.on('error', () => {});
  t.teardown(() => direct.destroy());
  const session = gateway.h2();
  const shapes: Ask[] = [];
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'X-OWN'])
    for (const size of [0, 1, 100_000]) {
      const body = ['POST', 'PUT', 'PATCH', 'PROPFIND'].includes(method) ? { body: Buffer.alloc(size, 'b') } : {};
      shapes.push({ method, path: `/s?size=${size}`, ...body }, { method, path: `/s?size=${size}&length=1`, ...body });
    }
  for (const status of [200, 201, 202, 203, 206, 301, 302, 307, 400, 401, 403, 404, 409, 418, 429, 500, 503, 599])
    shapes.push({ path: `/t?status=${status}&size=10` });
  shapes.push({ path: '/u?status=204' }, { path: '/u?status=304' }, { path: '/u?size=5&trailers=1' });
  t.ok(shapes.length >= 60);
  const view = ({ status, headers: fields, body, trailers }: Answer) => {
    const { date: _, 'x-request-id': __, ...rest } = fields as Record<string, unknown>;
    return {
      status,
      fields: Object.entries(rest).filter(([name]) => name !== 'trailer'),
      body: createHash('sha256').update(body).digest('hex'),
      trailers: Object.entries(trailers),
    };
  };
  for (const shape of shapes) {
    const wanted = view(await ask2(direct, shape));
    t.strictSame(view(await ask2(session, shape)), wanted, `${shape.method ?? 'GET'} ${shape.path ?? ''}`);
  }
  t.equal(backend.sessions.length, 2);
});
