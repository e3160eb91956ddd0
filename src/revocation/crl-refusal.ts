/**
 * Refusals that depend on who asks. A source is left alone for a while after a failure; this decides for whom it is asked all the same,
 * so that one asker without the right authority, or with stricter rules, does not silence a source for all others.
 */
import type { Digest, Millis } from '../base/brand.ts';
import { sameBytes } from '../base/bytes.ts';
import { DerReader, encodeElement, tags } from '../x509/der.ts';
import { parseCrlHeader } from '../x509/crl.ts';
import type { CrlHeader } from '../x509/crl-contract.ts';
import type { CrlRefusal, CrlSigners, FetchFailure, RefreshOptions } from './revocation-contract.ts';

/** By whose authorities and rules a list is taken up. */
export interface Asker extends Pick<RefreshOptions, 'allowSha1' | 'clockSkew'> {
  readonly signers: CrlSigners;
  readonly allowOlder: boolean;
}

export interface Refusal {
  readonly code: CrlRefusal | FetchFailure;
  /** One clause. */
  readonly detail: string;
  /** With `wrongSigner`: whom to ask for, and the keys that were tried. */
  readonly header?: CrlHeader;
  readonly tried?: readonly Digest[];
}

/** A refusal as it is kept: without the list that it was about. */
export interface RememberedRefusal {
  readonly code: CrlRefusal | FetchFailure;
  readonly detail: string;
  readonly header: CrlHeader | null;
  readonly tried: readonly Digest[];
  readonly allowSha1: boolean;
  readonly clockSkew: Millis;
}

/**
 * @param before what was remembered of this source until now: askers with different keys would wake it for each other, again and again
 * for one list, if each only knew of its own
 */
export function rememberRefusal(
  refusal: Refusal,
  { allowSha1, clockSkew }: Asker,
  before: RememberedRefusal | null,
): RememberedRefusal {
  const { code, detail, header: whole } = refusal;
  const header = whole === undefined ? null : withoutEntries(whole);
  const again = header !== null && before?.header != null && sameBytes(header.signature, before.header.signature);
  const tried = [...new Set([...(refusal.tried ?? []), ...(again ? before.tried : [])])];
  return { code, detail, header, tried, allowSha1, clockSkew };
}

/** Whether `asker` may well take what was refused. */
export function mayTake(refusal: RememberedRefusal, asker: Asker): boolean {
  const { code, header, tried } = refusal;
  if (code === 'wrongSigner')
    return header !== null && asker.signers(header).some(({ digest }) => !tried.includes(digest));
  if (code === 'weakAlgorithm') return asker.allowSha1 && !refusal.allowSha1;
  if (code === 'notYetValid' || code === 'expired') return asker.clockSkew > refusal.clockSkew;
  return code === 'older' && asker.allowOlder;
}

/** Octets of what is kept of a refused list. */
const maximumKept = 16_384;

/**
 * The same header over a copy that holds no entries: every value of a header is a view of its list, and a list that was refused must
 * not stay in memory. Null when there would be too much left of it.
 */
function withoutEntries({ tbs, signature }: CrlHeader): CrlHeader | null {
  const reader = new DerReader(tbs).enter(tags.sequence, 'tbsCertList');
  const parts: Buffer[] = [];
  let algorithm: Buffer | null = null;
  let dated = false;
  let length = signature.length;
  while (!reader.done) {
    const part = reader.any('tbsCertList');
    // The only SEQUENCE after a time is revokedCertificates (RFC 5280 section 5.1).
    if (dated && part.tag === tags.sequence) continue;
    dated ||= part.tag === tags.utcTime || part.tag === tags.generalizedTime;
    const octets = reader.wholeOf(part);
    if (part.tag === tags.sequence) algorithm ??= octets;
    parts.push(octets);
    length += octets.length;
  }
  if (length > maximumKept || algorithm === null) return null;
  const signatureBits = encodeElement(tags.bitString, Buffer.concat([Buffer.of(0), signature]));
  const shortened = encodeElement(tags.sequence, Buffer.concat(parts));
  const parsed = parseCrlHeader(encodeElement(tags.sequence, Buffer.concat([shortened, algorithm, signatureBits])));
  return parsed.kind === 'parsed' ? parsed.header : null;
}
