/**
 * The simple kinds of values that the configuration language has: how each is written, what it becomes, and the sentence
 * for what is neither. Names and addresses are in `addresses.ts`; which key has which kind is `schema.ts`.
 */
import { z } from 'zod';
import type { Millis } from '../base/brand.ts';
import { durationText, parseDuration } from '../base/duration.ts';
import { quoted } from './complaint.ts';
import { nearest } from './suggestion.ts';

export type Scalar<T> = z.ZodType<T>;

/** Why a value is not one of its kind. */
export interface Wrong {
  readonly wrong: string;
  readonly hint: string | null;
  /** Point at the key, because the value must not be shown. */
  readonly hidden?: boolean;
}

export type Read<T> = { readonly value: T } | Wrong;

/**
 * @param kind completes "must be ..." in messages and in the reference of the language
 * @param read is never given undefined: that a key is missing is said here
 */
export function scalar<T>(kind: string, read: (raw: unknown) => Read<T>): Scalar<T> {
  const schema = z.unknown().transform((raw, context): T => {
    const result = raw === undefined ? { wrong: 'is missing', hint: `it must be ${kind}` } : read(raw);
    if ('value' in result) return result.value;
    const { hint, hidden = false } = result;
    const wrong = raw === null && kind !== unavailableKind ? 'has no value' : result.wrong;
    context.issues.push({ code: 'custom', message: wrong, input: raw, params: { hint, hidden } });
    return z.NEVER;
  });
  kinds.add(schema, { kind });
  return schema;
}

/** What kind of value a schema made here reads; null for others. */
export function kindOf(schema: z.core.$ZodType): string | null {
  return kinds.get(schema)?.kind ?? null;
}

const unavailableKind = 'left out';
/** A registry of zod also knows the copies that `describe` makes. */
const kinds = z.registry<{ kind: string }>();

/** One line of text that is not empty. */
export function text<T = string>(kind: string, read: (text: string) => Read<T>): Scalar<T> {
  return scalar(kind, (raw) => {
    if (typeof raw !== 'string') {
      const quotes = typeof raw === 'number' || typeof raw === 'boolean';
      return { wrong: `${shown(raw)} is not text`, hint: quotes ? `put it in quotes: "${raw}"` : `it must be ${kind}` };
    }
    if (raw.trim() === '') return { wrong: 'is empty', hint: `it must be ${kind}` };
    if (/\p{Cc}/u.test(raw)) return { wrong: `${quoted(raw)} has line breaks or control characters`, hint: null };
    return read(raw);
  });
}

export const flag: Scalar<boolean> = scalar('true or false', (raw) =>
  typeof raw === 'boolean'
    ? { value: raw }
    : { wrong: `${shown(raw)} is neither true nor false`, hint: 'write `true` or `false`, without quotes' },
);

/** `enabled` or `disabled`, as netsh says it. */
export const usage: Scalar<boolean> = scalar('enabled or disabled', (raw) => {
  if (raw === 'enabled' || raw === 'disabled') return { value: raw === 'enabled' };
  const guess = typeof raw === 'boolean' ? (raw ? 'enabled' : 'disabled') : guessOf(raw, ['enabled', 'disabled']);
  return {
    wrong: `${shown(raw)} is neither enabled nor disabled`,
    hint: guess === null ? 'write `enabled` or `disabled`' : `did you mean \`${guess}\`?`,
  };
});

/**
 * One of a few words or numbers.
 * @param reasons words of the language that this version refuses, each with the reason
 */
export function choice<const T extends string | number>(
  words: readonly T[],
  reasons: Readonly<Record<string, string>> = {},
): Scalar<T> {
  const kind = words.length === 1 ? String(words[0]) : `one of ${words.join(', ')}`;
  return scalar(kind, (raw) => {
    const found = words.find((word) => word === raw);
    if (found !== undefined) return { value: found };
    const reason = typeof raw === 'string' && Object.hasOwn(reasons, raw) ? reasons[raw] : undefined;
    if (reason !== undefined)
      return { wrong: `${quoted(raw)} is not available: ${reason}`, hint: `it must be ${kind}` };
    const guess = guessOf(raw, words.map(String));
    const hint = guess === null ? `it must be ${kind}` : `did you mean \`${guess}\`?`;
    return { wrong: `${shown(raw)} is not ${kind}`, hint };
  });
}

/** Something the language knows and this version refuses: better than to accept it and do nothing. */
export function unavailable(reason: string, hint: string): Scalar<undefined> {
  return scalar<undefined>(unavailableKind, () => ({ wrong: `is not available: ${reason}`, hint }));
}

/** What a timer of Node can hold: beyond 2^31 - 1 milliseconds it fires at once. */
const longestTimer = 24 * 86_400_000;

/**
 * @param least milliseconds
 * @param most milliseconds; by default what a timer can wait for
 */
export function duration(least = 0, most: number = longestTimer): Scalar<Millis> {
  const bound = least === 0 ? '' : ` of at least ${durationText(least)}`;
  return scalar(`a duration${bound} such as 15s, 10m or 1h30m`, (raw) => {
    const parsed = typeof raw === 'string' ? parseDuration(raw) : null;
    if (parsed === null) {
      // Numbers of a thousand and more come from where milliseconds are meant, netsh for one.
      const units = typeof raw === 'number' && raw >= 1000 ? ['ms', 's'] : ['s', 'm'];
      const unit = typeof raw === 'number' && raw >= 0 ? `add a unit: \`${raw}${units.join(`\` or \`${raw}`)}\`` : null;
      return { wrong: `${shown(raw)} is not a duration`, hint: unit ?? 'write it with units: 250ms, 15s, 10m, 1h30m' };
    }
    if (parsed < least)
      return { wrong: `${quoted(raw)} is too short`, hint: `it must be at least ${durationText(least)}` };
    if (parsed > most) return { wrong: `${quoted(raw)} is too long`, hint: `it must be at most ${durationText(most)}` };
    return { value: parsed };
  });
}

/** Windows reads 0 as its own default; here it would be no time at all. */
export const retrievalTimeout: Scalar<Millis> = scalar('a duration such as 15s', (raw) => {
  if (raw === '0s' || raw === 0)
    return { wrong: `${shown(raw)} leaves no time`, hint: 'leave it out for 15s, which is what 0 means to Windows' };
  const result = duration(100).safeParse(raw);
  return result.success ? { value: result.data } : wrongOf(result.error.issues[0]);
});

export function count(least: number, most: number): Scalar<number> {
  const range = `between ${least} and ${most}`;
  return scalar(`a whole number ${range}`, (raw) => {
    if (typeof raw !== 'number' || !Number.isInteger(raw))
      return { wrong: `${shown(raw)} is not a whole number`, hint: `it must be ${range}` };
    return raw < least || raw > most
      ? { wrong: `${raw} is out of range`, hint: `it must be ${range}` }
      : { value: raw };
  });
}

const sizeUnits: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const sizePattern = /^(\d{1,12})(|KiB|MiB|GiB)$/;

/** Bytes: `49152`, `64KiB`, `16MiB`, `1GiB`. */
export function size(least: number): Scalar<number> {
  return scalar('a number of bytes such as 49152, 64KiB or 16MiB', (raw) => {
    const written = typeof raw === 'number' || typeof raw === 'string' ? String(raw) : '';
    const [, amount = '', unit = ''] = sizePattern.exec(written) ?? [];
    const bytes = amount === '' ? Number.NaN : Number(amount) * (sizeUnits[unit] ?? Number.NaN);
    if (!Number.isSafeInteger(bytes))
      return { wrong: `${shown(raw)} is not a number of bytes`, hint: 'write 49152, 64KiB, 16MiB or 1GiB' };
    return bytes < least
      ? { wrong: `${quoted(raw)} is too small`, hint: `it must be at least ${least}` }
      : { value: bytes };
  });
}

export const workers: Scalar<1> = scalar('auto or 1', (raw) =>
  raw === 'auto' || raw === 1
    ? { value: 1 }
    : {
        wrong: `${shown(raw)} is not available: the gateway runs in one process yet`,
        hint: 'write `auto`, or leave it out',
      },
);

/** Null, or one of a kind. */
export function orNull<T>(inner: Scalar<T>): Scalar<T | null> {
  return scalar<T | null>(`${kindOf(inner) ?? 'a value'}, or null`, (raw) => {
    if (raw === null) return { value: null };
    const result = inner.safeParse(raw);
    return result.success ? { value: result.data } : wrongOf(result.error.issues[0]);
  });
}

/** The complaint inside an issue that `scalar` made. */
export function wrongOf(issue: z.core.$ZodIssue | undefined): Wrong {
  const params = issue?.code === 'custom' ? issue.params : undefined;
  const hint: unknown = params?.['hint'];
  return {
    wrong: params === undefined ? 'is not valid here' : (issue?.message ?? ''),
    hint: typeof hint === 'string' ? hint : null,
    hidden: params?.['hidden'] === true,
  };
}

/** A wrong value as the beginning of a sentence. */
export function shown(raw: unknown): string {
  if (raw === null) return 'nothing';
  if (Array.isArray(raw)) return 'a list';
  return typeof raw === 'object' ? 'a group of settings' : quoted(raw);
}

function guessOf(raw: unknown, words: readonly string[]): string | null {
  return typeof raw === 'string' ? nearest(raw, words) : null;
}
