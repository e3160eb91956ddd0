/**
 * Search filters as values, and their text for people (RFC 4515). Decides how bytes are shown; what goes over the wire is
 * built from the same value in `connection.ts` and never passes through text.
 */
export type SearchFilter =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly SearchFilter[] }
  | { readonly kind: 'equal'; readonly attribute: string; readonly value: Buffer }
  /** An INTEGER that is not less. */
  | { readonly kind: 'atLeast'; readonly attribute: string; readonly value: number }
  | { readonly kind: 'present'; readonly attribute: string };

export function equalTo(attribute: string, value: string | Buffer): SearchFilter {
  return { kind: 'equal', attribute, value: typeof value === 'string' ? Buffer.from(value, 'utf8') : value };
}

export const anything: SearchFilter = { kind: 'present', attribute: 'objectClass' };

/** `(&(objectClass=user)(|(userPrincipalName=a@b)))`; printable ASCII only, everything else as `\xx`. */
export function filterText(filter: SearchFilter): string {
  if (filter.kind === 'present') return `(${filter.attribute}=*)`;
  if (filter.kind === 'atLeast') return `(${filter.attribute}>=${filter.value})`;
  if (filter.kind === 'equal') return `(${filter.attribute}=${valueText(filter.value)})`;
  return `(${filter.kind === 'and' ? '&' : '|'}${filter.parts.map(filterText).join('')})`;
}

/**
 * RFC 4515 section 3 demands `\xx` for `* ( ) \` and NUL and allows it for every octet. Control characters and non-ASCII
 * text are escaped too, since certificates bring values of strangers to terminals and log lines.
 */
function valueText(value: Buffer): string {
  let text = '';
  for (const octet of value)
    text +=
      octet >= 0x20 && octet < 0x7f && !special.has(octet)
        ? String.fromCodePoint(octet)
        : `\\${octet.toString(16).padStart(2, '0')}`;
  return text;
}

/** `(`, `)`, `*` and `\`. */
const special: ReadonlySet<number> = new Set([0x28, 0x29, 0x2a, 0x5c]);
