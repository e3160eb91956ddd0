/**
 * What revocation checking is asked and what it answers. A validated path comes in; what comes out is that nobody on it is revoked,
 * with the evidence, or a verdict. Everything that travels over a network is behind `Fetcher`.
 */
import type { Digest, Instant, Millis } from '../base/brand.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import type { TrustedPath, TrustStore } from '../trust/judgement.ts';
import type { Certificate, PublicKeyInfo } from '../x509/certificate.ts';
import type { Crl, CrlHeader, CrlReason } from '../x509/crl-contract.ts';
import type { BasicOcspResponse, SingleOcspResponse } from '../x509/ocsp-contract.ts';

/** How the certificates of one binding are checked. */
export interface RevocationSettings {
  /** cachedOnly: from what is there, nothing is fetched for a request. */
  readonly mode: 'disabled' | 'online' | 'cachedOnly';
  /** The whole chain below the anchor, or the leaf alone. */
  readonly scope: 'chain' | 'leaf';
  /** Which kind of source is asked first where a certificate names both. */
  readonly prefer: 'ocsp' | 'crl';
  /** How long what was fetched counts as fresh although it is still valid; 0: until nextUpdate. */
  readonly freshnessTime: Millis;
  /** Longest wait of one request for all that has to be fetched for it. */
  readonly retrievalTimeout: Millis;
  readonly whenUnknown: 'refuse' | 'accept' | 'acceptStale';
  /** With acceptStale: how long after nextUpdate an answer still counts. */
  readonly maximumStale: Millis;
  /** What becomes of a certificate that names no source and for which none is configured. */
  readonly noDistributionPoint: 'accept' | 'refuse';
  /** First match wins; whoever matches none has `required`. */
  readonly issuers: readonly IssuerPolicy[];
  readonly rules: AnswerRules;
}

export interface IssuerPolicy {
  /** `nameKey` of the issuer's subject. */
  readonly nameKey: string;
  /** Digest of its public key; null: whatever key carries the name. */
  readonly keyDigest: Digest | null;
  /** ifAvailable: unknown is accepted; never: not looked at. */
  readonly policy: 'required' | 'ifAvailable' | 'never';
  /** Sources beside those that certificates name: URLs of CRLs and OCSP responders. */
  readonly crls: readonly string[];
  readonly ocsp: readonly string[];
  /** May sign OCSP answers about this issuer's certificates, whoever issued them (RFC 6960 section 4.2.2.2, the first case). */
  readonly ocspSigners?: readonly Certificate[];
}

/** What an answer must satisfy to be believed, whoever gave it. */
export interface AnswerRules {
  /** Tolerated difference of clocks. */
  readonly clockSkew: Millis;
  /** Longest age of any answer; null: no limit but nextUpdate, and an hour for OCSP answers without one. */
  readonly maximumAge: Millis | null;
  readonly allowSha1: boolean;
  readonly minimumRsaBits: number;
  readonly nonce: 'never' | 'send' | 'require';
}

/** What decided about one certificate of the path. */
export interface Evidence {
  /** Position in the path, 0 is the leaf. */
  readonly depth: number;
  readonly subject: string;
  readonly thumbprint: string;
  readonly status: 'good' | 'revoked' | 'unknown' | 'notChecked';
  readonly method: 'crl' | 'ocsp' | 'none';
  /** URL or file; null where nothing decided. */
  readonly source: string | null;
  readonly thisUpdate: Instant | null;
  readonly nextUpdate: Instant | null;
  readonly fetchedAt: Instant | null;
  /** One clause with the facts. */
  readonly detail: string;
}

export type RevocationAnswer =
  | {
      readonly kind: 'good';
      readonly evidence: readonly Evidence[];
      /** From here on the answer must be asked for again. */
      readonly until: Instant;
    }
  | {
      readonly kind: 'refused';
      readonly verdict: Verdict;
      readonly evidence: readonly Evidence[];
      /** The certificate that is to blame. */
      readonly certificate: Certificate;
    };

export interface RevocationQuestion {
  readonly path: TrustedPath;
  /** All that was presented: it may hold the certificate of a CRL's or answer's signer. */
  readonly presented: readonly Certificate[];
  readonly store: TrustStore;
  readonly settings: RevocationSettings;
  readonly at: Instant;
  readonly steps: Steps;
  /** Longest wait, where less than `settings.retrievalTimeout` is left of it. */
  readonly timeout?: Millis;
}

/** Where a CRL is fetched from. */
export interface Fetcher {
  /**
   * One retrieval, whole: redirects followed within the rules. Never rejects, never outlives `timeout`.
   * @param url http, ldap (also serverless `ldap:///`), or file
   */
  fetch(url: string, options: FetchOptions): Promise<FetchOutcome>;
  /** Whether the configuration allows fetching from there; the sentence says why not. */
  refusalOf(url: string): string | null;
  close(): Promise<void>;
}

export interface FetchOptions {
  readonly timeout: Millis;
  /** Longer answers are cut off and fail. */
  readonly maximumBytes: number;
  /** Sent by POST when there, else GET. */
  readonly body?: { readonly bytes: Buffer; readonly contentType: string };
  /** From an earlier outcome: an answer that has not changed is not sent again. */
  readonly validators?: Validators;
  /** Ends the fetch early. */
  readonly signal?: AbortSignal;
}

export interface Validators {
  readonly etag: string | null;
  readonly lastModified: string | null;
}

export type FetchFailure =
  | 'hostNotAllowed'
  | 'unsupportedUrl'
  | 'unreachable'
  | 'timeout'
  | 'tooLarge'
  | 'tooManyRedirects'
  | 'httpStatus'
  /** An answer that is no HTTP, is encoded, or leads nowhere. */
  | 'malformedAnswer'
  | 'cutOff'
  | 'notFound'
  | 'aborted';

export type FetchOutcome =
  | {
      readonly kind: 'fetched';
      /**
       * In a SharedArrayBuffer of its own, so that a worker reads it without a copy. From LDAP the first value of the attribute; of
       * cACertificate and crossCertificatePair all values, one after the other.
       */
      readonly bytes: Buffer;
      /** Where it came from in the end. */
      readonly from: string;
      readonly validators: Validators;
      /** From Cache-Control or Expires (RFC 9111), for OCSP over GET; null: nothing was said. */
      readonly maximumAge: Millis | null;
    }
  | { readonly kind: 'notModified' }
  | { readonly kind: 'failed'; readonly code: FetchFailure; readonly detail: string };

/** A CRL that was verified and is in use. */
export interface StoredCrl {
  readonly crl: Crl;
  /** URL or file. */
  readonly source: string;
  readonly fetchedAt: Instant;
  /** Digest of the public key that its signature was verified with. */
  readonly signerKey: Digest;
}

/** The state of one source, for operators. */
export interface SourceState {
  readonly source: string;
  readonly kind: 'crl' | 'ocsp';
  /** RFC 4514 text of the issuer of what is held; null: nothing is. */
  readonly issuer: string | null;
  readonly entries: number | null;
  readonly crlNumber: string | null;
  readonly thisUpdate: Instant | null;
  readonly nextUpdate: Instant | null;
  readonly fetchedAt: Instant | null;
  /** When it will be asked next. */
  readonly nextAttempt: Instant | null;
  readonly lastError: {
    readonly at: Instant;
    readonly code: CrlRefusal | OcspRefusal | FetchFailure;
    readonly detail: string;
  } | null;
}

/** Why bytes that were fetched are not taken up as a CRL. */
export type CrlRefusal =
  | 'malformed'
  /** Nobody who may sign for this issuer did. */
  | 'wrongSigner'
  | 'weakAlgorithm'
  | 'notYetValid'
  | 'expired'
  /** Older than the one held. */
  | 'older'
  | 'unknownCritical';

export type Refreshed =
  | { readonly kind: 'taken' | 'unchanged'; readonly stored: StoredCrl }
  | { readonly kind: 'failed'; readonly code: CrlRefusal | FetchFailure; readonly detail: string };

/** Who may have signed the CRLs of a name: asked on the main thread, before a worker verifies. */
export type CrlSigners = (header: CrlHeader) => readonly PublicKeyInfo[];

export interface CrlStore {
  /** What is held for this issuer name (`nameKey`), complete lists and deltas of every key and scope. One map read. */
  issuedBy(nameKey: string): readonly StoredCrl[];
  /**
   * What came from this source last, or what replaced it from elsewhere: a newer list of the same issuer, key, scope and kind; null:
   * nothing is held.
   */
  from(source: string): StoredCrl | null;
  /**
   * Fetches and takes up; joins a fetch of this source under way. Looks on disk first when nothing is held. Never rejects. A source
   * that failed lately answers its failure at once until its back-off has passed. `expired` is a failure after which the list is held
   * all the same, when no newer one is: for those who accept stale answers.
   */
  refresh(source: string, signers: CrlSigners, options: RefreshOptions): Promise<Refreshed>;
  /** Every source ever asked. */
  states(): readonly SourceState[];
  /**
   * Takes over what is on disk for sources that `signers` can verify. Resolves when done; never rejects.
   * @param rules without them: no SHA-1, no skew
   */
  restore(signers: CrlSigners, rules?: Pick<RefreshOptions, 'allowSha1' | 'clockSkew'>): Promise<void>;
  close(): Promise<void>;
}

export interface RefreshOptions {
  readonly timeout: Millis;
  readonly allowSha1: boolean;
  readonly clockSkew: Millis;
  /** Takes an older list than the one held: an operator's order, audited by the caller. */
  readonly allowOlder?: boolean;
  /** Asks even during back-off. */
  readonly force?: boolean;
  /** From now on the source is asked in the background until it gives a list, and never forgotten, whether or not anybody wants it. */
  readonly standing?: boolean;
}

/** What CRLs say about one certificate. */
export type CrlAnswer =
  | {
      readonly status: 'good';
      readonly by: StoredCrl;
      readonly delta: StoredCrl | null;
      readonly until: Instant;
      readonly stale: boolean;
    }
  | {
      readonly status: 'revoked';
      readonly by: StoredCrl;
      readonly reason: CrlReason;
      readonly revocationDate: Instant;
    }
  | {
      readonly status: 'unknown';
      /** One clause: the best reason found, such as `the CRL of ... has expired`. */
      readonly why: string;
    };

/** Why an OCSP response does not count as an answer. */
export type OcspRefusal =
  | 'malformed'
  /** tryLater, unauthorized ... instead of an answer. */
  | 'responderError'
  /** Nothing in it is about the certificate. */
  | 'otherCertificate'
  /** Nobody who may sign for this issuer did. */
  | 'wrongSigner'
  | 'weakAlgorithm'
  | 'notYetValid'
  | 'expired'
  | 'unknownCritical'
  /** Of another request, or missing where it is required. */
  | 'nonce'
  /** The responder says that it does not know the certificate. */
  | 'unknownCertificate'
  /** Older than the one held. */
  | 'older';

/** An OCSP answer about one certificate, signed by somebody who may. What it means at an instant is `ocspStanding`'s to say. */
export interface AuthenticOcsp {
  /** The whole OCSPResponse. */
  readonly der: Buffer;
  readonly basic: BasicOcspResponse;
  readonly certificate: Certificate;
  /** Those about the certificate, at least one. */
  readonly singles: readonly SingleOcspResponse[];
  readonly signer: Certificate;
  /** RFC 6960 section 4.2.2.2: the issuer itself, a certificate of the configuration, or one that the issuer issued for this. */
  readonly right: 'issuer' | 'configured' | 'delegate';
  /** It repeats the nonce of the request that it answered. */
  readonly nonceEchoed: boolean;
}

/** What an authentic answer means at an instant under the rules of a binding. */
export type OcspStanding =
  | {
      readonly status: 'good';
      readonly thisUpdate: Instant;
      readonly nextUpdate: Instant | null;
      /** The last instant at which it counts. */
      readonly until: Instant;
      /** It counts only because staleness is tolerated. */
      readonly stale: boolean;
      /** This responder's certificate must be found good as well before the answer counts; null: it need not. */
      readonly needs: Certificate | null;
    }
  | {
      readonly status: 'revoked';
      readonly thisUpdate: Instant;
      readonly nextUpdate: Instant | null;
      readonly reason: CrlReason;
      readonly revocationDate: Instant;
      /** As for good; but an answer that somebody is revoked counts until this responder is known to be revoked itself. */
      readonly needs: Certificate | null;
    }
  | {
      readonly status: 'unknown';
      readonly code: OcspRefusal;
      /** One clause. */
      readonly why: string;
    };

export interface StoredOcsp extends AuthenticOcsp {
  /** URL of the responder. */
  readonly source: string;
  readonly fetchedAt: Instant;
}

/** One certificate on a validated path, and who may be asked about it. */
export interface OcspQuestion {
  readonly certificate: Certificate;
  readonly issuer: Certificate;
  /** URLs, in the order in which they are asked. */
  readonly responders: readonly string[];
  /** Certificates of the configuration that may sign (`IssuerPolicy.ocspSigners`). */
  readonly signers: readonly Certificate[];
}

export interface OcspRefreshOptions {
  readonly timeout: Millis;
  readonly rules: AnswerRules;
  /** Asks even during back-off. */
  readonly force?: boolean;
}

export type OcspRefreshed =
  /** unchanged: what was fetched is no newer than what is held. */
  | { readonly kind: 'taken' | 'unchanged'; readonly stored: StoredOcsp }
  | { readonly kind: 'failed'; readonly code: OcspRefusal | FetchFailure; readonly detail: string };

export interface OcspStore {
  /** What is held about a certificate; to be weighed by `ocspStanding` of `ocsp-answer.ts`. One map read. Marks it as seen, so that it is renewed. */
  answerFor(certificate: Certificate, issuer: Certificate): StoredOcsp | null;
  /**
   * Asks the responders one after the other and keeps the first answer that counts; joins a question of this kind under way. Never
   * rejects. What failed lately fails at once until its back-off has passed.
   */
  refresh(question: OcspQuestion, options: OcspRefreshOptions): Promise<OcspRefreshed>;
  /** Keeps an answer current whether or not anybody asks for it. @returns ends it */
  watch(question: OcspQuestion, options: OcspRefreshOptions): () => void;
  /** One for each responder that was ever asked, as far as remembered. */
  states(): readonly SourceState[];
  close(): Promise<void>;
}
