/**
 * How long one request may spend on making connections, in all: as long as the connect time-out of the server it was first meant for. As
 * long as there is another server to go to, an attempt gets half of what is left, so that one that swallows connections does not use up
 * the time of those that answer.
 */
import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';

export interface ConnectBudget {
  readonly spent: boolean;
  /** Milliseconds that the attempt may take that begins now. */
  share(others: boolean): number;
  /** The attempt has come to nothing. */
  failed(): void;
  /** There is a connection: what its request takes does not count. */
  connected(): void;
}

export function startConnectBudget(total: number, clock: Pick<Clock, 'monotonic'> = systemClock): ConnectBudget {
  let left = total;
  let since: number | null = null;
  const count = () => {
    if (since !== null) left -= clock.monotonic() - since;
    since = null;
  };
  return {
    get spent() {
      return left < 1;
    },
    share(others) {
      since = clock.monotonic();
      return others ? left / 2 : left;
    },
    failed: count,
    connected: count,
  };
}
