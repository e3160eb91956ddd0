/**
 * What to do about the values of the account that was asked about: those that are wrong are corrected or taken away, those of an
 * earlier certificate are told as that.
 */
import type { FaultCode } from '../mapping/value-fault.ts';
import type { AccountMatch, ValueMatch } from './account-values.ts';
import type { Advice } from './advice.ts';

/** An account may have thousands of values; the first that are wrong tell enough. */
export const maximumValueAdvice = 50;

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
  const why = faults.map(({ text }) => text).join('; ');
  if (corrected !== null)
    return [{ code: 'correctValue', text: `in place of ${value} write this value: ${why}`, value: corrected }];
  const told = meanings.find(([code]) => faults.some((fault) => fault.code === code));
  return [{ code: told?.[1] ?? 'wrongValue', text: `${value}: ${why}`, value: null }];
}

/** The first of these faults says what the value is; others are only wrong. */
const meanings: readonly (readonly [FaultCode, string])[] = [
  ['looksAlike', 'looksAlike'],
  ['otherIssuer', 'otherCertificate'],
  ['otherSubject', 'otherCertificate'],
  ['otherSerial', 'renewed'],
  ['otherHash', 'renewed'],
  ['otherKeyIdentifier', 'otherCertificate'],
  ['otherSid', 'otherCertificate'],
  ['otherMail', 'otherCertificate'],
];
