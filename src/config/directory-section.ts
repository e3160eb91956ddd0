/**
 * Where accounts are looked up: forests with their domains, how their servers are found, who reads them, and the CAs of the
 * servers.
 */
import type {
  BindCredentials,
  DirectorySettings,
  DiscoverySettings,
  DomainSettings,
  ForestSettings,
} from '../directory/directory.ts';
import { parseEndpoint } from '../directory/endpoint.ts';
import { pemText } from '../x509/pem.ts';
import { readCertificates } from './certificates.ts';
import { readKeyPair } from './key-pair.ts';
import type { Reading } from './reading.ts';
import { readSecret, rereadSecret } from './references.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

type Written = NonNullable<Language['directory']>;
type WrittenDomain = NonNullable<Written['domains']>[number];
type WrittenForest = Pick<Written, 'globalCatalog' | 'discoverGlobalCatalog' | 'ca'> & {
  readonly name?: string | undefined;
  readonly domains: readonly WrittenDomain[];
};

/** What is missing has been complained of; the values are then not to be used. */
export async function readDirectory(written: Written, reading: Reading): Promise<DirectorySettings> {
  checkShape(written, reading);
  if (written.pollInterval > 0 && written.pollInterval < 1000)
    reading.mistake(['directory', 'pollInterval'], 'is too short', { hint: 'it must be at least 1s; 0s turns it off' });
  const forests: ForestSettings[] = [];
  for (const { forest, path } of forestsOf(written))
    forests.push(await readForest(forest, written, path, forests, reading));
  return { forests };
}

function forestsOf(written: Written): readonly { readonly forest: WrittenForest; readonly path: Path }[] {
  if (written.forests !== undefined)
    return written.forests.map((forest, index) => ({ forest, path: ['directory', 'forests', index] }));
  return written.domains === undefined
    ? []
    : [{ forest: { ...written, name: undefined, domains: written.domains }, path: ['directory'] }];
}

function checkShape({ domains, forests }: Written, reading: Reading): void {
  if (forests === undefined) {
    if (domains === undefined)
      reading.mistake(['directory', 'domains'], 'is missing', {
        hint: 'write `domains: [...]`, or `forests: [...]` where there are several',
      });
    return;
  }
  for (const key of ['domains', 'globalCatalog', 'discoverGlobalCatalog', 'ca'])
    if (reading.source.has(['directory', key]))
      reading.mistake(['directory', key], 'stands beside `forests`', {
        hint: 'write it into the forest that it belongs to',
        on: 'key',
      });
}

async function readForest(
  written: WrittenForest,
  bounds: Written,
  path: Path,
  earlier: readonly ForestSettings[],
  reading: Reading,
): Promise<ForestSettings> {
  const domains: DomainSettings[] = [];
  for (const [index, domain] of written.domains.entries()) {
    const own = [...path, 'domains', index];
    const others = [...earlier.flatMap((forest) => forest.domains), ...domains];
    if (others.some(({ name }) => name === domain.name))
      reading.mistake([...own, 'name'], `${domain.name} is here a second time`, { hint: 'join the two domains' });
    domains.push(await readDomain(domain, own, reading));
  }
  const name = written.name ?? domains[0]?.name ?? '';
  if (earlier.some((forest) => forest.name === name))
    reading.mistake([...path, 'name'], `another forest is named ${name}`, {
      hint: 'messages tell forests apart by name',
    });
  warnOfPorts(written.globalCatalog, [...path, 'globalCatalog'], reading);
  const ca = await readCertificates(written.ca, [...path, 'ca'], reading);
  const { connectTimeout, searchTimeout, refresh, connections, maximumQueue, batching, pollInterval } = bounds;
  return {
    name,
    domains,
    globalCatalog: unique(written.globalCatalog),
    globalCatalogDiscovery: discoveryOf(written.discoverGlobalCatalog),
    certificateAuthorities: ca.map(({ certificate }) => pemText(certificate.der)),
    connectTimeout,
    searchTimeout,
    refresh,
    connections,
    maximumQueue,
    batching,
    pollInterval,
  };
}

async function readDomain(
  { name, controllers, discover, bind }: WrittenDomain,
  path: Path,
  reading: Reading,
): Promise<DomainSettings> {
  if (controllers === undefined && discover === undefined)
    reading.mistake(path, `nothing says where ${name} is`, {
      hint: 'write `controllers: [ldaps://...]`, or `discover: {}` to find them by DNS',
      on: 'key',
    });
  return {
    name,
    controllers: unique(controllers ?? []),
    discovery: discoveryOf(discover),
    bind: (await readBind(bind, [...path, 'bind'], reading)) ?? nobody,
  };
}

/** In place of what has been complained of. */
const nobody: BindCredentials = { kind: 'simple', dn: '', password: '', reread: null };

async function readBind(
  { dn, password, external }: WrittenDomain['bind'],
  path: Path,
  reading: Reading,
): Promise<BindCredentials | null> {
  if (external !== undefined) {
    if (dn !== undefined || password !== undefined)
      reading.mistake([...path, 'external'], 'stands beside `dn` or `password`', {
        hint: 'write either `external`, or `dn` and `password`',
        on: 'key',
      });
    const at = (key: 'certificate' | 'key') => ({ reference: external[key], path: [...path, 'external', key] });
    const pair = await readKeyPair(at('certificate'), at('key'), null, 'certificate of the account', reading);
    if (pair === null) return null;
    return {
      kind: 'external',
      certificate: pair.cert,
      key: pair.key,
      authorizationId: external.authorizationId ?? null,
    };
  }
  if (dn === undefined)
    reading.mistake([...path, 'dn'], 'is missing', {
      hint: 'it must be a DN or user principal name, or write `external`',
    });
  if (password === undefined)
    reading.mistake([...path, 'password'], 'is missing', {
      hint: 'write `password: env:LDAP_PASSWORD`, or `file:secrets/ldap`',
    });
  if (dn === undefined || password === undefined) return null;
  const secret = await readSecret(password, [...path, 'password'], reading);
  return secret === null ? null : { kind: 'simple', dn, password: secret, reread: rereadSecret(password, reading) };
}

function discoveryOf(written: WrittenDomain['discover']): DiscoverySettings | null {
  if (written === undefined) return null;
  const { site, names, refresh, resolvers } = written;
  return { site: site ?? null, names: unique(names), refresh, resolver: unique(resolvers) };
}

/** What listens on the ports of a domain controller knows one domain alone. */
function warnOfPorts(urls: readonly string[], path: Path, reading: Reading): void {
  for (const [index, url] of urls.entries()) {
    const { port } = parseEndpoint(url);
    if (port === 636 || port === 389)
      reading.warn([...path, index], `port ${port} is not that of a global catalog: 3269, or 3268 with ldap://`);
  }
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)];
}
