/**
 * What a binding shows: certificate chain and key from files, or a PKCS#12, tried out before they are needed. A certificate that has expired is a warning, because Windows serves it too.
 */
import { X509Certificate } from 'node:crypto';
import { isoText } from '../base/clock.ts';
import type { Instant } from '../base/brand.ts';
import type { BindingSettings, Endpoint } from '../tls/binding.ts';
import { openPfx } from '../tls/pfx.ts';
import { readKeyBytes, readKeyPair } from './key-pair.ts';
import type { Reading } from './reading.ts';
import { readSecret, type Reference } from './references.ts';
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
  key: Reference,
  { passphrase }: Written,
  endpoint: Endpoint,
  path: Path,
  reading: Reading,
): Promise<ShownCertificate | null> {
  const at = (reference: Reference, name: string) => ({ reference, path: [...path, name] });
  const opens = passphrase && at(passphrase, 'passphrase');
  const pair = await readKeyPair(at(cert, 'cert'), at(key, 'key'), opens, 'server certificate', reading);
  if (pair === null) return null;
  const [leaf] = pair.chain;
  if (leaf !== undefined) warnOfCertificate(leaf, endpoint, [...path, 'cert'], reading);
  return { settings: { cert: pair.cert, key: pair.key }, chain: pair.chain.map(({ raw }) => raw) };
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
