/**
 * From an accepted socket to a connection of the product: admitted or not, its ClientHello read, its binding chosen, its
 * handshake watched and finished in time. Speaks no HTTP and opens no listener.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { codeOf, reasonOf } from '../base/failure.ts';
import { createAdmission } from './admission.ts';
import type { AdmissionRefusal, Admitted } from './admission.ts';
import { fatalAlert } from './alert.ts';
import type { BindingServer } from './binding-server.ts';
import type { BindingSettings, ConnectionLimits } from './binding.ts';
import type { ClientHello, MalformedReason } from './client-hello.ts';
import type { Connection } from './connection.ts';
import type { PortGroup } from './endpoints.ts';
import { readFirstBytes, readProxyHeader } from './first-bytes.ts';
import type { FirstBytes } from './first-bytes.ts';
import { lastWords, plainAnswer } from './last-words.ts';
import { LiveConnection } from './live-connection.ts';
import type { ConnectionFacts } from './live-connection.ts';

export type RefusalReason =
  | AdmissionRefusal
  | MalformedReason
  /** HTTP on a port that speaks https. */
  | 'plainHttp'
  /** A listed proxy's connection does not begin with a PROXY protocol header, or with one that is not sound. */
  | 'proxyHeader'
  /** SNI names no host endpoint and the port has no address endpoint for it. */
  | 'noBinding'
  /** A late binding, and a client without extended_master_secret or renegotiation_info. */
  | 'insecureRenegotiation'
  | 'handshakeTimeout'
  /** The client started a renegotiation. */
  | 'foreignHandshake'
  /** More requests pipelined, or streams opened and reset, than may be in flight. */
  | 'tooManyInFlight';

/** Null where it is not known (any more). */
export interface Remote {
  readonly address: string | null;
  readonly port: number | null;
  /** Name of the binding. */
  readonly binding: string | null;
}

export interface FrontEvents {
  /** A connection is there: after the handshake, before its first request. */
  connection?(connection: Connection): void;
  /** It is gone. */
  closed?(connection: Connection): void;
  /** We ended a connection, or did not let it begin. */
  refused?(reason: RefusalReason, remote: Remote): void;
  /** A handshake failed; `reason` is OpenSSL's or the system's error code. Browsers abandon handshakes all the time. */
  tlsError?(reason: string, remote: Remote): void;
  /** The system could not accept a connection. */
  acceptFailed?(error: Error): void;
}

export interface Reception {
  /** @param groupNow the bindings of the listener's port, asked again when it is time to choose; null when they went */
  accept(groupNow: () => PortGroup | null, raw: Socket): void;
  /** The connection of a socket whose handshake has ended; null when it is closed, or its binding replaced, meanwhile. */
  claim(socket: TLSSocket): LiveConnection | null;
  handshakeFailed(binding: BindingSettings, error: unknown, socket: Duplex): void;
  flooded(connection: LiveConnection): void;
  readonly connections: ReadonlySet<LiveConnection>;
  /** Every open socket, handshakes included. */
  readonly sockets: ReadonlySet<Socket>;
}

export interface ReceptionOptions {
  readonly limits: ConnectionLimits;
  readonly events: FrontEvents;
  readonly clock: Clock;
  serverOf(binding: BindingSettings): BindingServer | null;
}

/** A connection between its ClientHello and the end of its handshake. */
interface Shaking {
  readonly facts: ConnectionFacts;
  readonly admitted: Admitted;
  readonly timer: NodeJS.Timeout | undefined;
  readonly raw: Socket;
}

type SocketEnds = Pick<ConnectionFacts, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>;
type Ends = SocketEnds & Pick<ConnectionFacts, 'throughProxy'>;

/** An accepted connection on its way to its binding. */
interface Arrival {
  readonly groupNow: () => PortGroup | null;
  readonly raw: Socket;
  /** The client's, as far as it is known. */
  ends: Ends;
  /** Of the socket, in `shaking`. */
  readonly key: string;
  readonly admitted: Admitted;
  timer: NodeJS.Timeout | undefined;
}

export function createReception(options: ReceptionOptions): Reception {
  const { limits, events, clock } = options;
  const admission = createAdmission(limits);
  const connections = new Set<LiveConnection>();
  const sockets = new Set<Socket>();
  /** By the four ends of the TCP connection: how a TLSSocket is told to its raw socket without Node's internals. */
  const shaking = new Map<string, Shaking>();
  let lastId = 0;

  function accept(groupNow: () => PortGroup | null, raw: Socket): void {
    raw.on('error', () => raw.destroy());
    const socket = endsOf(raw);
    const group = groupNow();
    if (socket === null || group === null) return void raw.destroy();
    const proxied = group.comesThroughProxy(socket.remoteAddress, socket.localAddress);
    const ends: Ends = { ...socket, throughProxy: proxied ? socket.remoteAddress : null };
    const admitted = admission.admit(proxied ? null : ends.remoteAddress, group.encrypted || proxied);
    if (typeof admitted === 'string') {
      refuse(admitted, ends, group.bindingFor(null, ends.localAddress));
      return void raw.destroy();
    }
    sockets.add(raw);
    raw.once('close', () => {
      sockets.delete(raw);
      admitted.released();
    });
    const key = keyOf(socket);
    const arrival: Arrival = { groupNow, raw, ends, key, admitted, timer: undefined };
    if (proxied || group.encrypted) arrival.timer = handshakeTimer(arrival);
    if (proxied) awaitProxy(arrival, group.encrypted);
    else goOn(arrival, group.encrypted);
  }

  function handshakeTimer(arrival: Arrival): NodeJS.Timeout {
    const { raw, key } = arrival;
    const timer = setTimeout(() => {
      refuse('handshakeTimeout', arrival.ends, shaking.get(key)?.facts.binding ?? null);
      raw.destroy();
    }, limits.handshakeTimeout);
    raw.once('close', () => clearTimeout(timer));
    return timer;
  }

  /** From here on the client is who the proxy says it is; the local address, which chooses the binding, stays the socket's own. */
  function awaitProxy(arrival: Arrival, encrypted: boolean): void {
    const { raw, ends, admitted } = arrival;
    readProxyHeader(raw, (client) => {
      if (client === 'malformed') {
        refuse('proxyHeader', ends, null);
        return void raw.destroy();
      }
      if (client !== null) arrival.ends = { ...ends, remoteAddress: client.address, remotePort: client.port };
      const refusal = admitted.comesFrom(arrival.ends.remoteAddress);
      if (refusal === null) return goOn(arrival, encrypted);
      refuse(refusal, arrival.ends, null);
      raw.destroy();
    });
  }

  function goOn(arrival: Arrival, encrypted: boolean): void {
    if (encrypted) return awaitHello(arrival);
    const { raw, ends, admitted, timer, groupNow } = arrival;
    clearTimeout(timer);
    admitted.handshakeDone();
    const binding = groupNow()?.bindingFor(null, ends.localAddress) ?? null;
    const server = binding === null ? null : options.serverOf(binding);
    if (binding === null || server === null) return void raw.destroy();
    open(raw, { id: (lastId += 1), binding, serverName: null, ...ends });
    if (!raw.destroyed) server.feed(raw, clock.now());
  }

  function awaitHello({ groupNow, raw, ends, key, admitted, timer }: Arrival): void {
    readFirstBytes(raw, limits.maximumClientHello, (first) => {
      if (first.kind === 'malformed') return refuseBytes(raw, ends, first);
      const { hello } = first;
      const binding = groupNow()?.bindingFor(hello.serverName, ends.localAddress) ?? null;
      const server = binding === null ? null : options.serverOf(binding);
      if (binding === null || server === null) {
        refuse('noBinding', ends, null);
        return lastWords(raw, fatalAlert('unrecognized_name'));
      }
      if (binding.clientCertificate === 'late' && !renegotiatesSafely(hello)) {
        refuse('insecureRenegotiation', ends, binding);
        // Who offers TLS 1.3 alone has neither extension, and is told what it lacks in fact.
        const tooNew = hello.versions.every((version) => version > 0x0303);
        return lastWords(raw, fatalAlert(tooNew ? 'protocol_version' : 'handshake_failure'));
      }
      const facts = { id: (lastId += 1), binding, serverName: hello.serverName, ...ends };
      const entry = { facts, admitted, timer, raw };
      shaking.set(key, entry);
      raw.once('close', () => {
        if (shaking.get(key) === entry) shaking.delete(key);
      });
      server.feed(raw, clock.now());
    });
  }

  function refuseBytes(raw: Socket, ends: Ends, first: FirstBytes & { kind: 'malformed' }): void {
    const http = first.reason === 'notTls' && /^[A-Z]/.test(first.bytes.toString('latin1', 0, 1));
    refuse(http ? 'plainHttp' : first.reason, ends, null);
    if (http) lastWords(raw, plainAnswer('400 Bad Request', 'This port speaks https.\n'));
    else if (first.reason === 'notTls') raw.destroy();
    else lastWords(raw, fatalAlert('decode_error'));
  }

  function claim(socket: TLSSocket): LiveConnection | null {
    const ends = endsOf(socket);
    const entry = ends === null ? undefined : shaking.get(keyOf(ends));
    if (ends === null || entry === undefined || entry.raw.destroyed) return null;
    if (options.serverOf(entry.facts.binding) === null) return null;
    shaking.delete(keyOf(ends));
    clearTimeout(entry.timer);
    entry.admitted.handshakeDone();
    return open(socket, entry.facts);
  }

  function open(socket: Socket, facts: ConnectionFacts): LiveConnection {
    const connection = new LiveConnection(socket, facts, limits.idleTimeout, (swapped) =>
      refuse('foreignHandshake', swapped, swapped.binding),
    );
    connections.add(connection);
    socket.once('close', () => {
      connections.delete(connection);
      events.closed?.(connection);
    });
    events.connection?.(connection);
    return connection;
  }

  function refuse(
    reason: RefusalReason,
    ends: Pick<Ends, 'remoteAddress' | 'remotePort'>,
    binding: BindingSettings | null,
  ): void {
    events.refused?.(reason, { address: ends.remoteAddress, port: ends.remotePort, binding: binding?.name ?? null });
  }

  return {
    accept,
    claim,
    connections,
    sockets,
    flooded: (connection) => refuse('tooManyInFlight', connection, connection.binding),
    handshakeFailed(binding, error, socket) {
      const own = 'remoteAddress' in socket ? endsOf(socket as Socket) : null;
      const ends = own === null ? null : (shaking.get(keyOf(own))?.facts ?? own);
      const remote = { address: ends?.remoteAddress ?? null, port: ends?.remotePort ?? null, binding: binding.name };
      events.tlsError?.(codeOf(error) ?? reasonOf(error), remote);
    },
  };
}

/** RFC 7627 and RFC 5746: without both, a renegotiation can be spliced onto somebody else's connection (CVE-2009-3555). */
function renegotiatesSafely(hello: ClientHello): boolean {
  return hello.extendedMasterSecret && hello.secureRenegotiation;
}

/** Null when the peer is gone before we looked. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): SocketEnds | null {
  if (remoteAddress === undefined || remotePort === undefined) return null;
  if (localAddress === undefined || localPort === undefined) return null;
  return { remoteAddress, remotePort, localAddress, localPort };
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: SocketEnds): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
