/**
 * What a client is told when its connection goes wrong below HTTP: at most one minimal answer, and then the connection
 * ends in any case. A TLS error after the handshake (a renegotiation attack among them) ends here too: Node alone would
 * let such a socket live on.
 */
import type { Duplex } from 'node:stream';
import { codeOf } from '../base/failure.ts';
import { lastWords, plainAnswer } from './last-words.ts';
import { carriedBy } from './live-connection.ts';

/** Ends the connection after an error of its parser or its transport. */
export function refuseAfterError(error: unknown, socket: Duplex): void {
  // The first error has been answered; what the client still sends is read and dropped until it is gone.
  if (socket.writableEnded) return;
  endWith(statusOf(error), socket);
}

/** Ends the connection at a request that the parser took and we do not; nothing of it has been answered. */
export function refuseDoubtful(socket: Duplex): void {
  if (!socket.writableEnded) endWith('400 Bad Request', socket);
}

function endWith(status: string | null, socket: Duplex): void {
  const connection = carriedBy(socket);
  if (status === null || connection === null || !connection.awaitsAnswer) {
    socket.destroy();
    return;
  }
  connection.abandon();
  lastWords(socket, plainAnswer(status));
}

/** Null where the client does not speak HTTP to us, or cannot hear us any more. */
function statusOf(error: unknown): string | null {
  const code = codeOf(error);
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return '408 Request Timeout';
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large';
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return '413 Content Too Large';
  const parsing = code !== null && code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE';
  return parsing && !isTls(error) ? '400 Bad Request' : null;
}

/** A handshake record on a plain http port. */
function isTls(error: unknown): boolean {
  const packet: unknown = typeof error === 'object' && error !== null && 'rawPacket' in error ? error.rawPacket : null;
  return Buffer.isBuffer(packet) && packet[0] === 22 && packet[1] === 3;
}
