/**
 * The setups of a running gateway: the newest, which every new request takes, and older ones that requests in hand still hold. A request
 * keeps to its end the setup it began with; an older setup is closed when the last request that holds it has ended.
 */
import type { Exchange } from './exchange.ts';
import type { OlderRequest } from './recheck.ts';
import type { Setup } from './setup.ts';

/** A setup and how many requests hold it. */
export interface Generation {
  readonly setup: Setup;
  held: number;
}

export interface Generations {
  /** The newest. */
  readonly setup: Setup;
  /** For a request that begins now; to be given back by `leave` exactly once. */
  enter(): Generation;
  leave(generation: Generation): void;
  /** From now on new requests get this one. */
  replace(next: Setup): void;
  /** Resolves when all are closed, also those that are still held. */
  close(): Promise<void>;
}

export function createGenerations(first: Setup): Generations {
  let newest: Generation = { setup: first, held: 0 };
  const older = new Set<Generation>();
  const closing = new Set<Promise<void>>();

  function closeWhenFree(generation: Generation): void {
    if (generation.held > 0 || !older.delete(generation)) return;
    const done = generation.setup.close().finally(() => closing.delete(done));
    closing.add(done);
  }

  return {
    get setup() {
      return newest.setup;
    },
    enter() {
      newest.held += 1;
      return newest;
    },
    leave(generation) {
      generation.held -= 1;
      if (generation !== newest) closeWhenFree(generation);
    },
    replace(next) {
      const former = newest;
      newest = { setup: next, held: 0 };
      older.add(former);
      former.setup.retire();
      closeWhenFree(former);
    },
    async close() {
      const held = [...older].map(({ setup }) => setup.close());
      older.clear();
      await Promise.all([newest.setup.close(), ...held, ...closing]);
    },
  };
}

/** Requests that were let in under an older setup and are still being served. */
export function olderRequests(inHand: ReadonlyMap<Exchange, Generation>, newest: Setup): readonly OlderRequest[] {
  return [...inHand].flatMap(([{ connection, outgoing, rule }, { setup }]) => {
    if (outgoing === null || rule === null || setup === newest) return [];
    // What a connection remembers has the path of the request that earned it; here the path of each request counts.
    return [{ connection, presented: { ...outgoing.authorised.mapped.trusted.presented, rule } }];
  });
}
