/**
 * Which hosts a configuration might allow for revocation data: those that its own CA certificates name and that it does not allow
 * yet. A proposal only; certificates decide nothing, and those of clients may name others.
 */
import { readSourceUrl } from '../config/source-hosts.ts';
import type { Settings } from '../gateway/settings.ts';
import { createAllowedHosts } from '../revocation/allowed-hosts.ts';
import { targetOf } from '../revocation/fetch-target.ts';
import type { Certificate } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';

export interface ProposedHost {
  /** As an entry of `revocation.hosts`. */
  readonly host: string;
  /** RFC 4514 texts of the subjects of the certificates that name it. */
  readonly namedBy: readonly string[];
}

/** Empty where no binding checks revocation. */
export function proposedHosts(settings: Settings): readonly ProposedHost[] {
  const checking = [...settings.trust.values()].filter(({ revocation }) => revocation.mode !== 'disabled');
  const controllers = controllerHosts(settings);
  const reach = {
    hosts: createAllowedHosts(settings.revocation.hosts),
    files: new Set<string>(),
    serves: (host: string) => controllers.has(host),
  };
  const found = new Map<string, Set<string>>();
  for (const { anchors, intermediates } of new Set(checking.map(({ store }) => store)))
    for (const certificate of [...anchors, ...intermediates])
      for (const url of urlsOf(certificate, settings.revocation.aia)) {
        const read = readSourceUrl(url);
        const allowed = targetOf(url, reach).kind !== 'refused';
        if (allowed || !('host' in read) || read.host === null) continue;
        found.set(read.host, (found.get(read.host) ?? new Set()).add(rfc4514Text(certificate.subject)));
      }
  return [...found]
    .map(([host, namedBy]) => ({ host, namedBy: [...namedBy].sort() }))
    .sort((a, b) => (a.host < b.host ? -1 : 1));
}

/** `revocation.hosts` as it would be written, with what is allowed already. */
export function proposalText(proposed: readonly ProposedHost[], { revocation }: Settings): string {
  const all = [...revocation.hosts, ...proposed.map(({ host }) => host)];
  return `revocation: { hosts: [${all.map((host) => JSON.stringify(host)).join(', ')}] }`;
}

function urlsOf({ extensions }: Certificate, aia: boolean): readonly string[] {
  const { crlDistributionPoints, freshestCrl, authorityInfoAccess } = extensions;
  const lists = [...crlDistributionPoints, ...freshestCrl].flatMap(({ fullName }) => fullName?.uris ?? []);
  return [...lists, ...authorityInfoAccess.ocsp, ...(aia ? authorityInfoAccess.caIssuers : [])];
}

/** Lists on a controller are read as part of the directory. */
function controllerHosts({ directory }: Settings): ReadonlySet<string> {
  const urls = [
    ...(directory?.forests.flatMap(({ domains }) => domains.flatMap(({ controllers }) => controllers)) ?? []),
    ...(directory?.forests.flatMap(({ globalCatalog }) => globalCatalog) ?? []),
  ];
  return new Set(urls.map((url) => new URL(url).hostname.toLowerCase()));
}
