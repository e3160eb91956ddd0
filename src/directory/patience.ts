/**
 * Waiting with a bound.
 */

/** True when the work settled within `ms` milliseconds; the timer is gone either way, the work goes on. Never rejects. */
export async function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  const settled = work.then(
    () => true,
    () => true,
  );
  const inTime = await Promise.race([settled, promise]);
  clearTimeout(timer);
  return inTime;
}
