/**
 * A verified TLS connection to a directory server. Decides that the server's certificate chains to a configured authority and
 * names the host of the URL (for an IP address: its IP address names); there is no switch that turns this off, and
 * NODE_TLS_REJECT_UNAUTHORIZED does not reach it. LDAP is unknown here.
 */
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from 'node:tls';
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
      checkServerIdentity: identityError,
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

/**
 * Node falls back to the subject's common name where a certificate has no DNS name; RFC 9525 section 2 forbids that: an
 * authority vouches for the subjectAltName, while a common name is often what somebody asked for.
 */
function identityError(host: string, certificate: PeerCertificate): Error | undefined {
  if (isIP(host) === 0 && !/(?:^|, )DNS:/.test(certificate.subjectaltname ?? ''))
    return new Error(`the server's certificate has no DNS name, so it is not that of ${host}`);
  return checkServerIdentity(host, certificate);
}
