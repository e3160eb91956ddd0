/**
 * The KDC policy "Allow name-based strong mappings for certificates" (KB5014754, MS-PKCA 3.1.5.2.1.5): whether a rule makes the weak
 * mapping of a user count as strong. Computers are never helped. Whether a mapping that no rule helps is good
 * enough is decided in `strength.ts`.
 */
import type { Account } from '../base/identity.ts';
import type { Certificate } from '../x509/certificate.ts';
import { foldText } from './ad-text.ts';
import type { Candidate, NameBasedRule } from './mapper-contract.ts';

export type RuleAnswer =
  | { readonly kind: 'strong'; readonly why: string }
  /** `why` is not empty where somebody should know that a rule could have helped. */
  | { readonly kind: 'none'; readonly why: string };

export interface RuleSubject {
  readonly leaf: Certificate;
  /** The immediate issuer, as validated. */
  readonly issuer: Certificate;
}

/** @param matched candidates that point at `account` by the KDC's rules */
export function applyNameBasedRules(
  { leaf, issuer }: RuleSubject,
  account: Account,
  matched: readonly Candidate[],
  rules: readonly NameBasedRule[],
): RuleAnswer {
  const twice = repeatedIssuer(rules);
  if (twice !== null)
    return { kind: 'none', why: `all name-based rules are void, for ${twice} is in more than one of them` };
  const rule = rules.find((one) => one.issuer === issuer.thumbprint);
  if (rule === undefined) return { kind: 'none', why: '' };
  const called = `the name-based rule of ${rule.issuer}`;
  if (account.kind !== 'user') return { kind: 'none', why: `${called} helps no computer` };
  const policies = leaf.extensions.certificatePolicies ?? [];
  if (!policies.some(({ oid }) => rule.policies.includes(oid)))
    return { kind: 'none', why: `the certificate has no policy of ${called}` };
  const by = helped(matched, rule);
  return by === null
    ? { kind: 'none', why: `${called} helps none of the methods that found the account` }
    : { kind: 'strong', why: `${called} makes ${by} strong` };
}

/** A thumbprint that occurs twice makes the whole policy void. */
function repeatedIssuer(rules: readonly NameBasedRule[]): string | null {
  const issuers = rules.map(({ issuer }) => issuer);
  return issuers.find((issuer, index) => issuers.indexOf(issuer) !== index) ?? null;
}

/** IssuerSubject needs the value of issuer and subject on the account. */
function helped(matched: readonly Candidate[], rule: NameBasedRule): string | null {
  const upn = matched.find(
    ({ method, value }) => method === 'UPN' && rule.upnSuffixes.some((suffix) => endsInDomain(value, suffix)),
  );
  if (upn !== undefined) return `UPN ${upn.value}`;
  return rule.issuerSubject && matched.some(({ method }) => method === 'X509IssuerSubject')
    ? 'issuer and subject'
    : null;
}

function endsInDomain(upn: string, domain: string): boolean {
  return domain !== '' && foldText(upn).endsWith(`@${domain}`);
}
