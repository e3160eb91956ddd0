/**
 * Accounts that were read before, read again by what they are and not by what they are called: by objectGUID, which a rename or a
 * move within the domain leaves as it is. Decides that "gone" is said only where the domain answered.
 */
import type { Millis } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import { accountAttributes } from './account.ts';
import type { DirectorySearch } from './connection.ts';
import type { AccountReader, Again, SearchRecord } from './directory.ts';
import { dnOfDomain, domainOfDn } from './dn.ts';
import type { Domain } from './domain.ts';
import { valuesOf } from './entry.ts';
import { equalTo } from './filter.ts';
import { maximumValues } from './search.ts';

/** Searches under way at a time in one domain: those who log on go first. */
const parallel = 2;

/** @param domains by DNS name, lower case  @param monotonic milliseconds that never step back */
export function createAccountReader(domains: ReadonlyMap<string, Domain>, monotonic: () => number): AccountReader {
  return {
    holds: ({ dn }) => domains.has(domainOfDn(dn) ?? ''),
    async readAgain(accounts, patience: Millis) {
      const deadline = monotonic() + patience;
      const again = new Map<Account, Again>();
      const byDomain = new Map<Domain, Map<string, Account[]>>();
      for (const account of accounts) {
        const domain = domains.get(domainOfDn(account.dn) ?? '');
        if (domain === undefined)
          again.set(account, { kind: 'unknown', reason: `${account.dn} is in a domain that is not configured` });
        else {
          const byGuid = byDomain.get(domain) ?? new Map<string, Account[]>();
          byDomain.set(domain, byGuid);
          byGuid.set(account.guid, [...(byGuid.get(account.guid) ?? []), account]);
        }
      }
      await Promise.all(
        [...byDomain].map(async ([domain, byGuid]) => {
          const batches = batchesOf([...byGuid.keys()]).values();
          const work = async (): Promise<void> => {
            for (const guids of batches)
              for (const [guid, found] of await readBatch(domain, guids, deadline))
                for (const account of byGuid.get(guid) ?? []) again.set(account, found);
          };
          await Promise.all(Array.from({ length: parallel }, work));
        }),
      );
      return again;
    },
  };
}

function batchesOf(guids: readonly string[]): readonly (readonly string[])[] {
  const batches: (readonly string[])[] = [];
  for (let start = 0; start < guids.length; start += maximumValues)
    batches.push(guids.slice(start, start + maximumValues));
  return batches;
}

async function readBatch(
  domain: Domain,
  guids: readonly string[],
  deadline: number,
): Promise<ReadonlyMap<string, Again>> {
  const records: SearchRecord[] = [];
  const answer = await domain.group.search(searchFor(domain.name, guids), deadline, records);
  if (answer.kind !== 'entries')
    return new Map(guids.map((guid) => [guid, { kind: 'unknown', reason: answer.reason }]));
  const { server } = answer;
  const gone: Again = { kind: 'gone', reason: `${server} has no such account in ${domain.name} any more` };
  const again = new Map<string, Again>(guids.map((guid) => [guid, gone]));
  for (const entry of answer.entries) {
    const guid = valuesOf(entry, 'objectGUID')[0]?.toString('hex') ?? '';
    if (!again.has(guid)) continue;
    const parsed = await domain.accountOf({ entry, server }, deadline, records);
    again.set(
      guid,
      parsed.kind === 'account'
        ? { kind: 'read', account: parsed.account }
        : { kind: 'unknown', reason: parsed.reason },
    );
  }
  return again;
}

function searchFor(domain: string, guids: readonly string[]): DirectorySearch {
  return {
    base: dnOfDomain(domain),
    scope: 'sub',
    filter: { kind: 'or', parts: guids.map((guid) => equalTo('objectGUID', Buffer.from(guid, 'hex'))) },
    attributes: accountAttributes,
    sizeLimit: 0,
  };
}
