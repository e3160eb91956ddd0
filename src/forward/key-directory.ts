/**
 * Keys in a directory, which several gateways may share. Decides which files are believed: plain ones that nobody else can read, in a directory that
 * nobody else can write, exactly as they were written. Anything else is a failure that names the file; nothing is ever replaced or repaired.
 *
 * A file is written under another name and then linked to its own: link(2) fails where the name is taken, so that of gateways that start at once
 * one makes the key and the others take it, without a lock that somebody could leave behind.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { codeOf, Failure, reasonOf } from '../base/failure.ts';
import { algorithmOf, keyFileText, parseKeyFile } from './key-file.ts';
import { placeOf, type KeyStore } from './key-store.ts';
import type { SigningAlgorithm, SigningKey } from './signing-key.ts';

/** Makes the directory where there is none, with mode 0700. Other files in it are nobody's business here. */
export function openKeyDirectory(directory: string, clock: Pick<Clock, 'now'>): KeyStore {
  const pathOf = (key: Pick<SigningKey, 'algorithm' | 'number'>) => join(directory, `${placeOf(key)}.pem`);
  return {
    read() {
      prepare(directory);
      const names = attempt(`the directory ${directory} cannot be read`, () => readdirSync(directory));
      removeLeftovers(directory, names, clock);
      const places = names.flatMap((name) => placeNamed(name) ?? []);
      if (places.length > maximumKeys)
        throw failure(`${directory} holds ${places.length} keys; there can be ${maximumKeys}`);
      return places.flatMap((place) => readKey(pathOf(place), place) ?? []);
    },
    add(key) {
      prepare(directory);
      return attempt(`a new key cannot be written to ${directory}`, () => {
        const temporary = join(directory, `.${randomBytes(8).toString('hex')}.tmp`);
        try {
          writeWhole(temporary, keyFileText(key));
          linkSync(temporary, pathOf(key));
        } catch (error) {
          if (codeOf(error) === 'EEXIST') return false;
          throw error;
        } finally {
          rmSync(temporary, { force: true });
        }
        sync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
        return true;
      });
    },
    remove(key) {
      attempt(`${pathOf(key)} cannot be removed`, () => rmSync(pathOf(key), { force: true }));
    },
  };
}

/** Between two rotations there are two or three of each algorithm. */
const maximumKeys = 100;
/** Octets; a key with its dates has less than 500. */
const maximumFile = 4096;
/** Milliseconds after which a file that was never given its name belongs to a process that died. */
const leftoverAge = 3_600_000;

function placeNamed(name: string): { readonly algorithm: SigningAlgorithm; readonly number: number } | null {
  const [, word = '', digits = ''] = /^(\w+)-(\d{6,9})\.pem$/.exec(name) ?? [];
  const algorithm = algorithmOf(word);
  const place = algorithm === null ? null : { algorithm, number: Number(digits) };
  return place !== null && place.number > 0 && `${placeOf(place)}.pem` === name ? place : null;
}

function prepare(directory: string): void {
  const facts = attempt(`the directory ${directory} cannot be used`, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return statSync(directory);
  });
  refuseForeign(directory, facts, 0o022, 'can be written by others', 'chmod go-w it, or name a directory below it');
}

/** Null: another gateway removed it meanwhile. */
function readKey(path: string, place: Pick<SigningKey, 'algorithm' | 'number'>): SigningKey | null {
  const text = attempt(`${path} cannot be read`, () => {
    const file = openIfThere(path);
    if (file === null) return null;
    try {
      const facts = fstatSync(file);
      if (!facts.isFile()) throw failure(`${path} is not a plain file`);
      refuseForeign(
        path,
        facts,
        0o077,
        'can be used by others',
        'others may have read it: delete it, and a new key is made',
      );
      if (facts.size > maximumFile) throw failure(`${path} is larger than a key`);
      const buffer = Buffer.alloc(maximumFile);
      return buffer.toString('latin1', 0, readSync(file, buffer));
    } finally {
      closeSync(file);
    }
  });
  if (text === null) return null;
  const read = parseKeyFile(text, place);
  if (read.kind === 'read') return read.key;
  throw failure(`${path} is not a key: ${read.reason}`);
}

/** Neither follows a link nor waits for the other end of a pipe. */
function openIfThere(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    if (codeOf(error) === 'ELOOP') throw failure(`${path} is a symbolic link`);
    throw error;
  }
}

/** Windows has no such modes. */
function refuseForeign(path: string, facts: Stats, bits: number, what: string, hint: string): void {
  const self = process.geteuid?.();
  if (self === undefined) return;
  if ((facts.mode & bits) !== 0) throw failure(`${path} ${what} (mode ${(facts.mode & 0o777).toString(8)})`, hint);
  if (facts.uid !== self && facts.uid !== 0) throw failure(`${path} belongs to another user (uid ${facts.uid})`);
}

function writeWhole(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    const octets = Buffer.from(text);
    if (writeSync(file, octets) !== octets.length) throw new Error('the disk took only a part of it');
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Without this a crash of the machine may undo the link. */
function sync(path: string, flags: number): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function removeLeftovers(directory: string, names: readonly string[], clock: Pick<Clock, 'now'>): void {
  for (const name of names.filter((name) => /^\.[0-9a-f]{16}\.tmp$/.test(name))) {
    const path = join(directory, name);
    const facts = lstatSync(path, { throwIfNoEntry: false });
    if (facts !== undefined && facts.mtimeMs < clock.now() - leftoverAge) rmSync(path, { force: true });
  }
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw failure(`${what}: ${reasonOf(error)}`, 'check the path and the rights of the account that serves', error);
  }
}

const moveAway = 'move it away or delete it; a key that signed is then no longer published';

function failure(text: string, hint = moveAway, cause?: unknown): Failure {
  return new Failure(text, { code: 'assertion-keys', hint, cause });
}
