/**
 * x509-limbo with BetterTLS, and BoringSSL's chain cases: what applies to client certificates, judged with the
 * purpose that the case names; with CRLs for every certificate below the anchor where the case brings some.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import type { Instant } from '../../src/base/brand.ts';
import { noSteps } from '../../src/base/steps.ts';
import { judgeChain, type JudgeInput } from '../../src/trust/judge.ts';
import type { Judgement, JudgeSettings, Purpose } from '../../src/trust/judgement.ts';
import { createSearchBudget, type SearchBudget } from '../../src/trust/search-budget.ts';
import { createTrustStore } from '../../src/trust/trust-store.ts';
import { readCrl } from '../../src/x509/pem.ts';
import { judgeWithCrls, strictRules } from '../support/crl-judge.ts';
import { certificateOf, certificatesOf, runCorpus, testWithCorpus } from './corpus.ts';

interface LimboCase {
  readonly id: string;
  readonly validation_kind: 'SERVER' | 'CLIENT';
  readonly trusted_certs: readonly string[];
  readonly untrusted_intermediates: readonly string[];
  readonly peer_certificate: string;
  /** Null: any time will do. */
  readonly validation_time: string | null;
  readonly expected_result: 'SUCCESS' | 'FAILURE';
  /** How many intermediates a path may have. */
  readonly max_chain_depth: number | null;
  /** PEM; absent or empty where the case is not about revocation. */
  readonly crls?: readonly string[];
}

testWithCorpus(t, 'limbo', 'x509-limbo agrees under the settings of production', (t, path) => {
  const file = gunzipSync(readFileSync(join(path, 'limbo-applicable.json.gz'))).toString('utf8');
  const { testcases } = JSON.parse(file) as { readonly testcases: readonly LimboCase[] };
  t.equal(testcases.length, 3189, 'the corpus is complete');
  const exhausted: string[] = [];
  const cases = testcases.map((test) => ({
    id: test.id,
    shouldAccept: test.expected_result === 'SUCCESS',
    judge: () => {
      const budget = createSearchBudget();
      const judgement = judgeLimbo(test, budget);
      if (budget.exhausted !== null) exhausted.push(`${test.id}: ${budget.exhausted}`);
      return judgement;
    },
  }));
  runCorpus(t, 'limbo', cases, 'limbo-exceptions.json');
  t.strictSame(
    exhausted.toSorted(),
    [
      'pathological::nc-dos-2: nameComparisons',
      'pathological::pathological-chain-same-subject-distinct-key: signatureChecks',
      'pathological::pathological-chain-same-subject-same-key: signatureChecks',
    ],
    'only attacks on the search reach the end of its budget',
  );
});

function judgeLimbo(test: LimboCase, budget: SearchBudget): Judgement | null {
  const [leaf] = certificatesOf([test.peer_certificate]);
  if (leaf === undefined) return null;
  const input: JudgeInput = {
    presented: [leaf, ...certificatesOf(test.untrusted_intermediates)],
    store: createTrustStore(certificatesOf(test.trusted_certs), []),
    settings: { usageCheck: true, minimumRsaBits: 2048, allowSha1: false, allowCaAsClient: false },
    at: Date.parse(test.validation_time ?? '2026-11-21T16:00:00Z') as Instant,
    steps: noSteps,
    purpose: test.validation_kind === 'CLIENT' ? 'clientAuth' : 'serverAuth',
    ...(test.max_chain_depth === null ? {} : { maximumDepth: test.max_chain_depth + 1 }),
    budget,
  };
  const { crls = [] } = test;
  return crls.length === 0 ? judgeChain(input) : judgeWithCrls(input, crls.flatMap(derOf), strictRules);
}

function derOf(pem: string): readonly Buffer[] {
  const read = readCrl(Buffer.from(pem));
  return read.kind === 'read' ? [read.der] : [];
}

interface BoringCase {
  readonly id: string;
  /** UTCTime, or DEFAULT. */
  readonly time: string;
  readonly purpose: string;
  readonly trust: string;
  readonly digest: 'STRONG' | null;
  readonly ok: boolean;
  /** Base64 of DER; leaf first, anchor last. */
  readonly chain: readonly string[];
}

/** Other purposes are profiles of other products. */
const purposes: ReadonlyMap<string, Purpose> = new Map([
  ['ANY_EKU', 'any'],
  ['CLIENT_AUTH', 'clientAuth'],
  ['SERVER_AUTH', 'serverAuth'],
]);

testWithCorpus(t, 'boringssl-chain', 'BoringSSL chains agree where the last certificate is an anchor', (t, path) => {
  const all = JSON.parse(readFileSync(join(path, 'tests.json'), 'utf8')) as readonly BoringCase[];
  const tests = all.filter(({ trust, purpose }) => /^TRUSTED_ANCHOR(?!_OR_LEAF)/.test(trust) && purposes.has(purpose));
  t.equal(tests.length, 137, 'the corpus is complete');
  const cases = tests.map((test) => ({ id: test.id, shouldAccept: test.ok, judge: () => judgeBoring(test) }));
  runCorpus(t, 'BoringSSL', cases, 'boringssl-exceptions.json');
});

function judgeBoring({ chain, time, purpose, digest }: BoringCase): Judgement | null {
  const [leaf, ...others] = chain.map((base64) => certificateOf(Buffer.from(base64, 'base64'))[0]);
  const anchor = others.pop() ?? leaf;
  if (leaf === undefined || anchor === undefined) return null;
  const strong: JudgeSettings = { usageCheck: true, minimumRsaBits: 2048, allowSha1: false, allowCaAsClient: true };
  return judgeChain({
    presented: [leaf, ...others.filter((certificate) => certificate !== undefined)],
    store: createTrustStore([anchor], []),
    settings: digest === 'STRONG' ? strong : { ...strong, minimumRsaBits: 1024, allowSha1: true },
    at: timeOf(time),
    steps: noSteps,
    purpose: purposes.get(purpose) ?? 'any',
  });
}

function timeOf(time: string): Instant {
  const text = time === 'DEFAULT' ? '211005120000Z' : time;
  return Date.parse(text.replace(/^(..)(..)(..)(..)(..)(..)Z$/, '20$1-$2-$3T$4:$5:$6Z')) as Instant;
}
