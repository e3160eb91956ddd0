/**
 * One search for accounts by equality values. Decides the shape of the search, and what an answer means when it is not whole: an
 * answer that may have left accounts out never counts as an answer.
 */
import { resultCodes } from './result-code.ts';
import type { DirectorySearch } from './connection.ts';
import type { SearchRecord } from './directory.ts';
import { textOf, valuesOf, type DirectoryEntry } from './entry.ts';
import { equalTo } from './filter.ts';
import type { ServerGroup } from './server-group.ts';

/** One equality assertion; the name of the attribute as Active Directory spells it. */
export interface Equality {
  readonly attribute: string;
  readonly value: string;
}

/** An entry and the URL of the server that gave it. */
export interface Found {
  readonly entry: DirectoryEntry;
  readonly server: string;
}

export type Findings =
  { readonly kind: 'found'; readonly found: readonly Found[] } | { readonly kind: 'unknown'; readonly reason: string };

/** Where accounts are looked for. */
export interface SearchPlace {
  readonly group: ServerGroup;
  readonly base: string;
  readonly attributes: readonly string[];
}

/** Values of one OR filter: 8 to 32 are what servers answer best; more add latency only. */
export const maximumValues = 32;

/** Accounts that share one value: this many are asked for when it is known that the server does not name all. */
const sample = 16;

/** Searches of one divided batch that travel at a time. */
const parallel = 4;

export type Together =
  /** One answer for all values: which entry belongs to which value is for the caller to see. */
  | { readonly kind: 'together'; readonly findings: Findings }
  /** One for each value, in their order. */
  | { readonly kind: 'apart'; readonly findings: readonly Findings[] };

/**
 * Asks for all values in one search. Where the server answers with a result code (too many entries, a referral, a value that it
 * does not take), or fails over the search, each value is asked for by itself, so that one of them does not spoil the others.
 * @param values 1 to 32
 * @param deadline monotonic milliseconds
 */
export async function findTogether(
  place: SearchPlace,
  values: readonly Equality[],
  deadline: number,
  records: SearchRecord[],
): Promise<Together> {
  const answer = await place.group.search(accountSearch(place, values, 0), deadline, records);
  if (answer.kind === 'entries') return { kind: 'together', findings: found(answer.entries, answer.server) };
  const [only] = values;
  const alone = values.length === 1;
  if (answer.kind === 'unanswered' && (alone || !answer.overSearch))
    return { kind: 'together', findings: { kind: 'unknown', reason: answer.reason } };
  if (answer.kind === 'code' && only !== undefined && alone)
    return { kind: 'together', findings: await findSeveral(place, only, answer, deadline, records) };
  const findings: Findings[] = [];
  for (let start = 0; start < values.length; start += parallel) {
    const some = values.slice(start, start + parallel);
    const each = await Promise.all(some.map((value) => findTogether(place, [value], deadline, records)));
    findings.push(...each.flatMap((one) => one.findings));
  }
  return { kind: 'apart', findings };
}

/** Entries that carry the value exactly, but for the case of ASCII letters: what the mapping takes for equal. */
export function carriers(all: readonly Found[], { attribute, value }: Equality): readonly Found[] {
  const wanted = asciiLower(value);
  return all.filter(({ entry }) =>
    valuesOf(entry, attribute).some((stored) => {
      const text = textOf(stored);
      return text !== null && asciiLower(text) === wanted;
    }),
  );
}

/**
 * The server gave a part of the accounts. Two that carry the value prove that it belongs to nobody; anything less proves
 * nothing, since the one that is wanted may be among those left out.
 */
async function findSeveral(
  place: SearchPlace,
  value: Equality,
  refusal: { readonly code: number; readonly reason: string; readonly server: string },
  deadline: number,
  records: SearchRecord[],
): Promise<Findings> {
  const unknown: Findings = { kind: 'unknown', reason: `${refusal.server}: ${refusal.reason}` };
  if (refusal.code !== resultCodes.sizeLimitExceeded) return unknown;
  const answer = await place.group.search(accountSearch(place, [value], sample), deadline, records);
  if (answer.kind !== 'entries') return unknown;
  const several = carriers(
    answer.entries.map((entry) => ({ entry, server: answer.server })),
    value,
  );
  return several.length >= 2 ? { kind: 'found', found: several } : unknown;
}

/**
 * Computers are of class user too (their class derives from it); groups, which may carry altSecurityIdentities as well, are
 * not. Disabled accounts are found like others: their state is a reason to give, not a reason to be silent.
 */
function accountSearch(place: SearchPlace, values: readonly Equality[], sizeLimit: number): DirectorySearch {
  const parts = values.map(({ attribute, value }) => equalTo(attribute, value));
  const [only] = parts;
  const wanted = only !== undefined && parts.length === 1 ? only : ({ kind: 'or', parts } as const);
  return {
    base: place.base,
    scope: 'sub',
    filter: { kind: 'and', parts: [equalTo('objectClass', 'user'), wanted] },
    attributes: place.attributes,
    sizeLimit,
  };
}

function found(entries: readonly DirectoryEntry[], server: string): Findings {
  return { kind: 'found', found: entries.map((entry) => ({ entry, server })) };
}

function asciiLower(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
