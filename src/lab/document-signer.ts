/**
 * Who signs a revocation list or an OCSP answer: a certificate of the lab with its private key, and the algorithm that goes with it.
 */
import type { KeyObject } from 'node:crypto';
import { createHash, createPrivateKey, sign } from 'node:crypto';
import type { Certificate } from '../x509/certificate.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { oids } from '../x509/oid.ts';
import { element, oid, sequence } from './der-writing.ts';

export interface DocumentSigner {
  readonly certificate: Certificate;
  /** Of its key, as the extensions of certificates and lists name it. */
  readonly keyIdentifier: Buffer;
  /** SHA-1 of its key's bits (RFC 6960 section 4.2.1, KeyHash). */
  readonly keyHash: Buffer;
  /** DER of the AlgorithmIdentifier. */
  readonly algorithm: Buffer;
  sign(tbs: Buffer): Buffer;
}

/** @param issued DER of the certificate and PEM of its key */
export function documentSigner(issued: { readonly der: Buffer; readonly key: string }): DocumentSigner {
  const certificate = certificateIn(issued.der);
  const key = createPrivateKey(issued.key);
  const { algorithm, digest } = algorithmOf(key);
  const keyHash = createHash('sha1').update(certificate.publicKey.bits).digest();
  return {
    certificate,
    keyIdentifier: certificate.extensions.subjectKeyIdentifier ?? keyHash,
    keyHash,
    algorithm,
    sign: (tbs) => sign(digest, tbs, key),
  };
}

/** A certificate that the lab made itself. */
export function certificateIn(der: Buffer): Certificate {
  const result = parseCertificate(der);
  if (result.kind !== 'parsed') throw new TypeError(`a certificate of the lab does not parse: ${result.reason}`);
  return result.certificate;
}

function algorithmOf(key: KeyObject): { readonly algorithm: Buffer; readonly digest: string | null } {
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ed25519') return { algorithm: sequence(oid(oids.ed25519)), digest: null };
  if (key.asymmetricKeyType === 'rsa')
    return { algorithm: sequence(oid(oids.sha256WithRsa), element(0x05)), digest: 'sha256' };
  if (namedCurve === 'secp384r1') return { algorithm: sequence(oid(oids.ecdsaWithSha384)), digest: 'sha384' };
  if (namedCurve === 'secp521r1') return { algorithm: sequence(oid(oids.ecdsaWithSha512)), digest: 'sha512' };
  return { algorithm: sequence(oid(oids.ecdsaWithSha256)), digest: 'sha256' };
}
