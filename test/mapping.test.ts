/**
 * From a certificate to an account without sockets: what is asked of a directory and what of its answer is believed.
 * Spelling and strength have their cases in `test/cases/mapping`, the cache its own file.
 */
import t from 'tap';
import type { Instant, Millis, Sid } from '../src/base/brand.ts';
import { recordSteps } from '../src/base/steps.ts';
import type { DomainNames } from '../src/directory/directory.ts';
import { timeRefusalFrom } from '../src/mapping/account-state.ts';
import { createCacheKeys } from '../src/mapping/cache-key.ts';
import { candidatesOf, maximumMailNames } from '../src/mapping/candidates.ts';
import { createMapper } from '../src/mapping/mapper.ts';
import type { MappingSettings, MappingSubject, OpenPoints } from '../src/mapping/mapper-contract.ts';
import { longestDetail } from '../src/mapping/resolve.ts';
import type { Certificate } from '../src/x509/certificate.ts';
import { writeCertificate } from './support/certificate-writer.ts';
import {
  createFakeDirectory,
  fakeAccount,
  joinForests,
  labDomain,
  labSid,
  type AccountFacts,
  type FakeDirectory,
} from './support/fake-directory.ts';
import { parsed, strictSettings } from './support/mapping-cases.ts';
import {
  alice,
  bySerial,
  cached,
  detail,
  issuerName,
  minute,
  options,
  outcome,
  outcomeOf,
  setScene,
  settled,
  start,
  subjectOf,
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

await t.test('each candidate says from what part of the certificate it comes', async (t) => {
  const { mapper, subject } = setScene({
    certificate: {
      serial: '00ff',
      sid: `${labSid}-1105`,
      subject: ['CN=alice', 'E=alice@elsewhere.example'],
      rfc822Names: ['alice@lab.example.test'],
      upns: ['alice@lab.example.test'],
    },
    settings: {
      certificateMappingMethods: 0x1a,
      openPoints: {
        ...strictSettings.openPoints,
        sha1PublicKey: 'both',
        computedSubjectKeyIdentifier: true,
        rfc822FromSubject: true,
        rfc822Blank: true,
      },
    },
  });
  t.strictSame(
    mapper.candidates(subject.leaf).map(({ why }) => why),
    [
      'issuer and byte-reversed serial number',
      'issuer and byte-reversed serial number, in the other spelling of its sign octet',
      'SHA-1 of the key, for there is no subject key identifier',
      'SHA-1 of the whole certificate',
      'SHA-1 of the public key, the contents of its BIT STRING',
      'SHA-1 of the public key, the whole SubjectPublicKeyInfo',
      'issuer and the SID of the security extension',
      'the user principal name of the subjectAltName',
      'issuer and subject',
      'the subject',
      'an e-mail name of the subjectAltName',
      'an e-mail name of the subjectAltName, with the blank of MS-PKCA',
      'an e-mail address of the subject',
      'an e-mail address of the subject, with the blank of MS-PKCA',
      'the issuer, by RCMP',
    ],
  );
  const above = [subject.leaf, ...subject.path.slice(1).map((one) => ({ ...one, issuer: subject.leaf.subject }))];
  const issuers = candidatesOf(subject.leaf, { ...strictSettings, certificateMappingMethods: 0x2 }, above);
  t.equal(issuers.at(-1)?.why, 'an issuer further up the path, by RCMP');
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
  const blank = { openPoints: { ...strictSettings.openPoints, rfc822Blank: true } };
  const spelledTwice = setScene({ settings: blank });
  t.equal(
    spelledTwice.mapper.candidates(subject.leaf).filter(({ method, used }) => used && method === 'X509RFC822').length,
    2 * maximumMailNames,
    'both spellings of a name count once',
  );
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
  const doubtful = await setScene({ certificate: { upns }, accounts, settings: weakly }).map();
  t.match(detail(doubtful), /leads to the computer LAB\\pc1\$, but the certificate has not exactly one DNS name/);
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

// ---- the key of the cache

await t.test('every rule is a part of the cache key, nested ones too, and how it was written is none', async (t) => {
  const subject = subjectOf();
  const keyWith = (changes: Partial<MappingSettings>, what: MappingSubject = subject) =>
    createCacheKeys({ ...strictSettings, ...changes })(what);
  const { openPoints } = strictSettings;
  const rule = {
    issuer: subject.issuer.thumbprint,
    policies: ['1.2.3'],
    upnSuffixes: ['lab.example.test'],
    issuerSubject: false,
  };
  const plain = keyWith({});
  const others = [
    keyWith({ sidVeto: true }),
    keyWith({ openPoints: { ...openPoints, severalUpns: 'first' } }),
    keyWith({ openPoints: { ...openPoints, rfc822Blank: true } }),
    keyWith({ nameBasedRules: [rule] }),
    keyWith({ nameBasedRules: [{ ...rule, policies: ['1.2.4'] }] }),
    keyWith({ nameBasedRules: [{ ...rule, issuerSubject: true }] }),
    keyWith({ ntAuthMethods: ['UPN'] }),
  ];
  t.equal(new Set([plain, ...others]).size, others.length + 1);
  const backwards = Object.fromEntries(Object.entries(openPoints).reverse()) as unknown as OpenPoints;
  t.not(JSON.stringify(backwards), JSON.stringify(openPoints));
  t.equal(keyWith({ openPoints: backwards }), plain);
  t.equal(keyWith({ cache: cached, deadline: 1 as Millis }), plain, 'how long answers are kept changes none of them');
});

await t.test('the path is a part of the cache key only where issuers further up may map', async (t) => {
  const subject = subjectOf();
  const [leaf, issuer] = subject.path;
  if (leaf === undefined || issuer === undefined) throw new Error('a path has two certificates');
  const longer = { ...subject, path: [leaf, issuer, issuer] };
  for (const [bits, same] of [
    [0x18, true],
    [0x1d, true],
    [0x2, false],
    [0x1f, false],
  ] as const) {
    const keyOf = createCacheKeys({ ...strictSettings, certificateMappingMethods: bits });
    const key = keyOf(subject);
    t.equal(keyOf(longer) === key, same, `0x${bits.toString(16)}`);
    t.equal(keyOf(subject), key, 'and back again');
    t.equal(keyOf(subject), key, 'remembered');
  }
});

// ---- several forests

await t.test('forests are asked at once, and for their facts at once', async (t) => {
  const scene = setScene({ accounts: [alice] });
  const other = createFakeDirectory({ domains: [west], issuers: [scene.subject.issuer.digest] });
  const begun: string[] = [];
  const held: (() => void)[] = [];
  const hold = (forest: FakeDirectory, name: 'locate' | 'ntAuth' | 'domains') => {
    const asIs = forest[name].bind(forest) as (...given: unknown[]) => Promise<unknown>;
    Object.assign(forest, {
      [name]: async (...given: unknown[]) => {
        begun.push(`${forest.name} ${name}`);
        await new Promise<void>((go) => held.push(go));
        return asIs(...given);
      },
    });
  };
  for (const forest of [scene.directory, other])
    for (const name of ['locate', 'ntAuth', 'domains'] as const) hold(forest, name);
  const mapper = createMapper({
    directory: joinForests([scene.directory, other]),
    settings: strictSettings,
    clock: scene.clock,
  });
  const answer = Promise.resolve(mapper.map(scene.subject, start, options));
  const goOn = async () => {
    await settled();
    for (const go of held.splice(0)) go();
    await settled();
  };
  await settled();
  t.strictSame(begun.splice(0).sort(), [
    'lab.example.test domains',
    'lab.example.test ntAuth',
    'west.example.test domains',
    'west.example.test ntAuth',
  ]);
  await goOn();
  t.strictSame(begun.splice(0).sort(), ['lab.example.test locate', 'west.example.test locate']);
  await goOn();
  t.equal(outcome(await answer), 'LAB\\alice by X509IssuerSerialNumber');
  t.strictSame(begun, [], 'and nothing is asked twice');
});

await t.test('a directory without forests is not known', async (t) => {
  const { subject, clock } = setScene({});
  const mapper = createMapper({ directory: joinForests([]), settings: strictSettings, clock });
  const answer = await mapper.map(subject, start, options);
  t.equal(outcome(answer), 'unknown directoryUnavailable');
  t.match(detail(answer), 'no forest');
});

await t.test('two rules that ask the same question ask it once', async (t) => {
  const scene = setScene({
    certificate: { upns: ['alice@lab.example.test'], dnsNames: ['pc1.lab.example.test'] },
    settings: { certificateMappingMethods: 0x1f },
  });
  await scene.map();
  const asked = scene.directory.asked.flat().map((assertion) => JSON.stringify(assertion));
  t.ok(asked.length > 5);
  t.equal(new Set(asked).size, asked.length);
});

await t.test('searches of all forests are reported, and of all that were silent the reasons', async (t) => {
  const scene = setScene({ accounts: [alice] });
  const other = createFakeDirectory({ domains: [west], issuers: [scene.subject.issuer.digest] });
  let searches = 0;
  const mapper = createMapper({
    directory: joinForests([scene.directory, other]),
    settings: strictSettings,
    clock: scene.clock,
    onSearches: (records) => (searches += records.length),
  });
  await mapper.map(scene.subject, start, options);
  t.equal(searches, 2);
  scene.directory.mood = 'silent';
  other.mood = 'silent';
  t.match(detail(await mapper.map(scene.subject, start, options)), /ECONNREFUSED; .*ECONNREFUSED/);
});

await t.test('forests that share a NetBIOS name map nobody', async (t) => {
  const scene = setScene({ accounts: [alice] });
  const twin = { ...west, netbiosName: 'lab' };
  const other = createFakeDirectory({ domains: [twin], issuers: [] });
  const { settings, clock } = { settings: strictSettings, clock: scene.clock };
  const mapper = createMapper({ directory: joinForests([scene.directory, other]), settings, clock });
  const answer = await mapper.map(scene.subject, start, options);
  t.equal(outcome(answer), 'unknown directoryUnavailable');
  t.match(detail(answer), /^the forests lab\.example\.test .* and .* both have a domain lab: /);
  other.domainsMood = 'silent';
  t.equal(outcome(await mapper.map(scene.subject, start, options)), 'LAB\\alice by X509IssuerSerialNumber');
});

await t.test('what is said of NTAuth is said of stores that lack the issuer', async (t) => {
  const scene = setScene({});
  const bob = fakeAccount({ name: 'WEST\\bob', sid: 'S-1-5-21-5-5-5-1', altSecurityIdentities: [bySerial] });
  const other = createFakeDirectory({ domains: [west], issuers: [], accounts: [bob] });
  const mapper = createMapper({
    directory: joinForests([scene.directory, other]),
    settings: { ...strictSettings, ntAuthMethods: ['X509IssuerSerialNumber'] },
    clock: scene.clock,
  });
  const answer = await mapper.map(scene.subject, start, options);
  t.equal(outcome(answer), 'refused issuerNotInNtAuth');
  t.match(detail(answer), /thumbprint \w+; NTAuthCertificates of west\.\S+ \(dc\.test\) is empty$/);
});

await t.test('who is passed over by firstMatch is told', async (t) => {
  const steps = recordSteps(() => 0);
  const scene = setScene({
    certificate: { upns: ['alice@lab.example.test'] },
    accounts: [
      { ...alice, altSecurityIdentities: [] },
      { name: 'LAB\\bob', rid: 2, altSecurityIdentities: [bySerial] },
    ],
    settings: { ...weakly, firstMatch: true },
  });
  t.equal(outcome(await scene.map({ steps })), 'LAB\\alice by UPN');
  t.match(
    steps.list.filter((step) => step.outcome === 'passedOver'),
    [{ step: 'map', detail: /^LAB\\bob has X509:<I>.*<SR>2a/ }],
  );
});

await t.test('candidates that are not looked up are told with their reason, issuers alone are not', async (t) => {
  const steps = recordSteps(() => 0);
  await setScene({ settings: { certificateMappingMethods: 0x8 } }).map({ steps });
  const told = steps.list.filter((step) => step.outcome === 'notUsed').map((step) => step.detail);
  t.ok(told.length >= 3 && told.every((text) => text.includes('0x10')), told.join());
  t.match(steps.list[0]?.detail, /^0 of 5 are looked up/);
});

await t.test('by whose rules a candidate is looked up is part of its reason', async (t) => {
  const reasons = (certificateMappingMethods: number) => {
    const { mapper, subject } = setScene({ settings: { certificateMappingMethods } });
    return mapper.candidates(subject.leaf).filter(({ method }) => method === 'X509IssuerSubject')[0]?.why;
  };
  t.equal(reasons(0x10), 'issuer and subject');
  t.equal(reasons(0x11), 'issuer and subject, by KDC and RCMP');
  t.equal(reasons(0x1), 'issuer and subject, by RCMP');
});

await t.test('logon hours are asked of a cached answer at each use', async (t) => {
  const scene = setScene({
    // Sunday noon, and nothing else
    accounts: [{ ...alice, logonHours: `0010${'00'.repeat(19)}` }],
    settings: { cache: cached, logonHours: true },
  });
  t.equal(outcome(await scene.map()), 'LAB\\alice by X509IssuerSerialNumber');
  scene.advance(minute);
  t.match(scene.map(), { cache: 'hit', result: { kind: 'mapped' } });
  const later = scene.mapper.map(scene.subject, (start + 60 * minute) as Instant, options);
  t.match(later, { cache: 'hit', result: { kind: 'refused', verdict: { code: 'outsideLogonHours' } } });
  t.match(scene.map(), { cache: 'hit', result: { kind: 'mapped' } });
});

await t.test('a refusal by hours ends with them, not when it is forgotten', async (t) => {
  const scene = setScene({
    // Sunday from one o'clock to two, and nothing else; it is noon
    accounts: [{ ...alice, logonHours: `0020${'00'.repeat(19)}` }],
    settings: { cache: { ...cached, negative: (120 * minute) as Millis }, logonHours: true },
  });
  t.equal(outcome(await scene.map()), 'refused outsideLogonHours');
  scene.advance(60 * minute - 1);
  t.match(scene.map(), { cache: 'negative', result: { verdict: { code: 'outsideLogonHours' } } });
  scene.advance(1);
  t.equal(outcome(await scene.map()), 'LAB\\alice by X509IssuerSerialNumber');
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

await t.test(
  'from when on a cached account has to be looked at again: the end of the hour, its own end, or never',
  async (t) => {
    const from = (facts: Partial<AccountFacts>, logonHours = true) =>
      timeRefusalFrom(fakeAccount({ ...alice, ...facts }), (start + minute) as Instant, { logonHours });
    const hours = 'ff'.repeat(21);
    t.equal(from({}), Infinity);
    t.equal(from({ logonHours: hours }), start + 60 * minute);
    t.equal(from({ logonHours: hours }, false), Infinity, 'hours do not count');
    t.equal(from({ expires: '2026-11-22T12:30:00Z' }), start + 30 * minute);
    t.equal(from({ expires: '2026-11-22T12:30:00Z', logonHours: hours }), start + 30 * minute, 'whichever is first');
    t.equal(from({ expires: '2026-11-22T13:30:00Z', logonHours: hours }), start + 60 * minute);
  },
);

await t.test('why a mapping is strong enough is told, or what it lacks', async (t) => {
  const weak = [{ ...alice, altSecurityIdentities: ['X509:<S>CN=alice'], whenCreated: '2026-01-01T00:00:00Z' }];
  const told = async (scene: Parameters<typeof setScene>[0]) => {
    const steps = recordSteps(() => 0);
    const answer = await setScene(scene).map({ steps });
    return answer.result.kind === 'mapped' ? steps.list.at(-2)?.detail : answer.result.verdict.detail;
  };
  t.equal(await told({ accounts: [alice] }), 'X509IssuerSerialNumber is a strong method');
  t.equal(
    await told({ accounts: weak, certificate: { sid: `${labSid}-1105` } }),
    `the mapping is weak, and the SID extension confirms it with ${labSid}-1105`,
  );
  t.equal(
    await told({ accounts: weak, settings: weakly }),
    'the mapping is weak, and StrongCertificateBindingEnforcement is 0',
  );
  const lacking = 'LAB\\alice is found only by X509SubjectOnly, which is weak, and the certificate has no SID';
  t.equal(await told({ accounts: weak }), `${lacking} (KDC event 39)`);
  const compatible = { strongCertificateBindingEnforcement: 1, certificateBackdatingCompensation: 0 } as const;
  t.match(
    await told({ accounts: weak, settings: compatible, certificate: { notBefore: '2026-02-01T00:00:00Z' } }),
    `${lacking}, but the certificate is valid from 2026-02-01T00:00:00.000Z, the account was created 2026-01-01T00:00:00.000Z`,
  );
  t.match(
    await told({
      accounts: weak,
      settings: { ...compatible, certificateBackdatingCompensation: 60 },
      certificate: { notBefore: '2026-02-01T00:00:00Z' },
    }),
    /, compensation \S+/,
  );
  const both = { certificate: { upns: ['alice@lab.example.test'] }, settings: { certificateMappingMethods: 0x1c } };
  const named = [{ name: 'LAB\\alice', rid: 1105, upn: 'alice@lab.example.test' }];
  t.match(
    await told({ ...both, accounts: named }),
    /^RCMP finds it by UPN, which asks for no strength, although the KDC would refuse it: LAB\\alice is found only by UPN,/,
  );
  t.equal(
    await told({ ...both, accounts: named, settings: { certificateMappingMethods: 0x4 } }),
    'RCMP finds it by UPN, which asks for no strength',
  );
});
