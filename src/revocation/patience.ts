/**
 * How long one source is waited for before the next is asked as well.
 */
import type { Millis } from '../base/brand.ts';

/** Resolves when `work` does, or when half of `remaining` has passed. */
export async function withinHalf(work: Promise<void>, remaining: Millis): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const half = new Promise<void>((resolve) => (timer = setTimeout(resolve, remaining / 2)));
  await Promise.race([work, half]);
  clearTimeout(timer);
}
