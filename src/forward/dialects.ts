/**
 * How an identity is written into request headers: one dialect each for those who read them, in `dialects/`. Each asks for the value that earns
 * it: a certificate header needs a validated chain, an identity header an account. The list is finished once per connection and location;
 * nothing here removes anything (`sanitize.ts` did that before).
 */
import { Failure } from '../base/failure.ts';
import type { Dialect, DialectSettings, DressedClient } from './dialect-contract.ts';
import { ancm, arr, aspnetcore } from './dialects/aspnet.ts';
import { iis, serverVariables, variableHeader } from './dialects/iis.ts';
import { msClientPrincipal } from './dialects/ms-client-principal.ts';
import { nginx } from './dialects/nginx.ts';
import { remoteUser } from './dialects/remote-user.ts';
import { rfc9440 } from './dialects/rfc9440.ts';
import { traefik } from './dialects/traefik.ts';
import { xfcc } from './dialects/xfcc.ts';
import { foldName, isToken } from './field-syntax.ts';
import type { DialectName, FlatHeaders, HeaderNames } from './forward-contract.ts';

export const defaultHeaderNames: HeaderNames = {
  user: 'X-Remote-User',
  upn: 'X-Remote-Upn',
  sid: 'X-Remote-Sid',
  groups: 'X-Remote-Groups',
  groupSids: 'X-Remote-Group-Sids',
  verify: 'X-Client-Verify',
  clientCert: 'Client-Cert',
  clientCertChain: 'Client-Cert-Chain',
  xfcc: 'X-Forwarded-Client-Cert',
  arr: 'X-ARR-ClientCert',
  aspnetcore: 'X-Client-Cert',
  ancmClientCert: 'MS-ASPNETCORE-CLIENTCERT',
  ancmToken: 'MS-ASPNETCORE-TOKEN',
  traefikCert: 'X-Forwarded-Tls-Client-Cert',
  traefikInfo: 'X-Forwarded-Tls-Client-Cert-Info',
  nginxCert: 'X-SSL-Client-Cert',
  nginxVerify: 'X-SSL-Client-Verify',
  nginxSubject: 'X-SSL-Client-S-DN',
  nginxIssuer: 'X-SSL-Client-I-DN',
  nginxSerial: 'X-SSL-Client-Serial',
  nginxFingerprint: 'X-SSL-Client-Fingerprint',
  iisPrefix: 'X-IIS-',
  msPrincipal: 'X-MS-CLIENT-PRINCIPAL',
  msPrincipalId: 'X-MS-CLIENT-PRINCIPAL-ID',
  msPrincipalName: 'X-MS-CLIENT-PRINCIPAL-NAME',
  msPrincipalIdp: 'X-MS-CLIENT-PRINCIPAL-IDP',
  assertion: 'X-DSMapper-Assertion',
};

/** The headers of all dialects for a client, in the order of the dialects, each once. */
export function identityHeaders(
  wanted: readonly DialectName[],
  client: DressedClient | 'none',
  settings: DialectSettings,
): FlatHeaders {
  const headers: string[] = [];
  for (const name of new Set(wanted)) dialects[name](headers, client, settings);
  return headers;
}

const dialects: Readonly<Record<DialectName, Dialect>> = {
  'remote-user': remoteUser,
  rfc9440,
  xfcc,
  arr,
  aspnetcore,
  ancm,
  traefik,
  nginx,
  iis,
  'ms-client-principal': msClientPrincipal,
  assertion(headers, client, { headers: names }) {
    if (client !== 'none' && client.assertion !== null) headers.push(names.assertion, client.assertion);
  },
};

/** Which dialects tell the groups of an account. */
export const groupDialects: ReadonlySet<DialectName> = new Set(['remote-user', 'ms-client-principal', 'assertion']);

/** Every header that any dialect writes, with the key by which it can be renamed. */
export function writtenNames(names: HeaderNames): readonly (readonly [name: string, key: keyof HeaderNames])[] {
  const { iisPrefix, ...whole } = names;
  const variables = serverVariables.map((variable) => [variableHeader(iisPrefix, variable), 'iisPrefix'] as const);
  return [
    ...(Object.entries(whole) as [keyof HeaderNames, string][]).map(([key, name]) => [name, key] as const),
    ...variables,
  ];
}

/** Refuses names that would not survive the way or that mean something else; for configuration. */
export function checkHeaderNames(names: HeaderNames): void {
  const seen = new Map<string, string>();
  // Those that were changed come last, so that the complaint is of one of them.
  const isChanged = (key: keyof HeaderNames) => names[key] !== defaultHeaderNames[key];
  const ordered = writtenNames(names).toSorted(([, a], [, b]) => Number(isChanged(a)) - Number(isChanged(b)));
  for (const [name, key] of ordered) {
    const folded = foldName(name);
    const own = defaultHeaderNames[key];
    const taken = seen.get(folded);
    const problem = !isToken(name)
      ? 'is not a header name'
      : taken !== undefined
        ? `is the same name as that of "${taken}" to some backends`
        : isChanged(key) && hasMeaning(folded)
          ? 'has a meaning of its own in HTTP'
          : null;
    if (problem !== null) {
      throw new Failure(`header name "${name}" for "${key}" ${problem}`, {
        code: 'header-name',
        hint: `choose another name, the default is ${own}`,
        exitCode: 2,
      });
    }
    seen.set(folded, key);
  }
}

function hasMeaning(folded: string): boolean {
  return folded === '' || meansSomethingElse.has(folded) || /^(?:x-forwarded|proxy)-/.test(folded);
}

const meansSomethingElse = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
]);
