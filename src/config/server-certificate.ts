/**
 * What a binding shows: certificate chain and key from files, tried out before they are needed. A key that does not fit, or
 * a chain in the wrong order, is a mistake; a certificate that has expired is a warning, because Windows serves it too.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { isoText } from '../base/clock.ts';
import { reasonOf } from '../base/failure.ts';
import type { Instant } from '../base/brand.ts';
import type { BindingSettings, Endpoint } from '../tls/binding.ts';
import { openPfx } from '../tls/pfx.ts';
import { pemText } from '../x509/pem.ts';
import { brokenBlock, readCertificateBlocks } from './certificates.ts';
import type { Reading } from './reading.ts';
import { readReferenced, readSecret, type Reference } from './references.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

type Written = NonNullable<Language['bindings'][number]['certificate']>;
export interface ShownCertificate {
  readonly settings: NonNullable<BindingSettings['certificate']>;
  /** DER: the certificate, then what is shown above it as far as it is known. */
  readonly chain: readonly Buffer[];
}

/** @returns null after a complaint */
export async function readServerCertificate(
  written: Written,
  endpoint: Endpoint,
  path: Path,
  reading: Reading,
): Promise<ShownCertificate | null> {
  const { cert, key, pfx } = written;
  if (pfx !== undefined && (cert !== undefined || key !== undefined)) {
    reading.mistake([...path, 'pfx'], 'stands beside `cert` or `key`', {
      hint: 'write either `pfx` or `cert` and `key`',
      on: 'key',
    });
    return null;
  }
  if (pfx !== undefined) return readPfx(pfx, written, endpoint, path, reading);
  if (cert !== undefined && key !== undefined) return readPair(cert, key, written, endpoint, path, reading);
  const missing =
    cert === undefined
      ? key === undefined
        ? '`cert` and `key` are missing'
        : '`cert` is missing'
      : '`key` is missing';
  reading.mistake(path, missing, {
    hint: 'write `cert: file:...` and `key: file:...`, or `pfx: file:...` and `passphrase`',
    on: 'key',
  });
  return null;
}

async function readPair(
  cert: Reference,
  keyReference: Reference,
  written: Written,
  endpoint: Endpoint,
  path: Path,
  reading: Reading,
): Promise<ShownCertificate | null> {
  const before = reading.mistakes.length;
  const certPath = [...path, 'cert'];
  const chain = await readChain(cert, certPath, reading);
  const key = await readKey(keyReference, written.passphrase, path, reading);
  if (key === null || reading.mistakes.length > before) return null;
  const matching = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
  if (matching !== 0) {
    const text =
      matching < 0 ? 'does not belong to the certificate' : `belongs to certificate ${matching + 1} of ${chain.length}`;
    const hint =
      matching < 0
        ? 'the two files come from different requests'
        : 'put the server certificate first, its intermediates below';
    reading.mistake([...path, 'key'], `the key ${text}`, { hint });
    return null;
  }
  const [leaf] = chain;
  if (leaf !== undefined) warnOfCertificate(leaf, endpoint, certPath, reading);
  return {
    settings: {
      cert: chain.map((certificate) => pemText(certificate.raw)).join(''),
      key: key.export({ type: 'pkcs8', format: 'pem' }),
    },
    chain: chain.map(({ raw }) => raw),
  };
}

/** Empty after a complaint. */
async function readChain(cert: Reference, path: Path, reading: Reading): Promise<readonly X509Certificate[]> {
  const chain: X509Certificate[] = [];
  for (const block of await readCertificateBlocks(cert, path, reading)) {
    try {
      chain.push(new X509Certificate(block.der));
    } catch (error) {
      brokenBlock(block, reasonOf(error), reading);
    }
  }
  return chain;
}

async function readKey(
  reference: Reference,
  passphrase: Reference | undefined,
  path: Path,
  reading: Reading,
): Promise<KeyObject | null> {
  const bytes = await readKeyBytes(reference, [...path, 'key'], reading);
  const secret = passphrase === undefined ? null : await readSecret(passphrase, [...path, 'passphrase'], reading);
  if (bytes === null || (passphrase !== undefined && secret === null)) return null;
  const key = importKey(bytes, secret);
  if (key !== null) return key;
  const own = [...path, 'key'];
  if (!bytes.includes('ENCRYPTED'))
    reading.mistake(own, 'the file is not a private key', {
      hint: 'PEM (-----BEGIN PRIVATE KEY-----) or DER is needed',
    });
  else if (secret === null)
    reading.mistake(own, 'the key is encrypted', { hint: 'write `passphrase: env:NAME` beside it' });
  else reading.mistake([...path, 'passphrase'], 'does not open the key', { hint: 'it is that of another key' });
  return null;
}

async function readKeyBytes(reference: Reference, path: Path, reading: Reading): Promise<Buffer | null> {
  if (reference.kind !== 'env') return readReferenced(reference.path, 64 * 1024, path, reading);
  const secret = await readSecret(reference, path, reading);
  return secret === null ? null : Buffer.from(secret);
}

function importKey(bytes: Buffer, passphrase: string | null): KeyObject | null {
  const secret = passphrase === null ? {} : { passphrase };
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return bytes.includes('-----BEGIN')
        ? createPrivateKey({ key: bytes, format: 'pem', ...secret })
        : createPrivateKey({ key: bytes, format: 'der', type, ...secret });
    } catch {
      // OpenSSL's reasons are of no help to who made the file; the caller says what is wanted.
    }
  }
  return null;
}

async function readPfx(
  reference: Reference,
  written: Written,
  endpoint: Endpoint,
  path: Path,
  reading: Reading,
): Promise<ShownCertificate | null> {
  const own = [...path, 'pfx'];
  const pfx = await readKeyBytes(reference, own, reading);
  const passphrase =
    written.passphrase === undefined ? '' : await readSecret(written.passphrase, [...path, 'passphrase'], reading);
  if (pfx === null || passphrase === null) return null;
  const opened = openPfx(pfx, passphrase);
  if (opened.kind !== 'opened') {
    const hint =
      opened.kind === 'passphrase'
        ? 'write `passphrase: env:NAME` with the passphrase of the file'
        : 'export certificate and key together';
    reading.mistake(own, `cannot be opened: ${opened.reason}`, { hint });
    return null;
  }
  warnOfCertificate(new X509Certificate(opened.certificate), endpoint, own, reading);
  const { certificate, issuer } = opened;
  return { settings: { pfx, passphrase }, chain: issuer === null ? [certificate] : [certificate, issuer] };
}

function warnOfCertificate(leaf: X509Certificate, endpoint: Endpoint, path: Path, reading: Reading): void {
  const now = reading.facilities.now();
  const from = leaf.validFromDate.getTime() as Instant;
  const until = leaf.validToDate.getTime() as Instant;
  if (until < now) reading.warn(path, `the server certificate has expired on ${isoText(until)}`);
  if (from > now) reading.warn(path, `the server certificate is not valid before ${isoText(from)}`);
  if (endpoint.kind === 'host' && leaf.checkHost(endpoint.host) === undefined)
    reading.warn(path, `the server certificate is not for ${endpoint.host}`);
}
