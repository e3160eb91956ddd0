/**
 * Where accounts are looked up: domains, their controllers, the account that reads them, and the CAs of the servers.
 */
import type { Millis } from '../base/brand.ts';
import type { ForestSettings, DomainSettings } from '../directory/directory.ts';
import { pemText } from '../x509/pem.ts';
import { readCertificates } from './certificates.ts';
import type { Reading } from './reading.ts';
import { readSecret } from './references.ts';
import type { Language } from './schema.ts';

type Written = NonNullable<Language['directory']>;

/** What is missing has been complained of; the values are then not to be used. */
export async function readForest(written: Written, reading: Reading): Promise<ForestSettings> {
  const domains: DomainSettings[] = [];
  for (const [index, domain] of written.domains.entries()) {
    const path = ['directory', 'domains', index];
    if (domains.some(({ name }) => name === domain.name))
      reading.mistake([...path, 'name'], `${domain.name} is here a second time`, { hint: 'join the two domains' });
    const password = (await readSecret(domain.bind.password, [...path, 'bind', 'password'], reading)) ?? '';
    domains.push({
      name: domain.name,
      controllers: unique(domain.controllers),
      discovery: null,
      bind: { kind: 'simple', dn: domain.bind.dn, password, reread: null },
    });
  }
  const ca = await readCertificates(written.ca, ['directory', 'ca'], reading);
  const { connectTimeout, searchTimeout, refresh, connections, maximumQueue } = written;
  return {
    name: domains[0]?.name ?? '',
    domains,
    globalCatalog: unique(written.globalCatalog),
    globalCatalogDiscovery: null,
    certificateAuthorities: ca.map(({ certificate }) => pemText(certificate.der)),
    connectTimeout,
    searchTimeout,
    refresh,
    connections,
    maximumQueue,
    batching: true,
    pollInterval: 0 as Millis,
  };
}

function unique(urls: readonly string[]): readonly string[] {
  return [...new Set(urls)];
}
