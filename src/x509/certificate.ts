/**
 * A certificate as a value: parsed once and strictly, raw bytes kept. Nothing here judges it.
 */
import type { KeyObject } from 'node:crypto';
import type { Digest, Instant, Sid, Thumbprint } from '../base/brand.ts';
import type { Name } from './name.ts';

export interface AlgorithmIdentifier {
  readonly oid: string;
  /** DER of the parameters, null when absent. */
  readonly parameters: Buffer | null;
}

export interface PublicKeyInfo {
  /** DER of the whole SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  readonly algorithm: AlgorithmIdentifier;
  /** Content of the BIT STRING without its unused-bits octet: what SKI method 1 hashes. */
  readonly bits: Buffer;
  /** SHA-256 of `spki`: an issuer is its name and this. */
  readonly digest: Digest;
  /** Imported on first use and kept; throws when node:crypto does not take the key. */
  keyObject(): KeyObject;
}

export interface OtherName {
  readonly oid: string;
  /** DER of the value inside the explicit [0]. */
  readonly value: Buffer;
}

export interface GeneralNames {
  readonly rfc822Names: readonly string[];
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  readonly directoryNames: readonly Name[];
  /** 4 or 16 octets (8 or 32 in name constraints). */
  readonly ipAddresses: readonly Buffer[];
  readonly otherNames: readonly OtherName[];
  /** Text of each otherName 1.3.6.1.4.1.311.20.2.3, in encoded order, whatever its string type. */
  readonly upns: readonly string[];
  /** Context tags of further kinds that are present: 3 x400Address, 5 ediPartyName, 8 registeredID. */
  readonly unsupported: readonly number[];
}

export interface GeneralSubtrees {
  readonly permitted: GeneralNames | null;
  readonly excluded: GeneralNames | null;
}

export interface PolicyInformation {
  readonly oid: string;
}

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier: Buffer | null;
  readonly issuer: GeneralNames | null;
  readonly serial: Buffer | null;
}

/** One name per bit of RFC 5280 section 4.2.1.3. */
export interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly nonRepudiation: boolean;
  readonly keyEncipherment: boolean;
  readonly dataEncipherment: boolean;
  readonly keyAgreement: boolean;
  readonly keyCertSign: boolean;
  readonly cRLSign: boolean;
  readonly encipherOnly: boolean;
  readonly decipherOnly: boolean;
}

/** Raw view of one extension: OID, critical bit and content, for checks that look at all of them. */
export interface RawExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

export interface Extensions {
  readonly all: readonly RawExtension[];
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength: number | null } | null;
  readonly keyUsage: KeyUsage | null;
  readonly extendedKeyUsage: readonly string[] | null;
  /** Microsoft Application Policies 1.3.6.1.4.1.311.21.10: act like an extendedKeyUsage. */
  readonly applicationPolicies: readonly string[] | null;
  readonly subjectAltName: GeneralNames | null;
  readonly subjectKeyIdentifier: Buffer | null;
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | null;
  readonly nameConstraints: GeneralSubtrees | null;
  readonly certificatePolicies: readonly PolicyInformation[] | null;
  readonly policyMappings: readonly { readonly issuerDomain: string; readonly subjectDomain: string }[] | null;
  readonly policyConstraints: {
    readonly requireExplicitPolicy: number | null;
    readonly inhibitPolicyMapping: number | null;
  } | null;
  readonly inhibitAnyPolicy: number | null;
  /** URIs of CRL distribution points, in order; the full structure comes with revocation. */
  readonly crlDistributionPoints: readonly string[];
  /** Microsoft's security extension 1.3.6.1.4.1.311.25.2 (MS-WCCE 2.2.2.7.7.4): the account's SID, canonical text. */
  readonly sid: Sid | null;
}

export interface Certificate {
  readonly der: Buffer;
  readonly thumbprint: Thumbprint;
  /** SHA-256 of `der`. */
  readonly digest: Digest;
  readonly version: 1 | 2 | 3;
  /** Content octets of the serial's INTEGER exactly as encoded, sign octet included. */
  readonly serial: Buffer;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: Instant;
  readonly notAfter: Instant;
  readonly publicKey: PublicKeyInfo;
  readonly extensions: Extensions;
  /** DER of tbsCertificate: what was signed. */
  readonly tbs: Buffer;
  /** The algorithm inside tbsCertificate; equal to the outer one or the certificate does not parse. */
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly signature: Buffer;
}
