/**
 * The container files, as far as they can be checked without an engine: what they name must exist, and the ports must be those of the
 * configuration that `dsmapper lab --prepare` writes. And the alert rules: they may only speak of metrics that there are.
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
import { createMetrics, silentGauges } from '../src/gateway/metrics.ts';

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
  const upstream = new URL(settings.sites[0]?.locations[0]?.upstream.servers[0]?.origin ?? '');
  t.ok(upstream.hostname in compose.services, `upstream ${upstream.hostname} is a service`);
  t.ok(compose.services[upstream.hostname]?.command?.at(-1)?.endsWith(`:${upstream.port}`));

  const { revocation } = settings;
  t.equal(revocation.hosts.length, 1);
  const [service = '', port] = revocation.hosts[0]?.split(':') ?? [];
  t.equal(
    compose.services[service]?.command?.at(-1),
    `0.0.0.0:${port}`,
    'the revocation server that certificates name',
  );
  const [, certificates] = /^(\/\w+)\/certs$/.exec(compose.services[service]?.command?.at(2) ?? '') ?? [];
  t.ok(compose.services[service]?.volumes?.includes(`lab:${certificates}`), 'which remembers who is revoked');
  const writable = (compose.services['gateway']?.volumes ?? []).map((volume) => volume.split(':'));
  t.ok(
    writable.some(([, path, mode]) => mode !== 'ro' && path === revocation.cacheDirectory),
    `${revocation.cacheDirectory} is a volume that the gateway may write to`,
  );
  const accounts = JSON.parse(await readFile(join(folder, 'accounts.json'), 'utf8')) as {
    readonly accounts: readonly { readonly sid: string; readonly name: string }[];
    readonly groups: readonly { readonly sid: string; readonly name: string; readonly members: readonly string[] }[];
  };
  t.equal(accounts.accounts.find(({ name }) => name === 'bob')?.sid, 'S-1-5-21-1004336348-1177238915-682003330-2102');
  t.strictSame(accounts.groups, [
    { name: 'Payroll', sid: 'S-1-5-21-1004336348-1177238915-682003330-2301', members: ['alice'] },
    { name: 'Staff', sid: 'S-1-5-21-1004336348-1177238915-682003330-2302', members: ['Payroll', 'sally'] },
  ]);
});

/** Of the metrics of revocation: labels, and the values of those that a rule may compare with. */
const metricLabels: Readonly<Record<string, readonly string[]>> = {
  dsmapper_revocation_source_age_seconds: ['source', 'kind'],
  dsmapper_revocation_source_next_update_seconds: ['source', 'kind'],
  dsmapper_revocation_source_entries: ['source', 'kind'],
  dsmapper_revocation_source_last_error: ['source', 'kind'],
  dsmapper_revocation_fetch_total: ['kind', 'result'],
  dsmapper_revocation_checks_total: ['method', 'status'],
  dsmapper_kdc_events_total: ['id'],
  dsmapper_report_only_total: ['code'],
  dsmapper_syslog_dropped_total: [],
};

const labelValues: Readonly<Record<string, readonly string[]>> = {
  kind: ['crl', 'ocsp'],
  result: ['fetched', 'notModified', 'failed'],
  method: ['crl', 'ocsp', 'none'],
  status: ['good', 'revoked', 'unknown', 'notChecked'],
};

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

void t.test('alert rules speak of metrics that there are', async (t) => {
  const { groups } = parse(readFileSync(join(root, 'deploy/alerts.yml'), 'utf8')) as {
    readonly groups: readonly { readonly name: string; readonly rules: readonly AlertRule[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length, 'each has a name of its own');
  const used = new Set<string>();
  for (const { alert, expr, labels, annotations, for: wait = '0s' } of rules) {
    t.match(alert, /^Dsmapper[A-Za-z]+$/);
    t.match(wait, /^\d+[smh]$/, alert);
    t.ok(['critical', 'warning', 'info'].includes(labels['severity'] ?? ''), `${alert}: severity`);
    t.ok(annotations['summary'] && annotations['description'], `${alert}: told to people`);
    t.equal(expr.split('(').length, expr.split(')').length, expr);
    const selectors = [...expr.matchAll(/(dsmapper_\w+)(?:\{([^}]*)\})?/g)];
    t.ok(selectors.length > 0, alert);
    for (const [, name = '', matchers = ''] of selectors) {
      used.add(name);
      for (const matcher of matchers.split(',').filter((text) => text !== '')) {
        const [, label = '', value = ''] = /^(\w+)="(\w+)"$/.exec(matcher) ?? [];
        t.ok(metricLabels[name]?.includes(label), `${alert}: ${name} has a label ${matcher}`);
        t.ok(labelValues[label]?.includes(value), `${alert}: ${label} may be ${value}`);
      }
    }
    const names = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/));
    const shown = [
      ...Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g),
    ].map(([, label = '']) => label);
    const grouped = names.length > 0;
    const own = grouped ? names : selectors.flatMap(([, name = '']) => metricLabels[name] ?? []);
    for (const label of names)
      t.ok(
        ['job', 'instance'].includes(label) || selectors.every(([, name = '']) => metricLabels[name]?.includes(label)),
        `${alert}: by ${label}`,
      );
    for (const label of shown) t.ok(own.includes(label), `${alert}: ${label} is left over to be shown`);
  }
  t.strictSame(
    [...used].toSorted(),
    Object.keys(metricLabels).toSorted(),
    'each metric has its rule, and no other is named',
  );

  const text = await createMetrics(silentGauges).text();
  for (const name of used) t.match(text, `# TYPE ${name} ${name.endsWith('_total') ? 'counter' : 'gauge'}\n`);
});
