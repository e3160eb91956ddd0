/**
 * BoringSSL's CRL cases: one list, one certificate and its issuer, which is trusted here.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Instant, Millis } from '../../src/base/brand.ts';
import type { CrlAnswer } from '../../src/revocation/revocation-contract.ts';
import type { TrustedPath } from '../../src/trust/judgement.ts';
import { createTrustStore } from '../../src/trust/trust-store.ts';
import { crlOf, listsFor, statusAt, strictRules, type Scene } from '../support/crl-judge.ts';
import { certificateOf, runCorpus, testWithCorpus, type Judged } from './corpus.ts';

interface CrlCase {
  readonly id: string;
  readonly status: 'GOOD' | 'REVOKED' | 'UNKNOWN';
  /** Base64 of DER, like the others. */
  readonly crl: string;
  readonly certificate: string;
  readonly ca_certificate: string;
  /** The issuer of `ca_certificate` where that is a rollover certificate. */
  readonly ca_certificate_2?: string;
}

interface Corpus {
  readonly time: string;
  readonly maxAgeSeconds: number;
  readonly tests: readonly CrlCase[];
}

testWithCorpus(t, 'boringssl-crl', 'BoringSSL agrees on what one CRL says about one certificate', (t, path) => {
  const corpus = JSON.parse(readFileSync(join(path, 'tests.json'), 'utf8')) as Corpus;
  t.equal(corpus.tests.length, 66, 'the corpus is complete');
  const answers = new Map(corpus.tests.map((test) => [test.id, statusOf(test, corpus)]));
  const cases = corpus.tests.map(({ id, status }) => ({
    id,
    shouldAccept: status === 'GOOD',
    judge: () => judgedOf(answers.get(id) ?? null),
  }));
  runCorpus(t, 'BoringSSL CRL', cases, 'crl-exceptions.json');

  const revoked = corpus.tests.filter(({ status }) => status === 'REVOKED').map(({ id }) => id);
  const found = [...answers].filter(([, answer]) => answer?.status === 'revoked').map(([id]) => id);
  t.strictSame(found, revoked, 'revoked is told from unknown');
});

function judgedOf(answer: CrlAnswer | null): Judged | null {
  if (answer === null || answer.status === 'good') return answer === null ? null : { kind: 'trusted' };
  const detail = answer.status === 'unknown' ? answer.why : `reason ${answer.reason}`;
  return { kind: 'refused', verdict: { code: answer.status, detail } };
}

/** The path is given, as in BoringSSL's own test: its CAs lack basicConstraints. */
function statusOf(test: CrlCase, { time, maxAgeSeconds }: Corpus): CrlAnswer | null {
  const chain = [test.certificate, test.ca_certificate, test.ca_certificate_2 ?? ''].flatMap((base64) =>
    certificateOf(Buffer.from(base64, 'base64')),
  );
  const [, issuer] = chain;
  const anchor = chain.at(-1);
  if (issuer === undefined || anchor === undefined) return null;
  const at = Date.parse(time) as Instant;
  const trusted: TrustedPath = {
    certificates: chain,
    issuer,
    validFrom: at,
    validUntil: at,
    policies: { any: false, oids: new Set() },
    usages: new Set(),
  };
  const scene: Scene = {
    presented: chain,
    store: createTrustStore([anchor], []),
    rules: { ...strictRules, maximumAge: (maxAgeSeconds * 1000) as Millis, minimumRsaBits: 1024 },
    at,
    staleFor: 0 as Millis,
  };
  const lists = listsFor(trusted, crlOf(Buffer.from(test.crl, 'base64')), scene);
  return statusAt(0, trusted, lists, scene);
}
