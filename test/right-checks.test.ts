/**
 * What `check` says of the rights of the bind account, against directories that leave out what may not be read.
 */
import t from 'tap';
import type { Contact } from '../src/cli/check.ts';
import { checkRights, type RightsAsked } from '../src/cli/right-checks.ts';
import { attributeRights, otherRights } from '../src/cli/right-table.ts';
import type { Millis } from '../src/base/brand.ts';
import { accountAttributes } from '../src/directory/account.ts';
import type { ForestSettings } from '../src/directory/directory.ts';
import type { DirectoryEntry } from '../src/directory/entry.ts';
import { filterText } from '../src/directory/filter.ts';
import type { LiveForest } from '../src/directory/forest.ts';
import type { DirectoryEntry as LabEntry } from '../src/lab/directory-server.ts';
import {
  childCrossRef,
  childOptions,
  childPlace,
  domain,
  openDirectory,
  settingsFor,
  startDc,
  twoDomains,
  user,
  type LabTest,
} from './support/directory-world.ts';

const usual: RightsAsked = { account: null, groups: true, logonHours: true };
const value = 'X509:<I>O=CA<SR>1200';
const full = {
  altSecurityIdentities: [value],
  servicePrincipalNames: ['http/alice'],
  dnsHostName: 'alice.lab.example.test',
  attributes: { logonHours: [Buffer.alloc(21, 0xff)] },
};

function rights(t: LabTest, settings: ForestSettings, asked: Partial<RightsAsked> = {}) {
  const polled = { ...settings, pollInterval: 60_000 as Millis };
  return checkRights({ forest: openDirectory(t, polled), settings: polled, asked: { ...usual, ...asked } });
}

async function rightsOf(t: LabTest, entries: readonly LabEntry[], asked: Partial<RightsAsked> = {}) {
  const dc = await startDc(t, entries);
  return { dc, contacts: await rights(t, settingsFor([dc.url]), asked) };
}

const told = ({ what }: Contact) => what;
const bad = (contacts: readonly Contact[]) => contacts.filter(({ finding, answers }) => finding || !answers).map(told);
const of = (contacts: readonly Contact[], attribute: string) =>
  contacts.find(({ what }) => what.includes(` ${attribute} in ${domain}`));

await t.test('every attribute that accounts are read with has its right', (t) => {
  t.strictSame([...attributeRights.keys()].toSorted(), accountAttributes.toSorted());
  t.end();
});

await t.test('an account that may read everything', async (t) => {
  const { dc, contacts } = await rightsOf(t, [user(1105, 'alice', full)]);
  t.strictSame(bad(contacts), []);
  t.notOk(contacts.some(({ unproven }) => unproven === true));
  for (const attribute of [...accountAttributes, 'tokenGroups', 'highestCommittedUSN', 'uSNChanged'])
    t.match(of(contacts, attribute)?.detail, dc.url, attribute);
  t.match(contacts.map(told).at(-1), /invocationId/);
  const fewer = await rightsOf(t, [user(1105, 'alice', full)], { groups: false, logonHours: false });
  t.notMatch(fewer.contacts.map(told).join(), /tokenGroups|logonHours/, 'what nobody needs is not asked for');
});

await t.test('each read that is missing, with the right to give', async (t) => {
  const dc = await startDc(t, [user(1105, 'alice', full)]);
  const settings = { ...settingsFor([dc.url]), pollInterval: 60_000 as Millis };
  const forest = openDirectory(t, settings);
  const always = accountAttributes.filter((attribute) => attributeRights.get(attribute)?.always === true);
  for (const attribute of [...always, 'uSNChanged']) {
    const blind: Pick<LiveForest, 'ask'> = {
      async ask(...question) {
        const answer = await forest.ask(...question);
        const without = (entry: DirectoryEntry): DirectoryEntry => ({
          ...entry,
          attributes: new Map([...entry.attributes].filter(([name]) => name !== attribute.toLowerCase())),
        });
        return answer.kind === 'entries' ? { ...answer, entries: answer.entries.map(without) } : answer;
      },
    };
    const contacts = await checkRights({ forest: blind, settings, asked: { ...usual, account: 'alice' } });
    const right = attributeRights.get(attribute)?.right ?? otherRights.changes;
    t.match(bad(contacts), [new RegExp(` ${attribute} in ${domain}$`)], attribute);
    t.equal(of(contacts, attribute)?.detail, `missing at ${dc.url}: the bind account needs ${right}`, attribute);
  }
});

await t.test('an attribute that may be read and not searched', async (t) => {
  const dc = await startDc(t, [user(1105, 'alice', full)]);
  const settings = { ...settingsFor([dc.url]), pollInterval: 60_000 as Millis };
  const forest = openDirectory(t, settings);
  const blind: Pick<LiveForest, 'ask'> = {
    async ask(place, request, patience) {
      const answer = await forest.ask(place, request, patience);
      const sought = filterText(request.filter).includes('(altSecurityIdentities=X509');
      return sought && answer.kind === 'entries' ? { ...answer, entries: [] } : answer;
    },
  };
  const contacts = await checkRights({ forest: blind, settings, asked: usual });
  t.strictSame(bad(contacts), [`right to read and search altSecurityIdentities in ${domain}`]);
});

await t.test('what nobody needs to have: seen elsewhere, or not proven', async (t) => {
  const other = user(1106, 'bob', full);
  const elsewhere = await rightsOf(t, [user(1105, 'alice', { upn: null }), other], { account: 'LAB\\alice' });
  t.strictSame(bad(elsewhere.contacts), []);
  t.match(of(elsewhere.contacts, 'altSecurityIdentities')?.detail, 'read of CN=bob');

  const { contacts } = await rightsOf(t, [user(1105, 'alice', { upn: null })]);
  t.strictSame(bad(contacts), []);
  for (const attribute of [
    'altSecurityIdentities',
    'userPrincipalName',
    'servicePrincipalName',
    'logonHours',
    'dNSHostName',
  ])
    t.match(
      of(contacts, attribute),
      { unproven: true, detail: /nobody has it, or the bind account needs read of/ },
      attribute,
    );
});

await t.test('groups', async (t) => {
  const { contacts } = await rightsOf(t, [
    user(1105, 'alice', { ...full, attributes: { ...full.attributes, primaryGroupID: [] } }),
  ]);
  t.strictSame(bad(contacts), [`right to read tokenGroups in ${domain}`]);
  t.match(of(contacts, 'tokenGroups')?.detail, /Remote Access Information \(037088f8-0ae1-11d2-b422-00a0c968f939\)/);
});

await t.test('changes', async (t) => {
  const dc = await startDc(t, [user(1105, 'alice', full)], { rootDse: { highestCommittedUSN: [], dsServiceName: [] } });
  const contacts = await rights(t, settingsFor([dc.url]));
  t.strictSame(bad(contacts), [`right to read highestCommittedUSN in ${domain}`]);
  const elsewhere = await startDc(t, [user(1105, 'alice', full)], {
    rootDse: { dsServiceName: ['CN=Nowhere,DC=lab,DC=example,DC=test'] },
  });
  const hidden = await rights(t, settingsFor([elsewhere.url]));
  t.match(bad(hidden), [/invocationId/]);
  const off = settingsFor([dc.url]);
  const unpolled = { ...off, pollInterval: 0 as Millis };
  const none = await checkRights({ forest: openDirectory(t, unpolled), settings: unpolled, asked: usual });
  t.strictSame(bad(none), [], 'nothing is needed where nothing is polled');
});

await t.test('nobody is seen, a server that refuses, a server that is silent', async (t) => {
  const { contacts } = await rightsOf(t, []);
  t.match(contacts, [{ finding: true, detail: /List Contents/ }]);

  const refusing = await startDc(t, [user(1105, 'alice', full)]);
  refusing.faults.judge = (search) => (search.base === '' ? null : 50);
  t.match(await rights(t, settingsFor([refusing.url])), [
    { finding: true, answers: true, detail: /answered .*50.*List Contents/s },
  ]);

  const stopped = await startDc(t, []);
  await stopped.stop();
  const silent = await rights(t, settingsFor([stopped.url]));
  t.match(silent, [{ answers: false, finding: false }]);

  const missing = await rightsOf(t, [user(1105, 'alice', full)], { account: 'carol' });
  t.match(missing.contacts[0], { what: `account carol in ${domain}`, unproven: true, detail: /tried on alice/ });
});

await t.test('domains of a forest, each for itself, and the global catalog', async (t) => {
  const child = { ...user(1201, 'carol', { ...full, ...childPlace }) };
  const blind = user(1105, 'alice', { ...full, attributes: { ...full.attributes, userAccountControl: [] } });
  const lab = await startDc(t, [blind, childCrossRef]);
  const other = await startDc(t, [child], childOptions);
  const catalog = await startDc(t, [user(1105, 'alice', full)], { globalCatalog: true });
  const settings = { ...twoDomains([lab.url], [other.url]), globalCatalog: [catalog.url] };
  const contacts = await rights(t, settings, { groups: false });
  t.strictSame(bad(contacts), [
    `right to read userAccountControl in ${domain}`,
    `right to read msDS-User-Account-Control-Computed in ${domain}`,
    `right to search the global catalog in ${childPlace.domain}`,
  ]);
  t.match(
    contacts.find(({ what }) => what === `right to search the global catalog in ${domain}`)?.detail,
    `alice found at ${catalog.url}`,
  );
  const moved = user(1105, 'alice', { ...full, container: 'CN=Computers,DC=lab,DC=example,DC=test' });
  const stale = await startDc(t, [moved], { globalCatalog: true });
  const again = await startDc(t, [user(1105, 'alice', full)]);
  const old = { ...settingsFor([again.url]), globalCatalog: [stale.url] };
  t.strictSame(bad(await rights(t, old)), [`right to search the global catalog in ${domain}`], 'another of that name');
});
