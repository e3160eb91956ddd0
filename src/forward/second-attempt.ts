/**
 * Whether a request that failed before anything was heard of its answer may be sent once more, and where. Only what no server can have begun
 * to act on may (RFC 9110 section 9.2.2). A connection that could not be made is another matter: there nothing was sent at all.
 */
import { asksForHttp1, isUnprocessed } from './http2-failure.ts';
import { isLostConnection } from './upstream-failure.ts';

export interface FailedAttempt {
  readonly error: Error;
  readonly method: string;
  /** It was on a connection; with none there is no attempt to repeat. */
  readonly started: boolean;
  /** `begun`: something of it was read, so that it is not there any more. */
  readonly body: 'none' | 'unread' | 'begun';
  /** Requests that the connection had answered before. */
  readonly served: number;
  /** A server has refused the request before. */
  readonly refused: boolean;
}

/** `again`: over the same place, on a connection that is made anew; `http1`: there, over HTTP/1.1; `elsewhere`: another server if there is one. */
export type SecondAttempt = 'none' | 'again' | 'http1' | 'elsewhere';

export function secondAttempt({ error, method, started, body, served, refused }: FailedAttempt): SecondAttempt {
  if (!started || body === 'begun') return 'none';
  // RFC 9113 section 8.7: whatever the method.
  if (isUnprocessed(error)) return refused ? 'none' : 'elsewhere';
  if (asksForHttp1(error)) return refused ? 'none' : 'http1';
  // RFC 9112 section 9.3.1. The connection it gets is fresh, so that is the last time.
  return body === 'none' && safeMethods.has(method) && served > 0 && isLostConnection(error) ? 'again' : 'none';
}

/** RFC 9110 section 9.2.1; PROPFIND, REPORT and SEARCH come with a body and are not sent twice anyway. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
