/**
 * Which version of HTTP a connection speaks, where the settings offer HTTP/2: what the server chooses in the handshake (ALPN, RFC 7301). The
 * handshake's socket is used for the request that waited for it, whatever was chosen. What needs a connection for itself, upgrades and
 * credentials that authenticate connections (RFC 4559), goes over HTTP/1.1, on a connection to which HTTP/2 was not offered.
 */
import type { Socket } from 'node:net';
import { type buildConnector, type Client, type Dispatcher, errors } from 'undici';
import { Http2Client } from './http2-client.ts';

/** The part of undici's `Client` that requests need. */
export interface SlotClient {
  dispatch(options: SlotOptions, handler: Dispatcher.DispatchHandler): unknown;
  /** Ends the connection with the request on it. */
  destroy(): Promise<void>;
}

export interface SlotOptions extends Dispatcher.DispatchOptions {
  /** The server has asked for it. */
  http1?: boolean;
}

export interface AlpnFacts {
  readonly origin: string;
  /** Milliseconds. */
  readonly headersTimeout: number;
  readonly longestIdle: number;
  /** Octets. */
  readonly maximumHead: number;
  /** Over connections that it gets from `takeSocket` or makes without an offer of HTTP/2. */
  readonly http1: Client;
  /** Makes a connection and offers HTTP/2. */
  readonly connect: (callback: buildConnector.Callback) => void;
  /** The connection belongs to one client. */
  readonly isBound: () => boolean;
  /** There is a connection, of either version. */
  readonly isOpen: () => boolean;
  readonly onConnect: () => void;
  readonly onDisconnect: (reason: Error) => void;
  readonly onConnectFailed: (reason: Error) => void;
}

export class AlpnClient implements SlotClient {
  readonly #facts: AlpnFacts;
  #http2: Http2Client | null = null;
  /** Connected, on its way to `http1`. */
  #made: Socket | null = null;
  /** Waits for the connection. */
  #waiting: Dispatcher.DispatchHandler | null = null;
  #destroyed = false;

  constructor(facts: AlpnFacts) {
    this.#facts = facts;
  }

  get speaksHttp2(): boolean {
    return this.#http2 !== null;
  }

  dispatch(options: SlotOptions, handler: Dispatcher.DispatchHandler): void {
    const { http1, isBound, isOpen } = this.#facts;
    if (typeof options.upgrade === 'string' || options.http1 === true || isBound()) {
      this.#endHttp2(new Error('the connection is needed for HTTP/1.1'));
      http1.dispatch(options, handler);
    } else if (this.#http2?.usable === true) {
      this.#http2.dispatch(options, handler);
    } else if (this.#http2 === null && isOpen()) {
      http1.dispatch(options, handler);
    } else {
      this.#connect(options, handler);
    }
  }

  /** What the handshake has made for `http1`; null: it makes one itself. */
  takeSocket(): Socket | null {
    const socket = this.#made;
    this.#made = null;
    return socket;
  }

  /** Ends a connection of HTTP/2, if there is one. */
  disconnect(): void {
    this.#endHttp2(new Error('unused for too long'));
  }

  async destroy(): Promise<void> {
    this.#destroyed = true;
    const reason = new errors.ClientDestroyedError();
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.onResponseError?.(inert, reason);
    this.#endHttp2(reason);
    this.takeSocket()?.destroy();
    await this.#facts.http1.destroy();
  }

  #connect(options: SlotOptions, handler: Dispatcher.DispatchHandler): void {
    this.#endHttp2(new errors.SocketError('other side closed'));
    this.#waiting = handler;
    this.#facts.connect((...[error, socket]) => {
      if (this.#destroyed) {
        socket?.destroy();
        return;
      }
      this.#waiting = null;
      // Not its types: without a connection undici gives no socket at all.
      if (error !== null) {
        this.#facts.onConnectFailed(error);
        handler.onResponseError?.(inert, error);
      } else if (isHttp2(socket)) {
        this.#speakHttp2(socket).dispatch(options, handler);
      } else {
        this.#made = socket;
        this.#facts.http1.dispatch(options, handler);
      }
    });
  }

  #speakHttp2(socket: Socket): Http2Client {
    const { onConnect, onDisconnect } = this.#facts;
    const client: Http2Client = new Http2Client(socket, {
      ...this.#facts,
      onEnd: (reason) => {
        if (this.#http2 === client) this.#http2 = null;
        onDisconnect(reason);
      },
    });
    this.#http2 = client;
    onConnect();
    return client;
  }

  #endHttp2(reason: Error): void {
    this.#http2?.destroy(reason);
  }
}

/** What the handshake has agreed on. @param socket as undici gives it: undefined where none was made */
export function isHttp2(socket: Socket | undefined): boolean {
  return socket !== undefined && 'alpnProtocol' in socket && socket.alpnProtocol === 'h2';
}

/** Of a request that never was on a connection. */
const inert: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  abort() {},
  pause() {},
  resume() {},
};
