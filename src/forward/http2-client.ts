/**
 * HTTP/2 over one connection to a server, by node:http2: the part of undici's `Client` that forwarding uses. It carries one request at a
 * time, because the pool counts connections and lends each of them to one request; what HTTP/2 gives here is its framing, not streams
 * side by side. undici's own client is not used: `slot.ts` says why.
 *
 * The connection ends after the request on it when the server has said GOAWAY, at once when it is silent where an answer was due, and when
 * nobody has used it for long. A request that is aborted ends with RST_STREAM, and the connection stays.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { Socket } from 'node:net';
import { type Dispatcher, errors } from 'undici';
import { Http2Exchange } from './http2-exchange.ts';
import { brokenStream, refusedStream } from './http2-failure.ts';

export interface Http2Facts {
  readonly origin: string;
  /** Milliseconds. */
  readonly headersTimeout: number;
  readonly longestIdle: number;
  /** Octets of an answer's head beyond which it is the server's failure. */
  readonly maximumHead: number;
  /** Called once, also where we end it; nothing may be dispatched from then on. */
  readonly onEnd: (reason: Error) => void;
}

/** Octets that a server may send before they are read. */
const window = 262_144;
/** Octets of a request's head, compressed; what is admitted is shorter. */
const maximumRequestHead = 262_144;
/** Octets that SETTINGS_MAX_HEADER_LIST_SIZE counts for each field beside name and value (RFC 9113 section 6.5.2). */
const fieldOverhead = 32;

export class Http2Client {
  readonly #facts: Http2Facts;
  readonly #socket: Socket;
  readonly #session: ClientHttp2Session;
  readonly #authority: string;
  #exchange: Http2Exchange | null = null;
  #error: Error | null = null;
  /** The last stream that the server has looked at or may still. */
  #lastStream = Number.POSITIVE_INFINITY;
  #idle: NodeJS.Timeout | null = null;
  #ended = false;

  /** @param socket connected, with `h2` agreed on */
  constructor(socket: Socket, facts: Http2Facts) {
    this.#facts = facts;
    this.#socket = socket;
    this.#authority = new URL(facts.origin).host;
    const options = {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: window, maxHeaderListSize: facts.maximumHead },
      maxHeaderListPairs: Math.floor(facts.maximumHead / fieldOverhead),
      maxSendHeaderBlockLength: maximumRequestHead,
      // What was admitted is sent; which fields may come twice is the backend's to say, as over HTTP/1.1.
      strictSingleValueFields: false,
    };
    this.#session = connect(facts.origin, options);
    this.#listen();
  }

  /** A request may be dispatched, if none is on the way. */
  get usable(): boolean {
    return !this.#ended && !this.#session.closed && !this.#session.destroyed && !this.#socket.destroyed;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    if (this.#exchange !== null) throw new Error('a second request on a connection that carries one');
    const exchange = new Http2Exchange({
      session: this.#session,
      authority: this.#authority,
      headersTimeout: this.#facts.headersTimeout,
      options,
      handler,
      explain: (stream) => this.#explain(stream),
      onEnd: (error) => {
        this.#exchange = null;
        if (error instanceof errors.HeadersTimeoutError || !this.usable) this.#end(error);
        else this.#rest();
      },
    });
    this.#exchange = exchange;
    exchange.start();
  }

  /** Ends the connection with the request on it. */
  destroy(reason: Error): void {
    this.#exchange?.fail(reason);
    this.#end(reason);
  }

  #listen(): void {
    const session = this.#session;
    session.on('connect', () => {
      if (!session.destroyed) session.setLocalWindowSize(window);
    });
    session.on('error', (error: Error) => {
      this.#error ??= error;
    });
    session.on('goaway', (_code: number, lastStream: number) => {
      this.#lastStream = Math.min(this.#lastStream, lastStream);
      // Not at once: node:http2 closes the session itself in this moment. With a request on it, it ends with that.
      setImmediate(() => {
        if (this.#exchange === null) this.#end(null);
      });
    });
    session.on('close', () => this.#end(null));
  }

  #explain(stream: ClientHttp2Stream): Error {
    const { id, rstCode } = stream;
    if (id === undefined) return refusedStream('the connection ended before it was sent');
    if (id > this.#lastStream) return refusedStream('the server is going away');
    if (this.#error !== null) return this.#error;
    return this.#socket.destroyed || this.#session.destroyed
      ? new errors.SocketError('other side closed')
      : brokenStream(rstCode);
  }

  #rest(): void {
    if (this.#idle !== null) this.#idle.refresh();
    else this.#idle = setTimeout(() => this.#onIdle(), this.#facts.longestIdle).unref();
  }

  #onIdle(): void {
    if (this.#exchange === null) this.#end(null);
  }

  #end(reason: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#session.destroy();
    // `destroy` waits until everything was written; a server that reads nothing must not keep the socket.
    setImmediate(() => this.#socket.destroy());
    this.#facts.onEnd(reason ?? this.#error ?? new errors.SocketError('other side closed'));
  }
}
