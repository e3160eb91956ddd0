/**
 * A verified TLS connection to a directory server. Decides that the server's certificate chains to a configured authority and
 * names the host of the URL (for an IP address: its IP address names); there is no switch that turns this off, and
 * NODE_TLS_REJECT_UNAUTHORIZED does not reach it. The same for both ways to TLS; of LDAP nothing is known here but StartTLS.
 */
import { connect as connectPlain, isIP, type LookupFunction, type Socket } from 'node:net';
import { checkServerIdentity, connect, type ConnectionOptions, type PeerCertificate, type TLSSocket } from 'node:tls';
import type { Endpoint } from './endpoint.ts';
import { startTls } from './start-tls.ts';

export interface SecureSettings {
  readonly endpoint: Endpoint;
  /** PEM texts; empty: Node's default roots. */
  readonly certificateAuthorities: readonly string[];
  /** What we show when the server asks for it; null: nothing. PEM texts. */
  readonly clientCertificate: { readonly certificate: string; readonly key: string } | null;
  /** How the host's addresses are found; absent: as the system does it. */
  readonly lookup?: LookupFunction;
}

/** Idle time before the kernel asks whether the other side is still there, in milliseconds. */
const keepAliveDelay = 30_000;

/**
 * Resolves once the handshake has been verified.
 * @param signal ends the attempt; the returned socket is not bound to it any more
 * @throws the socket's error, or the signal's reason
 */
export async function connectSecurely(settings: SecureSettings, signal: AbortSignal): Promise<TLSSocket> {
  signal.throwIfAborted();
  const { endpoint, lookup } = settings;
  const place = { host: endpoint.host, port: endpoint.port, ...(lookup === undefined ? {} : { lookup }) };
  if (!endpoint.startTls) return await secured(connect({ ...place, ...tlsOptions(settings) }), signal);
  const plain = connectPlain(place);
  // From the handshake on errors are told by the TLS socket.
  plain.on('error', () => {});
  try {
    await settled(plain, 'connect', signal);
    await startTls(plain, signal);
    return await secured(connect({ socket: plain, ...tlsOptions(settings) }), signal);
  } catch (error) {
    plain.destroy();
    throw error;
  }
}

function tlsOptions({ endpoint, certificateAuthorities, clientCertificate }: SecureSettings): ConnectionOptions {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    // With a socket that is given, Node would check against `localhost`.
    checkServerIdentity: (_host, certificate) => identityError(endpoint.host, certificate),
    ...(endpoint.isAddress ? {} : { servername: endpoint.host }),
    ...(certificateAuthorities.length === 0 ? {} : { ca: [...certificateAuthorities] }),
    ...(clientCertificate === null ? {} : { cert: clientCertificate.certificate, key: clientCertificate.key }),
  };
}

async function secured(socket: TLSSocket, signal: AbortSignal): Promise<TLSSocket> {
  await settled(socket, 'secureConnect', signal);
  if (socket.authorized) return socket;
  socket.on('error', () => {});
  socket.destroy();
  throw new Error(String(socket.authorizationError ?? 'certificate not verified'));
}

/** Until the event, or a rejection and the end of the socket. */
function settled(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      socket.off('error', failed).off('close', closed).off(event, succeeded);
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
    const closed = (): void => abandon(new Error(`the server closed the connection ${moments[event]}`));
    const aborted = (): void => abandon(signal.reason);
    const succeeded = (): void => settle(resolve);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveDelay);
    socket.on('error', failed).on('close', closed).on(event, succeeded);
    signal.addEventListener('abort', aborted);
    if (signal.aborted) aborted();
  });
}

const moments = { connect: 'before it was made', secureConnect: 'during the TLS handshake' } as const;

/**
 * Node falls back to the subject's common name where a certificate has no DNS name; RFC 9525 section 2 forbids that: an
 * authority vouches for the subjectAltName, while a common name is often what somebody asked for.
 */
function identityError(host: string, certificate: PeerCertificate): Error | undefined {
  if (isIP(host) === 0 && !/(?:^|, )DNS:/.test(certificate.subjectaltname ?? ''))
    return new Error(`the server's certificate has no DNS name, so it is not that of ${host}`);
  return checkServerIdentity(host, certificate);
}
