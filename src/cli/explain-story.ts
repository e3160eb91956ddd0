/**
 * An explanation as a person reads it, top-down: the certificate, what was looked for, what happened, whose it is, what became of
 * it and what to change. Everything that came from outside is made harmless; values to copy stand on lines of their own.
 */
import type { AccountMatch, ValueMatch } from '../admin/account-values.ts';
import type { Advice } from '../admin/advice.ts';
import type { AccountFacts, Explanation } from '../admin/explain.ts';
import type { Step } from '../base/steps.ts';
import { isGood, statusText } from '../iis/verdict-table.ts';
import { certificateLines } from './cert.ts';
import { printable, type Style } from './terminal.ts';
import { wrapText } from './text-wrapping.ts';

export type Paint = (style: Style, text: string) => string;

export function storyOf(explanation: Explanation, paint: Paint): readonly string[] {
  const { certificate, steps, account, asked, headers, advice, verdict } = explanation;
  const status = verdict.code === 'notJudged' || verdict.code === 'trusted' ? '' : ` ${statusText(verdict)}`;
  const chapters: readonly (readonly string[])[] = [
    chapter('Certificate', indented(certificateLines(certificate)), paint),
    chapter('Looked for', candidateLines(explanation), paint),
    chapter('Steps', steps.flatMap(stepLines), paint),
    chapter('Account', account === null ? [] : accountLines(account), paint),
    asked === undefined ? [] : chapter(`Values of ${printable(asked.name)}`, valueLines(asked), paint),
    chapter(
      'Headers to the backend',
      headers.map(([name, value]) => `  ${name}: ${printable(value)}`),
      paint,
    ),
    [`${paint(isGood(verdict.code) ? 'green' : 'red', `${verdict.code}${status}`)}: ${printable(verdict.text)}`],
    chapter('What to change', advice.flatMap(adviceLines), paint),
  ];
  return chapters.filter((lines) => lines.length > 0).flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

function chapter(title: string, lines: readonly string[], paint: Paint): readonly string[] {
  return lines.length === 0 ? [] : [paint('bold', title), ...lines];
}

function candidateLines({ candidates }: Explanation): readonly string[] {
  if (candidates.length === 0) return ['  nothing: the certificate names no account in any way'];
  return candidates.flatMap(({ method, value, strength, used, why }) => [
    `  ${used ? '+' : '-'} ${method} (${strength}): ${printable(value)}`,
    ...wrapText(printable(why), '      '),
  ]);
}

/** Searches are long, and every part of one is worth reading: those parts go line by line. */
function stepLines({ step, outcome, detail }: Step): readonly string[] {
  return wrapText(printable(detail), `  ${step.padEnd(9)} ${outcome}: `.padEnd(12)).map((line, index) =>
    index === 0 ? line : `      ${line.trimStart()}`,
  );
}

function accountLines({ name, sid, upn, dn, disabled, groups }: AccountFacts): readonly string[] {
  return [
    `  ${printable(name)}  ${sid}${disabled ? '  (disabled)' : ''}`,
    `  ${printable(dn)}`,
    ...(upn === null ? [] : [`  ${printable(upn)}`]),
    ...(groups === null ? [] : wrapText(groups.length === 0 ? 'none' : groups.map(printable).join(', '), '  groups: ')),
  ];
}

function valueLines({ problem, values }: AccountMatch): readonly string[] {
  if (problem !== null) return wrapText(printable(problem), '  ');
  if (values.length === 0) return ['  the account has no altSecurityIdentities'];
  return values.flatMap((match) => [
    `  ${match.method === null ? '-' : '+'} ${printable(match.value)}`,
    ...wrapText(printable(opinionOf(match)), '      '),
  ]);
}

function opinionOf({ method, form, strength, faults }: ValueMatch): string {
  if (method !== null) return `${method} (${strength}): stands for this certificate`;
  if (form === 'kerberos') return 'a Kerberos name; no certificate is mapped by it';
  if (form === 'foreign') return 'not a value for certificates; it is ignored';
  const what = form === 'malformed' ? 'malformed' : `${form} (${strength})`;
  return `${what}: ${faults.length === 0 ? 'matches nothing of this certificate' : faults.map(({ text }) => text).join('; ')}`;
}

function adviceLines({ text, value }: Advice): readonly string[] {
  return [...wrapText(printable(text), '  - '), ...(value === null ? [] : [`      ${printable(value)}`])];
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line}`);
}
