/**
 * The order of servers that DNS names (RFC 2782). Decides by priority, and within one by weighted chance, so that many gateways share the
 * servers as whoever wrote the records wishes. Servers that are in use already stay before their equals: nobody changes servers
 * because the dice were thrown again.
 */
export interface SrvTarget {
  /** Lower case, without the dot at the end. */
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/**
 * @param inUse names, in their present order
 * @param random 0 inclusive to 1 exclusive
 */
export function orderTargets(
  targets: readonly SrvTarget[],
  inUse: readonly string[],
  random: () => number,
): readonly SrvTarget[] {
  const priorities = [...new Set(targets.map(({ priority }) => priority))].sort((a, b) => a - b);
  return priorities.flatMap((priority) => {
    const equals = targets.filter((target) => target.priority === priority);
    const kept = inUse.flatMap((name) => equals.find((target) => target.name === name) ?? []);
    return [
      ...kept,
      ...shuffled(
        equals.filter((target) => !kept.includes(target)),
        random,
      ),
    ];
  });
}

/** "Usage rules" of RFC 2782: those without weight first, so that they are chosen where the dice show 0. */
function shuffled(targets: readonly SrvTarget[], random: () => number): readonly SrvTarget[] {
  const left = targets.toSorted((a, b) => Math.sign(a.weight) - Math.sign(b.weight));
  const ordered: SrvTarget[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const dice = Math.floor(random() * (total + 1));
    let sum = 0;
    const chosen = left.findIndex(({ weight }) => (sum += weight) >= dice);
    ordered.push(...left.splice(Math.max(0, chosen), 1));
  }
  return ordered;
}
