/**
 * Whose certificates the entries of an indirect CRL are about (RFC 5280 section 5.3.3): a certificateIssuer extension holds
 * from its entry on until the next one; before the first, entries are about the CRL issuer's own certificates. Issuers are
 * numbers here, equal exactly when the names are the same: 0 is the CRL's issuer.
 */
import type { CrlIndex } from './crl-contract.ts';
import { DerError, DerReader } from './der.ts';
import { nameKey } from './name-comparison.ts';
import { parseName, type Name } from './name.ts';

/** Each name is compared once in each of its spellings; a list for more authorities than this has lost its purpose. */
const maximumIssuers = 4096;

/** The number that holds at an entry. */
export function issuerAt(switches: Uint32Array, entry: number): number {
  let low = 0;
  let high = switches.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((switches[middle * 2] ?? 0) <= entry) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : (switches[low * 2 - 1] ?? 0);
}

/** @returns the number of a certificate's issuer, -1 when no entry can be about its certificates */
export function issuerNumbers(der: Buffer, issuer: Name, index: CrlIndex): (certificateIssuer: Name) => number {
  const own = nameKey(issuer);
  const numbers = new Map(
    index.issuers.map(({ start, end }, position): [string, number] => [
      nameKey(parseName(new DerReader(der, start, end), 'certificateIssuer')),
      position + 1,
    ]),
  );
  return (certificateIssuer) => {
    const key = nameKey(certificateIssuer);
    return key === own ? 0 : (numbers.get(key) ?? -1);
  };
}

/** What a scan notes down; grows with the list, without an object for each entry. */
export class IssuerTrack {
  #current = 0;
  #switches = new Uint32Array(0);
  #used = 0;
  readonly #der: Buffer;
  readonly #bySpelling = new Map<string, number>();
  readonly #byKey: Map<string, number>;
  readonly #issuers: { start: number; end: number }[] = [];

  constructor(der: Buffer, issuer: Name) {
    this.#der = der;
    this.#byKey = new Map([[nameKey(issuer), 0]]);
  }

  /** The number that holds at the place the scan has reached. */
  get current(): number {
    return this.#current;
  }

  /** From the entry at this offset on. */
  change(entry: number, to: Name): void {
    const number = this.#numberOf(to, entry);
    if (number === this.#current) return;
    this.#current = number;
    if (this.#used === this.#switches.length) {
      const grown = new Uint32Array(Math.max(16, this.#used * 2));
      grown.set(this.#switches);
      this.#switches = grown;
    }
    this.#switches[this.#used] = entry;
    this.#switches[this.#used + 1] = number;
    this.#used += 2;
  }

  /** The number at an entry that the scan has passed. */
  at(entry: number): number {
    return issuerAt(this.#switches.subarray(0, this.#used), entry);
  }

  finish(): Pick<CrlIndex, 'issuers' | 'switches'> {
    const switches = new SharedArrayBuffer(this.#used * Uint32Array.BYTES_PER_ELEMENT);
    new Uint32Array(switches).set(this.#switches.subarray(0, this.#used));
    return { issuers: this.#issuers, switches };
  }

  #numberOf(name: Name, entry: number): number {
    const spelling = name.der.toString('latin1');
    const seen = this.#bySpelling.get(spelling);
    if (seen !== undefined) return seen;
    if (this.#bySpelling.size === maximumIssuers) {
      throw new DerError(entry, `certificateIssuer: more than ${maximumIssuers} names`);
    }
    const key = nameKey(name);
    let number = this.#byKey.get(key);
    if (number === undefined) {
      const start = name.der.byteOffset - this.#der.byteOffset;
      number = this.#issuers.push({ start, end: start + name.der.length });
      this.#byKey.set(key, number);
    }
    this.#bySpelling.set(spelling, number);
    return number;
  }
}
