/**
 * What one binding trusts, as a value that is built once: anchors, helpful intermediates, an index over all, and the
 * signatures among CAs that were verified before. Being in the store as an intermediate gives no trust.
 */
import { LRUCache } from 'lru-cache';
import { digestOf } from '../base/bytes.ts';
import type { Certificate } from '../x509/certificate.ts';
import { nameKey } from '../x509/name-comparison.ts';
import { rfc4514Text } from '../x509/name.ts';
import { createIssuerIndex } from './issuer-index.ts';
import { anchorsUnder } from './issuer-list.ts';
import type { IssuerList, TrustStore, VerifiedLinks } from './judgement.ts';

/** Links kept for each store; an enterprise has a few dozen. */
const maximumLinks = 10_000;

/**
 * @param roots need not be self-signed; each is trusted with all its limits
 * @param intermediates certificates that clients may leave out of their chains
 * @param list narrows who is trusted, or stands in the place of the roots
 */
export function createTrustStore(
  roots: readonly Certificate[],
  intermediates: readonly Certificate[],
  list: IssuerList | null = null,
): TrustStore {
  const anchors = withoutRepeats(anchorsUnder(list, roots));
  const anchorDigests = new Set(anchors.map(({ digest }) => digest));
  const unlisted = withoutRepeats(roots).filter(({ digest }) => !anchorDigests.has(digest));
  const unlistedDigests = new Set(unlisted.map(({ digest }) => digest));
  const others = withoutRepeats([...intermediates, ...(list?.certificates ?? [])]).filter(
    ({ digest }) => !anchorDigests.has(digest) && !unlistedDigests.has(digest),
  );
  return {
    anchors,
    intermediates: others,
    list,
    digest: digestOf('anchors', ...sortedDigests(anchors), 'intermediates', ...sortedDigests(others), ...listed(list)),
    warnings: warningsOf(anchors),
    isAnchor: ({ digest }) => anchorDigests.has(digest),
    isUnlistedRoot: ({ digest }) => unlistedDigests.has(digest),
    issuers: createIssuerIndex([...anchors, ...others, ...unlisted]),
    links: createLinks(),
  };
}

function listed(list: IssuerList | null): readonly string[] {
  return list === null ? [] : ['list', list.mode, ...sortedDigests(list.certificates)];
}

function withoutRepeats(certificates: readonly Certificate[]): readonly Certificate[] {
  return [...new Map(certificates.map((certificate) => [certificate.digest, certificate])).values()];
}

/** The order of files in a folder must not end sessions. */
function sortedDigests(certificates: readonly Certificate[]): readonly string[] {
  return certificates.map(({ digest }) => digest).sort();
}

/** An issuer is its name and its key: two anchors of one name are two issuers, which people overlook. */
function warningsOf(anchors: readonly Certificate[]): readonly string[] {
  const byName = Map.groupBy(anchors, ({ subject }) => nameKey(subject));
  return [...byName.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined || new Set(same.map(({ publicKey }) => publicKey.digest)).size < 2) return [];
    const thumbprints = same.map(({ thumbprint }) => thumbprint).join(', ');
    return [
      `${same.length} trusted roots are named ${rfc4514Text(first.subject)} and have different keys: ${thumbprints}`,
    ];
  });
}

/** A signature depends on the issuer's key alone, so that a renewed CA certificate with the old key is found as well. */
function createLinks(): VerifiedLinks {
  const links = new LRUCache<string, true>({ max: maximumLinks });
  const keyOf = (child: Certificate, issuer: Certificate) => child.digest + issuer.publicKey.digest;
  return {
    has: (child, issuer) => links.get(keyOf(child, issuer)) === true,
    add: (child, issuer) => void links.set(keyOf(child, issuer), true),
  };
}
