/**
 * What the configuration alone says about revocation data: which lists and responders it knows of, who signs for them, and by which
 * rules they are taken up. What single certificates name comes with them.
 */
import type { Millis } from '../base/brand.ts';
import { maySignCrls } from '../revocation/crl-signers.ts';
import { policyFor } from '../revocation/issuer-policy.ts';
import type { CrlSigners, Fetcher, OcspQuestion } from '../revocation/revocation-contract.ts';
import { createIssuerIndex } from '../trust/issuer-index.ts';
import type { Settings } from './settings.ts';

/** Lists of the configuration, for all issuers and for single ones. */
export function configuredSources({ revocation, trust }: Settings): readonly string[] {
  const policies = [...trust.values()].flatMap((each) => each.revocation.issuers);
  return [...new Set([...revocation.crls, ...policies.flatMap(({ crls }) => crls)])];
}

export function isWanted({ trust }: Settings): boolean {
  return [...trust.values()].some(({ revocation }) => revocation.mode !== 'disabled');
}

/** One for each responder: about a CA that names it, or about a server certificate of ours. */
export function ocspQuestions({ trust, stapling }: Settings): readonly OcspQuestion[] {
  const authorities = [...trust.values()].flatMap(({ store, revocation }) =>
    store.intermediates.flatMap((certificate) => {
      const [issuer] = store.issuers.issuersOf(certificate).flat();
      if (issuer === undefined) return [];
      const { ocsp, ocspSigners = [] } = policyFor(issuer, revocation.issuers);
      const responders = [...ocsp, ...certificate.extensions.authorityInfoAccess.ocsp];
      return responders.map((responder) => ({ certificate, issuer, responders: [responder], signers: ocspSigners }));
    }),
  );
  return [...new Map([...authorities, ...stapling.values()].map((each) => [each.responders.join(' '), each])).values()];
}

/** Of each distribution point of a CA certificate the first place that may be fetched from, or the first of all. */
export function namedSources({ trust }: Settings, fetcher: Fetcher): readonly string[] {
  const authorities = [...trust.values()].flatMap(({ store }) => [...store.intermediates, ...store.anchors]);
  const points = authorities.flatMap(({ extensions }) => [
    ...extensions.crlDistributionPoints,
    ...extensions.freshestCrl,
  ]);
  return points.flatMap(({ fullName }) => {
    const uris = fullName?.uris ?? [];
    return uris.find((uri) => fetcher.refusalOf(uri) === null) ?? uris[0] ?? [];
  });
}

/** The CAs that the configuration knows: who signs a list that was not fetched for anybody's certificate. */
export function signersOf({ trust }: Settings): CrlSigners {
  const indexes = [...new Set([...trust.values()].map(({ store }) => store))].map(({ anchors, intermediates }) =>
    createIssuerIndex([...anchors, ...intermediates]),
  );
  return ({ issuer, authorityKeyIdentifier }) => {
    const named = indexes.flatMap((index) =>
      index.issuersOf({ issuer, extensions: { authorityKeyIdentifier } }).flat(),
    );
    const allowed = named.filter(maySignCrls);
    return [...new Map(allowed.map(({ publicKey }) => [publicKey.digest, publicKey])).values()];
  };
}

/** What one binding accepts is taken up; each looks at it again by rules of its own. */
export function loosestRules({ trust }: Settings) {
  const rules = [...trust.values()].map(({ revocation }) => revocation.rules);
  return {
    allowSha1: rules.some(({ allowSha1 }) => allowSha1),
    clockSkew: Math.max(0, ...rules.map(({ clockSkew }) => clockSkew)) as Millis,
  };
}
