/**
 * Which certificates of the lab are revoked, kept in a file so that a restart does not forget it, and the number that the next list
 * gets. A certificate is known by its issuer's name in the lab and its serial, so that tests may revoke what no recipe names.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { Failure, codeOf } from '../base/failure.ts';
import type { Instant } from '../base/brand.ts';
import { crlReasons } from '../x509/crl-reason.ts';

const { removeFromCRL: _, ...reasons } = crlReasons;
/** Those for which somebody is revoked. */
export const revocationReasons = reasons;

export type RevocationReason = keyof typeof revocationReasons;

export interface RevocationEntry {
  /** Name of the issuer's recipe. */
  readonly issuer: string;
  /** Hex of the content octets, lower case. */
  readonly serial: string;
  /** ISO 8601. */
  readonly at: string;
  readonly reason: RevocationReason;
  /** False: it was revoked and is so no more, which a delta list has to say. */
  readonly revoked: boolean;
  /** Number of the first list that shows this. */
  readonly since: number;
}

export interface RevocationState {
  /** Of the lists that show what is known now; grows with every change. */
  readonly number: number;
  readonly entries: readonly RevocationEntry[];
  find(issuer: string, serial: Buffer): RevocationEntry | null;
  /** Resolves when it is on disk; lists show it at once. */
  change(what: Pick<RevocationEntry, 'issuer' | 'serial' | 'reason' | 'revoked'>, at: Instant): Promise<void>;
  /** Takes the next number without a change, for lists that are made again. Resolves when it is on disk. */
  advance(): Promise<void>;
}

/** Lists that build on no earlier one have it as their base. */
export const firstNumber = 1;

interface Stored {
  readonly number: number;
  readonly entries: readonly RevocationEntry[];
}

/** @param initial what is revoked when there is no file yet @throws Failure `lab-revocation-state` */
export async function openRevocationState(
  file: string,
  initial: readonly Omit<RevocationEntry, 'since' | 'revoked'>[],
): Promise<RevocationState> {
  let stored = (await read(file)) ?? {
    number: firstNumber + 1,
    entries: initial.map((entry) => ({ ...entry, revoked: true, since: firstNumber })),
  };
  let saved: Promise<void> = Promise.resolve();

  /** One after the other; each writes what is newest by then. A failed one is told to who asked for it alone. */
  function save(): Promise<void> {
    saved = saved.catch(() => {}).then(() => write(file, stored));
    return saved;
  }

  return {
    get number() {
      return stored.number;
    },
    get entries() {
      return stored.entries;
    },
    find: (issuer, serial) => {
      const hex = serial.toString('hex');
      return stored.entries.find((entry) => entry.issuer === issuer && entry.serial === hex) ?? null;
    },
    change(what, at) {
      const others = stored.entries.filter(({ issuer, serial }) => issuer !== what.issuer || serial !== what.serial);
      const number = stored.number + 1;
      const { issuer, serial, reason, revoked } = what;
      const entry = { issuer, serial, at: new Date(at).toISOString(), reason, revoked, since: number };
      stored = { number, entries: [...others, entry] };
      return save();
    },
    advance() {
      stored = { ...stored, number: stored.number + 1 };
      return save();
    },
  };
}

async function read(file: string): Promise<Stored | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Stored;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return null;
    const hint = 'remove it: the lab then begins with what its recipes revoke';
    throw new Failure(`cannot read ${file}`, { code: 'lab-revocation-state', hint, cause });
  }
}

/** Beside it first, so that an interrupted start finds the old one whole. */
async function write(file: string, stored: Stored): Promise<void> {
  await writeFile(`${file}.new`, `${JSON.stringify(stored, null, 2)}\n`);
  await rename(`${file}.new`, file);
}
