/**
 * How the command talks. Results go to standard output; errors, hints and progress to standard error, in lower case and without a full
 * stop; colours only on a terminal. Text from certificates and directories is made harmless before it reaches one.
 */
import { once } from 'node:events';
import { styleText } from 'node:util';
import { Failure, reasonOf } from '../base/failure.ts';

export type Style = Parameters<typeof styleText>[0];

export interface Terminal {
  line(text?: string): void;
  /** Any number of lines, no faster than they are taken. */
  lines(texts: Iterable<string>): Promise<void>;
  json(value: unknown): void;
  error(error: unknown): void;
  warn(text: string): void;
  note(text: string): void;
  /** One line that is written over; nothing unless standard error is a terminal. */
  progress(text: string): void;
  readonly paint: (style: Style, text: string) => string;
}

/** Characters that are written at once. */
const pieceLength = 65_536;

export const terminal: Terminal = {
  line: (text = '') => void process.stdout.write(`${text}\n`),
  async lines(texts) {
    let piece = '';
    for (const text of texts) {
      piece += `${text}\n`;
      if (piece.length < pieceLength) continue;
      if (!process.stdout.write(piece)) await once(process.stdout, 'drain');
      piece = '';
    }
    if (piece !== '') process.stdout.write(piece);
  },
  json: (value) => void process.stdout.write(`${jsonText(value)}\n`),
  error(error) {
    for (const line of complaintOf(error)) process.stderr.write(`${line}\n`);
  },
  warn: (text) =>
    void process.stderr.write(`${styleText('yellow', 'warning:', { stream: process.stderr })} ${printable(text)}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
  progress(text) {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
  },
  paint: (style, text) => styleText(style, text, { stream: process.stdout }),
};

function complaintOf(error: unknown): readonly string[] {
  const label = styleText('red', 'error:', { stream: process.stderr });
  if (!(error instanceof Failure)) return [`${label} unexpected: ${printable(reasonOf(error))}`];
  const hint =
    error.hint === '' ? [] : [`${styleText('cyan', 'hint:', { stream: process.stderr })} ${printable(error.hint)}`];
  // Complaints about a configuration have several lines.
  return [`${label} ${error.message.split('\n').map(printable).join('\n')}`, ...hint];
}

/** Control, format and unassigned characters and line separators become visible escapes, as JSON writes them. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (found) =>
    found
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** JSON escapes only the first 32 characters itself; the same value either way. */
export function jsonText(value: unknown): string {
  return printable(JSON.stringify(value));
}

/** Columns padded to the widest cell. */
export function table(rows: readonly (readonly string[])[], indent = ''): readonly string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return rows.map(
    (row) =>
      indent + row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join('  '),
  );
}
