/**
 * One backend: a bounded number of connections, and a bounded queue of requests that wait for one. Each connection is an
 * undici `Client` that carries one request at a time, so what is outstanding on it is 0 or 1 and the least busy one is any
 * idle one: the last used, because it is the most likely to be open still. Which requests come here and what becomes of
 * an answer is not decided here.
 *
 * undici's own `Pool` is not used: it gives a slot away for ever to each dispatch that it refuses synchronously.
 */
import { buildConnector, Client } from 'undici';
import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { Failure, reasonOf } from '../base/failure.ts';
import type { UpstreamSettings } from './forward-contract.ts';

export interface UpstreamStats {
  /** Connections that are established. */
  readonly open: number;
  /** Connections that carry a request, or are being made for one. */
  readonly busy: number;
  /** Requests that wait for a connection. */
  readonly queued: number;
}

/** What an operator may want to see; called synchronously, must not throw. */
export interface UpstreamEvents {
  connected?(origin: string): void;
  disconnected?(origin: string, reason: string): void;
  connectFailed?(origin: string, reason: string): void;
}

/** One connection's place. Only its holder may dispatch on `client`. */
export interface Slot {
  readonly client: Client;
  open: boolean;
  /** Requests that this connection has answered; 0 on a fresh one. */
  served: number;
}

/** A request that wants a slot. */
export interface Waiter {
  /** Now it has one; to be given back by `release` exactly once. */
  begin(slot: Slot): void;
  /** It will not get one. */
  giveUp(reason: 'timeout' | 'closed'): void;
}

export interface Upstream {
  readonly origin: string;
  /** Constant SNI for undici, which would otherwise take the client's Host and reconnect whenever it changes. */
  readonly serverName: string;
  readonly stats: UpstreamStats;
  /** `busy` and `queued` of `stats`, at less cost. */
  readonly outstanding: number;
  /** For connections on the gateway's own account, health checks: complete when it calls back, and they show no client's address. */
  readonly connector: buildConnector.connector;
  /** `accepted`: `begin` has been called already or will be. */
  acquire(waiter: Waiter): 'accepted' | 'full' | 'closed';
  /** Leaves the queue; nothing happens where it has begun. */
  leave(waiter: Waiter): void;
  release(slot: Slot): void;
  /** Opens a connection and closes it again. @returns why that failed, null when it did not */
  probe(): Promise<string | null>;
  /** Takes no new requests; resolves when those in hand and in the queue are answered and all connections closed. */
  close(): Promise<void>;
  /** Ends everything at once. */
  destroy(): Promise<void>;
}

/** @throws Failure where the origin is not one */
export function createUpstream(
  settings: UpstreamSettings,
  events: UpstreamEvents = {},
  clock: Pick<Clock, 'monotonic'> = systemClock,
): Upstream {
  return new SlotPool(settings, events, clock);
}

/** Octets of an answer's head beyond which it is the upstream's failure. */
const maximumAnswerHead = 65_536;
/** Milliseconds after which we close an idle connection, before most backends do it (5 s and more); their `Keep-Alive` hint overrides. */
const idleTimeout = 4000;

class SlotPool implements Upstream {
  readonly origin: string;
  readonly serverName: string;
  readonly #settings: UpstreamSettings;
  readonly #events: UpstreamEvents;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly connector: buildConnector.connector;
  readonly #slots: Slot[] = [];
  /** Last used on top. */
  readonly #idle: Slot[] = [];
  /** When each began to wait, in the order of arrival. */
  readonly #queue = new Map<Waiter, number>();
  readonly #queueTimeout: number;
  #queueTimer: NodeJS.Timeout | null = null;
  #serving = false;
  #closed = false;
  #whenIdle: (() => void)[] = [];

  constructor(settings: UpstreamSettings, events: UpstreamEvents, clock: Pick<Clock, 'monotonic'>) {
    const url = parseOrigin(settings.origin);
    this.origin = url.origin;
    this.serverName = settings.tls?.serverName ?? url.hostname;
    this.#settings = settings;
    this.#events = events;
    this.#clock = clock;
    this.#queueTimeout = settings.queueTimeout ?? settings.connectTimeout;
    this.connector = connectorFor(settings, url.protocol === 'https:');
  }

  get stats(): UpstreamStats {
    return {
      open: this.#slots.reduce((count, slot) => count + (slot.open ? 1 : 0), 0),
      busy: this.#slots.length - this.#idle.length,
      queued: this.#queue.size,
    };
  }

  get outstanding(): number {
    return this.#slots.length - this.#idle.length + this.#queue.size;
  }

  acquire(waiter: Waiter): 'accepted' | 'full' | 'closed' {
    if (this.#closed) return 'closed';
    const slot = this.#takeSlot();
    if (slot !== null) {
      waiter.begin(slot);
      return 'accepted';
    }
    if (this.#queue.size >= this.#settings.maximumQueue) return 'full';
    this.#queue.set(waiter, this.#clock.monotonic());
    this.#watchQueue();
    return 'accepted';
  }

  leave(waiter: Waiter): void {
    if (this.#queue.delete(waiter)) this.#settle();
  }

  release(slot: Slot): void {
    this.#idle.push(slot);
    if (this.#queue.size === 0) {
      this.#settle();
    } else if (!this.#serving) {
      // Not at once: undici calls us in the middle of its own bookkeeping and asserts that nothing was dispatched meanwhile.
      this.#serving = true;
      queueMicrotask(() => this.#serve());
    }
  }

  probe(): Promise<string | null> {
    const { hostname, host, protocol, port } = new URL(this.origin);
    return new Promise((resolve) => {
      this.connector({ hostname: withoutBrackets(hostname), host, protocol, port }, (error, socket) => {
        socket?.destroy();
        resolve(error === null ? null : reasonOf(error));
      });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.stats.busy > 0 || this.#queue.size > 0) {
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    }
    await Promise.all(this.#slots.map(({ client }) => client.destroy()));
  }

  async destroy(): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#queue.keys()) {
      this.#queue.delete(waiter);
      waiter.giveUp('closed');
    }
    await Promise.all(this.#slots.map(({ client }) => client.destroy()));
    this.#settle();
  }

  #takeSlot(): Slot | null {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    return this.#slots.length < this.#settings.maximumConnections ? this.#addSlot() : null;
  }

  #addSlot(): Slot {
    const { headersTimeout, bodyTimeout } = this.#settings;
    const client = new Client(this.origin, {
      pipelining: 1,
      allowH2: false,
      connect: this.connector,
      headersTimeout,
      bodyTimeout,
      keepAliveTimeout: idleTimeout,
      maxHeaderSize: maximumAnswerHead,
    });
    const slot: Slot = { client, open: false, served: 0 };
    client.on('connect', () => {
      slot.open = true;
      slot.served = 0;
      this.#events.connected?.(this.origin);
    });
    client.on('disconnect', (_origin, _targets, error) => {
      slot.open = false;
      this.#events.disconnected?.(this.origin, reasonOf(error));
    });
    client.on('connectionError', (_origin, _targets, error) => {
      slot.open = false;
      this.#events.connectFailed?.(this.origin, reasonOf(error));
    });
    this.#slots.push(slot);
    return slot;
  }

  #serve(): void {
    this.#serving = false;
    for (const waiter of this.#queue.keys()) {
      const slot = this.#takeSlot();
      if (slot === null) return;
      this.#queue.delete(waiter);
      waiter.begin(slot);
    }
  }

  /** One timer for the whole queue: it stands at the moment when the request at its head has waited long enough. */
  #watchQueue(): void {
    if (this.#queueTimer !== null) return;
    for (const since of this.#queue.values()) {
      const left = Math.max(since + this.#queueTimeout - this.#clock.monotonic(), 1);
      this.#queueTimer = setTimeout(() => this.#expire(), left);
      return;
    }
  }

  #expire(): void {
    this.#queueTimer = null;
    const limit = this.#clock.monotonic() - this.#queueTimeout;
    for (const [waiter, since] of this.#queue) {
      if (since > limit) break;
      this.#queue.delete(waiter);
      waiter.giveUp('timeout');
    }
    this.#settle();
    this.#watchQueue();
  }

  #settle(): void {
    if (this.#queue.size > 0) return;
    if (this.#queueTimer !== null) clearTimeout(this.#queueTimer);
    this.#queueTimer = null;
    if (!this.#closed || this.#idle.length < this.#slots.length) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}

function parseOrigin(origin: string): URL {
  const url = URL.parse(origin);
  if (url !== null && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href) return url;
  throw new Failure(`upstream "${origin}" is not an origin`, {
    code: 'upstream-origin',
    hint: 'write scheme, host and port only, as in http://127.0.0.1:8080',
    exitCode: 2,
  });
}

/** The name that is verified is the operator's, whatever Host the client sent. */
function connectorFor(settings: UpstreamSettings, https: boolean): buildConnector.connector {
  const { connectTimeout, socketPath, tls } = settings;
  const connect = buildConnector({
    allowH2: false,
    timeout: connectTimeout,
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...tls?.certificate,
  });
  if (!https) return connect;
  const serverName = tls?.serverName;
  return (options, callback) => {
    const { servername: _clientsHost, ...rest } = options;
    connect(serverName === undefined ? rest : { ...rest, servername: serverName }, callback);
  };
}

function withoutBrackets(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
