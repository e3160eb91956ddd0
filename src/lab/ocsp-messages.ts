/**
 * OCSP on the wire (RFC 6960 section 4): reads requests, writes answers. Who is asked and what is answered is decided in
 * `ocsp-responder.ts`.
 */
import type { Instant } from '../base/brand.ts';
import type { OcspCertId, OcspResponseStatus } from '../x509/ocsp-contract.ts';
import type { CrlReason } from '../x509/crl-contract.ts';
import { DerError, DerReader, tags } from '../x509/der.ts';
import { integerOf, oidOf } from '../x509/der-values.ts';
import { oids } from '../x509/oid.ts';
import {
  bitString,
  element,
  enumerated,
  extension,
  generalizedTime,
  octetString,
  oid,
  sequence,
} from './der-writing.ts';
import type { DocumentSigner } from './document-signer.ts';

export interface AskedCertId extends OcspCertId {
  /** DER of the whole CertID: answers repeat it as it is. */
  readonly der: Buffer;
}

export interface OcspRequest {
  readonly asked: readonly AskedCertId[];
  /** Content of the nonce's OCTET STRING; null: without. */
  readonly nonce: Buffer | null;
}

export interface WrittenOcspAnswer {
  readonly producedAt: Instant;
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant;
  readonly singles: readonly { readonly certId: AskedCertId; readonly status: WrittenStatus }[];
  readonly nonce: Buffer | null;
  /** DER of further extensions of the answer. */
  readonly extensions: readonly Buffer[];
}

export type WrittenStatus =
  | { readonly kind: 'good' | 'unknown' }
  | { readonly kind: 'revoked'; readonly revocationDate: Instant; readonly reason: CrlReason };

const ocspOids = { basic: '1.3.6.1.5.5.7.48.1.1', nonce: '1.3.6.1.5.5.7.48.1.2' };
const maximumAsked = 32;

const hashNames: Readonly<Record<string, OcspCertId['hash']>> = {
  [oids.sha1]: 'sha1',
  [oids.sha256]: 'sha256',
  [oids.sha384]: 'sha384',
  [oids.sha512]: 'sha512',
};

const statusNumbers: Readonly<Record<OcspResponseStatus, number>> = {
  successful: 0,
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  sigRequired: 5,
  unauthorized: 6,
};

/** Null when it is none. A signature is passed over: everybody may ask. */
export function readOcspRequest(der: Buffer): OcspRequest | null {
  try {
    const input = new DerReader(der);
    const tbs = input.enter(tags.sequence, 'OCSPRequest').enter(tags.sequence, 'tbsRequest');
    input.finish('after the request');
    tbs.optional(0xa0, 'version');
    tbs.optional(0xa1, 'requestorName');
    const list = tbs.enter(tags.sequence, 'requestList');
    const asked: AskedCertId[] = [];
    while (!list.done) asked.push(readCertId(list.enter(tags.sequence, 'Request')));
    const more = tbs.optional(0xa2, 'requestExtensions');
    tbs.finish('tbsRequest');
    if (asked.length === 0 || asked.length > maximumAsked) return null;
    return { asked, nonce: more === null ? null : readNonce(tbs.inside(more)) };
  } catch (error) {
    if (error instanceof DerError) return null;
    throw error;
  }
}

function readCertId(request: DerReader): AskedCertId {
  const whole = request.take(tags.sequence, 'CertID');
  const fields = request.inside(whole);
  const algorithm = fields.enter(tags.sequence, 'hashAlgorithm');
  const hash = hashNames[oidOf(algorithm, algorithm.take(tags.oid, 'hashAlgorithm'), 'hashAlgorithm')] ?? null;
  const octets = (what: string) => fields.contentOf(fields.take(tags.octetString, what));
  return {
    der: request.wholeOf(whole),
    hash,
    issuerNameHash: octets('issuerNameHash'),
    issuerKeyHash: octets('issuerKeyHash'),
    serial: integerOf(fields, fields.take(tags.integer, 'serialNumber'), 'serialNumber'),
  };
}

function readNonce(extensions: DerReader): Buffer | null {
  const list = extensions.enter(tags.sequence, 'requestExtensions');
  let nonce: Buffer | null = null;
  while (!list.done) {
    const one = list.enter(tags.sequence, 'extension');
    const type = oidOf(one, one.take(tags.oid, 'extension'), 'extension');
    one.optional(tags.boolean, 'critical');
    const value = one.enter(tags.octetString, 'value');
    if (type === ocspOids.nonce) nonce = value.contentOf(value.take(tags.octetString, 'nonce'));
  }
  return nonce;
}

/** An answer that says nothing but why there is none. */
export function writeOcspStatus(status: Exclude<OcspResponseStatus, 'successful'>): Buffer {
  return sequence(enumerated(statusNumbers[status]));
}

/** @param embedded DER of the certificates that go along @returns DER of a successful response, signed */
export function writeOcspAnswer(what: WrittenOcspAnswer, signer: DocumentSigner, embedded: readonly Buffer[]): Buffer {
  const extensions = [
    ...(what.nonce === null ? [] : [extension(ocspOids.nonce, octetString(what.nonce))]),
    ...what.extensions,
  ];
  const tbs = sequence(
    element(0xa2, octetString(signer.keyHash)),
    generalizedTime(what.producedAt),
    sequence(...what.singles.map(({ certId, status }) => writeSingle(certId, status, what))),
    ...(extensions.length === 0 ? [] : [element(0xa1, sequence(...extensions))]),
  );
  const certificates = embedded.length === 0 ? [] : [element(0xa0, sequence(...embedded))];
  const basic = sequence(tbs, signer.algorithm, bitString(signer.sign(tbs)), ...certificates);
  const bytes = sequence(oid(ocspOids.basic), octetString(basic));
  return sequence(enumerated(statusNumbers.successful), element(0xa0, bytes));
}

function writeSingle(certId: AskedCertId, status: WrittenStatus, times: WrittenOcspAnswer): Buffer {
  return sequence(
    certId.der,
    writeStatus(status),
    generalizedTime(times.thisUpdate),
    element(0xa0, generalizedTime(times.nextUpdate)),
  );
}

function writeStatus(status: WrittenStatus): Buffer {
  if (status.kind !== 'revoked') return element(status.kind === 'good' ? 0x80 : 0x82);
  const { revocationDate, reason } = status;
  return element(0xa1, generalizedTime(revocationDate), ...(reason === 0 ? [] : [element(0xa0, enumerated(reason))]));
}
