/**
 * Many distinct certificates of one CA, each with an account: made once and kept in a folder, because signing thousands takes a while.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { labDomain } from '../src/lab/accounts.ts';
import { restoreAuthority } from '../src/lab/authority.ts';
import { adUser } from '../src/lab/directory-entries.ts';
import type { DirectoryEntry } from '../src/lab/directory-store.ts';
import type { Pki } from '../src/lab/pki.ts';
import { digestOf } from '../src/base/bytes.ts';

export interface Population {
  readonly identities: readonly { readonly cert: string; readonly key: string }[];
  readonly entries: readonly DirectoryEntry[];
}

/** Serials are counted, so that the accounts are known without reading the certificates back. */
export async function preparePopulation(
  pki: Pki,
  folder: string,
  size: number,
  progress: (done: number) => void,
): Promise<Population> {
  const issuing = pki.certificates.get('issuing');
  if (issuing === undefined) throw new Error('the lab has no issuing CA');
  const own = join(folder, `population-${digestOf(issuing.der).slice(0, 16)}`);
  mkdirSync(own, { recursive: true });
  const authority = await restoreAuthority({ cert: issuing.cert, key: issuing.key });
  const key = await authority.issue({ subject: 'CN=key of the population' });
  const keyFile = join(own, 'key.pem');
  if (!existsSync(keyFile)) writeFileSync(keyFile, key.key, { mode: 0o600 });
  const holder = { ...key, key: readFileSync(keyFile, 'utf8') };
  const identities: { cert: string; key: string }[] = [];
  for (let index = 0; index < size; index += 1) {
    const file = join(own, `${index}.pem`);
    if (!existsSync(file)) {
      const made = await authority.issue({
        subject: `DC=test,DC=example,DC=lab,OU=Load,CN=user ${index}`,
        serial: serialOf(index),
        key: 'p256',
        reuseKeyOf: holder,
      });
      writeFileSync(file, made.cert + issuing.cert);
    }
    identities.push({ cert: file, key: keyFile });
    progress(index + 1);
  }
  return { identities, entries: identities.map((_, index) => entryOf(index, issuing.recipe.subject)) };
}

function entryOf(index: number, issuer: string): DirectoryEntry {
  const reversed = Buffer.from(serialOf(index), 'hex').reverse().toString('hex');
  return adUser({
    ...labDomain,
    rid: 100_000 + index,
    name: `load${index}`,
    altSecurityIdentities: [`X509:<I>${issuer}<SR>${reversed}`],
  });
}

function serialOf(index: number): string {
  return `5000${index.toString(16).padStart(12, '0')}`;
}
