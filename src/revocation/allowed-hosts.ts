/**
 * From which hosts revocation data may be fetched. Decides by the host as the URL names it, never by the address that it resolves to:
 * whoever is trusted with a name is trusted with where it points. Certificates come from authorities, but their URLs reach into
 * the network that the gateway stands in (RFC 5280 section 8), so whoever is not listed is not asked.
 *
 * An entry is `host[:port]`; one that begins with a dot stands for every name below it. Without a port it allows port 80 for
 * http and 389 for ldap. `https://host[:port]` allows https (443), and nothing else does: a CRL behind TLS needs a certificate that
 * needs a CRL (RFC 5280 section 8 warns of the circle), so somebody has to want it.
 */
import { Failure } from '../base/failure.ts';
import { parseHostAndPort } from './authority-text.ts';

export type FetchScheme = 'http' | 'https' | 'ldap';

export const defaultPorts: Readonly<Record<FetchScheme, number>> = { http: 80, https: 443, ldap: 389 };

export interface AllowedHosts {
  /** @param host as `parseHostAndPort` gives it */
  allows(scheme: FetchScheme, host: string, port: number): boolean;
}

/** @throws Failure `revocation-hosts` for an entry of another form */
export function createAllowedHosts(entries: readonly string[]): AllowedHosts {
  const rules = entries.map(parseRule);
  return {
    allows: (scheme, host, port) =>
      rules.some(
        (rule) =>
          rule.https === (scheme === 'https') &&
          port === (rule.port ?? defaultPorts[scheme]) &&
          (rule.below ? host.endsWith(`.${rule.host}`) : host === rule.host),
      ),
  };
}

interface Rule {
  readonly https: boolean;
  /** Every name below `host`, not `host` itself. */
  readonly below: boolean;
  readonly host: string;
  /** Null: the scheme's own. */
  readonly port: number | null;
}

function parseRule(entry: string): Rule {
  const [, scheme, dot, text = ''] = /^(https:\/\/)?(\.)?(.*)$/s.exec(entry) ?? [];
  const parsed = parseHostAndPort(text, defaultPorts.http);
  if (parsed === null || (dot !== undefined && /^[\d.]+$|:/.test(parsed.host)))
    throw new Failure(`${JSON.stringify(entry)} is not a host that revocation data can be fetched from`, {
      code: 'revocation-hosts',
      hint: 'write host, host:port, .domain for all names below it, or https://host where it must be https',
      exitCode: 2,
    });
  const port = /:\d+$/.test(text.replace(/^\[.*\]/, '')) ? parsed.port : null;
  return { https: scheme !== undefined, below: dot !== undefined, host: parsed.host, port };
}
