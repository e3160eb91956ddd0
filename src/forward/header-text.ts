/**
 * Text in a header value, in one encoding that can be undone: UTF-8 with percent escapes (RFC 3986 section 2.1, as
 * RFC 8187 uses it). Escaped are `%` itself, everything outside visible ASCII and blank, and blanks at either end, which
 * a parser would trim. So `LAB\jürgen` travels as `LAB\j%C3%BCrgen` and `LAB\50%` as `LAB\50%25`; two different texts never
 * become the same value, and no control character can appear.
 */
export function headerText(text: string): string {
  if (plain.test(text)) return text;
  let value = '';
  for (let at = 0; at < text.length;) {
    const code = text.codePointAt(at) ?? 0;
    const width = code > 0xffff ? 2 : 1;
    const outer = at === 0 || at + width === text.length;
    value += code === 0x20 ? (outer ? '%20' : ' ') : isVisible(code) ? text.charAt(at) : escaped(code);
    at += width;
  }
  return value;
}

/** The inverse, for consoles and tests; null where the value was not made by `headerText`. */
export function textOfHeader(value: string): string | null {
  if (!/^(?:[\u0020-\u0024\u0026-\u007e]|%[0-9A-F]{2})*$/.test(value)) return null;
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}

const plain = /^(?:[\u0021-\u0024\u0026-\u007e](?:[\u0020-\u0024\u0026-\u007e]*[\u0021-\u0024\u0026-\u007e])?)?$/;

function isVisible(code: number): boolean {
  return code > 0x20 && code < 0x7f && code !== 0x25;
}

/** A surrogate without its partner has no UTF-8; its three octets as if it had one keep it apart from U+FFFD and from others. */
function escaped(code: number): string {
  const octets =
    code >= 0xd800 && code <= 0xdfff
      ? [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)]
      : [...Buffer.from(String.fromCodePoint(code), 'utf8')];
  return octets.map((octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}
