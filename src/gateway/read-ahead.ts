/**
 * Reads a request's body before the client is asked for its certificate: during a renegotiation neither side could go on with it
 * (IIS: uploadReadAheadSize of system.webServer/serverRuntime, 413 beyond). What was read is replayed to the upstream.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { ClientRequest, ClientResponse } from './exchange.ts';

export interface ReadAheadLimits {
  /** Bytes of one body. */
  readonly uploadReadAheadSize: number;
  /** Bytes of all bodies held at the same time in this process. */
  readonly uploadReadAheadTotal: number;
}

/** Bytes held by all requests together. */
let held = 0;

/** For metrics and tests. */
export function heldBytes(): number {
  return held;
}

/** @returns the whole body, or why it is not held; held bytes are given back when the response closes */
export async function readAhead(
  request: ClientRequest,
  response: ClientResponse,
  limits: ReadAheadLimits,
): Promise<readonly Buffer[] | Verdict> {
  const announced = announcedLength(request);
  if (announced === 0) return [];
  if (announced !== null && announced > limits.uploadReadAheadSize) {
    return tooLarge(`announces ${announced} bytes`, limits);
  }
  const { expect } = request.headers;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    return verdict('expectationFailed', 'Expect asks for something else than 100-continue');
  // RFC 9110 section 10.1.1: an expectation of HTTP/1.0 is to be ignored, it knows no interim answers.
  const waits = expect !== undefined && (request.httpVersionMajor > 1 || request.httpVersionMinor > 0);
  if (waits && 'writeContinue' in response) response.writeContinue();
  return collect(request, response, limits);
}

/** 0: no body; null: chunked, length unknown. */
function announcedLength(request: ClientRequest): number | null {
  if (request.headers['transfer-encoding'] !== undefined) return null;
  const length = request.headers['content-length'];
  return length === undefined ? 0 : Number(length);
}

function collect(
  request: ClientRequest,
  response: ClientResponse,
  limits: ReadAheadLimits,
): Promise<readonly Buffer[] | Verdict> {
  const { promise, resolve } = Promise.withResolvers<readonly Buffer[] | Verdict>();
  const pieces: Buffer[] = [];
  let size = 0;

  function stop(result: readonly Buffer[] | Verdict): void {
    request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
    request.pause();
    resolve(result);
  }
  function onData(piece: Buffer): void {
    size += piece.length;
    held += piece.length;
    pieces.push(piece);
    if (size > limits.uploadReadAheadSize) stop(tooLarge(`is longer than ${limits.uploadReadAheadSize} bytes`, limits));
    else if (held > limits.uploadReadAheadTotal)
      stop(verdict('overloaded', `bodies held for renegotiation exceed ${limits.uploadReadAheadTotal} bytes`));
  }
  const onEnd = () => stop(pieces);
  const onClose = () => stop(verdict('badRequest', 'the connection ended before the whole body had arrived'));

  response.once('close', () => {
    held -= size;
  });
  request.on('data', onData).once('end', onEnd).once('close', onClose).once('error', onClose);
  return promise;
}

function tooLarge(what: string, limits: ReadAheadLimits): Verdict {
  return verdict(
    'bodyTooLarge',
    `the body ${what}; up to ${limits.uploadReadAheadSize} are read before the certificate is asked for (uploadReadAheadSize)`,
  );
}
