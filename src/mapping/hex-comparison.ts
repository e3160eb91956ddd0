/**
 * How the digits of a stored value stand to a certificate: right, the same octets in a wrong order, the hash of something else,
 * or another's. Digits come without separators, lower case; null stands for what are no digits.
 */
import { hash } from 'node:crypto';
import { hexOf } from '../base/bytes.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { PartComparison } from './certificate-diagnosis.ts';
import type { FaultCode } from './value-fault.ts';

const same: PartComparison = { means: true, fault: null };

export function compareSerial(digits: string | null, serial: Buffer): PartComparison {
  const plain = hexOf(serial);
  if (digits === null) return differs('otherSerial', `the serial number of the certificate is ${plain}`);
  const octets = withoutZeros(plain);
  const stored = withoutZeros(digits);
  if (withoutZeros(reverseOctets(digits)) === octets && digits.length % 2 === 0) return same;
  if (stored === octets)
    return written(
      'serialNotReversed',
      'the octets of the serial number are not reversed: Windows writes the last one first',
    );
  if (withoutZeros(reverseDigits(digits)) === octets || reverseDigits(octets) === digits)
    return written(
      'serialReversedByDigits',
      'the serial number is reversed digit by digit; it goes octet by octet, two digits at a time',
    );
  if (withoutZeros(swapNibbles(digits)) === octets)
    return written(
      'serialReversedByDigits',
      'the two digits of each octet are exchanged; the octets are what is reversed',
    );
  if (/^\d+$/.test(digits) && octets !== '' && BigInt(`0x${octets}`).toString() === digits)
    return written(
      'serialNotReversed',
      'the serial number is in decimal digits; Windows writes its octets in hex, the last one first',
    );
  return differs(
    'otherSerial',
    `the serial number is another certificate's, perhaps that of the one before it was renewed: this one's is ${plain}`,
  );
}

export function compareKeyIdentifier(digits: string | null, leaf: Certificate): PartComparison {
  const identifier = leaf.extensions.subjectKeyIdentifier;
  if (identifier === null || identifier.length === 0)
    return differs('otherKeyIdentifier', 'the certificate has no subject key identifier');
  const own = hexOf(identifier);
  if (digits === own) return same;
  if (digits === reverseOctets(own))
    return written('otherSpelling', 'the octets of the key identifier are reversed; it goes as it is');
  if (digits !== null && digits === `04${identifier.length.toString(16).padStart(2, '0')}${own}`)
    return written('otherSpelling', 'the key identifier has the header of its OCTET STRING in front');
  if (digits === leaf.thumbprint)
    return differs('otherKeyIdentifier', `it is the thumbprint, not the key identifier, which is ${own}`);
  return differs('otherKeyIdentifier', `the key identifier is another key's: the certificate has ${own}`);
}

/** What `<SHA1-PUKEY>` is the hash of is told apart in mapper's open point D-01: the whole certificate. */
export function compareHash(digits: string | null, leaf: Certificate): PartComparison {
  const { thumbprint, publicKey } = leaf;
  if (digits === thumbprint) return same;
  if (digits === reverseOctets(thumbprint))
    return written('otherSpelling', 'the octets of the thumbprint are reversed; it goes as it is');
  const keys = [hash('sha1', publicKey.bits, 'hex'), hash('sha1', publicKey.spki, 'hex')];
  const identifier = leaf.extensions.subjectKeyIdentifier;
  if (digits !== null && (keys.includes(digits) || (identifier !== null && digits === hexOf(identifier))))
    return written(
      'keyHash',
      'it is the hash of the public key; in spite of its name <SHA1-PUKEY> is that of the whole certificate',
    );
  if (digits === hash('sha256', leaf.der, 'hex'))
    return written('sha256', 'it is the SHA-256 hash of the certificate; <SHA1-PUKEY> is the SHA-1 hash');
  return differs(
    'otherHash',
    `it is the hash of another certificate, perhaps of the one before it was renewed: this one's is ${thumbprint}`,
  );
}

function written(code: FaultCode, text: string): PartComparison {
  return { means: true, fault: { code, text } };
}

function differs(code: FaultCode, text: string): PartComparison {
  return { means: false, fault: { code, text } };
}

function reverseOctets(digits: string): string {
  return (digits.match(/../g) ?? []).toReversed().join('');
}

function reverseDigits(digits: string): string {
  return digits.split('').toReversed().join('');
}

function swapNibbles(digits: string): string {
  return digits.replaceAll(/(.)(.)/g, '$2$1');
}

function withoutZeros(digits: string): string {
  return digits.replace(/^0+(?=.)/, '');
}
