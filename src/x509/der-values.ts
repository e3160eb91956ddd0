/**
 * Primitive DER values: BOOLEAN, INTEGER, OBJECT IDENTIFIER, BIT STRING and the two times, each in its only permitted
 * encoding (X.690 clauses 8 and 11, RFC 5280 section 4.1.2.5). Text is decoded in `text.ts`.
 */
import type { Instant } from '../base/brand.ts';
import { DerError, tags, type DerElement, type DerReader } from './der.ts';
import { knownOid } from './oid.ts';

/** X.690 11.1: FALSE is 00, TRUE is FF, nothing else. */
export function booleanOf(reader: DerReader, element: DerElement, what: string): boolean {
  const octet = reader.bytes[element.content];
  if (element.end - element.content !== 1 || (octet !== 0 && octet !== 0xff)) {
    throw new DerError(element.content, `${what}: BOOLEAN must be one octet, 00 or FF`);
  }
  return octet === 0xff;
}

/** Content octets of an INTEGER in two's complement, fewest octets (X.690 8.3.2). */
export function integerOf(reader: DerReader, element: DerElement, what: string): Buffer {
  const length = element.end - element.content;
  const first = reader.bytes[element.content] ?? 0;
  const second = reader.bytes[element.content + 1] ?? 0;
  if (length === 0) throw new DerError(element.content, `${what}: INTEGER without content`);
  if (length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new DerError(element.content, `${what}: INTEGER is not minimal`);
  }
  return reader.contentOf(element);
}

/** A count: not negative, below 2^31. */
export function countOf(reader: DerReader, element: DerElement, what: string): number {
  const octets = integerOf(reader, element, what);
  if ((octets[0] ?? 0) >= 0x80) throw new DerError(element.content, `${what}: negative`);
  if (octets.length > 4) throw new DerError(element.content, `${what}: larger than 2147483647`);
  return octets.readUIntBE(0, octets.length);
}

/** Dotted text. Arcs of more than 2^49 are refused: nothing real comes near, and they would lose precision. */
export function oidOf(reader: DerReader, element: DerElement, what: string): string {
  const { bytes } = reader;
  const known = knownOid(bytes, element.content, element.end);
  if (known !== null) return known;
  if (element.end === element.content)
    throw new DerError(element.content, `${what}: OBJECT IDENTIFIER without content`);
  let text = '';
  let arc = 0;
  let octets = 0;
  for (let at = element.content; at < element.end; at += 1) {
    const octet = bytes[at] ?? 0;
    if (octets === 0 && octet === 0x80) throw new DerError(at, `${what}: OBJECT IDENTIFIER arc is not minimal`);
    octets += 1;
    if (octets > 7) throw new DerError(at, `${what}: OBJECT IDENTIFIER arc is too large`);
    arc = arc * 128 + (octet & 0x7f);
    if (octet < 0x80) {
      text = text === '' ? firstArcs(arc) : `${text}.${arc}`;
      arc = 0;
      octets = 0;
    }
  }
  if (octets !== 0) throw new DerError(element.end, `${what}: OBJECT IDENTIFIER is cut off`);
  return text;
}

/** X.690 8.19.4: the first two arcs share one number. */
function firstArcs(arc: number): string {
  if (arc < 40) return `0.${arc}`;
  return arc < 80 ? `1.${arc - 40}` : `2.${arc - 80}`;
}

/** Bits of a BIT STRING without the octet that counts the unused ones, which must be zero (X.690 11.2.1). */
export function bitsOf(reader: DerReader, element: DerElement, what: string): { unused: number; bits: Buffer } {
  const { bytes } = reader;
  const unused = bytes[element.content] ?? 0;
  if (element.end === element.content) throw new DerError(element.content, `${what}: BIT STRING without content`);
  if (unused > 7 || (unused > 0 && element.end === element.content + 1)) {
    throw new DerError(element.content, `${what}: BIT STRING with ${unused} unused bits`);
  }
  if (((bytes[element.end - 1] ?? 0) & ((1 << unused) - 1)) !== 0 && unused > 0) {
    throw new DerError(element.end - 1, `${what}: unused bits of a BIT STRING must be zero`);
  }
  return { unused, bits: bytes.subarray(element.content + 1, element.end) };
}

/** A BIT STRING that carries whole octets: a key or a signature. */
export function octetsOfBits(reader: DerReader, element: DerElement, what: string): Buffer {
  const { unused, bits } = bitsOf(reader, element, what);
  if (unused !== 0) throw new DerError(element.content, `${what}: must be whole octets`);
  return bits;
}

/**
 * UTCTime `YYMMDDHHMMSSZ` (years 1950 to 2049) or GeneralizedTime `YYYYMMDDHHMMSSZ`; seconds are mandatory, zone is Z,
 * the date must exist. GeneralizedTime before 2050 is tolerated as PKITS 4.2.4 demands, although RFC 5280 forbids CAs
 * to write it.
 */
export function timeOf(reader: DerReader, element: DerElement, what: string): Instant {
  const utc = element.tag === tags.utcTime;
  if (!utc && element.tag !== tags.generalizedTime) {
    throw new DerError(element.start, `${what}: expected UTCTime or GeneralizedTime`);
  }
  const at = element.content;
  const kind = utc ? 'UTCTime' : 'GeneralizedTime';
  const form = utc ? 'YYMMDDHHMMSSZ' : 'YYYYMMDDHHMMSSZ';
  if (element.end - at !== form.length || reader.bytes[element.end - 1] !== 0x5a) {
    throw new DerError(at, `${what}: ${kind} must be ${form}`);
  }
  const pair = (index: number): number => {
    const tens = (reader.bytes[at + index] ?? 0) - 0x30;
    const ones = (reader.bytes[at + index + 1] ?? 0) - 0x30;
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9)
      throw new DerError(at + index, `${what}: ${kind} must be ${form}`);
    return tens * 10 + ones;
  };
  const year = utc ? pair(0) + (pair(0) < 50 ? 2000 : 1900) : pair(0) * 100 + pair(2);
  const rest = utc ? 2 : 4;
  const [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map((index) => pair(rest + index)) as FiveNumbers;
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59) {
    throw new DerError(at, `${what}: no such date or time`);
  }
  // Date.UTC would read years below 100 as 19xx; 400 years are a whole number of weeks and leap cycles.
  return (Date.UTC(year + 400, month - 1, day, hour, minute, second) - 12_622_780_800_000) as Instant;
}

type FiveNumbers = [number, number, number, number, number];

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
