/**
 * A question as an HTTP/1.1 request and its answer. Bodies are not read: where one is announced the connection ends with the answer, because a proxy
 * that announces the body of its client and does not send it would have the next question taken for it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AuthAnswer } from './auth-answer.ts';
import type { AuthDesk } from './auth-endpoint.ts';
import { questionOf } from './auth-question.ts';

export function serveHttp(desk: AuthDesk, request: IncomingMessage, response: ServerResponse): void {
  const { rawHeaders, socket } = request;
  // What came behind a body that was announced.
  if (ending.has(socket)) return;
  if (hasBody(request)) ending.add(socket);
  const caller = desk.recognise(rawHeaders, request);
  if (caller === null) {
    // Nothing else: whoever this is learns nothing of what is here.
    response.writeHead(403, ['Content-Length', '0', 'Connection', 'close']);
    response.end();
    return;
  }
  const id = desk.nextId();
  const method = request.method ?? '';
  const question = questionOf({ method, url: request.url ?? '', rawHeaders }, caller);
  const { form } = caller;
  const asked = { id, caller, question, via: form, client: null, clientHeaders: form === 'envoy' ? rawHeaders : [] };
  const answer = desk.answer(asked);
  const finish = (ready: AuthAnswer) => {
    try {
      write(ready, id, form, request, response);
    } catch {
      // What cannot be written whole is not written: the data plane takes no answer for a no.
      response.destroy();
    }
  };
  if (answer instanceof Promise) void answer.then(finish);
  else finish(answer);
}

/** Sockets whose last question has been read. */
const ending = new WeakSet<Socket>();

function write(answer: AuthAnswer, id: string, form: string, request: IncomingMessage, response: ServerResponse): void {
  if (response.destroyed) return;
  const body = form === 'nginx' || answer.page === null ? '' : answer.page.body;
  const clear = answer.clear.join(', ');
  const headers = [
    ...answer.identity,
    ...answer.facts,
    ...(clear === '' ? [] : ['X-DSMapper-Clear', clear]),
    // Envoy takes these away from the request before it goes on.
    ...(clear === '' || form !== 'envoy' ? [] : ['x-envoy-auth-headers-to-remove', clear]),
    ...['X-Request-Id', id, 'Cache-Control', 'no-store', 'Content-Length', String(Buffer.byteLength(body))],
    ...(body === '' || answer.page === null ? [] : ['Content-Type', answer.page.contentType]),
    ...(body === '' ? [] : ['X-Content-Type-Options', 'nosniff', 'Content-Security-Policy', pagePolicy]),
    ...(ending.has(request.socket) ? ['Connection', 'close'] : []),
  ];
  response.writeHead(answer.told, headers);
  response.end(request.method === 'HEAD' ? undefined : body);
}

const pagePolicy =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}
