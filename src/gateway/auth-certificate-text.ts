/**
 * Certificates as other proxies write them into one line of text: PEM with its line breaks or with blanks in their place, percent-encoded or
 * not, or bare base64. One reading or none: whatever two programs could read as two certificates is refused. Yields octets; what they are is
 * looked at later.
 */

/** Characters of one text: ten certificates of 4 KiB, percent-encoded. */
export const maximumText = 64 * 1024;
/** Octets of one certificate. */
const maximumCertificate = 16 * 1024;

/** @returns the certificates, leaf first, or why they cannot be read (completes "the certificate ...") */
export type ReadText = readonly Buffer[] | string;

/** PEM blocks with nothing but white space around them; blanks count as line breaks. */
export function readPemText(text: string, maximum: number): ReadText {
  if (text.length > maximumText) return tooLong;
  const found: Buffer[] = [];
  let at = skipBlank(text, 0);
  while (at < text.length) {
    if (!text.startsWith(begin, at)) return 'has something that is no PEM block';
    const from = at + begin.length;
    const to = text.indexOf(end, from);
    if (to < 0) return 'has a PEM block without its end';
    if (found.length === maximum) return tooMany(maximum);
    const der = readBase64(text.slice(from, to).replaceAll(/[ \t\r\n]/g, ''));
    if (typeof der === 'string') return der;
    found.push(der);
    at = skipBlank(text, to + end.length);
  }
  return found.length === 0 ? 'has no PEM block' : found;
}

/** Base64 of one DER, on one line, and nothing else. */
export function readBase64(text: string): Buffer | string {
  if (text.length > maximumText) return tooLong;
  const der = Buffer.from(text, 'base64');
  // Buffer.from passes over what is not base64.
  if (text === '' || der.toString('base64') !== text) return 'is not base64';
  return der.length > maximumCertificate ? `is longer than ${maximumCertificate} octets` : der;
}

/** Base64 of DER certificates one behind the other. */
export function readBase64Row(text: string, maximum: number): ReadText {
  if (text.length > maximumText) return tooLong;
  const row = Buffer.from(text, 'base64');
  if (text === '' || row.toString('base64') !== text) return 'is not base64';
  const found: Buffer[] = [];
  for (let at = 0; at < row.length;) {
    const length = lengthOf(row, at);
    if (length === null || at + length > row.length) return 'has octets that are no certificate';
    if (found.length === maximum) return tooMany(maximum);
    if (length > maximumCertificate) return `is longer than ${maximumCertificate} octets`;
    found.push(row.subarray(at, at + length));
    at += length;
  }
  return found;
}

/** Each `%XX` becomes its octet; only ASCII may come out of it, and no white space stands there as it is. A plus sign is a plus sign. */
export function percentDecoded(text: string): string | null {
  if (text.length > maximumText || /%(?![0-7][0-9a-fA-F])|[^!-~]/.test(text)) return null;
  return text.replaceAll(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

const begin = '-----BEGIN CERTIFICATE-----';
const end = '-----END CERTIFICATE-----';
const tooLong = `is longer than ${maximumText} characters`;

export function tooMany(maximum: number): string {
  return `comes with more than ${maximum - 1} others`;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at += 1;
  return at;
}

/** Octets of the SEQUENCE that begins at a place, head included (X.690 section 8.1.3); null where none begins. */
function lengthOf(row: Buffer, at: number): number | null {
  if (row[at] !== 0x30) return null;
  const first = row[at + 1] ?? 0;
  if (first < 0x80) return 2 + first;
  const octets = first & 0x7f;
  if (octets === 0 || octets > 3 || at + 2 + octets > row.length) return null;
  return 2 + octets + row.readUIntBE(at + 2, octets);
}
