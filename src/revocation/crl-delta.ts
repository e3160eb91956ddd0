/**
 * Which delta CRL completes a complete one (RFC 5280 sections 5.2.4 and 6.3.3 (c)), and which of two lists is the newer one. Whether either
 * is current is decided in `crl-currency.ts`.
 */
import { sameBytes } from '../base/bytes.ts';
import type { StoredCrl } from './revocation-contract.ts';

/** The newest that fits, among usable lists of the same issuer name; null: none does. */
export function deltaFor(base: StoredCrl, usable: readonly StoredCrl[]): StoredCrl | null {
  let newest: StoredCrl | null = null;
  for (const delta of usable)
    if (completes(delta, base) && (newest === null || compareAge(delta, newest) < 0)) newest = delta;
  return newest;
}

/** For sorting newest first: by thisUpdate, then by number, because an authority that was restored counts from below. */
export function compareAge(a: StoredCrl, b: StoredCrl): number {
  const byDate = b.crl.thisUpdate - a.crl.thisUpdate;
  return byDate === 0 ? Number((b.crl.crlNumber ?? -1n) - (a.crl.crlNumber ?? -1n)) : byDate;
}

/**
 * The same key signed both, which is what step (h) verifies the delta with. One that was published together with the complete list has
 * its number and says the same (section 5.2.3): it stands for those to come.
 */
function completes(delta: StoredCrl, base: StoredCrl): boolean {
  const { baseCrlNumber, crlNumber } = delta.crl;
  const from = base.crl.crlNumber;
  if (baseCrlNumber === null || crlNumber === null || from === null) return false;
  return (
    delta.signerKey === base.signerKey &&
    baseCrlNumber <= from &&
    crlNumber >= from &&
    sameOctets(
      delta.crl.authorityKeyIdentifier?.keyIdentifier ?? null,
      base.crl.authorityKeyIdentifier?.keyIdentifier ?? null,
    ) &&
    sameOctets(delta.crl.issuingDistributionPoint?.value ?? null, base.crl.issuingDistributionPoint?.value ?? null)
  );
}

function sameOctets(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : sameBytes(a, b);
}
