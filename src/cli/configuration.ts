/**
 * Reads configuration and certificate files for the commands.
 */
import { readFile } from 'node:fs/promises';
import { Failure, codeOf } from '../base/failure.ts';
import { loadConfiguration } from '../config/load.ts';
import { systemFacilities } from '../config/facilities.ts';
import { systemClock } from '../base/clock.ts';
import type { Settings } from '../gateway/settings.ts';
import type { Certificate } from '../x509/certificate.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { readCertificates } from '../x509/pem.ts';

/** @throws Failure with every mistake of the file */
export async function loadFile(path: string): Promise<Settings> {
  const { settings } = await loadConfiguration(path, systemFacilities(systemClock, process.env));
  return settings;
}

export interface ReadChain {
  readonly leaf: Certificate;
  /** DER, leaf first. */
  readonly chain: readonly Buffer[];
}

/** @throws Failure `certificate-file` when a file cannot be read or holds no certificate */
export async function readChain(file: string, chainFile: string | null): Promise<ReadChain> {
  const own = await readDers(file);
  const chain = chainFile === null ? own : [...own, ...(await readDers(chainFile))];
  const parsed = parseCertificate(chain[0] ?? Buffer.alloc(0));
  if (parsed.kind === 'parsed') return { leaf: parsed.certificate, chain };
  const hint = 'a client that shows this certificate is refused with 403.16';
  throw new Failure(`${file}: not a valid certificate: ${parsed.reason} (at byte ${parsed.offset})`, {
    code: 'certificate-file',
    hint,
  });
}

async function readDers(file: string): Promise<readonly Buffer[]> {
  const content = await readFile(file).catch((cause: unknown) => {
    const hint = 'name a file with a certificate in PEM, DER or base64';
    throw new Failure(`cannot read ${file}: ${codeOf(cause) ?? 'failed'}`, {
      code: 'certificate-file',
      hint,
      exitCode: 2,
      cause,
    });
  });
  const result = readCertificates(content);
  if (result.kind === 'read') return result.blocks.map(({ der }) => der);
  const place = result.line > 0 ? `${file}:${result.line}` : file;
  throw new Failure(`${place}: ${result.reason}`, {
    code: 'certificate-file',
    hint: 'name a file with a certificate in PEM, DER or base64',
  });
}
