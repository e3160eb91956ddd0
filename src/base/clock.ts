/**
 * The only place that reads the time of day. Everything else receives a `Clock`, so that tests can stop it.
 */
import type { Instant } from './brand.ts';

export interface Clock {
  /** Wall-clock time, for certificate dates and log lines. */
  now(): Instant;
  /** Milliseconds from an arbitrary start that never step back, for durations and expiry of cache entries. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now() as Instant,
  monotonic: () => performance.now(),
};

/** `2026-11-22T17:33:00.000Z`; instants outside what JavaScript can print become `invalid date`. */
export function isoText(instant: Instant): string {
  const date = new Date(instant);
  return Number.isNaN(date.getTime()) ? 'invalid date' : date.toISOString();
}
