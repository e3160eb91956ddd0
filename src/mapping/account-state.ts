/**
 * Whether an account that was found may log on at all: disabled, locked, expired, outside its hours or of a kind that never does. A refusal
 * here is final; no other method is tried after it (MS-KILE 3.3.5.6.3 answers all of it with CLIENT_REVOKED).
 */
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import type { Account } from '../base/identity.ts';
import { verdict, type Verdict } from '../base/verdict.ts';
import type { MappingSettings } from './mapper-contract.ts';

/** userAccountControl, MS-ADTS 2.2.16. */
export const accountControl = {
  interdomainTrust: 0x800,
  workstationTrust: 0x1000,
  serverTrust: 0x2000,
  partialSecrets: 0x4000000,
} as const;

type Rules = Pick<MappingSettings, 'logonHours' | 'refuseExpiredPassword'>;

/** Null when nothing speaks against it at this instant. */
export function stateRefusal(account: Account, now: Instant, rules: Rules): Verdict | null {
  const kindComplaint = neverLogsOn(account);
  if (kindComplaint !== null) return verdict('accountRefused', `${account.name} ${kindComplaint}`, account);
  if (account.disabled) return verdict('accountDisabled', `${account.name} is disabled`, account);
  if (account.locked) return verdict('accountLocked', `${account.name} is locked out`, account);
  if (rules.refuseExpiredPassword && account.passwordExpired)
    return verdict('passwordExpired', `the password of ${account.name} has expired or must be changed`, account);
  return timeRefusal(account, now, rules);
}

/** The part of the state that changes without anybody writing to the directory: asked again of every cached answer. */
export function timeRefusal(account: Account, now: Instant, rules: Pick<Rules, 'logonHours'>): Verdict | null {
  const { name, expires, logonHours } = account;
  if (expires !== null && now >= expires)
    return verdict('accountExpired', `${name} expired on ${isoText(expires)}`, account);
  if (rules.logonHours && logonHours !== null && !mayLogOnAt(logonHours, now))
    return verdict('outsideLogonHours', `${name} may not log on at this hour, ${isoText(now)}`, account);
  return null;
}

/** From when on `timeRefusal` may say something else of an account that it lets pass now. Never: Infinity. */
export function timeRefusalFrom(
  { expires, logonHours }: Account,
  now: Instant,
  rules: Pick<Rules, 'logonHours'>,
): number {
  const hour = 3_600_000;
  const nextHour = rules.logonHours && logonHours !== null ? (Math.floor(now / hour) + 1) * hour : Infinity;
  return Math.min(expires ?? Infinity, nextHour);
}

/**
 * 168 bits from Sunday 00:00 UTC on, the lowest of an octet first (MS-SAMR 2.2.6.5). The tools of Windows write UTC; MS-KILE
 * 3.3.5.6.4.1 speaks of the local time of the controller, which nobody else can know.
 */
function mayLogOnAt(logonHours: string, now: Instant): boolean {
  const date = new Date(now);
  const hour = date.getUTCDay() * 24 + date.getUTCHours();
  const octet = Number.parseInt(logonHours.slice((hour >> 3) * 2, (hour >> 3) * 2 + 2), 16);
  return ((octet >> (hour & 7)) & 1) === 1;
}

function neverLogsOn({ kind, userAccountControl, sid }: Account): string | null {
  if (kind === 'other') return 'is neither a user nor a computer';
  if ((userAccountControl & accountControl.interdomainTrust) !== 0) return 'is the account of a trust between domains';
  if ((userAccountControl & accountControl.partialSecrets) !== 0) return 'is a read-only domain controller';
  return sid.endsWith('-502') ? 'is the account of the KDC itself' : null;
}
