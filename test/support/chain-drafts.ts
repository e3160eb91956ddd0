/**
 * Certificates and CRLs on their way: drafts in which anything can be altered before they are written and signed. Nothing is random and
 * nothing is checked.
 */
import { createPrivateKey, createPublicKey, hash, sign, type KeyObject } from 'node:crypto';
import { extensionOids } from '../../src/x509/oid.ts';
import { writeCrl, type WrittenCrl } from './crl-writer.ts';
import {
  bits,
  element,
  extension,
  extensions,
  hex,
  integer,
  name,
  octets,
  oid,
  sequence,
  shapeCertificate,
  shapeTbs,
  text,
  type ShapedAttribute,
} from './der-shapes.ts';
import type { ShapedExtension } from './extension-shapes.ts';

/** The instant at which all are judged. */
export const judgedAt = '2026-11-22T12:00:00Z';

/** A certificate on its way: everything that an alteration may change. */
export interface Draft {
  readonly label: string;
  subject: readonly ShapedAttribute[];
  key: RandomKey;
  issuer: Draft | null;
  serial: number;
  notBefore: string;
  notAfter: string;
  /** Null: no such extension; as everywhere here. */
  basicConstraints: { readonly ca: boolean; readonly pathLength: number | null } | null;
  /** Two octets of bits, the first bit is digitalSignature. */
  keyUsage: number | null;
  usages: readonly string[] | null;
  altNames: readonly Uint8Array[];
  policies: readonly string[];
  authorityKeyIdentifier: Buffer | null;
  others: ShapedExtension[];
  brokenSignature: boolean;
}

export interface DraftList extends Omit<WrittenCrl, 'signer' | 'entries' | 'extensions'> {
  /** Whose name and key it has. */
  issuer: Draft;
  key: RandomKey;
  thisUpdate: string;
  nextUpdate: string | null;
  version: 1 | 2;
  entries: { serial: string; reason?: number; extensions?: readonly ShapedExtension[]; certificateIssuer?: Buffer }[];
  crlNumber: number;
  baseCrlNumber?: number;
  scope?: ShapedExtension;
  freshest: readonly string[];
  extensions: ShapedExtension[];
}

export interface World {
  /** Anchor first, leaf last. */
  readonly path: Draft[];
  /** Further certificates that are presented. */
  readonly others: Draft[];
  readonly lists: DraftList[];
  /** Certificates of the path that are not presented. */
  readonly withheld: Set<Draft>;
  readonly random: (bound: number) => number;
  policies: AskedPolicies;
}

export interface AskedPolicies {
  /** Empty: any. */
  readonly acceptable: readonly string[];
  readonly explicit: boolean;
  readonly inhibitMapping: boolean;
  readonly inhibitAny: boolean;
}

export function draftCertificate(label: string, issuer: Draft | null): Draft {
  return {
    label,
    subject: [
      ['2.5.4.10', 12, 'Lab'],
      ['2.5.4.3', 12, label],
    ],
    key: randomKey(label),
    issuer,
    serial: 0x10000 + Number.parseInt(hash('sha1', label).slice(0, 4), 16),
    notBefore: '2020-01-01T00:00:00Z',
    notAfter: '2040-01-01T00:00:00Z',
    basicConstraints: { ca: true, pathLength: null },
    keyUsage: 0x0600,
    usages: null,
    altNames: [],
    policies: [],
    authorityKeyIdentifier: issuer === null ? null : issuer.key.identifier,
    others: [],
    brokenSignature: false,
  };
}

export function draftList(issuer: Draft): DraftList {
  return {
    issuer,
    key: issuer.key,
    thisUpdate: '2026-11-20T00:00:00Z',
    nextUpdate: '2026-12-20T00:00:00Z',
    version: 2,
    entries: [{ serial: '7f01' }],
    crlNumber: 10,
    freshest: [],
    extensions: [],
  };
}

/** Hex of the content octets, as an entry needs it. */
export function serialOf({ serial }: Draft): string {
  return serial.toString(16).padStart(6, '0');
}

export interface RandomKey {
  readonly key: KeyObject;
  /** DER of SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  readonly identifier: Buffer;
}

const keys = new Map<string, RandomKey>();

/** The key of a label, always the same (Ed25519, RFC 8410 section 7). */
export function randomKey(label: string): RandomKey {
  const known = keys.get(label);
  if (known !== undefined) return known;
  const pkcs8 = Buffer.concat([hex('302e020100300506032b657004220420'), hash('sha256', label, 'buffer')]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const made = { key, spki, identifier: hash('sha1', spki.subarray(-32), 'buffer') };
  keys.set(label, made);
  return made;
}

/** @returns DER */
export function writeDraft(draft: Draft): Buffer {
  const signer = draft.issuer ?? draft;
  const parts = {
    serial: integer(serialOf(draft)),
    issuer: name(...signer.subject),
    validity: sequence(time(draft.notBefore), time(draft.notAfter)),
    subject: name(...draft.subject),
    publicKey: draft.key.spki,
    tail: extensions(...extensionsOf(draft)),
  };
  const signature = sign(null, shapeTbs(parts), signer.key.key);
  if (draft.brokenSignature) signature[3] = (signature[3] ?? 0) ^ 1;
  return shapeCertificate({ ...parts, signature: bits(0, signature) });
}

const critical = hex('0101ff');

function extensionsOf(draft: Draft): readonly Buffer[] {
  const { basicConstraints, keyUsage, usages, altNames, policies, authorityKeyIdentifier } = draft;
  return [
    ...(basicConstraints === null
      ? []
      : [extension(extensionOids.basicConstraints, basicConstraintsOf(basicConstraints), critical)]),
    ...(keyUsage === null ? [] : [extension(extensionOids.keyUsage, usageBits(keyUsage), critical)]),
    ...(usages === null ? [] : [extension(extensionOids.extendedKeyUsage, sequence(...usages.map(oid)))]),
    ...(altNames.length === 0 ? [] : [extension(extensionOids.subjectAltName, sequence(...altNames))]),
    ...(policies.length === 0
      ? []
      : [extension(extensionOids.certificatePolicies, sequence(...policies.map((policy) => sequence(oid(policy)))))]),
    extension(extensionOids.subjectKeyIdentifier, octets(draft.key.identifier)),
    ...(authorityKeyIdentifier === null
      ? []
      : [extension(extensionOids.authorityKeyIdentifier, sequence(element(0x80, authorityKeyIdentifier)))]),
    ...lastOfEach(draft.others).map((other) =>
      extension(other.oid, other.value, other.critical ? critical : undefined),
    ),
  ];
}

/** Two alterations may add the same extension; twice would be malformed. */
function lastOfEach(list: readonly ShapedExtension[]): readonly ShapedExtension[] {
  return [...new Map(list.map((one) => [one.oid, one])).values()];
}

function basicConstraintsOf({ ca, pathLength }: { ca: boolean; pathLength: number | null }): Buffer {
  return sequence(
    ...(ca ? [hex('0101ff')] : []),
    ...(pathLength === null ? [] : [element(0x02, Buffer.of(pathLength))]),
  );
}

/** In the shortest form that DER wants; at least one bit is set. */
function usageBits(usage: number): Buffer {
  const unused = 31 - Math.clz32(usage & -usage);
  const content = Buffer.of(usage >> 8, usage & 0xff);
  return unused >= 8 ? bits(unused - 8, content.subarray(0, 1)) : bits(unused, content);
}

/** @returns DER */
export function writeList({ issuer, key, ...list }: DraftList): Buffer {
  const entries = list.version === 1 ? list.entries.map(({ serial }) => ({ serial })) : list.entries;
  return writeCrl({
    ...list,
    entries,
    extensions: lastOfEach(list.extensions),
    signer: { name: name(...issuer.subject), key: key.key, keyIdentifier: key.identifier },
  });
}

function time(iso: string): Buffer {
  return text(
    0x17,
    new Date(iso)
      .toISOString()
      .replaceAll(/[-:T]|\.\d+/g, '')
      .slice(2),
  );
}
