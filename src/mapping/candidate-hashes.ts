/**
 * By what an answer was looked for, so short that every kept answer can afford it: four octets a value. Decides whether a change in the
 * directory may concern an answer. A hash may say yes where the value says no, which costs a question; never the other way round.
 */
import type { Assertion } from '../directory/directory.ts';
import { foldText } from './ad-text.ts';
import type { Candidate } from './mapper-contract.ts';

/** Four Latin-1 characters for each way in which a used candidate can find an account, in whatever domain. */
export function candidateHashes(candidates: readonly Candidate[]): string {
  const hashes = new Set<number>();
  for (const { method, value, used } of candidates) {
    if (!used) continue;
    if (method === 'UPN') {
      hashes.add(hashOf('userPrincipalName', value));
      hashes.add(hashOf('sAMAccountName', value.slice(0, Math.max(0, value.lastIndexOf('@')))));
    } else if (method === 'DNS') {
      hashes.add(hashOf('sAMAccountName', `${value.split('.', 1)[0]}$`));
      hashes.add(hashOf('servicePrincipalName', `host/${value}`));
    } else hashes.add(hashOf('altSecurityIdentities', value));
  }
  const octets = Buffer.alloc(4 * hashes.size);
  for (const [index, hash] of [...hashes].entries()) octets.writeUInt32LE(hash, 4 * index);
  return octets.toString('latin1');
}

/** Everything that accounts can be found by now. */
export function identifierHashes(identifiers: Iterable<Assertion>): ReadonlySet<number> {
  const hashes = new Set<number>();
  for (const { attribute, value } of identifiers) hashes.add(hashOf(attribute, value));
  return hashes;
}

export function isTouched(candidates: string, identifiers: ReadonlySet<number>): boolean {
  for (let at = 0; at < candidates.length; at += 4) {
    const high = (candidates.charCodeAt(at + 3) << 24) | (candidates.charCodeAt(at + 2) << 16);
    if (identifiers.has((high | (candidates.charCodeAt(at + 1) << 8) | candidates.charCodeAt(at)) >>> 0)) return true;
  }
  return false;
}

/** FNV-1a over attribute and folded value: equal where the mapping takes two values for equal. */
function hashOf(attribute: Assertion['attribute'], value: string): number {
  let hash = 0x811c9dc5;
  const text = `${attribute}=${foldText(value)}`;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
