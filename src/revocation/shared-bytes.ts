/**
 * Octets that arrive in pieces, put where another thread can read them: one SharedArrayBuffer that grows in place, so that a list of
 * 200 MB is there once. Decides that no more is taken than was agreed.
 */
export interface SharedBytes {
  readonly length: number;
  /** False, and nothing is taken, when there would be more than the maximum. */
  add(chunk: Uint8Array): boolean;
  /** What has been added. Nothing may be added afterwards. */
  finish(): Buffer;
}

/** Below this a buffer of the exact size is worth a copy: growable ones reserve addresses for their maximum. */
const small = 1024 * 1024;

/** @param maximum octets; memory is only taken for those that arrive */
export function createSharedBytes(maximum: number): SharedBytes {
  let shared = new SharedArrayBuffer(0);
  let view = new Uint8Array(shared);
  let length = 0;

  function reserve(wanted: number): void {
    if (wanted <= view.length) return;
    if (shared.growable) shared.grow(Math.min(maximum, Math.max(wanted, 2 * view.length)));
    else {
      const larger = new SharedArrayBuffer(Math.min(maximum, Math.max(wanted, 65_536)), { maxByteLength: maximum });
      new Uint8Array(larger).set(view);
      shared = larger;
    }
    view = new Uint8Array(shared);
  }

  return {
    get length() {
      return length;
    },
    add(chunk) {
      if (length + chunk.length > maximum) return false;
      reserve(length + chunk.length);
      view.set(chunk, length);
      length += chunk.length;
      return true;
    },
    finish: () => (length < small ? sharedCopy(view.subarray(0, length)) : Buffer.from(shared, 0, length)),
  };
}

/** A copy in a SharedArrayBuffer of its own. */
function sharedCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
