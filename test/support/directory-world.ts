/**
 * A small forest for tests of the directory room: certificates, people, servers and settings, each ended with the test.
 */
import type { Instant, Millis } from '../../src/base/brand.ts';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import type { BindCredentials, ForestSettings, SearchRecord } from '../../src/directory/directory.ts';
import { parseEndpoint } from '../../src/directory/endpoint.ts';
import { createBindGate, type BindGate, type BindGateSettings } from '../../src/directory/bind-gate.ts';
import type { Connection } from '../../src/directory/connection.ts';
import { createForest, type DirectoryFacilities, type LiveForest } from '../../src/directory/forest.ts';
import type { FramingLimits } from '../../src/directory/framed-socket.ts';
import { openConnection } from '../../src/directory/opening.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { adUser, type PrincipalRecipe } from '../../src/lab/directory-entries.ts';
import {
  startDirectoryServer,
  type DirectoryEntry,
  type DirectoryServer,
  type DirectoryServerOptions,
} from '../../src/lab/directory-server.ts';
import { startScriptedLdap, type Script, type ScriptedServer } from './scripted-ldap.ts';

export interface LabTest {
  teardown(end: () => unknown): void;
}

export const domain = 'lab.example.test';
export const domainSid = 'S-1-5-21-2088175937-3269668285-1925657351';
export const base = 'DC=lab,DC=example,DC=test';
export const bind = {
  kind: 'simple',
  dn: 'CN=reader,CN=Users,DC=lab,DC=example,DC=test',
  password: 'not a secret',
  reread: null,
} as const;
export const authority = await createAuthority({ subject: 'O=Lab,CN=Directory CA' });
export const serverCertificate = await authority.issue({
  subject: 'CN=dc1.lab.example.test',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1', '127.0.0.2'],
  extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
});

export function user(rid: number, name: string, more: Partial<PrincipalRecipe> = {}): DirectoryEntry {
  return adUser({ domain, domainSid, rid, name, ...more });
}

/** A second domain of the same forest. */
export const childPlace = { domain: `child.${domain}`, domainSid: 'S-1-5-21-1-2-3' };
export const childOptions: Partial<DirectoryServerOptions> = {
  ...childPlace,
  netbiosName: 'CHILD',
  rootDse: { configurationNamingContext: [`CN=Configuration,${base}`] },
};

/** What the first domain's controllers know of the second. */
export const childCrossRef: DirectoryEntry = {
  dn: `CN=CHILD,CN=Partitions,CN=Configuration,${base}`,
  attributes: {
    objectClass: ['top', 'crossRef'],
    nCName: [`DC=child,${base}`],
    nETBIOSName: ['CHILD'],
    systemFlags: ['3'],
  },
};

export function twoDomains(lab: readonly string[], child: readonly string[]): ForestSettings {
  const domains = [
    { name: domain, controllers: lab, discovery: null, bind },
    { name: childPlace.domain, controllers: child, discovery: null, bind },
  ];
  return { ...settingsFor([]), domains };
}

export async function startDc(
  t: LabTest,
  entries: Iterable<DirectoryEntry>,
  more: Partial<DirectoryServerOptions> = {},
): Promise<DirectoryServer> {
  const server = await startDirectoryServer({
    domain,
    netbiosName: 'LAB',
    domainSid,
    tls: serverCertificate,
    bind: [bind],
    entries,
    ntAuth: [authority.der],
    ...more,
  });
  t.teardown(() => server.stop());
  return server;
}

export async function startScript(t: LabTest, script: Script = {}): Promise<ScriptedServer> {
  const server = await startScriptedLdap(serverCertificate, script);
  t.teardown(() => server.close());
  return server;
}

export function settingsFor(controllers: readonly string[], more: Partial<ForestSettings> = {}): ForestSettings {
  return {
    name: domain,
    domains: [{ name: domain, controllers, discovery: null, bind }],
    globalCatalog: [],
    globalCatalogDiscovery: null,
    certificateAuthorities: [authority.cert],
    connectTimeout: 5000 as Millis,
    searchTimeout: 5000 as Millis,
    refresh: 600_000 as Millis,
    connections: 2,
    maximumQueue: 1000,
    batching: true,
    pollInterval: 0 as Millis,
    ...more,
  };
}

/** A directory that is ended with the test; `records` are the searches that went over the wire. */
export function openDirectory(
  t: LabTest,
  settings: ForestSettings,
  facilities: Partial<DirectoryFacilities> = {},
): LiveForest & { readonly records: readonly SearchRecord[] } {
  const records: SearchRecord[] = [];
  const onSearch = (record: SearchRecord): void => void records.push(record);
  const forest = createForest(settings, { clock: systemClock, random: () => 0, onSearch, ...facilities });
  t.teardown(() => forest.close());
  return Object.assign(forest, { records });
}

/** The same, connected and with the facts of the forest read: every search from here on is the test's own. */
export async function readyDirectory(
  t: LabTest,
  settings: ForestSettings,
  facilities: Partial<DirectoryFacilities> = {},
): Promise<LiveForest & { readonly records: readonly SearchRecord[] }> {
  const forest = openDirectory(t, settings, facilities);
  await Promise.all([forest.health(), forest.ntAuth(), forest.domains()]);
  return forest;
}

export function gateFor(credentials: BindCredentials, more: Partial<BindGateSettings> = {}): BindGate {
  return createBindGate({ credentials, monotonic: () => systemClock.monotonic(), ...more });
}

export interface OpenOptions {
  readonly gate?: BindGate;
  readonly certificateAuthorities?: readonly string[];
  readonly connectTimeout?: number;
  readonly limits?: FramingLimits;
  readonly ended?: (reason: string) => void;
}

/** One connection, without pool and retries. @throws the reason when it does not open */
export async function openOne(t: LabTest, url: string, options: OpenOptions = {}): Promise<Connection> {
  const opened = await openConnection(
    {
      endpoint: parseEndpoint(url),
      certificateAuthorities: options.certificateAuthorities ?? [authority.cert],
      gate: options.gate ?? gateFor(bind),
      connectTimeout: (options.connectTimeout ?? 5000) as Millis,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    },
    { heard: () => {}, ended: options.ended ?? (() => {}) },
    new AbortController().signal,
  );
  if (opened.kind !== 'open') throw new Error(`${opened.kind}: ${opened.reason}`);
  t.teardown(() => opened.connection.destroy('the test is over'));
  return opened.connection;
}

/** A clock whose monotonic time a test moves by hand. */
export function handClock(): Clock & { advance(ms: number): void } {
  let at = 1_000_000;
  return {
    now: () => (1_700_000_000_000 + at) as Instant,
    monotonic: () => at,
    advance: (ms) => void (at += ms),
  };
}

/** Asks again in every turn of the event loop until it holds; the test's own time-out ends what never holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
