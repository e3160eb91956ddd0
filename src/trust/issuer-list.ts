/**
 * The list of trusted issuers that a binding may have beside its roots, as `sslctlstorename` and ClientAuthTrustMode have it
 * since Windows Server 2012. It only narrows: machineTrust wants an issuer of the list on each path to a root; exclusiveRoot
 * and exclusiveCa put the list in the place of the roots, the latter with intermediates as well, so that a path ends there.
 */
import type { Certificate } from '../x509/certificate.ts';
import { nameKey } from '../x509/name-comparison.ts';
import { isSelfIssued } from './authority-role.ts';
import type { IssuerList } from './judgement.ts';

/** Where paths may end. */
export function anchorsUnder(list: IssuerList | null, roots: readonly Certificate[]): readonly Certificate[] {
  if (list === null || list.mode === 'machineTrust') return roots;
  return list.mode === 'exclusiveRoot' ? list.certificates.filter(isSelfIssued) : list.certificates;
}

/** @param path leaf first, anchor last @returns what is wrong, and with which certificate; null: nothing */
export function findListFault(
  path: readonly Certificate[],
  list: IssuerList | null,
): { readonly depth: number; readonly detail: string } | null {
  // In the other modes the anchor is of the list, or there would be no path.
  if (list?.mode !== 'machineTrust') return null;
  const depth = Math.min(1, path.length - 1);
  const listed = new Set(list.certificates.map(issuerKey));
  if (path.slice(depth).some((issuer) => listed.has(issuerKey(issuer)))) return null;
  return { depth, detail: `neither it nor an issuer above it is in the store ${list.name}` };
}

/** An issuer is its name and its key: renewed or cross-signed it stays the same. */
function issuerKey({ subject, publicKey }: Certificate): string {
  return `${publicKey.digest}${nameKey(subject)}`;
}
