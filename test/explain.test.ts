/**
 * What is told about mistakes in the whole story of a certificate, with what to change.
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
import { defaultMappingSettings } from '../src/mapping/mapper-contract.ts';
import { certificateFaultCodes, valueFaultCodes } from '../src/mapping/value-fault.ts';
import { writeCertificate } from './support/certificate-writer.ts';
import { diagnosedCertificate as base, diagnosedIssuer as I } from './support/diagnosed-certificate.ts';
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

function leafOf() {
  return parsed(writeCertificate(base));
}

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
