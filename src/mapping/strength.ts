/**
 * KB5014754: whether a mapping that located an account is strong enough, by the method itself, by a name-based rule, by the
 * account's SID in the certificate, or (compatibility mode) by age; and what the KDC would log about it. What RCMP finds needs
 * no strength. What else may be wrong with the account is decided elsewhere.
 */
import { isoText } from '../base/clock.ts';
import { durationText } from '../base/duration.ts';
import type { Account } from '../base/identity.ts';
import { verdict, type Verdict } from '../base/verdict.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { Candidate, KdcEvent, MappedIdentity, MappingSettings } from './mapper-contract.ts';
import { applyNameBasedRules, type RuleSubject } from './name-based-rules.ts';
import { sidClaim, type SidClaim } from './sid-claim.ts';

/** What the KDC logs, without the facts that whoever asks has at hand. */
export type EventNote = Pick<KdcEvent, 'id' | 'level' | 'certificateSid'>;

export type Strength = Enough | Refused;

interface Enough {
  readonly kind: 'enough';
  readonly strength: MappedIdentity['strength'];
  readonly by: MappedIdentity['strengthBy'];
  readonly why: string;
  readonly event: EventNote | null;
}

interface Refused {
  readonly kind: 'refused';
  readonly verdict: Verdict;
  readonly event: EventNote | null;
}

export interface Found {
  readonly account: Account;
  /** Candidates by which the KDC found it, strongest first. */
  readonly byKdc: readonly Candidate[];
  /** Those by which RCMP did. One of both has at least one. */
  readonly byRcmp: readonly Candidate[];
}

/** Schannel falls back to RCMP where the KDC refuses: with bits 0x1 to 0x4 enforcement is worth nothing (known as ESC10). */
export function judgeStrength(subject: RuleSubject, found: Found, settings: MappingSettings): Strength {
  const { account, byKdc, byRcmp } = found;
  const claim = claimThatCounts(subject.leaf, account, settings);
  const kdc = byKdc.length === 0 ? null : judgeByKdc(subject, account, byKdc, claim, settings);
  const judged = kdc === null || (kdc.kind === 'refused' && byRcmp.length > 0) ? foundByRcmp(byRcmp, kdc) : kdc;
  if (judged.kind === 'enough' && settings.sidVeto && claim?.agrees === false)
    return refuse('sidMismatch', `${mismatch(claim, account)}, and sidVeto is on`, account, judged.event);
  return judged;
}

function foundByRcmp(byRcmp: readonly Candidate[], kdc: Strength | null): Strength {
  const refused = kdc?.kind === 'refused' ? `, although the KDC would refuse it: ${kdc.verdict.detail}` : '';
  const why = `RCMP finds it by ${methodsOf(byRcmp)}, which asks for no strength${refused}`;
  return enough('weak', 'rcmp', why, kdc?.event ?? null);
}

/** The table of KB5014754, from the top. */
function judgeByKdc(
  subject: RuleSubject,
  account: Account,
  matched: readonly Candidate[],
  claim: SidClaim | null,
  settings: MappingSettings,
): Strength {
  const { strongCertificateBindingEnforcement: enforcement } = settings;
  const strong = matched.find(({ strength }) => strength === 'strong');
  if (strong !== undefined) return enough('strong', 'method', `${strong.method} is a strong method`);
  const rule = applyNameBasedRules(subject, account, matched, settings.nameBasedRules);
  if (rule.kind === 'strong') return enough('strong', 'nameBasedRule', rule.why);
  if (claim?.agrees === true)
    return enough('weak', claim.by, `the mapping is weak, and ${claim.place} confirms it with ${account.sid}`);
  if (enforcement === 0)
    return enough(
      'weak',
      'notEnforced',
      'the mapping is weak, and StrongCertificateBindingEnforcement is 0',
      note(39, 'warning', claim),
    );
  if (claim !== null)
    return refuse('sidMismatch', `${mismatch(claim, account)} (KDC event 41)`, account, note(41, 'error', claim));

  const remark = rule.why === '' ? '' : `; ${rule.why}`;
  const weakness = `${account.name} is found only by ${methodsOf(matched)}, which is weak, and ${namesNobody(subject.leaf, account)}${remark}`;
  const unmapped = !settings.openPoints.upnIsWeakMapping && matched.every(({ method }) => namesOfSan.has(method));
  if (enforcement === 2 || unmapped)
    return refuse('weakMapping', `${weakness} (KDC event 39)`, account, note(39, 'error', null));
  return judgeAge(subject.leaf, account, settings.certificateBackdatingCompensation, weakness);
}

/** Samba takes names of the subjectAltName for no mapping at all, of users as of computers. */
const namesOfSan: ReadonlySet<string> = new Set(['UPN', 'DNS']);

/** Compatibility mode: good when the account is not younger than the certificate; equality passes. */
function judgeAge(leaf: Certificate, account: Account, compensation: number, weakness: string): Strength {
  if (account.whenCreated === null) {
    const silence = `${account.server} did not say when the account was created`;
    return refuse('weakMapping', `${weakness}; ${silence}`, account, note(39, 'error', null));
  }
  const ages = `the certificate is valid from ${isoText(leaf.notBefore)}, the account was created ${isoText(account.whenCreated)}`;
  const allowance = compensation === 0 ? '' : `, compensation ${durationText(compensation * 1000)}`;
  const detail = `${ages}${allowance}`;
  return leaf.notBefore >= account.whenCreated - compensation * 1000
    ? enough('weak', 'age', `${weakness}, but ${detail}`, note(39, 'warning', null))
    : refuse('certificatePredatesAccount', `${weakness}; ${detail} (KDC event 40)`, account, note(40, 'error', null));
}

/** A URI that names somebody else may be as good as none: MS-PKCA says only what one that agrees is good for. */
function claimThatCounts(leaf: Certificate, account: Account, { openPoints }: MappingSettings): SidClaim | null {
  const claim = sidClaim(leaf, account);
  return claim?.by === 'sidUri' && !claim.agrees && !openPoints.sidUriMismatchRefuses ? null : claim;
}

/** Where no claim counts. */
function namesNobody(leaf: Certificate, account: Account): string {
  const claim = sidClaim(leaf, account);
  return claim === null ? 'the certificate has no SID' : `${claim.place}, which names ${claim.sids}, does not count`;
}

function mismatch(claim: SidClaim, account: Account): string {
  return `${claim.place} names ${claim.sids}, but the certificate maps to ${account.name}, which is ${account.sid}`;
}

function methodsOf(matched: readonly Candidate[]): string {
  return [...new Set(matched.map(({ method }) => method))].join(', ');
}

function note(id: KdcEvent['id'], level: KdcEvent['level'], claim: SidClaim | null): EventNote {
  return { id, level, certificateSid: claim?.sids ?? null };
}

function enough(
  strength: 'strong' | 'weak',
  by: MappedIdentity['strengthBy'],
  why: string,
  event: EventNote | null = null,
): Enough {
  return { kind: 'enough', strength, by, why, event };
}

function refuse(
  code: 'sidMismatch' | 'weakMapping' | 'certificatePredatesAccount',
  detail: string,
  account: Account,
  event: EventNote | null,
): Refused {
  return { kind: 'refused', verdict: verdict(code, detail, account), event };
}
