/**
 * Which host a request names. Host, `:authority` and the absolute form must name the same one; anything that is not a
 * plain host with an optional port is refused. Which binding and site that host belongs to is decided in `rule.ts`.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';

/** What a request says about its target, whatever the HTTP version. */
export interface RequestTarget {
  /** Lower case, without port and without a trailing dot; IPv6 in brackets. */
  readonly host: string;
  /** Path and query as sent. */
  readonly target: string;
}

/**
 * @param url request target as received: origin-form or absolute-form; HTTP/2's `:path`
 * @param rawHeaders flat list of name and value as received; may hold HTTP/2 pseudo headers
 */
export function requestTarget(url: string, rawHeaders: readonly string[]): RequestTarget | Verdict {
  let named: string | null = null;
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const isHost = name.length === 4 && name.toLowerCase() === 'host';
    if (!isHost && name !== ':authority') continue;
    const value = rawHeaders[index + 1] ?? '';
    if (isHost && (count += 1) > 1) return verdict('hostMismatch', 'the request has more than one Host header');
    if (named !== null && named.toLowerCase() !== value.toLowerCase()) return differ(named, value);
    named = value;
  }
  if (url.startsWith('/')) return named === null ? noHost() : targetOf(named, url);
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/is.exec(url);
  if (absolute === null) return verdict('pathNotCanonical', 'the request target is neither a path nor an http URL');
  const [, authority = '', rest = ''] = absolute;
  if (named === null) return noHost();
  if (named.toLowerCase() !== authority.toLowerCase()) return differ(named, authority);
  return targetOf(authority, rest.startsWith('/') ? rest : `/${rest}`);
}

function targetOf(authority: string, target: string): RequestTarget | Verdict {
  const host = hostOf(authority);
  return host === null
    ? verdict('hostMismatch', 'the Host of the request is not a host name or address')
    : { host, target };
}

const hostPattern = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,253}))(?::\d{1,5})?$/;

/** Hosts repeat endlessly: the last one seen is kept so that it need not be read again. */
let lastAuthority = '';
let lastHost: string | null = null;

/** @returns lower case, without port and trailing dot; null when it is no host */
export function hostOf(authority: string): string | null {
  if (authority === lastAuthority) return lastHost;
  const match = hostPattern.exec(authority.toLowerCase());
  const host = match?.[1] ?? null;
  const tidy = host?.endsWith('.') === true ? host.slice(0, -1) : host;
  lastAuthority = authority;
  lastHost = tidy === null || tidy.includes('..') || tidy.endsWith('.') ? null : tidy;
  return lastHost;
}

function noHost(): Verdict {
  return verdict('hostMismatch', 'the request names no host');
}

function differ(one: string, other: string): Verdict {
  return verdict('hostMismatch', `the request names two hosts, ${quoted(one)} and ${quoted(other)}`);
}

/** Without what may be a password: this goes to the log. */
function quoted(authority: string): string {
  return JSON.stringify(authority.replace(/^.*@/s, '...@').slice(0, 100));
}
