/**
 * Answers a request that does not go upstream: status and page by the verdict table, then bounded patience with a client that is
 * still sending, so that it reads the answer instead of a reset.
 */
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import type { Verdict } from '../base/verdict.ts';
import { noError } from '../forward/client-answer.ts';
import { linger } from '../forward/linger.ts';
import { errorPage, prefersJson } from '../iis/error-page.ts';
import { answerOf, statusText } from '../iis/verdict-table.ts';
import type { Exchange } from './exchange.ts';
import type { Setup } from './setup.ts';

export function refuse(exchange: Exchange, refusal: Verdict, setup: Setup): void {
  const { request } = exchange;
  const response = exchange.response as ServerResponse; // the calls below are the same in HTTP/2
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const answer = answerOf(refusal.code, setup.settings.outcomes);
  const page = errorPage(answer, {
    requestId: exchange.id,
    detail: isLoopback(exchange.connection.remoteAddress) ? { code: refusal.code, text: refusal.detail } : null,
    json: prefersJson(request.headers.accept),
  });
  const body = Buffer.from(page.body, 'utf8');
  const unread = !request.complete;
  exchange.status = answer.status;
  response.statusCode = answer.status;
  const headers = [
    'Content-Type',
    page.contentType,
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
    'Content-Security-Policy',
    "default-src 'none'; style-src 'unsafe-inline'",
    ...exchange.answerHeaders(setup, statusText(answer)),
    ...(answer.status === 503 ? ['Retry-After', '5'] : []),
    ...(answer.status === 405 ? ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'] : []),
    ...(request.httpVersionMajor === 1 && (unread || endsConnection(refusal)) ? ['Connection', 'close'] : []),
  ];
  for (let index = 0; index < headers.length; index += 2)
    response.setHeader(headers[index] ?? '', headers[index + 1] ?? '');
  if (request.method === 'HEAD') response.writeHead(answer.status);
  else response.write(body);
  if ('stream' in exchange.response) {
    endStream(exchange.response);
    return;
  }
  // The answer is complete on the wire either way; ending it later only keeps the connection open for what still comes.
  if (unread) linger(request, setup.settings.limits, () => response.end());
  else response.end();
}

/** RFC 9113 section 8.1: the answer is complete, the rest of the body is not wanted. A stream ends without harm to its answer. */
function endStream(response: Http2ServerResponse): void {
  response.end();
  if (!response.stream.endAfterHeaders) response.stream.close(noError);
}

/**
 * A client is asked once on a connection: its next try, with a certificate this time, needs a new one. And one whose request belongs
 * elsewhere should open its own connection there.
 */
function endsConnection({ code }: Verdict): boolean {
  return code === 'certificateRequired' || code === 'renegotiationFailed' || code === 'misdirected';
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.');
}
