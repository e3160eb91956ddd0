/**
 * How Active Directory spells a distinguished name inside `<I>` and `<S>`: CertNameToStr with CERT_X500_NAME_STR,
 * CERT_NAME_STR_CRLF_FLAG and CERT_NAME_STR_NO_PLUS_FLAG, line breaks then turned into commas (MS-PKCA 3.1.5.2.1.3,
 * KB831789). Order is that of the encoding, root first: not that of RFC 4514. Nothing here looks at other parts of a
 * certificate.
 */
import { hexOf } from '../base/bytes.ts';
import { encodeElement, tags } from '../x509/der.ts';
import type { Name, NameAttribute } from '../x509/name.ts';
import { shortNames } from './ad-short-names.ts';

/**
 * `plain` is what Windows writes as far as is known. `quotedBackslash`: the remarks of CertNameToStr can be read as if a backslash called for
 * quotes; Windows' own tests and .NET say it does not. `unquoted`: as if CERT_NAME_STR_NO_QUOTING_FLAG were set, where a
 * value `a,CN=b` cannot be told from two RDNs; the other two never make two names one.
 */
export type NameStyle = 'plain' | 'quotedBackslash' | 'unquoted';

/**
 * Empty for a name without RDNs: never build a candidate from that. The parts of a multi-valued RDN are joined by one
 * blank: no plus sign, although the ADUC dialog writes one.
 */
export function adNameText(name: Name, style: NameStyle = 'plain'): string {
  const rdns = name.rdns.map((rdn) => rdn.map((attribute) => spellAttribute(attribute, style)).join(' '));
  // a line break inside a value becomes a comma as well: MS-PKCA replaces in the whole field
  return rdns.join(',').replaceAll(/\r\n|\r|\n/g, ',');
}

/** Every spelling, none of them empty or twice; by default the two that no other name shares. */
export function adNameSpellings(
  name: Name,
  styles: readonly NameStyle[] = ['plain', 'quotedBackslash'],
): readonly string[] {
  return [...new Set(styles.map((style) => adNameText(name, style)))].filter((text) => text !== '');
}

function spellAttribute(attribute: NameAttribute, style: NameStyle): string {
  const type = shortNames.get(attribute.oid) ?? `OID.${attribute.oid}`;
  const { text } = attribute;
  return `${type}=${text === null ? `#${hexOf(blobOf(attribute))}` : quote(text, style)}`;
}

/**
 * Quoted when empty, when it begins or ends with white space, or when it has one of `, + = " LF < > # ;`; a quote
 * inside is doubled and nothing else is escaped.
 */
function quote(text: string, style: NameStyle): string {
  if (style === 'unquoted') return text;
  const needed =
    text === '' || /^\s|\s$|[,+="\n<>#;]/.test(text) || (style === 'quotedBackslash' && text.includes('\\'));
  return needed ? `"${text.replaceAll('"', '""')}"` : text;
}

/** What stands behind the `#`: the content of an OCTET STRING, the whole encoding of anything else (CERT_RDN_ENCODED_BLOB). */
function blobOf({ tag, raw }: NameAttribute): Buffer {
  return tag === tags.octetString ? raw : encodeElement(tag, raw);
}
