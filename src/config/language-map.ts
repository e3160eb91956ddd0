/**
 * The configuration language as a list of its keys, taken from the schema itself: for the reference in the documentation and for
 * "that key belongs elsewhere".
 */
import { z } from 'zod';
import { kindOf } from './scalars.ts';
import { language } from './schema.ts';
import type { Path } from './source.ts';

export interface LanguageEntry {
  /** `bindings[].certificate.cert`; `*` stands for a name that the user chooses. */
  readonly path: string;
  readonly key: string;
  /** What may be written: completes "must be ...". */
  readonly kind: string;
  /** As it would be written; null where there is none. */
  readonly fallback: string | null;
  readonly required: boolean;
  readonly description: string;
}

/** Every key, in the order of the schema. */
export function languageEntries(): readonly LanguageEntry[] {
  return (entries ??= Object.entries(language).flatMap(([key, type]) => entriesOf(key, key, type)));
}

let entries: readonly LanguageEntry[] | null = null;

/** The keys that a group of settings may have; null where the path leads to none. */
export function keysAt(schema: z.core.$ZodType, path: Path): readonly string[] | null {
  let type = bare(schema).type;
  for (const part of path) {
    if (type instanceof z.ZodObject) type = bare((type.shape as z.ZodRawShape)[String(part)] ?? z.never()).type;
    else if (type instanceof z.ZodArray) type = bare(type.element).type;
    else if (type instanceof z.ZodRecord) type = bare(type.valueType).type;
    else return null;
  }
  return type instanceof z.ZodObject ? Object.keys(type.shape) : null;
}

interface Bare {
  readonly type: z.core.$ZodType;
  readonly kind: string | null;
  readonly required: boolean;
  readonly nullable: boolean;
  readonly fallback: unknown;
}

/** What is inside optional, prefault and nullable. */
function bare(schema: z.core.$ZodType): Bare {
  if (schema instanceof z.ZodOptional) return { ...bare(schema.unwrap()), required: false };
  if (schema instanceof z.ZodPrefault) {
    return { ...bare(schema.unwrap()), required: false, fallback: schema.def.defaultValue };
  }
  if (schema instanceof z.ZodNullable) return { ...bare(schema.unwrap()), nullable: true };
  return { type: schema, kind: kindOf(schema), required: true, nullable: false, fallback: undefined };
}

function entriesOf(path: string, key: string, schema: z.core.$ZodType): readonly LanguageEntry[] {
  const { type, kind, required, nullable, fallback } = bare(schema);
  const description = descriptionOf(schema);
  const own = { path, key, required, description };
  if (type instanceof z.ZodObject) {
    const shape = Object.entries(type.shape);
    const inner = shape.flatMap(([name, child]) => entriesOf(`${path}.${name}`, name, child));
    return [{ ...own, kind: 'a group of settings', fallback: null }, ...inner];
  }
  if (type instanceof z.ZodRecord) {
    return [{ ...own, kind: 'a map', fallback: null }, ...innerOf(entriesOf(`${path}.*`, key, type.valueType))];
  }
  if (type instanceof z.ZodArray) {
    const [first, ...rest] = entriesOf(`${path}[]`, key, type.element);
    const kinds = `a list: each ${first?.kind ?? 'a value'}`;
    const list = {
      ...own,
      kind: nullable ? `${kinds}; or null` : kinds,
      fallback: fallbackText(fallback),
    };
    return [list, ...rest];
  }
  return [{ ...own, kind: kind ?? 'a value', fallback: fallbackText(fallback) }];
}

function innerOf([, ...rest]: readonly LanguageEntry[]): readonly LanguageEntry[] {
  return rest;
}

/** The description may stand on the wrapping or on what is wrapped. */
function descriptionOf(schema: z.core.$ZodType): string {
  const own = schema instanceof z.ZodType ? schema.description : undefined;
  if (own !== undefined) return own;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) return descriptionOf(schema.unwrap());
  return '';
}

function fallbackText(fallback: unknown): string | null {
  if (fallback === undefined) return null;
  if (Array.isArray(fallback)) return `[${fallback.join(', ')}]`;
  return typeof fallback === 'string' ? fallback : JSON.stringify(fallback);
}
