/**
 * What is told about mistakes: of a stored value by itself, beside a certificate, and in the whole story with what to change.
 */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import type { Dn, Millis, Sid } from '../src/base/brand.ts';
import { adviceFor } from '../src/admin/advice.ts';
import { findNamedAccount } from '../src/admin/named-account.ts';
import { verdict, verdictCodes } from '../src/base/verdict.ts';
import { storyOf } from '../src/cli/explain-story.ts';
import { jsonText } from '../src/cli/terminal.ts';
import { wrapText } from '../src/cli/text-wrapping.ts';
import type { Directory } from '../src/directory/directory.ts';
import { candidatesOf } from '../src/mapping/candidates.ts';
import { diagnoseAgainst } from '../src/mapping/certificate-diagnosis.ts';
import { defaultMappingSettings } from '../src/mapping/mapper-contract.ts';
import { diagnoseValue, longestValue } from '../src/mapping/value-diagnosis.ts';
import { certificateFaultCodes, valueFaultCodes } from '../src/mapping/value-fault.ts';
import { writeCertificate, type WrittenCertificate } from './support/certificate-writer.ts';
import { authorityOf, explainScene, tellOf, type Scene } from './support/explain-world.ts';
import { createFakeDirectory, fakeAccount, type FakeDirectory } from './support/fake-directory.ts';
import { parsed } from './support/mapping-cases.ts';

interface ExplainCase extends Scene {
  readonly claim: string;
  readonly expect: {
    readonly verdict: string;
    /** Must be told, whatever the line breaks. */
    readonly says: string;
    /** Must be among the advice. */
    readonly value: string | null;
    /** What somebody does who follows it. */
    readonly remedy: 'replace' | 'add' | 'remove' | 'publish';
  };
}

const folder = new URL('cases/explain/', import.meta.url);

for (const name of readdirSync(folder)) {
  const one = JSON.parse(readFileSync(new URL(`${name}/case.json`, folder), 'utf8')) as ExplainCase;
  await t.test(`mistake: ${name}: ${one.claim}`, async (t) => {
    const { verdict, says, value } = one.expect;
    const told = await explainScene(one);
    t.equal(told.verdict.code, verdict, told.verdict.text);
    const text = tellOf(told);
    t.equal(text, readFileSync(new URL(`${name}/expected.txt`, folder), 'utf8'), 'told as before');
    t.ok(text.replaceAll(/\s+/g, ' ').includes(says), `names the mistake: ${says}`);
    if (value !== null)
      t.ok(
        told.advice.some((advice) => advice.value === value),
        `advises ${value}`,
      );
    const cured = await explainScene(remedied(one));
    t.equal(cured.verdict.code, 'authorised', cured.verdict.text);
    t.match(cured.verdict.text, /^LAB\\alice by /);
  });
}

function remedied(one: ExplainCase): Scene {
  const { remedy, value } = one.expect;
  if (remedy === 'publish') return { ...one, published: true };
  if (remedy === 'remove') return { ...one, accounts: one.accounts.slice(0, 1) };
  const [first = { name: '' }] = one.accounts;
  const kept = remedy === 'add' ? (first.altSecurityIdentities ?? []) : [];
  return { ...one, accounts: [{ ...first, altSecurityIdentities: [...kept, value ?? ''] }] };
}

const serial = '2b0000000011ac0000000012';
const base: WrittenCertificate = {
  issuer: ['DC=test', 'DC=example', 'DC=lab', 'CN=Lab CA'],
  subject: ['DC=test', 'CN=alice'],
  serial,
  subjectKeyIdentifier: '49acade06530c4cea009035bad4a7b495ec96cb4',
};

function leafOf(more: Partial<WrittenCertificate> = {}) {
  return parsed(writeCertificate({ ...base, ...more }));
}

const I = 'DC=test,DC=example,DC=lab,CN=Lab CA';

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

await t.test('a value beside a certificate', async (t) => {
  const leaf = leafOf({ rfc822Names: ['alice@x.test'], sid: 'S-1-5-21-1-2-3-4' });
  const candidates = candidatesOf(leaf, defaultMappingSettings);
  const right = `X509:<I>${I}<SR>1200000000ac11000000002b`;
  const thumbprint = `X509:<SHA1-PUKEY>${leaf.thumbprint}`;
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
    [`X509:<SKI>${leaf.thumbprint}`, ['otherKeyIdentifier'], null],
    ['X509:<SKI>ab', ['otherKeyIdentifier'], null],
    [`X509:<SHA1-PUKEY>${reversed(leaf.thumbprint)}`, ['otherSpelling'], thumbprint],
    ['X509:<SHA1-PUKEY>49acade06530c4cea009035bad4a7b495ec96cb4', ['keyHash'], thumbprint],
    [`X509:<SHA1-PUKEY>${'ab'.repeat(20)}`, ['otherHash'], null],
    [`X509:<SHA1-PUKEY>${'ab'.repeat(32)}`, ['hashLength', 'otherHash'], null],
    [`X509:<I>${I}<SID>S-1-5-21-1-2-3-5`, ['otherSid'], null],
    ['X509:<RFC822>bob@x.test', ['otherMail'], null],
    ['X509:<RFC822> alice@x.test', ['blanks'], 'X509:<RFC822>alice@x.test'],
    ['X509:<S>', ['emptyPart'], null],
    ['X509:<S>CN=bob, DC=test', ['blanks', 'ldapOrder', 'otherSubject'], null],
  ];
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

await t.test('an account is found by any of its names, in any forest', async (t) => {
  const west = {
    dnsName: 'west.example.test',
    netbiosName: 'WEST',
    upnSuffixes: ['west.example.test', 'corp.example'],
  };
  const lab = createFakeDirectory({
    accounts: [
      { name: 'LAB\\alice', rid: 1, upn: 'a.liddell@corp.example' },
      { name: 'LAB\\twin', rid: 2 },
      { name: 'LAB\\pc1$', rid: 3 },
      { name: 'LAB\\älgar', rid: 4 },
    ].map(fakeAccount),
  });
  const other = createFakeDirectory({
    domains: [west],
    accounts: [
      { name: 'WEST\\walter', rid: 5, sid: 'S-1-5-21-9-9-9-5' },
      { name: 'WEST\\twin', rid: 6, sid: 'S-1-5-21-9-9-9-6' },
    ].map(fakeAccount),
  });
  const directory: Directory = { forests: [lab, other], health: async () => [], close: async () => {} };
  const find = async (name: string) => {
    const found = await findNamedAccount(name, directory, 1000 as Millis);
    return found.kind === 'found' ? found.account.name : found.problem;
  };
  for (const name of [
    'alice',
    'ALICE',
    'LAB\\alice',
    'lab.example.test\\Alice',
    'alice@lab.example.test',
    'alice@corp.example',
    'A.Liddell@corp.example',
  ])
    t.equal(await find(name), 'LAB\\alice', name);
  for (const name of ['walter', 'west\\walter', 'walter@corp.example']) t.equal(await find(name), 'WEST\\walter', name);
  t.match(await find('twin'), /stands for LAB\\twin \(forest lab\.example\.test\) and WEST\\twin/);
  t.equal(await find('WEST\\twin'), 'WEST\\twin');
  t.match(await find('twin@corp.example'), /stands for/);
  t.match(await find('ghost'), /no such account; names of computers end in \$/);
  t.equal(await find('LAB\\pc1$'), 'LAB\\pc1$');
  t.match(await find('EAST\\alice'), /no forest that is configured has a domain EAST/);
  t.match(await find('algar'), /no such account/, 'what a controller takes for equal is not enough');
  t.match(await find('alice@nowhere.test'), /no such account/);
  t.match(await find('@lab.example.test'), /no such account/);

  other.mood = 'silent';
  t.match(await find('alice'), /forest west\.example\.test: .*ECONNREFUSED/, 'silence is not absence');
  t.equal(await find('LAB\\alice'), 'LAB\\alice', 'who is not asked may be silent');
  other.mood = 'well';
  other.domainsMood = 'silent';
  t.match(await find('LAB\\alice'), /never read/, 'nor is it known whether it has that domain');
});

const alice = { name: 'LAB\\alice', rid: 1105 } as const;
const good = `X509:<I>${I}<SR>1200000000ac11000000002b`;

await t.test('the story of a certificate tells each search, what came back and why it counts', async (t) => {
  const told = await explainScene({
    certificate: base,
    accounts: [{ ...alice, altSecurityIdentities: [good, 'vendor:x', 'X509:<SKI>ab'] }],
    account: 'alice',
  });
  const story = storyOf(told, (_style, text) => text).join('\n');
  for (const part of [
    /^Certificate$/m,
    /^Looked for$/m,
    /^ {2}\+ X509IssuerSerialNumber \(strong\): X509:<I>/m,
    /^ {2}map +searched: dc\.test/m,
    /^ {2}map +strong: /m,
    /^Account$/m,
    /^ {2}LAB\\alice {2}S-1-5-21/m,
    /^Values of LAB\\alice$/m,
    /stands for this certificate$/m,
    /not a value for certificates; it is ignored$/m,
    /the key identifier is another key's/m,
    /^authorised 200: LAB\\alice by X509IssuerSerialNumber/m,
  ])
    t.match(story, part);
  t.match(told, {
    account: { groups: null },
    asked: {
      name: 'LAB\\alice',
      problem: null,
      values: [{ method: 'X509IssuerSerialNumber', faults: [] }, { form: 'foreign' }, {}],
    },
  });
});

await t.test('groups are named where a location asks for them', async (t) => {
  const account = fakeAccount({ ...alice, altSecurityIdentities: [good] });
  const [payroll, unnamed] = ['S-1-5-21-1-2-3-700' as Sid, 'S-1-5-21-1-2-3-701' as Sid];
  const directory = createFakeDirectory({ accounts: [account], issuers: [parsed(authorityOf(base.issuer)).digest] });
  directory.groups = new Map([[account.sid, new Set([unnamed, payroll])]]);
  directory.principal = async () => ({
    kind: 'found',
    principal: { sid: payroll, name: 'LAB\\Payroll', dn: 'CN=Payroll' as Dn, kind: 'group' },
  });
  directory.namesOf = async (sids) => new Map(sids.includes(payroll) ? [[payroll, 'LAB\\Payroll']] : []);
  const scene = { certificate: base, accounts: [], directory };
  const authorize = "{ groups: ['LAB\\Payroll'] }";
  const told = await explainScene({ ...scene, authorize });
  t.equal(told.verdict.code, 'authorised', told.verdict.text);
  t.strictSame(told.account?.groups, ['LAB\\Payroll', unnamed]);
  t.match(storyOf(told, (_style, text) => text).join('\n'), /^ {2}groups: LAB\\Payroll, S-1-5-21-1-2-3-701$/m);

  t.equal((await explainScene(scene)).account?.groups, null, 'not asked for');
  directory.groups = new Map([[account.sid, new Set([unnamed])]]);
  const outside = await explainScene({ ...scene, authorize });
  t.equal(outside.verdict.code, 'notAuthorised', outside.verdict.text);
  t.strictSame(outside.account?.groups, [unnamed], 'also of who is not in the one');
  t.match(outside.advice, [{ code: 'authorize' }]);
  const reporting = await explainScene({ ...scene, authorize: "{ groups: ['LAB\\Payroll'], reportOnly: true }" });
  t.equal(reporting.verdict.code, 'authorised', reporting.verdict.text);
  t.match(reporting.advice, [{ code: 'reportOnly', text: /notAuthorised/ }, { code: 'authorize' }]);
  directory.groups = new Map();
  const silent = await explainScene({ ...scene, authorize });
  t.equal(silent.verdict.code, 'groupsUnknown', silent.verdict.text);
  t.equal(silent.account?.groups, null);
});

await t.test('of several forests each search says whose it is', async (t) => {
  const issuers = [parsed(authorityOf(base.issuer)).digest];
  const lab = createFakeDirectory({ accounts: [fakeAccount({ ...alice, altSecurityIdentities: [good] })], issuers });
  const west = { dnsName: 'west.example.test', netbiosName: 'WEST', upnSuffixes: [] };
  const other = createFakeDirectory({
    domains: [west],
    issuers,
    accounts: [
      fakeAccount({
        name: 'WEST\\walter',
        sid: 'S-1-5-21-9-9-9-5',
        altSecurityIdentities: ['X509:<S>CN=alice,DC=test'],
      }),
    ],
  });
  const directory: Directory = { forests: [lab, other], health: async () => [], close: async () => {} };
  const told = await explainScene({ certificate: base, accounts: [], directory, account: 'WEST\\walter' });
  const searches = told.steps.filter(({ outcome }) => outcome === 'searched').map(({ detail }) => detail);
  t.match(searches, [/^forest lab\.example\.test: dc\.test/, /^forest west\.example\.test: dc\.test/]);
  t.match(told.asked, { name: 'WEST\\walter', values: [{ corrected: 'X509:<S>DC=test,CN=alice' }] });
  t.ok(told.advice.some(({ code }) => code === 'otherAccount'));
});

await t.test('issuers further up are looked for as well where the mapper does', async (t) => {
  const told = await explainScene({
    certificate: base,
    root: ['CN=Root'],
    accounts: [{ ...alice, altSecurityIdentities: ['X509:<I>CN=Root'] }],
    labOnly: true,
    mapping: '{ certificateMappingMethods: 0x2 }',
    account: 'alice',
  });
  t.equal(told.verdict.code, 'authorised', told.verdict.text);
  t.strictSame(
    told.candidates.filter(({ used }) => used).map(({ value }) => value),
    [`X509:<I>${I}`, 'X509:<I>CN=Root'],
  );
  t.match(told.asked?.values, [{ method: 'X509IssuerOnly', faults: [] }]);
});

await t.test('text from outside cannot steer a terminal', async (t) => {
  const evil = '\u001b[2J\u202e\u0085';
  const told = await explainScene({
    certificate: { ...base, subject: [`CN=${evil}`], upns: [`${evil}@lab.example.test`] },
    accounts: [
      {
        name: `LAB\\${evil}`,
        rid: 1105,
        upn: `a${evil}`,
        altSecurityIdentities: [`X509:<S>CN=${evil}`, evil, `X509:<${evil}>`],
      },
    ],
    account: `LAB\\${evil}`,
  });
  const asked = await explainScene({ certificate: base, accounts: [], account: evil });
  const story = [...storyOf(told, (_style, text) => text), ...storyOf(asked, (_style, text) => text)];
  for (const line of story) t.notMatch(line, /[\p{C}\p{Zl}\p{Zp}]/u, JSON.stringify(line));
  t.notMatch(jsonText(told), /[\p{C}\p{Zl}\p{Zp}]/u);
});

await t.test('an account that cannot be found is said to be that', async (t) => {
  const directory: FakeDirectory = createFakeDirectory({});
  directory.mood = 'silent';
  const told = await explainScene({ certificate: base, accounts: [], account: 'alice', directory });
  t.equal(told.verdict.code, 'directoryUnavailable');
  t.match(told.asked, { name: 'alice', problem: /ECONNREFUSED/, values: [] });
  t.match(told.advice, [{ code: 'directory', value: 'dsmapper check' }]);
  const ghost = await explainScene({
    certificate: base,
    accounts: [alice].map((one) => ({ ...one })),
    account: 'ghost',
  });
  t.match(ghost.asked?.problem, /no such account/);
  t.match(ghost.advice, [{ code: 'addValue', value: good }]);
});

await t.test('advice for whoever did not name an account, and for the wrong one', async (t) => {
  const unnamed = await explainScene({ certificate: base, accounts: [] });
  t.strictSame(
    unnamed.advice.map(({ code }) => code),
    ['addValue', 'askAccount'],
  );
  t.notOk('asked' in unnamed);
  const wrong = await explainScene({
    certificate: base,
    accounts: [
      { ...alice, altSecurityIdentities: [good] },
      { name: 'LAB\\bob', rid: 1106 },
    ],
    account: 'bob',
  });
  t.match(wrong.advice, [{ code: 'otherAccount', text: /LAB\\alice, not to LAB\\bob/, value: null }]);
  const fine = await explainScene({
    certificate: base,
    accounts: [{ ...alice, altSecurityIdentities: [good] }],
    account: 'alice',
  });
  t.strictSame(fine.advice, []);
  const loose = await explainScene({
    certificate: base,
    accounts: [{ ...alice, altSecurityIdentities: ['X509:<S>DC=test,CN=alice'] }],
    labOnly: true,
    mapping: '{ strongCertificateBindingEnforcement: 0 }',
  });
  t.equal(loose.verdict.code, 'authorised');
  t.match(loose.advice, [{ code: 'addStrong', value: good }], 'what passes only because nobody asks');
});

await t.test('every refusal of mapping comes with advice', async (t) => {
  const leaf = leafOf();
  const facts = {
    leaf,
    candidates: candidatesOf(leaf, defaultMappingSettings),
    identity: null,
    asked: null,
    askedAccount: null,
  };
  const from = verdictCodes.indexOf('accountDisabled');
  const to = verdictCodes.indexOf('upstreamFailed');
  const account = fakeAccount(alice);
  for (const code of verdictCodes.slice(from, to)) {
    const advice = adviceFor({ ...facts, verdict: verdict(code, 'why', account), mapping: defaultMappingSettings });
    t.ok(advice.length > 0, code);
    for (const { text } of advice) t.notMatch(text, /\.$|^[A-Z]/, text);
  }
  const vetoed = adviceFor({
    ...facts,
    verdict: verdict('sidMismatch', '', account),
    mapping: { ...defaultMappingSettings, sidVeto: true },
  });
  t.strictSame(
    vetoed.map(({ value }) => value),
    [null],
    'no value helps against a veto',
  );
});

await t.test('lines are broken at blanks, values are not', async (t) => {
  t.strictSame(wrapText('aaa bbb ccc', '> ', 9), ['> aaa bbb', '  ccc']);
  t.strictSame(wrapText('aaaaaaaaaaaa b', '> ', 6), ['> aaaaaaaaaaaa', '  b']);
  t.strictSame(wrapText('', '> ', 6), ['>']);
});

await t.test('the pages list every code', async (t) => {
  const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
  const page = read('docs/explain.md');
  const codesIn = (path: string) => Array.from(read(path).matchAll(/\bcode: '(\w+)'/g), ([, code = '']) => code);
  const advised = ['advice', 'fixed-advice', 'value-advice'].flatMap((name) => codesIn(`src/admin/${name}.ts`));
  t.ok(advised.length > 30);
  for (const code of [...valueFaultCodes, ...certificateFaultCodes, ...advised])
    t.ok(page.includes(`\`${code}\``), code);
  const suggesting = read('docs/map-suggest.md');
  for (const code of codesIn('src/mapping/value-suggestion.ts')) t.ok(suggesting.includes(`\`${code}\``), code);
});
