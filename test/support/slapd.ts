/**
 * A real OpenLDAP server with the part of Active Directory's schema that mapping reads, for what the others cannot carry: a million
 * accounts. It has no SIDs, groups or states of its own; entries come as the builders of the lab make them.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAuthority } from '../../src/lab/authority.ts';
import { domainDn } from '../../src/lab/directory-entries.ts';
import type { DirectoryEntry } from '../../src/lab/directory-server.ts';
import { plantTree } from '../../src/lab/directory-tree.ts';
import { ldifLine, ldifLines } from './ldif.ts';
import { type Daemon, freePort, listening, run, startDaemon } from './processes.ts';
import { findProgram, peerTest } from './real-peers.ts';

export const slapdPackages = 'slapd';
const schema = fileURLToPath(new URL('slapd/active-directory.schema', import.meta.url));

/** Runs `body` where OpenLDAP's server is installed; skips with a notice elsewhere. */
export const slapdTest = (name: string, body: Parameters<typeof peerTest>[3]): Promise<void> =>
  peerTest(name, ['slapd', 'slapadd'], slapdPackages, body);

export interface SlapdOptions {
  /** DNS name. */
  readonly domain: string;
  readonly netbiosName: string;
  readonly domainSid: string;
  /** Parents before children; may be a generator of any length. */
  readonly entries: Iterable<DirectoryEntry>;
  /** DER; absent: no NTAuthCertificates object. */
  readonly ntAuth?: readonly Buffer[];
  readonly upnSuffixes?: readonly string[];
  /** Threads of the server, 2 unless given. */
  readonly threads?: number;
  /** Tells everything to everybody, also over plain connections. */
  readonly anonymous?: boolean;
}

export interface Slapd {
  readonly host: string;
  readonly ldapsUrl: string;
  /** Of the plain port, where there is one. */
  readonly plainPort: number | null;
  readonly bindDn: string;
  readonly password: string;
  /** What the server's certificate chains to. */
  readonly caPem: string;
  readonly suffix: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** No rootdn: limits do not hold for it. */
const readerDn = (domain: string) => `cn=reader,${domainDn(domain)}`;
const password = 'Reads-all-writes-0';

/** @param t ends the server with the test */
export async function startSlapd(t: { teardown(end: () => unknown): void }, options: SlapdOptions): Promise<Slapd> {
  const folder = mkdtempSync(join(tmpdir(), 'dsmapper-slapd-'));
  let daemon: Daemon | null = null;
  async function stop(): Promise<void> {
    await daemon?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  t.teardown(stop);

  const host = '127.0.0.1';
  const suffix = domainDn(options.domain);
  const bindDn = readerDn(options.domain);
  const caPem = await writeTls(folder, host);
  const { threads = 2, anonymous = false } = options;
  const conf = writeConf(folder, suffix, threads, anonymous);
  // Quick, and without schema checks: users of Active Directory have no sn.
  await run(findProgram('slapadd') ?? 'slapadd', ['-q', '-s', '-f', conf], { input: ldif(options) });

  const port = await freePort(host);
  const ldapsUrl = `ldaps://${host}:${port}`;
  const plainPort = anonymous ? await freePort(host) : null;
  const urls = plainPort === null ? ldapsUrl : `${ldapsUrl} ldap://${host}:${plainPort}`;
  daemon = startDaemon(findProgram('slapd') ?? 'slapd', ['-d', '0', '-f', conf, '-h', urls]);
  await listening(daemon, host, port);
  if (plainPort !== null) await listening(daemon, host, plainPort);
  return { host, ldapsUrl, plainPort, bindDn, password, caPem, suffix, pid: daemon.pid, stop };
}

/** The tree of a domain controller, then the entries, one record at a time. */
function* ldif(options: SlapdOptions): Generator<string> {
  const tree: DirectoryEntry[] = [];
  const add = (entry: DirectoryEntry) => void tree.push(entry);
  plantTree({ add }, { upnSuffixes: [], rootDse: {}, ...options, ntAuth: options.ntAuth ?? null });
  for (const entry of tree) yield record(entry);
  yield record({
    dn: readerDn(options.domain),
    attributes: { objectClass: ['person'], cn: ['reader'], userPassword: [password] },
  });
  for (const entry of options.entries) yield record(entry);
}

function record({ dn, attributes }: DirectoryEntry): string {
  const stored = Object.entries(attributes).flatMap(([name, values]) => {
    // OpenLDAP wants the option for certificates (RFC 4523 section 2.1), and checks the syntax of lists, which are dummies here.
    if (name === 'cACertificate' || name === 'userCertificate') return [[`${name};binary`, values] as const];
    return name.endsWith('RevocationList') ? [] : [[name, values] as const];
  });
  return `${ldifLine('dn', dn)}\n${ldifLines(Object.fromEntries(stored))}\n`;
}

async function writeTls(folder: string, host: string): Promise<string> {
  const authority = await createAuthority({ subject: 'O=Lab,CN=OpenLDAP Test CA' });
  const extendedKeyUsage = ['1.3.6.1.5.5.7.3.1'];
  const server = await authority.issue({ subject: 'CN=ldap', ipAddresses: [host], extendedKeyUsage });
  writeFileSync(join(folder, 'cert.pem'), server.cert);
  writeFileSync(join(folder, 'key.pem'), server.key, { mode: 0o600 });
  return authority.cert;
}

function writeConf(folder: string, suffix: string, threads: number, anonymous: boolean): string {
  mkdirSync(join(folder, 'db'));
  const rootDse = join(folder, 'rootdse.ldif');
  const configuration = `CN=Configuration,${suffix}`;
  writeFileSync(
    rootDse,
    `dn:\ndefaultNamingContext: ${suffix}\nconfigurationNamingContext: ${configuration}\nisGlobalCatalogReady: TRUE\n`,
  );
  const path = join(folder, 'slapd.conf');
  writeFileSync(
    path,
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include ${schema}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${join(folder, 'slapd.pid')}
argsfile ${join(folder, 'slapd.args')}
threads ${threads}
tool-threads 2
sizelimit size.soft=1000 size.hard=1000 size.pr=1000 size.prtotal=unlimited
loglevel 0
conn_max_pending 1000
conn_max_pending_auth 5000
${anonymous ? '' : 'require authc'}
TLSCertificateFile ${join(folder, 'cert.pem')}
TLSCertificateKeyFile ${join(folder, 'key.pem')}
TLSVerifyClient never
rootDSE ${rootDse}
database mdb
suffix "${suffix}"
access to attrs=userPassword by anonymous auth
access to * by ${anonymous ? '*' : 'users'} read
directory ${join(folder, 'db')}
maxsize 8589934592
dbnosync
envflags writemap nometasync
index objectClass eq
index altSecurityIdentities,userPrincipalName,sAMAccountName,servicePrincipalName,objectSid eq
`,
  );
  return path;
}
