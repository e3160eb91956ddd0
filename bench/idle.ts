/**
 * Ten thousand connections that do nothing: what each costs the gateway in memory, and what they cost everybody else in time.
 *
 *   node bench/idle.ts                              10,000 of each kind
 *   node bench/idle.ts --connections 1000 --kind late
 *
 * The gateway and the connections' other ends are processes of their own. Each connection is of one of 300 clients and has done one request, so it
 * has been judged, mapped and authorised. Memory by connection is the slope from a tenth of the connections to all of them, after garbage was
 * collected. Latency is that of requests on a connection of their own, before, with and after them, at this gateway and in turn (A B A B) at
 * another one that has no such connections: medians of rounds, and of the ratios to the other one, with 95 % intervals.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { get as getHttp } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { GatewayProcess } from './gateway-process.ts';
import { residentOctets, startGatewayProcess } from './gateway-process.ts';
import type { IdleCommand, IdleReport, IdleSettings } from './idle-load.ts';
import { runScript } from './processes.ts';
import { median, medianInterval } from './statistics.ts';

const kinds = ['upFront', 'late', 'http2'] as const;
const { values: options } = parseArgs({
  options: { connections: { type: 'string', default: '10000' }, kind: { type: 'string' } },
});
const count = Number(options.connections);
const steps = 10;
/** Of latency: medians of so many requests each. */
const rounds = 21;
const requestsOfRound = 40;
const kibibyte = 1024;

const backend = runScript('load', 'backend.ts', {});
const { port: backendPort } = (await backend.ready) as { readonly port: number };
try {
  for (const kind of kinds) if (options.kind === undefined || options.kind === kind) await measure(kind);
} finally {
  await backend.stop();
}

async function measure(kind: IdleSettings['kind']): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dsmapper-idle-'));
  const begin = (name: string) => {
    mkdirSync(join(folder, name));
    return startGatewayProcess({
      folder: join(folder, name),
      upstream: `http://127.0.0.1:${backendPort}`,
      population: name === 'measured' ? 300 : 0,
      nodeOptions: ['--expose-gc', '--import', new URL('collect-on-signal.ts', import.meta.url).href],
      configure: (yaml) =>
        `${yaml}\nlimits:\n  maximumConnections: ${count + 100}\n  maximumConnectionsPerAddress: ${count + 100}\n` +
        '  keepAliveTimeout: 2h\n  idleTimeout: 2h\n',
    });
  };
  const gateway = await begin('measured');
  const other = await begin('other');
  const load = startLoad();
  try {
    const port = kind === 'late' ? gateway.ports.late : gateway.ports.upFront;
    await tell(load, { do: 'begin', settings: { kind, port, ca: gateway.ca, identities: gateway.population } });
    await latencies(gateway, other); // warm-up
    const before = await latencies(gateway, other);
    const samples: { count: number; resident: number; heap: number; external: number }[] = [];
    const began = performance.now();
    for (let step = 1; step <= steps; step += 1) {
      const { open, lost } = await tell(load, { do: 'open', count: Math.round((count * step) / steps) });
      if (lost > 0) throw new Error(`${lost} connections were lost`);
      samples.push({ count: open, ...(await memory(gateway)) });
    }
    const seconds = (performance.now() - began) / 1000;
    const during = await latencies(gateway, other);
    const { lost } = await tell(load, { do: 'open', count });
    if (lost > 0) throw new Error(`${lost} idle connections were lost`);
    await tell(load, { do: 'close' });
    await settled(gateway);
    const after = await latencies(gateway, other);
    const perConnection = (of: 'resident' | 'heap' | 'external') => {
      const [first, last] = [samples[0], samples.at(-1)];
      if (first === undefined || last === undefined) return Number.NaN;
      return Number(((last[of] - first[of]) / (last.count - first.count) / kibibyte).toFixed(1));
    };
    console.log(
      JSON.stringify({
        kind,
        connections: count,
        openedInSeconds: Math.round(seconds),
        kibPerConnection: {
          resident: perConnection('resident'),
          heap: perConnection('heap'),
          external: perConnection('external'),
        },
        residentMiB: samples.map(({ resident }) => Math.round(resident / kibibyte ** 2)),
        latency: { before: summaries(before), with: summaries(during), after: summaries(after) },
      }),
    );
  } finally {
    load.disconnect();
    await Promise.all([gateway.stop(), other.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

function startLoad(): ChildProcess {
  const script = fileURLToPath(new URL('idle-load.ts', import.meta.url));
  return spawn(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

async function tell(load: ChildProcess, command: IdleCommand): Promise<IdleReport> {
  load.send(command);
  const [report] = (await once(load, 'message')) as [IdleReport];
  return report;
}

interface Latencies {
  /** Milliseconds, a median of each round. */
  readonly here: readonly number[];
  readonly other: readonly number[];
}

/** Requests one after the other on one connection, a round here and a round there. */
async function latencies(here: GatewayProcess, other: GatewayProcess): Promise<Latencies> {
  const result = { here: [] as number[], other: [] as number[] };
  const agents = [here, other].map(
    (to) => new Agent({ keepAlive: true, maxSockets: 1, ca: to.ca, ...to.identity('alice') }),
  );
  for (let round = 0; round < rounds; round += 1) {
    result.here.push(await roundOf(here, agents[0]));
    result.other.push(await roundOf(other, agents[1]));
  }
  for (const agent of agents) agent.destroy();
  return result;
}

async function roundOf(to: GatewayProcess, agent: Agent | undefined): Promise<number> {
  const values: number[] = [];
  for (let each = 0; each < requestsOfRound; each += 1) {
    const began = performance.now();
    await new Promise<void>((resolve, reject) => {
      get({ host: '127.0.0.1', port: to.ports.upFront, path: '/payroll/other', agent }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`answered ${response.statusCode}`));
        response.once('end', resolve).resume();
      }).once('error', reject);
    });
    values.push(performance.now() - began);
  }
  return median(values);
}

async function memory(of: GatewayProcess): Promise<{ resident: number; heap: number; external: number }> {
  process.kill(of.pid, 'SIGUSR2');
  const text = await metrics(of);
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return {
    resident: residentOctets(of.pid),
    heap: value('nodejs_heap_size_used_bytes'),
    external: value('nodejs_external_memory_bytes'),
  };
}

/** Resolves when the gateway has noticed that nobody is there. */
async function settled(of: GatewayProcess): Promise<void> {
  while (!/^dsmapper_connections(?:\{[^}]*\})? [01]$/m.test(await metrics(of))) await setTimeout(100);
}

function metrics(of: GatewayProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    getHttp({ host: '127.0.0.1', port: of.ports.admin, path: '/metrics' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(text));
    }).once('error', reject);
  });
}

function summaries({ here, other }: Latencies) {
  return {
    milliseconds: summary(here),
    otherMilliseconds: summary(other),
    ratio: summary(here.map((value, at) => value / (other[at] ?? Number.NaN))),
  };
}

function summary(values: readonly number[]): { readonly median: number; readonly interval: readonly [number, number] } {
  const [low, high] = medianInterval(values);
  const short = (value: number) => Number(value.toFixed(3));
  return { median: short(median(values)), interval: [short(low), short(high)] };
}
