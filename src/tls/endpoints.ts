/**
 * Which binding takes a connection, and where to listen. The rule of http.sys: the host endpoint of that port that SNI
 * names; else the address endpoint of the local address; else the one of the unspecified address (0.0.0.0, ::).
 * Nothing here opens a socket.
 */
import { isIP, SocketAddress } from 'node:net';
import type { BlockList } from 'node:net';
import { Failure } from '../base/failure.ts';
import type { BindingSettings } from './binding.ts';
import { isListed, proxyAddresses, sameProxies } from './proxy-protocol.ts';

/** One address and port to listen on. */
export interface Listen {
  /** Names the listener across reloads. */
  readonly key: string;
  readonly address: string;
  /** As configured; 0 lets the system choose. */
  readonly port: number;
  readonly group: PortGroup;
}

/** All bindings of one configured port; an address binding on port 0 has a port of its own. */
export interface PortGroup {
  readonly bindings: readonly BindingSettings[];
  readonly encrypted: boolean;
  /** The bindings that a listener on this address leads to, with the address to call them by. */
  reachableAt(listenAddress: string): readonly { readonly binding: BindingSettings; readonly address: string }[];
  /**
   * Whether a connection must begin with a PROXY protocol header; otherwise it must not.
   * @param remoteAddress as the socket has it
   */
  comesThroughProxy(remoteAddress: string, localAddress: string): boolean;
  /** @param host lower case, without port; null when the client named none */
  bindingFor(host: string | null, localAddress: string): BindingSettings | null;
}

/** @throws Failure where bindings cannot live beside each other */
export function planListens(bindings: readonly BindingSettings[]): readonly Listen[] {
  refuseSameNames(bindings);
  return groupsOf(bindings).flatMap(({ name, port, members }) => {
    const group = portGroup(members);
    return addressesOf(members).map((address) => ({ key: `${address} ${port} ${name}`, address, port, group }));
  });
}

interface Grouped {
  /** Empty for real ports; tells apart those that the system chooses. */
  readonly name: string;
  readonly port: number;
  readonly members: BindingSettings[];
}

function groupsOf(bindings: readonly BindingSettings[]): readonly Grouped[] {
  const groups = new Map<string, Grouped>();
  const addressesFirst = bindings.toSorted((a, b) => Number(isHost(a)) - Number(isHost(b)));
  for (const binding of addressesFirst) {
    const { port } = binding.endpoint;
    const group = port === 0 && isHost(binding) ? sharedGroup(groups) : null;
    const name = port === 0 && group === null ? binding.name : '';
    const key = group === null ? `${port} ${name}` : '';
    const existing = group ?? groups.get(key);
    if (existing === undefined) groups.set(key, { name, port, members: [binding] });
    else existing.members.push(binding);
  }
  return [...groups.values()];
}

/** Host endpoints on port 0 join the first https endpoint whose port the system chooses. */
function sharedGroup(groups: ReadonlyMap<string, Grouped>): Grouped | null {
  return [...groups.values()].find(({ port, members }) => port === 0 && members[0]?.certificate !== null) ?? null;
}

function isHost(binding: BindingSettings): boolean {
  return binding.endpoint.kind === 'host';
}

function portGroup(members: readonly BindingSettings[]): PortGroup {
  const hosts = new Map<string, BindingSettings>();
  const addresses = new Map<string, BindingSettings>();
  for (const binding of members) {
    const { endpoint } = binding;
    const [map, key] =
      endpoint.kind === 'host'
        ? [hosts, endpoint.host.toLowerCase()]
        : [addresses, canonicalAddress(binding, endpoint.address)];
    const other = map.get(key);
    if (other !== undefined)
      throw conflict(binding, other, 'is the same endpoint as', 'remove one of the two bindings');
    map.set(key, binding);
  }
  refuseMixture(members);
  refuseUnlikeProxies(members);
  const proxies = new Map(members.map((binding) => [binding, proxiesOf(binding)]));
  const bindingAt = (localAddress: string) =>
    addresses.get(localAddress) ?? addresses.get(unspecifiedOf(localAddress)) ?? null;
  return {
    bindings: members,
    encrypted: members[0]?.certificate !== null,
    reachableAt: (listenAddress) =>
      members.flatMap((binding) => {
        if (binding.endpoint.kind === 'host') return [{ binding, address: listenAddress }];
        const address = canonicalAddress(binding, binding.endpoint.address);
        return address === listenAddress || unspecifiedOf(address) === listenAddress ? [{ binding, address }] : [];
      }),
    comesThroughProxy(remoteAddress, localAddress) {
      // Without an address endpoint there are only host endpoints, which expect all the same.
      const binding = bindingAt(localAddress) ?? members[0];
      const list = binding === undefined ? null : (proxies.get(binding) ?? null);
      return list !== null && isListed(remoteAddress, list);
    },
    bindingFor: (host, localAddress) => (host === null ? undefined : hosts.get(host)) ?? bindingAt(localAddress),
  };
}

function refuseSameNames(bindings: readonly BindingSettings[]): void {
  for (const [index, binding] of bindings.entries()) {
    const other = bindings.slice(0, index).find(({ name }) => name === binding.name);
    if (other !== undefined) throw conflict(binding, other, 'has the name of', 'names of bindings are unique');
  }
}

/** A port speaks either https or http, and only address endpoints speak http: a name is not known before the request. */
function refuseMixture(members: readonly BindingSettings[]): void {
  const plain = members.find(({ certificate }) => certificate === null);
  if (plain === undefined) return;
  if (isHost(plain))
    throw new Failure(`binding ${plain.name}: a host endpoint needs a server certificate`, {
      code: 'binding-plain-host',
      hint: 'bind plain http to an address and list the names under the hosts of its site',
      exitCode: 2,
    });
  const encrypted = members.find(({ certificate }) => certificate !== null);
  if (encrypted !== undefined)
    throw conflict(encrypted, plain, 'is https on the port of the plain', 'give http and https ports of their own');
}

function proxiesOf({ name, proxyProtocol }: BindingSettings): BlockList | null {
  if (proxyProtocol === undefined) return null;
  const list = proxyAddresses(proxyProtocol);
  if (list !== null) return list;
  throw new Failure(`binding ${name}: a proxy is named that is neither an IP address nor a network`, {
    code: 'binding-proxy-protocol',
    hint: 'write addresses and networks, for example 192.0.2.7 or 192.0.2.0/24',
    exitCode: 2,
  });
}

/** The header comes before the name that would choose a host endpoint. */
function refuseUnlikeProxies(members: readonly BindingSettings[]): void {
  const [first, ...others] = members;
  const unlike = others.find(({ proxyProtocol }) => !sameProxies(first?.proxyProtocol, proxyProtocol));
  if (first === undefined || unlike === undefined || !members.some(isHost)) return;
  throw conflict(
    unlike,
    first,
    'expects the PROXY protocol of others than',
    'write the same proxyProtocol for all endpoints of a port that has host endpoints',
  );
}

/** The addresses to listen on; the unspecified address covers the others of its family. */
function addressesOf(members: readonly BindingSettings[]): readonly string[] {
  const wanted = members.flatMap((binding) =>
    binding.endpoint.kind === 'address' ? [canonicalAddress(binding, binding.endpoint.address)] : [],
  );
  const fallback = members.flatMap((binding) =>
    binding.endpoint.kind === 'host' ? [canonicalAddress(binding, binding.endpoint.listen)] : [],
  );
  const addresses = new Set(wanted.length > 0 ? wanted : fallback);
  return [...addresses].filter((address) => {
    const all = unspecifiedOf(address);
    return address === all || !addresses.has(all);
  });
}

export function unspecifiedOf(address: string): string {
  return address.includes(':') ? '::' : '0.0.0.0';
}

function canonicalAddress(binding: BindingSettings, address: string): string {
  const family = isIP(address);
  if (family === 0)
    throw new Failure(`binding ${binding.name}: ${address} is not an IP address`, {
      code: 'binding-address',
      hint: 'write the endpoint as address:port, with an IPv6 address in brackets',
      exitCode: 2,
    });
  // SocketAddress drops the zone of a link-local address.
  if (address.includes('%')) return address;
  return new SocketAddress({ address, family: family === 6 ? 'ipv6' : 'ipv4' }).address;
}

function conflict(binding: BindingSettings, other: BindingSettings, how: string, hint: string): Failure {
  return new Failure(`binding ${binding.name} ${how} binding ${other.name}`, {
    code: 'binding-conflict',
    hint,
    exitCode: 2,
  });
}
