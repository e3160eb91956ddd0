/**
 * The two ways of finding out whether a certificate is revoked, seen from the policy: each says what it knows now, and can be told to
 * find out more. What unknown means is not theirs to say.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { Evidence, IssuerPolicy, RevocationQuestion } from './revocation-contract.ts';

/** One certificate of a path that has to be checked. */
export interface Subject {
  /** Position in the path, 0 is the leaf. */
  readonly depth: number;
  readonly certificate: Certificate;
  /** The certificate above it in the path. */
  readonly issuer: Certificate;
  readonly policy: IssuerPolicy;
}

/** From where and from when an answer is. */
export type Provenance = Pick<Evidence, 'source' | 'thisUpdate' | 'nextUpdate' | 'fetchedAt' | 'detail'>;

export type Finding =
  | ({
      readonly status: 'good';
      /** From here on it must be asked again. */
      readonly until: Instant;
    } & Provenance)
  | ({ readonly status: 'revoked' } & Provenance)
  | {
      readonly status: 'unknown';
      /** One clause. */
      readonly why: string;
    };

export interface Method {
  readonly name: 'crl' | 'ocsp';
  /** Whether there is anything to ask for this certificate: named by it, or configured for its issuer. */
  names(subject: Subject): boolean;
  /** From what is held, at once. @param staleFor how long after its nextUpdate an answer still counts */
  look(subject: Subject, question: RevocationQuestion, staleFor: Millis): Finding;
  /** Asks the sources. Resolves when all have answered or failed, within `timeout`; never rejects. @returns why, for each that failed */
  fetch(subject: Subject, question: RevocationQuestion, timeout: Millis): Promise<readonly string[]>;
}
