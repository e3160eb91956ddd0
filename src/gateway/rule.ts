/**
 * Which rule holds for a request, by what the request itself says: its host must belong to the binding that took the
 * connection, its path has one reading, the nearest location wins.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { Connection } from '../tls/connection.ts';
import { requestTarget } from './authority.ts';
import type { CanonicalPath } from './canonical-path.ts';
import { canonicalPath, foldSegment } from './canonical-path.ts';
import { probeAt } from './probes.ts';
import type { LocationSettings, SiteSettings } from './settings.ts';
import type { Setup } from './setup.ts';
import type { Rule } from './stages.ts';
import { isVerdict } from './stages.ts';

/** The parts of a request that choose its rule. */
export interface RequestLine {
  readonly method: string;
  /** Request target as received. */
  readonly url: string;
  readonly rawHeaders: readonly string[];
}

/** Where a request came in: its connection, and the binding that a host name selects at the address it came to. */
export interface Arrival {
  readonly connection: Connection;
  bindingFor(host: string): BindingSettings | null;
}

export function ruleOf(arrival: Arrival, request: RequestLine, setup: Setup): Rule | Verdict {
  if (request.method === 'CONNECT' || request.method === 'TRACE') {
    return verdict('methodNotAllowed', `${request.method} is never forwarded`);
  }
  const named = requestTarget(request.url, request.rawHeaders);
  if (isVerdict(named)) return named;
  const { binding } = arrival.connection;
  const owner = arrival.bindingFor(named.host);
  if (owner?.name === binding.name) return ruleAt(binding, named.host, named.target, setup, request);
  const text = owner === null ? 'no binding' : `binding ${owner.name}`;
  return verdict('misdirected', `host ${named.host} belongs to ${text}, the connection to ${binding.name}`);
}

/**
 * The rule for a host and a path on a binding, whoever asks: a request, explain, recheck.
 * @param request whoever else asks is no load balancer
 */
export function ruleAt(
  binding: BindingSettings,
  host: string,
  target: string,
  setup: Setup,
  request?: RequestLine,
): Rule | Verdict {
  const site = setup.sites.site(binding.name, host);
  if (site === null) return verdict('unknownHost', `no site of binding ${binding.name} answers to ${host}`);
  const path = canonicalPath(target, site.settings.encodedSlash);
  if (typeof path === 'string') return verdict('pathNotCanonical', `the path ${path}`);
  const location = site.location(path);
  const probe = request === undefined ? null : probeAt(path, site.settings, request);
  if (probe !== null) return { binding, site: site.settings, location, host, path, whoami: false, probe };
  if (location.access.ssl && binding.certificate === null) {
    return verdict('sslRequired', `location ${location.path} is only served over TLS`);
  }
  const { settings } = site;
  return { binding, site: settings, location, host, path, whoami: asksWhoami(path, location, settings) };
}

/** Whether a path is the page below its location that tells clients who they are; then the gateway answers, not the upstream. */
function asksWhoami(path: CanonicalPath, location: LocationSettings, { pathCase }: SiteSettings): boolean {
  if (!location.whoami) return false;
  const fold = pathCase === 'ignore' ? foldSegment : (segment: string) => segment;
  const above = location.path.split('/').filter((segment) => segment !== '').length;
  const tail = path.segments.slice(above);
  return tail.length === 2 && fold(tail[0] ?? '') === '.dsmapper' && fold(tail[1] ?? '') === 'whoami';
}

/**
 * Whether a location takes notice of certificates. IIS' Ignore does not, except that the mapper sees what an up-front binding
 * has got already; what a late binding got for another location stays unseen.
 */
export function looksAtCertificates({ location, binding }: Rule): boolean {
  if (location.access.clientCertificate !== 'ignore') return true;
  return location.clientCertificateMapping && binding.clientCertificate === 'upFront';
}
