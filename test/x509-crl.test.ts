import { createPublicKey, generateKeyPairSync, hash } from 'node:crypto';
import t from 'tap';
import type { Digest } from '../src/base/brand.ts';
import { adoptCrl, parseCrl, parseCrlHeader, scanCrl } from '../src/x509/crl.ts';
import type { Crl, CrlEntry, CrlHeader, Malformed } from '../src/x509/crl-contract.ts';
import { entriesOf } from '../src/x509/crl-entries.ts';
import { readCrlFrame } from '../src/x509/crl-header.ts';
import { scanEntries } from '../src/x509/crl-scan.ts';
import { EntryTable, findEntry } from '../src/x509/crl-table.ts';
import { DerReader } from '../src/x509/der.ts';
import { parseName, rfc4514Text, type Name } from '../src/x509/name.ts';
import { extensionOids, oids } from '../src/x509/oid.ts';
import { pemText, readCrl } from '../src/x509/pem.ts';
import { parsePublicKey } from '../src/x509/public-key.ts';
import { hashSerial, hashWordsOf } from '../src/x509/serial-hash.ts';
import { verifySignature } from '../src/x509/signature.ts';
import {
  bulkEntries,
  bulkSerial,
  issuingDistributionPoint,
  plainSigner,
  writeCrl,
  writeEntry,
  type CrlParts,
  type WrittenCrl,
  type WrittenEntry,
} from './support/crl-writer.ts';
import {
  attribute,
  bits,
  element,
  extension,
  hex,
  integer,
  name,
  oid,
  sequence,
  text,
  type ShapedAttribute,
} from './support/der-shapes.ts';
import { generalName, type ShapedExtension } from './support/extension-shapes.ts';

const signer = plainSigner();
const write = (what: Omit<WrittenCrl, 'signer'> = {}): Buffer => writeCrl({ signer, ...what });
const indirect = issuingDistributionPoint({ indirect: true });
const nameOf = (...attributes: readonly ShapedAttribute[]): Name =>
  parseName(new DerReader(name(...attributes)), 'name');
const ca = nameOf(['2.5.4.3', 12, 'CA']);
const other = nameOf(['2.5.4.3', 12, 'Other']);
const third = nameOf(['2.5.4.3', 12, 'Third']);

function read(der: Buffer): Crl {
  const result = parseCrl(der);
  if (result.kind === 'malformed') throw new Error(`${result.reason} at ${result.offset}`);
  return result.crl;
}

function headerOf(der: Buffer): CrlHeader {
  const result = parseCrlHeader(der);
  if (result.kind === 'malformed') throw new Error(`${result.reason} at ${result.offset}`);
  return result.header;
}

/** Why a list is malformed, said by all that read its entries; null when it is not. */
function reasonFor(der: Buffer): string | null {
  const [parsed, scanned] = [parseCrl(der), scanCrl(der)].map((result) =>
    result.kind === 'malformed' ? `${result.reason} at ${result.offset}` : null,
  );
  if (parsed !== scanned) throw new Error(`parsing: ${parsed}, scanning: ${scanned}`);
  return parsed?.replace(/ at \d+$/, '') ?? null;
}

function headerReasonFor(der: Buffer): string | null {
  const result = parseCrlHeader(der);
  return result.kind === 'malformed' ? result.reason : null;
}

/** What a list says about a serial, in hex; the issuer of the certificate is the list's unless given. */
function ask(crl: Crl, serial: string, issuer: Name = crl.issuer): CrlEntry | null {
  return crl.entries.find(hex(serial), issuer);
}

const reasonOf = (crl: Crl, serial: string, issuer?: Name) => ask(crl, serial, issuer)?.reason ?? null;

await t.test('a list with everything', (t) => {
  const access = sequence(
    sequence(oid(oids.caIssuersAccess), text(0x86, 'http://ca/1.crt')),
    sequence(oid(oids.ocspAccess), text(0x86, 'http://ocsp')),
  );
  const der = writeCrl({
    signer: { ...signer, keyIdentifier: hex('0102') },
    thisUpdate: '2026-11-22T01:02:03Z',
    nextUpdate: '2052-02-29T23:59:59Z',
    crlNumber: 255,
    baseCrlNumber: 200,
    scope: issuingDistributionPoint({ uris: ['http://a/1'], only: 'user', reasons: [1, 8], indirect: true }),
    freshest: ['http://a/d1', 'http://a/d2'],
    entries: [
      { serial: '01' },
      { serial: '00ff', date: '2049-12-31T23:59:59Z', reason: 1 },
      { serial: '80', date: '2050-01-01T00:00:00Z', reason: 10, invalidityDate: '2040-02-29T01:02:03Z' },
    ],
    extensions: [
      { oid: extensionOids.authorityInfoAccess, critical: false, value: access },
      { oid: extensionOids.microsoftNextPublish, critical: false, value: text(0x17, '261123000000Z') },
      { oid: '1.2.3', critical: false, value: hex('ff') },
    ],
  });
  const crl = read(der);
  t.equal(crl.version, 2);
  t.equal(rfc4514Text(crl.issuer), 'CN=CA');
  t.equal(new Date(crl.thisUpdate).toISOString(), '2026-11-22T01:02:03.000Z');
  t.equal(new Date(crl.nextUpdate ?? 0).toISOString(), '2052-02-29T23:59:59.000Z');
  t.equal(new Date(crl.nextPublish ?? 0).toISOString(), '2026-11-23T00:00:00.000Z');
  t.same(crl.authorityKeyIdentifier, { keyIdentifier: hex('0102'), issuer: null, serial: null });
  t.equal(crl.crlNumber, 255n);
  t.equal(crl.baseCrlNumber, 200n);
  const scope = crl.issuingDistributionPoint;
  t.same(scope?.fullName?.uris, ['http://a/1']);
  t.equal(scope?.relativeName, null);
  t.equal(scope?.onlyUserCertificates, true);
  t.equal(scope?.onlyCaCertificates, false);
  t.equal(scope?.onlyAttributeCertificates, false);
  t.equal(scope?.onlySomeReasons, 0b1_0000_0010);
  t.equal(scope?.indirect, true);
  t.same(
    scope?.value,
    issuingDistributionPoint({ uris: ['http://a/1'], only: 'user', reasons: [1, 8], indirect: true }).value,
  );
  t.same(
    crl.freshestCrl.map(({ fullName }) => fullName?.uris),
    [['http://a/d1'], ['http://a/d2']],
  );
  t.same(crl.authorityInfoAccess, { ocsp: ['http://ocsp'], caIssuers: ['http://ca/1.crt'] });
  t.equal(crl.unknownCritical, null);
  t.equal(crl.signatureAlgorithm.oid, oids.ed25519);
  t.equal(crl.der, der);
  t.equal(crl.digest, hash('sha256', der, 'hex'));
  t.equal(crl.entries.count, 3);
  t.equal(crl.entries.unknownCritical, null);
  t.same(ask(crl, '01'), {
    revocationDate: Date.parse('2026-11-01T00:00:00Z'),
    reason: 0,
    invalidityDate: null,
  });
  t.same(ask(crl, '00ff'), {
    revocationDate: Date.parse('2049-12-31T23:59:59Z'),
    reason: 1,
    invalidityDate: null,
  });
  t.same(ask(crl, '80'), {
    revocationDate: Date.parse('2050-01-01T00:00:00Z'),
    reason: 10,
    invalidityDate: Date.parse('2040-02-29T01:02:03Z'),
  });
  t.same(
    Array.from(crl.entries.list(), ({ serial, reason }) => [serial.toString('hex'), reason]),
    [
      ['01', 0],
      ['00ff', 1],
      ['80', 10],
    ],
  );
  t.same(headerOf(der), { ...headerOf(der), crlNumber: 255n, tbs: crl.tbs, signature: crl.signature });
  t.end();
});

await t.test('a list with next to nothing', (t) => {
  const crl = read(write({ version: 1, nextUpdate: null }));
  t.equal(crl.version, 1);
  t.equal(crl.nextUpdate, null);
  t.equal(crl.crlNumber, null);
  t.equal(crl.baseCrlNumber, null);
  t.equal(crl.issuingDistributionPoint, null);
  t.equal(crl.authorityKeyIdentifier, null);
  t.equal(crl.nextPublish, null);
  t.same(crl.freshestCrl, []);
  t.same(crl.authorityInfoAccess, { ocsp: [], caIssuers: [] });
  t.equal(crl.entries.count, 0);
  t.same([...crl.entries.list()], []);
  t.equal(ask(crl, '01'), null);
  const revoking = read(write({ version: 1, entries: [{ serial: '01' }] }));
  t.equal(reasonOf(revoking, '01'), 0, 'version 1 revokes without a reason');
  t.equal(read(write({ crlNumber: null })).version, 2, 'version 2 needs no extensions to be read');
  t.end();
});

await t.test('what was signed can be verified', (t) => {
  const pairs = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('ed25519'),
  ];
  for (const { privateKey, publicKey } of pairs) {
    const der = writeCrl({ signer: { ...signer, key: privateKey }, entries: [{ serial: '01' }] });
    const spki = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })).export({
      type: 'spki',
      format: 'der',
    });
    const key = parsePublicKey(new DerReader(spki), 'key');
    const verify = ({ signatureAlgorithm, tbs, signature }: CrlHeader) =>
      verifySignature(signatureAlgorithm, tbs, signature, key, { allowSha1: false });
    t.equal(verify(headerOf(der)), 'good', String(privateKey.asymmetricKeyType));
    const changed = Buffer.from(der);
    changed.writeUInt8(2, changed.indexOf(hex('020101170d')) + 2);
    t.equal(reasonOf(read(changed), '02'), 0, 'the change is in the entry');
    t.equal(verify(headerOf(changed)), 'bad');
  }
  t.end();
});

await t.test('a list with one wrong part is malformed, for its header too', (t) => {
  const cases: readonly (readonly [parts: Partial<CrlParts>, reason: string])[] = [
    [{ version: integer('00') }, 'version 1 cannot be written here'],
    [{ version: integer('02') }, 'version 3 cannot be written here'],
    [{ version: integer('0001') }, 'version: INTEGER is not minimal'],
    [{ version: hex('a003020101') }, 'signature algorithm: expected tag 0x30, found 0xa0'],
    [{ innerAlgorithm: sequence(oid('1.3.101.113')) }, 'signature algorithm inside and outside differ'],
    [{ outerAlgorithm: sequence(oid('1.3.101.112'), hex('0500')) }, 'signature algorithm inside and outside differ'],
    [{ outerAlgorithm: hex('0500') }, 'signatureAlgorithm: expected tag 0x30, found 0x05'],
    [{ issuer: sequence() }, 'issuer is empty'],
    [{ issuer: sequence(hex('3100')) }, 'issuer: RDN without attribute'],
    [{ issuer: hex('0500') }, 'issuer: expected tag 0x30, found 0x05'],
    [{ thisUpdate: text(0x17, '2611220000Z') }, 'thisUpdate: UTCTime must be YYMMDDHHMMSSZ'],
    [{ thisUpdate: text(0x17, '260230000000Z') }, 'thisUpdate: no such date or time'],
    [{ thisUpdate: hex('0500') }, 'thisUpdate: expected UTCTime or GeneralizedTime'],
    [{ nextUpdate: text(0x18, '20261122000000+0000') }, 'nextUpdate: GeneralizedTime must be YYYYMMDDHHMMSSZ'],
    [{ nextUpdate: hex('0500'), tail: hex('') }, 'tbsCertList: 2 octets too many'],
    [{ revoked: sequence() }, 'revokedCertificates: no entry inside'],
    [{ revoked: hex('3080') }, 'revokedCertificates: indefinite length is not DER'],
    [{ revoked: hex('30810100') }, 'revokedCertificates: length is not minimal'],
    [{ tail: hex('a000') }, 'crlExtensions is missing'],
    [{ tail: hex('a0023000') }, 'crlExtensions: no extension inside'],
    [{ tail: element(0xa0, sequence(extension('1.2.3', hex(''))), hex('0500')) }, 'crlExtensions: 2 octets too many'],
    [{ tail: hex('a100') }, 'tbsCertList: 2 octets too many'],
    [{ version: hex('') }, 'extensions in a version 1 CRL'],
    [{ signature: bits(1, hex('fe')) }, 'signature: must be whole octets'],
    [{ signature: hex('0400') }, 'signature: expected tag 0x03, found 0x04'],
    [{ inner: hex('0500') }, 'CRL: 2 octets too many'],
    [{ outer: hex('00') }, 'after the CRL: 1 octets too many'],
  ];
  for (const [parts, reason] of cases) {
    const der = write({ parts });
    t.equal(reasonFor(der), reason, `${Object.keys(parts)[0]}: ${reason}`);
    t.equal(headerReasonFor(der), reason);
  }
  t.equal(reasonFor(Buffer.alloc(0)), 'CRL is missing');
  const whole = write({ entries: [{ serial: '01' }] });
  t.equal(
    Array.from(whole.keys(), (length) => reasonFor(whole.subarray(0, length))).filter((reason) => reason === null)
      .length,
    0,
    'no list is whole before its last octet',
  );
  t.end();
});

await t.test('extensions of a list are read as strictly', (t) => {
  const e = extensionOids;
  const scope = (...parts: readonly Uint8Array[]) => [e.issuingDistributionPoint, sequence(...parts)] as const;
  const cases: readonly (readonly [extension: readonly [type: string, value: Uint8Array], reason: string | null])[] = [
    [[e.deltaCrlIndicator, hex('0201ff')], 'deltaCRLIndicator: negative'],
    [[e.deltaCrlIndicator, hex('02020001')], 'deltaCRLIndicator: INTEGER is not minimal'],
    [[e.deltaCrlIndicator, integer('7f'.repeat(20))], null],
    [[e.deltaCrlIndicator, integer(`00${'ff'.repeat(20)}`)], null],
    [[e.deltaCrlIndicator, integer('7f'.repeat(21))], 'deltaCRLIndicator: more than 20 octets'],
    [[e.deltaCrlIndicator, integer(`00${'ff'.repeat(21)}`)], 'deltaCRLIndicator: more than 20 octets'],
    [[e.deltaCrlIndicator, hex('02010105 00')], 'deltaCrlIndicator: 2 octets too many'],
    [[e.deltaCrlIndicator, hex('0500')], 'deltaCRLIndicator: expected tag 0x02, found 0x05'],
    [[e.crlNumber, hex('020101')], 'extension crlNumber appears twice'],
    [scope(), 'issuingDistributionPoint: nothing inside'],
    [scope(hex('810100')), 'issuingDistributionPoint: nothing inside'],
    [scope(hex('8101ff')), null],
    [scope(hex('8101ff820100')), null],
    [scope(hex('8101ff8201ff')), 'issuingDistributionPoint: only one kind, and only another'],
    [scope(hex('8101ff8501ff')), 'issuingDistributionPoint: only one kind, and only another'],
    [scope(hex('8201ff8501ff')), 'issuingDistributionPoint: only one kind, and only another'],
    [scope(hex('8201ff8101ff')), 'issuingDistributionPoint: 3 octets too many'],
    [scope(hex('840101')), 'issuingDistributionPoint: BOOLEAN must be one octet, 00 or FF'],
    [scope(hex('8302')), 'issuingDistributionPoint: 2 octets announced, 0 present'],
    [scope(hex('83020780')), null],
    [scope(hex('83020781')), 'issuingDistributionPoint: unused bits of a BIT STRING must be zero'],
    [scope(hex('a000')), 'issuingDistributionPoint is missing'],
    [scope(hex('a002a000')), 'issuingDistributionPoint: no name inside'],
    [scope(hex('a002a100')), 'issuingDistributionPoint: RDN without attribute'],
    [scope(hex('8101ff0500')), 'issuingDistributionPoint: 2 octets too many'],
    [[e.issuingDistributionPoint, hex('30038101ff0500')], 'issuingDistributionPoint: 2 octets too many'],
    [[e.freshestCrl, hex('3000')], 'freshestCRL: no distribution point inside'],
    [[e.authorityInfoAccess, hex('3000')], 'authorityInfoAccess: no description inside'],
    [[e.authorityKeyIdentifier, hex('3003820101')], 'authorityKeyIdentifier: issuer and serial number come together'],
    [[e.microsoftNextPublish, text(0x17, '261322000000Z')], 'Next CRL Publish: no such date or time'],
    [[e.microsoftNextPublish, hex('0500')], 'Next CRL Publish: expected UTCTime or GeneralizedTime'],
  ];
  for (const [[type, value], reason] of cases) {
    const der = write({ extensions: [{ oid: type, critical: false, value }] });
    t.equal(reasonFor(der), reason, `${reason ?? 'good'}: ${Buffer.from(value).toString('hex')}`);
    t.equal(headerReasonFor(der), reason);
  }
  const relative = read(
    write({
      extensions: [
        {
          oid: e.issuingDistributionPoint,
          critical: true,
          value: sequence(element(0xa0, element(0xa1, attribute(['2.5.4.3', 12, 'x'])))),
        },
      ],
    }),
  ).issuingDistributionPoint;
  t.equal(relative?.fullName, null);
  t.same(
    relative?.relativeName?.map(({ text }) => text),
    ['x'],
  );
  t.equal(relative?.onlySomeReasons, null);
  t.end();
});

await t.test('the first critical extension that is not understood is named', (t) => {
  const e = extensionOids;
  const unknown = (...list: readonly (readonly [oid: string, critical: boolean, value?: Uint8Array])[]) => {
    const extensions = list.map(([oid, critical, value = hex('0500')]): ShapedExtension => ({ oid, critical, value }));
    return headerOf(write({ crlNumber: null, extensions })).unknownCritical;
  };
  t.equal(unknown(['1.2.3', false], ['1.2.4', true], ['1.2.5', true]), '1.2.4');
  t.equal(unknown(['1.2.3', false]), null);
  t.equal(unknown([e.issuerAltName, true, sequence(text(0x82, 'x'))]), e.issuerAltName);
  const point = sequence(sequence(element(0xa0, element(0xa0, text(0x86, 'x')))));
  t.equal(unknown([e.freshestCrl, true, point]), e.freshestCrl, 'must not be critical');
  const access = sequence(sequence(oid('1.2.3'), text(0x86, 'x')));
  t.equal(unknown([e.authorityInfoAccess, true, access]), e.authorityInfoAccess, 'must not be critical');
  t.equal(unknown([e.microsoftNextPublish, true, text(0x17, '261123000000Z')]), e.microsoftNextPublish);
  t.equal(
    unknown(
      [e.authorityKeyIdentifier, true, sequence(hex('800101'))],
      [e.crlNumber, true, hex('020101')],
      [e.deltaCrlIndicator, true, hex('020101')],
      [e.issuingDistributionPoint, true, indirect.value],
    ),
    null,
  );
  const entry = (critical: boolean, oid: string, value: Uint8Array = hex('0500')): WrittenEntry => ({
    serial: '01',
    extensions: [{ oid, critical, value }],
  });
  const inEntries = (...entries: readonly WrittenEntry[]) => read(write({ entries })).entries.unknownCritical;
  t.equal(inEntries(entry(false, '1.2.3'), entry(true, '1.2.4'), entry(true, '1.2.5')), '1.2.4');
  t.equal(inEntries(entry(false, '1.2.3')), null);
  t.equal(inEntries(entry(true, '2.5.29.23', oid('1.2.3'))), '2.5.29.23', 'a hold instruction');
  t.equal(inEntries(entry(true, e.reasonCode, hex('0a0101'))), null);
  t.equal(inEntries(entry(true, e.invalidityDate, text(0x18, '20261122000000Z'))), null);
  t.end();
});

await t.test('an entry that is not as it has to be makes the list malformed, wherever it stands', (t) => {
  const e = extensionOids;
  const good = writeEntry({ serial: '7f' });
  const date = text(0x17, '261101000000Z');
  const dated = (value: string, tag = 0x17) => sequence(integer('01'), text(tag, value));
  const numbered = (serial: Uint8Array) => sequence(serial, date);
  const extended = (...list: readonly Uint8Array[]) => sequence(integer('01'), date, sequence(...list));
  const reason = (value: string) => extended(extension(e.reasonCode, hex(value)));
  const names = (...list: readonly Uint8Array[]) => extended(extension(e.certificateIssuer, sequence(...list)));
  const cases: readonly (readonly [entry: Uint8Array, reason: string | null, what?: Omit<WrittenCrl, 'signer'>])[] = [
    [hex('0500'), 'entry: expected tag 0x30, found 0x05'],
    [hex('3080'), 'entry: indefinite length is not DER'],
    [sequence(), 'serialNumber is missing'],
    [Buffer.concat([hex('308115'), good.subarray(2, 23)]), 'entry: length is not minimal'],
    [sequence(integer('01')), 'revocationDate is missing'],
    [numbered(hex('0200')), 'serialNumber: INTEGER without content'],
    [numbered(integer('0001')), 'serialNumber: INTEGER is not minimal'],
    [numbered(integer('ff80')), 'serialNumber: INTEGER is not minimal'],
    [numbered(integer('007f')), 'serialNumber: INTEGER is not minimal'],
    [numbered(integer('0080')), null],
    [numbered(integer('ff7f')), null],
    [numbered(integer('00')), null],
    [numbered(hex('02810101')), 'serialNumber: length is not minimal'],
    [numbered(integer('7f'.repeat(21))), null],
    [numbered(integer('7f'.repeat(22))), 'serialNumber of 22 octets'],
    [numbered(hex('040101')), 'serialNumber: expected tag 0x02, found 0x04'],
    [dated('261301000000Z'), 'revocationDate: no such date or time'],
    [dated('260001000000Z'), 'revocationDate: no such date or time'],
    [dated('260100000000Z'), 'revocationDate: no such date or time'],
    [dated('260132000000Z'), 'revocationDate: no such date or time'],
    [dated('260431000000Z'), 'revocationDate: no such date or time'],
    [dated('250229000000Z'), 'revocationDate: no such date or time'],
    [dated('240229000000Z'), null],
    [dated('000229000000Z'), null],
    [dated('21000229000000Z', 0x18), 'revocationDate: no such date or time'],
    [dated('20000229000000Z', 0x18), null],
    [dated('260101240000Z'), 'revocationDate: no such date or time'],
    [dated('260101006000Z'), 'revocationDate: no such date or time'],
    [dated('260101000060Z'), 'revocationDate: no such date or time'],
    [dated('26010100000Z'), 'revocationDate: UTCTime must be YYMMDDHHMMSSZ'],
    [dated('2601010000000'), 'revocationDate: UTCTime must be YYMMDDHHMMSSZ'],
    [dated('2601010000:0Z'), 'revocationDate: UTCTime must be YYMMDDHHMMSSZ'],
    [dated('/60101000000Z'), 'revocationDate: UTCTime must be YYMMDDHHMMSSZ'],
    [dated('20260101000000.5Z', 0x18), 'revocationDate: GeneralizedTime must be YYYYMMDDHHMMSSZ'],
    [dated('20260101000000Z', 0x16), 'revocationDate: expected UTCTime or GeneralizedTime'],
    [dated('260101000000Z', 0x16), 'revocationDate: expected UTCTime or GeneralizedTime'],
    [sequence(integer('01'), date, hex('0500')), 'crlEntryExtensions: expected tag 0x30, found 0x05'],
    [sequence(integer('01'), date, sequence(), hex('')), 'crlEntryExtensions: no extension inside'],
    [extended(extension('1.2.3', hex('')), extension('1.2.3', hex(''))), 'extension 1.2.3 appears twice'],
    [
      extended(extension(e.reasonCode, hex('0a0101')), extension(e.reasonCode, hex('0a0101'))),
      'extension reasonCode appears twice',
    ],
    [sequence(integer('01'), date, sequence(extension('1.2.3', hex(''))), hex('0500')), 'entry: 2 octets too many'],
    [extended(extension('1.2.3', hex('ff'))), null],
    [extended(extension('1.2.3', hex(''), hex('010101'))), '1.2.3: critical: BOOLEAN must be one octet, 00 or FF'],
    [reason('0a0100'), null],
    [reason('0a0106'), null],
    [reason('0a0107'), 'reasonCode: no such reason'],
    [reason('0a0108'), 'reasonCode: removeFromCRL in a complete CRL'],
    [reason('0a0108'), null, { baseCrlNumber: 1 }],
    [reason('0a010a'), null],
    [reason('0a010b'), 'reasonCode: no such reason'],
    [reason('0a01ff'), 'reasonCode: no such reason'],
    [reason('0a020100'), 'reasonCode: no such reason'],
    [reason('0a020001'), 'reasonCode: INTEGER is not minimal'],
    [reason('0a00'), 'reasonCode: INTEGER without content'],
    [reason('020101'), 'reasonCode: expected tag 0x0a, found 0x02'],
    [reason('0a01010500'), 'reasonCode: 2 octets too many'],
    [reason('0a0101'), 'entry extensions in a version 1 CRL', { version: 1 }],
    [extended(extension('1.2.3', hex(''))), 'entry extensions in a version 1 CRL', { version: 1 }],
    [
      extended(extension(e.invalidityDate, text(0x17, '261122000000Z'))),
      'invalidityDate: expected tag 0x18, found 0x17',
    ],
    [extended(extension(e.invalidityDate, text(0x18, '20261322000000Z'))), 'invalidityDate: no such date or time'],
    [names(element(0xa4, ca.der)), 'certificateIssuer in a CRL that is not indirect'],
    [names(element(0xa4, ca.der)), null, { scope: indirect }],
    [names(element(0xa4, ca.der), text(0x82, 'x')), null, { scope: indirect }],
    [names(text(0x82, 'x')), 'certificateIssuer: no directoryName inside', { scope: indirect }],
    [names(), 'certificateIssuer: no name inside', { scope: indirect }],
    [
      names(generalName.directory(['2.5.4.3', 12, 'a']), generalName.directory(['2.5.4.3', 12, 'b'])),
      'certificateIssuer: more than one directoryName',
      { scope: indirect },
    ],
    [extended(extension('1.2.3', Buffer.alloc(16_300))), null],
    [extended(extension('1.2.3', Buffer.alloc(16_400))), 'entry of more than 16384 octets'],
  ];
  for (const [entry, expected, what = {}] of cases) {
    const shown = Buffer.from(entry).toString('hex').slice(0, 80);
    for (const entries of [[entry], [good, entry, good]]) {
      const der = write({ ...what, entries: Buffer.concat(entries) });
      t.equal(reasonFor(der), expected, `${expected ?? 'good'}: ${shown}`);
      t.equal(headerReasonFor(der), null, 'the header alone does not look');
    }
  }
  const beyond = hex('30160201 01170d3236313130313030303030305a 0500');
  t.equal(reasonFor(write({ entries: beyond.subarray(0, 20) })), 'entry: 22 octets announced, 18 present');
  t.end();
});

await t.test('offsets lead to the place that is wrong', (t) => {
  const der = write({ entries: Buffer.concat([writeEntry({ serial: '01' }), writeEntry({ serial: '0001' })]) });
  t.same(parseCrl(der), {
    kind: 'malformed',
    reason: 'serialNumber: INTEGER is not minimal',
    offset: der.indexOf(hex('02020001')) + 2,
  } satisfies Malformed);
  t.end();
});

await t.test('every entry is found, and nothing else', (t) => {
  const serials = ['00', '01', '7f', '0080', '80', 'ff', 'ff7f', '0100', '010000', '7f'.repeat(20), '7f'.repeat(21)];
  const crl = read(
    write({ entries: serials.map((serial, index) => ({ serial, ...(index % 2 === 0 ? {} : { reason: 3 }) })) }),
  );
  serials.forEach((serial, index) => t.equal(reasonOf(crl, serial), index % 2 === 0 ? 0 : 3, serial));
  for (const serial of ['', '02', '0000', '0001', '8000', '0101', '7f'.repeat(19), '7f'.repeat(22), '7f'.repeat(40)])
    t.equal(ask(crl, serial), null, serial);
  for (const serial of serials) t.equal(ask(crl, serial, other), null, 'of another issuer');
  const spelled = nameOf(['2.5.4.3', 19, ' ca ']);
  t.equal(reasonOf(crl, '01', spelled), 3, 'names compare as RFC 5280 section 7.1 says');

  const many = read(write({ entries: bulkEntries(5000) }));
  t.equal(many.entries.count, 5000);
  const outcome = (from: number) =>
    Array.from({ length: 5000 }, (_, index) => many.entries.find(bulkSerial(from + index), ca)?.reason ?? null);
  t.same(
    outcome(0),
    Array.from({ length: 5000 }, (_, index) => index % 2),
  );
  t.same(
    outcome(5000).filter((found) => found !== null),
    [],
  );
  t.end();
});

await t.test('entries of an indirect list belong to the issuer last named before them', (t) => {
  const crl = read(
    write({
      scope: indirect,
      entries: [
        { serial: '01', reason: 1 },
        { serial: '02', certificateIssuer: other.der, reason: 2 },
        { serial: '01', reason: 3 },
        { serial: '01', certificateIssuer: third.der, reason: 4 },
        { serial: '03', certificateIssuer: name(['2.5.4.3', 19, 'OTHER']), reason: 5 },
        { serial: '04', certificateIssuer: name(['2.5.4.3', 19, 'ca']), reason: 9 },
        { serial: '05' },
      ],
    }),
  );
  const table = ['01', '02', '03', '04', '05'].map((serial) =>
    [ca, other, third, nameOf(['2.5.4.3', 12, 'Fourth'])].map((issuer) => reasonOf(crl, serial, issuer)),
  );
  t.same(table, [
    [1, 3, 4, null],
    [null, 2, null, null],
    [null, 5, null, null],
    [9, null, null, null],
    [0, null, null, null],
  ]);
  t.same(
    Array.from(crl.entries.list(), ({ serial, certificateIssuer }) => [
      serial.toString('hex'),
      rfc4514Text(certificateIssuer),
    ]),
    [
      ['01', 'CN=CA'],
      ['02', 'CN=Other'],
      ['01', 'CN=Other'],
      ['01', 'CN=Third'],
      ['03', 'CN=OTHER'],
      ['04', 'CN=ca'],
      ['05', 'CN=ca'],
    ],
  );
  const crowd = Array.from({ length: 300 }, (_, index) => nameOf(['2.5.4.3', 12, `CA ${index}`]));
  const same = read(
    write({ scope: indirect, entries: crowd.map(({ der }) => ({ serial: '01', certificateIssuer: der, reason: 6 })) }),
  );
  t.equal(crowd.filter((issuer) => reasonOf(same, '01', issuer) === 6).length, 300, 'one serial under 300 issuers');
  t.equal(ask(same, '01'), null);
  t.end();
});

await t.test('of several entries about one certificate the most severe one holds', (t) => {
  const [plain, compromised, hold, removed] = [undefined, 1, 6, 8];
  const outcome = (...reasons: readonly (number | undefined)[]) => {
    const entries = reasons.map((reason) => ({ serial: '01', ...(reason === undefined ? {} : { reason }) }));
    const crl = read(write({ baseCrlNumber: 1, entries }));
    t.equal(crl.entries.count, reasons.length);
    return reasonOf(crl, '01');
  };
  t.equal(outcome(removed, hold), 6);
  t.equal(outcome(hold, removed), 6);
  t.equal(outcome(removed, plain), 0);
  t.equal(outcome(compromised, removed), 1);
  t.equal(outcome(hold, compromised), 1);
  t.equal(outcome(compromised, hold), 1);
  t.equal(outcome(plain, compromised), 0, 'of equals the first');
  t.equal(outcome(removed, hold, removed, compromised, hold), 1);
  const separate = read(
    write({
      baseCrlNumber: 1,
      scope: indirect,
      entries: [
        { serial: '01', reason: 8 },
        { serial: '01', reason: 1, certificateIssuer: other.der },
      ],
    }),
  );
  t.equal(reasonOf(separate, '01'), 8, 'the certificate of another issuer is another one');
  t.equal(reasonOf(separate, '01', other), 1);
  t.end();
});

await t.test('entries about one certificate take one slot, and each is compared once', (t) => {
  let comparisons = 0;
  const table = new EntryTable(
    20_000,
    () => {
      comparisons += 1;
      return true;
    },
    () => false,
  );
  for (let entry = 1; entry <= 20_000; entry += 1) table.add(entry, 0xffff_ffff);
  table.settle();
  t.equal(comparisons, 19_999);
  const slots = new Uint32Array(table.memory);
  t.equal(slots.length, 2 * 65_536);
  t.equal(
    findEntry(slots, 0xffff_ffff, () => true),
    1,
  );
  t.equal(
    findEntry(slots, 0x7fff_ffff, () => true),
    0,
    'another hash that leads to the same slot',
  );
  t.equal(slots.filter((value) => value !== 0).length, 2);
  t.end();
});

await t.test('the hash has a key, and the key is drawn for each scan', (t) => {
  const serial = bulkSerial(1);
  const [one, same, two] = [1, 1, 2].map((seed) => hashSerial(hashWordsOf(seed), serial, 0, 16, 0));
  t.equal(one, same);
  t.not(one, two);
  const words = hashWordsOf(1);
  t.not(hashSerial(words, serial, 0, 16, 1), one, 'another issuer');
  t.not(hashSerial(words, serial, 0, 16, 256), hashSerial(words, serial, 0, 16, 1));
  t.not(hashSerial(words, serial, 0, 15, 0), one, 'fewer octets');
  const der = write();
  const [first, second] = [scanCrl(der), scanCrl(der)];
  if (first.kind === 'malformed' || second.kind === 'malformed') throw new Error('malformed');
  t.not(first.index.seed, second.index.seed);
  t.end();
});

await t.test('what has the same hash is told apart all the same', (t) => {
  const readBy = (seed: number, what: Omit<WrittenCrl, 'signer'>) => {
    const der = write(what);
    const frame = readCrlFrame(der);
    const index = { digest: '' as Digest, ...scanEntries(der, frame, seed) };
    return { index, entries: entriesOf(der, frame, index) };
  };
  // Seeds found by search: with the first, octet 1a at the second place has the word 0; with the second, two issuers share one.
  const words = hashWordsOf(331_023);
  t.equal(hashSerial(words, hex('01'), 0, 1, 0), hashSerial(words, hex('011a'), 0, 2, 0));
  const serials = ['01', '011a'];
  for (const order of [serials, serials.toReversed()]) {
    const { entries } = readBy(331_023, { entries: order.map((serial) => ({ serial, reason: serial.length })) });
    for (const serial of serials) t.equal(entries.find(hex(serial), ca)?.reason, serial.length, serial);
    const { entries: half } = readBy(331_023, { entries: order.slice(0, 1).map((serial) => ({ serial })) });
    t.equal(half.find(hex(order[1] ?? ''), ca), null);
  }
  const more = hashWordsOf(211_302);
  t.equal(hashSerial(more, hex('01'), 0, 1, 32), hashSerial(more, hex('01'), 0, 1, 126));
  const crowd = Array.from({ length: 126 }, (_, index) => nameOf(['2.5.4.3', 12, `CA ${index + 1}`]));
  const revokedBy = (numbers: readonly number[]) =>
    crowd.map((issuer, index) => ({
      serial: numbers.includes(index + 1) ? '01' : '02',
      certificateIssuer: issuer.der,
      reason: index + 1 === 32 ? 1 : 6,
    }));
  const ofNumber = (number: number) => crowd[number - 1] ?? ca;
  const { entries } = readBy(211_302, { scope: indirect, entries: revokedBy([32, 126]) });
  t.equal(entries.find(hex('01'), ofNumber(32))?.reason, 1);
  t.equal(entries.find(hex('01'), ofNumber(126))?.reason, 6);
  const { entries: one } = readBy(211_302, { scope: indirect, entries: revokedBy([32]) });
  t.equal(one.find(hex('01'), ofNumber(126)), null);
  const repeated = Array.from({ length: 50 }, () => ({ serial: '01', certificateIssuer: other.der }));
  t.equal(readBy(1, { scope: indirect, entries: repeated }).index.switches.byteLength, 8, 'one change of issuer');
  t.end();
});

await t.test('a scan on one thread serves another one', (t) => {
  const written = write({
    scope: indirect,
    entries: [
      { serial: '01', reason: 1 },
      {
        serial: '01',
        certificateIssuer: other.der,
        reason: 2,
        extensions: [{ oid: '1.2.3', critical: true, value: hex('') }],
      },
    ],
  });
  const shared = Buffer.from(new SharedArrayBuffer(written.length));
  written.copy(shared);
  const scanned = scanCrl(shared);
  if (scanned.kind === 'malformed') throw new Error(scanned.reason);
  const index = structuredClone(scanned.index);
  const adopted = adoptCrl(shared, index);
  if (adopted.kind === 'malformed') throw new Error(adopted.reason);
  const { crl } = adopted;
  t.equal(crl.digest, hash('sha256', written, 'hex'));
  t.equal(crl.entries.count, 2);
  t.equal(crl.entries.unknownCritical, '1.2.3');
  t.equal(crl.crlNumber, 1n);
  t.equal(reasonOf(crl, '01'), 1);
  t.equal(reasonOf(crl, '01', other), 2);
  t.equal(ask(crl, '01', third), null);
  new Uint32Array(scanned.index.table).fill(0);
  t.equal(ask(crl, '01'), null, 'the table is one and the same, not a copy');
  t.same(adoptCrl(shared.subarray(1), index), parseCrlHeader(shared.subarray(1)), 'the header is checked again');
  t.end();
});

await t.test('lists without bounds are refused', (t) => {
  t.same(parseCrl(Buffer.alloc(2 ** 31)), {
    kind: 'malformed',
    reason: 'larger than 2147483647 octets',
    offset: 2_147_483_647,
  });
  const padded = (size: number) =>
    write({
      entries: bulkEntries(3000),
      extensions: [{ oid: '1.2.3', critical: false, value: Buffer.alloc(size) }],
    });
  t.ok(padded(65_000).length > 65_536 + 65_000, 'entries do not count');
  t.equal(headerReasonFor(padded(65_000)), null);
  t.equal(headerReasonFor(padded(65_536)), 'more than 65536 octets beside the entries');
  t.equal(reasonFor(padded(65_536)), 'more than 65536 octets beside the entries');

  const frame = (count: number) => {
    const der = write({ entries: bulkEntries(count) });
    return () => scanEntries(der, readCrlFrame(der), 1, 100).count;
  };
  t.equal(frame(100)(), 100);
  t.throws(frame(101), { name: 'DerError', message: 'more than 100 entries' });

  const named = (count: number) =>
    write({
      scope: indirect,
      entries: Array.from({ length: count }, (_, index) => ({
        serial: '01',
        certificateIssuer: name(['2.5.4.3', 12, `CA ${index}`]),
      })),
    });
  t.equal(reasonFor(named(4096)), null);
  t.equal(reasonFor(named(4097)), 'certificateIssuer: more than 4096 names');
  t.end();
});

await t.test('a file holds one list, as DER or PEM', (t) => {
  const der = write({ entries: [{ serial: '01' }] });
  t.same(readCrl(der), { kind: 'read', der });
  for (const label of ['X509 CRL', 'CRL']) {
    t.same(readCrl(Buffer.from(`of the CA\r\n${pemText(der, label)}`)), { kind: 'read', der }, label);
  }
  t.same(readCrl(Buffer.concat([hex('fffe'), Buffer.from(pemText(der, 'X509 CRL'), 'utf16le')])), {
    kind: 'read',
    der,
  });
  t.same(readCrl(Buffer.from(pemText(der, 'CERTIFICATE') + pemText(der, 'X509 CRL'))), { kind: 'read', der });
  const refused = (file: string) => {
    const result = readCrl(Buffer.from(file));
    return result.kind === 'malformed' ? [result.reason, result.line] : null;
  };
  t.same(refused(''), ['neither DER nor PEM', 0]);
  t.same(refused(pemText(der)), ['no X509 CRL block inside', 0]);
  const one = pemText(der, 'X509 CRL');
  t.same(refused(one + one), ['more than one CRL', one.split('\n').length]);
  t.same(refused('-----BEGIN X509 CRL-----\nMA\n-----END X509 CRL-----\n'), ['not base64', 1]);
  t.same(refused('-----BEGIN X509 CRL-----\nMAA=\n'), ['BEGIN X509 CRL without its END', 1]);
  const large = pemText(Buffer.alloc(17 * 2 ** 20, 1), 'X509 CRL');
  t.equal(refused(large), null, 'lists may be larger than certificates');
  t.same(refused(`${large}${' '.repeat(2 ** 26)}`), ['PEM of more than 67108864 octets', 0]);
  t.end();
});
