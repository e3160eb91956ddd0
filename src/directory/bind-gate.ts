/**
 * Who may log on with one account, and with which password. Decides that a password which no server has accepted of late goes to one server at
 * a time, and that one that was refused goes to nobody until it is another: each wrong bind counts towards the account's lockout, on every
 * domain controller together (badPwdCount is forwarded to the PDC emulator, MS-SAMR 3.1.1.8). A password that worked last is used until a
 * server refuses it; only then the secret is read again, so that it may be changed before or after the directory is.
 */
import type { Millis } from '../base/brand.ts';
import type { BindCredentials } from './directory.ts';
import { settlesWithin } from './patience.ts';

export type BindOutcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** The server did not say: nothing is known about the password. */
  | { readonly kind: 'unanswered' };

export interface BindGate {
  readonly credentials: BindCredentials;
  /** Why nobody may bind; null while binding is allowed. */
  readonly refusal: string | null;
  /**
   * Resolves to a pass, or to null when the password has been refused. Waits for the bind that is under way, but not longer
   * than `patience` or until `signal`: a server that hangs in its bind does not keep us from the others.
   */
  enter(patience: Millis, signal: AbortSignal): Promise<BindPass | null>;
  /** An operator has corrected the account: the secret is read again, and what it gives is tried, even when it is the same. */
  reopen(): void;
  /** @param opened called when binding is allowed again. @returns ends that */
  watch(opened: () => void): () => void;
  /** The secret is not read any more. */
  close(): void;
}

export interface BindPass {
  /** What to log on with now; empty where a certificate does. */
  readonly password: string;
  leave(outcome: BindOutcome): void;
}

export interface BindGateSettings {
  readonly credentials: BindCredentials;
  /** Where the password may be read again; any of them may have a newer one. */
  readonly rereads?: ReadonlySet<() => Promise<string | null>>;
  readonly monotonic: () => number;
  /** Between two readings of the secret while it is refused. */
  readonly interval?: Millis;
}

/** How often a secret that was refused is read again. */
const rereadInterval = 30_000 as Millis;

/** A password that was accepted this long ago may have been changed since: it goes to one server first. */
const proof = 30_000;

/** One reading of the secret; a file on a dead network drive must not hold everybody up. */
const rereadPatience = 2_000;

export function createBindGate(settings: BindGateSettings): BindGate {
  const { credentials, monotonic, interval = rereadInterval, rereads = rereadsOf(credentials) } = settings;
  let password = credentials.kind === 'simple' ? credentials.password : '';
  let refusal: string | null = null;
  /** When a server last accepted the password. */
  let provenAt = Number.NEGATIVE_INFINITY;
  /** Passwords that were refused since one was accepted. */
  const refused = new Set<string>();
  const watchers = new Set<() => void>();
  let holder: Promise<void> | null = null;
  let reading: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  /** What has to be waited for: a secret that is being read, or a bind under way with an unproven password. */
  const obstacle = (): Promise<void> | null => {
    if (reading !== null) return reading;
    return refusal === null && monotonic() - provenAt > proof ? holder : null;
  };

  /** After the reading that is under way: its value may be older than what we were told of. */
  function read(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const own = (reading ?? Promise.resolve()).then(readSecret).finally(() => {
      if (reading !== own) return;
      reading = null;
      if (refusal === null || closed) return;
      timer = setTimeout(read, interval);
      timer.unref();
    });
    reading = own;
  }

  async function readSecret(): Promise<void> {
    const values = await Promise.all([...rereads].map(readOnce));
    const fresh = values.find((value) => value !== null && value !== '' && value !== password && !refused.has(value));
    if (fresh === undefined || fresh === null || closed) return;
    password = fresh;
    provenAt = Number.NEGATIVE_INFINITY;
    if (refusal !== null) open();
  }

  function open(): void {
    refusal = null;
    for (const opened of watchers) opened();
  }

  return {
    credentials,
    get refusal() {
      return refusal;
    },
    async enter(patience, signal) {
      const expiry = createExpiry(patience, signal);
      // Whoever wakes first takes the place before the next one looks.
      for (let other = obstacle(); other !== null && !expiry.expired; other = obstacle())
        await Promise.race([other, expiry.promise]);
      expiry.stop();
      if (refusal !== null) return null;
      const { promise, resolve } = Promise.withResolvers<void>();
      holder = promise;
      const given = password;
      return {
        password: given,
        leave(outcome) {
          if (outcome.kind === 'accepted' && given === password) {
            provenAt = monotonic();
            refused.clear();
          }
          // A password that has been replaced meanwhile says nothing of the one that has replaced it.
          if (outcome.kind === 'refused' && given === password) {
            refusal = outcome.reason;
            provenAt = Number.NEGATIVE_INFINITY;
            refused.add(given);
            if (rereads.size > 0) read();
          }
          if (holder === promise) holder = null;
          resolve();
        },
      };
    },
    reopen() {
      if (closed) return;
      refused.clear();
      if (rereads.size > 0) read();
      open();
    },
    watch(opened) {
      watchers.add(opened);
      return () => void watchers.delete(opened);
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      watchers.clear();
    },
  };
}

function rereadsOf(credentials: BindCredentials): ReadonlySet<() => Promise<string | null>> {
  return new Set(credentials.kind === 'simple' && credentials.reread !== null ? [credentials.reread] : []);
}

/** Null when it cannot be read, or not soon. */
async function readOnce(reread: () => Promise<string | null>): Promise<string | null> {
  const value = Promise.resolve()
    .then(reread)
    .catch(() => null);
  return (await settlesWithin(value, rereadPatience)) ? await value : null;
}

interface Expiry {
  readonly expired: boolean;
  readonly promise: Promise<void>;
  stop(): void;
}

function createExpiry(millis: Millis, signal: AbortSignal): Expiry {
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
    promise,
    stop() {
      clearTimeout(handle);
      signal.removeEventListener('abort', expire);
    },
  };
}
