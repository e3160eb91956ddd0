/**
 * The objects that a domain controller has before anybody adds an account: the domain, its containers, the Configuration
 * naming context with Partitions and Public Key Services, and the rootDSE.
 */
import { hash } from 'node:crypto';
import { domainDn, generalizedTime } from './directory-entries.ts';
import { sidBytes } from './directory-sid.ts';
import type { DirectoryEntry, Store } from './directory-store.ts';

export interface TreeFacts {
  /** DNS name. */
  readonly domain: string;
  readonly netbiosName: string;
  readonly domainSid: string;
  /** DER of each certificate in NTAuthCertificates; null: the object does not exist. */
  readonly ntAuth: readonly Buffer[] | null;
  readonly upnSuffixes: readonly string[];
  /** Replaces attributes of the rootDSE; an empty list takes one away. For servers that are not what they should be. */
  readonly rootDse: Readonly<Record<string, readonly string[]>>;
}

/** Object identifiers of controls the server understands; listed in the rootDSE. */
export const controlOid = { paging: '1.2.840.113556.1.4.319', domainScope: '1.2.840.113556.1.4.1339' } as const;

/** @param store takes parents before children */
export function plantTree(store: Pick<Store, 'add'>, facts: TreeFacts): void {
  const suffix = domainDn(facts.domain);
  const configuration = `CN=Configuration,${suffix}`;
  const schema = `CN=Schema,${configuration}`;
  store.add(
    object(suffix, ['top', 'domain', 'domainDNS'], {
      dc: [facts.domain.split('.', 1)[0] ?? ''],
      objectSid: [sidBytes(facts.domainSid) ?? Buffer.alloc(0)].filter(({ length }) => length > 0),
      // Half an hour, as negative 100 ns: how long an account stays locked.
      lockoutDuration: ['-18000000000'],
    }),
    true,
  );
  for (const name of ['Users', 'Computers']) store.add(object(`CN=${name},${suffix}`, ['top', 'container'], {}));
  store.add(object(`OU=Domain Controllers,${suffix}`, ['top', 'organizationalUnit'], {}));
  store.add(object(configuration, ['top', 'configuration'], {}), true);
  store.add(object(schema, ['top', 'dMD'], {}), true);
  const suffixes = { uPNSuffixes: facts.upnSuffixes };
  store.add(object(`CN=Partitions,${configuration}`, ['top', 'crossRefContainer'], suffixes));
  const crossRef = (name: string, nCName: string, more: DirectoryEntry['attributes']) =>
    store.add(object(`CN=${name},CN=Partitions,${configuration}`, ['top', 'crossRef'], { nCName: [nCName], ...more }));
  // systemFlags: 1 replicated naming context, 2 a domain (MS-ADTS 6.1.1.2.1.1.1).
  crossRef('Enterprise Configuration', configuration, { dnsRoot: [facts.domain], systemFlags: ['1'] });
  crossRef('Enterprise Schema', schema, { dnsRoot: [facts.domain], systemFlags: ['1'] });
  const names = { nETBIOSName: [facts.netbiosName], dnsRoot: [facts.domain], systemFlags: ['3'] };
  crossRef(facts.netbiosName, suffix, names);
  const services = `CN=Public Key Services,CN=Services,${configuration}`;
  for (const dn of [`CN=Services,${configuration}`, services]) store.add(object(dn, ['top', 'container'], {}));
  for (const name of ['AIA', 'CDP', 'Certification Authorities', 'Enrollment Services', 'KRA', 'OID'])
    store.add(object(`CN=${name},${services}`, ['top', 'container'], {}));
  if (facts.ntAuth === null) return;
  store.add(
    object(`CN=NTAuthCertificates,${services}`, ['top', 'certificationAuthority'], {
      cACertificate: facts.ntAuth,
      authorityRevocationList: [Buffer.alloc(1)],
      certificateRevocationList: [Buffer.alloc(1)],
    }),
  );
}

/** @param now milliseconds since 1970 */
export function rootDse(facts: TreeFacts, now: number): Record<string, readonly string[]> {
  const suffix = domainDn(facts.domain);
  const configuration = `CN=Configuration,${suffix}`;
  const server = `CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,${configuration}`;
  return {
    currentTime: [generalizedTime(new Date(now))],
    subschemaSubentry: [`CN=Aggregate,CN=Schema,${configuration}`],
    dsServiceName: [`CN=NTDS Settings,${server}`],
    namingContexts: [suffix, configuration, `CN=Schema,${configuration}`],
    defaultNamingContext: [suffix],
    schemaNamingContext: [`CN=Schema,${configuration}`],
    configurationNamingContext: [configuration],
    rootDomainNamingContext: [suffix],
    supportedControl: Object.values(controlOid),
    supportedLDAPVersion: ['3', '2'],
    supportedCapabilities: ['1.2.840.113556.1.4.800', '1.2.840.113556.1.4.1670', '1.2.840.113556.1.4.1935'],
    dnsHostName: [`dc1.${facts.domain}`],
    ldapServiceName: [`${facts.domain}:dc1$@${facts.domain.toUpperCase()}`],
    serverName: [server],
    isSynchronized: ['TRUE'],
    // That of the server, whichever port is asked: the controller of a forest's only domain is a catalog.
    isGlobalCatalogReady: ['TRUE'],
    domainFunctionality: ['7'],
    forestFunctionality: ['7'],
    domainControllerFunctionality: ['7'],
    ...facts.rootDse,
  };
}

function object(dn: string, objectClass: readonly string[], attributes: DirectoryEntry['attributes']): DirectoryEntry {
  const name = /^[^=]+=([^,]*)/.exec(dn)?.[1] ?? '';
  const rdn = dn.startsWith('CN=') ? { cn: [name] } : dn.startsWith('OU=') ? { ou: [name] } : {};
  return {
    dn,
    attributes: {
      objectClass,
      ...rdn,
      name: [name],
      objectGUID: [Buffer.from(hash('sha256', `guid of ${dn}`, 'hex').slice(0, 32), 'hex')],
      whenCreated: ['20200101000000.0Z'],
      ...attributes,
    },
  };
}
