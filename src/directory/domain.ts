/**
 * One domain: its accounts, as its own controllers give them. Decides that an answer is whole: every entry complete, of this domain and
 * usable, or the answer is unknown. Which values to look for is the caller's business.
 */
import type { Clock } from '../base/clock.ts';
import type { Account } from '../base/identity.ts';
import { accountAttributes, parseAccount, type ParsedAccount } from './account.ts';
import { createBatcher, type Batcher, type BatchSettings } from './batch.ts';
import type { SearchRecord } from './directory.ts';
import { dnOfDomain, domainOfDn } from './dn.ts';
import { anything } from './filter.ts';
import { completeEntry } from './range.ts';
import type { Equality, Found } from './search.ts';
import type { ServerGroup } from './server-group.ts';

export type Accounts =
  | { readonly kind: 'accounts'; readonly accounts: readonly Account[] }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface Domain {
  /** DNS name, lower case. */
  readonly name: string;
  readonly group: ServerGroup;
  /** All accounts that a controller returns for any of the values. Never rejects; settles by `deadline`. */
  find(values: readonly Equality[], deadline: number, records: SearchRecord[]): Promise<Accounts>;
  /** The account at `dn`, which must still be the object of that GUID (32 hex digits). Settles by `deadline`. */
  reread(dn: string, guid: string, deadline: number, records: SearchRecord[]): Promise<Accounts>;
  /** What an entry that a controller gave says, complete; or why it cannot be used. Settles by `deadline`. */
  accountOf(found: Found, deadline: number, records: SearchRecord[]): Promise<ParsedAccount>;
}

export interface DomainFacilities extends BatchSettings {
  readonly clock: Clock;
  /** NetBIOS name of a domain, waited for until `deadline` where it has not been read yet; else why it is not known. */
  readonly netbiosName: (
    domain: string,
    deadline: number,
  ) => Promise<{ readonly name: string } | { readonly reason: string }>;
}

export function createDomain(name: string, group: ServerGroup, facilities: DomainFacilities): Domain {
  const batcher: Batcher = createBatcher({ group, base: dnOfDomain(name), attributes: accountAttributes }, facilities);

  async function accountOf(found: Found, deadline: number, records: SearchRecord[]): Promise<ParsedAccount> {
    const unusable = (reason: string): ParsedAccount => ({ kind: 'unusable', reason });
    const readAt = facilities.clock.now();
    if (domainOfDn(found.entry.dn) !== name)
      return unusable(`${found.server} answered for ${name} with ${found.entry.dn}`);
    const netbios = await facilities.netbiosName(name, deadline);
    if ('reason' in netbios) return unusable(netbios.reason);
    const complete = await completeEntry(found, group, deadline, records);
    if (complete.kind === 'unknown') return unusable(complete.reason);
    const [whole = found] = complete.found;
    return parseAccount(whole, netbios.name, readAt);
  }

  async function accountsOf(found: readonly Found[], deadline: number, records: SearchRecord[]): Promise<Accounts> {
    const accounts: Account[] = [];
    for (const one of found) {
      const parsed = await accountOf(one, deadline, records);
      if (parsed.kind === 'unusable') return { kind: 'unknown', reason: parsed.reason };
      accounts.push(parsed.account);
    }
    return { kind: 'accounts', accounts };
  }

  return {
    name,
    group,
    accountOf,
    async find(values, deadline, records) {
      const findings = await batcher.lookup(values, deadline, records);
      return findings.kind === 'unknown' ? findings : await accountsOf(findings.found, deadline, records);
    },
    async reread(dn, guid, deadline, records) {
      const request = {
        base: dn,
        scope: 'base',
        filter: anything,
        attributes: accountAttributes,
        sizeLimit: 0,
      } as const;
      const answer = await group.search(request, deadline, records);
      if (answer.kind !== 'entries') return { kind: 'unknown', reason: `${dn} was not read again: ${answer.reason}` };
      const { server } = answer;
      const again = await accountsOf(
        answer.entries.map((entry) => ({ entry, server })),
        deadline,
        records,
      );
      if (again.kind === 'unknown') return again;
      if (again.accounts.length === 1 && again.accounts[0]?.guid === guid) return again;
      return { kind: 'unknown', reason: `${dn} is another object at ${server} than in the global catalog` };
    },
  };
}
