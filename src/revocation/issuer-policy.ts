/**
 * Which policy holds for the certificates of an issuer: the first one configured for its name, and its key where one is given.
 */
import type { Certificate } from '../x509/certificate.ts';
import { nameKey } from '../x509/name-comparison.ts';
import type { IssuerPolicy } from './revocation-contract.ts';

export function policyFor(issuer: Certificate, policies: readonly IssuerPolicy[]): IssuerPolicy {
  if (policies.length === 0) return standard;
  const key = nameKey(issuer.subject);
  const found = policies.find(
    (policy) => policy.nameKey === key && (policy.keyDigest === null || policy.keyDigest === issuer.publicKey.digest),
  );
  return found ?? standard;
}

const standard: IssuerPolicy = { nameKey: '', keyDigest: null, policy: 'required', crls: [], ocsp: [] };
