import t from 'tap';
import { parseCertificate, serialText, type Certificate } from '../src/x509/certificate.ts';
import { DerError, DerReader, tags } from '../src/x509/der.ts';
import { bitsOf, booleanOf, countOf, integerOf, octetsOfBits, oidOf, timeOf } from '../src/x509/der-values.ts';
import { isEmptyName, rfc4514Text } from '../src/x509/name.ts';
import { oids } from '../src/x509/oid.ts';
import {
  bits,
  extension,
  extensions,
  goodParts,
  hex,
  integer,
  name,
  octets,
  oid,
  sequence,
  set,
  shapeCertificate,
  text,
  type CertificateParts,
} from './support/der-shapes.ts';

/** What a reader threw, as data. */
function refusalOf(read: () => unknown): { reason: string; offset: number } | null {
  try {
    read();
    return null;
  } catch (error) {
    if (error instanceof DerError) return { reason: error.message, offset: error.offset };
    throw error;
  }
}

function parsed(der: Buffer): Certificate {
  const result = parseCertificate(der);
  if (result.kind === 'malformed') throw new Error(`${result.reason} at ${result.offset}`);
  return result.certificate;
}

/** Why a certificate is malformed; null when it is not. */
function reasonFor(der: Buffer): string | null {
  const result = parseCertificate(der);
  return result.kind === 'malformed' ? result.reason : null;
}

await t.test('the reader refuses what is not DER, and says where', (t) => {
  const cases: readonly (readonly [bytes: string, reason: string, offset: number])[] = [
    ['', 'value is missing', 0],
    ['30', 'value: length is missing', 1],
    ['1f 21 00', 'value: tag numbers above 30 are not used here', 0],
    ['bf 21 00', 'value: tag numbers above 30 are not used here', 0],
    ['00 00', 'value: end-of-contents octets are not DER', 0],
    ['30 80 00 00', 'value: indefinite length is not DER', 1],
    ['30 85 00 00 00 00 01 00', 'value: length of more than four octets', 1],
    ['30 82 01', 'value: length is cut off', 1],
    [`30 82 00 80 ${'00'.repeat(128)}`, 'value: length is not minimal', 1],
    [`30 81 7f ${'00'.repeat(127)}`, 'value: length is not minimal', 1],
    ['30 03 02 01', 'value: 3 octets announced, 2 present', 1],
    ['30 84 ff ff ff ff 00', 'value: 4294967295 octets announced, 1 present', 1],
  ];
  for (const [bytes, reason, offset] of cases) {
    t.same(
      refusalOf(() => new DerReader(hex(bytes)).any('value')),
      { reason, offset },
      bytes.slice(0, 24),
    );
  }
  t.end();
});

await t.test('the reader keeps to bounds, tags and depth', (t) => {
  const take = (bytes: string) => () => new DerReader(hex(bytes)).take(tags.integer, 'number');
  t.same(refusalOf(take('04 00')), { reason: 'number: expected tag 0x02, found 0x04', offset: 0 });
  t.same(refusalOf(take('')), { reason: 'number is missing', offset: 0 });
  const inner = new DerReader(hex('30 03 02 02 01 01')).enter(tags.sequence, 'outer');
  t.same(
    refusalOf(() => inner.any('number')),
    { reason: 'number: 2 octets announced, 1 present', offset: 3 },
    'an element does not reach past the one around it',
  );
  t.same(
    refusalOf(() => {
      const reader = new DerReader(hex('05 00 05 00'));
      reader.any('null');
      reader.finish('null');
    }),
    { reason: 'null: 2 octets too many', offset: 2 },
  );
  t.equal(new DerReader(hex('05 00')).optional(tags.integer, 'number'), null, 'an absent optional consumes nothing');
  const nested = (levels: number) => {
    let der = hex('05 00');
    for (let level = 0; level < levels; level += 1) der = sequence(der);
    const reader = new DerReader(der);
    return refusalOf(() => reader.checkNested(reader.any('value'), 'value'));
  };
  t.equal(nested(32), null);
  t.same(nested(33), { reason: 'nested more than 32 levels deep', offset: 66 });
  t.same(
    refusalOf(() => {
      const reader = new DerReader(hex('24 02 04 00'));
      reader.checkNested(reader.any('value'), 'value');
    }),
    { reason: 'value: constructed encoding of a primitive type', offset: 0 },
  );
  t.same(
    refusalOf(() => {
      const reader = new DerReader(hex('a0 04 30 02 02 05'));
      reader.checkNested(reader.any('value'), 'value');
    }),
    { reason: 'value: 5 octets announced, 0 present', offset: 5 },
  );
  t.end();
});

await t.test('primitive values have one encoding each', (t) => {
  const cases: readonly (readonly [
    read: (reader: DerReader) => unknown,
    bytes: string,
    reason: string,
    offset: number,
  ])[] = [
    [boolean, '01 00', 'v: BOOLEAN must be one octet, 00 or FF', 2],
    [boolean, '01 01 01', 'v: BOOLEAN must be one octet, 00 or FF', 2],
    [boolean, '01 02 ff ff', 'v: BOOLEAN must be one octet, 00 or FF', 2],
    [whole, '02 00', 'v: INTEGER without content', 2],
    [whole, '02 02 00 7f', 'v: INTEGER is not minimal', 2],
    [whole, '02 02 ff 80', 'v: INTEGER is not minimal', 2],
    [count, '02 01 80', 'v: negative', 2],
    [count, '02 05 00 80 00 00 00', 'v: larger than 2147483647', 2],
    [identifier, '06 00', 'v: OBJECT IDENTIFIER without content', 2],
    [identifier, '06 03 2a 80 01', 'v: OBJECT IDENTIFIER arc is not minimal', 3],
    [identifier, '06 02 2a 86', 'v: OBJECT IDENTIFIER is cut off', 4],
    [identifier, '06 09 2a 81 81 81 81 81 81 81 01', 'v: OBJECT IDENTIFIER arc is too large', 10],
    [bitString, '03 00', 'v: BIT STRING without content', 2],
    [bitString, '03 01 01', 'v: BIT STRING with 1 unused bits', 2],
    [bitString, '03 02 08 00', 'v: BIT STRING with 8 unused bits', 2],
    [bitString, '03 02 03 04', 'v: unused bits of a BIT STRING must be zero', 3],
    [wholeBits, '03 02 03 08', 'v: must be whole octets', 2],
  ];
  for (const [read, bytes, reason, offset] of cases) {
    t.same(
      refusalOf(() => read(new DerReader(hex(bytes)))),
      { reason, offset },
      bytes,
    );
  }
  t.equal(boolean(new DerReader(hex('01 01 ff'))), true);
  t.equal(boolean(new DerReader(hex('01 01 00'))), false);
  t.equal(count(new DerReader(hex('02 04 7f ff ff ff'))), 2_147_483_647);
  t.equal(count(new DerReader(hex('02 02 00 ff'))), 255);
  t.same(whole(new DerReader(hex('02 01 80'))), hex('80'), 'a negative number is a number');
  t.same(bitString(new DerReader(hex('03 02 03 f8'))), { unused: 3, bits: hex('f8') });
  t.same(bitString(new DerReader(hex('03 01 00'))), { unused: 0, bits: hex('') });
  for (const dotted of ['0.39', '1.3.6.1.4.1.311.25.2', '2.5.4.3', '2.999.1', '2.25.562949953421311', '1.2.0.0'])
    t.equal(identifier(new DerReader(oid(dotted))), dotted);
  t.end();

  function boolean(reader: DerReader) {
    return booleanOf(reader, reader.any('v'), 'v');
  }
  function whole(reader: DerReader) {
    return integerOf(reader, reader.any('v'), 'v');
  }
  function count(reader: DerReader) {
    return countOf(reader, reader.any('v'), 'v');
  }
  function identifier(reader: DerReader) {
    return oidOf(reader, reader.any('v'), 'v');
  }
  function bitString(reader: DerReader) {
    return bitsOf(reader, reader.any('v'), 'v');
  }
  function wholeBits(reader: DerReader) {
    return octetsOfBits(reader, reader.any('v'), 'v');
  }
});

await t.test('times are in UTC, to the second, and exist', (t) => {
  const read = (tag: number, value: string) => {
    const reader = new DerReader(text(tag, value));
    return timeOf(reader, reader.any('time'), 'time');
  };
  const good: readonly (readonly [tag: number, value: string, iso: string])[] = [
    [0x17, '491231235959Z', '2049-12-31T23:59:59.000Z'],
    [0x17, '500101000000Z', '1950-01-01T00:00:00.000Z'],
    [0x17, '000229120000Z', '2000-02-29T12:00:00.000Z'],
    [0x18, '20240229000000Z', '2024-02-29T00:00:00.000Z'],
    [0x18, '99991231235959Z', '9999-12-31T23:59:59.000Z'],
    [0x18, '00500101000000Z', '0050-01-01T00:00:00.000Z'],
    [0x18, '00000101000000Z', '0000-01-01T00:00:00.000Z'],
  ];
  for (const [tag, value, iso] of good) t.equal(new Date(read(tag, value)).toISOString(), iso, value);
  const form = { 0x17: 'UTCTime must be YYMMDDHHMMSSZ', 0x18: 'GeneralizedTime must be YYYYMMDDHHMMSSZ' } as const;
  const bad: readonly (readonly [tag: 0x17 | 0x18, value: string, reason: string, offset: number])[] = [
    [0x17, '4912312359Z', form[0x17], 2],
    [0x17, '491231235959', form[0x17], 2],
    [0x17, '4912312359590', form[0x17], 2],
    [0x17, '491231235959+0000', form[0x17], 2],
    [0x17, '49123123595aZ', form[0x17], 12],
    [0x17, ' 91231235959Z', form[0x17], 2],
    [0x17, '4912312359:0Z', form[0x17], 12],
    [0x17, '49123123595/Z', form[0x17], 12],
    [0x17, '490031235959Z', 'no such date or time', 2],
    [0x17, '491331235959Z', 'no such date or time', 2],
    [0x17, '499931235959Z', 'no such date or time', 2],
    [0x17, '490400235959Z', 'no such date or time', 2],
    [0x17, '490431235959Z', 'no such date or time', 2],
    [0x17, '490229235959Z', 'no such date or time', 2],
    [0x17, '491231240000Z', 'no such date or time', 2],
    [0x17, '491231236000Z', 'no such date or time', 2],
    [0x17, '491231235960Z', 'no such date or time', 2],
    [0x18, '21000229000000Z', 'no such date or time', 2],
    [0x18, '20490101000000.5Z', form[0x18], 2],
    [0x18, '2049010100000Z', form[0x18], 2],
  ];
  for (const [tag, value, reason, offset] of bad)
    t.same(
      refusalOf(() => read(tag, value)),
      { reason: `time: ${reason}`, offset },
      value,
    );
  t.same(
    refusalOf(() => read(0x13, '491231235959Z')),
    { reason: 'time: expected UTCTime or GeneralizedTime', offset: 0 },
  );
  t.end();
});

await t.test('a certificate without extensions yields its fields', (t) => {
  const certificate = parsed(shapeCertificate());
  t.equal(certificate.version, 3);
  t.same(certificate.serial, hex('01'));
  t.equal(rfc4514Text(certificate.subject), 'CN=alice');
  t.equal(rfc4514Text(certificate.issuer), 'CN=CA');
  t.equal(certificate.notBefore, Date.UTC(2020, 0, 1));
  t.equal(certificate.notAfter, Date.UTC(2049, 11, 31, 23, 59, 59));
  t.equal(certificate.publicKey.algorithm.oid, oids.ed25519);
  t.same(certificate.publicKey.bits, Buffer.alloc(32, 9));
  t.same(certificate.publicKey.spki, goodParts.publicKey);
  t.same(certificate.signature, Buffer.alloc(64, 7));
  t.same(certificate.signatureAlgorithm, { oid: oids.ed25519, parameters: null });
  t.same(certificate.extensions.all, []);
  t.equal(certificate.extensions.subjectAltName, null);
  t.equal(parsed(shapeCertificate({ version: hex('') })).version, 1);
  t.equal(parsed(shapeCertificate({ version: hex('a003020101') })).version, 2);
  t.ok(isEmptyName(parsed(shapeCertificate({ subject: name() })).subject), 'a subject may be empty');
  t.equal(
    parsed(shapeCertificate({ tail: hex('8102 0000 8202 0001') })).version,
    3,
    'unique identifiers are passed over',
  );
  t.end();
});

await t.test('a serial number is kept as encoded and shown without its sign octet', (t) => {
  const serials: readonly (readonly [content: string, shown: string])[] = [
    ['01', '01'],
    ['00', '00'],
    ['00ff', 'ff'],
    ['ff', 'ff'],
    ['00800000', '800000'],
    [`00${'fe'.repeat(20)}`, 'fe'.repeat(20)],
  ];
  for (const [content, shown] of serials) {
    const certificate = parsed(shapeCertificate({ serial: integer(content) }));
    t.same(certificate.serial, hex(content));
    t.equal(serialText(certificate), shown);
  }
  t.end();
});

await t.test('a certificate with one wrong part is malformed, at that part', (t) => {
  const base = shapeCertificate();
  const offsetOf = (part: Uint8Array) => base.indexOf(part);
  const cases: readonly (readonly [changes: Partial<CertificateParts>, reason: string, offset: number])[] = [
    [{ outer: hex('00') }, 'after the certificate: 1 octets too many', base.length],
    [{ inner: hex('0500') }, 'certificate: 2 octets too many', base.length],
    [{ version: hex('a003020100') }, 'version 1 cannot be written here', 7],
    [{ version: hex('a003020103') }, 'version 4 cannot be written here', 7],
    [{ version: hex('a003020182') }, 'version: negative', 9],
    [{ version: hex('a0050201020500') }, 'version: 2 octets too many', 10],
    [{ serial: hex('0200') }, 'serialNumber: INTEGER without content', 12],
    [{ serial: hex('02020001') }, 'serialNumber: INTEGER is not minimal', 12],
    [{ serial: integer(`01${'00'.repeat(21)}`) }, 'serialNumber of 22 octets', 13],
    [{ serial: hex('0a0101') }, 'serialNumber: expected tag 0x02, found 0x0a', 10],
    [
      { innerAlgorithm: sequence(oid(oids.ed448)) },
      'signature algorithm inside and outside differ',
      offsetOf(goodParts.innerAlgorithm),
    ],
    [
      { outerAlgorithm: sequence(oid(oids.ed25519), hex('0500')) },
      'signature algorithm inside and outside differ',
      offsetOf(goodParts.innerAlgorithm),
    ],
    [{ issuer: sequence() }, 'issuer is empty', offsetOf(goodParts.issuer)],
    [{ issuer: sequence(set()) }, 'issuer: RDN without attribute', offsetOf(goodParts.issuer) + 4],
    [{ subject: sequence(set(sequence(oid('2.5.4.3')))) }, 'subject is missing', offsetOf(goodParts.subject) + 11],
    [
      { subject: sequence(set(sequence(oid('2.5.4.3'), hex('0c0161'), hex('0500')))) },
      'subject: 2 octets too many',
      offsetOf(goodParts.subject) + 14,
    ],
    [
      { subject: sequence(set(sequence(oid('2.5.4.3'), hex('2c03 0c0161')))) },
      'subject: constructed encoding of a primitive type',
      offsetOf(goodParts.subject) + 11,
    ],
    [{ validity: sequence() }, 'notBefore is missing', offsetOf(goodParts.validity) + 2],
    [{ validity: sequence(text(0x17, '200101000000Z')) }, 'notAfter is missing', offsetOf(goodParts.validity) + 17],
    [
      { validity: sequence(text(0x17, '200101000000Z'), text(0x17, '300101000000Z'), hex('0500')) },
      'validity: 2 octets too many',
      offsetOf(goodParts.validity) + 32,
    ],
    [
      { publicKey: sequence(sequence(oid(oids.ed25519)), bits(1, Buffer.alloc(32))) },
      'subjectPublicKeyInfo: must be whole octets',
      offsetOf(goodParts.publicKey) + 11,
    ],
    [
      { publicKey: sequence(sequence(oid(oids.ed25519)), bits(0), hex('0500')) },
      'subjectPublicKeyInfo: 2 octets too many',
      offsetOf(goodParts.publicKey) + 12,
    ],
    [
      { publicKey: sequence(sequence(oid(oids.ed25519), hex('0500 0500')), bits(0)) },
      'subjectPublicKeyInfo: algorithm: 2 octets too many',
      offsetOf(goodParts.publicKey) + 11,
    ],
    [
      { publicKey: sequence(sequence(oid(oids.ed25519), hex('3002 0205')), bits(0)) },
      'subjectPublicKeyInfo: algorithm: 5 octets announced, 0 present',
      offsetOf(goodParts.publicKey) + 12,
    ],
    [{ signature: bits(3, hex('f8')) }, 'signature: must be whole octets', base.length - 65],
    [{ signature: octets(Buffer.alloc(64)) }, 'signature: expected tag 0x03, found 0x04', base.length - 67],
    [{ tail: hex('0500') }, 'tbsCertificate: 2 octets too many', base.lastIndexOf(goodParts.outerAlgorithm)],
  ];
  for (const [changes, reason, offset] of cases) {
    const result = parseCertificate(shapeCertificate(changes));
    t.same(result, { kind: 'malformed', reason, offset }, `${Object.keys(changes).join()}: ${reason}`);
  }
  t.end();
});

await t.test('unique identifiers and extensions belong to the versions that have them', (t) => {
  const one = hex('');
  const two = hex('a003020101');
  const tail = extensions(extension('1.2.3', hex('0500')));
  const cases: readonly (readonly [changes: Partial<CertificateParts>, reason: string])[] = [
    [{ version: one, tail: hex('810100') }, 'issuerUniqueID in a version 1 certificate'],
    [{ version: one, tail: hex('820100') }, 'subjectUniqueID in a version 1 certificate'],
    [{ version: one, tail }, 'extensions in a version 1 certificate'],
    [{ version: two, tail }, 'extensions in a version 2 certificate'],
    [{ tail: hex('8100') }, 'issuerUniqueID: BIT STRING without content'],
    [{ tail: hex('82020101') }, 'subjectUniqueID: unused bits of a BIT STRING must be zero'],
    [{ tail: hex('820100 810100') }, 'tbsCertificate: 3 octets too many'],
  ];
  for (const [changes, reason] of cases) t.equal(reasonFor(shapeCertificate(changes)), reason, reason);
  t.end();
});

await t.test('a certificate has 64 KiB at most', (t) => {
  const filler = (length: number) => shapeCertificate({ tail: extensions(extension('1.2.3', Buffer.alloc(length))) });
  const overhead = filler(60_000).length - 60_000;
  const largest = filler(65_536 - overhead);
  t.equal(largest.length, 65_536);
  t.equal(parseCertificate(largest).kind, 'parsed');
  t.same(parseCertificate(filler(65_537 - overhead)), {
    kind: 'malformed',
    reason: 'larger than 65536 octets',
    offset: 65_536,
  });
  t.end();
});
