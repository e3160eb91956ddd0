/**
 * What mapping takes and gives. HTTP and TLS are unknown here.
 */
import type { Digest, Instant, Millis } from '../base/brand.ts';
import type { Account, AccountKind } from '../base/identity.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import type { SearchRecord } from '../directory/directory.ts';
import type { Certificate } from '../x509/certificate.ts';

/** Microsoft's names (contract of `explain --json`). */
export type MappingMethod =
  | 'X509IssuerSubject'
  | 'X509SubjectOnly'
  | 'X509RFC822'
  | 'X509IssuerSerialNumber'
  | 'X509SKI'
  | 'X509SHA1PublicKey'
  | 'X509IssuerSid'
  | 'X509IssuerOnly'
  | 'UPN'
  | 'DNS';

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
  /** Whether the immediate issuer must be in NTAuthCertificates. False needs `labOnly`. */
  readonly requireNtAuth: boolean;
  /** Refuse when the certificate's SID is another account's although the mapping is strong (stricter than Windows). */
  readonly sidVeto: boolean;
  readonly deadline: Millis;
  readonly cache: MappingCacheSettings;
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
  useSubjectAltName: true,
  requireNtAuth: true,
  sidVeto: false,
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
  /** What made it strong enough: the method itself, the SID extension, the SAN URI, or the age check. */
  readonly strengthBy: 'method' | 'sidExtension' | 'sidUri' | 'age' | 'notEnforced';
}

export type MappingResult =
  | { readonly kind: 'mapped'; readonly identity: MappedIdentity; readonly searches: readonly SearchRecord[] }
  /** A fact about the directory: may be cached as a negative answer. */
  | { readonly kind: 'refused'; readonly verdict: Verdict; readonly searches: readonly SearchRecord[] }
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
  readonly steps: Steps;
}

export interface Mapper {
  /** Synchronous when the cache holds a usable answer; never rejects. */
  map(subject: MappingSubject, now: Instant, options: MapOptions): MapAnswer | Promise<MapAnswer>;
  /** All candidates of a certificate under the settings in force; needs no directory. */
  candidates(leaf: Certificate): readonly Candidate[];
  /** Drops everything, or what belongs to one account. Returns how many entries went. */
  forget(sid?: string): number;
  readonly size: number;
}

export type { AccountKind };
