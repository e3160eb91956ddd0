/**
 * StartTLS (RFC 4511 section 4.14): asks a server on its plain port to speak TLS. Decides that nothing else is said in clear, and
 * that nothing else is heard: an answer other than success, or one octet beyond it, ends the connection. The handshake is
 * `secure-socket.ts`' business.
 */
import type { Socket } from 'node:net';
import { reasonOf } from '../base/failure.ts';
import { createFramer } from './framing.ts';
import { resultOf, type ExtendedResult } from './message-shape.ts';
import { codeText, plainText, resultCodes } from './result-code.ts';

/** Octets of an answer; the longest diagnostic fits. */
const maximumAnswer = 16_384;

/**
 * Resolves when the server has agreed: the next octets on the socket are the handshake.
 * @param signal ends the attempt; the caller destroys the socket
 * @throws Error with what the server did instead
 */
export function startTls(socket: Socket, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const framer = createFramer(maximumAnswer);
  const settle = (error: Error | null): void => {
    socket.off('data', receive).off('error', settle).off('close', closed);
    signal.removeEventListener('abort', aborted);
    socket.pause();
    if (error === null) resolve();
    else reject(error);
  };
  const receive = (chunk: Buffer): void => {
    const messages = framer.push(chunk);
    const [answer] = messages ?? [];
    if (messages === null) return settle(new Error('the server answered StartTLS with something that is not LDAP'));
    if (answer === undefined) return;
    const fault = faultOf(resultOf(answer));
    // Whoever sits on the way could put octets here that would count as answers of the server.
    if (fault === null && (messages.length > 1 || framer.held > 0))
      return settle(new Error('the server went on in clear text after it had agreed to StartTLS'));
    settle(fault === null ? null : new Error(fault));
  };
  const closed = (): void => settle(new Error('the server closed the connection before it answered StartTLS'));
  const aborted = (): void => settle(new Error(reasonOf(signal.reason)));
  socket.on('data', receive).on('error', settle).on('close', closed);
  signal.addEventListener('abort', aborted);
  socket.write(request);
  return promise;
}

/** Why the answer is none that TLS may follow; null when it is. */
function faultOf(answer: ExtendedResult | null): string | null {
  if (answer?.id === 0) return 'the server announced that it disconnects instead of answering StartTLS';
  if (answer?.id !== messageId || (answer.name !== null && answer.name !== startTlsName))
    return 'the server answered something else than StartTLS';
  if (answer.code === resultCodes.success) return null;
  return `the server refuses StartTLS with ${codeText(answer.code, plainText(answer.diagnostic))}`;
}

const startTlsName = '1.3.6.1.4.1.1466.20037';
const messageId = 1;

/** LDAPMessage { messageID 1, extendedReq { requestName } }. */
const request = Buffer.concat([
  Buffer.from([0x30, 5 + startTlsName.length + 2, 0x02, 1, messageId, 0x77, startTlsName.length + 2]),
  Buffer.from([0x80, startTlsName.length]),
  Buffer.from(startTlsName, 'latin1'),
]);
