/**
 * What the lab answers over OCSP: for each CA by a delegated responder, from what is revoked now, as the Online Responder of AD CS does
 * from its CRLs: what is on no list is good, also where nobody has issued it.
 */
import type { Instant } from '../base/brand.ts';
import { sameBytes } from '../base/bytes.ts';
import { issuerHashes } from '../x509/ocsp-request.ts';
import type { DocumentSigner } from './document-signer.ts';
import type { AskedCertId, OcspRequest, WrittenOcspAnswer, WrittenStatus } from './ocsp-messages.ts';
import type { Publisher } from './publishers.ts';
import type { RevocationState } from './revocation-state.ts';
import { revocationReasons } from './revocation-state.ts';

/** An answer, not signed yet. */
export interface OcspDraft {
  readonly answer: WrittenOcspAnswer;
  readonly publisher: Publisher;
  readonly signer: DocumentSigner;
  /** DER of the certificates that go along. */
  readonly embedded: readonly Buffer[];
}

const lifetime = 3_600_000;

/** Null where none of the lab's CAs is asked about (RFC 6960 section 2.3: unauthorized). */
export function draftAnswer(
  request: OcspRequest,
  publishers: readonly Publisher[],
  state: RevocationState,
  at: Instant,
): OcspDraft | null {
  const publisher = request.asked.map((certId) => publisherOf(certId, publishers)).find((found) => found !== null);
  if (publisher === undefined || publisher.responder === null) return null;
  const producedAt = (Math.floor(at / 1000) * 1000) as Instant;
  return {
    publisher,
    signer: publisher.responder,
    embedded: [publisher.responder.certificate.der],
    answer: {
      producedAt,
      thisUpdate: producedAt,
      nextUpdate: (producedAt + lifetime) as Instant,
      // One responder may speak for its own CA only.
      singles: request.asked.map((certId) => ({
        certId,
        status:
          publisherOf(certId, publishers) === publisher ? statusOf(certId, publisher, state) : { kind: 'unknown' },
      })),
      nonce: request.nonce,
      extensions: [],
    },
  };
}

function publisherOf({ hash, ...asked }: AskedCertId, publishers: readonly Publisher[]): Publisher | null {
  if (hash === null) return null;
  const isAsked = ({ signer: { certificate } }: Publisher) => {
    const own = issuerHashes({ issuer: certificate.subject }, certificate, hash);
    return sameBytes(own.issuerNameHash, asked.issuerNameHash) && sameBytes(own.issuerKeyHash, asked.issuerKeyHash);
  };
  return publishers.find(isAsked) ?? null;
}

function statusOf({ serial }: AskedCertId, { name }: Publisher, state: RevocationState): WrittenStatus {
  const entry = state.find(name, serial);
  if (entry === null || !entry.revoked) return { kind: 'good' };
  const revocationDate = Date.parse(entry.at) as Instant;
  return { kind: 'revoked', revocationDate, reason: revocationReasons[entry.reason] };
}
