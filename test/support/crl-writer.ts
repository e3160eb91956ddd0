/**
 * Writes CRLs byte by byte, good and bad ones, part by part: complete, delta and indirect, with any extension, signed by any
 * key that node:crypto has, and with a million entries in about a second. Nothing is checked: a wrong description makes a
 * wrong list.
 */
import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import type { Issued } from '../../src/lab/authority.ts';
import { extensionOids } from '../../src/x509/oid.ts';
import { certificateOf } from './chains.ts';
import { bits, element, extension, hex, integer, name, oid, sequence, text } from './der-shapes.ts';
import type { ShapedExtension } from './extension-shapes.ts';

export interface CrlSigner {
  /** DER of the issuer's name. */
  readonly name: Uint8Array;
  readonly key: KeyObject;
  /** Goes into authorityKeyIdentifier; null leaves that out. */
  readonly keyIdentifier: Uint8Array | null;
}

export interface WrittenCrl {
  readonly signer: CrlSigner;
  /** Default 2; 1 leaves version and extensions out. */
  readonly version?: 1 | 2;
  /** ISO text, as all times here. */
  readonly thisUpdate?: string;
  readonly nextUpdate?: string | null;
  /** In order, or DER of all of them as `bulkEntries` makes it. */
  readonly entries?: readonly WrittenEntry[] | Uint8Array;
  /** Default 1; null leaves the extension out. */
  readonly crlNumber?: number | null;
  /** Makes it a delta CRL. */
  readonly baseCrlNumber?: number;
  /** Made by `issuingDistributionPoint`. */
  readonly scope?: ShapedExtension;
  /** URIs of delta CRLs. */
  readonly freshest?: readonly string[];
  readonly extensions?: readonly ShapedExtension[];
  /** Parts that are to be other than described; they are signed as they are. */
  readonly parts?: Partial<CrlParts>;
}

export interface WrittenEntry {
  /** Hex of the content octets. */
  readonly serial: string;
  readonly date?: string;
  /** CRLReason; absent: no such extension. */
  readonly reason?: number;
  readonly invalidityDate?: string;
  /** DER of a name: an entry of an indirect CRL, and those after it. */
  readonly certificateIssuer?: Uint8Array;
  readonly extensions?: readonly ShapedExtension[];
}

export interface CrlParts {
  version: Uint8Array;
  innerAlgorithm: Uint8Array;
  issuer: Uint8Array;
  thisUpdate: Uint8Array;
  nextUpdate: Uint8Array;
  /** All of revokedCertificates. */
  revoked: Uint8Array;
  /** Everything after it. */
  tail: Uint8Array;
  outerAlgorithm: Uint8Array;
  /** A BIT STRING; null: what the signer makes. */
  signature: Uint8Array | null;
  /** After the signature, inside the list. */
  inner: Uint8Array;
  /** After the list. */
  outer: Uint8Array;
}

const nothing = Buffer.alloc(0);

/** @returns DER */
export function writeCrl(what: WrittenCrl): Buffer {
  const { signer, version = 2, nextUpdate = '2026-12-22T12:00:00Z' } = what;
  const [algorithm, hashName] = algorithmOf(signer.key);
  const extensions = version === 1 ? [] : extensionsOf(what);
  const parts: CrlParts = {
    version: version === 1 ? nothing : integer('01'),
    innerAlgorithm: algorithm,
    issuer: signer.name,
    thisUpdate: time(what.thisUpdate ?? '2026-11-22T00:00:00Z'),
    nextUpdate: nextUpdate === null ? nothing : time(nextUpdate),
    revoked: revokedOf(what.entries ?? []),
    tail: extensions.length === 0 ? nothing : element(0xa0, sequence(...extensions)),
    outerAlgorithm: algorithm,
    signature: null,
    inner: nothing,
    outer: nothing,
    ...what.parts,
  };
  const tbs = sequence(
    parts.version,
    parts.innerAlgorithm,
    parts.issuer,
    parts.thisUpdate,
    parts.nextUpdate,
    parts.revoked,
    parts.tail,
  );
  const signature = parts.signature ?? bits(0, sign(hashName, tbs, signer.key));
  return Buffer.concat([sequence(tbs, parts.outerAlgorithm, signature, parts.inner), parts.outer]);
}

/** The authority itself as the signer of its lists. */
export function signerOf(issued: Pick<Issued, 'der' | 'key'>): CrlSigner {
  const { subject, extensions } = certificateOf(issued);
  return { name: subject.der, key: createPrivateKey(issued.key), keyIdentifier: extensions.subjectKeyIdentifier };
}

/** A signer without a certificate, always the same. */
export function plainSigner(commonName = 'CA'): CrlSigner {
  const pkcs8 = Buffer.concat([hex('302e020100300506032b657004220420'), Buffer.alloc(32, 7)]);
  return {
    name: name(['2.5.4.3', 12, commonName]),
    key: createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }),
    keyIdentifier: null,
  };
}

export function writeEntry(entry: WrittenEntry): Buffer {
  const extensions = [
    ...(entry.reason === undefined
      ? []
      : [extension(extensionOids.reasonCode, element(0x0a, Buffer.of(entry.reason)))]),
    ...(entry.invalidityDate === undefined
      ? []
      : [extension(extensionOids.invalidityDate, text(0x18, digitsOf(entry.invalidityDate)))]),
    ...(entry.certificateIssuer === undefined
      ? []
      : [extension(extensionOids.certificateIssuer, sequence(element(0xa4, entry.certificateIssuer)), hex('0101ff'))]),
    ...(entry.extensions ?? []).map(written),
  ];
  return sequence(
    integer(entry.serial),
    time(entry.date ?? '2026-11-01T00:00:00Z'),
    extensions.length === 0 ? nothing : sequence(...extensions),
  );
}

/**
 * So many entries of 26 to 40 octets, for lists of a size that matters: serials of 16 octets, every second one with the
 * reason keyCompromise.
 */
export function bulkEntries(count: number): Buffer {
  const plain = writeEntry({ serial: bulkSerial(0).toString('hex') });
  const withReason = writeEntry({ serial: bulkSerial(0).toString('hex'), reason: 1 });
  const all = Buffer.allocUnsafe(Math.ceil(count / 2) * plain.length + Math.floor(count / 2) * withReason.length);
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    const entry = index % 2 === 0 ? plain : withReason;
    entry.copy(all, at);
    fillSerial(all, at + 4, index);
    at += entry.length;
  }
  return all;
}

/** Content octets of the serial in the entry with this number, counted from 0. */
export function bulkSerial(index: number): Buffer {
  const serial = Buffer.alloc(16, 0x5a);
  fillSerial(serial, 0, index);
  return serial;
}

function fillSerial(bytes: Buffer, at: number, index: number): void {
  bytes.writeUInt32BE(Math.imul(index, 0x9e3779b1) >>> 0, at + 4);
  bytes.writeUInt32BE(Math.imul(index ^ 0x5bd1e995, 0x85ebca6b) >>> 0, at + 8);
  bytes.writeUInt32BE(index, at + 12);
}

export interface WrittenScope {
  readonly uris?: readonly string[];
  /** DER of a directoryName, among the full names. */
  readonly directoryName?: Uint8Array;
  readonly only?: 'user' | 'ca' | 'attribute';
  /** Bit numbers of ReasonFlags. */
  readonly reasons?: readonly number[];
  readonly indirect?: boolean;
}

export function issuingDistributionPoint(scope: WrittenScope, critical = true): ShapedExtension {
  const flag = (tag: number, set: boolean) => (set ? element(tag, Buffer.of(0xff)) : nothing);
  const names = [
    ...(scope.uris ?? []).map((uri) => text(0x86, uri)),
    ...(scope.directoryName === undefined ? [] : [element(0xa4, scope.directoryName)]),
  ];
  return {
    oid: extensionOids.issuingDistributionPoint,
    critical,
    value: sequence(
      names.length === 0 ? nothing : element(0xa0, element(0xa0, ...names)),
      flag(0x81, scope.only === 'user'),
      flag(0x82, scope.only === 'ca'),
      scope.reasons === undefined ? nothing : element(0x83, reasonBits(scope.reasons)),
      flag(0x84, scope.indirect === true),
      flag(0x85, scope.only === 'attribute'),
    ),
  };
}

/** Distribution points of one URI each, as they stand in `cRLDistributionPoints` and `freshestCRL`. */
export function distributionPoints(
  uris: readonly string[],
  oid: string = extensionOids.crlDistributionPoints,
): ShapedExtension {
  const points = uris.map((uri) => sequence(element(0xa0, element(0xa0, text(0x86, uri)))));
  return { oid, critical: false, value: sequence(...points) };
}

/** Content of a BIT STRING in its shortest form. */
function reasonBits(reasons: readonly number[]): Buffer {
  const last = Math.max(...reasons);
  const flags = Buffer.alloc(1 + Math.floor(last / 8));
  for (const reason of reasons) flags[reason >> 3] = (flags[reason >> 3] ?? 0) | (0x80 >> (reason & 7));
  return Buffer.concat([Buffer.of(7 - (last & 7)), flags]);
}

function revokedOf(entries: readonly WrittenEntry[] | Uint8Array): Buffer {
  if (entries.length === 0) return nothing;
  return entries instanceof Uint8Array ? sequence(entries) : sequence(...entries.map(writeEntry));
}

function extensionsOf(what: WrittenCrl): readonly Buffer[] {
  const { keyIdentifier } = what.signer;
  const { crlNumber = 1, baseCrlNumber, scope, freshest = [], extensions = [] } = what;
  return [
    ...(keyIdentifier === null
      ? []
      : [extension(extensionOids.authorityKeyIdentifier, sequence(element(0x80, keyIdentifier)))]),
    ...(crlNumber === null ? [] : [extension(extensionOids.crlNumber, positive(crlNumber))]),
    ...(baseCrlNumber === undefined
      ? []
      : [extension(extensionOids.deltaCrlIndicator, positive(baseCrlNumber), hex('0101ff'))]),
    ...(scope === undefined ? [] : [written(scope)]),
    ...(freshest.length === 0 ? [] : [written(distributionPoints(freshest, extensionOids.freshestCrl))]),
    ...extensions.map(written),
  ];
}

function written({ oid: type, critical, value }: ShapedExtension): Buffer {
  return extension(type, value, critical ? hex('0101ff') : nothing);
}

function positive(value: number): Buffer {
  const digits = value.toString(16);
  const even = digits.length % 2 === 0 ? digits : `0${digits}`;
  return integer(Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even);
}

/** UTCTime until 2049, then GeneralizedTime (RFC 5280 section 5.1.2.4). */
function time(iso: string): Buffer {
  const digits = digitsOf(iso);
  return Number(digits.slice(0, 4)) < 2050 ? text(0x17, digits.slice(2)) : text(0x18, digits);
}

function digitsOf(iso: string): string {
  return new Date(iso).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
}

/** AlgorithmIdentifier and the name of the hash that belong to a key. */
function algorithmOf(key: KeyObject): readonly [algorithm: Buffer, hashName: string | null] {
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? '';
  const found = algorithms[kind];
  if (found === undefined) throw new Error(`no algorithm for a key of type ${kind}`);
  return found;
}

const algorithms: Readonly<Record<string, readonly [algorithm: Buffer, hashName: string | null]>> = {
  ed25519: [sequence(oid('1.3.101.112')), null],
  prime256v1: [sequence(oid('1.2.840.10045.4.3.2')), 'sha256'],
  secp384r1: [sequence(oid('1.2.840.10045.4.3.3')), 'sha384'],
  secp521r1: [sequence(oid('1.2.840.10045.4.3.4')), 'sha512'],
  rsa: [sequence(oid('1.2.840.113549.1.1.11'), hex('0500')), 'sha256'],
};
