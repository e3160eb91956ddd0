/**
 * A bound on something that promises to end by itself: what comes too late is dropped, not cancelled.
 */
import type { Millis } from '../base/brand.ts';

/** @param late the answer when `work` has not settled after `millis`; a rejection of `work` in time is passed on */
export async function withinDeadline<T>(millis: Millis, work: Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const gaveUp = new Promise<T>((answer) => {
    // a little more than was promised, so that the answer of somebody who keeps the deadline to the last is heard
    timer = setTimeout(() => answer(late()), millis + graceMillis);
  });
  try {
    return await Promise.race([work, gaveUp]);
  } finally {
    clearTimeout(timer);
  }
}

const graceMillis = 100;
