/**
 * What an audit of mappings says, as types: the contract of `audit --json` (docs/audit.md). Which findings there are is decided in
 * the files beside it.
 */

/** `error`: a logon fails or the wrong one succeeds; `warning`: one will fail or should not be possible; `info`: good to know. */
export type AuditSeverity = 'error' | 'warning' | 'info';

/** Every code with its severity and what it means, in the order of reports. */
export const auditCodes = {
  duplicateValue: { severity: 'error', title: 'the same value on several accounts: certificates of it are refused' },
  duplicateInDirectory: {
    severity: 'error',
    title: 'values of several accounts that only the directory takes for equal (accents, width, case beyond A to Z)',
  },
  certificateAmbiguous: { severity: 'error', title: 'given certificates that belong to several accounts' },
  emptyPart: {
    severity: 'error',
    title: 'values with an empty part, which every certificate without that part would match',
  },
  malformedValue: { severity: 'error', title: 'values that no certificate can ever match' },
  issuerOnly: { severity: 'error', title: 'values that every certificate of one authority matches' },
  issuerNotInNtAuth: { severity: 'error', title: 'values whose issuer is not in NTAuthCertificates' },
  sidMismatch: { severity: 'error', title: 'values with the SID of another account' },
  weakOnly: { severity: 'warning', title: 'accounts with weak values only: refused under enforcement 2' },
  certificateUnmapped: { severity: 'warning', title: 'given certificates that belong to no account' },
  matchesNoCertificate: { severity: 'warning', title: 'values that no given certificate matches' },
  accountDisabled: { severity: 'warning', title: 'disabled accounts with mappings' },
  accountExpired: { severity: 'warning', title: 'expired accounts with mappings' },
  accountNeverLogsOn: { severity: 'warning', title: 'accounts with mappings that are of a kind that never logs on' },
  notReadWhole: { severity: 'warning', title: 'accounts that could not be read whole' },
  weakButConfirmed: {
    severity: 'info',
    title: 'accounts with weak values only, whose given certificates carry their SID',
  },
  kerberosValue: { severity: 'info', title: 'Kerberos: values, which are not for certificates' },
  foreignValue: { severity: 'info', title: 'values that are not of Windows: everybody skips them' },
} as const satisfies Readonly<Record<string, { readonly severity: AuditSeverity; readonly title: string }>>;

export type AuditCode = keyof typeof auditCodes;

export interface AuditAccount {
  /** `LAB\alice`. */
  readonly name: string;
  readonly sid: string;
  readonly dn: string;
}

export interface AuditFinding {
  readonly code: AuditCode;
  readonly severity: AuditSeverity;
  /** What is wrong with a malformed value; null for other codes. */
  readonly problem: string | null;
  /** Null where the finding is about a certificate that belongs to nobody. */
  readonly account: AuditAccount | null;
  /** Further accounts that are concerned, by name. */
  readonly others: readonly string[];
  /** File of a given certificate. */
  readonly certificate: string | null;
  /** As stored. */
  readonly value: string | null;
  /** One sentence for people. */
  readonly text: string;
  /** The value to store instead; null unless it is certain. */
  readonly corrected: string | null;
}

export interface AuditedDomain {
  readonly forest: string;
  /** DNS name. */
  readonly domain: string;
  /** Users and computers with altSecurityIdentities. */
  readonly accounts: number;
  readonly values: number;
  /** Why the scan did not come to its end; null when it did. */
  readonly missing: string | null;
}

export interface AuditReport {
  /** The configuration. */
  readonly source: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly endedAt: string;
  /** Whether every domain was scanned to its end and every account read whole. */
  readonly complete: boolean;
  readonly domains: readonly AuditedDomain[];
  /** Null when no certificates were given. */
  readonly certificates: {
    readonly folder: string;
    /** Certificates of clients; those of authorities are not counted. */
    readonly read: number;
    readonly unreadable: readonly { readonly file: string; readonly reason: string }[];
  } | null;
  /** What nobody looked at; sentences. */
  readonly notLookedAt: readonly string[];
  /** All findings, those that are left out below too. Codes without findings are missing. */
  readonly counts: Readonly<Partial<Record<AuditCode, number>>>;
  /** How many findings of each code are not in `findings`. */
  readonly leftOut: Readonly<Partial<Record<AuditCode, number>>>;
  readonly findings: readonly AuditFinding[];
}

/** What a finding may say beside its code and sentence. */
export type FindingFacts = Partial<Omit<AuditFinding, 'code' | 'severity' | 'text'>>;

export function auditFinding(code: AuditCode, text: string, facts: FindingFacts = {}): AuditFinding {
  const none = { problem: null, account: null, others: [], certificate: null, value: null, corrected: null };
  return { code, severity: auditCodes[code].severity, ...none, ...facts, text };
}

/** In the order of reports. */
export const orderOfCodes = Object.keys(auditCodes) as readonly AuditCode[];
