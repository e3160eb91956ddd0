/**
 * The audit of mappings: what it finds in accounts, by themselves and among each other, how it tells, and that it finds all of it and nothing
 * else in a directory of ten thousand.
 */
import t from 'tap';
import type { AuditFinding, AuditReport } from '../src/admin/audit-contract.ts';
import { createCertificateIndex, looseKey, type GivenCertificate } from '../src/admin/audit-certificates.ts';
import { createDuplicateIndex } from '../src/admin/audit-duplicates.ts';
import { audit, exitCodeOfAudit, type AuditForest, type AuditMeans } from '../src/admin/audit.ts';
import type { Dn, Instant } from '../src/base/brand.ts';
import type { Account } from '../src/base/identity.ts';
import type { ScanPiece } from '../src/directory/directory.ts';
import { csvCell, csvHead, csvRow } from '../src/cli/audit-csv.ts';
import { auditPage, safe } from '../src/cli/audit-html.ts';
import { createProgress } from '../src/cli/audit-progress.ts';
import { auditLines } from '../src/cli/audit-text.ts';
import { createAuthority } from '../src/lab/authority.ts';
import { jsonText } from '../src/cli/terminal.ts';
import { claimsOf } from '../src/mapping/candidates.ts';
import { createNtAuthNames } from '../src/admin/audit-issuers.ts';
import { defaultMappingSettings } from '../src/mapping/mapper-contract.ts';
import { parseCertificate, type Certificate } from '../src/x509/certificate.ts';
import { createFakeDirectory, fakeAccount, labDomain, labSid } from './support/fake-directory.ts';

const now = Date.parse('2026-11-22T12:00:00Z') as Instant;
const ca = await createAuthority({ subject: 'DC=test,DC=example,CN=Lab CA' });
const issuer = 'DC=test,DC=example,CN=Lab CA';

function certificate(der: Buffer): Certificate {
  const parsed = parseCertificate(der);
  if (parsed.kind !== 'parsed') throw new Error(parsed.reason);
  return parsed.certificate;
}

async function given(file: string, recipe: Parameters<typeof ca.issue>[0]): Promise<GivenCertificate> {
  const leaf = certificate((await ca.issue(recipe)).der);
  return { file, leaf, claims: claimsOf(leaf, defaultMappingSettings) };
}

function valueOf({ claims }: GivenCertificate, method: string): string {
  const found = claims.find(({ candidate }) => candidate.method === method);
  if (found === undefined) throw new Error(`no ${method}`);
  return found.candidate.value;
}

let lastRid = 2000;
function account(name: string, values: readonly string[], more: Partial<Parameters<typeof fakeAccount>[0]> = {}) {
  lastRid += 1;
  return fakeAccount({ name: `LAB\\${name}`, rid: lastRid, altSecurityIdentities: values, ...more });
}

function forestOf(accounts: readonly Account[], more: Partial<AuditForest> = {}): AuditForest {
  const fake = createFakeDirectory({ accounts });
  return {
    name: fake.name,
    domains: () => fake.domains(),
    locate: (assertions, deadline) => fake.locate(assertions, deadline),
    configured: [labDomain.dnsName],
    ntAuth: null,
    async *scan(): AsyncIterable<ScanPiece> {
      const scanned = accounts.map((account) => ({ account, gaps: [] }));
      yield { kind: 'accounts', domain: labDomain.dnsName, accounts: scanned };
    },
    ...more,
  };
}

function means(forests: readonly AuditForest[], more: Partial<AuditMeans> = {}): AuditMeans {
  return {
    source: 'test.yaml',
    forests,
    certificates: null,
    mapping: defaultMappingSettings,
    now: () => now,
    signal: new AbortController().signal,
    maximumPerCode: 1000,
    onFinding: () => {},
    onProgress: () => {},
    ...more,
  };
}

function withCertificates(all: readonly GivenCertificate[]): Pick<AuditMeans, 'certificates'> {
  return {
    certificates: { folder: 'certificates', read: all.length, unreadable: [], index: createCertificateIndex(all) },
  };
}

const auditOf = (accounts: readonly Account[], more: Partial<AuditMeans> = {}) =>
  audit(means([forestOf(accounts)], more));

function told(report: AuditReport): readonly string[] {
  return report.findings.map(({ code, account, certificate }) => `${code} ${account?.name ?? certificate ?? ''}`);
}

const strong = `X509:<I>${issuer}<SR>1200000000ac11000000002b`;

await t.test('one value after the other: what each is', async (t) => {
  const rows: readonly (readonly [value: string, code: string, problem: string | null])[] = [
    ['X509:', 'malformedValue', 'noTag'],
    ['X509:No tag here', 'malformedValue', 'noTag'],
    ['X509:<No tag close', 'malformedValue', 'unclosedTag'],
    ['X509:<>Empty tag', 'malformedValue', 'emptyTag'],
    ['X509:<I>', 'emptyPart', 'emptyPart'],
    ['X509:<S>', 'emptyPart', 'emptyPart'],
    [`X509:<I>${issuer}<S>`, 'emptyPart', 'emptyPart'],
    ['X509:<SHA1-PUKEY>This is not a hex string', 'malformedValue', 'notHex'],
    ['X509:<SHA1-PUKEY>abcde', 'malformedValue', 'oddHex'],
    ['X509:<PN>joe@example.com', 'malformedValue', 'unknownTag'],
    ['X509:<I>O=Issuer<I>O=Duplicate', 'malformedValue', 'duplicateTag'],
    ['X509:<S>CN=Subject<S>CN=A repeat', 'malformedValue', 'duplicateTag'],
    ['X509:<SKI>010203040506<SKI>0123456789abcdef', 'malformedValue', 'duplicateTag'],
    ['X509:<S>CN=Subject<I>O=Issuer', 'malformedValue', 'tagOrder'],
    ['X509:<SR>0123456789abcdef<I>O=Issuer', 'malformedValue', 'tagOrder'],
    ['X509:<SR>0123456789abcdef', 'malformedValue', 'combination'],
    ['X509:<I>O=SAMBA,CN=Intermediate CA SAMBA', 'issuerOnly', null],
    ['X509:<RFC822>test@example.com', 'weakOnly', null],
    ['X509:<S>C=US,O=Fabrikam,CN=Jeff Smith', 'weakOnly', null],
    [`X509:<I>CN=Lab CA,DC=example,DC=test<SR>1200000000ac11000000002b`, 'malformedValue', 'ldapOrder'],
    [`X509:<I>C=US,ST=Ohio,CN=CA<SR>1200000000ac11000000002b`, 'malformedValue', 'attributeName'],
    ['X509:<I>O=CA<S>C=FR,CN=CN-TEST + SN=TEST ANNUAIRE + G=CARTE 2', 'malformedValue', 'plusSign'],
    ['Kerberos:joe@EXAMPLE.COM', 'kerberosValue', null],
    ['urn:vendor:4711', 'foreignValue', null],
  ];
  for (const [value, code, problem] of rows) {
    const { findings } = await auditOf([account('joe', [value])]);
    const found = findings.filter((finding) => finding.code === code);
    t.match(found, [{ code, account: { name: 'LAB\\joe' } }], value);
    if (problem !== null) t.equal(found[0]?.problem, problem, value);
    if (code !== 'weakOnly') t.equal(found[0]?.value, value);
    t.not(found[0]?.text, '', value);
  }
  for (const value of [strong, 'X509:<SKI>0123456789abcdef', `X509:<SHA1-PUKEY>${'ab'.repeat(20)}`])
    t.strictSame((await auditOf([account('joe', [value])])).findings, [], `${value} is as it should be`);
});

await t.test('accounts with weak values only break under enforcement 2', async (t) => {
  const weak = `X509:<I>${issuer}<S>CN=joe`;
  t.strictSame(told(await auditOf([account('joe', [weak])])), ['weakOnly LAB\\joe']);
  t.strictSame(told(await auditOf([account('joe', [weak, strong])])), [], 'a strong one beside it is enough');
  const spoiled = await auditOf([account('joe', [weak, `X509:<I>C=US,ST=Ohio,CN=CA<SR>12ab`])]);
  t.match(spoiled.findings.find(({ code }) => code === 'weakOnly')?.text, 'its strong one being malformed');
  t.notMatch(told(await auditOf([account('joe', ['X509:'])])), ['weakOnly'], 'what maps nobody is not weak');

  const sid = `${labSid}-1105`;
  const confirmed = await given('joe.pem', { subject: 'CN=joe', sid });
  const joe = account('joe', [valueOf(confirmed, 'X509IssuerSubject')], { sid });
  t.strictSame(told(await auditOf([joe], withCertificates([confirmed]))), ['weakButConfirmed LAB\\joe']);
  const other = await given('other.pem', { subject: 'CN=joe', sid: `${labSid}-1106` });
  t.strictSame(told(await auditOf([joe], withCertificates([other]))), ['weakOnly LAB\\joe'], 'the SID of another');
  t.strictSame(told(await auditOf([joe], withCertificates([confirmed, other]))), ['weakOnly LAB\\joe'], 'one of two');
});

await t.test('the same value on two accounts', async (t) => {
  const twice = await auditOf([account('a', [strong]), account('b', [strong.toUpperCase()])]);
  t.match(twice.findings, [{ code: 'duplicateValue', account: { name: 'LAB\\b' }, others: ['LAB\\a'] }]);
  t.equal(exitCodeOfAudit(twice), 1);

  const [one, accents, width] = ['CN=Jose', 'CN=Jos\u00e9', 'CN=\uff2aose'].map(
    (name) => `X509:<I>O=CA,${name}<SR>1200000000ac11000000002b`,
  ) as [string, string, string];
  const loose = await auditOf([
    account('a', [one]),
    account('b', [accents]),
    account('c', [width]),
    account('d', [width]),
  ]);
  t.match(
    loose.findings.filter(({ code }) => code === 'duplicateInDirectory'),
    [
      { account: { name: 'LAB\\b' }, others: ['LAB\\a'] },
      { account: { name: 'LAB\\c' }, others: ['LAB\\a'] },
    ],
    'what only a directory takes for equal',
  );
  t.match(
    loose.findings.filter(({ code }) => code === 'duplicateValue'),
    [{ account: { name: 'LAB\\d' }, others: ['LAB\\c'] }],
    'the letter says more than the likeness',
  );

  const elsewhere = forestOf([account('x', [strong])], { name: 'other', configured: ['other.test'] });
  t.match(told(await audit(means([forestOf([account('a', [strong])]), elsewhere]))), ['duplicateValue LAB\\x']);

  const broken = await auditOf([account('a', ['X509:<S>', 'X509:']), account('b', ['X509:<S>', 'X509:'])]);
  t.notMatch(told(broken).join(), 'duplicate', 'what no certificate matches belongs to nobody twice');

  const mover = account('mover', [strong]);
  t.strictSame(told(await auditOf([mover, mover])), [], 'an account that is met again is no duplicate of itself');
});

await t.test('the memory for duplicates', async (t) => {
  const index = createDuplicateIndex(5000);
  const guidOf = (n: number) => n.toString(16).padStart(32, '0');
  for (let n = 0; n < 5000; n += 1) t.equal(index.note(`value ${n}`, { name: `LAB\\u${n}`, guid: guidOf(n) }), null);
  t.equal(index.unseen, 0);
  for (const n of [0, 1, 2499, 4999])
    t.strictSame(index.note(`VALUE ${n}`, { name: 'LAB\\late', guid: guidOf(9999) }), {
      kind: 'exact',
      name: `LAB\\u${n}`,
    });
  t.equal(index.note('one more', { name: 'LAB\\more', guid: guidOf(7777) }), null);
  t.equal(index.note('one more', { name: 'LAB\\most', guid: guidOf(8888) }), null, 'no room for it');
  t.equal(index.unseen, 2);
  const report = await audit(
    means([forestOf([account('a', [strong]), account('b', [`${strong}ff`])])], { maximumValues: 1 }),
  );
  t.match(report.notLookedAt.join('\n'), 'whether 1 values are on other accounts too');

  const many = createDuplicateIndex();
  const marks = Array.from({ length: 40 }, (_, n) => String.fromCodePoint(0x300 + n));
  for (const [n, mark] of marks.entries()) many.note(`e${mark}`, { name: `LAB\\m${n}`, guid: guidOf(n + 1) });
  t.match(
    many.note('e', { name: 'LAB\\last', guid: guidOf(999) }),
    { kind: 'directory' },
    'variants without number are one',
  );
  const repeated = many.note(`e${marks.at(-1)}`, { name: 'LAB\\again', guid: guidOf(998) });
  t.strictSame(repeated, { kind: 'directory', name: 'LAB\\m0' }, 'only so many are told apart');
});

await t.test('beside given certificates', async (t) => {
  const alice = await given('alice.pem', {
    subject: 'C=US,ST=Ohio,O=Lab,CN=alice',
    serial: '2b0000000011ac0000000012',
  });
  const bob = await given('bob.pem', { subject: 'CN=bob', serial: '0102030405' });
  const both = withCertificates([alice, bob]);
  const aliceValue = valueOf(alice, 'X509IssuerSerialNumber');

  const idle = await auditOf([account('alice', [aliceValue]), account('old', [`X509:<I>${issuer}<SR>ffee`])], both);
  t.strictSame(told(idle), ['certificateUnmapped bob.pem', 'matchesNoCertificate LAB\\old']);

  const spoiled: readonly (readonly [value: string, problem: string])[] = [
    [`X509:<I>${issuer}<SR>2b0000000011ac0000000012`, 'serialNotReversed'],
    [`X509:<I>CN=Lab CA,DC=example,DC=test<SR>1200000000ac11000000002b`, 'ldapOrder'],
    [`X509:<I>${issuer.replaceAll(',', ', ')}<SR>1200000000ac11000000002b`, 'blanks'],
  ];
  for (const [value, problem] of spoiled) {
    const { findings } = await auditOf([account('alice', [value])], both);
    t.match(
      findings.filter(({ code }) => code === 'malformedValue'),
      [{ problem, corrected: aliceValue, certificate: 'alice.pem', value }],
      value,
    );
  }
  const subject = valueOf(alice, 'X509SubjectOnly');
  const { findings } = await auditOf([account('alice', [subject.replace('S=Ohio', 'ST=Ohio')])], both);
  t.match(findings[0], { code: 'malformedValue', problem: 'attributeName', corrected: subject });

  const strangers = await auditOf([account('mallory', ['X509:<S>C=US,S=Ohio,O=Lab,CN=malice'])], both);
  t.notOk(
    strangers.findings.some(({ corrected }) => corrected !== null),
    'a value of somebody else is never corrected to a given certificate',
  );
});

await t.test('to whom certificates belong, by names too', async (t) => {
  const named = await given('named.pem', { subject: 'CN=named', upn: 'named@lab.example.test' });
  const value = valueOf(named, 'X509SKI');
  const owner = account('named', []);
  const idle = await audit(means([forestOf([owner])], withCertificates([named])));
  t.strictSame(told(idle), [], 'found by its UPN, though no value is stored');

  const shared = await auditOf([owner, account('thief', [value])], withCertificates([named]));
  t.match(shared.findings, [
    { code: 'certificateAmbiguous', certificate: 'named.pem', others: ['LAB\\thief', 'LAB\\named'] },
  ]);

  const accented = account('n\u00e1med', [], { upn: 'n\u00e1med@lab.example.test' });
  const alike = await audit(means([forestOf([accented])], withCertificates([named])));
  t.strictSame(told(alike), ['certificateUnmapped named.pem'], 'what only the directory takes for equal is nobody');

  const fake = createFakeDirectory({ accounts: [] });
  fake.mood = 'silent';
  const silent = forestOf([], { locate: (assertions, deadline) => fake.locate(assertions, deadline) });
  const unknown = await audit(means([silent], withCertificates([named])));
  t.strictSame(told(unknown), [], 'a directory that is silent never means nobody');
  t.match(unknown.notLookedAt.join('\n'), 'to whom the names in some certificates belong');
});

await t.test('accounts that cannot log on, values of others, issuers that may not name anybody', async (t) => {
  const report = await auditOf([
    account('gone', [`${strong}01`], { disabled: true, userAccountControl: 0x202 }),
    account('late', [`${strong}02`], { expires: '2026-01-01T00:00:00Z' }),
    account('krbtgt', [`${strong}03`], { kind: 'other' }),
    account('well', [`X509:<I>${issuer}<SID>${labSid}-999`]),
    account('empty', [], { disabled: true }),
  ]);
  t.strictSame(told(report), [
    'sidMismatch LAB\\well',
    'accountDisabled LAB\\gone',
    'accountExpired LAB\\late',
    'accountNeverLogsOn LAB\\krbtgt',
  ]);
  const ntAuth = createNtAuthNames([certificate(ca.der)], 'ldaps://dc.test');
  const store = forestOf(
    [
      account('in', [strong, strong.toLowerCase()]),
      account('out', ['X509:<I>O=Other CA<SR>ab']),
      account('like', [`X509:<I>${issuer}2<SR>ab`]),
      account('none', ['X509:<SKI>ab']),
    ],
    { ntAuth },
  );
  t.strictSame(told(await audit(means([store]))), ['issuerNotInNtAuth LAB\\out', 'issuerNotInNtAuth LAB\\like']);
});

await t.test('a scan that does not come to its end is never a good one', async (t) => {
  const failing = forestOf([], {
    configured: ['lab.example.test', 'child.lab.example.test'],
    async *scan(): AsyncIterable<ScanPiece> {
      yield { kind: 'accounts', domain: 'lab.example.test', accounts: [{ account: account('a', [strong]), gaps: [] }] };
      yield { kind: 'failed', domain: 'child.lab.example.test', reason: 'the cookie is not taken any more' };
    },
  });
  const bob = await given('bob.pem', { subject: 'CN=bob' });
  const report = await audit(means([failing], withCertificates([bob])));
  t.equal(report.complete, false);
  t.equal(exitCodeOfAudit(report), 3);
  t.match(report.domains, [
    { domain: 'lab.example.test', accounts: 1, values: 1, missing: null },
    { domain: 'child.lab.example.test', accounts: 0, missing: 'the cookie is not taken any more' },
  ]);
  t.notMatch(told(report).join(), 'certificateUnmapped', 'nobody knows whom the certificate belongs to');
  t.match([...auditPage(report)].join(''), /role="alert".*not complete.*the cookie is not taken/s);
  t.match([...auditLines(report)].join('\n'), 'not all of it: the cookie is not taken any more');

  const interrupted = AbortSignal.abort();
  t.equal(exitCodeOfAudit(await auditOf([account('a', [strong])], { signal: interrupted })), 3, 'interrupted');

  const gap = forestOf([], {
    async *scan(): AsyncIterable<ScanPiece> {
      const accounts = [{ account: account('a', [strong]), gaps: ['there are more than 1500 values'] }];
      yield { kind: 'accounts', domain: 'lab.example.test', accounts };
    },
  });
  const torn = await audit(means([gap]));
  t.strictSame(told(torn), ['notReadWhole LAB\\a']);
  t.equal(exitCodeOfAudit(torn), 3);

  const blank = { sid: 'S-1-0-0', guid: '0'.repeat(32), kind: 'other' } as const;
  const hidden = forestOf([], {
    async *scan(): AsyncIterable<ScanPiece> {
      const values = [strong, `X509:<I>${issuer}<SID>${labSid}-1105`];
      const accounts = ['a', 'b'].map((name) => ({
        account: account(name, values, blank),
        gaps: ['objectSid is missing', 'objectGUID is missing'],
      }));
      yield { kind: 'accounts', domain: 'lab.example.test', accounts };
    },
  });
  t.strictSame(
    told(await audit(means([hidden]))),
    ['duplicateValue LAB\\b', 'duplicateValue LAB\\b', 'notReadWhole LAB\\a', 'notReadWhole LAB\\b'],
    'what was not read is nobody in particular, and proves nothing',
  );
});

await t.test('exit codes: notes call for nothing', async (t) => {
  t.equal(exitCodeOfAudit(await auditOf([account('a', [strong])])), 0);
  t.equal(exitCodeOfAudit(await auditOf([account('a', ['Kerberos:a@B'])])), 0);
  t.equal(exitCodeOfAudit(await auditOf([account('a', ['X509:'])])), 1);
});

await t.test('what is left out is counted, and a listener hears all of it', async (t) => {
  const accounts = Array.from({ length: 7 }, (_, n) => account(`u${n}`, [`X509:<RFC822>u${n}@example.test`]));
  const heard: AuditFinding[] = [];
  const report = await auditOf(accounts, { maximumPerCode: 3, onFinding: (finding) => void heard.push(finding) });
  t.equal(heard.length, 7);
  t.strictSame([report.counts, report.leftOut, report.findings.length], [{ weakOnly: 7 }, { weakOnly: 4 }, 3]);
  t.match([...auditLines(report)].join('\n'), 'and 4 more that are not shown; --csv FILE has them all');
  t.match([...auditPage(report)].join(''), 'not on this page: 4 of weakOnly');
});

await t.test('progress: one line written over on a terminal, one in five seconds elsewhere', async (t) => {
  const writtenBy = (terminal: boolean): readonly string[] => {
    let at = 0;
    const written: string[] = [];
    const progress = createProgress({ monotonic: () => at, terminal, write: (text) => void written.push(text) });
    for (let tick = 0; tick <= 109; tick += 1) {
      at = tick * 100;
      progress.tell({ domain: 'lab.test', accounts: tick * 3, findings: tick });
    }
    progress.end();
    return written;
  };
  t.strictSame(writtenBy(false), [
    'audit: 150 accounts, 50 findings, 30/s, now lab.test\n',
    'audit: 300 accounts, 100 findings, 30/s, now lab.test\n',
  ]);
  const lines = writtenBy(true);
  t.equal(lines[0], '\r\u001b[Kaudit: 6 accounts, 2 findings, 30/s, now lab.test');
  t.equal(lines.length, 55);
  t.equal(lines.at(-1), '\r\u001b[K', 'the line is taken away');
});

const hostile = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "'; alert(1); '",
  '&lt;b&gt;',
  '=HYPERLINK("http://evil.test","x")',
  '+1+1',
  '-1+1',
  '@SUM(A1)',
  '\t=1',
  '\r=1',
  ' =1',
  '\uff1d1+1',
  '\u001b[2J\u001b]0;owned\u0007',
  '\u202egnp.exe',
  '\u2066\u2069\u200f\ufeff\u00ad',
  'a\r\nb,"c"',
  '\u2028\u2029',
];

await t.test('hostile text in every output', async (t) => {
  const accounts = hostile.flatMap((text, n) => [
    { ...account(text, [`X509:<S>CN=${text}`, text]), dn: `CN=${text}` as Dn },
    account(`twin${n}`, [`X509:<S>CN=${text}`]),
  ]);
  const rows: string[] = [csvHead()];
  const report = await auditOf(accounts, {
    source: hostile.join(),
    onFinding: (finding) => void rows.push(csvRow(finding)),
  });
  t.ok(report.findings.length > hostile.length);
  const raw = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

  for (const line of auditLines(report)) {
    // eslint-disable-next-line no-control-regex
    const plain = line.replaceAll(/\u001b\[\d+m/g, '');
    t.notMatch(plain, raw);
    if (plain.length > 80) t.fail(`${plain.length} columns: ${plain}`);
  }
  const page = [...auditPage(report)].join('');
  const [before = '', after = ''] = page.split('<script>');
  t.equal(page.split('<script>').length, 2, 'one script, our own');
  t.notMatch(before.replaceAll('\n', ''), raw);
  t.notMatch(before, /<img|onerror=alert\(1\)>|<b>gt/);
  t.match(after, /<\/script>\n<\/body>\n<\/html>\n$/);
  t.match(
    page,
    /default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'/,
  );
  t.notMatch(page, /https?:\/\/(?!evil)|src=(?!x on)|href=/, 'nothing is fetched');

  t.notMatch(jsonText(report), raw);
  t.strictSame(JSON.parse(jsonText(report)), JSON.parse(JSON.stringify(report)));

  for (const row of rows) {
    t.match(row, /^(?:"(?:[^"\r\n]|"")*"(?:,|\r\n)){11}$/, 'RFC 4180');
    t.notMatch(row.slice(0, -2), raw);
    t.notMatch(row, /(?:^|,)"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/u, 'no cell is a formula');
  }
  t.equal(csvCell('=1'), `"'=1"`);
  t.equal(csvCell('a "b"'), '"a ""b"""');
  t.equal(safe(`<&>"'\``), '&#60;&#38;&#62;&#34;&#39;&#96;');
});

await t.test('words of a value, and how long it takes to look at a bad one', async (t) => {
  t.equal(looseKey('X509:<I>CN=a, O=b<SR>0102'), looseKey('x509:<i>o=B,cn=A<sr>0201'));
  t.not(looseKey('X509:<S>CN=alice,O=b'), looseKey('X509:<S>O=alice,CN=b'));
  t.not(looseKey('X509:<I>CN=a<S>CN=b'), looseKey('X509:<I>CN=b<S>CN=a'));
  for (const text of [
    ' '.repeat(200_000),
    'a'.repeat(200_000),
    'a='.repeat(100_000),
    '<'.repeat(200_000),
    '<s>'.repeat(70_000),
  ])
    await auditOf([account('joe', [`X509:<S>${text}`])]);
  t.pass('the time-out of the test would tell');
});
