/**
 * Distinguished names as keys that are equal where a domain controller takes the names for equal. Texts are folded as its sort
 * keys do (`directory/sort-key.ts`): a client that survives here compares the returned values itself.
 */
import { fold } from '../directory/sort-key.ts';

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

/** The text that an RDN's value is written for; null when it ends in a backslash. */
export function unescapeValue(written: string): string | null {
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
