/**
 * What is on the lab's CRLs, and when they are made again: at the first request after a change, and when half of their life is over. A
 * complete list shows everything; a delta list shows what has changed since the lab's certificates were made, so that it goes with
 * every complete list that anybody still holds.
 */
import type { Instant } from '../base/brand.ts';
import type { WrittenCrl, WrittenCrlEntry } from './crl-writer.ts';
import type { Publisher } from './publishers.ts';
import { addressesOf } from './revocation-addresses.ts';
import type { RevocationEntry, RevocationState } from './revocation-state.ts';
import { firstNumber, revocationReasons } from './revocation-state.ts';

export type ListKind = 'complete' | 'delta';

/** How long each is valid, in milliseconds; a delta is there to be newer. */
const lifetimes: Readonly<Record<ListKind, number>> = { complete: 3_600_000, delta: 300_000 };

export interface RevocationLists {
  /** The same value until it is time for another one. */
  of(publisher: Publisher, kind: ListKind): WrittenCrl;
}

/** @param url of the server that publishes them */
export function revocationLists(state: RevocationState, url: string, now: () => Instant): RevocationLists {
  const made = new Map<string, WrittenCrl>();

  function make(publisher: Publisher, kind: ListKind, at: Instant): WrittenCrl {
    const thisUpdate = (Math.floor(at / 1000) * 1000) as Instant;
    const delta = kind === 'delta';
    return {
      thisUpdate,
      nextUpdate: (thisUpdate + lifetimes[kind]) as Instant,
      nextPublish: (thisUpdate + lifetimes[kind] / 2) as Instant,
      number: state.number,
      baseNumber: delta ? firstNumber : null,
      freshest: delta || !publisher.hasDelta ? null : addressesOf(url, publisher.publishedAs).deltaCrl,
      entries: entriesOf(state, publisher.name, kind),
      extensions: [],
    };
  }

  return {
    of(publisher, kind) {
      const key = `${kind} ${publisher.name}`;
      const at = now();
      const held = made.get(key);
      if (held !== undefined && held.number === state.number && at < held.nextPublish && at >= held.thisUpdate)
        return held;
      // RFC 5280 section 5.2.3: numbers of complete lists grow with each of them, whether or not anything has changed.
      // A number that did not reach the disk costs nothing but a repetition after a restart.
      if (kind === 'complete' && held?.number === state.number) state.advance().catch(() => {});
      const fresh = make(publisher, kind, at);
      made.set(key, fresh);
      return fresh;
    },
  };
}

function entriesOf(state: RevocationState, issuer: string, kind: ListKind): readonly WrittenCrlEntry[] {
  const own = state.entries.filter((entry) => entry.issuer === issuer);
  return own
    .filter((entry) => (kind === 'complete' ? entry.revoked : entry.since > firstNumber))
    .map((entry) => writtenEntry(entry));
}

/** Section 5.3.1: whoever holds the complete list learns from removeFromCRL (8) that an entry counts no more. */
function writtenEntry({ serial, at, reason, revoked }: RevocationEntry): WrittenCrlEntry {
  return {
    serial: Buffer.from(serial, 'hex'),
    revocationDate: Date.parse(at) as Instant,
    reason: revoked ? revocationReasons[reason] : 8,
  };
}
