/**
 * The accounts behind live connections, read again. Decides which are read, in how few questions, and tells the mapper; what a
 * connection may do after that is decided by `recheck.ts`.
 */
import type { Account } from '../base/identity.ts';
import type { Again } from '../directory/directory.ts';
import { isAnother, objectKey } from '../mapping/again.ts';
import type { Front } from '../tls/front.ts';
import { earnedBy } from './memory.ts';
import type { Setup } from './setup.ts';

export interface LiveAccounts {
  /** Whether one of these is among them, by objectGUID; goes over all connections once, however many are asked about. */
  hasAny(guids: ReadonlySet<string>): boolean;
  /**
   * Never rejects. Silent forests take nothing away.
   * @param limit of accounts; those that were read longest ago go first
   * @returns how many are gone or changed in anything that decides
   */
  readAgain(limit: number): Promise<number>;
}

export function createLiveAccounts(front: Pick<Front, 'connections'>, setup: () => Setup): LiveAccounts {
  return {
    hasAny(guids) {
      if (guids.size === 0) return false;
      return [...accountsOf(front).values()].some(({ guid }) => guids.has(guid));
    },
    async readAgain(limit) {
      const { directory, mapper, settings } = setup();
      if (directory === null || mapper === null) return 0;
      const all = [...accountsOf(front).values()];
      // Also where all are wanted: what the deadline leaves out must not be the same in every round.
      const chosen = all.toSorted((a, b) => a.readAt - b.readAt).slice(0, limit);
      const answers = await Promise.all(
        directory.forests.map(async (forest) => {
          const own = chosen.filter((account) => forest.holds(account));
          return own.length === 0 ? [] : [...(await forest.readAgain(own, settings.mapping.deadline))];
        }),
      );
      const again = new Map<Account, Again>(answers.flat());
      if (again.size === 0) return 0;
      await mapper.noteAgain(again);
      return [...again].filter(([account, one]) => isAnother(account, one)).length;
    },
  };
}

/** Each once; of several readings of one account the oldest. */
function accountsOf(front: Pick<Front, 'connections'>): ReadonlyMap<string, Account> {
  const accounts = new Map<string, Account>();
  for (const connection of front.connections())
    for (const { authorised } of connection.closed ? [] : earnedBy(connection)) {
      const account = authorised.mapped.identity?.account;
      if (account === undefined) continue;
      const key = objectKey(account);
      const known = accounts.get(key);
      if (known === undefined || account.readAt < known.readAt) accounts.set(key, account);
    }
  return accounts;
}
