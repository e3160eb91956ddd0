/**
 * Revocation by OCSP: which responders a certificate has, and what the answer that is held means for it. Whether an answer is believed
 * is decided in `ocsp-answer.ts`; whether its signer is still good, by the lists of its issuer.
 */
import type { Millis } from '../base/brand.ts';
import { isoText, type Clock } from '../base/clock.ts';
import type { Certificate } from '../x509/certificate.ts';
import { ageText } from './age-text.ts';
import { crlReasonName } from '../x509/crl-reason.ts';
import type { Finding, Method, Subject } from './method.ts';
import { ocspStanding } from './ocsp-answer.ts';
import type { OcspStore, RevocationQuestion, StoredOcsp } from './revocation-contract.ts';

/** Milliseconds between two answers of a responder of which it is not known whether it is revoked itself. */
const shortestInterval = 5000;

/** @param crl asked about responders that must be good themselves */
export function createOcspMethod(store: OcspStore, crl: Method, clock: Pick<Clock, 'monotonic'>): Method {
  return {
    name: 'ocsp',
    names: (subject) => respondersOf(subject).length > 0,
    look: (subject, question, staleFor) => look(subject, question, staleFor),
    async fetch(subject, question, timeout) {
      const responders = respondersOf(subject);
      if (responders.length === 0) return [];
      const { certificate, issuer, policy } = subject;
      const { rules } = question.settings;
      const asked = { certificate, issuer, responders, signers: policy.ocspSigners ?? [] };
      const deadline = clock.monotonic() + timeout;
      const answer = lacksOnlySigner(subject, question) ? null : await store.refresh(asked, { timeout, rules });
      const failures = answer?.kind === 'failed' ? [answer.detail] : [];
      const signer = signerToAsk(subject, question);
      if (signer === null) return failures;
      const left = Math.max(0, deadline - clock.monotonic()) as Millis;
      return [...failures, ...(await crl.fetch({ ...subject, certificate: signer }, question, left))];
    },
  };

  function look(subject: Subject, question: RevocationQuestion, staleFor: Millis): Finding {
    const { certificate, issuer } = subject;
    const stored = store.answerFor(certificate, issuer);
    if (stored === null) return { status: 'unknown', why: 'no OCSP answer is held' };
    const standing = standingOf(stored, subject, question, staleFor);
    if (standing.status === 'unknown')
      return { status: 'unknown', why: `the OCSP answer of ${stored.source}: ${standing.why}` };
    const signer =
      standing.needs === null ? null : crl.look({ ...subject, certificate: standing.needs }, question, staleFor);
    // Whoever is said to be revoked stays so until it is known that the word is not good.
    if (signer?.status === 'unknown' && standing.status === 'good' && !isUnaskable(standing.needs, subject, question))
      return { status: 'unknown', why: `whether the OCSP responder is revoked: ${signer.why}` };
    if (signer?.status === 'revoked')
      return { status: 'unknown', why: `the OCSP responder is itself revoked: ${signer.detail}` };
    const { thisUpdate, nextUpdate } = standing;
    const provenance = { source: stored.source, thisUpdate, nextUpdate, fetchedAt: stored.fetchedAt };
    const issued = `answered by ${stored.source}, ${ageText(thisUpdate, nextUpdate, question.at)}`;
    if (standing.status === 'revoked') {
      const detail = `revoked on ${isoText(standing.revocationDate)} (${crlReasonName(standing.reason)}), ${issued}`;
      return { status: 'revoked', ...provenance, detail };
    }
    return { status: 'good', ...provenance, until: standing.until, detail: `good, ${issued}` };
  }

  /** Another answer would come from the same responder as the one that has just come. */
  function lacksOnlySigner(subject: Subject, question: RevocationQuestion): boolean {
    const fetchedAt = store.answerFor(subject.certificate, subject.issuer)?.fetchedAt ?? -Infinity;
    return question.at - fetchedAt < shortestInterval && signerToAsk(subject, question) !== null;
  }

  /**
   * RFC 6960 section 4.2.2.2.1 leaves to us what becomes of a responder whose certificate names no place to ask about it and does not say
   * that nobody need: it is the same question as for a client's.
   */
  function isUnaskable(signer: Certificate | null, subject: Subject, { settings }: RevocationQuestion): boolean {
    return (
      signer !== null && settings.noDistributionPoint === 'accept' && !crl.names({ ...subject, certificate: signer })
    );
  }

  /** The responder whose own status is missing before its answer counts. */
  function signerToAsk(subject: Subject, question: RevocationQuestion): Certificate | null {
    const stored = store.answerFor(subject.certificate, subject.issuer);
    if (stored === null) return null;
    const standing = standingOf(stored, subject, question, 0 as Millis);
    if (standing.status === 'unknown' || standing.needs === null) return null;
    const known = crl.look({ ...subject, certificate: standing.needs }, question, 0 as Millis);
    return known.status === 'unknown' ? standing.needs : null;
  }
}

function standingOf(stored: StoredOcsp, { policy }: Subject, { settings, at }: RevocationQuestion, staleFor: Millis) {
  return ocspStanding(stored, { rules: settings.rules, at, signers: policy.ocspSigners ?? [], staleFor });
}

/** Those of the configuration before those that the certificate names. */
function respondersOf({ certificate, policy }: Subject): readonly string[] {
  return [...new Set([...policy.ocsp, ...certificate.extensions.authorityInfoAccess.ocsp])];
}
