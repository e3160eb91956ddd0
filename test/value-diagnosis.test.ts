/**
 * What is told about mistakes of a stored value: by itself, and beside a certificate.
 */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { candidatesOf } from '../src/mapping/candidates.ts';
import { diagnoseAgainst } from '../src/mapping/certificate-diagnosis.ts';
import { defaultMappingSettings } from '../src/mapping/mapper-contract.ts';
import { diagnoseParts, diagnoseValue, longestValue } from '../src/mapping/value-diagnosis.ts';
import { certificateFaultCodes, valueFaultCodes } from '../src/mapping/value-fault.ts';
import { writeCertificate, type WrittenCertificate } from './support/certificate-writer.ts';
import { diagnosedCertificate as base, diagnosedIssuer as I } from './support/diagnosed-certificate.ts';
import { parsed } from './support/mapping-cases.ts';

const { serial } = base;

function leafOf(more: Partial<WrittenCertificate> = {}) {
  return parsed(writeCertificate({ ...base, ...more }));
}

/** value, form, codes of its faults, corrected; a corrected value has no fault. */
const alone: readonly (readonly [string, string, readonly string[], string | null])[] = [
  // the rows of table 1.10, as Samba's own tests have them
  ['X509:', 'malformed', ['noTag'], null],
  ['X509:No tag here', 'malformed', ['noTag'], null],
  ['X509:<No tag close', 'malformed', ['unclosedTag'], null],
  ['X509:<>Empty tag', 'malformed', ['emptyTag'], null],
  ['X509:<I>', 'malformed', ['emptyPart'], null],
  ['X509:<SHA1-PUKEY>This is not a hex string', 'malformed', ['notHex'], null],
  ['X509:<SHA1-PUKEY>abcde', 'malformed', ['oddHex'], null],
  ['X509:<PN>alice@lab.example.test', 'malformed', ['unknownTag'], null],
  ['X509:<SHA256-PUKEY>ab', 'malformed', ['unknownTag'], null],
  ['X509:<I>CN=Issuer<I>CN=Duplicate', 'malformed', ['duplicateTag'], null],
  ['X509:<S>CN=Subject<S>CN=A repeat', 'malformed', ['duplicateTag'], null],
  ['X509:<SR>fedcba98765410<SR>0123456789abcdef', 'malformed', ['duplicateTag'], null],
  ['X509:<SKI>010203040506<SKI>0123456789abcdef', 'malformed', ['duplicateTag'], null],
  ['X509:<S>CN=s<I>CN=i', 'X509IssuerSubject', ['tagOrder'], 'X509:<I>CN=i<S>CN=s'],
  [
    'X509:<S>SubjectsName<I>TheNameOfTheIssuer',
    'X509IssuerSubject',
    ['unreadableName', 'unreadableName', 'tagOrder'],
    null,
  ],
  ['X509:<SR>0123456789abcdef<I>CN=i', 'X509IssuerSerialNumber', ['tagOrder'], 'X509:<I>CN=i<SR>0123456789abcdef'],
  ['X509:<I>CN=Intermediate CA SAMBA,C=FR,O=SAMBA', 'X509IssuerOnly', [], null],
  ['X509:<SR>0123456789abcdef', 'malformed', ['combination'], null],
  ['X509:<SKI>0123456789abcdef', 'X509SKI', [], null],
  ['X509:<RFC822>test@example.com', 'X509RFC822', [], null],
  // what is not for certificates
  ['Kerberos:joe@EXAMPLE.COM', 'kerberos', [], null],
  ['kerberos:joe', 'kerberos', [], null],
  ['vendor:data', 'foreign', [], null],
  ['', 'foreign', [], null],
  // front
  ['<I>DC=x,CN=i<S>DC=x,CN=s', 'X509IssuerSubject', ['prefix'], 'X509:<I>DC=x,CN=i<S>DC=x,CN=s'],
  ['X.509:<SKI>ab', 'X509SKI', ['prefix'], 'X509:<SKI>ab'],
  ['X509: <RFC822>a@b', 'X509RFC822', ['textBeforeTag'], 'X509:<RFC822>a@b'],
  ['X509:text<RFC822>a@b', 'X509RFC822', ['textBeforeTag'], null],
  ['x509:<i>dc=com,cn=ca<sr>12ab', 'X509IssuerSerialNumber', [], null],
  // parts
  ['X509:<S>', 'malformed', ['emptyPart'], null],
  ['X509:<I>DC=x<SR>', 'malformed', ['emptyPart'], null],
  ['X509:<SKI> ', 'malformed', ['emptyPart'], null],
  ['X509:<RFC822>', 'malformed', ['emptyPart'], null],
  [`X509:<I>DC=x<S>CN=s<SR>12`, 'malformed', ['combination'], 'X509:<I>DC=x<SR>12'],
  ['X509:<I>DC=x<SKI>12', 'malformed', ['combination'], null],
  // order of names
  [
    'X509:<I>CN=CA,DC=contoso,DC=com<SR>12',
    'X509IssuerSerialNumber',
    ['ldapOrder'],
    'X509:<I>DC=com,DC=contoso,CN=CA<SR>12',
  ],
  ['X509:<S>CN=joe,O=x,C=US', 'X509SubjectOnly', ['ldapOrder'], 'X509:<S>C=US,O=x,CN=joe'],
  ['X509:<S>CN=joe,O=x', 'X509SubjectOnly', [], null],
  ['X509:<I>CN=CA,DC=com<S>CN=joe,O=x', 'X509IssuerSubject', ['ldapOrder'], null],
  ['X509:<I>CN=CA,DC=com<S>CN=joe', 'X509IssuerSubject', ['ldapOrder'], 'X509:<I>DC=com,CN=CA<S>CN=joe'],
  // spelling of names
  ['X509:<S>DC=com, CN=joe', 'X509SubjectOnly', ['blanks'], 'X509:<S>DC=com,CN=joe'],
  ['X509:<S>DC=com,CN=joe ', 'X509SubjectOnly', ['blanks'], 'X509:<S>DC=com,CN=joe'],
  ['X509:<S>DC = com,CN=joe', 'X509SubjectOnly', ['blanks'], 'X509:<S>DC=com,CN=joe'],
  ['X509:<S>C=US,ST=MN', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,S=MN'],
  ['X509:<S>C=US,SP=MN', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,S=MN'],
  ['X509:<S>C=US,Email=a@b', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,E=a@b'],
  ['X509:<S>C=US,emailAddress=a@b', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,E=a@b'],
  ['X509:<S>C=US,UID=7', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,OID.0.9.2342.19200300.100.1.1=7'],
  ['X509:<S>C=US,GN=a', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,G=a'],
  ['X509:<S>C=US,givenName=a', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,G=a'],
  ['X509:<S>C=US,Title=a', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,T=a'],
  ['X509:<S>C=US,surname=a', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=US,SN=a'],
  ['X509:<S>C=EE,2.5.4.97=N', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=EE,OID.2.5.4.97=N'],
  ['X509:<S>C=EE,OID.2.5.4.3=N', 'X509SubjectOnly', ['attributeName'], 'X509:<S>C=EE,CN=N'],
  ['X509:<S>C=US,serialNumber=7', 'X509SubjectOnly', [], null],
  ['X509:<S>C=US,OID.2.5.4.97=N', 'X509SubjectOnly', [], null],
  ['X509:<S>C=US,favouriteDrink=tea', 'X509SubjectOnly', ['attributeName'], null],
  ['X509:<S>C=US,O=Foo\\, Inc.', 'X509SubjectOnly', ['escapes'], 'X509:<S>C=US,O="Foo, Inc."'],
  ['X509:<S>C=US,CN=J\\C3\\B6rg', 'X509SubjectOnly', ['escapes'], 'X509:<S>C=US,CN=Jörg'],
  ['X509:<S>C=US,CN=a\\2Cb', 'X509SubjectOnly', ['escapes'], null],
  ['X509:<S>C=US,CN=LAB\\admin', 'X509SubjectOnly', [], null],
  ['X509:<S>C=US,CN=x + SN=y', 'X509SubjectOnly', ['plusSign'], 'X509:<S>C=US,CN=x SN=y'],
  ['X509:<S>C=US,CN=x+SN=y', 'X509SubjectOnly', ['plusSign'], 'X509:<S>C=US,CN=x SN=y'],
  ['X509:<S>C=US,CN=x SN=y', 'X509SubjectOnly', [], null],
  ['X509:<S>C=US,CN=1+2', 'X509SubjectOnly', ['quoting'], 'X509:<S>C=US,CN="1+2"'],
  ['X509:<S>C=US,CN="alice"', 'X509SubjectOnly', ['quoting'], 'X509:<S>C=US,CN=alice'],
  ['X509:<S>C=US,CN="a""b"', 'X509SubjectOnly', [], null],
  ['X509:<S>C=US,CN="<S>"', 'X509SubjectOnly', [], null],
  ['X509:<S>C=US,CN="a\\b"', 'X509SubjectOnly', [], null],
  ['X509:<S>C=US,CN="open', 'X509SubjectOnly', ['quoting'], null],
  ['X509:<S>C=US,O=Foo, Inc.', 'X509SubjectOnly', ['quoting'], null],
  ['X509:<S>C=US,CN="x,y",', 'X509SubjectOnly', ['unreadableName'], null],
  ['X509:<S>C=US,CN=', 'X509SubjectOnly', ['quoting'], null],
  ['X509:<S>C=US,CN=#0403020100', 'X509SubjectOnly', [], null],
  ['X509:<S>/C=US/ST=MN/CN=x', 'X509SubjectOnly', ['separator', 'attributeName'], 'X509:<S>C=US,S=MN,CN=x'],
  ['X509:<S>C=US;CN=x', 'X509SubjectOnly', ['separator'], 'X509:<S>C=US,CN=x'],
  // digits
  [`X509:<I>${I}<SR> 12ab`, 'X509IssuerSerialNumber', ['blanks'], `X509:<I>${I}<SR>12ab`],
  [`X509:<I>${I}<SR>12:ab`, 'X509IssuerSerialNumber', ['hexSeparators'], null],
  [`X509:<I>${I}<SR>12 ab`, 'X509IssuerSerialNumber', ['hexSeparators'], null],
  [`X509:<I>${I}<SR>0x12ab`, 'X509IssuerSerialNumber', ['hexSeparators'], null],
  [`X509:<I>${I}<SR>abc`, 'malformed', ['oddHex'], null],
  ['X509:<SKI>0x', 'malformed', ['notHex'], null],
  ['X509:< ski >ab', 'X509SKI', ['blanks'], 'X509:<SKI>ab'],
  ['X509:<SKI>AA:BB', 'X509SKI', ['hexSeparators'], 'X509:<SKI>aabb'],
  ['X509:<SKI>\u200eaabb', 'X509SKI', ['invisibleCharacter', 'hexSeparators'], 'X509:<SKI>aabb'],
  [`X509:<SHA1-PUKEY>${'ab'.repeat(32)}`, 'X509SHA1PublicKey', ['hashLength'], null],
  ['X509:<SHA1-PUKEY>abcd', 'X509SHA1PublicKey', ['hashLength'], null],
  // other parts
  [`X509:<I>${I}<SID>S-1-5-21-1-2-3-4`, 'X509IssuerSid', [], null],
  [`X509:<I>${I}<SID>1105`, 'X509IssuerSid', ['sidShape'], null],
  [`X509:<I>${I}<SID> S-1-5-21-1-2-3-4`, 'X509IssuerSid', ['blanks'], `X509:<I>${I}<SID>S-1-5-21-1-2-3-4`],
  ['X509:<RFC822>alice', 'X509RFC822', ['mailShape'], null],
  ['X509:<S>C=US,CN=a\u00adlice', 'X509SubjectOnly', ['invisibleCharacter'], null],
  ['X509:<S>C=US,CN=a\u00a0b', 'X509SubjectOnly', ['invisibleCharacter'], null],
  [`X509:<S>C=US,CN=${'x'.repeat(longestValue)}`, 'malformed', ['tooLong'], null],
];

await t.test('a value by itself', async (t) => {
  for (const [value, form, codes, corrected] of alone) {
    const told = diagnoseValue(value);
    const shown = value.slice(0, 100);
    t.equal(told.form, form, shown);
    t.strictSame(
      told.faults.map(({ code }) => code),
      codes,
      shown,
    );
    t.equal(told.corrected, corrected, shown);
    if (corrected !== null) t.strictSame(diagnoseValue(corrected).faults, [], `${corrected} is right`);
  }
  const seen = new Set(alone.flatMap(([, , codes]) => codes));
  for (const code of valueFaultCodes) t.ok(seen.has(code), `${code} is tested`);
});

await t.test('strength of a form', async (t) => {
  const strengths = ['X509:<SKI>ab', 'X509:<S>C=US', 'Kerberos:x', 'x:y', 'X509:'].map(
    (value) => diagnoseValue(value).strength,
  );
  t.strictSame(strengths, ['strong', 'weak', null, null, null]);
});

await t.test('what the mapper writes has no fault', async (t) => {
  const names = [
    'CN=a,b',
    'CN=a=b',
    'CN= a',
    'CN=a"b',
    'CN=<S>',
    'CN=a;b',
    'CN=#a',
    'CN=a+b',
    "CN='a'",
    'CN=a\\b',
    'CN=x/y',
  ];
  for (const name of names)
    for (const { method, value } of candidatesOf(
      leafOf({ subject: ['C=US', name, ['CN=m', 'SN=n']], rfc822Names: ['a@b'], sid: 'S-1-5-21-1-2-3-4' }),
      defaultMappingSettings,
    ))
      t.strictSame(
        diagnoseValue(value),
        { form: method, strength: diagnoseValue(value).strength, faults: [], corrected: null },
        value,
      );
});

await t.test('no text makes reading names slow or throw', async (t) => {
  for (const piece of [
    ' ',
    ',',
    '"',
    '="',
    '\\',
    '\\c3',
    'CN=',
    ' CN=',
    '+',
    '<',
    '>',
    '/C=',
    '=',
    'x',
    'OID.1.',
    '\u200e',
    '<I>',
  ]) {
    const value = `X509:<S>${piece.repeat(Math.floor(8000 / piece.length))}`;
    t.ok(diagnoseValue(value).form, JSON.stringify(piece));
  }
});

const own = leafOf({ rfc822Names: ['alice@x.test'], sid: 'S-1-5-21-1-2-3-4' });
const candidates = candidatesOf(own, defaultMappingSettings);
const right = `X509:<I>${I}<SR>1200000000ac11000000002b`;
const thumbprint = `X509:<SHA1-PUKEY>${own.thumbprint}`;
const reversed = (hex: string) => (hex.match(/../g) ?? []).toReversed().join('');
const ski = 'X509:<SKI>49acade06530c4cea009035bad4a7b495ec96cb4';
const rows: readonly (readonly [string, readonly string[], string | null])[] = [
  [`X509:<I>${I}<SR>${serial}`, ['serialNotReversed'], right],
  [`X509:<I>${I}<SR>00${serial}`, ['serialNotReversed'], right],
  [`X509:<I>${I}<SR>${BigInt(`0x${serial}`)}`, ['oddHex', 'serialNotReversed'], right],
  [`X509:<I>${I}<SR>b20000000011ca0000000021`, ['serialReversedByDigits'], right],
  [`X509:<I>${I}<SR>2100000000ca1100000000b2`, ['serialReversedByDigits'], right],
  [`X509:<I>${I}<SR>99`, ['otherSerial'], null],
  [`X509:<I>${I}<SR>xyz`, ['notHex', 'otherSerial'], null],
  [`X509:<I>${I}<S>DC=test,CN=bob`, ['otherSubject'], null],
  [`X509:<I>${I}<S>DC=test,CN=älice`, ['looksAlike'], null],
  [`X509:<I>${I}<S>DC=test,CN=ａlice`, ['looksAlike'], null],
  [`X509:<I>${I}<S>CN=alice,DC=test`, ['ldapOrder'], `X509:<I>${I}<S>DC=test,CN=alice`],
  ['X509:<I>DC=test,CN=Other CA<SR>1200000000ac11000000002b', ['otherIssuer'], null],
  ['X509:<I>DC=example,DC=test,DC=lab,CN=Lab CA<SR>1200000000ac11000000002b', ['otherSpelling'], null],
  [`X509:<SKI>${reversed('49acade06530c4cea009035bad4a7b495ec96cb4')}`, ['otherSpelling'], ski],
  ['X509:<SKI>041449acade06530c4cea009035bad4a7b495ec96cb4', ['otherSpelling'], ski],
  [`X509:<SKI>${own.thumbprint}`, ['otherKeyIdentifier'], null],
  ['X509:<SKI>ab', ['otherKeyIdentifier'], null],
  [`X509:<SHA1-PUKEY>${reversed(own.thumbprint)}`, ['otherSpelling'], thumbprint],
  ['X509:<SHA1-PUKEY>49acade06530c4cea009035bad4a7b495ec96cb4', ['keyHash'], thumbprint],
  [`X509:<SHA1-PUKEY>${'ab'.repeat(20)}`, ['otherHash'], null],
  [`X509:<SHA1-PUKEY>${'ab'.repeat(32)}`, ['hashLength', 'otherHash'], null],
  [`X509:<I>${I}<SID>S-1-5-21-1-2-3-5`, ['otherSid'], null],
  ['X509:<RFC822>bob@x.test', ['otherMail'], null],
  ['X509:<RFC822> alice@x.test', ['blanks'], 'X509:<RFC822>alice@x.test'],
  ['X509:<S>', ['emptyPart'], null],
  ['X509:<S>CN=bob, DC=test', ['blanks', 'ldapOrder', 'otherSubject'], null],
];

await t.test('a value beside a certificate', async (t) => {
  const leaf = own;
  for (const [value, codes, corrected] of rows) {
    const told = diagnoseAgainst(value, leaf, candidates);
    t.strictSame(
      told.faults.map(({ code }) => code),
      codes,
      value,
    );
    t.equal(told.corrected, corrected, value);
    t.equal(told.method, null, value);
    if (corrected !== null) t.ok(diagnoseAgainst(corrected, leaf, candidates).method, `${corrected} maps`);
  }
  const others = ['keyHash', 'sha256'];
  const seen = new Set([...others, ...rows.flatMap(([, codes]) => codes)]);
  for (const code of certificateFaultCodes) t.ok(seen.has(code), `${code} is tested, here or by a case`);
  for (const { method, value } of candidates)
    for (const spelling of [value, value.toUpperCase(), value.toLowerCase()])
      t.match(diagnoseAgainst(spelling, leaf, candidates), { method, faults: [], corrected: null }, spelling);
});

await t.test('sentences have both sides', async (t) => {
  const told = (value: string, more: Partial<WrittenCertificate>) => {
    const leaf = leafOf(more);
    return diagnoseAgainst(value, leaf, candidatesOf(leaf, defaultMappingSettings)).faults.map(({ text }) => text);
  };
  t.strictSame(told('X509:<RFC822>bob@x.test', {}), ['it is for bob@x.test, and the certificate has no mail address']);
  t.strictSame(told('X509:<RFC822>bob@x.test', { rfc822Names: ['a@x.test', 'b@x.test'] }), [
    'it is for bob@x.test, and the certificate has a@x.test, b@x.test',
  ]);
  const before = (value: string) => diagnoseValue(value).faults.map(({ text }) => text);
  t.strictSame(before('X509: <SKI>ab'), ['a blank stands between X509: and the first tag']);
  t.strictSame(before('X509: text <SKI>ab'), ['text stands between X509: and the first tag']);
});

await t.test('only another spelling of the same name is corrected', async (t) => {
  const told = (subject: WrittenCertificate['subject'], stored: string) => {
    const leaf = leafOf({ subject });
    return diagnoseAgainst(`X509:<S>${stored}`, leaf, candidatesOf(leaf, defaultMappingSettings));
  };
  t.equal(
    told(['C=US', 'O=Foo, Inc.'], 'C=US,O=Foo, Inc.').corrected,
    'X509:<S>C=US,O="Foo, Inc."',
    'the certificate says which',
  );
  t.equal(told(['C=US', 'CN=a,CN=b'], 'C=US,CN=a,CN=b').corrected, null, 'two names are not one with a comma in it');
  t.equal(told(['CN=a', 'O=b'], 'O=b,CN=a').corrected, 'X509:<S>CN=a,O=b', 'turned round, whichever way is right');
  t.equal(
    told(['CN=alice', 'DC=test'], 'CN=alice,DC=test').method,
    'X509SubjectOnly',
    'a certificate may be encoded leaf first',
  );
  t.match(leafWithout('X509:<SKI>ab'), { corrected: null, faults: [{ code: 'otherKeyIdentifier', text: /has no/ }] });

  function leafWithout(value: string) {
    const { subjectKeyIdentifier: _none, ...plain } = base;
    const leaf = parsed(writeCertificate(plain));
    return diagnoseAgainst(value, leaf, candidatesOf(leaf, defaultMappingSettings));
  }
});

/** Beside the certificate: nearly it, and not quite another's. */
const likenesses: readonly string[] = [
  `X509:<I>${I}<S>DC=test,CN=alice<SR>1200000000ac11000000002b`,
  `X509:<I>${I}<S>DC=test,CN=bob<SR>1200000000ac11000000002b`,
  `X509:<I>${I}<SR>001200000000ac11000000002b`,
  `X509:<I>${I}<SR>1200000000ac11000000002b00`,
  `X509:<I>${I}<SR>1200000000ac11000000002b0`,
  `X509:<I>${I}<SR>0`,
  `X509:<I>${I}<SR>00`,
  'X509:<I>CN=Lab CA,DC=lab,DC=example,DC=test<SR>1200000000ac11000000002b',
  'X509:<I>dc=TEST, dc=example, dc=lab, cn=lab ca<SR>1200000000ac11000000002b',
  `X509:<S>DC=test, CN="alice"`,
  'X509:<S>cn=ALICE,dc=TEST',
  'X509:<S>CN=älice,DC=test',
  'X509:<S>DC=test,CN=alice,CN=x',
  'X509:<S>CN=alice',
  'X509:<S>DC=test,CN=ali ce',
  'X509:<S>DC=test,CN="alice',
  'X509:<S>DC=test,CN=bob',
  'X509:<RFC822>ALICE@x.test',
  'X509:<RFC822> ALICE@x.test',
  'X509:<SKI>0414',
  `X509:<I>${I}<SID>s-1-5-21-1-2-3-4`,
  `X509:<I>${I}<SID> S-1-5-21-1-2-3-4`,
  `X509:<SHA1-PUKEY>${hash('sha256', own.der, 'hex')}`,
  `X509:<SHA1-PUKEY>${hash('sha1', own.publicKey.bits, 'hex')}`,
  `X509:<SHA1-PUKEY>${hash('sha1', own.publicKey.spki, 'hex')}`,
  'X509:<SHA1-PUKEY>zz',
  'X509:<SKI>zz',
  'X509:<I>C=US<SKI>ab',
  'X509:<S> ',
  'Kerberos:joe',
];

/** As RFC 4519, OpenSSL and certificate dialogs write them, and as Windows does. */
const otherNames: readonly (readonly [string, string])[] = [
  ['commonName', 'CN'],
  ['surname', 'SN'],
  ['countryName', 'C'],
  ['localityName', 'L'],
  ['ST', 'S'],
  ['SP', 'S'],
  ['stateOrProvinceName', 'S'],
  ['streetAddress', 'STREET'],
  ['organizationName', 'O'],
  ['organizationalUnitName', 'OU'],
  ['title', 'T'],
  ['businessCategory', 'OID.2.5.4.15'],
  ['postalAddress', 'OID.2.5.4.16'],
  ['telephoneNumber', 'Phone'],
  ['x121Address', 'X21Address'],
  ['name', 'OID.2.5.4.41'],
  ['GN', 'G'],
  ['givenName', 'G'],
  ['initials', 'I'],
  ['generationQualifier', 'OID.2.5.4.44'],
  ['x500UniqueIdentifier', 'OID.2.5.4.45'],
  ['houseIdentifier', 'OID.2.5.4.51'],
  ['pseudonym', 'OID.2.5.4.65'],
  ['organizationIdentifier', 'OID.2.5.4.97'],
  ['UID', 'OID.0.9.2342.19200300.100.1.1'],
  ['userId', 'OID.0.9.2342.19200300.100.1.1'],
  ['mail', 'OID.0.9.2342.19200300.100.1.3'],
  ['rfc822Mailbox', 'OID.0.9.2342.19200300.100.1.3'],
  ['domainComponent', 'DC'],
  ['email', 'E'],
  ['emailAddress', 'E'],
  ['unstructuredName', 'OID.1.2.840.113549.1.9.2'],
  ['unstructuredAddress', 'OID.1.2.840.113549.1.9.8'],
  ['jurisdictionL', 'OID.1.3.6.1.4.1.311.60.2.1.1'],
  ['jurisdictionST', 'OID.1.3.6.1.4.1.311.60.2.1.2'],
  ['jurisdictionC', 'OID.1.3.6.1.4.1.311.60.2.1.3'],
  ['2.5.4.5', 'SERIALNUMBER'],
  ['2.5.4.13', 'Description'],
  ['2.5.4.17', 'PostalCode'],
  ['2.5.4.18', 'POBox'],
  ['2.5.4.46', 'dnQualifier'],
];

/** What stands at the edge of a rule, on either side of it. */
const edges: readonly string[] = [
  ' Kerberos:joe',
  'aKerberos:joe',
  'X-509:<SKI>ab',
  'X 509:<SKI>ab',
  '\u200eX509:<SKI>ab',
  ' X509 :<SKI>ab',
  'X509;<SKI>ab',
  'aX509:<SKI>ab',
  'X509',
  ' <SKI>ab',
  'a<SKI>ab',
  '<SID>S-1-5-21-1',
  '<SR>12',
  '<SHA1-PUKEY>ab',
  '<RFC822>a@b',
  '<PN>a@b',
  '<SKIP>ab',
  'X509:<S<I>CN=a',
  'X509:<I>CN=a<S',
  'X509:<S>',
  'X509:<S>C=US,CN=a"<S>b',
  'X509:<S>C=US,CN="a""<S>",O="<I>"',
  'X509:<S>C=US,CN="a<S>b',
  'X509:<S>C=US,CN=a\\<b',
  'X509:<S>C=US,CN=a\\\\b',
  'X509: < ski >ab',
  'X509:<>',
  'X509:<S>C=US<PN>a@b<PN>a@b',
  'X509:<pn>a@b',
  'X509:<SHA256>ab',
  'X509:<XPN>ab',
  'X509:<PNX>ab',
  'X509:<I>C=US<S>C=US<SR>',
  'X509:<SR>12<S>C=US<I>C=US',
  'X509:<SR>12<S>C=US<I>CN=x,DC=y',
  'X509:<I>C=US<S>C=US<SR>12<PN>x',
  'X509:<I>C=US<S>C=US<SR>12:34',
  'X509:<S>C=US,CN=x<I>CN=y',
  'X509:text<I>C=US<SR> 12',
  'X509:<SR>1<I>C=US',
  'X509:<SR>zz<I>C=US',
  'X509:<SKI>ABCD',
  'X509:<SKI>AB-CD',
  'X509:<SKI>ab.cd',
  'X509:<SKI>ab cd',
  'X509:<SKI>0Xabcd',
  'X509:<SKI>ab0xcd',
  'X509:<SKI>gab',
  'X509:<SKI>abg',
  'X509:<SKI> abc',
  'X509:<SKI>a:bc',
  `X509:<SHA1-PUKEY>${'AB'.repeat(20)}`,
  `X509:<SHA1-PUKEY>${'ab:'.repeat(20)}`,
  `X509:<SHA1-PUKEY> ${'ab'.repeat(20)}`,
  `X509:<SKI>${'ab'.repeat(32)}`,
  'X509:<I>C=US<SID>s-1-5-21-1',
  'X509:<I>C=US<SID>S-1-5',
  'X509:<I>C=US<SID>S-1-',
  'X509:<I>C=US<SID>xS-1-5-21-1',
  'X509:<I>C=US<SID>S-1-5-21-1x',
  'X509:<I>C=US<SID>S-1-x-21',
  'X509:<I>C=US<SID> ',
  'X509:<RFC822>a@b@c',
  'X509:<RFC822>@b',
  'X509:<RFC822>a@',
  'X509:<RFC822> a@b ',
  'X509:<RFC822>a\u00a0b@c',
  'X509:<RFC822>a\u2003b@c',
  'X509:<RFC822>a\u0001b@c',
  'X509:<RFC822>a\u2028b@c',
  'X509:<S>DC=com',
  'X509:<S>CN=a',
  'X509:<S>CN=a,O=b,DC=com',
  'X509:<S>C=US,O=b,DC=com',
  'X509:<S>O=b,DC=com,CN=a',
  'X509:<S>CN=a SN=b,DC=com',
  'X509:<S>CN=a DC=b,O=x',
  'X509:<S>CN=a,CN=b DC=com',
  'X509:<I>CN=CA,C=US<S>C=US,CN=x',
  'X509:<S>/C=US',
  'X509:<S> /C=US/CN=a b/O=x,y',
  'X509:<S>/C=US/CN=a;b',
  'X509:<S>/C=US/CN=a/b',
  'X509:<S>C=US/CN=a',
  'X509:<S>1/C=US',
  'X509:<S>C=US,CN=a/b',
  'X509:<S>C=US,CN=a;b',
  'X509:<S>C=US ; CN=x',
  'X509:<S>C=US , CN=x',
  'X509:<S>C=US  ,CN=x',
  'X509:<S>C=US,\tCN=x',
  'X509:<S>C=US,CN\t=x',
  'X509:<S>C=US,CN=\tx',
  'X509:<S>C=US, ',
  'X509:<S>C=US,',
  'X509:<S>C=US,CN="x" ',
  'X509:<S>C=US,CN="x,y" ',
  'X509:<S>C=US,CN="x,y"z',
  'X509:<S>C=US,CN="x,y" SN=z',
  'X509:<S>C=US,CN="x,y"  SN=z',
  'X509:<S>C=US,CN="x,y" + SN=z',
  'X509:<S>C=US,CN="x,y" ,SN=z',
  'X509:<S>C=US,CN="x,y"SN=z',
  'X509:<S>C=US,CN=x  SN=y',
  'X509:<S>C=US,CN=x +SN=y',
  'X509:<S>C=US,CN=x+ SN=y',
  'X509:<S>C=US,CN=x +y',
  'X509:<S>C=US,CN=x drink=y',
  'X509:<S>C=US,CN=x 1.2.3=y',
  'X509:<S>C=US,CN=x,drink=y',
  'X509:<S>C=US,CN=x y',
  'X509:<S>C=US,CN=#04',
  'X509:<S>C=US,CN=#040',
  'X509:<S>C=US,CN=a#04',
  'X509:<S>C=US,CN="#04"',
  'X509:<S>C=US,CN=#AB',
  'X509:<S>C=US,CN=a=b',
  'X509:<S>C=US,CN=a<b',
  'X509:<S>C=US,CN=a>b',
  'X509:<S>C=US,CN=a\nb',
  'X509:<S>C=US,CN=" a"',
  'X509:<S>C=US,CN="a "',
  'X509:<S>C=US,CN="a b"',
  'X509:<S>C=US,CN=""',
  'X509:<S>C=US,CN="a""b',
  'X509:<S>C=US,CN="a""',
  'X509:<S>C=US,CN=',
  'X509:<S>CN=,C=US',
  'X509:<S>C=US,=x',
  'X509:<S>C=US,1.2=x',
  'X509:<S>C=US,1=x',
  'X509:<S>C=US,oid.2.5.4.3=x',
  'X509:<S>C=US,OID.1.2.3=x',
  'X509:<S>C=US,1.2.=x',
  'X509:<S>C=US,a-b=x',
  'X509:<S>C=US,cn=x',
  'X509:<S>C=US,CN=a\\+b',
  'X509:<S>C=US,CN=a\\"b',
  'X509:<S>C=US,CN=a\\;b',
  'X509:<S>C=US,CN=a\\=b',
  'X509:<S>C=US,CN=a\\#b',
  'X509:<S>C=US,CN=a\\>b',
  'X509:<S>C=US,CN=a\\,CN=b',
  'X509:<S>C=US,CN=a\\, OID.1.2=b',
  'X509:<S>C=US,CN=a\\,b=',
  'X509:<S>C=US,CN=a\\,b\\',
  'X509:<S>C=US,CN=\\ a\\ ,O=x',
  'X509:<S>C=US,CN=a\\,b ,O=x',
  'X509:<S>C=US,CN=a\\,b\\20,O=x',
  'X509:<S>C=US,CN="a\\,b"',
  'X509:<S>C=US,CN="a""\\,b",O=x',
  'X509:<S>C=US,CN=\\c3\\b6\\C3\\A4',
  'X509:<S>C=US,CN=\\c3',
  'X509:<S>C=US,CN=\\73\\b6',
  'X509:<S>C=US,CN=\\c3\\76',
  'X509:<S>C=US,CN=a\\3db',
  'X509:<S>C=US,CN=a\\22b',
  'X509:<S>C=US,CN=a\\41b',
  'X509:<S>C=US,CN=LAB\\,x',
];

await t.test('what is read and said of each value is as before, to the letter', async (t) => {
  const short = (text: string) => (text.length > 300 ? `${text.slice(0, 60)}...` : text);
  const told = (faults: readonly { readonly code: string; readonly text: string }[]) =>
    faults.map(({ code, text }) => `  ${code}: ${short(JSON.stringify(text))}`);
  const lines = [...alone.map(([value]) => value), ...edges].flatMap((value) => {
    const { form, strength, faults, corrected, parts } = diagnoseParts(value);
    const read = parts.map(({ hex, name, ...part }) => [
      part.tag,
      part.corrected,
      hex,
      name === null ? null : `${name.order} ${name.certain}`,
    ]);
    return [`${short(JSON.stringify(value))} ${form} ${strength}`, ...told(faults)].concat(
      corrected === null ? [] : `  corrected ${JSON.stringify(corrected)}`,
      parts.length === 0 ? [] : `  parts ${short(JSON.stringify(read))}`,
    );
  });
  const beside = [...rows.map(([value]) => value), ...likenesses].flatMap((value) => {
    const { faults, corrected } = diagnoseAgainst(value, own, candidates);
    return [JSON.stringify(value), ...told(faults)].concat(
      corrected === null ? [] : `  corrected ${JSON.stringify(corrected)}`,
    );
  });
  const text = [...lines, '', 'beside a certificate', ...beside, ''].join('\n');
  t.strictSame(text.split('\n'), readFileSync(new URL('cases/values/told.txt', import.meta.url), 'utf8').split('\n'));
});

await t.test('names of attributes that others write are put right', async (t) => {
  for (const [written, right] of otherNames) {
    const value = `X509:<S>C=US,${right}=a`;
    t.equal(diagnoseValue(`X509:<S>C=US,${written}=a`).corrected, value, written);
    t.strictSame(diagnoseValue(value).faults, [], right);
  }
});
