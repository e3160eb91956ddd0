/**
 * Who is asked for which assertion. Decides that a sAMAccountName goes to its own domain only, everything else to the global catalog
 * or, where there is none, to every domain at once; and that the answer is unknown as soon as one of them does not answer.
 */
import type { Account } from '../base/identity.ts';
import type { Assertion, SearchRecord } from './directory.ts';
import type { Accounts, Domain } from './domain.ts';
import type { GlobalCatalog } from './global-catalog.ts';
import type { Equality } from './search.ts';

/** Where accounts are looked for. */
export interface Places {
  /** By DNS name, lower case. */
  readonly domains: ReadonlyMap<string, Domain>;
  readonly catalog: GlobalCatalog | null;
}

/**
 * Every account, once (by objectGUID), that some server returned for some assertion.
 * @param deadline monotonic milliseconds
 * @param records receives each search that went over the wire
 */
export async function locateAccounts(
  { domains, catalog }: Places,
  assertions: readonly Assertion[],
  deadline: number,
  records: SearchRecord[],
): Promise<Accounts> {
  const { everywhere, within } = divide(assertions);
  for (const name of within.keys())
    if (!domains.has(name)) return { kind: 'unknown', reason: `the domain ${name} is not configured` };
  const answers: Promise<Accounts>[] = [];
  if (catalog !== null && everywhere.length > 0) answers.push(catalog.find(everywhere, deadline, records));
  for (const domain of domains.values()) {
    const own = within.get(domain.name) ?? [];
    const values = catalog === null ? [...everywhere, ...own] : own;
    if (values.length > 0) answers.push(domain.find(values, deadline, records));
  }
  const accounts = new Map<string, Account>();
  const reasons: string[] = [];
  for (const answer of await Promise.all(answers)) {
    if (answer.kind === 'unknown') reasons.push(answer.reason);
    else for (const account of answer.accounts) accounts.set(account.guid, accounts.get(account.guid) ?? account);
  }
  if (reasons.length > 0) return { kind: 'unknown', reason: [...new Set(reasons)].join('; ') };
  return { kind: 'accounts', accounts: [...accounts.values()] };
}

/** Empty values are left out: no directory string is empty (RFC 4517 section 3.3.6), so nothing can carry one. */
function divide(assertions: readonly Assertion[]): {
  everywhere: readonly Equality[];
  within: ReadonlyMap<string, readonly Equality[]>;
} {
  const everywhere = new Map<string, Equality>();
  const within = new Map<string, Map<string, Equality>>();
  for (const assertion of assertions) {
    const { attribute, value } = assertion;
    if (value === '') continue;
    let values = everywhere;
    if (attribute === 'sAMAccountName') {
      const domain = assertion.domain.toLowerCase();
      values = within.get(domain) ?? new Map<string, Equality>();
      within.set(domain, values);
    }
    values.set(`${attribute}=${value}`, { attribute, value });
  }
  return {
    everywhere: [...everywhere.values()],
    within: new Map([...within].map(([domain, values]) => [domain, [...values.values()]])),
  };
}
