/**
 * The costly part of taking up a list: hash, signature, scan. Decides whose signature it bears; whether the list is current and whether it
 * replaces another is decided on the main thread. Runs in `crl-worker.ts`; what goes in and out can be sent between threads.
 *
 * The signature comes before the scan: what nobody of ours signed is not worth reading.
 */
import { hash } from 'node:crypto';
import type { Digest } from '../base/brand.ts';
import { parseCrlHeader, scanCrl } from '../x509/crl.ts';
import type { CrlIndex } from '../x509/crl-contract.ts';
import { DerReader } from '../x509/der.ts';
import { parsePublicKey } from '../x509/public-key.ts';
import { verifySignature } from '../x509/signature.ts';

export interface ExaminationJob {
  /** The whole list; shared memory, or else it is copied on the way. */
  readonly der: Uint8Array;
  /** SubjectPublicKeyInfo of each who may have signed. */
  readonly signers: readonly Uint8Array[];
  readonly allowSha1: boolean;
  /** Digest of the list that is in use: the same list is not examined again. */
  readonly held: Digest | null;
  /** What the octets were when they were written to disk; null: they come from elsewhere. */
  readonly expected: Digest | null;
}

export type Examination =
  /** `signer` is a position in the job's `signers`. */
  | { readonly kind: 'verified'; readonly index: CrlIndex; readonly signer: number }
  | { readonly kind: 'held' }
  | { readonly kind: 'malformed'; readonly reason: string; readonly offset: number }
  | { readonly kind: 'wrongSigner' }
  | { readonly kind: 'weakAlgorithm'; readonly reason: string }
  /** Not the octets that were written. */
  | { readonly kind: 'damaged' };

export function examineCrl(job: ExaminationJob): Examination {
  const der = Buffer.from(job.der.buffer, job.der.byteOffset, job.der.byteLength);
  if (job.held !== null || job.expected !== null) {
    const digest = hash('sha256', der, 'hex');
    if (job.expected !== null && digest !== job.expected) return { kind: 'damaged' };
    if (digest === job.held) return { kind: 'held' };
  }
  const parsed = parseCrlHeader(der);
  if (parsed.kind === 'malformed') return parsed;
  const { signatureAlgorithm, tbs, signature } = parsed.header;
  for (const [signer, spki] of job.signers.entries()) {
    const key = parsePublicKey(new DerReader(Buffer.from(spki)), 'signer');
    const outcome = verifySignature(signatureAlgorithm, tbs, signature, key, { allowSha1: job.allowSha1 });
    if (outcome === 'weak:md5' || outcome === 'weak:sha1') return { kind: 'weakAlgorithm', reason: outcome.slice(5) };
    if (outcome !== 'good') continue;
    const scanned = scanCrl(der);
    return scanned.kind === 'malformed' ? scanned : { kind: 'verified', index: scanned.index, signer };
  }
  return { kind: 'wrongSigner' };
}
