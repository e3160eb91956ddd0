/**
 * Names that try to be something else in a header: with separators, quotes, escapes, control characters, every plane of Unicode. The same random
 * source always makes the same names.
 */
import type { TypedAttribute, WrittenCertificate } from './certificate-writer.ts';

export type Random = (below: number) => number;

/** Well-formed text of up to `longest` characters. */
export function hostileText(random: Random, longest = 12): string {
  let text = '';
  for (let left = random(longest + 1); left > 0; left -= 1) text += pieces[random(pieces.length)]?.(random) ?? '';
  return text;
}

/** Distinguished names as lists of RDNs, of types that every dialect has a name for, and of one that none has. */
export function hostileName(random: Random): readonly (readonly TypedAttribute[])[] {
  return Array.from({ length: random(5) }, () =>
    Array.from({ length: random(4) === 0 ? 2 : 1 }, () => {
      const type = types[random(types.length)] ?? 'CN';
      const text = hostileText(random);
      const bmp = random(5) === 0 && Array.from(text).every((one) => one.length === 1);
      return { type, as: bmp ? 'bmp' : 'utf8', text };
    }),
  );
}

export function hostileCertificate(random: Random): WrittenCertificate {
  return {
    subject: hostileName(random),
    issuer: [[{ type: 'DC', as: 'utf8', text: 'test' }], ...hostileName(random)],
    serial: hostileSerial(random),
    notBefore: new Date(random(2_000_000) * 1_000_000).toISOString(),
    dnsNames: some(random, () => ascii(random)),
    rfc822Names: some(random, () => ascii(random)),
    uris: some(random, () => `${['spiffe:', 'urn:x;y=', '', 'https://a/?b="', 'x:%'][random(5)]}${ascii(random)}`),
    ipAddresses: some(random, () =>
      Buffer.from(Array.from({ length: random(2) === 0 ? 4 : 16 }, () => random(3) * random(128))).toString('hex'),
    ),
  };
}

/** Shortest form (X.690 section 8.3.2), with a sign octet, negative, long and short. */
function hostileSerial(random: Random): string {
  const octets = Array.from({ length: random(19) }, () => random(256).toString(16).padStart(2, '0')).join('');
  const first = 1 + random(254);
  return `${first > 127 && random(3) > 0 ? '00' : ''}${first.toString(16).padStart(2, '0')}${octets}`;
}

function some<T>(random: Random, make: () => T): readonly T[] {
  return Array.from({ length: random(3) }, make);
}

function ascii(random: Random): string {
  return Array.from({ length: 1 + random(10) }, () =>
    random(4) === 0 ? '.,;="\\% \r\n\0+#'.charAt(random(13)) : letter(random),
  ).join('');
}

const letter = (random: Random) => String.fromCharCode(0x61 + random(26));

const pieces: readonly ((random: Random) => string)[] = [
  letter,
  letter,
  (random) => ',;="\\+<>#% \'/@:|'.charAt(random(16)),
  (random) =>
    ['\\"', '%2C', '%22', '\\2C', '";URI="', ',CN=', ', CN=', ' + CN=', '%25', '""', 'OID.', '#04'][random(12)] ?? '',
  (random) => String.fromCharCode(random(32)),
  (random) =>
    ['\u007f', '\u0080', '\u00a0', '\u2028', '\u200b', '\ufeff', '\ufffd', 'ü', 'İ', '\u212a', '𝕏', '\u{10ffff}'][
      random(12)
    ] ?? '',
  (random) => {
    const point = random(0x110000);
    return point >= 0xd800 && point < 0xe000 ? '?' : String.fromCodePoint(point);
  },
];

const types = ['CN', 'OU', 'O', 'C', 'L', 'ST', 'DC', 'SERIALNUMBER', '1.3.6.1.4.1.99999.7'];
