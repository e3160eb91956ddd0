/**
 * What stands outside the configuration file: secrets by `env:NAME` or `file:path`, certificates by `file:path` or
 * `dir:path`. A secret itself is never part of the language. Paths are relative to the configuration file.
 */
import { isAbsolute, join } from 'node:path';
import { codeOf, Failure, reasonOf } from '../base/failure.ts';
import { quoted } from './complaint.ts';
import type { Reading } from './reading.ts';
import { scalar, shown, text, type Scalar } from './scalars.ts';
import type { Path } from './source.ts';

export type Reference =
  { readonly kind: 'env'; readonly name: string } | { readonly kind: 'file' | 'dir'; readonly path: string };

/** `env:NAME` or `file:path`; the message for anything else never shows it. */
export function secretReference(name: string, file: string): Scalar<Reference> {
  const hint = `write \`env:${name}\` and set that variable, or \`file:${file}\``;
  return scalar('env:NAME or file:path', (raw) => {
    const found = typeof raw === 'string' ? parseReference(raw, ['env', 'file']) : null;
    if (found !== null) return { value: found };
    const literal = 'a secret cannot stand in this file, only a reference to it';
    return { wrong: literal, hint, hidden: true };
  });
}

export const fileReference: Scalar<Reference> = certificateReference('file:path', ['file']);
export const certificatesReference: Scalar<Reference> = certificateReference('file:path or dir:path', ['file', 'dir']);

function certificateReference(kind: string, kinds: readonly Reference['kind'][]): Scalar<Reference> {
  return text(kind, (raw) => {
    const found = parseReference(raw, kinds);
    if (found !== null) return { value: found };
    if (raw.includes('-----BEGIN'))
      return {
        wrong: 'a certificate cannot stand in this file',
        hint: `write it to a file and ${kind} here`,
        hidden: true,
      };
    const guess = /^[\w./\\-]+$/.test(raw) ? `\`file:${raw}\`` : kind;
    return { wrong: `${shown(raw)} is not ${kind}`, hint: `write ${guess}` };
  });
}

export function parseReference(raw: string, kinds: readonly Reference['kind'][]): Reference | null {
  const colon = raw.indexOf(':');
  const kind = kinds.find((known) => known === raw.slice(0, Math.max(colon, 0)));
  const rest = raw.slice(colon + 1);
  if (kind === undefined || rest === '' || /\p{Cc}/u.test(rest)) return null;
  if (kind !== 'env') return { kind, path: rest };
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(rest) ? { kind, name: rest } : null;
}

/** Secrets are short; keys are a few KiB. */
const maximumSecret = 64 * 1024;

/** The secret without one line break at its end, or null after a complaint. */
export async function readSecret(reference: Reference, path: Path, reading: Reading): Promise<string | null> {
  if (reference.kind === 'env') {
    const value = reading.facilities.env[reference.name];
    if (value !== undefined && value !== '') return value;
    const state = value === undefined ? 'is not set' : 'is empty';
    reading.mistake(path, `the environment variable ${reference.name} ${state}`, {
      hint: 'set it for the process that serves, or use file:path',
    });
    return null;
  }
  const bytes = await readReferenced(reference.path, maximumSecret, path, reading);
  if (bytes === null) return null;
  const secret = withoutLineBreak(bytes);
  if (secret !== '') return secret;
  reading.mistake(path, `${quoted(reference.path)} is empty`, { hint: 'the file holds the secret and nothing else' });
  return null;
}

/** Reads the same secret again, later; gives null while it is not there. */
export function rereadSecret(reference: Reference, { facilities, base }: Reading): () => Promise<string | null> {
  if (reference.kind === 'env') return () => Promise.resolve(facilities.env[reference.name] || null);
  const path = resolvePath(reference.path, { base });
  return async () => {
    try {
      return withoutLineBreak(await facilities.readFile(path, maximumSecret)) || null;
    } catch {
      return null;
    }
  };
}

function withoutLineBreak(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/\r?\n$/, '');
}

/** @returns the file's bytes, or null after a complaint */
export async function readReferenced(
  file: string,
  maximumBytes: number,
  path: Path,
  reading: Reading,
): Promise<Buffer | null> {
  try {
    return await reading.facilities.readFile(resolvePath(file, reading), maximumBytes);
  } catch (error) {
    reading.mistake(path, `${quoted(file)} cannot be read: ${whyUnreadable(error)}`, {
      hint: unreadableHint(file, error, reading),
      kind: 'unreadable',
    });
    return null;
  }
}

/** Names in a directory in the order of their characters, or null after a complaint. */
export async function listReferenced(
  directory: string,
  path: Path,
  reading: Reading,
): Promise<readonly string[] | null> {
  try {
    return (await reading.facilities.listDirectory(resolvePath(directory, reading))).toSorted();
  } catch (error) {
    reading.mistake(path, `${quoted(directory)} cannot be read: ${whyUnreadable(error)}`, {
      hint: unreadableHint(directory, error, reading),
      kind: 'unreadable',
    });
    return null;
  }
}

/** A path of the configuration as a path of the process. */
export function resolvePath(path: string, { base }: Pick<Reading, 'base'>): string {
  return isAbsolute(path) ? path : join(base, path);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ELOOP: 'its links lead in a circle',
};

/** Why, in our words where there are any. */
export function whyUnreadable(error: unknown): string {
  return reasons[codeOf(error) ?? ''] ?? reasonOf(error);
}

function unreadableHint(path: string, error: unknown, reading: Reading): string {
  if (error instanceof Failure) return error.hint;
  if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM')
    return 'give the account that serves the right to read it';
  if (codeOf(error) === 'EISDIR') return `write \`dir:${path}\` where a directory is allowed`;
  return isAbsolute(path)
    ? 'check the path'
    : `it is looked for as ${resolvePath(path, reading)}, relative to the configuration file`;
}
