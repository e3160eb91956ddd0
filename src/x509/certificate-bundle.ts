/**
 * Certificates as authorities publish their own (RFC 5280 section 4.2.2.1): one in DER, a certs-only SignedData (RFC 5652 section 5.1,
 * RFC 8551 section 3.2.2), or PEM; from a directory the values of cACertificate or crossCertificatePair (RFC 4523), one after the
 * other. Decides what is such a bundle. Nothing in it is trusted for where it came from, and a signature around it is not looked at.
 */
import { parseCertificate, type Certificate } from './certificate.ts';
import type { Malformed } from './crl-contract.ts';
import { DerError, DerReader, tags } from './der.ts';
import { countOf, oidOf } from './der-values.ts';
import { oids } from './oid.ts';
import { readCertificates } from './pem.ts';

export type ParsedBundle =
  { readonly kind: 'parsed'; /** At least one. */ readonly certificates: readonly Certificate[] } | Malformed;

/** Certificates of one bundle. */
const maximumCertificates = 32;

/** One that does not parse spoils the whole: whoever publishes it publishes all of it. */
export function parseCertificateBundle(bytes: Buffer): ParsedBundle {
  try {
    const ders = isDer(bytes) ? readAll(bytes) : readText(bytes);
    if (ders.length > maximumCertificates) throw new DerError(0, `more than ${maximumCertificates} certificates`);
    const certificates = ders.map((der) => {
      const parsed = parseCertificate(der);
      if (parsed.kind === 'malformed') throw new DerError(parsed.offset, `certificate: ${parsed.reason}`);
      return parsed.certificate;
    });
    if (certificates.length === 0) throw new DerError(0, 'no certificate inside');
    return { kind: 'parsed', certificates };
  } catch (error) {
    if (error instanceof DerError) return { kind: 'malformed', reason: error.message, offset: error.offset };
    throw error;
  }
}

/** As in `readCertificates`: text may begin with `0` too. */
function isDer(bytes: Buffer): boolean {
  return bytes[0] === tags.sequence && (bytes[1] ?? 0) >= 0x80;
}

function readText(bytes: Buffer): readonly Buffer[] {
  const read = readCertificates(bytes);
  if (read.kind === 'malformed') throw new DerError(0, read.reason);
  return read.blocks.flatMap(({ der }) => readAll(der));
}

/** What comes first inside tells the three apart: TBSCertificate, the OID of ContentInfo, or a tagged certificate of a pair. */
function readAll(bytes: Buffer): readonly Buffer[] {
  const reader = new DerReader(bytes);
  const found: Buffer[] = [];
  while (!reader.done && found.length <= maximumCertificates) {
    const element = reader.take(tags.sequence, 'certificate bundle');
    const inside = reader.inside(element);
    if (inside.peek() === tags.oid) found.push(...readSignedData(inside));
    else if (inside.peek() === tags.sequence) found.push(reader.wholeOf(element));
    else found.push(...readPair(inside));
  }
  return found;
}

function readPair(pair: DerReader): readonly Buffer[] {
  const parts = [0xa0, 0xa1].map((tag) => pair.optional(tag, 'crossCertificatePair')).filter((part) => part !== null);
  pair.finish('crossCertificatePair');
  if (parts.length === 0)
    throw new DerError(pair.offset, 'neither a certificate nor SignedData nor crossCertificatePair');
  return parts.map((part) => {
    const inside = pair.inside(part);
    const certificate = inside.take(tags.sequence, 'crossCertificatePair');
    inside.finish('crossCertificatePair');
    return inside.wholeOf(certificate);
  });
}

/** ContentInfo around SignedData without signers and without content. */
function readSignedData(contentInfo: DerReader): readonly Buffer[] {
  const type = oidOf(contentInfo, contentInfo.take(tags.oid, 'contentType'), 'contentType');
  if (type !== oids.signedData) throw new DerError(0, `contentType is ${type}, not signedData`);
  const content = contentInfo.enter(0xa0, 'content');
  contentInfo.finish('ContentInfo');
  const signed = content.enter(tags.sequence, 'SignedData');
  content.finish('content');
  countOf(signed, signed.take(tags.integer, 'version'), 'version');
  signed.checkNested(signed.take(tags.set, 'digestAlgorithms'), 'digestAlgorithms');
  const encapsulated = signed.enter(tags.sequence, 'encapContentInfo');
  oidOf(encapsulated, encapsulated.take(tags.oid, 'eContentType'), 'eContentType');
  encapsulated.finish('encapContentInfo: certs-only has no content');
  const certificates = signed.take(0xa0, 'certificates');
  const crls = signed.optional(0xa1, 'crls');
  if (crls !== null) signed.checkNested(crls, 'crls');
  if (!signed.enter(tags.set, 'signerInfos').done)
    throw new DerError(signed.offset, 'signerInfos: certs-only has none');
  signed.finish('SignedData');
  return certificatesIn(signed.inside(certificates));
}

/** CertificateChoices: others than plain certificates (attribute certificates, say) are of no use here. */
function certificatesIn(choices: DerReader): readonly Buffer[] {
  const found: Buffer[] = [];
  while (!choices.done && found.length <= maximumCertificates) {
    const choice = choices.any('certificates');
    if (choice.tag === tags.sequence) found.push(choices.wholeOf(choice));
  }
  return found;
}
