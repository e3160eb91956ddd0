/**
 * Requests that wait for a connection, in the order in which they came, and until when. Which connection they wait for is decided in
 * `upstream.ts`.
 */
import type { Clock } from '../base/clock.ts';

/** How many wait, in all lines that share it. */
export interface LineCount {
  waiting: number;
}

export interface LineFacts {
  readonly count: LineCount;
  /** Milliseconds that anybody waits at most. */
  readonly timeout: number;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Some have waited too long and were told so. */
  readonly onExpired: () => void;
}

export class WaitingLine<W extends { giveUp(reason: 'timeout' | 'closed'): void }> {
  readonly #facts: LineFacts;
  /** When each began to wait. */
  readonly #since = new Map<W, number>();
  #timer: NodeJS.Timeout | null = null;

  constructor(facts: LineFacts) {
    this.#facts = facts;
  }

  get size(): number {
    return this.#since.size;
  }

  add(waiter: W): void {
    this.#since.set(waiter, this.#facts.clock.monotonic());
    this.#facts.count.waiting += 1;
    this.#watch();
  }

  /** @returns whether it was in this line */
  delete(waiter: W): boolean {
    if (!this.#since.delete(waiter)) return false;
    this.#facts.count.waiting -= 1;
    this.#stopWhenEmpty();
    return true;
  }

  /** Who comes next; stays in the line. */
  first(): W | null {
    for (const waiter of this.#since.keys()) return waiter;
    return null;
  }

  /** Empties the line. */
  takeAll(): readonly W[] {
    const all = [...this.#since.keys()];
    for (const waiter of all) this.delete(waiter);
    return all;
  }

  /** One timer for the whole line: it stands at the moment when the one at its head has waited long enough. */
  #watch(): void {
    if (this.#timer !== null) return;
    const { timeout, clock } = this.#facts;
    for (const since of this.#since.values()) {
      this.#timer = setTimeout(() => this.#expire(), Math.max(since + timeout - clock.monotonic(), 1));
      return;
    }
  }

  #expire(): void {
    this.#timer = null;
    const limit = this.#facts.clock.monotonic() - this.#facts.timeout;
    for (const [waiter, since] of this.#since) {
      if (since > limit) break;
      this.delete(waiter);
      waiter.giveUp('timeout');
    }
    this.#watch();
    this.#facts.onExpired();
  }

  #stopWhenEmpty(): void {
    if (this.#since.size > 0 || this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }
}
