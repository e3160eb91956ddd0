/**
 * From nothing to an authenticated connection: TCP, verified TLS and bind, one after the other, finished before anybody gets it.
 * Decides whether a failure is the server's (it may be tried again) or the account's (it must not). How long a failed
 * server is left alone is decided by `connection-pool.ts`.
 */
import type { Client } from 'ldapts';
import type { Millis } from '../base/brand.ts';
import { reasonOf } from '../base/failure.ts';
import type { BindGate } from './bind-gate.ts';
import { createClient } from './client.ts';
import { createConnection, type Connection } from './connection.ts';
import type { Endpoint } from './endpoint.ts';
import { FramedSocket, framingLimits, type FramingLimits } from './framed-socket.ts';
import { plainText, resultCodeOf, resultCodes } from './result-code.ts';
import { connectSecurely } from './secure-socket.ts';

export interface OpeningSettings {
  readonly endpoint: Endpoint;
  /** PEM texts; empty: Node's default roots. */
  readonly certificateAuthorities: readonly string[];
  readonly gate: BindGate;
  readonly connectTimeout: Millis;
  readonly limits?: FramingLimits;
}

export interface ConnectionEvents {
  /** For every message of the server. */
  heard(): void;
  /** Once, when a connection that had been handed out has ended. */
  ended(reason: string): void;
}

export type Opened =
  | { readonly kind: 'open'; readonly connection: Connection }
  | { readonly kind: 'failed'; readonly reason: string }
  /** The server does not accept the credentials: trying again makes it worse. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Never rejects; settles within `connectTimeout`, or when `signal` ends the attempt. */
export async function openConnection(
  settings: OpeningSettings,
  events: ConnectionEvents,
  signal: AbortSignal,
): Promise<Opened> {
  const attempt = new AbortController();
  const giveUp = (): void => attempt.abort(new Error('the directory is being closed'));
  let phase = 'TLS connection';
  const timer = setTimeout(
    () => attempt.abort(new Error(`no ${phase} within ${settings.connectTimeout} ms`)),
    settings.connectTimeout,
  );
  signal.addEventListener('abort', giveUp);
  if (signal.aborted) giveUp();
  try {
    const socket = await connectSecurely(settings.endpoint, settings.certificateAuthorities, attempt.signal);
    phase = 'answer to the bind';
    const framed = new FramedSocket(socket, settings.limits ?? framingLimits, () => events.heard());
    const client = createClient(settings.endpoint.url, framed);
    const bound = await bind(client, framed, settings, attempt.signal);
    if (bound.kind === 'accepted')
      return { kind: 'open', connection: createConnection(client, framed, (reason) => events.ended(reason)) };
    framed.fail(bound.reason);
    return bound.kind === 'refused' ? bound : { kind: 'failed', reason: bound.reason };
  } catch (error) {
    return { kind: 'failed', reason: plainText(reasonOf(error)) };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
  }
}

type Bound =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unanswered'; readonly reason: string };

async function bind(
  client: Client,
  framed: FramedSocket,
  { gate, connectTimeout }: OpeningSettings,
  signal: AbortSignal,
): Promise<Bound> {
  const pass = await gate.enter((connectTimeout / 4) as Millis, signal);
  if (pass === null) return { kind: 'refused', reason: gate.refusal ?? 'the credentials were refused' };
  const ended = signal.aborted || framed.destroyed;
  const outcome: Bound = ended
    ? { kind: 'unanswered', reason: framed.reason || plainText(reasonOf(signal.reason)) }
    : await untilEnd(client.bind(gate.dn, gate.password), framed, signal).then(() => ({ kind: 'accepted' }), outcomeOf);
  pass.leave(outcome);
  return outcome;
}

/**
 * invalidCredentials covers more than a wrong password: AD's diagnostic `data 775` is an account that is locked out for now,
 * which ends by itself and where a bind does not count as another failure. The other kinds need a person.
 */
function outcomeOf(error: unknown): Bound {
  const result = resultCodeOf(error);
  if (result === null) return { kind: 'unanswered', reason: plainText(reasonOf(error)) };
  const forNow = result.code !== resultCodes.invalidCredentials || /\bdata 775\b/.test(result.text);
  return { kind: forNow ? 'unanswered' : 'refused', reason: `the bind was answered with ${result.text}` };
}

/** The work, or a rejection as soon as the connection or the attempt has ended: ldapts does not always settle. */
async function untilEnd<T>(work: Promise<T>, framed: FramedSocket, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const closed = (): void => reject(new Error(framed.reason));
  const aborted = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
  framed.on('close', closed);
  signal.addEventListener('abort', aborted);
  try {
    return await Promise.race([work, promise]);
  } finally {
    framed.off('close', closed);
    signal.removeEventListener('abort', aborted);
  }
}
