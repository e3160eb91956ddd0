/**
 * `dsmapper lab`: certificates, directory, backend and gateway on this machine, then commands to try. Everything it starts it ends.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../base/failure.ts';
import { labBind } from '../lab/accounts.ts';
import type { LabControl } from '../lab/control.ts';
import { startControl } from '../lab/control.ts';
import type { Lab } from '../lab/lab.ts';
import { startLab } from '../lab/lab.ts';
import { usualRevocationUrl } from '../lab/revocation-addresses.ts';
import { loadFile } from './configuration.ts';
import { curlLines } from './lab-commands.ts';
import { prepare, runEcho, runRevocation } from './lab-parts.ts';
import type { LabPorts } from './lab-configuration.ts';
import { labConfiguration } from './lab-configuration.ts';
import type { ExitCode } from './program.ts';
import type { Running } from './serve.ts';
import { start, stopSignal } from './serve.ts';
import { terminal } from './terminal.ts';

export interface LabOptions {
  readonly folder: string;
  readonly var: string;
  readonly ports?: string;
  readonly prepare?: string;
  readonly echo?: string;
  readonly revocation?: string;
  readonly json?: boolean;
}

export interface LabRun {
  readonly lab: Lab;
  readonly control: LabControl;
  readonly running: Running;
  readonly ports: LabPorts;
  readonly configuration: string;
  stop(): Promise<void>;
}

const recipes = fileURLToPath(new URL('../../certs/recipes', import.meta.url));

export async function runLab(options: LabOptions): Promise<ExitCode> {
  if (options.prepare !== undefined) return prepare(resolve(options.prepare), recipes);
  if (options.echo !== undefined) return runEcho(options.echo);
  if (options.revocation !== undefined) return runRevocation(options.revocation, resolve(options.folder), recipes);
  const ended = stopSignal();
  const run = await startAll(options);
  if (options.json === true) terminal.json(readyEvent(run));
  else for (const line of welcome(run)) terminal.line(line);
  await ended;
  if (options.json !== true) terminal.note('\nstopping');
  await run.stop();
  return 0;
}

/** @throws Failure; nothing stays open then */
async function startAll(options: LabOptions): Promise<LabRun> {
  const folder = resolve(options.var);
  const first = firstPort(options.ports);
  const revocation = await revocationUrl(first);
  const lab = await startLab({
    recipes,
    folder: resolve(options.folder),
    now: new Date(),
    ...(revocation === null ? {} : { revocation }),
    progress: (done, total, name) =>
      terminal.progress(done === total ? '' : `making certificates ${done}/${total}: ${name}`),
  });
  const { folder: certificates, replaced } = lab.pki;
  if (replaced !== null) terminal.note(`the certificates in ${certificates} are new ones: ${replaced}`);
  const open: { stop(): Promise<void> }[] = [lab];
  const stop = async () => {
    for (const part of open.toReversed()) await part.stop();
  };
  try {
    const control = await startControl(lab);
    open.push(control);
    const ports = await choosePorts(first);
    const configuration = join(folder, 'dsmapper.yaml');
    await writeFiles(folder, configuration, labConfiguration(lab, ports, folder));
    const running = await start(await loadFile(configuration));
    open.push(running);
    return { lab, control, running, ports, configuration, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeFiles(folder: string, configuration: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'ldap-password'), labBind.password, { mode: 0o600 });
  await writeFile(join(folder, 'megabyte.bin'), Buffer.alloc(1_048_576, 'dsmapper '));
  await writeFile(configuration, text);
}

/** @returns the first port that was asked for; 0: any free ones, null: the usual ones. @throws Failure where it is none */
function firstPort(asked: string | undefined): number | null {
  if (asked === undefined) return null;
  const first = /^\d{1,5}$/.test(asked) ? Number(asked) : Number.NaN;
  if (first >= 0 && first <= 65_531) return first;
  throw new Failure(`--ports ${asked} is not a port`, {
    code: 'flag',
    hint: 'give the first of five free ports, or 0',
    exitCode: 2,
  });
}

/** The usual ports where they are free, else others; ports that were asked for are taken as they are. */
async function choosePorts(first: number | null): Promise<LabPorts> {
  if (first !== null && first > 0) return { late: first, upFront: first + 1, http: first + 2, admin: first + 3 };
  const usual = first === null ? [8443, 9443, 8080, 9090] : [0, 0, 0, 0];
  // Held until all are chosen, so that none is chosen twice.
  const held: Server[] = [];
  try {
    for (const port of usual) held.push((await hold(port)) ?? (await holdAny()));
    const [late = 0, upFront = 0, http = 0, admin = 0] = held.map((server) => (server.address() as AddressInfo).port);
    return { late, upFront, http, admin };
  } finally {
    await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
  }
}

/** For certificates that are made now; those that are there keep the one they name. Null: any. */
async function revocationUrl(first: number | null): Promise<string | null> {
  if (first !== null) return first === 0 ? null : `http://127.0.0.1:${first + 4}`;
  const held = await hold(Number(new URL(usualRevocationUrl).port));
  if (held === null) return null;
  await new Promise((done) => held.close(done));
  return usualRevocationUrl;
}

async function holdAny(): Promise<Server> {
  const server = await hold(0);
  if (server !== null) return server;
  throw new Failure('no free port on 127.0.0.1', { code: 'ports', hint: 'end something that listens there' });
}

/** Null when somebody else has the port. */
function hold(port: number): Promise<Server | null> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(null));
    server.listen(port, '127.0.0.1', () => done(server));
  });
}

/** The line of `lab --json`; a contract. */
function readyEvent({ lab, control, ports, running, configuration }: LabRun) {
  const { certificates } = lab.pki;
  return {
    event: 'ready',
    lateUrl: `https://127.0.0.1:${ports.late}/payroll`,
    upFrontUrl: `https://127.0.0.1:${ports.upFront}/payroll`,
    publicUrl: `https://127.0.0.1:${ports.late}/`,
    httpUrl: `http://127.0.0.1:${ports.http}/`,
    admin: `http://${running.admin.address}`,
    socket: running.gateway.setup.settings.admin.socket,
    roots: certificates.get('root')?.chainFile ?? null,
    certs: Object.fromEntries(
      [...certificates].map(([name, { chainFile, keyFile }]) => [name, { cert: chainFile, key: keyFile }]),
    ),
    directory: { url: lab.directory.url, searches: `${control.url}/searches` },
    revocation: { url: lab.revocation.url, control: control.url },
    echo: lab.echo.url,
    configuration,
  };
}

function welcome(run: LabRun): readonly string[] {
  const { lab, control, ports, running, configuration } = run;
  const here = (path: string) => relative(process.cwd(), path) || path;
  const made = lab.pki.made ? 'made' : 'kept from an earlier start';
  return [
    terminal.paint('bold', 'The gateway is up.'),
    `  asks late (renegotiation, TLS 1.2)   https://127.0.0.1:${ports.late}`,
    `  asks up front (TLS 1.3, HTTP/2)      https://127.0.0.1:${ports.upFront}`,
    `  plain http                           http://127.0.0.1:${ports.http}`,
    `  health and metrics                   http://${running.admin.address}`,
    `  directory ${lab.directory.url}, backend ${lab.echo.url}`,
    `  revocation ${lab.revocation.url}, and to revoke  curl -X POST ${control.url}/revoke/alice`,
    `  certificates in ${here(lab.pki.folder)} (${made}), configuration ${here(configuration)}, log ${here(join(resolve(configuration, '..'), 'access.log'))}`,
    '',
    'Try it from another terminal, in this folder:',
    '',
    ...curlLines(ports, here(lab.pki.folder), here(resolve(configuration, '..'))),
    '',
    'Ctrl-C ends everything.',
  ];
}
