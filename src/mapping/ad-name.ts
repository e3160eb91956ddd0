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

/** Empty for a name without RDNs: never build a candidate from that. */
export function adNameText(name: Name): string {
  return spell(name, false);
}

/**
 * Every spelling under which a directory may hold the name; the first is `adNameText`. There is a second one where a
 * value has a backslash: the remarks of CertNameToStr can be read as if that called for quotes, Windows' own tests
 * and .NET say it does not. Both denote this one name, since nothing else ever quotes such a value.
 */
export function adNameSpellings(name: Name): readonly string[] {
  const plain = spell(name, false);
  const quoted = spell(name, true);
  return plain === quoted ? [plain] : [plain, quoted];
}

/** The parts of a multi-valued RDN are joined by one blank: no plus sign, although the ADUC dialog writes one. */
function spell(name: Name, quoteBackslash: boolean): string {
  const rdns = name.rdns.map((rdn) => rdn.map((attribute) => spellAttribute(attribute, quoteBackslash)).join(' '));
  // a line break inside a value becomes a comma as well: MS-PKCA replaces in the whole field
  return rdns.join(',').replaceAll(/\r\n|\r|\n/g, ',');
}

function spellAttribute(attribute: NameAttribute, quoteBackslash: boolean): string {
  const type = shortNames.get(attribute.oid) ?? `OID.${attribute.oid}`;
  const { text } = attribute;
  return `${type}=${text === null ? `#${hexOf(blobOf(attribute))}` : quote(text, quoteBackslash)}`;
}

/**
 * Quoted when empty, when it begins or ends with white space, or when it has one of `, + = " LF < > # ;`; a quote
 * inside is doubled and nothing else is escaped.
 */
function quote(text: string, quoteBackslash: boolean): string {
  const needed = text === '' || /^\s|\s$|[,+="\n<>#;]/.test(text) || (quoteBackslash && text.includes('\\'));
  return needed ? `"${text.replaceAll('"', '""')}"` : text;
}

/** What stands behind the `#`: the content of an OCTET STRING, the whole encoding of anything else (CERT_RDN_ENCODED_BLOB). */
function blobOf({ tag, raw }: NameAttribute): Buffer {
  return tag === tags.octetString ? raw : encodeElement(tag, raw);
}
