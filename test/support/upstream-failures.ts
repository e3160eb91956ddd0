/**
 * What servers do wrong, as scripts of octets, what a client may see of it, and a run of many requests over a mix of all of it that counts
 * what is left behind.
 */
import http from 'node:http';
import http2 from 'node:http2';
import type net from 'node:net';
import { answering, ms, ok } from './bare-clients.ts';
import { startBareGateway, startRawBackend } from './bare-gateway.ts';

export interface Failure {
  readonly title: string;
  /** Called for each connection; it may read or not. */
  readonly script: (socket: net.Socket) => void;
  /** Verdict, `whole STATUS OCTETS`, or `broken`. */
  readonly outcome: RegExp;
  /** Only to be seen over https: the server never gets as far as TLS. */
  readonly tls?: boolean;
  /** The answer comes before the request has ended. */
  readonly whileSending?: boolean;
}

/** Answers once there is a first piece of a request. */
const once = (act: (socket: net.Socket) => void) => (socket: net.Socket) => void socket.once('data', () => act(socket));
const says = (text: string) => once((socket) => void socket.write(text, 'latin1'));
const saysAndEnds = (text: string) => once((socket) => void socket.end(text, 'latin1'));
const long = 'x'.repeat(70_000);
const head = 'HTTP/1.1 200 OK\r\n';

const failed = /^upstreamFailed$/;
const timeout = /^upstreamTimeout$/;
const broken = /^broken$/;

export const failures: readonly Failure[] = [
  { title: 'accepts and is silent, before TLS', tls: true, outcome: timeout, script: (socket) => void socket.resume() },
  {
    title: 'closes at once, before TLS',
    tls: true,
    outcome: /^upstreamUnavailable$/,
    script: (socket) => void socket.destroy(),
  },
  {
    title: 'speaks no TLS',
    tls: true,
    outcome: /^upstreamUnavailable$/,
    script: says('HTTP/1.1 400 Bad Request\r\n\r\n'),
  },
  { title: 'closes at once', outcome: failed, script: (socket) => void socket.end() },
  {
    title: 'resets at once',
    outcome: /^upstream(?:Failed|Unavailable)$/,
    script: (socket) => void socket.resetAndDestroy(),
  },
  { title: 'closes when it is asked', outcome: failed, script: once((socket) => void socket.end()) },
  { title: 'resets when it is asked', outcome: failed, script: once((socket) => void socket.resetAndDestroy()) },
  { title: 'is silent', outcome: timeout, script: once(() => {}) },
  { title: 'is silent in its head', outcome: timeout, script: says('HTTP/1.1 200 OK\r\nX-A: ') },
  { title: 'closes in its head', outcome: failed, script: saysAndEnds('HTTP/1.1 200 OK\r\nX-A: ') },
  {
    title: 'resets in its head',
    outcome: failed,
    script: once((socket) => socket.write('HTTP/1.1 2', () => socket.resetAndDestroy())),
  },
  { title: 'is silent in its body', outcome: broken, script: says(`${head}Content-Length: 20\r\n\r\nhalf`) },
  {
    title: 'is silent in its chunks',
    outcome: broken,
    script: says(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`),
  },
  { title: 'closes in its body', outcome: broken, script: saysAndEnds(`${head}Content-Length: 20\r\n\r\nhalf`) },
  {
    title: 'closes in its chunks',
    outcome: broken,
    script: saysAndEnds(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`),
  },
  {
    title: 'closes before the last chunk',
    outcome: broken,
    script: saysAndEnds(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n`),
  },
  {
    title: 'resets in its body',
    outcome: /^broken$|^upstreamFailed$/, // a reset may overtake what came before it
    script: once((socket) => socket.write(`${head}Content-Length: 20\r\n\r\nhalf`, () => socket.resetAndDestroy())),
  },
  { title: 'says what is no HTTP', outcome: failed, script: says('\x16\x03\x01 hello\r\n\r\n') },
  { title: 'says nothing but line ends, and closes', outcome: failed, script: saysAndEnds('\r\n\r\n\r\n') },
  { title: 'speaks HTTP/2', outcome: failed, script: says('\0\0\0\x04\0\0\0\0\0') },
  { title: 'speaks HTTP/0.9', outcome: failed, script: saysAndEnds('<html>hello</html>') },
  { title: 'says a status that is none', outcome: failed, script: says('HTTP/1.1 099 X\r\n\r\n') },
  { title: 'says a status of letters', outcome: failed, script: says('HTTP/1.1 abc X\r\n\r\n') },
  { title: 'says another protocol', outcome: failed, script: says('ICY 200 OK\r\n\r\n') },
  { title: 'has a blank in a field name', outcome: failed, script: says(`${head}Content Length: 2\r\n\r\nok`) },
  {
    title: 'has a control character in a field',
    outcome: failed,
    script: says(`${head}X: a\x01b\r\nContent-Length: 2\r\n\r\nok`),
  },
  { title: 'has a length that is none', outcome: failed, script: says(`${head}Content-Length: two\r\n\r\nok`) },
  { title: 'has a negative length', outcome: failed, script: says(`${head}Content-Length: -2\r\n\r\nok`) },
  {
    title: 'has two lengths',
    outcome: failed,
    script: says(`${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`),
  },
  {
    title: 'has an endless length',
    outcome: failed,
    script: says(`${head}Content-Length: 99999999999999999999999\r\n\r\nok`),
  },
  {
    title: 'has a length and chunks',
    outcome: failed,
    script: says(`${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  },
  {
    title: 'has a chunk that is none',
    outcome: broken,
    script: says(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n`),
  },
  {
    title: 'has a chunk that is too long',
    outcome: broken,
    script: says(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalfhalf\r\n0\r\n\r\n`),
  },
  {
    title: 'has an endless chunk size',
    outcome: broken,
    script: says(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nfffffffffffffffff\r\n`),
  },
  { title: 'has too large a head', outcome: failed, script: says(`${head}X: ${long}\r\nContent-Length: 2\r\n\r\nok`) },
  {
    title: 'has an endless head',
    outcome: failed,
    script: once((socket) => endlessly(socket, `X-A: ${'y'.repeat(1000)}\r\n`, head)),
  },
  {
    title: 'has endless interim answers',
    outcome: failed,
    script: once((socket) => endlessly(socket, 'HTTP/1.1 103 X\r\n\r\n')),
  },
  { title: 'says 100 unasked', outcome: failed, script: says(`HTTP/1.1 100 Continue\r\n\r\n${ok}`) },
  {
    title: 'switches protocols unasked',
    outcome: failed,
    script: says('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'),
  },
  { title: 'says 101 and no protocol', outcome: failed, script: says('HTTP/1.1 101 X\r\n\r\n') },
  {
    title: 'answers twice',
    outcome: /^whole 200 2$/,
    script: answering((socket) => void socket.write(`${ok}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`)),
  },
  {
    title: 'says more after its answer',
    outcome: /^whole 200 2$/,
    script: answering((socket) => void socket.write(`${ok}more`)),
  },
  {
    title: 'gives a body to 204',
    outcome: /^whole 204 0$/,
    script: answering((socket) => void socket.write('HTTP/1.1 204 X\r\nContent-Length: 6\r\n\r\nstolen')),
  },
  {
    title: 'answers, says it keeps the connection, and closes it',
    outcome: /^whole 200 2$/,
    script: answering((socket) => void socket.end(ok)),
  },
  { title: 'answers until it closes', outcome: /^whole 200 4$/, script: saysAndEnds(`${head}\r\nhalf`) },
  {
    title: 'answers before the request has ended',
    outcome: /^whole 413 2$/,
    whileSending: true,
    script: (socket) =>
      void socket.on('data', (chunk: Buffer) => {
        if (chunk.includes(' HTTP/1.1\r\n')) socket.write('HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno');
      }),
  },
  {
    title: 'answers before the request has ended, and closes',
    outcome: /^whole 413 2$|^upstreamFailed$/,
    whileSending: true,
    script: saysAndEnds('HTTP/1.1 413 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno'),
  },
  {
    title: 'closes before the request has ended',
    outcome: failed,
    whileSending: true,
    script: once((socket) => void socket.end()),
  },
];

function endlessly(socket: net.Socket, piece: string, first = ''): void {
  socket.write(first);
  const more = () => {
    while (!socket.destroyed && socket.write(piece.repeat(10)));
  };
  socket.on('drain', more);
  more();
}

export interface LeakFacts {
  readonly requests: number;
  readonly concurrency: number;
  readonly seed: number;
}

interface Left {
  readonly sockets: number;
  readonly timers: number;
  /** Octets of the heap after a collection; 0 where collections cannot be asked for. */
  readonly heap: number;
  readonly stats: object;
}

export interface LeakRun extends LeakFacts {
  readonly unanswered: number;
  readonly mixed: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly before: Left;
  readonly after: Left;
}

/** One gateway, one server that does something else on each connection, and clients that leave, send credentials, and stop in the middle. */
export async function leakRun({ requests, concurrency, seed }: LeakFacts): Promise<LeakRun> {
  const random = randomOf(seed);
  // Those that wait for a time-out take a tenth of a second each; a few are enough.
  const scripts = failures.filter(({ tls }) => tls !== true);
  const slow = /silent/;
  const backend = await startRawBackend((socket) => {
    socket.on('data', () => {});
    const pick = random();
    const { script, title } = scripts[Math.floor(pick * scripts.length)] ?? scripts[0]!;
    if ((pick * 1000) % 1 < 0.3 || (slow.test(title) && random() > 0.01)) authenticatingOk(socket);
    else script(socket);
  });
  const gateway = await startBareGateway({
    forgets: true,
    upstream: {
      origin: backend.origin,
      maximumConnections: 16,
      maximumQueue: 64,
      headersTimeout: ms(200),
      bodyTimeout: ms(200),
      queueTimeout: ms(5000),
    },
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
  const sessions = Array.from({ length: 4 }, () => gateway.h2());
  const outcomes: Record<string, number> = {};
  let mixed = 0;
  let done = 0;
  const tell = (outcome: string) => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (outcome === 'mixed') mixed += 1;
    done += 1;
  };
  const one = (index: number) =>
    index % 2 === 0
      ? overHttp1(gateway.port, agent, index, random).then(tell)
      : overHttp2(sessions[index % sessions.length]!, index, random).then(tell);
  const many = async (from: number, to: number) => {
    let next = from;
    const worker = async () => {
      while (next < to) {
        next += 1;
        await one(next);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  };
  const settle = async (): Promise<Left> => {
    // What is idle goes; what has leaked stays.
    agent.destroy();
    for (const socket of backend.sockets) socket.destroy();
    const limit = Date.now() + 10_000;
    const { upstream } = gateway;
    while (upstream.outstanding + upstream.stats.open > 0 && Date.now() < limit) await pause(20);
    await pause(300);
    return left(upstream.stats);
  };
  const warm = Math.min(1000, requests);
  await many(0, warm);
  const before = await settle();
  await many(warm, warm + requests);
  const after = await settle();
  for (const session of sessions) session.destroy();
  await gateway.stop();
  await backend.stop();
  return { requests, concurrency, seed, unanswered: warm + requests - done, mixed, outcomes, before, after };
}

/** Answers, asks every tenth for credentials that belong to the connection, and says in each answer to what. */
const authenticatingOk = answering((socket, request) => {
  const path = request.split(' ')[1] ?? '';
  const asks = path.endsWith('0') ? 'WWW-Authenticate: NTLM\r\n' : '';
  socket.write(`HTTP/1.1 ${asks === '' ? 200 : 401} X\r\n${asks}Content-Length: ${path.length}\r\n\r\n${path}`);
});

/** Whether an answer with a path in it is the answer to that path. */
function outcomeOf(status: number, verdict: unknown, body: string, index: number): string {
  if ((body.startsWith('/') && body !== `/${index}`) || body.includes('stolen')) return 'mixed';
  return typeof verdict === 'string' ? verdict : `status ${status}`;
}

function overHttp1(port: number, agent: http.Agent, index: number, random: () => number): Promise<string> {
  return new Promise((resolve) => {
    const body = random() < 0.3;
    const request = http.request({
      port,
      host: '127.0.0.1',
      path: `/${index}`,
      method: body ? 'POST' : 'GET',
      agent: random() < 0.8 ? agent : false,
      headers: random() < 0.1 ? { authorization: 'NTLM type1' } : {},
    });
    request.on('error', () => resolve('broken'));
    request.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      response.on('error', () => resolve('broken'));
      response.on('end', () =>
        resolve(outcomeOf(response.statusCode ?? 0, response.headers['x-verdict'], text, index)),
      );
    });
    request.on('close', () => resolve('closed'));
    if (body) request.write('first');
    if (random() < 0.1) setTimeout(() => request.destroy(), random() * 20);
    else request.end();
  });
}

function overHttp2(session: http2.ClientHttp2Session, index: number, random: () => number): Promise<string> {
  return new Promise((resolve) => {
    const body = random() < 0.3;
    const credentials = random() < 0.02 ? { authorization: 'NTLM type1' } : {};
    const stream = session.request(
      { ':method': body ? 'POST' : 'GET', ':path': `/${index}`, ...credentials },
      { endStream: !body },
    );
    let head: http2.IncomingHttpHeaders = {};
    let text = '';
    stream.on('response', (got) => (head = got));
    stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    stream.on('error', () => resolve('broken'));
    stream.on('close', () => resolve(outcomeOf(Number(head[':status'] ?? 0), head['x-verdict'], text, index)));
    if (body) stream.write('first');
    if (random() < 0.1) setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), random() * 20);
    else if (body) stream.end();
  });
}

function left(stats: object): Left {
  const kinds = process.getActiveResourcesInfo();
  const collect = (globalThis as { gc?: () => void }).gc;
  collect?.();
  return {
    sockets: kinds.filter((kind) => /socket|wrap/i.test(kind)).length,
    timers: kinds.filter((kind) => kind === 'Timeout').length,
    heap: collect === undefined ? 0 : process.memoryUsage().heapUsed,
    stats,
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** mulberry32: the same run for the same seed, as far as the network lets it. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
