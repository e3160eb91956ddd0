/**
 * The groups of an account by name, where the rule of a location asks for groups. For people only: who passes is decided by
 * SIDs, in the gateway.
 */
import type { Sid } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import { noSteps } from '../base/steps.ts';
import type { AuthorizeRule } from '../gateway/settings.ts';
import type { Setup } from '../gateway/setup.ts';

/** Null where nobody asks, or the directory does not say. Sorted. */
export async function askedGroups(
  account: Account,
  rule: AuthorizeRule,
  { mapper, directory, clock, settings }: Setup,
): Promise<readonly string[] | null> {
  if (mapper === null || directory === null || !asksForGroups(rule)) return null;
  const groups = await mapper.groupsOf(account, clock.now(), { maximumAge: null, steps: noSteps });
  if (groups.kind === 'unknown') return null;
  const sids = [...groups.sids];
  const { deadline } = settings.mapping;
  const answers = await Promise.all(directory.forests.map((forest) => forest.namesOf(sids, deadline)));
  const names = new Map<Sid, string>(answers.flatMap((answer) => [...answer]));
  return sids.map((sid) => names.get(sid) ?? sid).toSorted();
}

function asksForGroups(rule: AuthorizeRule): boolean {
  return rule.groups.length > 0 || (rule.alsoRequires !== null && asksForGroups(rule.alsoRequires));
}
