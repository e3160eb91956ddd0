/**
 * What `dsmapper check` says of identities on their way: what backends are told at a location, what is let through besides requests, how
 * assertions are signed, and who may ask at auth endpoints. Secrets are mentioned, never shown.
 */
import { durationText } from '../base/duration.ts';
import type { AssertionSettings } from '../forward/assertion-contract.ts';
import type { AuthCallerSettings, AuthEndpointSettings, CertificateForm } from '../gateway/auth-endpoint-settings.ts';
import type { LocationSettings, Settings } from '../gateway/settings.ts';

/** What a location tells its backend and lets through. */
export interface ForwardingRule {
  readonly dialects: readonly string[];
  readonly groups: LocationSettings['groups'];
  /** `aud` of assertions; null: none are made here. */
  readonly audience: string | null;
  readonly forwarded: readonly string[];
  /** Origins whose preflights the gateway answers; null: the backend does. */
  readonly preflightOrigins: readonly string[] | null;
  readonly upgrades: readonly string[];
  /** Origins whose pages may open WebSockets; null: any. */
  readonly webSocketOrigins: readonly string[] | null;
}

export interface IdentityRules {
  /** Null where no location asks for assertions. */
  readonly assertion: AssertionSettings | null;
  readonly authEndpoints: readonly AuthEndpointRule[];
}

export interface AuthEndpointRule {
  readonly name: string;
  /** `127.0.0.1:9443` or the path of a Unix socket. */
  readonly listen: string;
  readonly protocol: 'http' | 'grpc';
  readonly tls: boolean;
  readonly callers: readonly AuthCallerRule[];
}

export interface AuthCallerRule {
  readonly name: string;
  readonly form: CertificateForm;
  readonly bindings: readonly string[];
  readonly sites: readonly string[];
  readonly location: string | null;
  /** What it has to show, all of it; nothing: it is the only caller of a Unix socket. */
  readonly proof: readonly ('secret' | 'certificate')[];
}

export function forwardingRule(location: LocationSettings): ForwardingRule {
  const { dialects, groups, forwarded, preflight, upgrades, webSocketOrigins, upstream } = location;
  return {
    dialects,
    groups,
    audience: dialects.includes('assertion') ? (location.audience ?? upstream.name) : null,
    forwarded,
    preflightOrigins: preflight?.origins ?? null,
    upgrades,
    webSocketOrigins,
  };
}

/** Only what is not as it usually is, headers aside. */
export function forwardingWords(rule: ForwardingRule): readonly string[] {
  const { dialects, groups, audience, forwarded, preflightOrigins, upgrades, webSocketOrigins } = rule;
  return [
    `headers ${dialects.join(', ') || 'none'}`,
    ...(groups === 'none' ? [] : [groups === 'sids' ? 'groups by SID' : 'groups by name and SID']),
    ...(audience === null ? [] : [`assertions for ${audience}`]),
    ...(forwarded.join() === 'x-forwarded' ? [] : [`addresses by ${forwarded.join(', ') || 'nothing'}`]),
    ...(preflightOrigins === null ? [] : [`preflights of ${preflightOrigins.join(', ')} are answered`]),
    ...(upgrades.join() === 'websocket' ? [] : [`upgrades to ${upgrades.join(', ') || 'nothing'}`]),
    ...(webSocketOrigins === null ? [] : [`WebSockets of ${webSocketOrigins.join(', ') || 'no page'}`]),
  ];
}

export function identityRules(settings: Settings): IdentityRules {
  return { assertion: assertionRule(settings), authEndpoints: settings.authEndpoints.map(authEndpointRule) };
}

export function identityLines({ assertion, authEndpoints }: IdentityRules): readonly string[] {
  return [...(assertion === null ? [] : [assertionLine(assertion)]), ...authEndpoints.flatMap(authEndpointLines)];
}

function assertionRule({ identity, sites }: Settings): AssertionSettings | null {
  const wanted = sites.some(({ locations }) => locations.some(({ dialects }) => dialects.includes('assertion')));
  return wanted ? identity.assertion : null;
}

function assertionLine({ algorithm, issuer, lifetime, rotation, keyDirectory }: AssertionSettings): string {
  return [
    `assertions: ${algorithm}`,
    `issuer ${issuer}`,
    `lifetime ${durationText(lifetime)}`,
    `a new key every ${durationText(rotation)}`,
    keyDirectory === null ? 'keys in memory alone' : `keys in ${keyDirectory}`,
  ].join('; ');
}

function authEndpointRule({ name, listen, protocol, tls, callers }: AuthEndpointSettings): AuthEndpointRule {
  return {
    name,
    listen: listen.kind === 'socket' ? listen.path : addressText(listen),
    protocol,
    tls: tls !== null,
    callers: callers.map(callerRule),
  };
}

/** One line for the endpoint and one for each caller. */
function authEndpointLines({ name, listen, protocol, tls, callers }: AuthEndpointRule): readonly string[] {
  return [
    `auth endpoint ${name}: ${listen}; ${protocol}${tls ? ' over TLS' : ''}`,
    ...callers.map((caller) =>
      [
        `auth endpoint ${name}, caller ${caller.name}: form ${caller.form}`,
        `judged as on ${caller.bindings.join(', ')}`,
        `sites ${caller.sites.join(', ')}${caller.location === null ? '' : `, location ${caller.location} alone`}`,
        `known by ${caller.proof.join(' and ') || 'the socket'}`,
      ].join('; '),
    ),
  ];
}

function callerRule({ name, form, bindings, sites, location, proof }: AuthCallerSettings): AuthCallerRule {
  return {
    name,
    form,
    bindings,
    sites,
    location,
    proof: [
      ...(proof.secret === null ? [] : (['secret'] as const)),
      ...(proof.certificate === null ? [] : (['certificate'] as const)),
    ],
  };
}

function addressText({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
