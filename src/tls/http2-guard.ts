/**
 * Bounds on HTTP/2 sessions that Node leaves open: a session without streams, a request body that never ends, an answer that
 * the client does not take, the number of requests. HTTP/1's counterparts are Node's own and set in `http-options.ts`.
 */
import { constants } from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { ConnectionLimits } from './binding.ts';

/** @param flooded told before a session is destroyed because its client opens streams faster than they can close */
export function guardSession(session: ServerHttp2Session, limits: ConnectionLimits, flooded: () => void): void {
  let open = 0;
  let requests = 0;
  /** Streams opened in this turn of the event loop. */
  let openedNow = 0;
  // PINGs, SETTINGS and half a header block keep Node's own idle timer alive; only requests count here.
  let idle = closeAfter(limits.headersTimeout);
  const watch = watchAnswers(limits.idleTimeout);

  function closeAfter(millis: number): NodeJS.Timeout | undefined {
    return millis === 0 ? undefined : setTimeout(() => session.close(), millis);
  }

  session.on('stream', (stream: ServerHttp2Stream) => {
    open += 1;
    requests += 1;
    clearTimeout(idle);
    // CVE-2023-44487: nghttp2 acts on resets only between two reads, and one read holds hundreds of streams. Without
    // resetting, a client cannot open more than its maximum before it has seen an answer, that is in one turn.
    if (openedNow === 0) setImmediate(() => (openedNow = 0));
    openedNow += 1;
    if (openedNow > 2 * limits.maximumStreams) {
      flooded();
      session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    stream.once('close', () => {
      open -= 1;
      if (open === 0 && !session.destroyed) idle = closeAfter(limits.keepAliveTimeout);
    });
    if (limits.maximumRequestsPerConnection > 0 && requests >= limits.maximumRequestsPerConnection) session.close();
    boundRequest(stream, limits.requestTimeout);
    watch.add(stream);
  });
  session.once('close', () => {
    clearTimeout(idle);
    watch.stop();
  });
}

/** The whole request, body included, within the request time-out. */
function boundRequest(stream: ServerHttp2Stream, requestTimeout: number): void {
  if (stream.endAfterHeaders || requestTimeout === 0) return;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), requestTimeout);
  stream.once('end', () => clearTimeout(timer));
  stream.once('close', () => clearTimeout(timer));
}

/**
 * A client that opens no flow-control window holds an answer, and the upstream's connection behind it, for as long as its PINGs keep
 * the session alive. An answer of which nothing could be written from one look to the next is given up.
 */
function watchAnswers(idleTimeout: number): { add(stream: ServerHttp2Stream): void; stop(): void } {
  const open = new Set<ServerHttp2Stream>();
  const stuck = new Set<ServerHttp2Stream>();
  function look(): void {
    for (const stream of open) {
      if (stuck.has(stream)) stream.close(constants.NGHTTP2_CANCEL);
      else if (stream.writableNeedDrain) {
        stuck.add(stream);
        stream.once('drain', () => stuck.delete(stream));
      }
    }
  }
  const timer = idleTimeout === 0 ? undefined : setInterval(look, idleTimeout);
  return {
    add(stream) {
      open.add(stream);
      stream.once('close', () => {
        open.delete(stream);
        stuck.delete(stream);
      });
    },
    stop: () => clearInterval(timer),
  };
}
