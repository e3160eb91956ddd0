/**
 * The connections to one directory server and what is known of its health: the circuit breaker. Decides when a connection is opened,
 * when a server that failed is tried again, and that nobody waits for such a server. Which search travels on
 * which connection is decided by `controller.ts`.
 */
import type { Millis } from '../base/brand.ts';
import { backoffDelay } from './backoff.ts';
import type { Connection } from './connection.ts';
import { openConnection, type OpeningSettings } from './opening.ts';

export type PoolState =
  /** Not tried yet, or every connection of a good server has just ended: worth waiting for. */
  | 'connecting'
  | 'up'
  /** Left alone until the back-off has passed, then tried in the background. */
  | 'down'
  /** The credentials were refused: not tried until `retry`. */
  | 'refused';

export interface PoolSettings extends OpeningSettings {
  /** How many connections to keep, 2 or more. */
  readonly connections: number;
  /** Milliseconds that never step back. */
  readonly monotonic: () => number;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
  /** Looks at the first connection after the server was away; what it resolves to is why the server is not taken, null: it is. */
  readonly greet: (connection: Connection) => Promise<string | null>;
  /** A connection or the state has changed. */
  readonly changed: () => void;
}

/** A connection that lived so long counts as good: what ended it was not the server failing us at once. */
const proof = 5_000 as Millis;

export class ConnectionPool {
  readonly #settings: PoolSettings;
  readonly #live = new Map<Connection, { readonly since: number }>();
  readonly #closing = new AbortController();
  #opening = 0;
  /** What `close` waits for. */
  readonly #attempts = new Set<Promise<void>>();
  readonly #greeting = new Set<Connection>();
  #settled = Promise.withResolvers<void>();
  #state: PoolState = 'connecting';
  #reason = 'not connected yet';
  #failures = 0;
  #proven = false;
  #timer: NodeJS.Timeout | null = null;
  #heard = 0;
  readonly #unwatch: () => void;

  constructor(settings: PoolSettings) {
    this.#settings = settings;
    this.#unwatch = settings.gate.watch(() => this.#readmit());
    this.#start();
  }

  get state(): PoolState {
    return this.#state;
  }

  /** Why it is not up; empty when it is. */
  get reason(): string {
    return this.#reason;
  }

  /** Messages that the server has sent so far, on all connections: whoever waits can see whether it lives. */
  get heard(): number {
    return this.#heard;
  }

  get connections(): Iterable<Connection> {
    return this.#live.keys();
  }

  /** Resolves when it is not `connecting` any more. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** A search was answered: failures before it count no more. */
  prove(): void {
    this.#proven = true;
    this.#failures = 0;
  }

  /** The server is silent: every connection ends, and it is left alone for a while. */
  trip(reason: string): void {
    const live = [...this.#live.keys()];
    this.#live.clear();
    for (const connection of live) connection.destroy(reason);
    this.#goDown(reason);
  }

  /** Tries a refused or failed server again now. */
  retry(): void {
    this.#failures = 0;
    if (this.#live.size > 0) return this.#fill();
    if (this.#closed || this.#opening > 0) return;
    this.#enter('connecting', 'not connected yet');
    this.#start();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#unwatch();
    this.#stopTimer();
    this.#enter('down', 'the directory was closed');
    const live = [...this.#live.keys()];
    this.#live.clear();
    for (const connection of this.#greeting) connection.destroy(this.#reason);
    await Promise.all([...live.map((connection) => connection.close()), ...this.#attempts]);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  #start(): void {
    this.#stopTimer();
    this.#opening += 1;
    const attempt = this.#open().finally(() => this.#attempts.delete(attempt));
    this.#attempts.add(attempt);
  }

  async #open(): Promise<void> {
    let ended = '';
    let connection: Connection | null = null;
    const opened = await openConnection(
      this.#settings,
      {
        heard: () => (this.#heard += 1),
        ended: (reason) => {
          ended = reason;
          if (connection !== null) this.#lost(connection, reason);
        },
      },
      this.#closing.signal,
    );
    const fault =
      opened.kind === 'open' ? ((await this.#examine(opened.connection)) ?? (ended || null)) : opened.reason;
    this.#opening -= 1;
    if (opened.kind !== 'open' || fault !== null || this.#closed) {
      if (opened.kind === 'open') opened.connection.destroy(fault ?? this.#reason);
      const refused = opened.kind === 'refused' && this.#settings.gate.refusal !== null;
      if (!this.#closed) this.#failed(refused, fault ?? '');
      return;
    }
    connection = opened.connection;
    this.#live.set(connection, { since: this.#settings.monotonic() });
    this.#enter('up', '');
    this.#fill();
  }

  async #examine(connection: Connection): Promise<string | null> {
    if (this.#live.size > 0) return null;
    this.#greeting.add(connection);
    const fault = this.#closed ? this.#reason : await this.#settings.greet(connection);
    this.#greeting.delete(connection);
    return fault;
  }

  /** The credentials may be tried again. */
  #readmit(): void {
    if (this.#live.size > 0 || this.#state === 'refused') this.retry();
  }

  /** @param refused the credentials were; by now they may be others */
  #failed(refused: boolean, reason: string): void {
    if (this.#live.size === 0) {
      if (refused) this.#enter('refused', reason);
      else this.#goDown(reason);
      return;
    }
    // The server still serves; only the spare connection is missing.
    this.#failures += 1;
    if (!refused) this.#openLater();
  }

  #lost(connection: Connection, reason: string): void {
    const kept = this.#live.get(connection);
    if (kept === undefined) return;
    this.#live.delete(connection);
    if (this.#settings.monotonic() - kept.since >= proof) this.prove();
    if (this.#live.size > 0) {
      if (this.#proven) this.#fill();
      else this.#openLater();
      this.#settings.changed();
    } else if (this.#settings.gate.refusal !== null) this.#enter('refused', this.#settings.gate.refusal);
    else if (this.#proven) {
      this.#proven = false;
      this.#enter('connecting', reason);
      if (this.#opening === 0) this.#start();
    } else this.#goDown(reason);
  }

  #goDown(reason: string): void {
    this.#proven = false;
    this.#failures += 1;
    this.#enter('down', reason);
    this.#openLater();
  }

  #openLater(): void {
    if (this.#closed || this.#timer !== null || this.#opening > 0) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        if (this.#live.size < this.#settings.connections) this.#start();
      },
      backoffDelay(Math.max(1, this.#failures), this.#settings.random),
    );
    this.#timer.unref();
  }

  #fill(): void {
    while (!this.#closed && this.#live.size + this.#opening < this.#settings.connections) this.#start();
  }

  #enter(state: PoolState, reason: string): void {
    if (state === 'connecting' && this.#state !== state) this.#settled = Promise.withResolvers<void>();
    if (state !== 'connecting') this.#settled.resolve();
    this.#state = state;
    this.#reason = reason;
    this.#settings.changed();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
