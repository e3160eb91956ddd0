/**
 * Who may send a bind with one account's password. Decides that a password which no server has accepted yet goes to one server at
 * a time, and that after a refusal it goes to nobody: each wrong bind counts towards the account's lockout, on every domain
 * controller together (badPwdCount is forwarded to the PDC emulator, MS-SAMR 3.1.1.8).
 */
import type { Millis } from '../base/brand.ts';

export type BindOutcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** The server did not say: nothing is known about the password. */
  | { readonly kind: 'unanswered' };

export interface BindGate {
  readonly dn: string;
  readonly password: string;
  /** Why nobody may bind; null while binding is allowed. */
  readonly refusal: string | null;
  /**
   * Resolves to a pass, or to null when the password has been refused. Waits for the bind that is under way, but not longer
   * than `patience` or until `signal`: a server that hangs in its bind does not keep us from the others.
   */
  enter(patience: Millis, signal: AbortSignal): Promise<BindPass | null>;
  /** An operator has corrected the account: the next bind is tried again. */
  reopen(): void;
}

export interface BindPass {
  leave(outcome: BindOutcome): void;
}

export function createBindGate(dn: string, password: string): BindGate {
  let refusal: string | null = null;
  let proven = false;
  let holder: Promise<void> | null = null;
  /** The bind under way that has to be waited for. */
  const unproven = (): Promise<void> | null => (refusal === null && !proven ? holder : null);

  return {
    dn,
    password,
    get refusal() {
      return refusal;
    },
    async enter(patience, signal) {
      const timer = createTimer(patience, signal);
      // Whoever wakes first takes the place before the next one looks.
      for (let other = unproven(); other !== null && !timer.expired; other = unproven())
        await Promise.race([other, timer.expiry]);
      timer.stop();
      if (refusal !== null) return null;
      const { promise, resolve } = Promise.withResolvers<void>();
      holder = promise;
      return {
        leave(outcome) {
          if (outcome.kind === 'accepted') proven = true;
          if (outcome.kind === 'refused') {
            refusal = outcome.reason;
            proven = false;
          }
          if (holder === promise) holder = null;
          resolve();
        },
      };
    },
    reopen() {
      refusal = null;
    },
  };
}

interface Timer {
  readonly expired: boolean;
  readonly expiry: Promise<void>;
  stop(): void;
}

function createTimer(millis: Millis, signal: AbortSignal): Timer {
  const { promise, resolve } = Promise.withResolvers<void>();
  let expired = signal.aborted;
  const expire = (): void => {
    expired = true;
    resolve();
  };
  const handle = setTimeout(expire, millis);
  signal.addEventListener('abort', expire);
  return {
    get expired() {
      return expired;
    },
    expiry: promise,
    stop() {
      clearTimeout(handle);
      signal.removeEventListener('abort', expire);
    },
  };
}
