/**
 * What a change in the directory sets going: the mapper forgets what is not right any more, and live connections are looked at again at
 * once where it may concern them. Decides how much is read for a change of which nobody can see what it was.
 */
import type { DirectoryChange } from '../directory/directory.ts';
import type { LiveAccounts } from './live-accounts.ts';
import type { Recheck } from './recheck.ts';
import type { Setup } from './setup.ts';

/** Accounts that are read again after a poll that does not say what has changed: 32 searches at most. */
const maximumUnseen = 1024;

/** Listens as long as the directory of the setup lives. @param report takes what the log should tell */
export function watchDirectory(
  { directory, mapper }: Pick<Setup, 'directory' | 'mapper'>,
  accounts: LiveAccounts,
  recheck: Pick<Recheck, 'run'>,
  report: (record: Readonly<Record<string, unknown>>) => void,
): void {
  if (directory === null || mapper === null) return;
  let reading: Promise<void> | null = null;
  let readOnceMore = false;

  async function apply(changes: readonly DirectoryChange[]): Promise<void> {
    for (const change of changes)
      if (change.kind === 'unsure') report({ event: 'directory.unsure', detail: change.reason });
    const dropped = await mapper?.noteChanges(changes);
    if (dropped !== 0 || changes.some(concernsAll) || accounts.hasAny(accountsIn(changes))) void recheck.run();
    else if (changes.some(({ kind }) => kind === 'unseen')) lookAround();
  }

  const concernsAll = ({ kind }: DirectoryChange): boolean => kind === 'forest' || kind === 'unsure';

  /** Once at a time; what comes meanwhile leads to one more reading, and not to many. */
  function lookAround(): void {
    if (reading !== null) {
      readOnceMore = true;
      return;
    }
    readOnceMore = false;
    reading = accounts.readAgain(maximumUnseen).then((others) => {
      reading = null;
      if (others > 0) void recheck.run();
      if (readOnceMore) lookAround();
    });
  }

  for (const forest of directory.forests) forest.onChanges((changes) => void apply(changes));
}

function accountsIn(changes: readonly DirectoryChange[]): ReadonlySet<string> {
  return new Set(changes.flatMap((change) => (change.kind === 'account' ? change.guid : [])));
}
