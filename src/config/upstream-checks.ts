/**
 * Whether upstreams can work as they are written: servers that are there twice or are this gateway itself, settings of TLS where none is
 * spoken, names that nobody or that everybody knows.
 */
import type { BindingDraft } from './bindings.ts';
import { quoted } from './complaint.ts';
import type { Reading } from './reading.ts';
import { resolvePath } from './references.ts';
import type { Language } from './schema.ts';
import { readSocketPath } from './socket-path.ts';
import type { Path } from './source.ts';
import { nearest } from './suggestion.ts';
import { isUpstreamName, socketPathOf } from './upstream-reference.ts';
import { serverOf, type Upstreams, type WrittenUpstream } from './upstreams.ts';

/** What a server must not be. */
export interface OwnListeners {
  readonly bindings: readonly BindingDraft[];
  /** Path of the socket of the admin surface, as written; undefined: none. */
  readonly adminSocket: string | undefined;
}

/** That what sites and locations name is there and is not this gateway itself; and what nobody names. */
export function checkUpstreams(
  sites: readonly (Language['sites'][number] | null)[],
  upstreams: Upstreams,
  own: OwnListeners,
  reading: Reading,
): void {
  const used = new Set<string>();
  for (const { path, upstream } of sites.flatMap(referencesOf)) {
    if (!isUpstreamName(upstream)) {
      checkServerPath(upstream, path, reading);
      checkAdminSocket(upstream, path, own, reading);
      continue;
    }
    used.add(upstream);
    if (!upstreams.broken && !upstreams.byName.has(upstream)) unknown(upstream, path, upstreams, reading);
  }
  for (const { name, written, path } of upstreams.byName.values()) {
    if (!used.has(name)) reading.warn(path, 'is not used: no site or location has it as its `upstream`');
    checkServers(written, path, reading);
    for (const [index, server] of written.servers.entries()) {
      const place = [...path, 'servers', index];
      checkAdminSocket(server, place, own, reading);
      const binding = socketPathOf(server) === null ? ownBinding(server, own.bindings) : undefined;
      if (binding !== undefined)
        reading.mistake(place, `${quoted(server)} is this gateway itself, binding ${binding.name}`, {
          hint: 'name the address and port of the backend',
        });
    }
  }
}

/** A binding at which a request would come back, until every connection is taken. */
export function ownBinding(origin: string, bindings: readonly BindingDraft[]): BindingDraft | undefined {
  const { protocol, hostname, port } = new URL(origin);
  const target = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  return bindings.find(({ endpoint }) => endpoint.port === target && isOwn(hostname, endpoint));
}

function isOwn(hostname: string, endpoint: BindingDraft['endpoint']): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (endpoint.kind === 'host') return endpoint.host === host;
  const loopback = host === 'localhost' || host === '::1' || host.startsWith('127.');
  return endpoint.address === host || (loopback && (endpoint.address === '0.0.0.0' || endpoint.address === '::'));
}

interface Referring {
  /** Of the value. */
  readonly path: Path;
  readonly upstream: string;
}

function referencesOf(site: Language['sites'][number] | null, index: number): readonly Referring[] {
  if (site === null) return [];
  const own: Path = ['sites', index];
  const places: readonly (readonly [Path, string | undefined])[] = [
    [own, site.upstream],
    ...Object.entries(site.locations).map(([at, { upstream }]) => [[...own, 'locations', at], upstream] as const),
  ];
  return places.flatMap(([path, upstream]) =>
    upstream === undefined ? [] : [{ path: [...path, 'upstream'], upstream }],
  );
}

function unknown(name: string, path: Path, { byName }: Upstreams, reading: Reading): void {
  const names = [...byName.keys()];
  const guess = nearest(name, names);
  const known = names.length === 0 ? '' : `; there are ${names.join(', ')}`;
  const hint =
    guess === null
      ? `write an origin such as \`http://${name}\`, or \`upstreams: { ${name}: { servers: [...] } }\`${known}`
      : `did you mean \`${guess}\`?`;
  reading.mistake(path, `there is no upstream ${quoted(name)} under \`upstreams\``, { hint });
}

/** Whoever may open the socket may do everything: nobody from outside. */
function checkAdminSocket(server: string, path: Path, { adminSocket }: OwnListeners, reading: Reading): void {
  const socket = socketPathOf(server);
  if (socket === null || adminSocket === undefined) return;
  if (resolvePath(socket, reading) === resolvePath(adminSocket, reading))
    reading.mistake(path, 'is the socket of the admin surface of this gateway', {
      hint: 'name the socket of the backend',
    });
}

function checkServers({ servers, tls, http2 }: WrittenUpstream, path: Path, reading: Reading): void {
  const keys = servers.map((server) => JSON.stringify(serverOf(server, reading.base)));
  for (const [index, server] of servers.entries()) {
    const own = [...path, 'servers', index];
    if (keys.indexOf(keys[index] ?? '') < index)
      reading.mistake(own, 'is here a second time', { hint: 'name each server once' });
    checkServerPath(server, own, reading);
    const plain = !server.startsWith('https:');
    const text = `${quoted(server)} is plain http`;
    if (plain && tls !== undefined)
      reading.mistake(own, `${text}, and \`tls\` says how https is spoken`, {
        hint: 'write https://, or leave `tls` out',
      });
    else if (plain && http2)
      reading.mistake(own, `${text}, and HTTP/2 is agreed on in the handshake of TLS`, {
        hint: 'write https://, or leave `http2` out',
      });
  }
}

function checkServerPath(server: string, at: Path, reading: Reading): void {
  const socket = socketPathOf(server);
  if (socket !== null) readSocketPath(socket, at, reading);
}
