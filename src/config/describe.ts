/**
 * What a configuration means, for `dsmapper check`: each binding with when it asks for certificates and what that does to its
 * TLS, each location with its effective rule. Decides nothing; reads only `Settings`.
 */
import { durationText } from '../base/duration.ts';
import type {
  AnonymousRule,
  LocationSettings,
  RevocationSourceSettings,
  Settings,
  SiteSettings,
} from '../gateway/settings.ts';
import type { MappingSettings } from '../mapping/mapper-contract.ts';
import type { RevocationSettings } from '../revocation/revocation-contract.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { IssuerList, TrustMode } from '../trust/judgement.ts';
import { printable } from './complaint.ts';
import { authorizeText, authorizeWords, type AuthorizeText } from './describe-authorize.ts';
import {
  forwardingRule,
  forwardingWords,
  identityLines,
  identityRules,
  type ForwardingRule,
  type IdentityRules,
} from './describe-forwarding.ts';
import { mappingLine } from './describe-mapping.ts';
import { upstreamLine, upstreamRules, type UpstreamRule } from './describe-upstreams.ts';

export interface BindingRule {
  readonly binding: string;
  readonly scheme: 'http' | 'https';
  readonly clientCertificate: BindingSettings['clientCertificate'];
  /** The locations that made the binding late, `Default Web Site /payroll`; empty where it is not. */
  readonly lateBecauseOf: readonly string[];
  /** TLS versions that are offered, oldest first; empty for http. */
  readonly protocols: readonly string[];
  readonly http2: boolean;
  readonly dsMapperUsage: boolean;
  readonly usageCheck: boolean;
  readonly roots: number;
  readonly intermediates: number;
  /** What narrows the roots; null: nothing does. */
  readonly issuerList: { readonly store: string; readonly mode: TrustMode; readonly certificates: number } | null;
  /** CA names that clients are sent. */
  readonly issuerHints: number;
  /** Whether OCSP answers are sent with the server certificate. */
  readonly ocspStapling: boolean;
  /** Addresses and networks whose connections begin with a PROXY protocol header. */
  readonly proxyProtocol: readonly string[];
  /** Null for http. */
  readonly revocation: RevocationSettings['mode'] | null;
}

/** How revocation is found out where a binding does not say `disabled`. */
export interface RevocationRule
  extends
    Pick<RevocationSettings, 'scope' | 'prefer' | 'whenUnknown' | 'noDistributionPoint'>,
    Pick<RevocationSourceSettings, 'hosts' | 'crls' | 'cacheDirectory' | 'aia'> {
  /** Issuers that have a policy of their own. */
  readonly issuers: number;
}

export interface LocationRule extends ForwardingRule {
  readonly site: string;
  readonly bindings: readonly string[];
  readonly hosts: readonly string[];
  readonly path: string;
  /** `own`: it loosens the rule above it; `others`: the stricter rule for what is not spelled like its twin. */
  readonly spelling: 'any' | 'own' | 'others';
  readonly sslFlags: readonly string[];
  readonly clientCertificate: LocationSettings['access']['clientCertificate'];
  readonly anonymous: AnonymousRule;
  readonly clientCertificateMapping: boolean;
  readonly accounts: readonly string[];
  readonly authorize: AuthorizeText;
  readonly whoami: boolean;
  /** Milliseconds. */
  readonly maximumAge: number | null;
  readonly upstream: string;
}

export interface ProbeRule {
  readonly site: string;
  readonly path: string;
  readonly answers: 'alive' | 'ready';
}

export interface Rules extends IdentityRules {
  readonly bindings: readonly BindingRule[];
  /** Null where no binding checks revocation. */
  readonly revocation: RevocationRule | null;
  /** Null where no location maps. */
  readonly mapping: MappingSettings | null;
  readonly locations: readonly LocationRule[];
  readonly probes: readonly ProbeRule[];
  /** Those that are more than one origin. */
  readonly upstreams: readonly UpstreamRule[];
  readonly warnings: readonly string[];
}

/** Plain values: what `check --json` prints. */
export function describeRules(settings: Settings): Rules {
  return {
    bindings: settings.bindings.map((binding) => bindingRule(binding, settings)),
    revocation: revocationRule(settings),
    mapping: settings.directory === null ? null : settings.mapping,
    locations: settings.sites.flatMap((site) =>
      site.locations.map((location) => locationRule(site, location)).reverse(),
    ),
    probes: settings.sites.flatMap(({ name, probes }) => probes.map((probe) => ({ site: name, ...probe }))),
    upstreams: upstreamRules(settings),
    ...identityRules(settings),
    warnings: settings.warnings,
  };
}

/** The same as lines for people; no control characters. */
export function rulesText(rules: Rules): readonly string[] {
  return [
    ...rules.bindings.map(bindingLine),
    ...(rules.revocation === null ? [] : [revocationLine(rules.revocation)]),
    ...(rules.mapping === null ? [] : [mappingLine(rules.mapping)]),
    ...rules.locations.map(locationLine),
    ...rules.probes.map(({ site, path, answers }) => `probe ${site} ${path}: ${answers}`),
    ...rules.upstreams.map(upstreamLine),
    ...identityLines(rules),
    ...rules.warnings.map((warning) => `warning: ${warning}`),
  ].map(printable);
}

function bindingRule(binding: BindingSettings, settings: Settings): BindingRule {
  const { name, certificate, clientCertificate, dsMapperUsage } = binding;
  const https = certificate !== null;
  const late = clientCertificate === 'late';
  const trust = settings.trust.get(name);
  return {
    binding: name,
    scheme: https ? 'https' : 'http',
    clientCertificate,
    lateBecauseOf: late ? wanting(name, settings.sites) : [],
    protocols: https ? protocolsOf(binding) : [],
    http2: https && !late && !binding.disableHttp2,
    dsMapperUsage,
    usageCheck: trust?.judge.usageCheck ?? false,
    roots: trust?.store.anchors.length ?? 0,
    intermediates: trust?.store.intermediates.length ?? 0,
    issuerList: listRule(trust?.store.list ?? null),
    issuerHints: binding.issuerHints?.length ?? 0,
    ocspStapling: settings.stapling.has(name),
    proxyProtocol: binding.proxyProtocol?.from ?? [],
    revocation: trust?.revocation.mode ?? null,
  };
}

function listRule(list: IssuerList | null): BindingRule['issuerList'] {
  return list === null ? null : { store: list.name, mode: list.mode, certificates: list.certificates.length };
}

/** Bindings differ in mode and times alone. */
function revocationRule({ trust, revocation }: Settings): RevocationRule | null {
  const checked = [...trust.values()].find(({ revocation: { mode } }) => mode !== 'disabled')?.revocation;
  if (checked === undefined) return null;
  const { scope, prefer, whenUnknown, noDistributionPoint, issuers } = checked;
  const { hosts, crls, cacheDirectory, aia } = revocation;
  return {
    scope,
    prefer,
    whenUnknown,
    noDistributionPoint,
    hosts,
    crls,
    cacheDirectory,
    aia,
    issuers: issuers.length,
  };
}

function wanting(binding: string, sites: readonly SiteSettings[]): readonly string[] {
  const paths = sites
    .filter((site) => site.bindings.includes(binding))
    .flatMap((site) =>
      site.locations
        .filter(({ access }) => access.clientCertificate !== 'ignore')
        .map(({ path }) => `${site.name} ${path}`)
        .reverse(),
    );
  return [...new Set(paths)];
}

function protocolsOf({ clientCertificate, disableTls12, disableTls13 }: BindingSettings): readonly string[] {
  const newest = clientCertificate !== 'late' && !disableTls13;
  return [...(disableTls12 ? [] : ['TLS 1.2']), ...(newest ? ['TLS 1.3'] : [])];
}

function locationRule(site: SiteSettings, location: LocationSettings): LocationRule {
  const { access, path, anonymous, clientCertificateMapping, authorize, whoami, maximumAge, upstream } = location;
  return {
    site: site.name,
    bindings: site.bindings,
    hosts: site.hosts,
    path,
    spelling: spellingOf(site, location),
    sslFlags: access.flags,
    clientCertificate: access.clientCertificate,
    anonymous,
    clientCertificateMapping,
    accounts: authorize.accounts,
    authorize: authorizeText(authorize),
    whoami,
    maximumAge,
    ...forwardingRule(location),
    upstream: upstream.name,
  };
}

function spellingOf(site: SiteSettings, location: LocationSettings): LocationRule['spelling'] {
  if (location.exact) return 'own';
  return site.locations.some(({ path, exact }) => exact && path === location.path) ? 'others' : 'any';
}

const spellings = {
  any: '',
  own: ' (in this spelling)',
  others: ' (in other spellings)',
} as const;

const asks = {
  never: 'never asks for certificates',
  upFront: 'asks for certificates in the first handshake',
  late: 'asks for certificates by renegotiation',
} as const;

function bindingLine(rule: BindingRule): string {
  const from = rule.proxyProtocol.join(', ');
  const proxied = from === '' ? [] : [`PROXY protocol from ${from}`];
  if (rule.scheme === 'http') return [`binding ${rule.binding}: http`, ...proxied].join('; ');
  const because = rule.lateBecauseOf.length === 0 ? '' : ` because of ${rule.lateBecauseOf.join(', ')}`;
  const capped = rule.clientCertificate === 'late' ? ', therefore no TLS 1.3 and no HTTP/2' : '';
  return [
    `binding ${rule.binding}: https`,
    `${rule.protocols.join(' and ')}${rule.http2 ? ', HTTP/2' : ''}`,
    `${asks[rule.clientCertificate]}${because}${capped}`,
    `dsMapperUsage ${usage(rule.dsMapperUsage)}`,
    `usageCheck ${usage(rule.usageCheck)}`,
    `revocation ${rule.revocation ?? 'disabled'}`,
    `${counted(rule.roots, 'root')}, ${counted(rule.intermediates, 'intermediate')}`,
    ...(rule.issuerList === null
      ? []
      : [`store ${rule.issuerList.store} of ${rule.issuerList.certificates}, ${rule.issuerList.mode}`]),
    ...(rule.issuerHints === 0 ? [] : [`clients are sent ${counted(rule.issuerHints, 'CA name')}`]),
    ...(rule.ocspStapling ? ['OCSP answers are stapled'] : []),
    ...proxied,
  ].join('; ');
}

function revocationLine(rule: RevocationRule): string {
  return [
    `revocation: ${rule.scope}`,
    `${rule.prefer} first`,
    `whenUnknown ${rule.whenUnknown}`,
    `noDistributionPoint ${rule.noDistributionPoint}`,
    `hosts ${rule.hosts.join(', ') || 'none'}`,
    counted(rule.crls.length, 'configured CRL'),
    ...(rule.issuers === 0 ? [] : [counted(rule.issuers, 'issuer policy', 'issuer policies')]),
    ...(rule.cacheDirectory === null ? ['kept in memory alone'] : [`kept in ${rule.cacheDirectory}`]),
    ...(rule.aia ? ['missing intermediates are fetched'] : []),
  ].join('; ');
}

function locationLine(rule: LocationRule): string {
  const accounts = rule.clientCertificateMapping ? authorizeWords(rule.authorize) : [];
  const age = rule.maximumAge === null ? [] : [`maximumAge ${durationText(rule.maximumAge)}`];
  return [
    `location ${rule.site} ${rule.path}${spellings[rule.spelling]}: sslFlags ${rule.sslFlags.join(', ') || 'None'}`,
    `client certificates: ${rule.clientCertificate}`,
    `mapping ${usage(rule.clientCertificateMapping)}`,
    `anonymous ${rule.anonymous}`,
    ...accounts,
    ...age,
    ...(rule.whoami ? ['whoami'] : []),
    ...forwardingWords(rule),
    `upstream ${rule.upstream}`,
  ].join('; ');
}

function usage(on: boolean): string {
  return on ? 'enabled' : 'disabled';
}

function counted(count: number, what: string, several = `${what}s`): string {
  return `${count} ${count === 1 ? what : several}`;
}
