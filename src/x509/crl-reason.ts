/**
 * The reasons of a revocation by name (CRLReason of RFC 5280 section 5.3.1).
 */
import type { CrlReason } from './crl-contract.ts';

export const crlReasons = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const satisfies Readonly<Record<string, CrlReason>>;

const names = new Map<CrlReason, string>(Object.entries(crlReasons).map(([name, reason]) => [reason, name]));

export function crlReasonName(reason: CrlReason): string {
  return names.get(reason) ?? String(reason);
}
