/**
 * Under what an answer of mapping is kept: the leaf, its issuer (name and key: the digest covers its whole certificate), the trust that
 * validated it and every rule that can change the answer; the rest of the path only where a rule looks at it.
 */
import type { Digest } from '../base/brand.ts';
import { digestOf } from '../base/bytes.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { MappingSettings, MappingSubject } from './mapper-contract.ts';
import { methodBits } from './method-bits.ts';

interface KnownKey {
  readonly issuer: Certificate;
  readonly trustDigest: Digest;
  readonly path: readonly Certificate[] | null;
  readonly key: Digest;
}

/** Hashing costs more than the rest of a hit, so the last key of each parsed leaf is remembered as long as the leaf lives. */
export function createCacheKeys(settings: MappingSettings): (subject: MappingSubject) => Digest {
  const { cache: _cache, deadline: _deadline, ...rules } = settings;
  const rulesText = JSON.stringify(rules, inOneOrder);
  const mapsByChain = (settings.certificateMappingMethods & methodBits.issuer) !== 0;
  const known = new WeakMap<Certificate, KnownKey>();
  return (subject) => {
    const { leaf, issuer, trustDigest } = subject;
    const path = mapsByChain ? subject.path : null;
    const last = known.get(leaf);
    if (last !== undefined && last.issuer === issuer && last.trustDigest === trustDigest && last.path === path)
      return last.key;
    const key = digestOf(
      leaf.digest,
      issuer.digest,
      trustDigest,
      rulesText,
      ...(path ?? []).map(({ digest }) => digest),
    );
    known.set(leaf, { issuer, trustDigest, path, key });
    return key;
  };
}

/** Keys of objects sorted, at every depth: settings that say the same must not be told apart by how they were written. */
function inOneOrder(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
