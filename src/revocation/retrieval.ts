/**
 * One retrieval while it lasts: its deadline, its signal, and the failures that end it. Decides what a retrieval that was ended from
 * outside is called; nothing that a peer does or leaves undone goes on after the end.
 */
import type { Millis } from '../base/brand.ts';
import { reasonOf } from '../base/failure.ts';
import type { FetchFailure, FetchOutcome } from './revocation-contract.ts';

export type Fetched = Exclude<FetchOutcome, { kind: 'failed' }>;

/** A failure with a name, thrown inside a retrieval and turned into its outcome. */
export class RetrievalError extends Error {
  override readonly name = 'RetrievalError';
  readonly code: FetchFailure;

  constructor(code: FetchFailure, detail: string) {
    super(detail);
    this.code = code;
  }
}

export interface Retrieval {
  /** Aborts at the deadline and when somebody ends it; its reason is a `RetrievalError`. */
  readonly signal: AbortSignal;
  /** Milliseconds left, at least 1. */
  remaining(): Millis;
}

/**
 * Runs `work` to its end, at the latest until `timeout` or until one of `signals` aborts, whether it notices or not. Never rejects.
 * @param monotonic milliseconds that never step back
 */
export async function retrieve(
  work: (retrieval: Retrieval) => Promise<Fetched>,
  timeout: Millis,
  signals: readonly AbortSignal[],
  monotonic: () => number,
): Promise<FetchOutcome> {
  const ended = new AbortController();
  const deadline = monotonic() + timeout;
  const { promise, reject } = Promise.withResolvers<never>();
  const end = (error: RetrievalError): void => {
    reject(error);
    ended.abort(error);
  };
  const stop = (): void => end(new RetrievalError('aborted', 'the retrieval was given up'));
  const timer = setTimeout(
    () => end(new RetrievalError('timeout', `not complete within ${Math.ceil(timeout)} ms`)),
    timeout,
  );
  for (const signal of signals) signal.addEventListener('abort', stop);
  try {
    promise.catch(() => {});
    if (signals.some(({ aborted }) => aborted)) stop();
    else if (timeout <= 0) end(new RetrievalError('timeout', 'there is no time left'));
    const retrieval = {
      signal: ended.signal,
      remaining: () => Math.max(1, Math.ceil(deadline - monotonic())) as Millis,
    };
    return ended.signal.aborted ? await promise : await Promise.race([work(retrieval), promise]);
  } catch (error) {
    const cause: unknown = ended.signal.aborted ? ended.signal.reason : error;
    if (cause instanceof RetrievalError) return { kind: 'failed', code: cause.code, detail: cause.message };
    return { kind: 'failed', code: 'unreachable', detail: reasonOf(cause) };
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener('abort', stop);
    // What is left of the work ends too: its result is out.
    ended.abort(new RetrievalError('aborted', 'the retrieval is over'));
  }
}
