/**
 * What the bindings serve: which site answers to which name on which binding, and what in its locations cannot work
 * or is doubtful beside those bindings.
 */
import type { LocationSettings, SiteSettings } from '../gateway/settings.ts';
import { endpointKey, parseEndpoint } from './addresses.ts';
import type { BindingDraft, Wanting } from './bindings.ts';
import { quoted } from './complaint.ts';
import { readLocations, type LocationDefaults, type LocationDraft } from './locations.ts';
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

/** @param unread endpoints of bindings that could not be read: not known, but not unknown either */
export function readSites(
  written: readonly (Language['sites'][number] | null)[],
  bindings: readonly BindingDraft[],
  unread: readonly string[],
  defaults: LocationDefaults,
  reading: Reading,
): readonly SiteDraft[] {
  const sites: SiteDraft[] = [];
  for (const [index, site] of written.entries()) {
    if (site === null) continue;
    const path: Path = ['sites', index];
    const drafts = bindingsOf(site, path, bindings, unread, reading);
    const locations = readLocations(site, path, defaults, reading);
    const settings: SiteSettings = {
      name: site.name,
      bindings: drafts.map(({ name }) => name),
      hosts: [...new Set(site.hosts)],
      pathCase: site.pathCase,
      encodedSlash: site.encodedSlash,
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

/** What is legal or not in the light of the bindings' certificates and switches. */
export function checkLocations(
  site: SiteDraft,
  mappingSwitch: boolean,
  unread: readonly string[],
  reading: Reading,
): void {
  for (const location of site.locations) {
    if (location.asksToMap) checkMapping(location, site, mappingSwitch, unread, reading);
    else checkUnmapped(location, site, reading);
    const { access } = location.settings;
    if (access.clientCertificate !== 'ignore' && !access.ssl)
      reading.warn(
        location.path,
        `${nameOf(location, site)} asks for certificates without Ssl: over plain http it is served without one${access.clientCertificate === 'require' ? ', or refused with 403.7' : ''}`,
      );
  }
}

function bindingsOf(
  site: Language['sites'][number],
  path: Path,
  bindings: readonly BindingDraft[],
  unread: readonly string[],
  reading: Reading,
): readonly BindingDraft[] {
  const found = new Set<BindingDraft>();
  for (const [index, name] of site.bindings.entries()) {
    const own = [...path, 'bindings', index];
    const key = keyOf(name);
    const binding = bindings.find((candidate) => candidate.key === key);
    if (binding === undefined) {
      if (unread.some((endpoint) => keyOf(endpoint) === key)) continue;
      const names = bindings.map((candidate) => candidate.name);
      const guess = nearest(name, names);
      reading.mistake(own, `${quoted(name)} is not an endpoint under bindings`, {
        hint: guess === null ? `the endpoints are ${[...names, ...unread].join(', ')}` : `did you mean \`${guess}\`?`,
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

function checkMapping(
  location: LocationDraft,
  site: SiteDraft,
  mappingSwitch: boolean,
  unread: readonly string[],
  reading: Reading,
): void {
  const { settings, path } = location;
  const who = nameOf(location, site);
  const https = site.drafts.filter((draft) => draft.https);
  if (https.length === 0 && unread.length === 0 && site.drafts.length > 0) {
    reading.mistake(path, `${who} maps certificates, but the site has no https binding`, {
      hint: 'add a binding with a `certificate` to the site',
      on: 'key',
    });
    return;
  }
  if (!mappingSwitch)
    reading.warn(path, `${who} maps certificates, but clientCertificateMapping of the server is disabled`);
  for (const { name, written } of https) {
    if (!written.dsMapperUsage)
      reading.warn(
        path,
        `${who} maps certificates, but dsMapperUsage of binding ${name} is disabled: nobody is mapped there`,
      );
    if (settings.access.clientCertificate === 'ignore' && !written.negotiateClientCertificate)
      reading.warn(
        path,
        `${who} maps certificates, but nothing asks for one on binding ${name}: add SslNegotiateCert, or enable negotiateClientCertificate`,
      );
  }
  if (settings.anonymous !== 'disabled') {
    const effect =
      settings.anonymous === 'fallback' ? 'who shows no certificate is served without an identity' : 'nobody is mapped';
    reading.warn(path, `${who} has anonymous ${settings.anonymous} beside mapping: ${effect}`);
  }
}

/** A location that is only implied says nothing, so nothing is said of it, unless it is all there is. */
function checkUnmapped(location: LocationDraft, site: SiteDraft, reading: Reading): void {
  const { settings, path } = location;
  const written = path !== site.path || site.locations.length === 1;
  if (settings.anonymous === 'disabled' && written)
    reading.warn(path, `${nameOf(location, site)} has neither anonymous nor mapping: every request is refused`);
  if (settings.access.flags.includes('SslMapCert'))
    reading.warn(
      path,
      `${nameOf(location, site)} has SslMapCert, which maps nothing by itself: enable clientCertificateMapping`,
    );
}

function nameOf({ settings }: { readonly settings: LocationSettings }, site: SiteDraft): string {
  return `location ${settings.path} of site ${site.settings.name}`;
}
