/**
 * `npx -c "node bench/crl.ts"`: what a large CRL costs, beside `openssl crl` in the same run; neither checks the signature.
 *
 *   --entries 1000000   serials of 16 octets, every second one with a reason
 *   --pairs 5           runs in turn, A B A B
 *   --json FILE         the figures as JSON
 *
 * Ours is a scan in a process of its own, cold, from octets in memory to an index; theirs is a whole process that reads the file.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bulkEntries, plainSigner, writeCrl } from '../test/support/crl-writer.ts';
import type { ScanFigures } from './crl-run.ts';
import { runScript } from './processes.ts';
import { median, medianInterval } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    pairs: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});

/** Seconds. */
interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

const entries = Number(options.entries);
const folder = mkdtempSync(join(tmpdir(), 'dsmapper-bench-'));
try {
  const file = join(folder, 'large.crl');
  const der = writeCrl({ signer: plainSigner(), entries: bulkEntries(entries) });
  writeFileSync(file, der);
  const ours: ScanFigures[] = [];
  const theirs: Cost[] = [];
  for (let pair = 0; pair < Number(options.pairs); pair += 1) {
    ours.push((await runScript('server', 'crl-run.ts', { file, entries }).ready) as ScanFigures);
    theirs.push(openssl(file));
  }
  print(der.length, ours, theirs);
} finally {
  rmSync(folder, { recursive: true });
}

/** The shell's own clock, because Node does not tell what a child has used. */
function openssl(file: string): Cost {
  const command = 'TIMEFORMAT="%R %U %S"; time openssl crl -noout -inform DER -in "$1"';
  const result = spawnSync('bash', ['-c', command, 'bash', file], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const [wall, user, system] = (result.stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  if (result.status !== 0 || wall === undefined || user === undefined || system === undefined)
    throw new Error(`openssl crl: ${result.stderr}`);
  return { wall, cpu: user + system };
}

function print(size: number, ours: readonly ScanFigures[], theirs: readonly Cost[]): void {
  const of = (pick: (figures: ScanFigures) => number) => median(ours.map(pick));
  const ratio = (kind: keyof Cost) => {
    const ratios = theirs.map((cost, index) => (ours[index]?.[kind] ?? Number.NaN) / cost[kind]);
    return { median: median(ratios), interval: medianInterval(ratios) };
  };
  const figures = {
    entries,
    size,
    scanWall: of(({ wall }) => wall),
    scanCpu: of(({ cpu }) => cpu),
    opensslWall: median(theirs.map(({ wall }) => wall)),
    opensslCpu: median(theirs.map(({ cpu }) => cpu)),
    wallRatio: ratio('wall'),
    cpuRatio: ratio('cpu'),
    hitMicroseconds: of(({ hit }) => hit),
    missMicroseconds: of(({ miss }) => miss),
    megabytesAboveFile: of(({ memory }) => memory) / 1e6,
  };
  console.log(JSON.stringify(figures, null, 2));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`);
}
