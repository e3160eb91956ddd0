/**
 * Which values of altSecurityIdentities are worth writing for a certificate, strong first, and how long each will hold. The values are
 * those that mapping looks for; whether the certificate belongs to anybody is not asked.
 */
import type { Certificate } from '../x509/certificate.ts';
import type { Candidate, MappingMethod } from './mapper-contract.ts';

export interface Suggestion {
  readonly method: MappingMethod;
  readonly value: string;
  readonly strength: 'strong' | 'weak';
  /** Whether the value still stands for the next certificate of the same person. */
  readonly survives: Survival;
  readonly warnings: readonly Warning[];
}

export interface Survival {
  readonly renewalWithSameKey: Answer;
  readonly renewalWithNewKey: Answer;
  readonly anotherCa: Answer;
}

/** `usually`: where the CA does as most do. */
export type Answer = 'yes' | 'no' | 'usually';

export interface Warning {
  /** Stable; docs/map-suggest.md lists them. */
  readonly code: string;
  /** One sentence, lower case, no full stop. */
  readonly text: string;
}

export interface Suggestions {
  readonly values: readonly Suggestion[];
  /** About the certificate as a whole. */
  readonly warnings: readonly Warning[];
}

/** @param candidates all of the certificate's, in their order */
export function suggestValues(leaf: Certificate, candidates: readonly Candidate[]): Suggestions {
  const values = oneSpellingEach(candidates).flatMap(suggestionOf);
  return { values, warnings: warningsOf(leaf, values) };
}

/** Mapping looks for further spellings of one form; the first is the one to write. A certificate may have several addresses. */
function oneSpellingEach(candidates: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<MappingMethod>();
  return candidates.filter(
    ({ method, used }) => used && (method === 'X509RFC822' || (!seen.has(method) && seen.add(method) !== null)),
  );
}

function suggestionOf({ method, value, strength }: Candidate): readonly Suggestion[] {
  const facts = forms[method];
  if (facts === undefined) return [];
  const [renewalWithSameKey, renewalWithNewKey, anotherCa] = facts.survives;
  const weakness = strength === 'weak' ? [weak] : [];
  const hidden = hiddenCharacters.test(value) ? [invisible] : [];
  return [
    {
      method,
      value,
      strength,
      survives: { renewalWithSameKey, renewalWithNewKey, anotherCa },
      warnings: [...weakness, ...facts.warnings, ...hidden],
    },
  ];
}

interface FormFacts {
  readonly survives: readonly [sameKey: Answer, newKey: Answer, anotherCa: Answer];
  readonly warnings: readonly Warning[];
}

const breaksOnRenewal: Warning = {
  code: 'breaksOnRenewal',
  text: 'it stands for this one certificate: each renewal needs a new value',
};

const weak: Warning = {
  code: 'weak',
  text: "refused under full enforcement unless the certificate has the account's SID (KB5014754)",
};

const invisible: Warning = {
  code: 'invisibleCharacter',
  text: 'it has characters that nobody sees: write it as LDIF',
};

const hiddenCharacters = /[\p{C}\p{Zl}\p{Zp}]/u;

/** UPN and DNS are not written to altSecurityIdentities; the issuer alone would let in everybody of that CA. */
const forms: Partial<Record<MappingMethod, FormFacts>> = {
  X509IssuerSerialNumber: { survives: ['no', 'no', 'no'], warnings: [breaksOnRenewal] },
  X509SKI: {
    survives: ['yes', 'no', 'usually'],
    warnings: [
      {
        code: 'requesterChooses',
        text: 'where a CA copies the key identifier from the request, whoever requests a certificate chooses it',
      },
    ],
  },
  X509SHA1PublicKey: {
    survives: ['no', 'no', 'no'],
    warnings: [
      {
        code: 'breaksOnRenewal',
        text: 'in spite of its name it is the hash of the whole certificate: each renewal needs a new value, with the same key too',
      },
    ],
  },
  X509IssuerSid: {
    survives: ['yes', 'yes', 'no'],
    warnings: [
      {
        code: 'needsUpdates',
        text: 'only domain controllers of Windows Server 2022 or 2025 with the updates of 2025 know it; Samba does not',
      },
    ],
  },
  X509IssuerSubject: { survives: ['yes', 'yes', 'no'], warnings: [] },
  X509SubjectOnly: {
    survives: ['yes', 'yes', 'yes'],
    warnings: [
      { code: 'anyIssuer', text: 'every CA that is trusted for logon can issue a certificate of that subject' },
    ],
  },
  X509RFC822: {
    survives: ['yes', 'yes', 'yes'],
    warnings: [
      { code: 'anyIssuer', text: 'every CA that is trusted for logon can issue a certificate of that address' },
    ],
  },
};

function warningsOf(leaf: Certificate, values: readonly Suggestion[]): readonly Warning[] {
  const strong = values.filter(({ strength }) => strength === 'strong');
  const upns = leaf.extensions.subjectAltName?.upns ?? [];
  const warnings: Warning[] = [];
  if (strong.length === 0)
    warnings.push({ code: 'noStrongForm', text: 'the settings in force look for no strong form of this certificate' });
  else if (strong.every(({ survives }) => survives.renewalWithSameKey === 'no'))
    warnings.push({
      code: 'noneSurvivesRenewal',
      text: 'no strong value survives a renewal: the certificate has neither a subject key identifier nor a SID',
    });
  if (upns.length > 0)
    warnings.push({
      code: 'hasUpn',
      text: `the certificate has the user principal name ${upns.join(', ')}: where that leads to another account, nobody is mapped`,
    });
  return warnings;
}
