/**
 * All sources that the store knows. Decides which are forgotten: those that nobody has used for a month, and the least recently used
 * where there are too many of them or their lists need too much memory.
 */
import type { Clock } from '../base/clock.ts';
import type { CrlDisk } from './crl-disk.ts';
import { maximumFiles } from './crl-disk.ts';
import type { CrlLists, ListKey } from './crl-lists.ts';
import type { Asker } from './crl-refusal.ts';
import { createSource, type CrlSource } from './crl-source.ts';

export interface CrlSources {
  get(url: string): CrlSource | null;
  /** Makes room if need be; null: every other source is being asked right now. */
  add(url: string, asker: Asker): CrlSource | null;
  all(): readonly CrlSource[];
  remove(source: CrlSource): void;
  /** Drops other sources than `kept` until their lists fit. */
  fit(kept: CrlSource): void;
  /** Drops what is out of use: sources, and lists that no source stands for any more once they have expired. */
  sweep(): void;
}

export interface CrlSourcesSettings {
  readonly lists: CrlLists;
  readonly disk: CrlDisk | null;
  readonly clock: Clock;
  /** Octets of all lists together. */
  readonly maximumHeldBytes: number;
  readonly onDropped: (source: string, why: string) => void;
}

const maximumSources = maximumFiles;
/** Milliseconds. */
const longestUnused = 30 * 86_400_000;

export function createCrlSources(settings: CrlSourcesSettings): CrlSources {
  const { lists, disk, clock, maximumHeldBytes, onDropped } = settings;
  const sources = new Map<string, CrlSource>();

  function drop(source: CrlSource, why: string): void {
    forget(source);
    onDropped(source.url, why);
  }

  function forget(source: CrlSource): void {
    sources.delete(source.url);
    if (source.list !== null && !inUse().has(source.list)) lists.remove(source.list);
  }

  function inUse(): ReadonlySet<ListKey | null> {
    return new Set([...sources.values()].map(({ list }) => list));
  }

  /** Looking at a list counts as using all the sources that it may come from. */
  function noteLooks(): void {
    const now = clock.monotonic();
    for (const source of sources.values()) if (source.list !== null && lists.lookedAt(source.list)) source.usedAt = now;
    lists.forgetLooks();
  }

  function leastUsed(of: readonly CrlSource[]): CrlSource | null {
    let least: CrlSource | null = null;
    for (const source of of)
      if (source.flight === null && (least === null || source.usedAt < least.usedAt)) least = source;
    return least;
  }

  function dropOrphans(): void {
    const used = inUse();
    for (const key of lists.keys()) {
      const nextUpdate = lists.get(key)?.crl.nextUpdate ?? null;
      if (!used.has(key) && (nextUpdate === null || nextUpdate < clock.now())) lists.remove(key);
    }
  }

  return {
    get: (url) => sources.get(url) ?? null,
    add(url, asker) {
      if (sources.size >= maximumSources) {
        noteLooks();
        const least = leastUsed([...sources.values()]);
        if (least === null) return null;
        disk?.remove(least.url);
        drop(least, `there are ${maximumSources} other sources that were used since`);
      }
      const source = createSource(url, asker, clock.monotonic());
      sources.set(url, source);
      return source;
    },
    all: () => [...sources.values()],
    remove: forget,
    fit(kept) {
      if (lists.bytes <= maximumHeldBytes) return;
      noteLooks();
      for (;;) {
        const holding = [...sources.values()].filter(({ list }) => list !== null && list !== kept.list);
        const least = leastUsed(holding);
        if (least === null || lists.bytes <= maximumHeldBytes) return;
        // Its file stays, so that whoever needs it next need not fetch it.
        drop(least, `all lists together need more than ${maximumHeldBytes} octets`);
      }
    },
    sweep() {
      noteLooks();
      for (const source of [...sources.values()]) {
        if (source.flight !== null || source.standing || clock.monotonic() - source.usedAt < longestUnused) continue;
        disk?.remove(source.url);
        drop(source, 'nobody has used it for 30 days');
      }
      dropOrphans();
    },
  };
}
