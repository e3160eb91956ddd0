/**
 * A front with certificates, a talkative handler and a memory of its events; and clients that speak HTTP/1 by hand, so
 * that a test decides every byte.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import type { Digest, Millis } from '../../src/base/brand.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import type { Authority, Issued } from '../../src/lab/authority.ts';
import type { BindingSettings, ConnectionLimits, ServerCertificate } from '../../src/tls/binding.ts';
import type { Connection } from '../../src/tls/connection.ts';
import { startFront } from '../../src/tls/front.ts';
import type { Front, FrontOptions } from '../../src/tls/front.ts';
import { connectionOf } from '../../src/tls/live-connection.ts';
import type { RefusalReason, Remote } from '../../src/tls/reception.ts';

export interface TestPki {
  readonly root: Authority;
  readonly issuing: Authority;
  readonly server: ServerCertificate;
  readonly alice: Issued;
  readonly mallory: Issued;
}

let pki: Promise<TestPki> | null = null;

/** Made once per process. */
export function testPki(): Promise<TestPki> {
  return (pki ??= makePki());
}

async function makePki(): Promise<TestPki> {
  const root = await createAuthority({ subject: 'CN=Root' });
  const issuing = await root.subordinate({ subject: 'CN=Issuing' });
  const serverAuth = { extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'], dnsNames: ['a.test', 'b.test'] };
  const server = await root.issue({ subject: 'CN=server', ...serverAuth });
  const foreign = await createAuthority({ subject: 'CN=Foreign' });
  return {
    root,
    issuing,
    server: { cert: server.cert, key: server.key },
    alice: await issuing.issue({ subject: 'CN=alice' }),
    mallory: await foreign.issue({ subject: 'CN=alice' }),
  };
}

export const generousLimits: ConnectionLimits = {
  maximumConnections: 10_000,
  maximumConnectionsPerAddress: 10_000,
  maximumHandshakes: 10_000,
  handshakeTimeout: 60_000 as Millis,
  maximumClientHello: 16_384,
  headersTimeout: 60_000 as Millis,
  requestTimeout: 60_000 as Millis,
  keepAliveTimeout: 60_000 as Millis,
  idleTimeout: 60_000 as Millis,
  maximumHeaderBytes: 16_384,
  maximumHeaderCount: 100,
  maximumStreams: 100,
  maximumRequestsPerConnection: 1000,
};

export interface Refused {
  readonly reason: RefusalReason;
  readonly remote: Remote;
}

/** Everything the front told, and a way to wait for it. */
export interface FrontMemory {
  readonly connections: Connection[];
  readonly closed: Connection[];
  readonly refused: Refused[];
  readonly tlsErrors: { readonly reason: string; readonly remote: Remote }[];
  readonly acceptErrors: Error[];
  /** Resolves when the condition holds, looked at after each event of the front. */
  until(condition: () => boolean): Promise<void>;
}

export interface TestFront {
  readonly front: Front;
  readonly memory: FrontMemory;
  /** Of the named binding, else the first. */
  readonly port: (binding?: string) => number;
}

export interface TestFrontOptions extends Partial<Omit<FrontOptions, 'bindings' | 'limits'>> {
  readonly bindings: readonly Partial<BindingSettings>[];
  readonly limits?: Partial<ConnectionLimits>;
}

/** Starts a front on ports that the system chooses; it is closed with the test. */
export async function testFront(t: Test, options: TestFrontOptions): Promise<TestFront> {
  const { memory, events } = createMemory();
  const bindings = await Promise.all(options.bindings.map(testBinding));
  const front = await startFront({
    handler: describe,
    secret: Buffer.alloc(32, 5),
    ...options,
    events,
    bindings,
    limits: { ...generousLimits, ...options.limits },
  });
  t.teardown(() => front.close());
  return {
    front,
    memory,
    port: (name = bindings[0]?.name) => front.addresses().find(({ binding }) => binding === name)?.port ?? 0,
  };
}

export async function testBinding(binding: Partial<BindingSettings>): Promise<BindingSettings> {
  const { server } = await testPki();
  return {
    name: binding.clientCertificate ?? 'never',
    endpoint: { kind: 'address', address: '127.0.0.1', port: 0 },
    certificate: server,
    dsMapperUsage: true,
    clientCertificate: 'never',
    disableHttp2: false,
    disableTls13: false,
    disableTls12: false,
    enableSessionTicket: false,
    trustDigest: 'trust one' as Digest,
    ...binding,
  };
}

function createMemory(): { memory: FrontMemory; events: FrontOptions['events'] } {
  const waiting = new Set<() => void>();
  const looked = () => {
    for (const look of waiting) look();
  };
  const memory: FrontMemory = {
    connections: [],
    closed: [],
    refused: [],
    tlsErrors: [],
    acceptErrors: [],
    until: (condition) =>
      inTime(
        'an event of the front',
        new Promise((resolve) => {
          const look = () => {
            if (!condition()) return;
            waiting.delete(look);
            resolve();
          };
          waiting.add(look);
          look();
        }),
      ),
  };
  function note<T>(list: T[], item: T): void {
    list.push(item);
    looked();
  }
  return {
    memory,
    events: {
      connection: (connection) => note(memory.connections, connection),
      closed: (connection) => note(memory.closed, connection),
      refused: (reason, remote) => note(memory.refused, { reason, remote }),
      tlsError: (reason, remote) => note(memory.tlsErrors, { reason, remote }),
      acceptFailed: (error) => note(memory.acceptErrors, error),
    },
  };
}

/** What the handler says of the connection a request came on. */
export interface Described {
  readonly id: number;
  readonly binding: string;
  readonly protocol: string | null;
  readonly alpn: string | null;
  readonly serverName: string | null;
  readonly url: string;
  readonly body: string;
  readonly presented: DescribedPresented | null;
  /** After `/ask`: what asking gave, or the word of its failure. */
  readonly asked?: DescribedPresented | string;
}

export interface DescribedPresented {
  readonly how: string;
  readonly resumed: boolean;
  readonly digest: string | null;
  /** Base64 of each certificate. */
  readonly chain: readonly string[];
}

/** Reads the body, asks for a certificate where the path begins with /ask, and answers with what it knows. */
export const describe: FrontOptions['handler'] = (request, response) => {
  void answer(request as IncomingMessage, response as ServerResponse);
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const connection = connectionOf(request);
  if (request.headers.expect === '100-continue') response.writeContinue();
  let body = '';
  request.setEncoding('latin1');
  request.on('error', () => {});
  request.on('data', (chunk: string) => (body += chunk));
  await once(request, 'end').catch(() => {});
  const url = request.url ?? '';
  const asked = url.startsWith('/ask') ? await connection.ask(30_000 as Millis) : undefined;
  if (connection.closed) return;
  const described: Described = {
    id: connection.id,
    binding: connection.binding.name,
    protocol: connection.protocol,
    alpn: connection.alpn,
    serverName: connection.serverName,
    url,
    body,
    presented: describePresented(connection.presented),
    ...(asked === undefined ? {} : { asked: typeof asked === 'string' ? asked : describePresented(asked) }),
  };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(described));
}

function describePresented<T extends Connection['presented']>(presented: T): T extends null ? null : DescribedPresented;
function describePresented(presented: Connection['presented']): DescribedPresented | null {
  if (presented === null) return null;
  return { ...presented, chain: presented.chain.map((der) => der.toString('base64')) };
}

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** One HTTP/1 connection, driven by hand. */
export interface Talk<S extends Duplex = Duplex> {
  readonly socket: S;
  send(text: string | Buffer): void;
  /** The next answer; null when the connection ends before it is whole. */
  next(): Promise<Answer | null>;
  /** Everything received so far. */
  bytes(): Buffer;
  /** Sends a GET and reads its answer's JSON; null when the connection ends instead. */
  get(path: string): Promise<Described | null>;
  /** Resolves when the connection is closed, however. */
  closed(): Promise<void>;
}

export async function talkTls(
  port: number,
  options: ConnectionOptions & { readonly allowHalfOpen?: boolean } = {},
): Promise<Talk<TLSSocket>> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  return talk(socket);
}

export async function talkTcp(port: number, options: { readonly allowHalfOpen?: boolean } = {}): Promise<Talk<Socket>> {
  const socket = connectTcp({ port, host: '127.0.0.1', ...options });
  await once(socket, 'connect');
  return talk(socket);
}

export function talk<S extends Duplex>(socket: S): Talk<S> {
  const pieces: Buffer[] = [];
  let received = '';
  let over = false;
  let wake = () => {};
  socket.on('data', (chunk: Buffer) => {
    pieces.push(chunk);
    received += chunk.toString('latin1');
    wake();
  });
  socket.on('error', () => {});
  // A write that waits for a handshake would keep Node's client from closing.
  socket.on('end', () => socket.destroy());
  const closed = new Promise<void>((resolve) =>
    socket.once('close', () => {
      over = true;
      wake();
      resolve();
    }),
  );
  async function next(): Promise<Answer | null> {
    for (;;) {
      const parsed = takeAnswer(received);
      if (parsed !== null) {
        received = received.slice(parsed.length);
        return parsed.answer;
      }
      if (over) return null;
      await inTime('an answer', new Promise<void>((resolve) => (wake = resolve)));
    }
  }
  return {
    socket,
    send: (text) => void socket.write(text),
    bytes: () => Buffer.concat(pieces),
    next,
    async get(path) {
      socket.write(getRequest(path));
      const answer = await next();
      return answer === null ? null : (JSON.parse(answer.body) as Described);
    },
    closed: () => inTime('the end of a connection', closed),
  };
}

/** Lets a test fail instead of hang. */
export async function inTime<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), 20_000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again on each turn of the event loop. */
export async function untilTrue(condition: () => boolean): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > 20_000) throw new Error('waited in vain for a condition');
    await new Promise(setImmediate);
  }
}

export function getRequest(path: string, ...headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: a.test', ...headers, '', ''].join('\r\n');
}

function takeAnswer(text: string): { answer: Answer; length: number } | null {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const head = text.slice(0, end);
  const bodyLength = Number(/^content-length: *(\d+)$/im.exec(head)?.[1] ?? 0);
  const length = end + 4 + bodyLength;
  if (text.length < length) return null;
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  return { answer: { status, head, body: text.slice(end + 4, length) }, length };
}
