/**
 * The end of service: connections finish what they are doing, and nothing is waited for longer than allowed.
 */
import { setTimeout } from 'node:timers/promises';
import type { Connection } from '../tls/connection.ts';
import type { Front } from '../tls/front.ts';

/** Lets every connection finish what it is doing; idle ones end at once, also those whose handshake ends only now. */
export async function drain(front: Front, timeout: number): Promise<void> {
  front.stopAccepting();
  const told = new WeakSet<Connection>();
  await untilZero(() => {
    for (const connection of front.connections()) {
      if (!told.has(connection)) connection.end('gently');
      told.add(connection);
    }
    return countOf(front.connections());
  }, timeout);
}

/** @param timeout milliseconds after which the rest is not waited for */
export async function untilZero(count: () => number, timeout: number): Promise<void> {
  const deadline = performance.now() + timeout;
  while (count() > 0 && performance.now() < deadline) await setTimeout(20);
}

export function countOf(items: Iterable<unknown>): number {
  let count = 0;
  for (const _ of items) count += 1;
  return count;
}
