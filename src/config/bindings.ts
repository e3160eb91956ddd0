/**
 * Where the gateway listens: endpoints that can live beside each other, and what each binding may say. When a binding asks
 * for certificates follows from the locations behind it, and caps its TLS; that is decided here too, once the sites are known.
 */
import type { LocationSettings } from '../gateway/settings.ts';
import type { BindingSettings, Endpoint } from '../tls/binding.ts';
import { endpointKey } from './addresses.ts';
import { checkProxyProtocol } from './proxy-protocol.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

export interface BindingDraft {
  readonly name: string;
  /** One spelling for each endpoint. */
  readonly key: string;
  readonly endpoint: Endpoint;
  readonly https: boolean;
  readonly written: Language['bindings'][number];
  readonly path: Path;
}

/** A location and where it stands. */
export interface Wanting {
  readonly site: string;
  readonly location: LocationSettings;
}

/** Those that can be served; the others have been complained of. */
export function readBindings(
  written: readonly (Language['bindings'][number] | null)[],
  reading: Reading,
): readonly BindingDraft[] {
  const drafts: BindingDraft[] = [];
  for (const [index, binding] of written.entries()) {
    if (binding === null) continue;
    const draft = draftOf(binding, ['bindings', index]);
    const twin = drafts.find(({ key }) => key === draft.key);
    if (twin !== undefined) {
      reading.mistake([...draft.path, 'endpoint'], `is the same endpoint as bindings[${String(twin.path[1])}]`, {
        hint: 'join the two bindings',
      });
      continue;
    }
    checkDraft(draft, drafts, reading);
    drafts.push(draft);
  }
  checkProxyProtocol(drafts, reading);
  return drafts;
}

function draftOf(written: Language['bindings'][number], path: Path): BindingDraft {
  const { name, endpoint } = written.endpoint;
  const listening = endpoint.kind === 'host' ? { ...endpoint, listen: written.listen ?? endpoint.listen } : endpoint;
  return {
    name,
    key: endpointKey(endpoint),
    endpoint: listening,
    https: written.certificate !== undefined,
    written,
    path,
  };
}

function checkDraft(draft: BindingDraft, others: readonly BindingDraft[], reading: Reading): void {
  const { endpoint, https, path, written } = draft;
  if (endpoint.kind === 'address' && written.listen !== undefined)
    reading.mistake([...path, 'listen'], 'belongs to host endpoints', {
      hint: 'this endpoint says itself where it listens; leave `listen` out',
      on: 'key',
    });
  if (endpoint.kind === 'host' && !https)
    reading.mistake([...path, 'endpoint'], 'a host endpoint needs a certificate: the host is chosen by SNI', {
      hint: 'write `certificate: { cert: file:..., key: file:... }`, or bind plain http to an address and list the names under `hosts` of a site',
    });
  const mixed = others.find(
    (other) => other.endpoint.port === endpoint.port && endpoint.port !== 0 && other.https !== https,
  );
  if (mixed !== undefined)
    reading.mistake(
      [...path, 'endpoint'],
      `port ${endpoint.port} is ${https ? 'https' : 'http'} here and ${https ? 'http' : 'https'} at ${mixed.name}`,
      { hint: 'give http and https ports of their own' },
    );
  if (!https) checkPlain(draft, reading);
  if (written.disableTls12 && written.disableTls13)
    reading.mistake([...path, 'disableTls12'], 'no TLS version is left', { hint: 'leave TLS 1.2 or TLS 1.3 on' });
}

/** Most likely the certificate was forgotten: plain http must not come of that. */
function checkPlain({ path }: BindingDraft, reading: Reading): void {
  const keys = Object.keys(reading.source.at(path) ?? {}).filter(
    (key) => key !== 'endpoint' && key !== 'listen' && key !== 'proxyProtocol',
  );
  for (const key of keys)
    reading.mistake([...path, key], 'means nothing without a `certificate`: this binding is plain http', {
      hint: 'write `certificate: { cert: file:..., key: file:... }`, or leave the key out',
      on: 'key',
    });
}

/** @param locations all locations that can be reached over the binding */
export function clientCertificateOf(
  draft: BindingDraft,
  locations: readonly Wanting[],
): BindingSettings['clientCertificate'] {
  if (!draft.https) return 'never';
  if (draft.written.negotiateClientCertificate) return 'upFront';
  return wantsCertificate(locations) === null ? 'never' : 'late';
}

/** The first location that asks for a certificate: what makes a binding late. */
function wantsCertificate(locations: readonly Wanting[]): Wanting | null {
  return locations.find(({ location }) => location.access.clientCertificate !== 'ignore') ?? null;
}

/** TLS 1.3 has no renegotiation, and no client we know offers post-handshake authentication. */
export function checkLate(draft: BindingDraft, locations: readonly Wanting[], reading: Reading): void {
  const wanting = wantsCertificate(locations);
  if (wanting === null || clientCertificateOf(draft, locations) !== 'late') return;
  const { path, written } = draft;
  if (written.enableSessionTicket)
    reading.warn(
      [...path, 'enableSessionTicket'],
      'means nothing while the binding asks for certificates late: a resumed client could not be asked',
    );
  const who = `location ${wanting.location.path} of site ${wanting.site} asks for a certificate by renegotiation, which only TLS 1.2 has`;
  const upFront = 'write `negotiateClientCertificate: enabled` to ask in the first handshake';
  if (written.disableTls12)
    reading.mistake([...path, 'disableTls12'], who, { hint: `leave TLS 1.2 on, or ${upFront}` });
  if (!written.disableTls13 && reading.source.has([...path, 'disableTls13']))
    reading.mistake([...path, 'disableTls13'], who, {
      hint: `leave \`disableTls13\` out: TLS 1.3 is off while this is so; or ${upFront}`,
    });
}
