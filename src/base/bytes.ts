/**
 * Bytes as text and as keys.
 */
import { hash } from 'node:crypto';
import type { Digest, Thumbprint } from './brand.ts';

/** SHA-256 over the parts, each preceded by its length, so that no two different lists share a digest. */
export function digestOf(...parts: readonly (Uint8Array | string)[]): Digest {
  const framed = parts.flatMap((part) => {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return [length, bytes];
  });
  return hash('sha256', Buffer.concat(framed), 'hex') as Digest;
}

/** The Windows thumbprint: SHA-1 over the DER of a whole certificate. */
export function thumbprintOf(der: Uint8Array): Thumbprint {
  return hash('sha1', der, 'hex') as Thumbprint;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
