/**
 * The servers of one upstream, and which of them takes the next request: among those that are not known to be away the one with the fewest
 * outstanding requests, in turn where several have as few. How a request gets a connection there is decided in `upstream.ts`, whether a
 * server is there in `server-health.ts`.
 */
import { setAlarm } from '../base/alarm.ts';
import { systemClock } from '../base/clock.ts';
import type { UpstreamGroupSettings } from './forward-contract.ts';
import { ServerHealth, type HealthMeans } from './server-health.ts';
import { serverLabel } from './server-label.ts';
import { createUpstream, type Upstream, type UpstreamEvents } from './upstream.ts';

export interface ServerState {
  /** As `serverLabel` writes it. */
  readonly server: string;
  readonly healthy: boolean;
  /** Null while healthy. */
  readonly reason: string | null;
}

export interface UpstreamGroup {
  readonly name: string;
  readonly settings: UpstreamGroupSettings;
  readonly servers: readonly Upstream[];
  /**
   * The server for the next request.
   * @param tried those that have failed this request already
   * @returns null when none is left; with no server known to be healthy one is chosen all the same
   */
  choose(tried?: ReadonlySet<Upstream>): Upstream | null;
  /** A connection to the server could not be made. May be told more than once. */
  failed(server: Upstream, reason: string): void;
  /** In the order of the servers. */
  states(): readonly ServerState[];
  /** Begins with the health checks; without them nobody asks before a connection fails. */
  watch(): void;
  /** Ends checks and attempts to reach servers, for good. */
  unwatch(): void;
  /** Takes no new requests; resolves when those in hand are answered and all connections closed. */
  close(): Promise<void>;
  destroy(): Promise<void>;
}

export interface GroupMeans extends HealthMeans {
  /** A server was lost or came back. Must not throw. */
  readonly onHealth?: (group: string, state: ServerState) => void;
}

const systemMeans: GroupMeans = { clock: systemClock, random: Math.random, setAlarm };

export function createUpstreamGroup(
  settings: UpstreamGroupSettings,
  events: UpstreamEvents = {},
  means: GroupMeans = systemMeans,
): UpstreamGroup {
  return new Group(settings, events, means);
}

class Group implements UpstreamGroup {
  readonly name: string;
  readonly settings: UpstreamGroupSettings;
  readonly servers: readonly Upstream[];
  /** By position in `servers`. */
  readonly #health: readonly ServerHealth[];
  /** Where the search for the least busy one begins. */
  #turn = 0;

  constructor(settings: UpstreamGroupSettings, events: UpstreamEvents, means: GroupMeans) {
    this.name = settings.name;
    this.settings = settings;
    this.servers = settings.servers.map((server, index) =>
      createUpstream(server, {
        ...events,
        connected: (origin) => {
          this.#health[index]?.connectionMade();
          events.connected?.(origin);
        },
        connectFailed: (origin, reason) => {
          this.#health[index]?.connectionFailed(reason);
          events.connectFailed?.(origin, reason);
        },
      }),
    );
    this.#health = settings.servers.map((server, index) => {
      const watched = { upstream: this.servers[index] as Upstream, http2: server.http2 === true };
      const onChange = (healthy: boolean, reason: string) =>
        means.onHealth?.(this.name, { server: serverLabel(server), healthy, reason });
      return new ServerHealth(watched, settings.healthCheck, means, onChange);
    });
  }

  choose(tried?: ReadonlySet<Upstream>): Upstream | null {
    const count = this.servers.length;
    let best = -1;
    for (let step = 0; step < count; step += 1) {
      const index = (this.#turn + step) % count;
      const server = this.servers[index];
      if (server === undefined || tried?.has(server) === true) continue;
      if (best < 0 || this.#isBetter(index, best)) best = index;
    }
    if (best < 0) return null;
    this.#turn = (best + 1) % count;
    return this.servers[best] ?? null;
  }

  failed(server: Upstream, reason: string): void {
    this.#health[this.servers.indexOf(server)]?.connectionFailed(reason);
  }

  states(): readonly ServerState[] {
    return this.#health.map(({ healthy, reason }, index) => {
      const server = this.settings.servers[index];
      return { server: server === undefined ? '' : serverLabel(server), healthy, reason };
    });
  }

  watch(): void {
    for (const health of this.#health) health.watch();
  }

  unwatch(): void {
    for (const health of this.#health) health.stop();
  }

  async close(): Promise<void> {
    this.unwatch();
    await Promise.all(this.servers.map((server) => server.close()));
  }

  async destroy(): Promise<void> {
    this.unwatch();
    await Promise.all(this.servers.map((server) => server.destroy()));
  }

  /** Of two that are away the one that failed longer ago: it has had the most time to come back. */
  #isBetter(one: number, other: number): boolean {
    const [a, b] = [this.#health[one], this.#health[other]];
    if (a === undefined || b === undefined) return false;
    if (a.healthy !== b.healthy) return a.healthy;
    if (!a.healthy && a.failedAt !== b.failedAt) return a.failedAt < b.failedAt;
    return (this.servers[one]?.outstanding ?? 0) < (this.servers[other]?.outstanding ?? 0);
  }
}
