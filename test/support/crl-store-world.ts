/**
 * A CRL store under test: time that stands still until it is told to pass, sources that answer what the test says, and authorities
 * whose lists are written by hand.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Test } from 'tap';
import type { SetAlarm } from '../../src/base/alarm.ts';
import type { Instant, Millis } from '../../src/base/brand.ts';
import type { Clock } from '../../src/base/clock.ts';
import {
  createCrlStore,
  type CrlChange,
  type CrlStoreSettings,
  type MeasuredCrlStore,
} from '../../src/revocation/crl-store.ts';
import type {
  CrlSigners,
  FetchFailure,
  FetchOptions,
  Fetcher,
  Refreshed,
  RefreshOptions,
  Validators,
} from '../../src/revocation/revocation-contract.ts';
import type { PublicKeyInfo } from '../../src/x509/certificate.ts';
import { DerReader } from '../../src/x509/der.ts';
import { nameKey } from '../../src/x509/name-comparison.ts';
import { parseName } from '../../src/x509/name.ts';
import { parsePublicKey } from '../../src/x509/public-key.ts';
import { writeCrl, type CrlSigner, type WrittenCrl } from './crl-writer.ts';
import { name } from './der-shapes.ts';

/** Noon of the day on which time stands still in these tests. */
export const start = Date.parse('2026-11-22T12:00:00Z') as Instant;
export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;

export interface StoppedTime extends Clock {
  readonly setAlarm: SetAlarm;
  /** Rings what is due on the way, in order. */
  advance(ms: number): void;
  /** Moves the wall clock alone, as an operator or the network may. */
  step(ms: number): void;
}

export function stopTime(): StoppedTime {
  let elapsed = 0;
  let offset = start as number;
  const alarms = new Set<{ readonly at: number; readonly work: () => void }>();
  return {
    now: () => (offset + elapsed) as Instant,
    monotonic: () => elapsed,
    setAlarm(work, delay) {
      const alarm = { at: elapsed + delay, work };
      alarms.add(alarm);
      return () => alarms.delete(alarm);
    },
    advance(ms) {
      const end = elapsed + ms;
      for (let rings = 0; ; rings += 1) {
        if (rings > 100_000) throw new Error('an alarm rings for ever');
        const [next] = [...alarms].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
        if (next === undefined) break;
        alarms.delete(next);
        elapsed = Math.max(elapsed, next.at);
        next.work();
      }
      elapsed = end;
    },
    step: (ms) => void (offset += ms),
  };
}

/** An authority as far as lists go. */
export interface ListAuthority extends CrlSigner {
  readonly publicKey: PublicKeyInfo;
  readonly nameKey: string;
}

export function listAuthority(
  commonName = 'CA',
  key: KeyObject = generateKeyPairSync('ed25519').privateKey,
): ListAuthority {
  const der = name(['2.5.4.3', 12, commonName]);
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return {
    name: der,
    key,
    keyIdentifier: null,
    publicKey: parsePublicKey(new DerReader(spki), 'key'),
    nameKey: nameKey(parseName(new DerReader(der), 'name')),
  };
}

/** A list that is good from yesterday to the day after tomorrow, as far as nothing else is said. */
export function listOf(signer: CrlSigner, what: Partial<WrittenCrl> = {}): Buffer {
  return writeCrl({
    signer,
    thisUpdate: '2026-11-21T12:00:00Z',
    nextUpdate: '2026-11-24T12:00:00Z',
    ...what,
  });
}

/** In memory of its own, shared, as a fetcher gives it. */
export function shared(bytes: Uint8Array): Buffer {
  const buffer = Buffer.from(new SharedArrayBuffer(bytes.length));
  buffer.set(bytes);
  return buffer;
}

type Script =
  Uint8Array | FetchFailure | 'notModified' | ((options: FetchOptions) => Uint8Array | FetchFailure | 'notModified');

export interface ScriptedFetcher extends Fetcher {
  /** What a source answers from now on; nothing was said: `unreachable`. */
  give(url: string, script: Script): void;
  readonly asked: readonly { readonly url: string; readonly validators: Validators | null }[];
  /** What it gave out, in order. */
  readonly delivered: readonly Buffer[];
  /** While true nobody is answered. */
  hold: boolean;
  release(): void;
  /** How many wait for an answer. */
  readonly waiting: number;
}

export function scriptFetcher(): ScriptedFetcher {
  const scripts = new Map<string, Script>();
  const asked: { url: string; validators: Validators | null }[] = [];
  const delivered: Buffer[] = [];
  let held: (() => void)[] = [];
  return {
    hold: false,
    asked,
    delivered,
    give: (url, script) => void scripts.set(url, script),
    release() {
      this.hold = false;
      const released = held;
      held = [];
      for (const go of released) go();
    },
    get waiting() {
      return held.length;
    },
    async fetch(url, options) {
      asked.push({ url, validators: options.validators ?? null });
      if (this.hold) {
        const aborted = new Promise<void>((resolve) => options.signal?.addEventListener('abort', () => resolve()));
        await Promise.race([new Promise<void>((resolve) => held.push(resolve)), aborted]);
      }
      if (options.signal?.aborted === true) return { kind: 'failed', code: 'aborted', detail: 'it was aborted' };
      const script = scripts.get(url) ?? 'unreachable';
      const answer = typeof script === 'function' ? script(options) : script;
      if (answer === 'notModified') return { kind: 'notModified' };
      if (typeof answer === 'string') return { kind: 'failed', code: answer, detail: `scripted ${answer}` };
      const validators = { etag: `"${asked.length}"`, lastModified: null };
      const bytes = shared(answer);
      delivered.push(bytes);
      return { kind: 'fetched', bytes, from: url, validators, maximumAge: null };
    },
    refusalOf: () => null,
    close: async () => {},
  };
}

export interface StoreWorld {
  readonly store: MeasuredCrlStore;
  readonly fetcher: ScriptedFetcher;
  readonly time: StoppedTime;
  readonly changes: readonly CrlChange[];
  /** One refresh by whoever trusts these authorities. */
  refresh(url: string, by: readonly ListAuthority[], options?: Partial<RefreshOptions>): Promise<Refreshed>;
  /** Kinds of what was told, for waiting. */
  heard(kind: CrlChange['kind']): number;
}

export function openStore(t: Test, settings: Partial<CrlStoreSettings> = {}): StoreWorld {
  const time = (settings.clock as StoppedTime | undefined) ?? stopTime();
  const fetcher = (settings.fetcher as ScriptedFetcher | undefined) ?? scriptFetcher();
  const changes: CrlChange[] = [];
  const store = createCrlStore({
    fetcher,
    clock: time,
    random: () => 0.5,
    cacheDirectory: null,
    setAlarm: time.setAlarm,
    onChange: (change) => void changes.push(change),
    ...settings,
  });
  t.teardown(() => store.close());
  return {
    store,
    fetcher,
    time,
    changes,
    refresh: (url, by, options = {}) =>
      store.refresh(url, trusting(...by), {
        timeout: minute as Millis,
        allowSha1: false,
        clockSkew: 0 as Millis,
        ...options,
      }),
    heard: (kind) => changes.filter((change) => change.kind === kind).length,
  };
}

/** Whoever trusts these authorities, each for lists of its own name. */
export function trusting(...authorities: readonly ListAuthority[]): CrlSigners {
  return ({ issuer }) =>
    authorities.filter((authority) => authority.nameKey === nameKey(issuer)).map(({ publicKey }) => publicKey);
}

/** `taken`, `unchanged`, or the code of the failure. */
export function outcome(refreshed: Refreshed): string {
  return refreshed.kind === 'failed' ? refreshed.code : refreshed.kind;
}

/** Numbers of the lists in use of an authority. */
export function numbersOf({ store }: Pick<StoreWorld, 'store'>, authority: ListAuthority): readonly number[] {
  return store.issuedBy(authority.nameKey).map(({ crl }) => Number(crl.crlNumber));
}

let scratch: string | null = null;
let folders = 0;

/** A folder that is not there yet; gone when the process ends. */
export function scratchFolder(): string {
  if (scratch === null) {
    const root = mkdtempSync(join(tmpdir(), 'dsmapper-crl-'));
    process.on('exit', () => rmSync(root, { recursive: true, force: true }));
    scratch = root;
  }
  folders += 1;
  const folder = join(scratch, String(folders));
  mkdirSync(folder);
  return join(folder, 'cache');
}

/** Looks again every two milliseconds until it holds. @throws Error after 30 seconds */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never came true: ${holds.toString()}`);
    await wait(2);
  }
}
