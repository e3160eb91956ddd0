/**
 * Everything a bench runs against: directory and backend, the gateway in a process of its own, nginx beside it where it is installed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Authority } from '../src/lab/authority.ts';
import { certificateOf, labBind, labDomain, labEntries } from '../src/lab/accounts.ts';
import { startDirectoryServer } from '../src/lab/directory-server.ts';
import { preparePki } from '../src/lab/pki.ts';
import { configurationText } from '../src/cli/lab-configuration.ts';
import type { BenchKey } from './identities.ts';
import { bulkEntries, signerOf, writeCrl } from '../test/support/crl-writer.ts';
import { makeIdentities } from './identities.ts';
import type { LoadSettings } from './load.ts';
import { nginxInstalled, startNginx } from './nginx.ts';
import { preparePopulation } from './population.ts';
import { run, runScript } from './processes.ts';
import type { Scenario } from './scenarios.ts';
import { freePort } from './ports.ts';

/** Something that serves, whose CPU is measured. */
export interface Server {
  readonly url: string;
  readonly pid: number;
}

export interface Bed {
  gateway(scenario: Scenario): Promise<Server>;
  /** Null where there is none, or it is not installed. */
  yardstick(scenario: Scenario): Promise<Server | null>;
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
  writeFileSync(join(folder, 'ldap-password'), labBind.password);
  const place = { upstream: `http://127.0.0.1:${backendPort}`, controller: directory.url };
  const profiling = profile === null ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
  const unchecked = await startGateway('unchecked', '');
  /** Made when a scenario wants it: the list alone takes seconds. */
  let checked: ReturnType<typeof startGateway> | null = null;

  async function startGateway(name: string, revocation: string) {
    const ports = {
      late: await freePort(),
      upFront: await freePort(),
      http: await freePort(),
      admin: await freePort(),
    };
    const text = configurationText({
      ...place,
      address: '127.0.0.1',
      ports,
      certificates: 'pki',
      revocation: null,
      log: join(folder, `access-${name}.log`),
      socket: null,
    })
      .replaceAll(/^(?:labOnly|verdictHeader).*\n/gm, '')
      .replaceAll('file:pki/gateway.pem', `file:${bench.server.cert}`)
      .replaceAll('file:pki/gateway.key', `file:${bench.server.key}`)
      .replace('roots: ["file:pki/root.pem"]', `roots: ["file:pki/root.pem", "file:${bench.root}"]`)
      .replaceAll('Revocation: disabled', `Revocation: ${revocation === '' ? 'disabled' : 'enabled'}`)
      .concat(revocation);
    const file = join(folder, `${name}.yaml`);
    writeFileSync(file, text);
    const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
    const child = run('server', [process.execPath, ...profiling, main, 'serve', '--json', '-c', file]);
    await child.ready;
    const server = ({ binding }: Scenario) => ({
      url: `https://127.0.0.1:${ports[binding]}/payroll`,
      pid: child.pid,
    });
    return { server, stop: () => child.stop() };
  }

  function startChecked() {
    progress('making a list of a million entries');
    return startGateway('checked', writeLists(folder, bench.authorities));
  }

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
    gateway: async (scenario) =>
      (scenario.checked === true ? await (checked ??= startChecked()) : unchecked).server(scenario),
    async yardstick(scenario) {
      if (scenario.yardstick === 'unchecked') return unchecked.server(scenario);
      if (nginx === null || scenario.yardstick === null) return null;
      return { url: `https://127.0.0.1:${nginxPort}/payroll`, pid: nginx.pid };
    },
    load: ({ connections, tls, resume, population: kind }) => ({
      ca: bench.root,
      identities: kind === 'cold' ? population.identities : [bench.client],
      connections,
      ...(tls === undefined ? {} : { tls }),
      ...(resume === undefined ? {} : { resume }),
    }),
    async close() {
      await Promise.all([unchecked.stop(), checked?.then(({ stop }) => stop())]);
      await Promise.all([backend.stop(), nginx?.stop(), directory.stop()]);
    },
  };
}

/** An empty list of the root, a million entries of the issuing CA. @returns the section of the configuration that names them */
function writeLists(folder: string, authorities: readonly Authority[]): string {
  const files = authorities.map((authority, index) => {
    const file = join(folder, `list-${index}.crl`);
    const thisUpdate = new Date(Date.now() - 3_600_000).toISOString();
    const entries = index === 0 ? [] : bulkEntries(1_000_000);
    writeFileSync(
      file,
      writeCrl({ signer: signerOf(authority), entries, thisUpdate, nextUpdate: '2049-01-01T00:00:00Z' }),
    );
    return file;
  });
  return `\nrevocation: { mode: online, maximumCrlSize: 256MiB, crls: [${files.map((file) => `"file:${file}"`).join(', ')}] }\n`;
}
