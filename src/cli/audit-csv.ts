/**
 * Findings of an audit as CSV (RFC 4180), one line after the other, for spreadsheets. Decides that no cell is ever a formula: what a
 * directory holds was written by many hands.
 */
import type { AuditFinding } from '../admin/audit-contract.ts';
import { printable } from './terminal.ts';

const columns = [
  'severity',
  'code',
  'problem',
  'account',
  'sid',
  'dn',
  'others',
  'certificate',
  'value',
  'corrected',
  'text',
] as const;

/** With the end of the line. */
export function csvHead(): string {
  return csvLine(columns);
}

export function csvRow(finding: AuditFinding): string {
  const { severity, code, problem, account, others, certificate, value, corrected, text } = finding;
  const who = [account?.name, account?.sid, account?.dn];
  return csvLine([severity, code, problem, ...who, others.join('; '), certificate, value, corrected, text]);
}

function csvLine(cells: readonly (string | null | undefined)[]): string {
  return `${cells.map((cell) => csvCell(cell ?? '')).join(',')}\r\n`;
}

/**
 * Quoted whatever it holds. A cell that a spreadsheet would compute begins with an apostrophe; blanks before the sign do not help, so they
 * do not count. Control and format characters become escapes: a cell has one line and one direction.
 */
export function csvCell(text: string): string {
  const shown = printable(text);
  const formula = /^\s*[=+\-@＝＋－＠]/u.test(shown) || /^[\t\r]/.test(text);
  return `"${formula ? "'" : ''}${shown.replaceAll('"', '""')}"`;
}
