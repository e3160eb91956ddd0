/**
 * What has been written in a domain since an update sequence number, as far as the bind account may see it. Decides which objects count,
 * and when there is too much of it, or too little to be sure. What the numbers mean is decided in `change-poll.ts`.
 */
import type { Clock } from '../base/clock.ts';
import type { Dn, Millis } from '../base/brand.ts';
import type { DirectorySearch } from './connection.ts';
import type { Assertion, DirectoryChange, SearchRecord } from './directory.ts';
import { dnOfDomain } from './dn.ts';
import { textOf, valuesOf, type DirectoryEntry } from './entry.ts';
import { equalTo, type SearchFilter } from './filter.ts';
import { readGroups } from './groups.ts';
import type { Line } from './line.ts';
import { completeEntry } from './range.ts';
import type { ServerGroup } from './server-group.ts';
import { parseSid } from './sid.ts';

export type Changes =
  | {
      readonly kind: 'read';
      readonly changes: readonly DirectoryChange[];
      /** Objects whose last write is one of those asked for, and not a later one: that would stand for one that is not seen. */
      readonly objects: number;
    }
  /** There are more of them than it is worth to look at one by one, or they cannot be read. */
  | { readonly kind: 'unsure'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string };

/** Objects in one poll beyond which nobody looks at them one by one. */
export const maximumChanges = 5000;

/** A page is half of what Active Directory gives at most: others wait on the same server. */
const pageSize = 500;

/** Changed groups for which it is read what they are in; each costs a search. */
const maximumNested = 32;

export interface ChangeMeans {
  /** DNS name of the domain. */
  readonly domain: string;
  /** Its controllers. */
  readonly group: ServerGroup;
  /** Bound on what is asked of `group` for one change. */
  readonly timeout: Millis;
  readonly clock: Clock;
}

/**
 * Accounts and groups of the domain with a uSNChanged of at least `usn` at the server of the line.
 * @param last what the server had counted to before it was asked
 */
export async function changesSince(line: Line, usn: number, last: number, means: ChangeMeans): Promise<Changes> {
  const changes: DirectoryChange[] = [];
  let seen = 0;
  let objects = 0;
  let nested = 0;
  let cookie: Buffer | null = null;
  do {
    const page = await line.page(searchSince(means.domain, usn), pageSize, cookie);
    if (page.kind === 'lost') return page;
    if (page.kind === 'code') return { kind: 'unsure', reason: `${line.server}: ${page.reason}` };
    seen += page.entries.length;
    objects += page.entries.filter((entry) => writtenAt(entry) <= last).length;
    if (seen > maximumChanges)
      return { kind: 'unsure', reason: `more than ${maximumChanges} objects of ${means.domain} have changed` };
    for (const entry of page.entries) {
      const records: SearchRecord[] = [];
      const complete = await completeEntry({ entry, server: line.server }, line.group, Infinity, records);
      const whole = complete.kind === 'found' ? complete.found[0]?.entry : undefined;
      if (whole === undefined) return { kind: 'unsure', reason: `a change of ${entry.dn} was not read whole` };
      const change = changeOf(whole, means.domain);
      if (change.kind !== 'group') changes.push(change);
      else changes.push(nested++ < maximumNested ? await withContainers(change, whole, means) : change);
    }
    ({ cookie } = page);
  } while (cookie !== null);
  return { kind: 'read', changes, objects };
}

/** Whether NTAuthCertificates or the names of domains were written to; true where that cannot be said. */
export async function factsChangedSince(line: Line, configuration: string, usn: number): Promise<boolean> {
  const answer = await line.search({
    base: configuration,
    scope: 'sub',
    filter: since(usn, ['certificationAuthority', 'crossRef', 'crossRefContainer']),
    attributes: ['objectClass'],
    sizeLimit: 0,
  });
  return answer.kind !== 'entries' || answer.entries.length > 0;
}

/** uSNChanged is indexed; the classes only drop what it finds besides. */
function since(usn: number, classes: readonly string[]): SearchFilter {
  const either = { kind: 'or', parts: classes.map((name) => equalTo('objectClass', name)) } as const;
  return { kind: 'and', parts: [{ kind: 'atLeast', attribute: 'uSNChanged', value: usn }, either] };
}

function searchSince(domain: string, usn: number): DirectorySearch {
  return {
    base: dnOfDomain(domain),
    scope: 'sub',
    filter: since(usn, ['user', 'group']),
    attributes: [
      'objectClass',
      'objectGUID',
      'objectSid',
      'uSNChanged',
      'altSecurityIdentities',
      'userPrincipalName',
      'sAMAccountName',
      'servicePrincipalName',
    ],
    sizeLimit: 0,
  };
}

function changeOf(entry: DirectoryEntry, domain: string): DirectoryChange {
  const [sidValue] = valuesOf(entry, 'objectSid');
  const sid = sidValue === undefined ? null : parseSid(sidValue);
  const guid = valuesOf(entry, 'objectGUID')[0]?.toString('hex');
  // Somebody was written to, and who it is may not be read.
  if (sid === null || guid === undefined) return { kind: 'unseen' };
  const isGroup = textsOf(entry, 'objectClass').some((name) => name.toLowerCase() === 'group');
  if (isGroup) return { kind: 'group', sid, dn: entry.dn as Dn, within: null };
  const found = (['altSecurityIdentities', 'userPrincipalName', 'servicePrincipalName'] as const).flatMap((attribute) =>
    textsOf(entry, attribute).map((value): Assertion => ({ attribute, value })),
  );
  const names = textsOf(entry, 'sAMAccountName').map((value): Assertion => ({
    attribute: 'sAMAccountName',
    value,
    domain,
  }));
  return { kind: 'account', guid, sid, identifiers: [...found, ...names] };
}

/** Infinity where it is not said. */
function writtenAt(entry: DirectoryEntry): number {
  const [usn = ''] = textsOf(entry, 'uSNChanged');
  return /^\d{1,15}$/.test(usn) ? Number(usn) : Infinity;
}

async function withContainers(
  change: Extract<DirectoryChange, { kind: 'group' }>,
  entry: DirectoryEntry,
  { group, timeout, clock }: ChangeMeans,
): Promise<DirectoryChange> {
  const guid = valuesOf(entry, 'objectGUID')[0]?.toString('hex') ?? '';
  const answer = await readGroups({ dn: change.dn, guid, kind: 'group' }, group, clock.monotonic() + timeout, clock);
  return answer.kind === 'read' ? { ...change, within: answer.sids } : change;
}

function textsOf(entry: DirectoryEntry, attribute: string): readonly string[] {
  return valuesOf(entry, attribute)
    .map(textOf)
    .filter((text) => text !== null);
}
