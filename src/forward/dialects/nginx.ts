/**
 * `nginx`: what a `proxy_set_header` with the variables of ngx_http_ssl_module gives a backend: `$ssl_client_escaped_cert`, `$ssl_client_verify`,
 * `$ssl_client_s_dn`, `$ssl_client_i_dn`, `$ssl_client_serial` and `$ssl_client_fingerprint`. The module has no names for headers; these are ours.
 */
import type { Certificate } from '../../x509/certificate.ts';
import { isEmptyName } from '../../x509/name.ts';
import type { Dialect } from '../dialect-contract.ts';
import { escapedPem } from './certificate-text.ts';
import { dnText } from './dn-text.ts';

export const nginx: Dialect = (headers, client, { headers: names }) => {
  headers.push(names.nginxVerify, client === 'none' ? 'NONE' : 'SUCCESS');
  if (client === 'none') return;
  const { leaf } = client;
  headers.push(names.nginxCert, escapedPem(leaf.der));
  // nginx does not send a header whose value is empty.
  if (!isEmptyName(leaf.subject)) headers.push(names.nginxSubject, dnText(leaf.subject));
  if (!isEmptyName(leaf.issuer)) headers.push(names.nginxIssuer, dnText(leaf.issuer));
  headers.push(names.nginxSerial, serialHex(leaf));
  headers.push(names.nginxFingerprint, leaf.thumbprint);
};

/** As i2a_ASN1_INTEGER prints it: the magnitude in upper case, a minus sign before it where it is negative. */
function serialHex({ serial }: Certificate): string {
  const value = BigInt.asIntN(serial.length * 8, BigInt(`0x${serial.toString('hex')}`));
  const digits = (value < 0n ? -value : value).toString(16).toUpperCase();
  return `${value < 0n ? '-' : ''}${digits.length % 2 === 0 ? '' : '0'}${digits}`;
}
