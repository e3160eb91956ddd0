/**
 * Server and client certificates of a bench, with RSA-2048 keys as AD CS gives them, or with P-256. The whole chain has that kind of key.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { labDomain } from '../src/lab/accounts.ts';
import { createAuthority, type Authority } from '../src/lab/authority.ts';
import { adUser } from '../src/lab/directory-entries.ts';
import type { DirectoryEntry } from '../src/lab/directory-store.ts';

export type BenchKey = 'rsa2048' | 'p256';

export interface BenchIdentities {
  /** Files. */
  readonly root: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
  readonly issuerDer: Buffer;
  /** Root first. */
  readonly authorities: readonly Authority[];
  readonly entry: DirectoryEntry;
}

const base = 'DC=test,DC=example,DC=lab';
const serial = '50000000000000aa';

export async function makeIdentities(folder: string, key: BenchKey): Promise<BenchIdentities> {
  const own = join(folder, `identities-${key}`);
  mkdirSync(own, { recursive: true });
  const root = await createAuthority({ subject: `${base},CN=Bench Root CA`, key });
  const issuing = await root.subordinate({ subject: `${base},CN=Bench Issuing CA`, key });
  const server = await issuing.issue({
    subject: `${base},CN=bench.lab.example.test`,
    key,
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
  });
  const client = await issuing.issue({ subject: `${base},OU=Load,CN=bench user`, key, serial });
  const write = (name: string, text: string) => {
    const file = join(own, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const reversed = Buffer.from(serial, 'hex').reverse().toString('hex');
  const value = `X509:<I>${base},CN=Bench Issuing CA<SR>${reversed}`;
  return {
    root: write('root.pem', root.cert),
    server: { cert: write('server.pem', server.cert + issuing.cert), key: write('server.key', server.key) },
    client: { cert: write('client.pem', client.cert + issuing.cert), key: write('client.key', client.key) },
    issuerDer: issuing.der,
    authorities: [root, issuing],
    entry: adUser({ ...labDomain, rid: 99_999, name: 'bench', altSecurityIdentities: [value] }),
  };
}
