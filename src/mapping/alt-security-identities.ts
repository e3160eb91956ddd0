/**
 * The values of altSecurityIdentities that stand for a certificate, whole and ready to be compared (MS-PKCA
 * 3.1.5.2.1.3). A stored value is never taken apart: one that holds `CN="<S>"` would fool any parser. A form is left
 * out when a part of it would be empty, for `X509:<S>` stored by somebody must not open every door.
 */
import { hash } from 'node:crypto';
import { hexOf } from '../base/bytes.ts';
import type { Certificate } from '../x509/certificate.ts';
import { adNameSpellings, adNameText, type NameStyle } from './ad-name.ts';
import type { MappingMethod, OpenPoints } from './mapper-contract.ts';

export interface ExplicitForm {
  readonly method: Exclude<MappingMethod, 'UPN' | 'DNS'>;
  readonly value: string;
  readonly strength: 'strong' | 'weak';
  /** From what part of the certificate it comes; one clause. */
  readonly from: string;
  /** For `X509IssuerOnly` how far up the path the issuer is; 0 is that of the leaf, as for all other forms. */
  readonly depth: number;
}

/**
 * Strongest first; weak ones in the order in which MS-PKCA lists them, issuers only at the end.
 * @param path the validated path, leaf first, for the issuers above the leaf's own; the leaf alone where none is known
 */
export function explicitForms(
  leaf: Certificate,
  points: OpenPoints,
  path: readonly Certificate[] = [leaf],
): readonly ExplicitForm[] {
  const styles = stylesOf(points);
  const issuers = adNameSpellings(leaf.issuer, styles);
  const subjects = adNameSpellings(leaf.subject, styles);
  const { sid } = leaf.extensions;
  return [
    ...issuers.flatMap((issuer) =>
      serialSpellings(leaf.serial, points.serialSignOctet).map((serial, index) =>
        strong(
          'X509IssuerSerialNumber',
          `X509:<I>${issuer}<SR>${serial}`,
          `issuer and byte-reversed serial number${index === 0 ? '' : ', in the other spelling of its sign octet'}`,
        ),
      ),
    ),
    ...keyIdentifiers(leaf, points),
    ...hashes(leaf, points),
    ...(sid === null
      ? []
      : issuers.map((issuer) =>
          strong('X509IssuerSid', `X509:<I>${issuer}<SID>${sid}`, 'issuer and the SID of the security extension'),
        )),
    ...issuersWithSubject(leaf, styles).map((value) => weak('X509IssuerSubject', value, 'issuer and subject')),
    ...subjects.map((subject) => weak('X509SubjectOnly', `X509:<S>${subject}`, 'the subject')),
    ...mailNames(leaf, points),
    ...issuersOnly(path, styles),
  ];
}

/**
 * Hex of the serial's octets from last to first. A leading zero octet says only that the number is positive: Windows'
 * documentation drops it, .NET on Windows shows it. Such a serial is looked for in both spellings, the shorter first; they
 * denote one number of one issuer. A negative number (RFC 5280 forbids it, the field has it) is its octets as they are.
 */
export function serialSpellings(serial: Buffer, signOctet: OpenPoints['serialSignOctet']): readonly string[] {
  if (serial.length === 0) return [];
  const reversed = hexOf(Buffer.from(serial).reverse());
  if (serial.length === 1 || serial[0] !== 0) return [reversed];
  const dropped = reversed.slice(0, -2);
  return signOctet === 'both' ? [dropped, reversed] : [signOctet === 'dropped' ? dropped : reversed];
}

function stylesOf({ quotedBackslash, unquotedNames }: OpenPoints): readonly NameStyle[] {
  return [
    'plain',
    ...(quotedBackslash ? (['quotedBackslash'] as const) : []),
    ...(unquotedNames ? (['unquoted'] as const) : []),
  ];
}

/** Both names in the same spelling: whoever wrote the value had one opinion of quotes. */
function issuersWithSubject({ issuer, subject }: Certificate, styles: readonly NameStyle[]): readonly string[] {
  const pairs = styles.map((style) => [adNameText(issuer, style), adNameText(subject, style)] as const);
  return [...new Set(pairs.filter((pair) => !pair.includes('')).map(([i, s]) => `X509:<I>${i}<S>${s}`))];
}

function keyIdentifiers({ extensions, publicKey }: Certificate, points: OpenPoints): readonly ExplicitForm[] {
  const { subjectKeyIdentifier } = extensions;
  if (subjectKeyIdentifier !== null && subjectKeyIdentifier.length > 0)
    return [strong('X509SKI', `X509:<SKI>${hexOf(subjectKeyIdentifier)}`, 'the subject key identifier extension')];
  return points.computedSubjectKeyIdentifier
    ? [
        strong(
          'X509SKI',
          `X509:<SKI>${sha1(publicKey.bits)}`,
          'SHA-1 of the key, for there is no subject key identifier',
        ),
      ]
    : [];
}

/** The name says public key; Samba (bug 16001), Microsoft's MSIdentityTools and the field hash the certificate. */
function hashes({ thumbprint, publicKey }: Certificate, points: OpenPoints): readonly ExplicitForm[] {
  const form = (value: string, from: string) => strong('X509SHA1PublicKey', `X509:<SHA1-PUKEY>${value}`, from);
  const certificate = form(thumbprint, 'SHA-1 of the whole certificate');
  if (points.sha1PublicKey === 'certificate') return [certificate];
  return [
    certificate,
    form(sha1(publicKey.bits), 'SHA-1 of the public key, the contents of its BIT STRING'),
    form(sha1(publicKey.spki), 'SHA-1 of the public key, the whole SubjectPublicKeyInfo'),
  ];
}

function mailNames({ subject, extensions }: Certificate, points: OpenPoints): readonly ExplicitForm[] {
  const fromSubject = points.rfc822FromSubject
    ? subject.rdns.flat().flatMap(({ oid, text }) => (oid === emailAddress && text !== null ? [text] : []))
    : [];
  const named = [
    ...(extensions.subjectAltName?.rfc822Names ?? []).map((mail) => ({
      mail,
      from: 'an e-mail name of the subjectAltName',
    })),
    ...fromSubject.map((mail) => ({ mail, from: 'an e-mail address of the subject' })),
  ].filter(({ mail }) => mail !== '');
  return named.flatMap(({ mail, from }) => [
    weak('X509RFC822', `X509:<RFC822>${mail}`, from),
    ...(points.rfc822Blank ? [weak('X509RFC822', `X509: <RFC822>${mail}`, `${from}, with the blank of MS-PKCA`)] : []),
  ]);
}

/** Of the leaf's issuer, then of each above it (MS-RCMP 3.5.2); the same name again says nothing new. */
function issuersOnly(path: readonly Certificate[], styles: readonly NameStyle[]): readonly ExplicitForm[] {
  return path.flatMap(({ issuer }, depth) =>
    adNameSpellings(issuer, styles).map((text) => ({
      ...weak('X509IssuerOnly', `X509:<I>${text}`, depth === 0 ? 'the issuer' : 'an issuer further up the path'),
      depth,
    })),
  );
}

const emailAddress = '1.2.840.113549.1.9.1';

function sha1(bytes: Buffer): string {
  return hash('sha1', bytes, 'hex');
}

function strong(method: ExplicitForm['method'], value: string, from: string): ExplicitForm {
  return { method, value, strength: 'strong', from, depth: 0 };
}

function weak(method: ExplicitForm['method'], value: string, from: string): ExplicitForm {
  return { method, value, strength: 'weak', from, depth: 0 };
}
