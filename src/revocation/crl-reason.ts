/**
 * Names of CRL reasons (RFC 5280 section 5.3.1), for sentences.
 */
import type { CrlReason } from '../x509/crl-contract.ts';

export function crlReasonName(reason: CrlReason): string {
  return names[reason];
}

const names: Readonly<Record<CrlReason, string>> = {
  0: 'unspecified',
  1: 'keyCompromise',
  2: 'cACompromise',
  3: 'affiliationChanged',
  4: 'superseded',
  5: 'cessationOfOperation',
  6: 'certificateHold',
  8: 'removeFromCRL',
  9: 'privilegeWithdrawn',
  10: 'aACompromise',
};
