/**
 * One run of `crl-store.ts`, in a process of its own: a store takes up one list from a file, cold, thread and all, while this thread's
 * event loop is watched. Writes its figures as JSON.
 *
 *   node crl-store-run.ts FILE SHORT CERTIFICATE ENTRIES
 */
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Millis } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { createCrlStore } from '../src/revocation/crl-store.ts';
import type { Fetcher } from '../src/revocation/revocation-contract.ts';
import { createSharedBytes } from '../src/revocation/shared-bytes.ts';
import { parseCertificate } from '../src/x509/certificate.ts';
import type { Crl } from '../src/x509/crl-contract.ts';
import { bulkSerial } from '../test/support/crl-writer.ts';

export interface StoreFigures {
  /** Seconds from the question to the answer: reading the file, starting the thread, hash, signature, scan, index. */
  readonly total: number;
  /** Seconds of that after the file was read. */
  readonly taking: number;
  /** Longest delay of the event loop, milliseconds; a timer of one millisecond is part of it. */
  readonly delay: number;
  /**
   * Octets of resident memory above those of a process that has taken up a short list, less those of the file: at the highest, and when the
   * thread has ended.
   */
  readonly peak: number;
  readonly rest: number;
  /** What the short list left behind: the thread's share that stays, and code that is loaded once. */
  readonly once: number;
  /** Microseconds of a lookup. */
  readonly lookup: number;
}

const [, , file = '', short = '', certificateFile = '', entriesText = '0'] = process.argv;
const entries = Number(entriesText);
const certificate = parseCertificate(readFileSync(certificateFile));
if (certificate.kind === 'malformed') throw new Error(certificate.reason);
const { publicKey } = certificate.certificate;

let fetched = 0;
const fetcher: Fetcher = {
  async fetch(url, { maximumBytes }) {
    const shared = createSharedBytes(maximumBytes);
    await using handle = await open(url);
    const piece = Buffer.alloc(65_536);
    for (;;) {
      const { bytesRead } = await handle.read(piece);
      if (bytesRead === 0) break;
      if (!shared.add(piece.subarray(0, bytesRead))) return { kind: 'failed', code: 'tooLarge', detail: url };
    }
    fetched = performance.now();
    const validators = { etag: null, lastModified: null };
    return { kind: 'fetched', bytes: shared.finish(), from: url, validators, maximumAge: null };
  },
  refusalOf: () => null,
  close: async () => {},
};

const store = createCrlStore({
  fetcher,
  clock: systemClock,
  random: Math.random,
  cacheDirectory: null,
  maximumBytes: 512 * 1024 * 1024,
});
const options = { timeout: 60_000 as Millis, allowSha1: false, clockSkew: 0 as Millis };
const collect = collector();
// A thread ends when it has been idle for five seconds.
const threadEnds = 6000;
await wait(100);
collect();
const empty = process.memoryUsage.rss();
await take(short);
await wait(threadEnds);
collect();
const before = process.memoryUsage.rss();
const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
const began = performance.now();
const crl = await take(file);
const ended = performance.now();
await wait(20);
histogram.disable();
if (crl.entries.count !== entries) throw new Error(`${crl.entries.count} entries`);
const peak = highestResident() - before - crl.der.length;
const lookup = lookupTime();
await wait(threadEnds);
collect();
const rest = process.memoryUsage.rss() - before - crl.der.length;
const figures: StoreFigures = {
  total: (ended - began) / 1000,
  taking: (ended - fetched) / 1000,
  delay: histogram.max / 1e6,
  peak,
  rest,
  once: before - empty,
  lookup,
};
console.log(JSON.stringify(figures));
await store.close();

async function take(source: string): Promise<Crl> {
  const refreshed = await store.refresh(source, () => [publicKey], options);
  if (refreshed.kind === 'failed') throw new Error(`${refreshed.code}: ${refreshed.detail}`);
  return refreshed.stored.crl;
}

/** As the kernel counts it. */
function highestResident(): number {
  const [, kilobytes = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

function lookupTime(): number {
  const serials = Array.from({ length: 10_000 }, (_, index) => bulkSerial((index * 7919) % (2 * entries)));
  const find = () => serials.filter((serial) => crl.entries.find(serial, crl.issuer) !== null).length;
  find();
  const start = performance.now();
  find();
  return ((performance.now() - start) * 1000) / serials.length;
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
