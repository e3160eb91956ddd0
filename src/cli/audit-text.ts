/**
 * The report of an audit for a terminal of 80 columns: what was scanned, how much was found of what, then the findings. Decides where
 * lines break; long values go on below, up to a bound.
 */
import { auditCodes, orderOfCodes, type AuditFinding, type AuditReport } from '../admin/audit-contract.ts';
import { printable, table, terminal, type Style } from './terminal.ts';

const width = 80;
/** Findings of one code: nobody scrolls back through more. */
const maximumShown = 20;

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
    const shown = report.findings.filter((finding) => finding.code === code).slice(0, maximumShown);
    for (const finding of shown) yield* findingLines(finding);
    const left = (report.counts[code] ?? 0) - shown.length;
    if (left > 0) yield* wrapped(`and ${left} more that are not shown; --csv FILE has them all`, '  ', '  ');
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
  if (value !== null) yield* broken(shortened(value), '    ', '      ');
  if (corrected !== null) yield* broken(shortened(corrected), '    -> ', '       ');
}

/** Some write whole certificates where a name belongs. */
const longestValue = 800;

function shortened(value: string): string {
  return value.length <= longestValue ? value : `${value.slice(0, longestValue)}... (${value.length} characters)`;
}

/** Lines end at blanks where there are some. */
function* wrapped(text: string, first: string, further: string): Iterable<string> {
  yield* lines(text, first, further, (left, end) => {
    const blank = left.lastIndexOf(' ', end);
    return blank > end / 2 ? [blank, blank + 1] : [end, end];
  });
}

/** Every blank of a value counts: none is lost at the end of a line. */
function* broken(value: string, first: string, further: string): Iterable<string> {
  yield* lines(value, first, further, (_, end) => [end, end]);
}

/** @param cut where a line ends of which so much fits, and where the next begins */
function* lines(
  text: string,
  first: string,
  further: string,
  cut: (left: string, end: number) => readonly [end: number, next: number],
): Iterable<string> {
  let left = printable(text);
  let indent = first;
  while (columnsOf(left) > width - indent.length) {
    const [end, next] = cut(left, endWithin(left, width - indent.length));
    yield `${indent}${left.slice(0, end)}`;
    left = left.slice(next);
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
