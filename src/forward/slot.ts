/**
 * One connection's place: it keeps at most one connection and carries one request at a time. Who may use it, and for how long it stays, is
 * decided in `slot-pool.ts`.
 *
 * Over HTTP/1.1 requests travel by an undici `Client`; where the settings offer HTTP/2 and the server takes it, by our own over node:http2
 * (`alpn-client.ts`). undici's HTTP/2 client (8.12.4) is not used: an answer without Content-Length that is cut off by RST_STREAM
 * with NO_ERROR or CANCEL is given to us as complete, and a request that is aborted in its body is left open at the server without a reset.
 */
import type { Socket } from 'node:net';
import { type buildConnector, Client } from 'undici';
import { AlpnClient, isHttp2, type SlotClient } from './alpn-client.ts';
import type { OwnPlaces } from './client-pins.ts';
import type { Connect } from './connector.ts';
import type { UpstreamSettings } from './forward-contract.ts';
import { explain } from './upstream-failure.ts';
import type { UpstreamEvents } from './upstream.ts';

export interface SlotFacts {
  readonly origin: string;
  readonly settings: UpstreamSettings;
  readonly connect: Connect;
  readonly events: UpstreamEvents;
  /** The connection has ended; with or without a request on it. */
  readonly onDisconnect: (slot: Slot) => void;
}

/** Octets of an answer's head beyond which it is the upstream's failure. */
const maximumAnswerHead = 65_536;
/** Milliseconds without a request after which any connection is closed. A shorter `Keep-Alive` of the backend overrides it. */
const longestIdle = 60_000;

export class Slot {
  /** Only for the holder of the slot to dispatch on. */
  readonly client: SlotClient;
  /** Milliseconds that the next connection may take to be made; to be set by the holder. */
  patience: number;
  open = false;
  /** Requests that this connection has answered; 0 on a fresh one. */
  served = 0;
  busy = false;
  /** On the monotonic clock, since when it has no request. */
  idleSince = 0;
  /** Whose it is; null: anybody's. */
  own: OwnPlaces | null = null;
  /** Somebody has shown credentials for the connection here. */
  authenticated = false;
  /** Given up; nothing may be dispatched here any more. */
  gone = false;
  /** The connection of this moment, or the last one. */
  #socket: Socket | null = null;
  /** Null where HTTP/2 is not offered. */
  #alpn: AlpnClient | null = null;

  constructor(facts: SlotFacts) {
    const { origin, settings, connect, events, onDisconnect: onDisconnected } = facts;
    this.patience = settings.connectTimeout;
    const make = (http2: boolean, callback: buildConnector.Callback) => {
      connect({ client: this.own?.client ?? null, patience: this.patience, http2 }, (...outcome) => {
        const [, socket] = outcome;
        // HTTP/2 says itself where an answer ends, whatever becomes of the connection.
        this.#socket = http2 && socket !== null && isHttp2(socket) ? null : socket;
        callback(...outcome);
      });
    };
    const { headersTimeout, bodyTimeout } = settings;
    const http1 = new Client(origin, {
      pipelining: 1,
      allowH2: false,
      connect: (_: object, callback: buildConnector.Callback) => {
        const made = this.#alpn?.takeSocket() ?? null;
        if (made === null) make(false, callback);
        // Not at once: undici is in the middle of its own bookkeeping, and would wait for ever.
        else queueMicrotask(() => callback(null, made));
      },
      headersTimeout,
      bodyTimeout,
      keepAliveTimeout: longestIdle,
      maxHeaderSize: maximumAnswerHead,
    });
    const onConnect = () => {
      this.open = true;
      this.served = 0;
      events.connected?.(origin);
    };
    const onDisconnect = (error: Error) => {
      this.open = false;
      events.disconnected?.(origin, explain(error));
      onDisconnected(this);
    };
    const onConnectFailed = (error: Error) => {
      this.open = false;
      events.connectFailed?.(origin, explain(error));
    };
    http1.on('connect', onConnect);
    http1.on('disconnect', (_origin, _targets, error) => onDisconnect(error));
    http1.on('connectionError', (_origin, _targets, error) => onConnectFailed(error));
    if (offersHttp2(settings)) {
      this.#alpn = new AlpnClient({
        ...{ origin, http1, headersTimeout, longestIdle, maximumHead: maximumAnswerHead },
        ...{ onConnect, onDisconnect, onConnectFailed },
        connect: (callback) => make(true, callback),
        isBound: () => this.own !== null || this.authenticated,
        isOpen: () => this.open,
      });
    }
    this.client = this.#alpn ?? http1;
  }

  /** Why the connection broke, before undici acts on it; null where it did not. Null over HTTP/2. */
  get failure(): Error | null {
    return this.#socket?.errored ?? null;
  }

  /** Ends the connection at once, with the request on it. */
  disconnect(): void {
    if (this.#alpn?.speaksHttp2 === true) this.#alpn.disconnect();
    else this.#socket?.destroy();
  }

  /** A request has failed: over HTTP/1.1 with its connection, of which undici tells later. */
  failed(): void {
    if (this.#alpn?.speaksHttp2 !== true) this.open = false;
  }
}

/** With the PROXY protocol a connection belongs to one client. */
function offersHttp2({ origin, http2, proxyProtocol }: UpstreamSettings): boolean {
  return http2 === true && origin.startsWith('https:') && proxyProtocol === undefined;
}
