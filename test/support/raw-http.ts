/**
 * HTTP written by hand, for requests that no client library would send.
 */
import { connect as connectHttp2 } from 'node:http2';
import type { OutgoingHttpHeaders } from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import type { TestGateway } from './gateway.ts';

export interface RawAnswer {
  /** 0 when the connection ended without an answer. */
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export interface RawWhere {
  readonly binding: 'late' | 'upFront' | 'http';
  readonly as?: string;
}

/** Sends bytes as they are and reads until the server closes; the request should say `Connection: close`. */
export function sendRaw(to: TestGateway, where: RawWhere, bytes: string | Buffer): Promise<RawAnswer> {
  const port = to.ports[where.binding];
  const identity = where.as === undefined ? {} : to.identity(where.as);
  const socket =
    where.binding === 'http'
      ? net.connect(port, '127.0.0.1')
      : tls.connect({ port, host: '127.0.0.1', ca: to.ca, ...identity });
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    socket.on('error', () => {});
    socket.once('close', () => resolve(answerOf(Buffer.concat(pieces).toString('latin1'))));
    socket.once(where.binding === 'http' ? 'connect' : 'secureConnect', () => socket.write(bytes));
  });
}

/** A GET with this request target, exactly as given. */
export function rawGet(to: TestGateway, where: RawWhere, target: string, more = ''): Promise<RawAnswer> {
  const port = to.ports[where.binding];
  const host = /^host:/im.test(more) ? '' : `Host: 127.0.0.1:${port}\r\n`;
  return sendRaw(to, where, Buffer.from(`GET ${target} HTTP/1.1\r\n${host}${more}Connection: close\r\n\r\n`, 'latin1'));
}

/** One HTTP/2 request with these pseudo headers and headers. Status 0: the stream was reset. */
export async function http2Request(
  to: TestGateway,
  as: string | undefined,
  headers: OutgoingHttpHeaders,
): Promise<RawAnswer> {
  const identity = as === undefined ? {} : to.identity(as);
  const session = connectHttp2(`https://127.0.0.1:${to.ports.upFront}`, { ca: to.ca, ...identity });
  session.on('error', () => {});
  try {
    return await new Promise<RawAnswer>((resolve) => {
      const stream = session.request(headers);
      const pieces: Buffer[] = [];
      let status = 0;
      stream.on('response', (answer) => (status = answer[':status'] ?? 0));
      stream.on('data', (piece: Buffer) => pieces.push(piece));
      stream.on('error', () => {});
      stream.once('close', () => resolve({ status, head: '', body: Buffer.concat(pieces).toString('utf8') }));
      session.once('close', () => resolve({ status, head: '', body: '' }));
      stream.end();
    });
  } finally {
    session.close();
    session.destroy();
  }
}

function answerOf(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  const body = end < 0 ? '' : text.slice(end + 4);
  return { status, head, body: /^transfer-encoding: chunked/im.test(head) ? unchunk(body) : body };
}

function unchunk(text: string): string {
  let rest = text;
  let whole = '';
  for (;;) {
    const line = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, line), 16);
    if (!(size > 0)) return whole;
    whole += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 4 + size);
  }
}
