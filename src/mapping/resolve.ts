/**
 * From a validated certificate to one account, or to the reason why not: one question to the directory, own comparison
 * of what comes back, exactly one account, NTAuth, strength, account state, in this order. Caches are elsewhere.
 * Not knowing is never taken for "none".
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import type { Steps } from '../base/steps.ts';
import { verdict, type Verdict } from '../base/verdict.ts';
import type { Directory, SearchRecord } from '../directory/directory.ts';
import { stateRefusal } from './account-state.ts';
import { candidatesOf } from './candidates.ts';
import { planLookups, type LookupPlan } from './lookup.ts';
import type { Candidate, MappingMethod, MappingResult, MappingSettings, MappingSubject } from './mapper-contract.ts';
import { judgeStrength } from './strength.ts';

export interface ResolveMeans {
  readonly directory: Directory;
  readonly settings: MappingSettings;
  readonly steps: Steps;
  /** What is left of the deadline when the directory is asked. */
  remaining(): Millis;
}

/** May reject only where the directory breaks its promise not to. */
export async function resolve(subject: MappingSubject, now: Instant, means: ResolveMeans): Promise<MappingResult> {
  const { directory, settings, steps } = means;
  const candidates = candidatesOf(subject.leaf, settings);
  noteCandidates(steps, candidates);

  const [asked] = directory.forests;
  if (asked === undefined) return unknown(steps, 'no forest is configured', []);
  const forest = await asked.domains();
  if (forest.kind === 'unknown') return unknown(steps, `the domains of the forest are not known: ${forest.reason}`, []);
  const plan = planLookups(
    candidates.filter(({ used }) => used),
    forest.domains,
    subject.leaf.extensions.subjectAltName?.dnsNames ?? [],
  );
  for (const remark of plan.remarks) steps.note('map', 'remark', remark);

  const [located, ntAuth] = await Promise.all([
    asked.locate(
      plan.lookups.map(({ assertion }) => assertion),
      means.remaining(),
    ),
    settings.ntAuthMethods.length > 0 ? asked.ntAuth() : null,
  ]);
  const { searches } = located;
  noteSearches(steps, searches);
  if (located.kind === 'unknown') return unknown(steps, located.reason, searches);

  const { found, doubts } = compareAll(located.accounts, plan, steps);
  const [match, ...others] = found;
  if (match === undefined) return refused(steps, nobody(plan, doubts), searches);
  if (others.length > 0) return refused(steps, several(found), searches);
  const { account, matched } = match;
  steps.note('map', 'account', `${account.name} (${account.sid}) has ${evidence(matched)}`);

  if (ntAuth?.kind === 'unknown')
    return unknown(steps, `NTAuthCertificates has not been read: ${ntAuth.reason}`, searches);
  if (ntAuth !== null && !ntAuth.issuers.has(subject.issuer.digest))
    return refused(steps, notInNtAuth(subject, ntAuth, account), searches);

  const strength = judgeStrength(subject.leaf, account, matched, settings);
  if (strength.kind === 'refused') return refused(steps, strength.verdict, searches);
  steps.note('map', strength.strength, strength.why);

  const refusal = stateRefusal(account, now, settings);
  if (refusal !== null) return refused(steps, refusal, searches);

  const methods = methodsOf(matched);
  const [method = 'X509SHA1PublicKey'] = methods;
  steps.note('map', 'mapped', `${account.name} by ${methods.join(', ')}`);
  const identity = { account, method, methods, strength: strength.strength, strengthBy: strength.by };
  return { kind: 'mapped', identity, searches };
}

/** Somebody did not answer. */
export function unknown(steps: Steps, reason: string, searches: readonly SearchRecord[]): MappingResult {
  steps.note('map', 'directoryUnavailable', reason);
  return { kind: 'unknown', verdict: verdict('directoryUnavailable', reason), searches };
}

function refused(steps: Steps, why: Verdict, searches: readonly SearchRecord[]): MappingResult {
  steps.note('map', why.code, why.detail);
  return { kind: 'refused', verdict: why, searches };
}

interface Match {
  readonly account: Account;
  /** Strongest first. */
  readonly matched: readonly Candidate[];
}

/** Accounts that hold a value to the letter, one per SID, and why others were not believed. */
function compareAll(
  accounts: readonly Account[],
  plan: LookupPlan,
  steps: Steps,
): { readonly found: readonly Match[]; readonly doubts: readonly string[] } {
  const bySid = new Map<string, { readonly account: Account; readonly held: Set<Candidate> }>();
  const doubts: string[] = [];
  for (const account of accounts) {
    const compared = plan.lookups.map((lookup) => ({
      candidate: lookup.candidate,
      comparison: lookup.compare(account),
    }));
    const held = compared.filter(({ comparison }) => comparison?.believed === true).map(({ candidate }) => candidate);
    const doubted = compared.flatMap(({ comparison }) => (comparison?.believed === false ? [comparison.why] : []));
    if (held.length > 0)
      bySid.set(account.sid, { account, held: new Set([...(bySid.get(account.sid)?.held ?? []), ...held]) });
    else if (doubted.length === 0)
      doubted.push(
        `the directory returned ${account.name}, but none of its values is the one looked for to the letter`,
      );
    doubts.push(...new Set(doubted));
  }
  for (const doubt of doubts) steps.note('map', 'notBelieved', doubt);
  const order = [...new Set(plan.lookups.map(({ candidate }) => candidate))];
  const found = [...bySid.values()].map(({ account, held }) => ({
    account: withoutLists(account),
    matched: order.filter((candidate) => held.has(candidate)),
  }));
  return { found, doubts };
}

const noValues: readonly string[] = [];

/** There may be thousands of values, and nobody asks for them after this. */
function withoutLists(account: Account): Account {
  return { ...account, altSecurityIdentities: noValues, servicePrincipalNames: noValues };
}

function nobody(plan: LookupPlan, doubts: readonly string[]): Verdict {
  const values = [...new Set(plan.lookups.map(({ candidate }) => describe(candidate)))];
  const sentences = [`no account has any of the ${values.length} values looked for: ${values.join('; ')}`];
  return verdict('notMapped', shorten([...doubts, ...plan.remarks, ...sentences].join('. ')));
}

function several(found: readonly Match[]): Verdict {
  const names = found.map(({ account }) => `${account.name} (${account.sid})`);
  const claims = found.map(({ account, matched }) => `${account.name} has ${evidence(matched)}`);
  return verdict('ambiguous', shorten(`the certificate belongs to ${names.join(' and ')}: ${claims.join('; ')}`));
}

function notInNtAuth(
  { issuer }: MappingSubject,
  ntAuth: { readonly issuers: ReadonlySet<string>; readonly server: string },
  account: Account,
): Verdict {
  const content = ntAuth.issuers.size === 0 ? 'is empty' : `has ${ntAuth.issuers.size} certificates and not this one`;
  return verdict(
    'issuerNotInNtAuth',
    `the issuer of the certificate has the thumbprint ${issuer.thumbprint}; NTAuthCertificates (${ntAuth.server}) ${content}`,
    account,
  );
}

function methodsOf(matched: readonly Candidate[]): readonly MappingMethod[] {
  return [...new Set(matched.map(({ method }) => method))];
}

function evidence(matched: readonly Candidate[]): string {
  return [...new Set(matched.map(describe))].join(' and ');
}

function describe({ method, value }: Candidate): string {
  return method === 'UPN' || method === 'DNS' ? `${method} ${value}` : value;
}

/** Names come from certificates and may be long; a detail is kept in the negative cache. */
export const longestDetail = 1000;

function shorten(text: string): string {
  return text.length <= longestDetail ? text : `${text.slice(0, longestDetail)}…`;
}

function noteCandidates(steps: Steps, candidates: readonly Candidate[]): void {
  if (!steps.recording) return;
  const used = candidates.filter((candidate) => candidate.used);
  steps.note(
    'map',
    'candidates',
    `${used.length} of ${candidates.length} are looked up: ${used.map(describe).join('; ')}`,
  );
  for (const candidate of candidates)
    if (!candidate.used && candidate.method !== 'X509IssuerOnly')
      steps.note('map', 'notUsed', `${describe(candidate)}: ${candidate.why}`);
}

function noteSearches(steps: Steps, searches: readonly SearchRecord[]): void {
  if (!steps.recording) return;
  for (const { server, base, filter, result } of searches)
    steps.note('map', 'searched', `${server} under ${base === '' ? 'the whole forest' : base}: ${filter} → ${result}`);
}
