/**
 * The `host[:port]` part of a URL, in its one spelling. Decides what is a host at all: letters, digits, hyphens, underscores and dots, or
 * an IP address in its usual form; no user, no percent-encoding, no zone, nothing that two parsers could read differently. Names
 * beyond ASCII must be written as `xn--` labels, as they are in certificates (RFC 5280 section 7.2).
 */
import { isIP, isIPv6 } from 'node:net';

export interface HostAndPort {
  /** Lower case, without trailing dot, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Null when the text is anything else. */
export function parseHostAndPort(text: string, defaultPort: number): HostAndPort | null {
  const parts = /^(?:\[(?<v6>[0-9a-f:.]{2,45})\]|(?<name>[a-z0-9._-]{1,254}))(?::(?<port>\d{1,5}))?$/i.exec(
    text,
  )?.groups;
  if (parts === undefined) return null;
  const port = parts['port'] === undefined ? defaultPort : Number(parts['port']);
  if (port < 1 || port > 65_535) return null;
  const { v6 } = parts;
  if (v6 !== undefined) return isIPv6(v6) ? { host: shortestAddress(v6), port } : null;
  const host = (parts['name'] ?? '').toLowerCase().replace(/\.$/, '');
  return isHostName(host) ? { host, port } : null;
}

/** With brackets around an IPv6 address. */
export function hostText(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/**
 * A name whose last label is a number is an address in some parsers (`127.1`, `0x7f.0.0.1`, `2130706433`): only the four decimal
 * numbers are taken, which all read alike.
 */
function isHostName(host: string): boolean {
  const labels = host.split('.');
  if (labels.some((label) => label === '' || label.length > 63)) return false;
  return /^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '') ? isIP(host) === 4 : true;
}

/** RFC 5952, as WHATWG URLs write it. */
function shortestAddress(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
