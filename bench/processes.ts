/**
 * Child processes of a bench, each on a core of its own where `taskset` is at hand, and the CPU time that one has used.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { cpus, tmpdir } from 'node:os';

export type Core = 'server' | 'load';

const canPin = process.platform === 'linux' && cpus().length > 1 && spawnSync('taskset', ['--version']).status === 0;

/** Ticks of /proc/PID/stat a second; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

export interface Running {
  readonly pid: number;
  /** The first line of standard output that is JSON. */
  readonly ready: Promise<unknown>;
  stop(): Promise<void>;
}

/** Runs a command; its standard error goes to ours. */
export function run(core: Core, command: readonly string[]): Running {
  const words = canPin ? ['taskset', '-c', core === 'server' ? '0' : '1', ...command] : command;
  const child: ChildProcess = spawn(words[0] ?? '', words.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    pid: child.pid ?? 0,
    ready: firstJson(child),
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Runs a script of this folder under our own Node; its settings go through a file, for they may be long. */
export function runScript(core: Core, script: string, settings: unknown): Running {
  const file = join(mkdtempSync(join(tmpdir(), 'dsmapper-bench-')), 'settings.json');
  writeFileSync(file, JSON.stringify(settings));
  return run(core, [process.execPath, fileURLToPath(new URL(script, import.meta.url)), file]);
}

async function firstJson(child: ChildProcess): Promise<unknown> {
  if (child.stdout === null) throw new Error('no output');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) {
      child.stdout.resume();
      return JSON.parse(line);
    }
  }
  throw new Error(`process ${child.pid} ended without a result`);
}

/** Seconds of CPU, user and system, that a process and its children have used; NaN where the system does not tell. */
export function cpuSeconds(pid: number): number {
  const pids = [pid, ...childrenOf(pid)];
  return pids.reduce((sum, each) => sum + ownCpuSeconds(each), 0);
}

function ownCpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return Number.NaN;
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter((text) => text !== '')
      .map(Number);
  } catch {
    return [];
  }
}
