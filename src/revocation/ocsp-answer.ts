/**
 * Whether an OCSP response answers for a certificate, and what the answer means at an instant under the rules of a binding. Two
 * steps, because the first costs signatures and holds for ever, and the second is asked for every request: `authenticateOcsp`,
 * then `ocspStanding`. Decides nothing about what unknown means.
 */
import type { Instant, Millis } from '../base/brand.ts';
import { sameBytes } from '../base/bytes.ts';
import { isoText } from '../base/clock.ts';
import { durationText } from '../base/duration.ts';
import { findWeakKey, findWeakSignature } from '../trust/algorithm-strength.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { OcspResponse, SingleOcspResponse } from '../x509/ocsp-contract.ts';
import { issuerHashes } from '../x509/ocsp-request.ts';
import { oidName } from '../x509/oid.ts';
import type { HashName } from '../x509/signature.ts';
import { findOcspSigner } from './ocsp-signer.ts';
import type {
  AnswerRules,
  AuthenticOcsp,
  OcspQuestion,
  OcspRefusal,
  OcspStanding,
  StoredOcsp,
} from './revocation-contract.ts';

/** Whom an answer must be about and by; the issuer is the one on a validated path. */
export interface OcspMatter extends Pick<OcspQuestion, 'certificate' | 'issuer' | 'signers'> {
  /** What the request carried; null: no nonce. */
  readonly nonce: Buffer | null;
}

export type AuthenticatedOcsp =
  { readonly kind: 'authentic'; readonly answer: AuthenticOcsp } | ({ readonly kind: 'refused' } & Unknown);

export interface OcspDemands {
  readonly rules: AnswerRules;
  readonly at: Instant;
  /** As in the question: an answer by one that is not configured any more does not count. */
  readonly signers: readonly Certificate[];
  /** How long after its end an answer still counts, as a stale one. */
  readonly staleFor?: Millis;
}

export function authenticateOcsp({ der, status, basic }: OcspResponse, matter: OcspMatter): AuthenticatedOcsp {
  const refused = (code: OcspRefusal, why: string) => ({ kind: 'refused', ...unknown(code, why) }) as const;
  if (basic === null) return refused('responderError', `the responder answered ${status}`);
  const singles = singlesAbout(matter, basic.singles);
  if (singles.length === 0) return refused('otherCertificate', 'the response says nothing about this certificate');
  const { nonce } = matter;
  if (nonce !== null && basic.nonce !== null && !sameBytes(nonce, basic.nonce))
    return refused('nonce', 'the response carries the nonce of another request');
  const found = findOcspSigner(basic, matter.issuer, matter.signers);
  if (found.kind === 'none') return refused('wrongSigner', found.why);
  const { signer, right } = found;
  const nonceEchoed = nonce !== null && basic.nonce !== null;
  return {
    kind: 'authentic',
    answer: { der, basic, certificate: matter.certificate, singles, signer, right, nonceEchoed },
  };
}

/** All three parts of a CertID must fit, by whatever hash (RFC 6960 section 4.1.1). */
function singlesAbout(
  { certificate, issuer }: OcspMatter,
  singles: readonly SingleOcspResponse[],
): readonly SingleOcspResponse[] {
  const ours = new Map<HashName, ReturnType<typeof issuerHashes>>();
  return singles.filter(({ certId }) => {
    if (certId.hash === null || !sameBytes(certId.serial, certificate.serial)) return false;
    const hashes = ours.get(certId.hash) ?? issuerHashes(certificate, issuer, certId.hash);
    ours.set(certId.hash, hashes);
    return (
      sameBytes(certId.issuerNameHash, hashes.issuerNameHash) && sameBytes(certId.issuerKeyHash, hashes.issuerKeyHash)
    );
  });
}

/** Cheap enough for every request: no signature is computed. @param answer without fetchedAt it has come just now */
export function ocspStanding(answer: HeldOcsp, demands: OcspDemands): OcspStanding {
  const fault = findAnswerFault(answer, demands);
  if (fault !== null) return fault;
  const standings = answer.singles.map((single) => standingOf(single, answer, demands));
  // Whoever is revoked by one of several is revoked; good is only who is good by all.
  return (
    standings.find(({ status }) => status === 'revoked') ??
    standings.find(({ status }) => status === 'unknown') ??
    standings[0] ??
    unknown('otherCertificate', 'the response says nothing about this certificate')
  );
}

type HeldOcsp = AuthenticOcsp & Partial<Pick<StoredOcsp, 'fetchedAt'>>;

/** What is wrong with the answer as a whole, whatever it says. */
function findAnswerFault(answer: HeldOcsp, demands: OcspDemands): Unknown | null {
  const { basic, signer, right, nonceEchoed } = answer;
  const { rules, at, signers } = demands;
  const { fetchedAt = at } = answer;
  if (basic.unknownCritical !== null)
    return unknown(
      'unknownCritical',
      `critical extension ${oidName(basic.unknownCritical)} of the response is not understood`,
    );
  if (rules.nonce === 'require' && !nonceEchoed)
    return unknown('nonce', 'the response does not repeat our nonce, which is required');
  const weak =
    findWeakSignature(basic, rules) ??
    findWeakKey(signer, rules) ??
    (right === 'delegate' ? findWeakSignature(signer, rules) : null);
  if (weak !== null) return unknown('weakAlgorithm', `response or responder's certificate is weak: ${weak}`);
  if (right === 'configured' && !signers.some(({ digest }) => digest === signer.digest))
    return unknown('wrongSigner', 'the certificate of the responder is not configured any more');
  // When it came; since then its end counts (`endOf`). The issuer's own dates are a matter of the path.
  if (right !== 'issuer' && outside(signer, fetchedAt, rules))
    return unknown(
      'wrongSigner',
      `the responder's certificate is valid from ${isoText(signer.notBefore)} to ${isoText(signer.notAfter)}, and the answer came at ${isoText(fetchedAt)}`,
    );
  if (basic.producedAt > at + rules.clockSkew)
    return unknown('notYetValid', `producedAt ${isoText(basic.producedAt)} is in the future, judged at ${isoText(at)}`);
  if (outside(answer.certificate, basic.producedAt, rules))
    return unknown(
      'otherCertificate',
      `producedAt ${isoText(basic.producedAt)} is outside the certificate's validity from ${isoText(answer.certificate.notBefore)} to ${isoText(answer.certificate.notAfter)}`,
    );
  return null;
}

function standingOf(single: SingleOcspResponse, answer: AuthenticOcsp, demands: OcspDemands): OcspStanding {
  const { status, thisUpdate, nextUpdate, unknownCritical } = single;
  const { rules, at, staleFor = 0 } = demands;
  if (unknownCritical !== null)
    return unknown('unknownCritical', `critical extension ${oidName(unknownCritical)} of the answer is not understood`);
  if (thisUpdate > at + rules.clockSkew)
    return unknown('notYetValid', `thisUpdate ${isoText(thisUpdate)} is in the future, judged at ${isoText(at)}`);
  if (nextUpdate !== null && nextUpdate < thisUpdate)
    return unknown('malformed', `nextUpdate ${isoText(nextUpdate)} is before thisUpdate ${isoText(thisUpdate)}`);
  const needs = needsOf(answer);
  // Revocation is for ever (RFC 5280 section 5.3.1), but for a hold: no age makes it unsaid.
  const forEver = status.kind === 'revoked' && status.reason !== certificateHold;
  const until = endOf(single, answer, rules);
  if (!forEver && at > until + staleFor)
    return unknown(
      'expired',
      `the answer ended at ${isoText(until)} (${endText(single, rules)}), judged at ${isoText(at)}`,
    );
  if (status.kind === 'unknown') return unknown('unknownCertificate', 'the responder does not know this certificate');
  if (status.kind === 'good') return { status: 'good', thisUpdate, nextUpdate, until, stale: at > until, needs };
  const { reason, revocationDate } = status;
  return { status: 'revoked', thisUpdate, nextUpdate, reason, revocationDate, needs };
}

const certificateHold = 6;

/** Newer knowledge is available at any time (RFC 6960 section 2.4); asking for it with every request would be an attack. */
const lifeWithoutNextUpdate = 3_600_000;

/** The last instant at which an answer counts: nextUpdate, its greatest age, and the end of the responder's certificate. */
function endOf(
  { thisUpdate, nextUpdate }: SingleOcspResponse,
  { signer, right }: AuthenticOcsp,
  rules: AnswerRules,
): Instant {
  const ends = [
    thisUpdate + (rules.maximumAge ?? (nextUpdate === null ? lifeWithoutNextUpdate : Infinity)),
    nextUpdate ?? Infinity,
    right === 'issuer' ? Infinity : lastInstant(signer.notAfter),
  ];
  return (Math.min(...ends) + rules.clockSkew) as Instant;
}

function endText({ thisUpdate, nextUpdate }: SingleOcspResponse, { maximumAge, clockSkew }: AnswerRules): string {
  const next = nextUpdate === null ? 'no nextUpdate' : `nextUpdate ${isoText(nextUpdate)}`;
  const age = maximumAge === null ? '' : `, maximum age ${durationText(maximumAge)}`;
  return `thisUpdate ${isoText(thisUpdate)}, ${next}${age}, clocks may differ by ${durationText(clockSkew)}`;
}

/**
 * Who speaks by delegation could have been revoked since; id-pkix-ocsp-nocheck says that its issuer takes that upon itself
 * (section 4.2.2.2.1). Whoever is configured was put there by hand.
 */
function needsOf({ signer, right }: AuthenticOcsp): Certificate | null {
  return right === 'delegate' && !signer.extensions.ocspNoCheck ? signer : null;
}

function outside({ notBefore, notAfter }: Certificate, instant: Instant, { clockSkew }: AnswerRules): boolean {
  return instant < notBefore - clockSkew || instant > lastInstant(notAfter) + clockSkew;
}

/** Dates of certificates have whole seconds, all of which belong to them. */
function lastInstant(notAfter: Instant): number {
  return notAfter + 999;
}

type Unknown = Extract<OcspStanding, { status: 'unknown' }>;

function unknown(code: OcspRefusal, why: string): Unknown {
  return { status: 'unknown', code, why };
}
