/**
 * The whole story of one certificate at one path: the flow itself, walked with a recorder. Nothing is decided here.
 */
import type { Step } from '../base/steps.ts';
import { recordSteps } from '../base/steps.ts';
import { isoText } from '../base/clock.ts';
import { digestOf, hexOf } from '../base/bytes.ts';
import type { Account } from '../base/identity.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { unwatched } from '../gateway/exchange.ts';
import { decide, demand } from '../gateway/flow.ts';
import { hostOf } from '../gateway/authority.ts';
import { looksAtCertificates, ruleAt } from '../gateway/rule.ts';
import type { Setup } from '../gateway/setup.ts';
import { trustOf } from '../gateway/setup.ts';
import type { Outgoing, Rule } from '../gateway/stages.ts';
import { isVerdict } from '../gateway/stages.ts';
import { answerOf, isGood, type Outcomes } from '../iis/verdict-table.ts';
import type { Assertion } from '../directory/directory.ts';
import { sameText } from '../mapping/ad-text.ts';
import { candidatesOf } from '../mapping/candidates.ts';
import type { Candidate, MappingSettings } from '../mapping/mapper-contract.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { Presented } from '../tls/connection.ts';
import type { Certificate } from '../x509/certificate.ts';
import { serialText } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';

/** The contract of `explain --json`; the shapes are in docs/explain.md. */
export interface Explanation {
  readonly certificate: CertificateFacts;
  readonly candidates: readonly Candidate[];
  readonly steps: readonly Step[];
  readonly account: AccountFacts | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly verdict: VerdictFacts;
}

export interface CertificateFacts {
  readonly thumbprint: string;
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly upn: readonly string[];
  readonly dnsNames: readonly string[];
  readonly rfc822Names: readonly string[];
  readonly sid: string | null;
  readonly subjectKeyIdentifier: string | null;
}

export interface AccountFacts {
  readonly sid: string;
  readonly name: string;
  readonly upn: string | null;
  readonly dn: string;
  readonly disabled: boolean;
  /** Groups come with a later version; null means that they were not asked. */
  readonly groups: null;
}

export interface VerdictFacts {
  readonly code: Verdict['code'];
  readonly status: number;
  readonly subStatus: number;
  readonly win32: number;
  readonly text: string;
}

export interface Question {
  readonly leaf: Certificate;
  /** Everything the client would send, leaf first. */
  readonly chain: readonly Buffer[];
  /** Binding name; null: the first https binding. */
  readonly binding: string | null;
  /** Host the request would name; null: the binding's own, or `localhost`. */
  readonly host: string | null;
  readonly path: string;
  /** Judge the chain only; no directory is asked. */
  readonly offline: boolean;
}

/** Without a configuration there is no trust to judge by. */
export function explainAlone(leaf: Certificate, mapping: MappingSettings): Explanation {
  const ending = verdict('notJudged', 'no configuration was given, so there is no trust to judge the certificate by');
  return explanationOf(leaf, candidatesOf(leaf, mapping), [], null, ending, 'safe');
}

export async function explain(question: Question, setup: Setup): Promise<Explanation> {
  const recorder = recordSteps(() => setup.clock.monotonic());
  const outcome = await walk(question, setup, recorder);
  const ending = isVerdict(outcome) ? outcome : goodVerdict(outcome);
  const outgoing = isVerdict(outcome) ? null : outcome;
  const candidates = candidatesOf(question.leaf, setup.settings.mapping);
  return explanationOf(question.leaf, candidates, recorder.list, outgoing, ending, setup.settings.outcomes);
}

async function walk(
  question: Question,
  setup: Setup,
  recorder: ReturnType<typeof recordSteps>,
): Promise<Outgoing | Verdict> {
  const rule = ruleFor(question, setup);
  if (isVerdict(rule)) return rule;
  const shown: Presented = {
    chain: question.chain,
    digest: digestOf(...question.chain),
    how: howOf(rule.binding),
    resumed: false,
  };
  const presented = demand({ rule, shown: looksAtCertificates(rule) || question.offline ? shown : null }, recorder);
  if (isVerdict(presented)) return presented;
  if (!question.offline) return decide(presented, { connection: null, ...unwatched }, setup, recorder);
  const judged = setup.chains.judge(shown, trustOf(rule.binding, setup), setup.clock.now(), recorder, new Set());
  return isVerdict(judged)
    ? judged
    : verdict('trusted', 'the chain is good; neither directory nor revocation was asked (offline)');
}

function ruleFor(question: Question, setup: Setup): Rule | Verdict {
  const { bindings } = setup.settings;
  const binding = bindings.find(({ name, certificate }) =>
    question.binding === null ? certificate !== null : name === question.binding,
  );
  if (binding === undefined) {
    const known = bindings.map(({ name }) => name).join(', ');
    return verdict('unknownHost', `there is no binding ${question.binding ?? 'with TLS'}; there are ${known}`);
  }
  if (binding.certificate === null)
    return verdict('sslRequired', `binding ${binding.name} is plain http: no certificate can be shown there`);
  const host = hostOf(question.host ?? (binding.endpoint.kind === 'host' ? binding.endpoint.host : 'localhost'));
  if (host === null) return verdict('hostMismatch', 'the host is not a host name or address');
  return ruleAt(binding, host, question.path, setup);
}

function howOf(binding: BindingSettings): Presented['how'] {
  return binding.clientCertificate === 'late' ? 'renegotiated' : 'upFront';
}

const confirmations = {
  nameBasedRule: 'strong by a name-based rule',
  sidExtension: 'confirmed by the SID extension',
  sidUri: 'confirmed by the SID in the subjectAltName',
  age: 'good by its age',
  notEnforced: 'not enforced',
  rcmp: 'found by RCMP, which asks for no strength',
} as const;

function goodVerdict({ authorised }: Outgoing): Verdict {
  const { identity } = authorised.mapped;
  if (identity === null) return verdict('anonymous', 'the request is served without an identity');
  const { account, method, strength, strengthBy } = identity;
  const confirmed = strengthBy === 'method' ? '' : `, ${confirmations[strengthBy]}`;
  return verdict('authorised', `${account.name} by ${method} (${strength}${confirmed})`, account);
}

function explanationOf(
  leaf: Certificate,
  candidates: readonly Candidate[],
  steps: readonly Step[],
  outgoing: Outgoing | null,
  ending: Verdict,
  outcomes: Outcomes,
): Explanation {
  const { status, subStatus, win32 } = answerOf(ending.code, outcomes);
  const account = outgoing?.authorised.mapped.identity?.account ?? ending.account ?? null;
  return {
    certificate: certificateFacts(leaf),
    candidates,
    steps,
    account: account === null ? null : accountFacts(account),
    headers: pairs(outgoing?.identityHeaders ?? []),
    verdict: { code: ending.code, status, subStatus, win32, text: ending.detail },
  };
}

/** Exit code of the command: 0 where the verdict is good. */
export function exitCodeOf(explanation: Explanation): 0 | 1 {
  return isGood(explanation.verdict.code) ? 0 : 1;
}

export function certificateFacts(certificate: Certificate): CertificateFacts {
  const { extensions } = certificate;
  return {
    thumbprint: certificate.thumbprint,
    subject: rfc4514Text(certificate.subject),
    issuer: rfc4514Text(certificate.issuer),
    serial: serialText(certificate),
    notBefore: isoText(certificate.notBefore),
    notAfter: isoText(certificate.notAfter),
    upn: extensions.subjectAltName?.upns ?? [],
    dnsNames: extensions.subjectAltName?.dnsNames ?? [],
    rfc822Names: extensions.subjectAltName?.rfc822Names ?? [],
    sid: extensions.sid,
    subjectKeyIdentifier: extensions.subjectKeyIdentifier === null ? null : hexOf(extensions.subjectKeyIdentifier),
  };
}

function accountFacts({ sid, name, upn, dn, disabled }: Account): AccountFacts {
  return { sid, name, upn, dn, disabled, groups: null };
}

function pairs(flat: readonly string[]): readonly (readonly [string, string])[] {
  const list: (readonly [string, string])[] = [];
  for (let index = 0; index < flat.length; index += 2) list.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return list;
}

/** How the values of one account stand to a certificate. */
export interface AccountMatch {
  readonly name: string;
  /** Why there is nothing to compare; null when there is. */
  readonly problem: string | null;
  readonly values: readonly { readonly value: string; readonly method: string | null }[];
}

/** @param name `alice`, `LAB\alice` or `alice@lab.example.test` */
export async function matchAccount(leaf: Certificate, name: string, setup: Setup): Promise<AccountMatch> {
  const nothing = (problem: string): AccountMatch => ({ name, problem, values: [] });
  if (setup.directory === null) return nothing('no directory is configured');
  // one forest for now: `matchAccount` is taught several together with the story of an account
  const [forest] = setup.directory.forests;
  if (forest === undefined) return nothing('no directory is configured');
  const domains = await forest.domains();
  if (domains.kind === 'unknown') return nothing(domains.reason);
  const samAccountName = name.includes('@') ? null : (name.split('\\').at(-1) ?? name);
  const assertions: readonly Assertion[] =
    samAccountName === null
      ? [{ attribute: 'userPrincipalName', value: name }]
      : domains.domains.map(
          ({ dnsName }) => ({ attribute: 'sAMAccountName', value: samAccountName, domain: dnsName }) as const,
        );
  const located = await forest.locate(assertions, setup.settings.mapping.deadline);
  if (located.kind === 'unknown') return nothing(located.reason);
  const [account, second] = located.accounts;
  if (account === undefined) return nothing('the directory has no such account');
  if (second !== undefined)
    return nothing(`the name stands for ${account.name} and ${second.name}; write it with its domain`);
  const candidates = candidatesOf(leaf, setup.settings.mapping);
  const methodOf = (value: string) => candidates.find((candidate) => sameText(candidate.value, value))?.method ?? null;
  return {
    name: account.name,
    problem: null,
    values: account.altSecurityIdentities.map((value) => ({ value, method: methodOf(value) })),
  };
}
