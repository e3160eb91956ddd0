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
  /** @param record becomes one line of JSON; control characters are escaped by JSON itself */
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
}

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
  return { stream, owned: true };
}

export function createAccessLog(sink: LogSink): AccessLog {
  let waiting = '';
  let dropped = 0;
  let unreported = 0;
  let broken = false;
  let timer: NodeJS.Timeout | null = null;
  sink.stream.on('error', () => {
    broken = true;
  });

  function flush(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (waiting === '') return;
    const text = unreported > 0 ? `${JSON.stringify({ droppedLogLines: unreported })}\n${waiting}` : waiting;
    waiting = '';
    unreported = 0;
    if (!broken) sink.stream.write(text);
  }

  return {
    write(record) {
      if (broken || sink.stream.writableLength + waiting.length > maximumBacklog) {
        dropped += 1;
        unreported += 1;
        return;
      }
      waiting += `${JSON.stringify(record)}\n`;
      if (waiting.length > 64 * 1024) flush();
      else timer ??= setTimeout(flush, flushInterval).unref();
    },
    flush,
    get dropped() {
      return dropped;
    },
    async close() {
      flush();
      if (!sink.owned) return;
      await new Promise<void>((resolve) => {
        sink.stream.once('close', () => resolve());
        sink.stream.end();
        if (sink.stream.destroyed) resolve();
      });
    },
  };
}
