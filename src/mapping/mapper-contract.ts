/**
 * What mapping takes and gives. HTTP and TLS are unknown here.
 */
import type { Digest, Instant, Millis, Sid, Thumbprint } from '../base/brand.ts';
import type { Account, AccountKind } from '../base/identity.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import type { Again, DirectoryChange, Groups, SearchRecord } from '../directory/directory.ts';
import type { Certificate } from '../x509/certificate.ts';

/** Microsoft's names (contract of `explain --json`). */
export const mappingMethods = [
  'X509IssuerSerialNumber',
  'X509SKI',
  'X509SHA1PublicKey',
  'X509IssuerSid',
  'UPN',
  'DNS',
  'X509IssuerSubject',
  'X509SubjectOnly',
  'X509RFC822',
  'X509IssuerOnly',
] as const;

export type MappingMethod = (typeof mappingMethods)[number];

/** Which mapper of Windows is imitated; what each sets is in `profiles.ts`. */
export type MappingProfile = 'windows-2026' | 'windows-2022-compat' | 'schannel-legacy';

export interface Candidate {
  readonly method: MappingMethod;
  /** The altSecurityIdentities value, the UPN or the DNS name: exactly what is looked for. */
  readonly value: string;
  readonly strength: 'strong' | 'weak';
  /** Whether the settings in force look this candidate up. */
  readonly used: boolean;
  /** Why it is used or not, and from what part of the certificate it comes; one sentence. */
  readonly why: string;
}

export interface MappingSettings {
  /** KB5014754: 0 off, 1 compatibility, 2 full enforcement. Below 2 needs `labOnly`. */
  readonly strongCertificateBindingEnforcement: 0 | 1 | 2;
  /** Seconds; only with enforcement 1. */
  readonly certificateBackdatingCompensation: number;
  /** Whether UPN and DNS names of the subjectAltName may map at all. */
  readonly useSubjectAltName: boolean;
  /** Bits of CertificateMappingMethods (Schannel): 0x1 subject and issuer, 0x2 issuer, 0x4 UPN, 0x8 S4U2Self, 0x10 S4U2Self explicit. */
  readonly certificateMappingMethods: number;
  /** Methods for which the immediate issuer must be in NTAuthCertificates. Fewer than all needs `labOnly`. */
  readonly ntAuthMethods: readonly MappingMethod[];
  /** KDC policy "Allow name-based strong mappings for certificates", in the order of the configuration. */
  readonly nameBasedRules: readonly NameBasedRule[];
  /** Take the account of the first method that finds one, as the KDC does, where several accounts would be refused. Needs `labOnly`. */
  readonly firstMatch: boolean;
  /** Whether logonHours of the account are kept; they are taken as UTC. */
  readonly logonHours: boolean;
  /** Whether an account whose password has expired, or must be changed, is refused. */
  readonly refuseExpiredPassword: boolean;
  readonly openPoints: OpenPoints;
  /** Refuse when the certificate's SID is another account's although the mapping is strong (stricter than Windows). */
  readonly sidVeto: boolean;
  readonly deadline: Millis;
  readonly cache: MappingCacheSettings;
}

/** One line of StrongNameMatches (KB5014754): what makes a name-based mapping of a user count as strong. */
export interface NameBasedRule {
  /** SHA-1 of the certificate of the immediate issuer. */
  readonly issuer: Thumbprint;
  /** Dotted decimal; one of them in certificatePolicies is enough. */
  readonly policies: readonly string[];
  /** Domains, lower case, one of which must stand behind the `@` of the UPN; empty: UPNs are not made strong. */
  readonly upnSuffixes: readonly string[];
  readonly issuerSubject: boolean;
}

/** Where what Windows does is not known for certain: each a switch, off or as advised by default (docs/mapping.md). */
export interface OpenPoints {
  /** What `<SHA1-PUKEY>` is the hash of; `both` also looks for the hash of the key (BIT STRING contents and SubjectPublicKeyInfo). */
  readonly sha1PublicKey: 'certificate' | 'both';
  /** Whether a serial number that begins with a sign octet is looked for without it, with it, or both. */
  readonly serialSignOctet: 'both' | 'dropped' | 'kept';
  /** Also look for `X509: <RFC822>`, as MS-PKCA prints it. */
  readonly rfc822Blank: boolean;
  /** Also look for names with a backslash in the quoted spelling. */
  readonly quotedBackslash: boolean;
  /** Also look for names without any quoting. Needs `labOnly`: `CN="a,CN=b"` would then be two RDNs. */
  readonly unquotedNames: boolean;
  /** Take SHA-1 of the key for the identifier where a certificate has none. Needs `labOnly`. */
  readonly computedSubjectKeyIdentifier: boolean;
  /** Also look for `<RFC822>` with the e-mail address of the subject. */
  readonly rfc822FromSubject: boolean;
  /** Several UPNs in one certificate: refuse to choose, or take the first. `first` needs `labOnly`. */
  readonly severalUpns: 'refuse' | 'first';
  /** Whether a SID in a URI of the subjectAltName that is not the account's refuses, as one in the extension does. */
  readonly sidUriMismatchRefuses: boolean;
  /** Whether a UPN is a weak mapping under enforcement 1 (Windows) or none at all (Samba). */
  readonly upnIsWeakMapping: boolean;
  /** Whether computers are also found by `host/` and their DNS name among the servicePrincipalNames (the RCMP rule). */
  readonly computerBySpn: boolean;
}

export interface MappingCacheSettings {
  readonly positive: Millis;
  readonly negative: Millis;
  /** How long past `positive` an answer may still be used while, or because, a fresh one cannot be had. */
  readonly stale: Millis;
  readonly maximum: number;
}

/** What holds where nobody configured anything: what a domain controller of 2026 does. */
export const defaultMappingSettings: MappingSettings = {
  strongCertificateBindingEnforcement: 2,
  certificateBackdatingCompensation: 600,
  certificateMappingMethods: 0x18,
  useSubjectAltName: true,
  ntAuthMethods: mappingMethods,
  nameBasedRules: [],
  sidVeto: false,
  firstMatch: false,
  logonHours: false,
  refuseExpiredPassword: false,
  openPoints: {
    sha1PublicKey: 'certificate',
    serialSignOctet: 'both',
    rfc822Blank: false,
    quotedBackslash: true,
    unquotedNames: false,
    computedSubjectKeyIdentifier: false,
    rfc822FromSubject: false,
    severalUpns: 'refuse',
    sidUriMismatchRefuses: true,
    upnIsWeakMapping: true,
    computerBySpn: false,
  },
  deadline: 5000 as Millis,
  cache: {
    positive: 900_000 as Millis,
    negative: 60_000 as Millis,
    stale: 600_000 as Millis,
    maximum: 200_000,
  },
};

/** What the judge step found out, as far as mapping needs it. */
export interface MappingSubject {
  readonly leaf: Certificate;
  /** The validated issuer of the leaf. */
  readonly issuer: Certificate;
  /** The whole validated path, leaf first, anchor last. */
  readonly path: readonly Certificate[];
  /** Digest of the trust store that validated it; part of the cache key. */
  readonly trustDigest: Digest;
}

export interface MappedIdentity {
  /** Its `altSecurityIdentities` and `servicePrincipalNames` are left empty: what they decide has been decided. */
  readonly account: Account;
  /** The method that located it, strongest first when several did. */
  readonly method: MappingMethod;
  /** Every method that points at this account. */
  readonly methods: readonly MappingMethod[];
  readonly strength: 'strong' | 'weak';
  /**
   * What made it strong enough: the method itself, a name-based rule, the SID extension, the SAN URI, the age check; or
   * nothing, because enforcement is 0 (`notEnforced`) or a method of RCMP found it, which never asks (`rcmp`).
   */
  readonly strengthBy: 'method' | 'nameBasedRule' | 'sidExtension' | 'sidUri' | 'age' | 'notEnforced' | 'rcmp';
}

/**
 * What the KDC would write to its System log (KB5014754): 39 no strong mapping, 40 the certificate is older than the account, 41 the SID is
 * another account's. `warning`: it let the certificate pass.
 */
export interface KdcEvent {
  readonly id: 39 | 40 | 41;
  readonly level: 'warning' | 'error';
  readonly account: Account;
  readonly leaf: Certificate;
  readonly issuer: Certificate;
  /** SID that the certificate names, in its extension or a URI. */
  readonly certificateSid: string | null;
  /** Forms that matched, and every value that was looked for. */
  readonly matched: readonly Candidate[];
  readonly candidates: readonly Candidate[];
}

export type MappingResult =
  | {
      readonly kind: 'mapped';
      readonly identity: MappedIdentity;
      readonly searches: readonly SearchRecord[];
      /** A warning that the KDC would log. */
      readonly event?: KdcEvent;
    }
  /** A fact about the directory: may be cached as a negative answer. */
  | {
      readonly kind: 'refused';
      readonly verdict: Verdict;
      readonly searches: readonly SearchRecord[];
      readonly event?: KdcEvent;
    }
  /** Somebody did not answer: never cached, never "not mapped". */
  | { readonly kind: 'unknown'; readonly verdict: Verdict; readonly searches: readonly SearchRecord[] };

export type CacheOutcome = 'hit' | 'negative' | 'stale' | 'miss' | 'joined' | 'bypass';

export interface MapAnswer {
  readonly result: MappingResult;
  readonly cache: CacheOutcome;
}

export interface MapOptions {
  /** Oldest read of the account that the location accepts, in milliseconds; null: no limit beyond the cache's own. */
  readonly maximumAge: Millis | null;
  /** Ask the directory whatever the cache holds (explain); the answer is stored as usual. */
  readonly fresh?: boolean;
  /** Wait for a new answer where the old one is out of date, and take the old one only where none can be had (recheck). */
  readonly current?: boolean;
  readonly steps: Steps;
}

export interface Mapper {
  /** Synchronous when the cache holds a usable answer; never rejects. */
  map(subject: MappingSubject, now: Instant, options: MapOptions): MapAnswer | Promise<MapAnswer>;
  /** All candidates of a certificate under the settings in force; needs no directory. */
  candidates(leaf: Certificate): readonly Candidate[];
  /**
   * All groups of an account that was mapped, nested ones too. Synchronous when memory holds them and they were not read longer ago than
   * `maximumAge`; never rejects. `unknown` is passed on and forgotten.
   */
  groupsOf(account: Account, now: Instant, options: MapOptions): Groups | Promise<Groups>;
  /** Which groups anybody asks for: when one of them, or one inside of them, changes, everybody's groups are read again. */
  pin(groups: readonly Sid[]): void;
  /** Drops what is not right any more after these changes; resolves to how many answers and lists of groups went. Never rejects. */
  noteChanges(changes: readonly DirectoryChange[]): Promise<number>;
  /**
   * What became of accounts that were read again: answers about those that are gone or changed are dropped, the others count as read
   * now. Resolves to how many were dropped. Never rejects.
   */
  noteAgain(again: ReadonlyMap<Account, Again>): Promise<number>;
  /** Drops everything, or what belongs to one account. Returns how many entries went. */
  forget(sid?: string): number;
  readonly size: number;
  /** Moves when answers have been ended by a change, and before: what was begun at another number may rest on what is not right any more. */
  readonly endings: number;
}

export type { AccountKind };
