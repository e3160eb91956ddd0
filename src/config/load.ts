/**
 * From a configuration file to `Settings`, or to one failure with every mistake in it. The order is that of dependence: text,
 * keys and values, bindings, sites, what they mean to each other, then what lies outside the file. A part that is broken
 * keeps only what depends on it from being looked at.
 */
import { dirname } from 'node:path';
import { digestOf } from '../base/bytes.ts';
import { Failure } from '../base/failure.ts';
import type { BindingTrust, Settings } from '../gateway/settings.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { TrustStore } from '../trust/judgement.ts';
import { readAuthEndpoints } from './auth-endpoints.ts';
import { readAuthorizes } from './authorize.ts';
import { checkLate, clientCertificateOf, readBindings, type BindingDraft } from './bindings.ts';
import { complain } from './complaint.ts';
import { readDirectory } from './directory-section.ts';
import { readIdentity } from './identity.ts';
import { issuerHints } from './issuer-hints.ts';
import { readLog } from './log-section.ts';
import { readMapping } from './mapping-section.ts';
import { readParts, type Parts } from './parts.ts';
import { createReading, type ConfigurationFacilities, type Reading } from './reading.ts';
import { whyUnreadable } from './references.ts';
import { readServerCertificate, type ShownCertificate } from './server-certificate.ts';
import { checkLocations } from './location-checks.ts';
import { readRevocation, type ReadRevocation } from './revocation.ts';
import { checkRevocation } from './revocation-checks.ts';
import { locationsBehind, readSites, type SiteDraft } from './sites.ts';
import { maximumConfigurationBytes, readSource, type Source } from './source.ts';
import { judgeSettings, knownAuthorities, readTrust } from './trust.ts';
import { adminSettings, limitSettings } from './values.ts';
import { checkUpstreams } from './upstream-checks.ts';
import { readUpstreams } from './upstreams.ts';
import { staplingOf } from './stapling.ts';
import { checkWeaknesses } from './weaknesses.ts';

export interface Loaded {
  readonly settings: Settings;
  readonly warnings: readonly string[];
}

/**
 * Reads only through its facilities, so that a reload is the same call again.
 * @throws Failure `configuration`; exit code 1 where the file is right and only files that it names cannot be read, else 2
 */
export async function loadConfiguration(path: string, facilities: ConfigurationFacilities): Promise<Loaded> {
  const source = await openSource(path, facilities);
  const reading = createReading(source, dirname(path), facilities);
  const settings = source.value === undefined ? null : await settingsOf(reading);
  if (settings === null || reading.mistakes.length > 0) throw failureOf(reading);
  return { settings: { ...settings, warnings: reading.warnings }, warnings: reading.warnings };
}

async function openSource(path: string, facilities: ConfigurationFacilities): Promise<Source> {
  try {
    return readSource(path, await facilities.readFile(path, maximumConfigurationBytes));
  } catch (error) {
    throw new Failure(`configuration ${path} cannot be read: ${whyUnreadable(error)}`, {
      code: 'configuration',
      hint: error instanceof Failure ? error.hint : 'name the file with -c, or write a first one with `dsmapper init`',
      exitCode: 2,
      cause: error,
    });
  }
}

function failureOf(reading: Reading): Failure {
  const unreadable = reading.mistakes.every(({ kind }) => kind === 'unreadable');
  return new Failure(complain(reading.source, reading.mistakes), {
    code: 'configuration',
    hint: unreadable ? 'make the files readable and try again' : 'correct what is marked and try again',
    exitCode: unreadable ? 1 : 2,
  });
}

/** Null after complaints. */
async function settingsOf(reading: Reading): Promise<Omit<Settings, 'warnings'> | null> {
  const written = readParts(reading);
  if (written === null) return null;
  const mapping = readMapping(written, reading);
  checkWeaknesses(written, mapping, reading);
  const bindings = readBindings(written.bindings, reading);
  const rules = await readAuthorizes(written.sites, domainNames(written), reading);
  const upstreams = await readUpstreams(written.upstreams, written.broken.has('upstreams'), reading);
  const defaults = { ...locationDefaults(written), upstreams, rules };
  const sites = readSites(written.sites, bindings, written.broken.has('bindings'), defaults, reading);
  const mode = (draft: BindingDraft) => clientCertificateOf(draft, locationsBehind(draft, sites));
  checkTogether(bindings, sites, written, reading);
  checkUpstreams(written.sites, upstreams, { bindings, adminSocket: written.admin.socket }, reading);
  const asks = (draft: BindingDraft) => mode(draft) !== 'never';
  const stores = await readTrust(written.trust, bindings, asks, written.broken.has('trust'), reading);
  if (!written.broken.has('revocation')) checkRevocation(written.revocation, bindings, asks, reading);
  const revocation = await readRevocation(written, knownAuthorities(stores.values()), reading);
  const trust = trustOf(written.trust, bindings, stores, revocation);
  const certificates = new Map<BindingDraft, ShownCertificate | null>();
  for (const draft of bindings) {
    const { certificate } = draft.written;
    const shown =
      certificate &&
      (await readServerCertificate(certificate, draft.endpoint, [...draft.path, 'certificate'], reading));
    certificates.set(draft, shown ?? null);
  }
  const directory = written.directory === undefined ? null : await readDirectory(written.directory, reading);
  return {
    source: reading.source.name,
    labOnly: written.labOnly,
    outcomes: written.mapping.outcomes,
    bindings: bindings.map((draft) => {
      const shown = certificates.get(draft) ?? null;
      checkPfx(draft, shown, asks(draft), reading);
      return bindingSettings(draft, mode(draft), shown?.settings ?? null, trust.get(draft.name), reading);
    }),
    trust,
    revocation: revocation.sources,
    stapling: new Map(
      bindings.flatMap((draft) => {
        const shown = certificates.get(draft)?.chain ?? [];
        const question = shown.length === 0 ? null : staplingOf(draft, shown, revocation.sources.hosts, reading);
        return question === null ? [] : [[draft.name, question] as const];
      }),
    ),
    sites: sites.map(({ settings }) => settings),
    directory: sites.some(maps) ? directory : null,
    mapping,
    identity: await readIdentity(written, sites, reading),
    authEndpoints: await readAuthEndpoints(
      written.authEndpoints,
      { bindings, sites, someUnread: written.broken.has('bindings') || written.broken.has('sites') },
      reading,
    ),
    verdictHeader: written.verdictHeader,
    limits: limitSettings(written.limits, reading),
    admin: adminSettings(written.admin, bindings, reading),
    log: await readLog(written.log, reading),
  };
}

function trustOf(
  written: Parts['trust'],
  bindings: readonly BindingDraft[],
  stores: ReadonlyMap<string, TrustStore>,
  revocation: ReadRevocation,
): ReadonlyMap<string, BindingTrust> {
  const trusts = new Map<string, BindingTrust>();
  for (const draft of bindings) {
    const store = stores.get(draft.name);
    if (store !== undefined)
      trusts.set(draft.name, { store, judge: judgeSettings(written, draft), revocation: revocation.of(draft) });
  }
  return trusts;
}

function locationDefaults(written: Parts) {
  return {
    identity: written.identity,
    upstreamLimits: written.limits.upstream,
    mappingSwitch: written.clientCertificateMapping,
  };
}

/** Null where none are known. */
function domainNames({ directory }: Parts): readonly string[] | null {
  const forests = directory?.forests ?? (directory === undefined ? [] : [directory]);
  const names = forests.flatMap(({ domains = [] }) => domains.map(({ name }) => name));
  return names.length === 0 ? null : names;
}

function checkTogether(
  bindings: readonly BindingDraft[],
  sites: readonly SiteDraft[],
  written: Parts,
  reading: Reading,
): void {
  const facts = { mappingSwitch: written.clientCertificateMapping, someUnread: written.broken.has('bindings') };
  for (const site of sites) checkLocations(site, bindings, facts, reading);
  for (const draft of bindings) {
    checkLate(draft, locationsBehind(draft, sites), reading);
    if (!written.broken.has('sites') && !sites.some(({ drafts }) => drafts.includes(draft)))
      reading.warn([...draft.path, 'endpoint'], `no site has binding ${draft.name}: every request is answered 400`);
  }
  const mapping = sites.find(maps);
  const said = reading.source.has(['directory']);
  if (mapping !== undefined && !said && !written.broken.has('directory'))
    reading.mistake([], `\`directory\` is missing, but site ${mapping.settings.name} maps certificates to accounts`, {
      hint: 'write `directory: { domains: [{ name: ..., controllers: [ldaps://...], bind: { dn: ..., password: env:LDAP_PASSWORD } }] }`',
    });
  if (mapping === undefined && said && !written.broken.has('sites'))
    reading.warn(['directory'], 'is not asked: no location maps');
}

function maps(site: SiteDraft): boolean {
  return site.settings.locations.some(({ clientCertificateMapping }) => clientCertificateMapping);
}

/** Node hands the names of CAs in a PKCS#12 to OpenSSL as those that clients are sent, and has no means against it. */
function checkPfx({ path }: BindingDraft, shown: ShownCertificate | null, asks: boolean, reading: Reading): void {
  if (!asks || shown === null || !('pfx' in shown.settings) || shown.chain.length < 2) return;
  reading.warn(
    [...path, 'certificate', 'pfx'],
    'holds CA certificates: their names are sent to clients whatever sendTrustedIssuerList says, and some then hide their own; write `cert` and `key` instead',
  );
}

function bindingSettings(
  draft: BindingDraft,
  clientCertificate: BindingSettings['clientCertificate'],
  certificate: BindingSettings['certificate'],
  trust: BindingTrust | undefined,
  reading: Reading,
): BindingSettings {
  const { name, endpoint, written } = draft;
  const { dsMapperUsage, disableHttp2, disableTls13, disableTls12, enableSessionTicket } = written;
  return {
    name,
    endpoint,
    certificate,
    clientCertificate,
    dsMapperUsage,
    disableHttp2,
    disableTls13,
    disableTls12,
    enableSessionTicket,
    ...(written.proxyProtocol && { proxyProtocol: written.proxyProtocol }),
    issuerHints: trust === undefined ? [] : issuerHints(draft, clientCertificate !== 'never', trust.store, reading),
    trustDigest: digestOf(
      'binding trust',
      trust === undefined ? '' : trust.store.digest,
      JSON.stringify(trust?.judge ?? null),
    ),
  };
}
