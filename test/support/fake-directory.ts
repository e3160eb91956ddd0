/**
 * A directory in memory, without sockets, that matches as loosely as a domain controller does and can be told to be
 * silent, slow or broken. For tests of rooms that ask a directory; the LDAP side has its own.
 */
import type { Digest, Dn, Instant, Sid } from '../../src/base/brand.ts';
import type { Account } from '../../src/base/identity.ts';
import type {
  Again,
  Assertion,
  Directory,
  DirectoryChange,
  DomainNames,
  Forest,
  Located,
  NtAuth,
} from '../../src/directory/directory.ts';
import { fold } from '../../src/directory/sort-key.ts';

/** One forest, and the directory that consists of it. */
export interface FakeDirectory extends Directory, Forest {
  /** May be changed at any time. */
  accounts: readonly Account[];
  issuers: ReadonlySet<Digest>;
  /** `silent`: unknown; `held`: no answer before `release`; `broken`: rejects, which no directory may. */
  mood: 'well' | 'silent' | 'held' | 'broken';
  ntAuthMood: 'well' | 'silent';
  domainsMood: 'well' | 'silent';
  /** By SID of the account; who is not in it has groups that cannot be read. */
  groups: ReadonlyMap<Sid, ReadonlySet<Sid>>;
  /** What accounts and groups are said to have been read at. */
  now: () => Instant;
  readonly groupReads: Account[];
  readonly rereads: (readonly Account[])[];
  /** Every `locate`, in order. */
  readonly asked: (readonly Assertion[])[];
  /** Tells of changes. */
  tell(...changes: readonly DirectoryChange[]): void;
  /** Lets held answers go, the oldest first; they show the accounts of the moment they were asked. */
  release(count?: number): void;
}

export interface FakeDirectoryFacts {
  readonly accounts?: readonly Account[];
  readonly domains?: readonly DomainNames[];
  readonly issuers?: Iterable<Digest>;
}

export const labDomain: DomainNames = {
  dnsName: 'lab.example.test',
  netbiosName: 'LAB',
  upnSuffixes: ['lab.example.test', 'corp.example'],
};

export function createFakeDirectory(facts: FakeDirectoryFacts): FakeDirectory {
  const domains = facts.domains ?? [labDomain];
  const held: (() => void)[] = [];
  const listeners: ((changes: readonly DirectoryChange[]) => void)[] = [];
  const again = ({ guid }: Account): Again => {
    if (fake.mood === 'silent') return { kind: 'unknown', reason: 'dc.test: ECONNREFUSED' };
    const account = fake.accounts.find((one) => one.guid === guid);
    if (account === undefined) return { kind: 'gone', reason: 'dc.test has no such account any more' };
    return { kind: 'read', account: { ...account, readAt: fake.now() } };
  };
  const fake: FakeDirectory = {
    name: domains[0]?.dnsName ?? 'fake',
    get forests() {
      return [fake];
    },
    accounts: facts.accounts ?? [],
    issuers: new Set(facts.issuers),
    mood: 'well',
    ntAuthMood: 'well',
    domainsMood: 'well',
    groups: new Map(),
    now: () => 0 as Instant,
    groupReads: [],
    rereads: [],
    asked: [],
    async locate(assertions) {
      fake.asked.push(assertions);
      if (fake.mood === 'broken') throw new Error('a broken promise');
      const searches = [
        {
          server: 'dc.test',
          base: '',
          filter: `(|${assertions.map(({ value }) => `(${value})`).join('')})`,
          result: '',
          ms: 0,
        },
      ];
      if (fake.mood === 'silent') return { kind: 'unknown', reason: 'dc.test: ECONNREFUSED', searches };
      const accounts = fake.accounts.filter((account) => assertions.some((one) => holds(account, one, domains)));
      const answer: Located = { kind: 'answered', accounts, searches };
      if (fake.mood === 'held') await new Promise<void>((go) => held.push(go));
      return answer;
    },
    async ntAuth(): Promise<NtAuth> {
      if (fake.ntAuthMood === 'silent') return { kind: 'unknown', reason: 'never read' };
      return { kind: 'read', issuers: fake.issuers, readAt: 0 as Instant, server: 'dc.test' };
    },
    domains: async () =>
      fake.domainsMood === 'silent' ? { kind: 'unknown', reason: 'never read' } : { kind: 'read', domains },
    principal: async () => ({ kind: 'absent', reason: 'this directory has no groups' }),
    namesOf: async () => new Map(),
    async groupsOf(account) {
      fake.groupReads.push(account);
      const sids = fake.groups.get(account.sid);
      if (fake.mood === 'held') await new Promise<void>((go) => held.push(go));
      if (sids === undefined || fake.mood === 'silent') return { kind: 'unknown', reason: 'tokenGroups were not read' };
      return { kind: 'read', sids, readAt: fake.now(), server: 'dc.test' };
    },
    holds: () => true,
    async *scan() {
      const mapped = fake.accounts.filter(({ altSecurityIdentities }) => altSecurityIdentities.length > 0);
      const accounts = mapped.map((account) => ({ account, gaps: [] }));
      yield { kind: 'accounts', domain: fake.name, accounts };
    },
    onChanges: (listener) => void listeners.push(listener),
    async readAgain(accounts) {
      fake.rereads.push(accounts);
      return new Map(accounts.map((account) => [account, again(account)]));
    },
    health: async () => [],
    close: async () => {},
    tell(...changes) {
      for (const listener of listeners) listener(changes);
    },
    release(count = held.length) {
      for (const go of held.splice(0, count)) go();
    },
  };
  return fake;
}

/** A directory of several forests, in this order. */
export function joinForests(forests: readonly Forest[]): Directory {
  return { forests, health: async () => [], close: async () => {} };
}

function holds(account: Account, assertion: Assertion, domains: readonly DomainNames[]): boolean {
  const same = (stored: string) => fold(stored) === fold(assertion.value);
  if (assertion.attribute === 'sAMAccountName') {
    const domain = domains.find(({ dnsName }) => dnsName === assertion.domain);
    return same(account.samAccountName) && domain?.netbiosName === account.domain;
  }
  if (assertion.attribute === 'altSecurityIdentities') return account.altSecurityIdentities.some(same);
  if (assertion.attribute === 'servicePrincipalName') return account.servicePrincipalNames.some(same);
  return account.upn !== null && same(account.upn);
}

export interface AccountFacts extends Partial<
  Omit<Account, 'sid' | 'dn' | 'readAt' | 'expires' | 'whenCreated' | 'name'>
> {
  /** `LAB\alice`. */
  readonly name: string;
  /** The last part of the SID. */
  readonly rid?: number;
  readonly sid?: string;
  /** ISO 8601, or null. */
  readonly expires?: string | null;
  readonly whenCreated?: string | null;
  readonly readAt?: number;
}

export const labSid = 'S-1-5-21-1111111111-2222222222-3333333333';

/** A user, or a computer where the name ends in `$`; everything can be said otherwise. */
export function fakeAccount(facts: AccountFacts): Account {
  const { name, rid = 1105, sid, expires = null, whenCreated = '2020-01-01T00:00:00Z', readAt = 0, ...rest } = facts;
  const [domain = '', samAccountName = ''] = name.split('\\');
  const computer = samAccountName.endsWith('$');
  return {
    name,
    domain,
    samAccountName,
    sid: (sid ?? `${labSid}-${rid}`) as Sid,
    dn: `CN=${samAccountName},DC=lab,DC=example,DC=test` as Dn,
    guid: String(rid).padStart(32, '0'),
    upn: null,
    kind: computer ? 'computer' : 'user',
    userAccountControl: computer ? 0x1000 : 0x200,
    disabled: false,
    locked: false,
    logonHours: null,
    passwordExpired: false,
    altSecurityIdentities: [],
    servicePrincipalNames: [],
    dnsHostName: null,
    fingerprint: '0'.repeat(16),
    server: 'dc.test',
    ...rest,
    expires: instantOf(expires),
    whenCreated: instantOf(whenCreated),
    readAt: readAt as Instant,
  };
}

function instantOf(iso: string | null): Instant | null {
  return iso === null ? null : (Date.parse(iso) as Instant);
}
