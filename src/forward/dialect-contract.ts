/**
 * What the dialects know of a client.
 */
import type { Sid } from '../base/brand.ts';
import type { MappedIdentity } from '../mapping/mapper-contract.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { IdentitySettings } from './identity-settings.ts';

export interface Group {
  readonly sid: Sid;
  /** `LAB\\Payroll`; null where names were not asked for, or the directory has none for it. */
  readonly name: string | null;
}

/** A client whose chain was validated; its account where it was mapped. */
export interface DressedClient {
  readonly leaf: Certificate;
  /** What the client presented after its leaf, in its order (not the validated path). */
  readonly presentedChain: readonly Uint8Array[];
  readonly identity: MappedIdentity | null;
  /** Null: not asked for at this location. */
  readonly groups: readonly Group[] | null;
  /** Finished; null: not asked for at this location. */
  readonly assertion: string | null;
}

/**
 * Writes the headers of one dialect: name, value, name, value.
 * @param client `none` where the request is anonymous: nothing was shown, or the location does not look at it
 */
export type Dialect = (headers: string[], client: DressedClient | 'none', settings: DialectSettings) => void;

export type DialectSettings = Pick<IdentitySettings, 'headers' | 'xfcc' | 'ancmToken'>;
