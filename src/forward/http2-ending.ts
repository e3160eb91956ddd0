/**
 * Whether a server has ended its answer itself. node:http2 (26.10) lets a stream end in the same way when END_STREAM comes and when
 * RST_STREAM comes with NO_ERROR, and closes it with the same code; the second is half an answer (RFC 9113 section 8.1).
 */
import type { ClientHttp2Stream } from 'node:http2';

export interface Ending {
  /** END_STREAM has come; what was received may still have to be read. */
  whole: boolean;
  /** Received of the body so far, read or not. */
  octets: number;
}

/** To be called before anything can have come. */
export function watchEnding(stream: ClientHttp2Stream): Ending {
  const ending: Ending = { whole: false, octets: 0 };
  const push = stream.push.bind(stream);
  // Everything that is received goes this way. END_STREAM comes while the stream is open; every other end closes it first. Should that ever
  // change, answers look broken, never whole.
  stream.push = (piece: Buffer | null, encoding?: BufferEncoding) => {
    if (piece !== null) ending.octets += piece.length;
    else if (!stream.closed && !stream.destroyed) ending.whole = true;
    return push(piece, encoding);
  };
  return ending;
}
