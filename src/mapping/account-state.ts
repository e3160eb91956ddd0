/**
 * Whether an account that was found may log on at all: disabled, locked, expired or of a kind that never does. A refusal
 * here is final; no other method is tried after it (MS-KILE 3.3.5.6.3 answers all of it with CLIENT_REVOKED).
 */
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import type { Account } from '../base/identity.ts';
import { verdict, type Verdict } from '../base/verdict.ts';

/** userAccountControl, MS-ADTS 2.2.16. */
export const accountControl = {
  interdomainTrust: 0x800,
  workstationTrust: 0x1000,
  serverTrust: 0x2000,
  partialSecrets: 0x4000000,
} as const;

/** Null when nothing speaks against it at this instant. */
export function stateRefusal(account: Account, now: Instant): Verdict | null {
  const kindComplaint = neverLogsOn(account);
  if (kindComplaint !== null) return verdict('accountRefused', `${account.name} ${kindComplaint}`, account);
  if (account.disabled) return verdict('accountDisabled', `${account.name} is disabled`, account);
  if (account.locked) return verdict('accountLocked', `${account.name} is locked out`, account);
  return expiryRefusal(account, now);
}

/** The one part of the state that changes without anybody writing to the directory: asked again of every cached answer. */
export function expiryRefusal(account: Account, now: Instant): Verdict | null {
  if (account.expires === null || now < account.expires) return null;
  return verdict('accountExpired', `${account.name} expired on ${isoText(account.expires)}`, account);
}

function neverLogsOn({ kind, userAccountControl, sid }: Account): string | null {
  if (kind === 'other') return 'is neither a user nor a computer';
  if ((userAccountControl & accountControl.interdomainTrust) !== 0) return 'is the account of a trust between domains';
  if ((userAccountControl & accountControl.partialSecrets) !== 0) return 'is a read-only domain controller';
  return sid.endsWith('-502') ? 'is the account of the KDC itself' : null;
}
