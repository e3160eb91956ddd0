/**
 * `X-Forwarded-For`, `-Proto` and `-Host`: what the backend cannot see of the client's connection. Always ours: a
 * client's own are removed by `sanitize.ts`, because the gateway is the first hop that anybody trusts.
 */
import type { FlatHeaders } from './forward-contract.ts';

/** `x-forwarded`: X-Forwarded-For, -Proto and -Host; `forwarded`: the one of RFC 7239. */
export type ForwardedStyle = 'x-forwarded' | 'forwarded';

export interface ForwardedFacts {
  /** As `socket.remoteAddress` has it. */
  readonly remoteAddress: string;
  /** Whether the client came by TLS. */
  readonly encrypted: boolean;
  /** The host the client asked for; null where it named none. */
  readonly host: string | null;
}

export function forwardedHeaders({ remoteAddress, encrypted, host }: ForwardedFacts): FlatHeaders {
  // A dual-stack listener sees an IPv4 client as ::ffff:192.0.2.1 (RFC 4291 section 2.5.5.2); nobody else calls it that.
  const address = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress;
  const headers = ['X-Forwarded-For', address, 'X-Forwarded-Proto', encrypted ? 'https' : 'http'];
  if (host !== null) headers.push('X-Forwarded-Host', host);
  return headers;
}
