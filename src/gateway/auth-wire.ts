/**
 * The wire format of protocol buffers, as far as two messages of Envoy need it: fields of length, and what is passed over. Strict: lengths
 * within the message, wire types that exist, nothing nested deeper than what is read. Which field means what is known in `auth-check.ts`.
 */

/** Takes one field of a message. @param value octets of the field; empty for numbers, which nobody asks for here */
export type TakeField = (number: number, value: Buffer) => void;

/** @returns false where the octets are no message */
export function readFields(message: Buffer, take: TakeField): boolean {
  let at = 0;
  let fields = 0;
  while (at < message.length) {
    const key = varint(message, at);
    if (key === null || (fields += 1) > maximumFields) return false;
    at = key.next;
    const [number, type] = [Math.floor(key.value / 8), key.value % 8];
    if (number === 0 || key.value > highestKey) return false;
    const end = endOf(message, at, type);
    if (end === null || end > message.length) return false;
    const length = type === 2 ? varint(message, at) : null;
    take(number, length === null ? none : message.subarray(length.next, end));
    at = end;
  }
  return true;
}

/** UTF-8, as the format demands of strings; null where it is none. */
export function textOf(value: Buffer): string | null {
  try {
    return utf8.decode(value);
  } catch {
    return null;
  }
}

/** One field of length. */
export function field(number: number, value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([varintOf(number * 8 + 2), varintOf(bytes.length), bytes]);
}

/** One field that is a number. Zero is what an absent field means. */
export function numberField(number: number, value: number): Buffer {
  return value === 0 ? none : Buffer.concat([varintOf(number * 8), varintOf(value)]);
}

const none = Buffer.alloc(0);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Of one message; a request has some hundred headers at most. */
const maximumFields = 10_000;
/** Field numbers have 29 bits. */
const highestKey = 2 ** 32 - 1;

/** Where a field of a wire type ends; null for types that are no more (groups) or never were. */
function endOf(message: Buffer, at: number, type: number): number | null {
  if (type === 0) return varint(message, at)?.next ?? null;
  if (type === 1) return at + 8;
  if (type === 5) return at + 4;
  const length = type === 2 ? varint(message, at) : null;
  return length === null ? null : length.next + length.value;
}

/** Ten octets at most; what is above 2^53 is not exact and means nothing here. */
function varint(message: Buffer, from: number): { readonly value: number; readonly next: number } | null {
  let value = 0;
  for (let index = 0; index < 10; index += 1) {
    const octet = message[from + index];
    if (octet === undefined) return null;
    value += (octet & 0x7f) * 2 ** (7 * index);
    if (octet < 0x80) return { value, next: from + index + 1 };
  }
  return null;
}

function varintOf(value: number): Buffer {
  const octets: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    octets.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...octets, rest]);
}
