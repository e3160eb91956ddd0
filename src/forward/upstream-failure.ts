/**
 * What an error of the upstream's side means for a request that has no answer yet, and what a person can do about it. Whether the request
 * may be sent once more is asked here and decided in `forwarding.ts`.
 */
import { errors } from 'undici';
import { codeOf, reasonOf } from '../base/failure.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';

/** @param started the request was being written, so a connection was there; @param server as messages call it */
export function failureOf(error: unknown, started: boolean, server: string): Verdict {
  const code = codeOf(error) ?? '';
  const reason = `${server}: ${explainAt(server, error)}`;
  if (ourMistakes.has(code)) return verdict('internalError', `undici refused a request that was admitted: ${reason}`);
  if (slow.has(code)) return verdict('upstreamTimeout', reason);
  return verdict(started ? 'upstreamFailed' : 'upstreamUnavailable', reason);
}

/**
 * As `explain`, where a connection stood. In TLS 1.3 the server judges our certificate after the handshake is over for us (RFC 8446 section 4.4.2.4), and
 * undici tells the end of the connection in place of the alert.
 * @param server begins with its scheme
 */
export function explainAt(server: string, error: unknown): string {
  const mute = error instanceof errors.SocketError && error.socket?.bytesRead === 0 && server.startsWith('https:');
  return mute
    ? `${explain(error)}: before any answer, as servers do that want another certificate of ours`
    : explain(error);
}

/** The reason, its code, and what to do where that is known. One line. */
export function explain(error: unknown): string {
  const code = codeOf(error) ?? '';
  const text = withoutNoise(reasonOf(error));
  // Where a name has several addresses, each has a reason of its own.
  const all =
    error instanceof AggregateError ? [...new Set(error.errors.map(reasonOf).map(withoutNoise))].join('; ') : '';
  const reason = all === '' ? text : all;
  const remedy = remedies.get(code) ?? (/^ERR_(?:SSL|TLS)|^EPROTO$/.test(code) ? tlsRemedy(code) : '');
  return `${reason}${code === '' ? '' : ` (${code})`}${remedy === '' ? '' : `: ${remedy}`}`;
}

/** What OpenSSL writes around its reasons (`...:SSL routines:function:REASON:file:line:`), and the advice that Node adds to them for its own command line. */
function withoutNoise(text: string): string {
  return text
    .replace(/^[0-9A-F]+:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):.*$/, '$1')
    .replace(/; if the root CA is installed locally, try running Node\.js with --use-system-ca$/, '');
}

/** Nothing of a request can have been sent, and another server may do better. */
export function isUnreachable(error: unknown, started: boolean): boolean {
  const code = codeOf(error) ?? '';
  return !started && !ourMistakes.has(code) && !ended.has(code);
}

/** Whether the connection was gone before the upstream can have looked at the request (RFC 9112 section 9.3.1). */
export function isLostConnection(error: unknown): boolean {
  return lostConnections.has(codeOf(error) ?? '');
}

const ourMistakes: ReadonlySet<string> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);
const lostConnections: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
/** RFC 9110 section 15.6.5 makes no difference between a slow connection and a slow answer. */
const slow: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);
/** The upstream is being closed by us. */
const ended: ReadonlySet<string> = new Set(['UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);

const unknownIssuer =
  'its certificate comes from no trusted root: name the root of its issuer under `tls.roots` of the upstream';

const remedies: ReadonlyMap<string, string> = new Map([
  ['CERT_HAS_EXPIRED', 'its certificate has expired: renew it there'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet: compare the clocks'],
  ['CERT_REVOKED', 'its certificate is revoked: renew it there'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', unknownIssuer],
  ['EACCES', 'this account may not open it'],
  ['EAI_AGAIN', 'the name server does not answer'],
  ['ECONNREFUSED', 'nobody listens there'],
  ['ENOENT', 'there is no such Unix socket'],
  ['ENOTFOUND', 'the name server does not know the host'],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'its certificate is for other names: write one of them as `tls.serverName` of the upstream, or give a certificate for this one to the server',
  ],
  ['INVALID_PURPOSE', 'its certificate is not one of a server: its extended key usage must contain serverAuth'],
  ['SELF_SIGNED_CERT_IN_CHAIN', unknownIssuer],
  ['UNABLE_TO_GET_ISSUER_CERT', unknownIssuer],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', unknownIssuer],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', unknownIssuer],
]);

/** OpenSSL's names of alerts (RFC 8446 section 6) and of octets that are no TLS. */
function tlsRemedy(code: string): string {
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN/.test(code)) {
    return 'it does not accept how we show ourselves: look at `tls.certificate` of the upstream';
  }
  return /WRONG_VERSION_NUMBER|PACKET_LENGTH|HTTP_REQUEST/.test(code)
    ? 'it does not speak TLS: is its origin http?'
    : '';
}
