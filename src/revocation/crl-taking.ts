/**
 * Puts a list that came from a source into use, or says why not. Decides what depends on the lists in use: a list never replaces a newer
 * one of its kind, and one that has expired is put into use all the same when it is the newest there is, for those who accept stale
 * answers, but counts as a failure of its source.
 */
import type { Digest, Instant } from '../base/brand.ts';
import { type Clock, isoText } from '../base/clock.ts';
import type { Crl } from '../x509/crl-contract.ts';
import type { CrlDisk } from './crl-disk.ts';
import type { CrlExaminer } from './crl-examiner.ts';
import { takeIn } from './crl-intake.ts';
import { type CrlLists, findOlder, listKeyOf } from './crl-lists.ts';
import type { Asker, Refusal } from './crl-refusal.ts';
import type { CrlSource } from './crl-source.ts';
import type { StoredCrl, Validators } from './revocation-contract.ts';
import { expectCollection } from './shared-garbage.ts';

/** What a source, or the disk in its place, gave. */
export interface Delivery {
  readonly der: Buffer;
  readonly validators: Validators;
  readonly fetchedAt: Instant;
  /** What `der` was when it was written; null: it was fetched just now. */
  readonly expected: Digest | null;
}

export type Taking =
  | { readonly kind: 'taken' | 'unchanged'; readonly stored: StoredCrl }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export interface CrlTaking {
  /** Never rejects, as long as the asker's `signers` does not throw. */
  take(source: CrlSource, delivery: Delivery, asker: Asker): Promise<Taking>;
  /** The source says that what it delivered last is still what it has. */
  confirm(source: CrlSource, asker: Asker): Taking;
}

export interface CrlTakingSettings {
  readonly lists: CrlLists;
  readonly examiner: CrlExaminer;
  readonly disk: CrlDisk | null;
  readonly clock: Clock;
  /** A list that was not in use before is now. @param older an operator had it replace a newer one */
  readonly onTaken: (stored: StoredCrl, source: CrlSource, older: boolean) => void;
}

export function createCrlTaking({ lists, examiner, disk, clock, onTaken }: CrlTakingSettings): CrlTaking {
  const heldBy = ({ list }: CrlSource) => (list === null ? null : lists.get(list));

  function place(crl: Crl, signerKey: Digest, source: CrlSource, delivery: Delivery, asker: Asker): Taking {
    const key = listKeyOf(crl, signerKey);
    const current = lists.get(key);
    source.list = key;
    if (current?.crl.digest === crl.digest) return renew(current, source, delivery, asker);
    const older = current === null ? null : findOlder(crl, current.crl);
    if (older !== null && !asker.allowOlder) return refuse('older', older);
    const stored: StoredCrl = { crl, source: source.url, fetchedAt: delivery.fetchedAt, signerKey };
    lists.put(key, stored);
    keep(stored, source, delivery);
    onTaken(stored, source, older !== null);
    return judgeDates({ kind: 'taken', stored }, asker);
  }

  /** The same list again: what readers hold stays as it is, only that it is still the newest is news. */
  function renew(current: StoredCrl, source: CrlSource, delivery: Delivery, asker: Asker): Taking {
    const fetchedAt = Math.max(current.fetchedAt, delivery.fetchedAt) as Instant;
    const stored: StoredCrl = { ...current, source: source.url, fetchedAt };
    lists.put(listKeyOf(current.crl, current.signerKey), stored);
    keep(stored, source, delivery);
    return judgeDates({ kind: 'unchanged', stored }, asker);
  }

  function keep({ crl: { digest, der } }: StoredCrl, source: CrlSource, { validators, ...delivery }: Delivery): void {
    const known = source.delivered?.digest === digest;
    source.delivered = { digest, validators };
    if (delivery.expected === null && !known)
      disk?.write({ source: source.url, fetchedAt: delivery.fetchedAt, validators, digest, der });
  }

  function judgeDates(taking: Exclude<Taking, { kind: 'refused' }>, { clockSkew }: Asker): Taking {
    const { nextUpdate } = taking.stored.crl;
    if (nextUpdate === null || clock.now() <= nextUpdate + clockSkew) return taking;
    return refuse('expired', `its nextUpdate was ${isoText(nextUpdate)}, and there is no newer list`);
  }

  async function takeUp(source: CrlSource, delivery: Delivery, asker: Asker): Promise<Taking> {
    const held = heldBy(source);
    const { der, expected } = delivery;
    const known = held === null ? null : { digest: held.crl.digest, signerKey: held.signerKey };
    const intake = await takeIn({ der, asker, now: clock.now(), held: known, expected }, examiner);
    switch (intake.kind) {
      case 'verified':
        return place(intake.crl, intake.signerKey, source, delivery, asker);
      case 'held': {
        // Another source may have brought a newer one meanwhile.
        const current = heldBy(source);
        if (current !== null && current.crl.digest === held?.crl.digest) return renew(current, source, delivery, asker);
        return refuse('older', 'a newer list came from elsewhere meanwhile');
      }
      case 'damaged':
        await disk?.setAside(source.url, 'the list in it is not the one that was written');
        return refuse('malformed', 'what was kept on disk is damaged');
      case 'refused':
        return intake;
    }
  }

  return {
    async take(source, delivery, asker) {
      const { der } = delivery;
      const taking = await takeUp(source, delivery, asker);
      if (heldBy(source)?.crl.der !== der) expectCollection(der.buffer, der.length);
      return taking;
    },
    confirm(source, asker) {
      const current = heldBy(source);
      const { delivered } = source;
      if (current === null || delivered === null || current.crl.digest !== delivered.digest)
        return refuse('httpStatus', 'it answered that a list which is not in use has not changed');
      const { validators } = delivered;
      return renew(
        current,
        source,
        { der: current.crl.der, validators, fetchedAt: clock.now(), expected: null },
        asker,
      );
    },
  };
}

function refuse(code: Refusal['code'], detail: string): Taking {
  return { kind: 'refused', refusal: { code, detail } };
}
