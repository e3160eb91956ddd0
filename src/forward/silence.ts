/**
 * How long an upstream may be silent in the middle of an answer. undici has a timer for that, which runs alike for every answer; this one knows
 * that a stream of events (text/event-stream) is silent for as long as nothing happens, and costs nothing where the answer comes at once.
 */
import type { FlatHeaders } from './forward-contract.ts';

export class Silence {
  #timer: NodeJS.Timeout | null = null;
  #milliseconds = 0;
  #paused = false;
  readonly #onEnd: () => void;

  /** @param onEnd called after so long a silence */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  /** @param milliseconds 0: for ever */
  begin(milliseconds: number): void {
    this.#milliseconds = milliseconds;
    if (!this.#paused) this.resume();
  }

  /** Something came. */
  heard(): void {
    this.#timer?.refresh();
  }

  /** We do not listen ourselves: the client is slow. */
  pause(): void {
    this.#paused = true;
    this.#clear();
  }

  resume(): void {
    this.#paused = false;
    this.#clear();
    if (this.#milliseconds > 0) this.#timer = setTimeout(this.#onEnd, this.#milliseconds);
  }

  end(): void {
    this.#milliseconds = 0;
    this.#clear();
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** Server-sent events (HTML standard, section 9.2). */
export function isEventStream(headers: FlatHeaders): boolean {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() === 'content-type') return /^text\/event-stream\s*(;|$)/i.test(headers[i + 1] ?? '');
  }
  return false;
}
