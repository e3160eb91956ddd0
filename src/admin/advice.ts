/**
 * What to change so that a certificate that was refused gets in, or one that got in stays in. Advice to an administrator
 * who knows whose certificate it is: the gateway itself changes nothing and does not know better.
 */
import type { Account } from '../base/identity.ts';
import { isoText } from '../base/clock.ts';
import type { Verdict, VerdictCode } from '../base/verdict.ts';
import type { Candidate, MappedIdentity, MappingSettings } from '../mapping/mapper-contract.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { AccountMatch } from './account-values.ts';
import { fixedAdvice } from './fixed-advice.ts';
import { valueAdvice } from './value-advice.ts';

export interface Advice {
  /** Stable; docs/explain.md lists them. */
  readonly code: string;
  /** One sentence, lower case, no full stop. */
  readonly text: string;
  /** The value to write to altSecurityIdentities, or the command to run; null where there is none. */
  readonly value: string | null;
}

export interface AdviceFacts {
  readonly verdict: Verdict;
  readonly leaf: Certificate;
  readonly candidates: readonly Candidate[];
  /** Of a certificate that was mapped. */
  readonly identity: MappedIdentity | null;
  /** What a rule that only reports would have answered. */
  readonly wouldRefuse?: Verdict | null;
  /** The account that was asked about, and its values. */
  readonly asked: AccountMatch | null;
  readonly askedAccount: Account | null;
  readonly mapping: MappingSettings;
}

export function adviceFor(facts: AdviceFacts): readonly Advice[] {
  const list = [...(facts.asked === null ? [] : valueAdvice(facts.asked)), ...verdictAdvice(facts)];
  const seen = new Set<string>();
  return list.filter(({ code, value, text }) => {
    const key = value ?? `${code} ${text}`;
    return !seen.has(key) && seen.add(key) !== null;
  });
}

function verdictAdvice(facts: AdviceFacts): readonly Advice[] {
  const { code } = facts.verdict;
  const fixed = fixedAdvice[code];
  return fixed === undefined ? (advisers[code]?.(facts) ?? []) : [{ ...fixed, value: fixed.value ?? null }];
}

/** Where more than the code decides. */
const advisers: Partial<Record<VerdictCode, (facts: AdviceFacts) => readonly Advice[]>> = {
  notMapped: (facts) =>
    facts.asked?.values.some(({ corrected }) => corrected !== null) === true ? [] : addValue(facts),
  weakMapping: (facts) => [...addStrong(facts, nameOf(facts.verdict.account)), reissueWithSid],
  strengthRequired: (facts) => addStrong(facts, nameOf(facts.verdict.account)),
  sidMismatch: sidDiffers,
  certificatePredatesAccount: predates,
  authorised: mapped,
};

function mapped(facts: AdviceFacts): readonly Advice[] {
  const { identity, askedAccount } = facts;
  if (identity === null) return [];
  const { name, sid } = identity.account;
  if (askedAccount !== null && askedAccount.sid !== sid)
    return [
      {
        code: 'otherAccount',
        text: `the certificate belongs to ${name}, not to ${askedAccount.name}: take its values away there before they are written here`,
        value: null,
      },
    ];
  if (facts.wouldRefuse != null)
    return [reportedOnly(facts.wouldRefuse), ...verdictAdvice({ ...facts, verdict: facts.wouldRefuse })];
  const passing = identity.strengthBy === 'age' || identity.strengthBy === 'notEnforced';
  return passing ? addStrong(facts, name) : [];
}

function reportedOnly({ code, detail }: Verdict): Advice {
  return {
    code: 'reportOnly',
    text: `a rule only reports: when it does no longer, this is refused (${code}: ${detail})`,
    value: null,
  };
}

function nameOf(account: Account | undefined): string {
  return account?.name ?? 'the account';
}

/** The strong values that the settings in force look up; of two spellings of one form only the first. */
function strongest(candidates: readonly Candidate[]): readonly Candidate[] {
  const methods = new Set<string>();
  return candidates.filter(
    ({ method, strength, used }) =>
      strength === 'strong' && used && !methods.has(method) && methods.add(method) !== null,
  );
}

function addValue({ asked, askedAccount, candidates }: AdviceFacts): readonly Advice[] {
  const [first] = strongest(candidates);
  if (first === undefined) return [];
  const whose = askedAccount === null ? 'the account it belongs to' : askedAccount.name;
  const advice = [
    {
      code: 'addValue',
      text: `if the certificate is meant for it, write this value to altSecurityIdentities of ${whose} (map suggest prints the commands)`,
      value: first.value,
    },
  ];
  if (asked !== null) return advice;
  return [
    ...advice,
    {
      code: 'askAccount',
      text: 'name the account with --account: its values are then gone through one by one',
      value: null,
    },
  ];
}

function addStrong({ candidates }: AdviceFacts, name: string): readonly Advice[] {
  return strongest(candidates).map(({ method, value }) => ({
    code: 'addStrong',
    text: `add this value to altSecurityIdentities of ${name}, or another that is strong (${method})`,
    value,
  }));
}

const reissueWithSid: Advice = {
  code: 'reissueWithSid',
  text: "or issue a new certificate that has the account's SID in its security extension (1.3.6.1.4.1.311.25.2), as AD CS does for online templates",
  value: null,
};

function sidDiffers({ candidates, verdict, leaf, mapping }: AdviceFacts): readonly Advice[] {
  const { sid } = leaf.extensions;
  const name = nameOf(verdict.account);
  const reissue = {
    code: 'sidDiffers',
    text: `the certificate was issued for another account${sid === null ? '' : ` (${sid})`}, or the account was made anew: issue a new one for ${name}${verdict.account === undefined ? '' : ` (${verdict.account.sid})`}`,
    value: null,
  };
  const [first] = strongest(candidates).filter(({ method }) => method !== 'X509IssuerSid');
  if (mapping.sidVeto || first === undefined) return [reissue];
  return [
    reissue,
    {
      code: 'mapStrongly',
      text: `or, where it is known to be that of ${name}, map it strongly: the SID is then not asked`,
      value: first.value,
    },
  ];
}

/** Seconds by which CertificateBackdatingCompensation would have to be longer are known: it is the age itself. */
function predates(facts: AdviceFacts): readonly Advice[] {
  const { verdict, leaf } = facts;
  const created = verdict.account?.whenCreated ?? null;
  const needed = created === null ? null : Math.ceil((created - leaf.notBefore) / 1000);
  const name = nameOf(verdict.account);
  return [
    ...addStrong(facts, name),
    { code: 'reissue', text: `or issue a new certificate now that ${name} exists`, value: null },
    {
      code: 'backdating',
      text:
        needed === null || created === null
          ? 'or let the directory say when the account was created (whenCreated)'
          : `or, if only the CA's clock or its backdating is to blame (valid from ${isoText(leaf.notBefore)}, account of ${isoText(created)}), certificateBackdatingCompensation must be at least ${needed} seconds`,
      value: null,
    },
  ];
}
