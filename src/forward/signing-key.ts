/**
 * One key that signs assertions: how it is made, named and shown. Decides which members of a public key are published; not when a key signs.
 */
import { createPublicKey, generateKeyPairSync, hash, type KeyObject } from 'node:crypto';
import type { Instant } from '../base/brand.ts';
import type { AssertionSettings, PublicJwk } from './assertion-contract.ts';

export type SigningAlgorithm = AssertionSettings['algorithm'];

export interface SigningKey {
  readonly algorithm: SigningAlgorithm;
  /** Place in the chain of its algorithm, from 1. Of two with one number only one can be stored: that is how several gateways agree. */
  readonly number: number;
  /** JWK thumbprint with SHA-256 (RFC 7638), base64url. */
  readonly kid: string;
  readonly created: Instant;
  /** Until then it is only published. */
  readonly signsFrom: Instant;
  /** As its maker planned: without a successor it signs on. For gateways whose settings are others. */
  readonly signsUntil: Instant;
  readonly privateKey: KeyObject;
  readonly publicJwk: PublicJwk;
}

export type KeyFacts = Pick<SigningKey, 'algorithm' | 'number' | 'created' | 'signsFrom' | 'signsUntil'>;

export function makeSigningKey(facts: KeyFacts): SigningKey {
  const { privateKey } =
    facts.algorithm === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = signingKeyOf(facts, privateKey);
  if (key === null) throw new TypeError('a fresh key is not of its own algorithm');
  return key;
}

/** Null: a key of another kind than its algorithm needs. */
export function signingKeyOf(facts: KeyFacts, privateKey: KeyObject): SigningKey | null {
  if (!fits(privateKey, facts.algorithm)) return null;
  const { x = '', y = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  // The members that RFC 7638 section 3.2 and RFC 8037 section 2 name, in the order of their names; taken one by one, so that no `d` can come along.
  const required = facts.algorithm === 'EdDSA' ? { crv: 'Ed25519', kty: 'OKP', x } : { crv: 'P-256', kty: 'EC', x, y };
  const kid = hash('sha256', JSON.stringify(required), 'base64url');
  return { ...facts, kid, privateKey, publicJwk: { ...required, use: 'sig', alg: facts.algorithm, kid } };
}

function fits(key: KeyObject, algorithm: SigningAlgorithm): boolean {
  if (key.type !== 'private') return false;
  if (algorithm === 'EdDSA') return key.asymmetricKeyType === 'ed25519';
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
}
