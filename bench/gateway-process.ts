/**
 * A gateway in a process of its own over a lab's certificates and directory, for benches that look at the process itself.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configurationText } from '../src/cli/lab-configuration.ts';
import { certificateOf, labBind, labDomain, labEntries, labNtAuth } from '../src/lab/accounts.ts';
import { startDirectoryServer } from '../src/lab/directory-server.ts';
import { preparePki } from '../src/lab/pki.ts';
import type { Population } from './population.ts';
import { preparePopulation } from './population.ts';
import { run } from './processes.ts';
import { freePort } from './ports.ts';

export interface GatewayProcess {
  readonly pid: number;
  readonly ports: { readonly late: number; readonly upFront: number; readonly http: number; readonly admin: number };
  /** Files of further certificates that have accounts. */
  readonly population: Population['identities'];
  /** The PEM of the lab's root. */
  readonly ca: string;
  identity(name: string): { readonly cert: string; readonly key: string };
  stop(): Promise<void>;
}

export interface GatewayProcessOptions {
  /** Exists; everything is written here. */
  readonly folder: string;
  readonly upstream: string;
  /** Changes the configuration's text. */
  readonly configure?: (yaml: string) => string;
  /** How many further certificates have accounts; none unless given. */
  readonly population?: number;
  /** For the gateway's own Node. */
  readonly nodeOptions?: readonly string[];
}

export async function startGatewayProcess({
  folder,
  upstream,
  configure = (yaml) => yaml,
  population: size = 0,
  nodeOptions = [],
}: GatewayProcessOptions): Promise<GatewayProcess> {
  const recipes = fileURLToPath(new URL('../certs/recipes', import.meta.url));
  const pki = await preparePki({ recipes, folder: join(folder, 'pki'), now: new Date() });
  const population = await preparePopulation(pki, folder, size, () => {});
  const tls = certificateOf(pki, 'directory');
  const directory = await startDirectoryServer({
    ...labDomain,
    tls: { cert: tls.chain, key: tls.key },
    bind: [labBind],
    entries: [...labEntries(pki), ...population.entries],
    ntAuth: labNtAuth(pki),
  });
  const ports = { late: await freePort(), upFront: await freePort(), http: await freePort(), admin: await freePort() };
  const text = configurationText({
    address: '127.0.0.1',
    ports,
    certificates: 'pki',
    upstream,
    controller: directory.url,
    revocation: null,
    log: join(folder, 'access.log'),
    socket: null,
  });
  writeFileSync(join(folder, 'ldap-password'), labBind.password);
  writeFileSync(join(folder, 'dsmapper.yaml'), configure(text));
  const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
  const child = run('server', [
    process.execPath,
    ...nodeOptions,
    main,
    'serve',
    '--json',
    '-c',
    join(folder, 'dsmapper.yaml'),
  ]);
  await child.ready;
  return {
    pid: child.pid,
    ports,
    population: population.identities,
    ca: certificateOf(pki, 'root').cert,
    identity: (name) => ({ cert: certificateOf(pki, name).chain, key: certificateOf(pki, name).key }),
    async stop() {
      await child.stop();
      await directory.stop();
    },
  };
}

/** Octets of memory that a process has now, as the system counts it. */
export function residentOctets(pid: number): number {
  if (process.platform === 'linux') {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1]) * 1024;
  }
  return Number(spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).stdout) * 1024;
}
