/**
 * Writes OCSP requests (RFC 6960 section 4.1): one certificate, not signed, no requestorName. Which responder gets one and how is
 * decided in `revocation/`.
 */
import { hash as digest } from 'node:crypto';
import type { Certificate } from './certificate.ts';
import { encodeElement, tags } from './der.ts';
import type { HashName } from './signature.ts';

export interface OcspRequest {
  readonly certificate: Pick<Certificate, 'issuer' | 'serial'>;
  readonly issuer: Pick<Certificate, 'publicKey'>;
  /** Of the CertID; SHA-1 is what every responder knows (RFC 5019 section 2.1.1), and no secret hangs on it. */
  readonly hash?: 'sha1' | 'sha256';
  /** 1 to 128 octets (RFC 9654 section 2.1). */
  readonly nonce?: Buffer | null;
}

/** DER of the OCSPRequest. */
export function encodeOcspRequest({ certificate, issuer, hash = 'sha1', nonce = null }: OcspRequest): Buffer {
  const { issuerNameHash, issuerKeyHash } = issuerHashes(certificate, issuer, hash);
  const certId = sequence(
    algorithms[hash],
    encodeElement(tags.octetString, issuerNameHash),
    encodeElement(tags.octetString, issuerKeyHash),
    encodeElement(tags.integer, certificate.serial),
  );
  const requestList = sequence(sequence(certId));
  const extensions = nonce === null ? [] : [encodeElement(0xa2, sequence(nonceExtension(nonce)))];
  return sequence(sequence(requestList, ...extensions));
}

/** The two hashes by which a CertID names an issuer: of the name as the certificate spells it, and of the key's bits. */
export function issuerHashes(
  certificate: Pick<Certificate, 'issuer'>,
  issuer: Pick<Certificate, 'publicKey'>,
  hash: HashName,
): { readonly issuerNameHash: Buffer; readonly issuerKeyHash: Buffer } {
  return {
    issuerNameHash: digest(hash, certificate.issuer.der, 'buffer'),
    issuerKeyHash: digest(hash, issuer.publicKey.bits, 'buffer'),
  };
}

/** AlgorithmIdentifiers with NULL parameters, as every responder writes them. */
const algorithms = {
  sha1: Buffer.from('300906052b0e03021a0500', 'hex'),
  sha256: Buffer.from('300d06096086480165030402010500', 'hex'),
} as const;

/** 1.3.6.1.5.5.7.48.1.2 */
const nonceOid = Buffer.from('06092b0601050507300102', 'hex');

/** The extension's content is itself the DER of an OCTET STRING (RFC 9654 section 2.1). */
function nonceExtension(nonce: Buffer): Buffer {
  const value = encodeElement(tags.octetString, nonce);
  return sequence(nonceOid, encodeElement(tags.octetString, value));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return encodeElement(tags.sequence, Buffer.concat(parts));
}
