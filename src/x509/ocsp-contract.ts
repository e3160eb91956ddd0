/**
 * The shapes of OCSP (RFC 6960): what a response says, before anybody has looked at who signed it. `ocsp-response.ts` reads,
 * `ocsp-request.ts` writes; whether an answer is believed is decided in `revocation/`.
 */
import type { Instant } from '../base/brand.ts';
import type { AlgorithmIdentifier, Certificate } from './certificate.ts';
import type { CrlReason, Malformed } from './crl-contract.ts';
import type { Name } from './name.ts';

export type OcspResponseStatus =
  'successful' | 'malformedRequest' | 'internalError' | 'tryLater' | 'sigRequired' | 'unauthorized';

export interface OcspResponse {
  readonly der: Buffer;
  readonly status: OcspResponseStatus;
  /** There exactly when the status is successful. */
  readonly basic: BasicOcspResponse | null;
}

export interface BasicOcspResponse {
  readonly responderId:
    | { readonly kind: 'name'; readonly name: Name }
    | { readonly kind: 'key'; /** SHA-1 of the key's bits. */ readonly keyHash: Buffer };
  readonly producedAt: Instant;
  readonly singles: readonly SingleOcspResponse[];
  /** Content of the nonce's OCTET STRING. */
  readonly nonce: Buffer | null;
  /** OID of the first critical extension that is not understood. */
  readonly unknownCritical: string | null;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly tbs: Buffer;
  readonly signature: Buffer;
  /** Those that parse, at most eight. */
  readonly certificates: readonly Certificate[];
}

export interface OcspCertId {
  readonly hash: 'sha1' | 'sha256' | 'sha384' | 'sha512' | null;
  readonly issuerNameHash: Buffer;
  readonly issuerKeyHash: Buffer;
  readonly serial: Buffer;
}

export interface SingleOcspResponse {
  readonly certId: OcspCertId;
  readonly status:
    | { readonly kind: 'good' }
    | { readonly kind: 'revoked'; readonly revocationDate: Instant; readonly reason: CrlReason }
    | { readonly kind: 'unknown' };
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant | null;
  readonly unknownCritical: string | null;
}

export type ParsedOcspResponse = { readonly kind: 'parsed'; readonly response: OcspResponse } | Malformed;
