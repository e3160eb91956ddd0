/**
 * Damaged OCSP responses: whatever becomes of one, it is read or refused with a reason, nothing throws, and nobody is good by
 * an answer that its signer did not give. Seeds are printed; DSMAPPER_SEED repeats a run, DSMAPPER_ROUNDS makes it longer.
 */
import { randomInt } from 'node:crypto';
import t from 'tap';
import type { Instant, Millis } from '../../src/base/brand.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { judgeOcsp } from '../support/ocsp-judge.ts';
import { parseOcspResponse } from '../../src/x509/ocsp-response.ts';
import { certificateOf } from '../support/chains.ts';
import { extension, octets } from '../support/der-shapes.ts';
import { mutate, randomFrom, rounds, watchCost } from '../support/mutation.ts';
import { errorResponse, ocspTime, writeOcspResponse, type WrittenSingle } from '../support/ocsp-writer.ts';

const seed = Number(process.env['DSMAPPER_SEED'] ?? randomInt(2 ** 31));
t.comment(`DSMAPPER_SEED=${seed} DSMAPPER_ROUNDS=${rounds}`);

await t.test(`${rounds} damaged responses are read or refused, and never make somebody good`, async (t) => {
  const key = 'ed25519';
  const issuing = await createAuthority({ subject: 'O=Lab,CN=Issuing CA', key });
  const [alice, bob] = await Promise.all(['CN=alice', 'CN=bob'].map((subject) => issuing.issue({ subject, key })));
  const delegate = await issuing.issue({ subject: 'CN=OCSP', key, extendedKeyUsage: ['1.3.6.1.5.5.7.3.9'] });
  if (alice === undefined || bob === undefined) throw new Error('no certificates');
  const revoked = { revoked: '2026-11-01T00:00:00Z', reason: 1 } as const;
  const about = (certificate: typeof alice, single: Partial<WrittenSingle> = {}) => ({
    certificate,
    issuer: issuing,
    ...single,
  });
  const byDelegate = { signer: delegate, certificates: [delegate], by: 'key' } as const;
  const ended = '2026-11-22T11:30:00Z';
  // About alice there is nothing good in any of them.
  const sources = [
    writeOcspResponse({ signer: issuing, singles: [about(alice, { status: revoked }), about(bob)] }),
    writeOcspResponse({
      ...byDelegate,
      nonce: Buffer.alloc(32, 1),
      singles: [about(bob, { extensions: [extension('1.3.6.1.4.1.11129.2.4.5', octets())] })],
    }),
    writeOcspResponse({ ...byDelegate, singles: [about(alice, { nextUpdate: ended, hash: 'sha256' })] }),
    writeOcspResponse({ signer: issuing, singles: [about(alice, { status: 'unknown' })] }),
    errorResponse(3),
  ];
  const matter = { certificate: certificateOf(alice), issuer: certificateOf(issuing), signers: [], nonce: null };
  const rules = {
    clockSkew: 0 as Millis,
    maximumAge: null,
    allowSha1: false,
    minimumRsaBits: 2048,
    nonce: 'never',
  } as const;
  const at = Date.parse(ocspTime) as Instant;
  const random = randomFrom(seed);
  const cost = watchCost();
  const counts = { malformed: 0, unknown: 0, revoked: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const der = mutate(sources[round % sources.length] ?? Buffer.alloc(0), random);
    const { parsed, standing } = cost.run(() => {
      const response = parseOcspResponse(der);
      return {
        parsed: response,
        standing: response.kind === 'parsed' ? judgeOcsp(response.response, matter, { rules, at }) : null,
      };
    });
    if (parsed.kind === 'malformed' || standing === null) {
      counts.malformed += 1;
      if (parsed.kind === 'parsed' || parsed.reason === '' || parsed.offset < 0 || parsed.offset > der.length)
        t.fail(`round ${round}: ${JSON.stringify(parsed)} for ${der.toString('hex')}`);
      continue;
    }
    if (standing.status === 'good') t.fail(`round ${round}: good by ${der.toString('hex')}`);
    else counts[standing.status] += 1;
    if (standing.status === 'unknown' && standing.why === '') t.fail(`round ${round}: no reason`);
  }
  t.strictSame(cost.findings(), []);
  t.comment(`${JSON.stringify(counts)}, ${cost.text}`);
  t.ok(counts.malformed > rounds / 3, 'many are malformed');
  t.ok(counts.unknown > rounds / 50, 'some are read, and not believed');
});
