/**
 * Doing something later. Whoever has to wait for a moment receives a `SetAlarm`, so that tests can stop time.
 */
import type { Millis } from './brand.ts';

/** Calls `work` once, `delay` milliseconds from now. Never keeps the process alive. @returns calls it off */
export type SetAlarm = (work: () => void, delay: Millis) => () => void;

/** Node's timers turn anything longer into one millisecond. */
const longestDelay = 2 ** 31 - 1;

/** Delays beyond 24 days are cut to that. */
export const setAlarm: SetAlarm = (work, delay) => {
  const timer = setTimeout(work, Math.min(delay, longestDelay));
  timer.unref();
  return () => clearTimeout(timer);
};
