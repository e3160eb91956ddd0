/**
 * What an error of the upstream's side means for a request that has no answer yet.
 */
import { codeOf, reasonOf } from '../base/failure.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';

/** @param started the request was being written, so a connection was there */
export function failureOf(error: unknown, started: boolean, origin: string): Verdict {
  const code = codeOf(error) ?? '';
  const reason = `${origin}: ${reasonOf(error)}${code === '' ? '' : ` (${code})`}`;
  if (ourMistakes.has(code)) return verdict('internalError', `undici refused a request that was admitted: ${reason}`);
  if (!started) return verdict('upstreamUnavailable', reason);
  return verdict(code === 'UND_ERR_HEADERS_TIMEOUT' ? 'upstreamTimeout' : 'upstreamFailed', reason);
}

/** Whether the connection was gone before the upstream can have looked at the request (RFC 9112 section 9.3.1). */
export function isLostConnection(error: unknown): boolean {
  return lostConnections.has(codeOf(error) ?? '');
}

const ourMistakes: ReadonlySet<string> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);
const lostConnections: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
