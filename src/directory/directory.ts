/**
 * What the rest of the product may ask a directory. Certificates are unknown here: callers bring attribute values.
 */
import type { Digest, Dn, Instant, Millis, Sid } from '../base/brand.ts';
import type { Account, AccountKind } from '../base/identity.ts';

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

export interface Forest extends PrincipalReader, AccountReader, ChangeSource, AccountScan {
  /** What it is called in messages and settings: as configured, else the DNS name of its first domain. */
  readonly name: string;
  /** Never rejects. Answers within `deadline` milliseconds of the call. */
  locate(assertions: readonly Assertion[], deadline: Millis): Promise<Located>;
  /** From the last read; kept fresh in the background. Never rejects. */
  ntAuth(): Promise<NtAuth>;
  /** The domains this forest serves, from configuration and CN=Partitions; `unknown` until first read. Never rejects. */
  domains(): Promise<
    | { readonly kind: 'read'; readonly domains: readonly DomainNames[] }
    | { readonly kind: 'unknown'; readonly reason: string }
  >;
}

/** Every forest that accounts may come from. Each has its own NTAuth; a chain maps only into those that hold its issuer. */
export interface Directory {
  /** At least one. */
  readonly forests: readonly Forest[];
  /** Whether every configured domain has a controller that answers, with reasons; for readiness and `check`. Never rejects. */
  health(): Promise<readonly ControllerHealth[]>;
  close(): Promise<void>;
}

export interface ControllerHealth {
  /** Name of the forest. */
  readonly forest: string;
  /** DNS name of the domain, or `globalCatalog`. */
  readonly domain: string;
  readonly url: string;
  /** `refused`: the server does not take the bind account, and is not asked again until somebody says so. */
  readonly state: 'up' | 'down' | 'refused';
  /** Why it is not up; when it is: empty, or what will take it down. */
  readonly reason: string;
}

/** How a connection says who reads the directory. */
export type BindCredentials = SimpleCredentials | ExternalCredentials;

/** A simple bind (RFC 4513 section 5.1.3): a name and a password, over TLS only. */
export interface SimpleCredentials {
  readonly kind: 'simple';
  readonly dn: string;
  /** Already resolved from its reference; never logged. */
  readonly password: string;
  /** Resolves the reference again, for a password that is changed while we run; gives null while it is not readable. Null: it cannot change. */
  readonly reread: (() => Promise<string | null>) | null;
}

/** SASL EXTERNAL (RFC 4513 section 5.2.3): the client certificate of the TLS connection says who it is. */
export interface ExternalCredentials {
  readonly kind: 'external';
  /** PEM text: the certificate, then those that it chains to. */
  readonly certificate: string;
  /** PEM text, not encrypted; never logged. */
  readonly key: string;
  /** `dn:...` or `u:...` (RFC 4513 section 5.2.1.8); null: the identity that the certificate gives. */
  readonly authorizationId: string | null;
}

export interface DomainSettings {
  /** DNS name of the domain, lower case. */
  readonly name: string;
  /**
   * `ldaps://host[:port]`, or `ldap://host[:port]`, which means StartTLS before anything else; in order of preference. May be empty with
   * `discovery`; servers that are found come after these.
   */
  readonly controllers: readonly string[];
  /** Null: none but `controllers`. */
  readonly discovery: DiscoverySettings | null;
  readonly bind: BindCredentials;
}

/** Servers by DNS SRV records (RFC 2782, MS-ADTS 6.3.2.3). DNS is not believed: it says whom to ask, TLS says who answers. */
export interface DiscoverySettings {
  /** The Active Directory site whose servers come first; null: none comes first. */
  readonly site: string | null;
  /** DNS suffixes, lower case, that a server's name may have beside that of the domain: any other target is not contacted. */
  readonly names: readonly string[];
  /** How often DNS is asked again. */
  readonly refresh: Millis;
  /** DNS servers as `ip` or `ip:port` (`[v6]:port`); empty: the system's. */
  readonly resolver: readonly string[];
}

export interface DirectorySettings {
  /** At least one; no domain is in two of them. */
  readonly forests: readonly ForestSettings[];
}

export interface ForestSettings {
  /** For messages; the DNS name of its first domain where nobody gave it another. */
  readonly name: string;
  readonly domains: readonly DomainSettings[];
  /**
   * `ldaps://host:3269`, or `ldap://host:3268` for StartTLS, bound as in the first domain; empty, and no discovery: each domain is searched at its own
   * controllers.
   */
  readonly globalCatalog: readonly string[];
  /** Null: none but `globalCatalog`. */
  readonly globalCatalogDiscovery: DiscoverySettings | null;
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
  /** Lookups that arrive together travel in one search; false: one value per search. */
  readonly batching: boolean;
  /** How often the directory is asked what has changed; 0: never. */
  readonly pollInterval: Millis;
}

/** A user or a group as somebody wrote it: `LAB\Payroll`, `payroll@lab.example.test`, or a SID. */
export type PrincipalName =
  | { readonly kind: 'sid'; readonly sid: Sid }
  /** `domain` is a NetBIOS or DNS name, lower case. */
  | { readonly kind: 'name'; readonly domain: string; readonly name: string };

export interface Principal {
  readonly sid: Sid;
  /** `LAB\Payroll`. */
  readonly name: string;
  readonly dn: Dn;
  readonly kind: AccountKind | 'group';
}

/** `absent`: every server that had to be asked answered, and there is none. */
export type PrincipalAnswer =
  | { readonly kind: 'found'; readonly principal: Principal }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Who somebody is, and what groups there are. Part of a forest. */
export interface PrincipalReader {
  /** Never rejects. Answers within `deadline` milliseconds of the call. */
  principal(name: PrincipalName, deadline: Millis): Promise<PrincipalAnswer>;
  /** Names (`LAB\Payroll`) of SIDs, read in batches; SIDs that have none are left out. Never rejects. */
  namesOf(sids: readonly Sid[], deadline: Millis): Promise<ReadonlyMap<Sid, string>>;
  /** All groups of an account, nested ones too, by tokenGroups at a controller of its own domain. Never rejects. */
  groupsOf(account: Account, deadline: Millis): Promise<Groups>;
}

/** An attribute that is not there is `unknown`: it means that it may not be read, never that there are no groups. */
export type Groups =
  | { readonly kind: 'read'; readonly sids: ReadonlySet<Sid>; readonly readAt: Instant; readonly server: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Reads accounts again that were read before. Part of a forest. */
export interface AccountReader {
  /** Whether the account is in one of the domains configured for this forest. */
  holds(account: Account): boolean;
  /**
   * By objectGUID, in batches, each at a controller of its own domain; also where the account has been moved within it. `gone`: the domain
   * answered and has no such object any more. Never rejects.
   */
  readAgain(accounts: readonly Account[], deadline: Millis): Promise<ReadonlyMap<Account, Again>>;
}

export type Again =
  | { readonly kind: 'read'; readonly account: Account }
  | { readonly kind: 'gone'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Something in the directory is not what it was. */
export type DirectoryChange =
  /** A user or computer was written to, made, or moved; all values by which it can be found now. */
  | {
      readonly kind: 'account';
      readonly guid: string;
      readonly sid: Sid;
      readonly identifiers: readonly Assertion[];
    }
  /**
   * A group was written to: its members may be others now. `within`: the groups that it is in itself, nested ones too; null where that could
   * not be read.
   */
  | { readonly kind: 'group'; readonly sid: Sid; readonly dn: Dn; readonly within: ReadonlySet<Sid> | null }
  /** NTAuth or the names of domains and suffixes are others now. */
  | { readonly kind: 'forest'; readonly what: 'ntAuth' | 'partitions' }
  /** Something was written that ordinary readers do not see: an account may have been deleted. */
  | { readonly kind: 'unseen' }
  /** What happened since the last poll cannot be known: another controller, or one that was restored. */
  | { readonly kind: 'unsure'; readonly reason: string };

/** Tells of changes as they are found by polling. Part of a forest. */
export interface ChangeSource {
  onChanges(listener: (changes: readonly DirectoryChange[]) => void): void;
}

/** One account as an audit sees it. Part of a forest. */
export interface ScannedAccount {
  readonly account: Account;
  /** All that is known of what stands in the way of reading it whole; empty when nothing does. */
  readonly gaps: readonly string[];
}

export type ScanPiece =
  | { readonly kind: 'accounts'; readonly domain: string; readonly accounts: readonly ScannedAccount[] }
  /** The scan of a domain ended early: what came before is not all. */
  | { readonly kind: 'failed'; readonly domain: string; readonly reason: string };

export interface AccountScan {
  /** Every user and computer with altSecurityIdentities, page by page (RFC 2696). Never rejects; ends early when `signal` aborts. */
  scan(signal: AbortSignal): AsyncIterable<ScanPiece>;
}
