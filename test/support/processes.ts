/**
 * Programs that a test starts: one that runs to its end, and daemons that must not outlive the test, however it ends.
 */
import { findProgram } from './real-peers.ts';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

export interface RunOptions {
  /** Standard input of `run`; an iterable is written as fast as the program reads. */
  readonly input?: string | Iterable<string>;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Standard output of a program that ended well. @throws Error with its standard error otherwise */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const child = spawn(findProgram(command) ?? command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  const forget = endWithUs(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  // A program that stops reading its input says why on standard error.
  const { input = '' } = options;
  Readable.from(typeof input === 'string' ? [input] : chunks(input))
    .on('error', () => child.stdin.destroy())
    .pipe(child.stdin)
    .on('error', () => {});
  const [code, signal]: (number | string | null)[] = await once(child, 'close');
  forget();
  if (code === 0) return output.stdout;
  throw new Error(
    `${command} ended with ${code ?? signal ?? '?'}: ${output.stderr.slice(-2000) || output.stdout.slice(-2000)}`,
  );
}

/** Few large pieces instead of many small ones. */
function* chunks(pieces: Iterable<string>): Generator<string> {
  let chunk = '';
  for (const piece of pieces) {
    chunk += piece;
    if (chunk.length < 65_536) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk;
}

export interface Daemon {
  readonly pid: number;
  /** What it has written to standard output and standard error. */
  output(): string;
  readonly running: boolean;
  /** Asks it to end, and makes it end after five seconds. */
  stop(): Promise<void>;
}

/** Starts a program that stays. Its standard input is a pipe, closed when the test process is gone. */
export function startDaemon(command: string, args: readonly string[], options: RunOptions = {}): Daemon {
  const child = spawn(findProgram(command) ?? command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  const forget = endWithUs(child);
  let text = '';
  const keep = (more: string) => (text = (text + more).slice(-20_000));
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  child.stdin.on('error', () => {});
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      keep(String(error));
      resolve();
    });
  });
  const running = () => child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  return {
    pid: child.pid ?? 0,
    output: () => text,
    get running() {
      return running();
    },
    async stop() {
      if (!running()) return forget();
      child.kill('SIGTERM');
      const deadline = setTimeout(() => child.kill('SIGKILL'), 5000);
      await exited;
      clearTimeout(deadline);
      forget();
    },
  };
}

/** Settles when the address accepts connections. @throws Error when the daemon ends before, or after 30 seconds */
export async function listening(daemon: Daemon, host: string, port: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await accepts(host, port))) {
    if (!daemon.running) throw new Error(`the server ended before it listened: ${daemon.output()}`);
    if (performance.now() > deadline) throw new Error(`no answer at ${host}:${port}: ${daemon.output()}`);
    await wait(20);
  }
}

export async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect(port, host);
  return await new Promise((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).then((open) => {
    socket.destroy();
    return open === true;
  });
}

/** A port that was free a moment ago. */
export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Ends a child when this process ends before it does. */
function endWithUs(child: ChildProcess): () => void {
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  return () => void process.removeListener('exit', kill);
}
