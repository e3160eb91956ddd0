/**
 * The outside world of the configuration cases: files that exist only in memory, made anew with each run, so that no case
 * expires; the clock stands still. Cases name files by what is wrong with them.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import type { Instant } from '../../src/base/brand.ts';
import { Failure } from '../../src/base/failure.ts';
import { describeRules, rulesText } from '../../src/config/describe.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { ConfigurationFacilities } from '../../src/config/reading.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { pemText } from '../../src/x509/pem.ts';

export interface ConfigWorld {
  /** Path relative to the configuration to content; a string that starts with `!` is the error code of reading it. */
  readonly files: Map<string, Buffer | string>;
  /** @param configuration content of `config.yaml` */
  facilities(configuration: Buffer | string): ConfigurationFacilities;
  /** What a case expects: the rules, or the complaint as the command prints it. */
  outcome(configuration: Buffer | string): Promise<string>;
}

export const worldNow = Date.UTC(2026, 11, 1) as Instant;
const serverAuth = '1.3.6.1.5.5.7.3.1';

export async function createConfigWorld(): Promise<ConfigWorld> {
  const files = await makeFiles();
  const world: ConfigWorld = {
    files,
    facilities: (configuration) => facilitiesOver(new Map([...files, ['config.yaml', Buffer.from(configuration)]])),
    async outcome(configuration) {
      try {
        const { settings } = await loadConfiguration('config.yaml', world.facilities(configuration));
        return `${rulesText(describeRules(settings)).join('\n')}\n`;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        return `error: ${error.message}\nhint: ${error.hint}\nexit: ${error.exitCode}\n`;
      }
    },
  };
  return world;
}

async function makeFiles(): Promise<Map<string, Buffer | string>> {
  const root = await createAuthority({ subject: 'O=Lab,CN=Root' });
  const issuing = await root.subordinate({ subject: 'O=Lab,CN=Issuing' });
  const server = { dnsNames: ['www.example.test'], extendedKeyUsage: [serverAuth] };
  const web = await issuing.issue({ subject: 'CN=www.example.test', ...server });
  const stapled = await issuing.issue({
    subject: 'CN=www.example.test',
    ...server,
    authorityInfoAccess: { ocsp: 'http://ocsp.example.test/stapled', caIssuers: 'http://pki.example.test/ca.crt' },
  });
  const other = await issuing.issue({ subject: 'CN=other.example.test', ...server });
  const expired = await issuing.issue({ subject: 'CN=old', ...server, notAfter: new Date('2025-06-01T00:00:00Z') });
  const future = await issuing.issue({ subject: 'CN=new', ...server, notBefore: new Date('2027-01-01T00:00:00Z') });
  const expiredRoot = await createAuthority({ subject: 'CN=Old Root', notAfter: new Date('2024-01-01T00:00:00Z') });
  const futureRoot = await createAuthority({ subject: 'CN=New Root', notBefore: new Date('2027-01-01T00:00:00Z') });
  const namesake = await createAuthority({ subject: 'O=Lab,CN=Root' });
  const wide = await root.subordinate({ subject: Array.from({ length: 61 }, () => `OU=${'x'.repeat(1000)}`).join() });
  const noCertificate = pemText(Buffer.from('3003020105', 'hex'));
  const key = createPrivateKey(web.key);
  return new Map<string, Buffer | string>([
    ['tls/web.pem', web.cert + issuing.cert],
    ['tls/web.key', web.key],
    ['tls/web.der', web.der],
    ['tls/key.der', key.export({ type: 'pkcs8', format: 'der' })],
    ['tls/sec1.der', key.export({ type: 'sec1', format: 'der' })],
    [
      'tls/encrypted.key',
      key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' }),
    ],
    ['tls/stapled.pem', stapled.cert + issuing.cert],
    ['tls/stapled-alone.pem', stapled.cert],
    ['tls/stapled.key', stapled.key],
    ['tls/reversed.pem', issuing.cert + web.cert],
    ['tls/other.key', other.key],
    ['tls/expired.pem', expired.cert],
    ['tls/expired.key', expired.key],
    ['tls/future.pem', future.cert],
    ['tls/future.key', future.key],
    ['tls/garbage.key', 'not a key\n'],
    ['tls/denied.key', '!EACCES'],
    ['tls/web.pfx', readFileSync(new URL('../cases/config/.files/web.pfx', import.meta.url))],
    ['tls/web-with-ca.pfx', readFileSync(new URL('../cases/config/.files/web-with-ca.pfx', import.meta.url))],
    ['tls/garbage.pfx', 'not a pfx'],
    ['trust/root.pem', root.cert],
    ['trust/expired.pem', expiredRoot.cert],
    ['trust/future.pem', futureRoot.cert],
    ['trust/namesake.pem', namesake.cert],
    ['trust/leaf.pem', web.cert],
    ['trust/wide.pem', wide.cert],
    ['crls/root.crl', 'a list'],
    ['crls/issuing.crl', 'another'],
    ['crls/README.txt', 'what lies here'],
    ['trust/utf16.pem', Buffer.from(`\ufeff${root.cert}`, 'utf16le')],
    ['trust/broken-block.pem', root.cert + noCertificate],
    ['trust/broken-base64.pem', '-----BEGIN CERTIFICATE-----\nMIIB\n!!!!\n-----END CERTIFICATE-----\n'],
    ['trust/unended.pem', `${root.cert}-----BEGIN CERTIFICATE-----\nMIIB\n`],
    ['trust/bundle.p7b', '-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n'],
    ['trust/ca/issuing.pem', issuing.cert],
    ['trust/ca/README.txt', 'what lies here'],
    ['trust/texts/README.txt', 'nothing but text'],
    ['trust/empty/.keep', ''],
    ['secrets/ldap', 'correct horse\n'],
    ['secrets/auth', `${'auth'.repeat(8)}\n`],
    ['secrets/empty', '\n'],
  ]);
}

function facilitiesOver(files: ReadonlyMap<string, Buffer | string>): ConfigurationFacilities {
  const directories = new Set([...files.keys()].map((path) => posix.dirname(path)));
  return {
    async readFile(path, maximumBytes) {
      const content = files.get(path);
      if (directories.has(path)) throw systemError('EISDIR');
      if (content === undefined) throw systemError('ENOENT');
      if (typeof content === 'string' && content.startsWith('!')) throw systemError(content.slice(1));
      const bytes = Buffer.from(content);
      if (bytes.length > maximumBytes)
        throw new Failure(`it is larger than ${maximumBytes} bytes`, {
          code: 'file-too-large',
          hint: 'check that it is the file that is meant',
        });
      return bytes;
    },
    async listDirectory(path) {
      if (!directories.has(path)) throw systemError(files.has(path) ? 'ENOTDIR' : 'ENOENT');
      return [...files.keys()].filter((file) => posix.dirname(file) === path).map((file) => posix.basename(file));
    },
    env: { LDAP_PASSWORD: 'correct horse', EMPTY: '', TLS_PASSPHRASE: 'open sesame' },
    now: () => worldNow,
    hostname: () => 'gateway.example.test',
  };
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
