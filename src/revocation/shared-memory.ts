/**
 * Tells V8 how large shared memory is. V8 does not count SharedArrayBuffers when it decides whether to collect garbage: lists that were
 * replaced would stay in memory until something else calls for a collection, which in a quiet process is never.
 */

/** As long as the shared memory lives, so does a buffer of its size that V8 counts, and that takes no memory because nobody writes to it. */
const counterweights = new WeakMap<ArrayBufferLike, ArrayBuffer>();

/** Octets. Smaller ones do not matter, and might be given memory in use. */
const smallest = 1024 * 1024;

/** @param octets of it that are in use */
export function countSharedMemory(memory: ArrayBufferLike, octets = memory.byteLength): void {
  if (octets < smallest || !(memory instanceof SharedArrayBuffer) || counterweights.has(memory)) return;
  try {
    counterweights.set(memory, new ArrayBuffer(octets));
  } catch {
    // Where the system does not lend addresses that freely, collections come later.
  }
}

/** For tests: what V8 makes of it cannot be seen in one list. */
export function isCounted(memory: ArrayBufferLike): boolean {
  return counterweights.has(memory);
}
