/**
 * Writes an answer that the gateway gives itself, a refusal or a page about the client: once, complete, in HTTP/1 and HTTP/2, with
 * bounded patience for a client that is still sending, so that it reads the answer instead of a reset.
 */
import type { ServerResponse } from 'node:http';
import { endStream } from '../forward/client-answer.ts';
import { linger } from '../forward/linger.ts';
import type { Connection } from '../tls/connection.ts';
import type { Exchange } from './exchange.ts';
import type { Setup } from './setup.ts';

export interface OwnAnswer {
  readonly status: number;
  /** `403.7`, for the verdict header. */
  readonly statusText: string;
  readonly contentType: string;
  readonly body: string;
  /** Flat list of name and value, beside those that every answer of ours has. */
  readonly headers: readonly string[];
  /** Whether HTTP/1 clients are to come again on another connection. */
  readonly endsConnection: boolean;
}

export function writeOwnAnswer(exchange: Exchange, answer: OwnAnswer, setup: Setup): void {
  const { request } = exchange;
  const response = exchange.response as ServerResponse; // the calls below are the same in HTTP/2
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = Buffer.from(answer.body, 'utf8');
  const unread = !request.complete;
  exchange.status = answer.status;
  response.statusCode = answer.status;
  // RFC 9110 section 8.6: with this status a length may not even be said.
  const empty = answer.status === 204;
  const headers = [
    ...(empty ? [] : ['Content-Type', answer.contentType, 'Content-Length', String(body.length)]),
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
    'Content-Security-Policy',
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ...exchange.answerHeaders(setup, answer.statusText),
    ...answer.headers,
    ...(request.httpVersionMajor === 1 && (unread || answer.endsConnection) ? ['Connection', 'close'] : []),
  ];
  for (let index = 0; index < headers.length; index += 2)
    response.setHeader(headers[index] ?? '', headers[index + 1] ?? '');
  if (request.method === 'HEAD' || empty) response.writeHead(answer.status);
  else response.write(body);
  if ('stream' in exchange.response) {
    endStream(exchange.response);
    return;
  }
  // The answer is complete on the wire either way; ending it later only keeps the connection open for what still comes.
  if (unread) linger(request, setup.settings.limits, () => response.end());
  else response.end();
}

/**
 * Who may read the facts of a case: who is on this machine. What comes through a proxy never is, whatever address the proxy tells: its own
 * loopback is another machine's, and where it tells nothing its client may be anybody.
 */
export function isLocal({ remoteAddress, throughProxy }: Pick<Connection, 'remoteAddress' | 'throughProxy'>): boolean {
  if (typeof throughProxy === 'string') return false;
  return remoteAddress.startsWith('127.') || remoteAddress === '::1' || remoteAddress.startsWith('::ffff:127.');
}
