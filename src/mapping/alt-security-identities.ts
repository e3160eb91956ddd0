/**
 * The values of altSecurityIdentities that stand for a certificate, whole and ready to be compared (MS-PKCA
 * 3.1.5.2.1.3). A stored value is never taken apart: one that holds `CN="<S>"` would fool any parser. A form is left
 * out when a part of it would be empty, for `X509:<S>` stored by somebody must not open every door.
 */
import { hexOf } from '../base/bytes.ts';
import type { Certificate } from '../x509/certificate.ts';
import { adNameSpellings } from './ad-name.ts';
import type { MappingMethod } from './mapper-contract.ts';

export interface ExplicitForm {
  readonly method: Exclude<MappingMethod, 'UPN' | 'DNS'>;
  readonly value: string;
  readonly strength: 'strong' | 'weak';
  /** From what part of the certificate it comes; one clause. */
  readonly from: string;
}

/** Strongest first; weak ones in the order in which MS-PKCA lists them, issuer only at the end. */
export function explicitForms(leaf: Certificate): readonly ExplicitForm[] {
  const issuers = adNameSpellings(leaf.issuer).filter((text) => text !== '');
  const subjects = adNameSpellings(leaf.subject).filter((text) => text !== '');
  const { sid, subjectKeyIdentifier, subjectAltName } = leaf.extensions;
  return [
    ...issuers.flatMap((issuer) =>
      serialSpellings(leaf.serial).map((serial, index) =>
        strong(
          'X509IssuerSerialNumber',
          `X509:<I>${issuer}<SR>${serial}`,
          `issuer and byte-reversed serial number${index === 0 ? '' : ', in the other spelling of its sign octet'}`,
        ),
      ),
    ),
    ...(subjectKeyIdentifier === null || subjectKeyIdentifier.length === 0
      ? []
      : [strong('X509SKI', `X509:<SKI>${hexOf(subjectKeyIdentifier)}`, 'the subject key identifier extension')]),
    // The name says public key; Samba (bug 16001), Microsoft's MSIdentityTools and the field hash the certificate.
    strong('X509SHA1PublicKey', `X509:<SHA1-PUKEY>${leaf.thumbprint}`, 'SHA-1 of the whole certificate'),
    ...(sid === null
      ? []
      : issuers.map((issuer) =>
          strong('X509IssuerSid', `X509:<I>${issuer}<SID>${sid}`, 'issuer and the SID of the security extension'),
        )),
    ...issuers.flatMap((issuer, spelling) =>
      // both names in the same spelling: whoever wrote the value had one opinion of backslashes
      subjects
        .filter((_, index) => index === spelling || issuers.length !== subjects.length)
        .map((subject) => weak('X509IssuerSubject', `X509:<I>${issuer}<S>${subject}`, 'issuer and subject')),
    ),
    ...subjects.map((subject) => weak('X509SubjectOnly', `X509:<S>${subject}`, 'the subject')),
    ...(subjectAltName?.rfc822Names ?? [])
      .filter((mail) => mail !== '')
      .map((mail) => weak('X509RFC822', `X509:<RFC822>${mail}`, 'an e-mail name of the subjectAltName')),
    ...issuers.map((issuer) => weak('X509IssuerOnly', `X509:<I>${issuer}`, 'the issuer')),
  ];
}

/**
 * Hex of the serial's octets from last to first. A leading zero octet says only that the number is positive: Windows'
 * documentation drops it, .NET on Windows shows it. Such a serial is looked for in both spellings, the shorter first; they
 * denote one number of one issuer. A negative number (RFC 5280 forbids it, the field has it) is its octets as they are.
 */
export function serialSpellings(serial: Buffer): readonly string[] {
  if (serial.length === 0) return [];
  const reversed = hexOf(Buffer.from(serial).reverse());
  const signOctet = serial.length > 1 && serial[0] === 0;
  return signOctet ? [reversed.slice(0, -2), reversed] : [reversed];
}

function strong(method: ExplicitForm['method'], value: string, from: string): ExplicitForm {
  return { method, value, strength: 'strong', from };
}

function weak(method: ExplicitForm['method'], value: string, from: string): ExplicitForm {
  return { method, value, strength: 'weak', from };
}
