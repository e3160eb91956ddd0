/**
 * One part of the source against its schema: the typed value, or complaints in our own words. A user never sees a
 * message of zod.
 */
import type { z } from 'zod';
import { emptyOrNull } from './keys.ts';
import { keysAt, languageEntries } from './language-map.ts';
import { pathText, type Reading } from './reading.ts';
import { shown, wrongOf } from './scalars.ts';
import type { Path } from './source.ts';
import { nearest } from './suggestion.ts';

/** @returns null after at least one complaint */
export function readSection<S extends z.ZodType>(schema: S, path: Path, reading: Reading): z.output<S> | null {
  const result = schema.safeParse(reading.source.at(path));
  if (result.success) return result.data;
  const { issues } = result.error;
  const meant = new Set(issues.flatMap((issue) => meantBy(issue, schema)));
  for (const issue of issues) {
    const missing = reading.source.at([...path, ...(issue.path as Path)]) === undefined;
    if (!(missing && meant.has(pathText(issue.path as Path)))) complainOf(issue, schema, path, reading);
  }
  return null;
}

/** The elements of a list one by one, so that one broken element does not hide what is wrong with the others. */
export function readElements<S extends z.ZodType>(
  element: S,
  list: z.ZodType,
  path: Path,
  reading: Reading,
): readonly (z.output<S> | null)[] {
  const written = reading.source.at(path);
  if (Array.isArray(written) && written.length > 0)
    return written.map((_, index) => readSection(element, [...path, index], reading));
  readSection(list, path, reading);
  return [];
}

/** Keys that are missing because they are misspelt: of those only the spelling is complained of. */
function meantBy(issue: z.core.$ZodIssue, schema: z.ZodType): readonly string[] {
  if (issue.code !== 'unrecognized_keys') return [];
  const inside = issue.path as Path;
  const known = keysAt(schema, inside) ?? [];
  return issue.keys.flatMap((key) => {
    const guess = nearest(key, known);
    return guess === null ? [] : [pathText([...inside, guess])];
  });
}

function complainOf(issue: z.core.$ZodIssue, schema: z.ZodType, base: Path, reading: Reading): void {
  const inside = issue.path as (string | number)[];
  const path = [...base, ...inside];
  const raw = reading.source.at(path);
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) unknownKey(key, keysAt(schema, inside) ?? [], path, reading);
  } else if (issue.code === 'invalid_type') {
    wrongShape(raw, issue.expected === 'array', keysAt(schema, inside), path, reading);
  } else if (issue.code === 'too_small') {
    reading.mistake(path, 'the list is empty', {
      hint: issue.message === emptyOrNull ? emptyOrNull : 'it needs at least one entry',
    });
  } else {
    const { wrong, hint, hidden = false } = wrongOf(issue);
    reading.mistake(path, wrong, { hint, on: hidden ? 'key' : 'value' });
  }
}

function wrongShape(raw: unknown, list: boolean, keys: readonly string[] | null, path: Path, reading: Reading): void {
  const hint = list
    ? listHint(raw)
    : keys === null
      ? 'write `key: value` lines'
      : `the keys here are ${keys.join(', ')}`;
  if (raw === undefined) reading.mistake(path, 'is missing', { hint: list ? 'it must be a list' : hint });
  else if (raw === null) reading.mistake(path, 'has no value', { hint });
  else reading.mistake(path, `${shown(raw)} is not a ${list ? 'list' : 'group of settings'}`, { hint });
}

/** Also called for the whole file, whose keys are no section. @returns the key that was meant, if one is near enough */
export function unknownKey(key: string, known: readonly string[], path: Path, reading: Reading): string | null {
  const guess = nearest(key, known);
  const here = `the keys here are ${known.join(', ')}`;
  const place = elsewhere(key);
  // A long list would hide the place.
  const others = place === null ? here : known.length > 6 ? place : `${place}; ${here}`;
  const hint = guess === null ? others : `did you mean \`${guess}\`?`;
  reading.mistake([...path, key], 'unknown key', { hint, on: 'key' });
  return guess;
}

function elsewhere(key: string): string | null {
  const places = languageEntries().filter((entry) => entry.key.toLowerCase() === key.toLowerCase());
  if (places.length === 0) return null;
  return `that key exists as ${places
    .map(({ path }) => `\`${path}\``)
    .slice(0, 3)
    .join(' and ')}`;
}

/** `Ssl,SslNegotiateCert` is how IIS writes a list. */
function listHint(raw: unknown): string {
  const words = typeof raw === 'string' ? raw.split(',').map((word) => word.trim()) : [];
  const plain = words.length > 0 && words.every((word) => /^[A-Za-z][\w.:/\\@-]*$/.test(word));
  return plain ? `write \`[${words.join(', ')}]\`` : 'write one entry a line, each after a hyphen';
}
