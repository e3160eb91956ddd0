/**
 * From nothing to an authenticated connection: TCP, verified TLS and bind, one after the other, finished before anybody gets it.
 * Decides the order and the time. Whether a failed bind may be tried again is said in `authentication.ts`, how long a failed
 * server is left alone in `connection-pool.ts`.
 */
import type { Client } from 'ldapts';
import type { Millis } from '../base/brand.ts';
import { reasonOf } from '../base/failure.ts';
import { authenticate, type Authenticated } from './authentication.ts';
import type { BindGate } from './bind-gate.ts';
import { createClient } from './client.ts';
import { createConnection, type Connection } from './connection.ts';
import { FramedSocket, framingLimits, type FramingLimits } from './framed-socket.ts';
import { plainText } from './result-code.ts';
import { connectSecurely, type SecureSettings } from './secure-socket.ts';

export interface OpeningSettings extends Omit<SecureSettings, 'clientCertificate'> {
  readonly gate: BindGate;
  readonly connectTimeout: Millis;
  readonly limits?: FramingLimits;
}

export interface ConnectionEvents {
  /** For every message of the server. */
  heard(message: Buffer): void;
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
  const { credentials } = settings.gate;
  const clientCertificate = credentials.kind === 'external' ? credentials : null;
  try {
    const socket = await connectSecurely({ ...settings, clientCertificate }, attempt.signal);
    phase = 'answer to the bind';
    const framed = new FramedSocket(socket, settings.limits ?? framingLimits, (message) => events.heard(message));
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

async function bind(
  client: Client,
  framed: FramedSocket,
  { endpoint, gate, connectTimeout }: OpeningSettings,
  signal: AbortSignal,
): Promise<Authenticated> {
  const pass = await gate.enter((connectTimeout / 4) as Millis, signal);
  if (pass === null) return { kind: 'refused', reason: gate.refusal ?? 'the credentials were refused' };
  const ended = signal.aborted || framed.destroyed;
  const outcome: Authenticated = ended
    ? { kind: 'unanswered', reason: framed.reason || plainText(reasonOf(signal.reason)) }
    : await untilEnd(authenticate(client, gate.credentials, pass.password, endpoint), framed, signal).catch(
        (error: unknown) => ({ kind: 'unanswered', reason: plainText(reasonOf(error)) }),
      );
  pass.leave(outcome);
  return outcome;
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
