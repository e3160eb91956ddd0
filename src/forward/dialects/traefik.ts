/**
 * `traefik`: what the middleware PassTLSClientCert writes with everything switched on. `X-Forwarded-Tls-Client-Cert`: base64 of each certificate,
 * commas between them. `X-Forwarded-Tls-Client-Cert-Info`: for each certificate `Subject="..."` and so on, semicolons between fields, commas between
 * certificates and within fields, the whole escaped for a query string.
 *
 * Traefik does not escape what stands in a field, so that a comma or a quote in a name makes another name of it. Here `%`, `"`, `,` and `;` of values
 * are escaped once more before; without them a value is what Traefik writes.
 */
import { parseCertificate, type Certificate } from '../../x509/certificate.ts';
import type { GeneralNames } from '../../x509/certificate.ts';
import type { Name } from '../../x509/name.ts';
import type { Dialect } from '../dialect-contract.ts';
import { base64Of } from './certificate-text.ts';

export const traefik: Dialect = (headers, client, { headers: names }) => {
  if (client === 'none') return;
  // Nobody validated what follows the leaf; Traefik's TLS would not have taken what cannot be read at all.
  const above = client.presentedChain.map((der) => parseCertificate(Buffer.from(der)));
  const chain = [client.leaf, ...above.flatMap((one) => (one.kind === 'parsed' ? [one.certificate] : []))];
  headers.push(names.traefikCert, chain.map(({ der }) => base64Of(der)).join(','));
  headers.push(names.traefikInfo, queryEscaped(chain.map(infoOf).join(',')));
};

function infoOf({ subject, issuer, serial, notBefore, notAfter, extensions }: Certificate): string {
  const fields = [
    ['Subject', nameText(subject, subjectTypes)],
    ['Issuer', nameText(issuer, issuerTypes)],
    ['SerialNumber', BigInt.asIntN(serial.length * 8, BigInt(`0x${serial.toString('hex')}`)).toString()],
    ['NB', unixTime(notBefore)],
    ['NA', unixTime(notAfter)],
    ['SAN', extensions.subjectAltName === null ? '' : sansOf(extensions.subjectAltName)],
  ];
  return fields.flatMap(([key, value]) => (value === '' ? [] : [`${key}="${value}"`])).join(';');
}

/** In the order of the types, those of one type in the order of the name; `SN` and `CN` have one value, the last. */
function nameText(name: Name, types: readonly (readonly [type: string, oid: string])[]): string {
  const attributes = name.rdns.flat();
  const parts = types.flatMap(([type, oid]) => {
    const values = attributes.flatMap((one) => (one.oid === oid && one.text ? [`${type}=${inner(one.text)}`] : []));
    return type === 'SN' || type === 'CN' ? values.slice(-1) : values;
  });
  return parts.join(',');
}

const subjectTypes = [
  ['DC', '0.9.2342.19200300.100.1.25'],
  ['C', '2.5.4.6'],
  ['ST', '2.5.4.8'],
  ['L', '2.5.4.7'],
  ['O', '2.5.4.10'],
  ['OU', '2.5.4.11'],
  ['SN', '2.5.4.5'],
  ['CN', '2.5.4.3'],
] as const;

const issuerTypes = subjectTypes.filter(([type]) => type !== 'OU');

function sansOf({ dnsNames, rfc822Names, ipAddresses, uris }: GeneralNames): string {
  return [...dnsNames, ...rfc822Names, ...ipAddresses.map(addressText), ...uris].map(inner).join(',');
}

/** As Go prints it: an IPv6 address by RFC 5952, one that stands for an IPv4 address as that. */
function addressText(octets: Buffer): string {
  const four = octets.length === 4 ? octets : mapped(octets);
  if (four !== null) return four.join('.');
  const groups = octets.toString('hex').replaceAll(/(.{4})(?!$)/g, '$1:');
  return new URL(`http://[${groups}]`).hostname.slice(1, -1);
}

/** RFC 4291 section 2.5.5.2. */
function mapped(octets: Buffer): Buffer | null {
  return octets.toString('hex', 0, 12) === '00000000000000000000ffff' ? octets.subarray(12) : null;
}

/** Seconds; Go prints those before 1970 as an unsigned number. */
function unixTime(instant: number): string {
  return BigInt.asUintN(64, BigInt(Math.floor(instant / 1000))).toString();
}

function inner(text: string): string {
  return text.replaceAll(/[%",;]/g, percent);
}

/** The form of application/x-www-form-urlencoded: all but letters, digits and `-_.~`, a blank as `+`. */
function queryEscaped(text: string): string {
  return encodeURIComponent(text)
    .replaceAll(/[!'()*]/g, percent)
    .replaceAll('%20', '+');
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
