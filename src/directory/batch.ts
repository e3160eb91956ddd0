/**
 * Lookups that arrive together travel together: up to 32 values in one OR filter. Decides which lookups share a search, how many
 * searches are under way, how many lookups wait, and which entries of a shared answer belong to whom. A lookup that arrives
 * alone goes at once, alone.
 */
import type { SearchRecord } from './directory.ts';
import { textOf, type DirectoryEntry } from './entry.ts';
import { findTogether, type Equality, type Findings, type Found, type SearchPlace, type Together } from './search.ts';

export interface BatchSettings {
  /** Searches under way beyond which lookups wait and gather. */
  readonly window: number;
  /** Lookups that wait beyond which a new one is answered `unknown` at once. */
  readonly maximumQueue: number;
  /** Values of one search, at most; 1: lookups do not travel together. */
  readonly maximumValues: number;
  readonly monotonic: () => number;
}

export interface Batcher {
  /**
   * Never rejects; settles by `deadline`, or 20 ms later when nothing further down had a reason to give.
   * @param deadline monotonic milliseconds
   * @param records receives the searches that this lookup travelled in
   */
  lookup(values: readonly Equality[], deadline: number, records: SearchRecord[]): Promise<Findings>;
}

interface Lookup {
  readonly values: readonly Equality[];
  readonly deadline: number;
  readonly records: SearchRecord[];
  settle(findings: Findings): void;
}

const grace = 20;

export function createBatcher(place: SearchPlace, settings: BatchSettings): Batcher {
  const waiting = new Set<Lookup>();
  let underWay = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || waiting.size === 0 || underWay >= settings.window) return;
    scheduled = true;
    // After the callbacks of this turn of the event loop: what arrived in it goes together.
    setImmediate(() => {
      scheduled = false;
      while (waiting.size > 0 && underWay < settings.window) void travel(takeBatch(waiting, settings.maximumValues));
    });
  }

  async function travel(batch: readonly Lookup[]): Promise<void> {
    underWay += 1;
    const values = batch.flatMap((lookup) => lookup.values);
    const records: SearchRecord[] = [];
    const deadline = Math.max(...batch.map((lookup) => lookup.deadline));
    const together = await findTogether(place, values, deadline, records);
    underWay -= 1;
    schedule();
    for (const lookup of batch) lookup.records.push(...records);
    distribute(batch, together);
  }

  return {
    lookup(values, deadline, records) {
      if (values.length > settings.maximumValues)
        return inParts(this, settings.maximumValues, values, deadline, records);
      const { promise, resolve } = Promise.withResolvers<Findings>();
      if (waiting.size >= settings.maximumQueue) {
        const reason = `${place.group.name} has ${settings.maximumQueue} lookups waiting already`;
        return Promise.resolve({ kind: 'unknown', reason });
      }
      const lookup: Lookup = {
        values,
        deadline,
        records,
        settle(findings) {
          clearTimeout(timer);
          waiting.delete(lookup);
          resolve(findings);
        },
      };
      const timer = setTimeout(
        () => {
          const late = waiting.has(lookup) ? 'has too much to do to be asked' : 'did not answer';
          lookup.settle({ kind: 'unknown', reason: `${place.group.name} ${late} in time` });
        },
        deadline - settings.monotonic() + grace,
      );
      waiting.add(lookup);
      schedule();
      return promise;
    },
  };
}

async function inParts(
  batcher: Batcher,
  size: number,
  values: readonly Equality[],
  deadline: number,
  records: SearchRecord[],
): Promise<Findings> {
  const parts: Promise<Findings>[] = [];
  for (let start = 0; start < values.length; start += size)
    parts.push(batcher.lookup(values.slice(start, start + size), deadline, records));
  return joined(await Promise.all(parts));
}

/** The oldest lookups that fit into one filter, at least one. */
function takeBatch(waiting: Set<Lookup>, size: number): Lookup[] {
  const batch: Lookup[] = [];
  let room = size;
  for (const lookup of waiting) {
    if (lookup.values.length > room) break;
    room -= lookup.values.length;
    waiting.delete(lookup);
    batch.push(lookup);
  }
  return batch;
}

function distribute(batch: readonly Lookup[], { kind, findings }: Together): void {
  const [only] = batch;
  if (kind === 'apart') {
    let start = 0;
    for (const lookup of batch) {
      lookup.settle(joined(findings.slice(start, start + lookup.values.length)));
      start += lookup.values.length;
    }
  } else if (findings.kind === 'unknown') for (const lookup of batch) lookup.settle(findings);
  else if (only !== undefined && batch.length === 1) only.settle(findings);
  else share(batch, findings.found);
}

/**
 * Each entry goes to the lookups that it resembles. An entry that resembles none, or whose values are not all there, goes to
 * all: who gets it compares again, and one too many does no harm where one too few would be a wrong "nobody".
 */
function share(batch: readonly Lookup[], found: readonly Found[]): void {
  const owners: Owners = new Map();
  for (const lookup of batch)
    for (const { attribute, value } of lookup.values) {
      const name = attribute.toLowerCase();
      const key = fold(value);
      const ofName = owners.get(name) ?? new Map<string, Set<Lookup>>();
      owners.set(name, ofName.set(key, (ofName.get(key) ?? new Set()).add(lookup)));
    }
  const shares = new Map<Lookup, Found[]>(batch.map((lookup) => [lookup, []]));
  for (const one of found) {
    const resembled = ownersOf(one.entry, owners);
    for (const lookup of resembled ?? batch) shares.get(lookup)?.push(one);
  }
  for (const [lookup, own] of shares) lookup.settle({ kind: 'found', found: own });
}

/** Who asked for a value: by attribute, then by folded value. */
type Owners = Map<string, Map<string, Set<Lookup>>>;

function ownersOf(entry: DirectoryEntry, owners: Owners): Set<Lookup> | null {
  const resembled = new Set<Lookup>();
  for (const [name, ofName] of owners) {
    const attribute = entry.attributes.get(name);
    if (attribute === undefined) continue;
    if (attribute.next !== null) return null;
    for (const value of attribute.values) {
      const text = textOf(value);
      for (const lookup of (text === null ? null : ofName.get(fold(text))) ?? []) resembled.add(lookup);
    }
  }
  return resembled.size === 0 ? null : resembled;
}

/** Looser than any server: case, width, marks and blanks are dropped (MS-ADTS 3.1.1.2.2.4.13, RFC 4518 section 2). */
function fold(text: string): string {
  if (/^[!-~]*$/.test(text)) return text.toLowerCase();
  return text
    .normalize('NFKD')
    .replaceAll(/[\p{M}\p{Cf}\s]+/gu, '')
    .toLowerCase();
}

/** Everything that was found, each entry once; unknown as soon as a part is. */
function joined(parts: readonly Findings[]): Findings {
  const found = new Map<string, Found>();
  for (const part of parts) {
    if (part.kind === 'unknown') return part;
    for (const one of part.found) found.set(one.entry.dn, one);
  }
  return { kind: 'found', found: [...found.values()] };
}
