/**
 * A certificate as a value: parsed once and strictly, raw bytes kept (RFC 5280 section 4.1). Nothing here judges it: what
 * cannot be read is malformed, everything else is for `trust/` to say.
 */
import { hash, type KeyObject } from 'node:crypto';
import type { Digest, Instant, Sid, Thumbprint } from '../base/brand.ts';
import { sameBytes, thumbprintOf } from '../base/bytes.ts';
import type { AuthorityInfoAccess, DistributionPoint } from './crl-contract.ts';
import { DerError, DerReader, tags } from './der.ts';
import { bitsOf, countOf, integerOf, octetsOfBits, timeOf } from './der-values.ts';
import { noExtensions, parseExtensions } from './extensions.ts';
import { isEmptyName, parseName, type Name } from './name.ts';
import { parseAlgorithm, parsePublicKey } from './public-key.ts';

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
  /** Types of the policy's qualifiers: in a critical extension each must be understood (RFC 5280 4.2.1.4). */
  readonly qualifiers: readonly string[];
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
  readonly crlDistributionPoints: readonly DistributionPoint[];
  /** Where delta CRLs are (RFC 5280 section 4.2.1.15). */
  readonly freshestCrl: readonly DistributionPoint[];
  readonly authorityInfoAccess: AuthorityInfoAccess;
  /** RFC 6960 section 4.2.2.2.1: this OCSP signer's own revocation is not to be checked. */
  readonly ocspNoCheck: boolean;
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

/** What reading yields; `offset` counts octets from the start of the input to the place that is wrong. */
export type ParsedCertificate =
  | { readonly kind: 'parsed'; readonly certificate: Certificate }
  | { readonly kind: 'malformed'; readonly reason: string; readonly offset: number };

/** Octets; no certificate of an Active Directory comes near, and a handshake carries no larger one. */
const maximumCertificateSize = 65_536;

/** RFC 5280 4.1.2.2: 20 octets, and the one that keeps a number positive. */
export const maximumSerialLength = 21;

/**
 * Reads one certificate and nothing after it. Never throws. The octets are not copied: they must not change afterwards.
 */
export function parseCertificate(der: Buffer): ParsedCertificate {
  if (der.length > maximumCertificateSize) {
    return {
      kind: 'malformed',
      reason: `larger than ${maximumCertificateSize} octets`,
      offset: maximumCertificateSize,
    };
  }
  try {
    return { kind: 'parsed', certificate: readCertificate(der) };
  } catch (error) {
    if (error instanceof DerError) return { kind: 'malformed', reason: error.message, offset: error.offset };
    throw error;
  }
}

/** The serial number as people read it: hex, lower case, two digits an octet, without the octet that only carries a sign. */
export function serialText({ serial }: Pick<Certificate, 'serial'>): string {
  return serial.toString('hex', serial.length > 1 && serial[0] === 0 ? 1 : 0);
}

/** Both digests are made on first use and kept. */
function readCertificate(der: Buffer): Certificate {
  const input = new DerReader(der);
  const outer = input.enter(tags.sequence, 'certificate');
  input.finish('after the certificate');
  const tbs = outer.take(tags.sequence, 'tbsCertificate');
  const outerAlgorithm = outer.take(tags.sequence, 'signatureAlgorithm');
  const signature = octetsOfBits(outer, outer.take(tags.bitString, 'signature'), 'signature');
  outer.finish('certificate');
  const fields = readFields(outer.inside(tbs), outer.wholeOf(outerAlgorithm));
  let thumbprint: Thumbprint | null = null;
  let digest: Digest | null = null;
  return {
    der,
    tbs: outer.wholeOf(tbs),
    signature,
    ...fields,
    get thumbprint() {
      return (thumbprint ??= thumbprintOf(der));
    },
    get digest() {
      return (digest ??= hash('sha256', der, 'hex') as Digest);
    },
  };
}

type Fields = Omit<Certificate, 'der' | 'tbs' | 'signature' | 'thumbprint' | 'digest'>;

function readFields(reader: DerReader, outerAlgorithm: Buffer): Fields {
  const version = readVersion(reader);
  const serial = parseSerial(reader);
  const algorithmAt = reader.offset;
  const signatureAlgorithm = parseAlgorithm(reader, 'signature algorithm');
  // RFC 5280 4.1.1.2: the unsigned copy outside says the same.
  if (!sameBytes(reader.bytes.subarray(algorithmAt, reader.offset), outerAlgorithm)) {
    throw new DerError(algorithmAt, 'signature algorithm inside and outside differ');
  }
  const issuerAt = reader.offset;
  const issuer = parseName(reader, 'issuer');
  if (isEmptyName(issuer)) throw new DerError(issuerAt, 'issuer is empty');
  const { notBefore, notAfter } = readValidity(reader.enter(tags.sequence, 'validity'));
  const subject = parseName(reader, 'subject');
  const publicKey = parsePublicKey(reader, 'subjectPublicKeyInfo');
  skipUniqueIdentifiers(reader, version);
  const extensions = readExtensions(reader, version);
  reader.finish('tbsCertificate');
  return { version, serial, issuer, subject, notBefore, notAfter, publicKey, extensions, signatureAlgorithm };
}

function readValidity(reader: DerReader): { notBefore: Instant; notAfter: Instant } {
  const notBefore = timeOf(reader, reader.any('notBefore'), 'notBefore');
  const notAfter = timeOf(reader, reader.any('notAfter'), 'notAfter');
  reader.finish('validity');
  return { notBefore, notAfter };
}

/** Version 1 is the default, so DER never writes it. */
function readVersion(reader: DerReader): 1 | 2 | 3 {
  const explicit = reader.optional(0xa0, 'version');
  if (explicit === null) return 1;
  const inner = reader.inside(explicit);
  const version = countOf(inner, inner.take(tags.integer, 'version'), 'version') + 1;
  inner.finish('version');
  if (version !== 2 && version !== 3) throw new DerError(explicit.content, `version ${version} cannot be written here`);
  return version;
}

/** Reads the next element as a serial number. RFC 5280 4.1.2.2: be prepared for such that are negative or zero. */
export function parseSerial(reader: DerReader): Buffer {
  const element = reader.take(tags.integer, 'serialNumber');
  const serial = integerOf(reader, element, 'serialNumber');
  if (serial.length > maximumSerialLength) {
    throw new DerError(element.content, `serialNumber of ${serial.length} octets`);
  }
  return serial;
}

/** issuerUniqueID and subjectUniqueID: nobody uses them; they must only be what they say (RFC 5280 4.1.2.8). */
function skipUniqueIdentifiers(reader: DerReader, version: 1 | 2 | 3): void {
  for (const [tag, what] of [
    [0x81, 'issuerUniqueID'],
    [0x82, 'subjectUniqueID'],
  ] as const) {
    const element = reader.optional(tag, what);
    if (element === null) continue;
    if (version === 1) throw new DerError(element.start, `${what} in a version 1 certificate`);
    bitsOf(reader, element, what);
  }
}

function readExtensions(reader: DerReader, version: 1 | 2 | 3): Extensions {
  const element = reader.optional(0xa3, 'extensions');
  if (element === null) return noExtensions;
  if (version !== 3) throw new DerError(element.start, `extensions in a version ${version} certificate`);
  return parseExtensions(reader.inside(element));
}
