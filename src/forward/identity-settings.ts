/**
 * How identities are written for backends, for the whole gateway; which dialects a location has is its own matter.
 */
import type { AddressRange } from './address-range.ts';
import type { AssertionSettings } from './assertion-contract.ts';
import type { HeaderNames } from './forward-contract.ts';

/** What an element of X-Forwarded-Client-Cert may tell, in the order in which Envoy writes it. */
export const xfccKeys = ['Hash', 'Cert', 'Chain', 'Subject', 'URI', 'DNS'] as const;

export type XfccKey = (typeof xfccKeys)[number];

export interface XfccSettings {
  readonly keys: readonly XfccKey[];
  /** `By`: a URI that stands for this gateway; null: it is not written. */
  readonly by: string | null;
  /** Proxies whose own elements stay in front of ours; null: nothing that came is kept (Envoy's SANITIZE_SET). */
  readonly appendFrom: readonly AddressRange[] | null;
}

export interface GroupLimits {
  /** Groups of one account. */
  readonly maximum: number;
  /** What becomes of a request whose groups are too many, or whose headers are too long because of them. */
  readonly whenTooMany: 'refuse' | 'omit';
}

export interface IdentitySettings {
  readonly headers: HeaderNames;
  readonly xfcc: XfccSettings;
  /** What the ASP.NET Core module and its application know each other by; null: no location may have the dialect `ancm`. */
  readonly ancmToken: string | null;
  /** Octets of all identity headers of a request, as they stand in HTTP/1.1: name, colon, blank, value, CR and LF. */
  readonly maximumBytes: number;
  readonly groupLimits: GroupLimits;
  /** Null: no location may have the dialect `assertion`. */
  readonly assertion: AssertionSettings | null;
}
