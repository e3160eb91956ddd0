/**
 * Who signed an OCSP response, and by what right (RFC 6960 section 4.2.2.2): the issuer of the certificate itself, a certificate of
 * the configuration, or one that the issuer issued directly for this purpose. Time and strength are looked at by `ocsp-answer.ts`,
 * because they depend on the moment and on the binding; everything here holds for ever.
 */
import { hash } from 'node:crypto';
import { sameBytes } from '../base/bytes.ts';
import { findCriticalFault } from '../trust/critical-extensions.ts';
import type { Certificate } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';
import { sameName } from '../x509/name-comparison.ts';
import type { BasicOcspResponse } from '../x509/ocsp-contract.ts';
import { usageOids } from '../x509/oid.ts';
import { verifyCertificate, verifySignature } from '../x509/signature.ts';
import type { AuthenticOcsp } from './revocation-contract.ts';

export type FoundSigner =
  | { readonly kind: 'found'; readonly signer: Certificate; readonly right: AuthenticOcsp['right'] }
  /** One clause. */
  | { readonly kind: 'none'; readonly why: string };

/** @param configured certificates that may sign for this issuer, whoever issued them */
export function findOcspSigner(
  basic: BasicOcspResponse,
  issuer: Certificate,
  configured: readonly Certificate[],
): FoundSigner {
  let why: string | null = null;
  for (const [candidate, right] of candidatesFor(basic, issuer, configured)) {
    const fault =
      (right === 'delegate' ? findDelegationFault(candidate, issuer) : null) ?? signatureFault(basic, candidate);
    if (fault === null) return { kind: 'found', signer: candidate, right };
    why ??= `the responder's certificate ${rfc4514Text(candidate.subject)}, thumbprint ${candidate.thumbprint}, does not count: ${fault}`;
  }
  return {
    kind: 'none',
    why: why ?? `the response does not contain the certificate of its responder ${idText(basic)}`,
  };
}

/** What fits the responder's identifier; one certificate may fit by more than one right, the strongest first. */
function candidatesFor(
  { responderId, certificates }: BasicOcspResponse,
  issuer: Certificate,
  configured: readonly Certificate[],
): readonly (readonly [Certificate, AuthenticOcsp['right']])[] {
  const fits = ({ subject, publicKey }: Certificate) =>
    responderId.kind === 'name'
      ? sameName(subject, responderId.name)
      : sameBytes(hash('sha1', publicKey.bits, 'buffer'), responderId.keyHash);
  const all: readonly (readonly [Certificate, AuthenticOcsp['right']])[] = [
    [issuer, 'issuer'],
    ...configured.map((certificate) => [certificate, 'configured'] as const),
    ...certificates.map((certificate) => [certificate, 'delegate'] as const),
  ];
  return all.filter(([certificate]) => fits(certificate));
}

/** The cheap questions first; the issuer's signature before anything is computed with a key that a stranger may have chosen. */
function findDelegationFault(delegate: Certificate, issuer: Certificate): string | null {
  const { extendedKeyUsage, applicationPolicies, keyUsage } = delegate.extensions;
  // The same key that issued the certificate in question, so that no other CA of the name can speak for it.
  if (!sameName(delegate.issuer, issuer.subject)) return 'it was not issued by the issuer of the certificate';
  if (extendedKeyUsage?.includes(usageOids.ocspSigning) !== true) return 'its extendedKeyUsage lacks OCSPSigning';
  if (applicationPolicies?.includes(usageOids.ocspSigning) === false)
    return 'its Application Policies lack OCSPSigning';
  if (keyUsage !== null && !keyUsage.digitalSignature && !keyUsage.nonRepudiation)
    return 'its keyUsage has neither digitalSignature nor nonRepudiation';
  const critical = findCriticalFault(delegate);
  if (critical !== null) return critical;
  const outcome = verifyCertificate(delegate, issuer.publicKey, { allowSha1: true });
  return outcome === 'good' ? null : `its own signature is not by the issuer of the certificate (${outcome})`;
}

function signatureFault({ signatureAlgorithm, tbs, signature }: BasicOcspResponse, signer: Certificate): string | null {
  const outcome = verifySignature(signatureAlgorithm, tbs, signature, signer.publicKey, { allowSha1: true });
  return outcome === 'good' ? null : `the response is not signed with its key (${outcome})`;
}

function idText({ responderId }: BasicOcspResponse): string {
  return responderId.kind === 'name'
    ? rfc4514Text(responderId.name)
    : `with key hash ${responderId.keyHash.toString('hex')}`;
}
