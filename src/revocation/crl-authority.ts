/**
 * Whether the holder of the key that signed a CRL may say with it what becomes of a certificate (RFC 5280 section 6.3.3 (f)). The
 * signature itself was verified when the list was taken up.
 *
 * - The key that issued the certificate may say everything, unless its keyUsage forbids signing lists.
 * - Another certificate of the issuer's name must have a path to the same anchor, on which nobody is revoked, must be allowed to
 *   sign lists in so many words, and must come from a CA on the certificate's own path, so that no other branch of the hierarchy
 *   can speak for this one by borrowing a name.
 * - A distribution point may name somebody else (indirect CRLs): there the name and the same anchor are enough, as the issuer
 *   chose it.
 *
 * That a list does not mention a certificate says something only if the list is about the certificates of its key. An AD CS that was
 * renewed with a new key keeps one list for each key under one name, and nothing in RFC 5280 tells them apart. So a list signed by
 * another key of the name answers "good" only where it cannot be such a list: its key issues no certificates; or one of the two
 * keys certified the other, as in a rollover, and neither belongs to an AD CS; or the list carries the name of the certificate's own
 * distribution point. Elsewhere what it lists is revoked, and what it does not list is unknown. Windows asks for the same key too.
 */
import { isSameAuthority } from '../trust/authority-role.ts';
import type { TrustedPath } from '../trust/judgement.ts';
import type { Certificate } from '../x509/certificate.ts';
import { nameKey } from '../x509/name-comparison.ts';
import { rfc4514Text } from '../x509/name.ts';
import { extensionOids } from '../x509/oid.ts';
import type { CrlQuestion } from './crl-question.ts';
import type { CrlCoverage } from './crl-scope.ts';
import { maySignCrls, signerPathsFor } from './crl-signers.ts';
import type { CrlAnswer, StoredCrl } from './revocation-contract.ts';

export type CrlAuthority =
  /** What is not listed is good; `revocations`: only what is listed counts. */
  | { readonly extent: 'all' | 'revocations' }
  /** One clause. */
  | { readonly extent: 'none'; readonly why: string };

/** How a question about a signer leads back to the same question about another list. */
export interface Inquiry {
  /** Those whose own status is being asked for. A list may speak about its own signer: whoever holds the key could do worse. */
  readonly signers: readonly string[];
  readonly statusOf: (question: CrlQuestion, inquiry: Inquiry) => CrlAnswer;
}

/** Signers of lists about signers of lists; nobody builds more. */
const maximumSigners = 3;

export function authorityOf(
  list: StoredCrl,
  coverage: CrlCoverage,
  question: CrlQuestion,
  inquiry: Inquiry,
): CrlAuthority {
  const { issuer, path, certificate } = question;
  if (isSigner(issuer, list)) return everything;
  const direct = nameKey(list.crl.issuer) === nameKey(certificate.issuer);
  const above = path.certificates.slice(path.certificates.indexOf(issuer) + 1);
  const superior = above.find((candidate) => isSigner(candidate, list));
  if (superior !== undefined) return direct ? extentOf(superior, issuer, true, coverage) : everything;
  if (inquiry.signers.includes(signerId(list))) return everything;
  if (inquiry.signers.length >= maximumSigners) return nothing('the chain of CRL signers is too long');

  let best: CrlAuthority = nothing('its signer is not known to be allowed to sign it');
  for (const signerPath of signerPathsFor(list, question)) {
    const authority = delegateAuthority(signerPath, direct, coverage, list, question, inquiry);
    if (authority.extent === 'all') return authority;
    if (best.extent === 'none') best = authority;
  }
  return best;
}

const everything: CrlAuthority = { extent: 'all' };

function nothing(why: string): CrlAuthority {
  return { extent: 'none', why };
}

function isSigner(candidate: Certificate, { crl, signerKey }: StoredCrl): boolean {
  return (
    candidate.publicKey.digest === signerKey &&
    nameKey(candidate.subject) === nameKey(crl.issuer) &&
    maySignCrls(candidate)
  );
}

function signerId({ crl, signerKey }: StoredCrl): string {
  return `${signerKey} ${nameKey(crl.issuer)}`;
}

/** Of a signer that is not on the certificate's path. */
function delegateAuthority(
  signerPath: TrustedPath,
  direct: boolean,
  coverage: CrlCoverage,
  list: StoredCrl,
  question: CrlQuestion,
  inquiry: Inquiry,
): CrlAuthority {
  const [signer, parent] = signerPath.certificates;
  if (signer === undefined || parent === undefined) return nothing('its signer has no path');
  const { issuer, path } = question;
  const above = path.certificates.slice(path.certificates.indexOf(issuer));
  if (direct && !above.some((one) => isSameAuthority(one, parent)))
    return nothing('the certificate of its signer was issued by a CA that is not above this certificate');
  const why = findRevoked(signerPath, question, { ...inquiry, signers: [...inquiry.signers, signerId(list)] });
  if (why !== null) return nothing(why);
  return direct ? extentOf(signer, issuer, isSameAuthority(parent, issuer), coverage) : everything;
}

/** Of a signer with the issuer's name. @param tied one of the two was certified with the help of the other */
function extentOf(signer: Certificate, issuer: Certificate, tied: boolean, { named }: CrlCoverage): CrlAuthority {
  const oneKey = signer.publicKey.digest === issuer.publicKey.digest;
  const listsOnly = signer.extensions.keyUsage?.keyCertSign === false;
  const together = tied && !isAdCs(signer) && !isAdCs(issuer);
  return oneKey || listsOnly || together || named ? everything : { extent: 'revocations' };
}

/** AD CS numbers its certificates and keys in an extension of its own (szOID_CERTSRV_CA_VERSION). */
function isAdCs({ extensions }: Certificate): boolean {
  return extensions.all.some(({ oid }) => oid === extensionOids.microsoftCaVersion);
}

/** Those who are on the certificate's path as well are asked about there. */
function findRevoked(signerPath: TrustedPath, question: CrlQuestion, inquiry: Inquiry): string | null {
  const onPath = new Set(question.path.certificates.map(({ digest }) => digest));
  const { certificates } = signerPath;
  for (const [depth, certificate] of certificates.entries()) {
    const issuer = certificates[depth + 1];
    if (issuer === undefined || onPath.has(certificate.digest)) continue;
    const answer = inquiry.statusOf({ ...question, path: signerPath, certificate, issuer }, inquiry);
    const whose = `the certificate ${rfc4514Text(certificate.subject)}, thumbprint ${certificate.thumbprint}, of its signer`;
    if (answer.status === 'revoked') return `${whose} is revoked`;
    // Whoever names no place to ask cannot be asked about; a path is checked by the same rule.
    if (answer.status === 'unknown' && certificate.extensions.crlDistributionPoints.length > 0)
      return `whether ${whose} is revoked is unknown: ${answer.why}`;
  }
  return null;
}
