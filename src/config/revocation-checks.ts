/**
 * What the settings of revocation are to each other: contradictions are mistakes; what an operator may decide but should not
 * overlook, because revoked certificates get in or good ones do not, is warned of.
 */
import type { BindingDraft } from './bindings.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';

const verify = 'verifyClientCertificateRevocation';

/** Milliseconds. A clock that is further off has Kerberos fail long before. */
const usualSkew = 3_600_000;

/** @param asks whether clients of a binding can be asked for certificates */
export function checkRevocation(
  revocation: Language['revocation'],
  drafts: readonly BindingDraft[],
  asks: (draft: BindingDraft) => boolean,
  reading: Reading,
): void {
  const checking = drafts.filter((draft) => draft.https && checkBinding(revocation, draft, asks(draft), reading));
  checkUnused(revocation, reading);
  if (checking.some(asks)) warnOfSection(revocation, reading);
}

/** @returns whether the binding checks */
function checkBinding(
  { mode }: Language['revocation'],
  { path, written, name }: BindingDraft,
  asks: boolean,
  reading: Reading,
): boolean {
  const own = [...path, verify];
  const enabled = written[verify] && reading.source.has(own);
  if (enabled && mode === 'disabled')
    reading.mistake(own, 'is enabled, but `revocation.mode` is disabled', {
      hint: `write \`revocation: { mode: online }\`, or \`${verify}: disabled\` here`,
    });
  const checks = written[verify] && mode !== 'disabled';
  if (checks) {
    if (written.verifyRevocationWithCachedClientCertificateOnly && written.revocationFreshnessTime > 0)
      reading.warn(
        [...path, 'revocationFreshnessTime'],
        'means nothing with verifyRevocationWithCachedClientCertificateOnly: no request waits for a newer list',
      );
    return true;
  }
  if (asks)
    reading.warn(
      mode === 'disabled' ? ['revocation', 'mode'] : own,
      `revocation is not checked on ${name}: revoked certificates are accepted until they expire`,
    );
  for (const key of [
    'verifyRevocationWithCachedClientCertificateOnly',
    'revocationFreshnessTime',
    'urlRetrievalTimeout',
  ])
    if (reading.source.has([...path, key]))
      reading.warn([...path, key], 'means nothing while revocation is not checked on this binding');
  return false;
}

function checkUnused({ whenUnknown }: Language['revocation'], reading: Reading): void {
  if (whenUnknown !== 'acceptStale' && reading.source.has(['revocation', 'maximumStale']))
    reading.warn(['revocation', 'maximumStale'], `means nothing with whenUnknown ${whenUnknown}`);
}

function warnOfSection(revocation: Language['revocation'], reading: Reading): void {
  const { whenUnknown, scope, hosts, crls, issuers, mode, cacheDirectory, clockSkew } = revocation;
  if (whenUnknown === 'accept')
    reading.warn(
      ['revocation', 'whenUnknown'],
      'accept: whoever keeps the sources from answering keeps revoked certificates accepted',
    );
  if (whenUnknown === 'acceptStale')
    reading.warn(
      ['revocation', 'whenUnknown'],
      'acceptStale: what was revoked since the last answer is accepted for as long as maximumStale says',
    );
  if (scope === 'leaf')
    reading.warn(['revocation', 'scope'], 'leaf: certificates of a CA that was revoked are accepted');
  if (clockSkew > usualSkew)
    reading.warn(
      ['revocation', 'clockSkew'],
      'lists and answers serve for so long beyond their nextUpdate: what was revoked meanwhile is accepted',
    );
  const lists = crls.length + issuers.flatMap((issuer) => issuer.crls).length;
  if (mode === 'cachedOnly') {
    if (lists === 0 && cacheDirectory === undefined)
      reading.warn(
        ['revocation', 'mode'],
        'cachedOnly: without CRLs or a cacheDirectory nothing is held but what an operator orders: certificates that name a source are refused as unknown',
      );
    return;
  }
  if (lists + hosts.length + issuers.flatMap((issuer) => issuer.ocsp).length > 0) return;
  reading.warn(
    ['revocation', 'hosts'],
    'nothing may be fetched over HTTP and no CRLs are configured: certificates that name such a source are refused as unknown',
  );
}
