/**
 * What judging a chain yields: a validated path with its evidence, or a refusal that names the certificate.
 */
import type { Digest, Instant } from '../base/brand.ts';
import type { Verdict } from '../base/verdict.ts';
import type { Certificate, Extensions } from '../x509/certificate.ts';
import type { Name } from '../x509/name.ts';
import type { PathPolicies } from './policy-graph.ts';

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

/** `any` looks at no usage at all; `serverAuth` is for certificates of servers that we ourselves contact. */
export type Purpose = 'clientAuth' | 'serverAuth' | 'any';

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
  /** The certificate that issued the leaf: the anchor when the path has length two, the leaf when it is itself an anchor. */
  readonly issuer: Certificate;
  /**
   * The path is only good inside this window (all notBefore and notAfter of the path), both ends included. The last is
   * the last millisecond of the second that notAfter names.
   */
  readonly validFrom: Instant;
  readonly validUntil: Instant;
  /** For which certificatePolicies it is valid. */
  readonly policies: PathPolicies;
  /** Extended key usages (dotted decimal) that the leaf names and the path allows. */
  readonly usages: ReadonlySet<string>;
}

export type Judgement =
  | { readonly kind: 'trusted'; readonly path: TrustedPath; readonly deadEnds: readonly DeadEnd[] }
  | { readonly kind: 'refused'; readonly verdict: Verdict; readonly deadEnds: readonly DeadEnd[] };

/** Anchors and intermediates of one binding, indexed once. Built by `createTrustStore` in `trust/trust-store.ts`. */
export interface TrustStore {
  readonly anchors: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
  /** Null: the anchors alone decide. */
  readonly list: IssuerList | null;
  /** Changes whenever a root, an intermediate, their role or the list changes; part of ticket keys and cache keys. */
  readonly digest: Digest;
  /** One sentence for each oddity that somebody should know of before serving. */
  readonly warnings: readonly string[];
  isAnchor(certificate: Certificate): boolean;
  /** Whether it would be an anchor if the list were not in the place of the roots. */
  isUnlistedRoot(certificate: Certificate): boolean;
  /** All anchors, intermediates and roots that the list leaves out, for finding issuers. */
  readonly issuers: IssuerIndex;
  /** Signatures between CA certificates that were verified for an accepted path. */
  readonly links: VerifiedLinks;
}

/** What Windows calls ClientAuthTrustMode: 0, 1 and 2 in this order. */
export type TrustMode = 'machineTrust' | 'exclusiveRoot' | 'exclusiveCa';

/** A store of issuers that narrows who is trusted; what it means is in `trust/issuer-list.ts`. */
export interface IssuerList {
  /** The store's name, for messages. */
  readonly name: string;
  readonly mode: TrustMode;
  readonly certificates: readonly Certificate[];
}

/** Certificates by subject and by subject key identifier. */
export interface IssuerIndex {
  /** Those whose subject is the issuer of `child`, in groups from the likeliest to the least likely. */
  issuersOf(child: NamesIssuer): readonly (readonly Certificate[])[];
}

/** How a certificate says who issued it; what a CRL says can be put in the same form. */
export interface NamesIssuer {
  readonly issuer: Name;
  readonly extensions: Pick<Extensions, 'authorityKeyIdentifier'>;
}

/** Bounded; forgetting a link costs one signature check. */
export interface VerifiedLinks {
  has(child: Certificate, issuer: Certificate): boolean;
  add(child: Certificate, issuer: Certificate): void;
}
