/**
 * How a stored value stands to one certificate: it maps it, or which part is another's, or only written otherwise. A value
 * that means this certificate is corrected to the one mapping looks for; one that is merely like it is not, for
 * whoever follows the advice would map a stranger.
 */
import { fold } from '../directory/sort-key.ts';
import type { Certificate } from '../x509/certificate.ts';
import { adNameText } from './ad-name.ts';
import { foldText, sameText } from './ad-text.ts';
import { compareHash, compareKeyIdentifier, compareSerial } from './hex-comparison.ts';
import type { Candidate, MappingMethod } from './mapper-contract.ts';
import { diagnoseParts, type Diagnosis } from './value-diagnosis.ts';
import type { Fault, FaultCode } from './value-fault.ts';
import type { ReadPart } from './value-part.ts';
import { readWrittenName, type WrittenNameText } from './written-name.ts';

export interface CertificateDiagnosis extends Diagnosis {
  /** The method by which the value, as it is stored, stands for the certificate; null when it does not. */
  readonly method: MappingMethod | null;
}

/** What a part says of the certificate. `means`: the same thing, whatever the spelling. */
export type PartComparison =
  { readonly means: true; readonly fault: Fault | null } | { readonly means: false; readonly fault: Fault };

/** @param candidates all of the certificate's, used or not */
export function diagnoseAgainst(
  value: string,
  leaf: Certificate,
  candidates: readonly Candidate[],
): CertificateDiagnosis {
  const explicit = candidates.filter(({ method }) => method !== 'UPN' && method !== 'DNS');
  const hit = explicit.find((candidate) => sameText(candidate.value, value));
  const { parts, ...alone } = diagnoseParts(value);
  if (hit !== undefined)
    return { form: formOf(hit), strength: hit.strength, faults: [], corrected: null, method: hit.method };
  const method = methodOf(parts);
  if (method === null) return { ...alone, corrected: null, method: null };

  const compared = parts
    .filter(({ tag }) => method !== 'X509IssuerSerialNumber' || tag !== 'S')
    .map((part) => comparePart(part, leaf));
  const faults = [...alone.faults];
  for (const { fault } of compared)
    if (fault !== null && !faults.some(({ code, text }) => code === fault.code && text === fault.text))
      faults.push(fault);
  const target = compared.every(({ means }) => means) ? targetOf(method, parts, explicit) : null;
  if (target !== null && faults.length === 0)
    faults.push({ code: 'otherSpelling', text: 'it means this certificate, but is not spelt as Windows does' });
  return { ...alone, faults, corrected: target, method: null };
}

function formOf({ method }: Candidate): Diagnosis['form'] {
  return method === 'UPN' || method === 'DNS' ? 'foreign' : method;
}

const methods: Readonly<Record<string, MappingMethod>> = {
  'I,SR': 'X509IssuerSerialNumber',
  'I,S,SR': 'X509IssuerSerialNumber',
  SKI: 'X509SKI',
  'SHA1-PUKEY': 'X509SHA1PublicKey',
  'I,SID': 'X509IssuerSid',
  'I,S': 'X509IssuerSubject',
  S: 'X509SubjectOnly',
  RFC822: 'X509RFC822',
  I: 'X509IssuerOnly',
};

/** Null when the tags are none of a form, or a part is empty. */
function methodOf(parts: readonly ReadPart[]): MappingMethod | null {
  if (parts.some(({ text }) => text.trim() === '')) return null;
  const tags = parts.map(({ tag }) => tag).toSorted();
  return methods[tags.join()] ?? null;
}

/** The candidate to write: the first of the method, which is the usual spelling; the one of this address. */
function targetOf(method: MappingMethod, parts: readonly ReadPart[], explicit: readonly Candidate[]): string | null {
  const ofMethod = explicit.filter((candidate) => candidate.method === method);
  if (method !== 'X509RFC822') return ofMethod[0]?.value ?? null;
  const mail = parts[0]?.text.trim() ?? '';
  return ofMethod.find(({ value }) => sameText(value.slice(value.indexOf('>') + 1), mail))?.value ?? null;
}

function comparePart(part: ReadPart, leaf: Certificate): PartComparison {
  const { extensions } = leaf;
  switch (part.tag) {
    case 'I':
      return compareName(part, adNameText(leaf.issuer), 'issuer');
    case 'S':
      return compareName(part, adNameText(leaf.subject), 'subject');
    case 'SR':
      return compareSerial(part.hex, leaf.serial);
    case 'SKI':
      return compareKeyIdentifier(part.hex, leaf);
    case 'SHA1-PUKEY':
      return compareHash(part.hex, leaf);
    case 'SID':
      return compareWord(part, extensions.sid === null ? [] : [extensions.sid], 'otherSid', 'SID');
    default:
      return compareWord(part, extensions.subjectAltName?.rfc822Names ?? [], 'otherMail', 'mail address');
  }
}

function compareWord(part: ReadPart, own: readonly string[], code: FaultCode, what: string): PartComparison {
  const stored = part.text.trim();
  if (own.some((text) => sameText(text, stored))) return { means: true, fault: null };
  const has = own.length === 0 ? `has no ${what}` : `has ${own.join(', ')}`;
  return { means: false, fault: { code, text: `it is for ${stored}, and the certificate ${has}` } };
}

/** The certificate's name is read from its own text by the same reader, so that both are understood alike. */
function compareName(part: ReadPart, own: string, what: 'issuer' | 'subject'): PartComparison {
  const name = part.name;
  if (name === null || sameText(part.text, own)) return { means: true, fault: null };
  const wanted = keysOf(readWrittenName(own, what));
  const stored = keysOf(name);
  const joined = wanted.join(',');
  if (name.certain && stored.join(',') === joined) return { means: true, fault: null };
  if (name.certain && stored.toReversed().join(',') === joined)
    return name.order === 'leafFirst'
      ? { means: true, fault: null }
      : {
          means: true,
          fault: { code: 'ldapOrder', text: `the ${what} stands in the order opposite to the certificate's` },
        };
  // where only quotes, escapes or blanks keep it from being understood, the certificate says what was meant
  if (!name.certain && bare(part.text) === bare(own)) return { means: true, fault: null };

  const other = (code: FaultCode, text: string): PartComparison => ({ means: false, fault: { code, text } });
  if (fold(bare(part.text)) === fold(bare(own)) || fold(stored.toReversed().join(',')) === fold(joined))
    return other(
      'looksAlike',
      `a domain controller takes the ${what} for that of the certificate (accents, width), the gateway does not: it is ${part.text}, the certificate has ${own}`,
    );
  if (stored.toSorted().join(',') === wanted.toSorted().join(','))
    return other('otherSpelling', `the ${what} has the parts of the certificate's in another order: ${own}`);
  return other(
    what === 'issuer' ? 'otherIssuer' : 'otherSubject',
    `the ${what} is another's: the certificate has ${own === '' ? 'none' : own}`,
  );
}

/** One text per RDN; multi-valued ones in their order. */
function keysOf({ rdns }: WrittenNameText): readonly string[] {
  return rdns.map((rdn) => rdn.map(({ type, text }) => `${type.windows}=${JSON.stringify(foldText(text))}`).join('+'));
}

function bare(text: string): string {
  return foldText(text.replaceAll(/["\\\s]/g, ''));
}
