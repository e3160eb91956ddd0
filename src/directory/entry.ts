/**
 * One directory entry, normalised: attribute names in lower case without options, values always bytes. Decides how server
 * spellings (`objectsid`, `cACertificate;binary`, `altSecurityIdentities;range=0-1499`) come together; what values
 * mean is decided by `account.ts`.
 */
import { isAscii } from 'node:buffer';

export interface EntryAttribute {
  readonly values: readonly Buffer[];
  /** Where to go on when the server gave only a part (MS-ADTS 3.1.1.3.1.3.3); null: these are all values. */
  readonly next: number | null;
}

export interface DirectoryEntry {
  readonly dn: string;
  readonly attributes: ReadonlyMap<string, EntryAttribute>;
}

/** @param raw an entry as ldapts gives it: single values, arrays, `[]` for what is missing, strings or Buffers */
export function normaliseEntry(raw: Readonly<Record<string, unknown>>): DirectoryEntry {
  const attributes = new Map<string, { values: Buffer[]; next: number | null }>();
  for (const [description, content] of Object.entries(raw)) {
    if (description === 'dn' && typeof content === 'string') continue;
    const values = (Array.isArray(content) ? content : [content]).map(bytesOf).filter((value) => value !== null);
    const { name, next } = parseDescription(description);
    if (values.length === 0 && next === null) continue;
    const known = attributes.get(name);
    if (known === undefined) attributes.set(name, { values, next });
    else {
      known.values.push(...values);
      known.next ??= next;
    }
  }
  return { dn: typeof raw['dn'] === 'string' ? raw['dn'] : '', attributes };
}

/** All values, in any spelling of the name; empty when the server sent none. */
export function valuesOf(entry: DirectoryEntry, attribute: string): readonly Buffer[] {
  return entry.attributes.get(attribute.toLowerCase())?.values ?? [];
}

/** Null when the bytes are not UTF-8; a byte order mark is kept. */
export function textOf(value: Buffer): string | null {
  // Nearly all values are ASCII, and this is done for each of them: a decoder takes five times as long.
  if (isAscii(value)) return value.toString('latin1');
  try {
    return utf8.decode(value);
  } catch {
    return null;
  }
}

/** The text of an attribute of one value; null where there is none, or it is no text. */
export function firstText(entry: DirectoryEntry, attribute: string): string | null {
  const [value] = valuesOf(entry, attribute);
  return value === undefined ? null : textOf(value);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function bytesOf(value: unknown): Buffer | null {
  if (Buffer.isBuffer(value)) return value;
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : null;
}

function parseDescription(description: string): { name: string; next: number | null } {
  const [name = '', ...options] = description.toLowerCase().split(';');
  const range = options.map((option) => /^range=\d+-(\d+)$/.exec(option)?.[1]).find((end) => end !== undefined);
  return { name, next: range === undefined ? null : Number(range) + 1 };
}
