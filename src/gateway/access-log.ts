/**
 * One JSON line per request. Lines are gathered and written together; a slow or full disk never holds a request up, and what had to be
 * dropped is counted and said in the next line that gets through. No secret ever reaches this file.
 */
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { Failure, codeOf } from '../base/failure.ts';
import type { LogSettings } from './settings.ts';

/** Milliseconds between two writes. */
const flushInterval = 100;
/** Bytes waiting for a disk or pipe that does not take them; beyond, lines are dropped. */
const maximumBacklog = 16 * 1024 * 1024;

export interface AccessLog {
  /** @param record becomes one line of JSON, in which nothing that a terminal or an eye could take for something else stands raw */
  write(record: Readonly<Record<string, unknown>>): void;
  /** Writes what is waiting. */
  flush(): void;
  /** Lines that never made it. */
  readonly dropped: number;
  close(): Promise<void>;
}

export interface LogSink {
  readonly stream: Writable;
  /** Whether the stream is ours to end. */
  readonly owned: boolean;
  /** Opens the same file anew after a write has failed; absent where that makes no sense. */
  readonly reopen?: () => Promise<LogSink>;
}

/** Milliseconds between two tries to open a log that broke: a full disk may be emptied. */
const reopenInterval = 5000;

/** @throws Failure `log-file` when the file cannot be opened */
export async function openLog(settings: LogSettings): Promise<LogSink> {
  if (settings.file === '-') return { stream: process.stdout, owned: false };
  const stream = createWriteStream(settings.file, { flags: 'a', mode: 0o640 });
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (cause) => {
      const hint = 'check that the folder exists and that the gateway may write there';
      reject(
        new Failure(`cannot open log file ${settings.file}: ${codeOf(cause) ?? 'failed'}`, {
          code: 'log-file',
          hint,
          cause,
        }),
      );
    });
  });
  return { stream, owned: true, reopen: () => openLog(settings) };
}

/** @param monotonic milliseconds that never step back */
export function createAccessLog(first: LogSink, monotonic: () => number = () => performance.now()): AccessLog {
  let sink = first;
  let triedAt = -Infinity;
  let closed = false;
  let waiting = '';
  let lines = 0;
  let dropped = 0;
  let unreported = 0;
  let broken = false;
  let timer: NodeJS.Timeout | null = null;
  const onError = () => {
    broken = true;
  };
  guard(sink.stream);
  sink.stream.on('error', onError);

  function repair(): void {
    const now = monotonic();
    if (sink.reopen === undefined || closed || now - triedAt < reopenInterval) return;
    triedAt = now;
    sink.reopen().then(
      (fresh) => {
        if (closed) {
          fresh.stream.destroy();
          return;
        }
        sink = fresh;
        guard(fresh.stream);
        fresh.stream.on('error', onError);
        broken = false;
      },
      () => {},
    );
  }

  function flush(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (waiting === '') return;
    if (broken) {
      dropped += lines;
      unreported += lines;
    } else {
      const text = unreported > 0 ? `${JSON.stringify({ droppedLogLines: unreported })}\n${waiting}` : waiting;
      unreported = 0;
      sink.stream.write(text);
    }
    waiting = '';
    lines = 0;
  }

  return {
    write(record) {
      if (broken || sink.stream.writableLength + waiting.length > maximumBacklog) {
        dropped += 1;
        unreported += 1;
        if (broken) repair();
        return;
      }
      waiting += lineOf(record);
      lines += 1;
      if (waiting.length > 64 * 1024) flush();
      else timer ??= setTimeout(flush, flushInterval).unref();
    },
    flush,
    get dropped() {
      return dropped;
    },
    async close() {
      flush();
      closed = true;
      if (!sink.owned) {
        sink.stream.off('error', onError);
        return;
      }
      await new Promise<void>((resolve) => {
        sink.stream.once('close', () => resolve());
        sink.stream.end();
        if (sink.stream.destroyed) resolve();
      });
    },
  };
}

/** JSON itself escapes only the first 32 characters: the rest of the control characters, bidi and line separators follow here. */
function lineOf(record: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(record);
  return `${harmless.test(text) ? text : text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped)}\n`;
}

const harmless = /^[\u0020-\u007e]*$/;

function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

const guarded = new WeakSet<Writable>();

/** Standard output outlives us: an error of its last write must not end the process. */
function guard(stream: Writable): void {
  if (guarded.has(stream)) return;
  guarded.add(stream);
  stream.on('error', () => {});
}
