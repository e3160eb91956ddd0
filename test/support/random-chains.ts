/**
 * Chains of certificates with the CRLs that belong to them, good ones that were altered at random: the same seed always makes the
 * same case. What was altered is told as traits. Whether a case is to be accepted is not known here: two verifiers are compared.
 */
import { usageOids } from '../../src/x509/oid.ts';
import { alterations } from './chain-alterations.ts';
import {
  draftCertificate,
  draftList,
  writeDraft,
  writeList,
  type AskedPolicies,
  type Draft,
  type World,
} from './chain-drafts.ts';
import { randomFrom } from './mutation.ts';

export interface RandomCase {
  readonly seed: number;
  /** What was altered, and where: `expired at 1` counts from the anchor. */
  readonly traits: readonly string[];
  readonly anchor: Buffer;
  readonly leaf: Buffer;
  readonly intermediates: readonly Buffer[];
  readonly lists: readonly Buffer[];
  readonly policies: AskedPolicies;
}

export function randomCase(seed: number): RandomCase {
  const random = randomFrom(seed);
  const world = goodWorld(random);
  const names = Object.keys(alterations);
  const traits: string[] = [];
  // Most have one or two alterations, so that the verdict hangs on them.
  for (let left = [0, 1, 1, 1, 2, 2, 3][random(7)] ?? 1; left > 0; left -= 1) {
    const chosen = names[random(names.length)] ?? '';
    const where = alterations[chosen]?.(world) ?? null;
    if (where !== null) traits.push(`${chosen} ${where}`);
  }
  const [anchor, ...below] = world.path;
  const leaf = below.pop();
  if (anchor === undefined || leaf === undefined) throw new Error('a path has two certificates at least');
  const presented = [...below.filter((draft) => !world.withheld.has(draft)), ...world.others];
  return {
    seed,
    traits,
    anchor: writeDraft(anchor),
    leaf: writeDraft(leaf),
    intermediates: shuffled(presented.map(writeDraft), random),
    lists: shuffled(world.lists.map(writeList), random),
    policies: world.policies,
  };
}

/** A root, up to three CAs, a leaf, and a list of each authority. */
function goodWorld(random: (bound: number) => number): World {
  const path: Draft[] = [draftCertificate('root', null)];
  const authorities = random(4);
  for (let depth = 1; depth <= authorities; depth += 1) path.push(draftCertificate(`ca ${depth}`, path.at(-1) ?? null));
  const leaf = draftCertificate('leaf', path.at(-1) ?? null);
  leaf.basicConstraints = null;
  leaf.keyUsage = 0x8000;
  leaf.usages = [usageOids.clientAuth];
  const lists = path.map(draftList);
  const policies = { acceptable: [], explicit: false, inhibitMapping: false, inhibitAny: false };
  return { path: [...path, leaf], others: [], lists, withheld: new Set(), random, policies };
}

function shuffled<T>(list: readonly T[], random: (bound: number) => number): readonly T[] {
  return list
    .map((value) => ({ value, rank: random(1 << 30) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ value }) => value);
}
