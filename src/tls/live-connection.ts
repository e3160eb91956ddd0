/**
 * The product's `Connection` over a real socket: identity of the connection, its requests in flight, and its end.
 * Which binding takes a socket and what a request may cost is decided elsewhere.
 */
import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Millis } from '../base/brand.ts';
import { Failure } from '../base/failure.ts';
import type { BindingSettings } from './binding.ts';
import type { AskFailure, Connection, Presented } from './connection.ts';
import { presentedBy, watchHandshakes } from './negotiate.ts';
import type { HandshakeWatch } from './negotiate.ts';

/** The connection that a request came on: one property read, also for HTTP/2. */
export function connectionOf(request: IncomingMessage | Http2ServerRequest): Connection {
  const connection = (request as Carrier)[carried];
  if (connection === undefined)
    throw new Failure('this request did not come through the front', {
      code: 'no-connection',
      hint: 'hand on only requests that a front delivered',
    });
  return connection;
}

/**
 * Until this answer has ended silence does not end its connection: it is a stream of events or a tunnel. Whether the client's system is still there
 * is then asked by TCP.
 */
export function allowSilence(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
): void {
  carriedBy(request)?.allowSilence(response);
}

const carried: unique symbol = Symbol('dsmapper.connection');
interface Carrier {
  [carried]?: LiveConnection;
}

/** Notes on a socket, session or request which connection it belongs to. */
export function carry(carrier: object, connection: LiveConnection): void {
  (carrier as Carrier)[carried] = connection;
}

export function carriedBy(carrier: object): LiveConnection | null {
  return (carrier as Carrier)[carried] ?? null;
}

export interface ConnectionFacts {
  readonly id: number;
  readonly binding: BindingSettings;
  readonly serverName: string | null;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** See `Connection`. */
  readonly throughProxy: string | null;
}

/** Milliseconds of silence after which TCP asks whether the other side is still there. */
const keepAliveDelay = 60_000;

export class LiveConnection implements Connection {
  readonly id: number;
  readonly binding: BindingSettings;
  readonly encrypted: boolean;
  readonly protocol: string | null;
  readonly alpn: string | null;
  readonly serverName: string | null;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly throughProxy: string | null;
  presented: Presented | null = null;
  memory: unknown = undefined;
  pins: unknown = undefined;
  /** Set where the connection speaks HTTP/2. */
  session: ServerHttp2Session | null = null;
  readonly #socket: Socket;
  readonly #idleTimeout: Millis;
  /** Answers that may be silent for as long as they like. */
  #silent = 0;
  readonly #handshakes: HandshakeWatch | null;
  /** HTTP/1 responses not finished yet, oldest first. */
  readonly #responses = new Set<ServerResponse>();
  #requests = 0;
  #tunnel = false;
  #ending = false;

  /** @param foreign told when the client began a handshake of its own; the socket is destroyed right after */
  constructor(socket: Socket, facts: ConnectionFacts, idleTimeout: Millis, foreign: (connection: Connection) => void) {
    const tls = socket instanceof TLSSocket ? socket : null;
    this.id = facts.id;
    this.binding = facts.binding;
    this.serverName = facts.serverName;
    this.remoteAddress = facts.remoteAddress;
    this.remotePort = facts.remotePort;
    this.localAddress = facts.localAddress;
    this.localPort = facts.localPort;
    this.throughProxy = facts.throughProxy;
    this.encrypted = tls !== null;
    this.protocol = tls?.getProtocol() ?? null;
    this.alpn = typeof tls?.alpnProtocol === 'string' ? tls.alpnProtocol : null;
    this.#socket = socket;
    this.#idleTimeout = idleTimeout;
    this.#handshakes =
      tls === null
        ? null
        : watchHandshakes(tls, idleTimeout, {
            presented: (presented) => (this.presented = presented),
            foreign: () => foreign(this),
          });
    if (tls !== null && this.binding.clientCertificate === 'upFront') this.presented = presentedBy(tls, 'upFront');
    carry(socket, this);
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  ask(timeout: Millis): Promise<Presented | AskFailure> {
    if (this.binding.clientCertificate === 'upFront' && this.presented !== null) return Promise.resolve(this.presented);
    if (this.#handshakes === null || this.binding.clientCertificate !== 'late') return Promise.resolve('unsupported');
    return this.#handshakes.ask(timeout);
  }

  /** Counts a request in until its response is done. @param last whether no other may follow it */
  begin(response: ServerResponse, last: boolean): void {
    this.#requests += 1;
    this.#responses.add(response);
    if (last) response.shouldKeepAlive = false;
    response.once('close', () => {
      this.#responses.delete(response);
      if (this.#ending) this.#endWhenIdle();
    });
  }

  /** HTTP/1 requests so far. */
  get requests(): number {
    return this.#requests;
  }

  /** HTTP/1 requests without a finished response. */
  get pending(): number {
    return this.#responses.size;
  }

  /**
   * Whether bytes written to the socket now would be taken for the answer to what the client sent last: nothing is
   * pending, or only the very request that is still being received, and its response has not begun.
   */
  get awaitsAnswer(): boolean {
    const [first] = this.#responses;
    if (first === undefined) return true;
    return this.#responses.size === 1 && !first.req.complete && !first.headersSent;
  }

  /**
   * What is due will not be answered, and the socket is ended by somebody else: whoever works on an answer learns that its client is gone, or
   * what is refused here would still be done by a backend.
   */
  abandon(): void {
    for (const response of this.#responses) {
      if (response.socket !== null) response.detachSocket(response.socket);
      response.destroy();
      response.emit('close');
    }
  }

  /** From now on the socket speaks something else than HTTP. */
  becomeTunnel(): void {
    this.#tunnel = true;
  }

  allowSilence(response: ServerResponse | Http2ServerResponse): void {
    this.#silent += 1;
    (this.session ?? this.#socket).setTimeout(0);
    this.#socket.setKeepAlive(true, keepAliveDelay);
    const ended = () => {
      this.#silent -= 1;
      if (this.#silent === 0 && !this.#socket.destroyed) (this.session ?? this.#socket).setTimeout(this.#idleTimeout);
    };
    // Before Node's own listener, which gives the socket the time-out of one that waits for the next request.
    if (response instanceof ServerResponse) response.prependOnceListener('finish', ended);
    else response.stream.once('close', ended);
  }

  onceClosed(listener: () => void): void {
    if (this.#socket.destroyed) setImmediate(listener);
    else this.#socket.once('close', listener);
  }

  end(how: 'atOnce' | 'gently'): void {
    if (how === 'atOnce') {
      this.#socket.destroy();
      return;
    }
    this.#ending = true;
    if (this.session !== null) this.session.close();
    else this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    const newest = [...this.#responses].at(-1);
    if (newest === undefined) {
      if (!this.#tunnel) this.#socket.destroySoon();
    } else if (!newest.headersSent) newest.shouldKeepAlive = false;
  }
}
