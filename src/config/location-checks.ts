/**
 * Locations beside the bindings they are served on: what cannot work is a mistake, what works otherwise than it looks is a
 * warning.
 */
import type { BindingDraft } from './bindings.ts';
import type { LocationDraft } from './locations.ts';
import type { Reading } from './reading.ts';
import type { SiteDraft } from './sites.ts';
import { ownBinding } from './upstream-checks.ts';
import { isUpstreamName, socketPathOf } from './upstream-reference.ts';

interface Facts {
  /** The server-level switch. */
  readonly mappingSwitch: boolean;
  /** A binding could not be read: the site may have more bindings than are known. */
  readonly someUnread: boolean;
}

export function checkLocations(
  site: SiteDraft,
  bindings: readonly BindingDraft[],
  facts: Facts,
  reading: Reading,
): void {
  for (const location of site.locations) {
    // Nobody wrote it, so nothing is said of it, unless it is all there is.
    const alone = site.locations.length === 1;
    if (location.implied && !alone) continue;
    checkLoop(location, site, bindings, reading);
    if (location.asksToMap) checkMapping(location, site, facts, reading);
    else checkUnmapped(location, site, reading);
    checkDemands(location, site, reading);
    const { access } = location.settings;
    if (access.clientCertificate !== 'ignore' && !access.ssl)
      reading.warn(
        location.path,
        `${nameOf(location, site)} asks for certificates without Ssl: over plain http it is served without one${access.clientCertificate === 'require' ? ', or refused with 403.7' : ''}`,
      );
  }
}

/** A request that the gateway sends to itself comes back until every connection is taken. Entries of `upstreams` are looked at in `upstream-checks.ts`. */
function checkLoop(
  location: LocationDraft,
  site: SiteDraft,
  bindings: readonly BindingDraft[],
  reading: Reading,
): void {
  const { name } = location.settings.upstream;
  const own = isUpstreamName(name) || socketPathOf(name) !== null ? undefined : ownBinding(name, bindings);
  if (own === undefined) return;
  const text = `the upstream of ${nameOf(location, site)} is this gateway itself, binding ${own.name}`;
  reading.mistake(location.path, text, { hint: 'name the address and port of the backend', on: 'key' });
}

function checkMapping(
  location: LocationDraft,
  site: SiteDraft,
  { mappingSwitch, someUnread }: Facts,
  reading: Reading,
): void {
  const { settings, path } = location;
  const who = nameOf(location, site);
  const https = site.drafts.filter((draft) => draft.https);
  if (https.length === 0 && !someUnread && site.drafts.length > 0) {
    reading.mistake(path, `${who} maps certificates, but the site has no https binding`, {
      hint: 'add a binding with a `certificate` to the site',
      on: 'key',
    });
    return;
  }
  if (!mappingSwitch)
    reading.warn(path, `${who} maps certificates, but clientCertificateMapping of the server is disabled`);
  for (const { name, written } of https) {
    if (!written.dsMapperUsage)
      reading.warn(
        path,
        `${who} maps certificates, but dsMapperUsage of binding ${name} is disabled: nobody is mapped there`,
      );
    if (settings.access.clientCertificate === 'ignore' && !written.negotiateClientCertificate)
      reading.warn(
        path,
        `${who} maps certificates, but nothing asks for one on binding ${name}: add SslNegotiateCert, or enable negotiateClientCertificate`,
      );
  }
  if (settings.anonymous !== 'disabled') {
    const effect =
      settings.anonymous === 'fallback' ? 'who shows no certificate is served without an identity' : 'nobody is mapped';
    reading.warn(path, `${who} has anonymous ${settings.anonymous} beside mapping: ${effect}`);
  }
}

/** A rule that nobody is ever held against looks like protection. */
function checkDemands({ settings, asksToMap, demands, path }: LocationDraft, site: SiteDraft, reading: Reading): void {
  const [demand] = demands;
  const who = nameOf({ settings }, site);
  if (demand !== undefined && (!asksToMap || settings.anonymous === 'suppressesMapping'))
    reading.mistake([...path, 'authorize', demand], `${who} maps nobody, so that this is asked of nobody`, {
      hint: asksToMap
        ? 'write `anonymous: disabled` or `fallback` for the location'
        : 'write `authentication: { clientCertificateMapping: enabled }` for the location',
      on: 'key',
    });
  else if (demands.includes('reportOnly') && settings.authorize.reportOnly)
    reading.warn(
      [...path, 'authorize', 'reportOnly'],
      `${who} does not protect yet, and what inherits this neither: whom its rule refuses is served, and recorded`,
    );
}

function checkUnmapped(location: LocationDraft, site: SiteDraft, reading: Reading): void {
  const { settings, path } = location;
  if (settings.anonymous === 'disabled')
    reading.warn(path, `${nameOf(location, site)} has neither anonymous nor mapping: every request is refused`);
  if (settings.access.flags.includes('SslMapCert'))
    reading.warn(
      path,
      `${nameOf(location, site)} has SslMapCert, which maps nothing by itself: enable clientCertificateMapping`,
    );
}

function nameOf({ settings }: Pick<LocationDraft, 'settings'>, site: SiteDraft): string {
  return `location ${settings.path} of site ${site.settings.name}`;
}
