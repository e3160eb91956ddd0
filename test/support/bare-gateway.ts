/**
 * The smallest thing that forwards: sanitizer, dialects and `forward` behind a plain HTTP/1.1 and an HTTP/2 server,
 * without TLS, rules or mapping. What a test wants to look into is passed out.
 */
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Millis } from '../../src/base/brand.ts';
import type { Verdict } from '../../src/base/verdict.ts';
import { defaultHeaderNames } from '../../src/forward/dialects.ts';
import type { ForwardInput } from '../../src/forward/dispatch.ts';
import { forward } from '../../src/forward/dispatch.ts';
import type {
  ClientRequest,
  ClientResponse,
  ForwardClient,
  ForwardResult,
  UpstreamGroupSettings,
  UpstreamSettings,
} from '../../src/forward/forward-contract.ts';
import { bodyLengthOf } from '../../src/forward/request-body.ts';
import { createSanitizer } from '../../src/forward/sanitize.ts';
import { createUpstreamGroup, type UpstreamGroup } from '../../src/forward/upstream-group.ts';
import type { Upstream, UpstreamEvents } from '../../src/forward/upstream.ts';

export interface BareOptions {
  readonly upstream: Partial<UpstreamSettings> & Pick<UpstreamSettings, 'origin'>;
  /** Further servers of the same group: in what they differ from `upstream`. */
  readonly others?: readonly Partial<UpstreamSettings>[];
  readonly group?: Partial<UpstreamGroupSettings>;
  readonly events?: UpstreamEvents;
  /** What the gateway writes itself. */
  readonly identity?: readonly string[];
  /** Nothing is kept of what went through: `result` and `input` never come. */
  readonly forgets?: boolean;
  /** Last touch to what is forwarded; may read ahead. */
  readonly change?: (input: ForwardInput) => ForwardInput | Promise<ForwardInput>;
}

export interface BareGateway {
  readonly port: number;
  readonly h2Port: number;
  readonly url: string;
  readonly group: UpstreamGroup;
  /** The first server. */
  readonly upstream: Upstream;
  readonly results: readonly ForwardResult[];
  readonly inputs: readonly ForwardInput[];
  /** Resolves with the result of the n-th request (0 first), also in the future. */
  result(index: number): Promise<ForwardResult>;
  /** Resolves when the n-th request has been handed to `forward`. */
  input(index: number): Promise<ForwardInput>;
  h2(): http2.ClientHttp2Session;
  stop(): Promise<void>;
}

export const patient: Omit<UpstreamSettings, 'origin'> = {
  maximumConnections: 4,
  maximumQueue: 100,
  connectTimeout: 5000 as Millis,
  headersTimeout: 5000 as Millis,
  bodyTimeout: 5000 as Millis,
};

export const limits = { maximumBody: 0, lingerTimeout: 5000 as Millis, lingerBytes: 1_000_000 };

export async function startBareGateway(options: BareOptions): Promise<BareGateway> {
  const first = { ...patient, ...options.upstream };
  const servers = [first, ...(options.others ?? []).map((other) => ({ ...first, ...other }))];
  const group = createUpstreamGroup(
    { name: 'bare', servers, healthCheck: null, hostHeader: 'client', ...options.group },
    options.events,
  );
  const [upstream] = group.servers as readonly [Upstream];
  const sanitizer = createSanitizer({ names: defaultHeaderNames });
  const results = createFeed<ForwardResult>();
  const inputs = createFeed<ForwardInput>();
  const sockets = new Set<net.Socket>();
  const sessions = new Set<http2.ClientHttp2Session>();

  async function handle(
    request: ClientRequest & { method?: string; url?: string; rawHeaders: string[] },
    response: ClientResponse,
  ) {
    const clean = sanitizer.request(request.rawHeaders);
    if ('code' in clean) {
      refuse(response, clean);
      return;
    }
    const plain: ForwardInput = {
      group,
      client: clientOf(request),
      method: request.method ?? '',
      path: request.url ?? '',
      host: clean.host,
      headers: [...clean.headers, ...(options.identity ?? [])],
      request,
      response,
      bodyPrefix: [],
      bodyLength: bodyLengthOf(clean, response),
      expectContinue: clean.expectContinue,
      answerHeaders: ['x-request-id', 'r1'],
      noStore: true,
      limits,
    };
    const input = options.change === undefined ? plain : await options.change(plain);
    const ending = forward(input);
    if (options.forgets !== true) inputs.add(input);
    const result = await ending;
    if (result.kind === 'refused') refuse(response, result.verdict);
    if (options.forgets !== true) results.add(result);
  }

  const listener = (request: unknown, response: unknown) => {
    void handle(request as Parameters<typeof handle>[0], response as ClientResponse);
  };
  // No time-outs of its own: what ends a connection is what is tested.
  const h1 = http
    .createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, listener)
    .on('checkContinue', listener)
    .on('checkExpectation', listener);
  const h2 = http2.createServer(listener).on('checkContinue', listener).on('checkExpectation', listener);
  for (const server of [h1, h2]) {
    server.on('connection', (socket: net.Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
  }
  const [port, h2Port] = [await listen(h1), await listen(h2)];
  return {
    port,
    h2Port,
    url: `http://127.0.0.1:${port}`,
    group,
    upstream,
    results: results.items,
    inputs: inputs.items,
    result: (index) => results.at(index),
    input: (index) => inputs.at(index),
    h2() {
      const session = http2.connect(`http://127.0.0.1:${h2Port}`);
      session.on('error', () => {});
      sessions.add(session);
      return session;
    },
    async stop() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await Promise.all([h1, h2].map((server) => new Promise((resolve) => server.close(resolve))));
      await group.destroy();
    },
  };
}

const clients = new WeakMap<object, ForwardClient>();

/** One for each connection, as the tls room has it. */
function clientOf(request: object): ForwardClient {
  const { stream, socket } = request as { stream?: { session?: http2.Http2Session }; socket: net.Socket };
  // Of HTTP/2 the session stands for the connection: Node lends its socket under restrictions.
  const key = stream?.session ?? socket;
  const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = stream?.session?.socket ?? socket;
  const known = clients.get(key);
  if (known !== undefined) return known;
  const client: ForwardClient = {
    remoteAddress,
    remotePort,
    localAddress,
    localPort,
    pins: undefined,
    onceClosed(listener) {
      if (key.destroyed) setImmediate(listener);
      else key.once('close', listener);
    },
  };
  clients.set(key, client);
  return client;
}

function refuse(response: ClientResponse, verdict: Verdict): void {
  const answer = response as http.ServerResponse;
  answer.writeHead(599, { 'x-verdict': verdict.code });
  answer.end();
}

export function listen(server: net.Server | http2.Http2Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** A backend of raw octets: `script` is called for every connection. */
export async function startRawBackend(script: (socket: net.Socket) => void) {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    script(socket);
  });
  const port = await listen(server);
  return {
    origin: `http://127.0.0.1:${port}`,
    sockets,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A client of raw octets. */
export function connectRaw(port: number, text: string | Buffer) {
  const socket = net.connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.write(text);
  const received = () => Buffer.concat(chunks).toString('latin1');
  return {
    socket,
    received,
    closed: new Promise<string>((resolve) => socket.on('close', () => resolve(received()))),
    /** Resolves when what arrived matches. */
    until: (pattern: RegExp) =>
      new Promise<string>((resolve, reject) => {
        const look = () => {
          if (pattern.test(received())) resolve(received());
        };
        socket.on('data', look);
        socket.on('close', () => {
          look();
          reject(new Error(`closed before ${pattern}: ${received().slice(0, 300)}`));
        });
        look();
      }),
  };
}

interface Feed<T> {
  readonly items: readonly T[];
  add(item: T): void;
  at(index: number): Promise<T>;
}

function createFeed<T>(): Feed<T> {
  const items: T[] = [];
  const waiting: (() => void)[] = [];
  return {
    items,
    add(item) {
      items.push(item);
      for (const look of waiting.splice(0)) look();
    },
    at: (index) =>
      new Promise((resolve) => {
        const look = () => {
          const item = items[index];
          if (item === undefined) waiting.push(look);
          else resolve(item);
        };
        look();
      }),
  };
}
