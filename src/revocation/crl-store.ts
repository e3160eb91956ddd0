/**
 * The certificate revocation lists of this process: fetched once however many ask, verified and indexed on a thread of their own, used
 * from memory, kept on disk, and asked for again before they run out. Decides when a source is asked and who waits for it; what may
 * replace what is decided in `crl-taking.ts`, what a list means for a certificate elsewhere.
 *
 * A list is verified with the keys that whoever asks for it may rely on. Others see it as well: they must look at `signerKey`, and at
 * the signature algorithm, before they rely on it.
 */
import { setAlarm as setSystemAlarm, type SetAlarm } from '../base/alarm.ts';
import type { Instant, Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { reasonOf } from '../base/failure.ts';
import { createCrlBackground } from './crl-background.ts';
import { openCrlDisk } from './crl-disk.ts';
import { createCrlExaminer, type CrlExaminerSettings } from './crl-examiner.ts';
import type { KeptCrl } from './crl-file.ts';
import { createCrlLists } from './crl-lists.ts';
import { type Asker, mayTake, rememberRefusal } from './crl-refusal.ts';
import { refreshDelay, retryDelay } from './crl-schedule.ts';
import { type CrlSource, type Flight, stateOf } from './crl-source.ts';
import { createCrlSources } from './crl-sources.ts';
import { createCrlTaking, type Taking } from './crl-taking.ts';
import type {
  CrlRefusal,
  CrlStore,
  Fetcher,
  FetchFailure,
  Refreshed,
  RefreshOptions,
  StoredCrl,
} from './revocation-contract.ts';

export interface CrlStoreSettings extends Partial<Pick<CrlExaminerSettings, 'startWorker'>> {
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
  /** Made with mode 0700 where it is missing; belongs to this store alone. Null: nothing outlives the process. */
  readonly cacheDirectory: string | null;
  /** Reads the directory of a gateway that may be running, and writes nothing. */
  readonly readOnly?: boolean;
  /** Octets of one list. */
  readonly maximumBytes?: number;
  /** Octets of all lists together; the least recently used go first. */
  readonly maximumHeldBytes?: number;
  /** At most this between two attempts; null: as the lists say. */
  readonly refreshInterval?: Millis | null;
  /** Longest attempt. Whoever asks with a shorter time-out gets its failure then, and the attempt goes on. */
  readonly fetchTimeout?: Millis;
  readonly setAlarm?: SetAlarm;
  readonly onChange?: (change: CrlChange) => void;
}

/** What operators, metrics and those who judged by an earlier list want to hear of. */
export type CrlChange =
  /** In use from now on; also one that has expired, see `crl-taking.ts`. */
  | { readonly kind: 'taken'; readonly stored: StoredCrl }
  | {
      readonly kind: 'failed';
      readonly source: string;
      readonly code: CrlRefusal | FetchFailure;
      readonly detail: string;
    }
  /** Safe on disk. */
  | { readonly kind: 'kept'; readonly source: string }
  | { readonly kind: 'dropped'; readonly source: string; readonly detail: string }
  /** Something is wrong with the folder or a file in it. */
  | { readonly kind: 'cacheProblem'; readonly source: string | null; readonly detail: string };

export interface CrlFigures {
  readonly sources: number;
  readonly lists: number;
  readonly entries: number;
  /** Octets of lists and indexes. */
  readonly bytes: number;
}

export interface MeasuredCrlStore extends CrlStore {
  figures(): CrlFigures;
}

const defaultMaximumBytes = 256 * 1024 * 1024;
const defaultFetchTimeout = 60_000 as Millis;
/** Attempts at the same time. Each may hold a whole list in memory. */
const maximumFlights = 32;
/** Of them at one place, so that a host that hangs leaves room for the others. */
const maximumFlightsAtOnePlace = 8;

export function createCrlStore(settings: CrlStoreSettings): MeasuredCrlStore {
  const { fetcher, clock, random, cacheDirectory, startWorker, setAlarm = setSystemAlarm } = settings;
  const { maximumBytes = defaultMaximumBytes, maximumHeldBytes = 4 * maximumBytes } = settings;
  const { refreshInterval = null, fetchTimeout = defaultFetchTimeout, onChange = () => {} } = settings;
  const closing = new AbortController();
  /** With the place that is asked. */
  const flights = new Map<Promise<Refreshed>, string>();
  const lists = createCrlLists();
  const disk =
    cacheDirectory === null
      ? null
      : openCrlDisk({
          directory: cacheDirectory,
          maximumBytes,
          readOnly: settings.readOnly ?? false,
          onKept: (source) => onChange({ kind: 'kept', source }),
          onProblem: (source, detail) => onChange({ kind: 'cacheProblem', source, detail }),
        });
  const examiner = createCrlExaminer({ setAlarm, ...(startWorker === undefined ? {} : { startWorker }) });
  const sources = createCrlSources({
    lists,
    disk,
    clock,
    maximumHeldBytes,
    onDropped: (source, detail) => onChange({ kind: 'dropped', source, detail }),
  });
  const taking = createCrlTaking({ lists, examiner, disk, clock, onTaken });
  const background = createCrlBackground({
    clock,
    setAlarm,
    sources,
    start: async (source) => await launch(source, source.asker, 'needed').answer,
  });
  const heldBy = (source: CrlSource) => (source.list === null ? null : lists.get(source.list));

  function onTaken(stored: StoredCrl, source: CrlSource, older: boolean): void {
    // What other sources left on disk is newer, and would win after a restart.
    if (older)
      for (const other of sources.all()) if (other !== source && other.list === source.list) disk?.remove(other.url);
    sources.fit(source);
    onChange({ kind: 'taken', stored });
  }

  async function refresh(url: string, signers: Asker['signers'], options: RefreshOptions): Promise<Refreshed> {
    const { timeout, allowSha1, clockSkew, allowOlder = false, force = false, standing = false } = options;
    const asker: Asker = { signers, allowSha1, clockSkew, allowOlder };
    const deadline = clock.monotonic() + timeout;
    for (;;) {
      if (closing.signal.aborted) return failed('aborted', 'the store was closed');
      const source = sources.get(url) ?? sources.add(url, asker);
      if (source === null) return failed('aborted', 'too many sources are being asked');
      source.usedAt = clock.monotonic();
      source.standing ||= standing;
      const { flight: joined } = source;
      if (joined === null && !force && isQuiet(source) && !mayTakeLast(source, asker)) return lastFailure(source);
      if (joined === null && isFull(url)) {
        const freed = await within(Promise.race(flights.keys()), deadline - clock.monotonic());
        if (freed !== null) continue;
        return failed('timeout', `not asked within ${Math.ceil(timeout)} ms, because too many other sources are`);
      }
      const flight = joined ?? launch(source, asker, force ? 'forced' : 'needed');
      // Who comes later does not wait longer for the same silence: it has been waited for.
      const end = Math.min(deadline, flight.since + timeout);
      const refreshed = await within(flight.answer, end - clock.monotonic());
      if (refreshed === null)
        return failed('timeout', `no list within ${Math.ceil(timeout)} ms; it is waited for in the background`);
      if (joined === null || isEnough(joined, refreshed, force, source, asker)) return refreshed;
    }
  }

  function isFull(url: string): boolean {
    const place = placeOf(url);
    const there = [...flights.values()].filter((each) => each === place).length;
    return flights.size >= maximumFlights || there >= maximumFlightsAtOnePlace;
  }

  /** Whether somebody who joined an attempt of others can do with how it ended. */
  function isEnough(
    { effort }: Flight,
    refreshed: Refreshed,
    force: boolean,
    source: CrlSource,
    asker: Asker,
  ): boolean {
    if (force && effort !== 'forced') return false;
    return refreshed.kind !== 'failed' || (effort !== 'disk' && !mayTakeLast(source, asker));
  }

  function mayTakeLast({ lastError }: CrlSource, asker: Asker): boolean {
    return lastError !== null && mayTake(lastError.refusal, asker);
  }

  function isQuiet({ lastError, next }: CrlSource): boolean {
    return lastError !== null && next !== null && clock.monotonic() < next.monotonic;
  }

  function lastFailure(source: CrlSource): Refreshed {
    if (!source.wanted) {
      source.wanted = true;
      background.look();
    }
    const { code, detail } = source.lastError?.refusal ?? { code: 'aborted', detail: 'it was not asked' };
    return failed(code, detail);
  }

  /** Begins an attempt; there is none under way. */
  function launch(source: CrlSource, asker: Asker, effort: Flight['effort'], kept: KeptCrl | null = null): Flight {
    source.wanted = false;
    const answer = attempt(source, asker, effort, kept)
      .catch((error: unknown): Taking => {
        return { kind: 'refused', refusal: { code: 'aborted', detail: reasonOf(error) } };
      })
      .then((outcome) => {
        source.flight = null;
        flights.delete(answer);
        return settle(source, asker, outcome, effort);
      });
    const flight = { answer, effort, since: clock.monotonic() };
    source.flight = flight;
    flights.set(answer, placeOf(source.url));
    return flight;
  }

  async function attempt(
    source: CrlSource,
    asker: Asker,
    effort: Flight['effort'],
    kept: KeptCrl | null,
  ): Promise<Taking> {
    const found = kept ?? (heldBy(source) === null ? ((await disk?.read(source.url)) ?? null) : null);
    if (found !== null) {
      const { der, validators, fetchedAt, digest: expected } = found;
      const outcome = await taking.take(source, { der, validators, fetchedAt, expected }, asker);
      if (effort === 'disk' || (effort === 'needed' && outcome.kind !== 'refused')) return outcome;
    }
    return await fetchFrom(source, asker);
  }

  async function fetchFrom(source: CrlSource, asker: Asker): Promise<Taking> {
    const held = heldBy(source);
    const { delivered } = source;
    const current = held !== null && delivered?.digest === held.crl.digest && !asker.allowOlder;
    const outcome = await fetcher.fetch(source.url, {
      timeout: fetchTimeout,
      maximumBytes,
      signal: closing.signal,
      ...(current ? { validators: delivered.validators } : {}),
    });
    switch (outcome.kind) {
      case 'failed':
        return { kind: 'refused', refusal: { code: outcome.code, detail: outcome.detail } };
      case 'notModified':
        return taking.confirm(source, asker);
      case 'fetched': {
        const { bytes: der, validators } = outcome;
        return await taking.take(source, { der, validators, fetchedAt: clock.now(), expected: null }, asker);
      }
    }
  }

  function settle(source: CrlSource, asker: Asker, outcome: Taking, effort: Flight['effort']): Refreshed {
    if (closing.signal.aborted) return failed('aborted', 'the store was closed');
    if (outcome.kind === 'refused') return fail(source, asker, outcome, effort);
    source.asker = { ...asker, allowOlder: false };
    source.failures = 0;
    source.lastError = null;
    plan(source, refreshDelay(outcome.stored.crl, clock.now(), random, refreshInterval));
    return outcome;
  }

  function fail(
    source: CrlSource,
    asker: Asker,
    { refusal }: Extract<Taking, { kind: 'refused' }>,
    effort: Flight['effort'],
  ): Refreshed {
    const { code, detail } = refusal;
    // The source has no part in what became of its file; and of a file that is of no use nobody need hear.
    if (effort === 'disk' && heldBy(source) === null) sources.remove(source);
    else {
      source.failures += 1;
      source.lastError = {
        at: clock.now(),
        refusal: rememberRefusal(refusal, asker, source.lastError?.refusal ?? null),
      };
      plan(source, retryDelay(source.failures, random));
      onChange({ kind: 'failed', source: source.url, code, detail });
    }
    return failed(code, detail);
  }

  function plan(source: CrlSource, delay: Millis): void {
    source.next = { at: (clock.now() + delay) as Instant, monotonic: clock.monotonic() + delay };
    background.look();
  }

  /** Null when `answer` is not there in time. */
  async function within(answer: Promise<Refreshed>, millis: number): Promise<Refreshed | null> {
    const late = Promise.withResolvers<null>();
    const callOff = setAlarm(() => late.resolve(null), Math.max(0, millis) as Millis);
    return await Promise.race([answer, late.promise]).finally(callOff);
  }

  return {
    issuedBy: (nameKey) => lists.issuedBy(nameKey),
    from(url) {
      const source = sources.get(url);
      if (source === null) return null;
      source.usedAt = clock.monotonic();
      return heldBy(source);
    },
    refresh,
    states: () => sources.all().map((source) => stateOf(source, heldBy(source))),
    figures: () => ({
      sources: sources.all().length,
      lists: lists.keys().length,
      entries: lists.entries,
      bytes: lists.bytes,
    }),
    async restore(signers, rules = strictRules) {
      const asker: Asker = { ...rules, signers, allowOlder: false };
      for await (const kept of disk?.readAll() ?? []) {
        if (closing.signal.aborted || lists.bytes + kept.der.length > maximumHeldBytes) return;
        const source = sources.get(kept.source) ?? sources.add(kept.source, asker);
        if (source === null || source.flight !== null || heldBy(source) !== null) continue;
        await launch(source, asker, 'disk', kept).answer;
      }
    },
    async close() {
      closing.abort();
      background.close();
      await examiner.close();
      await Promise.all(flights.keys());
      await disk?.close();
    },
  };
}

/** Whoever restores without saying how gets only what everybody would believe. */
const strictRules = { allowSha1: false, clockSkew: 0 as Millis };

/** Scheme, host and port. */
function placeOf(url: string): string {
  return /^[^:]*:\/\/[^/?#]*/.exec(url)?.[0].toLowerCase() ?? '';
}

function failed(code: CrlRefusal | FetchFailure, detail: string): Refreshed {
  return { kind: 'failed', code, detail };
}
