/**
 * What is asked again in the background while its old answer still serves. Decides how many are asked for at a time, so that a crowd that
 * goes out of date together does not keep those waiting who have no answer yet; and that a silent directory is left alone for a moment.
 */
import type { Clock } from '../base/clock.ts';

/** Questions in the background at a time; who comes later is served what there is, and asks at another time. */
export const maximumRefreshes = 64;

/** After a silence, an old answer is served for so long (milliseconds) before the directory is asked again for it. */
export const pauseAfterSilence = 1000;

export interface Refreshes {
  /** @param ask resolves to whether there was an answer; must not reject */
  attempt(key: string, ask: () => Promise<boolean>): void;
}

export function createRefreshes(clock: Clock): Refreshes {
  const running = new Set<string>();
  /** Monotonic times before which there is no point in asking. */
  const silent = new Map<string, number>();

  return {
    attempt(key, ask) {
      const now = clock.monotonic();
      if (running.size >= maximumRefreshes || running.has(key) || now < (silent.get(key) ?? 0)) return;
      running.add(key);
      void ask().then((answered) => {
        running.delete(key);
        silent.delete(key);
        if (answered) return;
        if (silent.size >= maximumSilent) silent.clear();
        silent.set(key, clock.monotonic() + pauseAfterSilence);
      });
    },
  };
}

const maximumSilent = 10_000;
