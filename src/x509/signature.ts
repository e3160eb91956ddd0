/**
 * Which signature algorithms are accepted, and whether a signature is good. The algorithm is what the DER says, never what
 * a library guesses; node:crypto only does the arithmetic. Key sizes are judged in `trust/` by `keyFacts`.
 */
import { constants, verify, type KeyObject } from 'node:crypto';
import type { AlgorithmIdentifier, Certificate, PublicKeyInfo } from './certificate.ts';
import { DerError, DerReader, tags } from './der.ts';
import { countOf } from './der-values.ts';
import { oids } from './oid.ts';
import { keyFacts, parseAlgorithm } from './public-key.ts';

/**
 * `bad` also when algorithm and key do not belong together; `unsupported` when the algorithm, its parameters or the key
 * are none that we take; `weak:` with the hash that is to blame, and then nothing was computed.
 */
export type SignatureOutcome = 'good' | 'bad' | 'unsupported' | 'weak:md5' | 'weak:sha1';

export interface SignatureRules {
  /** Old enterprise authorities still sign with SHA-1; MD5 is never taken. */
  readonly allowSha1: boolean;
}

/** Whether the holder of `issuerKey` signed this certificate. */
export function verifyCertificate(
  certificate: Certificate,
  issuerKey: PublicKeyInfo,
  rules: SignatureRules,
): SignatureOutcome {
  return verifySignature(certificate.signatureAlgorithm, certificate.tbs, certificate.signature, issuerKey, rules);
}

/** The same for anything that carries an AlgorithmIdentifier, the signed octets and a signature. Never throws. */
export function verifySignature(
  algorithm: AlgorithmIdentifier,
  signed: Buffer,
  signature: Buffer,
  key: PublicKeyInfo,
  rules: SignatureRules,
): SignatureOutcome {
  const scheme = schemeOf(algorithm);
  if (scheme === null) return 'unsupported';
  if (scheme.hash === 'md5') return 'weak:md5';
  if (scheme.hash === 'sha1' && !rules.allowSha1) return 'weak:sha1';
  const facts = keyFacts(key);
  if (facts.kind === 'unsupported') return 'unsupported';
  if (facts.kind !== scheme.key) return 'bad';
  if (facts.kind === 'rsa' && facts.pssOnly && scheme.saltLength === null) return 'bad';
  const imported = importKey(key);
  return imported === null ? 'unsupported' : compute(scheme, signed, signature, imported);
}

/** What there is to compute. */
export interface SignatureScheme {
  readonly key: 'rsa' | 'ec' | 'dsa' | 'ed25519' | 'ed448';
  /** Null where the algorithm brings its own. */
  readonly hash: 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512' | null;
  /** Octets of salt for RSASSA-PSS, null for everything else. */
  readonly saltLength: number | null;
}

/** Null when the algorithm or its parameters are none of ours. */
export function schemeOf(algorithm: AlgorithmIdentifier): SignatureScheme | null {
  const { oid, parameters } = algorithm;
  if (oid === oids.rsaPss) return pssScheme(parameters);
  const scheme = plainSchemes.get(oid);
  if (scheme === undefined) return null;
  if (parameters === null) return scheme;
  // RFC 4055 section 5: NULL, and absent is to be accepted; RFC 5758 section 3.2 and RFC 8410 section 3: absent.
  return scheme.key === 'rsa' && parameters.equals(derNull) ? scheme : null;
}

const derNull = Buffer.of(tags.null, 0);

const plainSchemes: ReadonlyMap<string, SignatureScheme> = new Map([
  [oids.md5WithRsa, { key: 'rsa', hash: 'md5', saltLength: null }],
  [oids.sha1WithRsa, { key: 'rsa', hash: 'sha1', saltLength: null }],
  [oids.sha256WithRsa, { key: 'rsa', hash: 'sha256', saltLength: null }],
  [oids.sha384WithRsa, { key: 'rsa', hash: 'sha384', saltLength: null }],
  [oids.sha512WithRsa, { key: 'rsa', hash: 'sha512', saltLength: null }],
  [oids.ecdsaWithSha1, { key: 'ec', hash: 'sha1', saltLength: null }],
  [oids.ecdsaWithSha256, { key: 'ec', hash: 'sha256', saltLength: null }],
  [oids.ecdsaWithSha384, { key: 'ec', hash: 'sha384', saltLength: null }],
  [oids.ecdsaWithSha512, { key: 'ec', hash: 'sha512', saltLength: null }],
  // Only with SHA-1, so that the switch that lets old authorities in decides about DSA too.
  [oids.dsaWithSha1, { key: 'dsa', hash: 'sha1', saltLength: null }],
  [oids.ed25519, { key: 'ed25519', hash: null, saltLength: null }],
  [oids.ed448, { key: 'ed448', hash: null, saltLength: null }],
]);

export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

const hashes: ReadonlyMap<string, HashName> = new Map([
  [oids.sha1, 'sha1'],
  [oids.sha256, 'sha256'],
  [oids.sha384, 'sha384'],
  [oids.sha512, 'sha512'],
]);

/** The hash that an AlgorithmIdentifier names; its parameters are absent or NULL. Null when it is none of ours. */
export function hashOf({ oid, parameters }: AlgorithmIdentifier): HashName | null {
  return parameters === null || parameters.equals(derNull) ? (hashes.get(oid) ?? null) : null;
}

/** No RSA key we take leaves room for more. */
const maximumSaltLength = 512;

/**
 * RSASSA-PSS-params (RFC 4055 section 3.1), whose every default is SHA-1 with 20 octets of salt. The mask must use the
 * same hash, and the trailer must be the only one that exists.
 */
function pssScheme(parameters: Buffer | null): SignatureScheme | null {
  if (parameters === null) return null;
  try {
    const outer = new DerReader(parameters);
    const reader = outer.enter(tags.sequence, 'PSS parameters');
    const hash = explicit(reader, 0xa0, readHash) ?? 'sha1';
    const mask = explicit(reader, 0xa1, readMask) ?? 'sha1';
    const saltLength = explicit(reader, 0xa2, readCount) ?? 20;
    const trailer = explicit(reader, 0xa3, readCount) ?? 1;
    reader.finish('PSS parameters');
    if (hash !== mask || trailer !== 1 || saltLength > maximumSaltLength) return null;
    return { key: 'rsa', hash, saltLength };
  } catch (error) {
    if (error instanceof DerError) return null;
    throw error;
  }
}

function explicit<T>(reader: DerReader, tag: number, read: (inner: DerReader) => T): T | null {
  const element = reader.optional(tag, 'PSS parameter');
  if (element === null) return null;
  const inner = reader.inside(element);
  const value = read(inner);
  inner.finish('PSS parameter');
  return value;
}

function readHash(reader: DerReader): HashName {
  const algorithm = parseAlgorithm(reader, 'PSS hash');
  const hash = hashOf(algorithm);
  if (hash === null) throw new DerError(0, `PSS hash ${algorithm.oid}`);
  return hash;
}

function readMask(reader: DerReader): HashName {
  const { oid, parameters } = parseAlgorithm(reader, 'PSS mask');
  if (oid !== oids.mgf1 || parameters === null) throw new DerError(0, `PSS mask ${oid}`);
  return readHash(new DerReader(parameters));
}

function readCount(reader: DerReader): number {
  return countOf(reader, reader.take(tags.integer, 'PSS number'), 'PSS number');
}

/** Null for a key whose form we read but whose numbers OpenSSL refuses: a point off the curve, for one. */
function importKey(key: PublicKeyInfo): KeyObject | null {
  try {
    return key.keyObject();
  } catch {
    return null;
  }
}

function compute(scheme: SignatureScheme, signed: Buffer, signature: Buffer, key: KeyObject): SignatureOutcome {
  const how =
    scheme.saltLength === null ? key : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.saltLength };
  try {
    return verify(scheme.hash, signed, how, signature) ? 'good' : 'bad';
  } catch {
    // OpenSSL throws for a signature it cannot even begin with, such as a restricted PSS key asked for another hash.
    return 'bad';
  }
}
