/**
 * `X-Forwarded-Client-Cert` of a proxy in front (Envoy's APPEND_FORWARD): its elements stay before ours where the proxy connects from a
 * configured address and has shown a certificate that was validated, which is what our own element says. What does not follow the grammar to the
 * letter, is too long, or can be read in two ways, is dropped as if nobody had sent it.
 */
import type { FlatHeaders } from '../forward-contract.ts';
import { isWithin } from '../address-range.ts';
import { headerBytes } from '../header-bytes.ts';
import type { IdentitySettings } from '../identity-settings.ts';

/** Octets of all that came. */
export const maximumInbound = 8192;
const maximumElements = 16;

/**
 * @param headers the finished identity headers of the connection
 * @param raw what the client sent, as `rawHeaders`
 * @param remoteAddress as `socket.remoteAddress` has it
 * @returns the same list where there is nothing to keep
 */
export function withInboundXfcc(
  headers: FlatHeaders,
  raw: FlatHeaders,
  remoteAddress: string,
  { headers: names, xfcc: { appendFrom }, maximumBytes }: Pick<IdentitySettings, 'headers' | 'xfcc' | 'maximumBytes'>,
): FlatHeaders {
  if (appendFrom === null) return headers;
  const at = headers.findIndex((name, index) => index % 2 === 0 && name === names.xfcc);
  if (at < 0 || !isWithin(remoteAddress, appendFrom)) return headers;
  const inbound = inboundXfcc(raw, names.xfcc);
  if (inbound === null || headerBytes(headers) + inbound.length + 1 > maximumBytes) return headers;
  return headers.with(at + 1, `${inbound},${headers[at + 1]}`);
}

/** The elements as one value, null where there are none or anything is wrong with any of them. */
function inboundXfcc(raw: FlatHeaders, name: string): string | null {
  const lower = name.toLowerCase();
  const lines: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i]?.toLowerCase() === lower) lines.push(raw[i + 1] ?? '');
  const text = lines.join(',');
  if (text === '' || text.length > maximumInbound) return null;
  const elements = elementsOf(text);
  return elements === null || elements.length > maximumElements ? null : elements.join(',');
}

/** One pair at a time, from where the last one ended: no pattern here can be tried twice at one place. */
function elementsOf(text: string): readonly string[] | null {
  const elements: string[] = [];
  let element = '';
  for (let at = 0; ;) {
    pairPattern.lastIndex = at;
    const found = pairPattern.exec(text);
    // A quote behind two backslashes ends the value for one reader and belongs to it for another.
    if (found === null || found[0].includes(String.raw`\\"`)) return null;
    element += found[0];
    at = pairPattern.lastIndex;
    separatorPattern.lastIndex = at;
    const separator = separatorPattern.exec(text)?.[0] ?? '';
    at += separator.length;
    if (separator === ';') {
      element += ';';
      continue;
    }
    elements.push(element);
    if (separator === '') return at === text.length ? elements : null;
    element = '';
  }
}

/** A value stands bare, or in quotes, where a backslash takes the next character with it. */
const pairPattern =
  /(?:By|Hash|Cert|Chain|Subject|URI|DNS)=(?:"(?:[\u0020\u0021\u0023-\u005b\u005d-\u007e]|\\[\u0020-\u007e])*"|[\u0021\u0023-\u002b\u002d-\u003a\u003c\u003e-\u005b\u005d-\u007e]*)/iy;
/** Blanks around a comma come from those who join lines (RFC 9110 section 5.3). */
const separatorPattern = /;|[ \t]*,[ \t]*/y;
