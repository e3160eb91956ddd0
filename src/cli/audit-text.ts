/**
 * The report of an audit for a terminal of 80 columns: what was scanned, how much was found of what, then the findings. Decides where
 * lines break; long values go on below, up to a bound.
 */
import { auditCodes, orderOfCodes, type AuditFinding, type AuditReport } from '../admin/audit-contract.ts';
import { printable, table, terminal, type Style } from './terminal.ts';

const width = 80;

export function* auditLines(report: AuditReport): Iterable<string> {
  const { paint } = terminal;
  for (const { domain, accounts, values, missing } of report.domains) {
    yield* wrapped(`${domain}: ${accounts} accounts with ${values} values`, '', '  ');
    if (missing !== null) for (const line of wrapped(`not all of it: ${missing}`, '  ', '  ')) yield paint('red', line);
  }
  const { certificates } = report;
  if (certificates !== null) yield* wrapped(`${certificates.read} certificates from ${certificates.folder}`, '', '  ');
  for (const { file, reason } of certificates?.unreadable ?? [])
    yield* wrapped(`not read: ${file}: ${reason}`, '  ', '    ');

  yield '';
  const found = orderOfCodes.filter((code) => report.counts[code] !== undefined);
  if (found.length === 0)
    yield report.complete ? paint('green', 'nothing was found') : 'nothing was found in what was seen';
  const rows = found.map((code) => [String(report.counts[code]), auditCodes[code].severity, code]);
  for (const line of table(rows)) yield line;

  for (const code of found) {
    const { severity, title } = auditCodes[code];
    yield '';
    for (const line of wrapped(`${code}: ${title}`, '', '  ')) yield paint(styles[severity], line);
    for (const finding of report.findings) if (finding.code === code) yield* findingLines(finding);
    const left = report.leftOut[code];
    if (left !== undefined) yield* wrapped(`and ${left} more that are not shown; --csv FILE has them all`, '  ', '  ');
  }
  yield '';
  yield paint('bold', 'Nobody looked at');
  for (const text of report.notLookedAt) yield* wrapped(text, '  ', '    ');
}

const styles: Readonly<Record<AuditFinding['severity'], Style>> = { error: 'red', warning: 'yellow', info: 'cyan' };

function* findingLines({ account, certificate, others, value, text, corrected }: AuditFinding): Iterable<string> {
  const who = account?.name ?? certificate ?? '';
  yield* wrapped(`${who}: ${text}`, '  ', '    ');
  const shared = account === null ? [] : others;
  if (shared.length > 0) yield* wrapped(`also ${shared.join(', ')}`, '    ', '      ');
  if (value !== null) yield* wrapped(shortened(value), '    ', '      ');
  if (corrected !== null) yield* wrapped(shortened(corrected), '    -> ', '       ');
}

/** Some write whole certificates where a name belongs. */
const longestValue = 800;

function shortened(value: string): string {
  return value.length <= longestValue ? value : `${value.slice(0, longestValue)}... (${value.length} characters)`;
}

/** At blanks where there are some, else anywhere. */
export function* wrapped(text: string, first: string, further: string): Iterable<string> {
  let left = printable(text);
  let indent = first;
  while (columnsOf(left) > width - indent.length) {
    const end = endWithin(left, width - indent.length);
    const blank = left.lastIndexOf(' ', end);
    const cut = blank > end / 2 ? blank : end;
    yield `${indent}${left.slice(0, cut)}`;
    left = left.slice(left[cut] === ' ' ? cut + 1 : cut);
    indent = further;
  }
  yield `${indent}${left}`;
}

/** Index behind the last character that fits. */
function endWithin(text: string, columns: number): number {
  let end = 0;
  let taken = 0;
  for (const character of text) {
    taken += columnsOf(character);
    if (taken > columns) break;
    end += character.length;
  }
  return Math.max(end, 1);
}

/** Wide characters of East Asia take two columns; marks take none, and count as one here. */
function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += wide.test(character) ? 2 : 1;
  return columns;
}

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
