/**
 * Certificate authorities of the lab and of the tests: they make certificates, good ones and broken ones, by recipe.
 * Nothing here judges a certificate; the only file that knows `@peculiar/x509`.
 */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { randomBytes, webcrypto } from 'node:crypto';

export type KeyKind = 'p256' | 'p384' | 'p521' | 'rsa2048' | 'rsa1024' | 'ed25519';
export type HashName = 'SHA-1' | 'SHA-256' | 'SHA-384';

export interface CertificateRecipe {
  /** `C=US,O=Lab,CN=alice` in encoded order (root first), or a list of type and value where a comma is part of a value. */
  readonly subject: string | readonly (readonly [type: string, value: string])[];
  readonly key?: KeyKind;
  readonly reuseKeyOf?: Issued;
  /** Hex of the serial's content octets; random and positive when absent. */
  readonly serial?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly ca?: boolean | { readonly pathLength?: number };
  /** Names as in RFC 5280 section 4.2.1.3; default by role. An empty list leaves the extension out. */
  readonly keyUsage?: readonly KeyUsageName[];
  /** OIDs; default clientAuth for leaves. An empty list leaves the extension out. */
  readonly extendedKeyUsage?: readonly string[];
  readonly upn?: string | readonly string[];
  readonly dnsNames?: readonly string[];
  readonly rfc822Names?: readonly string[];
  readonly uris?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** Account SID for Microsoft's security extension (MS-WCCE 2.2.2.7.7.4). */
  readonly sid?: string;
  /** False leaves the extension out. */
  readonly subjectKeyIdentifier?: boolean;
  readonly policies?: readonly string[];
  /** URLs of CRLs, a distribution point each. */
  readonly crlDistributionPoints?: readonly string[];
  readonly authorityInfoAccess?: { readonly ocsp: string; readonly caIssuers: string };
  readonly extensions?: readonly { readonly oid: string; readonly critical: boolean; readonly value: Uint8Array }[];
  readonly hash?: HashName;
}

export type KeyUsageName = keyof typeof x509.KeyUsageFlags;

export interface Issued {
  readonly der: Buffer;
  /** PEM. */
  readonly cert: string;
  /** PKCS#8 PEM. */
  readonly key: string;
}

export interface Authority extends Issued {
  issue(recipe: CertificateRecipe): Promise<Issued>;
  subordinate(recipe: CertificateRecipe): Promise<Authority>;
}

/** @returns a self-signed root; valid from 2020 to 2050 unless the recipe says otherwise */
export async function createAuthority(recipe: CertificateRecipe): Promise<Authority> {
  const full = { ca: true, ...recipe };
  const keys = await keysFor(full);
  return authorityOf(await sign(full, keys, null), keys, full.key ?? 'p256');
}

/** Takes up an authority that was made earlier and stored as PEM. */
export async function restoreAuthority(stored: { readonly cert: string; readonly key: string }): Promise<Authority> {
  const certificate = new x509.X509Certificate(stored.cert);
  const kind = kindOf(certificate);
  const keys = await importKeys(stored.key, certificate, kind);
  return authorityOf({ der: Buffer.from(certificate.rawData), ...stored }, keys, kind);
}

interface Signer {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
  readonly kind: KeyKind;
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;

const clientAuth = '1.3.6.1.5.5.7.3.2';
const day = 86_400_000;

function authorityOf(issued: Issued, keys: CryptoKeyPair, kind: KeyKind): Authority {
  const signer: Signer = { certificate: new x509.X509Certificate(issued.der), keys, kind };
  return {
    ...issued,
    async issue(recipe) {
      return sign(recipe, await keysFor(recipe), signer);
    },
    async subordinate(recipe) {
      const full = { ca: true, ...recipe };
      const childKeys = await keysFor(full);
      return authorityOf(await sign(full, childKeys, signer), childKeys, full.key ?? 'p256');
    },
  };
}

async function sign(recipe: CertificateRecipe, keys: CryptoKeyPair, signer: Signer | null): Promise<Issued> {
  const signing = signer ?? { keys, kind: recipe.key ?? 'p256' };
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: recipe.serial ?? randomSerial(),
    subject: nameOf(recipe.subject),
    issuer: signer === null ? nameOf(recipe.subject) : signer.certificate.subjectName,
    notBefore: recipe.notBefore ?? new Date('2020-01-01T00:00:00Z'),
    notAfter: recipe.notAfter ?? new Date(Date.UTC(2050, 0, 1) - day),
    publicKey: keys.publicKey,
    signingKey: signing.keys.privateKey,
    signingAlgorithm: algorithmOf(signing.kind, recipe.hash),
    extensions: await extensionsOf(recipe, keys, signer),
  });
  return {
    der: Buffer.from(certificate.rawData),
    cert: `${certificate.toString('pem')}\n`,
    key: await pkcs8Of(keys.privateKey),
  };
}

async function extensionsOf(
  recipe: CertificateRecipe,
  keys: CryptoKeyPair,
  signer: Signer | null,
): Promise<x509.Extension[]> {
  const isCa = recipe.ca !== undefined && recipe.ca !== false;
  const pathLength = typeof recipe.ca === 'object' ? recipe.ca.pathLength : undefined;
  const usages: readonly KeyUsageName[] = recipe.keyUsage ?? (isCa ? ['keyCertSign', 'cRLSign'] : ['digitalSignature']);
  const purposes = recipe.extendedKeyUsage ?? (isCa ? [] : [clientAuth]);
  const names = generalNamesOf(recipe);
  const list: x509.Extension[] = [new x509.BasicConstraintsExtension(isCa, pathLength, true)];
  if (usages.length > 0)
    list.push(
      new x509.KeyUsagesExtension(
        usages.reduce((all, name) => all | x509.KeyUsageFlags[name], 0),
        true,
      ),
    );
  if (purposes.length > 0) list.push(new x509.ExtendedKeyUsageExtension([...purposes], false));
  if (names.length > 0) list.push(new x509.SubjectAlternativeNameExtension(names, false));
  if (recipe.subjectKeyIdentifier !== false) list.push(await x509.SubjectKeyIdentifierExtension.create(keys.publicKey));
  if (signer !== null) list.push(await x509.AuthorityKeyIdentifierExtension.create(signer.certificate.publicKey));
  if (recipe.crlDistributionPoints !== undefined)
    list.push(new x509.CRLDistributionPointsExtension([...recipe.crlDistributionPoints]));
  if (recipe.authorityInfoAccess !== undefined)
    list.push(new x509.AuthorityInfoAccessExtension(recipe.authorityInfoAccess));
  if (recipe.policies !== undefined) list.push(new x509.CertificatePolicyExtension([...recipe.policies], false));
  if (recipe.sid !== undefined)
    list.push(new x509.Extension('1.3.6.1.4.1.311.25.2', false, sidExtensionValue(recipe.sid)));
  for (const { oid, critical, value } of recipe.extensions ?? [])
    list.push(new x509.Extension(oid, critical, Uint8Array.from(value)));
  return list;
}

function generalNamesOf(recipe: CertificateRecipe): x509.JsonGeneralNames {
  const upns = recipe.upn === undefined ? [] : [recipe.upn].flat();
  return [
    ...upns.map((value) => ({ type: 'upn' as const, value })),
    ...(recipe.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(recipe.rfc822Names ?? []).map((value) => ({ type: 'email' as const, value })),
    ...(recipe.uris ?? []).map((value) => ({ type: 'url' as const, value })),
    ...(recipe.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
}

/** `SEQUENCE { [0] { OID 1.3.6.1.4.1.311.25.2.1, [0] OCTET STRING sid } }`, as AD CS encodes it. */
function sidExtensionValue(sid: string): Uint8Array<ArrayBuffer> {
  const wrap = (tag: number, content: Buffer) => Buffer.concat([Buffer.from([tag, content.length]), content]);
  const type = Buffer.from('060a2b060104018237190201', 'hex');
  const text = wrap(0xa0, wrap(0x04, Buffer.from(sid, 'ascii')));
  return Uint8Array.from(wrap(0x30, wrap(0xa0, Buffer.concat([type, text]))));
}

function nameOf(subject: CertificateRecipe['subject']): x509.Name {
  const pairs =
    typeof subject === 'string'
      ? subject
          .split(',')
          .filter((part) => part !== '')
          .map(pairOf)
      : subject;
  const rdns = pairs.map(([type, value]) => ({ [type]: [value] }));
  return new x509.Name(rdns, {
    UID: '0.9.2342.19200300.100.1.1',
    serialNumber: '2.5.4.5',
  });
}

function pairOf(part: string): readonly [string, string] {
  const equals = part.indexOf('=');
  return [part.slice(0, equals), part.slice(equals + 1)];
}

async function keysFor(recipe: CertificateRecipe): Promise<CryptoKeyPair> {
  const kind = recipe.key ?? 'p256';
  if (recipe.reuseKeyOf !== undefined)
    return importKeys(recipe.reuseKeyOf.key, new x509.X509Certificate(recipe.reuseKeyOf.der), kind);
  return (await webcrypto.subtle.generateKey(algorithmOf(kind, recipe.hash), true, [
    'sign',
    'verify',
  ])) as CryptoKeyPair;
}

async function importKeys(pem: string, certificate: x509.X509Certificate, kind: KeyKind): Promise<CryptoKeyPair> {
  const pkcs8 = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  const algorithm = algorithmOf(kind);
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', certificate.publicKey.rawData, algorithm, true, ['verify']),
  };
}

function kindOf(certificate: x509.X509Certificate): KeyKind {
  const algorithm = certificate.publicKey.algorithm as {
    readonly name: string;
    readonly namedCurve?: string;
    readonly modulusLength?: number;
  };
  if (algorithm.namedCurve === 'P-256') return 'p256';
  if (algorithm.namedCurve === 'P-384') return 'p384';
  if (algorithm.namedCurve === 'P-521') return 'p521';
  if (algorithm.name.startsWith('RSA')) return algorithm.modulusLength === 1024 ? 'rsa1024' : 'rsa2048';
  return 'ed25519';
}

function algorithmOf(kind: KeyKind, hash: HashName = 'SHA-256') {
  const publicExponent = Uint8Array.of(1, 0, 1);
  switch (kind) {
    case 'p256':
      return { name: 'ECDSA', namedCurve: 'P-256', hash };
    case 'p384':
      return { name: 'ECDSA', namedCurve: 'P-384', hash };
    case 'p521':
      return { name: 'ECDSA', namedCurve: 'P-521', hash };
    case 'rsa2048':
      return { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent, hash };
    case 'rsa1024':
      return { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent, hash };
    case 'ed25519':
      return { name: 'Ed25519' };
  }
}

async function pkcs8Of(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

/** 16 octets, positive, no leading zero. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}
