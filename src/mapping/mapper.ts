/**
 * The mapper that requests use: an answer from memory where one is good enough, else one question to the directory for
 * all who wait for the same certificate. How a certificate is resolved is decided in `resolve.ts`, how long answers
 * are kept in `mapping-cache.ts`.
 *
 * An answer older than `positive` but within `stale` is served at once while a new one is fetched, or because none can
 * be had; never to a location whose `maximumAge` it exceeds. "The directory did not answer" is passed on and forgotten.
 */
import type { Digest, Instant, Millis } from '../base/brand.ts';
import { isoText, type Clock } from '../base/clock.ts';
import { reasonOf } from '../base/failure.ts';
import { noSteps, type Steps } from '../base/steps.ts';
import { verdict } from '../base/verdict.ts';
import type { Directory, SearchRecord } from '../directory/directory.ts';
import { timeRefusal } from './account-state.ts';
import { createCacheKeys } from './cache-key.ts';
import { candidatesOf } from './candidates.ts';
import { withinDeadline } from './deadline.ts';
import { readGroups } from './groups.ts';
import type {
  CacheOutcome,
  KdcEvent,
  MapAnswer,
  MapOptions,
  Mapper,
  MappingResult,
  MappingSettings,
  MappingSubject,
} from './mapper-contract.ts';
import { createMappingCache, type Kept } from './mapping-cache.ts';
import { resolve, unknown } from './resolve.ts';

export interface MapperMeans {
  readonly directory: Directory;
  readonly settings: MappingSettings;
  readonly clock: Clock;
  /** Told of every search, also of those that ran in the background. */
  readonly onSearches?: (searches: readonly SearchRecord[]) => void;
  /** Told what a KDC would have logged, once for each question to the directory that somebody's logon asks. Must not throw. */
  readonly onEvent?: (event: KdcEvent) => void;
}

/** After a silence, a stale answer is served for so long (milliseconds) before the directory is asked again for it. */
export const pauseAfterSilence = 1000;

export function createMapper({ directory, settings, clock, onSearches, onEvent }: MapperMeans): Mapper {
  const cache = createMappingCache(settings.cache, clock);
  const keyOf = createCacheKeys(settings);
  /** Questions on their way, one per key, each ending within the deadline. */
  const asking = new Map<Digest, Promise<MappingResult>>();
  let generation = 0;

  return {
    map(subject, now, options) {
      const key = keyOf(subject);
      if (options.fresh === true) return bypass(key, subject, options.steps);
      const kept = cache.get(key);
      return kept === undefined || isTooOld(kept, now, options)
        ? fetched(key, subject, options.steps)
        : served(kept, key, subject, now, options.steps);
    },
    candidates: (leaf) => candidatesOf(leaf, settings),
    groupsOf: (account) => readGroups(directory, account, settings.deadline),
    forget(sid) {
      // what is being asked may have been read before whatever changed: it answers those who wait and is not kept
      generation += 1;
      asking.clear();
      return cache.forget(sid);
    },
    get size() {
      return cache.size;
    },
  };

  function served(kept: Kept, key: Digest, subject: MappingSubject, now: Instant, steps: Steps): MapAnswer {
    const { answer } = kept;
    const time = clock.monotonic();
    const cache: CacheOutcome = time < kept.freshUntil ? answer.cache : 'stale';
    if (steps.recording) noteHit(steps, kept, cache);
    if (answer.result.kind === 'mapped') {
      const late = timeRefusal(answer.result.identity.account, now, settings);
      if (late !== null) return { result: { kind: 'refused', verdict: late, searches: [] }, cache };
    }
    if (cache !== 'stale') return answer;
    if (time >= kept.askAgainFrom && !asking.has(key)) void ask(key, subject, noSteps, kept);
    return { result: answer.result, cache };
  }

  async function fetched(key: Digest, subject: MappingSubject, steps: Steps): Promise<MapAnswer> {
    const running = asking.get(key);
    if (running === undefined) return { result: await ask(key, subject, steps), cache: 'miss' };
    steps.note('map', 'joined', 'the directory is being asked about this certificate already');
    return { result: await running, cache: 'joined' };
  }

  async function bypass(key: Digest, subject: MappingSubject, steps: Steps): Promise<MapAnswer> {
    return { result: await answerOf(key, subject, steps), cache: 'bypass' };
  }

  /** @param stale the answer that is served meanwhile */
  function ask(key: Digest, subject: MappingSubject, steps: Steps, stale?: Kept): Promise<MappingResult> {
    const running = answerOf(key, subject, steps).then((result) => {
      if (asking.get(key) === running) asking.delete(key);
      if (result.kind !== 'unknown' && result.event !== undefined) onEvent?.(result.event);
      if (result.kind === 'unknown' && stale !== undefined) stale.askAgainFrom = clock.monotonic() + pauseAfterSilence;
      return result;
    });
    asking.set(key, running);
    return running;
  }

  /** Asks the directory and keeps what it says. Never rejects: in the background nobody would be there to hear it. */
  async function answerOf(key: Digest, subject: MappingSubject, steps: Steps): Promise<MappingResult> {
    const started = generation;
    const start = clock.monotonic();
    const remaining = () => Math.max(1, settings.deadline - (clock.monotonic() - start)) as Millis;
    try {
      const result = await withinDeadline(
        settings.deadline,
        resolve(subject, clock.now(), { directory, settings, steps, remaining }),
        () => unknown(steps, `the directory did not answer within ${settings.deadline} ms`, []),
      );
      onSearches?.(result.searches);
      if (result.kind !== 'unknown' && started === generation) cache.put(key, result, clock.now());
      return result;
    } catch (error) {
      const why = verdict('internalError', `mapping failed: ${reasonOf(error)}`);
      steps.note('map', why.code, why.detail);
      return { kind: 'unknown', verdict: why, searches: [] };
    }
  }
}

function isTooOld(kept: Kept, now: Instant, { maximumAge }: MapOptions): boolean {
  return maximumAge !== null && now - kept.readAt > maximumAge;
}

function noteHit(steps: Steps, { answer: { result }, readAt }: Kept, cache: CacheOutcome): void {
  const what = result.kind === 'mapped' ? result.identity.account.name : result.verdict.detail;
  steps.note('map', cache, `from the cache, read ${isoText(readAt)}: ${what}`);
}
