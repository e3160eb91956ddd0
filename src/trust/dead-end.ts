/**
 * Says why a path cannot be extended beyond its last certificate: an untrusted or unlisted root, a wrong signature, an algorithm that is
 * not taken, or an issuer that nobody has shown.
 */
import { hexOf, sameBytes } from '../base/bytes.ts';
import type { Certificate } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';
import type { SignatureOutcome } from '../x509/signature.ts';
import type { Finding, RefusalCode } from './finding.ts';

/** A certificate with the issuer's name whose key turned out not to have signed. */
export interface RefusedIssuer {
  readonly issuer: Certificate;
  readonly outcome: Exclude<SignatureOutcome, 'good'>;
}

export interface Standstill {
  readonly depth: number;
  readonly certificate: Certificate;
  readonly refused: readonly RefusedIssuer[];
  /** Candidates that are on the path already. */
  readonly repeated: number;
  /** The certificate's signature by its own key; null when it is not self-issued. */
  readonly ownSignature: SignatureOutcome | null;
  readonly anchors: number;
  /** The store of issuers that keeps this root from being an anchor; null where none does. */
  readonly unlistedIn: string | null;
}

export function deadEnd(standstill: Standstill): Finding {
  const { depth, certificate } = standstill;
  const finding = (code: RefusalCode, detail: string): Finding => ({ depth, certificate, code, detail });
  const { refused, ownSignature, anchors, repeated, unlistedIn } = standstill;
  if (unlistedIn !== null)
    return finding('untrustedIssuer', `a trusted root, but paths may only end in the store ${unlistedIn}`);
  // A root's own signature proves nothing, so any that is not plainly wrong makes it a root.
  if (ownSignature !== null && ownSignature !== 'bad')
    return finding('untrustedRoot', `self-signed and not among the ${anchors} trusted roots${namesakes(refused)}`);

  const unusable = refused.find(({ outcome }) => outcome !== 'bad');
  if (unusable !== undefined) return finding('weakAlgorithm', unusableText(certificate, unusable));
  const mismatch = refused.find(({ issuer }) => !hasOtherIdentifier(certificate, issuer));
  if (mismatch !== undefined)
    return finding(
      'signatureInvalid',
      `its signature is not by the key of its issuer ${rfc4514Text(mismatch.issuer.subject)}, thumbprint ${mismatch.issuer.thumbprint}`,
    );
  if (repeated > 0 && refused.length === 0)
    return finding('chainIncomplete', `issued by ${rfc4514Text(certificate.issuer)}, which is on the path already`);
  return finding(
    'chainIncomplete',
    `its issuer ${issuerText(certificate)} is neither configured nor presented${namesakes(refused)}`,
  );
}

/** A candidate that was wrong where another was right: worth listing, never a verdict. */
export function wrongCandidate(depth: number, certificate: Certificate, { issuer, outcome }: RefusedIssuer): Finding {
  const why = outcome === 'bad' ? 'its key did not sign this certificate' : 'its key or the signature is not supported';
  return {
    depth,
    certificate,
    code: outcome === 'bad' ? 'signatureInvalid' : 'weakAlgorithm',
    detail: `the issuer is not the certificate with thumbprint ${issuer.thumbprint}, which has its name: ${why}`,
  };
}

/** The search went as deep as it may. */
export function tooDeep(depth: number, certificate: Certificate): Finding {
  return {
    depth,
    certificate,
    code: 'searchExhausted',
    detail: `no trusted root up to position ${depth} of the path, and longer paths are not tried`,
  };
}

function hasOtherIdentifier(child: Certificate, issuer: Certificate): boolean {
  const wanted = child.extensions.authorityKeyIdentifier?.keyIdentifier ?? null;
  const has = issuer.extensions.subjectKeyIdentifier;
  return wanted !== null && has !== null && !sameBytes(wanted, has);
}

function unusableText({ signatureAlgorithm }: Certificate, { issuer, outcome }: RefusedIssuer): string {
  return outcome === 'unsupported'
    ? `its signature algorithm ${signatureAlgorithm.oid} or the key of its issuer, thumbprint ${issuer.thumbprint}, is not supported`
    : 'signed with MD5, which is not accepted';
}

function issuerText({ issuer, extensions }: Certificate): string {
  const identifier = extensions.authorityKeyIdentifier?.keyIdentifier ?? null;
  return rfc4514Text(issuer) + (identifier === null ? '' : ` with key identifier ${hexOf(identifier)}`);
}

function namesakes(refused: readonly RefusedIssuer[]): string {
  const [first] = refused;
  if (first === undefined) return '';
  const others = refused.length > 1 ? ` and ${refused.length - 1} more of that name have` : ' of that name has';
  return `; the certificate with thumbprint ${first.issuer.thumbprint}${others} another key`;
}
