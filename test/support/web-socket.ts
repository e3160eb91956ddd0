/**
 * Clients that ask for an upgrade by hand, so that a test decides every octet, and a backend that answers as a test says.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import tls from 'node:tls';
import type { Test } from 'tap';
import type { EchoAnswer } from '../../src/lab/echo.ts';
import { createFrameReader, frameOf, opcodes, type Frame } from '../../src/lab/web-socket.ts';
import type { TestGateway } from './gateway.ts';

export interface UpgradeAnswer {
  readonly status: number;
  readonly text: string;
  header(name: string): string | null;
}

export interface UpgradeClient {
  readonly socket: Socket;
  /** What the server says until the end of its head; `status` 0 where the connection ended before. */
  readonly head: () => Promise<UpgradeAnswer>;
  /** So many octets behind what was read before; fewer where the connection ends. */
  readonly octets: (count: number) => Promise<Buffer>;
  /** All there is until the connection ends. */
  readonly rest: () => Promise<string>;
  /** The next frame; null where the connection ends. */
  readonly frame: () => Promise<Frame | null>;
  /** A masked text frame. */
  readonly say: (text: string) => void;
  readonly closed: () => Promise<void>;
}

/** A client whose connection can break. */
export type DialledClient = UpgradeClient & { vanish(): void };

/** What a client must know of a gateway. */
export type Reachable = Pick<TestGateway, 'ports' | 'identity' | 'ca'>;

/** `late` and `upFront` of a test gateway, over TLS 1.2 and 1.3. */
export type Where = 'late' | 'upFront' | 'http';

export const webSocketKey = 'dGhlIHNhbXBsZSBub25jZQ==';
export const webSocketAccept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

/** The lines of an opening handshake, each replaced or taken away (null) by name. */
export function handshake(path: string, change: Readonly<Record<string, string | null>> = {}): string {
  const { method = 'GET', version = 'HTTP/1.1', ...fields } = change;
  const lines = {
    Host: '127.0.0.1',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': webSocketKey,
    'Sec-WebSocket-Version': '13',
    ...fields,
  };
  const text = Object.entries(lines).map(([name, value]) => (value === null ? '' : `${name}: ${value}\r\n`));
  return `${method} ${path} ${version}\r\n${text.join('')}\r\n`;
}

/** Connects; nothing is sent yet. */
export async function dial(t: Test, to: Reachable, where: Where, as?: string): Promise<DialledClient> {
  const port = to.ports[where];
  const identity = as === undefined ? {} : to.identity(as);
  const raw = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  raw.on('error', () => {});
  const options = { socket: raw, host: '127.0.0.1', ca: to.ca, allowHalfOpen: true, ...identity };
  const socket: Socket = where === 'http' ? raw : tls.connect(options);
  t.teardown(() => raw.destroy());
  socket.on('error', () => {});
  await once(socket, where === 'http' ? 'connect' : 'secureConnect');
  return { ...clientOn(socket), vanish: () => void raw.resetAndDestroy() };
}

export function clientOn(socket: Socket): UpgradeClient {
  let pieces: Buffer[] = [];
  let held = 0;
  let ended = false;
  const reader = createFrameReader();
  const frames: Frame[] = [];
  let look = () => {};
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece);
    held += piece.length;
    look();
  });
  const end = () => {
    ended = true;
    look();
  };
  socket.once('end', end).once('close', end);
  const until = <T>(find: () => T | null): Promise<T> =>
    new Promise((resolve) => {
      look = () => {
        const found = find();
        if (found === null) return;
        look = () => {};
        resolve(found);
      };
      look();
    });
  const take = (count: number) => {
    const all = Buffer.concat(pieces);
    const taken = all.subarray(0, count);
    pieces = [all.subarray(count)];
    held -= taken.length;
    return taken;
  };
  return {
    socket,
    head: () =>
      until(() => {
        const at = Buffer.concat(pieces).indexOf('\r\n\r\n');
        if (at < 0 && !ended) return null;
        const text = take(at < 0 ? 0 : at + 4).toString('latin1');
        const header = (name: string) => new RegExp(`^${name}: *(.*)\r$`, 'im').exec(text)?.[1] ?? null;
        return { status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0), text, header };
      }),
    octets: (count) => until(() => (held >= count || ended ? take(count) : null)),
    rest: () => until(() => (ended ? take(held).toString('latin1') : null)),
    frame: () =>
      until<Frame | 'ended'>(() => {
        frames.push(...(reader.read(take(held)) ?? []));
        return frames.shift() ?? (ended ? 'ended' : null);
      }).then((frame) => (frame === 'ended' ? null : frame)),
    say: (text) => void socket.write(frameOf(opcodes.text, Buffer.from(text), randomBytes(4))),
    closed() {
      socket.end();
      return new Promise((resolve) => (socket.closed ? resolve() : void socket.once('close', () => resolve())));
    },
  };
}

/** An open WebSocket to the lab's echo, its first message read. */
export async function openWebSocket(
  t: Test,
  to: Reachable,
  where: Where,
  {
    as = 'alice',
    path = '/payroll/chat',
    ...change
  }: { as?: string; path?: string; [field: string]: string | null | undefined } = {},
): Promise<DialledClient & { readonly seen: EchoAnswer; readonly requestId: string | null }> {
  const client = await dial(t, to, where, as);
  client.socket.write(handshake(path, change as Record<string, string | null>));
  const head = await client.head();
  if (head.status !== 101) throw new Error(`no tunnel: ${head.text}${await client.rest()}`);
  const greeting = await client.frame();
  const seen = JSON.parse(greeting?.payload.toString() ?? 'null') as EchoAnswer;
  return { ...client, seen, requestId: head.header('x-request-id') };
}

export interface ScriptedBackend {
  readonly url: string;
  /** Heads of requests as they arrived, newest last. */
  readonly heads: readonly string[];
  readonly sockets: ReadonlySet<Socket>;
  /** What to do with a connection whose request head has arrived. @param rest what came behind it */
  script: (socket: Socket, head: string, rest: Buffer) => void;
  /** Ends its half with the other's, as most do; else it is the test's. */
  polite: boolean;
}

/** A backend of which a test decides every octet. */
export async function scriptedBackend(t: Test): Promise<ScriptedBackend> {
  const heads: string[] = [];
  const sockets = new Set<Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    socket.once('end', () => backend.polite && socket.end());
    let buffer = Buffer.alloc(0);
    const read = (piece: Buffer) => {
      buffer = Buffer.concat([buffer, piece]);
      const at = buffer.indexOf('\r\n\r\n');
      if (at < 0) return;
      socket.off('data', read);
      const head = buffer.subarray(0, at + 4).toString('latin1');
      heads.push(head);
      backend.script(socket, head, buffer.subarray(at + 4));
    };
    socket.on('data', read);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const backend: ScriptedBackend = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heads,
    sockets,
    polite: true,
    script: (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
  };
  return backend;
}

/** A 101 that is right for the key of `handshake`. */
export const switching = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${webSocketAccept}\r\n\r\n`;

/** Polls; the test's own time-out bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5);
}
