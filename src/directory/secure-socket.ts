/**
 * A verified TLS connection to a directory server. Decides that the server's certificate chains to a configured authority and
 * names the host of the URL (for an IP address: its IP address names); there is no switch that turns this off, and
 * NODE_TLS_REJECT_UNAUTHORIZED does not reach it. LDAP is unknown here.
 */
import { connect, type TLSSocket } from 'node:tls';
import type { Endpoint } from './endpoint.ts';

/** Idle time before the kernel asks whether the other side is still there, in milliseconds. */
const keepAliveDelay = 30_000;

/**
 * Resolves once the handshake has been verified.
 * @param certificateAuthorities PEM texts; empty: Node's default roots
 * @param signal ends the attempt; the returned socket is not bound to it any more
 * @throws the socket's error, or the signal's reason
 */
export function connectSecurely(
  endpoint: Endpoint,
  certificateAuthorities: readonly string[],
  signal: AbortSignal,
): Promise<TLSSocket> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: endpoint.host,
      port: endpoint.port,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      ...(endpoint.isAddress ? {} : { servername: endpoint.host }),
      ...(certificateAuthorities.length === 0 ? {} : { ca: [...certificateAuthorities] }),
    });
    const settle = (act: () => void): void => {
      socket.off('error', failed).off('close', closed).off('secureConnect', secured);
      signal.removeEventListener('abort', aborted);
      act();
    };
    const abandon = (reason: unknown): void =>
      settle(() => {
        socket.on('error', () => {});
        socket.destroy();
        reject(reason instanceof Error ? reason : new Error(String(reason)));
      });
    const failed = (error: Error): void => abandon(error);
    const closed = (): void => abandon(new Error('the server closed the connection during the TLS handshake'));
    const aborted = (): void => abandon(signal.reason);
    const secured = (): void =>
      socket.authorized
        ? settle(() => resolve(socket))
        : abandon(socket.authorizationError ?? 'certificate not verified');
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveDelay);
    socket.on('error', failed).on('close', closed).on('secureConnect', secured);
    signal.addEventListener('abort', aborted);
  });
}
