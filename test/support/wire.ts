/**
 * A client's connection as bytes: what is sent is sent as it is, and answers are read one by one, each to its own end.
 */
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { inTime } from './front.ts';
import type { TestGateway } from './gateway.ts';

export interface WireAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export interface Wire {
  readonly socket: Duplex;
  send(bytes: string): void;
  /** The next answer, interim ones too; null when the connection ends instead. @param toHead the answer has no body */
  next(toHead?: boolean): Promise<WireAnswer | null>;
  /** Resolves at the end of the connection with what came behind the last answer read. */
  rest(): Promise<string>;
}

export type WireWhere = 'late' | 'upFront' | 'http';

export async function openWire(to: TestGateway, where: WireWhere, as?: string): Promise<Wire> {
  const port = to.ports[where];
  const identity = as === undefined ? {} : to.identity(as);
  const options = { port, host: '127.0.0.1', ca: to.ca, ...identity, ALPNProtocols: ['http/1.1'] };
  const socket = where === 'http' ? net.connect(port, '127.0.0.1') : tls.connect(options);
  await new Promise((resolve, reject) => {
    socket.once(where === 'http' ? 'connect' : 'secureConnect', resolve);
    socket.once('error', reject);
  });
  return wireOver(socket);
}

export function wireOver(socket: Duplex): Wire {
  let received = '';
  let wake = () => {};
  socket.on('data', (piece: Buffer) => {
    received += piece.toString('latin1');
    wake();
  });
  socket.on('error', () => {});
  socket.on('end', () => socket.destroy());
  socket.once('close', () => wake());
  const changed = (what: string) => inTime(what, new Promise<void>((resolve) => (wake = resolve)));
  return {
    socket,
    send: (bytes) => void socket.write(Buffer.from(bytes, 'latin1')),
    async next(toHead = false) {
      for (;;) {
        const taken = answerIn(received, toHead, socket.closed);
        if (taken !== null) {
          received = received.slice(taken.size);
          return taken.answer;
        }
        if (socket.closed) return null;
        await changed('an answer');
      }
    },
    async rest() {
      while (!socket.closed) await changed('the end of the connection');
      return received;
    },
  };
}

function answerIn(text: string, toHead: boolean, over: boolean): { answer: WireAnswer; size: number } | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = text.slice(0, end);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  const from = end + 4;
  if (toHead || status < 200 || status === 204 || status === 304) {
    return { answer: { status, head, body: '' }, size: from };
  }
  const length = /^content-length: *(\d+)$/im.exec(head)?.[1];
  if (length !== undefined) {
    const size = from + Number(length);
    return text.length < size ? null : { answer: { status, head, body: text.slice(from, size) }, size };
  }
  if (/^transfer-encoding: chunked$/im.test(head)) return chunkedIn(text, status, head, from);
  return over ? { answer: { status, head, body: text.slice(from) }, size: text.length } : null;
}

function chunkedIn(text: string, status: number, head: string, from: number) {
  let at = from;
  let body = '';
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/i.exec(text.slice(at));
    if (line === null) return null;
    const size = Number.parseInt(line[1] ?? '', 16);
    const begin = at + line[0].length;
    if (size === 0) {
      const trailers = text.indexOf('\r\n', begin);
      if (trailers < 0) return null;
      const done = trailers === begin ? begin + 2 : text.indexOf('\r\n\r\n', begin) + 4;
      return done < 4 ? null : { answer: { status, head, body }, size: done };
    }
    if (text.length < begin + size + 2) return null;
    body += text.slice(begin, begin + size);
    at = begin + size + 2;
  }
}
