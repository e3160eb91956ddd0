/**
 * OCSP stapling for a server certificate of ours (RFC 6066 section 8): which answer goes into a handshake, if any. The store keeps it
 * current; a handshake never waits for it.
 */
import type { Clock } from '../base/clock.ts';
import { ocspStanding } from './ocsp-answer.ts';
import type { OcspQuestion, OcspRefreshOptions, OcspStore } from './revocation-contract.ts';

export interface Stapler {
  /** DER of an OCSPResponse that says good and has not ended; null: there is none now. */
  staple(): Buffer | null;
  close(): void;
}

/** @param question about the server's certificate; its issuer is the next one of the chain that is served */
export function createStapler(
  question: OcspQuestion,
  options: OcspRefreshOptions,
  { store, clock }: { readonly store: OcspStore; readonly clock: Clock },
): Stapler {
  // A nonce would be of no use to clients, and keep caches from answering.
  const rules = { ...options.rules, nonce: 'never' } as const;
  const stop = store.watch(question, { ...options, rules });
  // Clients need not tolerate what we tolerate.
  const strict = { ...rules, clockSkew: 0 as typeof rules.clockSkew };
  return {
    staple() {
      const stored = store.answerFor(question.certificate, question.issuer);
      if (stored === null) return null;
      const standing = ocspStanding(stored, { rules: strict, at: clock.now(), signers: question.signers });
      return standing.status === 'good' ? stored.der : null;
    },
    close: stop,
  };
}
