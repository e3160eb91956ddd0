/**
 * What the backend cannot see of the client's connection: its address, whether it came by TLS, and the host it asked for, as
 * `X-Forwarded-For`, `-Proto` and `-Host` or as `Forwarded` (RFC 7239). Always ours: a client's own are removed by `sanitize.ts`,
 * because the gateway is the first hop that anybody trusts.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { FlatHeaders } from './forward-contract.ts';

/** `x-forwarded`: X-Forwarded-For, -Proto and -Host; `forwarded`: the one of RFC 7239. */
export type ForwardedStyle = 'x-forwarded' | 'forwarded';

export interface ForwardedFacts {
  /** As `socket.remoteAddress` has it. */
  readonly remoteAddress: string;
  /** Whether the client came by TLS. */
  readonly encrypted: boolean;
  /** The host the client asked for, with its port where it named one; null where it named none. */
  readonly host: string | null;
}

/** @param styles in any order; of none nothing is told */
export function forwardedHeaders(styles: readonly ForwardedStyle[], facts: ForwardedFacts): FlatHeaders {
  const headers: string[] = [];
  const address = plainAddress(facts.remoteAddress);
  const proto = facts.encrypted ? 'https' : 'http';
  if (styles.includes('x-forwarded')) {
    headers.push('X-Forwarded-For', address, 'X-Forwarded-Proto', proto);
    if (facts.host !== null) headers.push('X-Forwarded-Host', facts.host);
  }
  if (styles.includes('forwarded')) {
    const host = facts.host === null ? '' : `;host=${valueOf(facts.host)}`;
    headers.push('Forwarded', `for=${valueOf(nodeOf(address))};proto=${proto}${host}`);
  }
  return headers;
}

/** A dual-stack listener sees an IPv4 client as ::ffff:192.0.2.1 (RFC 4291 section 2.5.5.2); nobody else calls it that. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address;
}

/** RFC 7239 section 6: IPv6 in brackets, and no zone, which means nothing elsewhere (RFC 6874 section 1). */
function nodeOf(address: string): string {
  if (isIPv4(address)) return address;
  const [bare = ''] = address.split('%');
  return isIPv6(bare) ? `[${bare}]` : 'unknown';
}

/** RFC 7239 section 4: a token, or a quoted string where it has a colon or a bracket. */
function valueOf(text: string): string {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}
