/**
 * The whole story of one certificate at one path: the flow itself, walked with a recorder. Nothing is decided here.
 */
import type { Step } from '../base/steps.ts';
import { noSteps, recordSteps } from '../base/steps.ts';
import { isoText } from '../base/clock.ts';
import { digestOf, hexOf } from '../base/bytes.ts';
import type { Account } from '../base/identity.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { FlatHeaders } from '../forward/forward-contract.ts';
import { shownHeaders } from '../gateway/dress.ts';
import { unwatched } from '../gateway/exchange.ts';
import { decide, demand } from '../gateway/flow.ts';
import { hostOf } from '../gateway/authority.ts';
import { looksAtCertificates, ruleAt } from '../gateway/rule.ts';
import type { Setup } from '../gateway/setup.ts';
import { trustOf } from '../gateway/setup.ts';
import type { Outgoing, Rule } from '../gateway/stages.ts';
import { isVerdict } from '../gateway/stages.ts';
import { answerOf, isGood, type Outcomes } from '../iis/verdict-table.ts';
import { candidatesOf } from '../mapping/candidates.ts';
import type { Candidate, MappedIdentity, MappingSettings } from '../mapping/mapper-contract.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { Presented } from '../tls/connection.ts';
import type { Certificate } from '../x509/certificate.ts';
import { serialText } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';
import { matchAccount, type AccountMatch, type AskedAccount } from './account-values.ts';
import { adviceFor, type Advice } from './advice.ts';
import { askedGroups } from './asked-groups.ts';

/** The contract of `explain --json`; the shapes are in docs/explain.md. */
export interface Explanation {
  readonly certificate: CertificateFacts;
  readonly candidates: readonly Candidate[];
  readonly steps: readonly Step[];
  readonly account: AccountFacts | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly verdict: VerdictFacts;
  /** What to change, most telling first. */
  readonly advice: readonly Advice[];
  /** Where an account was asked about: each of its values. */
  readonly asked?: AccountMatch;
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
  /** Names of all groups, nested ones too, a SID where one has no name; null: the location does not ask for groups, or nobody could tell. */
  readonly groups: readonly string[] | null;
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
  /** `alice`, `LAB\\alice` or `alice@lab.example.test`: its values are gone through as well. */
  readonly account?: string;
}

/** Without a configuration there is no trust to judge by. */
export function explainAlone(leaf: Certificate, mapping: MappingSettings): Explanation {
  const ending = verdict('notJudged', 'no configuration was given, so there is no trust to judge the certificate by');
  const candidates = candidatesOf(leaf, mapping);
  return explanationOf({ leaf, candidates, mapping, steps: [], outgoing: null, headers: [], ending, outcomes: 'safe' });
}

export async function explain(question: Question, setup: Setup): Promise<Explanation> {
  const { leaf } = question;
  const { mapping, outcomes } = setup.settings;
  const recorder = recordSteps(() => setup.clock.monotonic());
  const rule = ruleFor(question, setup);
  const outcome = isVerdict(rule) ? rule : await walk(question, rule, setup, recorder);
  const ending = isVerdict(outcome) ? outcome : goodVerdict(outcome);
  const outgoing = isVerdict(outcome) ? null : outcome;
  const candidates = candidatesOf(leaf, mapping, isVerdict(rule) ? undefined : pathOf(question, rule, setup));
  const account = accountOf(outgoing, ending);
  const { directory } = setup;
  const asked =
    question.account === undefined
      ? null
      : await matchAccount(leaf, candidates, question.account, { directory, mapping });
  const groups = account === null ? null : await askedGroups(account, recorder.list, setup);
  const headers = outgoing === null ? [] : shownHeaders(outgoing, setup);
  return explanationOf({
    leaf,
    candidates,
    mapping,
    steps: recorder.list,
    outgoing,
    headers,
    ending,
    outcomes,
    asked,
    groups,
  });
}

async function walk(
  question: Question,
  rule: Rule,
  setup: Setup,
  recorder: ReturnType<typeof recordSteps>,
): Promise<Outgoing | Verdict> {
  const shown = shownIn(question, rule);
  const presented = demand({ rule, shown: looksAtCertificates(rule) || question.offline ? shown : null }, recorder);
  if (isVerdict(presented)) return presented;
  if (!question.offline) return decide(presented, { connection: null, ...unwatched }, setup, recorder);
  const judged = setup.chains.judge(shown, trustOf(rule.binding, setup), setup.clock.now(), recorder, new Set());
  return isVerdict(judged)
    ? judged
    : verdict('trusted', 'the chain is good; neither directory nor revocation was asked (offline)');
}

function shownIn({ chain }: Question, { binding }: Rule): Presented {
  return { chain, digest: digestOf(...chain), how: howOf(binding), resumed: false };
}

/** For the forms that name issuers further up; without a good path the leaf's own is all that is known. */
function pathOf(question: Question, rule: Rule, setup: Setup): readonly Certificate[] | undefined {
  const trust = trustOf(rule.binding, setup);
  const judged = setup.chains.judge(shownIn(question, rule), trust, setup.clock.now(), noSteps, new Set());
  return isVerdict(judged) ? undefined : judged.path.certificates;
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

interface Told {
  readonly leaf: Certificate;
  readonly candidates: readonly Candidate[];
  readonly mapping: MappingSettings;
  readonly steps: readonly Step[];
  readonly outgoing: Outgoing | null;
  readonly headers: FlatHeaders;
  readonly ending: Verdict;
  readonly outcomes: Outcomes;
  readonly asked?: AskedAccount | null;
  readonly groups?: readonly string[] | null;
}

function explanationOf(told: Told): Explanation {
  const { leaf, candidates, mapping, steps, outgoing, headers, ending, outcomes, asked = null, groups = null } = told;
  const { status, subStatus, win32 } = answerOf(ending.code, outcomes);
  const account = accountOf(outgoing, ending);
  const advice = adviceFor({
    verdict: ending,
    leaf,
    candidates,
    identity: identityOf(outgoing),
    wouldRefuse: outgoing?.authorised.wouldRefuse ?? null,
    asked: asked?.match ?? null,
    askedAccount: asked?.account ?? null,
    mapping,
  });
  return {
    certificate: certificateFacts(leaf),
    candidates,
    steps,
    account: account === null ? null : accountFacts(account, groups),
    headers: pairs(headers),
    verdict: { code: ending.code, status, subStatus, win32, text: ending.detail },
    advice,
    ...(asked === null ? {} : { asked: asked.match }),
  };
}

function accountOf(outgoing: Outgoing | null, ending: Verdict): Account | null {
  return identityOf(outgoing)?.account ?? ending.account ?? null;
}

function identityOf(outgoing: Outgoing | null): MappedIdentity | null {
  return outgoing?.authorised.mapped.identity ?? null;
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

function accountFacts({ sid, name, upn, dn, disabled }: Account, groups: readonly string[] | null): AccountFacts {
  return { sid, name, upn, dn, disabled, groups };
}

function pairs(flat: readonly string[]): readonly (readonly [string, string])[] {
  const list: (readonly [string, string])[] = [];
  for (let index = 0; index < flat.length; index += 2) list.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return list;
}
