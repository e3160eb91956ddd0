/**
 * Finds the certificates that may have issued another one: by name, and within a name by key identifier, without
 * looking at any other. The key identifier only orders candidates (RFC 5280 section 4.2.1.1 makes it an aid, not a check); whether
 * a candidate did issue is for the signature to say.
 */
import { hexOf } from '../base/bytes.ts';
import type { Certificate } from '../x509/certificate.ts';
import { nameKey } from '../x509/name-comparison.ts';
import type { IssuerIndex, NamesIssuer } from './judgement.ts';

/** Certificates that appear twice are kept once. */
export function createIssuerIndex(certificates: readonly Certificate[]): IssuerIndex {
  const buckets = new Map<string, Bucket>();
  for (const certificate of certificates) {
    const key = nameKey(certificate.subject);
    const bucket = buckets.get(key) ?? emptyBucket();
    buckets.set(key, bucket);
    place(bucket, certificate);
  }
  return {
    issuersOf(child) {
      const bucket = buckets.get(nameKey(child.issuer));
      return bucket === undefined ? [] : groupsOf(bucket, child);
    },
  };
}

/** Certificates with one subject. */
interface Bucket {
  readonly seen: Set<string>;
  readonly all: Certificate[];
  readonly withoutIdentifier: Certificate[];
  readonly byIdentifier: Map<string, Certificate[]>;
}

function emptyBucket(): Bucket {
  return { seen: new Set(), all: [], withoutIdentifier: [], byIdentifier: new Map() };
}

function place(bucket: Bucket, certificate: Certificate): void {
  if (bucket.seen.has(certificate.digest)) return;
  bucket.seen.add(certificate.digest);
  bucket.all.push(certificate);
  const identifier = certificate.extensions.subjectKeyIdentifier;
  if (identifier === null) {
    bucket.withoutIdentifier.push(certificate);
    return;
  }
  const key = hexOf(identifier);
  const same = bucket.byIdentifier.get(key);
  if (same === undefined) bucket.byIdentifier.set(key, [certificate]);
  else same.push(certificate);
}

function groupsOf(bucket: Bucket, child: NamesIssuer): readonly (readonly Certificate[])[] {
  const wanted = child.extensions.authorityKeyIdentifier?.keyIdentifier ?? null;
  if (wanted === null) return [bucket.all];
  const key = hexOf(wanted);
  const differs = ({ extensions: { subjectKeyIdentifier } }: Certificate) =>
    subjectKeyIdentifier !== null && hexOf(subjectKeyIdentifier) !== key;
  return [bucket.byIdentifier.get(key) ?? [], bucket.withoutIdentifier, bucket.all.filter(differs)];
}
