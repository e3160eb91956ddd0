/**
 * Reading on after an answer that came before the request's body had ended. A connection that is closed while the client
 * still sends is reset, and the reset can destroy the answer before the client has read it (RFC 9112 section 9.6).
 */
import type { ClientRequest, ForwardLimits } from './forward-contract.ts';

/**
 * Calls `done` once: with true when the body has ended, with false when it was too much or too slow or the client left.
 * The socket tells that, because node:http forgets a request whose answer is finished. HTTP/1.1 only.
 */
export function linger(request: ClientRequest, limits: ForwardLimits, done: (drained: boolean) => void): void {
  let octets = 0;
  const finish = (drained: boolean) => {
    clearTimeout(timer);
    request.removeListener('data', count);
    request.removeListener('end', ended);
    request.socket.removeListener('close', lost);
    done(drained);
  };
  const count = (chunk: Buffer) => {
    octets += chunk.length;
    if (octets > limits.lingerBytes) finish(false);
  };
  const ended = () => finish(true);
  const lost = () => finish(false);
  const timer = setTimeout(lost, limits.lingerTimeout);
  request.on('data', count);
  request.on('end', ended);
  request.socket.on('close', lost);
  request.resume();
}
