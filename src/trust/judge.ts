/**
 * Judges what a client presented: is there a path from its certificate to a trusted root that satisfies every check, and
 * if not, why not. Revocation is not looked at here. No I/O, no clock, and no more work than the budget allows.
 */
import type { Digest, Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import type { Steps } from '../base/steps.ts';
import { verdict, type Verdict } from '../base/verdict.ts';
import type { Certificate } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';
import { namedUsages } from './extended-usage.ts';
import { deadEndOf, sentenceOf } from './finding.ts';
import type { Judgement, JudgeSettings, Purpose, TrustedPath, TrustStore } from './judgement.ts';
import { findFaults } from './path-checks.ts';
import { findPath, type Setback } from './path.ts';
import { anyPolicy, policiesOf, type PolicyRequirements } from './policy-graph.ts';
import { gravest } from './precedence.ts';
import {
  createSearchBudget,
  maximumDepth,
  searchAllowances,
  type Allowance,
  type SearchBudget,
} from './search-budget.ts';
import { validityWindow } from './validity.ts';

export interface JudgeInput {
  /** Leaf first; the rest in any order. Certificates that did not parse are simply not there. */
  readonly presented: readonly Certificate[];
  readonly store: TrustStore;
  readonly settings: JudgeSettings;
  readonly at: Instant;
  readonly steps: Steps;
  /** Default: clientAuth. */
  readonly purpose?: Purpose;
  /** Inputs of RFC 5280 section 6.1.1; default: any policy, none demanded. */
  readonly policies?: PolicyRequirements;
  /** Highest position of the anchor, default 10. */
  readonly maximumDepth?: number;
  /** Certificates that no path may contain, by digest: found revoked, for one. Default: none. */
  readonly excluded?: ReadonlySet<Digest>;
  /** To read afterwards what was spent; a fresh one by default. */
  readonly budget?: SearchBudget;
}

export function judgeChain(input: JudgeInput): Judgement {
  const { presented, store, settings, at, steps, purpose = 'clientAuth', policies = anyPolicy } = input;
  const { budget = createSearchBudget() } = input;
  const [leaf, ...others] = presented;
  if (leaf === undefined)
    return { kind: 'refused', verdict: verdict('certificateRequired', 'no certificate was presented'), deadEnds: [] };

  // Who signs CRLs and OCSP answers is no client.
  const list = purpose === 'clientAuth' ? store.list : null;
  const { path, setbacks } = findPath({
    leaf,
    others,
    store,
    at,
    budget,
    maximumDepth: input.maximumDepth ?? maximumDepth,
    excluded: input.excluded ?? nobody,
    findFaults: (candidate) => findFaults(candidate, { at, settings, purpose, policies, list }, budget),
  });

  const deadEnds = setbacks.map(({ finding }) => deadEndOf(finding));
  for (const one of steps.recording ? deadEnds : [])
    steps.note('judge', 'dead end', `${sentenceOf(one)} [${one.code}]`);
  if (path === null) return { kind: 'refused', verdict: refusalOf(setbacks, budget), deadEnds };
  const trusted = trustedPath(path, leaf);
  if (steps.recording) steps.note('judge', 'accepted', acceptedText(trusted));
  return { kind: 'trusted', path: trusted, deadEnds };
}

const nobody: ReadonlySet<Digest> = new Set();

function refusalOf(setbacks: readonly Setback[], budget: SearchBudget): Verdict {
  const finding = gravest(setbacks);
  const sentence = finding === null ? null : sentenceOf(deadEndOf(finding));
  if (budget.exhausted !== null) {
    const meanwhile = sentence === null ? '' : `; until then: ${sentence}`;
    return verdict('searchExhausted', `the search for a path ended ${limits[budget.exhausted]}${meanwhile}`);
  }
  return verdict(finding?.code ?? 'chainIncomplete', sentence ?? 'there is no path to a trusted root');
}

const limits: Readonly<Record<Allowance, string>> = {
  signatureChecks: `after ${searchAllowances.signatureChecks} signature checks`,
  nodes: `after ${searchAllowances.nodes} certificates were tried in a path`,
  completePaths: `after ${searchAllowances.completePaths} complete paths`,
  nameComparisons: `after ${searchAllowances.nameComparisons} comparisons with name constraints`,
};

function trustedPath(certificates: readonly Certificate[], leaf: Certificate): TrustedPath {
  const { from, until } = validityWindow(certificates);
  return {
    certificates,
    issuer: certificates[1] ?? leaf,
    validFrom: from,
    validUntil: until,
    policies: policiesOf(certificates),
    usages: namedUsages(certificates),
  };
}

function acceptedText({ certificates, validFrom, validUntil }: TrustedPath): string {
  const names = certificates.map(({ subject }) => rfc4514Text(subject)).join(' <- ');
  return `${names}; good from ${isoText(validFrom)} to ${isoText(validUntil)}`;
}
