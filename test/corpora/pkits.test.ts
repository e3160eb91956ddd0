/**
 * NIST PKITS 1.0.1: every case, with its policy inputs, and with its CRLs for every certificate below the anchor.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Instant } from '../../src/base/brand.ts';
import { noSteps } from '../../src/base/steps.ts';
import type { JudgeInput } from '../../src/trust/judge.ts';
import { createTrustStore } from '../../src/trust/trust-store.ts';
import { oids } from '../../src/x509/oid.ts';
import { judgeWithCrls, strictRules } from '../support/crl-judge.ts';
import { certificateOf, runCorpus, testWithCorpus } from './corpus.ts';

interface PkitsCase {
  readonly name: string;
  readonly group: string;
  /** Names of files; trust anchor first, end entity last. */
  readonly certs: readonly string[];
  readonly crls: readonly string[];
  readonly shouldValidate: boolean;
  readonly initialPolicySet: readonly string[];
  readonly explicitPolicy: boolean;
  readonly mappingInhibit: boolean;
  readonly inhibitAny: boolean;
}

testWithCorpus(t, 'pkits', 'PKITS agrees in all its cases', (t, path) => {
  const content = JSON.parse(readFileSync(join(path, 'tests.json'), 'utf8')) as {
    readonly time: string;
    readonly tests: readonly PkitsCase[];
  };
  const at = Date.parse(content.time) as Instant;
  const { tests } = content;
  t.equal(tests.length, 249, 'the corpus is complete');
  const cases = tests.map((test) => ({
    id: test.name,
    shouldAccept: test.shouldValidate,
    judge: () => judge(path, test, at),
  }));
  runCorpus(t, 'PKITS', cases, 'pkits-exceptions.json');
});

function judge(path: string, test: PkitsCase, at: Instant) {
  const read = (name: string) => certificateOf(readFileSync(join(path, 'certs', `${name}.crt`)));
  const [anchor = '', ...below] = test.certs;
  const presented = read(below.at(-1) ?? '');
  if (presented.length === 0) return null;
  const input: JudgeInput = {
    presented,
    store: createTrustStore(read(anchor), below.slice(0, -1).flatMap(read)),
    settings: { usageCheck: true, minimumRsaBits: 2048, allowSha1: true, allowCaAsClient: true },
    at,
    steps: noSteps,
    purpose: 'any',
    policies: {
      acceptable: new Set(test.initialPolicySet.map(policyOf)),
      explicitPolicy: test.explicitPolicy,
      inhibitMapping: test.mappingInhibit,
      inhibitAnyPolicy: test.inhibitAny,
    },
  };
  const lists = test.crls.map((name) => readFileSync(join(path, 'crls', `${name}.crl`)));
  return judgeWithCrls(input, lists, { ...strictRules, allowSha1: true });
}

function policyOf(name: string): string {
  return name === 'anyPolicy' ? oids.anyPolicy : `2.16.840.1.101.3.2.1.48.${name.replace('NIST-test-policy-', '')}`;
}
