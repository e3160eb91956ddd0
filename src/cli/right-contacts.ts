/**
 * Where `check` tries the rights of the bind account: in which forests and domains, and what the configuration will need. What is read is in
 * `right-checks.ts`.
 */
import type { Millis } from '../base/brand.ts';
import { systemClock } from '../base/clock.ts';
import { createDirectory } from '../directory/forests.ts';
import type { AuthorizeRule } from '../gateway/settings.ts';
import type { Setup } from '../gateway/setup.ts';
import type { Contact } from './check.ts';
import { checkRights } from './right-checks.ts';

/** Read over connections of their own, and only where the bind account was let in: a wrong password is tried no more than it has to be. */
export async function contactRights(
  { directory, settings }: Pick<Setup, 'directory' | 'settings'>,
  account: string | null,
): Promise<readonly Contact[]> {
  if (directory === null || settings.directory === null) return [];
  const health = await directory.health();
  const up = (name: string) =>
    health.some(({ domain, state }) => domain === name && state === 'up') &&
    !health.some(({ domain, state }) => domain === name && state === 'refused');
  const asked = {
    account,
    groups: settings.sites.some(({ locations }) => locations.some(({ authorize }) => namesGroups(authorize))),
    logonHours: settings.mapping.logonHours,
  };
  const forests = settings.directory.forests
    .map((forest) => ({ ...forest, domains: forest.domains.filter(({ name }) => up(name)) }))
    .filter(({ domains }) => domains.length > 0);
  if (forests.length === 0) return [];
  // What is polled for changes is looked at, not polled.
  const quiet = forests.map((forest) => ({ ...forest, pollInterval: 0 as Millis }));
  const live = createDirectory({ forests: quiet }, { clock: systemClock, random: Math.random });
  try {
    const checked = live.forests.flatMap((forest, index) => {
      const own = forests[index];
      return own === undefined ? [] : [checkRights({ forest, settings: own, asked })];
    });
    return (await Promise.all(checked)).flat();
  } finally {
    await live.close();
  }
}

function namesGroups({ groups, alsoRequires }: AuthorizeRule): boolean {
  return groups.length > 0 || (alsoRequires !== null && namesGroups(alsoRequires));
}
