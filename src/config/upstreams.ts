/**
 * From a server, or the name of an entry of `upstreams`, to a group of servers. What such an entry cannot mean is complained of in
 * `upstream-checks.ts`.
 */
import type { UpstreamGroupSettings, UpstreamSettings } from '../forward/forward-contract.ts';
import { quoted } from './complaint.ts';
import type { Reading } from './reading.ts';
import { resolvePath } from './references.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';
import { isUpstreamName, nameHint, socketPathOf } from './upstream-reference.ts';
import { readUpstreamTls } from './upstream-tls.ts';

export type UpstreamLimits = Omit<UpstreamSettings, 'origin'>;

export type WrittenUpstream = Language['upstreams'][string];

/** A server without its limits. */
type Server = Pick<UpstreamSettings, 'origin' | 'socketPath' | 'tls' | 'http2' | 'proxyProtocol'>;

/** An entry of `upstreams`. */
export interface UpstreamDraft extends Pick<UpstreamGroupSettings, 'name' | 'healthCheck' | 'hostHeader'> {
  readonly servers: readonly Server[];
  readonly written: WrittenUpstream;
  readonly path: Path;
  readonly limits: Partial<UpstreamLimits>;
}

export interface Upstreams {
  readonly byName: ReadonlyMap<string, UpstreamDraft>;
  /** The section could not be read: no name is unknown. */
  readonly broken: boolean;
  /** Base directory of the configuration. */
  readonly base: string;
}

export async function readUpstreams(
  written: Language['upstreams'],
  broken: boolean,
  reading: Reading,
): Promise<Upstreams> {
  const byName = new Map<string, UpstreamDraft>();
  for (const [name, entry] of Object.entries(written)) {
    const path: Path = ['upstreams', name];
    if (!isUpstreamName(name))
      reading.mistake(path, `${quoted(name)} is not a name of an upstream`, { hint: nameHint, on: 'key' });
    byName.set(name, await readUpstream(name, entry, path, reading));
  }
  return { byName, broken, base: reading.base };
}

/**
 * @param reference as `upstreamReference` read it
 * @param common `limits.upstream`; @param own what site and location write in its place, which wins over what the entry writes
 * @returns without servers where there is no entry of that name, which has been complained of
 */
export function upstreamGroupOf(
  reference: string,
  { byName, base }: Pick<Upstreams, 'byName' | 'base'>,
  common: UpstreamLimits,
  own: Partial<UpstreamLimits>,
): UpstreamGroupSettings {
  if (!isUpstreamName(reference)) {
    const servers = [{ ...serverOf(reference, base), ...common, ...own }];
    return { name: reference, servers, healthCheck: null, hostHeader: 'client' };
  }
  const draft = byName.get(reference);
  return {
    name: reference,
    servers: draft?.servers.map((server) => ({ ...common, ...draft.limits, ...own, ...server })) ?? [],
    healthCheck: draft?.healthCheck ?? null,
    hostHeader: draft?.hostHeader ?? 'client',
  };
}

async function readUpstream(
  name: string,
  written: WrittenUpstream,
  path: Path,
  reading: Reading,
): Promise<UpstreamDraft> {
  const { http2, proxyProtocol, hostHeader, healthCheck = null, limits = {} } = written;
  const tls = written.tls === undefined ? undefined : await readUpstreamTls(written.tls, [...path, 'tls'], reading);
  return {
    name,
    healthCheck,
    hostHeader,
    limits: writtenOf(limits),
    written,
    path,
    servers: written.servers.map((server) => ({
      ...serverOf(server, reading.base),
      ...(tls === undefined ? {} : { tls }),
      ...(http2 ? { http2 } : {}),
      ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
    })),
  };
}

function writtenOf(limits: NonNullable<WrittenUpstream['limits']>): Partial<UpstreamLimits> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

/** A Unix socket is asked as `localhost`: it has no name of its own. */
export function serverOf(written: string, base: string): Server {
  const socket = socketPathOf(written);
  return socket === null
    ? { origin: written }
    : { origin: 'http://localhost', socketPath: resolvePath(socket, { base }) };
}
