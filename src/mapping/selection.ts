/**
 * Which of the accounts that were found is meant. By default exactly one may be found, by whatever method; `firstMatch` does
 * as Windows does: the first method that finds anybody decides, and several accounts by that one method are still none.
 * Whether the mapping is good enough is judged afterwards, for this account only (MS-PKCA 3.1.5.2.1.3).
 */
import type { Holding, Match } from './match.ts';

export type Selection =
  | { readonly kind: 'none' }
  | { readonly kind: 'one'; readonly match: Match; readonly passedOver: readonly Match[] }
  | { readonly kind: 'several'; readonly matches: readonly Match[] };

export function selectAccount(found: readonly Match[], firstMatch: boolean): Selection {
  const turns = firstMatch ? found.map(({ holdings }) => Math.min(...holdings.map(turnOf))) : found.map(() => 0);
  const first = Math.min(...turns);
  const matches = found.filter((_, index) => turns[index] === first);
  const [match] = matches;
  if (match === undefined) return { kind: 'none' };
  if (matches.length > 1) return { kind: 'several', matches };
  return { kind: 'one', match, passedOver: found.filter((other) => other !== match) };
}

/**
 * Schannel asks the KDC first (TLS registry settings), which takes UPN, then DNS name, then altSecurityIdentities (MS-PKCA 3.1.5.2.1); then
 * RCMP by name, by subject and issuer, by each issuer up the path (MS-RCMP 3.5.2). Of RCMP's two names the UPN goes first
 * here; nothing says which does.
 */
function turnOf({ candidate: { method }, kdc, depth }: Holding): number {
  if (method === 'UPN') return kdc ? 0 : 3;
  if (method === 'DNS') return kdc ? 1 : 4;
  if (kdc) return 2;
  return method === 'X509IssuerSubject' ? 5 : 6 + depth;
}
