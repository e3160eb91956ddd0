/**
 * What a URL asks us to contact. Decides whether that may be: schemes, hosts that the configuration lists, files that it names. URLs come
 * from certificates; the strict spelling that is demanded here is what keeps one part of the program from reading a host that
 * another part did not check.
 */
import { isAbsolute, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultPorts, type AllowedHosts } from './allowed-hosts.ts';
import { hostText, parseHostAndPort, type HostAndPort } from './authority-text.ts';
import { parseLdapUrl, type LdapAttribute } from './ldap-url.ts';

export type FetchTarget = HttpTarget | LdapTarget | FileTarget;

export interface HttpTarget {
  readonly kind: 'http';
  /** In its one spelling. */
  readonly url: string;
  /** `http://host:port` */
  readonly origin: string;
  readonly host: string;
  /** Path and query. */
  readonly path: string;
}

export interface LdapTarget {
  readonly kind: 'ldap';
  readonly url: string;
  /** Null: the configured directory. */
  readonly server: (HostAndPort & { /** `ldap://host:port` */ readonly url: string }) | null;
  readonly dn: string;
  readonly attribute: LdapAttribute;
}

export interface FileTarget {
  readonly kind: 'file';
  readonly path: string;
}

export interface Refusal {
  readonly kind: 'refused';
  readonly code: 'hostNotAllowed' | 'unsupportedUrl';
  /** One sentence. */
  readonly why: string;
}

export interface Reach {
  readonly hosts: AllowedHosts;
  /** Paths of files that the configuration names: a certificate cannot make us read another. */
  readonly files: ReadonlySet<string>;
  /** Whether the directory has a server of that name; null: there is no directory. */
  readonly serves: ((host: string) => boolean) | null;
}

/** Characters; RFC 7230 suggests 8000 for a request line. */
const maximumUrl = 4096;

export function targetOf(url: string, reach: Reach): FetchTarget | Refusal {
  if (url.length > maximumUrl) return unsupported(url, `it has more than ${maximumUrl} characters`);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? '';
  if (scheme === 'http' || scheme === 'https') return httpTarget(url, scheme, reach);
  if (scheme === 'ldap') return ldapTarget(url, reach);
  if (scheme === 'file' || isAbsolute(url)) return fileTarget(url, reach);
  return unsupported(url, 'only http, ldap and configured files are fetched');
}

/** The path of `file:///...` or of an absolute path; null when it is neither. */
export function filePath(source: string): string | null {
  if (source.includes('\0')) return null;
  if (isAbsolute(source)) return normalize(source);
  if (!/^file:\/\/\/[^/?#][^?#]*$/i.test(source)) return null;
  try {
    return normalize(fileURLToPath(source));
  } catch {
    return null;
  }
}

function httpTarget(url: string, scheme: 'http' | 'https', { hosts }: Reach): HttpTarget | Refusal {
  // What WHATWG's parser would mend (backslashes, tabs, missing slashes) is refused before it can.
  const [, authority = '', rest = ''] = /^[a-z]+:\/\/([^/?#\\]*)([/?][!-~ ]*)?$/i.exec(url) ?? [];
  const place = parseHostAndPort(authority, defaultPorts[scheme]);
  const parsed = URL.parse(url);
  if (place === null || parsed === null || /[#\\]/.test(rest))
    return unsupported(url, 'it is not a plain URL of the form http://host/path');
  const { host, port } = place;
  const shown = port === defaultPorts[scheme] ? hostText(host) : `${hostText(host)}:${port}`;
  const origin = `${scheme}://${shown}`;
  // The check that both readings agree: what is connected to is what was allowed.
  if (parsed.hostname.replace(/\.$/, '') !== hostText(host) || Number(parsed.port || defaultPorts[scheme]) !== port)
    return unsupported(url, 'its host can be read in two ways');
  if (!hosts.allows(scheme, host, port)) return notAllowed(url, `${scheme}://${shown}`);
  const path = `${parsed.pathname}${parsed.search}`;
  return { kind: 'http', url: `${origin}${path}`, origin, host, path };
}

function ldapTarget(url: string, { hosts, serves }: Reach): LdapTarget | Refusal {
  const parsed = parseLdapUrl(url);
  if (typeof parsed === 'string') return unsupported(url, parsed);
  const { server, dn, attribute } = parsed;
  if (server === null)
    return serves === null
      ? unsupported(url, 'it names no server, and no directory is configured')
      : { kind: 'ldap', url, server, dn, attribute };
  if (serves?.(server.host) === true) return { kind: 'ldap', url, server: null, dn, attribute };
  const place = `ldap://${hostText(server.host)}:${server.port}`;
  if (!hosts.allows('ldap', server.host, server.port)) return notAllowed(url, place);
  return { kind: 'ldap', url, server: { ...server, url: place }, dn, attribute };
}

function fileTarget(source: string, { files }: Reach): FileTarget | Refusal {
  const path = filePath(source);
  if (path !== null && files.has(path)) return { kind: 'file', path };
  return unsupported(source, 'a file is only read where the configuration names it');
}

function unsupported(url: string, why: string): Refusal {
  return { kind: 'refused', code: 'unsupportedUrl', why: `${shown(url)} is not fetched: ${why}` };
}

function notAllowed(url: string, place: string): Refusal {
  return {
    kind: 'refused',
    code: 'hostNotAllowed',
    why: `${shown(url)} is not fetched: the configuration does not allow ${place}`,
  };
}

/** Quoted, and nothing in it that could act on a terminal or a log. */
function shown(url: string): string {
  const text = url.length > 200 ? `${url.slice(0, 199)}…` : url;
  return JSON.stringify(text).replaceAll(/[^ -~…]/g, '?');
}
