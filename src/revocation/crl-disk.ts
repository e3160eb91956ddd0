/**
 * The folder in which lists outlive a restart, one file for each source. Decides how a file is replaced so that a crash at any moment
 * leaves the old one or the new one whole, and what becomes of files that are neither. Nothing here is ever fatal: a list that cannot be
 * kept is used from memory. What is read has yet to be verified, like anything that was fetched.
 *
 * A folder belongs to one store: leftovers in it are removed as nobody else's.
 */
import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, reasonOf } from '../base/failure.ts';
import { type KeptCrl, readCrlFile, writeCrlFile } from './crl-file.ts';

export interface CrlDisk {
  /** What is kept of a source; null: nothing, or nothing usable. Never rejects. */
  read(source: string): Promise<KeptCrl | null>;
  /** All that is kept, one after the other. */
  readAll(): AsyncIterable<KeptCrl>;
  /** Soon, in the background; what was to be written for the same source before is left out. */
  write(kept: KeptCrl): void;
  remove(source: string): void;
  /** Takes a file out of use: its octets are not those that were written, or not a list. */
  setAside(source: string, reason: string): Promise<void>;
  /** Resolves when all is written. */
  close(): Promise<void>;
}

export interface CrlDiskSettings {
  readonly directory: string;
  /** Octets of a list; larger ones are not read. */
  readonly maximumBytes: number;
  /** For commands beside a gateway that owns the folder: only looks. */
  readonly readOnly: boolean;
  /** Called when a list is safe on disk. */
  readonly onKept: (source: string) => void;
  /** @param source null: the folder as a whole */
  readonly onProblem: (source: string | null, detail: string) => void;
}

/** Files that `readAll` reads; the store keeps no more sources. */
export const maximumFiles = 1000;

export function openCrlDisk({ directory, maximumBytes, readOnly, onKept, onProblem }: CrlDiskSettings): CrlDisk {
  /** What is still to be done for each source; null: its file goes. */
  const pending = new Map<string, KeptCrl | null>();
  let draining: Promise<void> | null = null;
  let prepared: Promise<boolean> | null = null;
  const pathOf = (source: string) => join(directory, `${nameOf(source)}.crl`);

  /** Makes the folder and clears leftovers, once. False when there is no folder to work with. */
  function prepare(): Promise<boolean> {
    return (prepared ??= prepareFolder());
  }

  async function prepareFolder(): Promise<boolean> {
    if (readOnly) return true;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      for (const name of await readdir(directory))
        if (/^[0-9a-f]{64}\.(?:tmp|damaged)$/.test(name)) await unlink(join(directory, name));
      return true;
    } catch (error) {
      onProblem(null, `the folder ${directory} cannot be used: ${reasonOf(error)}`);
      // Somebody may repair it meanwhile.
      prepared = null;
      return false;
    }
  }

  async function readOne(path: string, expected: string | null): Promise<KeptCrl | null> {
    try {
      await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      const read = await readCrlFile(file, maximumBytes);
      const reason =
        read.kind === 'damaged'
          ? read.reason
          : path !== pathOf(read.kept.source)
            ? 'its name belongs to another source'
            : null;
      if (read.kind === 'read' && reason === null) return read.kept;
      await moveAside(path, expected, reason ?? '');
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') onProblem(expected, `${path} cannot be read: ${reasonOf(error)}`);
    }
    return null;
  }

  async function moveAside(path: string, source: string | null, reason: string): Promise<void> {
    const aside = path.replace(/\.crl$/, '.damaged');
    if (readOnly) return onProblem(source, `${path} is damaged: ${reason}`);
    try {
      await rename(path, aside);
      onProblem(source, `${path} is damaged and was set aside as ${aside} until the next start: ${reason}`);
    } catch (error) {
      onProblem(source, `${path} is damaged (${reason}) and cannot be set aside: ${reasonOf(error)}`);
    }
  }

  async function drain(): Promise<void> {
    for (const [source, kept] of pending) {
      pending.delete(source);
      if (!(await prepare())) continue;
      if (kept === null) await removeOne(source);
      else await writeOne(kept);
    }
    draining = null;
  }

  async function writeOne(kept: KeptCrl): Promise<void> {
    const path = pathOf(kept.source);
    const temporary = path.replace(/\.crl$/, '.tmp');
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await writeCrlFile(file, kept);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      await syncFolder();
      onKept(kept.source);
    } catch (error) {
      // The disk may be full: what was written so far only makes it fuller.
      await unlink(temporary).catch(() => {});
      // Somebody took the folder away: it is made anew for the next list.
      if (codeOf(error) === 'ENOENT') prepared = null;
      onProblem(kept.source, `the list of ${kept.source} is not kept on disk: ${reasonOf(error)}`);
    }
  }

  async function removeOne(source: string): Promise<void> {
    try {
      await unlink(pathOf(source));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') onProblem(source, `${pathOf(source)} cannot be removed: ${reasonOf(error)}`);
    }
  }

  /** Without this a crash of the machine may undo the rename. */
  async function syncFolder(): Promise<void> {
    await using folder = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    await folder.sync();
  }

  function plan(source: string, kept: KeptCrl | null): void {
    if (readOnly) return;
    pending.delete(source);
    pending.set(source, kept);
    draining ??= drain();
  }

  return {
    async read(source) {
      const waiting = pending.get(source);
      if (waiting !== undefined) return waiting;
      return (await prepare()) ? await readOne(pathOf(source), source) : null;
    },
    async *readAll() {
      if (!(await prepare())) return;
      const names = (await readdir(directory).catch(() => [])).filter((name) => /^[0-9a-f]{64}\.crl$/.test(name));
      if (names.length > maximumFiles)
        onProblem(null, `${directory} holds ${names.length} lists: only ${maximumFiles} of them are read`);
      for (const name of names.sort().slice(0, maximumFiles)) {
        const kept = await readOne(join(directory, name), null);
        if (kept !== null) yield kept;
      }
    },
    write: (kept) => plan(kept.source, kept),
    remove: (source) => plan(source, null),
    setAside: async (source, reason) => await moveAside(pathOf(source), source, reason),
    async close() {
      await draining;
    },
  };
}

function nameOf(source: string): string {
  return hash('sha256', source, 'hex');
}
