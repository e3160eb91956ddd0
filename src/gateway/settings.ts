/**
 * The whole configuration as values: what `config/` produces from a file and what a `Setup` is built from. Every text
 * has been parsed, every secret resolved, every default filled in. Nothing here reads a file.
 */
import type { Millis } from '../base/brand.ts';
import type { AccountKind } from '../base/identity.ts';
import type { DirectorySettings, PrincipalName } from '../directory/directory.ts';
import type { ForwardedStyle } from '../forward/forwarded.ts';
import type { DialectName, UpstreamGroupSettings } from '../forward/forward-contract.ts';
import type { IdentitySettings } from '../forward/identity-settings.ts';
import type { AccessRule } from '../iis/access-flags.ts';
import type { Outcomes } from '../iis/verdict-table.ts';
import type { MappingSettings } from '../mapping/mapper-contract.ts';
import type { OcspQuestion, RevocationSettings } from '../revocation/revocation-contract.ts';
import type { BindingSettings, ConnectionLimits } from '../tls/binding.ts';
import type { JudgeSettings, TrustStore } from '../trust/judgement.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { AuthEndpointSettings } from './auth-endpoint-settings.ts';

export type AnonymousRule = 'disabled' | 'fallback' | 'suppressesMapping';

/** Which mapped accounts pass at a location. Everything that is set must hold; anonymous requests are not asked. */
export interface AuthorizeRule {
  /** Account kinds that may pass. */
  readonly accounts: readonly AccountKind[];
  /** `strong`: the mapping must be strong by KB5014754, by itself, by a rule or by the account's SID in the certificate. */
  readonly minimumStrength: 'weak' | 'strong';
  /** certificatePolicies for which the path must be valid, one of them (dotted decimal); empty: none is asked for. */
  readonly issuancePolicies: readonly string[];
  /** Extended key usages of the leaf that its path allows, all of them (dotted decimal); anyExtendedKeyUsage is not enough. */
  readonly extendedKeyUsages: readonly string[];
  /** One of them (by name and key) must stand above the leaf in its path; empty: any. */
  readonly issuers: readonly Certificate[];
  /** Who passes, members of groups or the users themselves; both empty: everybody. */
  readonly groups: readonly PrincipalName[];
  readonly users: readonly PrincipalName[];
  /** Serve what this rule would refuse, and record it. */
  readonly reportOnly: boolean;
  /**
   * A rule that must hold as well, with a `reportOnly` of its own: of two rules that hold together lists of groups, issuers or policies, of each of
   * which one is enough, cannot be one list. Null: none.
   */
  readonly alsoRequires: AuthorizeRule | null;
}

/** The effective rule of one location, inheritance done. */
export interface LocationSettings {
  /** Canonical path as configured, `/` or `/payroll`; matched by whole segments, in any spelling unless `exact`. */
  readonly path: string;
  /** True where the location loosens its parent: then only paths that begin with this very spelling fall under it. */
  readonly exact: boolean;
  readonly access: AccessRule;
  readonly anonymous: AnonymousRule;
  /** authentication.clientCertificateMapping of the location, and the server-level switch. */
  readonly clientCertificateMapping: boolean;
  readonly authorize: AuthorizeRule;
  /** Whether the gateway itself answers `/.dsmapper/whoami` below this location. */
  readonly whoami: boolean;
  readonly maximumAge: Millis | null;
  readonly dialects: readonly DialectName[];
  /** Whether headers tell the account's groups, and how: by SID alone, or by name and SID. */
  readonly groups: 'none' | 'sids' | 'names';
  /** `aud` of signed assertions; null: the name of the upstream. */
  readonly audience: string | null;
  /** Which headers tell the client's address. */
  readonly forwarded: readonly ForwardedStyle[];
  readonly upstream: UpstreamGroupSettings;
  /** Protocols, lower case, to which a request may be upgraded here. */
  readonly upgrades: readonly string[];
  /** Origins whose pages may open WebSockets here; null: any. */
  readonly webSocketOrigins: readonly string[] | null;
  /** CORS preflights that the gateway answers itself, without a certificate; null: none. */
  readonly preflight: PreflightSettings | null;
}

/** What a CORS preflight is answered with (Fetch standard, CORS protocol). */
export interface PreflightSettings {
  /** Exact origins (`https://app.example.test`); `*` is not among them. */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** Lower case. */
  readonly headers: readonly string[];
  readonly credentials: boolean;
  readonly maximumAge: Millis;
}

/** A path that the gateway answers itself, without a certificate: for load balancers. */
export interface ProbeSettings {
  /** Compared as locations are, as a whole. */
  readonly path: string;
  /** `alive`: the process serves; `ready`: as `/readyz`, without reasons. */
  readonly answers: 'alive' | 'ready';
}

export interface SiteSettings {
  readonly name: string;
  /** Names of its bindings. */
  readonly bindings: readonly string[];
  /** Host names it answers to, lower case; empty: every name that no other site of the binding claims. */
  readonly hosts: readonly string[];
  readonly pathCase: 'ignore' | 'exact';
  readonly encodedSlash: 'refuse' | 'keep';
  readonly probes: readonly ProbeSettings[];
  /** Longest path first. `/` is always there. */
  readonly locations: readonly LocationSettings[];
}

export interface BindingTrust {
  readonly store: TrustStore;
  readonly judge: JudgeSettings;
  readonly revocation: RevocationSettings;
}

/** What revocation may reach and hold, for all bindings together. */
export interface RevocationSourceSettings {
  /** Where revocation data may be fetched from, as `createAllowedHosts` reads it. */
  readonly hosts: readonly string[];
  /** A path; null: nothing is kept between restarts. */
  readonly cacheDirectory: string | null;
  /** CRLs beside those that certificates name: URLs, also `file:///...`. */
  readonly crls: readonly string[];
  /** Longest CRL that is taken. */
  readonly maximumCrlBytes: number;
  /** Whether intermediates that nobody presented are fetched from where certificates say. */
  readonly aia: boolean;
}

export interface GatewayLimits {
  readonly connections: ConnectionLimits;
  /** Bytes of a body read before a late certificate is asked for; beyond: 413. */
  readonly uploadReadAheadSize: number;
  /** All bodies held for renegotiation together; beyond: 503. */
  readonly uploadReadAheadTotal: number;
  readonly renegotiationTimeout: Millis;
  /** Largest body forwarded at all; 0: no limit. */
  readonly maximumBody: number;
  /** How long and how much is still read after an early refusal so that the client sees it. */
  readonly lingerTimeout: Millis;
  readonly lingerBytes: number;
  readonly recheck: Millis;
  readonly drainTimeout: Millis;
  /** Entries of the certificate cache. */
  readonly maximumCertificates: number;
}

export interface AdminSettings {
  /** TCP, health and metrics only; null: none. */
  readonly listen: { readonly address: string; readonly port: number } | null;
  /** Path of a Unix socket, mode 0600; null: none. */
  readonly socket: string | null;
}

export interface LogSettings {
  /** A path, or `-` for standard output. */
  readonly file: string;
  /** Leaves account names, UPNs and SIDs out of request lines. */
  readonly omitNames: boolean;
  /** Where events (39, 40, 41 of the KDC) go besides; null: nowhere. */
  readonly syslog: SyslogSettings | null;
}

/** A syslog server over TLS (RFC 5425); its certificate is always verified. */
export interface SyslogSettings {
  readonly server: { readonly host: string; readonly port: number };
  /** PEM texts of CAs that the server's certificate must chain to; empty: Node's default roots. */
  readonly certificateAuthorities: readonly string[];
  /** What we show the server, PEM; null: nothing. */
  readonly certificate: { readonly cert: string; readonly key: string } | null;
  /** HOSTNAME of the messages (RFC 5424 section 6.2.4): 1 to 255 visible ASCII characters. */
  readonly hostname: string;
  /** 0 to 23 (RFC 5424 section 6.2.1); 10 is authpriv. */
  readonly facility: number;
}

export interface Settings {
  /** Where it came from, for messages. */
  readonly source: string;
  readonly labOnly: boolean;
  readonly outcomes: Outcomes;
  readonly bindings: readonly BindingSettings[];
  /** By binding name; every https binding has one. */
  readonly trust: ReadonlyMap<string, BindingTrust>;
  readonly revocation: RevocationSourceSettings;
  /** By binding name: what is asked about its server certificate, for the answer to be stapled; others staple nothing. */
  readonly stapling: ReadonlyMap<string, OcspQuestion>;
  readonly sites: readonly SiteSettings[];
  /** Null when no location maps. */
  readonly directory: DirectorySettings | null;
  readonly mapping: MappingSettings;
  readonly identity: IdentitySettings;
  /** Listeners where other proxies ask. */
  readonly authEndpoints: readonly AuthEndpointSettings[];
  /** Adds `X-DSMapper-Verdict: 403.7` to every answer; the lab's. */
  readonly verdictHeader: boolean;
  readonly limits: GatewayLimits;
  readonly admin: AdminSettings;
  readonly log: LogSettings;
  /** What `check` and the start print: legal but doubtful. */
  readonly warnings: readonly string[];
}
