/**
 * Distinguished names as values (RFC 5280 section 4.1.2.4): what was encoded, in the order in which it was encoded.
 * How Active Directory spells a name is decided in `mapping/`, when two names are the same in `name-comparison.ts`.
 */
import { DerError, encodeElement, tags, type DerElement, type DerReader } from './der.ts';
import { oidOf } from './der-values.ts';
import { attributeNames } from './oid.ts';
import { decodeText } from './text.ts';

export interface NameAttribute {
  readonly oid: string;
  /** Universal tag number of the string type: 12 UTF8String, 19 PrintableString, 20 TeletexString, 22 IA5String, 30 BMPString ... */
  readonly tag: number;
  /** Content octets as encoded. */
  readonly raw: Buffer;
  /** The decoded text; null when the octets are not text of that type. */
  readonly text: string | null;
}

/** One or more attributes; more than one is a multi-valued RDN. */
export type RelativeName = readonly NameAttribute[];

export interface Name {
  readonly der: Buffer;
  readonly rdns: readonly RelativeName[];
}

/** Reads the next element as a Name. Within an RDN the encoded order is kept and not checked, as Windows prints it. */
export function parseName(reader: DerReader, what: string): Name {
  const element = reader.take(tags.sequence, what);
  const inner = reader.inside(element);
  const rdns: RelativeName[] = [];
  while (!inner.done) rdns.push(parseRelativeName(inner, inner.take(tags.set, `${what}: RDN`), what));
  return { der: reader.wholeOf(element), rdns };
}

/** Reads the content of an element, a SET or what replaces its tag, as one RDN. */
export function parseRelativeName(reader: DerReader, element: DerElement, what: string): RelativeName {
  const set = reader.inside(element);
  if (set.done) throw new DerError(set.offset, `${what}: RDN without attribute`);
  const attributes: NameAttribute[] = [];
  while (!set.done) attributes.push(parseAttribute(set, what));
  return attributes;
}

function parseAttribute(set: DerReader, what: string): NameAttribute {
  const pair = set.enter(tags.sequence, what);
  const oid = oidOf(pair, pair.take(tags.oid, what), what);
  const value = pair.any(what);
  pair.finish(what);
  pair.checkNested(value, what);
  return new LazyAttribute(oid, value.tag, pair.contentOf(value));
}

/** A class only because its text is decoded on first use: most names are compared by their octets alone. */
class LazyAttribute implements NameAttribute {
  readonly oid: string;
  readonly tag: number;
  readonly raw: Buffer;
  #text: string | null | undefined;

  constructor(oid: string, tag: number, raw: Buffer) {
    this.oid = oid;
    this.tag = tag;
    this.raw = raw;
  }

  get text(): string | null {
    if (this.#text === undefined) this.#text = decodeText(this.tag, this.raw);
    return this.#text;
  }
}

export function isEmptyName(name: Name): boolean {
  return name.rdns.length === 0;
}

/**
 * RFC 4514 text for people: last encoded RDN first, special characters escaped, and every control, format or
 * separator character as hex pairs, so that it can go to a terminal. Not a key: use `sameName` to compare.
 */
export function rfc4514Text(name: Name): string {
  return name.rdns
    .map((rdn) => rdn.map(attributeText).join('+'))
    .reverse()
    .join(',');
}

function attributeText(attribute: NameAttribute): string {
  const type = attributeNames[attribute.oid] ?? attribute.oid;
  if (attribute.text === null) return `${type}=#${encodeElement(attribute.tag, attribute.raw).toString('hex')}`;
  const escaped = attribute.text
    .replaceAll(/["+,;<>\\]/g, String.raw`\$&`)
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, hexPairs)
    .replace(/^[ #]/, String.raw`\$&`)
    .replace(/(?<!^\\) $/, String.raw`\ `);
  return `${type}=${escaped}`;
}

function hexPairs(character: string): string {
  return Buffer.from(character, 'utf8')
    .toString('hex')
    .replaceAll(/../g, String.raw`\$&`);
}
