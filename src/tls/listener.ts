/**
 * One listening socket. Accepts, and says why it cannot listen; what becomes of a connection is decided elsewhere.
 */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { codeOf, Failure, reasonOf } from '../base/failure.ts';
import type { Listen } from './endpoints.ts';

export interface Listener {
  readonly key: string;
  /** As listened on, the port chosen by the system filled in. */
  readonly address: string;
  readonly port: number;
  /** Stops accepting; connections that were accepted live on. */
  close(): void;
}

export interface ListenerEvents {
  accepted(raw: Socket): void;
  /** The system could not accept (out of file descriptors, say); the listener goes on. */
  acceptFailed(error: Error): void;
}

/** @throws Failure `listen-failed` */
export async function openListener(listen: Listen, events: ListenerEvents): Promise<Listener> {
  const { key, address, port, group } = listen;
  // Half-open sockets as Node's own servers have them: http answers after the client's FIN, TLS does not.
  const server = createServer({ noDelay: true, allowHalfOpen: !group.encrypted }, (raw) => events.accepted(raw));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure(listen, error)));
    // An endpoint is what it says: [::]:443 is IPv6 only, as for http.sys.
    server.listen({ host: address, port, ipv6Only: true }, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', (error) => events.acceptFailed(error));
  const bound = server.address();
  return {
    key,
    address,
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: () => void server.close(),
  };
}

function listenFailure({ address, port }: Listen, error: Error): Failure {
  const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  return new Failure(`cannot listen on ${where}: ${reasonOf(error)}`, {
    code: 'listen-failed',
    hint: hints[codeOf(error) ?? ''] ?? 'check the endpoint of the binding',
    cause: error,
  });
}

const hints: Readonly<Record<string, string>> = {
  EACCES: 'ports below 1024 need the capability CAP_NET_BIND_SERVICE, or bind a higher port',
  EADDRINUSE: 'another process listens there: stop it, or choose another port',
  EADDRNOTAVAIL: 'this machine has no such address',
};
