/**
 * What to do about the values of the account that was asked about: those that are wrong are corrected or taken away, those of an
 * earlier certificate are told as that.
 */
import type { FaultCode } from '../mapping/value-fault.ts';
import type { AccountMatch, ValueMatch } from './account-values.ts';
import type { Advice } from './advice.ts';

/** An account may have thousands of values; the first that are wrong tell enough. */
const maximumValueAdvice = 50;

export function valueAdvice({ values }: AccountMatch): readonly Advice[] {
  return values.flatMap(adviceOf).slice(0, maximumValueAdvice);
}

function adviceOf(match: ValueMatch): readonly Advice[] {
  const { value, form, faults, corrected } = match;
  if (form === 'kerberos')
    return [
      {
        code: 'kerberosValue',
        text: `${value} names a Kerberos principal; no certificate is mapped by it`,
        value: null,
      },
    ];
  if (faults.length === 0) return [];
  if (corrected !== null) return [{ code: 'correctValue', text: `write this in place of ${value}`, value: corrected }];
  const told = meanings.find((meaning) => faults.some((fault) => meaning.faults.includes(fault.code))) ?? useless;
  return [{ code: told.code, text: `${value} ${told.text}`, value: null }];
}

interface Meaning {
  readonly faults: readonly FaultCode[];
  readonly code: string;
  readonly text: string;
}

/** The first that applies says what the value is; its other faults do not matter then. What is wrong stands with the value. */
const meanings: readonly Meaning[] = [
  {
    faults: ['looksAlike'],
    code: 'looksAlike',
    text: 'is written with other letters than the certificate: only if the same person is meant, write it as the certificate does',
  },
  {
    faults: ['otherIssuer', 'otherSubject', 'otherKeyIdentifier', 'otherSid', 'otherMail'],
    code: 'otherCertificate',
    text: 'belongs to another certificate',
  },
  {
    faults: ['otherSerial', 'otherHash'],
    code: 'renewed',
    text: 'belongs to another certificate, perhaps the one before this was renewed: it can go when that is not used any more',
  },
];

const useless: Meaning = { faults: [], code: 'wrongValue', text: 'can never match: take it away or correct it' };
