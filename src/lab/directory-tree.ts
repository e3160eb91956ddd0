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
export const controlOid = {
  paging: '1.2.840.113556.1.4.319',
  domainScope: '1.2.840.113556.1.4.1339',
  showDeleted: '1.2.840.113556.1.4.417',
} as const;

/** Object identifiers of extended operations; listed in the rootDSE. */
export const extensionOid = { startTls: '1.3.6.1.4.1.1466.20037', whoAmI: '1.3.6.1.4.1.4203.1.11.3' } as const;

/** The nTDSDSA object of the one controller: dsServiceName of the rootDSE. */
export function settingsDn(domain: string): string {
  return `CN=NTDS Settings,${serverDn(domain)}`;
}

function serverDn(domain: string): string {
  return `CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,${domainDn(domain)}`;
}

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
      // Never, where Active Directory says 42 days: what time a laboratory believes in is not known here.
      maxPwdAge: ['-9223372036854775808'],
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

/** What a controller has of its own, beside the domain: where tombstones lie, and the object that tells its invocation. */
export function plantController(store: Pick<Store, 'add'>, domain: string, invocationId: Buffer): void {
  const suffix = domainDn(domain);
  store.add(object(`CN=Deleted Objects,${suffix}`, ['top', 'container'], { isDeleted: ['TRUE'] }));
  const sites = `CN=Sites,CN=Configuration,${suffix}`;
  store.add(object(sites, ['top', 'sitesContainer'], {}));
  store.add(object(`CN=Default-First-Site-Name,${sites}`, ['top', 'site'], {}));
  store.add(object(`CN=Servers,CN=Default-First-Site-Name,${sites}`, ['top', 'serversContainer'], {}));
  store.add(object(serverDn(domain), ['top', 'server'], { dNSHostName: [`dc1.${domain}`] }));
  const settings = { invocationId: [invocationId] };
  store.add(object(settingsDn(domain), ['top', 'applicationSettings', 'nTDSDSA'], settings));
}

/** What of the rootDSE is not the same for ever. */
export interface RootState {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly highestCommittedUsn: number;
}

export function rootDse(facts: TreeFacts, state: RootState): Record<string, readonly string[]> {
  const suffix = domainDn(facts.domain);
  const configuration = `CN=Configuration,${suffix}`;
  const server = serverDn(facts.domain);
  return {
    currentTime: [generalizedTime(new Date(state.now))],
    subschemaSubentry: [`CN=Aggregate,CN=Schema,${configuration}`],
    dsServiceName: [settingsDn(facts.domain)],
    highestCommittedUSN: [String(state.highestCommittedUsn)],
    namingContexts: [suffix, configuration, `CN=Schema,${configuration}`],
    defaultNamingContext: [suffix],
    schemaNamingContext: [`CN=Schema,${configuration}`],
    configurationNamingContext: [configuration],
    rootDomainNamingContext: [suffix],
    supportedControl: Object.values(controlOid),
    supportedExtension: Object.values(extensionOid),
    supportedSASLMechanisms: ['EXTERNAL'],
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
