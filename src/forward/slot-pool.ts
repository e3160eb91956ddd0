/**
 * The connections to one server and who gets one next: anybody's go to whoever comes first, the last used before others, because it is the
 * most likely to be open still. Some belong to one client alone (`client-pins.ts`); without a request, such a one gives way, longest idle
 * first, when a place is needed, so that nobody can hold all of them.
 *
 * undici's own `Pool` is not used: it gives a slot away for ever to each dispatch that it refuses synchronously.
 */
import type { buildConnector } from 'undici';
import type { Clock } from '../base/clock.ts';
import { forgetPlaces, makePlaces, type OwnPlaces, type PlaceHolder, placesOf } from './client-pins.ts';
import { type Connect, createConnect } from './connector.ts';
import type { ForwardClient, UpstreamSettings } from './forward-contract.ts';
import { serverLabel } from './server-label.ts';
import { Slot, type SlotFacts } from './slot.ts';
import { explain } from './upstream-failure.ts';
import type { Upstream, UpstreamEvents, UpstreamStats, Waiter } from './upstream.ts';
import { WaitingLine } from './waiting-line.ts';

/** Milliseconds after which we close an idle connection of anybody's, before most backends do it (5 s and more). */
const idleTimeout = 4000;

export class SlotPool implements Upstream, PlaceHolder {
  readonly origin: string;
  readonly label: string;
  readonly serverName: string;
  readonly settings: UpstreamSettings;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #connect: Connect;
  readonly #slotFacts: SlotFacts;
  readonly #slots = new Set<Slot>();
  /** Anybody's; last used on top. */
  readonly #idle: Slot[] = [];
  /** Of single clients; longest idle first. */
  readonly #idleOwned = new Set<Slot>();
  readonly #count = { waiting: 0 };
  readonly #line: WaitingLine<Waiter>;
  #busy = 0;
  #sweeper: NodeJS.Timeout | null = null;
  #serving = false;
  #closed = false;
  #whenIdle: (() => void)[] = [];

  constructor(settings: UpstreamSettings, events: UpstreamEvents, clock: Pick<Clock, 'monotonic'>) {
    const url = new URL(settings.origin);
    this.origin = url.origin;
    this.label = serverLabel(settings);
    this.serverName = settings.tls?.serverName ?? url.hostname;
    this.settings = settings;
    this.#clock = clock;
    this.#connect = createConnect(settings);
    this.#line = this.#newLine();
    this.#slotFacts = {
      origin: this.origin,
      settings,
      connect: this.#connect,
      events,
      onDisconnect: (slot) => {
        if (slot.own !== null && !slot.busy) this.#drop(slot);
      },
    };
  }

  get stats(): UpstreamStats {
    let open = 0;
    for (const slot of this.#slots) if (slot.open) open += 1;
    return { open, busy: this.#busy, queued: this.#count.waiting };
  }

  get outstanding(): number {
    return this.#busy + this.#count.waiting;
  }

  readonly connector: buildConnector.connector = (options, callback) => {
    const http2 = (options as { allowH2?: boolean }).allowH2 === true;
    this.#connect({ client: null, patience: this.settings.connectTimeout, http2 }, callback);
  };

  acquire(waiter: Waiter): 'accepted' | 'full' | 'closed' {
    if (this.#closed) return 'closed';
    const own = placesOf(waiter.client, this);
    const bound = own?.bound ?? null;
    const slot = bound === null && this.#line.size > 0 ? null : this.#take(waiter, own);
    if (slot !== null) {
      this.#begin(slot, waiter);
      return 'accepted';
    }
    if (this.#count.waiting >= this.settings.maximumQueue) return 'full';
    if (own === null || bound === null) this.#line.add(waiter);
    else (own.line ??= this.#newLine()).add(waiter);
    return 'accepted';
  }

  leave(waiter: Waiter): void {
    if (!this.#line.delete(waiter) && !placesOf(waiter.client, this)?.line?.delete(waiter)) return;
    this.#settle();
  }

  release(slot: Slot, owner: ForwardClient | null = null): void {
    slot.busy = false;
    this.#busy -= 1;
    const keeps = !slot.gone && (owner === null || this.#bind(slot, owner));
    if (!keeps || (slot.own !== null && (slot.own.closed || !slot.open))) this.#drop(slot);
    else this.#rest(slot);
    if (this.#line.size === 0) this.#settle();
    else this.#serveSoon();
  }

  /** A client has left, and what is its own ends with it; what is in use ends when it is given back. */
  abandon(own: OwnPlaces): void {
    const { bound } = own;
    const unused = bound === null || bound.busy ? own.idle.splice(0) : [bound, ...own.idle.splice(0)];
    for (const slot of unused) this.#drop(slot);
    if (this.#line.size > 0) this.#serveSoon();
  }

  probe(): Promise<string | null> {
    return new Promise((resolve) => {
      this.#connect({ client: null, patience: this.settings.connectTimeout, http2: false }, (error, socket) => {
        socket?.destroy();
        resolve(error === null ? null : explain(error));
      });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.outstanding > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    await this.#end();
  }

  async destroy(): Promise<void> {
    this.#closed = true;
    const lines = new Set([this.#line, ...[...this.#slots].map(({ own }) => own?.line ?? this.#line)]);
    for (const waiter of [...lines].flatMap((line) => line.takeAll())) waiter.giveUp('closed');
    await this.#end();
    this.#settle();
  }

  async #end(): Promise<void> {
    clearTimeout(this.#sweeper ?? undefined);
    const slots = [...this.#slots];
    await Promise.all(slots.map(({ client }) => client.destroy()));
    for (const slot of slots) this.#drop(slot);
  }

  /** A free place, or one that can be made free; null: the request has to wait. */
  #take(waiter: Waiter, own: OwnPlaces | null): Slot | null {
    if (own !== null && own.bound !== null) return own.bound.busy ? null : own.bound;
    const { client = null } = waiter;
    const exclusive = this.settings.proxyProtocol !== undefined && client !== null;
    if (exclusive) return own?.idle.pop() ?? this.#add(client);
    return this.#idle.pop() ?? this.#add(null);
  }

  #begin(slot: Slot, waiter: Waiter): void {
    if (slot.own !== null) this.#idleOwned.delete(slot);
    slot.busy = true;
    this.#busy += 1;
    if (waiter.binds === true && waiter.client !== undefined) {
      slot.authenticated = true;
      this.#bind(slot, waiter.client);
    }
    slot.patience = this.settings.connectTimeout;
    waiter.begin(slot);
  }

  /** @returns false where the slot cannot belong to the client, and nobody else may have it either */
  #bind(slot: Slot, client: ForwardClient): boolean {
    if (slot.own?.bound === slot) return true;
    if (this.#closed) return false;
    const own = makePlaces(client, this);
    if (own.bound !== null || (slot.own !== null && slot.own !== own)) return false;
    this.#give(slot, own);
    own.bound = slot;
    return true;
  }

  #give(slot: Slot, own: OwnPlaces): void {
    if (slot.own === own) return;
    slot.own = own;
    own.size += 1;
  }

  /** Without a request from now on. */
  #rest(slot: Slot): void {
    const { own } = slot;
    slot.idleSince = this.#clock.monotonic();
    if (own === null) {
      this.#idle.push(slot);
      this.#sweeper ??= setTimeout(() => this.#sweep(), idleTimeout).unref();
      return;
    }
    const next = own.bound === slot ? (own.line?.first() ?? null) : null;
    if (next === null) {
      this.#idleOwned.add(slot);
      if (own.bound !== slot) own.idle.push(slot);
    } else {
      own.line?.delete(next);
      slot.busy = true;
      this.#busy += 1;
      queueMicrotask(() => {
        this.#busy -= 1;
        this.#begin(slot, next);
      });
    }
  }

  #add(owner: ForwardClient | null): Slot | null {
    if (this.#slots.size >= this.settings.maximumConnections) {
      const victim = this.#idle.shift() ?? this.#leastMissed();
      if (victim === null) return null;
      this.#drop(victim);
    }
    const slot = new Slot(this.#slotFacts);
    this.#slots.add(slot);
    if (owner !== null) this.#give(slot, makePlaces(owner, this));
    return slot;
  }

  /** Of those that single clients own and do not use: where nobody has shown credentials yet nothing is lost. */
  #leastMissed(): Slot | null {
    for (const slot of this.#idleOwned) if (!slot.authenticated) return slot;
    const [longest = null] = this.#idleOwned;
    return longest;
  }

  /** Its place is free from now on. */
  #drop(slot: Slot): void {
    if (slot.gone) return;
    slot.gone = true;
    this.#slots.delete(slot);
    this.#idleOwned.delete(slot);
    // Not at once: undici may be in the middle of its own bookkeeping.
    queueMicrotask(() => void slot.client.destroy());
    const { own } = slot;
    if (own === null) return;
    const at = own.idle.indexOf(slot);
    if (at >= 0) own.idle.splice(at, 1);
    own.size -= 1;
    if (own.bound === slot) {
      own.bound = null;
      // Their handshake fails openly: on another connection they are strangers.
      for (const waiter of own.line?.takeAll() ?? []) this.#line.add(waiter);
    }
    if (own.size === 0) forgetPlaces(own, this);
  }

  #serveSoon(): void {
    if (this.#serving) return;
    // Not at once: undici calls us in the middle of its own bookkeeping and asserts that nothing was dispatched meanwhile.
    this.#serving = true;
    queueMicrotask(() => this.#serve());
  }

  #serve(): void {
    this.#serving = false;
    for (let next = this.#line.first(); next !== null; next = this.#line.first()) {
      const own = placesOf(next.client, this);
      if (own?.bound?.busy === true) {
        this.#line.delete(next);
        (own.line ??= this.#newLine()).add(next);
        continue;
      }
      const slot = this.#take(next, own);
      if (slot === null) return;
      this.#line.delete(next);
      this.#begin(slot, next);
    }
  }

  /** Closes what nobody has used for long. They lie in the order in which they came, so the first is the oldest. */
  #sweep(): void {
    this.#sweeper = null;
    const now = this.#clock.monotonic();
    for (const slot of this.#idle) {
      if (!slot.open) continue;
      const left = slot.idleSince + idleTimeout - now;
      if (left > 0) {
        this.#sweeper = setTimeout(() => this.#sweep(), left).unref();
        return;
      }
      slot.disconnect();
    }
  }

  #newLine(): WaitingLine<Waiter> {
    return new WaitingLine({
      count: this.#count,
      timeout: this.settings.queueTimeout ?? this.settings.connectTimeout,
      clock: this.#clock,
      onExpired: () => this.#settle(),
    });
  }

  #settle(): void {
    if (!this.#closed || this.outstanding > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}
