/**
 * A text as a PowerShell literal that means that text and nothing else, whoever wrote it and wherever it is pasted.
 */

/**
 * Within single quotes nothing is special but what PowerShell takes for a single quote: U+0027 and the typographic U+2018 to
 * U+201B (about_Quoting_Rules; CharTraits.IsSingleQuote). Each is doubled, which stands for the second of the two.
 *
 * Null where the text has characters that no terminal shows or that would end the line: control, format, unassigned, separators of
 * lines and halves of surrogate pairs. Such a text cannot be pasted safely at all.
 */
export function powerShellLiteral(text: string): string | null {
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) return null;
  return `'${text.replaceAll(/['\u2018-\u201b]/g, '$&$&')}'`;
}
