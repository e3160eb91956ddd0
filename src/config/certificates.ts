/**
 * Certificates named by `file:` and `dir:` references. Every complaint names the file, and the block inside it. Whether a
 * certificate is fit for its role is looked at in `trust.ts`.
 */
import { extname, join } from 'node:path';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import { readCertificates as readBlocks } from '../x509/pem.ts';
import { quoted } from './complaint.ts';
import type { Reading } from './reading.ts';
import { listReferenced, readReferenced, type Reference } from './references.ts';
import type { Path } from './source.ts';

/** Octets that claim to be a certificate. */
export interface NamedBlock {
  readonly der: Buffer;
  /** `trust/ca.pem, block 2`. */
  readonly where: string;
  /** The reference in the configuration. */
  readonly path: Path;
}

export interface NamedCertificate extends NamedBlock {
  readonly certificate: Certificate;
}

const maximumFile = 16 * 1024 * 1024;
const maximumFiles = 5000;
const extensions = ['.pem', '.crt', '.cer', '.der'];

/** Parsed certificates, in the order of the references, files of a directory by name. What is broken is complained of and left out. */
export async function readCertificates(
  references: readonly Reference[],
  path: Path,
  reading: Reading,
): Promise<readonly NamedCertificate[]> {
  const all: NamedCertificate[] = [];
  for (const [index, reference] of references.entries())
    all.push(...(await readCertificatesBehind(reference, [...path, index], reading)));
  return all;
}

export async function readCertificatesBehind(
  reference: Reference,
  path: Path,
  reading: Reading,
): Promise<readonly NamedCertificate[]> {
  const all: NamedCertificate[] = [];
  for (const block of await readCertificateBlocks(reference, path, reading)) {
    const parsed = parseCertificate(block.der);
    if (parsed.kind === 'parsed') all.push({ ...block, certificate: parsed.certificate });
    else brokenBlock(block, `${parsed.reason} at octet ${parsed.offset}`, reading);
  }
  return all;
}

/** The blocks behind one reference, for whoever parses them otherwise. */
export async function readCertificateBlocks(
  reference: Reference,
  path: Path,
  reading: Reading,
): Promise<readonly NamedBlock[]> {
  const all: NamedBlock[] = [];
  for (const file of await filesOf(reference, path, reading)) all.push(...(await readFile(file, path, reading)));
  return all;
}

export function brokenBlock({ where, path }: NamedBlock, reason: string, reading: Reading): void {
  const hint = 'look at it with `openssl x509 -text`; the file may be damaged';
  reading.mistake(path, `${quoted(where)} is not a valid certificate: ${reason}`, { hint });
}

async function filesOf(reference: Reference, path: Path, reading: Reading): Promise<readonly string[]> {
  if (reference.kind === 'env') return [];
  if (reference.kind === 'file') return [reference.path];
  const names = await listReferenced(reference.path, path, reading);
  if (names === null) return [];
  const files = names.filter((name) => !name.startsWith('.') && extensions.includes(extname(name).toLowerCase()));
  const others = names.filter((name) => !name.startsWith('.')).length - files.length;
  const hint = `files that end in ${extensions.join(', ')} are read`;
  if (files.length === 0) {
    const what = others === 0 ? 'is empty' : `has no certificate files, only ${others} other${others === 1 ? '' : 's'}`;
    reading.mistake(path, `the directory ${quoted(reference.path)} ${what}`, { hint });
  } else if (files.length > maximumFiles) {
    reading.mistake(path, `the directory ${quoted(reference.path)} has more than ${maximumFiles} certificate files`, {
      hint,
    });
    return [];
  } else if (others > 0) {
    reading.warn(
      path,
      `${others} file${others === 1 ? '' : 's'} in ${quoted(reference.path)} not read: only ${extensions.join(', ')} are`,
    );
  }
  return files.map((file) => join(reference.path, file));
}

async function readFile(file: string, path: Path, reading: Reading): Promise<readonly NamedBlock[]> {
  const bytes = await readReferenced(file, maximumFile, path, reading);
  if (bytes === null) return [];
  const read = readBlocks(bytes);
  if (read.kind === 'malformed') {
    const line = read.line === 0 ? '' : `, line ${read.line}`;
    reading.mistake(path, `${quoted(file)}${line}: ${read.reason}`, { hint: hintFor(bytes) });
    return [];
  }
  return read.blocks.map(({ der, line }, index) => ({
    der,
    where: `${file}${line === 0 ? '' : `, block ${index + 1} (line ${line})`}`,
    path,
  }));
}

function hintFor(bytes: Buffer): string {
  const start = bytes.toString('latin1', 0, 4096);
  if (start.includes('BEGIN PKCS7')) return 'take the certificates out with `openssl pkcs7 -print_certs`';
  if (start.includes('BEGIN TRUSTED CERTIFICATE')) return 'write it plainly with `openssl x509`';
  if (start.includes('PRIVATE KEY')) return 'this is a private key: certificates are wanted here';
  return 'PEM blocks that begin with -----BEGIN CERTIFICATE-----, or one certificate in DER';
}
