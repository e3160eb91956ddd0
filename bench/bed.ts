/**
 * Everything a bench runs against: directory and backend, the gateway in a process of its own, nginx beside it where it is installed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { labBind } from '../src/lab/accounts.ts';
import { startLab } from '../src/lab/lab.ts';
import { labConfiguration } from '../src/cli/lab-configuration.ts';
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

/** @param profile folder for a CPU profile of the gateway; null: none */
export async function openBed(progress: (text: string) => void, profile: string | null): Promise<Bed> {
  const folder = fileURLToPath(new URL('results/bed', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const recipes = fileURLToPath(new URL('../certs/recipes', import.meta.url));
  const lab = await startLab({ recipes, folder: join(folder, 'pki'), now: new Date() });
  const population = await preparePopulation(lab.pki, folder, populationSize, (done) =>
    progress(`making certificates ${done}/${populationSize}`),
  );
  for (const entry of population.entries) lab.directory.add(entry);

  const backend = runScript('load', 'backend.ts', {});
  const backendPort = ((await backend.ready) as { readonly port: number }).port;
  const ports = { late: await freePort(), upFront: await freePort(), http: await freePort(), admin: await freePort() };
  const text = labConfiguration(lab, ports, folder)
    .replace(lab.echo.url, `http://127.0.0.1:${backendPort}`)
    .replaceAll(/^(?:labOnly|verdictHeader).*\n/gm, '');
  writeFileSync(join(folder, 'ldap-password'), labBind.password);
  writeFileSync(
    join(folder, 'dsmapper.yaml'),
    text.replace('file: "access.log"', `file: "${join(folder, 'access.log')}"`),
  );
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

  const file = (name: string) => join(lab.pki.folder, name);
  const nginxPort = await freePort();
  const nginx = nginxInstalled()
    ? await startNginx({
        folder,
        port: nginxPort,
        certificate: file('gateway.pem'),
        key: file('gateway.key'),
        clientCa: file('root.pem'),
        backendPort,
      })
    : null;
  if (nginx === null) process.stderr.write('nginx is not installed: no ratios\n');
  const alice = { cert: file('alice.pem'), key: file('alice.key') };
  return {
    gatewayPid: gateway.pid,
    gatewayUrl: ({ binding }) => `https://127.0.0.1:${ports[binding]}/payroll`,
    nginx: nginx === null ? null : { url: `https://127.0.0.1:${nginxPort}/payroll`, pid: nginx.pid },
    load: ({ connections, tls, resume, population: kind }) => ({
      ca: file('root.pem'),
      identities: kind === 'cold' ? population.identities : [alice],
      connections,
      ...(tls === undefined ? {} : { tls }),
      ...(resume === undefined ? {} : { resume }),
    }),
    async close() {
      await Promise.all([gateway.stop(), backend.stop(), nginx?.stop(), lab.stop()]);
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
