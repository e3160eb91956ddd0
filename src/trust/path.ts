/**
 * Finds a path from a leaf to an anchor: depth first with backtracking, the likeliest issuer first. Decides which
 * certificates are put together and whether their signatures are good; what a complete path must satisfy besides is
 * decided in `path-checks.ts`, and which of the failures becomes the verdict in `precedence.ts`.
 *
 * The certificates come from strangers. A (name, key) pair is never used twice in a path, so circles end
 * (CVE-2024-0567), and all work is paid for from a budget, so that meshes of cross-signed CAs end as well.
 */
import type { Digest, Instant } from '../base/brand.ts';
import type { Certificate } from '../x509/certificate.ts';
import { isSameAuthority, isSelfIssued } from './authority-role.ts';
import { orderedIssuers } from './candidate-order.ts';
import { deadEnd, tooDeep, wrongCandidate, type RefusedIssuer } from './dead-end.ts';
import type { Finding } from './finding.ts';
import { createIssuerIndex } from './issuer-index.ts';
import type { IssuerIndex, TrustStore } from './judgement.ts';
import { createLinkChecker, type LinkChecker } from './link-checker.ts';
import type { SearchBudget } from './search-budget.ts';

export interface PathQuestion {
  readonly leaf: Certificate;
  /** What was presented beside the leaf, in any order, related or not. */
  readonly others: readonly Certificate[];
  readonly store: TrustStore;
  readonly at: Instant;
  readonly budget: SearchBudget;
  /** The highest position that an anchor may have in a path; the leaf is 0. */
  readonly maximumDepth: number;
  /** Certificates that are never put on a path. */
  readonly excluded: ReadonlySet<Digest>;
  /** What is wrong with a path that has reached an anchor; nothing accepts it. */
  readonly findFaults: (path: readonly Certificate[]) => readonly Finding[];
}

export interface PathAnswer {
  /** Leaf first, anchor last; null when there is none, or none was found within the budget. */
  readonly path: readonly Certificate[] | null;
  /** What was found wrong, in the order of the search, nothing twice. */
  readonly setbacks: readonly Setback[];
}

export interface Setback {
  readonly finding: Finding;
  /** A complete path failed a check; the search could not go on; or one of several candidates was the wrong one. */
  readonly kind: 'failed path' | 'dead end' | 'wrong candidate';
}

export function findPath(question: PathQuestion): PathAnswer {
  const { leaf, others, store, budget } = question;
  const setbacks = new Map<string, Setback>();
  const search: Search = {
    ...question,
    shown: createIssuerIndex(others),
    links: createLinkChecker(store.links, budget),
    issuers: new Map(),
    report(kind, finding) {
      const key = `${finding.certificate.digest} ${finding.code} ${finding.detail}`;
      if (!setbacks.has(key)) setbacks.set(key, { finding, kind });
    },
  };
  const path = question.excluded.has(leaf.digest) ? null : explore([], leaf, search);
  if (path !== null) rememberLinks(path, store);
  return { path, setbacks: [...setbacks.values()] };
}

interface Search extends PathQuestion {
  readonly shown: IssuerIndex;
  readonly links: LinkChecker;
  /** By digest of a certificate: its possible issuers, put in order once. */
  readonly issuers: Map<string, readonly Certificate[]>;
  readonly report: (kind: Setback['kind'], finding: Finding) => void;
}

/** Puts `next` on the path and goes on until it is complete and good. Null when nothing came of it. */
function explore(below: readonly Certificate[], next: Certificate, search: Search): readonly Certificate[] | null {
  const { budget, store, maximumDepth } = search;
  if (!budget.spend('nodes')) return null;
  const path = [...below, next];
  if (store.isAnchor(next)) return complete(path, search);
  if (path.length > maximumDepth) {
    search.report('dead end', tooDeep(maximumDepth, next));
    return null;
  }
  return extend(path, next, search);
}

function complete(path: readonly Certificate[], { budget, findFaults, report }: Search): readonly Certificate[] | null {
  if (!budget.spend('completePaths')) return null;
  const faults = findFaults(path);
  for (const fault of faults) report('failed path', fault);
  return faults.length === 0 ? path : null;
}

function extend(path: readonly Certificate[], last: Certificate, search: Search): readonly Certificate[] | null {
  const { budget, links, report, store } = search;
  const depth = path.length - 1;
  const refused: RefusedIssuer[] = [];
  let repeated = 0;
  let extended = false;
  for (const issuer of issuersOf(last, search)) {
    if (path.some((certificate) => isSameAuthority(certificate, issuer))) {
      repeated += 1;
      continue;
    }
    const outcome = links.check(last, issuer);
    if (outcome === 'exhausted') return null;
    if (outcome === 'good') {
      extended = true;
      const found = explore(path, issuer, search);
      if (found !== null || budget.exhausted !== null) return found;
    } else {
      refused.push({ issuer, outcome });
    }
  }

  if (extended) {
    for (const one of refused) report('wrong candidate', wrongCandidate(depth, last, one));
    return null;
  }
  const ownSignature = isSelfIssued(last) ? links.check(last, last) : null;
  if (ownSignature === 'exhausted') return null;
  const anchors = store.anchors.length;
  const unlistedIn = store.isUnlistedRoot(last) ? (store.list?.name ?? null) : null;
  report('dead end', deadEnd({ depth, certificate: last, refused, repeated, ownSignature, anchors, unlistedIn }));
  return null;
}

function issuersOf(child: Certificate, { issuers, store, shown, at, excluded }: Search): readonly Certificate[] {
  const known = issuers.get(child.digest);
  if (known !== undefined) return known;
  const ordered = orderedIssuers(child, store, shown, at).filter(({ digest }) => !excluded.has(digest));
  issuers.set(child.digest, ordered);
  return ordered;
}

/** Links of an accepted path only: what strangers merely present must not push out what the store needs. */
function rememberLinks(path: readonly Certificate[], store: TrustStore): void {
  for (const [depth, child] of path.entries()) {
    const issuer = path[depth + 1];
    if (depth > 0 && issuer !== undefined) store.links.add(child, issuer);
  }
}
