/**
 * `npm run bench`: what the gateway costs, in CPU per operation of its own process, beside nginx in the same run where it is installed,
 * or beside itself without what is measured.
 *
 *   npm run bench                  everything, seven pairs
 *   npm run bench -- --quick       one pair, small counts: does it work
 *   npm run bench -- --only kept   scenarios whose name begins so
 *   npm run bench -- --key p256    P-256 keys in place of RSA-2048
 *   npm run bench -- --json FILE   the rows as JSON
 *   npm run bench -- --profile FOLDER   also a CPU profile of the gateway, for Chrome's developer tools
 *
 * Runs go in turn, A B A B; figures are medians, the ratio comes with its 95 % interval. A budget holds when the interval's lower end is
 * within it (docs/performance.md).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Bed, Server } from './bed.ts';
import { openBed } from './bed.ts';
import type { LoadResult, LoadSettings } from './load.ts';
import { cpuSeconds, runScript } from './processes.ts';
import type { Scenario } from './scenarios.ts';
import { scenarios } from './scenarios.ts';
import { median, medianInterval } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
    pairs: { type: 'string' },
    key: { type: 'string', default: 'rsa2048' },
    profile: { type: 'string' },
  },
});

export interface Row {
  readonly scenario: string;
  readonly n: number;
  /** Operations a second, as the load saw it. */
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds of CPU of the measured process. */
  readonly cpuPerOp: number;
  /** CPU per operation over that of the yardstick; null without one. */
  readonly ratio: number | null;
  /** What the ratio is to. */
  readonly yardstick: Scenario['yardstick'];
  readonly interval: readonly [number, number] | null;
}

interface Measured {
  readonly result: LoadResult;
  readonly cpuPerOp: number;
}

const pairs = options.pairs === undefined ? (options.quick ? 1 : 7) : Number(options.pairs);
if (options.key !== 'rsa2048' && options.key !== 'p256') throw new Error('--key is rsa2048 or p256');
const { key } = options;
const bed = await openBed({ key, profile: options.profile ?? null, progress });
const rows: Row[] = [];
try {
  for (const scenario of scenarios.filter(({ name }) => name.startsWith(options.only)))
    rows.push(await measure(scenario, bed));
} finally {
  await bed.close();
}
print(rows);
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify({ node: process.version, key: options.key, pairs, rows }, null, 2)}\n`);

async function measure(scenario: Scenario, bed: Bed): Promise<Row> {
  const count = options.quick ? Math.ceil(scenario.count / 10) : scenario.count;
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  const rounds = scenario.once === true ? 1 : pairs;
  const gateway = await bed.gateway(scenario);
  const yardstick = await bed.yardstick(scenario);
  if (scenario.once !== true)
    for (const server of [gateway, yardstick]) if (server !== null) await load(scenario, server, Math.ceil(count / 5));
  for (let round = 0; round < rounds; round += 1) {
    progress(`${scenario.name} ${round + 1}/${rounds}`);
    ours.push(await load(scenario, gateway, count));
    if (yardstick !== null) theirs.push(await load(scenario, yardstick, count));
  }
  const ratios = theirs.map((other, index) => (ours[index]?.cpuPerOp ?? Number.NaN) / other.cpuPerOp);
  return {
    scenario: scenario.name,
    n: count * rounds,
    rate: median(ours.map(({ result }) => result.done / result.seconds)),
    p50: median(ours.map(({ result }) => result.p50)),
    p99: median(ours.map(({ result }) => result.p99)),
    cpuPerOp: median(ours.map(({ cpuPerOp }) => cpuPerOp)),
    ratio: ratios.length > 0 ? median(ratios) : null,
    interval: ratios.length > 0 ? medianInterval(ratios) : null,
    yardstick: ratios.length > 0 ? scenario.yardstick : null,
  };
}

/** One line that is written over; nothing unless somebody watches. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

async function load(scenario: Scenario, { url, pid }: Server, count: number): Promise<Measured> {
  const settings: LoadSettings = { ...bed.load(scenario), url, count };
  const before = cpuSeconds(pid);
  const result = (await runScript('load', scenario.driver, settings).ready) as LoadResult;
  if (result.failed > 0) throw new Error(`${scenario.name}: ${result.failed} of ${count} operations failed at ${url}`);
  return { result, cpuPerOp: ((cpuSeconds(pid) - before) * 1000) / result.done };
}

function print(rows: readonly Row[]): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  const cells = rows.map((row) => [
    row.scenario,
    String(row.n),
    row.rate.toFixed(0),
    row.p50.toFixed(2),
    row.p99.toFixed(2),
    row.cpuPerOp.toFixed(3),
    row.ratio === null
      ? '-'
      : `${row.ratio.toFixed(2)} (${row.interval?.map((end) => end.toFixed(2)).join(' to ')}) of ${row.yardstick}`,
  ]);
  const head = ['scenario', 'n', 'ops/s', 'p50 ms', 'p99 ms', 'CPU ms/op', 'CPU ratio'];
  const widths = head.map((title, index) => Math.max(title.length, ...cells.map((line) => line[index]?.length ?? 0)));
  for (const line of [head, ...cells])
    console.log(
      line
        .map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
        .join('  '),
    );
}

mkdirSync(new URL('results/', import.meta.url), { recursive: true });
