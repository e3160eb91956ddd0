/**
 * How many retrievals are under way at once, overall and at one host. Decides who has to wait and how many may: a host that hangs fills
 * its own places, not those of others.
 */
import { RetrievalError } from './retrieval.ts';

export interface GateSettings {
  readonly overall: number;
  readonly perHost: number;
  /** Beyond these a retrieval fails at once. */
  readonly waiting: number;
}

export interface FetchGate {
  /** Runs `work` as soon as there is a place. @throws RetrievalError, or the signal's reason while waiting */
  pass<T>(host: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export function createFetchGate({ overall, perHost, waiting }: GateSettings): FetchGate {
  const busy = new Map<string, number>();
  const queue = new Set<{ readonly host: string; readonly enter: () => void }>();
  let total = 0;

  const isFree = (host: string): boolean => total < overall && (busy.get(host) ?? 0) < perHost;
  const take = (host: string): void => {
    total += 1;
    busy.set(host, (busy.get(host) ?? 0) + 1);
  };

  function leave(host: string): void {
    total -= 1;
    const left = (busy.get(host) ?? 1) - 1;
    if (left === 0) busy.delete(host);
    else busy.set(host, left);
    for (const waiter of queue) {
      if (total >= overall) return;
      if (!isFree(waiter.host)) continue;
      queue.delete(waiter);
      take(waiter.host);
      waiter.enter();
    }
  }

  function enter(host: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (isFree(host)) {
      take(host);
      return Promise.resolve();
    }
    if (queue.size >= waiting)
      throw new RetrievalError('unreachable', `${waiting} retrievals are waiting for a place already`);
    return new Promise((resolve, reject) => {
      const waiter = {
        host,
        enter: (): void => {
          signal.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      const giveUp = (): void => {
        queue.delete(waiter);
        reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
      };
      queue.add(waiter);
      signal.addEventListener('abort', giveUp);
    });
  }

  return {
    async pass(host, signal, work) {
      await enter(host, signal);
      try {
        return await work();
      } finally {
        leave(host);
      }
    },
  };
}
