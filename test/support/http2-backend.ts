/**
 * Servers that speak HTTP/2 to the gateway: one of node:http2, and one that writes frames by hand, for what no library does. Both with a
 * bare gateway before them that offers HTTP/2, all ended with the test.
 */
import http2 from 'node:http2';
import type net from 'node:net';
import tls from 'node:tls';
import type { Test } from 'tap';
import { createAuthority } from '../../src/lab/authority.ts';
import type { BareOptions } from './bare-gateway.ts';
import { listen, startBareGateway } from './bare-gateway.ts';
import { frame } from './http2-wire.ts';

export type Options = Partial<Omit<BareOptions, 'upstream'>> & { upstream?: object };
export type Listener = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void;

const serverAuth = '1.3.6.1.5.5.7.3.1';
const authority = await createAuthority({ subject: 'CN=Upstream Root' });
const issued = await authority.issue({
  subject: 'CN=b',
  dnsNames: ['b.example.test'],
  extendedKeyUsage: [serverAuth],
});
export const trust = { ca: authority.cert, serverName: 'b.example.test' };

/** One that counts connections and handshakes, and keeps every stream's end. */
export async function startHttp2Backend(t: Test, listener: Listener, settings: http2.SecureServerOptions = {}) {
  const sessions: http2.ServerHttp2Session[] = [];
  const streams: http2.ServerHttp2Stream[] = [];
  const sockets = new Set<net.Socket>();
  const seen = { handshakes: 0 };
  const server = http2.createSecureServer({ ...issued, allowHTTP1: true, ...settings }, listener);
  server.on('secureConnection', (socket) => {
    seen.handshakes += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    streams.push(stream);
    stream.on('error', () => {});
  });
  const origin = `https://127.0.0.1:${await listen(server)}`;
  t.teardown(() => {
    for (const session of sessions) session.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { origin, server, sessions, streams, sockets, seen };
}

export async function withHttp2(
  t: Test,
  listener: Listener,
  options: Options = {},
  settings: http2.SecureServerOptions = {},
) {
  const backend = await startHttp2Backend(t, listener, settings);
  const gateway = await gatewayTo(t, backend.origin, options);
  return { backend, gateway };
}

/** Before a server with our certificate. */
export async function gatewayTo(t: Test, origin: string, options: Options = {}) {
  const upstream = { origin, http2: true, tls: trust, ...options.upstream };
  const gateway = await startBareGateway({ ...options, upstream });
  t.teardown(() => gateway.stop());
  return gateway;
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface FrameWire {
  readonly socket: tls.TLSSocket;
  /** All that came after the preface. */
  readonly frames: Frame[];
  send(...frames: readonly Buffer[]): void;
  /** Once, when everything before was written: an end that overtakes nothing. */
  end(): void;
}

export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8 } as const;

/** @param onFrame called for each frame but SETTINGS, which are acknowledged; @param settings payload of ours */
export async function startFrameBackend(
  t: Test,
  onFrame: (wire: FrameWire, frame: Frame, connection: number) => void,
  settings: Buffer = Buffer.alloc(0),
  options: tls.TlsOptions = {},
) {
  const wires: FrameWire[] = [];
  const server = tls.createServer({ ...issued, ALPNProtocols: ['h2'], ...options }, (socket) => {
    const connection = wires.length;
    const wire: FrameWire = {
      socket,
      frames: [],
      send: (...frames) => void (socket.destroyed || socket.write(Buffer.concat(frames))),
      end: () => void socket.end(),
    };
    wires.push(wire);
    socket.on('error', () => {});
    wire.send(frame('settings', 0, 0, settings));
    let unread = Buffer.alloc(0);
    let preface = 24;
    socket.on('data', (piece: Buffer) => {
      unread = Buffer.concat([unread, piece]);
      if (preface > 0 && unread.length >= preface) {
        unread = unread.subarray(preface);
        preface = 0;
      }
      if (preface > 0) return;
      while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
        const size = unread.readUIntBE(0, 3);
        const one: Frame = {
          type: unread.readUInt8(3),
          flags: unread.readUInt8(4),
          stream: unread.readUInt32BE(5),
          payload: Buffer.from(unread.subarray(9, 9 + size)),
        };
        unread = unread.subarray(9 + size);
        wire.frames.push(one);
        if (one.type !== frameType.settings) onFrame(wire, one, connection);
        else if ((one.flags & 1) === 0) wire.send(frame('settings', 1, 0, Buffer.alloc(0)));
      }
    });
  });
  const origin = `https://127.0.0.1:${await listen(server)}`;
  t.teardown(() => {
    for (const { socket } of wires) socket.destroy();
    server.close();
  });
  return { origin, wires, server };
}

/** RST_STREAM. */
export function reset(stream: number, code: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame('reset', 0, stream, payload);
}

export function goaway(lastStream: number, code = 0): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStream);
  payload.writeUInt32BE(code, 4);
  return frame('goaway', 0, 0, payload);
}
