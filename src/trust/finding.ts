/**
 * One reason why a path is not accepted, tied to the certificate that gives it. Every check of this room answers with
 * findings; which of several becomes the verdict is decided in `precedence.ts`.
 */
import type { VerdictCode } from '../base/verdict.ts';
import type { Certificate } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';
import type { DeadEnd } from './judgement.ts';

/** The verdicts that judging a chain can end with. */
export type RefusalCode = Extract<
  VerdictCode,
  | 'basicConstraints'
  | 'caAsClient'
  | 'certificateExpired'
  | 'certificateMalformed'
  | 'certificateNotYetValid'
  | 'chainIncomplete'
  | 'criticalExtension'
  | 'nameConstraints'
  | 'policyInvalid'
  | 'searchExhausted'
  | 'signatureInvalid'
  | 'untrustedIssuer'
  | 'untrustedRoot'
  | 'weakAlgorithm'
  | 'wrongUsage'
>;

export interface Finding {
  /** Position in the path, 0 is the leaf. */
  readonly depth: number;
  readonly certificate: Certificate;
  readonly code: RefusalCode;
  /** What was found and what was wanted; a clause without the certificate's name and without a full stop. */
  readonly detail: string;
}

export function deadEndOf({ depth, certificate, code, detail }: Finding): DeadEnd {
  return { depth, subject: rfc4514Text(certificate.subject), thumbprint: certificate.thumbprint, code, detail };
}

/** `certificate 1 (CN=Lab Issuing CA, thumbprint 0a1b...): <detail>` */
export function sentenceOf({ depth, subject, thumbprint, detail }: DeadEnd): string {
  return `certificate ${depth} (${subject === '' ? 'empty subject' : subject}, thumbprint ${thumbprint}): ${detail}`;
}

/** Text from a certificate inside a sentence: quoted, and nothing in it that could act on a terminal or a log. */
export function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => String.raw`\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
