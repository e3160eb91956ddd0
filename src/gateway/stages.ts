/**
 * The values a request turns into on its way, in order. Each holds the one before it, so that no step can be called
 * without its predecessor's result; each step may yield a `Verdict` instead, which ends the way.
 */
import type { Instant } from '../base/brand.ts';
import type { Verdict } from '../base/verdict.ts';
import type { FlatHeaders } from '../forward/forward-contract.ts';
import type { MappedIdentity } from '../mapping/mapper-contract.ts';
import type { Evidence } from '../revocation/revocation-contract.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { Presented as PresentedChain } from '../tls/connection.ts';
import type { TrustedPath } from '../trust/judgement.ts';
import type { CanonicalPath } from './canonical-path.ts';
import type { LocationSettings, ProbeSettings, SiteSettings } from './settings.ts';

/** The rule that holds for a request: found from binding, host and path. */
export interface Rule {
  readonly binding: BindingSettings;
  readonly site: SiteSettings;
  readonly location: LocationSettings;
  readonly host: string;
  readonly path: CanonicalPath;
  /** Whether the gateway itself answers, by telling who the client is. */
  readonly whoami: boolean;
  /** What the gateway itself answers to a load balancer; absent: nothing. */
  readonly probe?: ProbeSettings;
}

/** What the client showed, as far as the location looks at it. */
export interface Presented {
  readonly rule: Rule;
  /** Null: nothing was shown, or the location ignores certificates. */
  readonly shown: PresentedChain | null;
}

export interface Trusted {
  readonly presented: Presented;
  /** Null when nothing was shown and nothing is demanded. */
  readonly path: TrustedPath | null;
  /** What is known about revocation, one for each certificate that was looked at. */
  readonly evidence: readonly Evidence[];
  /** From here on revocation must be asked about again; means nothing without a path. */
  readonly until: Instant;
}

export interface Mapped {
  readonly trusted: Trusted;
  /** Null: anonymous, where the rule allows it. */
  readonly identity: MappedIdentity | null;
}

export interface Authorised {
  readonly mapped: Mapped;
  /** What the location's rule would have refused, had it not been told to report only; null: nothing. */
  readonly wouldRefuse: Verdict | null;
  /** From here on the rule must be asked again. */
  readonly until: Instant;
}

export interface Outgoing {
  readonly authorised: Authorised;
  /** Identity and certificate headers, finished; the same for every request of a connection at this location. */
  readonly identityHeaders: FlatHeaders;
  /** From here on they must be written anew. */
  readonly until: Instant;
}

export function isVerdict(value: object): value is Verdict {
  return 'code' in value && 'detail' in value;
}
