/**
 * `npx -c "node bench/crl-store.ts"`: what it costs to take up a large CRL, signature and all, beside `openssl crl -verify` on the same
 * file in the same run; how long the event loop had to wait meanwhile, and what memory it needs.
 *
 *   --entries 1000000   serials of 16 octets, every second one with a reason
 *   --pairs 5           runs in turn, A B A B
 *   --json FILE         the figures as JSON
 *
 * Ours is everything from the question to the list in use, cold; theirs is a whole process. Both read the file.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createAuthority } from '../src/lab/authority.ts';
import { bulkEntries, signerOf, writeCrl } from '../test/support/crl-writer.ts';
import type { StoreFigures } from './crl-store-run.ts';
import { median, medianInterval } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    pairs: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});

const { entries, pairs } = options;
const folder = mkdtempSync(join(tmpdir(), 'dsmapper-bench-'));
try {
  const authority = await createAuthority({ subject: 'O=Lab,CN=Large', key: 'rsa2048' });
  const paths = {
    list: join(folder, 'large.crl'),
    short: join(folder, 'short.crl'),
    der: join(folder, 'ca.der'),
    pem: join(folder, 'ca.pem'),
  };
  writeFileSync(paths.der, authority.der);
  writeFileSync(paths.pem, authority.cert);
  const dates = { thisUpdate: '2020-01-01T00:00:00Z', nextUpdate: '2049-01-01T00:00:00Z' };
  const listOf = (crlNumber: number, count: number) =>
    writeCrl({ signer: signerOf(authority), crlNumber, entries: bulkEntries(count), ...dates });
  const list = listOf(2, Number(entries));
  writeFileSync(paths.short, listOf(1, 10));
  writeFileSync(paths.list, list);
  const script = fileURLToPath(new URL('crl-store-run.ts', import.meta.url));
  const ours: StoreFigures[] = [];
  const theirs: number[] = [];
  for (let pair = 0; pair < Number(pairs); pair += 1) {
    ours.push(
      JSON.parse(output(process.execPath, [script, paths.list, paths.short, paths.der, entries])) as StoreFigures,
    );
    const began = performance.now();
    output('openssl', ['crl', '-inform', 'DER', '-noout', '-verify', '-CAfile', paths.pem, '-in', paths.list]);
    theirs.push((performance.now() - began) / 1000);
  }
  print(list.length, ours, theirs);
} finally {
  rmSync(folder, { recursive: true });
}

/** @throws Error with what the command had to say, when it fails */
function output(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

function print(octets: number, ours: readonly StoreFigures[], theirs: readonly number[]): void {
  const of = (name: keyof StoreFigures) => median(ours.map((figures) => figures[name]));
  const ratio = (name: 'total' | 'taking') => {
    const ratios = ours.map((figures, index) => figures[name] / (theirs[index] ?? Number.NaN));
    return { median: median(ratios), interval: medianInterval(ratios) };
  };
  const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
  const ratios = { total: ratio('total'), taking: ratio('taking') };
  const text = ({ median, interval }: ReturnType<typeof ratio>) =>
    `${median.toFixed(2)} (${interval.map((end) => end.toFixed(2)).join(' to ')})`;
  console.log(`${entries} entries, ${megabytes(octets)}, ${pairs} pairs`);
  console.log(`openssl crl -verify                 ${median(theirs).toFixed(3)} s = 1.00`);
  console.log(`store, file read and thread started ${of('total').toFixed(3)} s = ${text(ratios.total)}`);
  console.log(`store, after the file was read      ${of('taking').toFixed(3)} s = ${text(ratios.taking)}`);
  console.log(`longest wait of the event loop      ${of('delay').toFixed(1)} ms`);
  console.log(
    `memory above the file, at the peak  ${megabytes(of('peak'))}, in the end ${megabytes(of('rest'))}; once ${megabytes(of('once'))}`,
  );
  console.log(`lookup                              ${of('lookup').toFixed(2)} µs`);
  if (options.json !== undefined)
    writeFileSync(
      options.json,
      `${JSON.stringify({ node: process.version, entries, octets, ours, theirs, ratios }, null, 2)}\n`,
    );
}
