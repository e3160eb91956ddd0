/**
 * Which of several findings becomes the verdict. Windows reports one code for a chain; the order follows what is known of it:
 *
 * 1. a search that was cut short, because nothing else it found is the whole truth;
 * 2. a complete path that failed a check, before any dead end: it shows what was meant. Among several: what is wrong with
 *    the chain itself, then dates, then usage;
 * 3. dead ends: a wrong signature or refused algorithm, then a missing issuer, then an untrusted or unlisted root.
 *
 * Within one rank the earliest wins, because the search tries the likeliest candidates first.
 */
import type { Finding, RefusalCode } from './finding.ts';
import type { Setback } from './path.ts';

/** @returns the setback that decides; null when there was none */
export function gravest(setbacks: readonly Setback[]): Finding | null {
  let best: { readonly rank: number; readonly finding: Finding } | null = null;
  for (const { kind, finding } of setbacks) {
    const rank = rankOf(kind, finding.code);
    if (best === null || rank < best.rank) best = { rank, finding };
  }
  return best?.finding ?? null;
}

function rankOf(kind: Setback['kind'], code: RefusalCode): number {
  const { base, codes } = ranks[kind];
  return base + (codes[code] ?? 0);
}

interface Ranks {
  readonly base: number;
  /** What is not listed comes first: it is wrong with the chain itself. */
  readonly codes: Readonly<Partial<Record<RefusalCode, number>>>;
}

const ranks: Readonly<Record<Setback['kind'], Ranks>> = {
  'failed path': {
    base: 0,
    codes: { certificateExpired: 1, certificateNotYetValid: 1, caAsClient: 2, wrongUsage: 2 },
  },
  'dead end': { base: 10, codes: { chainIncomplete: 1, searchExhausted: 1, untrustedIssuer: 2, untrustedRoot: 2 } },
  'wrong candidate': { base: 20, codes: {} },
};
