/**
 * Which texts a domain controller takes for equal: sort keys of locale 0x409 with NORM_IGNORECASE,
 * NORM_IGNOREKANATYPE, NORM_IGNORENONSPACE and NORM_IGNOREWIDTH (MS-ADTS 3.1.1.2.2.4.13 and 6.5). Blanks are kept: no
 * document says that they are folded, unlike in Samba and OpenLDAP. Where Windows tables are not known to the letter
 * this folds rather more than less: whoever asks with it is told of too many that are equal, never of too few. What the gateway
 * itself takes for equal is in `mapping/ad-text.ts`.
 */

/** Two texts are equal to the directory when their folded forms are. */
export function fold(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text.toUpperCase();
  return text
    .normalize('NFKD') // full and half width, ligatures, superscripts; letters part from their diacritics
    .replaceAll(/[\p{M}\p{Cf}]/gu, '') // nonspacing marks, and characters without weight such as the soft hyphen
    .replaceAll(/[ぁ-ゖ]/g, (kana) => String.fromCodePoint((kana.codePointAt(0) ?? 0) + 0x60))
    .toUpperCase() // also ß to SS
    .replaceAll(/[ÆŒØŁĐÐÞĦŦ]/g, (letter) => expansions[letter] ?? letter);
}

/** Letters that Unicode does not decompose but the Windows sorting table does (a stroke is a diacritic weight). */
const expansions: Readonly<Record<string, string>> = {
  Æ: 'AE',
  Œ: 'OE',
  Ø: 'O',
  Ł: 'L',
  Đ: 'D',
  Ð: 'D',
  Þ: 'TH',
  Ħ: 'H',
  Ŧ: 'T',
};
