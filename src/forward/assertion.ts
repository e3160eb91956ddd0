/**
 * Signs statements about clients for backends: claims, header and signature put together, with the key of the moment. When to sign again and where the
 * token goes is decided by whoever asks.
 */
import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Instant, Millis } from '../base/brand.ts';
import { claimsOf } from './assertion-claims.ts';
import type { AssertionSettings, AssertionSigner } from './assertion-contract.ts';
import { openKeyDirectory } from './key-directory.ts';
import { createKeyRing, type KeyRingFacilities } from './key-ring.ts';
import { createMemoryKeyStore, type KeyStore } from './key-store.ts';

/** RFC 8725 section 3.11: no other token of the same issuer can be taken for one of these. */
const assertionType = 'dsmapper+jwt';

export interface AssertionFacilities extends KeyRingFacilities {
  /** Keys that live in memory, where settings name no directory; without one they end with the signer. */
  readonly memoryKeys?: KeyStore;
  /** For commands beside a gateway: what they sign is not to be believed, so that no directory is touched and the keys are their own. */
  readonly readOnly?: boolean;
  /** A new `jti`. */
  readonly newId?: () => string;
}

/** @throws Failure when the key directory cannot be used */
export function createAssertionSigner(settings: AssertionSettings, facilities: AssertionFacilities): AssertionSigner {
  const { newId = () => randomBytes(16).toString('base64url') } = facilities;
  const { issuer, lifetime, maximumBytes } = settings;
  const ring = createKeyRing(storeFor(settings, facilities), settings, facilities);
  return {
    async sign(facts, now) {
      const claims = claimsOf(facts, { issuer, lifetime, id: newId() }, now);
      if (claims === null) return { kind: 'outlived' };
      const { algorithm, kid, privateKey } = ring.signing(now);
      const header = { alg: algorithm, kid, typ: assertionType };
      const token = await new SignJWT(claims).setProtectedHeader(header).sign(privateKey);
      if (token.length > maximumBytes) return { kind: 'tooLarge', bytes: token.length, limit: maximumBytes };
      const life = Number(claims['exp']) * 1000 - now;
      return { kind: 'signed', token, renewAt: (now + Math.floor(life / 2)) as Instant };
    },
    jwks: (now) => ({ keys: ring.published(now).map(({ publicJwk }) => publicJwk) }),
    keepFor: Math.floor(settings.overlap / 2) as Millis,
    close: () => ring.close(),
  };
}

function storeFor({ keyDirectory }: AssertionSettings, facilities: AssertionFacilities): KeyStore {
  const { clock, readOnly = false, memoryKeys } = facilities;
  if (readOnly) return createMemoryKeyStore();
  return keyDirectory === null ? (memoryKeys ?? createMemoryKeyStore()) : openKeyDirectory(keyDirectory, clock);
}
