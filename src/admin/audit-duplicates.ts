/**
 * Which value has been seen before, on another account: equal to us, or only to a directory. Decides how much is remembered of a
 * value: 20 octets and the account it was first seen on, so that millions of values fit. What a duplicate means is said by the caller.
 */
import { createHash } from 'node:crypto';
import { fold } from '../directory/sort-key.ts';
import { foldText } from '../mapping/ad-text.ts';

export interface SeenBefore {
  /** `exact`: equal to us too; `directory`: only a directory takes them for equal. */
  readonly kind: 'exact' | 'directory';
  /** Name of the account that had it first. */
  readonly name: string;
}

export interface DuplicateIndex {
  /**
   * Takes up a value of an account. Null: no other account had one like it.
   * @param guid 32 hex digits; the same account again is no duplicate
   */
  note(value: string, account: { readonly name: string; readonly guid: string }): SeenBefore | null;
  /** Values that were not looked up any more because there were too many. */
  readonly unseen: number;
}

/** Of one slot: four words of the key, one of our own folding, the owner. */
const words = 6;
/** Variants of one value, equal to a directory only, that are told apart; more are a duplicate of the first. */
const maximumVariants = 8;
/** Values beyond which nothing is taken up: 200 MB. */
const usualMaximum = 4_000_000;

export function createDuplicateIndex(maximumValues = usualMaximum): DuplicateIndex {
  let slots = new Uint32Array(1024 * words);
  let used = 0;
  let unseen = 0;
  const owners = createOwners();

  return {
    note(value, { name, guid }) {
      const key = keyOf(value);
      const found = look(slots, key);
      // Where both are there, the one that is equal to the letter says more.
      const other = found.same ?? found.variants.find((owner) => owners.guidOf(owner) !== guid) ?? null;
      const before: SeenBefore | null =
        other === null || owners.guidOf(other) === guid
          ? null
          : { kind: found.same === null ? 'directory' : 'exact', name: owners.nameOf(other) };
      if (found.same === null && found.variants.length < maximumVariants) {
        if (used >= maximumValues) unseen += 1;
        else {
          if ((used + 1) * words * 2 > slots.length) slots = grown(slots);
          put(slots, key, owners.add(name, guid));
          used += 1;
        }
      }
      return before;
    },
    get unseen() {
      return unseen;
    },
  };
}

/** Five words: four by which a directory compares, one for our own comparison. */
type Key = readonly [number, number, number, number, number];

function keyOf(value: string): Key {
  const loose = createHash('sha256').update(fold(value)).digest();
  const own = createHash('sha256').update(foldText(value)).digest();
  const [a, b, c, d] = [0, 4, 8, 12].map((at) => loose.readUInt32LE(at)) as [number, number, number, number];
  return [a, b, c, d, own.readUInt32LE(0)];
}

interface Looked {
  /** Owner of the value that is equal to us. */
  readonly same: number | null;
  /** Owners of those that are equal to a directory only. */
  readonly variants: readonly number[];
}

function look(slots: Uint32Array, key: Key): Looked {
  const variants: number[] = [];
  for (let at = start(slots, key); slots[at + 5] !== 0; at = next(slots, at)) {
    if (slots[at] !== key[0] || slots[at + 1] !== key[1] || slots[at + 2] !== key[2] || slots[at + 3] !== key[3])
      continue;
    const owner = (slots[at + 5] ?? 0) - 1;
    if (slots[at + 4] === key[4]) return { same: owner, variants };
    variants.push(owner);
  }
  return { same: null, variants };
}

function put(slots: Uint32Array, key: Key, owner: number): void {
  let at = start(slots, key);
  while (slots[at + 5] !== 0) at = next(slots, at);
  slots.set([...key, owner + 1], at);
}

function grown(slots: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(slots.length * 2);
  for (let at = 0; at < slots.length; at += words) {
    if (slots[at + 5] === 0) continue;
    const slot = slots.subarray(at, at + words);
    put(larger, [...slot.subarray(0, 5)] as unknown as Key, (slot[5] ?? 0) - 1);
  }
  return larger;
}

/** The count of slots is a power of two. */
function start(slots: Uint32Array, key: Key): number {
  return (key[0] & (slots.length / words - 1)) * words;
}

function next(slots: Uint32Array, at: number): number {
  return at + words === slots.length ? 0 : at + words;
}

/** Names and GUIDs of accounts in one piece of memory; one account after the other adds its values, so the last is kept once. */
function createOwners() {
  let bytes = Buffer.alloc(65_536);
  let end = 0;
  let offsets = new Float64Array(1024);
  let count = 0;
  let last = '';

  const record = (owner: number) => bytes.subarray(offsets[owner], owner + 1 < count ? offsets[owner + 1] : end);
  return {
    add(name: string, guid: string): number {
      if (guid === last) return count - 1;
      const addition = Buffer.concat([Buffer.from(guid, 'hex'), Buffer.from(name, 'utf8')]);
      while (end + addition.length > bytes.length) bytes = Buffer.concat([bytes], bytes.length * 2);
      if (count === offsets.length) {
        const larger = new Float64Array(count * 2);
        larger.set(offsets);
        offsets = larger;
      }
      offsets[count] = end;
      end += addition.copy(bytes, end);
      count += 1;
      last = guid;
      return count - 1;
    },
    guidOf: (owner: number) => record(owner).toString('hex', 0, 16),
    nameOf: (owner: number) => record(owner).toString('utf8', 16),
  };
}
