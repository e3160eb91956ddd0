/**
 * The lists in use. Decides which lists replace each other (those of one issuer name, signing key, scope and kind) and which of two is
 * the older one. Whether a list may be used at all was decided before it got here.
 */
import type { Digest } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import type { Crl, CrlHeader } from '../x509/crl-contract.ts';
import { nameKey } from '../x509/name-comparison.ts';
import type { StoredCrl } from './revocation-contract.ts';
import { expectCollection } from './shared-garbage.ts';

/** Equal for lists of which only the newest counts. */
export type ListKey = string & { readonly listKey: never };

/**
 * An issuer is its name and its key; two lists have one scope when their issuing distribution points are the same octets; a delta
 * never replaces a complete list.
 */
export function listKeyOf(list: CrlHeader, signerKey: Digest): ListKey {
  const { issuingDistributionPoint: scope, baseCrlNumber, issuer } = list;
  const kind = baseCrlNumber === null ? 'complete' : 'delta';
  return `${kind} ${signerKey} ${scope?.value.toString('hex') ?? 'all'} ${nameKey(issuer)}` as ListKey;
}

/** Why `list` is older than what is held, by its number (RFC 5280 section 5.2.3) or its date; null when it is not. */
export function findOlder(list: CrlHeader, held: CrlHeader): string | null {
  const numbered = list.crlNumber !== null && held.crlNumber !== null;
  if (numbered && list.crlNumber < held.crlNumber)
    return `its CRL number ${list.crlNumber} is below ${held.crlNumber} of the list in use`;
  if (list.thisUpdate < held.thisUpdate)
    return `its thisUpdate ${isoText(list.thisUpdate)} is before ${isoText(held.thisUpdate)} of the list in use`;
  return null;
}

export interface CrlLists {
  /** One map read. The array is replaced, never changed. */
  issuedBy(nameKey: string): readonly StoredCrl[];
  get(key: ListKey): StoredCrl | null;
  /** Replaces what the key holds. */
  put(key: ListKey, stored: StoredCrl): void;
  remove(key: ListKey): void;
  keys(): readonly ListKey[];
  /** Whether the lists of this name were looked at since `forgetLooks`. */
  lookedAt(key: ListKey): boolean;
  forgetLooks(): void;
  /** Octets of all lists and their indexes. */
  readonly bytes: number;
  readonly entries: number;
}

export function createCrlLists(): CrlLists {
  const lists = new Map<ListKey, StoredCrl>();
  const issuers = new Map<string, Issuer>();
  /** Several sources may deliver one list: it is counted once. */
  const measure = (of: (crl: Crl) => number) => [...lists.values()].reduce((sum, { crl }) => sum + of(crl), 0);

  /** What readers see changes here, at once. */
  function publish(name: string): void {
    const held = [...lists.values()].filter(({ crl }) => nameKey(crl.issuer) === name);
    if (held.length === 0) issuers.delete(name);
    else issuers.set(name, { held, looked: issuers.get(name)?.looked ?? false });
  }

  return {
    issuedBy(name) {
      const issuer = issuers.get(name);
      if (issuer === undefined) return none;
      issuer.looked = true;
      return issuer.held;
    },
    get: (key) => lists.get(key) ?? null,
    put(key, stored) {
      const replaced = lists.get(key);
      if (replaced !== undefined && replaced.crl !== stored.crl) discard(replaced);
      lists.set(key, stored);
      publish(nameKey(stored.crl.issuer));
    },
    remove(key) {
      const stored = lists.get(key);
      if (stored === undefined) return;
      lists.delete(key);
      discard(stored);
      publish(nameKey(stored.crl.issuer));
    },
    keys: () => [...lists.keys()],
    lookedAt(key) {
      const stored = lists.get(key);
      return stored !== undefined && issuers.get(nameKey(stored.crl.issuer))?.looked === true;
    },
    forgetLooks() {
      for (const issuer of issuers.values()) issuer.looked = false;
    },
    get bytes() {
      return measure(octetsOf);
    },
    get entries() {
      return measure(({ entries }) => entries.count);
    },
  };
}

interface Issuer {
  readonly held: readonly StoredCrl[];
  looked: boolean;
}

const none: readonly StoredCrl[] = [];

function discard({ crl }: StoredCrl): void {
  expectCollection(crl.der.buffer, octetsOf(crl));
}

/** The DER, and the index: 16 to 32 octets for an entry. */
function octetsOf({ der, entries }: Crl): number {
  return der.length + entries.count * 24;
}
