/**
 * What was found out about certificates lately: accounts and refusals, in two bounded LRUs, so that a crowd of unmapped
 * certificates never drives out the mapped ones. Says how old an answer is; whether that is good enough is decided in
 * `mapper.ts`. What is unknown never gets in.
 */
import { LRUCache } from 'lru-cache';
import type { Digest, Instant } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Account } from '../base/identity.ts';
import type { Verdict } from '../base/verdict.ts';
import type {
  MapAnswer,
  MappedIdentity,
  MappingCacheSettings,
  MappingMethod,
  MappingResult,
} from './mapper-contract.ts';

/** One kept answer. A hit hands out `answer` as it is, without making a new object. */
export interface Kept {
  readonly answer: MapAnswer;
  /** When a directory server gave us the account; for a refusal, when it was found out. */
  readonly readAt: Instant;
  /** Monotonic time until which the answer is as good as new; an account may be used for `stale` longer. */
  readonly freshUntil: number;
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

  /** Few lists, shared by all entries that have the same. */
  const methodLists = new Map<string, readonly MappingMethod[]>();

  return {
    get(key) {
      const kept = accounts.get(key) ?? refusals.get(key);
      if (kept === undefined || clock.monotonic() < usableUntil(kept)) return kept;
      accounts.delete(key);
      refusals.delete(key);
      return undefined;
    },
    put(key, result, now) {
      const kept = result.kind === 'mapped' ? keepAccount(result.identity) : keepRefusal(result.verdict, now);
      accounts.delete(key);
      refusals.delete(key);
      if (settings.maximum > 0 && clock.monotonic() < usableUntil(kept))
        (result.kind === 'mapped' ? accounts : refusals).set(key, kept);
    },
    forget(sid) {
      return forgetIn(accounts, sid) + forgetIn(refusals, sid);
    },
    get size() {
      return accounts.size + refusals.size;
    },
  };

  function usableUntil({ answer, freshUntil }: Kept): number {
    return answer.result.kind === 'mapped' ? freshUntil + settings.stale : freshUntil;
  }

  function keepAccount(found: MappedIdentity): Kept {
    const account = compact(found.account);
    const { method, strength, strengthBy } = found;
    const identity = { account, method, methods: sharedMethods(found.methods), strength, strengthBy };
    return {
      answer: { result: { kind: 'mapped', identity, searches: none }, cache: 'hit' },
      readAt: account.readAt,
      freshUntil: clock.monotonic() + settings.positive,
      askAgainFrom: 0,
    };
  }

  function keepRefusal(verdict: Verdict, now: Instant): Kept {
    return {
      answer: { result: { kind: 'refused', verdict, searches: none }, cache: 'negative' },
      readAt: now,
      freshUntil: clock.monotonic() + settings.negative,
      askAgainFrom: 0,
    };
  }

  function sharedMethods(methods: readonly MappingMethod[]): readonly MappingMethod[] {
    const key = methods.join();
    const known = methodLists.get(key);
    if (known === undefined) methodLists.set(key, methods);
    return known ?? methods;
  }
}

/** Refusals get a tenth of the places: they are short-lived. */
const refusalShare = 10;
/** The searches of an answer belong to the request that caused them. */
const none: readonly never[] = [];

/**
 * Written out so that every kept account has one shape without slack. Texts that were put together or cut out keep
 * their pieces, or the whole message, alive: a copy is what it says. `domain` and `server` are few and shared.
 */
function compact(account: Account): Account {
  return {
    sid: copyOf(account.sid),
    name: copyOf(account.name),
    samAccountName: copyOf(account.samAccountName),
    domain: account.domain,
    upn: account.upn === null ? null : copyOf(account.upn),
    dn: copyOf(account.dn),
    guid: copyOf(account.guid),
    kind: account.kind,
    userAccountControl: account.userAccountControl,
    disabled: account.disabled,
    locked: account.locked,
    expires: account.expires,
    logonHours: account.logonHours === null ? null : copyOf(account.logonHours),
    passwordExpired: account.passwordExpired,
    whenCreated: account.whenCreated,
    altSecurityIdentities: account.altSecurityIdentities,
    servicePrincipalNames: account.servicePrincipalNames,
    dnsHostName: account.dnsHostName,
    fingerprint: copyOf(account.fingerprint),
    readAt: account.readAt,
    server: account.server,
  };
}

/** What comes from a directory came as UTF-8, so nothing is lost. */
function copyOf<Text extends string>(text: Text): Text {
  return Buffer.from(text, 'utf8').toString('utf8') as Text;
}

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
