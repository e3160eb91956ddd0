/**
 * Simple paged results (RFC 2696) as octets. ldapts pages too, but takes an empty page for the last one, which a server that ran out of
 * time on a page does not mean; so the cookie is read here, from the message itself.
 */
import { readHeader } from './message-shape.ts';

export const pagedResults = '1.2.840.113556.1.4.319';

/** What a request carries. @param cookie null: from the beginning */
export function pagingValue(size: number, cookie: Buffer | null): Buffer {
  const number = Buffer.from([0x02, 0x04, 0, 0, 0, 0]);
  number.writeInt32BE(size, 2);
  return element(0x30, Buffer.concat([number, element(0x04, cookie ?? Buffer.alloc(0))]));
}

/** The cookie of a search result that is not the last page; null when it is, or when the message has no such control. */
export function cookieIn(message: Buffer): Buffer | null {
  const [envelope] = childrenOf(message);
  const controls = childrenOf(envelope?.content).find(({ tag }) => tag === 0xa0);
  for (const control of childrenOf(controls?.content)) {
    const parts = childrenOf(control.content);
    if (parts[0]?.content.toString('latin1') !== pagedResults) continue;
    const value = parts.slice(1).find(({ tag }) => tag === 0x04);
    const [sequence] = childrenOf(value?.content);
    const cookie = childrenOf(sequence?.content)[1]?.content;
    return cookie === undefined || cookie.length === 0 ? null : Buffer.from(cookie);
  }
  return null;
}

function element(tag: number, content: Buffer): Buffer {
  const length = content.length < 0x80 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** Elements one after the other, as far as they are whole. */
function childrenOf(bytes: Buffer = Buffer.alloc(0)): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const header = readHeader(bytes, at, bytes.length);
    if (header === null || header === 'malformed') break;
    at = header.start + header.length;
    found.push({ tag: header.tag, content: bytes.subarray(header.start, at) });
  }
  return found;
}
