/**
 * What a list looks like on disk: a head that says where it came from and what the octets after it must be, then the list as fetched.
 * Reading decides only whether the file is what was written; whether the list is believed is decided by its signature, each time.
 *
 *     "DSMCRL1\n"   length of the head, 4 octets, big-endian   head, JSON in UTF-8   the list
 */
import type { FileHandle } from 'node:fs/promises';
import type { Digest, Instant } from '../base/brand.ts';
import type { Validators } from './revocation-contract.ts';

/** A list with what has to be remembered of its retrieval. */
export interface KeptCrl {
  readonly source: string;
  readonly fetchedAt: Instant;
  readonly validators: Validators;
  /** SHA-256 of `der`. */
  readonly digest: Digest;
  readonly der: Buffer;
}

export type ReadCrl =
  { readonly kind: 'read'; readonly kept: KeptCrl } | { readonly kind: 'damaged'; readonly reason: string };

const magic = Buffer.from('DSMCRL1\n', 'latin1');
const prefixLength = magic.length + 4;
/** Octets; URLs and entity tags are short. */
const maximumHead = 65_536;
/** Octets of one write or read, so that a large list does not keep a thread of the pool to itself. */
const chunk = 4 * 1024 * 1024;

/** @throws what the file system says */
export async function writeCrlFile(file: FileHandle, { der, ...head }: KeptCrl): Promise<void> {
  const json = Buffer.from(JSON.stringify({ ...head, length: der.length }), 'utf8');
  const prefix = Buffer.alloc(prefixLength);
  magic.copy(prefix);
  prefix.writeUInt32BE(json.length, magic.length);
  await writeAll(file, Buffer.concat([prefix, json]));
  await writeAll(file, der);
}

/**
 * The list goes into shared memory, so that the thread that examines it needs no copy. Its digest is not compared here.
 * @throws what the file system says
 */
export async function readCrlFile(file: FileHandle, maximumBytes: number): Promise<ReadCrl> {
  const prefix = Buffer.alloc(prefixLength);
  if (!(await readAll(file, prefix, 0)) || !prefix.subarray(0, magic.length).equals(magic))
    return damaged('it does not begin as a kept list does');
  const headLength = prefix.readUInt32BE(magic.length);
  if (headLength > maximumHead) return damaged(`its head has ${headLength} octets`);
  const json = Buffer.alloc(headLength);
  if (!(await readAll(file, json, prefixLength))) return damaged('its head is cut off');
  const head = parseHead(json.toString('utf8'));
  if (head === null) return damaged('its head cannot be read');
  const { length, ...facts } = head;
  if (length > maximumBytes) return damaged(`the list has ${length} octets, ${maximumBytes} are allowed`);
  const start = prefixLength + headLength;
  const { size } = await file.stat();
  if (size !== start + length) return damaged(`it has ${size} octets in place of ${start + length}`);
  const der = Buffer.from(new SharedArrayBuffer(length));
  if (!(await readAll(file, der, start))) return damaged('the list is cut off');
  return { kind: 'read', kept: { ...facts, der } };
}

function damaged(reason: string): ReadCrl {
  return { kind: 'damaged', reason };
}

function parseHead(text: string): (Omit<KeptCrl, 'der'> & { readonly length: number }) | null {
  const head = parseJson(text);
  if (typeof head !== 'object' || head === null) return null;
  const { source, fetchedAt, digest, length, validators } = head as Readonly<Record<string, unknown>>;
  if (typeof source !== 'string' || !isCount(fetchedAt) || !isCount(length)) return null;
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest)) return null;
  if (typeof validators !== 'object' || validators === null) return null;
  const { etag, lastModified } = validators as Readonly<Record<string, unknown>>;
  if (!isTextOrNull(etag) || !isTextOrNull(lastModified)) return null;
  return {
    source,
    fetchedAt: fetchedAt as Instant,
    validators: { etag, lastModified },
    digest: digest as Digest,
    length,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await file.write(bytes, at, Math.min(chunk, bytes.length - at))).bytesWritten;
}

/** False when the file ends before `bytes` is full. */
async function readAll(file: FileHandle, bytes: Buffer, position: number): Promise<boolean> {
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await file.read(bytes, at, Math.min(chunk, bytes.length - at), position + at);
    if (bytesRead === 0) return false;
    at += bytesRead;
  }
  return true;
}
