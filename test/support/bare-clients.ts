/**
 * What tests of forwarding ask and answer with: one request over HTTP/1.1 or HTTP/2, the echo backend or one of raw octets, and a bare
 * gateway between.
 */
import http from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type http2 from 'node:http2';
import type net from 'node:net';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { Test } from 'tap';
import type { Millis } from '../../src/base/brand.ts';
import type { Echo, EchoAnswer, EchoOptions } from '../../src/lab/echo.ts';
import { startEcho } from '../../src/lab/echo.ts';
import type { BareGateway, BareOptions } from './bare-gateway.ts';
import { startBareGateway, startRawBackend } from './bare-gateway.ts';

export const ms = (value: number) => value as Millis;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly trailers: Record<string, string | undefined>;
  readonly hints: readonly string[];
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: Buffer | Readable;
  /** A connection to keep (HTTP/1.1); absent: one of its own. */
  readonly agent?: http.Agent;
}

/** One request over HTTP/1.1; rejects when the answer breaks off. */
export function ask(gateway: BareGateway, what: Ask = {}): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, body, agent = false } = what;
  return new Promise((resolve, reject) => {
    const hints: string[] = [];
    const request = http.request({ port: gateway.port, host: '127.0.0.1', method, path, headers, agent });
    request.on('information', (info) => hints.push(`${info.statusCode} ${String(info.headers['link'])}`));
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          body: Buffer.concat(chunks),
          trailers: response.trailers,
          hints,
        }),
      );
    });
    if (body instanceof Readable) body.pipe(request);
    else request.end(body);
  });
}

/** One request over HTTP/2; rejects when the stream is reset. */
export function ask2(session: http2.ClientHttp2Session, { method = 'GET', path = '/', headers = {}, body }: Ask = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const stream = session.request({ ...headers, ':method': method, ':path': path }, { endStream: body === undefined });
    const chunks: Buffer[] = [];
    const hints: string[] = [];
    let head: http2.IncomingHttpHeaders = {};
    let trailers: Record<string, string | undefined> = {};
    stream.on('headers', (info) => hints.push(`${info[':status']} ${String(info['link'])}`));
    stream.on('response', (got) => (head = got));
    stream.on('trailers', (got) => (trailers = { ...got } as typeof trailers));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    // Who has the whole answer does not go on sending.
    stream.on('end', () => stream.writableEnded || stream.close(0));
    stream.on('close', () =>
      resolve({
        status: Number(head[':status'] ?? 0),
        headers: head,
        rawHeaders: [],
        body: Buffer.concat(chunks),
        trailers,
        hints,
      }),
    );
    if (body instanceof Readable) body.pipe(stream);
    else if (body !== undefined) stream.end(body);
  });
}

export const echoed = (answer: Answer) => JSON.parse(answer.body.toString()) as EchoAnswer;
export const header = (answer: EchoAnswer, name: string) =>
  answer.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);

/** Gateway and echo backend, both ended with the test. @param last the echo backend is not the first server but another one, behind all others */
export async function withEcho(
  t: Test,
  options: Partial<Omit<BareOptions, 'upstream'>> & { upstream?: object; echo?: EchoOptions } = {},
  last = false,
) {
  const echo: Echo = await startEcho(options.echo);
  const others = last ? [...(options.others ?? []), { origin: echo.url }] : (options.others ?? []);
  const gateway = await startBareGateway({ ...options, upstream: { origin: echo.url, ...options.upstream }, others });
  t.teardown(async () => {
    await gateway.stop();
    await echo.stop();
  });
  return { echo, gateway };
}

/** A backend of raw octets and a gateway before it, both ended with the test. */
export async function withRaw(
  t: Test,
  script: (socket: net.Socket, connection: number) => void,
  options: Partial<Omit<BareOptions, 'upstream'>> & { upstream?: object } = {},
) {
  let connections = 0;
  const backend = await startRawBackend((socket) => script(socket, connections++));
  const gateway = await startBareGateway({ ...options, upstream: { origin: backend.origin, ...options.upstream } });
  t.teardown(async () => {
    await gateway.stop();
    await backend.stop();
  });
  return { backend, gateway };
}

/** Turns of the event loop until it holds; a condition that never comes true is the test's time-out. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

export const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Answers each request by `reply`; a chunked body is passed over, one with a length must not hold an empty line. */
export const answering =
  (reply: (socket: net.Socket, request: string, count: number) => void) => (socket: net.Socket) => {
    let text = '';
    let count = 0;
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const request = text.slice(0, end);
        text = text.slice(end + 4);
        if (request.includes(' HTTP/1.1')) reply(socket, request, count++);
      }
    });
  };
