/**
 * One server as the rest of forwarding sees it: a bounded number of connections, each with one request at a time, and a bounded queue of
 * requests that wait for one. Which requests come here and what becomes of an answer is not decided here; who gets which connection is in
 * `slot-pool.ts`.
 */
import type { buildConnector } from 'undici';
import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { ForwardClient, UpstreamSettings } from './forward-contract.ts';
import { SlotPool } from './slot-pool.ts';
import type { Slot } from './slot.ts';

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

export type { Slot } from './slot.ts';

/** A request that wants a slot. */
export interface Waiter {
  /** Absent: the request is our own. */
  readonly client?: ForwardClient;
  /** It authenticates the connection that it travels on. */
  readonly binds?: boolean;
  /** Now it has one; to be given back by `release` exactly once. */
  begin(slot: Slot): void;
  /** It will not get one. */
  giveUp(reason: 'timeout' | 'closed'): void;
}

export interface Upstream {
  readonly origin: string;
  /** As messages call it. */
  readonly label: string;
  readonly settings: UpstreamSettings;
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
  /** @param owner whom the connection belongs to from now on, because it is authenticated or about to be; null: nothing changes */
  release(slot: Slot, owner?: ForwardClient | null): void;
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
  return new SlotPool({ ...settings, origin: parseOrigin(settings.origin) }, events, clock);
}

function parseOrigin(origin: string): string {
  const url = URL.parse(origin);
  if (url !== null && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href) return url.origin;
  throw new Failure(`upstream "${origin}" is not an origin`, {
    code: 'upstream-origin',
    hint: 'write scheme, host and port only, as in http://127.0.0.1:8080',
    exitCode: 2,
  });
}
