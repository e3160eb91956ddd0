/**
 * A lab and a gateway of their own for a test file, from a real configuration text, with everything ended when the test ends.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Test } from 'tap';
import { systemClock } from '../../src/base/clock.ts';
import type { LabPorts } from '../../src/cli/lab-configuration.ts';
import { labConfiguration } from '../../src/cli/lab-configuration.ts';
import { systemFacilities } from '../../src/config/facilities.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { AccessLog } from '../../src/gateway/access-log.ts';
import type { Gateway, GatewayFacilities } from '../../src/gateway/gateway.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import type { Settings } from '../../src/gateway/settings.ts';
import { labBind } from '../../src/lab/accounts.ts';
import type { EchoAnswer } from '../../src/lab/echo.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/lab.ts';

export interface TestGateway {
  readonly lab: Lab;
  readonly gateway: Gateway;
  readonly settings: Settings;
  readonly folder: string;
  readonly ports: LabPorts;
  /** Request lines so far, newest last. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** What the log tells beside requests, such as a CRL that was taken up. */
  readonly events: readonly Readonly<Record<string, unknown>>[];
  /** The line of a request, by the X-Request-Id of its answer; the client may have that before the line is written. */
  logged(requestId: unknown): Promise<Readonly<Record<string, unknown>>>;
  /** PEM texts of a certificate of the lab's PKI. */
  identity(name: string): { readonly cert: string; readonly key: string };
  readonly ca: string;
}

export interface TestGatewayOptions {
  /** A lab that the test has started and ends itself; one of its own unless given. */
  readonly lab?: Lab;
  /** Changes the lab's own configuration text. */
  readonly configure?: (yaml: string) => string;
  readonly facilities?: Partial<GatewayFacilities>;
  /** How often the directory is asked for changes; never unless given: most tests count searches. */
  readonly pollInterval?: string;
}

/** Ports are free ones: `ports` holds them. */
export async function testGateway(t: Test, options: TestGatewayOptions = {}): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'dsmapper-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const lab = options.lab ?? (await testLab(t));
  const ports = { late: await freePort(), upFront: await freePort(), http: await freePort(), admin: await freePort() };
  const yaml = labConfiguration(lab, ports, folder)
    .replace('log: { file: "access.log" }', 'log: { file: "-" }')
    .replace('\ndirectory:\n', `\ndirectory:\n  pollInterval: ${options.pollInterval ?? '0s'}\n`);
  await writeFile(join(folder, 'ldap-password'), labBind.password);
  await writeFile(join(folder, 'dsmapper.yaml'), options.configure?.(yaml) ?? yaml);
  const { settings } = await loadConfiguration(
    join(folder, 'dsmapper.yaml'),
    systemFacilities(systemClock, process.env),
  );
  const log = memoryLog();
  const gateway = await startGateway(settings, {
    clock: systemClock,
    random: Math.random,
    log,
    ...options.facilities,
  });
  t.teardown(() => gateway.close());
  const certificate = (name: string) => {
    const found = lab.pki.certificates.get(name);
    if (found === undefined) throw new TypeError(`no certificate ${name}`);
    return found;
  };
  return {
    lab,
    gateway,
    settings,
    folder,
    ports,
    log: log.lines,
    events: log.events,
    logged: log.logged,
    identity: (name) => ({ cert: certificate(name).chain, key: certificate(name).key }),
    ca: certificate('root').cert,
  };
}

/** The lab without a gateway, for several gateways in front of one backend. */
export async function testLab(t: Test): Promise<Lab> {
  const folder = await mkdtemp(join(tmpdir(), 'dsmapper-lab-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const recipes = resolve(import.meta.dirname, '../../certs/recipes');
  const lab = await startLab({ recipes, folder: join(folder, 'pki'), now: new Date() });
  t.teardown(() => lab.stop());
  return lab;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** The echo backend's view; throws when the answer is not from it. */
  echo(): EchoAnswer;
  /** Value of a header that the backend received; null when it did not. */
  backendHeader(name: string): string | null;
}

export interface TestRequest {
  readonly as?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: Buffer | string;
  readonly agent?: https.Agent | http.Agent;
  readonly tls?: https.RequestOptions;
}

/** One HTTP/1.1 request to the late, up-front or plain binding. */
export function ask(
  to: TestGateway,
  where: 'late' | 'upFront' | 'http',
  request: TestRequest = {},
): Promise<TestAnswer> {
  const { as, path = '/payroll', method = 'GET', headers = {}, body, agent = false, tls = {} } = request;
  const options = { host: '127.0.0.1', port: to.ports[where], path, method, headers, agent };
  const identity = as === undefined ? {} : to.identity(as);
  return new Promise((resolve, reject) => {
    const sent =
      where === 'http' ? http.request(options) : https.request({ ...options, ca: to.ca, ...identity, ...tls });
    sent.once('error', reject);
    sent.once('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.once('error', reject);
      response.once('end', () => resolve(answerOf(response, Buffer.concat(pieces).toString('utf8'))));
    });
    sent.end(body);
  });
}

function answerOf(response: http.IncomingMessage, body: string): TestAnswer {
  const echo = () => JSON.parse(body) as EchoAnswer;
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body,
    echo,
    backendHeader: (name) => echo().headers.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1] ?? null,
  };
}

function memoryLog() {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const events: Readonly<Record<string, unknown>>[] = [];
  const waiting = new Set<() => void>();
  const log: AccessLog = {
    write(record) {
      if ('event' in record) return void events.push(record);
      lines.push(record);
      for (const look of waiting) look();
    },
    flush: () => {},
    dropped: 0,
    close: () => Promise.resolve(),
  };
  function logged(requestId: unknown): Promise<Readonly<Record<string, unknown>>> {
    return new Promise((resolve) => {
      const look = () => {
        const line = lines.find((record) => record['requestId'] === requestId);
        if (line === undefined) return;
        waiting.delete(look);
        resolve(line);
      };
      waiting.add(look);
      look();
    });
  }
  return { ...log, lines, events, logged };
}

/** Ports of this process so far: one that is free again may still be meant for somebody else. */
const given = new Set<number>();

/**
 * A port that is free now, and that the system gives to nobody until the gateway has it: below those that it chooses for others
 * (32768 on Linux, 49152 elsewhere).
 */
function freePort(): Promise<number> {
  const port = randomInt(10_000, 32_768);
  if (given.has(port)) return freePort();
  given.add(port);
  return new Promise((resolve, reject) => {
    const server = http.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(freePort());
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)));
  });
}
