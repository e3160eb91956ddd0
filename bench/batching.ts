/**
 * `npx -c "node bench/batching.ts"`: what it brings that lookups travel together, and what it costs the one that is alone: cold lookups a second, and
 * latency at low load, with and without batching, at slapd and at Samba where they are installed.
 *
 *   --slapd 100000     accounts; 0: not this one
 *   --samba 5000       accounts; 0: not this one
 *   --pairs 7          runs in turn, A B A B
 *   --seconds 2        of one run
 *   --clients 64       lookups at a time where it is for speed
 *   --values 1,5       values of one lookup: a certificate that asks by one form, or by five
 *   --json FILE        the rows as JSON
 *
 * The server is on one core, the lookups on another. `ratio` is batched to not batched, the median of the pairs, with its 95 % interval: of rates
 * where it is for speed, of the 99th percentile at low load. `cpuPerOp` is milliseconds of the client's CPU.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import t from 'tap';
import { adUser } from '../src/lab/directory-entries.ts';
import { findProgram } from '../test/support/real-peers.ts';
import { startSamba } from '../test/support/samba.ts';
import { startSlapd } from '../test/support/slapd.ts';
import { issuerSerial, nameOf } from './batching-accounts.ts';
import type { LookupFigures, LookupRun } from './batching-run.ts';
import { runScript } from './processes.ts';
import { median, medianInterval } from './statistics.ts';

interface Row extends Omit<LookupFigures, 'n'> {
  readonly scenario: string;
  readonly n: number;
  /** Null in the row that the other is compared with. */
  readonly ratio: number | null;
  readonly interval: readonly [number, number] | null;
}

interface Server {
  readonly name: string;
  readonly accounts: number;
  readonly domain: string;
  readonly url: string;
  readonly bindDn: string;
  readonly password: string;
  readonly caPem: string;
}

const { values: options } = parseArgs({
  options: {
    slapd: { type: 'string', default: '100000' },
    samba: { type: 'string', default: '5000' },
    pairs: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    clients: { type: 'string', default: '64' },
    values: { type: 'string', default: '1,5' },
    json: { type: 'string' },
  },
});

// The servers are those of the tests, which bring their own idea of how long something may take.
t.setTimeout(0);

const domain = 'lab.example.test';
const ends: (() => unknown)[] = [];
const life = { teardown: (end: () => unknown): void => void ends.unshift(end) };
const rows: Row[] = [];
try {
  for (const start of [slapd, samba]) {
    const server = await start();
    if (server === null) continue;
    for (const values of options.values.split(',').map(Number)) {
      await measure(server, 'cold', values, { clients: Number(options.clients), pause: 0 }, 'rate');
      await measure(server, 'low load', values, { clients: 0, pause: 4 }, 'p99');
    }
  }
} finally {
  for (const end of ends) await end();
}
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify({ node: process.version, ...options, rows }, null, 2)}\n`);

async function measure(
  server: Server,
  name: string,
  values: number,
  load: Pick<LookupRun, 'clients' | 'pause'>,
  compared: 'rate' | 'p99',
): Promise<void> {
  const figures: Record<'batched' | 'alone', LookupFigures[]> = { batched: [], alone: [] };
  let start = 0;
  for (let pair = 0; pair < Number(options.pairs); pair += 1)
    for (const kind of ['batched', 'alone'] as const) {
      const one = await runOnce(server, { ...load, values, start, batching: kind === 'batched' });
      start += one.n;
      figures[kind].push(one);
    }
  const ratios = figures.batched.map((one, index) => one[compared] / (figures.alone[index]?.[compared] ?? Number.NaN));
  for (const kind of ['alone', 'batched'] as const) {
    const of = (what: keyof LookupFigures): number => median(figures[kind].map((one) => one[what]));
    const batched = kind === 'batched';
    const row: Row = {
      scenario: `${server.name}-${server.accounts} ${name}, ${values} value${values === 1 ? '' : 's'}, ${kind}`,
      n: figures[kind].reduce((sum, { n }) => sum + n, 0),
      rate: of('rate'),
      p50: of('p50'),
      p99: of('p99'),
      cpuPerOp: of('cpuPerOp'),
      searches: of('searches'),
      ratio: batched ? median(ratios) : null,
      interval: batched ? medianInterval(ratios) : null,
    };
    rows.push(row);
    console.log(
      JSON.stringify(row, (_, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)),
    );
  }
}

async function runOnce(
  server: Server,
  run: Pick<LookupRun, 'clients' | 'pause' | 'values' | 'start'> & { readonly batching: boolean },
): Promise<LookupFigures> {
  const settings = {
    ...run,
    accounts: server.accounts,
    seconds: Number(options.seconds),
    forest: {
      name: server.domain,
      domain: server.domain,
      url: server.url,
      dn: server.bindDn,
      password: server.password,
      globalCatalog: [],
      globalCatalogDiscovery: null,
      certificateAuthorities: [server.caPem],
      connectTimeout: 20_000,
      searchTimeout: 20_000,
      refresh: 600_000,
      connections: 2,
      maximumQueue: 100_000,
      batching: run.batching,
      pollInterval: 0,
    },
  };
  const script = runScript('load', 'batching-run.ts', settings);
  const figures = (await script.ready) as LookupFigures;
  await script.stop();
  return figures;
}

async function slapd(): Promise<Server | null> {
  const accounts = Number(options.slapd);
  if (accounts === 0 || missing(['slapd', 'slapadd'])) return null;
  const place = { domain, netbiosName: 'LAB', domainSid: 'S-1-5-21-1-2-3' };
  function* entries() {
    for (let index = 0; index < accounts; index += 1) {
      const recipe = { ...place, rid: 1000 + index, name: nameOf(index), altSecurityIdentities: [issuerSerial(index)] };
      const { dn, attributes } = adUser(recipe);
      // Active Directory computes it.
      yield { dn, attributes: { ...attributes, 'msDS-User-Account-Control-Computed': ['0'] } };
    }
  }
  const server = await startSlapd(life, { ...place, entries: entries(), ntAuth: [] });
  pin(server.pid);
  return { name: 'slapd', accounts, domain, url: server.ldapsUrl, ...server };
}

async function samba(): Promise<Server | null> {
  const accounts = Number(options.samba);
  if (accounts === 0 || missing(['samba', 'ldbmodify', 'cc'])) return null;
  const server = await startSamba(life);
  await server.load(
    Array.from({ length: accounts }, (_, index) => ({
      name: nameOf(index),
      altSecurityIdentities: [issuerSerial(index)],
    })),
  );
  pin(server.pid);
  return { name: 'samba', accounts, url: server.ldapsUrl, ...server };
}

function missing(programs: readonly string[]): boolean {
  const gone = programs.filter((program) => findProgram(program) === null);
  if (gone.length > 0) process.stderr.write(`${gone.join(', ')} not installed: left out\n`);
  return gone.length > 0;
}

/** All threads of a server on the first core; where that cannot be done the figures are only noisier. */
function pin(pid: number): void {
  spawnSync('taskset', ['-acp', '0', String(pid)]);
}
