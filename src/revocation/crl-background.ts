/**
 * Asks sources again when their time has come. Decides how many at once, and which: those whose lists are in use, those without one
 * that somebody wanted since they last failed, and those of the configuration.
 */
import type { SetAlarm } from '../base/alarm.ts';
import type { Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { CrlSource } from './crl-source.ts';
import type { CrlSources } from './crl-sources.ts';

export interface CrlBackground {
  /** Something was planned. */
  look(): void;
  close(): void;
}

export interface CrlBackgroundSettings {
  readonly clock: Clock;
  readonly setAlarm: SetAlarm;
  readonly sources: CrlSources;
  /** One attempt; never rejects. */
  readonly start: (source: CrlSource) => Promise<unknown>;
}

const maximumAtOnce = 4;
/** Clocks may be set and machines may sleep: nobody relies on a longer alarm. */
const longestWait = 60_000;

export function createCrlBackground({ clock, setAlarm, sources, start }: CrlBackgroundSettings): CrlBackground {
  let running = 0;
  let closed = false;
  let callOff: () => void = () => {};

  function look(): void {
    callOff();
    if (closed || running >= maximumAtOnce) return;
    const waits = planned().map(waitOf);
    if (sources.all().length === 0) return;
    callOff = setAlarm(tick, Math.max(0, Math.min(longestWait, ...waits)) as Millis);
  }

  function tick(): void {
    sources.sweep();
    const due = planned()
      .filter((source) => waitOf(source) <= 0)
      .toSorted((a, b) => waitOf(a) - waitOf(b));
    for (const source of due.slice(0, maximumAtOnce - running)) void run(source);
    look();
  }

  async function run(source: CrlSource): Promise<void> {
    running += 1;
    await start(source);
    running -= 1;
    look();
  }

  function planned(): readonly CrlSource[] {
    return sources.all().filter(({ flight, next, list, wanted, standing }) => {
      return flight === null && next !== null && (list !== null || wanted || standing);
    });
  }

  /** Milliseconds; whichever clock comes first. */
  function waitOf({ next }: CrlSource): number {
    return next === null ? Infinity : Math.min(next.at - clock.now(), next.monotonic - clock.monotonic());
  }

  return {
    look,
    close() {
      closed = true;
      callOff();
    },
  };
}
