/**
 * The locations of one site, inheritance done: which path each has, what it takes over from the nearest path above it,
 * and whether it loosens. A location that loosens holds for its own spelling alone (`exact`), so that the rule above it
 * holds for every other spelling of the same path; one that loosens in one thing and tightens in another stands twice, and
 * other spellings fall under the stricter of both.
 */
import type { Millis } from '../base/brand.ts';
import type { AnonymousRule, AuthorizeRule, LocationSettings } from '../gateway/settings.ts';
import { accessRule, type AccessFlag } from '../iis/access-flags.ts';
import { noChange } from './authorize-comparison.ts';
import { rootAuthorize, type OwnRule, type WrittenAuthorize } from './authorize.ts';
import { locationSegments } from './location-path.ts';
import { loosening, refusesAll, strictestOf } from './loosening.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';
import { inheritTraffic, rootTraffic, type LocationTraffic } from './traffic.ts';
import { upstreamGroupOf, type UpstreamLimits, type Upstreams } from './upstreams.ts';

type WrittenSite = Language['sites'][number];
type Written = WrittenSite['locations'][string];

/** What a site's root has where nothing is written. */
export interface LocationDefaults {
  readonly identity: Pick<LocationSettings, 'dialects' | 'groups' | 'forwarded'>;
  readonly upstreamLimits: UpstreamLimits;
  readonly upstreams: Upstreams;
  /** The server-level switch. */
  readonly mappingSwitch: boolean;
  /** What each location writes under `authorize`. */
  readonly rules: ReadonlyMap<WrittenAuthorize, OwnRule>;
}

/** `asksToMap` is what the location says, whatever the server-level switch says. */
export interface LocationDraft {
  readonly settings: LocationSettings;
  readonly asksToMap: boolean;
  /** Keys that it writes itself under `authorize` and that ask for something beside the kind of account. */
  readonly demands: readonly string[];
  /** Nobody wrote it: `/` of a site that has none, or the other spellings of a location that stands twice. */
  readonly implied: boolean;
  readonly path: Path;
}

/** Longest path first; `/` is always there. Shorter after a complaint. */
export function readLocations(
  site: WrittenSite,
  sitePath: Path,
  defaults: LocationDefaults,
  reading: Reading,
): readonly LocationDraft[] {
  const drafts: (LocationDraft & { readonly node: Node; readonly rule: Inherited })[] = [];
  for (const node of nodesOf(site, sitePath, reading)) {
    const above = drafts.findLast((draft) => isBelow(node, draft.node));
    const rule = inherit(node.written, above?.rule ?? rootRule(site, defaults), defaults);
    checkFlags(node, reading);
    if (rule.upstream === null) {
      const hint = 'write `upstream: http://host:port` for the site or the location';
      reading.mistake(node.path, `location ${node.location} has no upstream`, { hint, on: 'key' });
      return [];
    }
    const own = settingsOf(node.location, rule, rule.upstream, defaults);
    const guard = drafts.findLast((draft) => isBelow(node, draft.node) && !draft.settings.exact);
    const { looser, stricter } = guard === undefined ? noChange : loosening(guard.settings, own);
    const draft = {
      settings: own,
      asksToMap: rule.mapping,
      demands: demandsOf(node.written),
      path: node.path,
      implied: node.path === sitePath,
      node,
      rule,
    };
    if (looser.length === 0 || guard === undefined) {
      drafts.push(draft);
      continue;
    }
    if (stricter.length > 0 && !refusesAll(guard.settings)) {
      const change = `looser (${looser.join(', ')}) and stricter (${stricter.join(', ')}) than ${guard.node.location}`;
      reading.warn(node.path, `is ${change}: in other spellings of the path both rules hold`);
      drafts.push({ ...draft, settings: strictestOf(guard.settings, own), implied: true });
    }
    drafts.push({ ...draft, settings: { ...own, exact: true } });
  }
  return drafts.reverse();
}

interface Node {
  readonly location: string;
  readonly segments: readonly string[];
  readonly written: Written;
  readonly path: Path;
}

/** Shortest first, so that every location comes after those above it. */
function nodesOf(site: WrittenSite, sitePath: Path, reading: Reading): readonly Node[] {
  const nodes: Node[] = [];
  for (const [location, written] of Object.entries(site.locations)) {
    const path = [...sitePath, 'locations', location];
    const segments = locationSegments(location, site.pathCase);
    if (!Array.isArray(segments)) {
      reading.mistake(path, segments.wrong, { hint: segments.hint, on: 'key' });
      continue;
    }
    const twin = nodes.find((node) => node.segments.length === segments.length && isBelow({ segments }, node, 0));
    if (twin === undefined) nodes.push({ location, segments, written, path });
    else
      reading.mistake(path, `is the same path as ${twin.location}`, {
        hint: 'paths are compared without case; write `pathCase: exact` for the site if they differ',
        on: 'key',
      });
  }
  if (!nodes.some(({ segments }) => segments.length === 0))
    nodes.push({ location: '/', segments: [], written: {}, path: sitePath });
  return nodes.sort((a, b) => a.segments.length - b.segments.length || compare(a.location, b.location));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isBelow(below: Pick<Node, 'segments'>, above: Node, least = 1): boolean {
  return (
    below.segments.length >= above.segments.length + least &&
    above.segments.every((segment, index) => segment === below.segments[index])
  );
}

/** Attribute by attribute; `sslFlags` as a whole, as IIS does. */
interface Inherited {
  readonly flags: readonly AccessFlag[];
  readonly anonymous: AnonymousRule;
  readonly mapping: boolean;
  readonly authorize: AuthorizeRule;
  readonly whoami: boolean;
  readonly maximumAge: Millis | null;
  readonly identity: Pick<LocationSettings, 'dialects' | 'groups' | 'audience' | 'forwarded'>;
  readonly traffic: LocationTraffic;
  /** A server, or the name of an upstream. */
  readonly upstream: string | null;
  /** What site and locations write in place of those of the upstream. */
  readonly upstreamLimits: Partial<UpstreamLimits>;
}

/** Nobody passes until something is written. */
function rootRule(site: WrittenSite, defaults: LocationDefaults): Inherited {
  return {
    flags: [],
    anonymous: 'disabled',
    mapping: false,
    authorize: rootAuthorize,
    whoami: false,
    maximumAge: null,
    identity: { ...defaults.identity, audience: null },
    traffic: rootTraffic,
    upstream: site.upstream ?? null,
    upstreamLimits: withoutUndefined(site.upstreamLimits ?? {}),
  };
}

function inherit(own: Written, above: Inherited, { rules }: LocationDefaults): Inherited {
  return {
    flags: own.access?.sslFlags ?? above.flags,
    anonymous: own.authentication?.anonymous ?? above.anonymous,
    mapping: own.authentication?.clientCertificateMapping ?? above.mapping,
    authorize: { ...above.authorize, ...(own.authorize && rules.get(own.authorize)) },
    whoami: own.whoami ?? above.whoami,
    maximumAge: own.maximumAge === undefined ? above.maximumAge : own.maximumAge,
    identity: { ...above.identity, ...withoutUndefined(own.identity ?? {}) },
    traffic: inheritTraffic(own, above.traffic),
    upstream: own.upstream ?? above.upstream,
    upstreamLimits: { ...above.upstreamLimits, ...withoutUndefined(own.upstreamLimits ?? {}) },
  };
}

function settingsOf(
  path: string,
  rule: Inherited,
  upstream: string,
  { mappingSwitch, upstreams, upstreamLimits }: LocationDefaults,
): LocationSettings {
  return {
    path,
    exact: false,
    access: accessRule(rule.flags),
    anonymous: rule.anonymous,
    clientCertificateMapping: rule.mapping && mappingSwitch,
    authorize: rule.authorize,
    whoami: rule.whoami,
    maximumAge: rule.maximumAge,
    ...rule.identity,
    ...rule.traffic,
    upstream: upstreamGroupOf(upstream, upstreams, upstreamLimits, rule.upstreamLimits),
  };
}

function demandsOf({ authorize = {} }: Written): readonly string[] {
  const idle: readonly unknown[] = [undefined, null, false, 'weak'];
  return Object.entries(authorize).flatMap(([key, value]) => (key === 'accounts' || idle.includes(value) ? [] : [key]));
}

function checkFlags({ written, path }: Node, reading: Reading): void {
  const flags = written.access?.sslFlags ?? [];
  const own = [...path, 'access', 'sslFlags'];
  if (flags.includes('None') && flags.length > 1)
    reading.mistake(own, '`None` stands beside other flags', { hint: 'write `[None]` or the other flags' });
  if (flags.includes('SslRequireCert') && !flags.includes('SslNegotiateCert'))
    reading.warn(own, 'SslRequireCert without SslNegotiateCert is taken as both; tools of IIS always write both');
}

function withoutUndefined<T extends object>(group: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(group).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
