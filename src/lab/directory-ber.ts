/**
 * The part of BER that LDAP needs (RFC 4511 section 5.1): definite lengths, low tag numbers, read from one buffer that
 * holds a whole message. What a message means is decided in `directory-messages.ts`; how many octets a message may have
 * in `directory-session.ts`.
 */
import { Failure } from '../base/failure.ts';

export interface Element {
  /** The identifier octet as sent. */
  readonly tag: number;
  /** A view of the content octets, not a copy. */
  readonly content: Buffer;
}

/** Every element in `content`, which must hold nothing else. @throws Failure `ldap-malformed` */
export function elementsOf(content: Buffer): Element[] {
  const list: Element[] = [];
  for (let at = 0; at < content.length;) {
    const length = totalLength(content, at);
    if (length === null || length > content.length - at) throw malformed('an element ends beyond its parent');
    list.push({ tag: content[at] ?? 0, content: content.subarray(at + headerLength(content, at), at + length) });
    at += length;
  }
  return list;
}

/** Octets of the element at `at` including its header; null while the header is not complete. @throws Failure */
export function totalLength(bytes: Buffer, at: number): number | null {
  const first = bytes[at + 1];
  if (first === undefined) return null;
  if (((bytes[at] ?? 0) & 0x1f) === 0x1f) throw malformed('a high tag number');
  if (first < 0x80) return 2 + first;
  const octets = first & 0x7f;
  if (octets === 0 || octets > 4) throw malformed('an indefinite length or one of more than four octets');
  if (bytes.length < at + 2 + octets) return null;
  return 2 + octets + bytes.readUIntBE(at + 2, octets);
}

function headerLength(bytes: Buffer, at: number): number {
  const first = bytes[at + 1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

/** The element at `index`, which must carry `tag`. @throws Failure */
export function expectElement(list: readonly Element[], index: number, tag: number): Element {
  const element = list[index];
  if (element?.tag !== tag) throw malformed(`element ${index} is not tagged 0x${tag.toString(16)}`);
  return element;
}

/** INTEGER or ENUMERATED of at most four octets. @throws Failure */
export function integerOf(element: Element): number {
  const { content } = element;
  if (content.length === 0 || content.length > 4) throw malformed('an integer of no or more than four octets');
  return content.readIntBE(0, content.length);
}

export function malformed(what: string): Failure {
  return new Failure(`malformed LDAP message: ${what}`, {
    code: 'ldap-malformed',
    hint: 'send BER as RFC 4511 section 5.1 restricts it',
  });
}

/** One element around the given parts; strings are written as UTF-8. */
export function encode(tag: number, ...parts: readonly (Uint8Array | string)[]): Buffer {
  const buffers = parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'utf8') : part));
  const length = buffers.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([header(tag, length), ...buffers]);
}

export function encodeInteger(value: number, tag = 0x02): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  let skip = 0;
  // The shortest two's complement: a leading octet that only repeats the sign of the next one is left out.
  while (skip < 3 && (bytes.readInt16BE(skip) >> 7 === 0 || bytes.readInt16BE(skip) >> 7 === -1)) skip += 1;
  return encode(tag, bytes.subarray(skip));
}

function header(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([tag, length]);
  if (length < 0x100) return Buffer.from([tag, 0x81, length]);
  const wide = Buffer.from([tag, 0x84, 0, 0, 0, 0]);
  wide.writeUInt32BE(length, 2);
  return wide;
}
