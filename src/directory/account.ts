/**
 * A directory entry as an `Account`. Decides what an account must say about itself to be used at all: an entry without its SID, its
 * state or its name is not "an account without", it is one that we may not read, and then nobody knows. Whether the
 * account may pass is decided by mapping.
 */
import { hash } from 'node:crypto';
import type { Dn, Instant, Sid } from '../base/brand.ts';
import type { Account, AccountKind } from '../base/identity.ts';
import { textOf, valuesOf } from './entry.ts';
import type { Found } from './search.ts';
import { parseSid } from './sid.ts';

export const accountAttributes: readonly string[] = [
  'objectClass',
  'objectGUID',
  'objectSid',
  'sAMAccountName',
  'userPrincipalName',
  'userAccountControl',
  'msDS-User-Account-Control-Computed',
  'accountExpires',
  'logonHours',
  'whenCreated',
  'altSecurityIdentities',
  'servicePrincipalName',
  'dNSHostName',
];

/** An account, or why the entry cannot be used: one sentence with the attribute and the server. */
export type ParsedAccount =
  { readonly kind: 'account'; readonly account: Account } | { readonly kind: 'unusable'; readonly reason: string };

/**
 * @param domain NetBIOS name of the domain of the entry
 * @param readAt when the server gave the entry
 */
export function parseAccount(found: Found, domain: string, readAt: Instant): ParsedAccount {
  const { account, gaps } = readAccount(found, domain, readAt);
  if (gaps.length === 0) return { kind: 'account', account };
  return { kind: 'unusable', reason: `${found.server} gave ${account.dn} with gaps: ${gaps.join(', ')}` };
}

/**
 * The account as far as the entry tells, and all that it does not tell as it should. With gaps it is for showing only: what was not
 * read is the null SID, zeros, and a kind that never logs on.
 */
export function readAccount(
  { entry, server }: Found,
  domain: string,
  readAt: Instant,
): { readonly account: Account; readonly gaps: readonly string[] } {
  const gaps: string[] = [];
  const read = <T>(attribute: string, parse: (value: Buffer) => T | null): T | null => {
    const values = valuesOf(entry, attribute);
    const [value] = values;
    if (value === undefined) return null;
    const parsed = values.length === 1 ? parse(value) : null;
    if (parsed === null) gaps.push(`${attribute} is not what it should be`);
    return parsed;
  };
  const need = <T>(attribute: string, parse: (value: Buffer) => T | null, otherwise: T): T => {
    if (valuesOf(entry, attribute).length === 0) gaps.push(`${attribute} is missing`);
    return read(attribute, parse) ?? otherwise;
  };
  const texts = (attribute: string): readonly string[] => {
    const values = valuesOf(entry, attribute).map(textOf);
    if (values.includes(null)) gaps.push(`${attribute} is not text`);
    return values.filter((value) => value !== null);
  };

  const sid = need('objectSid', parseSid, 'S-1-0-0' as Sid);
  const guid = need('objectGUID', (value) => octetsOf(value, 16), '0'.repeat(32));
  const samAccountName = need('sAMAccountName', textOf, '');
  const control = need('userAccountControl', parseInteger, 0);
  const computed = need('msDS-User-Account-Control-Computed', parseInteger, 0);
  const expires = need<Instant | 'never'>('accountExpires', parseExpiry, 'never');
  const logonHours = read('logonHours', (value) => octetsOf(value, 21));
  const classes = texts('objectClass').map((name) => name.toLowerCase());
  if (classes.length === 0) gaps.push('objectClass is missing');
  const upn = read('userPrincipalName', textOf);
  const dnsHostName = read('dNSHostName', textOf);
  const altSecurityIdentities = texts('altSecurityIdentities');
  const servicePrincipalNames = texts('servicePrincipalName');
  const decisive = [
    [sid, samAccountName, upn, dnsHostName, expires, logonHours],
    [control, computed & (flags.lockout | flags.passwordExpired)],
    ...[classes, altSecurityIdentities, servicePrincipalNames].map((values) => values.toSorted()),
  ];
  const account: Account = {
    sid,
    name: `${domain}\\${samAccountName}`,
    samAccountName,
    domain,
    upn,
    dn: entry.dn as Dn,
    guid,
    kind: kindOf(sid, samAccountName, classes, control),
    userAccountControl: control,
    disabled: (control & flags.disabled) !== 0,
    locked: (computed & flags.lockout) !== 0,
    expires: expires === 'never' ? null : expires,
    logonHours,
    passwordExpired: (computed & flags.passwordExpired) !== 0,
    whenCreated: firstTime(valuesOf(entry, 'whenCreated')),
    altSecurityIdentities,
    servicePrincipalNames,
    dnsHostName,
    fingerprint: hash('sha256', JSON.stringify(decisive), 'hex').slice(0, 16),
    readAt,
    server,
  };
  return { account, gaps };
}

/** userAccountControl (MS-ADTS 2.2.16) and its computed twin. */
const flags = {
  disabled: 0x2,
  lockout: 0x10,
  temporaryDuplicate: 0x100,
  normal: 0x200,
  interdomainTrust: 0x800,
  workstationTrust: 0x1000,
  serverTrust: 0x2000,
  passwordExpired: 0x80_0000,
} as const;

/**
 * Class and trust bits have to agree: an account that is half a user and half a computer is neither. The key distribution
 * centre's own accounts (krbtgt, and krbtgt_12345 of read-only controllers) and trusts belong to nobody who logs on.
 */
export function kindOf(sid: string, samAccountName: string, classes: readonly string[], control: number): AccountKind {
  const trust = control & (flags.interdomainTrust | flags.workstationTrust | flags.serverTrust);
  if (sid.endsWith('-502') || /^krbtgt(?:_\d+)?$/i.test(samAccountName)) return 'other';
  if ((control & (flags.interdomainTrust | flags.temporaryDuplicate)) !== 0) return 'other';
  if (classes.includes('computer')) return trust === 0 || (control & flags.normal) !== 0 ? 'other' : 'computer';
  return classes.includes('user') && trust === 0 && (control & flags.normal) !== 0 ? 'user' : 'other';
}

/** Hex digits of exactly so many octets. */
function octetsOf(value: Buffer, length: number): string | null {
  return value.length === length ? value.toString('hex') : null;
}

/** INTEGER of 32 bits (RFC 4517 section 3.3.16), signed: AD writes 0x80000000 and above as negative numbers. */
export function parseInteger(value: Buffer): number | null {
  const text = value.toString('latin1');
  const number = /^-?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return number >= -(2 ** 31) && number < 2 ** 32 ? number : null;
}

/** FILETIME: 100 ns since 1601-01-01. 0 and 0x7FFFFFFFFFFFFFFF mean never (MS-ADA1 2.2). */
function parseExpiry(value: Buffer): Instant | 'never' | null {
  const text = value.toString('latin1');
  if (!/^\d{1,19}$/.test(text)) return null;
  const ticks = BigInt(text);
  if (ticks === 0n || ticks >= 0x7fff_ffff_ffff_ffffn) return 'never';
  return Number(ticks / 10_000n - 11_644_473_600_000n) as Instant;
}

/** GeneralizedTime as AD writes it, `20220831090941.0Z`; null when there is none or it is in another form. */
function firstTime([value]: readonly Buffer[]): Instant | null {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?Z$/.exec(value?.toString('latin1') ?? '');
  if (parts === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  const instant = Date.UTC(year, month - 1, day, hour, minute, second);
  return new Date(instant).getUTCMonth() === month - 1 ? (instant as Instant) : null;
}
