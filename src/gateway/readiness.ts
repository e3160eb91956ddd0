/**
 * Whether this gateway should get traffic, with reasons when not: `/readyz`.
 */
import { sharedDomainName } from '../mapping/forest-names.ts';
import type { Setup } from './setup.ts';

export interface Readiness {
  readonly ready: boolean;
  /** One sentence each; empty when ready and nothing weakens the gateway. */
  readonly reasons: readonly string[];
  readonly labOnly: boolean;
}

/** From the moment on which the gateway is told to end. */
export function drainingOf({ settings: { labOnly } }: Setup): Readiness {
  return { ready: false, reasons: ['the gateway is ending: it only finishes what it has begun'], labOnly };
}

/**
 * Not ready: a domain none of whose controllers answers, NTAuth unread where mapping needs it, forests whose accounts have the same names, a
 * user or group whose SID is not known, or no healthy server in any upstream with health checks. One upstream of several that is lost is told, but does
 * not take the gateway out for the others.
 */
export async function readinessOf(setup: Setup): Promise<Readiness> {
  const { labOnly, mapping } = setup.settings;
  const upstreams = lostUpstreams(setup);
  const lost = upstreams.all ? upstreams.reasons : [];
  const weak = [
    ...(upstreams.all ? [] : upstreams.reasons),
    ...(labOnly ? ['labOnly: this configuration may weaken decisions; it is not for production'] : []),
  ];
  if (setup.directory === null) return { ready: lost.length === 0, reasons: [...lost, ...weak], labOnly };
  const { forests } = setup.directory;
  const [controllers, ntAuths, names] = await Promise.all([
    setup.directory.health(),
    Promise.all(forests.map((forest) => forest.ntAuth())),
    Promise.all(forests.map((forest) => forest.domains())),
  ]);
  const groups = Map.groupBy(controllers, ({ forest, domain }) => JSON.stringify([forest, domain]));
  const silent = [...groups.values()].flatMap((its) => {
    const [first] = its;
    if (first === undefined || its.some(({ state }) => state === 'up')) return [];
    const what = first.domain === 'globalCatalog' ? `global catalog of ${first.forest}` : `domain ${first.domain}`;
    const who = first.domain === 'globalCatalog' ? 'no server' : 'no controller';
    return [`${what}: ${who} answers (${its.map(({ url, reason }) => `${url}: ${reason}`).join('; ')})`];
  });
  const unread = ntAuths.flatMap((ntAuth, index) =>
    mapping.ntAuthMethods.length > 0 && ntAuth.kind === 'unknown'
      ? [`NTAuth of ${forests[index]?.name} is not known: ${ntAuth.reason}`]
      : [],
  );
  const shared = sharedDomainName(
    names.flatMap((one, index) =>
      one.kind === 'read' ? [{ name: forests[index]?.name ?? '', domains: one.domains }] : [],
    ),
  );
  const unpinned = setup.principals.unpinned().map(({ sentence }) => sentence);
  const faults = [...lost, ...silent, ...unread, ...(shared === null ? [] : [shared]), ...unpinned];
  return { ready: faults.length === 0, reasons: [...faults, ...weak], labOnly };
}

/** Who configures checks wants to know; without them one connection that fails would be told of every server. */
function lostUpstreams(setup: Setup): { readonly all: boolean; readonly reasons: readonly string[] } {
  const checked = [...setup.upstreams()].filter(({ settings }) => settings.healthCheck !== null);
  const lost = checked.filter((group) => group.states().every(({ healthy }) => !healthy));
  const reasons = lost.map((group) => {
    const servers = group.states().map(({ server, reason }) => `${server}: ${reason}`);
    return `upstream ${group.name}: no server is healthy (${servers.join('; ')})`;
  });
  return { all: checked.length > 0 && lost.length === checked.length, reasons: [...new Set(reasons)] };
}
