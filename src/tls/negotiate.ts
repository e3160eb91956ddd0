/**
 * What a client presents, and asking for it late by TLS 1.2 renegotiation. Watches every handshake of a connection: one
 * that we did not start could swap the client's certificate under a decision already made, and ends the connection.
 * Does not judge what was presented, and does not read request bodies.
 */
import type { TLSSocket } from 'node:tls';
import type { Millis } from '../base/brand.ts';
import { digestOf } from '../base/bytes.ts';
import { codeOf } from '../base/failure.ts';
import type { AskFailure, Presented } from './connection.ts';

/** Certificates of a presented chain that are looked at; OpenSSL bounds their bytes (100 KB of Certificate message). */
export const maximumChain = 10;

export interface HandshakeWatch {
  /** As `Connection.ask`: once per connection, shared by later calls, never rejects. */
  ask(timeout: Millis): Promise<Presented | AskFailure>;
}

export interface HandshakeEvents {
  /** Our renegotiation has ended; called inside the handshake's own event, before any later byte is read. */
  presented(presented: Presented): void;
  /** The client began a handshake of its own; the socket is about to be destroyed. */
  foreign(): void;
}

/** @param idleTimeout put back after a renegotiation: Node switches the socket's timer off at the end of each handshake */
export function watchHandshakes(socket: TLSSocket, idleTimeout: Millis, events: HandshakeEvents): HandshakeWatch {
  /** Set while a handshake of ours is under way. */
  let ours: (() => void) | null = null;
  let answer: Promise<Presented | AskFailure> | null = null;

  socket.on('secure', () => {
    if (ours === null) {
      events.foreign();
      socket.destroy();
    } else ours();
  });
  // Whoever owns the socket later, HTTP/2 or a tunnel: an error ends it and is never uncaught. HTTP/2 sessions have Node
  // refuse a client's renegotiation before it ends, and would leave the socket hanging.
  socket.on('error', (error) => {
    if (codeOf(error) === 'ERR_TLS_RENEGOTIATION_DISABLED') events.foreign();
    socket.destroy();
  });

  function negotiate(timeout: Millis): Promise<Presented | AskFailure> {
    if (socket.destroyed) return Promise.resolve('closed');
    // A TLS 1.3 connection cannot renegotiate, and doing so below HTTP/2 is forbidden (RFC 9113 section 9.2.1).
    if (socket.getProtocol() !== 'TLSv1.2' || socket.alpnProtocol === 'h2') return Promise.resolve('unsupported');
    return new Promise((resolve) => {
      // Never from inside a request's own event: the HTTP parser is not re-entrant.
      const start = setImmediate(() => {
        ours = () => {
          const presented = presentedBy(socket, 'renegotiated');
          settle();
          socket.setTimeout(idleTimeout);
          events.presented(presented);
          resolve(presented);
        };
        // A person may be choosing a certificate or typing a PIN; our own timer bounds that.
        socket.setTimeout(0);
        const begun = socket.renegotiate({ requestCert: true, rejectUnauthorized: false }, () => {});
        if (begun !== true) fail('failed');
      });
      // Nothing else bounds a client that never answers: no time-out of Node's servers covers a renegotiation.
      const timer = setTimeout(() => fail('timeout'), timeout);
      const onClose = () => fail('closed');
      const onError = () => fail('failed');
      socket.once('close', onClose);
      socket.once('error', onError);

      function settle(): void {
        ours = null;
        clearImmediate(start);
        clearTimeout(timer);
        socket.off('close', onClose);
        socket.off('error', onError);
      }
      function fail(why: AskFailure): void {
        settle();
        socket.destroy();
        resolve(why);
      }
    });
  }

  return { ask: (timeout) => (answer ??= negotiate(timeout)) };
}

/** Reads the chain of the newest handshake: to be called once per handshake, before another can begin. */
export function presentedBy(socket: TLSSocket, how: Presented['how']): Presented {
  const chain: Buffer[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length < maximumChain) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return { chain, digest: chain.length === 0 ? null : digestOf(...chain), how, resumed: socket.isSessionReused() };
}
