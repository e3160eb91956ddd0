/**
 * The ASN.1 string types of RFC 5280 as JavaScript text. Octets that are not text of their type give null; what that
 * means is decided by the caller.
 */
import { isAscii, isUtf8 } from 'node:buffer';

const stringTags = {
  utf8: 12,
  numeric: 18,
  printable: 19,
  teletex: 20,
  ia5: 22,
  visible: 26,
  universal: 28,
  bmp: 30,
} as const;

/**
 * @param tag identifier octet; of strings it is the universal tag number
 * @param raw content octets
 */
export function decodeText(tag: number, raw: Buffer): string | null {
  switch (tag) {
    case stringTags.utf8:
      return isUtf8(raw) ? raw.toString('utf8') : null;
    // The repertoire of PrintableString is not enforced: real names hold @ and _, and comparing is what matters.
    case stringTags.printable:
    case stringTags.ia5:
    case stringTags.numeric:
    case stringTags.visible:
      return isAscii(raw) ? raw.toString('latin1') : null;
    // Windows: as UTF-8 where it is UTF-8, else one octet is one Latin-1 character (CertNameToStr, CERT_NAME_STR flags).
    case stringTags.teletex:
      return isUtf8(raw) ? raw.toString('utf8') : raw.toString('latin1');
    case stringTags.bmp:
      return decodeUtf16(raw);
    case stringTags.universal:
      return decodeUtf32(raw);
    default:
      return null;
  }
}

function decodeUtf16(raw: Buffer): string | null {
  if (raw.length % 2 !== 0) return null;
  const text = Buffer.from(raw).swap16().toString('utf16le');
  return text.isWellFormed() ? text : null;
}

function decodeUtf32(raw: Buffer): string | null {
  if (raw.length % 4 !== 0) return null;
  let text = '';
  for (let at = 0; at < raw.length; at += 4) {
    const point = raw.readUInt32BE(at);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return null;
    text += String.fromCodePoint(point);
  }
  return text;
}
