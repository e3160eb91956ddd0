/**
 * How mistakes in a configuration are shown: file, line and column, what is wrong, the line itself with carets below it,
 * and what to do. Nothing here knows the language; it decides only what may be printed: control characters and literal
 * secrets never are.
 */
import type { SourceText, Span } from './source-text.ts';

export interface Mistake {
  /** Where it is; null when it concerns the file as a whole. */
  readonly at: Span | null;
  /** `bindings[0].endpoint: ...`; lower case, no full stop. */
  readonly text: string;
  readonly hint: string | null;
  /** `unreadable`: the configuration is well written, but a file it names cannot be read. */
  readonly kind: 'language' | 'unreadable';
}

/** More than this nobody reads, and a hostile file must not fill a log. */
export const maximumComplaints = 50;

/** All mistakes in the order of the file, as one text of several lines. */
export function complain(source: SourceText, mistakes: readonly Mistake[]): string {
  const once = new Map(mistakes.map((mistake) => [`${mistake.at?.start} ${mistake.text}`, mistake]));
  const inOrder = [...once.values()].sort((a, b) => (a.at?.start ?? -1) - (b.at?.start ?? -1));
  const shown = inOrder.slice(0, maximumComplaints).map((mistake) => complaintOf(source, mistake));
  const rest = inOrder.length - shown.length;
  const count = inOrder.length === 1 ? '1 mistake' : `${inOrder.length} mistakes`;
  return [`${printable(source.name)} has ${count}`, ...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n');
}

export interface Warning {
  readonly at: Span | null;
  readonly text: string;
}

/** One line each, in the order of the file, none twice. */
export function warningLines(source: SourceText, warnings: readonly Warning[]): readonly string[] {
  const inOrder = [...warnings].sort((a, b) => (a.at?.start ?? -1) - (b.at?.start ?? -1));
  return [...new Set(inOrder.map(({ at, text }) => `${placeOf(source, at)}: ${clipped(text)}`))];
}

/** A value as a message shows it: between backticks, short, printable. */
export function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return `\`${printable(text.length > 80 ? `${text.slice(0, 79)}…` : text)}\``;
}

/** One character for one: what could move a cursor, reorder text or end a line becomes U+FFFD; a tab becomes a blank. */
export function printable(text: string): string {
  return text
    .replaceAll('\t', ' ')
    .replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\p{Cs}]/gu, (found) => '\ufffd'.repeat(found.length));
}

function complaintOf(source: SourceText, { at, text, hint }: Mistake): string {
  const lines = [`${placeOf(source, at)}: ${clipped(text)}`];
  if (at !== null) lines.push(...excerptOf(source, at));
  if (hint !== null) lines.push(`  hint: ${clipped(hint)}`);
  return lines.join('\n');
}

const longest = 600;

/** Paths and values in it come from the file. */
function clipped(text: string): string {
  return printable(text.length > longest ? `${text.slice(0, longest - 1)}…` : text);
}

function placeOf(source: SourceText, at: Span | null): string {
  if (at === null) return printable(source.name);
  const { line, column } = source.position(at.start);
  return `${printable(source.name)}:${line}:${column}`;
}

const width = 140;

function excerptOf(source: SourceText, at: Span): readonly string[] {
  const { line, column } = source.position(at.start);
  const whole = continuesSecret(source, line) ? '********' : withoutSecrets(source.line(line));
  const start = Math.min(column - 1, whole.length);
  const end = Math.max(start + 1, Math.min(start + at.end - at.start, whole.length));
  const from = start > width - 40 ? start - 40 : 0;
  const shown = printable(whole.slice(from, from + width));
  const carets = '^'.repeat(Math.max(1, Math.min(end, from + width) - start));
  const margin = String(line);
  return [
    `  ${margin} | ${from > 0 ? '…' : ''}${shown}${whole.length > from + width ? '…' : ''}`,
    `  ${' '.repeat(margin.length)} | ${' '.repeat(start - from + (from > 0 ? 1 : 0))}${carets}`,
  ];
}

const reference = /^["']?(?:env:[A-Za-z_]\w*|file:[^\s"',{}[\]]+)["']?\s*(?:[,}#]|$)/;
/** Bounded in every part, because lines may be long. */
const secretKey = /(?:pass|pwd|pasw|secret|credential)[\w-]{0,40}["']?[ \t]{0,20}[:=][ \t]*/gi;

/**
 * From the first value of a secret key that is not a reference, the line is not shown: it may be the secret itself. The same
 * for keys in PEM and for passwords in URLs.
 */
function withoutSecrets(line: string): string {
  for (const found of line.matchAll(secretKey)) {
    const from = found.index + found[0].length;
    const value = line.slice(from);
    if (value !== '' && !reference.test(value)) return `${line.slice(0, from)}********`;
  }
  const raw = line.search(/-----BEGIN|:\/\/[^\s/@]{1,200}@/);
  return raw < 0 ? line : `${line.slice(0, raw)}********`;
}

/** Whether the line is the value of a secret key that stands on an earlier line. */
function continuesSecret(source: SourceText, line: number): boolean {
  const depth = indentOf(source.line(line));
  for (let earlier = line - 1; earlier > 0 && earlier > line - 100; earlier -= 1) {
    const text = source.line(earlier);
    if (text.trim() === '' || indentOf(text) >= depth) continue;
    const last = [...text.matchAll(secretKey)].at(-1);
    return last !== undefined && /^["']?(?:[|>][-+\d]*)?\s*(?:#.*)?$/.test(text.slice(last.index + last[0].length));
  }
  return false;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
