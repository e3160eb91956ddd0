/**
 * gRPC as far as one method without streams needs it (PROTOCOL-HTTP2.md of gRPC): frames one message, answers with one, and says in trailers how
 * it went. What is in the messages is known in `auth-check.ts`.
 */
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { readCheck, checkResponse } from './auth-check.ts';
import type { AuthDesk } from './auth-endpoint.ts';

/** Octets of a message: a certificate and the headers of a request; bodies have no place in it. */
export const maximumMessage = 256 * 1024;

/** grpc-status. */
const codes = { unknown: 2, invalidArgument: 3, permissionDenied: 7, resourceExhausted: 8, unimplemented: 12 };

const checkPath = '/envoy.service.auth.v3.Authorization/Check';

export function serveGrpc(desk: AuthDesk, request: Http2ServerRequest, response: Http2ServerResponse): void {
  const { rawHeaders, stream } = request;
  // A stream that its client resets has nobody to answer.
  stream.on('error', () => {});
  // What is begun and never ended would be held for as long as its connection lives.
  stream.setTimeout(desk.settings.limits.questionTimeout, () => stream.close());
  // Nothing else: whoever this is learns nothing of what is here.
  if (desk.recognise(rawHeaders, request) === null) return end(response, codes.permissionDenied);
  if (request.method !== 'POST' || !/^application\/grpc(?:\+proto)?(?:;|$)/.test(request.headers['content-type'] ?? ''))
    return end(response, codes.unknown);
  if (request.url !== checkPath) return end(response, codes.unimplemented);
  const pieces: Buffer[] = [];
  let length = 0;
  request.on('data', (piece: Buffer) => {
    length += piece.length;
    if (length > 5 + maximumMessage) {
      request.removeAllListeners('data').removeAllListeners('end').resume();
      end(response, codes.resourceExhausted);
    } else pieces.push(piece);
  });
  request.on('end', () => {
    stream.setTimeout(0);
    void answer(Buffer.concat(pieces)).catch(() => stream.destroy());
  });

  async function answer(frame: Buffer): Promise<void> {
    const message = messageIn(frame);
    if (typeof message === 'number') return end(response, message);
    const check = readCheck(message);
    if (check === null) return end(response, codes.invalidArgument);
    // While the question arrived the configuration may have changed: who asks and what about is what the setup says that answers.
    const caller = desk.recognise(rawHeaders, request);
    if (caller === null) return end(response, codes.permissionDenied);
    const id = desk.nextId();
    const { question, client, clientHeaders } = check;
    const given = await desk.answer({ id, caller, question, via: 'grpc', client, clientHeaders });
    if (!response.stream.destroyed) end(response, 0, checkResponse(given, id));
  }
}

/** @returns the one message, or a grpc-status */
function messageIn(frame: Buffer): Buffer | number {
  if (frame.length < 5) return codes.invalidArgument;
  // Nobody is offered a compression (grpc-accept-encoding), so none may be used.
  if (frame[0] !== 0) return codes.unimplemented;
  return frame.readUInt32BE(1) === frame.length - 5 ? frame.subarray(5) : codes.invalidArgument;
}

function end(response: Http2ServerResponse, code: number, message: Buffer | null = null): void {
  const { stream } = response;
  if (stream.destroyed || stream.headersSent) return;
  const status = { 'grpc-status': String(code) };
  if (message === null) {
    // Trailers-Only; whatever still comes is thrown away, so that the stream ends without a reset.
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...status }, { endStream: true });
    stream.resume();
    return;
  }
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  response.writeHead(200, { 'content-type': 'application/grpc' });
  response.addTrailers(status);
  response.end(Buffer.concat([prefix, message]));
}
