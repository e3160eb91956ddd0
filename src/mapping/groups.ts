/**
 * The groups of mapped accounts as requests use them: from memory while they are as fresh as answers of mapping may be, else read
 * once for all who wait. What cannot be read is passed on and forgotten: nobody is ever without groups because they were not
 * told. Who needs which groups is decided in the gateway.
 */
import type { Millis } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import type { Directory, Groups } from '../directory/directory.ts';

/** Asks the forest that the account is in. Never rejects. */
export function readGroups(directory: Directory, account: Account, deadline: Millis): Promise<Groups> {
  const forest = directory.forests.find((one) => one.holds(account));
  if (forest !== undefined) return forest.groupsOf(account, deadline);
  return Promise.resolve({ kind: 'unknown', reason: `${account.dn} is in none of the configured domains` });
}
