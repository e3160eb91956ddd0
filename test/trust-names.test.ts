/**
 * Name constraints: which names of a certificate meet which subtrees, and how one is held against the other.
 */
import * as fc from 'fast-check';
import t from 'tap';
import {
  hostOfUri,
  isDnsConstraint,
  isDnsName,
  isDnsWithin,
  isIpConstraint,
  isIpWithin,
  isMailbox,
  isMailConstraint,
  isMailWithin,
  isUpn,
  isUpnConstraint,
  isUpnWithin,
  isUriConstraint,
  isUriWithin,
  type Side,
} from '../src/trust/name-forms.ts';
import { createQuestioner, judge, outcome, type Recipe } from './support/chains.ts';
import { hex, sequence, text } from './support/der-shapes.ts';
import { generalName, nameConstraints, subjectAltName } from './support/extension-shapes.ts';

const key = 'ed25519';
const { root, ask } = await createQuestioner();

const subject = (...values: readonly string[]) =>
  generalName.directory(...values.map((value, at) => [at === 0 ? '2.5.4.10' : '2.5.4.3', 12, value] as const));

await t.test('name constraints: each kind of name, permitted and excluded', async (t) => {
  type Case = readonly [kind: string, base: Uint8Array, inside: Recipe, outside: Recipe, quoted: string];
  const cases: readonly Case[] = [
    ['directoryName', subject('Lab', 'alice'), {}, { subject: 'O=Lab,CN=bob' }, '"CN=bob,O=Lab"'],
    [
      'rfc822Name',
      generalName.mail('lab.test'),
      { rfc822Names: ['a@LAB.test'] },
      { rfc822Names: ['a@x.lab.test'] },
      '"a@x.lab.test"',
    ],
    [
      'dNSName',
      generalName.dns('lab.test'),
      { dnsNames: ['pc.lab.test'] },
      { dnsNames: ['pc.lab.tes'] },
      '"pc.lab.tes"',
    ],
    [
      'URI',
      generalName.uri('.lab.test'),
      { uris: ['https://a.lab.test/x'] },
      { uris: ['https://lab.test/'] },
      '"https://lab.test/"',
    ],
    [
      'iPAddress',
      generalName.ip('0a000000ff000000'),
      { ipAddresses: ['10.1.2.3'] },
      { ipAddresses: ['11.1.2.3'] },
      '"0b010203"',
    ],
    [
      'UPN',
      generalName.upn('@lab.test'),
      { upn: 'alice@Lab.test' },
      { upn: 'alice@lab.test.evil' },
      '"alice@lab.test.evil"',
    ],
  ];
  for (const [kind, base, inside, outside, quoted] of cases) {
    const permitted = { extensions: [nameConstraints({ permitted: [base] })] };
    const excluded = { extensions: [nameConstraints({ excluded: [base] })] };
    t.equal(await ask(inside, permitted), 'accepted', `${kind} inside what is permitted`);
    t.match(
      await ask(outside, permitted),
      new RegExp(`^nameConstraints: certificate 0 .* ${kind} .* is not among what certificate 1 permits: "`),
    );
    t.ok((await ask(outside, permitted)).includes(`${kind} ${quoted}`), `${kind}: the name is shown`);
    t.match(
      await ask(inside, excluded),
      new RegExp(`^nameConstraints: certificate 0 .* ${kind} ".*" lies within ".*", which certificate 1 excludes$`),
    );
    t.equal(await ask(outside, excluded), 'accepted', `${kind} outside what is excluded`);
  }
});

await t.test('name constraints: other kinds of names are not touched', async (t) => {
  const permitted = [generalName.mail('lab.test'), generalName.ip('0a000000ff000000'), generalName.uri('lab.test')];
  t.equal(
    await ask({ upn: 'x@y', dnsNames: ['a.test'] }, { extensions: [nameConstraints({ permitted })] }),
    'accepted',
  );
});

await t.test(
  'name constraints: those of every CA and of the root hold, and one permitted set must hold the name',
  async (t) => {
    const limit = (base: string) => nameConstraints({ permitted: [generalName.dns(base), generalName.dns('b.test')] });
    const top = await root.subordinate({ subject: 'CN=Top', key, extensions: [limit('a.test')] });
    const low = await top.subordinate({ subject: 'CN=Low', key, extensions: [limit('x.a.test')] });
    const issue = (dns: string) => low.issue({ subject: 'CN=alice', key, dnsNames: [dns] });
    const under = async (dns: string) => outcome(judge({ presented: [await issue(dns), low, top], roots: [root] }));
    t.equal(await under('pc.x.a.test'), 'accepted');
    t.match(
      await under('pc.a.test'),
      /^nameConstraints: .* not among what certificate 1 permits: "x\.a\.test", "b\.test"$/,
    );
    t.match(await under('pc.c.test'), /^nameConstraints: .* not among what certificate 2 permits/);
    t.match(
      outcome(judge({ presented: [await issue('pc.c.test'), low], roots: [top] })),
      /^nameConstraints: .* certificate 2 permits/,
    );
    const five = Array.from({ length: 5 }, (_, at) => generalName.dns(`d${at}.test`));
    t.match(await ask({ dnsNames: ['e.test'] }, { extensions: [nameConstraints({ permitted: five })] }), /"d4\.test"$/);
    const long = Array.from({ length: 7 }, (_, at) => generalName.dns(`d${at}.test`));
    t.match(
      await ask({ dnsNames: ['e.test'] }, { extensions: [nameConstraints({ permitted: long })] }),
      /"d4\.test" and 2 more$/,
    );
  },
);

await t.test('name constraints: self-issued CAs are exempt, self-issued leaves and other CAs are not', async (t) => {
  const limited = await root.subordinate({
    subject: 'CN=Limited',
    key,
    extensions: [nameConstraints({ permitted: [subject('Lab')] })],
  });
  const rollover = await limited.subordinate({ subject: 'CN=Limited', key });
  const leaf = await rollover.issue({ subject: 'O=Lab,CN=alice', key });
  t.equal(outcome(judge({ presented: [leaf, rollover, limited], roots: [root] })), 'accepted');
  const selfIssued = await limited.issue({ subject: 'CN=Limited', key });
  t.match(outcome(judge({ presented: [selfIssued, limited], roots: [root] })), /^nameConstraints: certificate 0 /);
  const other = await limited.subordinate({ subject: 'O=Other,CN=CA', key });
  const below = await other.issue({ subject: 'O=Lab,CN=alice', key });
  t.match(outcome(judge({ presented: [below, other, limited], roots: [root] })), /^nameConstraints: certificate 1 /);
});

await t.test('name constraints: an address in the subject counts when there is no rfc822Name', async (t) => {
  const limits = { extensions: [nameConstraints({ permitted: [generalName.mail('lab.test')] })] };
  t.equal(await ask({ subject: 'E=a@lab.test' }, limits), 'accepted');
  t.match(await ask({ subject: 'E=a@evil.test' }, limits), /^nameConstraints: .* rfc822Name "a@evil\.test"/);
  t.equal(await ask({ subject: 'E=a@evil.test', rfc822Names: ['a@lab.test'] }, limits), 'accepted');
});

await t.test('name constraints: what cannot be evaluated is refused', async (t) => {
  const smtpUtf8 = generalName.other('1.3.6.1.5.5.7.8.9', text(0x0c, 'a@lab.test'));
  const principal = generalName.other('1.3.6.1.5.2.2', sequence());
  type Case = readonly [base: Uint8Array, name: Uint8Array, found: RegExp];
  const cases: readonly Case[] = [
    [
      generalName.registeredId('1.2.3'),
      generalName.registeredId('1.2.4'),
      /a registeredID, a kind that certificate 1 constrains/,
    ],
    [principal, principal, /an otherName 1\.3\.6\.1\.5\.2\.2, a kind/],
    [generalName.mail('lab.test'), smtpUtf8, /a SmtpUTF8Mailbox, and certificate 1 constrains mail addresses/],
    [generalName.dns('lab.test'), generalName.dns('a..lab.test'), /dNSName "a\.\.lab\.test" is not well formed/],
    [generalName.mail('lab.test'), generalName.mail('a b@lab.test'), /rfc822Name "a b@lab\.test" is not well formed/],
    [generalName.uri('lab.test'), generalName.uri('urn:x'), /URI "urn:x" is not well formed/],
    [
      generalName.uri('lab.test'),
      generalName.uri('https://10.0.0.1/'),
      /URI "https:\/\/10\.0\.0\.1\/" is not well formed/,
    ],
    [generalName.upn('@lab.test'), generalName.upn('a@b@lab.test'), /UPN "a@b@lab\.test" is not well formed/],
    [generalName.upn('@lab.test'), generalName.upn('a\u0007@lab.test'), /UPN "a\\u0007@lab\.test" is not well formed/],
  ];
  for (const [base, name, found] of cases) {
    const leaf = { extensions: [subjectAltName(false, name)] };
    for (const limits of [{ permitted: [base] }, { excluded: [base] }]) {
      const answer = await ask(leaf, { extensions: [nameConstraints(limits)] });
      t.match(answer, /^nameConstraints: certificate 0 /);
      t.match(answer, found);
    }
    t.equal(await ask(leaf), 'accepted', 'without a constraint the form does not matter');
  }
  t.equal(
    await ask(
      { extensions: [subjectAltName(false, principal)] },
      { extensions: [nameConstraints({ excluded: [generalName.upn('@x')] })] },
    ),
    'accepted',
    'an otherName of another type is another kind',
  );
  t.equal(
    await ask(
      { extensions: [subjectAltName(false, smtpUtf8)] },
      { extensions: [nameConstraints({ excluded: [generalName.dns('lab.test')] })] },
    ),
    'accepted',
    'so is an internationalised mail address where no mail addresses are constrained',
  );
});

await t.test('name constraints: a subtree without meaning spoils the CA that has it', async (t) => {
  const bases: readonly Uint8Array[] = [
    generalName.dns('a..b'),
    generalName.mail('a b@c'),
    generalName.uri('http://lab.test/'),
    generalName.ip('0a000000ff00ff00'),
    generalName.upn('@'),
  ];
  for (const base of bases)
    for (const limits of [{ permitted: [base] }, { excluded: [base] }])
      t.match(
        await ask({}, { extensions: [nameConstraints(limits)] }),
        /^nameConstraints: certificate 1 .* has no meaning$/,
      );
});

await t.test('name constraints belong into CA certificates', async (t) => {
  const limits = { extensions: [nameConstraints({ permitted: [generalName.dns('lab.test')] })] };
  t.match(await ask(limits), /^nameConstraints: certificate 0 .* a certificate that is not a CA$/);
});

await t.test('name forms: what lies within what', (t) => {
  type Compare = (name: string, base: string, side: Side) => boolean;
  type Row = readonly [name: string, base: string, permitted: boolean, excluded: boolean];
  const check = (kind: string, compare: Compare, rows: readonly Row[]) => {
    for (const [name, base, permitted, excluded] of rows)
      t.strictSame(
        [compare(name, base, 'permitted'), compare(name, base, 'excluded')],
        [permitted, excluded],
        `${kind} ${name} in ${base === '' ? 'everything' : base}`,
      );
  };
  check('DNS', isDnsWithin, [
    ['lab.test', 'lab.test', true, true],
    ['A.LAB.test', 'lab.TEST', true, true],
    ['a.lab.test', '', true, true],
    ['alab.test', 'lab.test', false, false],
    ['lab.test', '.lab.test', false, false],
    ['a.lab.test', '.lab.test', true, true],
    ['*.lab.test', 'lab.test', true, true],
    ['*.lab.test', '.lab.test', true, true],
    ['*.a.lab.test', 'lab.test', true, true],
    ['*.lab.test', 'a.lab.test', false, true],
    ['*.lab.test', 'b.a.lab.test', false, false],
    ['*.lab.test', '.a.lab.test', false, false],
    ['*.lab.test', 'xlab.test', false, false],
  ]);
  check('mail', isMailWithin, [
    ['a@lab.test', 'lab.test', true, true],
    ['a@x.lab.test', 'lab.test', false, false],
    ['a@x.lab.test', '.lab.test', true, true],
    ['a@lab.test', '.lab.test', false, false],
    ['a@LAB.test', '@lab.TEST', true, true],
    ['a@lab.test', 'a@LAB.test', true, true],
    ['A@lab.test', 'a@lab.test', false, true],
    ['b@lab.test', 'a@lab.test', false, false],
    ['a@lab.test', '', true, true],
  ]);
  check('UPN', isUpnWithin, [
    ['a@lab.test', '@lab.test', true, true],
    ['a@lab.test', 'lab.test', true, true],
    ['a@x.lab.test', '.lab.test', true, true],
    ['A@LAB.test', 'a@lab.test', true, true],
    ['\uff41@lab.test', 'a@lab.test', false, true],
    ['\u00e4@lab.test', 'a@lab.test', false, true],
    ['a@l\u00e4b.test', '@lab.test', false, true],
    ['b@lab.test', 'a@lab.test', false, false],
    ['a@.lab.test', '.lab.test', false, false],
  ]);
  check('URI', isUriWithin, [
    ['https://lab.test/a', 'lab.test', true, true],
    ['https://user@LAB.test:444?x', 'lab.test', true, true],
    ['https://a.lab.test', 'lab.test', false, false],
    ['https://a.lab.test', '.lab.test', true, true],
    ['https://lab.test', '.lab.test', false, false],
    ['ldap://lab.test', '', true, true],
  ]);
  t.end();
});

await t.test('name forms: what is a name and what is a constraint', (t) => {
  const all = (what: string, is: (text: string) => boolean, good: readonly string[], bad: readonly string[]) => {
    for (const text of good) t.ok(is(text), `${what} ${text}`);
    for (const text of bad) t.notOk(is(text), `not ${what}: ${text}`);
  };
  const label = 'a'.repeat(63);
  all(
    'a DNS name',
    isDnsName,
    ['a', 'a_b.test', '*.a', label, `${`${label}.`.repeat(3)}${'b'.repeat(61)}`],
    [
      '',
      '.a',
      'a.',
      '*',
      'a.*',
      '*a.test',
      '-a',
      'a-',
      `${label}a`,
      `${`${label}.`.repeat(3)}${'b'.repeat(62)}`,
      'a b',
    ],
  );
  all('a DNS constraint', isDnsConstraint, ['', 'a', '.a.b'], ['.', '*.a', '..a']);
  const longest = `${`${label}.`.repeat(3)}${'b'.repeat(61)}`;
  all(
    'a mailbox',
    isMailbox,
    ['a@b', 'a+c@b.test', `a@${longest}`],
    ['', 'a', '@b', 'a@', 'a@b@c', '"a"@b', 'a@b..c', 'a@*.b', `a@${longest}b`],
  );
  all('a UPN', isUpn, ['a@b', 'a b@c d'], ['', 'a', '@b', 'a@', 'a@b@c', 'a\n@b']);
  for (const is of [isMailConstraint, isUpnConstraint]) {
    all(
      'an address constraint',
      (text) => is(text, 'permitted'),
      ['a.test', '.a.test', '@a.test', 'x@a.test'],
      ['', '@', '.'],
    );
    t.ok(is('', 'excluded'), 'nothing excludes everything');
  }
  all(
    'a URI constraint',
    (text) => isUriConstraint(text, 'permitted'),
    ['a.test', '.a.test'],
    ['', 'http://a.test', '.'],
  );
  t.ok(isUriConstraint('', 'excluded'));
  const hosts = ['https://a.test/', 'ldap://u:p@a.test:389/x', 'A+b://a.test'];
  for (const uri of hosts) t.equal(hostOfUri(uri), 'a.test', uri);
  for (const uri of [
    '',
    'a.test',
    'urn:a',
    'https:///x',
    'https://[::1]/',
    'https://10.0.0.1/',
    'https://a..b/',
    '1://a',
  ])
    t.equal(hostOfUri(uri), null, uri);
  t.end();
});

await t.test('name forms: addresses under masks', (t) => {
  t.ok(isIpWithin(hex('0a010203'), hex('0a000000ff000000')));
  t.notOk(isIpWithin(hex('0b010203'), hex('0a000000ff000000')));
  t.ok(isIpWithin(hex('0b010203'), hex('0000000000000000')), 'everything');
  t.notOk(isIpWithin(hex('0a010203'), hex('00'.repeat(32))), 'another family');
  t.ok(isIpConstraint(hex('0a000000fffffe00')));
  t.notOk(isIpConstraint(hex('0a000000ff00ff00')));
  t.notOk(isIpConstraint(hex('0a000000')));
  t.end();
});

await t.test('name forms: what a permitted subtree holds, the same excluded subtree holds as well', (t) => {
  const label = fc.constantFrom('a', 'b', 'A', '*', '_x');
  const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
  const address = fc.tuple(fc.constantFrom('a', 'A', 'b'), host).map((parts) => parts.join('@'));
  const base = fc.tuple(fc.constantFrom('', '.', '@', 'a@', 'A@'), host).map((parts) => parts.join(''));
  const implies = (compare: (name: string, base: string, side: Side) => boolean) => (name: string, within: string) =>
    !compare(name, within, 'permitted') || compare(name, within, 'excluded');
  fc.assert(fc.property(host, host, implies(isDnsWithin)), { verbose: true });
  fc.assert(fc.property(address, base, implies(isMailWithin)), { verbose: true });
  fc.assert(fc.property(address, base, implies(isUpnWithin)), { verbose: true });
  fc.assert(
    fc.property(
      host,
      host,
      (below, above) => isDnsWithin(`${below}.${above}`, above, 'permitted') || above.startsWith('*'),
    ),
  );
  t.pass('held');
  t.end();
});

await t.test('control and format characters of a name do not get into a sentence', async (t) => {
  const limits = { extensions: [nameConstraints({ excluded: [generalName.upn('@lab.test')] })] };
  const answer = await ask({ upn: 'x\u202e\u200b@lab.test' }, limits);
  t.match(answer, /UPN "x\\u\{202e\}\\u\{200b\}@lab\.test" lies within/);
});
