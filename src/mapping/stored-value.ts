/**
 * A value of altSecurityIdentities taken apart, to tell people what is wrong with it. Mapping itself never takes one apart:
 * it builds whole values and compares them. Which tags may stand together is not decided here.
 */
export interface StoredPart {
  /** As written, without its brackets. */
  readonly tag: string;
  readonly text: string;
}

export type StoredValue =
  /** `Kerberos:joe@EXAMPLE.COM`: names a principal of another realm, never a certificate. */
  | { readonly kind: 'kerberos' }
  /** Not meant for certificates at all. */
  | { readonly kind: 'foreign' }
  /** `before` stands between the colon and the first tag, `prefix` is whatever stands in place of `X509:`. */
  | { readonly kind: 'tagged'; readonly prefix: string; readonly before: string; readonly parts: readonly StoredPart[] }
  | { readonly kind: 'broken'; readonly why: 'noTag' | 'unclosedTag' };

export function takeApart(value: string): StoredValue {
  if (/^\s*kerberos:/i.test(value)) return { kind: 'kerberos' };
  const prefix = /^[\s\p{Cf}]*x\.?[\s-]?509[\s\p{Cf}]*:/iu.exec(value)?.[0] ?? '';
  if (prefix === '' && !/^\s*<(?:i|s|sr|ski|sid|sha1-pukey|rfc822)>/i.test(value)) return { kind: 'foreign' };
  const starts = tagStarts(value, prefix.length);
  const [first] = starts;
  if (first === undefined) return { kind: 'broken', why: 'noTag' };
  const parts: StoredPart[] = [];
  for (const [index, start] of starts.entries()) {
    const close = value.indexOf('>', start);
    const next = starts[index + 1] ?? value.length;
    if (close === -1 || close >= next) return { kind: 'broken', why: 'unclosedTag' };
    parts.push({ tag: value.slice(start + 1, close), text: value.slice(close + 1, next) });
  }
  return { kind: 'tagged', prefix, before: value.slice(prefix.length, first), parts };
}

/** Where a `<` opens a tag: not within quotes, for `CN="<S>"` is a name; a quote opens only a value, so behind `=`. */
function tagStarts(value: string, from: number): readonly number[] {
  const starts: number[] = [];
  for (let at = from; at < value.length; at += 1) {
    if (value[at] === '"' && value[at - 1] === '=') {
      const end = closingQuote(value, at);
      if (end !== -1) at = end;
    } else if (value[at] === '\\' && value[at + 1] === '<') at += 1;
    else if (value[at] === '<') starts.push(at);
  }
  return starts;
}

/** Index of the quote that closes the one at `open`; a doubled quote stands for itself. -1 when there is none. */
export function closingQuote(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at !== -1; at = text.indexOf('"', at + 2))
    if (text[at + 1] !== '"') return at;
  return -1;
}
