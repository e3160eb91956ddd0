/**
 * BoringSSL's OCSP cases: what a response says about a certificate, and the octets of the request for it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Instant, Millis } from '../../src/base/brand.ts';
import { judgeOcsp } from '../support/ocsp-judge.ts';
import { encodeOcspRequest } from '../../src/x509/ocsp-request.ts';
import { parseOcspResponse } from '../../src/x509/ocsp-response.ts';
import { certificateOf, runCorpus, testWithCorpus, type Judged } from './corpus.ts';

/** Base64 of DER. */
interface OcspCase {
  readonly id: string;
  readonly status: 'GOOD' | 'REVOKED' | 'UNKNOWN';
  readonly ocsp_response: string;
  readonly ca_certificate: string;
  readonly certificate: string;
  readonly ocsp_request: string;
}

testWithCorpus(t, 'boringssl-ocsp', "BoringSSL's OCSP cases agree", (t, path) => {
  const suite = JSON.parse(readFileSync(join(path, 'tests.json'), 'utf8')) as {
    readonly time: string;
    readonly maxAgeSeconds: number;
    readonly tests: readonly OcspCase[];
  };
  t.equal(suite.tests.length, 36, 'the corpus is complete');
  const at = Date.parse(suite.time) as Instant;
  const maximumAge = (suite.maxAgeSeconds * 1000) as Millis;

  const statuses = new Map(suite.tests.map((test) => [test.id, statusOf(test, at, maximumAge)]));
  const cases = suite.tests.map(({ id, status }) => ({
    id,
    shouldAccept: status === 'GOOD',
    judge: (): Judged | null => statuses.get(id) ?? null,
  }));
  runCorpus(t, 'BoringSSL OCSP', cases, 'ocsp-exceptions.json');

  const revoked = suite.tests.filter(({ status }) => status === 'REVOKED').map(({ id }) => id);
  const found = [...statuses].filter(([, judged]) => judged?.kind === 'refused' && judged.verdict.code === 'revoked');
  t.strictSame(
    found.map(([id]) => id),
    revoked,
    'revoked is told from unknown',
  );

  const wrongRequests = suite.tests.flatMap(({ id, certificate, ca_certificate: issuer, ocsp_request: expected }) => {
    const [leaf, authority] = [certificate, issuer].flatMap((der) => certificateOf(Buffer.from(der, 'base64')));
    if (leaf === undefined || authority === undefined) return [`${id}: did not parse`];
    const request = encodeOcspRequest({ certificate: leaf, issuer: authority }).toString('base64');
    return request === expected ? [] : [id];
  });
  t.strictSame(wrongRequests, ['good_response_invalid_serial: did not parse'], 'requests are the same octets');
});

function statusOf(test: OcspCase, at: Instant, maximumAge: Millis): Judged | null {
  const [certificate, issuer] = [test.certificate, test.ca_certificate].flatMap((der) =>
    certificateOf(Buffer.from(der, 'base64')),
  );
  if (certificate === undefined || issuer === undefined) return null;
  const parsed = parseOcspResponse(Buffer.from(test.ocsp_response, 'base64'));
  if (parsed.kind === 'malformed') return { kind: 'refused', verdict: { code: 'malformed', detail: parsed.reason } };
  const rules = { clockSkew: 0 as Millis, maximumAge, allowSha1: true, minimumRsaBits: 1024, nonce: 'never' } as const;
  const standing = judgeOcsp(parsed.response, { certificate, issuer, signers: [], nonce: null }, { rules, at });
  if (standing.status === 'good') return { kind: 'trusted' };
  const detail = standing.status === 'unknown' ? `${standing.code}: ${standing.why}` : `${standing.revocationDate}`;
  return { kind: 'refused', verdict: { code: standing.status, detail } };
}
