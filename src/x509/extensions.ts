/**
 * The extensions of a certificate: all of them raw, and those we know as values. A known extension that does not parse
 * makes the whole certificate malformed, critical or not: nothing that was meant to limit it may get lost. Whether an
 * unknown critical extension is acceptable is decided in `trust/`.
 */
import { noAuthorityInfoAccess, parseAuthorityInfoAccess } from './authority-info-access.ts';
import type { AuthorityKeyIdentifier, Extensions, KeyUsage } from './certificate.ts';
import { DerError, tags, type DerReader } from './der.ts';
import { bitsOf, booleanOf, countOf, integerOf, oidOf } from './der-values.ts';
import { parseDistributionPoints } from './distribution-points.ts';
import { parseExtensionList } from './extension-list.ts';
import { parseGeneralNames, parseNameConstraints } from './general-names.ts';
import { extensionOids } from './oid.ts';
import { parseInhibitAnyPolicy, parsePolicies, parsePolicyConstraints, parsePolicyMappings } from './policies.ts';
import { parseSidExtension } from './sid-extension.ts';

type Draft = { -readonly [Key in keyof Omit<Extensions, 'all'>]: Extensions[Key] };

export const noExtensions: Extensions = Object.freeze({ all: [], ...emptyDraft() });

/** Reads all of `reader`: the inside of the explicit [3] of tbsCertificate. */
export function parseExtensions(reader: DerReader): Extensions {
  const draft = emptyDraft();
  const all = parseExtensionList(reader, 'extensions', (raw, inside) => readKnown(draft, raw.oid, inside));
  reader.finish('extensions');
  return { ...draft, all };
}

/** False when we do not know the extension. */
function readKnown(draft: Draft, oid: string, reader: DerReader): boolean {
  switch (oid) {
    case extensionOids.basicConstraints:
      draft.basicConstraints = parseBasicConstraints(reader, 'basicConstraints');
      return true;
    case extensionOids.keyUsage:
      draft.keyUsage = parseKeyUsage(reader, 'keyUsage');
      return true;
    case extensionOids.extendedKeyUsage:
      draft.extendedKeyUsage = parseUsages(reader, 'extendedKeyUsage');
      return true;
    case extensionOids.microsoftApplicationPolicies:
      draft.applicationPolicies = parsePolicies(reader, 'Application Policies').map((policy) => policy.oid);
      return true;
    case extensionOids.subjectAltName:
      draft.subjectAltName = parseGeneralNames(reader.enter(tags.sequence, 'subjectAltName'), 'subjectAltName');
      return true;
    case extensionOids.subjectKeyIdentifier:
      draft.subjectKeyIdentifier = parseSubjectKeyIdentifier(reader, 'subjectKeyIdentifier');
      return true;
    case extensionOids.authorityKeyIdentifier:
      draft.authorityKeyIdentifier = parseAuthorityKeyIdentifier(reader, 'authorityKeyIdentifier');
      return true;
    case extensionOids.nameConstraints:
      draft.nameConstraints = parseNameConstraints(reader, 'nameConstraints');
      return true;
    case extensionOids.certificatePolicies:
      draft.certificatePolicies = parsePolicies(reader, 'certificatePolicies');
      return true;
    case extensionOids.policyMappings:
      draft.policyMappings = parsePolicyMappings(reader, 'policyMappings');
      return true;
    case extensionOids.policyConstraints:
      draft.policyConstraints = parsePolicyConstraints(reader, 'policyConstraints');
      return true;
    case extensionOids.inhibitAnyPolicy:
      draft.inhibitAnyPolicy = parseInhibitAnyPolicy(reader, 'inhibitAnyPolicy');
      return true;
    case extensionOids.crlDistributionPoints:
      draft.crlDistributionPoints = parseDistributionPoints(reader, 'cRLDistributionPoints');
      return true;
    case extensionOids.freshestCrl:
      draft.freshestCrl = parseDistributionPoints(reader, 'freshestCRL');
      return true;
    case extensionOids.authorityInfoAccess:
      draft.authorityInfoAccess = parseAuthorityInfoAccess(reader, 'authorityInfoAccess');
      return true;
    case extensionOids.ocspNoCheck:
      draft.ocspNoCheck = parseNoCheck(reader, 'ocspNoCheck');
      return true;
    case extensionOids.microsoftSid:
      draft.sid = parseSidExtension(reader, 'SID extension');
      return true;
    default:
      return false;
  }
}

/** RFC 5280 4.2.1.9. An explicit `cA FALSE` is not DER, but common, and means the same. */
function parseBasicConstraints(reader: DerReader, what: string): Extensions['basicConstraints'] {
  const inner = reader.enter(tags.sequence, what);
  const ca = inner.optional(tags.boolean, what);
  const length = inner.optional(tags.integer, what);
  inner.finish(what);
  return {
    ca: ca === null ? false : booleanOf(inner, ca, `${what}: cA`),
    pathLength: length === null ? null : countOf(inner, length, `${what}: pathLenConstraint`),
  };
}

/** RFC 5280 4.2.1.3: at least one bit is set. Trailing zero bits are tolerated; bits after the ninth have no meaning. */
function parseKeyUsage(reader: DerReader, what: string): KeyUsage {
  const element = reader.take(tags.bitString, what);
  const { bits } = bitsOf(reader, element, what);
  if (bits.every((octet) => octet === 0)) throw new DerError(element.content, `${what}: no usage inside`);
  const first = bits[0] ?? 0;
  return {
    digitalSignature: (first & 0x80) !== 0,
    nonRepudiation: (first & 0x40) !== 0,
    keyEncipherment: (first & 0x20) !== 0,
    dataEncipherment: (first & 0x10) !== 0,
    keyAgreement: (first & 0x08) !== 0,
    keyCertSign: (first & 0x04) !== 0,
    cRLSign: (first & 0x02) !== 0,
    encipherOnly: (first & 0x01) !== 0,
    decipherOnly: ((bits[1] ?? 0) & 0x80) !== 0,
  };
}

function parseUsages(reader: DerReader, what: string): readonly string[] {
  const list = reader.enter(tags.sequence, what);
  if (list.done) throw new DerError(list.offset, `${what}: no usage inside`);
  const usages: string[] = [];
  while (!list.done) usages.push(oidOf(list, list.take(tags.oid, what), what));
  return usages;
}

/** An empty identifier would make the altSecurityIdentities value `X509:<SKI>`, which any such certificate has. */
function parseSubjectKeyIdentifier(reader: DerReader, what: string): Buffer {
  const element = reader.take(tags.octetString, what);
  if (element.content === element.end) throw new DerError(element.content, `${what}: empty`);
  return reader.contentOf(element);
}

/** RFC 5280 4.2.1.1; issuer and serial come together or not at all (X.509 clause 9.2.2.1). */
export function parseAuthorityKeyIdentifier(reader: DerReader, what: string): AuthorityKeyIdentifier {
  const inner = reader.enter(tags.sequence, what);
  const key = inner.optional(0x80, what);
  const issuer = inner.optional(0xa1, what);
  const serial = inner.optional(0x82, what);
  inner.finish(what);
  if ((issuer === null) !== (serial === null)) {
    throw new DerError(inner.offset, `${what}: issuer and serial number come together`);
  }
  return {
    keyIdentifier: key === null ? null : inner.contentOf(key),
    issuer: issuer === null ? null : parseGeneralNames(inner.inside(issuer), what),
    serial: serial === null ? null : integerOf(inner, serial, what),
  };
}

/** RFC 6960 section 4.2.2.2.1: being there is all it says. */
function parseNoCheck(reader: DerReader, what: string): true {
  const element = reader.take(tags.null, what);
  if (element.content !== element.end) throw new DerError(element.content, `${what}: NULL with content`);
  return true;
}

function emptyDraft(): Draft {
  return {
    basicConstraints: null,
    keyUsage: null,
    extendedKeyUsage: null,
    applicationPolicies: null,
    subjectAltName: null,
    subjectKeyIdentifier: null,
    authorityKeyIdentifier: null,
    nameConstraints: null,
    certificatePolicies: null,
    policyMappings: null,
    policyConstraints: null,
    inhibitAnyPolicy: null,
    crlDistributionPoints: [],
    freshestCrl: [],
    authorityInfoAccess: noAuthorityInfoAccess,
    ocspNoCheck: false,
    sid: null,
  };
}
