/**
 * LDAP URLs as certificates and CRLs carry them (RFC 4516; RFC 5280 section 4.2.1.13 wants a DN and one attribute). Decides which of
 * them are read: one of the attributes that hold CRLs or CA certificates, of the one object that the URL names. A filter can only be
 * the one on objectClass that authorities write, with or without its parentheses as AD CS does; it changes nothing for one object.
 */
import { defaultPorts } from './allowed-hosts.ts';
import { parseHostAndPort, type HostAndPort } from './authority-text.ts';

export interface LdapUrl {
  /** Null: `ldap:///`, whatever directory the reader belongs to. */
  readonly server: HostAndPort | null;
  readonly dn: string;
  readonly attribute: LdapAttribute;
}

export type LdapAttribute = (typeof attributes)[number];

const attributes = [
  'certificateRevocationList',
  'deltaRevocationList',
  'authorityRevocationList',
  'cACertificate',
  'crossCertificatePair',
] as const;

/** Characters of a DN; what AD CS writes has some 200. */
const maximumDn = 2048;

/** @returns why it is not read, as a clause, when it is not */
export function parseLdapUrl(url: string): LdapUrl | string {
  // RFC 3986: everything else has to be percent-encoded; a fragment has no place in an LDAP URL.
  const parts = /^ldap:\/\/([^/?]*)\/([^?]*)((?:\?[^?]*){0,4})$/i.exec(url);
  if (parts === null || !/^[\w.~:/?[\]@!$&'()*+,;=%-]*$/.test(url))
    return 'it is not of the form ldap://host/dn?attribute';
  const [, authority = '', encodedDn = '', rest = ''] = parts;
  const server = authority === '' ? null : parseHostAndPort(authority, defaultPorts.ldap);
  if (authority !== '' && server === null) return 'its host is not a plain name or address';
  const dn = decoded(encodedDn);
  if (dn === null || dn.length > maximumDn || !/^(?:[a-z][a-z0-9-]*|\d+(?:\.\d+)+) *=/i.test(dn))
    return 'it does not name an object by a distinguished name';
  const [, names = '', scope = '', filter = '', extensions = ''] = rest.split('?').map(decoded);
  const attribute = attributeOf(names);
  if (attribute === null) return `it does not ask for one attribute out of ${attributes.join(', ')}`;
  if (scope === null || !/^(?:base)?$/i.test(scope)) return 'its scope is not base';
  if (filter === null || !isPlainFilter(filter)) return 'it has a filter of its own';
  return extensions === '' ? { server, dn, attribute } : 'it has extensions';
}

function attributeOf(text: string | null): LdapAttribute | null {
  const name = text?.toLowerCase().replace(/;binary$/, '');
  return attributes.find((attribute) => attribute.toLowerCase() === name) ?? null;
}

function isPlainFilter(text: string): boolean {
  const inner = /^\((.*)\)$/.exec(text)?.[1] ?? text;
  return inner === '' || /^objectClass=(?:\*|cRLDistributionPoint|certificationAuthority|pkiCA)$/i.test(inner);
}

/** Percent-decoded UTF-8 without control characters; null when it is not. */
function decoded(text: string): string | null {
  if (/%(?![0-9a-f]{2})/i.test(text)) return null;
  try {
    const plain = decodeURIComponent(text);
    return /\p{C}/u.test(plain) ? null : plain;
  } catch {
    return null;
  }
}
