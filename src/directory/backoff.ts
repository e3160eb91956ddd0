/**
 * How long a server that failed is left alone. Decides a delay from the number of failures in a row; when a failure counts is
 * decided by `connection-pool.ts`.
 */
import type { Millis } from '../base/brand.ts';

const first = 200;
const longest = 15_000;

/**
 * Doubles from 200 ms to 15 s; half of it is random, so that gateways that lost one server together do not come back together.
 * @param failures in a row, 1 or more
 * @param random 0 inclusive to 1 exclusive
 */
export function backoffDelay(failures: number, random: () => number): Millis {
  const ceiling = Math.min(longest, first * 2 ** Math.min(failures - 1, 16));
  return Math.round(ceiling * (0.5 + random() / 2)) as Millis;
}
