/**
 * What the directory room reads beside lookups: whole accounts, users and groups by name, groups of accounts, accounts again, changes,
 * and everything with a mapping. Against the embedded directory, and against scripted answers that it never gives.
 */
import { hash } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Instant, Millis, Sid } from '../src/base/brand.ts';
import type { Account } from '../src/base/identity.ts';
import { parseAccount, readAccount } from '../src/directory/account.ts';
import { maximumChanges } from '../src/directory/change-search.ts';
import type {
  DirectoryChange,
  ForestSettings,
  Groups,
  PrincipalAnswer,
  PrincipalName,
  ScanPiece,
} from '../src/directory/directory.ts';
import { normaliseEntry } from '../src/directory/entry.ts';
import type { LiveForest } from '../src/directory/forest.ts';
import { pagedResults } from '../src/directory/paging.ts';
import { parseSid, sidOctets } from '../src/directory/sid.ts';
import { adComputer, adGroup } from '../src/lab/directory-entries.ts';
import {
  encodePaging,
  encodeResult,
  readPaging,
  responseTag,
  type SearchRequest,
} from '../src/lab/directory-messages.ts';
import type { DirectoryEntry } from '../src/lab/directory-server.ts';
import {
  base,
  childCrossRef,
  childOptions,
  childPlace,
  domain,
  domainSid,
  openDirectory,
  readyDirectory,
  settingsFor,
  startDc,
  startScript,
  twoDomains,
  until,
  user,
  type LabTest,
} from './support/directory-world.ts';
import type { ScriptedConnection } from './support/scripted-ldap.ts';

const patience = 20_000 as Millis;
const byText = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1);

await t.test('accounts', async (t) => {
  const plain = user(1105, 'alice', { altSecurityIdentities: ['A', 'B'] });
  type Changes = Readonly<Record<string, readonly (string | Buffer)[]>>;
  const foundOf = (changes: Changes, server = 'ldaps://dc1', reversed = false) => {
    const attributes = Object.entries({ 'msDS-User-Account-Control-Computed': ['0'], ...plain.attributes, ...changes });
    const values = attributes.map(([name, list]) => [name, reversed ? list.toReversed() : [...list]] as const);
    return { entry: normaliseEntry({ dn: plain.dn, ...Object.fromEntries(values) }), server };
  };
  const computed = 'msDS-User-Account-Control-Computed';
  const accountOf = (changes: Changes, server?: string, reversed?: boolean): Account => {
    const all = { [computed]: ['0'], ...changes };
    const parsed = parseAccount(foundOf(all, server, reversed), 'LAB', 42 as Instant);
    if (parsed.kind !== 'account') throw new Error(parsed.reason);
    return parsed.account;
  };

  await t.test('logonHours are 21 octets or the entry is unusable', (t) => {
    const hours = Buffer.from(Array.from({ length: 21 }, (_, index) => index));
    t.equal(accountOf({ logonHours: [hours] }).logonHours, '000102030405060708090a0b0c0d0e0f1011121314');
    t.equal(accountOf({}).logonHours, null);
    for (const wrong of [hours.subarray(1), Buffer.concat([hours, hours]), Buffer.alloc(0)])
      t.match(parseAccount(foundOf({ [computed]: ['0'], logonHours: [wrong] }), 'LAB', 0 as Instant), {
        kind: 'unusable',
        reason: /logonHours is not what it should be/,
      });
    t.end();
  });

  await t.test('a password has expired, and an account is locked, by the computed attribute alone', (t) => {
    t.match(accountOf({ [computed]: ['8388608'] }), { passwordExpired: true, locked: false });
    t.match(accountOf({ [computed]: ['16'] }), { passwordExpired: false, locked: true });
    t.match(accountOf({ [computed]: ['8388624'] }), { passwordExpired: true, locked: true });
    t.match(accountOf({ userAccountControl: ['8389136'] }), { passwordExpired: false, locked: false });
    t.match(accountOf({ lockoutTime: ['133000000000000000'] }), { locked: false }, 'lockoutTime may lie long ago');
    t.end();
  });

  await t.test('a fingerprint is the same from every controller, and another with every value that decides', (t) => {
    const { fingerprint } = accountOf({});
    t.match(fingerprint, /^[0-9a-f]{16}$/);
    t.equal(
      accountOf({}, 'ldaps://dc2', true).fingerprint,
      fingerprint,
      'the order of values and the server do not matter',
    );
    t.equal(accountOf({ whenChanged: ['20260101000000.0Z'], cn: ['x'], mail: ['m'] }).fingerprint, fingerprint);
    const sid = sidOctets(`${domainSid}-1106` as Sid);
    const changes: Changes = {
      altSecurityIdentities: ['A'],
      userPrincipalName: ['other@lab.example.test'],
      sAMAccountName: ['other'],
      servicePrincipalName: ['HOST/a'],
      dNSHostName: ['a.lab.example.test'],
      objectSid: [sid],
      objectClass: ['top', 'person', 'organizationalPerson', 'user', 'computer'],
      userAccountControl: ['514'],
      accountExpires: ['134116992000000000'],
      logonHours: [Buffer.alloc(21)],
    };
    const seen = new Set([fingerprint]);
    for (const [attribute, values] of Object.entries(changes)) {
      const other = accountOf({ [attribute]: values }).fingerprint;
      t.notOk(seen.has(other), attribute);
      seen.add(other);
    }
    for (const bits of ['16', '8388608']) {
      const other = accountOf({ [computed]: [bits] }).fingerprint;
      t.notOk(seen.has(other), bits);
      seen.add(other);
    }
    t.equal(accountOf({ [computed]: ['67108864'] }).fingerprint, fingerprint, 'other computed bits decide nothing');
    t.not(accountOf({ altSecurityIdentities: ['A'], servicePrincipalName: ['B'] }).fingerprint, fingerprint);
    t.end();
  });

  await t.test('an entry with gaps is shown with all of them, as nobody who could log on', (t) => {
    const all = Object.keys(plain.attributes);
    const nothing = Object.fromEntries([...all, computed].map((name) => [name, []]));
    const { account, gaps } = readAccount(foundOf(nothing), 'LAB', 1 as Instant);
    t.match(account, { sid: 'S-1-0-0', guid: '0'.repeat(32), kind: 'other', dn: plain.dn, altSecurityIdentities: [] });
    t.equal(gaps.length, 7, gaps.join());
    t.strictSame(readAccount(foundOf({ [computed]: ['0'] }), 'LAB', 1 as Instant).gaps, []);
    t.end();
  });
});

await t.test('SIDs go to octets and back', (t) => {
  for (const sid of ['S-1-5-32-544', 'S-1-1-0', `${domainSid}-4294967295`, 'S-1-0x123456789abc-1'])
    t.equal(parseSid(sidOctets(sid as Sid)), sid);
  t.end();
});

const groups: readonly DirectoryEntry[] = [
  adGroup({ domain, domainSid, rid: 513, name: 'Domain Users' }),
  adGroup({ domain, domainSid, rid: 2001, name: 'Payroll', members: [`CN=alice,CN=Users,${base}`] }),
  adGroup({ domain, domainSid, rid: 2002, name: 'Staff', members: [`CN=Payroll,CN=Users,${base}`] }),
];

function distribution(rid: number, name: string): DirectoryEntry {
  const { dn, attributes } = adGroup({ domain, domainSid, rid, name });
  return { dn, attributes: { ...attributes, groupType: ['2'] } };
}

await t.test('users and groups by name', async (t) => {
  const administrators = adGroup({
    domain,
    domainSid,
    rid: 9,
    name: 'Administrators',
    container: `CN=Builtin,${base}`,
  });
  const builtin = { ...administrators.attributes, objectSid: [sidOctets('S-1-5-32-544' as Sid)] };
  const everyone: DirectoryEntry = {
    dn: `CN=S-1-5-11,CN=ForeignSecurityPrincipals,${base}`,
    attributes: {
      objectClass: ['top', 'foreignSecurityPrincipal'],
      name: ['S-1-5-11'],
      objectSid: [sidOctets('S-1-5-11' as Sid)],
    },
  };
  const lab = await startDc(t, [
    ...groups,
    distribution(2010, 'News'),
    user(1105, 'alice'),
    adComputer({ domain, domainSid, rid: 1200, name: 'web01' }),
    { dn: administrators.dn, attributes: builtin },
    everyone,
    { ...user(1301, 'first'), attributes: { ...user(1301, 'first').attributes, sAMAccountName: ['twin'] } },
    { ...user(1302, 'second'), attributes: { ...user(1302, 'second').attributes, sAMAccountName: ['twin'] } },
    childCrossRef,
  ]);
  const childAdministrators = adGroup({
    ...childPlace,
    rid: 9,
    name: 'Administrators',
    container: `CN=Builtin,DC=child,${base}`,
  });
  const child = await startDc(
    t,
    [
      user(1105, 'alice', childPlace),
      { dn: childAdministrators.dn, attributes: { ...childAdministrators.attributes, objectSid: builtin.objectSid } },
    ],
    childOptions,
  );
  const forest = await readyDirectory(t, twoDomains([lab.url], [child.url]));
  const named = (where: string, name: string) => forest.principal({ kind: 'name', domain: where, name }, patience);
  const shown = (answer: PrincipalAnswer): string =>
    answer.kind === 'found' ? `${answer.principal.kind} ${answer.principal.name}` : `${answer.kind}: ${answer.reason}`;

  await t.test('by NetBIOS or DNS name of the domain, in that domain only', async (t) => {
    t.match(await named('lab', 'alice'), {
      kind: 'found',
      principal: {
        sid: `${domainSid}-1105`,
        name: String.raw`LAB\alice`,
        kind: 'user',
        dn: `CN=alice,CN=Users,${base}`,
      },
    });
    t.match(await named(domain, 'ALICE'), { principal: { name: String.raw`LAB\alice` } });
    t.match(await named('child', 'alice'), { principal: { name: String.raw`CHILD\alice` } });
    t.match(await named(childPlace.domain, 'alice'), { principal: { sid: `${childPlace.domainSid}-1105` } });
    t.equal(shown(await named('lab', 'web01$')), String.raw`computer LAB\WEB01$`);
    t.equal(shown(await named('lab', 'Payroll')), String.raw`group LAB\Payroll`);
    t.match(shown(await named('child', 'Payroll')), /^absent: no user or group Payroll in DC=child/);
    t.match(shown(await named('elsewhere', 'alice')), /^absent: elsewhere is none of the domains/);
    t.equal(shown(await named('builtin', 'Administrators')), String.raw`group BUILTIN\Administrators`);
  });

  await t.test('a distribution group is absent, and the reason says what it is', async (t) => {
    t.match(shown(await named('lab', 'News')), /^absent: LAB\\News is a distribution group/);
  });

  await t.test('two of one name are an error, and one that is only alike is not taken', async (t) => {
    t.match(shown(await named('lab', 'twin')), /^unknown: 2 objects are called twin: CN=first.* and CN=second/);
    t.match(shown(await named('lab', 'alicé')), /^absent: no user or group alicé in .*alice.* is not the same/);
  });

  await t.test('by SID, wherever the object is', async (t) => {
    const bySid = async (sid: string) => shown(await forest.principal({ kind: 'sid', sid: sid as Sid }, patience));
    t.equal(await bySid(`${domainSid}-2001`), String.raw`group LAB\Payroll`);
    t.equal(await bySid(`${childPlace.domainSid}-1105`), String.raw`user CHILD\alice`);
    t.equal(await bySid('S-1-5-32-544'), String.raw`group BUILTIN\Administrators`, 'in every domain the same');
    t.equal(await bySid('S-1-5-11'), 'other S-1-5-11');
    t.match(await bySid('S-1-5-32-999'), /^absent/);
    t.match(await bySid(`${domainSid}-2010`), /^absent: .*distribution/);
  });

  await t.test('names of many SIDs, in batches', async (t) => {
    const missing = Array.from({ length: 70 }, (_, index) => `${domainSid}-${9000 + index}` as Sid);
    const known = [`${domainSid}-2001`, `${domainSid}-1105`, `${childPlace.domainSid}-1105`, 'S-1-5-32-544'] as Sid[];
    const before = lab.searches;
    const names = await forest.namesOf([...known, ...missing, ...known], patience);
    t.strictSame(
      [...names].toSorted(byText),
      [
        [`${childPlace.domainSid}-1105`, String.raw`CHILD\alice`],
        [`${domainSid}-1105`, String.raw`LAB\alice`],
        [`${domainSid}-2001`, String.raw`LAB\Payroll`],
        ['S-1-5-32-544', String.raw`BUILTIN\Administrators`],
      ].toSorted(byText),
    );
    t.equal(lab.searches - before, 3, '74 different SIDs, 32 in a search');
  });

  await t.test('a domain that does not answer makes it unknown, and takes no names of others away', async (t) => {
    await child.stop();
    t.match(await forest.principal({ kind: 'sid', sid: 'S-1-5-32-999' as Sid }, patience), { kind: 'unknown' });
    t.match(await named('lab', 'alice'), { kind: 'found' });
    t.equal((await forest.namesOf([`${domainSid}-1105` as Sid], patience)).size, 1);
  });
});

await t.test('through a global catalog', async (t) => {
  const lab = await startDc(t, [...groups, user(1105, 'alice')]);
  const catalog = await startDc(t, [...groups, user(1105, 'alice')], { globalCatalog: true });
  const forest = await readyDirectory(t, settingsFor([lab.url], { globalCatalog: [catalog.url] }));
  const name: PrincipalName = { kind: 'sid', sid: `${domainSid}-2001` as Sid };
  const before = catalog.searches;
  t.match(await forest.principal(name, patience), { principal: { kind: 'group', name: String.raw`LAB\Payroll` } });
  t.equal((await forest.namesOf([`${domainSid}-1105` as Sid], patience)).size, 1);
  t.equal(catalog.searches - before, 2);
});

await t.test('groups of an account', async (t) => {
  const lab = await startDc(t, [...groups, user(1105, 'alice')]);
  const forest = await readyDirectory(t, settingsFor([lab.url]));
  const located = await forest.locate([{ attribute: 'userPrincipalName', value: `alice@${domain}` }], patience);
  if (located.kind !== 'answered' || located.accounts[0] === undefined) throw new Error('no alice');
  const [alice] = located.accounts;
  const rids = (answer: Groups) =>
    answer.kind === 'read'
      ? [...answer.sids].map((sid) => sid.split('-').at(-1) ?? '').toSorted(byText)
      : answer.reason;

  await t.test('nested ones and the primary group too', async (t) => {
    const before = lab.searches;
    const answer = await forest.groupsOf(alice, patience);
    t.strictSame(rids(answer), ['2001', '2002', '513']);
    t.match(answer, { server: lab.url });
    t.equal(lab.searches - before, 1);
  });

  await t.test('of an account that was moved since, by what it is', async (t) => {
    lab.move(alice.dn, `CN=alice,OU=Moved,${base}`);
    t.strictSame(rids(await forest.groupsOf(alice, patience)), ['2001', '2002', '513']);
    lab.add(user(1106, 'alice'));
    t.strictSame(
      rids(await forest.groupsOf(alice, patience)),
      ['2001', '2002', '513'],
      'not of whoever has its name now',
    );
    lab.delete(`CN=alice,OU=Moved,${base}`);
    t.match(rids(await forest.groupsOf(alice, patience)), /knows 0 objects of its objectGUID/);
    t.match(await forest.groupsOf({ ...alice, dn: 'CN=x,DC=other' as Account['dn'] }, patience), {
      kind: 'unknown',
      reason: /not configured/,
    });
  });

  await t.test('that may not be read are unknown, and the reason names the right', async (t) => {
    let values: readonly (string | Buffer)[] = [];
    const server = await startScript(t, {
      search(request, connection) {
        if (!request.attributes.includes('tokenGroups')) return false;
        connection.entry(request.id, alice.dn, { objectGUID: [Buffer.from(alice.guid, 'hex')], tokenGroups: values });
        connection.done(request.id);
        return true;
      },
    });
    const other = await readyDirectory(t, settingsFor([server.url]));
    t.match(await other.groupsOf(alice, patience), {
      kind: 'unknown',
      reason: /gave no tokenGroups: .*Remote Access Information/,
    });
    values = [sidOctets('S-1-5-32-544' as Sid), Buffer.from('x')];
    t.match(await other.groupsOf(alice, patience), { kind: 'unknown', reason: /not SIDs/ });
    values = [sidOctets('S-1-5-32-544' as Sid)];
    t.match(await other.groupsOf(alice, patience), { kind: 'read' });
    await server.close();
    t.match(await other.groupsOf(alice, patience), { kind: 'unknown', reason: /the groups of CN=alice/ });
  });

  await t.test('more than one answer holds', async (t) => {
    const many = Array.from({ length: 40 }, (_, index) =>
      adGroup({ domain, domainSid, rid: 3000 + index, name: `g${index}`, members: [`CN=bob,CN=Users,${base}`] }),
    );
    const server = await startDc(t, [...many, user(1107, 'bob')], { valueRange: 15 });
    const other = await readyDirectory(t, settingsFor([server.url]));
    const bob = await other.locate([{ attribute: 'userPrincipalName', value: `bob@${domain}` }], patience);
    if (bob.kind !== 'answered' || bob.accounts[0] === undefined) throw new Error('no bob');
    t.equal(rids(await other.groupsOf(bob.accounts[0], patience)).length, 41);
  });
});

await t.test('accounts read again', async (t) => {
  const people = Array.from({ length: 40 }, (_, index) => user(2000 + index, `user${index}`));
  const lab = await startDc(t, [...people, childCrossRef]);
  const child = await startDc(t, [user(1105, 'alice', childPlace)], childOptions);
  const forest = await readyDirectory(t, twoDomains([lab.url], [child.url]));
  const names = [...people.keys()].map((index) => `user${index}@${domain}`);
  const located = await forest.locate(
    [...names, `alice@${childPlace.domain}`].map((value) => ({ attribute: 'userPrincipalName', value })),
    patience,
  );
  if (located.kind !== 'answered') throw new Error(located.reason);
  const { accounts } = located;
  t.equal(accounts.length, 41);
  t.ok(accounts.every((account) => forest.holds(account)));
  const strange = { ...(accounts[0] as Account), dn: 'CN=x,DC=other' as Account['dn'] };
  t.notOk(forest.holds(strange));
  const called = (name: string) => accounts.find(({ samAccountName }) => samAccountName === name) as Account;

  const before = lab.searches;
  const same = await forest.readAgain(accounts, patience);
  t.ok(
    accounts.every((account) => {
      const again = same.get(account);
      return again?.kind === 'read' && again.account.fingerprint === account.fingerprint;
    }),
  );
  t.equal(lab.searches - before, 2, '40 accounts, 32 in a search');

  lab.delete(called('user1').dn);
  lab.move(called('user2').dn, `CN=other,OU=New,${base}`);
  lab.replace(called('user3').dn, 'userAccountControl', ['514']);
  lab.replace(called('user4').dn, 'accountExpires', ['never']);
  await child.stop();
  const again = await forest.readAgain([...accounts, strange, { ...called('user3') }], patience);
  const kinds = (name: string) => again.get(called(name));
  t.match(kinds('user1'), { kind: 'gone', reason: /no such account in lab/ });
  t.match(kinds('user2'), { kind: 'read', account: { dn: `CN=other,OU=New,${base}` } });
  t.match(kinds('user3'), { kind: 'read', account: { disabled: true } });
  t.not((kinds('user3') as { account: Account }).account.fingerprint, called('user3').fingerprint);
  t.match(kinds('user4'), { kind: 'unknown', reason: /accountExpires/ }, 'and the others of its batch are read');
  t.match(kinds('user5'), { kind: 'read' });
  t.match(kinds('alice'), { kind: 'unknown' }, 'a domain that is silent loses nobody');
  t.match(again.get(strange), { kind: 'unknown', reason: /not configured/ });
  t.equal(again.size, 43, 'one answer for each that was asked for, twins too');
});

await t.test('changes', async (t) => {
  const interval = 20 as Millis;
  const watched = async (
    t: LabTest & Pick<Test, 'strictSame'>,
    urls: readonly string[],
    more: Partial<ForestSettings> = {},
  ): Promise<{ forest: LiveForest; told: DirectoryChange[]; take: () => Promise<readonly DirectoryChange[]> }> => {
    const told: DirectoryChange[] = [];
    const forest = openDirectory(t, settingsFor(urls, { pollInterval: interval, ...more }));
    forest.onChanges((changes) => void told.push(...changes));
    await until(() => told.length > 0);
    t.strictSame(
      told.splice(0).map(({ kind }) => kind),
      ['unsure'],
      'what was before is not known',
    );
    return {
      forest,
      told,
      async take() {
        await until(() => told.length > 0);
        return told.splice(0);
      },
    };
  };
  const staff = { sid: `${domainSid}-2002` };
  const people = [...groups, user(1105, 'alice', { altSecurityIdentities: ['A'] }), user(1106, 'bob')];
  const alice = `CN=alice,CN=Users,${base}`;

  await t.test('without any, a poll is one search of the rootDSE', async (t) => {
    const lab = await startDc(t, people);
    const { told } = await watched(t, [lab.url]);
    const { searches } = lab;
    await lab.reached(searches + 10);
    t.strictSame(told, []);
    const forest = await readyDirectory(t, settingsFor([lab.url]));
    await lab.reached(lab.searches + 5);
    t.equal(forest.records.filter(({ base: where }) => where === '').length, 1, 'an interval of 0 never polls');
  });

  await t.test('an account that was written to is told with all that it can be found by now', async (t) => {
    const lab = await startDc(t, people);
    const { take } = await watched(t, [lab.url]);
    lab.replace(alice, 'altSecurityIdentities', ['A', 'B']);
    t.match(await take(), [
      {
        kind: 'account',
        sid: `${domainSid}-1105`,
        guid: /^[0-9a-f]{32}$/,
        identifiers: [
          { attribute: 'altSecurityIdentities', value: 'A' },
          { attribute: 'altSecurityIdentities', value: 'B' },
          { attribute: 'userPrincipalName', value: `alice@${domain}` },
          { attribute: 'sAMAccountName', value: 'alice', domain },
        ],
      },
    ]);
    lab.move(alice, `CN=alice,OU=New,${base}`);
    const moved = await take();
    t.match(moved[0], { kind: 'account', sid: `${domainSid}-1105` });
    lab.add(adComputer({ domain, domainSid, rid: 1300, name: 'pc9', servicePrincipalNames: ['HOST/pc9'] }));
    t.match(await take(), [{ kind: 'account', sid: `${domainSid}-1300` }]);
  });

  await t.test('a group is told with the groups that it is in, also when it is in none', async (t) => {
    const lab = await startDc(t, people);
    const { take } = await watched(t, [lab.url]);
    lab.replace(`CN=Payroll,CN=Users,${base}`, 'member', [`CN=bob,CN=Users,${base}`]);
    t.match(await take(), [{ kind: 'group', sid: `${domainSid}-2001`, within: new Set([staff.sid]) }]);
    lab.replace(`CN=Staff,CN=Users,${base}`, 'member', []);
    t.strictSame(await take(), [{ kind: 'group', sid: staff.sid, dn: `CN=Staff,CN=Users,${base}`, within: new Set() }]);
  });

  await t.test('what nobody may see is told as such: a deletion, another object', async (t) => {
    const lab = await startDc(t, people);
    const { take } = await watched(t, [lab.url]);
    lab.delete(alice);
    t.strictSame(await take(), [{ kind: 'unseen' }]);
    lab.add({ dn: `OU=x,${base}`, attributes: { objectClass: ['top', 'organizationalUnit'] } });
    t.strictSame(await take(), [{ kind: 'unseen' }]);
  });

  await t.test('NTAuth and the names of domains: read at once, told when they are others', async (t) => {
    const lab = await startDc(t, people);
    const { forest, take, told } = await watched(t, [lab.url]);
    await Promise.all([forest.ntAuth(), forest.domains()]);
    const nextForest = async () => {
      const kinds: DirectoryChange[] = [];
      while (!kinds.some(({ kind }) => kind === 'forest')) kinds.push(...(await take()));
      return kinds.filter(({ kind }) => kind === 'forest');
    };
    const configuration = `CN=Configuration,${base}`;
    lab.replace(`CN=NTAuthCertificates,CN=Public Key Services,CN=Services,${configuration}`, 'cACertificate', [
      Buffer.from('other'),
    ]);
    t.strictSame(await nextForest(), [{ kind: 'forest', what: 'ntAuth' }]);
    t.match(await forest.ntAuth(), { kind: 'read', issuers: new Set([hash('sha256', Buffer.from('other'), 'hex')]) });
    lab.replace(`CN=Partitions,${configuration}`, 'uPNSuffixes', ['corp.example']);
    t.strictSame(await nextForest(), [{ kind: 'forest', what: 'partitions' }]);
    const names = await forest.domains();
    t.ok(names.kind === 'read' && names.domains[0]?.upnSuffixes.includes('corp.example'));
    told.length = 0;
    lab.replace(`CN=Partitions,${configuration}`, 'uPNSuffixes', ['corp.example']);
    t.strictSame(await take(), [{ kind: 'unseen' }], 'written, and the same');
  });

  await t.test('a restored controller, and one that was counted further before, start over', async (t) => {
    const lab = await startDc(t, people);
    const { take, told } = await watched(t, [lab.url]);
    const snapshot = lab.snapshot();
    for (const text of ['u', 'v', 'w', 'x']) lab.replace(alice, 'description', [text]);
    await take();
    lab.restore(snapshot);
    t.match(await take(), [{ kind: 'unsure', reason: /has counted to \d+ before/ }]);
    await lab.stop();
    lab.restore(lab.snapshot());
    lab.replace(alice, 'description', ['y']);
    lab.replace(alice, 'description', ['z']);
    await lab.start();
    t.match(await take(), [{ kind: 'unsure', reason: /may have been restored/ }]);
    await lab.stop();
    lab.replace(alice, 'description', ['while nobody was there']);
    await lab.start();
    t.match(await take(), [{ kind: 'account' }], 'the same database goes on counting');
    t.strictSame(told, []);
  });

  await t.test('the controller that answers lookups is the one that is polled', async (t) => {
    const first = await startDc(t, people);
    const second = await startDc(t, people);
    const { forest, take } = await watched(t, [first.url, second.url]);
    await until(async () => (await forest.health()).every(({ state }) => state === 'up'));
    await first.stop();
    t.match(await take(), [{ kind: 'unsure', reason: /is asked now/ }]);
    second.replace(alice, 'description', ['x']);
    t.match(await take(), [{ kind: 'account' }]);
    await first.start();
    t.match(await take(), [{ kind: 'unsure', reason: /is asked now/ }], 'and back, when it is the first again');
    first.replace(alice, 'description', ['x']);
    t.match(await take(), [{ kind: 'account' }]);
  });

  await t.test('more changes than a page, and more than anybody looks at', async (t) => {
    const lab = await startDc(t, people);
    const { take, told } = await watched(t, [lab.url]);
    for (let index = 0; index < 1300; index++) lab.add(user(10_000 + index, `new${index}`));
    await until(() => told.length >= 1300);
    t.equal(new Set((await take()).map((change) => ('guid' in change ? change.guid : ''))).size, 1300);
    for (let index = 0; index <= maximumChanges; index++) lab.add(user(20_000 + index, `more${index}`));
    t.match(await take(), [{ kind: 'unsure', reason: /more than 5000 objects/ }]);
  });

  await t.test('what cannot be read is unsure or unseen, and an empty page is not the last one', async (t) => {
    let usn = 10;
    let answer: (request: SearchRequest, connection: ScriptedConnection) => void = () => {};
    const server = await startScript(t, {
      search(request, connection) {
        const isState = request.attributes.includes('highestCommittedUSN');
        if (isState)
          connection.entry(request.id, '', {
            highestCommittedUSN: [String(usn)],
            defaultNamingContext: [base],
            dsServiceName: ['CN=NTDS Settings'],
          });
        if (request.base === 'CN=NTDS Settings')
          connection.entry(request.id, request.base, { invocationId: ['1'.repeat(16)] });
        const asked = request.controls.some(({ oid }) => oid === pagedResults);
        if (asked) answer(request, connection);
        if (isState || request.base === 'CN=NTDS Settings') connection.done(request.id);
        return asked || isState || request.base === 'CN=NTDS Settings';
      },
    });
    const { take } = await watched(t, [server.url]);
    const person = (rid: number) => ({
      objectClass: ['user'],
      objectSid: [sidOctets(`${domainSid}-${rid}` as Sid)],
      objectGUID: [Buffer.alloc(16, rid)],
      uSNChanged: [String(usn)],
    });
    const pageDone = (connection: ScriptedConnection, id: number, cookie: string) =>
      connection.raw(
        encodeResult(id, responseTag.searchDone, { code: 0, controls: [encodePaging(pagedResults, cookie)] }),
      );

    answer = (request, connection) => connection.done(request.id, 18, 'no such index');
    usn += 1;
    t.match(await take(), [{ kind: 'unsure', reason: /no such index/ }]);

    const cookies: string[] = [];
    answer = (request, connection) => {
      const { cookie } = readPaging(request.controls.find(({ oid }) => oid === pagedResults)?.value ?? null);
      cookies.push(cookie);
      if (cookie !== '') connection.entry(request.id, `CN=a,${base}`, person(7));
      pageDone(connection, request.id, cookie === '' ? 'next' : '');
    };
    usn += 1;
    t.match(await take(), [{ kind: 'account', sid: `${domainSid}-7`, identifiers: [] }]);
    t.strictSame(cookies, ['', 'next']);

    answer = (request, connection) => {
      const late = { ...person(8), uSNChanged: [String(usn + 1)] };
      connection.entry(request.id, `CN=b,${base}`, late);
      connection.done(request.id);
    };
    usn += 1;
    t.match(
      await take(),
      [{ kind: 'account', sid: `${domainSid}-8` }, { kind: 'unseen' }],
      'what is written after the numbers were read stands for nothing that was before',
    );

    answer = (request, connection) => {
      connection.entry(request.id, `CN=a,${base}`, { objectClass: ['user'], uSNChanged: [String(usn)] });
      connection.done(request.id);
    };
    usn += 1;
    t.strictSame(await take(), [{ kind: 'unseen' }], 'somebody, and it may not be read who');

    let dropped = 0;
    answer = (request, connection) => {
      dropped += 1;
      if (dropped === 1) {
        connection.socket.destroy();
        return;
      }
      connection.entry(request.id, `CN=b,${base}`, person(8));
      connection.done(request.id);
    };
    usn += 1;
    t.match(await take(), [{ kind: 'account', sid: `${domainSid}-8` }], 'a line that ends is asked over again');
    t.equal(dropped, 2);
  });
});

await t.test('a scan of everything with a mapping', async (t) => {
  const many = Array.from({ length: 2300 }, (_, index) =>
    user(10_000 + index, `u${index}`, { altSecurityIdentities: [`V${index}`] }),
  );
  const values = Array.from({ length: 2000 }, (_, index) => `X509:<SKI>${index}`);
  const lab = await startDc(t, [
    ...many,
    user(1105, 'alice', { altSecurityIdentities: values }),
    user(1106, 'nobody'),
    adComputer({ domain, domainSid, rid: 1200, name: 'web01', altSecurityIdentities: ['C'] }),
    user(1107, 'odd', {
      altSecurityIdentities: ['D'],
      attributes: { accountExpires: ['soon'], logonHours: [Buffer.alloc(3)] },
    }),
    childCrossRef,
  ]);
  const child = await startDc(t, [user(1105, 'carol', { ...childPlace, altSecurityIdentities: ['E'] })], childOptions);
  const settings = twoDomains([lab.url], [child.url]);
  const pieces = async (forest: LiveForest, signal = new AbortController().signal): Promise<ScanPiece[]> => {
    const all: ScanPiece[] = [];
    for await (const piece of forest.scan(signal)) all.push(piece);
    return all;
  };
  const accountsIn = (all: readonly ScanPiece[]) =>
    all.flatMap((piece) => (piece.kind === 'accounts' ? piece.accounts : []));

  await t.test('page by page, domain by domain, each account once and whole', async (t) => {
    const forest = await readyDirectory(t, settings);
    const all = await pieces(forest);
    t.strictSame(
      all.map((piece) => [piece.kind, piece.domain, piece.kind === 'accounts' ? piece.accounts.length : 0]),
      [
        ['accounts', domain, 1000],
        ['accounts', domain, 1000],
        ['accounts', domain, 303],
        ['accounts', childPlace.domain, 1],
      ],
    );
    const accounts = accountsIn(all);
    t.equal(new Set(accounts.map(({ account }) => account.guid)).size, 2304);
    const called = (name: string) => accounts.find(({ account }) => account.samAccountName === name);
    t.equal(called('alice')?.account.altSecurityIdentities.length, 2000);
    t.strictSame(called('alice')?.gaps, []);
    t.match(called('WEB01$'), { account: { kind: 'computer', name: String.raw`LAB\WEB01$` } });
    t.equal(called('nobody'), undefined);
    t.match(called('odd'), {
      account: { altSecurityIdentities: ['D'] },
      gaps: [/accountExpires is not what/, /logonHours is not what/],
    });
    t.equal(lab.connections, 2, 'its connection is closed, those of lookups stay');
  });

  await t.test('ends early when it is told to, and says that it did', async (t) => {
    const forest = await readyDirectory(t, settings);
    const stop = new AbortController();
    const all: ScanPiece[] = [];
    for await (const piece of forest.scan(stop.signal)) {
      all.push(piece);
      stop.abort();
    }
    t.match(all, [{ kind: 'accounts' }, { kind: 'failed', domain, reason: 'it was given up' }]);
    t.equal(all.length, 2);
    const none = await pieces(forest, AbortSignal.abort());
    t.strictSame(none, []);
    for await (const _ of forest.scan(new AbortController().signal)) break;
    await until(() => lab.connections === 2);
  });

  await t.test('a domain that fails on the way is told apart from one that has no more', async (t) => {
    const forest = await readyDirectory(t, settings);
    const all: ScanPiece[] = [];
    for await (const piece of forest.scan(new AbortController().signal)) {
      all.push(piece);
      lab.faults.resultCode = 53;
    }
    lab.faults.resultCode = null;
    t.match(all[1], { kind: 'failed', domain, reason: /53/ });
    t.match(all.at(-1), { kind: 'accounts', domain: childPlace.domain }, 'the next domain is read all the same');
    await child.stop();
    await until(async () => (await forest.health()).some(({ state }) => state === 'down'));
    t.match((await pieces(forest)).at(-1), { kind: 'failed', domain: childPlace.domain });
  });
});
