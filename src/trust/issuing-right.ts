/**
 * Whether each issuer of a path may issue what it issued: basicConstraints, pathLenConstraint and keyCertSign (RFC 5280
 * sections 4.2.1.3, 4.2.1.9, 6.1.4 (k) to (n)). Names and usages that it may certify are checked elsewhere.
 */
import type { Certificate } from '../x509/certificate.ts';
import { isSelfIssued } from './authority-role.ts';

/**
 * @param depth of the issuer in the path, at least 1
 * @returns one sentence for each fault; all are `basicConstraints`
 */
export function findIssuingFaults(path: readonly Certificate[], depth: number): readonly string[] {
  const issuer = path[depth];
  if (issuer === undefined) return [];
  const { extensions } = issuer;
  const faults: string[] = [];
  if (!isAuthority(issuer, depth === path.length - 1)) faults.push(notCa(issuer));
  if (extensions.keyUsage?.keyCertSign === false)
    faults.push('its keyUsage lacks keyCertSign, so it may not sign certificates');

  const below = path.slice(1, depth).filter((certificate) => !isSelfIssued(certificate)).length;
  const allowed = extensions.basicConstraints?.pathLength ?? null;
  if (allowed !== null && below > allowed)
    faults.push(`its pathLenConstraint is ${allowed}, but ${below} CA certificates follow it`);
  return faults;
}

/** Section 6.1.4 (k): versions 1 and 2 cannot say it; an anchor of theirs is a CA because it was configured as one. */
function isAuthority({ version, extensions }: Certificate, isAnchor: boolean): boolean {
  return version === 3 ? extensions.basicConstraints?.ca === true : isAnchor;
}

function notCa({ version, extensions }: Certificate): string {
  if (version !== 3) return `a version ${version} certificate below the root cannot be a CA's`;
  if (extensions.basicConstraints === null) return 'not a CA certificate: it has no basicConstraints';
  return 'not a CA certificate: its basicConstraints say cA FALSE';
}
