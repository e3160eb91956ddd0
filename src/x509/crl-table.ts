/**
 * The table in which entries of a CRL are found by their serial number: open addressing with linear probing, in shared
 * memory. A slot is two 32-bit numbers: the offset of an entry, 0 for none, and the hash of its serial and issuer. At least
 * half of the slots stay empty.
 */

/** How many entries wait, so that their slots are brought into the processor's cache together; each alone would take longer. */
const maximumWaiting = 128;

/** Whether an entry is about the certificate that is looked for; asked only where the hash is the same. */
export type IsSame = (entry: number) => boolean;

/** The entry with this hash that is the same; 0 when there is none. */
export function findEntry(slots: Uint32Array, hash: number, isSame: IsSame): number {
  const mask = slots.length - 1;
  let slot = (hash * 2) & mask;
  for (let entry = slots[slot] ?? 0; entry !== 0; entry = slots[slot] ?? 0) {
    if (slots[slot + 1] === hash && isSame(entry)) return entry;
    slot = (slot + 2) & mask;
  }
  return 0;
}

export class EntryTable {
  readonly memory: SharedArrayBuffer;
  readonly #slots: Uint32Array;
  readonly #waitingEntries = new Uint32Array(maximumWaiting);
  readonly #waitingHashes = new Uint32Array(maximumWaiting);
  /** What was read only to have it at hand. */
  readonly #touched = new Uint32Array(maximumWaiting);
  readonly #prefers: (entry: number, other: number) => boolean;
  readonly #isSame: (entry: number, other: number) => boolean;
  #waiting = 0;

  /**
   * @param count how many entries will come
   * @param isSame whether two entries are about one certificate
   * @param prefers whether an entry is to stand in the place of another that is about the same certificate
   */
  constructor(
    count: number,
    isSame: (entry: number, other: number) => boolean,
    prefers: (entry: number, other: number) => boolean,
  ) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(count, 4) * 2));
    this.memory = new SharedArrayBuffer(slots * 2 * Uint32Array.BYTES_PER_ELEMENT);
    this.#slots = new Uint32Array(this.memory);
    this.#isSame = isSame;
    this.#prefers = prefers;
  }

  add(entry: number, hash: number): void {
    this.#waitingEntries[this.#waiting] = entry;
    this.#waitingHashes[this.#waiting] = hash;
    this.#waiting += 1;
    if (this.#waiting === maximumWaiting) this.settle();
  }

  /** Puts those that wait into their slots. */
  settle(): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let index = 0; index < this.#waiting; index += 1)
      this.#touched[index] = slots[((this.#waitingHashes[index] ?? 0) * 2) & mask] ?? 0;
    for (let index = 0; index < this.#waiting; index += 1)
      this.#insert(this.#waitingEntries[index] ?? 0, this.#waitingHashes[index] ?? 0);
    this.#waiting = 0;
  }

  /** Of several entries about one certificate only one is kept, which bounds the steps of every later search. */
  #insert(entry: number, hash: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (hash * 2) & mask;
    for (let other = slots[slot] ?? 0; other !== 0; other = slots[slot] ?? 0) {
      if (slots[slot + 1] === hash && this.#isSame(entry, other)) {
        if (this.#prefers(entry, other)) slots[slot] = entry;
        return;
      }
      slot = (slot + 2) & mask;
    }
    slots[slot] = entry;
    slots[slot + 1] = hash;
  }
}
