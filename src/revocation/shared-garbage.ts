/**
 * Tells V8 of shared memory that nobody needs any more. V8 does not count SharedArrayBuffers when it decides whether to collect garbage:
 * lists that were replaced would stay in memory until something else calls for a collection, which in a quiet process is never.
 */

/** Until the memory is collected it has beside it a buffer of its size that V8 counts, and that takes no memory because nobody writes to it. */
const counterweights = new WeakMap<ArrayBufferLike, ArrayBuffer>();

/** Octets. Smaller ones do not matter, and might be given memory in use. */
const smallest = 1024 * 1024;

/**
 * Those who still read it may go on.
 * @param octets of it, and of what goes with it
 */
export function expectCollection(memory: ArrayBufferLike, octets: number): void {
  if (octets < smallest || !(memory instanceof SharedArrayBuffer) || counterweights.has(memory)) return;
  try {
    counterweights.set(memory, new ArrayBuffer(octets));
  } catch {
    // Where the system does not lend addresses that freely, collections come later.
  }
}

/** For tests: what V8 makes of it cannot be seen in one list. */
export function isExpected(memory: ArrayBufferLike): boolean {
  return counterweights.has(memory);
}
