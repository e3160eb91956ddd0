/**
 * Distinguished names as OpenSSL prints them with XN_FLAG_RFC2253, which is what nginx, Apache, HAProxy and Envoy tell backends: RFC 2253
 * with the last RDN first, and everything outside visible ASCII as hex pairs of its UTF-8. One name, one text: two names that
 * differ in types or values never have the same. A blank at the very end is a hex pair where OpenSSL writes `\ `: whoever reads a field cuts it off.
 */
import { encodeElement } from '../../x509/der.ts';
import type { Name, NameAttribute } from '../../x509/name.ts';

export interface DnTextOptions {
  /** Quotes and backslashes as hex pairs too, for values that stand in quotes themselves. */
  readonly hexQuotes?: boolean;
}

export function dnText(name: Name, { hexQuotes = false }: DnTextOptions = {}): string {
  // OpenSSL turns the whole list of attributes around, so that those of one RDN change their order as well.
  return name.rdns
    .map((rdn) =>
      rdn
        .map((attribute) => attributeText(attribute, hexQuotes))
        .toReversed()
        .join('+'),
    )
    .toReversed()
    .join(',')
    .replace(/ $/, '20');
}

function attributeText({ oid, tag, raw, text }: NameAttribute, hexQuotes: boolean): string {
  const type = types.get(oid);
  // RFC 2253 section 2.4: where the type has no name, or the value no text, its encoding.
  if (type === undefined || text === null)
    return `${type ?? oid}=#${encodeElement(tag, raw).toString('hex').toUpperCase()}`;
  return `${type}=${escaped(text, hexQuotes)}`;
}

function escaped(text: string, hexQuotes: boolean): string {
  let value = '';
  const octets = Buffer.from(text, 'utf8');
  for (const [index, octet] of octets.entries()) {
    const character = String.fromCharCode(octet);
    const outer = character === ' ' ? index === 0 || index === octets.length - 1 : character === '#' && index === 0;
    if (octet < 0x20 || octet > 0x7e || (hexQuotes && /["\\]/.test(character)))
      value += `\\${octet.toString(16).toUpperCase().padStart(2, '0')}`;
    else value += outer || /[,+"\\<>;]/.test(character) ? `\\${character}` : character;
  }
  return value;
}

/** OpenSSL's short names. Types that are not here go by their number. */
const types: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.4', 'SN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'street'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.12', 'title'],
  ['2.5.4.13', 'description'],
  ['2.5.4.15', 'businessCategory'],
  ['2.5.4.16', 'postalAddress'],
  ['2.5.4.17', 'postalCode'],
  ['2.5.4.18', 'postOfficeBox'],
  ['2.5.4.19', 'physicalDeliveryOfficeName'],
  ['2.5.4.20', 'telephoneNumber'],
  ['2.5.4.41', 'name'],
  ['2.5.4.42', 'GN'],
  ['2.5.4.43', 'initials'],
  ['2.5.4.44', 'generationQualifier'],
  ['2.5.4.45', 'x500UniqueIdentifier'],
  ['2.5.4.46', 'dnQualifier'],
  ['2.5.4.65', 'pseudonym'],
  ['2.5.4.72', 'role'],
  ['2.5.4.97', 'organizationIdentifier'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.3', 'mail'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
  ['1.2.840.113549.1.9.2', 'unstructuredName'],
  ['1.2.840.113549.1.9.8', 'unstructuredAddress'],
  ['1.3.6.1.4.1.311.60.2.1.1', 'jurisdictionL'],
  ['1.3.6.1.4.1.311.60.2.1.2', 'jurisdictionST'],
  ['1.3.6.1.4.1.311.60.2.1.3', 'jurisdictionC'],
]);
