/**
 * DER for what the lab signs itself: revocation lists and OCSP answers. Nothing is checked; a wrong description makes a wrong
 * document.
 */
import type { Instant } from '../base/brand.ts';
import { encodeElement, tags } from '../x509/der.ts';

export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  return encodeElement(tag, Buffer.concat(parts));
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(tags.sequence, ...parts);
}

/** Of a number that is not negative. */
export function integer(value: number): Buffer {
  const digits = value.toString(16);
  const octets = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return (octets[0] ?? 0) < 0x80 ? element(tags.integer, octets) : element(tags.integer, Buffer.of(0), octets);
}

/** Of content octets as they stand in a certificate. */
export function serialNumber(octets: Uint8Array): Buffer {
  return element(tags.integer, octets);
}

export function enumerated(value: number): Buffer {
  return element(0x0a, Buffer.of(value));
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(tags.oid, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

export function octetString(octets: Uint8Array): Buffer {
  return element(tags.octetString, octets);
}

export function bitString(octets: Uint8Array): Buffer {
  return element(tags.bitString, Buffer.of(0), octets);
}

/** UTCTime until 2049, as RFC 5280 section 5.1.2.4 wants it. */
export function time(instant: Instant): Buffer {
  const digits = timeDigits(instant);
  return Number(digits.slice(0, 4)) < 2050
    ? element(tags.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : generalizedTime(instant);
}

/** OCSP knows no other (RFC 6960 section 4.2.1). */
export function generalizedTime(instant: Instant): Buffer {
  return element(tags.generalizedTime, Buffer.from(timeDigits(instant), 'latin1'));
}

export function extension(type: string, value: Uint8Array, critical = false): Buffer {
  return sequence(oid(type), ...(critical ? [element(tags.boolean, Buffer.of(0xff))] : []), octetString(value));
}

/** `YYYYMMDDHHMMSSZ`; what is below a second is cut off. */
function timeDigits(instant: Instant): string {
  return new Date(instant).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
}

function base128(arc: number): readonly number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift(0x80 | (rest % 128));
  return octets;
}
