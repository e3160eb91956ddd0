/**
 * Keeps the keys of a store as the schedule wants them: makes what is to be made, removes what is done, and looks again when that may be needed.
 * What goes wrong at the start is a failure; later it is reported, and the keys that are known serve on.
 */
import type { SetAlarm } from '../base/alarm.ts';
import type { Instant, Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { Failure, reasonOf } from '../base/failure.ts';
import { lookAgainAfter, planKeys, type KeyTerms } from './key-schedule.ts';
import type { KeyStore } from './key-store.ts';
import { makeSigningKey, type SigningKey } from './signing-key.ts';

export interface KeyRing {
  /** @throws Failure when there is none and none can be made */
  signing(now: Instant): SigningKey;
  /** The one that signs first. */
  published(now: Instant): readonly SigningKey[];
  /** Ends timers. */
  close(): void;
}

export interface KeyRingFacilities {
  readonly clock: Pick<Clock, 'now'>;
  readonly setAlarm: SetAlarm;
  /** Takes what the log should tell. */
  readonly report: (record: Readonly<Record<string, unknown>>) => void;
}

/** @throws Failure when the store cannot be read, or no key can be made */
export function createKeyRing(store: KeyStore, terms: KeyTerms, facilities: KeyRingFacilities): KeyRing {
  const { clock, setAlarm, report } = facilities;
  const lookAgain = Math.max(lookAgainAfter(terms), shortestLook) as Millis;
  let keys: readonly SigningKey[] = [];
  let lookAt = 0;
  let callOff: () => void = () => {};
  let closed = false;

  function look(now: Instant): void {
    lookAt = now + lookAgain;
    keys = store.read();
    make(now);
    for (const key of planKeys(keys, terms, now).done) {
      store.remove(key);
      keys = keys.filter((other) => other !== key);
    }
    lookAt = Math.min(lookAt, planKeys(keys, terms, now).due);
  }

  function make(now: Instant): void {
    for (let turn = 0; turn < maximumTurns; turn += 1) {
      const { next } = planKeys(keys, terms, now);
      if (next === null) return;
      const key = makeSigningKey(next);
      keys = store.add(key) ? [...keys, key] : store.read();
    }
    throw new Failure('the keys of assertions do not come to rest: others make and remove them', {
      code: 'assertion-keys',
      hint: 'give gateways that share `keyDirectory` the same `identity.assertion`',
    });
  }

  function lookOrReport(now: Instant): void {
    try {
      look(now);
    } catch (error) {
      report({ event: 'assertionKeys', detail: reasonOf(error) });
    }
  }

  function wait(): void {
    if (closed) return;
    const delay = Math.max(lookAt - clock.now(), shortestLook) as Millis;
    callOff = setAlarm(() => {
      lookOrReport(clock.now());
      wait();
    }, delay);
  }

  /** Timers may be late, for one after the machine slept. */
  function planAt(now: Instant): ReturnType<typeof planKeys> {
    if (now >= lookAt) lookOrReport(now);
    return planKeys(keys, terms, now);
  }

  look(clock.now());
  wait();
  return {
    signing(now) {
      const { signing } = planAt(now);
      if (signing !== null) return signing;
      throw new Failure('there is no key to sign assertions with', {
        code: 'assertion-keys',
        hint: 'the log says why none could be made',
      });
    },
    published: (now) => planAt(now).published,
    close() {
      closed = true;
      callOff();
    },
  };
}

/** Milliseconds; what is wrong with a store stays wrong for longer than that. */
const shortestLook = 250;
/** Each turn somebody has made a key; two are enough unless settings differ. */
const maximumTurns = 8;
