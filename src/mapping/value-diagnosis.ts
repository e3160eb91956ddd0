/**
 * What one stored value of altSecurityIdentities is, and what is wrong with it, judged by itself: whether it belongs to a
 * certificate at hand is decided in `certificate-diagnosis.ts`. For people only: mapping compares whole values and
 * never asks here. What Samba makes of broken values (its own parser is another) is kept to where it refuses.
 */
import type { MappingMethod } from './mapper-contract.ts';
import { takeApart, type StoredPart, type StoredValue } from './stored-value.ts';
import type { Fault } from './value-fault.ts';
import { readPart, type ReadPart } from './value-part.ts';

export type ValueForm = Exclude<MappingMethod, 'UPN' | 'DNS'> | 'foreign' | 'kerberos' | 'malformed';

export interface Diagnosis {
  /** What it is, or is meant to be where that is plain. */
  readonly form: ValueForm;
  /** Of the form; null for what is no mapping of a certificate. */
  readonly strength: 'strong' | 'weak' | null;
  /** Empty: a domain controller can find this value. */
  readonly faults: readonly Fault[];
  /** The value with every fault put right; null where there is none, or where nobody can be certain what was meant. */
  readonly corrected: string | null;
}

/** No certificate that anybody maps makes a longer one; reading names costs the square of the length at worst. */
export const longestValue = 8192;

/** A diagnosis with the parts it was made from, for whoever compares them with a certificate. */
export interface TakenApart extends Diagnosis {
  readonly parts: readonly ReadPart[];
}

/** @param value as stored, whatever it is */
export function diagnoseValue(value: string): Diagnosis {
  const { form, strength, faults, corrected } = diagnoseParts(value);
  return { form, strength, faults, corrected };
}

export function diagnoseParts(value: string): TakenApart {
  if (value.length > longestValue)
    return malformed([{ code: 'tooLong', text: `it has ${value.length} characters, more than anybody reads` }]);
  const taken = takeApart(value);
  if (taken.kind === 'tagged') return diagnoseTagged(taken, value);
  if (taken.kind !== 'broken') return { form: taken.kind, strength: null, faults: [], corrected: null, parts: [] };
  const text = taken.why === 'noTag' ? 'there is no <tag> behind X509:' : 'a < is not closed by a >';
  return malformed([{ code: taken.why, text }]);
}

function diagnoseTagged(taken: Extract<StoredValue, { kind: 'tagged' }>, value: string): TakenApart {
  const faults = [...frontFaults(taken), ...tagFaults(taken.parts), ...invisibleFaults(value)];
  const parts = taken.parts.map(readPart);
  for (const fault of parts.flatMap((part) => part.faults))
    if (!faults.some(({ text }) => text === fault.text)) faults.push(fault);
  const order = parts.map(({ tag }) => tag);
  const form = formOf(order);
  if (form === null) {
    if (!faults.some(({ code }) => namesShape.has(code))) faults.push(combinationFault(order));
    const corrected = correctedCombination(parts, faults);
    return { ...malformed(faults), corrected, parts };
  }
  if (order.join() !== form.tags.join())
    faults.push({ code: 'tagOrder', text: `<${order.join('> stands before <')}>; Windows writes them the other way` });
  // hex that is none names nothing, and an empty part would name everybody
  const broken = faults.some(({ code }) => code === 'emptyPart' || code === 'notHex' || code === 'oddHex');
  const written = form.tags.map((tag) => parts.find((part) => part.tag === tag));
  const blankFront = taken.before.trim() === '';
  const certain = blankFront && !broken && ordersAgree(parts) && parts.every(isPlainToSee);
  return {
    form: broken ? 'malformed' : form.form,
    strength: broken ? null : form.strength,
    faults,
    corrected: certain && faults.length > 0 ? writeValue(written) : null,
    parts,
  };
}

function malformed(faults: readonly Fault[]): TakenApart {
  return { form: 'malformed', strength: null, faults, corrected: null, parts: [] };
}

/** Null when one of the parts cannot be written with certainty. */
function writeValue(parts: readonly (ReadPart | undefined)[]): string | null {
  let value = 'X509:';
  for (const part of parts) {
    if (part?.corrected === undefined || part.corrected === null) return null;
    value += `<${part.tag}>${part.corrected}`;
  }
  return value;
}

interface Form {
  readonly form: Exclude<ValueForm, 'foreign' | 'kerberos' | 'malformed'>;
  readonly strength: 'strong' | 'weak';
  readonly tags: readonly string[];
}

/** MS-PKCA 3.1.5.2.1.3 and, for the last, MS-RCMP 3.5.2. */
const forms: readonly Form[] = [
  { form: 'X509IssuerSerialNumber', strength: 'strong', tags: ['I', 'SR'] },
  { form: 'X509SKI', strength: 'strong', tags: ['SKI'] },
  { form: 'X509SHA1PublicKey', strength: 'strong', tags: ['SHA1-PUKEY'] },
  { form: 'X509IssuerSid', strength: 'strong', tags: ['I', 'SID'] },
  { form: 'X509IssuerSubject', strength: 'weak', tags: ['I', 'S'] },
  { form: 'X509SubjectOnly', strength: 'weak', tags: ['S'] },
  { form: 'X509RFC822', strength: 'weak', tags: ['RFC822'] },
  { form: 'X509IssuerOnly', strength: 'weak', tags: ['I'] },
];

/** Null when these tags do not stand together in any order. */
function formOf(tags: readonly string[]): Form | null {
  const wanted = tags.toSorted().join();
  return forms.find((form) => form.tags.toSorted().join() === wanted) ?? null;
}

function frontFaults({ prefix, before }: { readonly prefix: string; readonly before: string }): readonly Fault[] {
  const faults: Fault[] = [];
  if (prefix.toLowerCase() !== 'x509:')
    faults.push({ code: 'prefix', text: `it begins with ${prefix === '' ? 'a tag' : prefix}, not with X509:` });
  if (before !== '')
    faults.push({
      code: 'textBeforeTag',
      text: `${before.trim() === '' ? 'a blank' : before.trim()} stands between X509: and the first tag`,
    });
  return faults;
}

/** Faults that say why the tags make no form: then nothing more is said of that. */
const namesShape: ReadonlySet<string> = new Set(['emptyTag', 'unknownTag', 'duplicateTag']);

function tagFaults(parts: readonly StoredPart[]): readonly Fault[] {
  const faults: Fault[] = [];
  const seen = new Set<string>();
  for (const { tag, text } of parts) {
    const name = tag.trim().toUpperCase();
    if (name === '') faults.push({ code: 'emptyTag', text: 'a tag has no name' });
    else if (!knownTags.has(name)) faults.push({ code: 'unknownTag', text: unknownTag(tag) });
    else if (text.trim() === '')
      faults.push({
        code: 'emptyPart',
        text: `nothing stands behind <${name}>: where that were looked for, every certificate without it would match`,
      });
    if (name !== '' && tag !== tag.trim())
      faults.push({ code: 'blanks', text: `there is a blank inside the brackets of <${name}>` });
    if (seen.has(name)) faults.push({ code: 'duplicateTag', text: `<${name}> is there more than once` });
    seen.add(name);
  }
  return faults;
}

const knownTags: ReadonlySet<string> = new Set(forms.flatMap(({ tags }) => tags));

function unknownTag(tag: string): string {
  const entra = /^(?:pn|sha256.*)$/i.test(tag.trim());
  return entra
    ? `<${tag}> belongs to certificateUserIds of Entra ID; Active Directory does not know it`
    : `<${tag}> is not a tag that Windows writes`;
}

function combinationFault(tags: readonly string[]): Fault {
  if (tags.join() === 'SR')
    return { code: 'combination', text: 'a serial number means nothing without its issuer: <I> is missing' };
  return { code: 'combination', text: `<${tags.join('>, <')}> do not stand together in any form` };
}

/** `<I>..<S>..<SR>` says more than it needs: issuer and serial number are a form, and the stronger one. */
function correctedCombination(parts: readonly ReadPart[], faults: readonly Fault[]): string | null {
  const only = faults.every(({ code }) => code === 'combination');
  if (
    !only ||
    parts
      .map(({ tag }) => tag)
      .toSorted()
      .join() !== 'I,S,SR'
  )
    return null;
  return writeValue(['I', 'SR'].map((tag) => parts.find((part) => part.tag === tag)));
}

/** Where one name was turned round, a name of which nobody can tell was turned round as well, or not. */
function ordersAgree(parts: readonly ReadPart[]): boolean {
  const orders = parts.flatMap(({ name }) => (name === null ? [] : [name.order]));
  return !orders.includes('leafFirst') || !orders.includes('unknown');
}

/** Among digits such a character means nothing; a name may really have it. */
function isPlainToSee({ hex, text }: ReadPart): boolean {
  return hex !== null || !invisible.test(text);
}

const invisible = /[\p{C}\p{Zl}\p{Zp}\u00a0\u2000-\u200a\u202f\u205f\u3000]/u;

function invisibleFaults(value: string): readonly Fault[] {
  const found = invisible.exec(value)?.[0];
  if (found === undefined) return [];
  const point = (found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return [{ code: 'invisibleCharacter', text: `it has the character U+${point}, which nobody sees` }];
}
