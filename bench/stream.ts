/**
 * One long body down and one up through a gateway in a process of its own: its memory must not know how long they are.
 *
 *   node bench/stream.ts                    10 GB each way
 *   node bench/stream.ts --megabytes 256    so many each way
 *
 * Prints the resident memory before, the peak above it, and the slope by octets of the second half. Ends with 1 where the peak is above
 * the bound: what buffers on both sides, the code that was compiled meanwhile and one generation of garbage may take together.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { GatewayProcess } from './gateway-process.ts';
import { residentOctets, startGatewayProcess } from './gateway-process.ts';
import { runScript } from './processes.ts';

const { values: options } = parseArgs({ options: { megabytes: { type: 'string', default: '10000' } } });
const size = Number(options.megabytes) * 1_000_000;
if (!(size > 0)) throw new Error('--megabytes is a number');

/** Octets of the bodies before anything is measured: code is compiled and buffers are there then. */
const warmUp = 64_000_000;
/** Octets of memory above the start. */
const bound = 96 * 1_048_576;
const megabyte = 1_048_576;

interface Sample {
  readonly octets: number;
  readonly resident: number;
}

const folder = mkdtempSync(join(tmpdir(), 'dsmapper-stream-'));
const backend = runScript('load', 'stream-backend.ts', {});
const { port } = (await backend.ready) as { readonly port: number };
const gateway = await startGatewayProcess({
  folder,
  upstream: `http://127.0.0.1:${port}`,
  configure: (yaml) => `${yaml}\nlimits: { maximumBody: 0, requestTimeout: 24h }\n`,
});
try {
  for (const way of [down, up]) {
    await way(gateway, warmUp, () => {});
    await measure(way);
  }
} finally {
  await gateway.stop();
  await backend.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function measure(way: typeof down): Promise<void> {
  const samples: Sample[] = [];
  const start = residentOctets(gateway.pid);
  let octets = 0;
  const timer = setInterval(() => samples.push({ octets, resident: residentOctets(gateway.pid) }), 20);
  const began = performance.now();
  const arrived = await way(gateway, size, (all) => (octets = all));
  const seconds = (performance.now() - began) / 1000;
  clearInterval(timer);
  if (arrived !== size) throw new Error(`${arrived} of ${size} octets arrived`);
  const above = Math.max(...samples.map(({ resident }) => resident)) - start;
  const slope = slopeOf(samples.filter((sample) => sample.octets > size / 2));
  console.log(
    JSON.stringify({
      way: way.name,
      gigabytes: size / 1e9,
      seconds: Number(seconds.toFixed(1)),
      startMiB: Math.round(start / megabyte),
      peakAboveMiB: Number((above / megabyte).toFixed(1)),
      slopeMiBPerGB: Number(((slope * 1e9) / megabyte).toFixed(2)),
      boundMiB: bound / megabyte,
      samples: samples.length,
    }),
  );
  if (above > bound) {
    console.error(`${way.name}: memory rose by more than ${bound / megabyte} MiB`);
    process.exitCode = 1;
  }
}

/** @returns octets that arrived */
function down(to: GatewayProcess, octets: number, progress: (octets: number) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    let all = 0;
    const request = httpsRequest({ ...where(to), path: `/payroll/down?size=${octets}` }, (response) => {
      response.on('data', (chunk: Buffer) => progress((all += chunk.length)));
      response.on('error', reject);
      response.on('end', () => resolve(all));
    });
    request.on('error', reject).end();
  });
}

function up(to: GatewayProcess, octets: number, progress: (octets: number) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const piece = Buffer.alloc(65_536, 7);
    const request = httpsRequest({ ...where(to), method: 'PUT', path: '/payroll/up' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(Number(text)));
    });
    let left = octets;
    const write = (): void => {
      while (left > 0) {
        const next = piece.subarray(0, Math.min(left, piece.length));
        left -= next.length;
        progress(octets - left);
        if (!request.write(next)) break;
      }
      if (left > 0) request.once('drain', write);
      else request.end();
    };
    request.on('error', reject);
    write();
  });
}

function where(to: GatewayProcess) {
  return { host: '127.0.0.1', port: to.ports.upFront, ca: to.ca, agent: false, ...to.identity('alice') };
}

/** Octets of memory by octet of body: least squares; 0 of fewer than two samples. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean(({ octets }) => octets), mean(({ resident }) => resident)];
  const spread = samples.reduce((sum, { octets }) => sum + (octets - x) ** 2, 0);
  const together = samples.reduce((sum, { octets, resident }) => sum + (octets - x) * (resident - y), 0);
  return spread === 0 ? 0 : together / spread;
}
