/**
 * From octets to a list that may be used: the checks that need no list to compare with. Decides malformed, unknown critical, weak, not
 * yet valid and wrongly signed; whether it is expired or older than another is decided where the other is known, in the store.
 */
import type { Digest, Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import { adoptCrl, parseCrlHeader } from '../x509/crl.ts';
import type { Crl, CrlHeader } from '../x509/crl-contract.ts';
import { rfc4514Text } from '../x509/name.ts';
import { schemeOf } from '../x509/signature.ts';
import type { CrlExaminer } from './crl-examiner.ts';
import type { Asker, Refusal } from './crl-refusal.ts';

export type Intake =
  | { readonly kind: 'verified'; readonly crl: Crl; readonly signerKey: Digest }
  /** The octets are those of the list that is in use, and `asker` knows its signer. */
  | { readonly kind: 'held' }
  /** The octets are not those that were written to disk. */
  | { readonly kind: 'damaged' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export interface IntakeInput {
  /** In shared memory, or it is copied for the thread. */
  readonly der: Buffer;
  readonly asker: Asker;
  readonly now: Instant;
  /** The list that this source delivered last; null: none is in use. */
  readonly held: { readonly digest: Digest; readonly signerKey: Digest } | null;
  /** For what comes from disk. */
  readonly expected: Digest | null;
}

/** Each costs a hash over the whole list; nobody has that many authorities of one name. */
const maximumSigners = 32;

/** Never rejects, as long as `signers` does not throw. */
export async function takeIn(input: IntakeInput, examiner: CrlExaminer): Promise<Intake> {
  const { der, asker, now, held, expected } = input;
  const parsed = parseCrlHeader(der);
  if (parsed.kind === 'malformed') {
    // The head on disk says which octets these should be: that they are no list is damage.
    return expected === null ? refuse('malformed', `${parsed.reason} at octet ${parsed.offset}`) : { kind: 'damaged' };
  }
  const { header } = parsed;
  const early = findUnusable(header, asker, now);
  if (early !== null) return { kind: 'refused', refusal: early };
  const signers = asker.signers(header).slice(0, maximumSigners);
  const issuer = rfc4514Text(header.issuer);
  if (signers.length === 0) return wrongSigner(`no authority is known that may sign for ${issuer}`, []);
  const known = held !== null && signers.some(({ digest }) => digest === held.signerKey);
  const examined = await examiner.examine({
    der,
    signers: signers.map(({ spki }) => spki),
    allowSha1: asker.allowSha1,
    held: known ? held.digest : null,
    expected,
  });
  switch (examined.kind) {
    case 'verified': {
      const signer = signers[examined.signer];
      if (signer === undefined) throw new TypeError('the thread named a signer that it was not given');
      const { unknownCritical } = examined.index;
      if (unknownCritical !== null) return refuse('unknownCritical', `critical entry extension ${unknownCritical}`);
      const adopted = adoptCrl(der, examined.index);
      if (adopted.kind === 'malformed') throw new TypeError('the octets changed while they were examined');
      return { kind: 'verified', crl: adopted.crl, signerKey: signer.digest };
    }
    case 'held':
    case 'damaged':
      return { kind: examined.kind };
    case 'malformed':
      return refuse('malformed', `${examined.reason} at octet ${examined.offset}`);
    case 'weakAlgorithm':
      return refuse('weakAlgorithm', `signed with ${examined.reason}`);
    case 'wrongSigner':
      return wrongSigner(
        `none of ${signers.length} known keys of authorities that may sign for ${issuer} made its signature`,
        signers.map(({ digest }) => digest),
      );
    case 'unexamined':
      return refuse('aborted', `its examination ended early: ${examined.reason}`);
  }

  function wrongSigner(detail: string, tried: readonly Digest[]): Intake {
    return { kind: 'refused', refusal: { code: 'wrongSigner', detail, header, tried } };
  }

  function refuse(code: Refusal['code'], detail: string): Intake {
    return { kind: 'refused', refusal: { code, detail } };
  }
}

/** What the header alone forbids, before anything costly. */
function findUnusable(header: CrlHeader, { allowSha1, clockSkew }: Asker, now: Instant): Refusal | null {
  if (header.unknownCritical !== null)
    return { code: 'unknownCritical', detail: `critical extension ${header.unknownCritical}` };
  const scheme = schemeOf(header.signatureAlgorithm);
  if (scheme === null)
    return { code: 'weakAlgorithm', detail: `signature algorithm ${header.signatureAlgorithm.oid} is not taken` };
  if (scheme.hash === 'md5' || (scheme.hash === 'sha1' && !allowSha1))
    return { code: 'weakAlgorithm', detail: `signed with ${scheme.hash}` };
  if (header.thisUpdate > now + clockSkew)
    return { code: 'notYetValid', detail: `its thisUpdate is ${isoText(header.thisUpdate)}` };
  return null;
}
