/**
 * Values to write for a certificate, and that what is printed can be pasted whoever made the certificate: PowerShell, LDIF, CSV.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ldifAddition, ldifLine } from '../src/cli/ldif.ts';
import { csvOf, ldifOf, powerShellOf, type Target } from '../src/cli/map-suggest-text.ts';
import { powerShellLiteral } from '../src/cli/powershell-literal.ts';
import { candidatesOf } from '../src/mapping/candidates.ts';
import { defaultMappingSettings, type MappingSettings } from '../src/mapping/mapper-contract.ts';
import { suggestValues } from '../src/mapping/value-suggestion.ts';
import { pemOf, writeCertificate, type WrittenCertificate } from './support/certificate-writer.ts';
import { within } from './support/command.ts';
import { parsed } from './support/mapping-cases.ts';

const base: WrittenCertificate = {
  issuer: ['DC=test', 'DC=lab', 'CN=Lab CA'],
  subject: ['DC=test', 'CN=alice'],
  serial: '00f1a2b3',
};
const bySerial = 'X509:<I>DC=test,DC=lab,CN=Lab CA<SR>b3a2f1';

function suggest(more: Partial<WrittenCertificate> = {}, settings: Partial<MappingSettings> = {}) {
  const leaf = parsed(writeCertificate({ ...base, ...more }));
  return suggestValues(leaf, candidatesOf(leaf, { ...defaultMappingSettings, ...settings }));
}

const user: Target = {
  name: 'LAB\\alice',
  identity: 'CN=alice,DC=lab,DC=test',
  dn: 'CN=alice,DC=lab,DC=test',
  kind: 'user',
};

/** What somebody else might put into a certificate or a directory to have it run, split or hidden. */
const hostile: readonly string[] = [
  "'",
  '\u2018',
  '\u2019',
  '\u201a',
  '\u201b',
  "'; Remove-ADUser alice; '",
  '\u2019); Stop-Computer; @(\u2018',
  '$(Stop-Computer)',
  '`n',
  '"; Stop-Computer; "',
  '\u201c\u201d\u201e',
  '#',
  '@{}',
  '%PATH%',
  '\\',
  "''\u2019'\u2018",
  'Älice ≯坛 😀',
  ' blank ',
  ':colon',
  '<url',
  'dn: CN=evil',
  '-',
];

/** Nothing of these may be pasted: they end a line, hide, or turn the reading direction. */
const unprintable = [
  '\n',
  '\r',
  '\r\n',
  '\0',
  '\t',
  '\u001b[2J',
  '\u0085',
  '\u2028',
  '\u2029',
  '\u202e',
  '\u200b',
  '\u00ad',
  '\ud800',
  '\ufeff',
];

await t.test('strong values come first, each with what it survives', async (t) => {
  const { values, warnings } = suggest({
    subjectKeyIdentifier: '0a0b',
    sid: 'S-1-5-21-1-2-3-4',
    rfc822Names: ['a@x.test', 'b@x.test'],
    upns: ['alice@x.test'],
  });
  t.strictSame(
    values.map(({ method, survives }) => [method, ...Object.values(survives)].join(' ')),
    [
      'X509IssuerSerialNumber no no no',
      'X509SKI yes no usually',
      'X509SHA1PublicKey no no no',
      'X509IssuerSid yes yes no',
      'X509IssuerSubject yes yes no',
      'X509SubjectOnly yes yes yes',
      'X509RFC822 yes yes yes',
      'X509RFC822 yes yes yes',
    ],
  );
  t.equal(values[0]?.value, bySerial, 'of two spellings of a serial number the one without sign octet');
  t.strictSame(
    values.map(({ warnings }) => warnings.map(({ code }) => code).join()),
    [
      'breaksOnRenewal',
      'requesterChooses',
      'breaksOnRenewal',
      'needsUpdates',
      'weak',
      'weak,anyIssuer',
      'weak,anyIssuer',
      'weak,anyIssuer',
    ],
  );
  t.strictSame(
    warnings.map(({ code }) => code),
    ['hasUpn'],
  );
});

await t.test('warnings about the certificate as a whole', async (t) => {
  t.strictSame(
    suggest().warnings.map(({ code }) => code),
    ['noneSurvivesRenewal'],
  );
  t.strictSame(suggest({ subjectKeyIdentifier: '0a' }).warnings, []);
  const none = suggest({}, { certificateMappingMethods: 0x1 });
  t.strictSame(
    none.values.map(({ strength }) => strength),
    ['weak'],
  );
  t.strictSame(
    none.warnings.map(({ code }) => code),
    ['noStrongForm'],
  );
  const hidden = suggest({ subject: ['CN=a\u200blice'] }).values.filter(({ method }) => method === 'X509SubjectOnly');
  t.match(hidden, [{ warnings: [{}, {}, { code: 'invisibleCharacter' }] }]);
});

await t.test('warnings say what they are about', async (t) => {
  const { values, warnings } = suggest({
    subject: ['CN=a\u200blice'],
    subjectKeyIdentifier: '0a0b',
    sid: 'S-1-5-21-1-2-3-4',
    rfc822Names: ['a@x.test'],
    upns: ['a@x.test', 'b@x.test'],
  });
  const texts = new Set([
    ...values.flatMap((value) => value.warnings.map(({ text }) => text)),
    ...[warnings, suggest().warnings, suggest({}, { certificateMappingMethods: 0x1 }).warnings].flatMap((list) =>
      list.map(({ text }) => text),
    ),
  ]);
  t.strictSame(
    [...texts],
    [
      'it stands for this one certificate: each renewal needs a new value',
      'where a CA copies the key identifier from the request, whoever requests a certificate chooses it',
      'in spite of its name it is the hash of the whole certificate: each renewal needs a new value, with the same key too',
      'only domain controllers of Windows Server 2022 or 2025 with the updates of 2025 know it; Samba does not',
      "refused under full enforcement unless the certificate has the account's SID (KB5014754)",
      'it has characters that nobody sees: write it as LDIF',
      'every CA that is trusted for logon can issue a certificate of that subject',
      'every CA that is trusted for logon can issue a certificate of that address',
      'the certificate has the user principal name a@x.test, b@x.test: where that leads to another account, nobody is mapped',
      'no strong value survives a renewal: the certificate has neither a subject key identifier nor a SID',
      'the settings in force look for no strong form of this certificate',
    ],
  );
});

await t.test('a PowerShell literal is the text and nothing else', async (t) => {
  for (const text of ['', 'plain', ...hostile]) {
    const literal = powerShellLiteral(text);
    t.strictSame(literalsOf(literal ?? ''), { texts: [text], rest: '*' }, JSON.stringify(literal));
  }
  for (const text of unprintable) t.equal(powerShellLiteral(`a${text}b`), null, pointsOf(text));
});

await t.test('the whole command has hostile texts only in literals', async (t) => {
  for (const text of hostile) {
    const values = [`X509:<S>CN=${text}`, `X509:<RFC822>${text}`];
    const target = { ...user, identity: `CN=${text},DC=lab`, dn: `CN=${text},DC=la${text}b,DC=test` };
    const command = powerShellOf({ target, values }) ?? '';
    const { texts, rest } = literalsOf(command);
    t.match(rest, /^Set-ADUser -Identity \*(?: -Server \*)? -Add @\{altSecurityIdentities=@\(\*,\*\)\}$/, command);
    t.equal(texts[0], target.identity);
    t.strictSame(texts.slice(-2), values);
  }
  for (const text of unprintable) {
    t.equal(powerShellOf({ target: user, values: [`X509:<S>CN=${text}`] }), null, pointsOf(text));
    t.equal(powerShellOf({ target: { ...user, identity: text }, values: [bySerial] }), null, pointsOf(text));
    t.equal(powerShellOf({ target: { ...user, dn: `CN=a,DC=${text}` }, values: [bySerial] }), null, pointsOf(text));
  }
});

await t.test('the command is for the kind of account and its own domain', async (t) => {
  t.equal(
    powerShellOf({ target: user, values: [bySerial] }),
    `Set-ADUser -Identity 'CN=alice,DC=lab,DC=test' -Server 'lab.test' -Add @{altSecurityIdentities=@('${bySerial}')}`,
  );
  const computer: Target = { name: 'pc1$', identity: 'pc1$', dn: null, kind: 'computer' };
  t.match(powerShellOf({ target: computer, values: [bySerial] }), /^Set-ADComputer -Identity 'pc1\$' -Add @/);
  t.match(powerShellOf({ target: null, values: [bySerial] }), /-Identity '<account>' /, 'nobody can be called that');
});

/** No package of Debian has it, so that it is nobody's to be installed; the rules of the literal are tested above. */
const pwshMissing = commandSkip('pwsh', ['-v']);
await t.test('PowerShell itself reads the literals, where it is', async (t) => {
  if (pwshMissing !== false) {
    t.comment(pwshMissing);
    return;
  }
  for (const text of hostile) {
    const script = `[Console]::OutputEncoding=[Text.Encoding]::UTF8;[Console]::Write([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes(${powerShellLiteral(text)})))`;
    const told = execFileSync('pwsh', ['-NoProfile', '-Command', script], { encoding: 'utf8' });
    t.equal(Buffer.from(told, 'base64').toString('utf8'), text);
  }
});

await t.test('LDIF keeps every value, in lines of 76 characters of plain text', async (t) => {
  for (const text of [
    '',
    'x'.repeat(500),
    'é'.repeat(300),
    ...hostile,
    ...unprintable.filter((one) => one !== '\ud800'),
  ]) {
    const values = [text, `X509:<S>CN=${text}`];
    const dn = `CN=${text},DC=test`;
    const ldif = ldifAddition(dn, 'altSecurityIdentities', values);
    t.match(ldif, /^[\n -~]*$/, 'nothing but printable ASCII');
    for (const line of ldif.split('\n')) t.ok(line.length <= 76, line);
    t.strictSame(readLdif(ldif), {
      dn,
      changetype: 'modify',
      add: 'altSecurityIdentities',
      altSecurityIdentities: values,
    });
  }
  for (const [value, line] of [
    ['plain', 'a: plain'],
    ['', 'a:'],
    [' x', 'a:: IHg='],
    ['x ', 'a:: eCA='],
    [':x', 'a:: Ong='],
    ['<x', 'a:: PHg='],
    ['é', 'a:: w6k='],
    ['a\nb', 'a:: YQpi'],
    ['a:b<c', 'a: a:b<c'],
  ] as const)
    t.equal(ldifLine('a', value), line);
  for (const [length, lines] of [
    [73, 1],
    [74, 2],
    [148, 2],
    [149, 3],
  ] as const)
    t.equal(ldifLine('a', 'x'.repeat(length)).split('\n').length, lines, `${length} characters`);
  t.match(ldifOf({ target: null, values: [bySerial] }), /^version: 1\n\ndn: CN=<account>\n/, 'no such name can be');
});

const samba = '/usr/bin/python3';

await t.test("Samba's reader of LDIF agrees", { skip: commandSkip(samba, ['-c', 'import ldb']) }, async (t) => {
  const texts = [
    'x'.repeat(500),
    'é'.repeat(300),
    ...hostile,
    ...unprintable.filter((one) => !['\ud800', '\0'].includes(one)),
  ];
  const values = texts.map((text) => `X509:<S>CN=${text}`);
  const script =
    'import sys,ldb,base64\n' +
    'for kind,m in ldb.Ldb().parse_ldif(sys.stdin.read()):\n' +
    ' print(kind, str(m.dn))\n' +
    ' for v in m["altSecurityIdentities"]: print(base64.b64encode(bytes(v)).decode())\n';
  const told = execFileSync(samba, ['-c', script], {
    encoding: 'utf8',
    input: ldifAddition('CN=alice,DC=test', 'altSecurityIdentities', values),
  });
  const [head, ...lines] = told.trimEnd().split('\n');
  t.match(head, /CN=alice,DC=test$/);
  t.strictSame(
    lines.map((line) => Buffer.from(line, 'base64').toString('utf8')),
    values,
  );
});

await t.test('ldapmodify takes the LDIF', { skip: commandSkip('ldapmodify', ['-VV']) }, async (t) => {
  const ldif = ldifOf({ target: user, values: hostile.map((text) => `X509:<S>CN=${text}`) });
  const told = execFileSync('ldapmodify', ['-n', '-v'], { encoding: 'utf8', input: ldif });
  t.match(told, /modifying entry "CN=alice,DC=lab,DC=test"/);
});

await t.test('no cell of the CSV is a formula', async (t) => {
  for (const start of ['=', '+', '-', '@', '\t', '\r', ' =', '\uff1d', '"=']) {
    const { values } = suggest({ rfc822Names: ['a@x.test'] });
    const target = { ...user, name: `${start}cmd|' /C calc'!A1`, dn: `${start}DC="x",y` };
    const csv = csvOf(target, values);
    t.ok(csv.endsWith('\r\n'));
    for (const line of csv.trimEnd().split('\r\n')) {
      const cells = readCsvLine(t, line);
      t.equal(cells.length, 9, line);
      for (const cell of cells) t.notMatch(cell, /^\s*[=+\-@\t\r＝]/u, cell);
    }
  }
});

await t.test('the command', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dsm-suggest-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'alice.pem');
  await writeFile(file, pemOf(writeCertificate({ ...base, subjectKeyIdentifier: '0a0b' })));
  const ask = (...words: readonly string[]) => within(t, ['map', 'suggest', file, ...words]);

  const plain = await ask('--account', 'LAB\\alice');
  t.equal(plain.code, 0);
  t.match(plain.stdout, /^ {2}X509IssuerSerialNumber \(strong\)\n {4}X509:<I>/m);
  t.ok(plain.stdout.includes(`\nSet-ADUser -Identity 'alice' -Add @{altSecurityIdentities=@('${bySerial}')}\n`));
  t.match(plain.stdout, /^dn: CN=<account>$/m, 'the distinguished name is not known');
  for (const line of plain.stdout.split('\n')) t.ok(line.length <= 80 || /X509:/.test(line), line);

  t.equal((await ask('--powershell', '--account', 'CN=alice,DC=lab')).stdout.trimEnd().split('\n').length, 1);
  const both = await ask('--ldif', '--account', 'CN=alice,DC=lab', '--method', 'X509SKI', 'X509IssuerSerialNumber');
  t.strictSame(readLdif(both.stdout.replace('version: 1\n\n', '')), {
    dn: 'CN=alice,DC=lab',
    changetype: 'modify',
    add: 'altSecurityIdentities',
    altSecurityIdentities: [bySerial, 'X509:<SKI>0a0b'],
  });
  t.equal((await ask('--csv')).stdout.split('\r\n').length, 7, 'a head and a row for each value');
  const json = JSON.parse((await ask('--json')).stdout) as object;
  t.strictSame(Object.keys(json), ['certificate', 'account', 'values', 'warnings', 'powershell', 'ldif']);
  t.match(json, { account: null, values: [{ method: 'X509IssuerSerialNumber', value: bySerial, strength: 'strong' }] });

  for (const [words, complaint] of [
    [['--ldif', '--csv'], /--ldif and --csv are different outputs/],
    [['--method', 'X509'], /there is no method X509\n/],
    [['--method', 'X509IssuerSid'], /no value of the method X509IssuerSid/],
    [['--account', 'alice@lab.example.test'], /has to be looked up/],
  ] as const) {
    const refused = await ask(...words);
    t.equal(refused.code, 2, words.join(' '));
    t.match(refused.stderr, complaint);
  }
  const unsafe = await ask('--powershell', '--account', 'al\u202eice');
  t.equal(unsafe.code, 1);
  t.match(unsafe.stderr, /cannot be pasted safely\nhint: use --ldif/);
  t.match((await ask('--account', 'al\u202eice')).stdout, /^ {2}not possible: there are characters/m);
});

/** The rules of PowerShell for single-quoted strings: five characters open and close, two together stand for the second. Literals become `*`. */
function literalsOf(script: string): { readonly texts: readonly string[]; readonly rest: string } {
  const quotes = "'\u2018\u2019\u201a\u201b";
  const isQuote = (character: string | undefined) => character !== undefined && quotes.includes(character);
  const texts: string[] = [];
  let rest = '';
  for (let at = 0; at < script.length; at += 1) {
    if (!isQuote(script[at])) {
      rest += script[at];
      continue;
    }
    let text = '';
    for (at += 1; at < script.length; at += 1) {
      if (isQuote(script[at])) {
        if (!isQuote(script[at + 1])) break;
        at += 1;
      }
      text += script[at];
    }
    texts.push(text);
    rest += '*';
  }
  return { texts, rest };
}

/** Test names with line breaks are no names. */
function pointsOf(text: string): string {
  return Array.from(text, (one) => `U+${(one.codePointAt(0) ?? 0).toString(16)}`).join(' ');
}

/** One change record, by the rules of RFC 2849; values of an attribute of one name in a list. */
function readLdif(text: string): object {
  const record: Record<string, string | string[]> = {};
  for (const line of text.replaceAll('\n ', '').split('\n')) {
    if (line === '' || line === '-') continue;
    const [, name = '', base64, value = ''] = /^([A-Za-z]+):(:?) ?(.*)$/.exec(line) ?? [];
    const read = base64 === ':' ? Buffer.from(value, 'base64').toString('utf8') : value;
    if (name === 'altSecurityIdentities') record[name] = [record[name] ?? [], read].flat();
    else record[name] = read;
  }
  return record;
}

/** RFC 4180: every cell quoted. */
function readCsvLine(t: Test, line: string): readonly string[] {
  t.match(line, /^"(?:[^"]|"")*"(?:,"(?:[^"]|"")*")*$/, 'every cell is quoted');
  return Array.from(line.matchAll(/"((?:[^"]|"")*)"/g), ([, cell = '']) => cell.replaceAll('""', '"'));
}

/** False when the program is there and does that; else why the test is left out. */
function commandSkip(program: string, words: readonly string[]): string | false {
  try {
    execFileSync(program, words, { stdio: 'ignore' });
    return false;
  } catch {
    return `${program} is not installed`;
  }
}
