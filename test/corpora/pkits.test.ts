/**
 * NIST PKITS 1.0.1: every case outside the groups on revocation (4.4, 4.14, 4.15), with its policy inputs.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Instant } from '../../src/base/brand.ts';
import { noSteps } from '../../src/base/steps.ts';
import { judgeChain } from '../../src/trust/judge.ts';
import { createTrustStore } from '../../src/trust/trust-store.ts';
import { oids } from '../../src/x509/oid.ts';
import { certificateOf, runCorpus, testWithCorpus } from './corpus.ts';

interface PkitsCase {
  readonly name: string;
  readonly group: string;
  /** Names of files; trust anchor first, end entity last. */
  readonly certs: readonly string[];
  readonly shouldValidate: boolean;
  readonly initialPolicySet: readonly string[];
  readonly explicitPolicy: boolean;
  readonly mappingInhibit: boolean;
  readonly inhibitAny: boolean;
}

const revocationGroups = ['04BasicCertificateRevocationTests', '14DistributionPoints', '15DeltaCRLs'];

testWithCorpus(t, 'pkits', 'PKITS agrees in all cases that do not need revocation', (t, path) => {
  const content = JSON.parse(readFileSync(join(path, 'tests.json'), 'utf8')) as {
    readonly time: string;
    readonly tests: readonly PkitsCase[];
  };
  const at = Date.parse(content.time) as Instant;
  const tests = content.tests.filter(({ group }) => !revocationGroups.includes(group));
  t.equal(tests.length, 183, 'the corpus is complete');
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
  return judgeChain({
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
  });
}

function policyOf(name: string): string {
  return name === 'anyPolicy' ? oids.anyPolicy : `2.16.840.1.101.3.2.1.48.${name.replace('NIST-test-policy-', '')}`;
}
