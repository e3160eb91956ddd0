/**
 * The last thing a refused client is told. The connection then lingers a moment: closing at once, with bytes of the
 * client unread, makes the system send a reset that overtakes the answer.
 */
import type { Duplex } from 'node:stream';

/** How long, in milliseconds, a refused client may take to read and to close. */
const lingerMillis = 1000;

/** Writes, ends, drops what still comes in, and destroys the socket when the client has closed or time is up. */
export function lastWords(socket: Duplex, bytes: Buffer | string): void {
  const timer = setTimeout(() => socket.destroy(), lingerMillis);
  socket.once('close', () => clearTimeout(timer));
  socket.end(bytes);
  socket.resume();
}

/** A complete HTTP/1.1 answer. */
export function plainAnswer(status: string, body = ''): string {
  const length = Buffer.byteLength(body);
  return `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`;
}
