/**
 * Reads DER (X.690 clause 10) element by element, without copying and without leniency: definite lengths in the fewest
 * octets, low tag numbers, nothing past the end. What an element means is decided by its caller; primitive values are
 * read in `der-values.ts`.
 *
 * Everything here throws `DerError`, which never leaves this room: public parse functions turn it into a value.
 */

/** Identifier octets of the types that certificates are made of. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** First octets of what people and servers give in place of DER, and what they begin. */
const textForms: ReadonlyMap<number, string> = new Map([
  [0x2d, ', with which PEM begins, not DER'],
  [0x3c, ', with which HTML begins'],
]);

/** Nesting beyond which input is refused; a real certificate reaches about fourteen. */
const maximumDepth = 32;

export class DerError extends Error {
  override readonly name = 'DerError';
  /** Octets from the start of the whole input to the place that is wrong. */
  readonly offset: number;

  constructor(offset: number, reason: string) {
    super(reason);
    this.offset = offset;
  }
}

/** One element; all positions count from the start of the whole input. */
export interface DerElement {
  /** The identifier octet: class, constructed bit and number. */
  readonly tag: number;
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

/** Owns a position between two bounds of the input. Readers of nested elements share the input, so offsets stay absolute. */
export class DerReader {
  readonly bytes: Buffer;
  readonly #end: number;
  readonly #depth: number;
  #at: number;

  constructor(bytes: Buffer, at = 0, end = bytes.length, depth = 0) {
    if (depth > maximumDepth) throw new DerError(at, `nested more than ${maximumDepth} levels deep`);
    this.bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#depth = depth;
  }

  get offset(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** The identifier octet that comes next, -1 at the end. */
  peek(): number {
    return this.#at < this.#end ? (this.bytes[this.#at] ?? -1) : -1;
  }

  /** The next element, whatever it is. `what` names it in errors. */
  any(what: string): DerElement {
    const start = this.#at;
    const end = this.#end;
    if (start >= end) throw new DerError(start, `${what} is missing`);
    const tag = this.bytes[start] ?? 0;
    if ((tag & 0x1f) === 0x1f) throw new DerError(start, `${what}: tag numbers above 30 are not used here`);
    if (tag === 0) throw new DerError(start, `${what}: end-of-contents octets are not DER`);
    if (start + 1 >= end) throw new DerError(start + 1, `${what}: length is missing`);
    let content = start + 2;
    let length = this.bytes[start + 1] ?? 0;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets === 0) throw new DerError(start + 1, `${what}: indefinite length is not DER`);
      if (octets > 4) throw new DerError(start + 1, `${what}: length of more than four octets`);
      if (content + octets > end) throw new DerError(start + 1, `${what}: length is cut off`);
      if (this.bytes[content] === 0) throw new DerError(start + 1, `${what}: length is not minimal`);
      length = this.bytes.readUIntBE(content, octets);
      if (length < 0x80) throw new DerError(start + 1, `${what}: length is not minimal`);
      content += octets;
    }
    if (content + length > end) {
      throw new DerError(start + 1, `${what}: ${length} octets announced, ${end - content} present`);
    }
    this.#at = content + length;
    return { tag, start, content, end: this.#at };
  }

  /** The next element, which must carry this identifier octet. */
  take(tag: number, what: string): DerElement {
    const found = this.peek();
    if (found !== tag && found !== -1) {
      const text = this.#at === 0 ? (textForms.get(found) ?? '') : '';
      throw new DerError(this.#at, `${what}: expected tag ${hexTag(tag)}, found ${hexTag(found)}${text}`);
    }
    return this.any(what);
  }

  /** The next element if it carries this identifier octet, else null and nothing is consumed. */
  optional(tag: number, what: string): DerElement | null {
    return this.peek() === tag ? this.any(what) : null;
  }

  /** A reader of what is inside an element. */
  inside(element: DerElement): DerReader {
    return new DerReader(this.bytes, element.content, element.end, this.#depth + 1);
  }

  /** A reader of one element alone, as if nothing stood beside it. */
  only(element: DerElement): DerReader {
    return new DerReader(this.bytes, element.start, element.end, this.#depth);
  }

  /** A reader of what is inside the next element, which must carry this identifier octet. */
  enter(tag: number, what: string): DerReader {
    return this.inside(this.take(tag, what));
  }

  /** Demands that nothing is left. */
  finish(what: string): void {
    if (!this.done) throw new DerError(this.#at, `${what}: ${this.#end - this.#at} octets too many`);
  }

  /** The content octets of an element, not copied. */
  contentOf(element: DerElement): Buffer {
    return this.bytes.subarray(element.content, element.end);
  }

  /** An element with its identifier and length octets, not copied. */
  wholeOf(element: DerElement): Buffer {
    return this.bytes.subarray(element.start, element.end);
  }

  /** Demands that everything inside an element of any kind is DER too; for values that are kept but not interpreted. */
  checkNested(element: DerElement, what: string): void {
    if ((element.tag & 0x20) === 0) return;
    if ((element.tag & 0xc0) === 0 && element.tag !== tags.sequence && element.tag !== tags.set) {
      throw new DerError(element.start, `${what}: constructed encoding of a primitive type`);
    }
    const reader = this.inside(element);
    while (!reader.done) reader.checkNested(reader.any(what), what);
  }
}

/** Writes one element: identifier octet, minimal length, content. */
export function encodeElement(tag: number, content: Uint8Array): Buffer {
  if (content.length < 0x80) return Buffer.concat([Buffer.of(tag, content.length), content]);
  const octets = content.length < 0x100 ? 1 : content.length < 0x10000 ? 2 : content.length < 0x1000000 ? 3 : 4;
  const header = Buffer.alloc(2 + octets);
  header[0] = tag;
  header[1] = 0x80 | octets;
  header.writeUIntBE(content.length, 2, octets);
  return Buffer.concat([header, content]);
}

function hexTag(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`;
}
