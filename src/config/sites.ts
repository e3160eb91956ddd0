/**
 * What the bindings serve: which site answers to which name on which binding. Whether its locations can work there is looked
 * at in `location-checks.ts`.
 */
import type { SiteSettings } from '../gateway/settings.ts';
import { endpointKey, parseEndpoint } from './addresses.ts';
import type { BindingDraft, Wanting } from './bindings.ts';
import { quoted } from './complaint.ts';
import { readLocations, type LocationDefaults, type LocationDraft } from './locations.ts';
import { readProbes } from './probes.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';
import { nearest } from './suggestion.ts';

export interface SiteDraft {
  readonly settings: SiteSettings;
  readonly drafts: readonly BindingDraft[];
  readonly locations: readonly LocationDraft[];
  readonly path: Path;
}

/** @param someUnread a binding could not be read: an endpoint that is not known may be its */
export function readSites(
  written: readonly (Language['sites'][number] | null)[],
  bindings: readonly BindingDraft[],
  someUnread: boolean,
  defaults: LocationDefaults,
  reading: Reading,
): readonly SiteDraft[] {
  const sites: SiteDraft[] = [];
  for (const [index, site] of written.entries()) {
    if (site === null) continue;
    const path: Path = ['sites', index];
    const drafts = bindingsOf(site, path, bindings, someUnread, reading);
    const locations = readLocations(site, path, defaults, reading);
    const settings: SiteSettings = {
      name: site.name,
      bindings: drafts.map(({ name }) => name),
      hosts: [...new Set(site.hosts)],
      pathCase: site.pathCase,
      encodedSlash: site.encodedSlash,
      probes: readProbes(site, path, reading),
      locations: locations.map((location) => location.settings),
    };
    const draft: SiteDraft = { settings, drafts, locations, path };
    checkAgainst(draft, sites, reading);
    sites.push(draft);
  }
  return sites;
}

/** Every location that can be reached over a binding, the shortest paths first. */
export function locationsBehind(binding: BindingDraft, sites: readonly SiteDraft[]): readonly Wanting[] {
  return sites
    .filter(({ drafts }) => drafts.includes(binding))
    .flatMap(({ settings }) => settings.locations.map((location) => ({ site: settings.name, location })).reverse());
}

function bindingsOf(
  site: Language['sites'][number],
  path: Path,
  bindings: readonly BindingDraft[],
  someUnread: boolean,
  reading: Reading,
): readonly BindingDraft[] {
  const found = new Set<BindingDraft>();
  for (const [index, name] of site.bindings.entries()) {
    const own = [...path, 'bindings', index];
    const key = keyOf(name);
    const binding = bindings.find((candidate) => candidate.key === key);
    if (binding === undefined) {
      if (someUnread) continue;
      const names = bindings.map((candidate) => candidate.name);
      const guess = nearest(name, names);
      reading.mistake(own, `${quoted(name)} is not an endpoint under bindings`, {
        hint: guess === null ? `the endpoints are ${names.join(', ')}` : `did you mean \`${guess}\`?`,
      });
    } else if (found.has(binding)) {
      reading.mistake(own, `${quoted(name)} is here a second time`, { hint: 'name each binding once' });
    } else found.add(binding);
  }
  return [...found];
}

function keyOf(name: string): string {
  const endpoint = parseEndpoint(name);
  return typeof endpoint === 'string' ? name : endpointKey(endpoint);
}

/** Two sites must not answer to the same name on the same binding: the request alone says which it means. */
function checkAgainst({ settings, drafts, path }: SiteDraft, others: readonly SiteDraft[], reading: Reading): void {
  const namesake = others.find((other) => other.settings.name.toLowerCase() === settings.name.toLowerCase());
  if (namesake !== undefined)
    reading.mistake([...path, 'name'], `sites[${String(namesake.path[1])}] has the same name`, {
      hint: 'logs and messages tell sites apart by their names',
    });
  for (const other of others) {
    const shared = drafts.find((draft) => other.drafts.includes(draft));
    if (shared === undefined) continue;
    const host = settings.hosts.find((name) => other.settings.hosts.includes(name));
    const both = settings.hosts.length === 0 && other.settings.hosts.length === 0;
    const what = both ? 'every name' : host;
    if (what !== undefined)
      reading.mistake(
        both ? path : [...path, 'hosts', settings.hosts.indexOf(host ?? '')],
        `site ${other.settings.name} answers to ${what} on ${shared.name} as well`,
        { hint: 'give the sites different `hosts`', on: both ? 'key' : 'value' },
      );
  }
  for (const { endpoint, name } of drafts) {
    if (endpoint.kind === 'host' && settings.hosts.length > 0 && !settings.hosts.includes(endpoint.host))
      reading.warn(
        [...path, 'hosts'],
        `the hosts of site ${settings.name} do not include ${endpoint.host}: nobody reaches the site over binding ${name}`,
      );
  }
}
