/**
 * KB5014754: whether a mapping that located an account is strong enough, by the method itself, by the account's SID in
 * the certificate, or (compatibility mode) by age. A SID never locates an account, it only confirms or vetoes
 * one (MS-PKCA 3.1.5.2.1.6). What else may be wrong with the account is decided elsewhere.
 */
import { isoText } from '../base/clock.ts';
import { durationText } from '../base/duration.ts';
import type { Account } from '../base/identity.ts';
import { verdict, type Verdict } from '../base/verdict.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { Candidate, MappedIdentity, MappingSettings } from './mapper-contract.ts';

export type Strength =
  | {
      readonly kind: 'enough';
      readonly strength: MappedIdentity['strength'];
      readonly by: MappedIdentity['strengthBy'];
      readonly why: string;
    }
  | { readonly kind: 'refused'; readonly verdict: Verdict };

type Rules = Pick<
  MappingSettings,
  'strongCertificateBindingEnforcement' | 'certificateBackdatingCompensation' | 'sidVeto'
>;

/** @param matched the candidates that point at `account`, strongest first, at least one */
export function judgeStrength(
  leaf: Certificate,
  account: Account,
  matched: readonly Candidate[],
  rules: Rules,
): Strength {
  const claim = sidClaim(leaf, account);
  const best = matched.some(({ strength }) => strength === 'strong') ? 'strong' : 'weak';

  if (claim?.agrees === false && rules.sidVeto)
    return refuse('sidMismatch', `${mismatch(claim, account)}, and sidVeto is on`, account);
  if (best === 'strong') return enough('strong', 'method', `${matched[0]?.method} is a strong method`);
  if (claim?.agrees === true)
    return enough('weak', claim.by, `the mapping is weak, and ${claim.place} confirms it with ${account.sid}`);
  if (rules.strongCertificateBindingEnforcement === 0)
    return enough('weak', 'notEnforced', 'the mapping is weak, and StrongCertificateBindingEnforcement is 0');
  if (claim !== null) return refuse('sidMismatch', `${mismatch(claim, account)} (KDC event 41)`, account);

  const weakness = `${account.name} is found only by ${matched.map(({ method }) => method).join(', ')}, which is weak, and the certificate has no SID`;
  if (rules.strongCertificateBindingEnforcement === 2)
    return refuse('weakMapping', `${weakness} (KDC event 39)`, account);
  return judgeAge(leaf, account, rules.certificateBackdatingCompensation, weakness);
}

/** Compatibility mode: good when the account is not younger than the certificate; equality passes. */
function judgeAge(leaf: Certificate, account: Account, compensation: number, weakness: string): Strength {
  if (account.whenCreated === null)
    return refuse('weakMapping', `${weakness}; ${account.server} did not say when the account was created`, account);
  const ages = `the certificate is valid from ${isoText(leaf.notBefore)}, the account was created ${isoText(account.whenCreated)}`;
  const allowance = compensation === 0 ? '' : `, compensation ${durationText(compensation * 1000)}`;
  return leaf.notBefore >= account.whenCreated - compensation * 1000
    ? enough('weak', 'age', `${weakness}, but ${ages}${allowance}`)
    : refuse('certificatePredatesAccount', `${weakness}; ${ages}${allowance} (KDC event 40)`, account);
}

interface SidClaim {
  readonly by: 'sidExtension' | 'sidUri';
  readonly place: string;
  /** The SIDs it names, for people. */
  readonly sids: string;
  readonly agrees: boolean;
}

const uriTag = 'tag:microsoft.com,2022-09-14:sid:';

/** The URI is looked at only where the extension is missing; several URIs must all name this account. sIDHistory does not count. */
function sidClaim(leaf: Certificate, account: Account): SidClaim | null {
  const { sid, subjectAltName } = leaf.extensions;
  if (sid !== null) return { by: 'sidExtension', place: 'the SID extension', sids: sid, agrees: sid === account.sid };
  const tagged = (subjectAltName?.uris ?? []).filter((uri) => uri.startsWith(uriTag));
  if (tagged.length === 0) return null;
  const sids = tagged.map((uri) => uri.slice(uriTag.length));
  return {
    by: 'sidUri',
    place: 'the SID in a URI of the subjectAltName',
    sids: sids.join(', '),
    agrees: sids.every((named) => named === account.sid),
  };
}

function mismatch(claim: SidClaim, account: Account): string {
  return `${claim.place} names ${claim.sids}, but the certificate maps to ${account.name}, which is ${account.sid}`;
}

function enough(strength: 'strong' | 'weak', by: MappedIdentity['strengthBy'], why: string): Strength {
  return { kind: 'enough', strength, by, why };
}

function refuse(
  code: 'sidMismatch' | 'weakMapping' | 'certificatePredatesAccount',
  detail: string,
  account: Account,
): Strength {
  return { kind: 'refused', verdict: verdict(code, detail, account) };
}
