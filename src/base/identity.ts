/**
 * The account a certificate belongs to, as the directory described it.
 */
import type { Dn, Instant, Sid } from './brand.ts';

export type AccountKind = 'user' | 'computer' | 'other';

export interface Account {
  readonly sid: Sid;
  /** `LAB\alice`: NetBIOS name of the domain and sAMAccountName. */
  readonly name: string;
  readonly samAccountName: string;
  /** NetBIOS name of the domain the account lives in. */
  readonly domain: string;
  /** Explicit userPrincipalName, null where the account has none. */
  readonly upn: string | null;
  readonly dn: Dn;
  /** objectGUID as 32 hex digits in wire order: what identifies the object when it is renamed or moved. */
  readonly guid: string;
  readonly kind: AccountKind;
  /** userAccountControl as stored; `accountState` judges it together with the computed attribute. */
  readonly userAccountControl: number;
  readonly disabled: boolean;
  /** Locked out, by msDS-User-Account-Control-Computed. */
  readonly locked: boolean;
  /** accountExpires; null means never. */
  readonly expires: Instant | null;
  /**
   * logonHours as 42 hex digits in stored order: 168 bits of one hour each from Sunday 00:00 on, the lowest bit of an octet first
   * (MS-SAMR 2.2.6.5). Null means at any time.
   */
  readonly logonHours: string | null;
  /** The password has expired or must be changed, by msDS-User-Account-Control-Computed. */
  readonly passwordExpired: boolean;
  /** Null when the directory did not say: then the age check of enforcement 1 cannot pass. */
  readonly whenCreated: Instant | null;
  /** altSecurityIdentities exactly as stored. */
  readonly altSecurityIdentities: readonly string[];
  readonly servicePrincipalNames: readonly string[];
  readonly dnsHostName: string | null;
  /** 16 hex digits over all that a decision about the account depends on, the same whichever controller gave it; groups are not in it. */
  readonly fingerprint: string;
  /** When a directory server gave us this entry, and which. */
  readonly readAt: Instant;
  readonly server: string;
}
