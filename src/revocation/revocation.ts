/**
 * Whether anybody on a validated path is revoked, by the settings of the binding: which certificates are looked at, what is asked
 * first, how long a request waits, and what unknown means. How a list or an OCSP answer is read is decided by the methods.
 *
 * Nothing is fetched while a usable answer is held, and never for a certificate without a path to an anchor: whoever has no path does
 * not get here. What is held but no longer fresh is renewed behind the request's back.
 *
 * An answer that lists alone gave is kept with the path and used again until one of its parts ends or any list comes or goes, so that a
 * connection costs the same with and without revocation. OCSP answers are looked at each time: that is how they are known to be in use.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { verdict, type VerdictCode } from '../base/verdict.ts';
import { settlesWithin } from '../directory/patience.ts';
import type { TrustedPath } from '../trust/judgement.ts';
import { rfc4514Text } from '../x509/name.ts';
import { policyFor } from './issuer-policy.ts';
import type { Finding, Method, Subject } from './method.ts';
import type { Evidence, RevocationAnswer, RevocationQuestion, RevocationSettings } from './revocation-contract.ts';

export interface Revocation {
  /** At once where what is held suffices. Never rejects. */
  check(question: RevocationQuestion): RevocationAnswer | Promise<RevocationAnswer>;
}

export interface RevocationFacilities {
  readonly clock: Clock;
  readonly crl: Method;
  readonly ocsp: Method;
  /** Another number whenever what the methods say may have changed otherwise than by time. */
  readonly version: () => number;
  /** Told of every certificate that was checked. */
  readonly onChecked: (method: Evidence['method'], status: Evidence['status']) => void;
}

/** Answers are put together anew at least this often: whoever signed for them may have ended, and their lists must count as used. */
const longestMemory = 300_000;

/** A certificate whose status was not found is asked about again after this time; its sources have a back-off of their own. */
const unknownLife = 30_000;

export function createRevocation({ clock, crl, ocsp, version, onChecked }: RevocationFacilities): Revocation {
  const memory = new WeakMap<TrustedPath, Remembered>();
  const methodsOf = ({ prefer }: RevocationSettings) => (prefer === 'ocsp' ? [ocsp, crl] : [crl, ocsp]);

  function check(question: RevocationQuestion): RevocationAnswer | Promise<RevocationAnswer> {
    const known = recall(question);
    if (known !== null) return known;
    const { settings } = question;
    const methods = methodsOf(settings);
    const subjects = settings.mode === 'disabled' ? [] : subjectsOf(question);
    const held = subjects.map((subject) => consult(subject, question, methods));
    if (settings.mode !== 'online') return conclude(held, question);
    for (const { subject, method, finding } of held)
      if (finding.status !== 'unknown' && isOld(finding, question)) renew(subject, method, question);
    if (held.some(({ finding }) => finding.status === 'revoked')) return conclude(held, question);
    const open = held.filter(({ subject, finding }) => finding.status === 'unknown' && isNamed(subject, methods));
    return open.length === 0 ? conclude(held, question) : findOut(held, question, methods);
  }

  async function findOut(
    held: readonly Consulted[],
    question: RevocationQuestion,
    methods: readonly Method[],
  ): Promise<RevocationAnswer> {
    const { timeout = question.settings.retrievalTimeout } = question;
    const deadline = clock.monotonic() + timeout;
    const remaining = () => Math.max(0, deadline - clock.monotonic()) as Millis;
    const now = (): RevocationQuestion => ({ ...question, at: clock.now() });
    const outcomes = held.map(async ({ subject, finding }): Promise<readonly string[]> => {
      if (finding.status !== 'unknown' || !isNamed(subject, methods)) return [];
      const failures: string[] = [];
      const asked: Promise<void>[] = [];
      for (const method of methods.filter((each) => each.names(subject))) {
        const fetched = method.fetch(subject, question, remaining()).then((reasons) => void failures.push(...reasons));
        asked.push(fetched);
        // A source that is silent must not use up the time of the others.
        await settlesWithin(fetched, remaining() / 2);
        if (consult(subject, now(), methods).finding.status !== 'unknown') return failures;
      }
      await Promise.all(asked);
      return failures;
    });
    const failures = await Promise.all(outcomes);
    // All of them anew: what was good when the waiting began may have been revoked since.
    const late = now();
    const found = held.map(({ subject }, index) => ({
      ...consult(subject, late, methods),
      failures: failures[index] ?? [],
    }));
    return conclude(found, late);
  }

  function renew(subject: Subject, method: Method, question: RevocationQuestion): void {
    void method.fetch(subject, question, question.settings.retrievalTimeout);
  }

  function conclude(consulted: readonly Consulted[], question: RevocationQuestion): RevocationAnswer {
    const methods = methodsOf(question.settings);
    const results = consulted.map((one) => resultOf(one, question, methods));
    const evidence = results.map((result) => result.evidence);
    for (const { method, status } of evidence) onChecked(method, status);
    if (question.steps.recording)
      for (const each of evidence) question.steps.note('judge', `revocation ${each.status}`, sentenceOf(each));
    if (question.settings.mode === 'disabled')
      question.steps.note('judge', 'revocation notChecked', 'revocation is disabled for this binding');
    // Nearest to the anchor first: who is revoked there says nothing about those below any more.
    const refused =
      results.findLast(({ code }) => code === 'certificateRevoked') ?? results.findLast(({ code }) => code !== null);
    if (refused !== undefined && refused.code !== null)
      return {
        kind: 'refused',
        verdict: verdict(refused.code, sentencesOf(results, refused.code)),
        evidence,
        certificate: refused.subject.certificate,
      };
    const until = Math.min(...results.map((result) => result.until), Infinity) as Instant;
    const answer = { kind: 'good', evidence, until } as const;
    remember(answer, question);
    return answer;
  }

  function recall({ path, settings, store, at, steps }: RevocationQuestion): Good | null {
    const known = memory.get(path);
    if (known === undefined || steps.recording || known.settings !== settings || known.store !== store) return null;
    if (known.version !== version() || at < known.from || at >= known.until) return null;
    for (const { method, status } of known.answer.evidence) onChecked(method, status);
    return known.answer;
  }

  function remember(answer: Good, { path, settings, store, at, steps }: RevocationQuestion): void {
    const { evidence } = answer;
    if (steps.recording || evidence.some(({ method }) => method === 'ocsp')) return;
    const fresh = settings.freshnessTime === 0 ? Infinity : settings.freshnessTime;
    const ends = evidence.map(({ fetchedAt }) => (fetchedAt ?? at) + fresh);
    const until = Math.min(answer.until, at + longestMemory, ...ends);
    memory.set(path, { answer, settings, store, version: version(), from: at, until });
  }

  return { check };
}

type Good = Extract<RevocationAnswer, { readonly kind: 'good' }>;

interface Remembered extends Pick<RevocationQuestion, 'settings' | 'store'> {
  readonly answer: Good;
  readonly version: number;
  /** Used from here to there. */
  readonly from: Instant;
  readonly until: number;
}

interface Consulted {
  readonly subject: Subject;
  readonly method: Method;
  readonly finding: Finding;
  /** What went wrong when its sources were asked for this request. */
  readonly failures: readonly string[];
}

interface Result {
  readonly subject: Subject;
  readonly evidence: Evidence;
  readonly until: number;
  /** Null: it may pass. */
  readonly code: VerdictCode | null;
}

/** The anchor is trusted by configuration: whoever wants it gone takes it out there. */
function subjectsOf({ path, settings }: RevocationQuestion): readonly Subject[] {
  const { certificates } = path;
  const below = settings.scope === 'leaf' ? Math.min(1, certificates.length - 1) : certificates.length - 1;
  const subjects: Subject[] = [];
  for (let depth = 0; depth < below; depth += 1) {
    const [certificate, issuer] = [certificates[depth], certificates[depth + 1]];
    if (certificate === undefined || issuer === undefined) break;
    subjects.push({ depth, certificate, issuer, policy: policyFor(issuer, settings.issuers) });
  }
  return subjects;
}

/** What is held by either method: revoked by any of them counts, then the first that knows. */
function consult(
  subject: Subject,
  question: RevocationQuestion,
  methods: readonly Method[],
  staleFor = 0 as Millis,
): Consulted {
  let best: Consulted | null = null;
  for (const method of subject.policy.policy === 'never' ? [] : methods) {
    const finding = method.look(subject, question, staleFor);
    const one = { subject, method, finding, failures: [] };
    if (finding.status === 'revoked') return one;
    if (
      best === null ||
      (best.finding.status === 'unknown' && (finding.status === 'good' || !best.method.names(subject)))
    )
      best = one;
  }
  const [first] = methods;
  if (best !== null) return best;
  if (first === undefined) throw new TypeError('no method to ask');
  return { subject, method: first, finding: { status: 'unknown', why: 'not looked at' }, failures: [] };
}

function isNamed(subject: Subject, methods: readonly Method[]): boolean {
  return subject.policy.policy !== 'never' && methods.some((method) => method.names(subject));
}

function isOld({ fetchedAt }: Finding & { status: 'good' | 'revoked' }, { settings, at }: RevocationQuestion): boolean {
  return settings.freshnessTime > 0 && fetchedAt !== null && at - fetchedAt >= settings.freshnessTime;
}

function resultOf(consulted: Consulted, question: RevocationQuestion, methods: readonly Method[]): Result {
  const { subject, method, finding } = consulted;
  if (subject.policy.policy === 'never')
    return pass(subject, evidenceOf(subject, 'notChecked', 'none', 'the policy of its issuer is never'), Infinity);
  if (finding.status === 'good')
    return pass(
      subject,
      { ...evidenceOf(subject, 'good', method.name, finding.detail), ...from(finding) },
      finding.until,
    );
  if (finding.status === 'revoked') {
    const evidence = { ...evidenceOf(subject, 'revoked', method.name, finding.detail), ...from(finding) };
    return { subject, evidence, until: Infinity, code: 'certificateRevoked' };
  }
  return unknownOf(consulted, finding.why, question, methods);
}

/** What becomes of a certificate of which neither method could say anything. */
function unknownOf(
  consulted: Consulted,
  why: string,
  question: RevocationQuestion,
  methods: readonly Method[],
): Result {
  const { subject, failures } = consulted;
  const { settings, at } = question;
  const until = at + unknownLife;
  if (!isNamed(subject, methods)) {
    const evidence = evidenceOf(
      subject,
      'notChecked',
      'none',
      'it names no source of revocation data and none is configured',
    );
    if (settings.noDistributionPoint === 'accept') return pass(subject, evidence, Infinity);
    return { subject, evidence, until, code: 'revocationNotCheckable' };
  }
  const unfetched = settings.mode === 'cachedOnly' ? ['nothing is fetched on this binding (cached only)'] : failures;
  const clauses = [why, ...unfetched].join('; ');
  const unknown = (because: string) => evidenceOf(subject, 'unknown', 'none', `${clauses}${because}`);
  const stale =
    settings.whenUnknown === 'acceptStale' ? consult(subject, question, methods, settings.maximumStale) : null;
  if (stale?.finding.status === 'revoked') return resultOf(stale, question, methods);
  if (stale?.finding.status === 'good') {
    const detail = `${stale.finding.detail}; out of date, accepted: whenUnknown is acceptStale`;
    const evidence = { ...evidenceOf(subject, 'good', stale.method.name, detail), ...from(stale.finding) };
    return pass(subject, evidence, until);
  }
  if (subject.policy.policy === 'ifAvailable')
    return pass(subject, unknown('; accepted: the policy of its issuer is ifAvailable'), until);
  if (settings.whenUnknown === 'accept') return pass(subject, unknown('; accepted: whenUnknown is accept'), until);
  return { subject, evidence: unknown(''), until, code: 'revocationUnknown' };
}

function pass(subject: Subject, evidence: Evidence, until: number): Result {
  return { subject, evidence, until, code: null };
}

function evidenceOf(
  { depth, certificate }: Subject,
  status: Evidence['status'],
  method: Evidence['method'],
  detail: string,
): Evidence {
  const { subject, thumbprint } = certificate;
  const nowhere = { source: null, thisUpdate: null, nextUpdate: null, fetchedAt: null };
  return { depth, subject: rfc4514Text(subject), thumbprint, status, method, ...nowhere, detail };
}

function from({ source, thisUpdate, nextUpdate, fetchedAt }: Finding & { status: 'good' | 'revoked' }) {
  return { source, thisUpdate, nextUpdate, fetchedAt };
}

/** Of all that are refused for this, the nearest to the anchor first. */
function sentencesOf(results: readonly Result[], because: VerdictCode): string {
  const same = results.filter(({ code }) => code === because).toReversed();
  return same.map(({ evidence }) => sentenceOf(evidence)).join('; ');
}

function sentenceOf({ depth, subject, thumbprint, detail }: Evidence): string {
  return `certificate ${depth} (${subject === '' ? 'empty subject' : subject}, thumbprint ${thumbprint}): ${detail}`;
}
