/**
 * What was found out about certificates lately: accounts and refusals, in two bounded LRUs, so that a crowd of unmapped
 * certificates never drives out the mapped ones. Says how old an answer is; whether that is good enough is decided in
 * `mapper.ts`. What is unknown never gets in.
 */
import { LRUCache } from 'lru-cache';
import type { Digest, Instant } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { MapAnswer, MappingCacheSettings, MappingResult } from './mapper-contract.ts';

/** One kept answer. A hit hands out `answer` as it is, without making a new object. */
export interface Kept {
  readonly answer: MapAnswer;
  /** When a directory server gave us the account; for a refusal, when it was found out. */
  readonly readAt: Instant;
  /** Monotonic times: until when the answer is as good as new, and until when it may be used at all. */
  readonly freshUntil: number;
  readonly usableUntil: number;
  /** Monotonic time before which a stale answer is not asked for again, after the directory was silent. */
  askAgainFrom: number;
}

type Storable = Exclude<MappingResult, { readonly kind: 'unknown' }>;

export interface MappingCache {
  /** Only what is still usable. */
  get(key: Digest): Kept | undefined;
  /** Replaces whatever was known of the key; keeps nothing where its time to live, or `maximum`, is 0. */
  put(key: Digest, result: Storable, now: Instant): void;
  forget(sid?: string): number;
  readonly size: number;
}

export function createMappingCache(settings: MappingCacheSettings, clock: Clock): MappingCache {
  const accounts: Lru = new LRUCache({ max: Math.max(1, settings.maximum) });
  const refusals: Lru = new LRUCache({ max: Math.max(1, Math.ceil(settings.maximum / refusalShare)) });

  return {
    get(key) {
      const kept = accounts.get(key) ?? refusals.get(key);
      if (kept === undefined || clock.monotonic() < kept.usableUntil) return kept;
      accounts.delete(key);
      refusals.delete(key);
      return undefined;
    },
    put(key, result, now) {
      accounts.delete(key);
      refusals.delete(key);
      const kept = keep(result, now);
      if (settings.maximum > 0 && kept.usableUntil > clock.monotonic())
        (result.kind === 'mapped' ? accounts : refusals).set(key, kept);
    },
    forget(sid) {
      return forgetIn(accounts, sid) + forgetIn(refusals, sid);
    },
    get size() {
      return accounts.size + refusals.size;
    },
  };

  function keep(result: Storable, now: Instant): Kept {
    const start = clock.monotonic();
    const askAgainFrom = 0;
    if (result.kind === 'refused') {
      const until = start + settings.negative;
      const answer: MapAnswer = { result: { ...result, searches: none }, cache: 'negative' };
      return { answer, readAt: now, freshUntil: until, usableUntil: until, askAgainFrom };
    }
    const freshUntil = start + settings.positive;
    const answer: MapAnswer = { result: { ...result, searches: none }, cache: 'hit' };
    const { readAt } = result.identity.account;
    return { answer, readAt, freshUntil, usableUntil: freshUntil + settings.stale, askAgainFrom };
  }
}

/** Refusals get a tenth of the places: they are short-lived. */
const refusalShare = 10;
/** The searches of an answer belong to the request that caused them. */
const none: readonly never[] = [];

type Lru = LRUCache<Digest, Kept>;

function forgetIn(lru: Lru, sid: string | undefined): number {
  const keys =
    sid === undefined
      ? [...lru.keys()]
      : [...lru.entries()].filter(([, kept]) => sidOf(kept) === sid).map(([key]) => key);
  for (const key of keys) lru.delete(key);
  return keys.length;
}

function sidOf({ answer: { result } }: Kept): string | undefined {
  return result.kind === 'mapped' ? result.identity.account.sid : result.verdict.account?.sid;
}
