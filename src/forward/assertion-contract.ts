/**
 * What a signed assertion says and what signing takes and gives: a JWT (RFC 7519) in JWS compact form, bound to the client's certificate by
 * `cnf.x5t#S256` (RFC 8705 section 3.1).
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { MappedIdentity } from '../mapping/mapper-contract.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { Group } from './dialect-contract.ts';

export interface AssertionSettings {
  readonly algorithm: 'EdDSA' | 'ES256';
  /** `iss`. */
  readonly issuer: string;
  readonly lifetime: Millis;
  /** How long a key signs; it is published before for `overlap`, and after for `overlap` and `lifetime`. */
  readonly rotation: Millis;
  readonly overlap: Millis;
  /** Where keys live between restarts, PEM with mode 0600; null: in memory alone. */
  readonly keyDirectory: string | null;
}

export interface AssertionFacts {
  readonly identity: MappedIdentity;
  readonly leaf: Certificate;
  /** Null: not asked for at this location. */
  readonly groups: readonly Group[] | null;
  readonly audience: string;
  /** The assertion does not outlive this. */
  readonly notAfter: Instant;
}

export interface SignedAssertion {
  /** JWS compact serialization: visible ASCII. */
  readonly token: string;
  /** From here on a new one is to be made: half of its life, so that a backend never sees one that is about to expire. */
  readonly renewAt: Instant;
}

export interface AssertionSigner {
  /** @throws Failure where no key can be used */
  sign(facts: AssertionFacts, now: Instant): Promise<SignedAssertion>;
  /** JWK Set (RFC 7517): keys that sign now, will sign next, or signed what may still be believed. */
  jwks(now: Instant): { readonly keys: readonly Readonly<Record<string, unknown>>[] };
  close(): void;
}
