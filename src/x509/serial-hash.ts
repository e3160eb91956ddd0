/**
 * Hashes serial numbers with a key, so that nobody who names serials can make them collide. Simple tabulation: one random
 * word for each octet at each place, all of them xored; with linear probing it costs a constant number of steps for any set
 * of keys (Pătraşcu and Thorup, "The Power of Simple Tabulation Hashing").
 */
import { createHash } from 'node:crypto';
import { maximumSerialLength } from './certificate.ts';

/** Places: the octets of a serial, and two for the number of an issuer in an indirect CRL. */
const places = maximumSerialLength + 2;

export type HashWords = Uint32Array;

/** @param seed a whole number below 2^48 that nobody else knows; the same one gives the same words */
export function hashWordsOf(seed: number): HashWords {
  const octets = createHash('shake256', { outputLength: places * 256 * Uint32Array.BYTES_PER_ELEMENT })
    .update(`serial hash ${seed}`)
    .digest();
  // Copied, as the digest may begin anywhere. The order of octets is this machine's, like that of the table.
  return new Uint32Array(Uint8Array.from(octets).buffer);
}

/**
 * @param issuer 0 for the CRL's own issuer, else which one of an indirect CRL, below 2^16
 * @returns 32 bits
 */
export function hashSerial(words: HashWords, bytes: Buffer, start: number, end: number, issuer: number): number {
  let hash = issuer === 0 ? 0 : issuerWord(words, issuer);
  for (let at = start, place = 0; at < end; at += 1, place += 256) hash ^= words[place + (bytes[at] ?? 0)] ?? 0;
  return hash >>> 0;
}

function issuerWord(words: HashWords, issuer: number): number {
  const low = maximumSerialLength * 256;
  return (words[low + (issuer & 0xff)] ?? 0) ^ (words[low + 256 + (issuer >>> 8)] ?? 0);
}
