/**
 * What `dsmapper check` says of the upstreams that locations use and that are more than one origin.
 */
import { durationText } from '../base/duration.ts';
import type { HealthCheckSettings, UpstreamGroupSettings, UpstreamSettings } from '../forward/forward-contract.ts';
import { serverLabel } from '../forward/server-label.ts';
import type { Settings } from '../gateway/settings.ts';

export interface UpstreamRule {
  readonly upstream: string;
  readonly servers: readonly string[];
  readonly http2: boolean;
  readonly proxyProtocol: 'v1' | 'v2' | null;
  readonly hostHeader: UpstreamGroupSettings['hostHeader'];
  /** How servers with https are trusted, where that is said. */
  readonly tls: {
    readonly roots: 'public' | 'own';
    readonly serverName: string | null;
    /** Whether the gateway shows a certificate. */
    readonly certificate: boolean;
  } | null;
  readonly healthCheck: HealthCheckSettings | null;
}

/** Once for each, in the order in which locations name them; limits aside, which belong to locations. */
export function upstreamRules({ sites }: Settings): readonly UpstreamRule[] {
  const groups = sites.flatMap(({ locations }) => locations.map(({ upstream }) => upstream).toReversed());
  return [...new Map(groups.map((group) => [group.name, group])).values()].flatMap((group) => {
    const [first] = group.servers;
    return first === undefined || isBare(group, first) ? [] : [upstreamRule(group, first)];
  });
}

export function upstreamLine(rule: UpstreamRule): string {
  const { tls, healthCheck: check } = rule;
  return [
    `upstream ${rule.upstream}: ${rule.servers.join(', ')}`,
    ...(tls === null ? [] : tlsWords(tls)),
    ...(rule.http2 ? ['HTTP/2'] : []),
    ...(rule.proxyProtocol === null ? [] : [`PROXY protocol ${rule.proxyProtocol}`]),
    ...(rule.hostHeader === 'client' ? [] : ['Host of the server']),
    check === null ? 'no health check' : `health GET ${check.path} every ${durationText(check.interval)}`,
  ].join('; ');
}

function isBare({ name, servers, healthCheck }: UpstreamGroupSettings, first: UpstreamSettings): boolean {
  return servers.length === 1 && healthCheck === null && name === serverLabel(first);
}

/** All servers of an upstream are reached in the same way. */
function upstreamRule(group: UpstreamGroupSettings, { http2, proxyProtocol, tls }: UpstreamSettings): UpstreamRule {
  return {
    upstream: group.name,
    servers: group.servers.map(serverLabel),
    http2: http2 ?? false,
    proxyProtocol: proxyProtocol ?? null,
    hostHeader: group.hostHeader,
    tls:
      tls === undefined
        ? null
        : {
            roots: tls.ca === undefined ? 'public' : 'own',
            serverName: tls.serverName ?? null,
            certificate: tls.certificate !== undefined,
          },
    healthCheck: group.healthCheck,
  };
}

function tlsWords({ roots, serverName, certificate }: NonNullable<UpstreamRule['tls']>): readonly string[] {
  return [
    `${roots} roots${serverName === null ? '' : ` for ${serverName}`}`,
    ...(certificate ? ['shows a certificate'] : []),
  ];
}
