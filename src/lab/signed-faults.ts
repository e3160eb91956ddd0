/**
 * Lists and OCSP answers that are wrong although they are well delivered: how each fault by name changes what would have been signed,
 * and who signs it.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { Instant } from '../base/brand.ts';
import { certificateOf } from './accounts.ts';
import { usageOids } from '../x509/oid.ts';
import { createAuthority, restoreAuthority } from './authority.ts';
import type { Authority, Issued } from './authority.ts';
import type { WrittenCrl } from './crl-writer.ts';
import { extension } from './der-writing.ts';
import type { DocumentSigner } from './document-signer.ts';
import { documentSigner } from './document-signer.ts';
import type { WrittenOcspAnswer } from './ocsp-messages.ts';
import type { OcspDraft } from './ocsp-responder.ts';
import type { Pki } from './pki.ts';
import type { Publisher } from './publishers.ts';
import type { CrlFault, OcspFault } from './revocation-faults.ts';

export interface CrlDraft {
  readonly list: WrittenCrl;
  readonly signer: DocumentSigner;
}

export interface SignedFaults {
  crl(fault: CrlFault, draft: CrlDraft, publisher: Publisher, sibling: CrlDraft | null): Promise<CrlDraft>;
  /** `try-later` never comes here: such an answer is not signed. */
  ocsp(fault: Exclude<OcspFault, 'try-later'>, draft: OcspDraft): Promise<OcspDraft>;
}

const minute = 60_000;

const unknownCritical = extension('1.3.6.1.4.1.99999.1', Buffer.of(0x05, 0x00), true);

/** @param now for what is too early or too late. Strangers are made when they are needed first, and then stay who they are. */
export function signedFaults(pki: Pki, now: () => Instant): SignedFaults {
  const strangers = new Map<string, Promise<DocumentSigner>>();

  function stranger(name: string, make: () => Promise<Issued>): Promise<DocumentSigner> {
    const found = strangers.get(name) ?? make().then(documentSigner);
    strangers.set(name, found);
    return found;
  }

  /** A CA of the same name that nobody trusts. */
  const impostor = (publisher: Publisher) =>
    stranger(`CA ${publisher.name}`, () => createAuthority({ subject: subjectOf(publisher.name, pki) }));

  const responderBelow = async (authority: Promise<Authority>) =>
    (await authority).issue({
      subject: 'CN=Lab OCSP Responder',
      extendedKeyUsage: [usageOids.ocspSigning],
    });

  return {
    async crl(fault, { list, signer }, publisher, sibling) {
      switch (fault) {
        case 'wrong-signer':
          return { list, signer: withOtherKey(signer) };
        case 'same-name-other-key':
          return { list, signer: await impostor(publisher) };
        case 'other-generation':
          return sibling ?? { list, signer };
        case 'older':
          return { list: { ...movedCrl(list, halfLifeEarlier(list)), number: list.number - 1, entries: [] }, signer };
        case 'unknown-critical':
          return { list: { ...list, extensions: [...list.extensions, unknownCritical] }, signer };
        case 'expired':
        case 'not-yet-valid':
        case 'clock-skew':
          return { list: movedCrl(list, wrongTime(fault, list, now())), signer };
      }
    },
    async ocsp(fault, draft) {
      const { answer, publisher } = draft;
      const signedBy = (signer: DocumentSigner) => ({ ...draft, signer, embedded: [signer.certificate.der] });
      switch (fault) {
        case 'wrong-signer':
          return { ...draft, signer: withOtherKey(draft.signer) };
        case 'same-name-other-key':
          return signedBy(
            await stranger(`responder ${publisher.name}`, () =>
              responderBelow(createAuthority({ subject: subjectOf(publisher.name, pki) })),
            ),
          );
        case 'foreign-responder':
          return signedBy(
            await stranger('foreign responder', () =>
              responderBelow(restoreAuthority(certificateOf(pki, 'foreign-root'))),
            ),
          );
        case 'replayed':
          return { ...draft, answer: replayed(answer, now()) };
        case 'nonce-missing':
          return { ...draft, answer: { ...answer, nonce: null } };
        case 'unknown-critical':
          return { ...draft, answer: { ...answer, extensions: [...answer.extensions, unknownCritical] } };
        case 'expired':
        case 'not-yet-valid':
        case 'clock-skew':
          return { ...draft, answer: movedAnswer(answer, wrongTime(fault, answer, now())) };
      }
    },
  };
}

interface Times {
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant;
}

/** When something that lives as long would have been made. */
function wrongTime(fault: 'expired' | 'not-yet-valid' | 'clock-skew', times: Times, now: Instant): number {
  if (fault === 'clock-skew') return now + 2 * minute;
  return fault === 'not-yet-valid' ? now + 1440 * minute : now - 60 * minute - (times.nextUpdate - times.thisUpdate);
}

/** So that it is still valid. */
function halfLifeEarlier({ thisUpdate, nextUpdate }: Times): number {
  return thisUpdate - (nextUpdate - thisUpdate) / 2;
}

/** @param to the new thisUpdate, in milliseconds since 1970 */
function movedCrl(list: WrittenCrl, to: number): WrittenCrl {
  const { thisUpdate, nextUpdate, nextPublish } = list;
  const by = to - thisUpdate;
  return {
    ...list,
    thisUpdate: later(thisUpdate, by),
    nextUpdate: later(nextUpdate, by),
    nextPublish: later(nextPublish, by),
  };
}

function movedAnswer(answer: WrittenOcspAnswer, to: number): WrittenOcspAnswer {
  const { producedAt, thisUpdate, nextUpdate } = answer;
  const by = to - thisUpdate;
  return {
    ...answer,
    producedAt: later(producedAt, by),
    thisUpdate: later(thisUpdate, by),
    nextUpdate: later(nextUpdate, by),
  };
}

/** Whoever recorded it had asked with a nonce of his own, if the responder repeats nonces at all. */
function replayed(answer: WrittenOcspAnswer, now: Instant): WrittenOcspAnswer {
  return {
    ...movedAnswer(answer, now - 10 * minute),
    singles: answer.singles.map(({ certId }) => ({ certId, status: { kind: 'good' } })),
    nonce: answer.nonce === null ? null : randomBytes(answer.nonce.length),
  };
}

function later(instant: Instant, by: number): Instant {
  return (instant + by) as Instant;
}

/** Everything as it should be, but for the signature. */
function withOtherKey(signer: DocumentSigner): DocumentSigner {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...signer, sign: (tbs) => sign('sha256', tbs, privateKey) };
}

function subjectOf(name: string, pki: Pki): string {
  return certificateOf(pki, name).recipe.subject;
}
