/**
 * The container files, as far as they can be checked without an engine: what they name must exist, and the ports must be those of the
 * configuration that `dsmapper lab --prepare` writes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { prepare } from '../src/cli/lab-parts.ts';
import { systemClock } from '../src/base/clock.ts';
import { systemFacilities } from '../src/config/facilities.ts';
import { loadConfiguration } from '../src/config/load.ts';

const root = resolve(import.meta.dirname, '..');
const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8')) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const dockerfile = readFileSync(join(root, 'deploy/Dockerfile'), 'utf8');

interface Service {
  readonly build: { readonly context: string; readonly dockerfile: string; readonly target: string };
  readonly command?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
}

void t.test('the compose file names only what there is', (t) => {
  const targets = [...dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, name]) => name);
  for (const [name, service] of Object.entries(compose.services)) {
    t.ok(existsSync(join(root, service.build.context, service.build.dockerfile)), `${name}: Dockerfile`);
    t.ok(targets.includes(service.build.target), `${name}: target ${service.build.target}`);
    for (const other of Object.keys(service.depends_on ?? {}))
      t.ok(other in compose.services, `${name} depends on ${other}`);
    for (const volume of service.volumes ?? [])
      t.ok((volume.split(':')[0] ?? '') in compose.volumes, `${name}: volume ${volume}`);
  }
  t.end();
});

void t.test('the Dockerfile copies only what there is, and nothing that it runs is missing', (t) => {
  for (const [, from = '', words = ''] of dockerfile.matchAll(/^COPY (--from=\S+ )?(.+)$/gm)) {
    if (from !== '') continue;
    for (const source of words.split(' ').slice(0, -1)) t.ok(existsSync(join(root, source)), source);
  }
  const packageFile = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly bin: { readonly dsmapper: string };
  };
  t.match(dockerfile, `/opt/dsmapper/${packageFile.bin.dsmapper}`, 'the entry point is the package command');
  t.match(dockerfile, /^USER node$/m);
  t.end();
});

void t.test('the prepared configuration listens where the compose file expects it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dsmapper-prepare-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  t.equal(await prepare(folder, join(root, 'certs/recipes')), 0);
  const { settings } = await loadConfiguration(join(folder, 'dsmapper.yaml'), systemFacilities(systemClock, {}));
  const listens = [
    ...settings.bindings.map(({ endpoint }) => endpoint.port),
    ...(settings.admin.listen === null ? [] : [settings.admin.listen.port]),
  ].map(String);
  const published = (compose.services['gateway']?.ports ?? []).map((text) => text.split(':').at(-1));
  t.same(new Set(published), new Set(listens));
  const upstream = new URL(settings.sites[0]?.locations[0]?.upstream.origin ?? '');
  t.ok(upstream.hostname in compose.services, `upstream ${upstream.hostname} is a service`);
  t.ok(compose.services[upstream.hostname]?.command?.at(-1)?.endsWith(`:${upstream.port}`));
  const accounts = JSON.parse(await readFile(join(folder, 'accounts.json'), 'utf8')) as {
    readonly accounts: readonly { readonly sid: string; readonly name: string }[];
  };
  t.equal(accounts.accounts.find(({ name }) => name === 'bob')?.sid, 'S-1-5-21-1004336348-1177238915-682003330-2102');
});
