/**
 * The HTTP server of one binding: it is fed with sockets by the front and never listens itself. Decides what becomes of
 * a request before the handler sees it: counted, bounded, tied to its connection.
 */
import { createServer as createHttpServer, ServerResponse } from 'node:http';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { createSecureServer, Http2ServerRequest } from 'node:http2';
import type { Http2SecureServer, Http2ServerResponse, ServerHttp2Session } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { Server as HttpsServer } from 'node:https';
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Instant } from '../base/brand.ts';
import { Failure, reasonOf } from '../base/failure.ts';
import type { BindingSettings, ConnectionLimits } from './binding.ts';
import { refuseAfterError, refuseDoubtful } from './client-error.ts';
import { isDoubtful } from './framing.ts';
import { httpOptionsOf, http2OptionsOf } from './http-options.ts';
import { guardSession } from './http2-guard.ts';
import { carriedBy, carry } from './live-connection.ts';
import type { LiveConnection } from './live-connection.ts';
import { epochOf, ticketKeysOf } from './ticket-keys.ts';
import { resumes, tlsOptionsOf } from './tls-options.ts';

export type FrontRequest = IncomingMessage | Http2ServerRequest;
export type FrontResponse = ServerResponse | Http2ServerResponse;

export interface RequestSink {
  /**
   * Every request, of every method and with any `Expect`: who handles it calls `writeContinue()` where that is due, and
   * answers a missing Host. Must not throw.
   */
  handler(request: FrontRequest, response: FrontResponse): void;
  /**
   * HTTP/1 requests with `Upgrade`, their connection taken off the parser (`held-upgrade.ts` gives them a response); without this they come to
   * `handler` like others, and so do those behind a body or behind an answer that is still due.
   */
  upgrade?(request: IncomingMessage, socket: Socket, head: Buffer): void;
}

export interface ServerContext extends RequestSink {
  readonly limits: ConnectionLimits;
  readonly secret: Buffer;
  /** Makes the connection of a socket whose handshake has ended; null when it is not wanted any more. */
  claim(socket: TLSSocket): LiveConnection | null;
  /** The handshake failed, or the client spoke something else. */
  handshakeFailed(binding: BindingSettings, error: unknown, socket: Duplex): void;
  /**
   * Asked once for each binding that speaks TLS: what gives its stapled OCSP response, DER, at once, or null for none now; null when
   * the binding staples nothing. Must not throw.
   */
  staplerOf?(binding: BindingSettings): (() => Buffer | null) | null;
  /** A client has more requests in flight than it may; the connection is about to be destroyed. */
  flooded(connection: LiveConnection): void;
}

export interface BindingServer {
  readonly binding: BindingSettings;
  /** Hands over a socket that has been read up to its first bytes, put back. */
  feed(raw: Socket, now: Instant): void;
  /** No more sockets will come: ends the server's timers once the last one is closed. */
  retire(): void;
}

/** @throws Failure when the binding's certificate or settings are unusable */
export function createBindingServer(binding: BindingSettings, context: ServerContext): BindingServer {
  const { limits } = context;
  const server: AnyServer & HttpKnobs = openServer(binding, context);
  server.timeout = limits.idleTimeout;
  // More make a parser error (older Nodes dropped them silently); trailers have the same limit.
  server.maxHeadersCount = limits.maximumHeaderCount;
  serveRequests(server, binding, context);
  // Without it Node's header and request time-outs never run: nobody calls listen().
  server.emit('listening');

  let epoch = -1;
  function renewTicketKeys(now: Instant): void {
    const current = epochOf(now);
    if (current === epoch || !('setTicketKeys' in server) || !resumes(binding)) return;
    epoch = current;
    server.setTicketKeys(ticketKeysOf(context.secret, binding, epoch));
  }

  let sockets = 0;
  let retired = false;
  function disposeWhenUnused(): void {
    if (retired && sockets === 0) server.close(() => {});
  }

  return {
    binding,
    feed(raw, now) {
      sockets += 1;
      raw.once('close', () => {
        sockets -= 1;
        disposeWhenUnused();
      });
      renewTicketKeys(now);
      server.emit('connection', raw);
    },
    retire() {
      retired = true;
      disposeWhenUnused();
    },
  };
}

type AnyServer = HttpServer | HttpsServer | Http2SecureServer;

/** Read by Node's HTTP/1 side of all three kinds, though only some declare them. */
interface HttpKnobs {
  timeout?: number;
  maxHeadersCount?: number | null;
  shouldUpgradeCallback?: (request: IncomingMessage) => boolean;
}

function openServer(binding: BindingSettings, context: ServerContext): AnyServer {
  const { limits } = context;
  if (binding.certificate === null) return createHttpServer(httpOptionsOf(limits));
  const tls = { ...tlsOptionsOf(binding), handshakeTimeout: limits.handshakeTimeout };
  const http2 = !binding.disableHttp2 && binding.clientCertificate !== 'late';
  try {
    const server = http2
      ? createSecureServer({ ...tls, ...http2OptionsOf(limits), ALPNProtocols: ['h2', 'http/1.1'] })
      : createHttpsServer({ ...tls, ...httpOptionsOf(limits), ALPNProtocols: ['http/1.1'] });
    claimFirst(server, context);
    answerStatusRequests(server, context.staplerOf?.(binding) ?? null);
    return server;
  } catch (error) {
    throw new Failure(`binding ${binding.name}: ${reasonOf(error)}`, {
      code: 'binding-certificate',
      hint: 'check that the certificate is PEM, leaf first, and that the key belongs to it',
      cause: error,
    });
  }
}

/** Puts our own look at the finished handshake before the HTTP parser's. */
function claimFirst(server: HttpsServer | Http2SecureServer, context: ServerContext): void {
  const parsers = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket: TLSSocket) => {
    const connection = context.claim(socket);
    if (connection === null || connection.closed) socket.destroy();
    else for (const parse of parsers) Reflect.apply(parse, server, [socket]);
  });
}

/** Without a listener Node leaves the certificate callback of OpenSSL out of every handshake; with one that does not call back, all hang. */
function answerStatusRequests(server: HttpsServer | Http2SecureServer, staple: (() => Buffer | null) | null): void {
  if (staple === null) return;
  server.on(
    'OCSPRequest',
    (_certificate: Buffer, _issuer: Buffer, answer: (error: Error | null, response: Buffer | null) => void) =>
      answer(null, staple()),
  );
}

function serveRequests(server: EventEmitter & HttpKnobs, binding: BindingSettings, context: ServerContext): void {
  const { limits } = context;
  // Not by Node's maxRequestsPerSocket, which announces the end of the connection and leaves it open.
  const maximumRequests = limits.maximumRequestsPerConnection;

  function deliver(request: FrontRequest, response: FrontResponse): void {
    if (request instanceof Http2ServerRequest) {
      const connection = carriedBy(request.stream.session ?? request);
      if (connection === null) request.stream.destroy();
      else {
        carry(request, connection);
        context.handler(request, response);
      }
      return;
    }
    const connection = carriedBy(request.socket);
    if (connection === null || !(response instanceof ServerResponse)) {
      request.destroy();
      return;
    }
    if (isDoubtful(request) || request.socket.writableEnded) {
      refuseDoubtful(request.socket);
      return;
    }
    carry(request, connection);
    // Behind an Upgrade that is not taken, Node's parser loses pipelined bytes and swallows errors.
    const last = request.headers.upgrade !== undefined || connection.requests + 1 === maximumRequests;
    connection.begin(response, last);
    if (connection.pending > limits.maximumStreams) {
      context.flooded(connection);
      connection.end('atOnce');
    } else context.handler(request, response);
  }

  server.on('request', deliver);
  server.on('checkContinue', deliver);
  server.on('checkExpectation', deliver);

  // A tunnel cannot begin while earlier answers are due, nor behind a body; such a request goes to the handler.
  server.shouldUpgradeCallback = (request) =>
    context.upgrade !== undefined &&
    (request.headers['content-length'] ?? '0') === '0' &&
    request.headers['transfer-encoding'] === undefined &&
    !isDoubtful(request) &&
    carriedBy(request.socket)?.pending === 0;
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const connection = carriedBy(socket);
    if (connection === null || context.upgrade === undefined) socket.destroy();
    else {
      carry(request, connection);
      connection.becomeTunnel();
      // Node takes its idle timer's listener off a socket that it gives away.
      socket.setTimeout(limits.idleTimeout, () => socket.destroy());
      context.upgrade(request, socket, head);
    }
  });

  server.on('session', (session: ServerHttp2Session) => {
    const connection = carriedBy(session.socket);
    if (connection === null) session.destroy();
    else {
      carry(session, connection);
      connection.session = session;
      guardSession(session, limits, () => context.flooded(connection));
    }
  });
  server.on('timeout', (idle: Socket | ServerHttp2Session) => void idle.destroy());
  server.on('clientError', (error: unknown, socket: Duplex) => {
    if (carriedBy(socket) === null) {
      context.handshakeFailed(binding, error, socket);
      socket.destroy();
    } else refuseAfterError(error, socket);
  });
}
