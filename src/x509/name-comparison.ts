/**
 * Decides when two distinguished names are the same and when one lies below another (RFC 5280 sections 7.1 and
 * 4.2.1.10). Text is prepared after RFC 4518, whatever string type carried it; anything else compares by its octets.
 */
import { sameBytes } from '../base/bytes.ts';
import { isEmptyName, type Name, type NameAttribute, type RelativeName } from './name.ts';

export function sameName(a: Name, b: Name): boolean {
  return a === b || sameBytes(a.der, b.der) || nameKey(a) === nameKey(b);
}

/** Whether `base` is the first RDNs of `name`; the empty name holds every name. */
export function isWithinSubtree(name: Name, base: Name): boolean {
  return isEmptyName(base) || nameKey(name).startsWith(nameKey(base));
}

const keys = new WeakMap<Name, string>();

/**
 * Equal for names that are the same, different for others; for maps keyed by name. Made once for each name value. Every
 * RDN ends with the same control character, which no prepared text contains, so a subtree is a prefix.
 */
export function nameKey(name: Name): string {
  const made = keys.get(name);
  if (made !== undefined) return made;
  const key = name.rdns.map(relativePart).join('');
  keys.set(name, key);
  return key;
}

/** The key of the name that is `base` and one RDN more: what nameRelativeToCRLIssuer stands for (section 4.2.1.13). */
export function nameKeyBelow(base: Name, rdn: RelativeName): string {
  return nameKey(base) + relativePart(rdn);
}

function relativePart(rdn: RelativeName): string {
  return `${relativeKey(rdn)}\u0002`;
}

/** The order of attributes inside an RDN has no meaning. */
function relativeKey(rdn: RelativeName): string {
  return rdn.length === 1 && rdn[0] !== undefined
    ? attributeKey(rdn[0])
    : rdn
        .map(attributeKey)
        .sort()
        .map((key) => `${key}\u0001`)
        .join('');
}

function attributeKey(attribute: NameAttribute): string {
  return attribute.text === null
    ? `${attribute.oid}#${attribute.tag}:${attribute.raw.toString('hex')}`
    : `${attribute.oid}=${preparedText(attribute.text)}`;
}

/** RFC 4518 section 2: map, fold case, normalise, and make white space insignificant. */
function preparedText(text: string): string {
  const folded = /^[ -~]*$/.test(text) ? text.toLowerCase() : foldUnicode(text);
  return folded.replaceAll(/ {2,}/g, ' ').replaceAll(/^ | $/g, '');
}

/** Section 2.2: characters that become a space, ... */
const spaces = /[\t-\r\u0085\p{Z}]/gu;
/** ... and, of what is left, those that become nothing. All format characters, also those younger than the RFC. */
const removed = /[\p{Cc}\p{Cf}\p{Variation_Selector}\u1806\ufffc]|\u034f/gu;

/**
 * Case folding is RFC 3454 table B.2 as far as JavaScript's lower case differs from it in letters that occur in names.
 * Normalised before and after, because folding can yield what normalises further.
 */
function foldUnicode(text: string): string {
  const mapped = text.replaceAll(spaces, ' ').replaceAll(removed, '').normalize('NFKC');
  const folded = mapped.toLowerCase().replaceAll('\u00df', 'ss').replaceAll('\u03c2', '\u03c3');
  return folded.normalize('NFKC').replaceAll(spaces, ' ');
}
