/**
 * What was found out about certificates lately: accounts and refusals, in two bounded LRUs, so that a crowd of unmapped
 * certificates never drives out the mapped ones. Says how old an answer is; whether that is good enough is decided in
 * `mapper.ts`. What is unknown never gets in. There may be a million accounts: everything about them is kept once and short.
 */
import { LRUCache } from 'lru-cache';
import type { Digest, Instant } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Account } from '../base/identity.ts';
import type { Verdict } from '../base/verdict.ts';
import type { MappedIdentity, MappingCacheSettings, MappingMethod, MappingResult } from './mapper-contract.ts';
import { sweep } from './sweep.ts';

export interface KeptIdentity {
  identity: MappedIdentity;
  /** By what it was looked for (`candidate-hashes.ts`). */
  readonly hashes: string;
  /** Monotonic milliseconds until which it is as good as new, unless all was declared out of date. */
  readonly freshUntil: number;
}

export interface KeptRefusal {
  readonly refusal: Verdict;
  readonly hashes: string;
  readonly freshUntil: number;
  /** When it was found out. */
  readonly readAt: Instant;
}

export type Kept = KeptIdentity | KeptRefusal;

type Storable = Exclude<MappingResult, { readonly kind: 'unknown' }>;

/** What becomes of a kept answer: `renewed` is its account as it was just read again. */
export type Fate = 'stays' | 'goes' | { readonly renewed: Account };

export interface MappingCache {
  /** Only what is still usable: accounts for `stale` longer than they are fresh. */
  get(key: Digest): Kept | undefined;
  isFresh(kept: Kept): boolean;
  /**
   * Replaces whatever was known of the key; keeps nothing where its time to live, or `maximum`, is 0.
   * @param hashes by what it was looked for
   */
  put(key: Digest, result: Storable, hashes: string, now: Instant): void;
  /** Every answer so far is out of date: accounts serve for `stale`, refusals not at all. */
  expire(): void;
  /** Looks at every answer. @returns how many went. Never rejects unless `fateOf` throws */
  review(fateOf: (kept: Kept) => Fate): Promise<number>;
  forget(sid?: string): number;
  readonly size: number;
}

export function createMappingCache(settings: MappingCacheSettings, clock: Clock): MappingCache {
  const identities = new LRUCache<Digest, KeptIdentity>({ max: Math.max(1, settings.maximum) });
  const refusals = new LRUCache<Digest, KeptRefusal>({ max: Math.max(1, Math.ceil(settings.maximum / refusalShare)) });
  /** Few lists, shared by all entries that have the same. */
  const methodLists = new Map<string, readonly MappingMethod[]>();
  let expiredAt = -Infinity;

  return {
    get(key) {
      const kept = identities.get(key) ?? refusals.get(key);
      if (kept === undefined || clock.monotonic() < usableUntil(kept)) return kept;
      identities.delete(key);
      refusals.delete(key);
      return undefined;
    },
    isFresh: (kept) => clock.monotonic() < freshUntil(kept),
    put(key, result, hashes, now) {
      // first: what cannot be copied is no account, and takes the place of none
      const identity = result.kind === 'mapped' ? compact(result.identity) : null;
      identities.delete(key);
      refusals.delete(key);
      if (settings.maximum === 0) return;
      // Whole milliseconds: V8 keeps small integers without an object for each. Never later than now, or `expire` would spare what was kept just before it.
      const until = (life: number): number => Math.floor(clock.monotonic()) + life;
      if (result.kind === 'refused' && settings.negative > 0)
        refusals.set(key, { refusal: result.verdict, hashes, freshUntil: until(settings.negative), readAt: now });
      if (identity !== null && settings.positive + settings.stale > 0)
        identities.set(key, { identity, hashes, freshUntil: until(settings.positive) });
    },
    expire() {
      expiredAt = clock.monotonic();
      refusals.clear();
    },
    async review(fateOf) {
      const goes = (kept: Kept): boolean => {
        const fate = fateOf(kept);
        if (typeof fate === 'object' && isIdentity(kept))
          kept.identity = { ...kept.identity, account: { ...kept.identity.account, readAt: fate.renewed.readAt } };
        return fate === 'goes';
      };
      return (await sweep(identities, goes)) + (await sweep(refusals, goes));
    },
    forget(sid) {
      return forgetIn(identities, sid) + forgetIn(refusals, sid);
    },
    get size() {
      return identities.size + refusals.size;
    },
  };

  function usableUntil(kept: Kept): number {
    return isIdentity(kept) ? freshUntil(kept) + settings.stale : kept.freshUntil;
  }

  function freshUntil(kept: Kept): number {
    const outdated = isIdentity(kept) && kept.freshUntil - settings.positive <= expiredAt;
    return outdated ? Math.min(kept.freshUntil, expiredAt) : kept.freshUntil;
  }

  function compact({ account, method, methods, strength, strengthBy }: MappedIdentity): MappedIdentity {
    const key = methods.join();
    const known = methodLists.get(key);
    if (known === undefined) methodLists.set(key, methods);
    return { account: compactAccount(account), method, methods: known ?? methods, strength, strengthBy };
  }
}

export function isIdentity(kept: Kept): kept is KeptIdentity {
  return 'identity' in kept;
}

/** When a directory server gave us the account; for a refusal, when it was found out. */
export function readAtOf(kept: Kept): Instant {
  return isIdentity(kept) ? kept.identity.account.readAt : kept.readAt;
}

/** Whom it is about; a refusal may be about nobody. */
export function accountOf(kept: Kept): Account | undefined {
  return isIdentity(kept) ? kept.identity.account : kept.refusal.account;
}

/** Refusals get a tenth of the places: they are short-lived. */
const refusalShare = 10;

/**
 * Written out so that every kept account has one shape without slack. Texts that were put together or cut out keep
 * their pieces, or the whole message, alive: a copy is what it says. `domain` and `server` are few and shared.
 */
function compactAccount(account: Account): Account {
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

function forgetIn<Value extends Kept>(kept: LRUCache<Digest, Value>, sid: string | undefined): number {
  const keys =
    sid === undefined
      ? [...kept.keys()]
      : [...kept.entries()].filter(([, one]) => accountOf(one)?.sid === sid).map(([key]) => key);
  for (const key of keys) kept.delete(key);
  return keys.length;
}
