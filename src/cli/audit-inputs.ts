/**
 * What an audit is given beside the accounts: certificates from a folder, and the authorities in NTAuthCertificates by name. Decides how much
 * is read; what cannot be read is said, never passed over.
 */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CertificateIndex, GivenCertificate } from '../admin/audit-certificates.ts';
import { createCertificateIndex } from '../admin/audit-certificates.ts';
import type { AuditReport } from '../admin/audit-contract.ts';
import { createNtAuthNames, type NtAuthNames } from '../admin/audit-issuers.ts';
import type { Millis } from '../base/brand.ts';
import { codeOf, Failure, reasonOf } from '../base/failure.ts';
import { textOf, valuesOf } from '../directory/entry.ts';
import { anything } from '../directory/filter.ts';
import type { LiveForest } from '../directory/forest.ts';
import { claimsOf } from '../mapping/candidates.ts';
import type { MappingSettings } from '../mapping/mapper-contract.ts';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import { usageOids } from '../x509/oid.ts';
import { readCertificates } from '../x509/pem.ts';

export type GivenCertificates = NonNullable<AuditReport['certificates']> & { readonly index: CertificateIndex };

const endings = /\.(?:pem|crt|cer|der|p7b|txt)$/i;
const maximumBytes = 4 * 1024 * 1024;
const maximumCertificates = 200_000;

/**
 * Every certificate of a client in the files of a folder and of those below it; authorities and servers are passed over.
 * @throws Failure `certificate-folder`
 */
export async function readCertificateFolder(folder: string, mapping: MappingSettings): Promise<GivenCertificates> {
  const given: GivenCertificate[] = [];
  const unreadable: { readonly file: string; readonly reason: string }[] = [];
  for (const file of await filesOf(folder)) {
    const ders = await readDers(join(folder, file));
    if (typeof ders === 'string') unreadable.push({ file, reason: ders });
    else
      for (const [index, der] of ders.entries()) {
        const place = ders.length === 1 ? file : `${file} (${index + 1})`;
        const parsed = parseCertificate(der);
        if (parsed.kind !== 'parsed') unreadable.push({ file: place, reason: parsed.reason });
        else if (isOfClient(parsed.certificate))
          given.push({ file: place, leaf: parsed.certificate, claims: claimsOf(parsed.certificate, mapping) });
      }
    if (given.length > maximumCertificates)
      throw folderFailure(folder, `there are more than ${maximumCertificates} certificates`, null);
  }
  return { folder, read: given.length, unreadable, index: createCertificateIndex(given) };
}

/** Neither an authority's nor one that may only be a server's or a responder's. */
function isOfClient({ extensions: { basicConstraints, extendedKeyUsage } }: Certificate): boolean {
  if (basicConstraints?.ca === true) return false;
  const forClients: readonly string[] = [usageOids.any, usageOids.clientAuth, usageOids.smartCardLogon];
  return extendedKeyUsage === null || extendedKeyUsage.some((usage) => forClients.includes(usage));
}

async function filesOf(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder, { recursive: true });
    return names.filter((name) => endings.test(name)).toSorted();
  } catch (cause) {
    throw folderFailure(folder, codeOf(cause) ?? 'failed', cause);
  }
}

async function readDers(path: string): Promise<readonly Buffer[] | string> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of createReadStream(path)) {
      const bytes = piece as Buffer;
      length += bytes.length;
      if (length > maximumBytes) return `it is longer than ${maximumBytes} bytes`;
      pieces.push(bytes);
    }
  } catch (error) {
    return codeOf(error) ?? reasonOf(error);
  }
  const result = readCertificates(Buffer.concat(pieces));
  return result.kind === 'read' ? result.blocks.map(({ der }) => der) : result.reason;
}

function folderFailure(folder: string, reason: string, cause: unknown): Failure {
  const hint = 'name a folder with certificates in PEM, DER or base64 (.pem, .crt, .cer, .der)';
  return new Failure(`cannot read ${folder}: ${reason}`, { code: 'certificate-folder', hint, exitCode: 2, cause });
}

/** Names of the authorities whose certificates may name accounts; null where a store could not be read or understood. */
export async function readNtAuthNames(
  forest: Pick<LiveForest, 'ask' | 'readObject'>,
  domain: string,
  patience: Millis,
): Promise<NtAuthNames | null> {
  const rootDse = { base: '', scope: 'base', filter: anything, sizeLimit: 0 } as const;
  const attributes = ['configurationNamingContext'];
  const answer = await forest.ask(domain, { ...rootDse, attributes }, patience);
  const [entry] = answer.kind === 'entries' ? answer.entries : [];
  const [context] = entry === undefined ? [] : valuesOf(entry, 'configurationNamingContext');
  if (context === undefined) return null;
  const read = await forest.readObject({
    dn: `CN=NTAuthCertificates,CN=Public Key Services,CN=Services,${textOf(context) ?? ''}`,
    attribute: 'cACertificate',
    timeout: patience,
    maximumBytes,
    signal: new AbortController().signal,
  });
  if (read.kind !== 'read') return null;
  const certificates: Certificate[] = [];
  for (const der of read.values) {
    const parsed = parseCertificate(der);
    // Of one that nobody can read the name is not known either: then no value can be said to be of none of them.
    if (parsed.kind !== 'parsed') return null;
    certificates.push(parsed.certificate);
  }
  return createNtAuthNames(certificates, read.server);
}
