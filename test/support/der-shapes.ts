/**
 * Certificates built by hand, part by part, so that a test can replace exactly one of them. Structure only: the signature
 * is not one. Good certificates come from `src/lab/authority.ts`.
 */
import { encodeElement } from '../../src/x509/der.ts';

export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s+/g, ''), 'hex');
export const element = (tag: number, ...parts: readonly Uint8Array[]): Buffer =>
  encodeElement(tag, Buffer.concat(parts));
export const sequence = (...parts: readonly Uint8Array[]): Buffer => element(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => element(0x31, ...parts);
export const octets = (...parts: readonly Uint8Array[]): Buffer => element(0x04, ...parts);
export const bits = (unused: number, ...parts: readonly Uint8Array[]): Buffer =>
  element(0x03, Buffer.of(unused), ...parts);
export const integer = (content: string): Buffer => element(0x02, hex(content));
export const text = (tag: number, value: string): Buffer => element(tag, Buffer.from(value, 'latin1'));

/** Dotted text as a whole OBJECT IDENTIFIER, written apart from the reader under test. */
export function oid(dotted: string): Buffer {
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  const content = [first * 40n + second, ...rest].flatMap((arc) => {
    const septets = [Number(arc & 127n)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) septets.unshift(Number(left & 127n) | 128);
    return septets;
  });
  return element(0x06, Buffer.from(content));
}

/** One attribute per RDN: `['2.5.4.3', 12, 'alice']`. */
export type ShapedAttribute = readonly [type: string, tag: number, value: string | Uint8Array];

export function attribute([type, tag, value]: ShapedAttribute): Buffer {
  return sequence(oid(type), element(tag, typeof value === 'string' ? Buffer.from(value, 'latin1') : value));
}

export const name = (...attributes: readonly ShapedAttribute[]): Buffer =>
  sequence(...attributes.map((one) => set(attribute(one))));

export function extension(type: string, value: Uint8Array, critical: Uint8Array = Buffer.alloc(0)): Buffer {
  return sequence(oid(type), critical, octets(value));
}

export const extensions = (...list: readonly Uint8Array[]): Buffer => element(0xa3, sequence(...list));

export interface CertificateParts {
  version: Uint8Array;
  serial: Uint8Array;
  innerAlgorithm: Uint8Array;
  issuer: Uint8Array;
  validity: Uint8Array;
  subject: Uint8Array;
  publicKey: Uint8Array;
  /** Everything after the key: unique identifiers and extensions. */
  tail: Uint8Array;
  outerAlgorithm: Uint8Array;
  signature: Uint8Array;
  /** After the signature, inside the certificate. */
  inner: Uint8Array;
  /** After the certificate. */
  outer: Uint8Array;
}

const nothing = Buffer.alloc(0);
const ed25519 = sequence(oid('1.3.101.112'));

export const goodParts: Readonly<CertificateParts> = {
  version: hex('a003 020102'),
  serial: integer('01'),
  innerAlgorithm: ed25519,
  issuer: name(['2.5.4.3', 12, 'CA']),
  validity: sequence(text(0x17, '200101000000Z'), text(0x17, '491231235959Z')),
  subject: name(['2.5.4.3', 12, 'alice']),
  publicKey: sequence(ed25519, bits(0, Buffer.alloc(32, 9))),
  tail: nothing,
  outerAlgorithm: ed25519,
  signature: bits(0, Buffer.alloc(64, 7)),
  inner: nothing,
  outer: nothing,
};

export function shapeCertificate(changes: Partial<CertificateParts> = {}): Buffer {
  const parts = { ...goodParts, ...changes };
  return Buffer.concat([sequence(shapeTbs(changes), parts.outerAlgorithm, parts.signature, parts.inner), parts.outer]);
}

/** The part that is signed. */
export function shapeTbs(changes: Partial<CertificateParts> = {}): Buffer {
  const parts = { ...goodParts, ...changes };
  return sequence(
    parts.version,
    parts.serial,
    parts.innerAlgorithm,
    parts.issuer,
    parts.validity,
    parts.subject,
    parts.publicKey,
    parts.tail,
  );
}
