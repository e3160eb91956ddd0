/**
 * A real Samba Active Directory domain controller for tests: LDAP alone, one process, on an address of 127/8 and shifted
 * ports. A domain is provisioned once per machine and version into a template (some six seconds) and copied for
 * each test (half a second). Use it through `sambaTest`, which skips where Samba is not installed.
 */
import { hash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAuthority } from '../../src/lab/authority.ts';
import { accepts, type Daemon, listening, run, startDaemon } from './processes.ts';
import { findProgram, peerTest } from './real-peers.ts';
import { domain, invocationLdif, ntAuthLdif, type SambaUser, suffix, userDn, userLdif } from './samba-accounts.ts';

export const sambaPackages = 'samba samba-ad-provision samba-dsdb-modules ldb-tools gcc libc6-dev';
const programs = ['samba', 'ldbmodify', 'ldbsearch', 'cc'];
const support = fileURLToPath(new URL('samba/', import.meta.url));

/** Runs `body` where Samba is installed; skips with a notice elsewhere. */
export const sambaTest = (name: string, body: Parameters<typeof peerTest>[3]): Promise<void> =>
  peerTest(name, programs, sambaPackages, body);

export interface SambaOptions {
  /** DER; absent: no NTAuthCertificates object, as in a fresh forest; empty: one value that is no certificate. */
  readonly ntAuth?: readonly Buffer[];
  readonly users?: readonly SambaUser[];
  /** Applied after the users, with the rights of the system. */
  readonly ldif?: string;
}

export interface Samba {
  readonly domain: string;
  readonly netbiosName: string;
  readonly domainSid: string;
  /** `DC=lab,DC=example,DC=test` */
  readonly suffix: string;
  readonly host: string;
  readonly ldapsUrl: string;
  /** Port 389, shifted: clear text until StartTLS. */
  readonly ldapUrl: string;
  /** Port 3269, shifted. */
  readonly gcUrl: string;
  /** A plain account without any right of its own. */
  readonly bindDn: string;
  readonly password: string;
  /** What the server's certificate chains to. */
  readonly caPem: string;
  /** Applies LDIF (with changetype) to the live database with the rights of the system. */
  modify(ldif: string): Promise<void>;
  /** Many plain users, quickly: only name, UPN and altSecurityIdentities are looked at. */
  load(users: Iterable<SambaUser>): Promise<void>;
  /** @returns its distinguished name and SID */
  addUser(user: SambaUser): Promise<{ readonly dn: string; readonly sid: string }>;
  /** Text values of one attribute of one object, read past LDAP. */
  read(dn: string, attribute: string): Promise<readonly string[]>;
  /** Of the server that runs now, one process. */
  readonly pid: number;
  /** Another controller of the same domain, at an address of its own, with all that this one holds now. It does not replicate. */
  clone(t: { teardown(end: () => unknown): void }): Promise<Samba>;
  /** A copy of what it holds, for `restore`. */
  backUp(): Promise<string>;
  /** Goes back to an earlier state, with a new invocation id as after a restore of Active Directory, and starts again. */
  restore(backup: string): Promise<void>;
  /** Ends the server in mid-work; what it holds stays. */
  kill(): Promise<void>;
  /** Starts it again, at the same address, after `kill`. */
  restart(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

const netbiosName = 'LAB';
const bindAccount = 'dsmapper-reader';
const bindPassword = 'Reads-all-writes-0';

interface SambaTest {
  teardown(end: () => unknown): void;
}

/** @param t ends the server with the test */
export async function startSamba(t: SambaTest, options: SambaOptions = {}): Promise<Samba> {
  const template = await provisioned();
  const ntAuth = options.ntAuth === undefined ? [] : [ntAuthLdif(options.ntAuth)];
  const ldif = [...ntAuth, ...(options.users ?? []).map(userLdif), options.ldif ?? ''].join('\n');
  return await startCopy(t, template, template, ldif);
}

/** @param from folder of a domain whose server does not write now */
async function startCopy(t: SambaTest, template: string, from: string, ldif: string): Promise<Samba> {
  const folder = mkdtempSync(join(tmpdir(), 'dsmapper-samba-run-'));
  let daemon: Daemon | null = null;
  async function stop(): Promise<void> {
    await daemon?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  t.teardown(stop);

  await copy(`${from}/.`, folder);
  const { host, shift } = await freePlace();
  const caPem = await writeTls(join(folder, 'tls'), host);
  const conf = writeConf(folder, host);
  async function start(): Promise<void> {
    // Ends by itself when the pipe at its standard input closes, or after ten minutes.
    const args = ['-i', '--no-process-group', '--debug-stdout', '-M', 'single', '--maximum-runtime=600', '-s', conf];
    daemon = startDaemon(findProgram('samba') ?? 'samba', args, {
      env: {
        LD_PRELOAD: join(template, 'portshift.so'),
        PORT_SHIFT: String(shift),
        KRB5_CONFIG: join(folder, 'krb5.conf'),
      },
    });
    await listening(daemon, host, 389 + shift);
    await listening(daemon, host, 636 + shift);
    await listening(daemon, host, 3269 + shift);
  }
  const samba: Samba = {
    domain,
    netbiosName,
    domainSid: readFileSync(join(folder, 'domain-sid'), 'utf8').trim(),
    suffix,
    host,
    ldapUrl: `ldap://${host}:${389 + shift}`,
    ldapsUrl: `ldaps://${host}:${636 + shift}`,
    gcUrl: `ldaps://${host}:${3269 + shift}`,
    bindDn: `${bindAccount}@${domain}`,
    password: bindPassword,
    caPem,
    get pid() {
      return daemon?.pid ?? 0;
    },
    modify: (ldif) => modify(conf, ldif),
    async load(users) {
      const database = join(folder, 'private/sam.ldb');
      await run(await python(), [join(support, 'load.py'), conf, database], { input: loadLines(users) });
    },
    async addUser(user) {
      const dn = userDn(user);
      await modify(conf, userLdif(user));
      return { dn, sid: (await read(conf, dn, 'objectSid'))[0] ?? '' };
    },
    read: (dn, attribute) => read(conf, dn, attribute),
    clone: (test) => startCopy(test, template, folder, ''),
    kill: async () => await daemon?.stop(),
    restart: start,
    async backUp() {
      const backup = mkdtempSync(join(folder, 'backup-'));
      await copy(join(folder, 'private'), backup);
      return backup;
    },
    async restore(backup) {
      await daemon?.stop();
      rmSync(join(folder, 'private'), { recursive: true });
      await copy(join(backup, 'private'), folder);
      await modify(conf, invocationLdif(randomBytes(16)));
      await start();
    },
    stop,
  };
  if (ldif.trim() !== '') await samba.modify(ldif);
  await start();
  return samba;
}

async function copy(from: string, to: string): Promise<void> {
  await run('cp', ['-a', '--sparse=always', from, to]);
}

/** The folder of a provisioned domain, made by whoever needs it first. */
async function provisioned(): Promise<string> {
  const sources = ['provision.py', 'portshift.c'].map((name) => readFileSync(join(support, name), 'utf8'));
  const version = await run('samba', ['--version']);
  const parts = [
    ...sources,
    version,
    String(process.getuid?.()),
    domain,
    netbiosName,
    bindPassword,
    templateLdif,
    confText('', ''),
  ];
  const template = join(tmpdir(), `dsmapper-samba-${hash('sha256', parts.join('\0'), 'hex').slice(0, 16)}`);
  if (isOurs(template)) return template;

  const draft = mkdtempSync(join(tmpdir(), 'dsmapper-samba-new-'));
  try {
    const conf = writeConf(draft, '127.0.0.1');
    const names = [domain.toUpperCase(), netbiosName, 'dc1', '127.0.0.1', 'Adm1nistrates-all'];
    const sid = await run(await python(), [join(support, 'provision.py'), conf, ...names]);
    writeFileSync(join(draft, 'domain-sid'), sid.trim().split('\n').at(-1) ?? '');
    await run('cc', [
      '-shared',
      '-fPIC',
      '-O1',
      '-o',
      join(draft, 'portshift.so'),
      join(support, 'portshift.c'),
      '-ldl',
    ]);
    await modify(writeConf(draft, '127.0.0.1'), templateLdif);
    renameSync(draft, template);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Another test process may have finished the same template meanwhile.
    if (!isOurs(template)) throw error;
  }
  return template;
}

/** A folder in /tmp is only believed when nobody else could have put it there. */
function isOurs(folder: string): boolean {
  if (!existsSync(join(folder, 'domain-sid'))) return false;
  const facts = statSync(folder);
  if (facts.uid === process.getuid?.() && (facts.mode & 0o077) === 0) return true;
  throw new Error(`${folder} belongs to somebody else: remove it`);
}

/** Samba's library is a module of the system's own Python, which need not be the first in PATH. */
async function python(): Promise<string> {
  for (const candidate of ['/usr/bin/python3', 'python3']) {
    const works = await run(candidate, ['-c', 'import samba.provision']).catch(() => null);
    if (works !== null) return candidate;
  }
  throw new Error('no Python that knows the samba module');
}

/** An address of 127/8 for this process and a shift whose ports are free there. */
async function freePlace(): Promise<{ host: string; shift: number }> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const place = (process.pid * 50 + (started += 1)) % (250 * 250);
    const host = `127.77.${1 + Math.floor(place / 250)}.${1 + (place % 250)}`;
    const shift = 20_000;
    const taken = await Promise.all([389, 636, 3268, 3269].map((port) => accepts(host, port + shift)));
    if (!taken.includes(true)) return { host, shift };
  }
  throw new Error('no free ports for Samba');
}
let started = 0;

async function writeTls(folder: string, host: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const authority = await createAuthority({ subject: 'O=Lab,CN=Samba Test CA' });
  const server = await authority.issue({
    subject: `CN=dc1.${domain}`,
    dnsNames: [`dc1.${domain}`, 'localhost'],
    ipAddresses: [host],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
  });
  writeFileSync(join(folder, 'ca.pem'), authority.cert);
  writeFileSync(join(folder, 'cert.pem'), server.cert);
  // Samba refuses a key that others may read.
  writeFileSync(join(folder, 'key.pem'), server.key, { mode: 0o600 });
  return authority.cert;
}

function writeConf(folder: string, host: string): string {
  for (const name of ['run/ncalrpc', 'run/winbindd', 'run/ntp', 'cache', 'state', 'lock', 'private'])
    mkdirSync(join(folder, name), { recursive: true, mode: 0o750 });
  const path = join(folder, 'smb.conf');
  writeFileSync(path, confText(folder, host));
  return path;
}

function confText(folder: string, host: string): string {
  const at = (name: string) => join(folder, name);
  return `[global]
  netbios name = DC1
  realm = ${domain.toUpperCase()}
  workgroup = ${netbiosName}
  server role = active directory domain controller
  server services = ldap
  interfaces = ${host}/8
  bind interfaces only = yes
  disable netbios = yes
  load printers = no
  ldap server require strong auth = yes
  tls enabled = yes
  tls keyfile = ${at('tls/key.pem')}
  tls certfile = ${at('tls/cert.pem')}
  tls cafile = ${at('tls/ca.pem')}
  private dir = ${at('private')}
  state directory = ${at('state')}
  cache directory = ${at('cache')}
  lock directory = ${at('lock')}
  pid directory = ${at('run')}
  ncalrpc dir = ${at('run/ncalrpc')}
  winbindd socket directory = ${at('run/winbindd')}
  ntp signd socket directory = ${at('run/ntp')}
  binddns dir = ${at('state/bind-dns')}
  log file = ${at('log.samba')}
  dsdb event notification = no
  ldb:nosync = yes
[sysvol]
  path = ${at('state/sysvol')}
[netlogon]
  path = ${at('state/sysvol/scripts')}
`;
}

async function modify(conf: string, ldif: string): Promise<void> {
  const database = join(conf, '../private/sam.ldb');
  await run('ldbmodify', ['-H', database, `--configfile=${conf}`, '--relax'], { input: ldif });
}

function* loadLines(users: Iterable<SambaUser>): Generator<string> {
  for (const user of users)
    yield `${JSON.stringify({
      dn: userDn(user),
      objectClass: 'user',
      sAMAccountName: user.name,
      userAccountControl: '544',
      userPrincipalName: user.upn ?? `${user.name}@${domain}`,
      altSecurityIdentities: user.altSecurityIdentities ?? [],
    })}\n`;
}

async function read(conf: string, dn: string, attribute: string): Promise<readonly string[]> {
  const database = join(conf, '../private/sam.ldb');
  const text = await run('ldbsearch', ['-H', database, `--configfile=${conf}`, '-b', dn, '-s', 'base', attribute]);
  const values = text.replaceAll('\n ', '').matchAll(new RegExp(`^${attribute}(::?) (.*)$`, 'gim'));
  return [...values].map(([, mark, value = '']) =>
    mark === '::' ? Buffer.from(value, 'base64').toString('utf8') : value,
  );
}

const templateLdif = userLdif({ name: bindAccount, password: bindPassword });

export type { SambaUser };
