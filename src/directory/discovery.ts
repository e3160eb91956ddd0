/**
 * Which servers a domain has, by the SRV records that its controllers register (MS-ADTS 6.3.2.3). Decides which of the names that DNS gives
 * are taken at all, and their order: those of our own site first.
 *
 * DNS is not trusted. Whoever can forge its answers can keep servers from us, and send us to others, but no further: a name outside the domain
 * and the listed suffixes is never contacted; before the password leaves, the server has shown a certificate that chains to a
 * configured authority and names it (`secure-socket.ts`); before it is asked for anybody, it has said in its rootDSE that it is a controller of this
 * domain and forest (`forest.ts`). The last comes after the bind: what it protects is the answer, not the password.
 *
 * Only verified TLS is spoken, so the ports of clear-text LDAP stand for those of LDAP over TLS: 389 for 636, 3268 for 3269.
 */
import type { DnsLookup, SrvAnswer } from './dns-lookup.ts';
import { endpointOf, type Endpoint } from './endpoint.ts';
import { orderTargets, type SrvTarget } from './srv-order.ts';

export type Discovered =
  | {
      readonly kind: 'found';
      readonly endpoints: readonly Endpoint[];
      /** DNS was silent about a part. */ readonly partial: boolean;
    }
  /** DNS did not answer, or gave no name that may be used. */
  | { readonly kind: 'nothing'; readonly reason: string };

/** What is asked for, most wanted first. All names of one list are asked; `otherwise` only where they give nothing. */
export interface Questions {
  /** Own site, then everywhere. */
  readonly names: readonly string[];
  readonly otherwise: string | null;
}

export function questionsForDomain(domain: string, site: string | null): Questions {
  return questions(`dc._msdcs.${domain}`, site, null);
}

/** @param forest DNS name of the forest: that of its root domain */
export function questionsForCatalog(forest: string, site: string | null): Questions {
  return questions(`gc._msdcs.${forest}`, site, `_gc._tcp.${forest}`);
}

function questions(place: string, site: string | null, otherwise: string | null): Questions {
  const own = site === null ? [] : [`_ldap._tcp.${site}._sites.${place}`];
  return { names: [...own, `_ldap._tcp.${place}`], otherwise };
}

/** Servers beyond which an answer is cut. */
const maximumServers = 32;

export interface DiscoveryContext {
  readonly dns: DnsLookup;
  /** DNS suffixes, lower case: a server is one of them or inside of one. */
  readonly suffixes: readonly string[];
  readonly random: () => number;
}

/** @param inUse hosts of the servers that are used now, in their order */
export async function discover(
  { names, otherwise }: Questions,
  { dns, suffixes, random }: DiscoveryContext,
  inUse: readonly string[],
): Promise<Discovered> {
  const answers = await Promise.all(names.map((name) => dns.srv(name)));
  const none = answers.every((answer) => answer.kind === 'answered' && answer.records.length === 0);
  if (none && otherwise !== null) answers.push(await dns.srv(otherwise));
  const endpoints = new Map<string, Endpoint>();
  const strangers = new Set<string>();
  for (const answer of answers) {
    const targets = targetsOf(answer);
    for (const { name, port } of orderTargets(targets, inUse, random)) {
      const inside = suffixes.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
      if (!inside) strangers.add(name);
      else if (!endpoints.has(name) && endpoints.size < maximumServers)
        endpoints.set(name, endpointOf('ldaps', name, securePorts.get(port) ?? port));
    }
  }
  const silence = answers.flatMap((answer) => (answer.kind === 'silent' ? [answer.reason] : []));
  if (endpoints.size > 0) return { kind: 'found', endpoints: [...endpoints.values()], partial: silence.length > 0 };
  const outside = [...strangers].slice(0, 3).join(', ');
  const vain =
    strangers.size > 0
      ? `DNS names servers outside of ${suffixes.join(', ')}, which are not contacted: ${outside}`
      : `DNS has no servers at ${[...names, ...(otherwise === null ? [] : [otherwise])].join(', ')}`;
  return { kind: 'nothing', reason: silence.length > 0 ? silence.join('; ') : vain };
}

/** Those that are host names with a port; `.` says that there is no such server (RFC 2782). */
function targetsOf(answer: SrvAnswer): readonly SrvTarget[] {
  if (answer.kind === 'silent') return [];
  return answer.records.flatMap(({ name, port, priority, weight }) => {
    const host = name.replace(/\.$/, '').toLowerCase();
    return isHostName(host) && port > 0 ? [{ name: host, port, priority, weight }] : [];
  });
}

/** At least two labels, the last of them no number: no IPv4 address in disguise. */
function isHostName(name: string): boolean {
  return name.length <= 253 && /^(?:(?!-)[a-z0-9_-]{1,63}\.)+(?!-)[a-z0-9-]*[a-z][a-z0-9-]*$/.test(name);
}

const securePorts: ReadonlyMap<number, number> = new Map([
  [389, 636],
  [3268, 3269],
]);
