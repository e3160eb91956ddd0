/**
 * Revocation data from a file that the configuration names. Decides that it is a regular file, whole and unchanged while it was read; whoever
 * replaces it does so by renaming a new one into its place.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { codeOf, reasonOf } from '../base/failure.ts';
import { readCrl } from '../x509/pem.ts';
import { RetrievalError, type Fetched, type Retrieval } from './retrieval.ts';
import type { FetchOptions } from './revocation-contract.ts';
import { createSharedBytes } from './shared-bytes.ts';

const piece = 1024 * 1024;

/** @throws RetrievalError */
export async function fetchFile(
  path: string,
  { maximumBytes, validators }: FetchOptions,
  { signal }: Retrieval,
): Promise<Fetched> {
  // A pipe would keep us waiting for somebody who writes into it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw new RetrievalError(codeOf(error) === 'ENOENT' ? 'notFound' : 'unreachable', reasonOf(error));
  });
  try {
    const etag = await stateOf(file, path);
    if (validators?.etag === etag) return { kind: 'notModified' };
    const bytes = withoutPem(await contentOf(file, path, maximumBytes, signal));
    if ((await stateOf(file, path)) !== etag) throw new RetrievalError('cutOff', `${path} changed while it was read`);
    return { kind: 'fetched', bytes, from: path, validators: { etag, lastModified: null }, maximumAge: null };
  } finally {
    await file.close();
  }
}

async function contentOf(file: FileHandle, path: string, maximum: number, signal: AbortSignal): Promise<Buffer> {
  const bytes = createSharedBytes(maximum);
  const chunk = Buffer.alloc(piece);
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(chunk, 0, piece, null);
    if (bytesRead === 0) return bytes.finish();
    if (!bytes.add(chunk.subarray(0, bytesRead)))
      throw new RetrievalError('tooLarge', `${path} has more than ${maximum} octets`);
  }
}

/** `openssl ca -gencrl` writes PEM, and people name that file. What is neither is for the parser to refuse. */
function withoutPem(bytes: Buffer): Buffer {
  const read = readCrl(bytes);
  if (read.kind === 'malformed' || read.der === bytes) return bytes;
  const shared = createSharedBytes(read.der.length);
  shared.add(read.der);
  return shared.finish();
}

/** Stands for an ETag: another file, or another content, has another. */
async function stateOf(file: FileHandle, path: string): Promise<string> {
  const facts = await file.stat({ bigint: true });
  if (!facts.isFile()) throw new RetrievalError('unreachable', `${path} is not a regular file`);
  return `"${facts.ino}-${facts.size}-${facts.mtimeNs}-${facts.ctimeNs}"`;
}
