/**
 * Whether the keys and hashes of a path are strong enough for the settings. Which algorithms exist at all is decided in
 * `x509/`; whether a signature is good, in the search.
 */
import type { Certificate } from '../x509/certificate.ts';
import { keyFacts } from '../x509/public-key.ts';
import { schemeOf } from '../x509/signature.ts';
import type { JudgeSettings } from './judgement.ts';

type Strength = Pick<JudgeSettings, 'minimumRsaBits' | 'allowSha1'>;

/** RSA by the length of its modulus; the curves that `x509/` takes are all strong enough. */
export function findWeakKey(
  { publicKey }: Pick<Certificate, 'publicKey'>,
  { minimumRsaBits, allowSha1 }: Strength,
): string | null {
  const facts = keyFacts(publicKey);
  if (facts.kind === 'unsupported') return `its public key cannot be used: ${facts.reason}`;
  if (facts.kind === 'dsa') return allowSha1 ? null : 'DSA key, which the settings do not allow (allowSha1)';
  if (facts.kind !== 'rsa' || facts.bits >= minimumRsaBits) return null;
  return `RSA key of ${facts.bits} bits, at least ${minimumRsaBits} are demanded`;
}

/** Of anything that is signed. Not asked for a trust anchor: nobody relies on its signature. */
export function findWeakSignature(
  { signatureAlgorithm }: Pick<Certificate, 'signatureAlgorithm'>,
  { allowSha1 }: Pick<Strength, 'allowSha1'>,
): string | null {
  if (allowSha1 || schemeOf(signatureAlgorithm)?.hash !== 'sha1') return null;
  return 'signed with SHA-1, which the settings do not allow';
}
