/**
 * Which fields of an upstream's answer go to the client, and which the gateway adds. Removed is what belongs to the
 * upstream's own connection (RFC 9110 section 7.6.1; HTTP/2 forbids most of it, RFC 9113 section 8.2.2) and what only this
 * gateway says. Spelling and order stay as they were.
 */
import type { FlatHeaders } from './forward-contract.ts';
import { foldName, isFieldValue, isToken } from './field-syntax.ts';
import { rememberNames } from './name-memory.ts';
import { neverTrailers } from './sanitize.ts';

/** As undici has it: name, value, name, value, in octets. */
export type RawHeaders = readonly Buffer[];

export interface AnswerFacts {
  readonly status: number;
  /** Whether the client can be sent trailers at all. */
  readonly trailers: boolean;
  /** Fields that the gateway adds; the upstream's of the same name go. */
  readonly ours: FlatHeaders;
  /** Adds `Cache-Control: no-store` where the upstream says nothing: the answer depends on the certificate (RFC 9440 section 3.1). */
  readonly noStore: boolean;
}

export interface AnswerHead {
  readonly headers: string[];
  /** The body's length is announced; otherwise its end tells, and trailers may follow. */
  readonly sized: boolean;
}

export function answerHead(raw: RawHeaders, facts: AnswerFacts): AnswerHead {
  const headers: string[] = [];
  let sized = false;
  let cacheControl = false;
  let listed: Set<string> | null = null;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = textOf(raw[i]);
    const action = actions.of(name);
    if (action === 'drop' || (facts.ours.length > 0 && isOurs(name, facts.ours))) continue;
    const value = textOf(raw[i + 1]);
    switch (action) {
      case 'connection':
        listed = addOptions(listed, value);
        continue;
      case 'content-length':
        // RFC 9110 section 8.6: never in a 204, whatever the upstream thinks.
        if (facts.status === 204) continue;
        sized = true;
        break;
      case 'cache-control':
        cacheControl = true;
        break;
      case 'trailer':
        if (!facts.trailers) continue;
        break;
      case 'keep':
        break;
    }
    headers.push(name, value);
  }
  const kept = listed === null ? headers : without(headers, listed);
  if (facts.noStore && (!cacheControl || listed?.has('cache-control') === true)) kept.push('Cache-Control', 'no-store');
  for (const text of facts.ours) kept.push(text);
  return { headers: sized ? withoutTrailer(kept) : kept, sized };
}

/** Fields of a 103 (RFC 8297), by name as HTTP/2 wants them. */
export function hintsOf(raw: RawHeaders): Record<string, string | string[]> {
  return grouped(raw, () => true);
}

export function trailersOf(raw: RawHeaders): Record<string, string | string[]> {
  return grouped(raw, (name) => !neverTrailers.has(name));
}

function grouped(raw: RawHeaders, passes: (lower: string) => boolean): Record<string, string | string[]> {
  const fields = new Map<string, string | string[]>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = textOf(raw[i]);
    const lower = name.toLowerCase();
    const value = textOf(raw[i + 1]);
    if (actions.of(name) !== 'keep' || !passes(lower) || !isToken(name) || !isFieldValue(value)) continue;
    const before = fields.get(lower);
    fields.set(lower, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(fields);
}

type Action = 'keep' | 'drop' | 'connection' | 'content-length' | 'cache-control' | 'trailer';

const actions = rememberNames<Action>((name) => {
  const special = specialFields.get(name.toLowerCase());
  return special ?? (foldName(name).startsWith('x-dsmapper-') ? 'drop' : 'keep');
});

const specialFields: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['cache-control', 'cache-control'],
  ['connection', 'connection'],
  ['content-length', 'content-length'],
  ['http2-settings', 'drop'],
  ['keep-alive', 'drop'],
  ['proxy-authenticate', 'drop'],
  ['proxy-authentication-info', 'drop'],
  ['proxy-connection', 'drop'],
  ['te', 'drop'],
  ['trailer', 'trailer'],
  ['transfer-encoding', 'drop'],
  ['upgrade', 'drop'],
]);

function isOurs(name: string, ours: FlatHeaders): boolean {
  for (let i = 0; i < ours.length; i += 2) {
    const own = ours[i] ?? '';
    if (own.length === name.length && own.toLowerCase() === name.toLowerCase()) return true;
  }
  return false;
}

function addOptions(listed: Set<string> | null, value: string): Set<string> | null {
  let names = listed;
  for (const option of value.toLowerCase().split(',')) {
    const name = option.trim();
    if (name !== '' && name !== 'keep-alive' && name !== 'close') (names ??= new Set()).add(name);
  }
  return names;
}

function without(headers: readonly string[], listed: ReadonlySet<string>): string[] {
  const rest: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!listed.has(name.toLowerCase())) rest.push(name, headers[i + 1] ?? '');
  }
  return rest;
}

/** node:http refuses to announce trailers where the body is not chunked. */
function withoutTrailer(headers: string[]): string[] {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() === 'trailer') return without(headers, new Set(['trailer']));
  }
  return headers;
}

function textOf(octets: Buffer | undefined): string {
  return octets === undefined ? '' : octets.toString('latin1');
}
