/**
 * `dsmapper serve` as a process of its own in front of a lab, so that a test can send it SIGHUP as a person would. What it tells of itself is
 * in its output, what it tells of requests in its log file.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import { labConfiguration } from '../../src/cli/lab-configuration.ts';
import { labBind } from '../../src/lab/accounts.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { accepts, listening, startDaemon } from './processes.ts';
import type { Reachable } from './web-socket.ts';

export interface ServedGateway extends Reachable {
  /** Changes the configuration file, sends SIGHUP, and waits until the process says that it has been taken up. */
  reload(change: (yaml: string) => string): Promise<void>;
  /** Lines of the log so far. */
  log(): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Standard output and standard error. */
  output(): string;
}

/** @param configure changes the lab's own configuration text before the start */
export async function servedGateway(t: Test, lab: Lab, configure: (yaml: string) => string): Promise<ServedGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'dsmapper-served-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const [late, upFront, http, admin] = await freePorts();
  const ports = { late, upFront, http, admin };
  const file = join(folder, 'dsmapper.yaml');
  await writeFile(join(folder, 'ldap-password'), labBind.password);
  await writeFile(file, configure(labConfiguration(lab, ports, folder)));
  const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
  const daemon = startDaemon(process.execPath, [main, 'serve', '-c', file], { cwd: folder });
  t.teardown(() => daemon.stop());
  await listening(daemon, '127.0.0.1', admin);
  await listening(daemon, '127.0.0.1', late);
  let generation = 1;
  const identity = (name: string) => {
    const { chain, key } = lab.pki.certificates.get(name) ?? { chain: '', key: '' };
    return { cert: chain, key };
  };
  return {
    ports,
    identity,
    ca: lab.pki.certificates.get('root')?.cert ?? '',
    async reload(change) {
      await writeFile(file, change(await readFile(file, 'utf8')));
      generation += 1;
      process.kill(daemon.pid, 'SIGHUP');
      while (!daemon.output().includes(`it is generation ${generation}`)) {
        if (!daemon.running || daemon.output().includes('not taken up')) throw new Error(daemon.output());
        await pause(20);
      }
    },
    async log() {
      const lines = (await readFile(join(folder, 'access.log'), 'utf8')).split('\n');
      return lines.slice(0, -1).map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    },
    output: () => daemon.output(),
  };
}

/** Below those that the system gives to others (32768 on Linux). */
async function freePorts(): Promise<[number, number, number, number]> {
  const first = randomInt(10_000, 32_760);
  const four: [number, number, number, number] = [first, first + 1, first + 2, first + 3];
  const taken = await Promise.all(four.map((port) => accepts('127.0.0.1', port)));
  return taken.includes(true) ? freePorts() : four;
}
