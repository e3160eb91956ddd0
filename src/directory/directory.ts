/**
 * What the rest of the product may ask a directory. Certificates are unknown here: callers bring attribute values.
 */
import type { Digest, Instant, Millis } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';

/** One equality assertion. `domain` limits a sAMAccountName to one domain (DNS name, lower case). */
export type Assertion =
  | {
      readonly attribute: 'altSecurityIdentities' | 'userPrincipalName' | 'servicePrincipalName';
      readonly value: string;
    }
  | { readonly attribute: 'sAMAccountName'; readonly value: string; readonly domain: string };

/**
 * `accounts` holds every account that a server returned for any assertion, without duplicates (by objectGUID). A server's
 * idea of equality is looser than ours: the caller compares the values again. `unknown` means that some
 * server that had to be asked did not answer: it never means "none".
 */
export type Located =
  | { readonly kind: 'answered'; readonly accounts: readonly Account[]; readonly searches: readonly SearchRecord[] }
  | { readonly kind: 'unknown'; readonly reason: string; readonly searches: readonly SearchRecord[] };

/** One search as it went over the wire, for explain. */
export interface SearchRecord {
  readonly server: string;
  readonly base: string;
  readonly filter: string;
  /** Number of entries, or the error. */
  readonly result: string;
  readonly ms: number;
}

/** DER digests (SHA-256) of the certificates in NTAuthCertificates. An empty set is a fact; not having read it is `unknown`. */
export type NtAuth =
  | { readonly kind: 'read'; readonly issuers: ReadonlySet<Digest>; readonly readAt: Instant; readonly server: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/** A domain of the forest, from CN=Partitions. */
export interface DomainNames {
  /** DNS name, lower case. */
  readonly dnsName: string;
  readonly netbiosName: string;
  /** The domain's own DNS name and uPNSuffixes of the forest, lower case: what may stand behind the `@` of its accounts. */
  readonly upnSuffixes: readonly string[];
}

export interface Directory {
  /** Never rejects. Answers within `deadline` milliseconds of the call. */
  locate(assertions: readonly Assertion[], deadline: Millis): Promise<Located>;
  /** From the last read; kept fresh in the background. Never rejects. */
  ntAuth(): Promise<NtAuth>;
  /** The domains this directory serves, from configuration and CN=Partitions; `unknown` until first read. Never rejects. */
  domains(): Promise<
    | { readonly kind: 'read'; readonly domains: readonly DomainNames[] }
    | { readonly kind: 'unknown'; readonly reason: string }
  >;
  /** Whether every configured domain has a controller that answers, with reasons; for readiness and `check`. Never rejects. */
  health(): Promise<readonly ControllerHealth[]>;
  close(): Promise<void>;
}

export interface ControllerHealth {
  /** DNS name of the domain, or `globalCatalog`. */
  readonly domain: string;
  readonly url: string;
  /** `refused`: the server does not take the bind account, and is not asked again until somebody says so. */
  readonly state: 'up' | 'down' | 'refused';
  /** Why it is not up; when it is: empty, or what will take it down. */
  readonly reason: string;
}

export interface BindCredentials {
  readonly dn: string;
  /** Already resolved from its reference; never logged. */
  readonly password: string;
}

export interface DomainSettings {
  /** DNS name of the domain, lower case. */
  readonly name: string;
  /** `ldaps://host[:port]`, in order of preference. */
  readonly controllers: readonly string[];
  readonly bind: BindCredentials;
}

export interface DirectorySettings {
  readonly domains: readonly DomainSettings[];
  /** `ldaps://host:3269`, bound as in the first domain; empty: each domain is searched at its own controllers. */
  readonly globalCatalog: readonly string[];
  /** PEM texts of CAs that the servers' certificates must chain to; empty: Node's default roots. */
  readonly certificateAuthorities: readonly string[];
  /** Bound on connect, TLS and bind of one connection. */
  readonly connectTimeout: Millis;
  /** Bound on one search; `locate` never takes longer than its own deadline. */
  readonly searchTimeout: Millis;
  /** How often NTAuthCertificates and Partitions are read again. */
  readonly refresh: Millis;
  /** Connections per server, at least 2. */
  readonly connections: number;
  /** Searches waiting per server beyond which a new one is answered `unknown` at once. */
  readonly maximumQueue: number;
}
