/**
 * All forests that accounts may come from, as one directory. Decides that no domain is in two of them, in which forest an object is read, and that an
 * account which several of them use has one gate; what belongs to one forest is decided in `forest.ts`.
 */
import { Failure } from '../base/failure.ts';
import { createBindGates } from './bind-gates.ts';
import type { Directory, DirectorySettings } from './directory.ts';
import { domainOfDn } from './dn.ts';
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
  check(settings);
  const gates = createBindGates(() => facilities.clock.monotonic());
  const forests: LiveForest[] = [];
  try {
    for (const forest of settings.forests) forests.push(createForest(forest, facilities, gates));
  } catch (error) {
    // Those before it are connecting already.
    for (const forest of forests) void forest.close();
    throw error;
  }
  return {
    forests,
    serves: (host) => forests.some((forest) => forest.serves(host)),
    async readObject(request) {
      const vain: ObjectAnswer[] = [];
      for (const forest of forestsOf(request.dn, settings, forests)) {
        const answer = await forest.readObject(request);
        if (answer.kind === 'read' || answer.kind === 'tooLarge') return answer;
        vain.push(answer);
      }
      const reason = vain.map((answer) => ('reason' in answer ? answer.reason : '')).join('; ');
      return { kind: vain.some(({ kind }) => kind === 'unknown') ? 'unknown' : 'absent', reason };
    },
    health: async () => (await Promise.all(forests.map((forest) => forest.health()))).flat(),
    retry() {
      gates.reopen();
      for (const forest of forests) forest.retry();
    },
    async close() {
      gates.close();
      await Promise.all(forests.map((forest) => forest.close()));
    },
  };
}

/** The forest that has the domain of the name, or below it; all where none has: who has it cannot be told from the name. */
function forestsOf(dn: string, { forests }: DirectorySettings, live: readonly LiveForest[]): readonly LiveForest[] {
  const home = domainOfDn(dn);
  if (home === null) return live;
  const holds = (name: string): boolean => name === home || name.endsWith(`.${home}`);
  const own = live.filter((_, index) => forests[index]?.domains.some(({ name }) => holds(name)) === true);
  return own.length === 0 ? live : own;
}

function check({ forests }: DirectorySettings): void {
  const refuse = (message: string, hint: string): Failure =>
    new Failure(message, { code: 'directory-settings', hint, exitCode: 2 });
  if (forests.length === 0) throw refuse('no forest is configured', 'name at least one Active Directory domain');
  const seen = new Map<string, string>();
  for (const { name: forest, domains } of forests)
    for (const { name } of domains) {
      const other = seen.get(name);
      if (other !== undefined && other !== forest)
        throw refuse(`the domain ${name} is in two forests, ${other} and ${forest}`, 'a domain belongs to one forest');
      seen.set(name, forest);
    }
  const names = forests.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw refuse(`two forests are called ${twice}`, 'give each a name of its own');
}
