/**
 * OCSP responses built by hand and signed with node:crypto, each part replaceable, good unless a test says otherwise.
 */
import { createPrivateKey, createPublicKey, hash, sign } from 'node:crypto';
import type { Issued } from '../../src/lab/authority.ts';
import { certificateOf, type Made } from './chains.ts';
import { bits, element, extension, hex, integer, octets, oid, sequence, text } from './der-shapes.ts';

export interface WrittenSingle {
  /** What it is about; null: take `certId` as it is. */
  readonly certificate: Made;
  readonly issuer: Made;
  readonly hash?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  /** DER of the CertID, instead of what follows from the two certificates. */
  readonly certId?: Uint8Array;
  readonly status?: 'good' | 'unknown' | { readonly revoked: string; readonly reason?: number };
  /** ISO text. */
  readonly thisUpdate?: string;
  readonly nextUpdate?: string | null;
  /** Extensions as `extension` of `der-shapes.ts` makes them. */
  readonly extensions?: readonly Uint8Array[];
}

export interface WrittenResponse {
  readonly signer: Pick<Issued, 'der' | 'key'>;
  readonly singles: readonly WrittenSingle[];
  readonly by?: 'name' | 'key';
  /** Hash of the signature; Ed25519 has its own. */
  readonly digest?: 'sha1' | 'sha256' | 'md5';
  readonly producedAt?: string;
  readonly nonce?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly certificates?: readonly Made[];
  readonly tamper?: boolean;
}

export const ocspTime = '2026-11-22T12:00:00Z';
export const critical = hex('0101ff');

export function writeOcspResponse(what: WrittenResponse): Buffer {
  return successful(writeBasic(what));
}

/** The BasicOCSPResponse alone. */
export function writeBasic(what: WrittenResponse): Buffer {
  const { signer, singles, by = 'name', nonce, extensions = [], certificates = [], tamper = false } = what;
  const { subject, publicKey } = certificateOf(signer);
  const responderId =
    by === 'name' ? element(0xa1, subject.der) : element(0xa2, octets(hash('sha1', publicKey.bits, 'buffer')));
  const all = [...(nonce === undefined ? [] : [nonceExtension(nonce)]), ...extensions];
  const tbs = sequence(
    responderId,
    generalizedTime(what.producedAt ?? '2026-11-22T11:00:00Z'),
    sequence(...singles.map(writeSingle)),
    ...(all.length === 0 ? [] : [element(0xa1, sequence(...all))]),
  );
  const { algorithm, signature } = signed(tbs, signer.key, what.digest ?? 'sha256');
  if (tamper) signature[8] = (signature[8] ?? 0) ^ 1;
  const embedded = certificates.length === 0 ? [] : [element(0xa0, sequence(...certificates.map(({ der }) => der)))];
  return sequence(tbs, algorithm, bits(0, signature), ...embedded);
}

/** An OCSPResponse of status successful around any octets. */
export function successful(basic: Uint8Array, type = '1.3.6.1.5.5.7.48.1.1'): Buffer {
  return sequence(element(0x0a, hex('00')), element(0xa0, sequence(oid(type), octets(basic))));
}

/** 1 malformedRequest, 2 internalError, 3 tryLater, 5 sigRequired, 6 unauthorized. */
export function errorResponse(status: number): Buffer {
  return sequence(element(0x0a, Buffer.of(status)));
}

export function nonceExtension(nonce: Uint8Array): Buffer {
  return extension('1.3.6.1.5.5.7.48.1.2', octets(nonce));
}

export function writeSingle(what: WrittenSingle): Buffer {
  const { status = 'good', nextUpdate = '2026-11-23T11:00:00Z', extensions = [] } = what;
  return sequence(
    what.certId ?? writeCertId(what),
    writeStatus(status),
    generalizedTime(what.thisUpdate ?? '2026-11-22T11:00:00Z'),
    ...(nextUpdate === null ? [] : [element(0xa0, generalizedTime(nextUpdate))]),
    ...(extensions.length === 0 ? [] : [element(0xa1, sequence(...extensions))]),
  );
}

export function writeCertId(what: Pick<WrittenSingle, 'certificate' | 'issuer' | 'hash'>): Buffer {
  const { hash: name = 'sha1' } = what;
  const certificate = certificateOf(what.certificate);
  return sequence(
    sequence(oid(hashOids[name]), hex('0500')),
    octets(hash(name, certificate.issuer.der, 'buffer')),
    octets(hash(name, certificateOf(what.issuer).publicKey.bits, 'buffer')),
    integer(certificate.serial.toString('hex')),
  );
}

const hashOids = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const;

function writeStatus(status: NonNullable<WrittenSingle['status']>): Buffer {
  if (status === 'good') return element(0x80);
  if (status === 'unknown') return element(0x82);
  const { revoked, reason } = status;
  const reasons = reason === undefined ? [] : [element(0xa0, element(0x0a, Buffer.of(reason)))];
  return element(0xa1, generalizedTime(revoked), ...reasons);
}

export function generalizedTime(iso: string): Buffer {
  return text(0x18, new Date(iso).toISOString().replaceAll(/[-:T]|\.\d+/g, ''));
}

function signed(tbs: Buffer, pem: string, digest: 'sha1' | 'sha256' | 'md5') {
  const key = createPrivateKey(pem);
  const kind = createPublicKey(key).asymmetricKeyType ?? '';
  const algorithm = sequence(oid(signatureOids[`${kind} ${kind === 'ed25519' ? '' : digest}`.trim()] ?? ''));
  return { algorithm, signature: sign(kind === 'ed25519' ? null : digest, tbs, key) };
}

const signatureOids: Readonly<Record<string, string>> = {
  ed25519: '1.3.101.112',
  'ec sha1': '1.2.840.10045.4.1',
  'ec sha256': '1.2.840.10045.4.3.2',
  'rsa md5': '1.2.840.113549.1.1.4',
  'rsa sha1': '1.2.840.113549.1.1.5',
  'rsa sha256': '1.2.840.113549.1.1.11',
};
