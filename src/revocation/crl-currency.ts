/**
 * Whether a CRL counts at an instant: not before its thisUpdate, until its nextUpdate or the longest age that is allowed, and for a while
 * longer where stale answers are accepted.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { CrlHeader } from '../x509/crl-contract.ts';
import type { AnswerRules } from './revocation-contract.ts';

export interface CurrencyDemands {
  readonly rules: Pick<AnswerRules, 'clockSkew' | 'maximumAge'>;
  readonly at: Instant;
  /** How long after its end a list still counts; 0: not at all. */
  readonly staleFor: Millis;
}

export interface Currency {
  readonly state: 'future' | 'current' | 'stale' | 'expired';
  /** The last instant at which it counts; infinite where nothing limits it. */
  readonly until: Instant;
}

/** The tolerated difference of clocks lengthens both ends, but not the longest age. */
export function currencyOf(
  { thisUpdate, nextUpdate }: Pick<CrlHeader, 'thisUpdate' | 'nextUpdate'>,
  { rules, at, staleFor }: CurrencyDemands,
): Currency {
  const end = Math.min(
    nextUpdate === null ? Infinity : nextUpdate + rules.clockSkew,
    rules.maximumAge === null ? Infinity : thisUpdate + rules.maximumAge,
  );
  const until = end as Instant;
  if (thisUpdate > at + rules.clockSkew) return { state: 'future', until };
  if (at <= end) return { state: 'current', until };
  const last = (end + staleFor) as Instant;
  return at <= last ? { state: 'stale', until: last } : { state: 'expired', until: last };
}
