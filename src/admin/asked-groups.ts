/**
 * The groups of an account by name, where the location asked for them. For people only: who passes is decided by SIDs, in the gateway.
 */
import type { Sid } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import { noSteps, type Step } from '../base/steps.ts';
import type { Setup } from '../gateway/setup.ts';

/**
 * Null where nobody asked, or the directory does not say. Sorted; a group without a name is its SID.
 * @param steps what happened: whoever asks for groups notes it
 */
export async function askedGroups(
  account: Account,
  steps: readonly Step[],
  { mapper, directory, clock, settings }: Setup,
): Promise<readonly string[] | null> {
  const asked = steps.some(({ step, outcome }) => step === 'authorise' && outcome === 'groups');
  if (!asked || mapper === null || directory === null) return null;
  const groups = await mapper.groupsOf(account, clock.now(), { maximumAge: null, steps: noSteps });
  if (groups.kind === 'unknown') return null;
  const sids = [...groups.sids];
  const { deadline } = settings.mapping;
  const answers = await Promise.all(directory.forests.map((forest) => forest.namesOf(sids, deadline)));
  const names = new Map<Sid, string>(answers.flatMap((answer) => [...answer]));
  return sids.map((sid) => names.get(sid) ?? sid).toSorted();
}
