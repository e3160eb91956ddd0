/**
 * The groups of mapped accounts as requests use them: from memory while they are fresh enough, else read once for all who wait. They
 * are kept as long as answers of mapping. What cannot be read is passed on and forgotten: nobody is ever without groups because they
 * could not be told. Who needs which groups is decided in the gateway.
 */
import { LRUCache } from 'lru-cache';
import type { Instant, Millis, Sid } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { isoText } from '../base/clock.ts';
import { reasonOf } from '../base/failure.ts';
import type { Account } from '../base/identity.ts';
import type { Steps } from '../base/steps.ts';
import type { Directory, DirectoryChange, Groups } from '../directory/directory.ts';
import { objectKey } from './again.ts';
import { withinDeadline } from './deadline.ts';
import type { MapOptions, MappingCacheSettings } from './mapper-contract.ts';
import { createRefreshes } from './refreshes.ts';
import { sweep } from './sweep.ts';

export interface GroupsMemory {
  groupsOf(account: Account, now: Instant, options: MapOptions): Groups | Promise<Groups>;
  pin(groups: readonly Sid[]): void;
  /** @returns how many lists were dropped */
  noteGroups(changes: readonly GroupChange[]): Promise<number>;
  /** Drops the lists of these accounts, by objectGUID. */
  drop(guids: Iterable<string>): number;
  /** Everything is out of date from now on, and is read again when it is asked for. */
  expire(): void;
  clear(): number;
  readonly size: number;
}

type GroupChange = Extract<DirectoryChange, { kind: 'group' }>;
type ReadGroups = Extract<Groups, { kind: 'read' }>;

export interface GroupsMeans {
  readonly directory: Directory;
  readonly settings: MappingCacheSettings;
  readonly deadline: Millis;
  readonly clock: Clock;
}

interface KeptGroups {
  /** NetBIOS name of the account's domain. */
  readonly domain: string;
  readonly groups: ReadGroups;
  /** Monotonic milliseconds until which they are as good as new, unless all was declared out of date; they may be used for `stale` longer. */
  readonly freshUntil: number;
}

/** SIDs in memory, for each account that may be: a hundred groups each for one in five of them. */
const groupsPerAccount = 20;

export function createGroupsMemory({ directory, settings, deadline, clock }: GroupsMeans): GroupsMemory {
  const kept = new LRUCache<string, KeptGroups>({
    max: Math.max(1, settings.maximum),
    maxSize: Math.max(1, settings.maximum) * groupsPerAccount,
    sizeCalculation: ({ groups }) => 1 + groups.sids.size,
  });
  const reading = new Map<string, Promise<Groups>>();
  const refreshes = createRefreshes(clock);
  const shared = createSharedSids();
  let pinned: ReadonlySet<Sid> = new Set();
  let generation = 0;
  let expiredAt = -Infinity;

  return {
    groupsOf(account, now, { maximumAge, fresh, current, steps }) {
      if (fresh === true) return answerOf(account, steps);
      const known = usable(account);
      if (known === undefined || (maximumAge !== null && now - known.groups.readAt > maximumAge))
        return read(account, steps);
      const isFresh = clock.monotonic() < endOf(known);
      if (!isFresh && current === true) return newer(known, account, steps);
      const key = objectKey(account);
      if (!isFresh && !reading.has(key))
        refreshes.attempt(key, async () => (await read(account, steps)).kind === 'read');
      if (steps.recording) steps.note('authorise', 'groups', toldOf(account, known.groups));
      return known.groups;
    },
    pin(groups) {
      const known = pinned;
      pinned = new Set(groups);
      // While nobody asked for it, who came into it ended no list.
      if (groups.some((sid) => !known.has(sid))) clear();
    },
    async noteGroups(changes) {
      if (changes.length === 0) return 0;
      interrupt();
      const isPinned = (sid: Sid): boolean => pinned.has(sid);
      const opens = changes.some(({ sid, within }) => isPinned(sid) || within === null || [...within].some(isPinned));
      if (pinned.size > 0 && opens) return clear();
      const sids = changes.map(({ sid }) => sid);
      return await sweep(kept, ({ groups }) => sids.some((sid) => groups.sids.has(sid)));
    },
    drop(guids) {
      let dropped = 0;
      for (const [index, guid] of [...guids].entries()) {
        if (index === 0) interrupt();
        if (kept.delete(guid)) dropped += 1;
      }
      return dropped;
    },
    expire() {
      interrupt();
      expiredAt = clock.monotonic();
    },
    clear,
    get size() {
      return kept.size;
    },
  };

  function clear(): number {
    interrupt();
    const { size } = kept;
    kept.clear();
    return size;
  }

  /** What is being read may be from before whatever changed: it answers those who wait and is not kept. */
  function interrupt(): void {
    generation += 1;
    reading.clear();
  }

  function endOf({ freshUntil }: KeptGroups): number {
    return freshUntil - settings.positive <= expiredAt ? Math.min(freshUntil, expiredAt) : freshUntil;
  }

  function usable({ guid, domain }: Account): KeptGroups | undefined {
    const known = kept.get(guid);
    if (known?.domain !== domain) return undefined;
    if (clock.monotonic() < endOf(known) + settings.stale) return known;
    kept.delete(guid);
    return undefined;
  }

  async function newer(known: KeptGroups, account: Account, steps: Steps): Promise<Groups> {
    const groups = await read(account, steps);
    return groups.kind === 'read' ? groups : known.groups;
  }

  function read(account: Account, steps: Steps): Promise<Groups> {
    const key = objectKey(account);
    const running = reading.get(key);
    if (running !== undefined) return running;
    const started = answerOf(account, steps).finally(() => {
      if (reading.get(key) === started) reading.delete(key);
    });
    reading.set(key, started);
    return started;
  }

  async function answerOf(account: Account, steps: Steps): Promise<Groups> {
    const started = generation;
    const forest = directory.forests.find((one) => one.holds(account));
    const unknown = (reason: string): Groups => ({ kind: 'unknown', reason });
    if (forest === undefined) return unknown(`${account.dn} is in none of the configured domains`);
    try {
      const late = () => unknown(`the directory did not answer within ${deadline} ms`);
      const groups = await withinDeadline(deadline, forest.groupsOf(account, deadline), late);
      if (steps.recording) steps.note('authorise', 'groups', toldOf(account, groups));
      if (groups.kind === 'unknown') return groups;
      const own: ReadGroups = { ...groups, sids: shared(groups.sids) };
      if (started === generation && settings.maximum > 0 && settings.positive + settings.stale > 0)
        kept.set(account.guid, {
          domain: account.domain,
          groups: own,
          freshUntil: clock.monotonic() + settings.positive,
        });
      return own;
    } catch (error) {
      return unknown(`reading groups failed: ${reasonOf(error)}`);
    }
  }
}

function toldOf({ name }: Account, groups: Groups): string {
  if (groups.kind === 'unknown') return `the groups of ${name} are not known: ${groups.reason}`;
  return `${name} is in ${groups.sids.size} groups, read ${isoText(groups.readAt)} from ${groups.server}`;
}

/** Groups are few and their members many: each SID is in memory once. */
function createSharedSids(): (sids: ReadonlySet<Sid>) => ReadonlySet<Sid> {
  const known = new Map<Sid, Sid>();
  return (sids) => {
    if (known.size > maximumShared) known.clear();
    const own = new Set<Sid>();
    for (const sid of sids) {
      const one = known.get(sid) ?? sid;
      known.set(one, one);
      own.add(one);
    }
    return own;
  };
}

const maximumShared = 100_000;
