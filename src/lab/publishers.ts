/**
 * The CAs of the lab that publish revocation data: who signs their lists, who answers for them over OCSP, and which other CA has the
 * same name. Two CAs with one name and different keys are two publishers.
 */
import { sameBytes } from '../base/bytes.ts';
import type { DocumentSigner } from './document-signer.ts';
import { documentSigner } from './document-signer.ts';
import type { Pki, PkiCertificate } from './pki.ts';

export interface Publisher {
  /** Name of its recipe. */
  readonly name: string;
  readonly publishedAs: string;
  readonly signer: DocumentSigner;
  /** Delegated; null: nobody answers over OCSP. */
  readonly responder: DocumentSigner | null;
  /** Issuing CAs have delta lists; a root, which hardly ever issues, has none. */
  readonly hasDelta: boolean;
}

export function publishersOf(pki: Pki): readonly Publisher[] {
  return [...pki.certificates.values()].flatMap((certificate) => {
    const { name, recipe } = certificate;
    if (recipe.publishedAs === undefined) return [];
    const responder = responderOf(name, pki);
    return {
      name,
      publishedAs: recipe.publishedAs,
      signer: documentSigner(certificate),
      responder: responder === null ? null : documentSigner(responder),
      hasDelta: recipe.issuer !== null,
    };
  });
}

/** The other generation of a CA: its name with another key. */
export function siblingOf(publisher: Publisher, all: readonly Publisher[]): Publisher | null {
  const name = publisher.signer.certificate.subject.der;
  return all.find((other) => other !== publisher && sameBytes(other.signer.certificate.subject.der, name)) ?? null;
}

function responderOf(issuer: string, pki: Pki): PkiCertificate | null {
  const all = [...pki.certificates.values()];
  return all.find(({ recipe }) => recipe.issuer === issuer && recipe.usage === 'ocsp') ?? null;
}
