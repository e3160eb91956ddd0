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
  const second = Math.floor(instant / 1000);
  if (second === lastSecond && Number.isInteger(instant))
    return `${lastPrefix}${String(instant - second * 1000).padStart(3, '0')}Z`;
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) return 'invalid date';
  const text = date.toISOString();
  // Fractions are cut towards 1970, and may come from another second than theirs.
  if (Number.isInteger(instant)) [lastSecond, lastPrefix] = [second, text.slice(0, -4)];
  return text;
}

/** Every log line has the time: what lines of one second have in common is written once. */
let lastSecond = Number.NaN;
let lastPrefix = '';
