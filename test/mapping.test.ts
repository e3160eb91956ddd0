/**
 * The mapping room without sockets: what is asked of a directory, what of its answer is believed, and what is kept.
 * Spelling and strength have their cases in `test/cases/mapping`.
 */
import { hash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import type { Digest, Instant, Millis, Sid } from '../src/base/brand.ts';
import { noSteps, recordSteps } from '../src/base/steps.ts';
import type { DomainNames } from '../src/directory/directory.ts';
import { maximumMailNames } from '../src/mapping/candidates.ts';
import { createMapper, pauseAfterSilence } from '../src/mapping/mapper.ts';
import type {
  MapAnswer,
  MapOptions,
  MappingCacheSettings,
  MappingSettings,
  MappingSubject,
} from '../src/mapping/mapper-contract.ts';
import { longestDetail } from '../src/mapping/resolve.ts';
import type { Certificate } from '../src/x509/certificate.ts';
import { writeCertificate, type WrittenCertificate } from './support/certificate-writer.ts';
import {
  createFakeDirectory,
  fakeAccount,
  labDomain,
  labSid,
  type AccountFacts,
  type FakeDirectory,
} from './support/fake-directory.ts';
import { parsed, strictSettings, subjectFor } from './support/mapping-cases.ts';

const issuerName = ['DC=test', 'DC=example', 'DC=lab', 'CN=Lab CA'];
const I = 'X509:<I>DC=test,DC=example,DC=lab,CN=Lab CA';
const start = Date.parse('2026-11-22T12:00:00Z') as Instant;
const minute = 60_000;
const options: MapOptions = { maximumAge: null, steps: noSteps };
const cached: MappingCacheSettings = {
  positive: (15 * minute) as Millis,
  negative: minute as Millis,
  stale: (10 * minute) as Millis,
  maximum: 1000,
};

interface Scene {
  readonly certificate?: Partial<WrittenCertificate>;
  readonly accounts?: readonly AccountFacts[];
  readonly domains?: readonly DomainNames[];
  readonly settings?: Partial<MappingSettings>;
}

/** One certificate of the lab CA, a directory, and a mapper with a clock that stands still. */
function setScene({ certificate, accounts = [], domains, settings }: Scene) {
  const subject = subjectOf(certificate);
  const directory = createFakeDirectory({
    accounts: accounts.map(fakeAccount),
    issuers: [subject.issuer.digest],
    ...(domains === undefined ? {} : { domains }),
  });
  const time = { monotonic: 0 };
  const clock = { now: () => (start + time.monotonic) as Instant, monotonic: () => time.monotonic };
  let searches = 0;
  const mapper = createMapper({
    directory,
    settings: { ...strictSettings, ...settings },
    clock,
    onSearches: (records) => (searches += records.length),
  });
  return {
    subject,
    directory,
    mapper,
    clock,
    advance: (millis: number) => (time.monotonic += millis),
    map: (more: Partial<MapOptions> = {}, what: MappingSubject = subject) =>
      mapper.map(what, clock.now(), { ...options, ...more }),
    searches: () => searches,
  };
}

function subjectOf(certificate: Partial<WrittenCertificate> = {}): MappingSubject {
  const der = writeCertificate({ issuer: issuerName, subject: ['CN=alice'], serial: '2a', ...certificate });
  return subjectFor(parsed(der), issuerName);
}

const bySerial = `${I}<SR>2a`;
const alice: AccountFacts = { name: 'LAB\\alice', rid: 1105, altSecurityIdentities: [bySerial], readAt: start };

async function outcomeOf(scene: Scene): Promise<string> {
  return outcome(await setScene(scene).map());
}

/** `LAB\alice by UPN`, or a kind and a verdict's code. */
function outcome({ result }: MapAnswer): string {
  return result.kind === 'mapped'
    ? `${result.identity.account.name} by ${result.identity.methods.join(', ')}`
    : `${result.kind} ${result.verdict.code}`;
}

function detail({ result }: MapAnswer): string {
  return result.kind === 'mapped' ? '' : result.verdict.detail;
}

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
  const off = setScene({ accounts: [alice], settings: { requireNtAuth: false } });
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

// ---- the cache

await t.test('a hit is synchronous, is the same object every time and asks nobody', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  const first = scene.map();
  t.ok(first instanceof Promise);
  t.match(await first, { cache: 'miss', result: { searches: [{ server: 'dc.test' }] } });
  const hit = scene.map();
  t.notOk(hit instanceof Promise);
  t.match(hit, { cache: 'hit', result: { kind: 'mapped', searches: [] } });
  t.equal(scene.map(), hit);
  t.equal(scene.directory.asked.length, 1);
  t.equal(scene.mapper.size, 1);
});

await t.test('what is kept is what was found', async (t) => {
  const scene = setScene({
    accounts: [
      {
        ...alice,
        upn: 'a.müller@lab.example.test',
        expires: '2027-01-01T00:00:00Z',
        dnsHostName: 'a.lab.example.test',
        userAccountControl: 0x210,
        server: 'dc2.test',
        guid: '0123456789abcdef0123456789abcdef',
      },
      { name: 'LAB\\pc1$', rid: 7, altSecurityIdentities: ['X509:<SKI>01'], readAt: start },
    ],
    settings: { cache: cached },
  });
  for (const subject of [scene.subject, subjectOf({ serial: '99', subjectKeyIdentifier: '01' })]) {
    const found = await scene.map({}, subject);
    const kept = await scene.map({}, subject);
    t.equal(found.result.kind, 'mapped');
    t.strictSame({ ...kept.result, searches: [] }, { ...found.result, searches: [] });
    t.equal(kept.cache, 'hit');
  }
});

await t.test('a thousand first requests of one certificate ask as often as one', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  scene.directory.mood = 'held';
  const answers = Array.from({ length: 1000 }, async () => scene.map());
  await settled();
  scene.directory.release();
  const outcomes = (await Promise.all(answers)).map(({ cache }) => cache);
  t.equal(outcomes.filter((cache) => cache === 'miss').length, 1);
  t.equal(outcomes.filter((cache) => cache === 'joined').length, 999);
  t.equal(scene.directory.asked.length, 1);
});

await t.test('leaf, issuer and trust are parts of the key', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  const otherIssuer = parsed(writeCertificate({ issuer: issuerName, subject: issuerName, keyLabel: 'renewed' }));
  const others: readonly MappingSubject[] = [
    subjectOf({ serial: '2b' }),
    { ...scene.subject, trustDigest: '01' as Digest },
    { ...scene.subject, trustDigest: '01' as Digest, issuer: otherIssuer },
  ];
  for (const other of others) t.equal((await scene.map({}, other)).cache, 'miss');
  t.equal(scene.mapper.size, 4);
  t.equal((await scene.map({}, subjectOf())).cache, 'hit', 'not the object but its bytes');
});

await t.test('a refusal is kept for its own time', async (t) => {
  const scene = setScene({ settings: { cache: cached } });
  await scene.map();
  scene.advance(minute - 1);
  t.match(await scene.map(), { cache: 'negative', result: { kind: 'refused', verdict: { code: 'notMapped' } } });
  scene.directory.accounts = [fakeAccount(alice)];
  scene.advance(1);
  t.match(await scene.map(), { cache: 'miss', result: { kind: 'mapped' } });
});

await t.test('a crowd of unmapped certificates does not drive out a mapped one', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: { ...cached, maximum: 20 } } });
  await scene.map();
  for (let serial = 0x1000; serial < 0x1080; serial += 1)
    t.match(await scene.map({}, subjectOf({ serial: serial.toString(16) })), { result: { kind: 'refused' } });
  t.equal((await scene.map()).cache, 'hit');
  t.equal(scene.mapper.size, 3, 'one account and a tenth of the places for refusals');
});

await t.test('the cache is bounded and forgets what was used longest ago', async (t) => {
  const scene = setScene({ settings: { cache: { ...cached, maximum: 2 } } });
  const subjects = ['10', '11', '12'].map((serial) => subjectOf({ serial }));
  scene.directory.accounts = [
    fakeAccount({ ...alice, altSecurityIdentities: ['10', '11', '12'].map((serial) => `${I}<SR>${serial}`) }),
  ];
  for (const subject of subjects) await scene.map({}, subject);
  t.equal(scene.mapper.size, 2);
  t.equal((await scene.map({}, subjects[2])).cache, 'hit');
  t.equal((await scene.map({}, subjects[0])).cache, 'miss');
});

await t.test('maximum 0, or no time to live, keeps nothing', async (t) => {
  const zero = 0 as Millis;
  for (const cache of [
    { ...cached, maximum: 0 },
    { ...cached, positive: zero, negative: zero, stale: zero },
  ])
    for (const accounts of [[alice], []]) {
      const scene = setScene({ accounts, settings: { cache } });
      await scene.map();
      t.equal(scene.mapper.size, 0);
      t.equal((await scene.map()).cache, 'miss');
    }
});

await t.test('a stale answer is served while one new answer is fetched', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.advance(15 * minute - 1);
  t.match(scene.map(), { cache: 'hit' });
  scene.advance(1);
  scene.directory.mood = 'held';
  scene.directory.accounts = [fakeAccount({ ...alice, upn: 'new@lab.example.test', readAt: scene.clock.now() })];
  for (let count = 0; count < 5; count += 1)
    t.match(scene.map(), { cache: 'stale', result: { kind: 'mapped', identity: { account: { upn: null } } } });
  await settled();
  t.equal(scene.directory.asked.length, 2);
  scene.directory.release();
  await settled();
  t.match(scene.map(), { cache: 'hit', result: { identity: { account: { upn: 'new@lab.example.test' } } } });
  t.equal(scene.searches(), 2, 'the search in the background is counted');
});

await t.test('what a new answer refuses is refused at once afterwards', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.advance(16 * minute);
  scene.directory.accounts = [fakeAccount({ ...alice, disabled: true })];
  t.match(scene.map(), { cache: 'stale' });
  await settled();
  t.match(scene.map(), { cache: 'negative', result: { verdict: { code: 'accountDisabled' } } });
  scene.advance(minute);
  scene.directory.mood = 'silent';
  t.equal(outcome(await scene.map()), 'unknown directoryUnavailable', 'and the old account does not come back');
});

await t.test('a silent directory: the stale answer serves until stale ends, then nothing is known', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.directory.mood = 'silent';
  scene.advance(25 * minute - 1);
  t.match(scene.map(), { cache: 'stale', result: { kind: 'mapped' } });
  await settled();
  t.equal(scene.directory.asked.length, 2);
  t.match(scene.map(), { cache: 'stale' }, 'the silence took nothing away');
  scene.advance(1);
  t.match(await scene.map(), { cache: 'miss', result: { kind: 'unknown' } });
  t.equal(scene.mapper.size, 0);
});

await t.test('a directory that breaks in the background leaves the stale answer and no rejection', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.directory.mood = 'broken';
  scene.advance(16 * minute);
  t.match(scene.map(), { cache: 'stale' });
  await settled();
  t.match(scene.map(), { cache: 'stale' });
});

await t.test('after a silence the directory is left alone for a moment', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.directory.mood = 'silent';
  scene.advance(16 * minute);
  const askAndCount = async () => {
    t.match(scene.map(), { cache: 'stale' });
    await settled();
    return scene.directory.asked.length;
  };
  t.equal(await askAndCount(), 2);
  scene.advance(pauseAfterSilence - 1);
  t.equal(await askAndCount(), 2);
  scene.advance(1);
  t.equal(await askAndCount(), 3);
});

await t.test('a location with a maximumAge gets no older answer, stale or not', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  const maximumAge = (10 * minute) as Millis;
  await scene.map();
  scene.advance(10 * minute);
  t.match(scene.map({ maximumAge }), { cache: 'hit' }, 'exactly as old as allowed');
  scene.advance(1);
  scene.directory.mood = 'silent';
  t.match(await scene.map({ maximumAge }), { cache: 'miss', result: { kind: 'unknown' } });
  t.match(scene.map(), { cache: 'hit' }, 'other locations still get it');
  scene.directory.mood = 'well';
  scene.directory.accounts = [fakeAccount({ ...alice, readAt: scene.clock.now() })];
  t.match(await scene.map({ maximumAge }), { cache: 'miss', result: { kind: 'mapped' } });
  t.match(scene.map({ maximumAge }), { cache: 'hit' }, 'the new answer is kept');
  scene.advance(16 * minute);
  t.match(await scene.map({ maximumAge }), { cache: 'miss' }, 'no stale answer either');
});

await t.test('maximumAge counts from when the directory read the account, not from when we kept it', async (t) => {
  const scene = setScene({
    accounts: [{ ...alice, readAt: start - 9 * minute }],
    settings: { cache: cached },
  });
  await scene.map();
  scene.advance(2 * minute);
  t.match(await scene.map({ maximumAge: (10 * minute) as Millis }), { cache: 'miss' });
});

await t.test('maximumAge holds for refusals too', async (t) => {
  const scene = setScene({ settings: { cache: cached } });
  await scene.map();
  scene.advance(2);
  t.match(await scene.map({ maximumAge: 1 as Millis }), { cache: 'miss' });
});

await t.test('unknown is never kept', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  scene.directory.mood = 'silent';
  await scene.map();
  t.equal(scene.mapper.size, 0);
  scene.directory.mood = 'well';
  t.match(await scene.map(), { cache: 'miss', result: { kind: 'mapped' } });
});

await t.test('an account that expires while its answer is kept is refused from that moment', async (t) => {
  const scene = setScene({
    accounts: [{ ...alice, expires: '2026-11-22T12:05:00Z' }],
    settings: { cache: cached },
  });
  await scene.map();
  scene.advance(5 * minute - 1);
  t.match(scene.map(), { cache: 'hit', result: { kind: 'mapped' } });
  scene.advance(1);
  t.match(scene.map(), { cache: 'hit', result: { kind: 'refused', verdict: { code: 'accountExpired' } } });
});

await t.test('fresh asks whatever the cache holds, and keeps the answer', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.directory.accounts = [];
  t.match(await scene.map({ fresh: true }), { cache: 'bypass', result: { kind: 'refused' } });
  t.match(scene.map(), { cache: 'negative' });
  scene.directory.mood = 'silent';
  t.match(await scene.map({ fresh: true }), { cache: 'bypass', result: { kind: 'unknown' } });
  t.match(scene.map(), { cache: 'negative' }, 'a silence takes nothing away');
});

await t.test('a hit and a join tell their step', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  const steps = recordSteps(() => 0);
  await Promise.all([scene.map(), scene.map({ steps })]);
  await scene.map({ steps });
  scene.advance(16 * minute);
  await scene.map({ steps });
  await settled();
  t.strictSame(
    steps.list.map(({ outcome }) => outcome),
    ['joined', 'hit', 'stale'],
  );
  t.match(steps.list[1]?.detail, /read 2026-11-22T12:00:00\.000Z: LAB\\alice/);
});

await t.test('forget drops everything, or what belongs to one account', async (t) => {
  const scene = setScene({
    accounts: [
      alice,
      { name: 'LAB\\bob', rid: 2, altSecurityIdentities: [`${I}<SR>10`] },
      { name: 'LAB\\carol', rid: 3, disabled: true, altSecurityIdentities: [`${I}<SR>11`] },
    ],
    settings: { cache: cached },
  });
  const bob = subjectOf({ serial: '10' });
  const carol = subjectOf({ serial: '11' });
  for (const subject of [scene.subject, bob, carol]) await scene.map({}, subject);
  t.equal(scene.mapper.forget(`${labSid}-2`), 1);
  t.equal((await scene.map()).cache, 'hit');
  t.equal((await scene.map({}, bob)).cache, 'miss');
  t.equal(scene.mapper.forget(`${labSid}-3`), 1, 'a refusal belongs to the account that it names');
  t.equal((await scene.map({}, carol)).cache, 'miss');
  t.equal(scene.mapper.forget(), 3);
  t.equal(scene.mapper.size, 0);
});

await t.test('what was asked before forget is not kept', async (t) => {
  for (const fresh of [false, true]) {
    const scene = setScene({ accounts: [alice], settings: { cache: cached } });
    scene.directory.mood = 'held';
    const before = scene.map({ fresh });
    await settled();
    scene.mapper.forget(`${labSid}-1105`);
    scene.directory.accounts = [];
    scene.directory.mood = 'well';
    t.match(await scene.map(), { cache: 'miss', result: { kind: 'refused' } }, 'nobody joins it either');
    scene.directory.release();
    t.match(await before, { result: { kind: 'mapped' } });
    t.match(scene.map(), { cache: 'negative' });
  }
});

await t.test('a question from before forget does not keep others from joining the one after it', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  scene.directory.mood = 'held';
  const before = scene.map();
  await settled();
  scene.mapper.forget();
  const after = scene.map();
  await settled();
  scene.directory.release(1);
  await before;
  const third = scene.map();
  await settled();
  scene.directory.release();
  t.match(await after, { cache: 'miss' });
  t.match(await third, { cache: 'joined' });
});

await t.test('no timer outlives its question', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const scene = setScene({ accounts: [alice] });
  await scene.map();
  scene.directory.mood = 'broken';
  await scene.map();
  t.equal(timers(), before);
});

await t.test('rules are part of the key and caches are not shared', async (t) => {
  const weak = { ...alice, altSecurityIdentities: ['X509:<S>CN=alice'] };
  t.equal(await outcomeOf({ accounts: [weak], settings: { cache: cached } }), 'refused weakMapping');
  t.equal(
    await outcomeOf({ accounts: [weak], settings: { ...weakly, cache: cached } }),
    'LAB\\alice by X509SubjectOnly',
  );
});

await t.test('measured: a cache hit, and what an entry weighs', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  const now = scene.clock.now();
  const rounds = 200_000;
  const run = () => {
    for (let count = 0; count < rounds; count += 1) void scene.mapper.map(scene.subject, now, options);
  };
  run();
  const began = process.hrtime.bigint();
  run();
  const nanos = Number(process.hrtime.bigint() - began) / rounds;
  t.equal(scene.directory.asked.length, 1);

  const entries = 10_000;
  const crowd = setScene({ settings: { cache: { ...cached, maximum: entries } } });
  const { leaf } = crowd.subject;
  const collect = garbageCollector();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let rid = 0; rid < entries; rid += 1) {
    crowd.directory.accounts = [fakeAccount(crowdMember(rid))];
    await crowd.map({}, { ...crowd.subject, leaf: { ...leaf, digest: hash('sha256', `${rid}`, 'hex') as Digest } });
  }
  crowd.directory.accounts = [];
  crowd.directory.asked.length = 0;
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / entries;
  t.equal(crowd.mapper.size, entries);
  t.comment(`a hit takes ${nanos.toFixed(0)} ns, an entry ${bytes.toFixed(0)} bytes`);
});

/** As long as real ones are, each text its own, with many values that nobody needs afterwards. */
function crowdMember(rid: number): AccountFacts {
  const name = `employee${String(rid).padStart(8, '0')}`;
  return {
    name: `LAB\\${name}`,
    rid: 100_000 + rid,
    upn: Buffer.from(`${name}@lab.example.test`).toString(),
    altSecurityIdentities: [
      bySerial,
      ...Array.from({ length: 20 }, (_, index) => `X509:<SKI>${rid}${'0'.repeat(40)}${index}`),
    ],
    readAt: start,
  };
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** Lets everything that waits for a settled promise run. */
async function settled(): Promise<void> {
  await new Promise<void>((done) => setImmediate(done));
}
