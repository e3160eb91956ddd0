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
import type { Again, Directory, DirectoryChange, SearchRecord } from '../directory/directory.ts';
import { timeRefusal } from './account-state.ts';
import { isAnother, objectKey } from './again.ts';
import { createCacheKeys } from './cache-key.ts';
import { candidatesOf } from './candidates.ts';
import { withinDeadline } from './deadline.ts';
import { candidateHashes, identifierHashes, isTouched } from './candidate-hashes.ts';
import { createGroupsMemory } from './groups.ts';
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
import { accountOf, createMappingCache, isIdentity, readAtOf, type Fate, type Kept } from './mapping-cache.ts';
import { createRefreshes } from './refreshes.ts';
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

export function createMapper({ directory, settings, clock, onSearches, onEvent }: MapperMeans): Mapper {
  const cache = createMappingCache(settings.cache, clock);
  const groups = createGroupsMemory({ directory, settings: settings.cache, deadline: settings.deadline, clock });
  const refreshes = createRefreshes(clock);
  const keyOf = createCacheKeys(settings);
  /** Questions on their way, one per key, each ending within the deadline. */
  const asking = new Map<Digest, Promise<MappingResult>>();
  let generation = 0;
  let endings = 0;

  return {
    map(subject, now, options) {
      const key = keyOf(subject);
      if (options.fresh === true) return bypass(key, subject, options.steps);
      const kept = cache.get(key);
      return kept === undefined || isTooOld(kept, now, options) || hasPassed(kept, now)
        ? fetched(key, subject, options.steps)
        : served(kept, key, subject, now, options);
    },
    candidates: (leaf) => candidatesOf(leaf, settings),
    groupsOf: (account, now, options) => groups.groupsOf(account, now, options),
    pin: (sids) => groups.pin(sids),
    async noteChanges(changes) {
      if (changes.every(({ kind }) => kind === 'unseen')) return 0;
      endings += 1;
      const dropped = await takeIn(changes);
      endings += 1;
      return dropped;
    },
    async noteAgain(again) {
      const found = new Map([...again].map(([account, one]) => [objectKey(account), one]));
      const others = [...again].filter(([account, one]) => isAnother(account, one)).map(([{ guid }]) => guid);
      if (others.length > 0) interrupt();
      const dropped = groups.drop(others) + (await cache.review((kept) => fateAfter(kept, found)));
      if (others.length > 0) endings += 1;
      return dropped;
    },
    forget(sid) {
      interrupt();
      endings += 1;
      if (sid === undefined) groups.clear();
      return cache.forget(sid);
    },
    get size() {
      return cache.size;
    },
    get endings() {
      return endings;
    },
  };

  async function takeIn(changes: readonly DirectoryChange[]): Promise<number> {
    const all = changes.find(({ kind }) => kind === 'forest') ?? changes.find(({ kind }) => kind === 'unsure');
    if (all !== undefined) {
      interrupt();
      if (all.kind === 'forest') return cache.forget() + groups.clear();
      const { size } = cache;
      cache.expire();
      groups.expire();
      return size + groups.size;
    }
    const accounts = changes.filter((change) => change.kind === 'account');
    const dropped = await groups.noteGroups(changes.filter((change) => change.kind === 'group'));
    if (accounts.length === 0) return dropped;
    interrupt();
    const guids = new Set(accounts.map(({ guid }) => guid));
    const identifiers = identifierHashes(accounts.flatMap((change) => change.identifiers));
    return (
      dropped +
      groups.drop(guids) +
      (await cache.review((kept) => (isConcerned(kept, guids, identifiers) ? 'goes' : 'stays')))
    );
  }

  /** Hours in which an account may not log on end without anybody writing to it. */
  function hasPassed(kept: Kept, now: Instant): boolean {
    if (isIdentity(kept) || kept.refusal.code !== 'outsideLogonHours') return false;
    const account = accountOf(kept);
    return account !== undefined && timeRefusal(account, now, settings) === null;
  }

  /** What is being asked may have been read before whatever changed: it answers those who wait and is not kept. */
  function interrupt(): void {
    generation += 1;
    asking.clear();
  }

  function served(
    kept: Kept,
    key: Digest,
    subject: MappingSubject,
    now: Instant,
    { steps, current }: MapOptions,
  ): MapAnswer | Promise<MapAnswer> {
    const fresh = cache.isFresh(kept);
    const outcome: CacheOutcome = !fresh ? 'stale' : isIdentity(kept) ? 'hit' : 'negative';
    if (steps.recording) noteHit(steps, kept, outcome);
    const late = isIdentity(kept) ? timeRefusal(kept.identity.account, now, settings) : null;
    if (late !== null) return { result: { kind: 'refused', verdict: late, searches: none }, cache: outcome };
    if (!fresh && current === true) return newer(kept, key, subject, steps);
    if (!fresh && !asking.has(key))
      refreshes.attempt(key, async () => (await ask(key, subject, noSteps)).kind !== 'unknown');
    return { result: resultOf(kept), cache: outcome };
  }

  async function newer(kept: Kept, key: Digest, subject: MappingSubject, steps: Steps): Promise<MapAnswer> {
    const result = await (asking.get(key) ?? ask(key, subject, steps));
    return result.kind === 'unknown' ? { result: resultOf(kept), cache: 'stale' } : { result, cache: 'miss' };
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

  function ask(key: Digest, subject: MappingSubject, steps: Steps): Promise<MappingResult> {
    const running = answerOf(key, subject, steps).then((result) => {
      if (asking.get(key) === running) asking.delete(key);
      if (result.kind !== 'unknown' && result.event !== undefined) onEvent?.(result.event);
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
      if (result.kind !== 'unknown' && started === generation)
        cache.put(key, result, candidateHashes(candidatesOf(subject.leaf, settings, subject.path)), clock.now());
      return result;
    } catch (error) {
      const why = verdict('internalError', `mapping failed: ${reasonOf(error)}`);
      steps.note('map', why.code, why.detail);
      return { kind: 'unknown', verdict: why, searches: [] };
    }
  }
}

/** The searches of an answer belong to the request that caused them. */
const none: readonly never[] = [];

function resultOf(kept: Kept): MappingResult {
  return isIdentity(kept)
    ? { kind: 'mapped', identity: kept.identity, searches: none }
    : { kind: 'refused', verdict: kept.refusal, searches: none };
}

/** The account was written to, or can be found by something that was looked for: a new owner of a value, or a second one. */
function isConcerned(kept: Kept, guids: ReadonlySet<string>, identifiers: ReadonlySet<number>): boolean {
  const account = accountOf(kept);
  // Whose value was taken away is found by it no more, and it may be what made several of them.
  const several = !isIdentity(kept) && kept.refusal.code === 'ambiguous';
  return several || (account !== undefined && guids.has(account.guid)) || isTouched(kept.hashes, identifiers);
}

function fateAfter(kept: Kept, found: ReadonlyMap<string, Again>): Fate {
  const account = accountOf(kept);
  const again = account === undefined ? undefined : found.get(objectKey(account));
  if (account === undefined || again === undefined || again.kind === 'unknown') return 'stays';
  if (isAnother(account, again)) return 'goes';
  return again.kind === 'read' ? { renewed: again.account } : 'stays';
}

function isTooOld(kept: Kept, now: Instant, { maximumAge }: MapOptions): boolean {
  return maximumAge !== null && now - readAtOf(kept) > maximumAge;
}

function noteHit(steps: Steps, kept: Kept, cache: CacheOutcome): void {
  const what = isIdentity(kept) ? kept.identity.account.name : kept.refusal.detail;
  steps.note('map', cache, `from the cache, read ${isoText(readAtOf(kept))}: ${what}`);
}
