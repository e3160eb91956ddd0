/**
 * One run of `batching.ts`, in a process of its own: lookups at a directory through the directory room, as fast as a number of clients can ask, or a
 * few at leisure. Each lookup is for an account that this run has not asked for. Writes its figures as JSON.
 *
 *   node batching-run.ts SETTINGS
 */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Millis } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import type { Assertion, ForestSettings } from '../src/directory/directory.ts';
import { createForest } from '../src/directory/forest.ts';
import { candidatesOf, nameOf } from './batching-accounts.ts';

export interface LookupRun {
  readonly forest: Omit<ForestSettings, 'domains'> & {
    readonly domain: string;
    readonly url: string;
    readonly dn: string;
    readonly password: string;
  };
  readonly accounts: number;
  /** Values that one lookup asks for; one of them is the account's. */
  readonly values: number;
  /** So many at a time, one after the other; 0: one each `pause` milliseconds. */
  readonly clients: number;
  readonly pause: number;
  readonly seconds: number;
  /** First account that is asked for. */
  readonly start: number;
}

export interface LookupFigures {
  readonly n: number;
  /** Lookups a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds of our own CPU. */
  readonly cpuPerOp: number;
  /** Searches that went over the wire for one lookup. */
  readonly searches: number;
}

const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as LookupRun;
const { domain, url, dn, password } = settings.forest;
let searches = 0;
const forest = createForest(
  {
    ...settings.forest,
    domains: [
      {
        name: domain,
        controllers: [url],
        discovery: null,
        bind: { kind: 'simple', dn, password, reread: null },
      },
    ],
  },
  { clock: systemClock, random: Math.random, onSearch: () => void (searches += 1) },
);
await Promise.all([forest.health(), forest.ntAuth(), forest.domains()]);

let next = settings.start;
async function lookUp(): Promise<number> {
  // A stride that is prime to the number of accounts: neighbours in the database are not neighbours in time.
  const index = (next++ * 7919) % settings.accounts;
  const assertions = candidatesOf(index, settings.values, domain) as Assertion[];
  const began = performance.now();
  const located = await forest.locate(assertions, 20_000 as Millis);
  const took = performance.now() - began;
  const found = located.kind === 'answered' ? located.accounts.map(({ samAccountName }) => samAccountName).join() : '';
  if (found !== nameOf(index)) throw new Error(`account ${index}: ${found} ${JSON.stringify(located)}`);
  return took;
}

/** @returns latencies */
async function run(seconds: number): Promise<number[]> {
  const latencies: number[] = [];
  const end = performance.now() + seconds * 1000;
  const client = async (): Promise<void> => {
    while (performance.now() < end) latencies.push(await lookUp());
  };
  if (settings.clients > 0) {
    await Promise.all(Array.from({ length: settings.clients }, client));
    return latencies;
  }
  const under: Promise<unknown>[] = [];
  while (performance.now() < end) {
    under.push(lookUp().then((took) => latencies.push(took)));
    await wait(settings.pause);
  }
  await Promise.all(under);
  return latencies;
}

// The second half of a second to compile the code and to fill the server's caches.
await run(0.5);
searches = 0;
const cpu = process.cpuUsage();
const began = performance.now();
const latencies = (await run(settings.seconds)).sort((a, b) => a - b);
const elapsed = (performance.now() - began) / 1000;
const { user, system } = process.cpuUsage(cpu);
const at = (part: number): number => latencies[Math.floor(latencies.length * part)] ?? Number.NaN;
const figures: LookupFigures = {
  n: latencies.length,
  rate: latencies.length / elapsed,
  p50: at(0.5),
  p99: at(0.99),
  cpuPerOp: (user + system) / 1000 / latencies.length,
  searches: searches / latencies.length,
};
console.log(JSON.stringify(figures));
await forest.close();
