/**
 * Whether a path may be used for client authentication: extendedKeyUsage and Microsoft's Application Policies, nested from
 * the anchor down to the leaf. Each certificate narrows what those below it may be used for; one without either extension
 * narrows nothing, as in Windows (CertGetEnhancedKeyUsage: without the extension a certificate is good for all usages).
 *
 * Where a certificate has both extensions, both must allow the usage. Windows looks at Application Policies first; a
 * requester who could put them into a request (ESC15, CVE-2024-49019) must not gain a usage that the CA did not grant.
 */
import type { Certificate } from '../x509/certificate.ts';
import { oidName, usageOids } from '../x509/oid.ts';
import type { Purpose } from './judgement.ts';

export interface UsageFault {
  readonly depth: number;
  readonly detail: string;
}

/** One usage must run through the whole path: a CA for smart cards alone cannot issue for TLS clients alone. */
export function findUsageFault(path: readonly Certificate[], purpose: Purpose): UsageFault | null {
  let left = sufficient[purpose];
  for (const [index, certificate] of path.toReversed().entries()) {
    if (left.length === 0) return null;
    for (const [extension, allowed] of limitsOf(certificate)) {
      const still = allowed.some(isAny) ? left : left.filter((usage) => allowed.includes(usage));
      if (still.length === 0) {
        const wanted = left.map(oidName).join(' or ');
        const given = allowed.slice(0, 8).map(oidName).join(', ');
        const more = allowed.length > 8 ? ` and ${allowed.length - 8} more` : '';
        return {
          depth: path.length - 1 - index,
          detail: `${extension} allows only ${given}${more}; the path needs ${wanted}`,
        };
      }
      left = still;
    }
  }
  return null;
}

/**
 * The usages that the leaf names one by one in extendedKeyUsage and that every certificate above it allows which limits usages.
 * Stricter than the judgement of the path, for rules that ask for a kind of certificate: anyExtendedKeyUsage, and a leaf without the
 * extension, name none.
 */
export function namedUsages(path: readonly Certificate[]): ReadonlySet<string> {
  const named = (path[0]?.extensions.extendedKeyUsage ?? []).filter((usage) => !isAny(usage));
  // As sets: a certificate may list thousands.
  const limits = path
    .flatMap(limitsOf)
    .filter(([, allowed]) => !allowed.some(isAny))
    .map(([, allowed]) => new Set(allowed));
  return new Set(named.filter((usage) => limits.every((allowed) => allowed.has(usage))));
}

/** Any one of these is enough; none listed means that usages are not looked at. */
const sufficient: Readonly<Record<Purpose, readonly string[]>> = {
  clientAuth: [usageOids.clientAuth, usageOids.smartCardLogon],
  serverAuth: [usageOids.serverAuth],
  any: [],
};

function limitsOf({ extensions }: Certificate): readonly (readonly [string, readonly string[]])[] {
  const { extendedKeyUsage, applicationPolicies } = extensions;
  return [
    ...(extendedKeyUsage === null ? [] : [['extendedKeyUsage', extendedKeyUsage] as const]),
    ...(applicationPolicies === null ? [] : [['Application Policies', applicationPolicies] as const]),
  ];
}

function isAny(oid: string): boolean {
  return oid === usageOids.any || oid === usageOids.microsoftAnyPurpose;
}
