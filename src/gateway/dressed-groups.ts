/**
 * The groups that headers tell: all of an account, nested ones too, sorted by SID, with names where the location wants them. A list that cannot be read
 * is `groupsUnknown`, never empty. A name that is not found leaves the SID alone: it says as much.
 */
import { LRUCache } from 'lru-cache';
import type { Instant, Millis, Sid } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Account } from '../base/identity.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { Directory, PrincipalReader } from '../directory/directory.ts';
import type { Group } from '../forward/dialect-contract.ts';
import type { MappingSettings } from '../mapping/mapper-contract.ts';
import type { Way } from './exchange.ts';
import { hasEarned } from './memory.ts';
import { groupsFor } from './membership.ts';
import type { LocationSettings } from './settings.ts';
import type { Setup } from './setup.ts';

export interface DressedGroups {
  readonly groups: readonly Group[];
  /** From here on the groups must be read again. */
  readonly until: Instant;
}

export async function dressedGroups(
  account: Account,
  location: LocationSettings,
  way: Pick<Way, 'connection'>,
  setup: Setup,
  now: Instant,
  steps: Steps,
): Promise<DressedGroups | Verdict> {
  const { mapper, directory, settings } = setup;
  if (mapper === null || directory === null)
    return verdict('groupsUnknown', `no directory is asked for the groups of ${account.name}`, account);
  // A backend decides by them: a new connection tells none that a recheck would have read anew. For live ones as `authorise` asks, so that
  // a round of rechecks reads the groups of an account once.
  const again = way.connection !== null && hasEarned(way.connection, location);
  const freshFor = (again ? settings.limits.recheck / 2 : settings.limits.recheck) as Millis;
  const read = await groupsFor({ account, location, now, steps, freshFor }, mapper);
  if (read.kind === 'unknown')
    return verdict('groupsUnknown', `the groups of ${account.name} are not known: ${read.reason}`, account);
  const until = location.maximumAge === null ? Infinity : read.readAt + location.maximumAge;
  if (until < now)
    return verdict(
      'groupsUnknown',
      `the groups of ${account.name} were read longer ago than maximumAge of location ${location.path}`,
      account,
    );
  const sids = [...read.sids].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const names = location.groups === 'names' ? await groupNames(account, sids, directory, setup) : null;
  return { groups: sids.map((sid) => ({ sid, name: names?.get(sid) ?? null })), until: until as Instant };
}

function groupNames(
  account: Account,
  sids: readonly Sid[],
  directory: Directory,
  { settings, clock }: Setup,
): Promise<ReadonlyMap<Sid, string>> {
  const forest = directory.forests.find((one) => one.holds(account));
  if (forest === undefined) return Promise.resolve(new Map());
  let memory = memories.get(forest);
  if (memory === undefined) memories.set(forest, (memory = createGroupNames(forest, settings.mapping, clock)));
  return memory(sids);
}

/** Names belong to the forest that told them, and go with it. */
const memories = new WeakMap<PrincipalReader, GroupNames>();

export type GroupNames = (sids: readonly Sid[]) => Promise<ReadonlyMap<Sid, string>>;

interface Known {
  readonly name: string | null;
  /** Monotonic milliseconds. */
  readonly until: number;
}

const maximumNames = 20_000;

/**
 * Names of SIDs from memory, the rest in one question. That there is none is remembered for as long as any negative answer: it may be that a
 * server was silent.
 */
export function createGroupNames(
  forest: Pick<PrincipalReader, 'namesOf'>,
  { deadline, cache }: Pick<MappingSettings, 'deadline' | 'cache'>,
  clock: Pick<Clock, 'monotonic'>,
): GroupNames {
  const known = new LRUCache<Sid, Known>({ max: maximumNames });
  const asking = new Map<Sid, Promise<ReadonlyMap<Sid, string>>>();

  return async (sids) => {
    const names = new Map<Sid, string>();
    const missing: Sid[] = [];
    const waiting = new Map<Promise<ReadonlyMap<Sid, string>>, Sid[]>();
    for (const sid of sids) {
      const one = known.get(sid);
      const question = asking.get(sid);
      if (one !== undefined && clock.monotonic() < one.until) {
        if (one.name !== null) names.set(sid, one.name);
      } else if (question !== undefined) waiting.set(question, [...(waiting.get(question) ?? []), sid]);
      else missing.push(sid);
    }
    if (missing.length > 0) waiting.set(ask(missing), missing);
    // All at once: a question that fails while another is waited for would be nobody's.
    const answers = await Promise.all(
      [...waiting].map(async ([question, wanted]) => ({ answer: await question, wanted })),
    );
    for (const { answer, wanted } of answers)
      for (const sid of wanted) {
        const name = answer.get(sid);
        if (name !== undefined) names.set(sid, name);
      }
    return names;
  };

  function ask(sids: readonly Sid[]): Promise<ReadonlyMap<Sid, string>> {
    const question = forest
      .namesOf(sids, deadline)
      .then((answer) => {
        const now = clock.monotonic();
        for (const sid of sids) {
          const name = answer.get(sid) ?? null;
          known.set(sid, { name, until: now + (name === null ? cache.negative : cache.positive) });
        }
        return answer;
      })
      .finally(() => {
        for (const sid of sids) asking.delete(sid);
      });
    for (const sid of sids) asking.set(sid, question);
    return question;
  }
}
