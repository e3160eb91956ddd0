/**
 * What is asked about one certificate when its CRLs are consulted.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { TrustedPath, TrustStore } from '../trust/judgement.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { AnswerRules, CrlStore } from './revocation-contract.ts';

export interface CrlQuestion {
  /** On the path, or issued by one that is: an OCSP responder's, for example. */
  readonly certificate: Certificate;
  /** Who issued it; on the path. */
  readonly issuer: Certificate;
  readonly path: TrustedPath;
  /** What came with this path; the same whenever it is asked about. */
  readonly presented: readonly Certificate[];
  readonly store: TrustStore;
  readonly rules: AnswerRules;
  readonly at: Instant;
  /** How long after its end a list still counts; 0: not at all. */
  readonly staleFor: Millis;
  readonly lists: Pick<CrlStore, 'issuedBy'>;
}
