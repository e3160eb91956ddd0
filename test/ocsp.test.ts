/**
 * OCSP from the octets to the verdict: requests, strict reading, who may sign, and what an answer means. How answers are fetched and kept
 * is tested in `ocsp-cache.test.ts`.
 */
import { hash } from 'node:crypto';
import t from 'tap';
import type { Instant, Millis } from '../src/base/brand.ts';
import { createAuthority, type CertificateRecipe } from '../src/lab/authority.ts';
import { readOcspRequest } from '../src/lab/ocsp-messages.ts';
import { authenticateOcsp, ocspStanding } from '../src/revocation/ocsp-answer.ts';
import { judgeOcsp } from './support/ocsp-judge.ts';
import type { AnswerRules } from '../src/revocation/revocation-contract.ts';
import { DerReader } from '../src/x509/der.ts';
import { encodeOcspRequest } from '../src/x509/ocsp-request.ts';
import { parseOcspResponse } from '../src/x509/ocsp-response.ts';
import { certificateOf, type Made } from './support/chains.ts';
import { element, extension, hex, integer, octets, oid, sequence, text } from './support/der-shapes.ts';
import { applicationPolicies } from './support/extension-shapes.ts';
import {
  critical,
  errorResponse,
  generalizedTime,
  nonceExtension,
  ocspTime,
  successful,
  writeBasic,
  writeCertId,
  writeOcspResponse,
  writeSingle,
  type WrittenResponse,
  type WrittenSingle,
} from './support/ocsp-writer.ts';

const key = 'ed25519';
const ocspSigning = ['1.3.6.1.5.5.7.3.9'];
const nocheck = { oid: '1.3.6.1.5.5.7.48.1.5', critical: false, value: hex('0500') };
const root = await createAuthority({ subject: 'O=Lab,CN=Root', key });
const issuing = await root.subordinate({ subject: 'O=Lab,CN=Issuing CA', key });
/** The same name, and another key: a CA after its renewal. */
const renewed = await root.subordinate({ subject: 'O=Lab,CN=Issuing CA', key });
const foreign = await createAuthority({ subject: 'O=Elsewhere,CN=Root', key });
const alice = await issuing.issue({ subject: 'O=Lab,CN=alice', key, serial: '05' });
const bob = await issuing.issue({ subject: 'O=Lab,CN=bob', key, serial: '06' });
const makeDelegate = (recipe: Partial<CertificateRecipe> = {}, by = issuing) =>
  by.issue({ subject: 'O=Lab,CN=OCSP', key, extendedKeyUsage: ocspSigning, extensions: [nocheck], ...recipe });
const delegate = await makeDelegate();

const aboutAlice: WrittenSingle = { certificate: alice, issuer: issuing };
const good: WrittenResponse = { signer: issuing, singles: [aboutAlice] };
const byDelegate: WrittenResponse = { ...good, signer: delegate, certificates: [delegate] };
const rules: AnswerRules = {
  clockSkew: 0 as Millis,
  maximumAge: null,
  allowSha1: false,
  minimumRsaBits: 2048,
  nonce: 'never',
};

interface Circumstances {
  readonly rules?: Partial<AnswerRules>;
  readonly at?: string;
  readonly issuer?: Made;
  readonly certificate?: Made;
  readonly signers?: readonly Made[];
  readonly nonce?: Buffer;
  readonly staleFor?: number;
}

/** `good`, `revoked 1`, or `code: why`; with `stale` and `needs` where it is so. */
function judged(response: WrittenResponse | Buffer, given: Circumstances = {}): string {
  const parsed = parseOcspResponse(Buffer.isBuffer(response) ? response : writeOcspResponse(response));
  if (parsed.kind === 'malformed') return `malformed: ${parsed.reason}`;
  const standing = judgeOcsp(parsed.response, matterOf(given), {
    rules: { ...rules, ...given.rules },
    at: Date.parse(given.at ?? ocspTime) as Instant,
    staleFor: (given.staleFor ?? 0) as Millis,
  });
  if (standing.status === 'unknown') return `${standing.code}: ${standing.why}`;
  const needs = standing.needs === null ? '' : ' needs';
  if (standing.status === 'revoked') return `revoked ${standing.reason}${needs}`;
  return `good${standing.stale ? ' stale' : ''}${needs}`;
}

function matterOf({ certificate = alice, issuer = issuing, signers = [], nonce }: Circumstances) {
  return {
    certificate: certificateOf(certificate),
    issuer: certificateOf(issuer),
    signers: signers.map(certificateOf),
    nonce: nonce ?? null,
  };
}

await t.test('requests', async (t) => {
  await t.test('name the certificate by hashes of its issuer, with SHA-1 or SHA-256', (t) => {
    const [certificate, issuer] = [certificateOf(alice), certificateOf(issuing)];
    for (const name of ['sha1', 'sha256'] as const) {
      const certId = writeCertId({ certificate: alice, issuer: issuing, hash: name });
      t.same(
        encodeOcspRequest({ certificate, issuer, hash: name }),
        sequence(sequence(sequence(sequence(certId)))),
        name,
      );
    }
    t.same(encodeOcspRequest({ certificate, issuer }), encodeOcspRequest({ certificate, issuer, hash: 'sha1' }));
    t.end();
  });

  await t.test('carry a nonce where one is given', (t) => {
    const nonce = Buffer.alloc(32, 7);
    const request = encodeOcspRequest({ certificate: certificateOf(alice), issuer: certificateOf(issuing), nonce });
    t.match(readOcspRequest(request), { asked: [{ serial: hex('05') }], nonce });
    t.ok(request.includes(nonceExtension(nonce)));
    t.end();
  });
});

await t.test('reading', async (t) => {
  const malformed = (der: Buffer): string => {
    const parsed = parseOcspResponse(der);
    if (parsed.kind === 'parsed') return 'parsed';
    return parsed.offset >= 0 && parsed.offset <= der.length ? parsed.reason : `offset ${parsed.offset}`;
  };
  const basic = writeBasic(good);

  await t.test('yields what was written', (t) => {
    const revoked = { revoked: '2026-11-01T00:00:00Z', reason: 1 };
    const parsed = parseOcspResponse(
      writeOcspResponse({
        ...byDelegate,
        by: 'key',
        nonce: Buffer.from('nonce'),
        singles: [
          { ...aboutAlice, status: revoked, nextUpdate: null, hash: 'sha384' },
          { ...aboutAlice, status: 'unknown', hash: 'sha512' },
          { ...aboutAlice, certId: sequence(sequence(oid('1.2.3')), octets(), octets(), integer('05')) },
        ],
      }),
    );
    const { publicKey } = certificateOf(delegate);
    t.match(parsed, {
      response: {
        status: 'successful',
        basic: {
          responderId: { kind: 'key', keyHash: hash('sha1', publicKey.bits, 'buffer') },
          producedAt: Date.parse('2026-11-22T11:00:00Z'),
          nonce: Buffer.from('nonce'),
          unknownCritical: null,
          certificates: [{ der: delegate.der }],
          singles: [
            {
              certId: { hash: 'sha384', serial: hex('05') },
              status: { kind: 'revoked', revocationDate: Date.parse(revoked.revoked), reason: 1 },
              thisUpdate: Date.parse('2026-11-22T11:00:00Z'),
              nextUpdate: null,
            },
            { certId: { hash: 'sha512' }, status: { kind: 'unknown' } },
            { certId: { hash: null }, status: { kind: 'good' }, nextUpdate: Date.parse('2026-11-23T11:00:00Z') },
          ],
        },
      },
    });
    t.end();
  });

  await t.test('knows the statuses of RFC 6960 and no other', (t) => {
    const statusOf = (der: Buffer) => {
      const parsed = parseOcspResponse(der);
      return parsed.kind === 'parsed' ? parsed.response.status : parsed.reason;
    };
    t.strictSame([1, 2, 3, 4, 5, 6, 7].map(errorResponse).map(statusOf), [
      'malformedRequest',
      'internalError',
      'tryLater',
      'responseStatus 4 does not exist',
      'sigRequired',
      'unauthorized',
      'responseStatus 7 does not exist',
    ]);
    t.match(malformed(errorResponse(0)), /successful without responseBytes/);
    const tail = successful(basic).subarray(successful(basic).indexOf(hex('0a0100')) + 3);
    t.match(malformed(sequence(element(0x0a, hex('03')), tail)), /tryLater with responseBytes/);
    t.end();
  });

  await t.test('refuses what is no BasicOCSPResponse in DER', (t) => {
    t.equal(malformed(successful(basic)), 'parsed');
    t.match(malformed(successful(basic, '1.3.6.1.5.5.7.48.1.3')), /is not id-pkix-ocsp-basic/);
    t.match(malformed(Buffer.concat([successful(basic), hex('00')])), /too many/);
    t.match(malformed(successful(Buffer.concat([basic, hex('00')]))), /too many/);
    t.match(malformed(Buffer.from('<html>')), /expected tag 0x30/);
    t.match(malformed(Buffer.alloc(0)), /missing/);
    t.end();
  });

  /** A response whose responder, time, list or version is made by hand. */
  const shaped = (parts: Partial<Record<'version' | 'id' | 'producedAt' | 'list' | 'rest' | 'certs', Buffer>>) => {
    const tbs = sequence(
      parts.version ?? Buffer.alloc(0),
      parts.id ?? element(0xa1, certificateOf(issuing).subject.der),
      parts.producedAt ?? generalizedTime(ocspTime),
      parts.list ?? sequence(writeSingle(aboutAlice)),
      parts.rest ?? Buffer.alloc(0),
    );
    return successful(
      sequence(tbs, sequence(oid('1.3.101.112'), hex('0500')), hex('030100'), parts.certs ?? Buffer.alloc(0)),
    );
  };
  const withStatus = (status: Buffer) =>
    shaped({ list: sequence(sequence(writeCertId(aboutAlice), status, generalizedTime(ocspTime))) });

  await t.test('refuses fields that are not as RFC 6960 has them', (t) => {
    const version = (value: string) => shaped({ version: element(0xa0, integer(value)) });
    t.equal(malformed(shaped({})), 'parsed');
    t.equal(malformed(version('00')), 'parsed', 'the default, written out');
    t.equal(malformed(version('01')), 'version is not 1');
    t.match(malformed(shaped({ id: element(0xa2, octets(Buffer.alloc(19))) })), /key hash of 19 octets/);
    t.match(malformed(shaped({ id: element(0xa3, octets(Buffer.alloc(20))) })), /neither a name nor a key hash/);
    t.match(malformed(shaped({ id: element(0xa2, octets(Buffer.alloc(20)), hex('0500')) })), /too many/);
    t.match(malformed(shaped({ producedAt: text(0x17, '261122120000Z') })), /expected tag 0x18/);
    t.match(malformed(shaped({ producedAt: text(0x18, '20261122120000.5Z') })), /GeneralizedTime must be/);
    t.match(malformed(shaped({ rest: hex('0500') })), /too many/);
    t.match(malformed(shaped({ rest: element(0xa1, sequence()) })), /no extension inside/);
    const nonce = nonceExtension(Buffer.from('a'));
    t.match(malformed(shaped({ rest: element(0xa1, sequence(nonce, nonce)) })), /appears twice/);
    const raw = extension('1.3.6.1.5.5.7.48.1.2', Buffer.from('raw'));
    t.match(malformed(shaped({ rest: element(0xa1, sequence(raw)) })), /nonce: expected tag 0x04/);
    t.equal(malformed(shaped({ list: sequence() })), 'parsed', 'an answer about nobody');
    t.end();
  });

  await t.test('refuses a status that is none', (t) => {
    const time = generalizedTime(ocspTime);
    const reason = (value: number) => withStatus(element(0xa1, time, element(0xa0, element(0x0a, Buffer.of(value)))));
    t.equal(malformed(withStatus(element(0x80))), 'parsed');
    t.match(malformed(withStatus(element(0x80, hex('00')))), /NULL with content/);
    t.match(malformed(withStatus(element(0x82, hex('00')))), /NULL with content/);
    t.match(malformed(withStatus(element(0x83))), /neither good, revoked nor unknown/);
    const reasons = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].filter((value) => malformed(reason(value)) === 'parsed');
    t.strictSame(reasons, [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]);
    t.match(malformed(withStatus(element(0xa1, time, hex('0500')))), /too many/);
    t.end();
  });

  await t.test('refuses what follows inside any part of it', (t) => {
    const whole = shaped({
      version: element(0xa0, integer('00')),
      list: sequence(
        writeSingle({
          ...aboutAlice,
          status: { revoked: ocspTime, reason: 1 },
          extensions: [extension('1.3.6.1.5.5.7.48.1.6', generalizedTime(ocspTime))],
        }),
      ),
      rest: element(0xa1, sequence(nonceExtension(Buffer.from('a')))),
      certs: element(0xa0, sequence(hex('3000'))),
    });
    t.equal(malformed(whole), 'parsed');
    const grown = [...withTails(whole)];
    t.ok(grown.length > 30, `${grown.length} parts`);
    t.strictSame(
      grown.filter(({ der }) => malformed(der) === 'parsed').map(({ path }) => path),
      // The content of an extension that is not looked into, and of a certificate that is none.
      ['/0/1/0/1/0/0/3/0/4/0/0/1', '/0/1/0/1/0/3/0/0'],
    );
    t.end();
  });

  await t.test('is bounded', (t) => {
    const certificates = (count: number) => Array.from({ length: count }, () => delegate);
    const singles = (count: number) => Array.from({ length: count }, () => aboutAlice);
    t.equal(malformed(writeOcspResponse({ ...good, certificates: certificates(8) })), 'parsed');
    t.match(malformed(writeOcspResponse({ ...good, certificates: certificates(9) })), /certs: more than 8/);
    t.equal(malformed(writeOcspResponse({ ...good, singles: singles(256) })), 'parsed');
    t.match(malformed(writeOcspResponse({ ...good, singles: singles(257) })), /responses: more than 256/);
    const padding = (size: number) =>
      writeOcspResponse({ ...good, extensions: [extension('1.2.3', Buffer.alloc(size))] });
    t.equal(malformed(padding(60_000)), 'parsed');
    t.match(malformed(padding(66_000)), /larger than 65536 octets/);
    t.end();
  });

  await t.test('leaves out certificates that do not parse', (t) => {
    const parsed = parseOcspResponse(
      writeOcspResponse({ ...byDelegate, certificates: [{ der: sequence(hex('0500')) }, delegate] }),
    );
    t.match(parsed, { response: { basic: { certificates: [{ der: delegate.der }] } } });
    t.equal(parsed.kind === 'parsed' && parsed.response.basic?.certificates.length, 1);
    t.end();
  });
});

await t.test('who may sign', async (t) => {
  await t.test('the issuer, a delegate of it, a certificate of the configuration', async (t) => {
    t.equal(judged(good), 'good');
    t.equal(judged({ ...good, by: 'key' }), 'good');
    t.equal(judged(byDelegate), 'good');
    t.equal(judged({ ...byDelegate, by: 'key' }), 'good');
    const configured = await foreign.issue({ subject: 'CN=Central OCSP', key });
    const response = { ...good, signer: configured };
    t.match(
      judged(response),
      /^wrongSigner: the response does not contain the certificate of its responder CN=Central/,
    );
    t.equal(judged(response, { signers: [configured] }), 'good');
    t.equal(judged({ ...response, by: 'key' }, { signers: [configured] }), 'good');
    t.match(judged({ ...response, certificates: [configured] }), /^wrongSigner: .*not issued by the issuer/);
  });

  await t.test('a delegate only with every right, and from the same key', async (t) => {
    const refusals: readonly (readonly [Partial<CertificateRecipe>, RegExp])[] = [
      [{ extendedKeyUsage: [] }, /extendedKeyUsage lacks OCSPSigning/],
      [{ extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] }, /extendedKeyUsage lacks OCSPSigning/],
      [{ extendedKeyUsage: ['2.5.29.37.0'] }, /extendedKeyUsage lacks OCSPSigning/],
      [{ extensions: [applicationPolicies('1.3.6.1.5.5.7.3.2')] }, /Application Policies lack OCSPSigning/],
      [{ keyUsage: ['keyEncipherment'] }, /keyUsage has neither/],
      [{ extensions: [{ oid: '1.2.3', critical: true, value: hex('0500') }] }, /critical extension 1.2.3/],
    ];
    for (const [recipe, why] of refusals) {
      const signer = await makeDelegate(recipe);
      t.match(judged({ ...byDelegate, signer, certificates: [signer] }), why, JSON.stringify(recipe));
    }
    for (const recipe of [
      { keyUsage: ['nonRepudiation'] },
      { keyUsage: [] },
      { extensions: [{ ...nocheck, critical: true }, applicationPolicies(...ocspSigning)] },
    ] as const) {
      const signer = await makeDelegate(recipe);
      t.equal(judged({ ...byDelegate, signer, certificates: [signer] }), 'good', JSON.stringify(recipe));
    }
    const otherKey = await makeDelegate({}, renewed);
    t.match(
      judged({ ...byDelegate, signer: otherKey, certificates: [otherKey] }),
      /^wrongSigner: .*not by the issuer of the certificate \(bad\)/,
    );
    const indirect = await root.issue({ subject: 'CN=Root OCSP', key, extendedKeyUsage: ocspSigning });
    t.match(judged({ ...byDelegate, signer: indirect, certificates: [indirect] }), /not issued by the issuer/);
  });

  await t.test('nobody else: not the name, not a sibling, not a wrong signature', (t) => {
    t.match(judged({ ...good, signer: renewed }), /^wrongSigner: .*not signed with its key/);
    t.match(judged({ ...good, signer: foreign }), /^wrongSigner: the response does not contain/);
    t.match(judged({ ...good, tamper: true }), /^wrongSigner: .*not signed with its key \(bad\)/);
    t.match(judged({ ...byDelegate, tamper: true }), /^wrongSigner: .*not signed with its key \(bad\)/);
    t.match(judged({ ...byDelegate, certificates: [] }), /^wrongSigner: the response does not contain/);
    t.match(judged({ ...byDelegate, by: 'key', certificates: [] }), /responder with key hash [0-9a-f]{40}/);
    t.end();
  });

  await t.test('the right one is found among certificates of its name', async (t) => {
    const impostor = await makeDelegate({}, foreign);
    const both = { ...byDelegate, certificates: [impostor, delegate] };
    t.equal(judged(both), 'good');
    t.match(judged({ ...both, tamper: true }), /not issued by the issuer/, 'the first reason is told');
  });

  await t.test('a delegate without nocheck must be found good itself', async (t) => {
    const signer = await makeDelegate({ extensions: [] });
    const response = { ...byDelegate, signer, certificates: [signer] };
    t.equal(judged(response), 'good needs');
    t.equal(judged({ ...response, singles: [{ ...aboutAlice, status: { revoked: ocspTime } }] }), 'revoked 0 needs');
    t.equal(judged(response, { signers: [signer] }), 'good', 'who is configured is not asked about');
  });

  await t.test('a delegate or configured certificate only while it is valid', async (t) => {
    const signer = await makeDelegate({
      notBefore: new Date('2026-11-22T11:30:00Z'),
      notAfter: new Date('2026-11-22T12:30:00Z'),
    });
    for (const given of [{}, { signers: [signer] }]) {
      const response = { ...good, signer, certificates: [signer] };
      const minute = { clockSkew: 60_000 as Millis };
      t.equal(judged(response, { ...given, at: '2026-11-22T12:30:00.999Z' }), 'good');
      t.match(judged(response, { ...given, at: '2026-11-22T12:30:01Z' }), /^wrongSigner: .*valid from/);
      t.match(judged(response, { ...given, at: '2026-11-22T11:29:59Z' }), /^wrongSigner: .*valid from/);
      t.equal(judged(response, { ...given, at: '2026-11-22T12:31:00Z', rules: minute }), 'good');
      t.equal(judged(response, { ...given, at: '2026-11-22T11:29:00Z', rules: minute }), 'good');
    }
  });

  await t.test('nobody with a weak key or hash', async (t) => {
    const rsa = await root.subordinate({ subject: 'O=Lab,CN=RSA CA', key: 'rsa2048' });
    const short = await createAuthority({ subject: 'O=Lab,CN=Short CA', key: 'rsa1024' });
    const [clara, dora] = [
      await rsa.issue({ subject: 'CN=clara', key }),
      await short.issue({ subject: 'CN=dora', key }),
    ];
    const clarasWith = (digest: 'md5' | 'sha1' | 'sha256') =>
      ({ signer: rsa, singles: [{ certificate: clara, issuer: rsa }], digest }) as const;
    const clarasMatter = { certificate: clara, issuer: rsa };
    t.equal(judged(clarasWith('sha256'), clarasMatter), 'good');
    t.match(judged(clarasWith('sha1'), clarasMatter), /^weakAlgorithm: .*SHA-1/);
    t.equal(judged(clarasWith('sha1'), { ...clarasMatter, rules: { allowSha1: true } }), 'good');
    t.match(judged(clarasWith('md5'), { ...clarasMatter, rules: { allowSha1: true } }), /^wrongSigner: .*weak:md5/);
    const doras = { signer: short, singles: [{ certificate: dora, issuer: short }] };
    t.match(judged(doras, { certificate: dora, issuer: short }), /^weakAlgorithm: .*1024 bits/);
    t.equal(judged(doras, { certificate: dora, issuer: short, rules: { minimumRsaBits: 1024 } }), 'good');

    const ancient = await root.subordinate({ subject: 'O=Lab,CN=Old CA', key: 'rsa2048', hash: 'SHA-1' });
    const erna = await ancient.issue({ subject: 'CN=erna', key });
    const signer = await makeDelegate({}, ancient);
    const old = { signer, certificates: [signer], singles: [{ certificate: erna, issuer: ancient }] };
    const ernas = { certificate: erna, issuer: ancient };
    t.match(judged(old, ernas), /^weakAlgorithm: .*SHA-1/, 'the signature of the delegate itself');
    t.equal(judged(old, { ...ernas, rules: { allowSha1: true } }), 'good');
    const small = await makeDelegate({ key: 'rsa1024' });
    t.match(judged({ ...good, signer: small, certificates: [small] }), /^weakAlgorithm: .*1024 bits/);
  });
});

await t.test('what it is about', async (t) => {
  await t.test('serial number, name and key of the issuer, by any hash', (t) => {
    const hashes = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
    for (const name of hashes) t.equal(judged({ ...good, singles: [{ ...aboutAlice, hash: name }] }), 'good', name);
    const about = (single: Partial<WrittenSingle>) => judged({ ...good, singles: [{ ...aboutAlice, ...single }] });
    t.match(about({ certificate: bob }), /^otherCertificate/, 'another serial number');
    const parsed = parseOcspResponse(writeOcspResponse({ ...good, singles: [{ ...aboutAlice, certificate: bob }] }));
    const authenticated = parsed.kind === 'parsed' && authenticateOcsp(parsed.response, matterOf({}));
    t.match(authenticated, { kind: 'refused', code: 'otherCertificate' }, 'nor is it kept');
    t.match(about({ issuer: renewed }), /^otherCertificate/, 'another key');
    const sameSerial = { certificate: { der: alice.der }, issuer: issuing };
    const [, nameHash, keyHash] = certIdParts(writeCertId(sameSerial));
    const certId = (name: Buffer, keyed: Buffer, type = '1.3.14.3.2.26') =>
      sequence(sequence(oid(type)), octets(name), octets(keyed), integer('05'));
    t.equal(about({ certId: certId(nameHash, keyHash) }), 'good', 'without NULL');
    t.match(about({ certId: certId(Buffer.alloc(20), keyHash) }), /^otherCertificate/, 'another name');
    t.match(about({ certId: certId(nameHash, Buffer.alloc(20)) }), /^otherCertificate/);
    t.match(about({ certId: certId(nameHash, keyHash, '1.2.3') }), /^otherCertificate/, 'an unknown hash');
    t.match(judged({ ...good, singles: [] }), /^otherCertificate/);
    t.match(judged(errorResponse(3)), /^responderError: the responder answered tryLater/);
    t.match(judged(errorResponse(6)), /^responderError: the responder answered unauthorized/);
    t.end();
  });

  await t.test('among several the worst counts, and others do not', (t) => {
    const several = (...statuses: readonly NonNullable<WrittenSingle['status']>[]) =>
      judged({ ...good, singles: statuses.map((status) => ({ ...aboutAlice, status })) });
    t.equal(several('good', { revoked: ocspTime, reason: 4 }, 'unknown'), 'revoked 4');
    t.match(several('good', 'unknown'), /^unknownCertificate/);
    t.equal(several('good', 'good'), 'good');
    const bobs = { certificate: bob, issuer: issuing, status: { revoked: ocspTime } };
    t.equal(judged({ ...good, singles: [bobs, aboutAlice] }), 'good');
    t.match(
      judged({ ...good, singles: [aboutAlice, { ...aboutAlice, nextUpdate: '2026-11-22T11:30:00Z' }] }),
      /^expired/,
      'one that has ended spoils the other',
    );
    t.end();
  });

  await t.test('produced while the certificate was valid', async (t) => {
    const young = await issuing.issue({ subject: 'CN=young', key, notBefore: new Date('2026-11-22T11:00:01Z') });
    const old = await issuing.issue({ subject: 'CN=old', key, notAfter: new Date('2026-11-22T10:59:59Z') });
    for (const certificate of [young, old]) {
      const response = { ...good, singles: [{ ...aboutAlice, certificate }] };
      t.match(judged(response, { certificate }), /^otherCertificate: producedAt .* is outside/);
      t.equal(judged(response, { certificate, rules: { clockSkew: 1000 as Millis } }), 'good');
    }
  });
});

await t.test('time', async (t) => {
  const single = (changes: Partial<WrittenSingle>, given: Circumstances = {}) =>
    judged({ ...good, singles: [{ ...aboutAlice, ...changes }] }, given);
  const skewed = { rules: { clockSkew: 60_000 as Millis } };

  await t.test('from the future is refused', (t) => {
    t.match(single({ thisUpdate: '2026-11-22T12:00:01Z' }), /^notYetValid: thisUpdate/);
    t.equal(single({ thisUpdate: '2026-11-22T12:01:00Z' }, skewed), 'good');
    t.match(single({ thisUpdate: '2026-11-22T12:01:01Z' }, skewed), /^notYetValid/);
    t.match(judged({ ...good, producedAt: '2026-11-22T12:00:01Z' }), /^notYetValid: producedAt/);
    t.equal(judged({ ...good, producedAt: '2026-11-22T12:01:00Z' }, skewed), 'good');
    t.match(
      single({ thisUpdate: '2026-11-22T12:00:01Z', status: { revoked: ocspTime } }),
      /^notYetValid/,
      'a revocation as well',
    );
    t.end();
  });

  await t.test('ends with nextUpdate', (t) => {
    t.equal(single({ nextUpdate: '2026-11-22T12:00:00Z' }), 'good');
    t.match(single({ nextUpdate: '2026-11-22T11:59:59Z' }), /^expired: .*nextUpdate 2026-11-22T11:59:59/);
    t.equal(single({ nextUpdate: '2026-11-22T11:59:00Z' }, skewed), 'good');
    t.match(single({ nextUpdate: '2026-11-22T11:58:59Z' }, skewed), /^expired/);
    t.match(
      single({ nextUpdate: '2026-11-22T10:59:59Z' }, { staleFor: 1e9 }),
      /^malformed: nextUpdate .* before thisUpdate/,
    );
    t.end();
  });

  await t.test('ends with the maximum age, and after an hour where nothing says when', (t) => {
    const aged = (maximumAge: number) => ({ rules: { maximumAge: maximumAge as Millis } });
    t.equal(single({}, aged(3_600_000)), 'good');
    t.match(single({}, aged(3_599_999)), /^expired: .*maximum age/);
    t.equal(single({ nextUpdate: null }), 'good', 'an hour old');
    t.match(single({ nextUpdate: null, thisUpdate: '2026-11-22T10:59:59Z' }), /^expired: .*no nextUpdate/);
    t.equal(single({ nextUpdate: null, thisUpdate: '2026-11-22T10:00:00Z' }, aged(7_200_000)), 'good');
    t.end();
  });

  await t.test('may be stale where that is tolerated, and says so', (t) => {
    const ended = { nextUpdate: '2026-11-22T11:59:00Z' };
    t.equal(single(ended, { staleFor: 60_000 }), 'good stale');
    t.match(single(ended, { staleFor: 59_999 }), /^expired/);
    t.equal(single({}, { staleFor: 60_000 }), 'good');
    t.end();
  });

  await t.test('does not undo a revocation, but a hold', (t) => {
    const ended = { nextUpdate: '2026-11-22T11:30:00Z' };
    t.equal(single({ ...ended, status: { revoked: '2026-11-01T00:00:00Z', reason: 1 } }), 'revoked 1');
    t.equal(single({ ...ended, status: { revoked: '2026-11-01T00:00:00Z' } }), 'revoked 0');
    t.match(single({ ...ended, status: { revoked: '2026-11-01T00:00:00Z', reason: 6 } }), /^expired/);
    t.equal(single({ status: { revoked: '2026-11-01T00:00:00Z', reason: 6 } }), 'revoked 6');
    t.end();
  });

  await t.test('until when it counts is exactly until when it counts', async (t) => {
    const signer = await makeDelegate({ notAfter: new Date('2026-11-22T14:00:00Z') });
    const cases: readonly (readonly [string, WrittenResponse, Partial<AnswerRules>, string])[] = [
      ['nextUpdate', good, {}, '2026-11-23T11:00:00.000Z'],
      ['with skew', good, { clockSkew: 5000 as Millis }, '2026-11-23T11:00:05.000Z'],
      ['maximum age', good, { maximumAge: 7_200_000 as Millis }, '2026-11-22T13:00:00.000Z'],
      ['none', { ...good, singles: [{ ...aboutAlice, nextUpdate: null }] }, {}, '2026-11-22T12:00:00.000Z'],
      ['delegate', { ...byDelegate, signer, certificates: [signer] }, {}, '2026-11-22T14:00:00.999Z'],
    ];
    for (const [title, written, changes, end] of cases) {
      const parsed = parseOcspResponse(writeOcspResponse(written));
      const authentic = parsed.kind === 'parsed' && authenticateOcsp(parsed.response, matterOf({}));
      if (authentic === false || authentic.kind === 'refused') throw new Error(title);
      const fetchedAt = Date.parse(ocspTime) as Instant;
      const standingAt = (at: number) =>
        ocspStanding(
          { ...authentic.answer, ...{ fetchedAt } },
          { rules: { ...rules, ...changes }, at: at as Instant, signers: [] },
        );
      const until = Date.parse(end);
      t.match(standingAt(fetchedAt), { status: 'good', until }, title);
      t.equal(standingAt(until).status, 'good', title);
      t.match(standingAt(until + 1), { status: 'unknown', code: 'expired' }, title);
    }
  });
});

await t.test('extensions and nonce', async (t) => {
  await t.test('unknown critical ones refuse, known ones and others do not', (t) => {
    const inResponse = (...extensions: Uint8Array[]) => judged({ ...good, extensions });
    const inSingle = (...extensions: Uint8Array[]) => judged({ ...good, singles: [{ ...aboutAlice, extensions }] });
    t.match(inResponse(extension('1.2.3', hex('0500'), critical)), /^unknownCritical: .*1.2.3 of the response/);
    t.match(inSingle(extension('1.2.3', hex('0500'), critical)), /^unknownCritical: .*1.2.3 of the answer/);
    t.equal(inResponse(extension('1.2.3', hex('0500'))), 'good');
    t.equal(inSingle(extension('1.2.3', hex('0500'))), 'good');
    t.equal(inResponse(extension('1.3.6.1.5.5.7.48.1.9', hex('0500'), critical)), 'good', 'extended revoke');
    t.equal(inSingle(extension('1.3.6.1.4.1.11129.2.4.5', octets(), critical)), 'good', 'certificate transparency');
    t.equal(inSingle(extension('1.3.6.1.5.5.7.48.1.6', generalizedTime(ocspTime), critical)), 'good', 'archive cutoff');
    t.match(inSingle(extension('1.3.6.1.5.5.7.48.1.9', hex('0500'), critical)), /^unknownCritical/);
    t.end();
  });

  await t.test('a nonce of another request refuses, a missing one only where it is required', (t) => {
    const nonce = Buffer.alloc(32, 1);
    const echoed = { ...good, nonce };
    const other = { ...good, nonce: Buffer.alloc(32, 2) };
    const required = { rules: { nonce: 'require' } as const };
    const sent = { rules: { nonce: 'send' } as const };
    t.equal(judged(echoed, { nonce, ...required }), 'good');
    t.equal(judged(echoed, { nonce, ...sent }), 'good');
    t.match(judged(other, { nonce, ...sent }), /^nonce: .*of another request/);
    t.match(judged(other, { nonce, ...required }), /^nonce: .*of another request/);
    t.equal(judged(good, { nonce, ...sent }), 'good');
    t.match(judged(good, { nonce, ...required }), /^nonce: .*does not repeat/);
    t.match(judged(echoed, required), /^nonce: .*does not repeat/, 'a nonce that we did not send proves nothing');
    t.equal(judged(echoed), 'good');
    t.end();
  });
});

await t.test('an answer by a certificate that is not configured any more ends with the configuration', async (t) => {
  const configured = await foreign.issue({ subject: 'CN=Central OCSP', key });
  const parsed = parseOcspResponse(writeOcspResponse({ ...good, signer: configured }));
  const authentic = parsed.kind === 'parsed' && authenticateOcsp(parsed.response, matterOf({ signers: [configured] }));
  if (authentic === false || authentic.kind === 'refused') throw new Error('not authentic');
  const at = Date.parse(ocspTime) as Instant;
  const signers = [certificateOf(configured)];
  t.equal(ocspStanding(authentic.answer, { rules, at, signers }).status, 'good');
  t.match(ocspStanding(authentic.answer, { rules, at, signers: [] }), { status: 'unknown', code: 'wrongSigner' });
});

/** AlgorithmIdentifier, issuerNameHash and issuerKeyHash of a CertID: contents. */
function certIdParts(certId: Buffer): readonly [Buffer, Buffer, Buffer] {
  const reader = new DerReader(certId).enter(0x30, 'certID');
  const next = () => reader.contentOf(reader.any('part'));
  return [next(), next(), next()];
}

/** The same DER with a NULL at the end of each constructed element in turn, and of each OCTET STRING that holds DER. */
function* withTails(der: Buffer, path = ''): Generator<{ readonly path: string; readonly der: Buffer }> {
  const reader = new DerReader(der);
  const parts: Buffer[] = [];
  while (!reader.done) parts.push(reader.wholeOf(reader.any('part')));
  for (const [index, part] of parts.entries()) {
    const inner = new DerReader(part);
    const { tag, content, end } = inner.any('part');
    const inside = part.subarray(content, end);
    if ((tag & 0x20) === 0 && !(tag === 0x04 && isDer(inside))) continue;
    const rebuilt = (changed: Buffer) =>
      Buffer.concat([...parts.slice(0, index), element(tag, changed), ...parts.slice(index + 1)]);
    const here = `${path}/${index}`;
    yield { path: here, der: rebuilt(Buffer.concat([inside, hex('0500')])) };
    for (const deeper of withTails(inside, here)) yield { path: deeper.path, der: rebuilt(deeper.der) };
  }
}

/** Whether octets are whole elements, as far as one looks. */
function isDer(bytes: Buffer): boolean {
  const reader = new DerReader(bytes);
  try {
    while (!reader.done) reader.any('part');
  } catch {
    return false;
  }
  return bytes.length > 0;
}
