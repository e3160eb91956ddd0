/**
 * Search filters (RFC 4511 section 4.5.1.7): read from BER into values whose assertions are already in the form in which
 * they are compared, and evaluated with the three values of X.511. Which entries are tried is decided in `directory-store.ts`.
 */
import { type Element, elementsOf, expectElement, malformed } from './directory-ber.ts';
import { isConstructed, keyOf, syntaxOf } from './directory-schema.ts';

export type Filter =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Filter[] }
  | { readonly kind: 'not'; readonly part: Filter }
  | { readonly kind: 'present'; readonly attribute: string }
  | { readonly kind: 'equal' | 'atLeast' | 'atMost'; readonly attribute: string; readonly key: string }
  | { readonly kind: 'substrings'; readonly attribute: string; readonly pieces: readonly Piece[] }
  | { readonly kind: 'bits'; readonly attribute: string; readonly all: boolean; readonly mask: bigint }
  /** An attribute or rule that the directory does not know, or a value that is not of the attribute's syntax. */
  | { readonly kind: 'undefined' };

interface Piece {
  readonly place: 'initial' | 'any' | 'final';
  readonly key: string;
}

export interface FilterLimits {
  readonly depth: number;
  readonly nodes: number;
}

/** Bit rules of MS-ADTS 3.1.1.3.4.4. */
const bitAnd = '1.2.840.113556.1.4.803';
const bitOr = '1.2.840.113556.1.4.804';

/**
 * @param knows whether the schema has an attribute (lower case)
 * @returns null when the filter is deeper or larger than the limits
 * @throws Failure `ldap-malformed`
 */
export function readFilter(
  element: Element,
  knows: (attribute: string) => boolean,
  limits: FilterLimits,
): Filter | null {
  let nodes = 0;
  const read = (element: Element, depth: number): Filter | null => {
    nodes += 1;
    if (depth > limits.depth || nodes > limits.nodes) return null;
    if (element.tag === 0xa0 || element.tag === 0xa1) {
      const parts: Filter[] = [];
      for (const child of elementsOf(element.content)) {
        const part = read(child, depth + 1);
        if (part === null) return null;
        parts.push(part);
      }
      return { kind: element.tag === 0xa0 ? 'and' : 'or', parts };
    }
    if (element.tag === 0xa2) {
      const [child, ...rest] = elementsOf(element.content);
      if (child === undefined || rest.length > 0) throw malformed('a not filter without exactly one part');
      const part = read(child, depth + 1);
      return part === null ? null : { kind: 'not', part };
    }
    return readAssertion(element, knows);
  };
  return read(element, 1);
}

function readAssertion(element: Element, knows: (attribute: string) => boolean): Filter {
  switch (element.tag) {
    case 0xa3:
    case 0xa5:
    case 0xa6:
    case 0xa8: {
      const pair = elementsOf(element.content);
      const attribute = attributeOf(expectElement(pair, 0, 0x04));
      const key = keyOf(attribute, expectElement(pair, 1, 0x04).content);
      if (key === null || !knows(attribute) || isConstructed(attribute)) return { kind: 'undefined' };
      // approxMatch is equality in Active Directory (MS-ADTS 3.1.1.3.1.3.1).
      return { kind: element.tag === 0xa5 ? 'atLeast' : element.tag === 0xa6 ? 'atMost' : 'equal', attribute, key };
    }
    case 0xa4: {
      const pair = elementsOf(element.content);
      const attribute = attributeOf(expectElement(pair, 0, 0x04));
      const pieces = readPieces(attribute, elementsOf(expectElement(pair, 1, 0x30).content));
      return pieces === null || !knows(attribute) || isConstructed(attribute)
        ? { kind: 'undefined' }
        : { kind: 'substrings', attribute, pieces };
    }
    case 0x87: {
      const attribute = attributeOf(element);
      return knows(attribute) && !isConstructed(attribute) ? { kind: 'present', attribute } : { kind: 'undefined' };
    }
    case 0xa9:
      return readExtensible(elementsOf(element.content), knows);
    default:
      throw malformed(`an unknown filter choice 0x${element.tag.toString(16)}`);
  }
}

function readPieces(attribute: string, list: readonly Element[]): readonly Piece[] | null {
  if (list.length === 0) throw malformed('a substring filter without a piece');
  const comparable = syntaxOf(attribute) === 'unicode' || syntaxOf(attribute) === 'octets';
  const pieces: Piece[] = [];
  for (const [index, { tag, content }] of list.entries()) {
    const place = ({ 0x80: 'initial', 0x81: 'any', 0x82: 'final' } as const)[tag];
    if (place === undefined) throw malformed('an unknown kind of substring');
    if ((place === 'initial' && index > 0) || (place === 'final' && index < list.length - 1))
      throw malformed('an initial or final substring out of its place');
    const key = comparable ? keyOf(attribute, content) : null;
    if (key !== null) pieces.push({ place, key });
  }
  return comparable ? pieces : null;
}

function readExtensible(list: readonly Element[], knows: (attribute: string) => boolean): Filter {
  const part = (tag: number) => list.find((element) => element.tag === tag);
  const value = part(0x83);
  if (value === undefined) throw malformed('an extensible match without a value');
  const rule = part(0x81)?.content.toString('latin1');
  const attribute = attributeOf(part(0x82) ?? { tag: 0x82, content: Buffer.alloc(0) });
  const key = syntaxOf(attribute) === 'integer' ? keyOf(attribute, value.content) : null;
  if ((rule !== bitAnd && rule !== bitOr) || key === null || !knows(attribute) || isConstructed(attribute))
    return { kind: 'undefined' };
  return { kind: 'bits', attribute, all: rule === bitAnd, mask: BigInt(key) };
}

/** The description without its options, in lower case. */
function attributeOf(element: Element): string {
  return element.content.toString('utf8').toLowerCase().split(';', 1)[0] ?? '';
}

/** @param keysOf the comparable values of an attribute, undefined where the entry has none */
export function evaluate(filter: Filter, keysOf: (attribute: string) => readonly string[] | undefined): boolean | null {
  switch (filter.kind) {
    case 'and':
    case 'or': {
      // `decisive` ends the evaluation; Undefined survives only where nothing decided (X.511 section 7.8).
      const decisive = filter.kind === 'or';
      let outcome: boolean | null = !decisive;
      for (const part of filter.parts) {
        const result = evaluate(part, keysOf);
        if (result === decisive) return decisive;
        if (result === null) outcome = null;
      }
      return outcome;
    }
    case 'not': {
      const result = evaluate(filter.part, keysOf);
      return result === null ? null : !result;
    }
    case 'present':
      return keysOf(filter.attribute) !== undefined;
    case 'equal':
      return keysOf(filter.attribute)?.includes(filter.key) ?? false;
    case 'atLeast':
      return keysOf(filter.attribute)?.some((key) => compare(filter.attribute, key, filter.key) >= 0) ?? false;
    case 'atMost':
      return keysOf(filter.attribute)?.some((key) => compare(filter.attribute, key, filter.key) <= 0) ?? false;
    case 'substrings':
      return keysOf(filter.attribute)?.some((key) => holds(key, filter.pieces)) ?? false;
    case 'bits':
      return (
        keysOf(filter.attribute)?.some((key) => {
          const bits = BigInt(key) & filter.mask;
          return filter.all ? bits === filter.mask : bits !== 0n;
        }) ?? false
      );
    case 'undefined':
    default:
      return null;
  }
}

function compare(attribute: string, a: string, b: string): number {
  if (syntaxOf(attribute) !== 'integer') return a < b ? -1 : a > b ? 1 : 0;
  return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
}

function holds(text: string, pieces: readonly Piece[]): boolean {
  let from = 0;
  for (const { place, key } of pieces) {
    if (place === 'initial') {
      if (!text.startsWith(key)) return false;
      from = key.length;
    } else if (place === 'any') {
      const at = text.indexOf(key, from);
      if (at < 0) return false;
      from = at + key.length;
    } else if (text.length - key.length < from || !text.endsWith(key)) return false;
  }
  return true;
}
