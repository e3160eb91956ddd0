/**
 * What judging a chain yields: a validated path with its evidence, or a refusal that names the certificate.
 */
import type { Digest, Instant } from '../base/brand.ts';
import type { Verdict } from '../base/verdict.ts';
import type { Certificate } from '../x509/certificate.ts';

/** How a chain is judged; the values that a binding or the whole configuration sets. */
export interface JudgeSettings {
  /** Demand clientAuth or smart-card logon (or no restriction at all) from EKU and Application Policies. */
  readonly usageCheck: boolean;
  /** RSA modulus bits below which a key is refused. */
  readonly minimumRsaBits: number;
  readonly allowSha1: boolean;
  /** Whether a certificate with basicConstraints cA may log on as a client. */
  readonly allowCaAsClient: boolean;
}

/** One thing that was tried and led nowhere. */
export interface DeadEnd {
  /** Position in the attempted path, 0 is the leaf. */
  readonly depth: number;
  /** RFC 4514 text of the certificate's subject. */
  readonly subject: string;
  readonly thumbprint: string;
  readonly code: Verdict['code'];
  readonly detail: string;
}

export interface TrustedPath {
  /** Leaf first, trust anchor last. */
  readonly certificates: readonly Certificate[];
  /** The certificate that issued the leaf; the anchor itself when the path has length two. */
  readonly issuer: Certificate;
  /** The path is only good inside this window (all notBefore and notAfter of the path), both ends included. */
  readonly validFrom: Instant;
  readonly validUntil: Instant;
}

export type Judgement =
  | { readonly kind: 'trusted'; readonly path: TrustedPath; readonly deadEnds: readonly DeadEnd[] }
  | { readonly kind: 'refused'; readonly verdict: Verdict; readonly deadEnds: readonly DeadEnd[] };

/** Anchors and intermediates of one binding, indexed once. Built by `createTrustStore` in `trust/trust-store.ts`. */
export interface TrustStore {
  readonly anchors: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
  /** Changes whenever a root, an intermediate or their role changes; part of ticket keys and cache keys. */
  readonly digest: Digest;
}
