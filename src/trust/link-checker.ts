/**
 * Whether one certificate was signed with the key of another: each pair at most once in a judgement, not at all when the
 * store remembers it, and never beyond the budget. SHA-1 is computed here as well; whether it is allowed is a matter of the
 * whole path (`algorithm-strength.ts`), so that the refusal can say so.
 */
import type { Certificate } from '../x509/certificate.ts';
import { verifyCertificate, type SignatureOutcome } from '../x509/signature.ts';
import type { VerifiedLinks } from './judgement.ts';
import type { SearchBudget } from './search-budget.ts';

export interface LinkChecker {
  check(child: Certificate, issuer: Certificate): SignatureOutcome | 'exhausted';
}

export function createLinkChecker(remembered: VerifiedLinks, budget: SearchBudget): LinkChecker {
  const outcomes = new Map<string, SignatureOutcome>();
  return {
    check(child, issuer) {
      if (remembered.has(child, issuer)) return 'good';
      const key = child.digest + issuer.publicKey.digest;
      const known = outcomes.get(key);
      if (known !== undefined) return known;
      if (!budget.spend('signatureChecks')) return 'exhausted';
      const outcome = verifyCertificate(child, issuer.publicKey, { allowSha1: true });
      outcomes.set(key, outcome);
      return outcome;
    },
  };
}
