/**
 * A certificate, those above it and some lists, and in one line what the lists say about it.
 */
import type { Digest, Instant, Millis } from '../../src/base/brand.ts';
import type { Issued } from '../../src/lab/authority.ts';
import type { AnswerRules, CrlAnswer, StoredCrl } from '../../src/revocation/revocation-contract.ts';
import type { TrustedPath } from '../../src/trust/judgement.ts';
import { createTrustStore } from '../../src/trust/trust-store.ts';
import { extensionOids } from '../../src/x509/oid.ts';
import { certificateOf, judge, outcome, type Made } from './chains.ts';
import { crlOf, listsFor, listsOf, statusAt, strictRules, type Scene } from './crl-judge.ts';
import { signerOf, writeCrl, type WrittenCrl } from './crl-writer.ts';
import { element, hex, sequence, text } from './der-shapes.ts';
import type { ShapedExtension } from './extension-shapes.ts';

export interface CrlScene {
  /** Leaf first, the anchor last. */
  readonly chain: readonly Made[];
  readonly lists: readonly Buffer[];
  /** Who is asked about, 0 is the leaf. */
  readonly depth?: number;
  readonly presented?: readonly Made[];
  readonly intermediates?: readonly Made[];
  readonly otherAnchors?: readonly Made[];
  readonly rules?: Partial<AnswerRules>;
  /** ISO text. */
  readonly at?: string;
  readonly staleFor?: number;
}

export const noon = '2026-11-22T12:00:00Z';

/** `good until ...`, `revoked 1 by list 0`, `unknown: ...`. */
export function ask(asked: CrlScene): string {
  const { path, scene } = sceneOf(asked);
  return answerText(statusAt(asked.depth ?? 0, path, listsFor(path, asked.lists.flatMap(crlOf), scene), scene));
}

/** The same for lists that were taken up earlier, whoever signed them. */
export function askStored(asked: Omit<CrlScene, 'lists'>, stored: readonly StoredCrl[]): string {
  const { path, scene } = sceneOf(asked);
  return answerText(statusAt(asked.depth ?? 0, path, listsOf(stored), scene));
}

/** The path that the chain makes, and all else that a question needs. */
export function sceneOf(asked: Omit<CrlScene, 'lists'>): { readonly path: TrustedPath; readonly scene: Scene } {
  const { chain, presented = [], intermediates = [], otherAnchors = [], at = noon } = asked;
  const anchors = [chain.at(-1), ...otherAnchors].filter((one) => one !== undefined);
  const judgement = judge({
    presented: chain,
    roots: anchors.slice(0, 1),
    at,
    settings: { allowCaAsClient: true },
    purpose: 'any',
  });
  if (judgement.kind !== 'trusted') throw new Error(outcome(judgement));
  const scene: Scene = {
    presented: [...chain.slice(0, -1), ...presented].map(certificateOf),
    store: createTrustStore(anchors.map(certificateOf), intermediates.map(certificateOf)),
    rules: { ...strictRules, ...asked.rules },
    at: Date.parse(at) as Instant,
    staleFor: (asked.staleFor ?? 0) as Millis,
  };
  return { path: judgement.path, scene };
}

export function answerText(answer: CrlAnswer): string {
  if (answer.status === 'unknown') return `unknown: ${answer.why}`;
  if (answer.status === 'revoked') return `revoked ${answer.reason} by ${answer.by.source}`;
  const end = Number.isFinite(answer.until) ? new Date(answer.until).toISOString() : 'for ever';
  const delta = answer.delta === null ? '' : ` with ${answer.delta.source}`;
  return `good until ${end}${delta}${answer.stale ? ', stale' : ''}`;
}

/** A list of this authority: from midnight until a month later unless said otherwise. */
export function listOf(issued: Pick<Issued, 'der' | 'key'>, what: Omit<WrittenCrl, 'signer'> = {}): Buffer {
  return writeCrl({ signer: signerOf(issued), ...what });
}

/** A list as the store holds it, with the key of `signer`; nothing is verified. */
export function storedList(der: Buffer, signer: Made, source = 'a file'): StoredCrl {
  const [crl] = crlOf(der);
  if (crl === undefined) throw new Error('the list does not parse');
  const signerKey: Digest = certificateOf(signer).publicKey.digest;
  return { crl, source, fetchedAt: 0 as Instant, signerKey };
}

export interface WrittenPoint {
  readonly uri?: string;
  /** DER of a name. */
  readonly directoryName?: Uint8Array;
  /** DER of the attributes of one RDN below the CRL issuer. */
  readonly relativeName?: Uint8Array;
  /** Content of a BIT STRING, in hex. */
  readonly reasons?: string;
  /** DER of a name. */
  readonly crlIssuer?: Uint8Array;
}

/** cRLDistributionPoints with everything that a point can have. */
export function crlPoints(...points: readonly WrittenPoint[]): ShapedExtension {
  const value = sequence(...points.map((point) => sequence(...pointParts(point))));
  return { oid: extensionOids.crlDistributionPoints, critical: false, value };
}

function pointParts(point: WrittenPoint): readonly Buffer[] {
  const { uri, directoryName, relativeName, reasons, crlIssuer } = point;
  const full = [
    ...(uri === undefined ? [] : [text(0x86, uri)]),
    ...(directoryName === undefined ? [] : [element(0xa4, directoryName)]),
  ];
  return [
    ...(full.length === 0 ? [] : [element(0xa0, element(0xa0, ...full))]),
    ...(relativeName === undefined ? [] : [element(0xa0, element(0xa1, relativeName))]),
    ...(reasons === undefined ? [] : [element(0x81, hex(reasons))]),
    ...(crlIssuer === undefined ? [] : [element(0xa2, element(0xa4, crlIssuer))]),
  ];
}
