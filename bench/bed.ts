/**
 * Everything a bench runs against: directory and backend, the gateway in a process of its own, nginx beside it where it is installed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { certificateOf, labBind, labDomain, labEntries } from '../src/lab/accounts.ts';
import { startDirectoryServer } from '../src/lab/directory-server.ts';
import { preparePki } from '../src/lab/pki.ts';
import { configurationText } from '../src/cli/lab-configuration.ts';
import type { BenchKey } from './identities.ts';
import { makeIdentities } from './identities.ts';
import type { LoadSettings } from './load.ts';
import { nginxInstalled, startNginx } from './nginx.ts';
import { preparePopulation } from './population.ts';
import { run, runScript } from './processes.ts';
import type { Scenario } from './scenarios.ts';

export interface Bed {
  readonly gatewayPid: number;
  gatewayUrl(scenario: Scenario): string;
  readonly nginx: { readonly url: string; readonly pid: number } | null;
  load(scenario: Scenario): Omit<LoadSettings, 'url' | 'count'>;
  close(): Promise<void>;
}

const populationSize = 2000;

export interface BedOptions {
  /** Kind of every key in the handshakes. */
  readonly key: BenchKey;
  /** Folder for a CPU profile of the gateway; null: none. */
  readonly profile: string | null;
  readonly progress: (text: string) => void;
}

export async function openBed({ key, profile, progress }: BedOptions): Promise<Bed> {
  const folder = fileURLToPath(new URL('results/bed', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const recipes = fileURLToPath(new URL('../certs/recipes', import.meta.url));
  const pki = await preparePki({ recipes, folder: join(folder, 'pki'), now: new Date() });
  const population = await preparePopulation(pki, folder, populationSize, (done) =>
    progress(`making certificates ${done}/${populationSize}`),
  );
  const bench = await makeIdentities(folder, key);
  const tls = certificateOf(pki, 'directory');
  const directory = await startDirectoryServer({
    ...labDomain,
    tls: { cert: tls.chain, key: tls.key },
    bind: [labBind],
    entries: [...labEntries(pki), ...population.entries, bench.entry],
    ntAuth: [certificateOf(pki, 'issuing').der, bench.issuerDer],
  });

  const backend = runScript('load', 'backend.ts', {});
  const backendPort = ((await backend.ready) as { readonly port: number }).port;
  const ports = { late: await freePort(), upFront: await freePort(), http: await freePort(), admin: await freePort() };
  writeFileSync(join(folder, 'ldap-password'), labBind.password);
  const text = configurationText({
    address: '127.0.0.1',
    ports,
    certificates: 'pki',
    upstream: `http://127.0.0.1:${backendPort}`,
    controller: directory.url,
    revocation: null,
    log: join(folder, 'access.log'),
    socket: null,
  })
    .replaceAll(/^(?:labOnly|verdictHeader).*\n/gm, '')
    .replaceAll('file:pki/gateway.pem', `file:${bench.server.cert}`)
    .replaceAll('file:pki/gateway.key', `file:${bench.server.key}`)
    .replace('roots: ["file:pki/root.pem"]', `roots: ["file:pki/root.pem", "file:${bench.root}"]`);
  writeFileSync(join(folder, 'dsmapper.yaml'), text);
  const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
  const profiling = profile === null ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
  const gateway = run('server', [
    process.execPath,
    ...profiling,
    main,
    'serve',
    '--json',
    '-c',
    join(folder, 'dsmapper.yaml'),
  ]);
  await gateway.ready;

  const nginxPort = await freePort();
  const nginx = nginxInstalled()
    ? await startNginx({
        folder,
        port: nginxPort,
        certificate: bench.server.cert,
        key: bench.server.key,
        clientCa: bench.root,
        backendPort,
      })
    : null;
  if (nginx === null) process.stderr.write('nginx is not installed: no ratios\n');
  return {
    gatewayPid: gateway.pid,
    gatewayUrl: ({ binding }) => `https://127.0.0.1:${ports[binding]}/payroll`,
    nginx: nginx === null ? null : { url: `https://127.0.0.1:${nginxPort}/payroll`, pid: nginx.pid },
    load: ({ connections, tls, resume, population: kind }) => ({
      ca: bench.root,
      identities: kind === 'cold' ? population.identities : [bench.client],
      connections,
      ...(tls === undefined ? {} : { tls }),
      ...(resume === undefined ? {} : { resume }),
    }),
    async close() {
      await Promise.all([gateway.stop(), backend.stop(), nginx?.stop(), directory.stop()]);
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
