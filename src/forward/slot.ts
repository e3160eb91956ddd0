/**
 * One connection's place: an undici `Client` that keeps at most one connection and carries one request at a time. Who may use it, and for
 * how long it stays, is decided in `slot-pool.ts`.
 *
 * Requests travel over HTTP/1.1. undici's HTTP/2 client (8.12.4) is not used: an answer without Content-Length that is cut off by RST_STREAM
 * with NO_ERROR or CANCEL is given to us as complete, and a request that is aborted in its body is left open at the server without a reset.
 */
import type { Socket } from 'node:net';
import { type buildConnector, Client } from 'undici';
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
  readonly client: Client;
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

  constructor(facts: SlotFacts) {
    const { origin, settings, connect, events, onDisconnect } = facts;
    this.patience = settings.connectTimeout;
    this.client = new Client(origin, {
      pipelining: 1,
      allowH2: false,
      connect: (_: object, callback: buildConnector.Callback) => {
        connect({ client: this.own?.client ?? null, patience: this.patience, http2: false }, (...outcome) => {
          [, this.#socket] = outcome;
          callback(...outcome);
        });
      },
      headersTimeout: settings.headersTimeout,
      bodyTimeout: settings.bodyTimeout,
      keepAliveTimeout: longestIdle,
      maxHeaderSize: maximumAnswerHead,
    });
    this.client.on('connect', () => {
      this.open = true;
      this.served = 0;
      events.connected?.(origin);
    });
    this.client.on('disconnect', (_origin, _targets, error) => {
      this.open = false;
      events.disconnected?.(origin, explain(error));
      onDisconnect(this);
    });
    this.client.on('connectionError', (_origin, _targets, error) => {
      this.open = false;
      events.connectFailed?.(origin, explain(error));
    });
  }

  /** Why the connection broke, before undici acts on it; null where it did not. */
  get failure(): Error | null {
    return this.#socket?.errored ?? null;
  }

  /** Ends the connection at once, with the request on it. */
  disconnect(): void {
    this.#socket?.destroy();
  }
}
