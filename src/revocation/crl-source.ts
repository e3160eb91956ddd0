/**
 * What is known of one place that lists come from, and how it is told to operators. Only the store changes it.
 */
import type { Digest, Instant } from '../base/brand.ts';
import { rfc4514Text } from '../x509/name.ts';
import type { ListKey } from './crl-lists.ts';
import type { Asker, RememberedRefusal } from './crl-refusal.ts';
import type { Refreshed, SourceState, StoredCrl, Validators } from './revocation-contract.ts';

export interface CrlSource {
  readonly url: string;
  /** Who has it asked again in the background: the last whose list was taken up, else the first who asked. */
  asker: Asker;
  /** Where its last good list belongs, also when a newer one came from elsewhere; null: it never gave one. */
  list: ListKey | null;
  /** What it delivered last and was verified. */
  delivered: { readonly digest: Digest; readonly validators: Validators } | null;
  /** Since the last success, in a row. */
  failures: number;
  lastError: { readonly at: Instant; readonly refusal: RememberedRefusal } | null;
  /** When it is asked next; null: nothing is planned. */
  next: Moment | null;
  /** Monotonic time of the last request that used it. */
  usedAt: number;
  /** Somebody wanted it since it was asked last. */
  wanted: boolean;
  /** The configuration wants it, always. */
  standing: boolean;
  flight: Flight | null;
}

/** By both clocks: one stands still while a machine sleeps, the other may be set back. */
export interface Moment {
  readonly at: Instant;
  readonly monotonic: number;
}

/** One attempt, which any number of askers wait for. Never rejects. */
export interface Flight {
  readonly answer: Promise<Refreshed>;
  /** How far it goes: the disk alone, the source itself where the disk has nothing current, the source in any case. */
  readonly effort: 'disk' | 'needed' | 'forced';
  /** Monotonic milliseconds at its beginning. */
  readonly since: number;
}

export function createSource(url: string, asker: Asker, usedAt: number): CrlSource {
  return {
    url,
    asker,
    list: null,
    delivered: null,
    failures: 0,
    lastError: null,
    next: null,
    usedAt,
    wanted: false,
    standing: false,
    flight: null,
  };
}

export function stateOf(source: CrlSource, held: StoredCrl | null): SourceState {
  const crl = held?.crl ?? null;
  const error = source.lastError;
  return {
    source: source.url,
    kind: 'crl',
    issuer: crl === null ? null : rfc4514Text(crl.issuer),
    entries: crl?.entries.count ?? null,
    crlNumber: crl?.crlNumber?.toString() ?? null,
    thisUpdate: crl?.thisUpdate ?? null,
    nextUpdate: crl?.nextUpdate ?? null,
    fetchedAt: held?.fetchedAt ?? null,
    nextAttempt: source.next?.at ?? null,
    lastError: error === null ? null : { at: error.at, code: error.refusal.code, detail: error.refusal.detail },
  };
}
