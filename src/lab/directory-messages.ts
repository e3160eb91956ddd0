/**
 * LDAP messages (RFC 4511 section 4) as values, and answers as octets. What an answer says is decided elsewhere.
 */
import {
  elementsOf,
  type Element,
  encode,
  encodeInteger,
  expectElement,
  integerOf,
  malformed,
  totalLength,
} from './directory-ber.ts';
import type { Scope } from './directory-store.ts';

export interface Control {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer | null;
}

export interface SearchRequest {
  readonly kind: 'search';
  readonly id: number;
  readonly base: string;
  readonly scope: Scope;
  /** 0: no limit asked for. */
  readonly sizeLimit: number;
  readonly typesOnly: boolean;
  readonly filter: Element;
  readonly attributes: readonly string[];
  readonly controls: readonly Control[];
}

export interface BindRequest {
  readonly kind: 'bind';
  readonly id: number;
  readonly name: string;
  /** Null when the method is not simple. */
  readonly password: string | null;
  /** The SASL mechanism; null when the method is another. */
  readonly mechanism: string | null;
}

export type Request =
  | SearchRequest
  | BindRequest
  | { readonly kind: 'unbind' }
  | { readonly kind: 'abandon'; readonly target: number }
  | { readonly kind: 'extended'; readonly id: number; readonly oid: string }
  /** Modify, add, delete, rename, compare: `answer` is the tag of its response. */
  | { readonly kind: 'write'; readonly id: number; readonly answer: number };

export const resultCode = {
  success: 0,
  operationsError: 1,
  protocolError: 2,
  sizeLimitExceeded: 4,
  authMethodNotSupported: 7,
  strongerAuthRequired: 8,
  referral: 10,
  adminLimitExceeded: 11,
  unavailableCriticalExtension: 12,
  noSuchObject: 32,
  invalidDnSyntax: 34,
  invalidCredentials: 49,
  busy: 51,
  unavailable: 52,
  unwillingToPerform: 53,
} as const;

export const responseTag = { bind: 0x61, entry: 0x64, searchDone: 0x65, reference: 0x73, extended: 0x78 } as const;

const scopes: readonly Scope[] = ['base', 'one', 'subtree'];
const writeAnswers: Readonly<Record<number, number>> = { 0x66: 0x67, 0x68: 0x69, 0x4a: 0x6b, 0x6c: 0x6d, 0x6e: 0x6f };

/** @param message one whole LDAPMessage. @throws Failure `ldap-malformed` */
export function readRequest(message: Buffer): Request {
  const envelope = elementsOf(expectElement(elementsOf(message), 0, 0x30).content);
  const id = integerOf(expectElement(envelope, 0, 0x02));
  const operation = envelope[1];
  if (operation === undefined || id < 0) throw malformed('a message without operation or with a negative id');
  const { tag, content } = operation;
  if (tag === 0x42) return { kind: 'unbind' };
  if (tag === 0x50) return { kind: 'abandon', target: integerOf(operation) };
  if (id === 0) throw malformed('a request with message id 0');
  if (tag === 0x60) return readBind(id, elementsOf(content));
  if (tag === 0x63) return readSearch(id, elementsOf(content), readControls(envelope[2]));
  if (tag === 0x77) return { kind: 'extended', id, oid: textOf(elementsOf(content), 0, 0x80) };
  const answer = writeAnswers[tag];
  if (answer === undefined) throw malformed(`an unknown operation 0x${tag.toString(16)}`);
  return { kind: 'write', id, answer };
}

function readBind(id: number, parts: readonly Element[]): Request {
  if (integerOf(expectElement(parts, 0, 0x02)) !== 3) throw malformed('a protocol version other than 3');
  const method = parts[2];
  if (method === undefined) throw malformed('a bind without credentials');
  const password = method.tag === 0x80 ? method.content.toString('utf8') : null;
  const mechanism = method.tag === 0xa3 ? textOf(elementsOf(method.content), 0, 0x04) : null;
  return { kind: 'bind', id, name: textOf(parts, 1, 0x04), password, mechanism };
}

function readSearch(id: number, parts: readonly Element[], controls: readonly Control[]): SearchRequest {
  const scope = scopes[integerOf(expectElement(parts, 1, 0x0a))];
  const filter = parts[6];
  if (scope === undefined || filter === undefined) throw malformed('a search of an unknown scope or without filter');
  const sizeLimit = integerOf(expectElement(parts, 3, 0x02));
  if (sizeLimit < 0) throw malformed('a negative size limit');
  return {
    kind: 'search',
    id,
    base: textOf(parts, 0, 0x04),
    scope,
    sizeLimit,
    typesOnly: expectElement(parts, 5, 0x01).content.some((octet) => octet !== 0),
    filter,
    attributes: elementsOf(expectElement(parts, 7, 0x30).content).map(({ content }) => content.toString('utf8')),
    controls,
  };
}

function readControls(element: Element | undefined): readonly Control[] {
  if (element === undefined) return [];
  if (element.tag !== 0xa0) throw malformed('something other than controls behind the operation');
  return elementsOf(element.content).map(({ content }) => {
    const parts = elementsOf(content);
    return {
      oid: textOf(parts, 0, 0x04),
      critical: parts.some(({ tag, content }) => tag === 0x01 && content.some((octet) => octet !== 0)),
      value: parts.slice(1).find(({ tag }) => tag === 0x04)?.content ?? null,
    };
  });
}

function textOf(parts: readonly Element[], index: number, tag: number): string {
  return expectElement(parts, index, tag).content.toString('utf8');
}

/** The size and cookie of a paged results control (RFC 2696). @throws Failure */
export function readPaging(value: Buffer | null): { readonly size: number; readonly cookie: string } {
  const parts = elementsOf(expectElement(elementsOf(value ?? Buffer.alloc(0)), 0, 0x30).content);
  return {
    size: integerOf(expectElement(parts, 0, 0x02)),
    cookie: expectElement(parts, 1, 0x04).content.toString('latin1'),
  };
}

export function encodePaging(oid: string, cookie: string): Buffer {
  const value = encode(0x30, encodeInteger(0), encode(0x04, Buffer.from(cookie, 'latin1')));
  return encode(0x30, encode(0x04, oid), encode(0x04, value));
}

export interface ResultFacts {
  readonly code: number;
  readonly matchedDn?: string;
  readonly message?: string;
  readonly referrals?: readonly string[];
  /** Elements behind the LDAPResult, such as the name of an extended response. */
  readonly tail?: readonly Buffer[];
  readonly controls?: readonly Buffer[];
}

export function encodeResult(id: number, tag: number, facts: ResultFacts): Buffer {
  const parts = [
    encodeInteger(facts.code, 0x0a),
    encode(0x04, facts.matchedDn ?? ''),
    encode(0x04, facts.message ?? ''),
  ];
  if (facts.referrals !== undefined) parts.push(encode(0xa3, ...facts.referrals.map((uri) => encode(0x04, uri))));
  const message = [encodeInteger(id), encode(tag, ...parts, ...(facts.tail ?? []))];
  if (facts.controls !== undefined && facts.controls.length > 0) message.push(encode(0xa0, ...facts.controls));
  return encode(0x30, ...message);
}

export function encodeEntry(id: number, dn: string, attributes: readonly Buffer[]): Buffer {
  return encode(0x30, encodeInteger(id), encode(responseTag.entry, encode(0x04, dn), encode(0x30, ...attributes)));
}

export function encodeAttribute(name: string, values: readonly Buffer[]): Buffer {
  return encode(0x30, encode(0x04, name), encode(0x31, ...values.map((value) => encode(0x04, value))));
}

export function encodeReference(id: number, uri: string): Buffer {
  return encode(0x30, encodeInteger(id), encode(responseTag.reference, encode(0x04, uri)));
}

/** Notice of Disconnection, the last message of a connection (RFC 4511 section 4.4.1). */
export function encodeDisconnection(code: number, message: string): Buffer {
  return encodeResult(0, responseTag.extended, { code, message, tail: [encode(0x8a, '1.3.6.1.4.1.1466.20036')] });
}

export interface MessageReader {
  /** Whole messages that `chunk` completes. @throws Failure when one is malformed or longer than the limit */
  read(chunk: Buffer): Buffer[];
  /** Octets of a message that is not whole yet. */
  readonly held: number;
}

/** Cuts a stream into messages, copying each octet at most once. */
export function createMessageReader(limit: number): MessageReader {
  let waiting: Buffer[] = [];
  let held = 0;
  /** Octets of the message under way, 0 while its header is not complete. */
  let wanted = 0;
  return {
    get held() {
      return held;
    },
    read(chunk) {
      waiting.push(chunk);
      held += chunk.length;
      if (wanted > held) return [];
      const bytes = waiting.length === 1 ? chunk : Buffer.concat(waiting);
      const messages: Buffer[] = [];
      let at = 0;
      for (wanted = 0; at < bytes.length; at += wanted) {
        if (bytes[at] !== 0x30) throw malformed('something other than an LDAPMessage');
        wanted = totalLength(bytes, at) ?? 0;
        if (wanted > limit) throw malformed(`a message of more than ${limit} octets`);
        if (wanted === 0 || at + wanted > bytes.length) break;
        messages.push(bytes.subarray(at, at + wanted));
      }
      if (at === bytes.length) wanted = 0;
      waiting = at === bytes.length ? [] : [bytes.subarray(at)];
      held = bytes.length - at;
      return messages;
    },
  };
}
