/**
 * One part of a stored value, tag and text, read as what its tag says it is: a name, octets in hex, a SID, a mail address.
 * Says what is wrong with the text, and how it would read if it were right.
 */
import type { StoredPart } from './stored-value.ts';
import type { Fault } from './value-fault.ts';
import { readWrittenName, writeWindowsName, type WrittenNameText } from './written-name.ts';

export interface ReadPart {
  /** Upper case. */
  readonly tag: string;
  /** As stored. */
  readonly text: string;
  readonly faults: readonly Fault[];
  /** The text as Windows writes it; null where nobody can be certain. */
  readonly corrected: string | null;
  /** For `<I>` and `<S>`. */
  readonly name: WrittenNameText | null;
  /** For `<SR>`, `<SKI>` and `<SHA1-PUKEY>`: digits without separators, lower case; null where these are not hex octets. */
  readonly hex: string | null;
}

export function readPart({ tag: written, text }: StoredPart): ReadPart {
  const tag = written.trim().toUpperCase();
  const plain = { tag, text, name: null, hex: null };
  if (tag === 'I' || tag === 'S') return { ...plain, ...readName(text, tag === 'I' ? 'issuer' : 'subject') };
  if (tag === 'SR' || tag === 'SKI' || tag === 'SHA1-PUKEY') return { ...plain, ...readHex(text, tag) };
  if (tag === 'SID')
    return { ...plain, ...readWord(text, 'sidShape', /^S-1-\d+(?:-\d+)+$/i, 'a SID, as S-1-5-21-...') };
  if (tag === 'RFC822') return { ...plain, ...readWord(text, 'mailShape', /^[^@]+@[^@]+$/, 'a mail address') };
  return { ...plain, faults: [], corrected: null };
}

function readName(text: string, what: string): Pick<ReadPart, 'faults' | 'corrected' | 'name'> {
  const name = readWrittenName(text, what);
  const rdns = name.order === 'leafFirst' ? name.rdns.toReversed() : name.rdns;
  const corrected = name.faults.length === 0 ? text : name.certain && rdns.length > 0 ? writeWindowsName(rdns) : null;
  return { name, faults: name.faults, corrected };
}

/** SHA-1 is 20 octets, SHA-256 is 32. */
const thumbprintDigits = 40;

function readHex(text: string, tag: 'SR' | 'SKI' | 'SHA1-PUKEY'): Pick<ReadPart, 'faults' | 'corrected' | 'hex'> {
  const trimmed = text.trim();
  const digits = trimmed
    .replace(/^0x/i, '')
    .replaceAll(/[\s:.-]|\p{Cf}/gu, '')
    .toLowerCase();
  const separated = digits.length !== trimmed.length;
  if (trimmed === '') return { faults: [], corrected: null, hex: null };
  if (!/^[0-9a-f]+$/.test(digits))
    return { faults: [{ code: 'notHex', text: `<${tag}> is not in hexadecimal digits` }], corrected: null, hex: null };
  const faults: Fault[] = [];
  if (separated) {
    const display = tag === 'SR' ? ', as displays have them that do not reverse the octets' : '';
    faults.push({ code: 'hexSeparators', text: `<${tag}> has more than digits in it (blanks, colons, 0x)${display}` });
  } else if (trimmed !== text)
    faults.push({ code: 'blanks', text: `there is a blank before or behind the digits of <${tag}>` });
  if (digits.length % 2 === 1)
    return {
      faults: [...faults, { code: 'oddHex', text: `<${tag}> has an odd number of digits` }],
      corrected: null,
      hex: digits,
    };
  if (tag === 'SHA1-PUKEY' && digits.length !== thumbprintDigits) {
    const what = digits.length === 64 ? 'a SHA-256 hash has' : 'nothing that is SHA-1 has';
    faults.push({
      code: 'hashLength',
      text: `<SHA1-PUKEY> has ${digits.length} digits, which ${what}; a thumbprint has ${thumbprintDigits}`,
    });
    return { faults, corrected: null, hex: digits };
  }
  // which end a displayed serial number begins with is not known
  return {
    faults,
    corrected: tag === 'SR' && separated ? null : digits === trimmed.toLowerCase() ? trimmed : digits,
    hex: digits,
  };
}

function readWord(
  text: string,
  code: 'sidShape' | 'mailShape',
  shape: RegExp,
  what: string,
): Pick<ReadPart, 'faults' | 'corrected'> {
  const trimmed = text.trim();
  if (trimmed === '') return { faults: [], corrected: null };
  if (!shape.test(trimmed)) return { faults: [{ code, text: `${trimmed} is not ${what}` }], corrected: null };
  return {
    faults: trimmed === text ? [] : [{ code: 'blanks', text: `there is a blank before or behind ${trimmed}` }],
    corrected: trimmed,
  };
}
