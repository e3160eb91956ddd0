/**
 * Claims about the certificate reader that hold for all input: it agrees with OpenSSL wherever both read, it never throws,
 * and what it decodes is what was encoded. Seeds are printed; DSMAPPER_SEED repeats a run, DSMAPPER_ROUNDS makes it longer.
 */
import * as fc from 'fast-check';
import { randomInt, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createAuthority } from '../../src/lab/authority.ts';
import { parseCertificate, serialText, type Certificate } from '../../src/x509/certificate.ts';
import { DerReader, encodeElement } from '../../src/x509/der.ts';
import { oidOf, timeOf } from '../../src/x509/der-values.ts';
import { isWithinSubtree, nameKey, sameName } from '../../src/x509/name-comparison.ts';
import { parseName, rfc4514Text, type Name } from '../../src/x509/name.ts';
import { oidName } from '../../src/x509/oid.ts';
import { pemText, readCertificates } from '../../src/x509/pem.ts';
import { keyFacts } from '../../src/x509/public-key.ts';
import { verifyCertificate } from '../../src/x509/signature.ts';
import { name, oid, text, type ShapedAttribute } from '../support/der-shapes.ts';
import { mutate, randomFrom, rounds, watchCost } from '../support/mutation.ts';

const seed = Number(process.env['DSMAPPER_SEED'] ?? randomInt(2 ** 31));
t.comment(`DSMAPPER_SEED=${seed}`);
fc.configureGlobal({ seed });

const sid = 'S-1-5-21-294026126-3378245018-1203103949-1001';

/** Leaves and authorities with all that a certificate of the lab can hold. */
async function labCertificates(): Promise<Buffer[]> {
  const root = await createAuthority({ subject: 'DC=test,DC=lab,CN=Lab Root', key: 'p384' });
  const issuing = await root.subordinate({ subject: 'DC=test,DC=lab,CN=Lab Issuing', ca: { pathLength: 0 } });
  const rich = await issuing.issue({
    subject: 'DC=test,DC=lab,OU=People,CN=alice',
    key: 'rsa2048',
    serial: '00f0e1d2c3b4a5968778695a4b3c2d1e0f00',
    upn: ['alice@lab.example.test', 'alice@example.test'],
    dnsNames: ['alice.lab.example.test'],
    rfc822Names: ['alice@example.test'],
    uris: ['urn:alice'],
    ipAddresses: ['192.0.2.1', '2001:db8::1'],
    sid,
    policies: ['1.3.6.1.4.1.311.21.8.1.2.3', '2.5.29.32.0'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.4.1.311.20.2.2'],
    keyUsage: ['digitalSignature', 'keyEncipherment'],
  });
  const plain = await issuing.issue({
    subject: 'CN=plain',
    key: 'ed25519',
    notAfter: new Date('2120-02-29T12:00:00Z'),
  });
  return [root.der, issuing.der, rich.der, plain.der];
}

/** Null where no folder of published vectors is given. */
function pkitsCertificates(): Buffer[] | null {
  const folder = join(process.env['DSMAPPER_VECTORS'] ?? '', 'pkits', 'certs');
  if (process.env['DSMAPPER_VECTORS'] === undefined || !existsSync(folder)) return null;
  return readdirSync(folder).map((file) => readFileSync(join(folder, file)));
}

function parsed(der: Buffer): Certificate | null {
  const result = parseCertificate(der);
  return result.kind === 'parsed' ? result.certificate : null;
}

/** What OpenSSL and we must both say about one certificate; `ca` in OpenSSL's sense, which asks keyUsage too. */
function factsOf(certificate: Certificate) {
  const { extensions } = certificate;
  return {
    serial: signedSerial(certificate),
    notBefore: new Date(certificate.notBefore).toISOString(),
    notAfter: new Date(certificate.notAfter).toISOString(),
    thumbprint: certificate.thumbprint,
    digest: certificate.digest,
    ca: extensions.basicConstraints?.ca === true && extensions.keyUsage?.keyCertSign !== false,
    usages: extensions.extendedKeyUsage ?? [],
  };
}

/** OpenSSL shows a negative number as a minus sign and the magnitude. */
function signedSerial(certificate: Certificate): string {
  const { serial } = certificate;
  if ((serial[0] ?? 0) < 0x80) return serialText(certificate);
  const magnitude = (1n << BigInt(serial.length * 8)) - BigInt(`0x${serial.toString('hex')}`);
  const digits = magnitude.toString(16);
  return `-${digits.padStart(digits.length + (digits.length % 2), '0')}`;
}

function openSslFactsOf(certificate: X509Certificate): ReturnType<typeof factsOf> {
  return {
    serial: certificate.serialNumber.toLowerCase(),
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
    thumbprint: certificate.fingerprint.replaceAll(':', '').toLowerCase() as Certificate['thumbprint'],
    digest: certificate.fingerprint256.replaceAll(':', '').toLowerCase() as Certificate['digest'],
    ca: certificate.ca,
    usages: certificate.keyUsage ?? [],
  };
}

/** OpenSSL's one line per attribute, for names without characters that it would escape. */
function lines(subject: Name): string {
  const short: Readonly<Record<string, string>> = {
    sn: 'SN',
    givenName: 'GN',
    generationQualifier: 'generationQualifier',
  };
  return subject.rdns
    .map((rdn) => rdn.map(({ oid, text }) => `${short[oidName(oid)] ?? oidName(oid)}=${text}`).join(' + '))
    .join('\n');
}

/** OpenSSL's text of the names that it prints plainly. */
function altNames(certificate: Certificate): string[] {
  const names = certificate.extensions.subjectAltName;
  if (names === null) return [];
  return [
    ...names.dnsNames.map((value) => `DNS:${value}`),
    ...names.rfc822Names.map((value) => `email:${value}`),
    ...names.uris.map((value) => `URI:${value}`),
  ].sort();
}

function checkAgreement(t: Test, der: Buffer): void {
  const ours = parsed(der);
  const theirs = new X509Certificate(der);
  if (ours === null) throw new Error('not parsed');
  t.same(factsOf(ours), openSslFactsOf(theirs), lines(ours.subject).replaceAll('\n', ', '));
  t.equal(lines(ours.subject), theirs.subject);
  t.equal(lines(ours.issuer), theirs.issuer);
  t.same(ours.publicKey.keyObject().equals(theirs.publicKey), true, 'the same key');
  const printed = (theirs.subjectAltName ?? '').split(', ').filter((one) => /^(?:DNS|email|URI):/.test(one));
  t.same(altNames(ours), printed.sort());
}

await t.test("fields and keys of the lab's certificates are those OpenSSL reads", async (t) => {
  for (const der of await labCertificates()) checkAgreement(t, der);
  const [, , rich] = (await labCertificates()).map(parsed);
  t.same(rich?.extensions.subjectAltName?.upns, ['alice@lab.example.test', 'alice@example.test']);
  t.equal(rich?.extensions.sid, sid);
  t.equal(rich?.extensions.keyUsage?.keyEncipherment, true);
  t.equal(rich?.extensions.keyUsage?.keyCertSign, false);
});

await t.test('signatures are good exactly where OpenSSL says so', async (t) => {
  const ders = await labCertificates();
  const all = ders.flatMap((der) => parsed(der) ?? []);
  let good = 0;
  for (const certificate of all) {
    for (const issuer of all) {
      const ours = verifyCertificate(certificate, issuer.publicKey, { allowSha1: false });
      const theirs = new X509Certificate(certificate.der).verify(issuer.publicKey.keyObject());
      t.equal(ours === 'good', theirs, `${rfc4514Text(certificate.subject)} by ${rfc4514Text(issuer.subject)}`);
      if (theirs) good += 1;
    }
  }
  t.equal(good, 4);
});

const pkits = pkitsCertificates();
await t.test(
  'the certificates of PKITS read as OpenSSL reads them',
  { skip: pkits === null ? 'DSMAPPER_VECTORS names no folder with pkits/certs' : false },
  (t) => {
    const certificates = (pkits ?? []).flatMap((der) => parsed(der) ?? []);
    t.equal(certificates.length, (pkits ?? []).length - 2, 'two have a signature that is not whole octets');
    const disagreeing = certificates.filter((ours) => {
      const theirs = new X509Certificate(ours.der);
      return JSON.stringify(factsOf(ours)) !== JSON.stringify(openSslFactsOf(theirs));
    });
    t.same(
      disagreeing.map((one) => rfc4514Text(one.subject)),
      [],
    );
    let good = 0;
    for (const certificate of certificates) {
      for (const issuer of certificates.filter((one) => sameName(one.subject, certificate.issuer))) {
        const ours = verifyCertificate(certificate, issuer.publicKey, { allowSha1: true });
        if (ours === 'unsupported') continue;
        const theirs = new X509Certificate(certificate.der).verify(issuer.publicKey.keyObject());
        if ((ours === 'good') !== theirs) t.fail(`${rfc4514Text(certificate.subject)}: ${ours}, OpenSSL ${theirs}`);
        if (theirs) good += 1;
      }
    }
    t.ok(good > 390, `${good} signatures are good`);
    t.end();
  },
);

/** Everything that is decoded on first use must not throw either. */
function useAll(certificate: Certificate): void {
  for (const one of [certificate.subject, certificate.issuer]) {
    nameKey(one);
    rfc4514Text(one);
  }
  keyFacts(certificate.publicKey);
  serialText(certificate);
  verifyCertificate(certificate, certificate.publicKey, { allowSha1: true });
}

await t.test(
  `${rounds} damaged certificates are parsed or refused with a reason, and OpenSSL sees no other one`,
  async (t) => {
    const random = randomFrom(seed);
    const sources = await labCertificates();
    const cost = watchCost();
    let accepted = 0;
    let refused = 0;
    let compared = 0;
    for (let run = 0; run < rounds; run += 1) {
      const der = mutate(sources[run % sources.length] ?? Buffer.alloc(0), random);
      const result = cost.run(() => readWhole(der));
      if (result.kind === 'malformed') {
        refused += 1;
        if (result.reason === '' || result.offset < 0 || result.offset > der.length)
          t.fail(`run ${run}: ${JSON.stringify(result)} for ${der.toString('hex')}`);
        continue;
      }
      accepted += 1;
      const theirs = openSsl(der);
      if (theirs === null) continue;
      compared += 1;
      if (JSON.stringify(factsOf(result.certificate)) !== JSON.stringify(openSslFactsOf(theirs)))
        t.same(factsOf(result.certificate), openSslFactsOf(theirs), `run ${run}: ${der.toString('hex')}`);
    }
    t.comment(`${refused} refused, ${accepted} parsed, ${compared} compared with OpenSSL`);
    t.strictSame(cost.findings(), []);
    t.comment(cost.text);
    t.ok(refused > rounds / 2, 'most are refused');
    t.ok(compared > rounds / 100, 'some are still certificates');
  },
);

/** With everything that anybody asks of a certificate. */
function readWhole(der: Buffer): ReturnType<typeof parseCertificate> {
  const result = parseCertificate(der);
  if (result.kind === 'parsed') useAll(result.certificate);
  return result;
}

function openSsl(der: Buffer): X509Certificate | null {
  try {
    return new X509Certificate(der);
  } catch {
    return null;
  }
}

await t.test('what was encoded is what is decoded', (t) => {
  const arc = fc.bigInt({ min: 0n, max: (1n << 49n) - 1n });
  const dotted = fc
    .tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 39 }), fc.array(arc, { maxLength: 8 }))
    .map(([first, second, rest]) => [first, second, ...rest].join('.'));
  fc.assert(
    fc.property(dotted, (value) => {
      const reader = new DerReader(oid(value));
      return oidOf(reader, reader.any('oid'), 'oid') === value;
    }),
  );
  const moment = fc.date({
    min: new Date('0000-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(moment, (date) => {
      const whole = Math.floor(date.getTime() / 1000) * 1000;
      const digits = new Date(whole).toISOString().replaceAll(/[-:T]|\.000/g, '');
      const reader = new DerReader(text(0x18, digits));
      return timeOf(reader, reader.any('time'), 'time') === whole;
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000, size: 'max' }), (content) => {
      const reader = new DerReader(encodeElement(0x04, content));
      const element = reader.any('value');
      return reader.done && reader.contentOf(element).equals(content);
    }),
    { numRuns: 30 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), (content) => {
      const result = readCertificates(Buffer.from(`x\n${pemText(content)}`));
      return result.kind === 'read' && result.blocks.length === 1 && (result.blocks[0]?.der.equals(content) ?? false);
    }),
  );
  t.pass('OBJECT IDENTIFIER, GeneralizedTime, elements, PEM');
  t.end();
});

await t.test('names compare as RFC 5280 section 7.1 asks', (t) => {
  const value = fc.string({ unit: 'grapheme', maxLength: 12 });
  const types = ['2.5.4.3', '2.5.4.10', '0.9.2342.19200300.100.1.25'];
  const list = fc.array(fc.tuple(fc.constantFrom(...types), value), { maxLength: 5 });
  const encode = (pairs: readonly (readonly [string, string])[], tag: number): Name =>
    parseName(
      new DerReader(
        name(
          ...pairs.map(([type, value]): ShapedAttribute => [type, tag, tag === 30 ? utf16(value) : Buffer.from(value)]),
        ),
      ),
      'name',
    );
  fc.assert(
    fc.property(list, (pairs) => {
      const spaced = pairs.map(([type, value]) => [type, `  ${value.replaceAll(' ', '   ')} `] as const);
      return (
        sameName(encode(pairs, 12), encode(pairs, 30)) &&
        sameName(encode(pairs, 12), encode(spaced, 12)) &&
        rfc4514Text(encode(pairs, 12)) === rfc4514Text(encode(pairs, 30))
      );
    }),
  );
  const letters = fc.array(fc.tuple(fc.constantFrom(...types), fc.string({ unit: 'grapheme-ascii', maxLength: 12 })), {
    maxLength: 5,
  });
  fc.assert(
    fc.property(letters, (pairs) =>
      sameName(
        encode(pairs, 12),
        encode(
          pairs.map(([type, value]) => [type, value.toUpperCase()] as const),
          19,
        ),
      ),
    ),
  );
  fc.assert(
    fc.property(list, list, (a, b) => {
      const base = encode(a, 12);
      const below = encode([...a, ...b], 12);
      return isWithinSubtree(below, base) && isWithinSubtree(base, below) === (b.length === 0);
    }),
  );
  fc.assert(fc.property(list, (pairs) => !/[\p{C}\p{Zl}\p{Zp}]/u.test(rfc4514Text(encode(pairs, 12)))));
  t.pass('string types, spaces, case, subtrees, printable text');
  t.end();
});

function utf16(value: string): Buffer {
  return Buffer.from(value, 'utf16le').swap16();
}
