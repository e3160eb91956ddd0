/**
 * What callers of an auth endpoint are pinned to, and whether each can be told from the others and from strangers.
 */
import type { AuthCallerSettings } from '../gateway/auth-endpoint-settings.ts';
import { endpointKey, parseEndpoint } from './addresses.ts';
import type { WrittenCaller, WrittenEndpoint } from './auth-endpoints.ts';
import type { BindingDraft } from './bindings.ts';
import { quoted } from './complaint.ts';
import type { Reading } from './reading.ts';
import type { SiteDraft } from './sites.ts';
import type { Path } from './source.ts';
import { nearest } from './suggestion.ts';

/** What callers may be pinned to. */
export interface Surroundings {
  readonly bindings: readonly BindingDraft[];
  readonly sites: readonly SiteDraft[];
  /** Something of them could not be read: what is missing may be there. */
  readonly someUnread: boolean;
}

export function readPins(
  caller: WrittenCaller,
  path: Path,
  around: Surroundings,
  reading: Reading,
): Pick<AuthCallerSettings, 'bindings' | 'sites' | 'location'> {
  const find = (list: 'bindings' | 'sites', known: readonly string[], keyOf = (name: string) => name) =>
    caller[list].flatMap((name, index) => {
      const found = known.find((candidate) => keyOf(candidate) === keyOf(name));
      if (found === undefined && !around.someUnread) missing(list, name, known, [...path, list, index], reading);
      return found === undefined ? [] : [found];
    });
  const bindings = new Set(
    find(
      'bindings',
      around.bindings.map(({ name }) => name),
      keyOfEndpoint,
    ),
  );
  const sites = new Set(
    find(
      'sites',
      around.sites.map(({ settings }) => settings.name),
    ),
  );
  const pinned = around.sites.filter(({ settings }) => sites.has(settings.name));
  for (const [index, name] of caller.bindings.entries()) {
    const draft = around.bindings.find((one) => one.key === keyOfEndpoint(name));
    if (draft?.written.certificate === undefined && draft !== undefined)
      reading.mistake(
        [...path, 'bindings', index],
        `binding ${draft.name} is plain http: it has no trust to judge by`,
        {
          hint: 'name one with a certificate',
        },
      );
  }
  checkReach(pinned, bindings, path, reading);
  checkLocation(caller, pinned, path, reading);
  return { bindings: [...bindings], sites: [...sites], location: caller.location ?? null };
}

function keyOfEndpoint(name: string): string {
  const endpoint = parseEndpoint(name);
  return typeof endpoint === 'string' ? name : endpointKey(endpoint);
}

function missing(list: string, name: string, known: readonly string[], path: Path, reading: Reading): void {
  const guess = nearest(name, known);
  const what = list === 'sites' ? 'a site' : 'an endpoint under bindings';
  reading.mistake(path, `${quoted(name)} is not ${what}`, {
    hint:
      guess === null ? `there ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}` : `did you mean \`${guess}\`?`,
  });
}

/** Each site is served on one of the bindings, and no host leads to two of them: which trust judges is never for the caller to choose. */
function checkReach(sites: readonly SiteDraft[], bindings: ReadonlySet<string>, path: Path, reading: Reading): void {
  const owners = new Map<string, string>();
  for (const { settings } of sites) {
    const own = settings.bindings.filter((name) => bindings.has(name));
    if (own.length === 0 && bindings.size > 0)
      reading.mistake([...path, 'sites'], `site ${settings.name} is on none of the bindings`, {
        hint: `name one of ${settings.bindings.join(', ')} under \`bindings\``,
      });
    for (const binding of own)
      for (const host of settings.hosts.length === 0 ? ['every name'] : settings.hosts) {
        const other = owners.get(host) ?? (bindings.size > 1 ? owners.get('every name') : undefined);
        const clash = other !== undefined && other !== binding;
        const catchAll = host === 'every name' && [...owners.values()].some((owner) => owner !== binding);
        if (clash || catchAll)
          reading.mistake(
            [...path, 'bindings'],
            `${host} of site ${settings.name} is answered to on more than one of them`,
            {
              hint: 'name one binding, or make a caller for each: the binding decides whose certificates are good',
            },
          );
        owners.set(host, binding);
      }
  }
}

function checkLocation({ location }: WrittenCaller, sites: readonly SiteDraft[], path: Path, reading: Reading): void {
  if (location === undefined) return;
  const [site, another] = sites;
  if (another !== undefined)
    reading.mistake([...path, 'location'], 'a location belongs to one site, and the caller has several', {
      hint: 'name one site, or leave `location` out',
    });
  else if (site !== undefined && !site.settings.locations.some((one) => one.path === location)) {
    const known = site.settings.locations.map((one) => one.path);
    const guess = nearest(location, known);
    reading.mistake([...path, 'location'], `site ${site.settings.name} has no location ${quoted(location)}`, {
      hint: guess === null ? `there are ${known.join(', ')}` : `did you mean \`${guess}\`?`,
    });
  }
}

export function checkCallers(
  endpoint: WrittenEndpoint,
  callers: readonly AuthCallerSettings[],
  path: Path,
  reading: Reading,
): void {
  const local = endpoint.socket !== undefined;
  for (const [index, caller] of callers.entries()) {
    const own = [...path, 'callers', index];
    const written = endpoint.callers[index];
    const before = callers.slice(0, index);
    const { secret, certificate } = caller.proof;
    const again = (key: string, text: string) =>
      reading.mistake([...own, key], text, { hint: 'callers are told apart by what they show', on: 'key' });
    if (before.some(({ name }) => name === caller.name)) again('name', 'another caller has the same name');
    if (secret !== null && before.some(({ proof }) => proof.secret?.equals(secret) === true))
      again('secret', 'another caller has the same secret');
    for (const key of ['dnsNames', 'thumbprints'] as const)
      if (certificate?.[key].some((one) => before.some(({ proof }) => proof.certificate?.[key].includes(one))) === true)
        again(key, 'another caller has one of them as well');
    if (certificate !== null && (endpoint.tls?.ca.length ?? 0) === 0)
      reading.mistake([...own, 'dnsNames'], 'no certificate is asked for', {
        hint: 'write `tls: { cert: ..., key: ..., ca: [file:...] }` with the CAs of the callers',
        on: 'key',
      });
    if (caller.pathPrefix !== '' && (caller.form !== 'envoy' || endpoint.protocol === 'grpc'))
      reading.mistake([...own, 'pathPrefix'], 'only questions of the form envoy over http have a prefix', {
        hint: 'leave it out',
        on: 'key',
      });
    if (endpoint.protocol === 'grpc' && caller.form !== 'envoy')
      reading.mistake([...own, 'form'], 'over grpc only Envoy asks', { hint: 'write `form: envoy`' });
    if (written?.secret === undefined && certificate === null && !(local && callers.length === 1))
      reading.mistake(own, 'anybody could ask in its name', {
        hint: local
          ? 'several callers share the socket: give each a `secret`'
          : 'give it a `secret`, or `dnsNames` or `thumbprints` of its certificate',
        on: 'key',
      });
  }
}
