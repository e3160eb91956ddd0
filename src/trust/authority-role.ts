/**
 * What a certificate says about its own part in a path: whether it is self-issued and whether it is a CA's. Whether the
 * claim is believed is decided elsewhere.
 */
import type { Certificate } from '../x509/certificate.ts';
import { nameKey, sameName } from '../x509/name-comparison.ts';

/** RFC 5280 section 3.2: issuer and subject are one entity, as in roots and key-rollover certificates. */
export function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return sameName(subject, issuer);
}

export function assertsCa({ extensions }: Certificate): boolean {
  return extensions.basicConstraints?.ca === true;
}

/** An authority is its name and its key, whatever else its certificates say. */
export function isSameAuthority(a: Certificate, b: Certificate): boolean {
  return a.publicKey.digest === b.publicKey.digest && nameKey(a.subject) === nameKey(b.subject);
}
