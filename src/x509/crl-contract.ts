/**
 * The shapes that revocation data is read into: certificate revocation lists (RFC 5280 section 5) and the extensions of certificates
 * that lead to them. `crl.ts` reads a list, `crl-entries.ts` finds a serial in it; what a list means for a certificate is
 * decided in `revocation/`.
 */
import type { Digest, Instant } from '../base/brand.ts';
import type { AlgorithmIdentifier, AuthorityKeyIdentifier, GeneralNames } from './certificate.ts';
import type { Name, RelativeName } from './name.ts';

/** RFC 5280 section 4.2.1.13. At least one of name and `crlIssuer` is there. */
export interface DistributionPoint {
  readonly fullName: GeneralNames | null;
  /** nameRelativeToCRLIssuer: one RDN below the CRL issuer's name. */
  readonly relativeName: RelativeName | null;
  /** Bit n set: reason n of ReasonFlags (1 keyCompromise to 8 aACompromise) is covered; null: all. */
  readonly reasons: number | null;
  /** Who signs these CRLs; null: the certificate's issuer. */
  readonly crlIssuer: GeneralNames | null;
}

/** RFC 5280 section 4.2.2.1; only URIs are of use, in encoded order. */
export interface AuthorityInfoAccess {
  readonly ocsp: readonly string[];
  readonly caIssuers: readonly string[];
}

/** RFC 5280 section 5.2.5. At most one of the three `only` flags is set, and never nothing at all. */
export interface IssuingDistributionPoint {
  readonly fullName: GeneralNames | null;
  readonly relativeName: RelativeName | null;
  readonly onlyUserCertificates: boolean;
  readonly onlyCaCertificates: boolean;
  readonly onlyAttributeCertificates: boolean;
  /** As in `DistributionPoint`; null: all. */
  readonly onlySomeReasons: number | null;
  readonly indirect: boolean;
  /** Content octets of the whole extension: two CRLs have one scope when these are equal. */
  readonly value: Buffer;
}

/** Everything about a CRL but its entries: cheap to read, whatever the size of the list. */
export interface CrlHeader {
  /** 1 or 2; only 2 may have extensions. */
  readonly version: 1 | 2;
  readonly issuer: Name;
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant | null;
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | null;
  readonly crlNumber: bigint | null;
  /** BaseCRLNumber of a delta CRL; null: a complete one. */
  readonly baseCrlNumber: bigint | null;
  readonly issuingDistributionPoint: IssuingDistributionPoint | null;
  readonly freshestCrl: readonly DistributionPoint[];
  readonly authorityInfoAccess: AuthorityInfoAccess;
  /** Microsoft 1.3.6.1.4.1.311.21.4: when the CA means to publish the next one, earlier than nextUpdate. */
  readonly nextPublish: Instant | null;
  /** OID of the first critical extension that is not understood; such a CRL must not be used (section 5.2). */
  readonly unknownCritical: string | null;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  /** The signed octets, a view of the input. */
  readonly tbs: Buffer;
  readonly signature: Buffer;
}

/** CRLReason of RFC 5280 section 5.3.1 by number: 0 unspecified ... 8 removeFromCRL, 10 aACompromise. */
export type CrlReason = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 8 | 9 | 10;

export interface CrlEntry {
  readonly revocationDate: Instant;
  readonly reason: CrlReason;
  readonly invalidityDate: Instant | null;
}

export interface CrlEntries {
  readonly count: number;
  /** OID of the first critical entry extension that is not understood: the CRL must not be used (section 5.3). */
  readonly unknownCritical: string | null;
  /**
   * @param serial content octets as in the certificate
   * @param certificateIssuer issuer of the certificate: entries of an indirect CRL belong to the issuer last named by a
   *   certificateIssuer extension before them, others to the CRL's issuer
   */
  find(serial: Buffer, certificateIssuer: Name): CrlEntry | null;
  /** In encoded order, for `crl show`; never used on the request path. */
  list(): Iterable<{ readonly serial: Buffer; readonly certificateIssuer: Name } & CrlEntry>;
}

export interface Crl extends CrlHeader {
  readonly der: Buffer;
  /** SHA-256 of `der`. */
  readonly digest: Digest;
  readonly entries: CrlEntries;
}

/** What a scan leaves behind beside the bytes: plain data and shared memory, so that another thread can do the scan. */
export interface CrlIndex {
  readonly digest: Digest;
  readonly count: number;
  readonly unknownCritical: string | null;
  /** Open-addressing table over the serials; entries are offsets into the DER. */
  readonly table: SharedArrayBuffer;
  /** Key of the hash, drawn for each scan. */
  readonly seed: number;
  /** The issuers that certificateIssuer extensions name, each once, as offsets of a Name in the DER; empty for direct CRLs. */
  readonly issuers: readonly { readonly start: number; readonly end: number }[];
  /**
   * Where a certificateIssuer begins to hold: pairs of 32-bit numbers, the offset of an entry and which issuer, 1 for the first
   * of `issuers`, 0 for the CRL's own.
   */
  readonly switches: SharedArrayBuffer;
}

export type Malformed = {
  readonly kind: 'malformed';
  /** What is wrong, without the offset. */
  readonly reason: string;
  /** Octets from the start of the input. */
  readonly offset: number;
};

export type ParsedCrl = { readonly kind: 'parsed'; readonly crl: Crl } | Malformed;
export type ParsedCrlHeader = { readonly kind: 'parsed'; readonly header: CrlHeader } | Malformed;
export type ScannedCrl = { readonly kind: 'scanned'; readonly index: CrlIndex } | Malformed;
