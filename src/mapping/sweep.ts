/**
 * Goes through everything that is kept, a little at a time: there may be a million of them, and somebody is waiting. Decides only that
 * requests come in between.
 */
import { setImmediate } from 'node:timers/promises';
import type { LRUCache } from 'lru-cache';

/** Values that are looked at before requests get their turn. */
export const sweepStride = 2000;

/**
 * What comes in while it runs may not be looked at. Never rejects unless `goes` throws.
 * @param goes whether a value is dropped
 * @returns how many were
 */
export async function sweep<Key extends string, Value extends object>(
  kept: LRUCache<Key, Value>,
  goes: (value: Value) => boolean,
): Promise<number> {
  let dropped = 0;
  let seen = 0;
  for (const key of [...kept.keys()]) {
    const value = kept.peek(key);
    if (value !== undefined && goes(value) && kept.delete(key)) dropped += 1;
    seen += 1;
    if (seen % sweepStride === 0) await setImmediate();
  }
  return dropped;
}
