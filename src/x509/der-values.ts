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
  const { bytes } = reader;
  const { content: at, end } = element;
  const fault = timeFault(bytes, at, end, utc);
  if (fault === 'date') throw new DerError(at, `${what}: no such date or time`);
  if (fault === 'form') {
    const form = utc ? 'UTCTime must be YYMMDDHHMMSSZ' : 'GeneralizedTime must be YYYYMMDDHHMMSSZ';
    throw new DerError(at + wrongPair(bytes, at, end, utc), `${what}: ${form}`);
  }
  return instantAt(bytes, at, utc);
}

/** The instant that the content of a time stands for, with which `timeFault` has found nothing wrong. */
export function instantAt(bytes: Buffer, at: number, utc: boolean): Instant {
  const rest = utc ? at + 2 : at + 4;
  const days = daysSince1970(yearAt(bytes, at, utc), pairAt(bytes, rest), pairAt(bytes, rest + 2));
  const minutes = pairAt(bytes, rest + 4) * 60 + pairAt(bytes, rest + 6);
  return (days * 86_400_000 + minutes * 60_000 + pairAt(bytes, rest + 8) * 1000) as Instant;
}

/** In whole numbers: Date.UTC takes several times as long, and reads years below 100 as 19xx. @param month from 1 */
function daysSince1970(year: number, month: number, day: number): number {
  // Years that begin with March end with the day that not all of them have.
  const shifted = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400);
  return shifted * 365 + leapDays + dayOfYear - 719_468;
}

/** What is wrong with the content of a time; null when nothing is. Makes no objects: a CRL has millions of dates. */
export function timeFault(bytes: Buffer, at: number, end: number, utc: boolean): 'form' | 'date' | null {
  if (end - at !== (utc ? 13 : 15) || bytes[end - 1] !== 0x5a) return 'form';
  for (let digit = at; digit < end - 1; digit += 1) {
    const value = (bytes[digit] ?? 0) - 0x30;
    if (value < 0 || value > 9) return 'form';
  }
  const rest = utc ? at + 2 : at + 4;
  const month = pairAt(bytes, rest);
  const day = pairAt(bytes, rest + 2);
  if (month < 1 || month > 12 || day < 1) return 'date';
  // Every month has 28 days, so the year is rarely needed.
  if (day > 28 && day > daysIn(yearAt(bytes, at, utc), month)) return 'date';
  return pairAt(bytes, rest + 4) > 23 || pairAt(bytes, rest + 6) > 59 || pairAt(bytes, rest + 8) > 59 ? 'date' : null;
}

/** How far into a time the two stand of which one is no digit; 0 when its length or its end is wrong. */
function wrongPair(bytes: Buffer, at: number, end: number, utc: boolean): number {
  if (end - at !== (utc ? 13 : 15) || bytes[end - 1] !== 0x5a) return 0;
  const digit = bytes.subarray(at, end).findIndex((octet) => octet < 0x30 || octet > 0x39);
  return digit - (digit % 2);
}

function yearAt(bytes: Buffer, at: number, utc: boolean): number {
  const first = pairAt(bytes, at);
  return utc ? first + (first < 50 ? 2000 : 1900) : first * 100 + pairAt(bytes, at + 2);
}

/** Two digits that are known to be digits. */
function pairAt(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) - 0x30) * 10 + (bytes[at + 1] ?? 0) - 0x30;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
