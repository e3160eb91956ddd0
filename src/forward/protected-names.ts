/**
 * The request header names that only this gateway may write. A client that sends one of them, in whatever spelling, has
 * it removed, also where the dialect is not in use: a backend may believe any of them. A table; `sanitize.ts` applies it.
 */
import type { HeaderNames } from './forward-contract.ts';
import { writtenNames } from './dialects.ts';
import { foldName } from './field-syntax.ts';

/** Whether a folded name (see `foldName`) belongs to the gateway. */
export type ProtectedNames = (folded: string) => boolean;

/**
 * @param names the names in force: renamed ones are protected beside the defaults, never instead of them
 * @param further names of the operator, exact (`SSO-User`) or with a star at the end (`SSO-*`)
 */
export function protectedNames(names: HeaderNames, further: readonly string[] = []): ProtectedNames {
  const own = writtenNames(names).map(([name]) => name);
  const exact = new Set([...exactNames, ...own, ...further.filter((name) => !name.endsWith('*'))].map(foldName));
  const prefixes = [...families, ...further.filter((name) => name.endsWith('*')).map(prefixOf)];
  return (folded) => exact.has(folded) || prefixes.some((prefix) => folded.startsWith(prefix));
}

/** `SSO-*` becomes `sso-`: a family's dash is part of it, otherwise `SSO-*` would take `SSOffice` too. */
function prefixOf(pattern: string): string {
  const stem = pattern.slice(0, -1);
  return /[a-z0-9]$/i.test(stem) ? foldName(stem) : `${foldName(stem)}-`;
}

/** Where each is written or believed stands behind it. */
export const exactNames: readonly string[] = [
  'X-ARR-ClientCert', // IIS Application Request Routing, Azure App Service
  'Client-Cert', // RFC 9440
  'Client-Cert-Chain', // RFC 9440
  'Forwarded', // RFC 7239
  'Front-End-Https', // Exchange and Outlook on the web
  'Proxy', // becomes HTTP_PROXY in CGI (httpoxy, CVE-2016-5385 and kin)
  'Remote-User', // CGI's REMOTE_USER spelled as a header
  'True-Client-Ip', // content delivery networks
  'X-Client-Ip',
  'X-Client-Verify', // nginx $ssl_client_verify; our own dialect
  'X-Cluster-Client-Ip',
  'X-Real-Ip', // nginx recipes
  'X-Request-Id', // ours: a backend's lines and the gateway's speak of the same request
  'X-Url-Scheme',
  // The path that chose the location is the path that goes upstream: these name another one.
  'X-Original-Host',
  'X-Original-Uri',
  'X-Original-Url', // IIS URL Rewrite, Symfony, Zend
  'X-Rewrite-Url', // IIS URL Rewrite, ISAPI_Rewrite
];

/** Folded prefixes. */
export const families: readonly string[] = [
  'ms-aspnetcore', // ASP.NET Core module: CLIENTCERT, TOKEN, WINAUTHTOKEN
  'remote-', // Remote-User, -Groups, -Name, -Email of forward-auth proxies
  'ssl-client-', // Apache mod_ssl variables, ingress-nginx
  'x-arr-', // Application Request Routing
  'x-auth-request-', // oauth2-proxy behind nginx
  'x-client-cert', // ASP.NET Core certificate forwarding (X-Client-Cert), Kemp and F5 recipes
  'x-dsmapper-', // ours
  'x-forwarded-', // For, Proto, Host; Client-Cert of Envoy; Tls-Client-Cert of Traefik; User, Email, Groups of oauth2-proxy; Prefix
  'x-iis-', // our own dialect: server variables of IIS
  'x-ms-client-principal', // Azure App Service authentication
  'x-ms-token-', // Azure App Service authentication
  'x-remote-', // our own dialect: User, Upn, Sid, Groups, Group-Sids
  'x-ssl-', // HAProxy manual, OpenShift router (CVE-2026-46579)
  'x-tls-client-',
  'x-webauth-', // Grafana, Gitea
];
