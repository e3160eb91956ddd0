/**
 * What `check` makes of the rights of the bind account: everything that the gateway will read is read once, and each read is told with the
 * server that answered, or with the right that is missing. Active Directory does not say that something may not be read, it leaves it out:
 * what nobody needs to have is looked for on other accounts before it counts as anything.
 */
import type { Millis } from '../base/brand.ts';
import { reasonOf } from '../base/failure.ts';
import { accountAttributes } from '../directory/account.ts';
import type { DirectorySearch } from '../directory/connection.ts';
import type { ForestSettings } from '../directory/directory.ts';
import { dnOfDomain } from '../directory/dn.ts';
import { textOf, valuesOf, type DirectoryEntry } from '../directory/entry.ts';
import { anything, equalTo, type SearchFilter } from '../directory/filter.ts';
import type { LiveForest } from '../directory/forest.ts';
import type { Contact } from './check.ts';
import { attributeRights, otherRights } from './right-table.ts';

export interface RightsAsked {
  /** `LAB\alice`, `alice` or a UPN: the account that is looked at; null: the first that is found. */
  readonly account: string | null;
  /** Whether a location asks for groups. */
  readonly groups: boolean;
  readonly logonHours: boolean;
}

export interface Asking {
  readonly forest: Pick<LiveForest, 'ask'>;
  readonly settings: ForestSettings;
  readonly asked: RightsAsked;
}

/** Everything in one forest, domain after domain. Never rejects. */
export async function checkRights(asking: Asking): Promise<readonly Contact[]> {
  const { settings } = asking;
  const parts = await Promise.all(settings.domains.map(({ name }) => checkDomain(name, asking)));
  return parts.flat();
}

/** How a read ended: with entries, or with why there are none. */
type Read =
  | { readonly kind: 'entries'; readonly entries: readonly DirectoryEntry[]; readonly server: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'silent'; readonly reason: string };

interface Domain {
  readonly name: string;
  /** One search in the domain, all of it unless told otherwise. @param place where else to ask, as `globalCatalog` */
  read(search: Partial<DirectorySearch>, place?: string): Promise<Read>;
}

function domainOf(name: string, { forest, settings }: Asking): Domain {
  const usual = { base: dnOfDomain(name), scope: 'sub', filter: anything, attributes: [], sizeLimit: 0 } as const;
  return {
    name,
    async read(search, place = name) {
      const patience = (settings.connectTimeout + settings.searchTimeout) as Millis;
      const answer = await forest.ask(place, { ...usual, ...search }, patience);
      if (answer.kind === 'entries') return answer;
      if (answer.kind === 'code') return { kind: 'refused', reason: `${answer.server}: ${answer.reason}` };
      return { kind: 'silent', reason: answer.reason };
    },
  };
}

/** @param good what was read, or null: what had to be there is not */
function contactOf(
  what: string,
  { name }: Domain,
  read: Read,
  good: (entries: readonly DirectoryEntry[]) => string | null,
  right: string,
): Contact {
  const named = `right to ${what} in ${name}`;
  const needed = `the bind account needs ${right}`;
  if (read.kind === 'silent') return { what: named, answers: false, finding: false, detail: read.reason };
  if (read.kind === 'refused')
    return { what: named, answers: true, finding: true, detail: `${read.reason}; ${needed}` };
  const detail = good(read.entries);
  return detail === null
    ? { what: named, answers: true, finding: true, detail: `missing at ${read.server}: ${needed}` }
    : { what: named, answers: true, finding: false, detail: `${detail} at ${read.server}` };
}

async function checkDomain(name: string, asking: Asking): Promise<readonly Contact[]> {
  const domain = domainOf(name, asking);
  const { asked, settings } = asking;
  try {
    const sample = await findSample(domain, asked.account);
    if (!('dn' in sample)) return [sample];
    const wanted = accountAttributes.filter((attribute) => attribute !== 'logonHours' || asked.logonHours);
    const whole = await domain.read({ base: sample.dn, scope: 'base', attributes: [...wanted, 'uSNChanged'] });
    const contacts: Contact[] = [...sample.remarks];
    for (const attribute of wanted) contacts.push(await checkAttribute(attribute, whole, sample, domain));
    if (asked.groups) contacts.push(await checkGroups(sample, domain));
    if (settings.pollInterval > 0) contacts.push(...(await checkChanges(whole, sample, domain)));
    if (settings.globalCatalog.length > 0 || settings.globalCatalogDiscovery !== null)
      contacts.push(await checkCatalog(sample, domain));
    return contacts;
  } catch (error) {
    return [
      { what: `rights in ${name}`, answers: false, finding: false, detail: `internal error: ${reasonOf(error)}` },
    ];
  }
}

/** The account that the rights are tried on. */
interface Sample {
  readonly dn: string;
  readonly name: string;
  readonly remarks: readonly Contact[];
}

async function findSample(domain: Domain, wanted: string | null): Promise<Sample | Contact> {
  const users = (filter: SearchFilter) =>
    domain.read({
      filter: { kind: 'and', parts: [equalTo('objectClass', 'user'), filter] },
      attributes: ['sAMAccountName'],
      sizeLimit: 1,
    });
  const present = (attribute: string): SearchFilter => ({ kind: 'present', attribute });
  const named = wanted?.replace(/^[^\\]*\\/, '') ?? null;
  const filters: readonly SearchFilter[] =
    named === null
      ? [present('altSecurityIdentities'), present('sAMAccountName')]
      : [
          { kind: 'or', parts: [equalTo('sAMAccountName', named), equalTo('userPrincipalName', named)] },
          present('altSecurityIdentities'),
          present('sAMAccountName'),
        ];
  let last: Read = { kind: 'silent', reason: '' };
  for (const [index, filter] of filters.entries()) {
    last = await users(filter);
    const [entry] = last.kind === 'entries' ? last.entries : [];
    if (entry === undefined) continue;
    const name = single(entry, 'sAMAccountName') ?? entry.dn;
    return { dn: entry.dn, name, remarks: named !== null && index > 0 ? [absent(named, name, domain)] : [] };
  }
  return contactOf('see accounts', domain, last, () => null, otherRights.list);
}

function absent(named: string, instead: string, domain: Domain): Contact {
  const detail = `nobody of that name is seen there; the rights are tried on ${instead}`;
  return { what: `account ${named} in ${domain.name}`, answers: true, finding: false, unproven: true, detail };
}

async function checkAttribute(attribute: string, whole: Read, sample: Sample, domain: Domain): Promise<Contact> {
  const { right, always, searched } = attributeRights.get(attribute) ?? {
    right: `read of ${attribute}`,
    always: true,
    searched: false,
  };
  const what = `${searched ? 'read and search' : 'read'} ${attribute}`;
  const value =
    whole.kind === 'entries' ? whole.entries.flatMap((entry) => valuesOf(entry, attribute)).at(-1) : undefined;
  if (value === undefined && !always) return await checkElsewhere(attribute, what, right, domain);
  if (value === undefined || !searched)
    return contactOf(what, domain, whole, () => (value === undefined ? null : `read of ${sample.name}`), right);
  const found = await domain.read({
    base: sample.dn,
    filter: { kind: 'and', parts: [equalTo('objectClass', 'user'), equalTo(attribute, value)] },
    attributes: ['objectGUID'],
  });
  const seen = (entries: readonly DirectoryEntry[]) =>
    entries.length > 0 ? `read of ${sample.name}, who is found by it` : null;
  return contactOf(what, domain, found, seen, right);
}

/** The account of the sample need not have it; if nobody shows it, it may be that nobody has it. */
async function checkElsewhere(attribute: string, what: string, right: string, domain: Domain): Promise<Contact> {
  const read = await domain.read({
    filter: { kind: 'and', parts: [equalTo('objectClass', 'user'), { kind: 'present', attribute }] },
    attributes: [attribute],
    sizeLimit: 1,
  });
  const contact = contactOf(
    what,
    domain,
    read,
    ([entry]) => (entry !== undefined && valuesOf(entry, attribute).length > 0 ? `read of ${entry.dn}` : null),
    right,
  );
  if (!contact.finding || read.kind !== 'entries') return contact;
  const detail = `no account shows one at ${read.server}: nobody has it, or the bind account needs ${right}`;
  return { ...contact, finding: false, unproven: true, detail };
}

async function checkGroups(sample: Sample, domain: Domain): Promise<Contact> {
  const attributes = ['tokenGroups', 'tokenGroupsGlobalAndUniversal'];
  const read = await domain.read({ base: sample.dn, scope: 'base', attributes });
  const countOf = ([entry]: readonly DirectoryEntry[], attribute: string) =>
    entry === undefined ? 0 : valuesOf(entry, attribute).length;
  const partly = read.kind === 'entries' && countOf(read.entries, 'tokenGroupsGlobalAndUniversal') > 0;
  const note = partly
    ? '; tokenGroupsGlobalAndUniversal can be read (Windows Authorization Access Group), which leaves domain-local groups out'
    : '';
  return contactOf(
    'read tokenGroups',
    domain,
    read,
    (entries) => {
      const count = countOf(entries, 'tokenGroups');
      return count > 0 ? `${count} groups of ${sample.name} read` : null;
    },
    `${otherRights.groups}, and its controller a global catalog that answers${note}`,
  );
}

/** What polling for changes reads: the numbers of the controller, who the controller is, the number of an account. */
async function checkChanges(whole: Read, sample: Sample, domain: Domain): Promise<readonly Contact[]> {
  const root = await domain.read({ base: '', scope: 'base', attributes: ['dsServiceName', 'highestCommittedUSN'] });
  const [entry] = root.kind === 'entries' ? root.entries : [];
  const service = entry === undefined ? null : single(entry, 'dsServiceName');
  const contacts = [
    contactOf(
      'read highestCommittedUSN',
      domain,
      root,
      ([first]) => (first === undefined ? null : single(first, 'highestCommittedUSN')),
      'nothing: the server is no domain controller, so turn polling off (pollInterval: 0s)',
    ),
    contactOf(
      'read uSNChanged',
      domain,
      whole,
      ([first]) => (first === undefined || single(first, 'uSNChanged') === null ? null : `read of ${sample.name}`),
      otherRights.changes,
    ),
  ];
  if (service === null) return contacts;
  const settings = await domain.read({ base: service, scope: 'base', attributes: ['invocationId'] });
  const read = ([first]: readonly DirectoryEntry[]) =>
    first !== undefined && valuesOf(first, 'invocationId').length > 0 ? 'read' : null;
  return [...contacts, contactOf('read invocationId of the nTDSDSA object', domain, settings, read, otherRights.sites)];
}

async function checkCatalog(sample: Sample, domain: Domain): Promise<Contact> {
  const filter = {
    kind: 'and',
    parts: [equalTo('objectClass', 'user'), equalTo('sAMAccountName', sample.name)],
  } as const;
  const read = await domain.read({ base: '', filter, attributes: ['objectGUID'] }, 'globalCatalog');
  const seen = (entries: readonly DirectoryEntry[]) =>
    entries.some(
      (entry) => entry.dn.toLowerCase() === sample.dn.toLowerCase() && valuesOf(entry, 'objectGUID').length > 0,
    )
      ? `${sample.name} found`
      : null;
  return contactOf(
    'search the global catalog',
    domain,
    read,
    seen,
    `${otherRights.list}; or the catalog does not hold ${domain.name}`,
  );
}

function single(entry: DirectoryEntry, attribute: string): string | null {
  const [value] = valuesOf(entry, attribute);
  return value === undefined ? null : textOf(value);
}
