/**
 * Whether the dates of a certificate allow it at an instant (RFC 5280 section 4.1.2.5), and the window in which all of a path
 * do. Both ends are included; dates have whole seconds, so the fraction of the instant is dropped.
 */
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { RefusalCode } from './finding.ts';

export function findValidityFault(
  { notBefore, notAfter }: Certificate,
  at: Instant,
): { readonly code: RefusalCode; readonly detail: string } | null {
  const second = Math.floor(at / 1000) * 1000;
  if (second > notAfter)
    return { code: 'certificateExpired', detail: `expired: notAfter ${isoText(notAfter)}, judged at ${isoText(at)}` };
  if (second < notBefore)
    return {
      code: 'certificateNotYetValid',
      detail: `not yet valid: notBefore ${isoText(notBefore)}, judged at ${isoText(at)}`,
    };
  return null;
}

/** In milliseconds, so that comparing any instant with the window agrees with `findValidityFault`. */
export function validityWindow(path: readonly Certificate[]): { readonly from: Instant; readonly until: Instant } {
  return {
    from: Math.max(...path.map(({ notBefore }) => notBefore)) as Instant,
    until: (Math.min(...path.map(({ notAfter }) => notAfter)) + 999) as Instant,
  };
}
