/**
 * From a certificate to an account without sockets: what is asked of a directory and what of its answer is believed.
 * Spelling and strength have their cases in `test/cases/mapping`, the cache its own file.
 */
import t from 'tap';
import type { Millis, Sid } from '../src/base/brand.ts';
import { recordSteps } from '../src/base/steps.ts';
import type { DomainNames } from '../src/directory/directory.ts';
import { maximumMailNames } from '../src/mapping/candidates.ts';
import { longestDetail } from '../src/mapping/resolve.ts';
import type { Certificate } from '../src/x509/certificate.ts';
import { writeCertificate } from './support/certificate-writer.ts';
import { fakeAccount, labDomain, labSid, type AccountFacts, type FakeDirectory } from './support/fake-directory.ts';
import { parsed } from './support/mapping-cases.ts';
import {
  alice,
  bySerial,
  cached,
  detail,
  issuerName,
  minute,
  outcome,
  outcomeOf,
  setScene,
  settled,
} from './support/mapping-scene.ts';

// ---- candidates

await t.test('candidates come strongest first, each with a reason', async (t) => {
  const { mapper, subject } = setScene({
    certificate: {
      subjectKeyIdentifier: '0102',
      upns: ['alice@lab.example.test'],
      rfc822Names: ['alice@lab.example.test'],
      sid: `${labSid}-1105`,
    },
  });
  const candidates = mapper.candidates(subject.leaf);
  t.strictSame(
    candidates.map(({ method }) => method),
    [
      'X509IssuerSerialNumber',
      'X509SKI',
      'X509SHA1PublicKey',
      'X509IssuerSid',
      'UPN',
      'X509IssuerSubject',
      'X509SubjectOnly',
      'X509RFC822',
      'X509IssuerOnly',
    ],
  );
  t.ok(candidates.every(({ why }) => why.length > 10));
  t.strictSame(
    candidates.filter(({ used }) => !used).map(({ method }) => method),
    ['X509IssuerOnly'],
  );
  t.strictSame(
    candidates.slice(0, 4).map(({ strength }) => strength),
    ['strong', 'strong', 'strong', 'strong'],
  );
});

await t.test('useSubjectAltName off: user principal and DNS names are shown and not looked up', async (t) => {
  for (const certificate of [{ upns: ['alice@lab.example.test'] }, { dnsNames: ['pc1.lab.example.test'] }]) {
    const accounts: AccountFacts[] = [
      { name: 'LAB\\alice', rid: 1, upn: 'alice@lab.example.test' },
      { name: 'LAB\\pc1$', rid: 2 },
    ];
    const settings = { strongCertificateBindingEnforcement: 0 } as const;
    t.match(await outcomeOf({ certificate, accounts, settings }), /^LAB/);
    const off = setScene({ certificate, accounts, settings: { ...settings, useSubjectAltName: false } });
    t.equal(outcome(await off.map()), 'refused notMapped');
    t.match(
      off.mapper.candidates(off.subject.leaf).filter(({ method }) => method === 'UPN' || method === 'DNS'),
      [{ used: false, why: /useSubjectAltName/ }],
    );
  }
});

await t.test('only so many e-mail names are looked up, and a name that repeats once', async (t) => {
  const mails = Array.from({ length: maximumMailNames + 2 }, (_, index) => `a${index}@lab.example.test`);
  const { mapper, subject } = setScene({ certificate: { rfc822Names: ['A0@lab.example.test', ...mails.slice(1)] } });
  const shown = mapper.candidates(subject.leaf).filter(({ method }) => method === 'X509RFC822');
  t.equal(shown.length, mails.length);
  t.equal(shown.filter(({ used }) => used).length, maximumMailNames);
  const twice = setScene({ certificate: { rfc822Names: ['a@lab.example.test', 'A@lab.example.test'] } });
  t.equal(twice.mapper.candidates(twice.subject.leaf).filter(({ method }) => method === 'X509RFC822').length, 1);
});

await t.test('empty parts make no candidates, whoever parsed the certificate', async (t) => {
  const { mapper, subject } = setScene({ certificate: { upns: [''], rfc822Names: [''], dnsNames: [''] } });
  const { leaf } = subject;
  const emptyName = { der: Buffer.from('3000', 'hex'), rdns: [] };
  const bare = {
    ...leaf,
    issuer: emptyName,
    subject: emptyName,
    serial: Buffer.alloc(0),
    extensions: { ...leaf.extensions, subjectKeyIdentifier: Buffer.alloc(0), sid: `${labSid}-1105` as Sid },
  };
  const methodsOf = (certificate: Certificate) => mapper.candidates(certificate).map(({ method }) => method);
  t.strictSame(methodsOf(bare), ['X509SHA1PublicKey']);
  t.strictSame(methodsOf({ ...bare, issuer: leaf.issuer }), ['X509SHA1PublicKey', 'X509IssuerSid', 'X509IssuerOnly']);
  t.strictSame(methodsOf({ ...bare, subject: leaf.subject }), ['X509SHA1PublicKey', 'X509SubjectOnly']);
});

// ---- user principal names

const weakly = { strongCertificateBindingEnforcement: 0 } as const;

await t.test('a user principal name maps by userPrincipalName', async (t) => {
  const certificate = { upns: ['Alice@Elsewhere.example'] };
  const accounts = [{ name: 'LAB\\a1', upn: 'alice@elsewhere.example' }];
  t.equal(await outcomeOf({ certificate, accounts, settings: weakly }), 'LAB\\a1 by UPN');
});

await t.test('a user principal name maps by account name in the domain that its suffix denotes', async (t) => {
  const accounts = [{ name: 'LAB\\alice', upn: 'other@lab.example.test' }];
  for (const upn of ['alice@lab.example.test', 'ALICE@LAB.EXAMPLE.TEST', 'alice@corp.example'])
    t.equal(await outcomeOf({ certificate: { upns: [upn] }, accounts, settings: weakly }), 'LAB\\alice by UPN', upn);
});

await t.test('a suffix that no domain has says so, and only userPrincipalName can match', async (t) => {
  const scene = setScene({
    certificate: { upns: ['alice@elsewhere.example'] },
    accounts: [{ name: 'LAB\\alice' }],
    settings: weakly,
  });
  const answer = await scene.map();
  t.equal(outcome(answer), 'refused notMapped');
  t.match(detail(answer), /no UPN suffix of the forest is called elsewhere\.example/);
  t.strictSame(
    scene.directory.asked.flat().filter(({ attribute }) => attribute !== 'altSecurityIdentities'),
    [{ attribute: 'userPrincipalName', value: 'alice@elsewhere.example' }],
  );
});

const west: DomainNames = { dnsName: 'west.example.test', netbiosName: 'WEST', upnSuffixes: ['corp.example'] };

await t.test('a DNS name means one domain, a shared suffix every domain that has it', async (t) => {
  const accounts = [
    { name: 'LAB\\alice', rid: 1 },
    { name: 'WEST\\alice', rid: 2 },
  ];
  const twoDomains = { accounts, domains: [labDomain, west], settings: weakly };
  t.equal(await outcomeOf({ ...twoDomains, certificate: { upns: ['alice@west.example.test'] } }), 'WEST\\alice by UPN');
  t.equal(await outcomeOf({ ...twoDomains, certificate: { upns: ['alice@corp.example'] } }), 'refused ambiguous');
});

await t.test('explicit and implicit user principal name of two accounts are ambiguous', async (t) => {
  const answer = await setScene({
    certificate: { upns: ['alice@lab.example.test'] },
    accounts: [
      { name: 'LAB\\alice', rid: 1 },
      { name: 'LAB\\mallory', rid: 2, upn: 'alice@lab.example.test' },
    ],
    settings: weakly,
  }).map();
  t.equal(outcome(answer), 'refused ambiguous');
  t.match(detail(answer), /LAB\\alice.*LAB\\mallory/);
});

await t.test('CVE-2022-26923: no dollar sign is appended to a user principal name', async (t) => {
  const scene = setScene({
    certificate: { upns: ['dc1@lab.example.test'] },
    accounts: [{ name: 'LAB\\dc1$', userAccountControl: 0x2000 }],
    settings: weakly,
  });
  t.equal(outcome(await scene.map()), 'refused notMapped');
  t.notOk(scene.directory.asked.flat().some(({ value }) => value.includes('$')));
});

await t.test('a user principal name leads to a computer only together with its DNS name', async (t) => {
  const accounts = [{ name: 'LAB\\pc1$', upn: 'pc1@lab.example.test', dnsHostName: 'pc1.lab.example.test' }];
  const upns = ['pc1@lab.example.test'];
  const outcomeWith = (dnsNames: readonly string[]) =>
    outcomeOf({ certificate: { upns, dnsNames }, accounts, settings: weakly });
  t.equal(await outcomeWith(['pc1.lab.example.test']), 'LAB\\pc1$ by UPN');
  t.equal(await outcomeWith([]), 'refused notMapped');
  t.equal(await outcomeWith(['pc1.lab.example.test', 'pc2.lab.example.test']), 'refused notMapped');
  t.equal(await outcomeWith(['pc2.lab.example.test']), 'refused notMapped');
  t.equal(await outcomeWith(['pc1.west.example.test']), 'refused notMapped');
  const renamed = [{ ...accounts[0], name: 'LAB\\pc1$', dnsHostName: 'web.lab.example.test' }];
  t.equal(
    await outcomeOf({ certificate: { upns, dnsNames: ['pc1.lab.example.test'] }, accounts: renamed, settings: weakly }),
    'refused notMapped',
  );
});

await t.test('an account of that name in another domain is not the one', async (t) => {
  const scene = setScene({
    certificate: { upns: ['alice@lab.example.test'] },
    accounts: [{ name: 'WEST\\alice' }],
    domains: [labDomain, west],
    settings: weakly,
  });
  t.equal(outcome(await scene.map()), 'refused notMapped');
  const careless: FakeDirectory = scene.directory;
  careless.locate = async () => ({ kind: 'answered', accounts: careless.accounts, searches: [] });
  const answer = await scene.map();
  t.equal(outcome(answer), 'refused notMapped', 'also where the directory returns it');
  t.match(detail(answer), /WEST\\alice.*to the letter/);
});

await t.test('odd user principal names ask only for themselves', async (t) => {
  for (const upn of ['alice', '@lab.example.test', 'alice@']) {
    const scene = setScene({ certificate: { upns: [upn] }, accounts: [{ name: 'LAB\\alice' }], settings: weakly });
    t.equal(outcome(await scene.map()), 'refused notMapped', upn);
    t.notOk(scene.directory.asked.flat().some(({ attribute }) => attribute === 'sAMAccountName'));
  }
});

// ---- computers

await t.test('a DNS name asks only where it can be the name of a computer of the forest', async (t) => {
  for (const name of ['pc1', '.lab.example.test', 'pc1.', 'pc1.corp.example', 'pc1.sub.lab.example.test']) {
    const scene = setScene({
      certificate: { dnsNames: [name] },
      accounts: [{ name: 'LAB\\pc1$' }],
      settings: weakly,
    });
    t.equal(outcome(await scene.map()), 'refused notMapped', name);
    t.notOk(scene.directory.asked.flat().some(({ attribute }) => attribute === 'sAMAccountName'));
    const [candidate] = scene.mapper.candidates(scene.subject.leaf).filter(({ method }) => method === 'DNS');
    t.equal(candidate?.used, /^[^.]+\.[^.]/.test(name), `${name} is used only where it has a label and a domain`);
  }
});

await t.test('a computer may be mapped explicitly like a user', async (t) => {
  t.equal(
    await outcomeOf({ accounts: [{ name: 'LAB\\pc1$', altSecurityIdentities: [bySerial] }] }),
    'LAB\\pc1$ by X509IssuerSerialNumber',
  );
});

// ---- the whole way

await t.test('everything is asked in one question', async (t) => {
  const scene = setScene({ certificate: { upns: ['alice@lab.example.test'], subjectKeyIdentifier: '01' } });
  await scene.map();
  t.equal(scene.directory.asked.length, 1);
  t.equal(scene.searches(), 1);
});

await t.test('all methods that point at one account are named, strongest first', async (t) => {
  const answer = await setScene({
    certificate: { upns: ['alice@lab.example.test'] },
    accounts: [{ ...alice, altSecurityIdentities: ['X509:<S>CN=alice', bySerial] }],
  }).map();
  t.match(answer.result, {
    kind: 'mapped',
    identity: {
      method: 'X509IssuerSerialNumber',
      methods: ['X509IssuerSerialNumber', 'UPN', 'X509SubjectOnly'],
    },
  });
});

await t.test('an identity does not carry the lists that located it', async (t) => {
  for (const disabled of [false, true]) {
    const { result } = await setScene({ accounts: [{ ...alice, servicePrincipalNames: ['host/a'], disabled }] }).map();
    const account = result.kind === 'mapped' ? result.identity.account : result.verdict.account;
    t.strictSame(account?.altSecurityIdentities, []);
    t.strictSame(account?.servicePrincipalNames, []);
  }
});

await t.test('the immediate issuer must be in NTAuthCertificates, by its whole certificate', async (t) => {
  const scene = setScene({ accounts: [alice] });
  const sameName = parsed(writeCertificate({ issuer: issuerName, subject: issuerName, keyLabel: 'another' }));
  scene.directory.issuers = new Set([sameName.digest]);
  const answer = await scene.map();
  t.equal(outcome(answer), 'refused issuerNotInNtAuth');
  t.match(detail(answer), scene.subject.issuer.thumbprint);
  scene.directory.issuers = new Set();
  t.match(detail(await scene.map()), /is empty/);
  t.equal(outcome(await scene.map()), 'refused issuerNotInNtAuth', 'an empty store trusts nobody');
  scene.directory.ntAuthMood = 'silent';
  t.equal(outcome(await scene.map()), 'unknown directoryUnavailable', 'an unread store is not known');
  t.equal(await outcomeOf({ accounts: [alice] }), 'LAB\\alice by X509IssuerSerialNumber');
  const off = setScene({ accounts: [alice], settings: { ntAuthMethods: [] } });
  off.directory.issuers = new Set();
  off.directory.ntAuthMood = 'silent';
  t.equal(outcome(await off.map()), 'LAB\\alice by X509IssuerSerialNumber', 'switched off');
});

await t.test('a silent directory is never "not mapped"', async (t) => {
  const scene = setScene({});
  scene.directory.mood = 'silent';
  const answer = await scene.map();
  t.equal(outcome(answer), 'unknown directoryUnavailable');
  t.match(detail(answer), /ECONNREFUSED/);
  scene.directory.mood = 'well';
  scene.directory.domainsMood = 'silent';
  t.equal(outcome(await scene.map()), 'unknown directoryUnavailable', 'nor are unread domains');
});

await t.test('a directory that breaks its promises is an unknown answer, not a crash', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { deadline: 1 as Millis, cache: cached } });
  scene.directory.mood = 'broken';
  const broken = await scene.map();
  t.equal(outcome(broken), 'unknown internalError');
  t.match(detail(broken), /a broken promise/);
  scene.directory.mood = 'held';
  const late = await scene.map();
  t.equal(outcome(late), 'unknown directoryUnavailable');
  t.match(detail(late), /within 1 ms/);
  t.equal(scene.mapper.size, 0);
  scene.directory.release();
});

await t.test('an account that is not one is an unknown answer, also in the background', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  const nameless = { ...fakeAccount(alice), dn: undefined as never };
  scene.directory.locate = async () => ({ kind: 'answered', accounts: [nameless], searches: [] });
  t.equal(outcome(await scene.map({ fresh: true })), 'unknown internalError');
  scene.advance(16 * minute);
  t.match(scene.map(), { cache: 'stale' });
  await settled();
  t.match(scene.map(), { cache: 'stale', result: { kind: 'mapped' } });
});

await t.test('the lookup gets what is left of the deadline', async (t) => {
  for (const [spent, left] of [
    [0, 5000],
    [2000, 3000],
    [6000, 1],
  ] as const) {
    const scene = setScene({ settings: { deadline: 5000 as Millis } });
    const { directory } = scene;
    directory.domains = async () => {
      scene.advance(spent);
      return { kind: 'read', domains: [labDomain] };
    };
    let given = 0;
    directory.locate = async (_, deadline) => {
      given = deadline;
      return { kind: 'answered', accounts: [], searches: [] };
    };
    await scene.map();
    t.equal(given, left);
  }
});

await t.test('account state is judged after strength, and refuses for good', async (t) => {
  const refusals: readonly (readonly [Partial<AccountFacts>, string])[] = [
    [{ disabled: true }, 'accountDisabled'],
    [{ locked: true }, 'accountLocked'],
    [{ expires: '2026-11-22T12:00:00Z' }, 'accountExpired'],
    [{ kind: 'other' }, 'accountRefused'],
    [{ userAccountControl: 0x820 }, 'accountRefused'],
    [{ name: 'LAB\\rodc$', userAccountControl: 0x4001000 }, 'accountRefused'],
    [{ rid: 502 }, 'accountRefused'],
  ];
  for (const [facts, code] of refusals) {
    const answer = await setScene({ accounts: [{ ...alice, ...facts }] }).map();
    t.equal(outcome(answer), `refused ${code}`, JSON.stringify(facts));
    t.equal(answer.result.kind === 'refused' && answer.result.verdict.account?.name, facts.name ?? 'LAB\\alice');
  }
  t.equal(
    await outcomeOf({ accounts: [{ ...alice, expires: '2026-11-22T12:00:00.001Z' }] }),
    'LAB\\alice by X509IssuerSerialNumber',
    'not yet expired',
  );
  t.equal(
    await outcomeOf({ accounts: [{ ...alice, altSecurityIdentities: ['X509:<S>CN=alice'], disabled: true }] }),
    'refused weakMapping',
  );
});

await t.test('an ambiguity names both accounts however long their values are', async (t) => {
  const cn = 'x'.repeat(2 * longestDetail);
  const value = `X509:<S>CN=${cn}`;
  const answer = await setScene({
    certificate: { subject: [`CN=${cn}`] },
    accounts: [
      { name: 'LAB\\alice', rid: 1, altSecurityIdentities: [value] },
      { name: 'LAB\\bob', rid: 2, altSecurityIdentities: [value] },
    ],
  }).map();
  t.equal(outcome(answer), 'refused ambiguous');
  t.match(detail(answer), /LAB\\alice.*LAB\\bob/);
  t.ok(detail(answer).length <= longestDetail + 1, 'and is not kept at full length');
});

await t.test('two entries of one SID are one account', async (t) => {
  const accounts = [alice, { ...alice, altSecurityIdentities: ['X509:<S>CN=alice'] }];
  t.equal(await outcomeOf({ accounts }), 'LAB\\alice by X509IssuerSerialNumber, X509SubjectOnly');
});

await t.test('every step is told in words a person understands', async (t) => {
  const steps = recordSteps(() => 0);
  const scene = setScene({
    certificate: { upns: ['alice@elsewhere.example'], sid: `${labSid}-1105` },
    accounts: [alice],
  });
  await scene.map({ steps });
  t.strictSame(
    steps.list.map(({ step, outcome }) => `${step} ${outcome}`),
    ['map candidates', 'map remark', 'map searched', 'map account', 'map strong', 'map mapped'],
  );
  t.match(steps.list[3]?.detail, /LAB\\alice \(S-1-5-21-.*1105\) has X509:<I>/);
  t.match(steps.list[5]?.detail, 'LAB\\alice by X509IssuerSerialNumber');
});

await t.test('a refusal is the last step', async (t) => {
  for (const [mood, code] of [
    ['well', 'notMapped'],
    ['silent', 'directoryUnavailable'],
    ['broken', 'internalError'],
  ] as const) {
    const steps = recordSteps(() => 0);
    const scene = setScene({});
    scene.directory.mood = mood;
    await scene.map({ steps });
    t.equal(steps.list.at(-1)?.outcome, code);
  }
});
