/**
 * How the certificates of each binding are checked for revocation, and what may be fetched for it. What contradicts itself or
 * weakens is looked at in `revocation-checks.ts`.
 */
import type { RevocationSourceSettings } from '../gateway/settings.ts';
import type { RevocationSettings } from '../revocation/revocation-contract.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { BindingDraft } from './bindings.ts';
import { hostsOf, sourceUrls } from './crl-sources.ts';
import { readIssuerPolicies } from './issuer-policies.ts';
import type { Reading } from './reading.ts';
import { resolvePath } from './references.ts';
import type { Language } from './schema.ts';

export interface ReadRevocation {
  of(draft: BindingDraft): RevocationSettings;
  readonly sources: RevocationSourceSettings;
}

type Written = Pick<Language, 'trust' | 'revocation'>;

/** @param known the CA certificates of `trust` and of bindings */
export async function readRevocation(
  written: Written,
  known: readonly Certificate[],
  reading: Reading,
): Promise<ReadRevocation> {
  const { revocation } = written;
  const { maximumCrlSize, cacheDirectory } = revocation;
  const issuers = await readIssuerPolicies(revocation, known, reading);
  const crls = await sourceUrls(revocation.crls, maximumCrlSize, ['revocation', 'crls'], reading);
  const configured = [...revocation.crls, ...revocation.issuers.flatMap((issuer) => [...issuer.crls, ...issuer.ocsp])];
  return {
    of: (draft) => ({ ...bindingPart(written, draft), issuers }),
    sources: {
      hosts: [...new Set([...revocation.hosts, ...hostsOf(configured)])],
      cacheDirectory: cacheDirectory === undefined ? null : resolvePath(cacheDirectory, reading),
      crls,
      maximumCrlBytes: maximumCrlSize,
      aia: written.trust.aia,
    },
  };
}

function bindingPart({ trust, revocation }: Written, { written }: BindingDraft): Omit<RevocationSettings, 'issuers'> {
  const { scope, prefer, whenUnknown, maximumStale, noDistributionPoint, clockSkew, maximumAge, nonce } = revocation;
  return {
    mode: modeOf(revocation.mode, written),
    scope,
    prefer,
    freshnessTime: written.revocationFreshnessTime,
    retrievalTimeout: written.urlRetrievalTimeout,
    whenUnknown,
    maximumStale,
    noDistributionPoint,
    rules: { clockSkew, maximumAge, allowSha1: trust.allowSha1, minimumRsaBits: trust.minimumRsaBits, nonce },
  };
}

function modeOf(mode: RevocationSettings['mode'], written: BindingDraft['written']): RevocationSettings['mode'] {
  if (mode === 'disabled' || !written.verifyClientCertificateRevocation) return 'disabled';
  return written.verifyRevocationWithCachedClientCertificateOnly ? 'cachedOnly' : mode;
}
