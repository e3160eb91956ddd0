/**
 * Names, addresses and URLs as the configuration language writes them. Whether anybody answers there is not asked.
 */
import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { Failure } from '../base/failure.ts';
import { parseEndpoint as parseDirectoryUrl } from '../directory/endpoint.ts';
import type { Endpoint } from '../tls/binding.ts';
import { quoted } from './complaint.ts';
import { scalar, shown, text, type Scalar } from './scalars.ts';

const nameHint = 'letters, digits, hyphens and dots; international names as xn--...';

/** Lower case; no wildcard, no dot at the end. */
export const dnsName: Scalar<string> = text('a DNS name', (raw) =>
  isDnsName(raw) ? { value: raw.toLowerCase() } : { wrong: `${quoted(raw)} is not a DNS name`, hint: nameHint },
);

/** What stands in a Host header, without its port: lower case, IPv6 in brackets. */
export const hostName: Scalar<string> = text('a host name or an IP address', (raw) => {
  const bare = /^\[(.+)\]$/.exec(raw)?.[1] ?? raw;
  if (isIPv6(bare)) return { value: `[${canonicalAddress(bare)}]` };
  if (isIPv4(raw) || isDnsName(raw)) return { value: raw.toLowerCase() };
  if (raw.includes('*'))
    return {
      wrong: `${quoted(raw)} is not a host name`,
      hint: 'name each host, or leave `hosts` out to answer to every name',
    };
  const port = /:\d+$/.test(raw);
  return {
    wrong: `${quoted(raw)} is not a host name`,
    hint: port ? 'the port belongs to the binding; write the name alone' : nameHint,
  };
});

export const ipAddress: Scalar<string> = text('an IP address', (raw) =>
  isIP(raw) === 0
    ? { wrong: `${quoted(raw)} is not an IP address`, hint: 'for example 0.0.0.0, 127.0.0.1 or "::"' }
    : { value: canonicalAddress(raw) },
);

const endpointForm = 'write ip:port, "[v6]:port" or host:port, for example 0.0.0.0:443';

/** An endpoint with the text it was written as; `listen` of a host is filled in later. */
export const endpoint: Scalar<{ readonly name: string; readonly endpoint: Endpoint }> = scalar(
  'ip:port, "[v6]:port" or host:port',
  (raw) => {
    if (Array.isArray(raw))
      return { wrong: 'a list is not an endpoint', hint: 'an IPv6 endpoint stands in quotes: "[::]:443"' };
    if (typeof raw !== 'string') return { wrong: `${shown(raw)} is not an endpoint`, hint: endpointForm };
    const parsed = parseEndpoint(raw);
    if (typeof parsed === 'string')
      return { wrong: `${quoted(raw)} is not an endpoint: ${parsed}`, hint: endpointForm };
    return { value: { name: raw, endpoint: parsed } };
  },
);

/** An IP address and a port; names are not looked up. */
export const listener: Scalar<{ readonly address: string; readonly port: number }> = text('ip:port', (raw) => {
  const parsed = parseEndpoint(raw);
  if (typeof parsed === 'object' && parsed.kind === 'address')
    return { value: { address: parsed.address, port: parsed.port } };
  return { wrong: `${quoted(raw)} is not an address and a port`, hint: 'write ip:port, for example 127.0.0.1:9090' };
});

/** `http://host:port` of a backend, as an origin. */
export const origin: Scalar<string> = text('an origin such as http://127.0.0.1:8080', (raw) => {
  const url = URL.parse(raw);
  const hint = 'write http://host:port or https://host:port';
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return { wrong: `${quoted(raw)} is not an http or https origin`, hint };
  if (url.username !== '' || url.password !== '')
    return { wrong: 'a user name or password cannot stand here', hint, hidden: true };
  if (url.port === '0') return { wrong: `${quoted(raw)} has port 0`, hint };
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    return {
      wrong: `${quoted(raw)} has a path`,
      hint: `a path goes upstream as it came, so there is none here: \`${url.origin}\``,
    };
  return { value: url.origin };
});

/** `ldaps://host[:port]`, or `ldap://host[:port]`, which means StartTLS. */
export const directoryUrl: Scalar<string> = text(
  'ldaps://host, or ldap://host for StartTLS, with or without :port',
  (raw) => {
    if (raw.includes('@'))
      return {
        wrong: 'a user name cannot stand here',
        hint: 'write ldaps://host[:port]; who logs on is said under `bind`',
        hidden: true,
      };
    try {
      return { value: parseDirectoryUrl(raw).url };
    } catch (error) {
      if (error instanceof Failure) return { wrong: error.message, hint: error.hint };
      throw error;
    }
  },
);

/** @returns the endpoint, or why it is none */
export function parseEndpoint(raw: string): Endpoint | string {
  const colon = raw.lastIndexOf(':');
  if (colon < 0) return 'the port is missing';
  const name = raw.slice(0, colon);
  const port = /^\d{1,5}$/.test(raw.slice(colon + 1)) ? Number(raw.slice(colon + 1)) : Number.NaN;
  if (!(port <= 65_535)) return 'the port is not a number from 0 to 65535';
  if (isIPv4(name)) return { kind: 'address', address: name, port };
  const bracketed = /^\[(.+)\]$/.exec(name)?.[1];
  if (bracketed !== undefined)
    return isIPv6(bracketed)
      ? { kind: 'address', address: canonicalAddress(bracketed), port }
      : 'there is no IPv6 address in the brackets';
  if (isIPv6(name)) return 'an IPv6 address needs brackets';
  if (name === '' || name === '*') return 'all addresses are 0.0.0.0 or [::]';
  if (name.startsWith('*.')) return 'wildcard hosts are not available';
  return isDnsName(name)
    ? { kind: 'host', host: name.toLowerCase(), port, listen: '0.0.0.0' }
    : 'there is neither an IP address nor a host name';
}

/** One spelling for each endpoint: what no two bindings share. */
export function endpointKey(endpoint: Endpoint): string {
  if (endpoint.kind === 'host') return `${endpoint.host}:${endpoint.port}`;
  return isIPv6(endpoint.address) ? `[${endpoint.address}]:${endpoint.port}` : `${endpoint.address}:${endpoint.port}`;
}

/** RFC 5952 text; a zone stays. */
function canonicalAddress(address: string): string {
  return isIPv6(address) && !address.includes('%') ? new SocketAddress({ address, family: 'ipv6' }).address : address;
}

/** RFC 1123 labels, with the underscore that Windows allows; the last is not a number, which would be an address. */
function isDnsName(raw: string): boolean {
  const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;
  const labels = raw.split('.');
  return raw.length <= 253 && labels.every((part) => label.test(part)) && !/^\d+$/.test(labels.at(-1) ?? '');
}
