/**
 * How identities are written for backends, for the whole gateway; which dialects a location has is its own matter.
 */
import type { AssertionSettings } from './assertion-contract.ts';
import type { HeaderNames } from './forward-contract.ts';

export interface IdentitySettings {
  readonly headers: HeaderNames;
  /** Null: no location may have the dialect `assertion`. */
  readonly assertion: AssertionSettings | null;
}
