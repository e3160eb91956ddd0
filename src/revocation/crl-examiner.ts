/**
 * Hands lists to the thread that examines them, one at a time. Decides when there is a thread: it starts with the first job, a dead or
 * stuck one costs the job that it was at, and one that is idle or has seen many octets is ended: V8 does not count shared memory, so a
 * thread collects no garbage for its sake and would keep lists that were replaced long ago.
 */
import { Worker } from 'node:worker_threads';
import type { SetAlarm } from '../base/alarm.ts';
import type { Millis } from '../base/brand.ts';
import { reasonOf } from '../base/failure.ts';
import type { Examination, ExaminationJob } from './crl-examination.ts';

export type Examined = Examination | { readonly kind: 'unexamined'; readonly reason: string };

export interface CrlExaminer {
  /** Never rejects. */
  examine(job: ExaminationJob): Promise<Examined>;
  /** What is waiting or under way ends unexamined. */
  close(): Promise<void>;
}

export interface CrlExaminerSettings {
  readonly setAlarm: SetAlarm;
  /** Starts the thread; its entry is `crl-worker`. */
  readonly startWorker?: () => Worker;
}

/** Fifty times what a list of five million entries takes. */
const longestJob = 90_000 as Millis;
const longestIdle = 5000 as Millis;
/** Octets of all jobs of one thread: starting another costs less than examining so many. */
const maximumSeen = 16 * 1024 * 1024;

export function createCrlExaminer({ setAlarm, startWorker = startCrlWorker }: CrlExaminerSettings): CrlExaminer {
  interface Waiting {
    readonly job: ExaminationJob;
    readonly answer: (examined: Examined) => void;
  }
  const queue: Waiting[] = [];
  let active: Waiting | null = null;
  let worker: Worker | null = null;
  let seen = 0;
  let callOff: () => void = () => {};
  let closed = false;

  function next(): void {
    callOff();
    if (seen > maximumSeen) void end();
    active = queue.shift() ?? null;
    if (active === null) {
      worker?.unref();
      callOff = setAlarm(() => void end(), longestIdle);
      return;
    }
    worker ??= start();
    worker.ref();
    seen += active.job.der.length;
    // Nothing is handed over: both threads see the list.
    worker.postMessage(active.job, []);
    callOff = setAlarm(() => lose(worker, `not done within ${longestJob} ms`), longestJob);
  }

  function start(): Worker {
    const started = startWorker();
    started.on('message', (examination: Examination) => {
      if (worker === started) settle(examination);
    });
    started.on('error', (error) => lose(started, reasonOf(error)));
    started.on('messageerror', (error) => lose(started, reasonOf(error)));
    started.on('exit', (code) => lose(started, `its thread ended with ${code}`));
    return started;
  }

  function lose(lost: Worker | null, reason: string): void {
    if (lost === null || worker !== lost) return;
    void end();
    settle({ kind: 'unexamined', reason });
  }

  function settle(examined: Examined): void {
    const settled = active;
    next();
    settled?.answer(examined);
  }

  async function end(): Promise<void> {
    const ended = worker;
    worker = null;
    seen = 0;
    await ended?.terminate();
  }

  return {
    examine(job) {
      if (closed) return Promise.resolve({ kind: 'unexamined', reason: 'the store was closed' });
      return new Promise((answer) => {
        queue.push({ job, answer });
        if (active === null) next();
      });
    },
    async close() {
      closed = true;
      const ending = end();
      const open = [...(active === null ? [] : [active]), ...queue.splice(0)];
      active = null;
      callOff();
      for (const { answer } of open) answer({ kind: 'unexamined', reason: 'the store was closed' });
      await ending;
    },
  };
}

/** Octets of JavaScript objects; the lists themselves are outside. */
const heapLimit = 512;

/** The entry lies beside this file, as TypeScript in the repository and as JavaScript in the package. */
export function startCrlWorker(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./crl-worker.${extension}`, import.meta.url), {
    name: 'crl',
    // Neither loaders nor secrets of the main thread are of use there.
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: heapLimit },
  });
}
