/**
 * Counters that end a search which an outsider can influence. A budget counts steps, never time, so that the same
 * input always ends at the same step.
 */
export interface Budget<Name extends string> {
  /** Takes `amount` from the named allowance; false when it is used up, and from then on for ever. */
  spend(name: Name, amount?: number): boolean;
  /** The first allowance that ran out, null while there is some left of each. */
  readonly exhausted: Name | null;
  /** What has been spent so far, for evidence and tests. */
  spent(name: Name): number;
}

export function createBudget<Name extends string>(allowances: Readonly<Record<Name, number>>): Budget<Name> {
  const used = new Map<Name, number>();
  let exhausted: Name | null = null;
  return {
    spend(name, amount = 1) {
      const total = (used.get(name) ?? 0) + amount;
      used.set(name, total);
      if (total > allowances[name]) exhausted ??= name;
      return exhausted === null;
    },
    get exhausted() {
      return exhausted;
    },
    spent: (name) => used.get(name) ?? 0,
  };
}
