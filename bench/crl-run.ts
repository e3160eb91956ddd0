/**
 * One scan of a CRL in a fresh process, then lookups: prints what they took. The file's name and number of entries come in a file of settings.
 */
import { existsSync, readFileSync } from 'node:fs';
import { adoptCrl, scanCrl } from '../src/x509/crl.ts';
import type { Crl } from '../src/x509/crl-contract.ts';
import { bulkSerial } from '../test/support/crl-writer.ts';

export interface ScanFigures {
  /** Seconds. */
  readonly wall: number;
  readonly cpu: number;
  /** Microseconds of CPU a lookup. */
  readonly hit: number;
  readonly miss: number;
  /** Octets that the process grew by at its largest, from the moment when the file was in memory. */
  readonly memory: number;
}

const lookups = 200_000;

const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as { file: string; entries: number };
const der = readFileSync(settings.file);
const before = { memory: process.memoryUsage.rss(), cpu: process.cpuUsage(), wall: performance.now() };
const scanned = scanCrl(der);
const wall = (performance.now() - before.wall) / 1000;
const { user, system } = process.cpuUsage(before.cpu);
const memory = peakMemory() - before.memory;
if (scanned.kind === 'malformed') throw new Error(scanned.reason);
const adopted = adoptCrl(der, scanned.index);
if (adopted.kind === 'malformed') throw new Error(adopted.reason);
const figures: ScanFigures = {
  wall,
  cpu: (user + system) / 1e6,
  hit: microseconds(adopted.crl, (index) => (index * 7919) % settings.entries, lookups),
  miss: microseconds(adopted.crl, (index) => settings.entries + index, 0),
  memory,
};
console.log(JSON.stringify(figures));

/** Octets, of this program alone: what Node tells includes the program that started it. NaN where there is no /proc. */
function peakMemory(): number {
  const line = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'latin1') : '';
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(line)?.[1] ?? Number.NaN) * 1024;
}

/** After some others, so that it is not the compiler that is measured. */
function microseconds(crl: Crl, pick: (index: number) => number, expected: number): number {
  const serials = Array.from({ length: lookups }, (_, index) => bulkSerial(pick(index)));
  for (let index = 0; index < 20_000; index += 1) crl.entries.find(bulkSerial(index), crl.issuer);
  let found = 0;
  const start = process.cpuUsage();
  for (const serial of serials) if (crl.entries.find(serial, crl.issuer) !== null) found += 1;
  const { user, system } = process.cpuUsage(start);
  if (found !== expected) throw new Error(`${found} of ${lookups} found`);
  return (user + system) / lookups;
}
