/**
 * The outline of one LDAPMessage (RFC 4511 section 4.1.1) as a server may send it to us: bind, search and extended
 * responses. Decides whether every length inside it is consistent; what the message says is ldapts' business. ldapts'
 * reader loops for ever where an inner length points beyond the message (its reads return null without advancing), so nothing
 * that fails here is handed to it.
 */
export interface MessageHead {
  /** 0 is an unsolicited notification: the server says that it is about to close (RFC 4511 section 4.4). */
  readonly id: number;
  readonly operation: 'bind' | 'entry' | 'reference' | 'done' | 'extended';
}

/** Null when the bytes are not one whole, consistent message of a kind that a server sends to us. */
export function outlineOf(message: Buffer): MessageHead | null {
  const [envelope, ...beyond] = childrenOf(message, 0, message.length) ?? [];
  if (envelope?.tag !== tags.sequence || beyond.length > 0) return null;
  const [id, body, controls, ...more] = childrenOf(message, envelope.start, envelope.end) ?? [];
  if (id?.tag !== tags.integer || body === undefined || more.length > 0) return null;
  if (id.end - id.start < 1 || id.end - id.start > 4 || (message[id.start] ?? 0x80) >= 0x80) return null;
  if (controls !== undefined && !(controls.tag === tags.controls && everyControl(message, controls))) return null;
  const operation = operations.get(body.tag);
  if (operation === undefined || !shapes[operation](message, body)) return null;
  return { id: message.readUIntBE(id.start, id.end - id.start), operation };
}

/** What an extended response says (RFC 4511 section 4.12). */
export interface ExtendedResult {
  readonly id: number;
  readonly code: number;
  /** Text of the server, as it came. */
  readonly diagnostic: string;
  /** The responseName; null where the server gives none. */
  readonly name: string | null;
}

/** Null when the bytes are not one whole extended response. */
export function resultOf(message: Buffer): ExtendedResult | null {
  const head = outlineOf(message);
  if (head?.operation !== 'extended') return null;
  const [envelope] = childrenOf(message, 0, message.length) ?? [];
  const [, body] = envelope === undefined ? [] : (childrenOf(message, envelope.start, envelope.end) ?? []);
  const parts = body === undefined ? [] : (childrenOf(message, body.start, body.end) ?? []);
  const [code, , text] = parts;
  if (code === undefined || text === undefined) return null;
  const name = parts.find(({ tag }) => tag === tags.responseName);
  return {
    id: head.id,
    code: message.readUIntBE(code.start, code.end - code.start),
    diagnostic: message.toString('utf8', text.start, text.end),
    name: name === undefined ? null : message.toString('latin1', name.start, name.end),
  };
}

type Shape = (message: Buffer, body: Element) => boolean;

const shapes: Readonly<Record<MessageHead['operation'], Shape>> = {
  bind: isResult,
  done: isResult,
  extended: isResult,
  reference: (message, body) => every(message, body, (child) => child.tag === tags.octets),
  entry: (message, body) => {
    const [name, attributes, ...more] = childrenOf(message, body.start, body.end) ?? [];
    if (name?.tag !== tags.octets || attributes?.tag !== tags.sequence || more.length > 0) return false;
    return every(message, attributes, (attribute) => {
      if (attribute.tag !== tags.sequence) return false;
      const [type, values, ...others] = childrenOf(message, attribute.start, attribute.end) ?? [];
      if (type?.tag !== tags.octets || values?.tag !== tags.set || others.length > 0) return false;
      return every(message, values, (value) => value.tag === tags.octets);
    });
  },
};

/** COMPONENTS OF LDAPResult: a code of one to four octets, matchedDN, diagnosticMessage, and what the kind adds. */
function isResult(message: Buffer, body: Element): boolean {
  const [code, matched, text] = childrenOf(message, body.start, body.end) ?? [];
  if (code?.tag !== tags.enumerated || matched?.tag !== tags.octets || text?.tag !== tags.octets) return false;
  return code.end - code.start >= 1 && code.end - code.start <= 4;
}

function everyControl(message: Buffer, controls: Element): boolean {
  return every(message, controls, (control) => {
    if (control.tag !== tags.sequence) return false;
    const parts = childrenOf(message, control.start, control.end);
    return parts?.[0]?.tag === tags.octets && parts.length <= 3;
  });
}

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

function every(message: Buffer, parent: Element, holds: (child: Element) => boolean): boolean {
  return childrenOf(message, parent.start, parent.end)?.every(holds) ?? false;
}

/** The elements that fill `start` to `end` exactly; null when they do not. */
function childrenOf(bytes: Buffer, start: number, end: number): Element[] | null {
  const found: Element[] = [];
  for (let at = start; at < end;) {
    const header = readHeader(bytes, at, end);
    if (header === null || header === 'malformed' || header.length > end - header.start) return null;
    at = header.start + header.length;
    found.push({ tag: header.tag, start: header.start, end: at });
  }
  return found;
}

export interface Header {
  readonly tag: number;
  /** Offset of the content. */
  readonly start: number;
  /** Octets of content. */
  readonly length: number;
}

/**
 * Tag and length at `at`. LDAP uses the definite form only (RFC 4511 section 5.1); lengths of more than four octets are not
 * taken. Null when the header itself is not complete before `end`.
 */
export function readHeader(bytes: Buffer, at: number, end: number): Header | 'malformed' | null {
  if (end - at < 2) return null;
  const tag = bytes[at] ?? 0;
  const first = bytes[at + 1] ?? 0;
  if (first < 0x80) return { tag, start: at + 2, length: first };
  const octets = first & 0x7f;
  if (octets < 1 || octets > 4) return 'malformed';
  if (end - at < 2 + octets) return null;
  return { tag, start: at + 2 + octets, length: bytes.readUIntBE(at + 2, octets) };
}

const tags = {
  integer: 0x02,
  octets: 0x04,
  enumerated: 0x0a,
  sequence: 0x30,
  set: 0x31,
  controls: 0xa0,
  responseName: 0x8a,
} as const;

const operations: ReadonlyMap<number, MessageHead['operation']> = new Map([
  [0x61, 'bind'],
  [0x64, 'entry'],
  [0x65, 'done'],
  [0x73, 'reference'],
  [0x78, 'extended'],
]);
