/**
 * Reads OCSP responses (RFC 6960 section 4.2) strictly and within bounds. Nothing here believes them: who signed, and whether what
 * they say counts, is decided in `revocation/`.
 */
import type { Instant } from '../base/brand.ts';
import { parseCertificate, type Certificate, type RawExtension } from './certificate.ts';
import type { CrlReason } from './crl-contract.ts';
import { DerError, DerReader, tags, type DerElement } from './der.ts';
import { countOf, integerOf, octetsOfBits, oidOf, timeOf } from './der-values.ts';
import { parseExtensionList } from './extension-list.ts';
import { parseName } from './name.ts';
import type {
  BasicOcspResponse,
  OcspCertId,
  OcspResponse,
  OcspResponseStatus,
  ParsedOcspResponse,
  SingleOcspResponse,
} from './ocsp-contract.ts';
import { parseAlgorithm } from './public-key.ts';
import { hashOf } from './signature.ts';

/** Octets. A response about one certificate, with its signer's chain, takes some two thousand. */
export const maximumOcspResponse = 65_536;
const maximumSingles = 256;
const maximumCertificates = 8;

/** Never throws. The octets are not copied: they must not change afterwards. */
export function parseOcspResponse(der: Buffer): ParsedOcspResponse {
  if (der.length > maximumOcspResponse)
    return { kind: 'malformed', reason: `larger than ${maximumOcspResponse} octets`, offset: maximumOcspResponse };
  try {
    return { kind: 'parsed', response: readResponse(der) };
  } catch (error) {
    if (error instanceof DerError) return { kind: 'malformed', reason: error.message, offset: error.offset };
    throw error;
  }
}

/** Section 4.2.1; 4 is not used. */
const statuses: ReadonlyMap<number, OcspResponseStatus> = new Map([
  [0, 'successful'],
  [1, 'malformedRequest'],
  [2, 'internalError'],
  [3, 'tryLater'],
  [5, 'sigRequired'],
  [6, 'unauthorized'],
]);

const oids = {
  basic: '1.3.6.1.5.5.7.48.1.1',
  nonce: '1.3.6.1.5.5.7.48.1.2',
  crlReferences: '1.3.6.1.5.5.7.48.1.3',
  archiveCutoff: '1.3.6.1.5.5.7.48.1.6',
  extendedRevoke: '1.3.6.1.5.5.7.48.1.9',
  certificateTransparency: '1.3.6.1.4.1.11129.2.4.5',
} as const;

/** extendedRevoke announces that `revoked` is also said of certificates never issued (section 2.2), which refuses them as well. */
const understoodInResponse: ReadonlySet<string> = new Set([oids.nonce, oids.extendedRevoke]);
/** None of them changes what the status means for a certificate that has not expired. */
const understoodInSingle: ReadonlySet<string> = new Set([
  oids.crlReferences,
  oids.archiveCutoff,
  oids.certificateTransparency,
]);

function readResponse(der: Buffer): OcspResponse {
  const input = new DerReader(der);
  const outer = input.enter(tags.sequence, 'OCSPResponse');
  input.finish('after the OCSPResponse');
  const at = outer.offset;
  const number = enumerated(outer, 'responseStatus');
  const status = statuses.get(number);
  if (status === undefined) throw new DerError(at, `responseStatus ${number} does not exist`);
  const explicit = outer.optional(0xa0, 'responseBytes');
  outer.finish('OCSPResponse');
  if ((explicit === null) !== (status !== 'successful'))
    throw new DerError(at, `responseStatus ${status} ${explicit === null ? 'without' : 'with'} responseBytes`);
  if (explicit === null) return { der, status, basic: null };

  const wrapper = outer.inside(explicit);
  const bytes = wrapper.enter(tags.sequence, 'responseBytes');
  wrapper.finish('responseBytes');
  const typeAt = bytes.offset;
  const type = oidOf(bytes, bytes.take(tags.oid, 'responseType'), 'responseType');
  if (type !== oids.basic) throw new DerError(typeAt, `responseType ${type} is not id-pkix-ocsp-basic`);
  const response = bytes.enter(tags.octetString, 'response');
  bytes.finish('responseBytes');
  const basic = readBasic(response.enter(tags.sequence, 'BasicOCSPResponse'));
  response.finish('after the BasicOCSPResponse');
  return { der, status, basic };
}

function readBasic(reader: DerReader): BasicOcspResponse {
  const tbs = reader.take(tags.sequence, 'tbsResponseData');
  const signatureAlgorithm = parseAlgorithm(reader, 'signatureAlgorithm');
  const signature = octetsOfBits(reader, reader.take(tags.bitString, 'signature'), 'signature');
  const certificates = readCertificates(reader, reader.optional(0xa0, 'certs'));
  reader.finish('BasicOCSPResponse');
  return {
    ...readData(reader.inside(tbs)),
    signatureAlgorithm,
    tbs: reader.wholeOf(tbs),
    signature,
    certificates,
  };
}

/** Whatever certificate we cannot read cannot be the signer's either. */
function readCertificates(reader: DerReader, explicit: DerElement | null): readonly Certificate[] {
  if (explicit === null) return [];
  const inner = reader.inside(explicit);
  const list = inner.enter(tags.sequence, 'certs');
  inner.finish('certs');
  const certificates: Certificate[] = [];
  for (let count = 1; !list.done; count += 1) {
    if (count > maximumCertificates) throw new DerError(list.offset, `certs: more than ${maximumCertificates}`);
    const parsed = parseCertificate(list.wholeOf(list.take(tags.sequence, 'certs')));
    if (parsed.kind === 'parsed') certificates.push(parsed.certificate);
  }
  return certificates;
}

type ResponseData = Pick<BasicOcspResponse, 'responderId' | 'producedAt' | 'singles' | 'nonce' | 'unknownCritical'>;

function readData(reader: DerReader): ResponseData {
  readVersion(reader);
  const responderId = readResponderId(reader);
  const producedAt = generalizedTime(reader, 'producedAt');
  const list = reader.enter(tags.sequence, 'responses');
  const singles: SingleOcspResponse[] = [];
  while (!list.done) {
    if (singles.length === maximumSingles) throw new DerError(list.offset, `responses: more than ${maximumSingles}`);
    singles.push(readSingle(list.enter(tags.sequence, 'SingleResponse')));
  }
  let nonce: Buffer | null = null;
  const unknownCritical = readExtensions(reader, understoodInResponse, (raw, inside) => {
    if (raw.oid !== oids.nonce) return false;
    nonce = inside.contentOf(inside.take(tags.octetString, 'nonce'));
    return true;
  });
  reader.finish('tbsResponseData');
  return { responderId, producedAt, singles, nonce, unknownCritical };
}

/** Version 1 is the default, which DER does not write; some responders write it, and it means the same. */
function readVersion(reader: DerReader): void {
  const explicit = reader.optional(0xa0, 'version');
  if (explicit === null) return;
  const inner = reader.inside(explicit);
  if (countOf(inner, inner.take(tags.integer, 'version'), 'version') !== 0)
    throw new DerError(explicit.content, 'version is not 1');
  inner.finish('version');
}

/** KeyHash is a SHA-1, whatever else is hashed with (section 4.2.1). */
function readResponderId(reader: DerReader): BasicOcspResponse['responderId'] {
  const element = reader.any('responderID');
  const inner = reader.inside(element);
  switch (element.tag) {
    case 0xa1: {
      const name = parseName(inner, 'responderID');
      inner.finish('responderID');
      return { kind: 'name', name };
    }
    case 0xa2: {
      const octets = inner.take(tags.octetString, 'responderID');
      inner.finish('responderID');
      const keyHash = inner.contentOf(octets);
      if (keyHash.length !== 20)
        throw new DerError(octets.content, `responderID: key hash of ${keyHash.length} octets`);
      return { kind: 'key', keyHash };
    }
    default:
      throw new DerError(element.start, 'responderID: neither a name nor a key hash');
  }
}

function readSingle(reader: DerReader): SingleOcspResponse {
  const certId = readCertId(reader.enter(tags.sequence, 'certID'));
  const status = readStatus(reader);
  const thisUpdate = generalizedTime(reader, 'thisUpdate');
  const explicit = reader.optional(0xa0, 'nextUpdate');
  let nextUpdate: Instant | null = null;
  if (explicit !== null) {
    const inner = reader.inside(explicit);
    nextUpdate = generalizedTime(inner, 'nextUpdate');
    inner.finish('nextUpdate');
  }
  const unknownCritical = readExtensions(reader, understoodInSingle, () => false);
  reader.finish('SingleResponse');
  return { certId, status, thisUpdate, nextUpdate, unknownCritical };
}

function readCertId(reader: DerReader): OcspCertId {
  const hash = hashOf(parseAlgorithm(reader, 'hashAlgorithm'));
  const issuerNameHash = reader.contentOf(reader.take(tags.octetString, 'issuerNameHash'));
  const issuerKeyHash = reader.contentOf(reader.take(tags.octetString, 'issuerKeyHash'));
  const serial = integerOf(reader, reader.take(tags.integer, 'serialNumber'), 'serialNumber');
  reader.finish('certID');
  return { hash, issuerNameHash, issuerKeyHash, serial };
}

function readStatus(reader: DerReader): SingleOcspResponse['status'] {
  const element = reader.any('certStatus');
  switch (element.tag) {
    case 0x80:
    case 0x82:
      if (element.content !== element.end) throw new DerError(element.content, 'certStatus: NULL with content');
      return { kind: element.tag === 0x80 ? 'good' : 'unknown' };
    case 0xa1: {
      const inner = reader.inside(element);
      const revocationDate = generalizedTime(inner, 'revocationTime');
      const explicit = inner.optional(0xa0, 'revocationReason');
      inner.finish('certStatus');
      return { kind: 'revoked', revocationDate, reason: explicit === null ? 0 : readReason(inner.inside(explicit)) };
    }
    default:
      throw new DerError(element.start, 'certStatus: neither good, revoked nor unknown');
  }
}

function readReason(reader: DerReader): CrlReason {
  const at = reader.offset;
  const reason = enumerated(reader, 'revocationReason');
  reader.finish('revocationReason');
  if (!isReason(reason)) throw new DerError(at, `revocationReason ${reason} does not exist`);
  return reason;
}

/** RFC 5280 section 5.3.1; 7 is not used. */
function isReason(reason: number): reason is CrlReason {
  return reason <= 10 && reason !== 7;
}

/** The explicit [1] of extensions, when it comes next. @returns OID of the first critical one that is not understood */
function readExtensions(
  reader: DerReader,
  understood: ReadonlySet<string>,
  read: (raw: RawExtension, inside: DerReader) => boolean,
): string | null {
  const explicit = reader.optional(0xa1, 'extensions');
  if (explicit === null) return null;
  const inner = reader.inside(explicit);
  const all = parseExtensionList(inner, 'extensions', read);
  inner.finish('extensions');
  return all.find(({ oid, critical }) => critical && !understood.has(oid))?.oid ?? null;
}

/** Section 4.2.2.1: no UTCTime here. */
function generalizedTime(reader: DerReader, what: string): Instant {
  return timeOf(reader, reader.take(tags.generalizedTime, what), what);
}

/** An ENUMERATED is encoded as an INTEGER is (X.690 8.4). */
function enumerated(reader: DerReader, what: string): number {
  return countOf(reader, reader.take(0x0a, what), what);
}
