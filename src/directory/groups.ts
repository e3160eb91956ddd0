/**
 * The groups of an account, nested ones too, as a controller of its own domain computes them (tokenGroups, MS-ADTS 3.1.1.4.5.19). Decides
 * that an answer counts only when it is about this very object, whole, and there at all: who may not read the attribute is
 * not told so, it is just missing.
 */
import type { Clock } from '../base/clock.ts';
import type { Dn, Sid } from '../base/brand.ts';
import type { AccountKind } from '../base/identity.ts';
import type { Groups, SearchRecord } from './directory.ts';
import { dnOfDomain } from './dn.ts';
import type { DirectorySearch } from './connection.ts';
import { valuesOf } from './entry.ts';
import { anything, equalTo } from './filter.ts';
import { completeEntry } from './range.ts';
import { resultCodes } from './result-code.ts';
import type { Found } from './search.ts';
import type { GroupAnswer, ServerGroup } from './server-group.ts';
import { parseSid } from './sid.ts';

/** An object with a SID: a user, a computer or a group. */
export interface Member {
  readonly dn: Dn;
  /** objectGUID, 32 hex digits in wire order. */
  readonly guid: string;
  readonly kind: AccountKind | 'group';
}

/**
 * @param group controllers of the domain that the object is in
 * @param deadline monotonic milliseconds
 */
export async function readGroups(
  { dn, guid, kind }: Member,
  group: ServerGroup,
  deadline: number,
  clock: Clock,
): Promise<Groups> {
  const records: SearchRecord[] = [];
  const unknown = (reason: string): Groups => ({ kind: 'unknown', reason: `the groups of ${dn}: ${reason}` });
  const readAt = clock.now();
  let answer = await group.search(tokenGroupsOf(dn, kind), deadline, records);
  if (isElsewhere(answer, guid)) {
    const current = await currentName(guid, group, deadline, records);
    if ('reason' in current) return unknown(current.reason);
    answer = await group.search(tokenGroupsOf(current.dn, kind), deadline, records);
  }
  if (answer.kind !== 'entries') return unknown(answer.reason);
  const { server } = answer;
  const [entry] = answer.entries;
  if (entry === undefined || valuesOf(entry, 'objectGUID')[0]?.toString('hex') !== guid)
    return unknown(`${server} gave another object`);
  const complete = await completeEntry({ entry, server }, group, deadline, records);
  if (complete.kind === 'unknown') return unknown(complete.reason);
  const values = complete.found.flatMap((found) => valuesOf(found.entry, 'tokenGroups'));
  // Every account has a primary group, so none has no groups; a group may have none, and says so by what everybody may read.
  if (values.length === 0 && (kind !== 'group' || complete.found.some(isMember)))
    return unknown(
      `${server} gave no tokenGroups: the bind account needs the right to read it (property set Remote Access Information; see docs/directory-account.md)`,
    );
  const sids = values.map(parseSid).filter((sid) => sid !== null);
  if (sids.length < values.length) return unknown(`${server} gave tokenGroups that are not SIDs`);
  return { kind: 'read', sids: new Set<Sid>(sids), readAt, server };
}

/** Computed attributes are given for one object only, asked for by its name. */
function tokenGroupsOf(dn: string, kind: Member['kind']): DirectorySearch {
  const attributes = ['objectGUID', 'tokenGroups', ...(kind === 'group' ? ['memberOf'] : [])];
  return { base: dn, scope: 'base', filter: anything, attributes, sizeLimit: 0 };
}

function isMember({ entry }: Found): boolean {
  return valuesOf(entry, 'memberOf').length > 0;
}

/** The object has been moved or renamed since its name was read. */
function isElsewhere(answer: GroupAnswer, guid: string): boolean {
  if (answer.kind === 'code') return answer.code === resultCodes.noSuchObject;
  if (answer.kind === 'unanswered') return false;
  const [entry] = answer.entries;
  return entry === undefined || valuesOf(entry, 'objectGUID')[0]?.toString('hex') !== guid;
}

async function currentName(
  guid: string,
  group: ServerGroup,
  deadline: number,
  records: SearchRecord[],
): Promise<{ readonly dn: string } | { readonly reason: string }> {
  const request: DirectorySearch = {
    base: dnOfDomain(group.name),
    scope: 'sub',
    filter: equalTo('objectGUID', Buffer.from(guid, 'hex')),
    attributes: ['objectGUID'],
    sizeLimit: 0,
  };
  const answer = await group.search(request, deadline, records);
  if (answer.kind !== 'entries') return answer;
  const [entry, second] = answer.entries;
  if (entry === undefined || second !== undefined)
    return { reason: `${answer.server} knows ${answer.entries.length} objects of its objectGUID in ${group.name}` };
  return { dn: entry.dn };
}
