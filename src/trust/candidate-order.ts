/**
 * In which order issuers are tried: matching key identifiers before absent ones before different ones, then anchors, then
 * what is valid now, then what calls itself a CA. The order decides how much work a good chain costs, never its verdict.
 */
import type { Instant } from '../base/brand.ts';
import type { Certificate } from '../x509/certificate.ts';
import { assertsCa } from './authority-role.ts';
import type { IssuerIndex, TrustStore } from './judgement.ts';
import { findValidityFault } from './validity.ts';

/** @param shown index over the presented certificates; one that is in the store as well is taken from there */
export function orderedIssuers(
  child: Certificate,
  store: TrustStore,
  shown: IssuerIndex,
  at: Instant,
): readonly Certificate[] {
  const ours = store.issuers.issuersOf(child);
  const theirs = shown.issuersOf(child);
  const known = new Set(ours.flat().map(({ digest }) => digest));
  const groups = [0, 1, 2].map((group) => [
    ...(ours[group] ?? []),
    ...(theirs[group] ?? []).filter(({ digest }) => !known.has(digest)),
  ]);
  return groups.flatMap((group) => (group.length < 2 ? group : sortedByPromise(group, store, at)));
}

function sortedByPromise(group: readonly Certificate[], store: TrustStore, at: Instant): readonly Certificate[] {
  const promise = (certificate: Certificate) =>
    (store.isAnchor(certificate) ? 4 : 0) +
    (findValidityFault(certificate, at) === null ? 2 : 0) +
    (assertsCa(certificate) ? 1 : 0);
  return group
    .map((certificate) => ({ certificate, promise: promise(certificate) }))
    .sort((a, b) => b.promise - a.promise)
    .map(({ certificate }) => certificate);
}
