/**
 * SubjectPublicKeyInfo as a value (RFC 5280 section 4.1.2.7), and the facts by which a key is strong or weak. Both are read
 * from the DER itself; node:crypto only gets a key to verify with.
 */
import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import type { Digest } from '../base/brand.ts';
import type { AlgorithmIdentifier, PublicKeyInfo } from './certificate.ts';
import { DerError, DerReader, tags } from './der.ts';
import { integerOf, octetsOfBits, oidOf } from './der-values.ts';
import { oids } from './oid.ts';

/** Reads the next element as an AlgorithmIdentifier. */
export function parseAlgorithm(reader: DerReader, what: string): AlgorithmIdentifier {
  const inner = reader.enter(tags.sequence, what);
  const oid = oidOf(inner, inner.take(tags.oid, what), what);
  if (inner.done) return { oid, parameters: null };
  const parameters = inner.any(what);
  inner.finish(what);
  inner.checkNested(parameters, what);
  return { oid, parameters: inner.wholeOf(parameters) };
}

/** Reads the next element as a SubjectPublicKeyInfo. */
export function parsePublicKey(reader: DerReader, what: string): PublicKeyInfo {
  const element = reader.take(tags.sequence, what);
  const inner = reader.inside(element);
  const algorithm = parseAlgorithm(inner, `${what}: algorithm`);
  const bits = octetsOfBits(inner, inner.take(tags.bitString, what), what);
  inner.finish(what);
  return publicKeyOf(reader.wholeOf(element), algorithm, bits);
}

/** Digest and key object are made on first use and kept. */
function publicKeyOf(spki: Buffer, algorithm: AlgorithmIdentifier, bits: Buffer): PublicKeyInfo {
  let digest: Digest | null = null;
  let key: KeyObject | null = null;
  return {
    spki,
    algorithm,
    bits,
    get digest() {
      return (digest ??= hash('sha256', spki, 'hex') as Digest);
    },
    keyObject: () => (key ??= createPublicKey({ key: spki, format: 'der', type: 'spki' })),
  };
}

export type EcCurve = 'P-256' | 'P-384' | 'P-521';

/** What a key is, as far as its strength goes. */
export type KeyFacts =
  | { readonly kind: 'rsa'; readonly bits: number; readonly pssOnly: boolean }
  | { readonly kind: 'ec'; readonly curve: EcCurve }
  | { readonly kind: 'ed25519' | 'ed448' }
  /** Legacy (FIPS 186-5 withdrew it); `bits` is the length of p. */
  | { readonly kind: 'dsa'; readonly bits: number }
  /** A key that nobody may use here, and why. */
  | { readonly kind: 'unsupported'; readonly reason: string };

const curves: ReadonlyMap<string, EcCurve> = new Map([
  [oids.p256, 'P-256'],
  [oids.p384, 'P-384'],
  [oids.p521, 'P-521'],
]);

/** Larger moduli cost more than a request is worth; OpenSSL stops at the same size. */
const maximumRsaBits = 16_384;

export function keyFacts(key: PublicKeyInfo): KeyFacts {
  try {
    return readFacts(key);
  } catch (error) {
    if (error instanceof DerError) return { kind: 'unsupported', reason: error.message };
    throw error;
  }
}

function readFacts(key: PublicKeyInfo): KeyFacts {
  const { oid } = key.algorithm;
  switch (oid) {
    case oids.rsaEncryption:
    case oids.rsaPss:
      return rsaFacts(key, oid === oids.rsaPss);
    case oids.ecPublicKey:
      return curveFacts(key.algorithm);
    case oids.dsa:
      return dsaFacts(key.algorithm);
    case oids.ed25519:
      return edwardsFacts(key, 'ed25519', 32);
    case oids.ed448:
      return edwardsFacts(key, 'ed448', 57);
    default:
      return { kind: 'unsupported', reason: `key type ${oid}` };
  }
}

/** RSAPublicKey (RFC 8017 A.1.1). An exponent of 1 would make every signature good. */
function rsaFacts(key: PublicKeyInfo, pssOnly: boolean): KeyFacts {
  const reader = new DerReader(key.bits);
  const inner = reader.enter(tags.sequence, 'RSA key');
  reader.finish('RSA key');
  const modulus = integerOf(inner, inner.take(tags.integer, 'RSA modulus'), 'RSA modulus');
  const exponent = integerOf(inner, inner.take(tags.integer, 'RSA exponent'), 'RSA exponent');
  inner.finish('RSA key');
  const bits = bitLength(modulus);
  if (((modulus[0] ?? 0) | (exponent[0] ?? 0)) >= 0x80) return { kind: 'unsupported', reason: 'negative RSA number' };
  if (bits > maximumRsaBits) return { kind: 'unsupported', reason: `RSA modulus of ${bits} bits` };
  if (((exponent.at(-1) ?? 0) & 1) === 0 || bitLength(exponent) < 2 || exponent.length > 9) {
    return { kind: 'unsupported', reason: 'RSA exponent is even, below 3 or above 64 bits' };
  }
  return { kind: 'rsa', bits, pssOnly };
}

/** Dss-Parms (RFC 3279 section 2.3.2). Parameters inherited from the issuer are not taken: the key would not say what it is. */
function dsaFacts(algorithm: AlgorithmIdentifier): KeyFacts {
  if (algorithm.parameters === null) return { kind: 'unsupported', reason: 'DSA key without parameters of its own' };
  const inner = new DerReader(algorithm.parameters).enter(tags.sequence, 'DSA parameters');
  const p = integerOf(inner, inner.take(tags.integer, 'DSA p'), 'DSA p');
  integerOf(inner, inner.take(tags.integer, 'DSA q'), 'DSA q');
  integerOf(inner, inner.take(tags.integer, 'DSA g'), 'DSA g');
  inner.finish('DSA parameters');
  const bits = bitLength(p);
  if (bits < 1024 || bits > 3072) return { kind: 'unsupported', reason: `DSA key of ${bits} bits` };
  return { kind: 'dsa', bits };
}

/** A named curve only: explicit parameters let a key lie about its curve (CVE-2020-0601). */
function curveFacts(algorithm: AlgorithmIdentifier): KeyFacts {
  if (algorithm.parameters === null) return { kind: 'unsupported', reason: 'EC key without a curve' };
  const reader = new DerReader(algorithm.parameters);
  const oid = oidOf(reader, reader.take(tags.oid, 'EC curve name'), 'EC curve name');
  const curve = curves.get(oid);
  return curve === undefined ? { kind: 'unsupported', reason: `curve ${oid}` } : { kind: 'ec', curve };
}

/** RFC 8410 section 3: no parameters, and one length. */
function edwardsFacts(key: PublicKeyInfo, kind: 'ed25519' | 'ed448', octets: number): KeyFacts {
  if (key.algorithm.parameters !== null) return { kind: 'unsupported', reason: `${kind} key with parameters` };
  if (key.bits.length !== octets) return { kind: 'unsupported', reason: `${kind} key of ${key.bits.length} octets` };
  return { kind };
}

function bitLength(octets: Buffer): number {
  const start = octets.findIndex((octet) => octet !== 0);
  return start === -1 ? 0 : (octets.length - start) * 8 - Math.clz32(octets[start] ?? 0) + 24;
}
