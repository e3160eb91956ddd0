/**
 * Users and groups by the names that people write into settings, and the names of SIDs. Decides where each is looked for, what may
 * be pinned (a distribution group is in nobody's token), and that two objects of one name are an error, never the first.
 */
import type { Dn, Millis, Sid } from '../base/brand.ts';
import { kindOf, parseInteger } from './account.ts';
import type { DirectorySearch } from './connection.ts';
import type { Principal, PrincipalAnswer, PrincipalName, PrincipalReader, SearchRecord } from './directory.ts';
import { dnOfDomain, domainOfDn } from './dn.ts';
import type { DomainFacilities } from './domain.ts';
import { textOf, valuesOf, type DirectoryEntry } from './entry.ts';
import type { Known } from './fact.ts';
import { equalTo, type SearchFilter } from './filter.ts';
import type { Partitions } from './partitions.ts';
import { carriers, maximumValues, type Found } from './search.ts';
import type { ServerGroup } from './server-group.ts';
import { parseSid, sidOctets } from './sid.ts';

export interface PrincipalPlaces {
  /** Each domain's controllers, named as the domain is. */
  readonly domains: readonly ServerGroup[];
  /** The global catalogs; null: each domain is asked for itself. */
  readonly catalog: ServerGroup | null;
  readonly partitions: () => Promise<Known<Partitions>>;
  readonly netbiosName: DomainFacilities['netbiosName'];
  readonly monotonic: () => number;
}

export function createPrincipalReader(places: PrincipalPlaces): Pick<PrincipalReader, 'principal' | 'namesOf'> {
  const { domains, catalog, monotonic } = places;
  const everywhere =
    catalog === null
      ? domains.map((group) => ({ group, base: dnOfDomain(group.name) }))
      : [{ group: catalog, base: '' }];

  return {
    async principal(name, patience: Millis) {
      const deadline = monotonic() + patience;
      if (name.kind === 'sid') return await lookFor(name, everywhere, places, deadline);
      const domain = await domainOf(name.domain, places);
      return 'kind' in domain ? domain : await lookFor(name, [domain], places, deadline);
    },
    async namesOf(sids, patience: Millis) {
      const deadline = monotonic() + patience;
      const names = new Map<Sid, string>();
      const distinct = [...new Set(sids)];
      for (let start = 0; start < distinct.length; start += maximumValues) {
        const parts = distinct.slice(start, start + maximumValues).map((sid) => equalTo('objectSid', sidOctets(sid)));
        const { found } = await findIn(everywhere, { kind: 'or', parts }, deadline);
        for (const one of found) {
          const principal = await principalOf(one, places, deadline);
          if (!('reason' in principal)) names.set(principal.sid, principal.name);
        }
      }
      return names;
    },
  };
}

interface SearchPlace {
  readonly group: ServerGroup;
  readonly base: string;
}

/** `BUILTIN` is the same in every domain. */
const builtin = 'builtin';

/** Where a name is looked for; an answer when it can be nowhere, or when that cannot be said. */
async function domainOf(
  name: string,
  { domains, partitions }: PrincipalPlaces,
): Promise<SearchPlace | Exclude<PrincipalAnswer, { kind: 'found' }>> {
  const [first] = domains;
  if (name === builtin && first !== undefined) return { group: first, base: `CN=Builtin,${dnOfDomain(first.name)}` };
  const named = domains.find((group) => group.name === name);
  if (named !== undefined) return { group: named, base: dnOfDomain(named.name) };
  const known = await partitions();
  if (known.kind === 'unknown') return { kind: 'unknown', reason: `what domain ${name} is: ${known.reason}` };
  const [dnsName] = [...known.value.netbiosNames].find(([, netbios]) => netbios.toLowerCase() === name) ?? [name];
  const group = domains.find((one) => one.name === dnsName);
  return group === undefined
    ? { kind: 'absent', reason: `${name} is none of the domains configured for this forest` }
    : { group, base: dnOfDomain(group.name) };
}

async function lookFor(
  name: PrincipalName,
  where: readonly SearchPlace[],
  places: PrincipalPlaces,
  deadline: number,
): Promise<PrincipalAnswer> {
  const wanted = name.kind === 'sid' ? name.sid : name.name;
  const { found, reasons } = await findIn(where, filterOf(name), deadline);
  if (reasons.length > 0) return { kind: 'unknown', reason: reasons.join('; ') };
  const same = name.kind === 'sid' ? found : carriers(found, { attribute: 'sAMAccountName', value: name.name });
  const principals = new Map<Sid, Principal>();
  for (const one of same) {
    const principal = await principalOf(one, places, deadline);
    if ('reason' in principal) return { kind: 'unknown', reason: principal.reason };
    if (isDistributionGroup(one.entry))
      return { kind: 'absent', reason: `${principal.name} is a distribution group: it is in nobody's token` };
    principals.set(principal.sid, principal);
  }
  const [principal, second] = principals.values();
  if (second !== undefined || (principal !== undefined && same.length > 1 && !isBuiltin(principal.sid)))
    return { kind: 'unknown', reason: `${same.length} objects are called ${wanted}: ${dnsOf(same)}` };
  if (principal !== undefined) return { kind: 'found', principal };
  const others = found.length === 0 ? '' : `; ${dnsOf(found)} is not the same to the letter`;
  return { kind: 'absent', reason: `no user or group ${wanted} in ${basesOf(where)}${others}` };
}

function filterOf(name: PrincipalName): SearchFilter {
  if (name.kind === 'sid') return equalTo('objectSid', sidOctets(name.sid));
  const classes = [equalTo('objectClass', 'user'), equalTo('objectClass', 'group')];
  return { kind: 'and', parts: [equalTo('sAMAccountName', name.name), { kind: 'or', parts: classes }] };
}

async function findIn(
  where: readonly SearchPlace[],
  filter: SearchFilter,
  deadline: number,
): Promise<{ readonly found: readonly Found[]; readonly reasons: readonly string[] }> {
  const records: SearchRecord[] = [];
  const found: Found[] = [];
  const reasons: string[] = [];
  await Promise.all(
    where.map(async ({ group, base }) => {
      const request: DirectorySearch = { base, scope: 'sub', filter, attributes: principalAttributes, sizeLimit: 0 };
      const answer = await group.search(request, deadline, records);
      if (answer.kind === 'entries') found.push(...answer.entries.map((entry) => ({ entry, server: answer.server })));
      else reasons.push(answer.reason);
    }),
  );
  return { found, reasons };
}

const principalAttributes: readonly string[] = [
  'objectSid',
  'sAMAccountName',
  'name',
  'objectClass',
  'userAccountControl',
  'groupType',
];

async function principalOf(
  { entry, server }: Found,
  { netbiosName }: PrincipalPlaces,
  deadline: number,
): Promise<Principal | { readonly reason: string }> {
  const [bytes] = valuesOf(entry, 'objectSid');
  const sid = bytes === undefined ? null : parseSid(bytes);
  if (sid === null) return { reason: `${server} gave ${entry.dn} without an objectSid` };
  const classes = textsOf(entry, 'objectClass').map((name) => name.toLowerCase());
  const [account] = textsOf(entry, 'sAMAccountName');
  const [control] = valuesOf(entry, 'userAccountControl').map(parseInteger);
  const kind = classes.includes('group') ? 'group' : kindOf(sid, account ?? '', classes, control ?? 0);
  const dn = entry.dn as Dn;
  // Well-known SIDs of nobody's domain are objects without an account name, called as their SID (foreignSecurityPrincipal).
  if (account === undefined) return { sid, name: textsOf(entry, 'name')[0] ?? sid, dn, kind };
  if (isBuiltin(sid)) return { sid, name: `BUILTIN\\${account}`, dn, kind };
  const netbios = await netbiosName(domainOfDn(dn) ?? '', deadline);
  return 'reason' in netbios ? netbios : { sid, name: `${netbios.name}\\${account}`, dn, kind };
}

/** GROUP_TYPE_SECURITY_ENABLED, the sign bit of a 32-bit integer (MS-ADTS 2.2.12): without it a group is for mail only. */
function isDistributionGroup(entry: DirectoryEntry): boolean {
  const [type] = valuesOf(entry, 'groupType').map(parseInteger);
  return type !== undefined && type !== null && (type & 0x8000_0000) === 0;
}

/** In every domain under the same SID (MS-DTYP 2.4.2.4): several objects, one principal. */
function isBuiltin(sid: Sid): boolean {
  return sid.startsWith('S-1-5-32-');
}

function textsOf(entry: DirectoryEntry, attribute: string): readonly string[] {
  return valuesOf(entry, attribute)
    .map(textOf)
    .filter((text) => text !== null);
}

function dnsOf(found: readonly Found[]): string {
  return found.map(({ entry }) => entry.dn).join(' and ');
}

function basesOf(where: readonly SearchPlace[]): string {
  return where.map(({ base }) => base || 'the whole forest').join(' or ');
}
