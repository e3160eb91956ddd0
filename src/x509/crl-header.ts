/**
 * Reads everything of a CRL but its entries (RFC 5280 section 5.1): strictly, and without looking at the entries, whatever
 * their number. Whether the list is current, signed and about a certificate is decided in `revocation/`.
 */
import { sameBytes } from '../base/bytes.ts';
import type { CrlHeader } from './crl-contract.ts';
import { noCrlExtensions, parseCrlExtensions } from './crl-extensions.ts';
import { DerError, DerReader, tags, type DerElement } from './der.ts';
import { countOf, octetsOfBits, timeOf } from './der-values.ts';
import { isEmptyName, parseName } from './name.ts';
import { parseAlgorithm } from './public-key.ts';

/** The content octets of revokedCertificates; equal offsets when it is absent. */
export interface EntriesSpan {
  readonly start: number;
  readonly end: number;
}

export interface CrlFrame {
  readonly header: CrlHeader;
  readonly span: EntriesSpan;
}

/** Octets. Offsets of entries are kept in 32 bits; the store's own limit is far below. */
const maximumCrlSize = 0x7fff_ffff;

/** Octets of everything but the entries, a bound on what is made into objects. A certificate may be as large. */
const maximumHeaderSize = 65_536;

/** @throws {DerError} */
export function readCrlFrame(der: Buffer): CrlFrame {
  if (der.length > maximumCrlSize) throw new DerError(maximumCrlSize, `larger than ${maximumCrlSize} octets`);
  const input = new DerReader(der);
  const outer = input.enter(tags.sequence, 'CRL');
  input.finish('after the CRL');
  const tbs = outer.take(tags.sequence, 'tbsCertList');
  const outerAlgorithm = outer.take(tags.sequence, 'signatureAlgorithm');
  const signature = octetsOfBits(outer, outer.take(tags.bitString, 'signature'), 'signature');
  outer.finish('CRL');
  const { span, ...fields } = readFields(outer.inside(tbs), der, outer.wholeOf(outerAlgorithm));
  return { span, header: { ...fields, tbs: outer.wholeOf(tbs), signature } };
}

function readFields(
  reader: DerReader,
  der: Buffer,
  outerAlgorithm: Buffer,
): Omit<CrlHeader, 'tbs' | 'signature'> & { readonly span: EntriesSpan } {
  const version = readVersion(reader);
  const algorithmAt = reader.offset;
  const signatureAlgorithm = parseAlgorithm(reader, 'signature algorithm');
  // RFC 5280 5.1.1.2: the unsigned copy outside says the same.
  if (!sameBytes(der.subarray(algorithmAt, reader.offset), outerAlgorithm)) {
    throw new DerError(algorithmAt, 'signature algorithm inside and outside differ');
  }
  const issuerElement = reader.take(tags.sequence, 'issuer');
  const thisUpdate = timeOf(reader, reader.any('thisUpdate'), 'thisUpdate');
  const nextUpdateElement =
    reader.optional(tags.utcTime, 'nextUpdate') ?? reader.optional(tags.generalizedTime, 'nextUpdate');
  const nextUpdate = nextUpdateElement === null ? null : timeOf(reader, nextUpdateElement, 'nextUpdate');
  const span = spanOf(reader, reader.optional(tags.sequence, 'revokedCertificates'));
  const rest = der.length - (span.end - span.start);
  if (rest > maximumHeaderSize) {
    throw new DerError(0, `more than ${maximumHeaderSize} octets beside the entries`);
  }
  const issuer = parseName(reader.only(issuerElement), 'issuer');
  if (isEmptyName(issuer)) throw new DerError(issuerElement.start, 'issuer is empty');
  const extensions = readExtensions(reader, version);
  reader.finish('tbsCertList');
  return { version, issuer, thisUpdate, nextUpdate, signatureAlgorithm, span, ...extensions };
}

/** RFC 5280 5.1.2.1: absent in version 1; where it is present, it says 2. */
function readVersion(reader: DerReader): 1 | 2 {
  const element = reader.optional(tags.integer, 'version');
  if (element === null) return 1;
  const version = countOf(reader, element, 'version') + 1;
  if (version !== 2) throw new DerError(element.content, `version ${version} cannot be written here`);
  return 2;
}

/** RFC 5280 5.1.2.6: absent when nothing is revoked. */
function spanOf(reader: DerReader, element: DerElement | null): EntriesSpan {
  if (element === null) return { start: reader.offset, end: reader.offset };
  if (element.content === element.end) throw new DerError(element.content, 'revokedCertificates: no entry inside');
  return { start: element.content, end: element.end };
}

function readExtensions(reader: DerReader, version: 1 | 2): ReturnType<typeof parseCrlExtensions> {
  const element = reader.optional(0xa0, 'crlExtensions');
  if (element === null) return noCrlExtensions;
  if (version !== 2) throw new DerError(element.start, 'extensions in a version 1 CRL');
  return parseCrlExtensions(reader.inside(element));
}
