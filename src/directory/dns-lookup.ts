/**
 * Questions to DNS: SRV records, and the addresses of the servers that they name. Decides which DNS servers are asked and how long. What DNS says is
 * not believed by anybody here; `discovery.ts` says what protects against lies.
 */
import type { SrvRecord } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { codeOf, Failure, reasonOf } from '../base/failure.ts';

export type SrvAnswer =
  /** Empty where DNS says that there is no such name. */
  | { readonly kind: 'answered'; readonly records: readonly SrvRecord[] }
  | { readonly kind: 'silent'; readonly reason: string };

export interface DnsLookup {
  /** Never rejects; settles in some ten seconds at most. */
  srv(name: string): Promise<SrvAnswer>;
  /** Addresses from the same DNS servers; undefined: as the system finds them. */
  readonly lookup: LookupFunction | undefined;
  /** Ends the questions under way. */
  close(): void;
}

/** Milliseconds for the first answer of a server, doubled at the second try. */
const patience = { timeout: 2_000, tries: 2 } as const;

/**
 * @param servers `ip` or `ip:port`; empty: the system's
 * @throws Failure `directory-settings` for anything else
 */
export function createDnsLookup(servers: readonly string[]): DnsLookup {
  const resolver = new Resolver(patience);
  try {
    if (servers.length > 0) resolver.setServers([...servers]);
  } catch (error) {
    throw new Failure(`${servers.join(', ')}: ${reasonOf(error)}`, {
      code: 'directory-settings',
      hint: 'DNS servers are IP addresses, with a port where it is not 53',
      exitCode: 2,
    });
  }
  return {
    async srv(name) {
      try {
        return { kind: 'answered', records: await resolver.resolveSrv(name) };
      } catch (error) {
        if (absent.has(codeOf(error) ?? '')) return { kind: 'answered', records: [] };
        return { kind: 'silent', reason: `DNS does not answer for ${name}: ${reasonOf(error)}` };
      }
    },
    lookup: servers.length === 0 ? undefined : lookupBy(resolver),
    close: () => resolver.cancel(),
  };
}

/** NXDOMAIN, and a name without records of the type. */
const absent: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

function lookupBy(resolver: Resolver): LookupFunction {
  return (host, options, settle) => {
    void addressesOf(resolver, host).then((addresses) => {
      const [first] = addresses;
      if (first === undefined) settle(new Error(`DNS has no address for ${host}`), '', 4);
      else if (options.all === true) settle(null, addresses);
      else settle(null, first.address, first.family);
    });
  };
}

/** Both families; one that is missing or silent does not keep the other back. */
async function addressesOf(resolver: Resolver, host: string): Promise<{ address: string; family: number }[]> {
  const none = (): string[] => [];
  const [four, six] = await Promise.all([resolver.resolve4(host).catch(none), resolver.resolve6(host).catch(none)]);
  return [...four.map((address) => ({ address, family: 4 })), ...six.map((address) => ({ address, family: 6 }))];
}
