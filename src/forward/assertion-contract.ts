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
  /** Octets of a finished token; what would be longer is not made. */
  readonly maximumBytes: number;
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

export type SignedAssertion =
  | {
      readonly kind: 'signed';
      /** JWS compact serialization: visible ASCII. */
      readonly token: string;
      /** From here on a new one is to be made: half of its life, so that a backend never sees one that is about to expire. */
      readonly renewAt: Instant;
    }
  /** Groups or names would make it longer than `maximumBytes`: it is not made shorter, because who is missing from a list was not refused anything. */
  | { readonly kind: 'tooLarge'; readonly bytes: number; readonly limit: number }
  /** `notAfter` is here, or less than a second away (times in a JWT are whole seconds). */
  | { readonly kind: 'outlived' };

/** A public key as a JWK (RFC 7517) with `kid`, `use` and `alg`. */
export type PublicJwk = Readonly<Record<string, string>>;

export interface AssertionSigner {
  /** Refusals are values; rejects for bugs alone. */
  sign(facts: AssertionFacts, now: Instant): Promise<SignedAssertion>;
  /** JWK Set: the key that signs now, then those that will sign next or signed what may still be believed, the youngest first. */
  jwks(now: Instant): { readonly keys: readonly PublicJwk[] };
  /** Milliseconds for which the set may be kept: within them no token can appear whose key is not in it. */
  readonly keepFor: Millis;
  /** Ends timers. */
  close(): void;
}
