/**
 * The echo backend of the lab: answers every request with a JSON description of what arrived, headers in wire order
 * and case, so that a person or a test sees exactly what the gateway sent. It judges nothing.
 *
 * Query parameters drive the answer:
 * - `status=404`; `header=Name:value` and `trailer=Name:value`, each any number of times
 * - `delay=250`: milliseconds before the answer; `delay=never` holds it until the connection ends
 * - `size=1000`: that many bytes of `echoPattern` instead of JSON
 * - `chunks=3`: no Content-Length, the body in so many pieces
 * - `hints=</a.css>;rel=preload`: a 103 with this Link first
 * - `early=1`: answers without reading the request body
 * - `events=10`: server-sent events instead of JSON, so many after a first one that describes the request (`forever`: no end), `interval=100`
 *   milliseconds apart
 * - `abort=head`: ends the connection instead of answering; `abort=body`: in the middle of the body
 *
 * A WebSocket is opened on every path; it says what arrived as a first message, and then back what it is told, with `once=1` nothing more.
 */
import { createCipheriv, createHash } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { streamEvents } from './event-stream.ts';
import { echoWebSocket } from './web-socket.ts';

export interface EchoOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: the system chooses. */
  readonly port?: number;
  /** Path of a Unix socket, instead of host and port. */
  readonly unix?: string;
  /** PEM; makes the backend speak https. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Keeps the bytes of every request in `raw`, the first MiB of each. */
  readonly record?: boolean;
}

export interface Echo {
  /** `http://127.0.0.1:4711`; of a Unix socket `http://localhost`. */
  readonly url: string;
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Requests that arrived so far. */
  readonly requests: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** What was read from the wire (after TLS), one buffer per request; bytes that never made a request come last. */
  readonly raw: readonly Buffer[];
  /** Ends every connection; resolves when nothing is left. */
  stop(): Promise<void>;
}

/** The JSON answer. */
export interface EchoAnswer {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly trailers: readonly (readonly [name: string, value: string])[];
  readonly bodyBytes: number;
  /** Hex. */
  readonly bodySha256: string;
}

export async function startEcho(options: EchoOptions = {}): Promise<Echo> {
  const sockets = new Set<Socket>();
  const recorder = createRecorder();
  let requests = 0;

  const server = options.tls === undefined ? http.createServer() : https.createServer(options.tls);
  server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    if (options.record === true) recorder.attach(socket);
  });
  server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    requests += 1;
    const { socket } = request;
    response.on('finish', () => recorder.cut(socket));
    // An exchange that breaks off ends its own connection and says nothing else: there is nobody left to tell.
    answer(request, response).catch(() => socket.destroy());
  });

  server.on('upgrade', (request: http.IncomingMessage, socket: Socket, head: Buffer) => {
    requests += 1;
    recorder.cut(socket);
    const once = new URL(request.url ?? '/', 'http://echo').searchParams.has('once');
    echoWebSocket(request, socket, head, { greeting: describe(request, nothing).toString().trim(), once });
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const ready = () => resolve();
    if (options.unix === undefined) server.listen(options.port ?? 0, options.host ?? '127.0.0.1', ready);
    else server.listen(options.unix, ready);
  });

  const scheme = options.tls === undefined ? 'http' : 'https';
  const address = server.address() as AddressInfo | string;
  const port = typeof address === 'string' ? 0 : address.port;
  const host = typeof address === 'string' ? 'localhost' : `${authority(address)}:${port}`;
  return {
    url: `${scheme}://${host}`,
    port,
    get requests() {
      return requests;
    },
    get connections() {
      return sockets.size;
    },
    raw: recorder.requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** The first `size` bytes of a fixed pseudo-random stream (AES in counter mode over zeros), so that a piece lost or moved changes the digest. */
export function echoPattern(size: number): Readable {
  const cipher = createCipheriv('aes-128-ctr', 'dsmapper-pattern', Buffer.alloc(16));
  const zeros = Buffer.alloc(65_536);
  let left = size;
  return new Readable({
    read() {
      const length = Math.min(left, zeros.length);
      left -= length;
      this.push(length === 0 ? null : cipher.update(zeros.subarray(0, length)));
    },
  });
}

async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const query = URL.parse(request.url ?? '/', 'http://echo')?.searchParams ?? new URLSearchParams();
  const events = query.get('events');
  if (events !== null) {
    const description = describe(request, await digestOfBody(request))
      .toString()
      .trim();
    const many = events === 'forever' ? null : count(events);
    streamEvents(response, { description, count: many, interval: count(query.get('interval') ?? '100') });
    return;
  }
  const early = query.has('early');
  const digest = early ? { bytes: 0, sha256: '' } : await digestOfBody(request);

  const delay = query.get('delay');
  if (delay === 'never') return;
  if (delay !== null) await new Promise((resolve) => setTimeout(resolve, Math.min(count(delay), 60_000)));
  if (query.get('abort') === 'head') throw new Error('asked to abort');

  const hints = query.get('hints');
  if (hints !== null) response.writeEarlyHints({ link: hints });

  const size = query.get('size');
  const body = size === null ? describe(request, digest) : null;
  const length = body === null ? count(size) : body.length;
  const trailers = pairsOf(query.getAll('trailer'));
  const chunks = count(query.get('chunks') ?? (trailers.length > 0 ? '1' : '0'));
  const status = Number(query.get('status') ?? 200);

  const headers = pairsOf(query.getAll('header')).flat();
  headers.push('Content-Type', body === null ? 'application/octet-stream' : 'application/json');
  if (chunks === 0 && status !== 204) headers.push('Content-Length', String(length));
  response.writeHead(status, headers);
  if (request.method === 'HEAD' || status === 204 || status === 304) {
    response.end();
    return;
  }
  if (query.get('abort') === 'body') {
    const half = body === null ? Buffer.alloc(Math.floor(Math.min(length, 65_536) / 2)) : body.subarray(0, length >> 1);
    await new Promise((resolve) => response.write(half, resolve));
    throw new Error('asked to abort');
  }
  if (trailers.length > 0) response.addTrailers(trailers);
  if (body === null) await pipeline(echoPattern(length), response);
  else await pipeline(Readable.from(pieces(body, Math.max(chunks, 1))), response);
}

function describe(request: http.IncomingMessage, digest: BodyDigest): Buffer {
  const answer: EchoAnswer = {
    method: request.method ?? '',
    url: request.url ?? '',
    httpVersion: request.httpVersion,
    headers: pairs(request.rawHeaders),
    trailers: pairs(request.rawTrailers),
    bodyBytes: digest.bytes,
    bodySha256: digest.sha256,
  };
  return Buffer.from(`${JSON.stringify(answer)}\n`);
}

interface BodyDigest {
  readonly bytes: number;
  readonly sha256: string;
}

const nothing: BodyDigest = { bytes: 0, sha256: createHash('sha256').digest('hex') };

async function digestOfBody(request: http.IncomingMessage): Promise<BodyDigest> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  return { bytes, sha256: hash.digest('hex') };
}

function pieces(body: Buffer, count: number): Buffer[] {
  const size = Math.max(Math.ceil(body.length / count), 1);
  const list: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) list.push(body.subarray(at, at + size));
  return list;
}

/** A number from the query, 0 where it is none. */
function count(text: string | null): number {
  const value = Number(text ?? '0');
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i] ?? '', flat[i + 1] ?? '']);
  return list;
}

function pairsOf(lines: readonly string[]): [string, string][] {
  return lines.map((line) => {
    const colon = line.indexOf(':');
    return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}

function authority(address: AddressInfo): string {
  return address.family === 'IPv6' ? `[${address.address}]` : address.address;
}

/** Bytes of one request beyond which the recorder keeps no more. */
const recordedBytes = 1_048_576;

interface Recorder {
  readonly requests: readonly Buffer[];
  attach(socket: Socket): void;
  /** The request in hand on this connection is complete: what comes next is another one. */
  cut(socket: Socket): void;
}

function createRecorder(): Recorder {
  const requests: Buffer[] = [];
  const open = new Map<Socket, { chunks: Buffer[]; bytes: number }>();
  const cut = (socket: Socket) => {
    const entry = open.get(socket);
    if (entry === undefined || entry.chunks.length === 0) return;
    requests.push(Buffer.concat(entry.chunks));
    open.set(socket, { chunks: [], bytes: 0 });
  };
  return {
    requests,
    cut,
    attach(socket) {
      open.set(socket, { chunks: [], bytes: 0 });
      // node:http takes the socket's bytes away below the stream; a 'data' listener makes it give them back.
      socket.on('data', (chunk: Buffer) => {
        const entry = open.get(socket);
        if (entry === undefined || entry.bytes >= recordedBytes) return;
        entry.bytes += chunk.length;
        entry.chunks.push(chunk);
      });
      socket.on('close', () => {
        cut(socket);
        open.delete(socket);
      });
    },
  };
}
