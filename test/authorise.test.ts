/**
 * Authorise: what a location demands of certificate, mapping and account, who is one of those that it names, how names become SIDs, and
 * what a location does that only reports. Real requests are in `gateway.test.ts`.
 */
import t from 'tap';
import type { SetAlarm } from '../src/base/alarm.ts';
import type { Dn, Instant, Millis, Sid } from '../src/base/brand.ts';
import type { Account } from '../src/base/identity.ts';
import { noSteps, recordSteps } from '../src/base/steps.ts';
import type { Verdict } from '../src/base/verdict.ts';
import type { Groups, Principal, PrincipalAnswer, PrincipalName } from '../src/directory/directory.ts';
import { authorise, unknownLife } from '../src/gateway/authorise.ts';
import { unmetDemand } from '../src/gateway/certificate-demands.ts';
import { membershipOf, type MembershipQuestion } from '../src/gateway/membership.ts';
import {
  createPinnedPrincipals,
  type NamingForest,
  type PinnedRule,
  type PinningMeans,
} from '../src/gateway/pinned-principals.ts';
import type { AuthorizeRule, LocationSettings, SiteSettings } from '../src/gateway/settings.ts';
import type { Setup } from '../src/gateway/setup.ts';
import type { Mapped } from '../src/gateway/stages.ts';
import { isVerdict } from '../src/gateway/stages.ts';
import { createAuthority } from '../src/lab/authority.ts';
import type { MapOptions, MappedIdentity } from '../src/mapping/mapper-contract.ts';
import type { TrustedPath } from '../src/trust/judgement.ts';
import { usageOids } from '../src/x509/oid.ts';
import { certificateOf, judge, type Made, type Recipe } from './support/chains.ts';
import { fakeAccount, type AccountFacts } from './support/fake-directory.ts';

const key = 'ed25519';
const root = await createAuthority({ subject: 'CN=Root', key });
const twin = await createAuthority({ subject: 'CN=Root', key });
const [gold, silver] = ['1.3.6.1.4.1.99999.1', '1.3.6.1.4.1.99999.2'];

async function pathOf(leaf: Recipe = {}, ca: Recipe = {}): Promise<{ path: TrustedPath; authority: Made }> {
  const authority = await root.subordinate({ subject: 'CN=Issuing', key, ...ca });
  const issued = await authority.issue({ subject: 'CN=alice', key, ...leaf });
  const judgement = judge({ presented: [issued, authority], roots: [root] });
  if (judgement.kind === 'refused') throw new Error(judgement.verdict.detail);
  return { path: judgement.path, authority };
}

const plain = await pathOf();
const everybody: AuthorizeRule = {
  accounts: ['user'],
  minimumStrength: 'weak',
  issuancePolicies: [],
  extendedKeyUsages: [],
  issuers: [],
  groups: [],
  users: [],
  reportOnly: false,
  alsoRequires: null,
};

function locationWith(authorize: Partial<AuthorizeRule>, more: Partial<LocationSettings> = {}): LocationSettings {
  return {
    path: '/payroll',
    exact: false,
    access: { ssl: true, clientCertificate: 'require' } as LocationSettings['access'],
    anonymous: 'disabled',
    clientCertificateMapping: true,
    authorize: { ...everybody, ...authorize },
    whoami: false,
    maximumAge: null,
    dialects: [],
    groups: 'none',
    audience: null,
    forwarded: [],
    upgrades: [],
    webSocketOrigins: null,
    preflight: null,
    upstream: {} as LocationSettings['upstream'],
    ...more,
  };
}

const alice = fakeAccount({ name: 'LAB\\alice', rid: 1105 });

function identityOf(more: Partial<MappedIdentity> = {}, account: Partial<AccountFacts> = {}): MappedIdentity {
  return {
    account: fakeAccount({ name: 'LAB\\alice', rid: 1105, ...account }),
    method: 'UPN',
    methods: ['UPN'],
    strength: 'weak',
    strengthBy: 'sidExtension',
    ...more,
  };
}

const outcome = (refused: Verdict | null) => (refused === null ? 'passes' : `${refused.code}: ${refused.detail}`);
const demand = (rule: Partial<AuthorizeRule>, path: TrustedPath, identity = identityOf()) =>
  outcome(unmetDemand(identity, path, { ...everybody, ...rule }, '/payroll'));

await t.test('the kind of account', async (t) => {
  t.equal(demand({}, plain.path), 'passes');
  const computer = identityOf({}, { name: 'LAB\\WS1$' });
  t.match(
    demand({}, plain.path, computer),
    /^notAuthorised: LAB\\WS1\$ is a computer account, .*\/payroll accepts user$/,
  );
  t.equal(demand({ accounts: ['user', 'computer'] }, plain.path, computer), 'passes');
  t.match(demand({ accounts: ['computer'] }, plain.path), /^notAuthorised: /);
});

await t.test('a strong mapping is one that is strong by itself, by a rule or by the SID', async (t) => {
  const rule = { minimumStrength: 'strong' } as const;
  for (const strengthBy of ['method', 'nameBasedRule', 'sidExtension', 'sidUri'] as const)
    t.equal(demand(rule, plain.path, identityOf({ strengthBy })), 'passes', strengthBy);
  for (const [strengthBy, why] of [
    ['age', /asks for a strong mapping, LAB\\alice was found by UPN: weak, .* not older than the account/],
    ['notEnforced', /weak, .* StrongCertificateBindingEnforcement is 0/],
    ['rcmp', /weak, .* never asks/],
  ] as const) {
    const weak = identityOf({ strengthBy, strength: 'strong' });
    t.match(demand(rule, plain.path, weak), new RegExp(`^strengthRequired: .*${why.source}`));
    t.equal(demand({}, plain.path, weak), 'passes', `${strengthBy}, where none is asked for`);
  }
});

await t.test('an issuer is a name and a key, anywhere above the leaf', async (t) => {
  const issuers = (...made: readonly Made[]) => ({ issuers: made.map(certificateOf) });
  const [leaf] = plain.path.certificates;
  t.equal(demand(issuers(root), plain.path), 'passes', 'at the top');
  t.equal(demand(issuers(plain.authority), plain.path), 'passes', 'in between');
  t.equal(demand(issuers(twin, root), plain.path), 'passes', 'one of them');
  t.match(
    demand(issuers(twin), plain.path),
    /^issuerNotAccepted: location \/payroll accepts certificates below CN=Root \(by name and key\), above this one stand CN=Issuing, CN=Root$/,
    'another key',
  );
  t.match(
    demand({ issuers: leaf === undefined ? [] : [leaf] }, plain.path),
    /^issuerNotAccepted: /,
    'not the leaf itself',
  );
  const renewed = await root.subordinate({ subject: 'CN=Issuing', key });
  t.match(demand(issuers(renewed), plain.path), /^issuerNotAccepted: /);
});

await t.test('policies hold for the path, not for the leaf alone', async (t) => {
  const asked = { issuancePolicies: [gold] };
  t.equal(demand(asked, (await pathOf({ policies: [gold] }, { policies: [gold, silver] })).path), 'passes');
  t.match(
    demand(asked, (await pathOf({ policies: [gold, silver] }, { policies: [silver] })).path),
    `policyRequired: location /payroll asks for a path that is valid for the policy ${gold}, this one is valid for ${silver}`,
  );
  t.match(demand(asked, plain.path), /this one is valid for none$/);
  t.match(demand({ issuancePolicies: [gold, silver] }, plain.path), `the policy ${gold} or ${silver},`);
  t.equal(
    demand({ issuancePolicies: [silver, gold] }, (await pathOf({ policies: [gold] }, { policies: [gold] })).path),
    'passes',
  );
});

await t.test('a certificate that is its own anchor is good for the policies that it names', async (t) => {
  const alone = async (recipe: Recipe) => {
    const one = await createAuthority({ subject: 'CN=alice', key, ca: false, ...recipe });
    const judgement = judge({ presented: [one], roots: [one] });
    return judgement.kind === 'refused' ? judgement.verdict.code : demand({ issuancePolicies: [gold] }, judgement.path);
  };
  t.match(await alone({}), /this one is valid for none$/);
  t.match(await alone({ policies: [silver] }), new RegExp(`this one is valid for ${silver}$`));
  t.equal(await alone({ policies: [gold] }), 'passes');
});

await t.test('all extended key usages that are asked for, by name', async (t) => {
  const both = [usageOids.smartCardLogon, usageOids.clientAuth];
  const { path } = await pathOf({ extendedKeyUsage: both });
  t.equal(demand({ extendedKeyUsages: [usageOids.smartCardLogon] }, path), 'passes');
  t.equal(demand({ extendedKeyUsages: both }, path), 'passes');
  t.match(
    demand({ extendedKeyUsages: both }, plain.path),
    /^policyRequired: location \/payroll asks for the extended key usages smartCardLogon, clientAuth, the certificate and those above it allow by name clientAuth$/,
    'one of two is not all',
  );
  const narrow = await pathOf({ extendedKeyUsage: both }, { extendedKeyUsage: [usageOids.clientAuth] });
  t.match(
    demand({ extendedKeyUsages: [usageOids.smartCardLogon] }, narrow.path),
    /^policyRequired: /,
    'a CA that does not allow it',
  );
  const any = await pathOf({ extendedKeyUsage: [usageOids.any] });
  t.match(
    demand({ extendedKeyUsages: [usageOids.smartCardLogon] }, any.path),
    /^policyRequired: /,
    'anyExtendedKeyUsage',
  );
});

await t.test('what a hostile certificate lists is cut in the sentence', async (t) => {
  const policies = Array.from({ length: 50 }, (_, index) => `1.3.6.1.4.1.99999.5.${index}`);
  const { path } = await pathOf({ policies }, { policies: ['2.5.29.32.0'] });
  const said = demand({ issuancePolicies: [gold] }, path);
  t.match(said, /valid for (?:[\d.]+, ){7}[\d.]+ and 42 more$/);
});

const [payroll, sales] = ['S-1-5-21-1-2-3-1601' as Sid, 'S-1-5-21-1-2-3-1602' as Sid];
const now = 1_000_000 as Instant;
const rule = (more: Partial<PinnedRule> = {}): PinnedRule => ({
  users: new Map(),
  groups: new Map(),
  pending: new Map(),
  ...more,
});
const groupRule = rule({ groups: new Map([[payroll, 'LAB\\Payroll']]) });
const userRule = (sid: Sid, more: Partial<PinnedRule> = {}) => rule({ users: new Map([[sid, 'LAB\\alice']]), ...more });
const read = (...sids: readonly Sid[]): Groups => ({ kind: 'read', sids: new Set(sids), readAt: now, server: 'dc1' });
const silent: Groups = { kind: 'unknown', reason: 'dc1 is silent' };

function asked(answers: readonly (Groups | Promise<Groups>)[], more: Partial<MembershipQuestion> = {}) {
  const options: MapOptions[] = [];
  const waiting = [...answers];
  const groupsOf = (_account: Account, _now: Instant, given: MapOptions) => {
    options.push(given);
    return waiting.shift() ?? silent;
  };
  const answer = membershipOf({
    account: alice,
    location: locationWith({}),
    members: groupRule,
    mapper: { groupsOf },
    now,
    steps: noSteps,
    freshFor: null,
    ...more,
  });
  return { answer, options };
}

const said = async (answers: readonly (Groups | Promise<Groups>)[], more: Partial<MembershipQuestion> = {}) =>
  outcome((await asked(answers, more).answer).refusal);

await t.test('members pass, others do not, and who is named needs no groups', async (t) => {
  const unasked = asked([], { members: null });
  t.notOk(unasked.answer instanceof Promise, 'at once');
  t.equal(await said([], { members: null }), 'passes');
  t.equal(await said([read(sales, payroll)]), 'passes');
  t.match(
    await said([read(sales)]),
    'notAuthorised: LAB\\alice is in none of the groups LAB\\Payroll of location /payroll; dc1 names 1 groups of it',
  );
  const named = asked([], { members: userRule(alice.sid, { groups: groupRule.groups }) });
  t.equal(await said([], { members: userRule(alice.sid, { groups: groupRule.groups }) }), 'passes');
  t.strictSame(named.options, [], 'a user that is named is not asked for groups');
  const other = userRule('S-1-5-21-1-2-3-1' as Sid);
  const stranger = asked([], { members: other });
  t.match(
    await said([], { members: other }),
    /^notAuthorised: LAB\\alice is none of the users LAB\\alice of location \/payroll$/,
  );
  t.strictSame(stranger.options, [], 'nor where there are only users');
  t.equal(
    await said([read(payroll)], { members: rule({ users: other.users, groups: groupRule.groups }) }),
    'passes',
    'either is enough',
  );
  t.equal((await asked([read(payroll)]).answer).readAt, now);
});

await t.test('what cannot be found out is neither yes nor no', async (t) => {
  t.match(await said([silent]), 'groupsUnknown: the groups of LAB\\alice are not known: dc1 is silent');
  t.match(await said([Promise.resolve(silent)]), /^groupsUnknown/);
  t.match(await said([read(payroll)], { mapper: null }), /^groupsUnknown/);
  const pending = new Map([['group x', 'group x cannot be looked up']]);
  t.match(await said([], { members: rule({ pending }) }), /^groupsUnknown: .*group x cannot be looked up$/);
  t.match(
    await said([read(sales)], { members: { ...groupRule, pending } }),
    'groupsUnknown: group x cannot be looked up',
  );
  t.equal(
    await said([read(payroll)], { members: { ...groupRule, pending } }),
    'passes',
    'a group that is known is enough',
  );
  t.equal(await said([], { members: userRule(alice.sid, { pending }) }), 'passes');
});

await t.test('maximumAge bounds the age of groups too', async (t) => {
  const location = locationWith({}, { maximumAge: 600_000 as Millis });
  const later = (milliseconds: number) => ({ location, now: (now + milliseconds) as Instant });
  t.equal(await said([read(payroll)], later(600_000)), 'passes');
  t.match(await said([read(payroll)], later(600_001)), /^groupsUnknown: .* longer ago than maximumAge/);
  t.equal(asked([read(payroll)], { location }).options[0]?.maximumAge, 600_000);
});

await t.test("a live connection's groups are asked for anew, and remembered ones hold where that fails", async (t) => {
  const freshFor = 30_000 as Millis;
  const fresh = asked([read(payroll)], { freshFor });
  t.same(
    fresh.options.map(({ maximumAge }) => maximumAge),
    [30_000],
  );
  for (const first of [silent, Promise.resolve(silent)]) {
    const again = asked([first, read(payroll)], { freshFor });
    t.equal((await again.answer).refusal, null);
    t.same(
      again.options.map(({ maximumAge }) => maximumAge),
      [30_000, null],
    );
  }
  const gone = asked([read(sales), read(payroll)], { freshFor });
  t.match((await gone.answer).refusal, { code: 'notAuthorised' }, 'an answer is an answer');
  const strict = asked([silent], { freshFor, location: locationWith({}, { maximumAge: 10_000 as Millis }) });
  t.match((await strict.answer).refusal, { code: 'groupsUnknown' });
  t.same(
    strict.options.map(({ maximumAge }) => maximumAge),
    [10_000],
    'what is older than maximumAge is not asked for',
  );
});

interface Scene {
  readonly authorize?: Partial<AuthorizeRule>;
  readonly more?: Partial<LocationSettings>;
  readonly identity?: MappedIdentity | null;
  readonly pinned?: PinnedRule | null;
  readonly groups?: Groups | Promise<Groups>;
}

function authorised({ authorize = {}, more = {}, identity = identityOf(), pinned = null, groups = silent }: Scene) {
  const location = locationWith(authorize, more);
  const mapped = {
    trusted: { presented: { rule: { location } }, path: identity === null ? null : plain.path },
    identity,
  } as unknown as Mapped;
  const setup = {
    principals: { of: ({ groups }: AuthorizeRule) => (groups.length === 0 ? pinned : groupRule) },
    mapper: { groupsOf: () => groups },
    settings: { limits: { recheck: 60_000 } },
  } as unknown as Setup;
  const steps = recordSteps(() => 0);
  return { answer: authorise(mapped, { connection: null }, setup, now, steps), steps, mapped };
}

await t.test('anonymous requests are not asked', async (t) => {
  const { answer, steps } = authorised({ identity: null, authorize: { minimumStrength: 'strong' }, pinned: groupRule });
  t.match(await answer, { wouldRefuse: null, until: Infinity });
  t.match(steps.list, [{ step: 'authorise', outcome: 'allowed', detail: /anonymous/ }]);
});

await t.test('a refusal carries the account and leaves a step', async (t) => {
  const { answer, steps } = authorised({ pinned: groupRule, groups: read() });
  t.match(await answer, { code: 'notAuthorised', account: { name: 'LAB\\alice' } });
  t.match(steps.list, [{ step: 'authorise', outcome: 'notAuthorised' }]);
  const good = authorised({
    pinned: groupRule,
    groups: Promise.resolve(read(payroll)),
    more: { maximumAge: 5000 as Millis },
  });
  t.match(await good.answer, { wouldRefuse: null, until: now + 5000 });
  t.match(good.steps.list, [{ outcome: 'allowed', detail: 'LAB\\alice may use /payroll' }]);
});

await t.test('reportOnly serves every refusal of the rule, and says so', async (t) => {
  const table: readonly (readonly [code: string, Scene])[] = [
    ['notAuthorised', { authorize: { accounts: ['computer'] } }],
    ['strengthRequired', { authorize: { minimumStrength: 'strong' }, identity: identityOf({ strengthBy: 'age' }) }],
    ['policyRequired', { authorize: { issuancePolicies: [gold] } }],
    ['policyRequired', { authorize: { extendedKeyUsages: [usageOids.smartCardLogon] } }],
    ['issuerNotAccepted', { authorize: { issuers: [certificateOf(twin)] } }],
    ['notAuthorised', { pinned: groupRule, groups: Promise.resolve(read(sales)) }],
    ['groupsUnknown', { pinned: groupRule, groups: silent }],
  ];
  for (const [code, scene] of table) {
    const refused = await authorised(scene).answer;
    t.match(refused, { code, detail: /./ });
    const { answer, steps, mapped } = authorised({ ...scene, authorize: { ...scene.authorize, reportOnly: true } });
    const served = await answer;
    if (isVerdict(served)) {
      t.fail(`${served.code} under reportOnly`);
      continue;
    }
    t.equal(served.mapped, mapped, 'with the mapped identity');
    t.strictSame(served.wouldRefuse, refused, code);
    t.equal(served.until, code === 'groupsUnknown' ? now + unknownLife : Infinity);
    t.match(steps.list, [{ step: 'authorise', outcome: 'reportOnly', detail: new RegExp(`\\(${code}\\)`) }]);
  }
  const good = await authorised({ authorize: { reportOnly: true } }).answer;
  t.match(good, { wouldRefuse: null }, 'who may pass is not reported');
});

const named = (domain: string, name: string): PrincipalName => ({ kind: 'name', domain, name });
const principal = (sid: Sid, name: string, kind: Principal['kind'] = 'group'): PrincipalAnswer => ({
  kind: 'found',
  principal: { sid, name, kind, dn: `CN=${name}` as Dn },
});

interface FakeForest extends NamingForest {
  readonly asked: PrincipalName[];
  answers: Record<string, PrincipalAnswer>;
  up: boolean;
}

function forestOf(name: string, answers: Record<string, PrincipalAnswer>): FakeForest {
  const forest: FakeForest = {
    name,
    asked: [],
    answers,
    up: true,
    domains: async () =>
      forest.up
        ? { kind: 'read', domains: [{ dnsName: `${name}.test`, netbiosName: name.toUpperCase(), upnSuffixes: [] }] }
        : { kind: 'unknown', reason: 'never read' },
    holds: ({ domain }) => domain === name.toUpperCase(),
    async principal(wanted) {
      forest.asked.push(wanted);
      if (!forest.up) return { kind: 'unknown', reason: 'silent' };
      return (
        forest.answers[wanted.kind === 'sid' ? wanted.sid : wanted.name] ?? { kind: 'absent', reason: 'no such name' }
      );
    },
  };
  return forest;
}

function pinning(
  locations: readonly LocationSettings[],
  forests: readonly NamingForest[],
  more: Partial<PinningMeans> = {},
) {
  const alarms: { work: () => void; delay: number }[] = [];
  const setAlarm: SetAlarm = (work, delay) => {
    const alarm = { work, delay };
    alarms.push(alarm);
    return () => void alarms.splice(alarms.indexOf(alarm), 1);
  };
  const clock = { monotonic: () => performance.now() };
  const sites = [{ name: 'Lab', locations } as unknown as SiteSettings];
  const principals = createPinnedPrincipals(sites, { forests, clock, random: () => 0.5, setAlarm, ...more });
  return { principals, alarms };
}

const soon = 20 as Millis;

const olga = fakeAccount({ name: 'OTHER\\olga', sid: 'S-1-5-21-7-7-7-1' });

await t.test('a SID counts among the accounts of its own forest alone', async (t) => {
  const everywhere = 'S-1-5-32-544' as Sid;
  const admins = principal(everywhere, 'BUILTIN\\Administrators');
  const lab = forestOf('lab', { Payroll: principal(payroll, 'LAB\\Payroll'), [everywhere]: admins });
  const other = forestOf('other', { [everywhere]: admins });
  const location = locationWith({ groups: [named('lab', 'Payroll')] });
  const users = locationWith({ users: [{ kind: 'sid', sid: alice.sid }] });
  const builtin = locationWith({ groups: [{ kind: 'sid', sid: everywhere }] });
  lab.answers[alice.sid] = principal(alice.sid, 'LAB\\alice', 'user');
  const { principals } = pinning([location, users, builtin], [lab, other]);
  await principals.start(soon);
  const told = (account: Account, { authorize }: LocationSettings, ...sids: readonly Sid[]) =>
    said([read(...sids)], { account, members: principals.of(authorize, account) });
  t.equal(await told(alice, location, payroll), 'passes');
  t.match(
    await told(olga, location, payroll),
    'notAuthorised: all whom the location names are of other forests than OTHER\\olga',
    'whatever her token says',
  );
  t.match(await told(fakeAccount({ name: 'ELSE\\eve' }), location, payroll), /^notAuthorised/);
  t.equal(await told(alice, users), 'passes');
  t.match(await told(fakeAccount({ name: 'OTHER\\alice', sid: alice.sid }), users), /^notAuthorised/);
  for (const account of [alice, olga]) t.equal(await told(account, builtin, everywhere), 'passes');
  other.answers[alice.sid] = principal(alice.sid, 'OTHER\\alice', 'user');
  await t.rejects(pinning([users], [lab, other]).principals.start(soon), /is ambiguous: lab and other both have it/);
});

await t.test('names become SIDs in the forest that has their domain', async (t) => {
  const lab = forestOf('lab', {
    Payroll: principal(payroll, 'LAB\\Payroll'),
    alice: principal(alice.sid, 'LAB\\alice', 'user'),
  });
  const other = forestOf('other', { Payroll: principal(sales, 'OTHER\\Payroll') });
  const one = locationWith({
    groups: [named('lab', 'Payroll'), named('other.test', 'Payroll')],
    users: [named('lab.test', 'alice')],
  });
  const two = locationWith({ groups: [named('lab', 'Payroll')] });
  const free = locationWith({});
  const groups: (readonly Sid[])[] = [];
  const { principals } = pinning([one, two, free], [lab, other], { onGroups: (all) => groups.push(all) });
  await principals.start(soon);
  t.same(principals.of(one.authorize, alice)?.groups, new Map([[payroll, 'LAB\\Payroll']]));
  t.same(principals.of(one.authorize, olga)?.groups, new Map([[sales, 'OTHER\\Payroll']]), 'each in its own forest');
  t.same(principals.of(one.authorize, alice)?.users, new Map([[alice.sid, 'LAB\\alice']]));
  t.same(principals.of(one.authorize, olga)?.users, new Map());
  t.same(principals.of(two.authorize, alice)?.groups, new Map([[payroll, 'LAB\\Payroll']]));
  t.equal(principals.of(one.authorize, alice)?.pending.size, 0);
  t.equal(principals.of(free.authorize, alice), null);
  t.same(principals.unpinned(), []);
  t.equal(lab.asked.length, 2, 'each name once');
  t.same(groups.at(-1)?.toSorted(), [payroll, sales], 'and the mapper is told');
  t.throws(() => principals.of({ ...everybody }, alice), /another setup/);
});

await t.test('a pinned name keeps its SID, whatever takes the name later', async (t) => {
  const lab = forestOf('lab', { Payroll: principal(payroll, 'LAB\\Payroll') });
  const location = locationWith({ groups: [named('lab', 'Payroll'), named('lab', 'Late')] });
  lab.answers['Late'] = { kind: 'unknown', reason: 'silent' };
  const { principals, alarms } = pinning([location], [lab]);
  await principals.start(soon);
  lab.answers = { Payroll: principal(sales, 'LAB\\Payroll'), Late: principal('S-1-5-21-9' as Sid, 'LAB\\Late') };
  alarms[0]?.work();
  await new Promise(setImmediate);
  t.same([...(principals.of(location.authorize, alice)?.groups.keys() ?? [])], [payroll, 'S-1-5-21-9']);
  principals.close();
});

await t.test('a name that does not exist stops the start, and says where it stands', async (t) => {
  const lab = forestOf('lab', {
    Payroll: principal(payroll, 'LAB\\Payroll'),
    alice: principal(alice.sid, 'LAB\\alice', 'user'),
    ws1: principal('S-1-5-21-7' as Sid, 'LAB\\WS1$', 'computer'),
    [payroll]: principal(payroll, 'LAB\\Payroll'),
  });
  const start = (authorize: Partial<AuthorizeRule>, forests: readonly NamingForest[] = [lab]) =>
    pinning([locationWith(authorize)], forests).principals.start(soon);
  const failure = (message: RegExp) => ({ name: 'Failure', code: 'principal', exitCode: 1, message });
  await t.rejects(
    start({ groups: [named('lab', 'Nope')] }),
    failure(/^site Lab, location \/payroll: group lab\\Nope does not exist: no such name$/),
  );
  await t.rejects(
    start({ groups: [named('lab', 'alice')] }),
    failure(/group lab\\alice is not a group: .* of kind user$/),
  );
  await t.rejects(
    start({ users: [named('lab', 'Payroll')] }),
    failure(/user lab\\Payroll is not a user: .* of kind group$/),
  );
  await t.rejects(
    start({ groups: [named('nowhere', 'Payroll')] }),
    failure(/no configured forest has a domain nowhere$/),
  );
  await t.rejects(start({ groups: [named('lab', 'Payroll')] }, []), failure(/no configured forest/));
  const namesake = { ...forestOf('other', {}), domains: lab.domains };
  await t.rejects(
    start({ groups: [named('lab', 'Payroll')] }, [lab, namesake]),
    failure(/lab and other both have a domain lab$/),
  );
  await t.rejects(
    start({ groups: [{ kind: 'sid', sid: sales }] }),
    failure(/group S-1-5-21-1-2-3-1602 does not exist/),
  );
  await start({ groups: [{ kind: 'sid', sid: payroll }], users: [named('lab', 'ws1'), named('lab', 'alice')] });
});

await t.test('a silent directory stops nothing: names are looked for until it answers', async (t) => {
  const lab = forestOf('lab', { Payroll: principal(payroll, 'LAB\\Payroll') });
  lab.up = false;
  const location = locationWith({ groups: [named('lab', 'Payroll')] });
  const { principals, alarms } = pinning([location], [lab]);
  await principals.start(soon);
  t.same(principals.unpinned(), [
    { sentence: 'site Lab, location /payroll: group lab\\Payroll cannot be looked up: lab: never read', wrong: false },
  ]);
  t.match(
    await said([read(payroll)], { members: principals.of(location.authorize, alice) }),
    /^groupsUnknown: .*cannot be looked up/,
  );
  const delays: number[] = [];
  for (let round = 0; round < 10; round += 1) {
    const [alarm] = alarms.splice(0);
    delays.push(alarm?.delay ?? 0);
    alarm?.work();
    await new Promise(setImmediate);
  }
  t.same(delays.slice(0, 3), [250, 500, 1000]);
  t.equal(delays.at(-1), 30_000, 'less and less often');
  lab.up = true;
  alarms.splice(0)[0]?.work();
  await new Promise(setImmediate);
  t.same(principals.unpinned(), []);
  t.equal(await said([read(payroll)], { members: principals.of(location.authorize, alice) }), 'passes');
  t.same(alarms, [], 'and not any more');

  lab.up = false;
  const closed = pinning([location], [lab]);
  await closed.principals.start(soon);
  closed.principals.close();
  t.same(closed.alarms, []);
});

await t.test('of two forests the silent one may have the domain', async (t) => {
  const lab = forestOf('lab', {});
  const quiet = forestOf('other', { Payroll: principal(sales, 'OTHER\\Payroll') });
  quiet.up = false;
  const location = locationWith({ groups: [named('other', 'Payroll')] });
  const { principals } = pinning([location], [lab, quiet]);
  await principals.start(soon);
  t.match(principals.unpinned(), [{ wrong: false }]);
  const bySid = pinning([locationWith({ groups: [{ kind: 'sid', sid: sales }] })], [lab, quiet]);
  await bySid.principals.start(soon);
  t.match(bySid.principals.unpinned(), [{ wrong: false }]);
  principals.close();
  bySid.principals.close();
});

await t.test('what a rule requires beside itself holds as well, each with its own reportOnly', async (t) => {
  const weak = identityOf({ strengthBy: 'age' });
  const inner = (more: Partial<AuthorizeRule>): AuthorizeRule => ({ ...everybody, minimumStrength: 'strong', ...more });
  const chain = (outer: Partial<AuthorizeRule>, rule: AuthorizeRule | null) =>
    authorised({ identity: weak, authorize: { ...outer, alsoRequires: rule } }).answer;
  t.match(await chain({}, inner({})), { code: 'strengthRequired' });
  t.match(
    await chain({ reportOnly: true }, inner({})),
    { code: 'strengthRequired' },
    'the outer one reports for itself only',
  );
  t.match(await chain({}, inner({ reportOnly: true })), { wouldRefuse: { code: 'strengthRequired' } });
  t.match(await chain({ accounts: [] }, inner({ reportOnly: true })), { code: 'notAuthorised' });
  t.match(
    await chain({ accounts: [], reportOnly: true }, inner({ reportOnly: true })),
    { wouldRefuse: { code: 'notAuthorised' } },
    'the first is told',
  );
  t.match(await chain({}, { ...everybody, alsoRequires: inner({}) }), { code: 'strengthRequired' }, 'however deep');
  const groups = [named('lab', 'Payroll')];
  const inGroup = { ...everybody, groups };
  t.match(await authorised({ authorize: { alsoRequires: inGroup }, groups: read() }).answer, { code: 'notAuthorised' });
  t.match(await authorised({ authorize: { alsoRequires: inGroup }, groups: silent }).answer, { code: 'groupsUnknown' });
  t.match(await authorised({ authorize: { alsoRequires: inGroup }, groups: read(payroll) }).answer, {
    wouldRefuse: null,
  });

  const lab = forestOf('lab', { Payroll: principal(payroll, 'LAB\\Payroll') });
  const { principals } = pinning([locationWith({ alsoRequires: inGroup })], [lab]);
  await principals.start(soon);
  t.same(principals.of(inGroup, alice)?.groups, new Map([[payroll, 'LAB\\Payroll']]), 'its names are pinned too');
});
