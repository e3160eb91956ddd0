/**
 * How the certificates of each binding are checked for revocation, and what may be fetched for it.
 */
import type { Millis } from '../base/brand.ts';
import type { RevocationSourceSettings } from '../gateway/settings.ts';
import type { RevocationSettings } from '../revocation/revocation-contract.ts';
import type { BindingDraft } from './bindings.ts';
import type { Language } from './schema.ts';

export function revocationOf(
  { trust, revocation }: Pick<Language, 'trust' | 'revocation'>,
  { written }: BindingDraft,
): RevocationSettings {
  return {
    mode: revocation.mode,
    scope: 'chain',
    prefer: 'crl',
    freshnessTime: written.revocationFreshnessTime,
    retrievalTimeout: written.urlRetrievalTimeout,
    whenUnknown: 'refuse',
    maximumStale: 0 as Millis,
    noDistributionPoint: 'accept',
    issuers: [],
    rules: {
      clockSkew: (5 * 60_000) as Millis,
      maximumAge: null,
      allowSha1: trust.allowSha1,
      minimumRsaBits: trust.minimumRsaBits,
      nonce: 'never',
    },
  };
}

export function readRevocationSources(): RevocationSourceSettings {
  return { hosts: [], cacheDirectory: null, crls: [], maximumCrlBytes: 64 * 1024 * 1024, aia: false };
}
