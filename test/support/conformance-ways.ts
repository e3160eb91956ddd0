/**
 * The ways to the backend of the conformance run: straight, and through each binding and protocol of a gateway.
 */
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConformanceClient } from './conformance-clients.ts';
import { http1Client, http2Client } from './conformance-clients.ts';
import type { Sink } from './conformance-octets.ts';
import { chunkOf, onceEither } from './conformance-octets.ts';
import type { Way } from './conformance-shape.ts';
import { shapeField } from './conformance-shape.ts';
import type { TestGateway } from './gateway.ts';

/** The name by which everything is asked. */
export const host = '127.0.0.1';

/** @param direct port of the backend */
export function clientsOf(to: TestGateway, direct: number): Readonly<Record<Way, ConformanceClient>> {
  return {
    direct: http1Client(() => openTcp(direct), true),
    http1: http1Client(() => openTls(to, 'http1'), true),
    // A renegotiation for each exchange.
    late: http1Client(() => openTls(to, 'late'), false),
    http2: http2Client(() => openHttp2(to)),
  };
}

export function openTcp(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1', () => resolve(socket)).once('error', reject);
  });
}

export function openTls(to: TestGateway, way: 'http1' | 'late'): Promise<Socket> {
  const port = to.ports[way === 'late' ? 'late' : 'upFront'];
  const options = { port, host: '127.0.0.1', ca: to.ca, ALPNProtocols: ['http/1.1'], ...to.identity('alice') };
  return new Promise((resolve, reject) => {
    const socket = connectTls(options, () => resolve(socket)).once('error', reject);
  });
}

function openHttp2(to: TestGateway): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${to.ports.upFront}`, {
      ca: to.ca,
      ...to.identity('alice'),
      settings: { maxHeaderListSize: 1_000_000, initialWindowSize: 1_000_000 },
      maxSendHeaderBlockLength: 200_000,
      maxHeaderListPairs: 1000,
    });
    session.once('connect', () => resolve(session)).once('error', reject);
  });
}

/** A request in the middle of its body, or one without, and its answer as it comes: over HTTP/1 with its head and its chunks. */
export interface OpenStream extends Sink {
  end(): void;
  /** Reads on where it was paused. */
  onData(listener: (octets: Buffer) => void): void;
  pause(): void;
  /** Resolves when the head of the answer is there. */
  readonly begun: Promise<void>;
  /** Resolves when the answer has ended. */
  readonly ended: Promise<void>;
}

/** @param mark by which the backend knows its script; @param body whether there will be one, in chunks */
export async function openStream(
  to: TestGateway,
  way: 'http1' | 'http2' | 'late',
  mark: string,
  body: boolean,
): Promise<OpenStream> {
  if (way === 'http2') {
    const session = await openHttp2(to);
    const stream = session.request(
      { ':method': body ? 'POST' : 'GET', ':path': '/payroll/stream', ':authority': host, [shapeField]: mark },
      { endStream: !body },
    );
    return {
      write: (piece) => stream.write(piece),
      gone: () => stream.destroyed,
      drained: onceEither(stream),
      end: () => stream.end(),
      onData: (listener) => void stream.on('data', listener).resume(),
      pause: () => stream.pause(),
      begun: new Promise((resolve) => void stream.once('response', () => resolve())),
      ended: new Promise((resolve) => {
        stream.once('end', () => {
          session.destroy();
          resolve();
        });
      }),
    };
  }
  const socket = await openTls(to, way);
  const framed = body ? 'Transfer-Encoding: chunked\r\n' : '';
  socket.write(
    `${body ? 'POST' : 'GET'} /payroll/stream HTTP/1.1\r\nHost: ${host}\r\n${shapeField}: ${mark}\r\n` +
      `Connection: close\r\n${framed}\r\n`,
  );
  return {
    write: (piece) => socket.write(chunkOf(Buffer.from(piece))),
    gone: () => socket.destroyed,
    drained: onceEither(socket),
    end: () => void (body && socket.write('0\r\n\r\n')),
    onData: (listener) => void socket.on('data', listener).resume(),
    pause: () => void socket.pause(),
    begun: new Promise((resolve) => void socket.once('data', () => resolve())),
    ended: new Promise((resolve) => void socket.once('end', resolve)),
  };
}
