/**
 * How much one judgement may cost. The chain that a stranger sends decides how much there is to search, so every
 * kind of work has an allowance; what is beyond it is refused as `searchExhausted`, never accepted.
 */
import { createBudget, type Budget } from '../base/budget.ts';

/**
 * - `signatureChecks`: public-key operations, each about as dear as the handshake's own.
 * - `nodes`: certificates put on a path, also when the link to them was verified before: ten CAs that all cross-sign
 *   each other need only ninety signature checks for millions of paths.
 * - `completePaths`: paths that reached an anchor and were checked.
 * - `nameComparisons`: one name held against one subtree of a name constraint.
 */
export type Allowance = 'signatureChecks' | 'nodes' | 'completePaths' | 'nameComparisons';

export type SearchBudget = Budget<Allowance>;

/** Certificates in a path, leaf and anchor included, minus one: the deepest anchor may be number 10. */
export const maximumDepth = 10;

export const searchAllowances: Readonly<Record<Allowance, number>> = {
  signatureChecks: 100,
  nodes: 1_000,
  completePaths: 50,
  nameComparisons: 250_000,
};

export function createSearchBudget(): SearchBudget {
  return createBudget(searchAllowances);
}
