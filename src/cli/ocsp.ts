/**
 * `dsmapper ocsp check`: asks the responders of a certificate as the gateway does, and tells what the answer is worth. Exit 0: good; 1:
 * revoked, unknown, or an answer that is not believed; 3: no answer.
 */
import { randomBytes } from 'node:crypto';
import { isoText, systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { revocation } from '../config/revocation-schema.ts';
import { trust } from '../config/schema.ts';
import { readSourceUrl } from '../config/source-hosts.ts';
import type { Settings } from '../gateway/settings.ts';
import { crlReasonName } from '../x509/crl-reason.ts';
import { policyFor } from '../revocation/issuer-policy.ts';
import { ocspStanding } from '../revocation/ocsp-answer.ts';
import { askResponder, type OcspExchange, type OcspReply } from '../revocation/ocsp-exchange.ts';
import type { AnswerRules, OcspQuestion, StoredOcsp } from '../revocation/revocation-contract.ts';
import { serialText, type Certificate } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';
import { verifyCertificate } from '../x509/signature.ts';
import { loadFile, readChain } from './configuration.ts';
import { fetchTimeout, openFetcher } from './fetching.ts';
import type { ExitCode } from './program.ts';
import { printable, table, terminal } from './terminal.ts';

export interface OcspOptions {
  readonly url?: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** What `--json` prints for each responder that was asked. */
export interface OcspFacts {
  readonly responder: string;
  readonly status: 'good' | 'revoked' | 'unknown' | 'noAnswer';
  /** Null for good and revoked. */
  readonly code: string | null;
  readonly why: string | null;
  readonly thisUpdate: string | null;
  readonly nextUpdate: string | null;
  readonly producedAt: string | null;
  readonly revocationDate: string | null;
  readonly reason: string | null;
  readonly signer: string | null;
  /** By what right it signs. */
  readonly right: string | null;
  readonly nonce: 'notSent' | 'repeated' | 'notRepeated' | null;
  /** A responder whose own certificate the gateway checks for revocation as well. */
  readonly needs: string | null;
}

export async function checkOcsp(file: string, issuerFile: string, options: OcspOptions): Promise<ExitCode> {
  const certificate = (await readChain(file, null)).leaf;
  const issuer = (await readChain(issuerFile, null)).leaf;
  if (verifyCertificate(certificate, issuer.publicKey, { allowSha1: true }) !== 'good')
    throw new Failure(`${issuerFile} did not issue ${file}`, {
      code: 'issuer',
      hint: `its issuer is ${rfc4514Text(certificate.issuer)}: name that certificate, whose key signed this one`,
    });
  const settings = options.config === undefined ? null : await loadFile(options.config);
  const question = questionOf(certificate, issuer, options, settings);
  const facts = await askAll(question, options, settings);
  const serial = serialText(certificate);
  if (options.json === true) terminal.json({ serial, issuer: rfc4514Text(issuer.subject), answers: facts });
  else for (const answer of facts) for (const line of answerLines(answer)) terminal.line(line);
  const last = facts.at(-1);
  return last?.status === 'good' ? 0 : facts.every(({ status }) => status === 'noAnswer') ? 3 : 1;
}

function questionOf(
  certificate: Certificate,
  issuer: Certificate,
  { url }: OcspOptions,
  settings: Settings | null,
): OcspQuestion {
  const policies = [...(settings?.trust.values() ?? [])].flatMap(({ revocation }) => revocation.issuers);
  const policy = policyFor(issuer, policies);
  const named = [...policy.ocsp, ...certificate.extensions.authorityInfoAccess.ocsp];
  const responders = url === undefined ? [...new Set(named)] : [url];
  if (responders.length === 0)
    throw new Failure('the certificate names no OCSP responder', { code: 'no-responder', hint: 'name one with --url' });
  return { certificate, issuer, responders, signers: policy.ocspSigners ?? [] };
}

/** One after the other, until one answers good or revoked. */
async function askAll(
  question: OcspQuestion,
  { url }: OcspOptions,
  settings: Settings | null,
): Promise<readonly OcspFacts[]> {
  // With a configuration its hosts hold, so that the answer is the gateway's.
  const own =
    url === undefined && settings !== null
      ? []
      : question.responders.filter((each) => each === url || 'url' in readSourceUrl(each));
  const opened = openFetcher(own, settings);
  const rules = rulesOf(settings);
  const exchange: OcspExchange = {
    question,
    rules,
    timeout: fetchTimeout,
    fetcher: opened.fetcher,
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    randomBytes,
    signal: new AbortController().signal,
  };
  const facts: OcspFacts[] = [];
  try {
    for (const responder of question.responders) {
      const reply = await askResponder(responder, exchange);
      facts.push(factsOf(responder, reply, rules, question));
      if (reply.kind === 'answered') break;
    }
    return facts;
  } finally {
    await opened.close();
  }
}

/** Those of the configuration's first binding that checks; without one those that a configuration begins with. */
function rulesOf(settings: Settings | null): AnswerRules {
  const bindings = [...(settings?.trust.values() ?? [])].map(({ revocation }) => revocation);
  const found = bindings.find(({ mode }) => mode !== 'disabled') ?? bindings[0];
  if (found !== undefined) return found.rules;
  const { clockSkew, maximumAge, nonce } = revocation.parse({});
  const { allowSha1, minimumRsaBits } = trust.parse({});
  return { clockSkew, maximumAge, nonce, allowSha1, minimumRsaBits };
}

const nothing = {
  code: null,
  why: null,
  thisUpdate: null,
  nextUpdate: null,
  producedAt: null,
  revocationDate: null,
  reason: null,
  signer: null,
  right: null,
  nonce: null,
  needs: null,
} as const;

/** An answer came, and is not believed or not known; whatever else went wrong, there is none. */
const disbelieved: readonly string[] = [
  'otherCertificate',
  'wrongSigner',
  'weakAlgorithm',
  'notYetValid',
  'expired',
  'unknownCritical',
  'nonce',
  'unknownCertificate',
];

function factsOf(responder: string, reply: OcspReply, rules: AnswerRules, question: OcspQuestion): OcspFacts {
  const { stored } = reply;
  if (stored !== null) return answerFacts(responder, stored, rules, question);
  if (reply.kind === 'answered') throw new TypeError('an answer without what it says');
  const { code, detail } = reply;
  const status = disbelieved.includes(code) ? 'unknown' : 'noAnswer';
  return { ...nothing, responder, status, code, why: detail.replace(`OCSP responder ${responder}: `, '') };
}

function answerFacts(responder: string, stored: StoredOcsp, rules: AnswerRules, { signers }: OcspQuestion): OcspFacts {
  const standing = ocspStanding(stored, { rules, at: systemClock.now(), signers });
  const { basic, signer, right, nonceEchoed } = stored;
  const single = stored.singles[0];
  const nextUpdate = single?.nextUpdate ?? null;
  return {
    ...nothing,
    responder,
    status: standing.status,
    ...(standing.status === 'unknown' ? { code: standing.code, why: standing.why } : {}),
    ...(standing.status === 'revoked'
      ? { revocationDate: isoText(standing.revocationDate), reason: crlReasonName(standing.reason) }
      : {}),
    thisUpdate: single === undefined ? null : isoText(single.thisUpdate),
    nextUpdate: nextUpdate === null ? null : isoText(nextUpdate),
    producedAt: isoText(basic.producedAt),
    signer: rfc4514Text(signer.subject),
    right,
    nonce: rules.nonce === 'never' ? 'notSent' : nonceEchoed ? 'repeated' : 'notRepeated',
    needs: standing.status === 'unknown' || standing.needs === null ? null : rfc4514Text(standing.needs.subject),
  };
}

const rights: Readonly<Record<string, string>> = {
  issuer: 'the issuer itself',
  configured: 'configured as a signer',
  delegate: 'appointed by the issuer',
};

const nonces = { notSent: 'not sent', repeated: 'repeated', notRepeated: 'sent, not repeated' } as const;

function answerLines(facts: OcspFacts): readonly string[] {
  const { status, signer, right, nonce } = facts;
  const rows: readonly (readonly [string, string | null])[] = [
    ['Responder', facts.responder],
    ['Answer', status === 'noAnswer' ? 'none' : status],
    ['Why', facts.why],
    ['Revoked', facts.revocationDate === null ? null : `${facts.revocationDate}, ${facts.reason ?? ''}`],
    ['This update', facts.thisUpdate],
    ['Next update', facts.nextUpdate],
    ['Produced at', facts.producedAt],
    ['Signed by', signer === null ? null : `${signer} (${rights[right ?? ''] ?? ''})`],
    ['Nonce', nonce === null ? null : nonces[nonce]],
    [
      'Needs',
      facts.needs === null ? null : `${facts.needs} must be found good as well: it has no id-pkix-ocsp-nocheck`,
    ],
  ];
  return table(rows.flatMap(([name, value]) => (value === null ? [] : [[name, printable(value)]])));
}
