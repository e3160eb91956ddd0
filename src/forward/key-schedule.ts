/**
 * Which key signs, which are published, which one is to be made and which can go, from the keys that are there, the terms and the time alone: all
 * gateways that share a directory come to the same answer.
 *
 * A key is published `overlap` before it signs, and `overlap` and `lifetime` after: whoever keeps the key set for less than `overlap` finds in it every
 * key that signed what it is shown. The chains of the two algorithms do not touch each other, so that gateways with different settings do not fight.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { AssertionSettings } from './assertion-contract.ts';
import type { KeyFacts, SigningKey } from './signing-key.ts';

export type KeyTerms = Pick<AssertionSettings, 'algorithm' | 'lifetime' | 'rotation' | 'overlap'>;

export interface KeyPlan {
  /** Null: there is none yet; `next` then signs at once. */
  readonly signing: SigningKey | null;
  /** The one that signs, then the others, the youngest first. */
  readonly published: readonly SigningKey[];
  /** Nobody can still hold something that they signed. */
  readonly done: readonly SigningKey[];
  /** To be made now. */
  readonly next: KeyFacts | null;
  /** When there may be something to make or to remove again. */
  readonly due: Instant;
}

/** How often a directory is looked at for what other gateways did there; so much earlier than needed keys are made. */
export function lookAgainAfter({ overlap }: Pick<KeyTerms, 'overlap'>): Millis {
  return Math.ceil(overlap / 4) as Millis;
}

export function planKeys(keys: readonly SigningKey[], terms: KeyTerms, now: Instant): KeyPlan {
  const live = keys.filter((key) => doneAt(key, keys, terms) > now);
  const own = chainOf(live, terms.algorithm);
  const signing = signingAt(live, own, now);
  const facts = nextKey(own, live.length > 0, terms, now);
  const ends = live.map((key) => doneAt(key, keys, terms));
  return {
    signing,
    published: live.toSorted(
      (a, b) => Number(b === signing) - Number(a === signing) || b.signsFrom - a.signsFrom || (a.kid < b.kid ? -1 : 1),
    ),
    done: keys.filter((key) => !live.includes(key)),
    next: facts.makeAt <= now ? facts.key : null,
    due: Math.min(facts.makeAt, ...ends) as Instant,
  };
}

/** In the order of their numbers. */
function chainOf(keys: readonly SigningKey[], algorithm: SigningKey['algorithm']): readonly SigningKey[] {
  return keys.filter((key) => key.algorithm === algorithm).toSorted((a, b) => a.number - b.number);
}

/** After a change of algorithm the old one signs until the new one has been published long enough. */
function signingAt(live: readonly SigningKey[], own: readonly SigningKey[], now: Instant): SigningKey | null {
  const begun = (key: SigningKey) => key.signsFrom <= now;
  const former = live.filter(begun).toSorted((a, b) => b.signsFrom - a.signsFrom);
  // The last: only a clock that was set back makes all keys lie ahead.
  return own.findLast(begun) ?? former[0] ?? own[0] ?? null;
}

function nextKey(
  own: readonly SigningKey[],
  somebodySigns: boolean,
  { algorithm, overlap, rotation }: KeyTerms,
  now: Instant,
): { readonly makeAt: Instant; readonly key: KeyFacts } {
  const lead = overlap + lookAgainAfter({ overlap });
  const last = own.at(-1);
  const facts = (number: number, signsFrom: number): KeyFacts => ({
    algorithm,
    number,
    created: now,
    signsFrom: signsFrom as Instant,
    signsUntil: (signsFrom + rotation) as Instant,
  });
  if (last === undefined) return { makeAt: now, key: facts(1, somebodySigns ? now + lead : now) };
  // Made by a clock that ran ahead, or with an overlap that nobody has any more: it would keep all others from being made.
  if (last.signsFrom > now + rotation + lead) return { makeAt: now, key: facts(last.number + 1, now + lead) };
  const planned = Math.min(last.signsUntil, last.signsFrom + rotation);
  return {
    makeAt: Math.max(0, planned - lead) as Instant,
    key: facts(last.number + 1, Math.max(planned, now + lead)),
  };
}

/** From here on a key is neither used nor published. Infinite for the last one of the chain that is kept up. */
function doneAt(key: SigningKey, keys: readonly SigningKey[], terms: KeyTerms): number {
  const { overlap, lifetime, algorithm } = terms;
  const after = overlap + lifetime + lookAgainAfter(terms);
  const later = chainOf(keys, key.algorithm).filter(({ number }) => number > key.number);
  if (later.length > 0) return Math.min(...later.map(({ signsFrom }) => signsFrom)) + after;
  if (key.algorithm === algorithm) return Number.POSITIVE_INFINITY;
  const [first] = chainOf(keys, algorithm);
  return Math.max(key.signsUntil, first?.signsFrom ?? 0) + after;
}
