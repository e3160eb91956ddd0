/**
 * From a validated certificate to one account, or to the reason why not: one question to the directory, own comparison
 * of what comes back, exactly one account, NTAuth, strength, account state, in this order. Caches are elsewhere.
 * Not knowing is never taken for "none".
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import type { Steps } from '../base/steps.ts';
import { verdict, type Verdict } from '../base/verdict.ts';
import type { Assertion, Directory, SearchRecord } from '../directory/directory.ts';
import { stateRefusal } from './account-state.ts';
import { claimsOf, type Claim } from './candidates.ts';
import { chooseForests, type AskedForest } from './forest-choice.ts';
import { planLookups, type LookupPlan } from './lookup.ts';
import type { Candidate, KdcEvent, MappingResult, MappingSettings, MappingSubject } from './mapper-contract.ts';
import { compareAnswers, type ForestAnswer, type Match } from './match.ts';
import { selectAccount } from './selection.ts';
import { judgeStrength, type EventNote } from './strength.ts';

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
  const claims = claimsOf(subject.leaf, settings, subject.path);
  noteCandidates(steps, claims);

  const used = claims.filter(({ candidate }) => candidate.used);
  const choice = await chooseForests(directory.forests, {
    issuer: subject.issuer.digest,
    methods: new Set(used.map(({ candidate }) => candidate.method)),
    ntAuthMethods: settings.ntAuthMethods,
  });
  if (choice.kind === 'unknown') return unknown(steps, choice.reason, []);
  if (choice.forests.length === 0) return unknown(steps, 'no forest is configured', []);

  const located = await askForests(choice.forests, used, subject, means);
  const { searches } = located;
  if (located.kind === 'unknown') return unknown(steps, located.reason, searches);
  const { found, doubts } = compareAnswers(located.answers, used);
  for (const doubt of doubts) steps.note('map', 'notBelieved', doubt);

  const selection = selectAccount(found, settings.firstMatch);
  if (selection.kind === 'none') return refused(steps, nobody(located.answers, doubts), searches);
  if (selection.kind === 'several') return refused(steps, several(selection.matches), searches);
  const { match, passedOver } = selection;
  const { account } = match;
  steps.note('map', 'account', `${account.name} (${account.sid}) has ${evidence(match.holdings)}`);
  for (const other of passedOver)
    steps.note('map', 'passedOver', `${other.account.name} has ${evidence(other.holdings)}, which comes later`);

  const holdings = match.holdings.filter(({ allowed }) => allowed);
  if (holdings.length === 0) return refused(steps, notInNtAuth(subject, choice.forests, account), searches);

  const matched = holdings.map(({ candidate }) => candidate);
  const strength = judgeStrength(
    subject,
    {
      account,
      byKdc: holdings.filter(({ kdc }) => kdc).map(({ candidate }) => candidate),
      byRcmp: holdings.filter(({ rcmp }) => rcmp).map(({ candidate }) => candidate),
    },
    settings,
  );
  const event =
    strength.event === null ? null : { ...strength.event, ...eventFacts(subject, account, matched, claims) };
  if (strength.kind === 'refused') return refused(steps, strength.verdict, searches, event);
  steps.note('map', strength.strength, strength.why);

  const refusal = stateRefusal(account, now, settings);
  if (refusal !== null) return refused(steps, refusal, searches);

  const methods = [...new Set(matched.map(({ method }) => method))];
  const [method = 'X509SHA1PublicKey'] = methods;
  steps.note('map', 'mapped', `${account.name} by ${methods.join(', ')}`);
  const identity = { account, method, methods, strength: strength.strength, strengthBy: strength.by };
  return { kind: 'mapped', identity, searches, ...(event === null ? {} : { event }) };
}

/** Somebody did not answer. */
export function unknown(steps: Steps, reason: string, searches: readonly SearchRecord[]): MappingResult {
  steps.note('map', 'directoryUnavailable', reason);
  return { kind: 'unknown', verdict: verdict('directoryUnavailable', reason), searches };
}

function refused(
  steps: Steps,
  why: Verdict,
  searches: readonly SearchRecord[],
  event: KdcEvent | null = null,
): MappingResult {
  steps.note('map', why.code, why.detail);
  return { kind: 'refused', verdict: why, searches, ...(event === null ? {} : { event }) };
}

type LocatedEverywhere =
  | { readonly kind: 'answered'; readonly answers: readonly ForestAnswer[]; readonly searches: readonly SearchRecord[] }
  | { readonly kind: 'unknown'; readonly reason: string; readonly searches: readonly SearchRecord[] };

/** All at once; unknown as soon as one of them did not answer, for it may know another account. */
async function askForests(
  forests: readonly AskedForest[],
  claims: readonly Claim[],
  { leaf }: MappingSubject,
  means: ResolveMeans,
): Promise<LocatedEverywhere> {
  const { settings, steps } = means;
  const deadline = means.remaining();
  const asking = forests.map(async (asked) => {
    const plan = planLookups(claims, {
      domains: asked.domains,
      dnsNames: leaf.extensions.subjectAltName?.dnsNames ?? [],
      computerBySpn: settings.openPoints.computerBySpn,
    });
    for (const remark of plan.remarks) steps.note('map', 'remark', remark);
    return { asked, plan, located: await asked.forest.locate(assertionsOf(plan), deadline) };
  });
  const answers: ForestAnswer[] = [];
  const reasons: string[] = [];
  const searches: SearchRecord[] = [];
  for (const { asked, plan, located } of await Promise.all(asking)) {
    searches.push(...located.searches);
    noteSearches(steps, located.searches, forests.length > 1 ? `forest ${asked.forest.name}: ` : '');
    if (located.kind === 'unknown') reasons.push(located.reason);
    else answers.push({ asked, plan, accounts: located.accounts });
  }
  return reasons.length > 0
    ? { kind: 'unknown', reason: reasons.join('; '), searches }
    : { kind: 'answered', answers, searches };
}

/** Two rules may ask the same question. */
function assertionsOf({ lookups }: LookupPlan): readonly Assertion[] {
  return [...new Map(lookups.map(({ assertion }) => [JSON.stringify(assertion), assertion])).values()];
}

function nobody(answers: readonly ForestAnswer[], doubts: readonly string[]): Verdict {
  const plans = answers.map(({ plan }) => plan);
  const values = [...new Set(plans.flatMap(({ lookups }) => lookups.map(({ candidate }) => describe(candidate))))];
  const remarks = new Set(plans.flatMap((plan) => plan.remarks));
  const sentences = [`no account has any of the ${values.length} values looked for: ${values.join('; ')}`];
  return verdict('notMapped', shorten([...doubts, ...remarks, ...sentences].join('. ')));
}

function several(found: readonly Match[]): Verdict {
  const names = found.map(({ account }) => `${account.name} (${account.sid})`);
  const claims = found.map(({ account, holdings }) => `${account.name} has ${evidence(holdings)}`);
  return verdict('ambiguous', shorten(`the certificate belongs to ${names.join(' and ')}: ${claims.join('; ')}`));
}

function notInNtAuth({ issuer }: MappingSubject, forests: readonly AskedForest[], account: Account): Verdict {
  const stores = forests.flatMap(({ store }) => (store === '' ? [] : store)).join('; ');
  return verdict(
    'issuerNotInNtAuth',
    shorten(`the issuer of the certificate has the thumbprint ${issuer.thumbprint}; ${stores}`),
    account,
  );
}

function eventFacts(
  { leaf, issuer }: MappingSubject,
  account: Account,
  matched: readonly Candidate[],
  claims: readonly Claim[],
): Omit<KdcEvent, keyof EventNote> {
  return { account, leaf, issuer, matched, candidates: claims.map(({ candidate }) => candidate) };
}

function evidence(holdings: readonly Claim[]): string {
  return [...new Set(holdings.map(({ candidate }) => describe(candidate)))].join(' and ');
}

function describe({ method, value }: Candidate): string {
  return method === 'UPN' || method === 'DNS' ? `${method} ${value}` : value;
}

/** Names come from certificates and may be long; a detail is kept in the negative cache. */
export const longestDetail = 1000;

function shorten(text: string): string {
  return text.length <= longestDetail ? text : `${text.slice(0, longestDetail)}…`;
}

function noteCandidates(steps: Steps, claims: readonly Claim[]): void {
  if (!steps.recording) return;
  const candidates = claims.map(({ candidate }) => candidate);
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

/** @param where of several forests the one whose servers these are */
function noteSearches(steps: Steps, searches: readonly SearchRecord[], where: string): void {
  if (!steps.recording) return;
  for (const { server, base, filter, result } of searches)
    steps.note(
      'map',
      'searched',
      `${where}${server} under ${base === '' ? 'the whole forest' : base}: ${filter} → ${result}`,
    );
}
