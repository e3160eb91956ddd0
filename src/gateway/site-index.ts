/**
 * The sites of a setup, indexed once: from binding and host to site, from site and path to location.
 */
import type { LocationSettings, SiteSettings } from './settings.ts';
import type { CanonicalPath } from './canonical-path.ts';
import { canonicalPath, foldSegment } from './canonical-path.ts';

export interface SiteIndex {
  /** Null when no site of that binding answers to the host. */
  site(binding: string, host: string): IndexedSite | null;
  /** Whether a location is one of these, and not of another setup. */
  holds(location: LocationSettings): boolean;
}

export interface IndexedSite {
  readonly settings: SiteSettings;
  /**
   * The nearest location at or above a path. A location that demands more is found through every spelling of its path
   * (case, width, path parameters); one that demands less than its parent only through its own spelling.
   */
  location(path: CanonicalPath): LocationSettings;
}

export function createSiteIndex(sites: readonly SiteSettings[]): SiteIndex {
  const byBinding = new Map<string, { readonly hosts: Map<string, IndexedSite>; rest: IndexedSite | null }>();
  for (const settings of sites) {
    const site = indexSite(settings);
    for (const binding of settings.bindings) {
      const entry = byBinding.get(binding) ?? { hosts: new Map<string, IndexedSite>(), rest: null };
      byBinding.set(binding, entry);
      if (settings.hosts.length === 0) entry.rest ??= site;
      for (const host of settings.hosts) entry.hosts.set(host, site);
    }
  }
  const locations = new Set(sites.flatMap((site) => site.locations));
  return {
    holds: (location) => locations.has(location),
    site(binding, host) {
      const entry = byBinding.get(binding);
      return entry?.hosts.get(host) ?? entry?.rest ?? null;
    },
  };
}

interface Node {
  readonly children: Map<string, Node>;
  location: LocationSettings | null;
  /** A location that loosens; only for paths that begin with its very spelling. */
  exact: LocationSettings | null;
}

function indexSite(settings: SiteSettings): IndexedSite {
  const ignoreCase = settings.pathCase === 'ignore';
  const keyOf = ignoreCase ? foldSegment : (segment: string) => segment;
  const root = newNode();
  for (const location of settings.locations) {
    let node = root;
    for (const segment of segmentsOf(location.path)) node = childOf(node, keyOf(segment));
    if (location.exact) node.exact = location;
    else node.location = location;
  }
  const fallback = root.location;
  if (fallback === null) throw new TypeError(`site ${settings.name} has no location /`);
  return {
    settings,
    location(path) {
      let node = root;
      let found = fallback;
      for (const segment of path.segments) {
        const next = node.children.get(keyOf(segment));
        if (next === undefined) return found;
        node = next;
        if (node.exact !== null && spelledAs(path.path, node.exact.path, ignoreCase)) found = node.exact;
        else if (node.location !== null) found = node.location;
      }
      return found;
    },
  };
}

function segmentsOf(path: string): readonly string[] {
  const canonical = canonicalPath(path, 'refuse');
  if (typeof canonical === 'string') throw new TypeError(`location ${path} ${canonical}`);
  return canonical.segments;
}

function spelledAs(path: string, location: string, ignoreCase: boolean): boolean {
  const start = path.slice(0, location.length);
  const same = ignoreCase ? start.toLowerCase() === location.toLowerCase() : start === location;
  return same && (path.length === location.length || path[location.length] === '/');
}

function childOf(node: Node, name: string): Node {
  const found = node.children.get(name) ?? newNode();
  node.children.set(name, found);
  return found;
}

function newNode(): Node {
  return { children: new Map(), location: null, exact: null };
}
