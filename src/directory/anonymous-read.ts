/**
 * One attribute of one object from a directory that is not ours: a plain connection, nobody bound, one search, the end. For CRLs that
 * an authority publishes to everybody over LDAP; what is read is signed, so nothing is hidden or proven by the connection. Whether the
 * host may be asked at all has been decided before.
 */
import { connect, type Socket } from 'node:net';
import { reasonOf } from '../base/failure.ts';
import { createClient } from './client.ts';
import { createConnection } from './connection.ts';
import { FramedSocket } from './framed-socket.ts';
import { limitsFor, readFrom, type ObjectAnswer, type ObjectRead } from './object-read.ts';

export interface PlainEndpoint {
  /** Host name or IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** `ldap://host:port`, for reasons. */
  readonly url: string;
}

/** Never rejects, settles within `timeout`. @param monotonic milliseconds that never step back */
export async function readAnonymously(
  { host, port, url }: PlainEndpoint,
  request: ObjectRead,
  monotonic: () => number,
): Promise<ObjectAnswer> {
  const deadline = monotonic() + request.timeout;
  try {
    const patience = AbortSignal.timeout(Math.ceil(request.timeout));
    const socket = await connected(host, port, AbortSignal.any([request.signal, patience]));
    const framed = new FramedSocket(socket, limitsFor(request), () => {});
    const connection = createConnection(createClient(url, framed), framed, () => {});
    return await readFrom(connection, url, request, deadline - monotonic());
  } catch (error) {
    return { kind: 'unknown', reason: `${url}: ${reasonOf(error)}` };
  }
}

function connected(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const settle = (error: Error | null): void => {
      signal.removeEventListener('abort', aborted);
      socket.off('error', settle).off('connect', succeeded);
      if (error === null) return resolve(socket);
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const succeeded = (): void => settle(null);
    const aborted = (): void => settle(new Error(reasonOf(signal.reason)));
    socket.on('error', settle).on('connect', succeeded);
    signal.addEventListener('abort', aborted);
  });
}
