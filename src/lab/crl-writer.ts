/**
 * Writes certificate revocation lists (RFC 5280 section 5.1), complete and delta ones, as AD CS publishes them. What is on a list is
 * decided in `revocation-lists.ts`.
 */
import type { Instant } from '../base/brand.ts';
import type { CrlReason } from '../x509/crl-contract.ts';
import { extensionOids } from '../x509/oid.ts';
import { bitString, element, enumerated, extension, integer, sequence, serialNumber, time } from './der-writing.ts';
import type { DocumentSigner } from './document-signer.ts';

export interface WrittenCrl {
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant;
  /** When the next one is meant to appear, earlier than nextUpdate. */
  readonly nextPublish: Instant;
  readonly number: number;
  /** Of the complete list that a delta builds on; null: this is a complete one. */
  readonly baseNumber: number | null;
  /** URL of the delta list; null: there is none. */
  readonly freshest: string | null;
  readonly entries: readonly WrittenCrlEntry[];
  /** DER of further extensions. */
  readonly extensions: readonly Buffer[];
}

export interface WrittenCrlEntry {
  /** Content octets as in the certificate. */
  readonly serial: Buffer;
  readonly revocationDate: Instant;
  readonly reason: CrlReason;
}

/** @returns DER */
export function writeCrl(what: WrittenCrl, signer: DocumentSigner): Buffer {
  const entries = what.entries.map(writeEntry);
  const tbs = sequence(
    integer(1),
    signer.algorithm,
    signer.certificate.subject.der,
    time(what.thisUpdate),
    time(what.nextUpdate),
    // section 5.1.2.6: absent when nothing is revoked
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    element(0xa0, sequence(...extensionsOf(what, signer))),
  );
  return sequence(tbs, signer.algorithm, bitString(signer.sign(tbs)));
}

function writeEntry({ serial, revocationDate, reason }: WrittenCrlEntry): Buffer {
  // section 5.3.1: unspecified is said by leaving the reason out
  const reasonOf = reason === 0 ? [] : [sequence(extension(extensionOids.reasonCode, enumerated(reason)))];
  return sequence(serialNumber(serial), time(revocationDate), ...reasonOf);
}

function extensionsOf(what: WrittenCrl, signer: DocumentSigner): readonly Buffer[] {
  return [
    extension(extensionOids.authorityKeyIdentifier, sequence(element(0x80, signer.keyIdentifier))),
    extension(extensionOids.crlNumber, integer(what.number)),
    ...(what.baseNumber === null ? [] : [extension(extensionOids.deltaCrlIndicator, integer(what.baseNumber), true)]),
    ...(what.freshest === null ? [] : [extension(extensionOids.freshestCrl, pointTo(what.freshest))]),
    extension(extensionOids.microsoftNextPublish, time(what.nextPublish)),
    ...what.extensions,
  ];
}

/** CRLDistributionPoints with one URI. */
function pointTo(url: string): Buffer {
  return sequence(sequence(element(0xa0, element(0xa0, element(0x86, Buffer.from(url, 'latin1'))))));
}
