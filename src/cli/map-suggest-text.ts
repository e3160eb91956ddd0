/**
 * How suggested values are printed: for a person, as a PowerShell command, as LDIF, as CSV. Every value comes from a certificate, so
 * from anybody: what is printed can be pasted as it is, and does nothing but write these values.
 */
import type { CertificateFacts } from '../admin/explain.ts';
import type { AccountKind } from '../base/identity.ts';
import type { Suggestion, Warning } from '../mapping/value-suggestion.ts';
import { csvCell } from './audit-csv.ts';
import { ldifAddition } from './ldif.ts';
import type { Paint } from './explain-story.ts';
import { powerShellLiteral } from './powershell-literal.ts';
import { printable } from './terminal.ts';
import { wrapText } from './text-wrapping.ts';

/** Whose values they are. */
export interface Target {
  readonly name: string;
  /** What the cmdlets of Active Directory take for `-Identity`. */
  readonly identity: string;
  /** Null where it was not looked up. */
  readonly dn: string | null;
  readonly kind: AccountKind;
}

export interface SuggestedChange {
  /** Null where nobody was named: the commands then hold what can be no account. */
  readonly target: Target | null;
  readonly values: readonly string[];
}

/** Neither a sAMAccountName nor a distinguished name may have these brackets: pasted unread, the command fails. */
const nobody = '<account>';
const nowhere = 'CN=<account>';

/** Null when a value or the name cannot be pasted. */
export function powerShellOf({ target, values }: SuggestedChange): string | null {
  const identity = powerShellLiteral(target?.identity ?? nobody);
  const literals = values.map(powerShellLiteral);
  const server = serverOf(target);
  if (identity === null || server === null || literals.some((literal) => literal === null)) return null;
  const cmdlet = target?.kind === 'computer' ? 'Set-ADComputer' : 'Set-ADUser';
  return `${cmdlet} -Identity ${identity}${server} -Add @{altSecurityIdentities=@(${literals.join(',')})}`;
}

/** A cmdlet asks the domain of whoever runs it, unless told otherwise. */
function serverOf(target: Target | null): string | null {
  const labels = Array.from(
    /(?:^|,)((?:DC=[^,\\"+]+,)*DC=[^,\\"+]+)$/i.exec(target?.dn ?? '')?.[1]?.matchAll(/DC=([^,]+)/gi) ?? [],
    ([, label = '']) => label,
  );
  if (labels.length === 0) return '';
  const literal = powerShellLiteral(labels.join('.'));
  return literal === null ? null : ` -Server ${literal}`;
}

export function ldifOf({ target, values }: SuggestedChange): string {
  return `version: 1\n\n${ldifAddition(target?.dn ?? nowhere, 'altSecurityIdentities', values)}`;
}

const csvColumns = ['account', 'dn', 'method', 'strength', 'value', 'sameKey', 'newKey', 'anotherCa', 'warnings'];

export function csvOf(target: Target | null, values: readonly Suggestion[]): string {
  const rows = values.map(({ method, strength, value, survives, warnings }) => [
    target?.name ?? '',
    target?.dn ?? '',
    method,
    strength,
    value,
    survives.renewalWithSameKey,
    survives.renewalWithNewKey,
    survives.anotherCa,
    warnings.map(({ text }) => text).join('; '),
  ]);
  return [csvColumns, ...rows].map((row) => `${row.map(csvCell).join(',')}\r\n`).join('');
}

export interface ToldSuggestions {
  readonly leaf: CertificateFacts;
  readonly values: readonly Suggestion[];
  readonly warnings: readonly Warning[];
  readonly change: SuggestedChange;
}

export function suggestionLines({ leaf, values, warnings, change }: ToldSuggestions, paint: Paint): readonly string[] {
  const { target } = change;
  const whose = target === null ? '' : ` and ${printable(target.name)}`;
  const lines = [
    paint('bold', `Values for ${printable(leaf.subject === '' ? leaf.thumbprint : leaf.subject)}${whose}`),
  ];
  for (const suggestion of values) lines.push(...valueLines(suggestion, paint));
  if (values.length === 0) lines.push('  none: the settings in force look for no value of altSecurityIdentities');
  for (const { text } of warnings) lines.push(...wrapText(printable(text), '  ! '));
  if (change.values.length === 0) return lines;
  const command = powerShellOf(change);
  lines.push('', paint('bold', 'PowerShell'));
  if (command === null)
    lines.push(...wrapText('not possible: there are characters that cannot be pasted safely; use the LDIF', '  '));
  else lines.push(command);
  lines.push('', paint('bold', 'LDIF (ldapmodify, ldifde)'), ...ldifOf(change).trimEnd().split('\n'));
  if (target === null)
    lines.push('', ...wrapText(`put the account in place of ${nobody}, or name it with --account`, ''));
  else if (target.dn === null)
    lines.push('', ...wrapText(`put the distinguished name in place of ${nowhere}, or look it up with -c FILE`, ''));
  return lines;
}

function valueLines({ method, value, strength, survives, warnings }: Suggestion, paint: Paint): readonly string[] {
  const { renewalWithSameKey, renewalWithNewKey, anotherCa } = survives;
  return [
    `  ${method} (${paint(strength === 'strong' ? 'green' : 'yellow', strength)})`,
    `    ${printable(value)}`,
    `    survives renewal with the same key: ${renewalWithSameKey}, a new key: ${renewalWithNewKey}, another CA: ${anotherCa}`,
    ...warnings.flatMap(({ text }) => wrapText(text, '    ! ')),
  ];
}
