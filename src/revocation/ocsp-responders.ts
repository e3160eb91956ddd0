/**
 * What is known of each OCSP responder: whether it is left alone for now because it failed, and what an operator wants to see of it.
 * One that refused a single question has not failed.
 */
import { LRUCache } from 'lru-cache';
import type { Instant } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { backoffDelay } from '../directory/backoff.ts';
import { rfc4514Text } from '../x509/name.ts';
import type { OcspRefreshed, SourceState, StoredOcsp } from './revocation-contract.ts';

export type OcspFailure = Extract<OcspRefreshed, { kind: 'failed' }>;

export interface OcspResponders {
  /** Why a responder is not asked now; null: it may be asked. */
  resting(url: string): OcspFailure | null;
  answered(url: string, stored: StoredOcsp): void;
  /** @param down the responder as a whole is to blame */
  failed(url: string, failure: OcspFailure, down: boolean): void;
  states(): readonly SourceState[];
}

/** URLs come out of certificates; an enterprise has a handful. */
const maximumResponders = 1000;

interface Responder {
  stored: StoredOcsp | null;
  lastError: SourceState['lastError'];
  /** In a row. */
  failures: number;
  /** Monotonic milliseconds. */
  restUntil: number;
}

export function createOcspResponders(clock: Clock, random: () => number): OcspResponders {
  const responders = new LRUCache<string, Responder>({ max: maximumResponders });

  function responder(url: string): Responder {
    const known = responders.get(url);
    if (known !== undefined) return known;
    const made = { stored: null, lastError: null, failures: 0, restUntil: -Infinity };
    responders.set(url, made);
    return made;
  }

  return {
    resting(url) {
      const known = responders.get(url);
      if (known === undefined || known.lastError === null || clock.monotonic() >= known.restUntil) return null;
      const { code, detail } = known.lastError;
      return { kind: 'failed', code, detail: `${detail}; it is not asked again yet` };
    },
    answered(url, stored) {
      Object.assign(responder(url), { stored, lastError: null, failures: 0, restUntil: -Infinity });
    },
    failed(url, { code, detail }, down) {
      const known = responder(url);
      known.lastError = { at: clock.now(), code, detail };
      if (!down) {
        known.failures = 0;
        return;
      }
      known.failures += 1;
      known.restUntil = clock.monotonic() + backoffDelay(known.failures, random);
    },
    states: () => [...responders.entries()].map(([url, known]) => stateOf(url, known, clock)),
  };
}

function stateOf(source: string, { stored, lastError, restUntil }: Responder, clock: Clock): SourceState {
  const rest = restUntil - clock.monotonic();
  const single = stored?.singles[0];
  return {
    source,
    kind: 'ocsp',
    issuer: stored === null ? null : rfc4514Text(stored.certificate.issuer),
    entries: null,
    crlNumber: null,
    thisUpdate: single?.thisUpdate ?? null,
    nextUpdate: single?.nextUpdate ?? null,
    fetchedAt: stored?.fetchedAt ?? null,
    nextAttempt: rest > 0 ? ((clock.now() + rest) as Instant) : null,
    lastError,
  };
}
