/**
 * Who may have signed the CRLs of a name: certificates with that name, and their paths to the anchor of the path in question. Nothing here
 * decides what such a list is good for; that is `crl-authority.ts`.
 */
import type { Digest, Instant } from '../base/brand.ts';
import { noSteps } from '../base/steps.ts';
import { createIssuerIndex } from '../trust/issuer-index.ts';
import { judgeChain } from '../trust/judge.ts';
import type { NamesIssuer, TrustedPath, TrustStore } from '../trust/judgement.ts';
import { createSearchBudget, type SearchBudget } from '../trust/search-budget.ts';
import type { Certificate, PublicKeyInfo } from '../x509/certificate.ts';
import type { CrlHeader } from '../x509/crl-contract.ts';
import { nameKey } from '../x509/name-comparison.ts';
import type { CrlQuestion } from './crl-question.ts';
import type { StoredCrl } from './revocation-contract.ts';

export type SignerQuestion = Pick<CrlQuestion, 'path' | 'presented' | 'store' | 'rules' | 'at'>;

/** Certificates of one name that are looked at; each costs a path search. */
const maximumSigners = 8;

/** A search that found nobody is repeated after this time, in milliseconds. */
const negativeLife = 60_000;

/**
 * The keys to verify a list with, the likeliest first, each once: of those on the path, and of others that have a path to the same
 * anchor, so that no stranger's key replaces a list that is in use.
 */
export function signersFor(header: CrlHeader, question: SignerQuestion): readonly PublicKeyInfo[] {
  const budget = createSearchBudget();
  const onPath = new Set(question.path.certificates.map(({ digest }) => digest));
  const trusted = bearersOf(header, question).filter(
    (bearer) => maySignCrls(bearer) && (onPath.has(bearer.digest) || pathOf(bearer, question, budget) !== null),
  );
  return [...new Map(trusted.map(({ publicKey }) => [publicKey.digest, publicKey])).values()];
}

/** RFC 5280 section 6.3.3 (f): where keyUsage is there, it must allow it. */
export function maySignCrls({ extensions }: Certificate): boolean {
  return extensions.keyUsage?.cRLSign !== false;
}

/**
 * Paths to the anchor of `question.path` from those who hold the key that signed the list, carry its issuer's name and are allowed to sign
 * lists in so many words. Whether anybody on them is revoked is not looked at. Remembered for the path that is asked about.
 */
export function signerPathsFor({ crl, signerKey }: StoredCrl, question: SignerQuestion): readonly TrustedPath[] {
  const { at, path, rules } = question;
  const memory = searches.get(path) ?? new Map<string, Search>();
  searches.set(path, memory);
  const key = `${signerKey} ${rules.minimumRsaBits} ${rules.allowSha1} ${nameKey(crl.issuer)}`;
  const known = memory.get(key);
  if (known !== undefined && at >= known.from && at <= known.until) return known.paths;
  const search = searchPaths(crl, signerKey, question);
  memory.set(key, search);
  return search.paths;
}

interface Search {
  readonly paths: readonly TrustedPath[];
  /** The outcome holds from here to there. */
  readonly from: Instant;
  readonly until: Instant;
}

const searches = new WeakMap<TrustedPath, Map<string, Search>>();

function searchPaths(header: CrlHeader, signerKey: Digest, question: SignerQuestion): Search {
  const budget = createSearchBudget();
  const paths = bearersOf(header, question)
    .filter(({ publicKey, extensions }) => publicKey.digest === signerKey && extensions.keyUsage?.cRLSign === true)
    .flatMap((bearer) => pathOf(bearer, question, budget) ?? []);
  const { at } = question;
  if (paths.length === 0) return { paths, from: at, until: (at + negativeLife) as Instant };
  const from = Math.max(...paths.map(({ validFrom }) => validFrom)) as Instant;
  return { paths, from, until: Math.min(...paths.map(({ validUntil }) => validUntil)) as Instant };
}

/** Those whose name is that of the list's issuer; by key identifier, and within one kind ours before what strangers present. */
function bearersOf(header: CrlHeader, { path, store, presented }: SignerQuestion): readonly Certificate[] {
  const sources = [createIssuerIndex(path.certificates), store.issuers, createIssuerIndex(presented)];
  const groups = sources.map((source) => source.issuersOf(issuedBy(header)));
  const ordered = [0, 1, 2].flatMap((rank) => groups.flatMap((group) => group[rank] ?? []));
  return [...new Map(ordered.map((bearer) => [bearer.digest, bearer])).values()].slice(0, maximumSigners);
}

function issuedBy({ issuer, authorityKeyIdentifier }: CrlHeader): NamesIssuer {
  return { issuer, extensions: { authorityKeyIdentifier } };
}

function pathOf(signer: Certificate, question: SignerQuestion, budget: SearchBudget): TrustedPath | null {
  const { path, presented, store, rules, at } = question;
  const { allowSha1, minimumRsaBits } = rules;
  const judgement = judgeChain({
    presented: [signer, ...path.certificates, ...presented],
    store: withOneAnchor(store, path),
    settings: { usageCheck: false, minimumRsaBits, allowSha1, allowCaAsClient: true },
    at,
    steps: noSteps,
    purpose: 'any',
    budget,
  });
  return judgement.kind === 'trusted' ? judgement.path : null;
}

/** Section 6.3.3 (f): the trust anchor of the list's signer is that of the certificate. */
function withOneAnchor(store: TrustStore, { certificates }: TrustedPath): TrustStore {
  const anchor = certificates.at(-1);
  const anchors = anchor === undefined ? [] : [anchor];
  return { ...store, anchors, isAnchor: ({ digest }) => digest === anchor?.digest };
}
