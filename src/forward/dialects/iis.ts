/**
 * `iis`: server variables of IIS as headers, with a prefix before and dashes in place of underscores (`X-IIS-CERT-SUBJECT`), so that a page that read
 * `Request.ServerVariables("CERT_SUBJECT")` finds the same value under `HTTP_X_IIS_CERT_SUBJECT`. What depends on the cipher suite or the server's
 * own certificate is not here.
 */
import { shortNames } from '../../mapping/ad-short-names.ts';
import { encodeElement } from '../../x509/der.ts';
import { serialText } from '../../x509/certificate.ts';
import type { Name, NameAttribute } from '../../x509/name.ts';
import type { Dialect } from '../dialect-contract.ts';
import { headerText } from '../header-text.ts';

export const serverVariables = [
  'CERT_COOKIE',
  'CERT_FLAGS',
  'CERT_ISSUER',
  'CERT_SERIALNUMBER',
  'CERT_SUBJECT',
  'AUTH_TYPE',
  'AUTH_USER',
  'LOGON_USER',
  'REMOTE_USER',
  'UNMAPPED_REMOTE_USER',
] as const;

export type ServerVariable = (typeof serverVariables)[number];

/** Name of the header that carries a server variable. */
export function variableHeader(prefix: string, variable: ServerVariable): string {
  return prefix + variable.replaceAll('_', '-');
}

export const iis: Dialect = (headers, client, { headers: { iisPrefix } }) => {
  if (client === 'none') return;
  const write = (variable: ServerVariable, value: string) => headers.push(variableHeader(iisPrefix, variable), value);
  const { leaf, identity } = client;
  // An opaque value that is the same for the same certificate; how IIS makes it is not documented.
  write('CERT_COOKIE', leaf.digest);
  // Bit 0: there is one; bit 1, an issuer that is not known, never comes this far.
  write('CERT_FLAGS', '1');
  write('CERT_ISSUER', headerText(x500Text(leaf.issuer)));
  write('CERT_SERIALNUMBER', serialText(leaf).replaceAll(/..(?=.)/g, '$&-'));
  write('CERT_SUBJECT', headerText(x500Text(leaf.subject)));
  if (identity === null) return;
  const user = headerText(identity.account.name);
  // What both mappers of client certificates in IIS set.
  write('AUTH_TYPE', 'SSL/PCT');
  for (const variable of ['AUTH_USER', 'LOGON_USER', 'REMOTE_USER', 'UNMAPPED_REMOTE_USER'] as const)
    write(variable, user);
};

/**
 * CertNameToStr with CERT_X500_NAME_STR: in the order of the encoding, `S` for the state and `E` for the mail address, quotes where a
 * value needs them. Unlike `adNameText` it keeps RDNs of several attributes apart from several RDNs, by ` + `.
 */
function x500Text(name: Name): string {
  return name.rdns.map((rdn) => rdn.map(attributeText).join(' + ')).join(', ');
}

function attributeText({ oid, tag, raw, text }: NameAttribute): string {
  const type = shortNames.get(oid) ?? `OID.${oid}`;
  if (text === null) return `${type}=#${encodeElement(tag, raw).toString('hex')}`;
  const quotes = text === '' || /^\s|\s$|[,+="\r\n<>#;]/.test(text);
  return `${type}=${quotes ? `"${text.replaceAll('"', '""')}"` : text}`;
}
