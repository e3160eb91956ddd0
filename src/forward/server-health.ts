/**
 * Whether one server is believed to take requests. Two things take it out, each by itself: a connection that could not be made (until one is
 * made again; the time between our own attempts grows), and, where health checks are configured, several bad answers in a row (until
 * several good ones). Which of the healthy ones is taken is decided in `upstream-group.ts`.
 */
import type { SetAlarm } from '../base/alarm.ts';
import type { Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { HealthCheckSettings } from './forward-contract.ts';
import { askHealth } from './health-check.ts';
import type { CheckedServer } from './health-check.ts';
import type { Upstream } from './upstream.ts';

export interface HealthMeans {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
  readonly setAlarm: SetAlarm;
}

export interface WatchedServer extends CheckedServer {
  readonly upstream: Pick<Upstream, 'origin' | 'connector' | 'probe'>;
}

/** Milliseconds between the loss of a server and the first attempt to reach it, and between attempts at most. */
const firstRest = 1000;
const longestRest = 60_000;

export class ServerHealth {
  /** When a connection or a check last failed, on the monotonic clock; lowest where nothing ever did. */
  failedAt = -Infinity;
  readonly #server: WatchedServer;
  readonly #check: HealthCheckSettings | null;
  readonly #means: HealthMeans;
  readonly #onChange: (healthy: boolean, reason: string) => void;
  readonly #ending = new AbortController();
  /** Why no connection can be made; null: one can, as far as is known. */
  #away: string | null = null;
  /** Why the checks say no. */
  #unwell: string | null = null;
  #failures = 0;
  #successes = 0;
  #rest = firstRest;
  #reachedAt = -Infinity;
  #callOffAttempt = () => {};
  #callOffCheck = () => {};

  constructor(
    server: WatchedServer,
    check: HealthCheckSettings | null,
    means: HealthMeans,
    onChange: (healthy: boolean, reason: string) => void,
  ) {
    this.#server = server;
    this.#check = check;
    this.#means = means;
    this.#onChange = onChange;
  }

  get healthy(): boolean {
    return this.#away === null && this.#unwell === null;
  }

  /** Null while healthy. */
  get reason(): string | null {
    return this.#away ?? this.#unwell;
  }

  /** Begins with the checks, where there are any. All servers of all gateways do not ask in the same moment. */
  watch(): void {
    if (this.#check !== null) this.#checkAfter(Math.min(this.#check.interval, firstRest) * this.#means.random());
  }

  connectionFailed(reason: string): void {
    const now = this.#means.clock.monotonic();
    this.failedAt = now;
    if (this.#away !== null || this.#ending.signal.aborted) return;
    // Who comes and goes is let in less and less often.
    this.#rest = now - this.#reachedAt > longestRest ? firstRest : Math.min(this.#rest * 2, longestRest);
    this.#change(() => {
      this.#away = reason;
    });
    this.#attemptLater();
  }

  connectionMade(): void {
    if (this.#away === null) return;
    this.#callOffAttempt();
    this.#reachedAt = this.#means.clock.monotonic();
    this.#change(() => {
      this.#away = null;
    });
  }

  stop(): void {
    this.#ending.abort();
    this.#callOffAttempt();
    this.#callOffCheck();
  }

  #attemptLater(): void {
    const delay = this.#rest * (0.75 + this.#means.random() / 2);
    this.#callOffAttempt = this.#means.setAlarm(() => void this.#attempt(), delay as Millis);
  }

  /** With a connection of our own, so that no request has to wait for the time-out of one. */
  async #attempt(): Promise<void> {
    const reason = await this.#server.upstream.probe();
    if (this.#ending.signal.aborted || this.#away === null) return;
    if (reason === null) {
      this.connectionMade();
      return;
    }
    this.failedAt = this.#means.clock.monotonic();
    this.#away = reason;
    this.#rest = Math.min(this.#rest * 2, longestRest);
    this.#attemptLater();
  }

  #checkAfter(delay: number): void {
    this.#callOffCheck = this.#means.setAlarm(() => void this.#askNow(), delay as Millis);
  }

  async #askNow(): Promise<void> {
    const check = this.#check;
    if (check === null) return;
    const { healthy, detail } = await askHealth(this.#server, check, this.#means.setAlarm, this.#ending.signal);
    if (this.#ending.signal.aborted) return;
    if (healthy) {
      this.#successes += 1;
      this.#failures = 0;
      this.connectionMade();
      if (this.#successes >= check.healthyAfter) this.#judge(null);
    } else {
      this.#failures += 1;
      this.#successes = 0;
      this.failedAt = this.#means.clock.monotonic();
      if (this.#failures >= check.unhealthyAfter) this.#judge(`health check GET ${check.path}: ${detail}`);
    }
    this.#checkAfter(check.interval * (0.9 + this.#means.random() / 5));
  }

  #judge(unwell: string | null): void {
    this.#change(() => {
      this.#unwell = unwell;
    });
  }

  #change(set: () => void): void {
    const before = this.healthy;
    set();
    if (this.healthy !== before) this.#onChange(this.healthy, this.reason ?? 'it answers again');
  }
}
