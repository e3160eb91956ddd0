/**
 * Which texts a domain controller takes for equal: sort keys of locale 0x409 with NORM_IGNORECASE,
 * NORM_IGNOREKANATYPE, NORM_IGNORENONSPACE and NORM_IGNOREWIDTH (MS-ADTS 3.1.1.2.2.4.13 and 6.5). Blanks are kept: no
 * document says that they are folded, unlike in Samba and OpenLDAP. Where Windows tables are not known to the letter
 * this folds rather more than less: a client that survives here compares the returned values itself.
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

/**
 * The RDNs of a distinguished name (RFC 4514), leaf first, each folded to a key; null when the text is not one. An empty text
 * is the empty list.
 */
export function foldRdns(dn: string): readonly string[] | null {
  if (dn.trim() === '') return [];
  const keys: string[] = [];
  for (const rdn of splitRdns(dn)) {
    const match = /^ *([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*) *= *([^]*)$/.exec(rdn);
    if (match === null) return null;
    const value = unescapeValue(match[2] ?? '');
    if (value === null) return null;
    keys.push(`${(match[1] ?? '').toUpperCase()}=${fold(value)}`);
  }
  return keys;
}

/** The name as one key; null when the text is not a distinguished name. */
export function foldDn(dn: string): string | null {
  const keys = foldRdns(dn);
  return keys === null ? null : joinRdns(keys);
}

/** Keys of RDNs as one key of the whole name; the escaping keeps `CN=a` + `CN=b` apart from the one value `a,CN=b`. */
export function joinRdns(keys: readonly string[]): string {
  return keys.map((key) => key.replaceAll(/[\\,]/g, String.raw`\$&`)).join(',');
}

/** The parts between unescaped commas, as written. */
export function splitRdns(dn: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < dn.length; at += 1) {
    if (dn[at] === '\\') at += 1;
    else if (dn[at] === ',') {
      parts.push(dn.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(dn.slice(start));
  return parts;
}

function unescapeValue(written: string): string | null {
  const trimmed = trimEnd(written);
  if (!trimmed.includes('\\')) return trimmed;
  const pieces: string[] = [];
  for (let at = 0; at < trimmed.length; at += 1) {
    const character = trimmed[at] ?? '';
    if (character !== '\\') {
      pieces.push(character);
      continue;
    }
    const pairs = hexPairs(trimmed, at);
    if (pairs === '') {
      const literal = trimmed[at + 1];
      if (literal === undefined) return null;
      pieces.push(literal);
      at += 1;
    } else {
      // Octets of one character stand side by side, each behind its own backslash.
      pieces.push(Buffer.from(pairs, 'hex').toString('utf8'));
      at += (pairs.length / 2) * 3 - 1;
    }
  }
  return pieces.join('');
}

/** Blanks behind a value do not count unless the first of them is escaped (RFC 4514 section 2.4). */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === ' ') end -= 1;
  let backslashes = 0;
  while (text[end - 1 - backslashes] === '\\') backslashes += 1;
  return text.slice(0, end < text.length && backslashes % 2 === 1 ? end + 1 : end);
}

/** The digits of consecutive `\xx` from `at` on; empty where there is none. */
function hexPairs(text: string, at: number): string {
  let digits = '';
  for (let pair = at; text[pair] === '\\'; pair += 3) {
    const two = text.slice(pair + 1, pair + 3);
    if (!/^[0-9a-fA-F]{2}$/.test(two)) break;
    digits += two;
  }
  return digits;
}
