/**
 * A small server for programs of our own side, not for strangers: a Unix socket or a TCP port, with or without TLS, HTTP/1.1 or HTTP/2. It
 * tells what certificate a caller shows; who that is, is decided by whoever asks.
 */
import { constants } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { Server, Socket } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { Failure, codeOf } from '../base/failure.ts';
import { listenOnPath } from './socket-file.ts';

export interface CallerServerSettings {
  /** The key of the configuration, for messages. */
  readonly key: string;
  readonly listen:
    | {
        readonly kind: 'socket';
        readonly path: string;
        readonly access: 'owner' | 'group';
        readonly group: number | null;
      }
    | { readonly kind: 'tcp'; readonly address: string; readonly port: number };
  /** `authorities`, PEM: whose certificates callers are asked for; empty: they are not asked. */
  readonly tls: { readonly cert: string; readonly key: string; readonly authorities: readonly string[] } | null;
  readonly http2: boolean;
  readonly maximumConnections: number;
  readonly maximumHeaderBytes: number;
  /** Milliseconds for a whole request of HTTP/1.1 to arrive. */
  readonly requestTimeout: number;
  /** Streams of one HTTP/2 connection. */
  readonly maximumStreams: number;
}

export interface CallerServer {
  /** `127.0.0.1:9443`, or the path of the socket. */
  readonly address: string;
  /** Takes no new connections, ends idle ones, and after `timeout` milliseconds the others. Idempotent. */
  close(timeout: number): Promise<void>;
}

export interface CallerCertificate {
  readonly der: Buffer;
  /** It chains to one of the authorities and was good in the handshake. */
  readonly authorised: boolean;
  /** Milliseconds since 1970. */
  readonly validUntil: number;
}

type Request = http.IncomingMessage | http2.Http2ServerRequest;
type Response = http.ServerResponse | http2.Http2ServerResponse;
export type CallerHandler = (request: Request, response: Response) => void;

/** @throws Failure when the address cannot be had; nothing stays open then */
export async function startCallerServer(settings: CallerServerSettings, handler: CallerHandler): Promise<CallerServer> {
  const server = serverOf(settings, handler) as http.Server;
  const open = new Set<Socket>();
  server.maxConnections = settings.maximumConnections;
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.setNoDelay(true);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => {});
  });
  const remove = await listenAt(server, settings);
  let closing: Promise<void> | null = null;

  async function end(timeout: number): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections?.();
    for (const session of sessionsOf.get(server) ?? []) session.close();
    const timer = setTimeout(() => {
      for (const socket of open) socket.destroy();
    }, timeout);
    await closed;
    clearTimeout(timer);
    await remove();
  }

  return { address: addressOf(server, settings), close: (timeout) => (closing ??= end(timeout)) };
}

/** Null where none was shown. */
export function callerCertificate(request: Request): CallerCertificate | null {
  const holder = 'stream' in request ? (request.stream.session ?? request.socket) : request.socket;
  const known = shown.get(holder);
  if (known !== undefined) return known;
  const read = readCertificate(request.socket as TLSSocket);
  shown.set(holder, read);
  return read;
}

/** By connection: a handshake is never repeated on one, and none is resumed. */
const shown = new WeakMap<object, CallerCertificate | null>();
const sessionsOf = new WeakMap<Server, Set<http2.ServerHttp2Session>>();

function readCertificate(socket: TLSSocket): CallerCertificate | null {
  const certificate = socket.getPeerX509Certificate?.();
  if (certificate === undefined) return null;
  return { der: certificate.raw, authorised: socket.authorized, validUntil: certificate.validToDate.getTime() };
}

/** Milliseconds for which a caller's connection is kept without a request. */
const longestIdle = 120_000;

function serverOf(settings: CallerServerSettings, handler: CallerHandler): Server {
  const { tls, maximumHeaderBytes, maximumStreams, requestTimeout } = settings;
  const http1 = {
    maxHeaderSize: maximumHeaderBytes,
    headersTimeout: requestTimeout,
    requestTimeout,
    connectionsCheckingInterval: Math.max(20, Math.min(5000, Math.floor(requestTimeout / 8))),
    keepAliveTimeout: longestIdle,
    requireHostHeader: false,
    insecureHTTPParser: false,
  };
  if (!settings.http2) {
    const server = tls === null ? http.createServer(http1) : https.createServer({ ...http1, ...tlsOptions(tls) });
    // Node leaves out what is beyond a number of fields, and says nothing. Their octets are bounded, and they are all read.
    server.maxHeadersCount = 0;
    // A caller that waits for 100 gets its answer at once: bodies are not read.
    return server.on('request', handler).on('checkContinue', handler).on('checkExpectation', handler);
  }
  const options = {
    maxSessionMemory: 8,
    maxHeaderListPairs: 1000,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    settings: { maxConcurrentStreams: maximumStreams, maxHeaderListSize: maximumHeaderBytes, enablePush: false },
  };
  const server =
    tls === null ? http2.createServer(options) : http2.createSecureServer({ ...options, ...tlsOptions(tls) });
  const sessions = new Set<http2.ServerHttp2Session>();
  sessionsOf.set(server, sessions);
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    // HTTP/2 knows none of the times above: who connects and says nothing would hold its place for ever.
    session.setTimeout(requestTimeout, () => session.destroy());
    session.once('stream', () => session.setTimeout(longestIdle));
    session.on('error', () => {});
  });
  return server.on('request', handler).on('checkContinue', handler);
}

function tlsOptions({ cert, key, authorities }: NonNullable<CallerServerSettings['tls']>): TlsOptions {
  return {
    cert,
    key,
    minVersion: 'TLSv1.2',
    // No resumption: what a handshake found out about a caller must have been found out then.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
    requestCert: authorities.length > 0,
    // Who shows nothing, or something else, is answered and counted.
    rejectUnauthorized: false,
    ca: [...authorities],
    handshakeTimeout: 10_000,
  };
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function listenAt(server: Server, { listen, key }: CallerServerSettings): Promise<() => Promise<void>> {
  if (listen.kind === 'socket') return listenOnPath((path) => listening(server, path), { ...listen, key });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new Failure(`cannot listen on ${listen.address}:${listen.port}: ${codeOf(cause) ?? 'failed'}`, {
          code: 'caller-listen',
          hint: `end what uses the port, or change ${key}`,
          cause,
        }),
      ),
    );
    server.listen({ host: listen.address, port: listen.port }, () => resolve());
  });
  return () => Promise.resolve();
}

function addressOf(server: Server, { listen }: CallerServerSettings): string {
  const bound = server.address();
  if (listen.kind === 'socket' || typeof bound !== 'object' || bound === null)
    return 'path' in listen ? listen.path : '';
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}
