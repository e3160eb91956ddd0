/**
 * Which accounts hold what was looked for, by our own comparison; and why others that a server returned are not believed. Accounts of two
 * forests are two, also where they have one SID: one forest is the copy of the other then, or lies, and what NTAuth of the one allows
 * must not let the account of the other pass. Who of them it is, is decided in `selection.ts`.
 */
import type { Account } from '../base/identity.ts';
import type { Claim } from './candidates.ts';
import type { AskedForest } from './forest-choice.ts';
import type { Lookup, LookupPlan } from './lookup.ts';
import type { Candidate } from './mapper-contract.ts';

export interface Match {
  readonly account: Account;
  /** What the account holds, in the order of all candidates; at least one. */
  readonly holdings: readonly Holding[];
}

export interface Holding extends Claim {
  /** By whose rules the account was found through it: no more than by whose it was looked up. */
  readonly kdc: boolean;
  readonly rcmp: boolean;
  /** Whether NTAuth of the forest lets it map. */
  readonly allowed: boolean;
}

export interface ForestAnswer {
  readonly asked: AskedForest;
  readonly plan: LookupPlan;
  readonly accounts: readonly Account[];
}

export interface Compared {
  readonly found: readonly Match[];
  /** Sentences for people. */
  readonly doubts: readonly string[];
}

type Held = Map<Candidate, { kdc: boolean; rcmp: boolean }>;

/** @param claims all that were planned, in order */
export function compareAnswers(answers: readonly ForestAnswer[], claims: readonly Claim[]): Compared {
  const found: Match[] = [];
  const doubts: string[] = [];
  for (const { asked, plan, accounts } of answers) {
    const bySid = new Map<string, { readonly account: Account; readonly held: Held }>();
    for (const account of accounts) {
      const { believed, doubted } = compare(account, plan.lookups);
      doubts.push(...doubted);
      const known = bySid.get(account.sid) ?? { account, held: new Map() };
      for (const { candidate, by } of believed) {
        const before = known.held.get(candidate) ?? { kdc: false, rcmp: false };
        known.held.set(candidate, { ...before, [by]: true });
      }
      if (believed.length > 0) bySid.set(account.sid, known);
    }
    for (const { account, held } of bySid.values())
      found.push({
        account: withoutLists(account),
        holdings: claims.flatMap((claim) => {
          const how = held.get(claim.candidate);
          return how === undefined ? [] : [{ ...claim, ...how, allowed: asked.allows(claim.candidate.method) }];
        }),
      });
  }
  return { found, doubts };
}

function compare(
  account: Account,
  lookups: readonly Lookup[],
): { readonly believed: readonly Lookup[]; readonly doubted: readonly string[] } {
  const believed: Lookup[] = [];
  const doubted = new Set<string>();
  for (const lookup of lookups) {
    const comparison = lookup.compare(account);
    if (comparison === null) continue;
    if (comparison.believed) believed.push(lookup);
    else doubted.add(comparison.why);
  }
  if (believed.length === 0 && doubted.size === 0)
    doubted.add(`the directory returned ${account.name}, but none of its values is the one looked for to the letter`);
  return { believed, doubted: [...doubted] };
}

const noValues: readonly string[] = [];

/** There may be thousands of values, and nobody asks for them after this. */
function withoutLists(account: Account): Account {
  return { ...account, altSecurityIdentities: noValues, servicePrincipalNames: noValues };
}
