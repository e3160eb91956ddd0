/**
 * A certificate chain and its private key from files, tried out before they are needed: a key that does not fit, or a chain in the
 * wrong order, is a mistake. What they are shown to, and whether they fit it, is not asked.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { reasonOf } from '../base/failure.ts';
import { pemText } from '../x509/pem.ts';
import { brokenBlock, readCertificateBlocks } from './certificates.ts';
import type { Reading } from './reading.ts';
import { readReferenced, readSecret, type Reference } from './references.ts';
import type { Path } from './source.ts';

/** A reference and where it stands. */
export interface Placed {
  readonly reference: Reference;
  readonly path: Path;
}

export interface KeyPair {
  /** Leaf first; at least one. */
  readonly chain: readonly X509Certificate[];
  /** The chain as PEM. */
  readonly cert: string;
  /** PKCS#8 PEM, not encrypted. */
  readonly key: string;
}

/**
 * @param passphrase null: the key is not encrypted, and nothing beside it could open it
 * @param whose `server certificate`
 * @returns null after a complaint
 */
export async function readKeyPair(
  cert: Placed,
  key: Placed,
  passphrase: Placed | null | undefined,
  whose: string,
  reading: Reading,
): Promise<KeyPair | null> {
  const before = reading.mistakes.length;
  const chain = await readChain(cert, reading);
  const opened = await readKey(key, passphrase, reading);
  if (opened === null || reading.mistakes.length > before) return null;
  const matching = chain.findIndex((certificate) => certificate.checkPrivateKey(opened));
  if (matching === 0)
    return {
      chain,
      cert: chain.map((certificate) => pemText(certificate.raw)).join(''),
      key: opened.export({ type: 'pkcs8', format: 'pem' }),
    };
  const text =
    matching < 0 ? 'does not belong to the certificate' : `belongs to certificate ${matching + 1} of ${chain.length}`;
  const hint =
    matching < 0 ? 'the two files come from different requests' : `put the ${whose} first, its intermediates below`;
  reading.mistake(key.path, `the key ${text}`, { hint });
  return null;
}

/** Empty after a complaint. */
async function readChain({ reference, path }: Placed, reading: Reading): Promise<readonly X509Certificate[]> {
  const chain: X509Certificate[] = [];
  for (const block of await readCertificateBlocks(reference, path, reading)) {
    try {
      chain.push(new X509Certificate(block.der));
    } catch (error) {
      brokenBlock(block, reasonOf(error), reading);
    }
  }
  return chain;
}

async function readKey(
  { reference, path }: Placed,
  passphrase: Placed | null | undefined,
  reading: Reading,
): Promise<KeyObject | null> {
  const bytes = await readKeyBytes(reference, path, reading);
  const secret = passphrase ? await readSecret(passphrase.reference, passphrase.path, reading) : null;
  if (bytes === null || (passphrase && secret === null)) return null;
  const key = importKey(bytes, secret);
  if (key !== null) return key;
  if (!bytes.includes('ENCRYPTED'))
    reading.mistake(path, 'the file is not a private key', {
      hint: 'PEM (-----BEGIN PRIVATE KEY-----) or DER is needed',
    });
  else if (passphrase === null)
    reading.mistake(path, 'the key is encrypted', {
      hint: 'decrypt it with `openssl pkey`, and keep the file from others',
    });
  else if (secret === null)
    reading.mistake(path, 'the key is encrypted', { hint: 'write `passphrase: env:NAME` beside it' });
  else reading.mistake(passphrase?.path ?? path, 'does not open the key', { hint: 'it is that of another key' });
  return null;
}

export async function readKeyBytes(reference: Reference, path: Path, reading: Reading): Promise<Buffer | null> {
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
