/**
 * Certificates whose names are as awkward as an encoding allows: every string type, broken octets, unknown types, several values in one
 * RDN, all that calls for quotes and all that looks like a tag. The same seed gives the same certificates.
 */
import { extensionOids } from '../../src/x509/oid.ts';
import { element, extension, extensions, integer, octets, oid, sequence, set, shapeCertificate } from './der-shapes.ts';
import { generalName } from './extension-shapes.ts';

/** @returns whole numbers from 0 to below `limit` */
export type Dice = (limit: number) => number;

/** mulberry32. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** Two random names (an issuer is never empty, RFC 5280 section 4.1.2.4), a random serial, and now and then the extensions that strings are made from. */
export function hostileCertificate(dice: Dice): Buffer {
  const list = [
    ...(dice(2) === 0 ? [extension(extensionOids.subjectKeyIdentifier, octets(bytes(dice, 1 + dice(20))))] : []),
    ...(dice(3) === 0
      ? [
          extension(
            extensionOids.subjectAltName,
            sequence(...times(1 + dice(3), () => generalName.mail(`${printable(dice)}@x.test`))),
          ),
        ]
      : []),
    ...(dice(3) === 0 ? [securityExtension(`S-1-5-21-${dice(2 ** 32)}-${dice(9)}-0-${dice(5000)}`)] : []),
  ];
  return shapeCertificate({
    serial: serial(dice),
    issuer: hostileName(dice, 1 + dice(4)),
    subject: hostileName(dice, dice(5)),
    ...(list.length === 0 ? {} : { tail: extensions(...list) }),
  });
}

function securityExtension(sid: string): Buffer {
  const name = generalName.other('1.3.6.1.4.1.311.25.2.1', element(4, Buffer.from(sid, 'latin1')));
  return extension('1.3.6.1.4.1.311.25.2', sequence(name));
}

/** Up to 20 octets, as short as DER wants them; positive or negative. */
function serial(dice: Dice): Buffer {
  const content = bytes(dice, 1 + dice(20));
  content[0] = 1 + dice(254);
  const sign = content[0] >= 0x80 && dice(4) > 0 ? '00' : '';
  return integer(sign + content.toString('hex'));
}

function hostileName(dice: Dice, rdns: number): Buffer {
  return sequence(...times(rdns, () => set(...times(dice(4) === 0 ? 2 + dice(2) : 1, () => attribute(dice)))));
}

function attribute(dice: Dice): Buffer {
  const [tag, encode] = pick(dice, encodings);
  const content = dice(12) === 0 ? bytes(dice, dice(7)) : encode(hostileText(dice));
  return sequence(oid(pick(dice, types)), element(tag, content));
}

function hostileText(dice: Dice): string {
  return times(dice(5), () => pick(dice, pieces)).join('');
}

function printable(dice: Dice): string {
  return times(1 + dice(4), () => pick(dice, ['a', 'B', '.', '+', ' ', '"', ',', '='])).join('');
}

const pieces = [
  ...['a', 'B', 'joe', 'é', 'ß', 'ａ', '坛', '\u{1f600}', '\u{10ffff}', '0', ' ', '  ', '\t', '\v', '\u00a0', '\u2003'],
  ...[',', '+', '=', '"', '""', '<', '>', '#', ';', '\\', "'", '(', ')', '*', '/', '&', '%', '.', '@'],
  ...['\n', '\r', '\r\n', '\n\r', '\0', '\u0085', '\u2028', '\ufeff', '\u200d', 'e\u0301', '\u{e000}'],
  ...['<S>', '<I>', '<SR>', '<SID>', 'X509:', 'CN=b', ',CN=b', ' SN=', '"<S>"', 'OID.1.2='],
] as const;

const types = [
  ...'3 4 5 6 7 8 9 10 11 12 13 17 18 20 24 42 43 46'.split(' ').map((last) => `2.5.4.${last}`),
  ...['0.9.2342.19200300.100.1.25', '1.2.840.113549.1.9.1', '0.9.2342.19200300.100.1.1', '1.2.840.113549.1.9.2'],
  ...['2.5.4.97', '2.5.4.15', '2.5.4.41', '1.3.6.1.4.1.311.60.2.1.3', '2.999.4294967296.0', '0.39', '1.39.127.128'],
];

/** Characters that a type does not know become other octets, which may be no text of that type at all. */
const encodings: readonly (readonly [tag: number, encode: (text: string) => Buffer])[] = [
  [12, (text) => Buffer.from(text, 'utf8')],
  [12, (text) => Buffer.from(text, 'utf8')],
  [18, (text) => Buffer.from(text, 'latin1')],
  [19, (text) => Buffer.from(text, 'latin1')],
  [22, (text) => Buffer.from(text, 'latin1')],
  [26, (text) => Buffer.from(text, 'latin1')],
  [20, (text) => Buffer.from(text, 'latin1')],
  [20, (text) => Buffer.from(text, 'utf8')],
  [30, (text) => Buffer.from(text, 'utf16le').swap16()],
  [28, (text) => Buffer.concat(Array.from(text, (one) => uint32(one.codePointAt(0) ?? 0)))],
  [4, (text) => Buffer.from(text, 'utf8')],
  [27, (text) => Buffer.from(text, 'latin1')],
  [10, (text) => Buffer.from(`x${text}`, 'utf8')],
];

function uint32(value: number): Buffer {
  const content = Buffer.alloc(4);
  content.writeUInt32BE(value);
  return content;
}

function bytes(dice: Dice, length: number): Buffer {
  return Buffer.from(times(length, () => dice(256)));
}

function pick<T>(dice: Dice, from: readonly T[]): T {
  const one = from[dice(from.length)];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
}

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
