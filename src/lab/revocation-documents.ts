/**
 * Every document that the revocation server has, by its path: lists and certificates of CAs, and answers over OCSP; each as it should be,
 * or wrong in the way a fault says.
 */
import type { Instant } from '../base/brand.ts';
import type { WrittenCrl } from './crl-writer.ts';
import { writeCrl } from './crl-writer.ts';
import { readOcspRequest, writeOcspAnswer, writeOcspStatus } from './ocsp-messages.ts';
import { draftAnswer } from './ocsp-responder.ts';
import type { Pki } from './pki.ts';
import type { Publisher } from './publishers.ts';
import { publishersOf, siblingOf } from './publishers.ts';
import { addressesOf } from './revocation-addresses.ts';
import type { Document, DocumentKind, RevocationFault } from './revocation-faults.ts';
import { crlFault, ocspFault } from './revocation-faults.ts';
import type { ListKind, RevocationLists } from './revocation-lists.ts';
import { revocationLists } from './revocation-lists.ts';
import type { RevocationState } from './revocation-state.ts';
import type { CrlDraft } from './signed-faults.ts';
import { signedFaults } from './signed-faults.ts';

export interface PublishedDocument extends Document {
  readonly lastModified: Instant;
  /** How long caches may keep it (RFC 5019 section 6.2); null: nothing is said, or it is for one asker alone. */
  readonly expires: Instant | null;
}

export interface RevocationDocuments {
  kindOf(path: string): Exclude<DocumentKind, 'ocsp'> | null;
  /** @param path one that has a kind */
  get(path: string, fault: RevocationFault | null): Promise<PublishedDocument>;
  ask(request: Buffer, fault: RevocationFault | null): Promise<PublishedDocument>;
}

type Source =
  | { readonly kind: 'crl'; readonly publisher: Publisher; readonly list: ListKind }
  | { readonly kind: 'ca'; readonly publisher: Publisher };

export function revocationDocuments(pki: Pki, state: RevocationState, now: () => Instant): RevocationDocuments {
  const publishers = publishersOf(pki);
  const lists = revocationLists(state, pki.revocation, now);
  const faults = signedFaults(pki, now);
  const sources = sourcesOf(publishers);
  const signed = new WeakMap<WrittenCrl, Buffer>();

  async function getList(source: Source & { readonly kind: 'crl' }, fault: RevocationFault | null) {
    const draft = draftOf(source.publisher, source.list, lists);
    const wrong = crlFault(fault);
    if (wrong !== null) {
      const sibling = siblingOf(source.publisher, publishers);
      const siblings = sibling === null ? null : draftOf(sibling, source.list, lists);
      const bad = await faults.crl(wrong, draft, source.publisher, siblings);
      return published('application/pkix-crl', writeCrl(bad.list, bad.signer), bad.list.thisUpdate);
    }
    const bytes = signed.get(draft.list) ?? writeCrl(draft.list, draft.signer);
    signed.set(draft.list, bytes);
    return published('application/pkix-crl', bytes, draft.list.thisUpdate);
  }

  return {
    kindOf: (path) => sources.get(path)?.kind ?? null,
    async get(path, fault) {
      const source = sources.get(path);
      if (source === undefined) throw new TypeError(`nothing is published at ${path}`);
      if (source.kind === 'crl') return getList(source, fault);
      const { certificate } = source.publisher.signer;
      return published('application/pkix-cert', certificate.der, certificate.notBefore);
    },
    async ask(bytes, fault) {
      const at = now();
      const only = (status: Parameters<typeof writeOcspStatus>[0]) =>
        published('application/ocsp-response', writeOcspStatus(status), at);
      const request = readOcspRequest(bytes);
      if (request === null) return only('malformedRequest');
      const wrong = ocspFault(fault);
      if (wrong === 'try-later') return only('tryLater');
      const draft = draftAnswer(request, publishers, state, at);
      if (draft === null) return only('unauthorized');
      const { answer, signer, embedded } = wrong === null ? draft : await faults.ocsp(wrong, draft);
      return {
        ...published('application/ocsp-response', writeOcspAnswer(answer, signer, embedded), answer.thisUpdate),
        expires: request.nonce === null && wrong === null ? answer.nextUpdate : null,
      };
    },
  };
}

function sourcesOf(publishers: readonly Publisher[]): ReadonlyMap<string, Source> {
  return new Map(
    publishers.flatMap((publisher): (readonly [string, Source])[] => {
      const paths = addressesOf('', publisher.publishedAs);
      return [
        [paths.crl, { kind: 'crl', publisher, list: 'complete' }],
        ...(publisher.hasDelta ? [[paths.deltaCrl, { kind: 'crl', publisher, list: 'delta' }] as const] : []),
        [paths.certificate, { kind: 'ca', publisher }],
      ];
    }),
  );
}

function draftOf(publisher: Publisher, kind: ListKind, lists: RevocationLists): CrlDraft {
  return { list: lists.of(publisher, kind), signer: publisher.signer };
}

function published(type: string, bytes: Buffer, lastModified: Instant): PublishedDocument {
  return { type, bytes, lastModified, expires: null };
}
