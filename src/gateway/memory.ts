/**
 * What a connection has earned, so that kept connections need no work per request.
 *
 * Key: the connection, its setup's generation, the location. Holds: the finished `Outgoing`. Ends: with the connection, a
 * new setup, what the client presents anew, a change in the directory while it was decided, the recheck interval, the end of any certificate in the chain and of what is known about
 * its revocation, the account's own expiry and hours, and the location's `maximumAge` since the account or its groups were read. Refusals are never
 * remembered here.
 */
import type { Instant } from '../base/brand.ts';
import { timeRefusalFrom } from '../mapping/account-state.ts';
import type { Connection } from '../tls/connection.ts';
import type { LocationSettings } from './settings.ts';
import type { Setup } from './setup.ts';
import type { Outgoing, Presented } from './stages.ts';

interface Memory {
  readonly generation: number;
  readonly earned: Map<LocationSettings, Earned>;
}

interface Earned {
  readonly outgoing: Outgoing;
  readonly until: number;
}

/** @returns what this connection may still use at the location, or null. A null connection (explain) remembers nothing. */
export function remembered(
  connection: Connection | null,
  presented: Presented,
  setup: Setup,
  now: Instant,
): Outgoing | null {
  const memory = memoryOf(connection, setup);
  if (memory === null) return null;
  const earned = memory.earned.get(presented.rule.location);
  if (earned === undefined || now >= earned.until) return null;
  return earned.outgoing.authorised.mapped.trusted.presented.shown === presented.shown ? earned.outgoing : null;
}

/**
 * Keeps the outgoing value for the next request and hands it back.
 * @param current false: while it was decided something changed that it may rest on, and recheck may have come by already
 */
export function remember(
  connection: Connection | null,
  outgoing: Outgoing,
  setup: Setup,
  now: Instant,
  current = true,
): Outgoing {
  if (connection === null) return outgoing;
  const { presented } = outgoing.authorised.mapped.trusted;
  const memory = memoryOf(connection, setup) ?? { generation: setup.generation, earned: outOfDate(connection) };
  connection.memory = memory;
  memory.earned.set(presented.rule.location, { outgoing, until: current ? endOf(outgoing, setup, now) : -Infinity });
  return outgoing;
}

/** What was earned under another setup says nothing any more, but recheck is still to ask about it. */
function outOfDate({ memory }: Connection): Map<LocationSettings, Earned> {
  if (!isMemory(memory)) return new Map();
  return new Map([...memory.earned].map(([location, { outgoing }]) => [location, { outgoing, until: -Infinity }]));
}

/** What a connection had earned at a location of an older setup has been asked about under the newest. */
export function forgetEarned({ memory }: Connection, location: LocationSettings): void {
  if (isMemory(memory)) memory.earned.delete(location);
}

/** Whether the connection was let in at the location before, though it may be time to ask again. */
export function hasEarned({ memory }: Connection, location: LocationSettings): boolean {
  return isMemory(memory) && memory.earned.has(location);
}

/** Everything a connection has earned under any setup, for recheck. */
export function earnedBy(connection: Connection): readonly Outgoing[] {
  return isMemory(connection.memory) ? [...connection.memory.earned.values()].map(({ outgoing }) => outgoing) : [];
}

/** Makes the next request decide anew; `earnedBy` still knows what there was, so that recheck can ask again. */
export function expire(connection: Connection): void {
  if (!isMemory(connection.memory)) return;
  for (const [location, { outgoing }] of connection.memory.earned)
    connection.memory.earned.set(location, { outgoing, until: -Infinity });
}

function endOf(outgoing: Outgoing, setup: Setup, now: Instant): number {
  const { mapped, until } = outgoing.authorised;
  const { trusted, identity } = mapped;
  const account = identity?.account;
  const { maximumAge } = trusted.presented.rule.location;
  return Math.min(
    now + setup.settings.limits.recheck,
    until,
    outgoing.until,
    trusted.path?.validUntil ?? Infinity,
    trusted.path === null ? Infinity : trusted.until,
    account === undefined ? Infinity : timeRefusalFrom(account, now, setup.settings.mapping),
    account === undefined || maximumAge === null ? Infinity : account.readAt + maximumAge,
  );
}

function memoryOf(connection: Connection | null, setup: Setup): Memory | null {
  const memory = connection?.memory;
  return isMemory(memory) && memory.generation === setup.generation ? memory : null;
}

function isMemory(value: unknown): value is Memory {
  return typeof value === 'object' && value !== null && 'earned' in value;
}
