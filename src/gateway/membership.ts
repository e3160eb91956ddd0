/**
 * Whether an account is one of those whom a location names: a user itself, or a member of a group. Names have become SIDs before
 * (`pinned-principals.ts`); groups come from the mapper's memory or the directory. What cannot be found out is `groupsUnknown`, never "no" and
 * never "yes".
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { Groups } from '../directory/directory.ts';
import type { Mapper } from '../mapping/mapper-contract.ts';
import { listOf } from './certificate-demands.ts';
import type { PinnedRule } from './pinned-principals.ts';
import type { LocationSettings } from './settings.ts';

export interface Membership {
  /** Null: the account may pass. */
  readonly refusal: Verdict | null;
  /** When the groups were read that decided; null: they were not asked for. */
  readonly readAt: Instant | null;
}

export interface MembershipQuestion {
  readonly account: Account;
  readonly location: LocationSettings;
  /** Whom the rule names in the forest of the account; null: nobody anywhere, then everybody passes. */
  readonly members: PinnedRule | null;
  readonly mapper: Pick<Mapper, 'groupsOf'> | null;
  readonly now: Instant;
  readonly steps: Steps;
  /** Groups that are younger need not be read again; null: the mapper's own limits are enough. */
  readonly freshFor: Millis | null;
}

/** At once where the groups are not needed, or remembered. */
export function membershipOf(question: MembershipQuestion): Membership | Promise<Membership> {
  const { account, location, members: rule, mapper } = question;
  if (rule === null || rule.users.has(account.sid)) return passes;
  const elsewhere = `${account.name} is none of the users ${listOf([...rule.users.values()])} of location ${location.path}`;
  if (rule.groups.size === 0) return { refusal: withoutGroups(elsewhere, rule, account), readAt: null };
  if (mapper === null) return unknown(`no directory is asked for the groups of ${account.name}`, account);
  const groups = groupsFor(question, mapper);
  return groups instanceof Promise
    ? groups.then((late) => decided(late, question, rule))
    : decided(groups, question, rule);
}

const passes: Membership = { refusal: null, readAt: null };

function withoutGroups(elsewhere: string, { users, pending }: PinnedRule, account: Account): Verdict {
  if (users.size + pending.size === 0)
    return verdict('notAuthorised', `all whom the location names are of other forests than ${account.name}`, account);
  return pending.size === 0
    ? verdict('notAuthorised', elsewhere, account)
    : verdict('groupsUnknown', `${elsewhere}; ${listOf([...pending.values()], '; ')}`, account);
}

/** A live connection's groups are asked for anew; where that fails, those that are remembered hold for as long as they may. */
export function groupsFor(
  question: Omit<MembershipQuestion, 'members' | 'mapper'>,
  mapper: Pick<Mapper, 'groupsOf'>,
): Groups | Promise<Groups> {
  const { account, location, now, steps, freshFor } = question;
  const ask = (maximumAge: Millis | null) =>
    mapper.groupsOf(account, now, { maximumAge, fresh: steps.recording, current: freshFor !== null, steps });
  const oldest = location.maximumAge;
  if (freshFor === null || (oldest !== null && oldest <= freshFor)) return ask(oldest);
  const fresh = ask(freshFor);
  const orElse = (groups: Groups) => (groups.kind === 'read' ? groups : ask(oldest));
  return fresh instanceof Promise ? fresh.then(orElse) : orElse(fresh);
}

function decided(groups: Groups, { account, location, now }: MembershipQuestion, rule: PinnedRule): Membership {
  if (groups.kind === 'unknown')
    return unknown(`the groups of ${account.name} are not known: ${groups.reason}`, account);
  const { maximumAge } = location;
  if (maximumAge !== null && now - groups.readAt > maximumAge)
    return unknown(
      `the groups of ${account.name} were read longer ago than maximumAge of location ${location.path}`,
      account,
    );
  for (const sid of rule.groups.keys()) if (groups.sids.has(sid)) return { refusal: null, readAt: groups.readAt };
  if (rule.pending.size > 0) return unknown(listOf([...rule.pending.values()], '; '), account);
  const users = rule.users.size === 0 ? '' : ` and none of its users ${listOf([...rule.users.values()])}`;
  const wanted = listOf([...rule.groups.values()]);
  const detail = `${account.name} is in none of the groups ${wanted} of location ${location.path}${users}; ${groups.server} names ${groups.sids.size} groups of it`;
  return { refusal: verdict('notAuthorised', detail, account), readAt: groups.readAt };
}

function unknown(detail: string, account: Account): Membership {
  return { refusal: verdict('groupsUnknown', detail, account), readAt: null };
}
