/**
 * What can be wrong with a value of altSecurityIdentities, as codes. A value with any of these never matches on Windows,
 * however often it is read. Codes are a contract with whoever reads `--json`: add, never rename.
 */

/** Seen in the value alone. */
export const valueFaultCodes = [
  'prefix',
  'textBeforeTag',
  'noTag',
  'unclosedTag',
  'emptyTag',
  'unknownTag',
  'duplicateTag',
  'tagOrder',
  'combination',
  'emptyPart',
  'invisibleCharacter',
  'ldapOrder',
  'blanks',
  'attributeName',
  'escapes',
  'plusSign',
  'quoting',
  'separator',
  'unreadableName',
  'hexSeparators',
  'notHex',
  'oddHex',
  'hashLength',
  'sidShape',
  'mailShape',
  'tooLong',
] as const;

/** Seen only beside a certificate. */
export const certificateFaultCodes = [
  'serialNotReversed',
  'serialReversedByDigits',
  'otherSerial',
  'otherIssuer',
  'otherSubject',
  'otherKeyIdentifier',
  'keyHash',
  'sha256',
  'otherHash',
  'otherSid',
  'otherMail',
  'looksAlike',
  'otherSpelling',
] as const;

export type FaultCode = (typeof valueFaultCodes)[number] | (typeof certificateFaultCodes)[number];

export interface Fault {
  readonly code: FaultCode;
  /** One sentence for people, lower case, no full stop. Holds text of the value: escape it on the way out. */
  readonly text: string;
}
