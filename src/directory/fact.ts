/**
 * Something that is read from the directory again and again and needed in between. Decides how long a value is believed that could
 * not be read again: three refreshes, then it is unknown. What is read is the caller's business.
 */
import type { Clock } from '../base/clock.ts';
import type { Instant, Millis } from '../base/brand.ts';
import { backoffDelay } from './backoff.ts';

export type Reading<T> =
  | { readonly kind: 'read'; readonly value: T; readonly server: string }
  | { readonly kind: 'unknown'; readonly reason: string };

export type Known<T> =
  | { readonly kind: 'read'; readonly value: T; readonly server: string; readonly readAt: Instant }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface Fact<T> {
  /** The last value while it is fresh enough; waits for the first attempt to read it, and for nothing else. */
  current(): Promise<Known<T>>;
  /** A server has come back: a value that could not be read is read now, or right after the attempt under way. */
  nudge(): void;
  /** The value may be another now: it is read now, and once more after an attempt under way. */
  renew(): void;
  /** Ends the refreshing; resolves when no attempt is under way. */
  close(): Promise<void>;
}

export interface FactSettings {
  readonly refresh: Millis;
  readonly clock: Clock;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
}

/** Refreshes that may fail in a row before the last value is not believed any more. */
const patience = 3;

/**
 * @param read never rejects, settles in bounded time
 * @param replaced told of each value that was read after another one
 */
export function createFact<T>(
  read: () => Promise<Reading<T>>,
  { refresh, clock, random }: FactSettings,
  replaced: (before: T, after: T) => void = () => {},
): Fact<T> {
  let last: { readonly value: T; readonly server: string; readonly readAt: Instant; readonly at: number } | null = null;
  let reason = '';
  let failures = 0;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  let attempt: Promise<void> | null = null;
  let nudged = false;
  let outdated = false;

  function start(): void {
    if (closed || attempt !== null) return;
    if (timer !== null) clearTimeout(timer);
    nudged = false;
    outdated = false;
    attempt = readOnce().finally(() => (attempt = null));
  }

  async function readOnce(): Promise<void> {
    const reading = await read();
    if (reading.kind === 'read') {
      const before = last;
      last = { ...reading, readAt: clock.now(), at: clock.monotonic() };
      failures = 0;
      if (before !== null) replaced(before.value, reading.value);
    } else {
      reason = reading.reason;
      failures += 1;
    }
    if (closed) return;
    const pause = outdated
      ? 0
      : failures === 0
        ? refresh
        : nudged
          ? 0
          : Math.min(refresh, backoffDelay(failures, random));
    timer = setTimeout(start, pause);
    timer.unref();
  }

  start();
  const first = attempt ?? Promise.resolve();
  return {
    async current() {
      if (last === null) await first;
      if (last === null) return { kind: 'unknown', reason };
      if (clock.monotonic() - last.at <= patience * refresh)
        return { kind: 'read', value: last.value, server: last.server, readAt: last.readAt };
      return { kind: 'unknown', reason: reason || 'it has not been read again in time' };
    },
    nudge() {
      nudged = true;
      if (failures > 0) start();
    },
    renew() {
      outdated = true;
      start();
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await attempt;
    },
  };
}
