/**
 * The directory as a whole: every configured forest, each for itself. Nothing of one forest vouches for another.
 */
import { Failure } from '../base/failure.ts';
import type { Directory, DirectorySettings } from './directory.ts';
import { createForest, type DirectoryFacilities, type LiveForest } from './forest.ts';
import type { ObjectAnswer, ObjectReader } from './object-read.ts';

export interface LiveDirectory extends Directory, ObjectReader {
  readonly forests: readonly LiveForest[];
  /** Tries refused and failed servers again now. */
  retry(): void;
}

/**
 * Begins to connect at once, in the background.
 * @throws Failure `directory-settings` or `directory-url` for settings that cannot work
 */
export function createDirectory(settings: DirectorySettings, facilities: DirectoryFacilities): LiveDirectory {
  if (settings.forests.length === 0)
    throw new Failure('no forest is configured', {
      code: 'directory-settings',
      hint: 'name at least one Active Directory domain',
      exitCode: 2,
    });
  const forests = settings.forests.map((forest) => createForest(forest, facilities));
  return {
    forests,
    serves: (host) => forests.some((forest) => forest.serves(host)),
    async readObject(request) {
      const vain: ObjectAnswer[] = [];
      for (const forest of forests) {
        const answer = await forest.readObject(request);
        if (answer.kind === 'read' || answer.kind === 'tooLarge') return answer;
        vain.push(answer);
      }
      const reason = vain.map((answer) => ('reason' in answer ? answer.reason : '')).join('; ');
      return { kind: vain.some(({ kind }) => kind === 'unknown') ? 'unknown' : 'absent', reason };
    },
    health: async () => (await Promise.all(forests.map((forest) => forest.health()))).flat(),
    retry() {
      for (const forest of forests) forest.retry();
    },
    async close() {
      await Promise.all(forests.map((forest) => forest.close()));
    },
  };
}
