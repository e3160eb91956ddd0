/**
 * A configuration file as text with lines and columns. Whether it is YAML is decided in `source.ts`.
 */

/** Offsets into the text in UTF-16 units, `end` not included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface SourceText {
  /** The file as the user named it. */
  readonly name: string;
  readonly text: string;
  /** Both count from 1. */
  position(offset: number): { readonly line: number; readonly column: number };
  /** Text of a line without its line break; empty outside the file. */
  line(number: number): string;
}

export function sourceText(name: string, text: string): SourceText {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return {
    name,
    text,
    position(offset) {
      const index = lastNotAbove(starts, Math.min(Math.max(offset, 0), text.length));
      return { line: index + 1, column: offset - (starts[index] ?? 0) + 1 };
    },
    line(number) {
      const start = starts[number - 1];
      return start === undefined ? '' : text.slice(start, starts[number] ?? text.length).replace(/\r?\n$/, '');
    },
  };
}

function lastNotAbove(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((sorted[middle] ?? 0) <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}
