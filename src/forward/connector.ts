/**
 * How a connection to a server is made: TCP or a Unix socket, the PROXY protocol before anything else, then TLS with the operator's roots,
 * name and certificate, whatever Host a client asked for. When one is made, and for whom, is decided in `upstream.ts`.
 */
import { errors, buildConnector } from 'undici';
import type { Socket } from 'node:net';
import type { ForwardClient, UpstreamSettings } from './forward-contract.ts';
import { proxyHeader } from './proxy-protocol.ts';

export interface ConnectionFacts {
  /** Whose address the PROXY protocol tells; null: the connection is our own. */
  readonly client: ForwardClient | null;
  /** Milliseconds until the connection must stand, TLS included. */
  readonly patience: number;
  /** Offers HTTP/2 where the settings do. */
  readonly http2: boolean;
}

/** Calls back once, later. The socket may be destroyed before. */
export type Connect = (facts: ConnectionFacts, callback: Callback) => void;

type Callback = buildConnector.Callback;
type Connector = buildConnector.connector;

/** @param settings with an origin that is one */
export function createConnect(settings: UpstreamSettings): Connect {
  const { protocol, hostname, host, port } = new URL(settings.origin);
  const https = protocol === 'https:';
  const serverName = settings.tls?.serverName;
  const target = {
    hostname: withoutBrackets(hostname),
    host,
    protocol,
    port: port === '' ? (https ? '443' : '80') : port,
    ...(https && serverName !== undefined ? { servername: serverName } : {}),
  };
  // One of each, because undici remembers TLS sessions by connector.
  const http1 = connectorFor(settings, false);
  const http2 = https && settings.http2 === true ? connectorFor(settings, true) : http1;
  return (facts, callback) => {
    const connect = facts.http2 ? http2 : http1;
    const attempt = new Attempt(facts.patience, host, callback);
    const version = settings.proxyProtocol;
    if (version === undefined) {
      attempt.watch(start(connect, target, attempt.settle));
      return;
    }
    const plain = { ...target, protocol: 'http:', servername: undefined } as unknown as buildConnector.Options;
    const header = proxyHeader(version, facts.client);
    const begun = start(connect, plain, (error, socket) => {
      if (socket === null || !https) {
        socket?.write(header);
        attempt.settle(...([error, socket] as Parameters<Callback>));
        return;
      }
      socket.write(header);
      attempt.watch(start(connect, { ...target, httpSocket: socket }, attempt.settle));
    });
    attempt.watch(begun);
  };
}

/** One attempt and its time. undici's own connect timer is coarse, and the same for all. */
class Attempt {
  readonly #timer: NodeJS.Timeout;
  #callback: Callback | null;
  #socket: Socket | null = null;

  constructor(patience: number, host: string, callback: Callback) {
    this.#callback = callback;
    const text = `no connection to ${host} within ${Math.round(patience)} ms`;
    this.#timer = setTimeout(() => this.#socket?.destroy(new errors.ConnectTimeoutError(text)), Math.max(patience, 1));
  }

  watch(socket: Socket): void {
    this.#socket = socket;
  }

  readonly settle: Callback = (...outcome) => {
    clearTimeout(this.#timer);
    const callback = this.#callback;
    this.#callback = null;
    callback?.(...outcome);
  };
}

function connectorFor({ socketPath, tls }: UpstreamSettings, allowH2: boolean): Connector {
  return buildConnector({
    allowH2,
    timeout: 0,
    ...(allowH2 ? { preferH2: true } : {}),
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...tls?.certificate,
  });
}

/** undici's types keep the socket that its connectors return to themselves. */
function start(connect: Connector, options: buildConnector.Options, callback: Callback): Socket {
  return connect(options, callback) as unknown as Socket;
}

function withoutBrackets(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
