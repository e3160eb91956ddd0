/**
 * Accounts of the whole forest, through a global catalog. Decides that the catalog only says where an account is: it lacks expiry
 * and lockout, and lags behind, so each account is read again at a controller of its own domain.
 */
import type { Account } from '../base/identity.ts';
import { createBatcher, type BatchSettings } from './batch.ts';
import type { SearchRecord } from './directory.ts';
import { domainOfDn } from './dn.ts';
import type { Accounts, Domain } from './domain.ts';
import { valuesOf } from './entry.ts';
import { carriers, type Equality, type Found } from './search.ts';
import type { ServerGroup } from './server-group.ts';

export interface GlobalCatalog {
  readonly group: ServerGroup;
  /** All accounts of the forest that the catalog returns for any of the values. Never rejects; settles by `deadline`. */
  find(values: readonly Equality[], deadline: number, records: SearchRecord[]): Promise<Accounts>;
}

/** Accounts read again for one lookup. Two would do to see that a value is ambiguous. */
const maximumAccounts = 16;

export function createGlobalCatalog(
  group: ServerGroup,
  domains: ReadonlyMap<string, Domain>,
  settings: BatchSettings,
): GlobalCatalog {
  const batcher = createBatcher({ group, base: '', attributes }, settings);
  return {
    group,
    async find(values, deadline, records) {
      const findings = await batcher.lookup(values, deadline, records);
      if (findings.kind === 'unknown') return findings;
      const chosen = choose(findings.found, values);
      if (chosen === null)
        return { kind: 'unknown', reason: `${group.name} names ${findings.found.length} accounts, which is too many` };
      const answers = await Promise.all(chosen.map((found) => rereadOne(found, domains, deadline, records)));
      const accounts: Account[] = [];
      for (const answer of answers) {
        if (answer.kind === 'unknown') return answer;
        accounts.push(...answer.accounts);
      }
      return { kind: 'accounts', accounts };
    },
  };
}

/** What distribution to lookups needs, and what identifies the object. */
const attributes = [
  'objectGUID',
  'altSecurityIdentities',
  'userPrincipalName',
  'servicePrincipalName',
  'sAMAccountName',
];

/** All of them; where they are too many, those that share one of our values, which proves as much; null when none do. */
function choose(found: readonly Found[], values: readonly Equality[]): readonly Found[] | null {
  if (found.length <= maximumAccounts) return found;
  const shared = values.map((value) => carriers(found, value)).find((some) => some.length >= 2);
  return shared?.slice(0, maximumAccounts) ?? null;
}

async function rereadOne(
  { entry, server }: Found,
  domains: ReadonlyMap<string, Domain>,
  deadline: number,
  records: SearchRecord[],
): Promise<Accounts> {
  const name = domainOfDn(entry.dn);
  const domain = name === null ? undefined : domains.get(name);
  if (domain === undefined)
    return { kind: 'unknown', reason: `${entry.dn} is in a domain that is not configured; ${server} knows it` };
  const [guid] = valuesOf(entry, 'objectGUID');
  if (guid?.length !== 16) return { kind: 'unknown', reason: `${server} gave ${entry.dn} without an objectGUID` };
  return await domain.reread(entry.dn, guid.toString('hex'), deadline, records);
}
