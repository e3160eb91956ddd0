/**
 * nginx that asks an auth endpoint of the gateway for each request (`deploy/nginx/`), beside the gateway alone and nginx alone: kept connections, remembered
 * decisions, CPU of nginx and gateway together. Runs go in turn. Prints one JSON row for each.
 *
 *   node bench/nginx-auth.ts           seven rounds of 20000
 *   node bench/nginx-auth.ts --quick   one of 2000: does it work
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { configurationText } from '../src/cli/lab-configuration.ts';
import { certificateOf, labBind, labDomain, labEntries } from '../src/lab/accounts.ts';
import { startDirectoryServer } from '../src/lab/directory-server.ts';
import { preparePki } from '../src/lab/pki.ts';
import { pemText } from '../src/x509/pem.ts';
import { makeIdentities } from './identities.ts';
import type { LoadResult, LoadSettings } from './load.ts';
import { startNginx } from './nginx.ts';
import { accepts, freePort } from './ports.ts';
import { cpuSeconds, run, runScript } from './processes.ts';
import { median, medianInterval } from './statistics.ts';

const { values: options } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const rounds = options.quick ? 1 : 7;
const count = options.quick ? 2000 : 20_000;
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'dsmapper-bench-auth-'));
// Workers of nginx that root starts have another account.
chmodSync(folder, 0o755);
const pki = await preparePki({ recipes: here('../certs/recipes'), folder: join(folder, 'pki'), now: new Date() });
const identities = await makeIdentities(folder, 'rsa2048');
const tls = certificateOf(pki, 'directory');
const directory = await startDirectoryServer({
  ...labDomain,
  tls: { cert: tls.chain, key: tls.key },
  bind: [labBind],
  entries: [...labEntries(pki), identities.entry],
  ntAuth: [certificateOf(pki, 'issuing').der, identities.issuerDer],
});
const backend = runScript('load', 'backend.ts', {});
const backendPort = ((await backend.ready) as { readonly port: number }).port;
const port = () => freePort();
const ports = { late: await port(), upFront: await port(), http: await port(), admin: await port() };
const gateway = await startGateway();
const plainPort = await port();
const plain = await startNginx({
  ...{ folder, port: plainPort, backendPort, clientCa: identities.root },
  ...{ certificate: identities.server.cert, key: identities.server.key },
});
const askingPort = await port();
const asking = await startAsking();

interface Contender {
  readonly scenario: string;
  readonly port: number;
  /** Whose CPU counts. */
  readonly pids: readonly number[];
}
const yardstick: Contender = { scenario: 'nginx alone', port: plainPort, pids: [plain.pid] };
const contenders: readonly Contender[] = [
  { scenario: 'nginx + auth endpoint', port: askingPort, pids: [asking.pid, gateway.pid] },
  { scenario: 'gateway alone', port: ports.upFront, pids: [gateway.pid] },
  yardstick,
];

interface Measured {
  readonly result: LoadResult;
  readonly cpuPerOp: number;
}

try {
  const measured = new Map(contenders.map((contender) => [contender, [] as Measured[]]));
  for (const contender of contenders) await load(contender, Math.ceil(count / 5));
  for (let round = 0; round < rounds; round += 1)
    for (const [contender, results] of measured) results.push(await load(contender, count));
  const base = measured.get(yardstick) ?? [];
  for (const [{ scenario }, results] of measured) {
    const ratios = results.map(({ cpuPerOp }, index) => cpuPerOp / (base[index]?.cpuPerOp ?? Number.NaN));
    const of = (value: (each: Measured) => number) => Number(median(results.map(value)).toFixed(3));
    console.log(
      JSON.stringify({
        scenario,
        n: count * rounds,
        rate: of(({ result }) => result.done / result.seconds),
        p50: of(({ result }) => result.p50),
        p99: of(({ result }) => result.p99),
        cpuPerOp: of(({ cpuPerOp }) => cpuPerOp),
        ratio: Number(median(ratios).toFixed(3)),
        interval: medianInterval(ratios).map((end) => Number(end.toFixed(3))),
      }),
    );
  }
} finally {
  await Promise.all([asking.stop(), plain.stop(), gateway.stop(), backend.stop(), directory.stop()]);
  rmSync(folder, { recursive: true, force: true });
}

async function load({ scenario, port, pids }: Contender, amount: number): Promise<Measured> {
  const used = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const settings: LoadSettings = {
    ...{ url: `https://127.0.0.1:${port}/payroll`, ca: identities.root, identities: [identities.client] },
    ...{ connections: 32, count: amount },
  };
  const before = used();
  const result = (await runScript('load', 'load-kept.ts', settings).ready) as LoadResult;
  if (result.failed > 0) throw new Error(`${scenario}: ${result.failed} of ${amount} operations failed`);
  return { result, cpuPerOp: ((used() - before) * 1000) / result.done };
}

async function startGateway() {
  writeFileSync(join(folder, 'ldap-password'), labBind.password);
  writeFileSync(join(folder, 'issuer.pem'), pemText(identities.issuerDer));
  const access = process.getuid?.() === 0 ? '    socketAccess: group\n    socketGroup: www-data\n' : '';
  const text = configurationText({
    ...{ upstream: `http://127.0.0.1:${backendPort}`, controller: directory.url, address: '127.0.0.1', ports },
    ...{ certificates: 'pki', revocation: null, log: join(folder, 'access.log'), socket: null },
  })
    .replaceAll(/^(?:labOnly|verdictHeader).*\n/gm, '')
    .replaceAll('file:pki/gateway.pem', `file:${identities.server.cert}`)
    .replaceAll('file:pki/gateway.key', `file:${identities.server.key}`)
    .replace('intermediates: [', `intermediates: ["file:${folder}/issuer.pem", `)
    .replace('roots: ["file:pki/root.pem"]', `roots: ["file:pki/root.pem", "file:${identities.root}"]`).concat(`
authEndpoints:
  - name: nginx
    socket: ${folder}/nginx.sock
${access}    callers: [{ name: nginx, form: nginx, bindings: ["127.0.0.1:${ports.upFront}"], sites: [Lab] }]
`);
  writeFileSync(join(folder, 'gateway.yaml'), text);
  const main = here('../src/cli/main.ts');
  const child = run('server', [process.execPath, main, 'serve', '--json', '-c', join(folder, 'gateway.yaml')]);
  await child.ready;
  return child;
}

/** The very files of deploy/nginx/, but for addresses and paths, in a frame of the same settings as nginx alone has. */
async function startAsking() {
  const own = join(folder, 'asking');
  mkdirSync(join(own, 'dsmapper'), { recursive: true });
  for (const file of ['ask.conf', 'forward.conf'])
    copyFileSync(here(`../deploy/nginx/${file}`), join(own, 'dsmapper', file));
  const site = readFileSync(here('../deploy/nginx/dsmapper.conf'), 'utf8')
    .replace('unix:/run/dsmapper/nginx.sock', `unix:${folder}/nginx.sock`)
    .replace('server 127.0.0.1:8080;', `server 127.0.0.1:${backendPort};`)
    .replace('listen 443 ssl http2;', `listen 127.0.0.1:${askingPort} ssl http2 backlog=4096;`)
    .replace('/etc/nginx/tls/server.pem', identities.server.cert)
    .replace('/etc/nginx/tls/server.key', identities.server.key);
  writeFileSync(join(own, 'site.conf'), site);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${own}/${kind};`,
  );
  const frame = `daemon off; worker_processes 1; pid ${own}/pid; error_log ${own}/error.log warn;
${process.getuid?.() === 0 ? 'user www-data;' : ''}
events { worker_connections 4096; }
http { access_log ${own}/access.log; keepalive_requests 1000000; ${temporary.join(' ')} include ${own}/site.conf; }
`;
  writeFileSync(join(own, 'nginx.conf'), frame);
  const child = run('server', ['nginx', '-p', own, '-c', join(own, 'nginx.conf'), '-e', join(own, 'error.log')]);
  child.ready.catch(() => {});
  for (let tries = 0; tries < 250 && !(await accepts(askingPort)); tries += 1)
    await new Promise((done) => setTimeout(done, 20));
  return child;
}
