/**
 * Writing to a client: the few places where HTTP/1.1 and HTTP/2 differ. It decides nothing about what is written.
 */
import type { ServerResponse } from 'node:http';
import type { AnswerHead } from './answer-head.ts';
import { isFieldValue } from './field-syntax.ts';
import type { ClientRequest, ClientResponse, StreamResponse } from './forward-contract.ts';

export function isStream(response: ClientResponse): response is StreamResponse {
  return 'stream' in response;
}

/** Nobody is there to answer any more. */
export function isGone(request: ClientRequest, response: ClientResponse): boolean {
  if (isStream(response)) return response.stream.destroyed || response.stream.closed;
  return response.destroyed || request.socket.destroyed;
}

/**
 * Calls `listener` when the exchange with the client has ended, well or badly. Over HTTP/2 the stream is asked: the
 * response's own `close` does not come where a HEAD request ends early.
 */
export function onClientClose(response: ClientResponse, listener: () => void): void {
  (isStream(response) ? response.stream : response).on('close', listener);
}

export function onceDrained(response: ClientResponse, listener: () => void): void {
  const source = isStream(response) ? response.stream : response;
  const drained = () => {
    source.removeListener('drain', drained);
    listener();
  };
  source.on('drain', drained);
}

/**
 * Whether an answer that was ended left us whole, asked when it is closed. A stream can close before its `finish` event,
 * but then without an error code.
 */
export function wasFlushed(response: ClientResponse): boolean {
  return isStream(response) ? response.stream.rstCode === noError : response.writableFinished;
}

/** @throws what node:http and node:http2 throw at a head they do not accept; nothing has been sent then */
export function writeHead(response: ClientResponse, status: number, reason: string, head: AnswerHead): void {
  if (isStream(response)) {
    const headers = status === resetContent ? withoutLength(head.headers) : head.headers;
    response.stream.respond([':status', String(status), ...headers], { waitForTrailers: !head.sized });
  } else {
    response.writeHead(status, reason !== '' && isFieldValue(reason) ? reason : undefined, head.headers);
  }
}

/** Sends the head on its own, for an answer whose body keeps the client waiting (server-sent events). */
export function flushHead(response: ClientResponse): void {
  if (!isStream(response)) response.flushHeaders();
}

export function writeHints(response: ClientResponse, hints: Record<string, string | string[]>): void {
  if (isStream(response)) response.stream.additionalHeaders({ ':status': '103', ...hints });
  else response.writeInformation(103, flat(hints));
}

/**
 * An answer that broke off must look broken: no last chunk, no END_STREAM. (`stream.close` ends the stream before it
 * resets it, and END_STREAM goes out first.)
 */
export function cutOff(response: ClientResponse): void {
  if (isStream(response)) response.stream.destroy(new Error('the upstream broke off its answer'));
  else response.destroy();
}

/** Ends the answer and the connection: the rest of the request's body is not wanted. */
export function endConnection(request: ClientRequest, response: ServerResponse): void {
  response.end(() => request.socket.destroySoon());
}

/** As a list, because node:http would write several fields of one name as one. */
function flat(hints: Record<string, string | string[]>): string[] {
  return Object.entries(hints).flatMap(([name, values]) => [values].flat().flatMap((value) => [name, value]));
}

/**
 * RFC 9110 section 15.3.6: a 205 has no content, whatever the upstream thinks. node:http2 ends the stream with its head, and a
 * length beside that would be a malformed answer (RFC 9113 section 8.1.1).
 */
const resetContent = 205;

function withoutLength(headers: readonly string[]): string[] {
  const rest: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const value = headers[i + 1] ?? '';
    if (name.toLowerCase() !== 'content-length' || value === '0') rest.push(name, value);
  }
  return rest;
}

/**
 * Ends the answer and the stream: the rest of the request's body is not wanted (RFC 9113 section 8.1). Where all of it has arrived and was
 * not read there is nothing to stop, and node:http2 (26.10) never returns from closing such a stream.
 */
export function endStream(response: StreamResponse): void {
  response.end();
  const { stream } = response;
  if (!stream.endAfterHeaders && stream.state.remoteClose !== 1) stream.close(noError);
}

/** RFC 9113 section 7. */
const noError = 0;
