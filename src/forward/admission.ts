/**
 * The last look at a request before it is dispatched. undici throws at what it does not like, after the request was
 * given a connection; here each of these cases is a refusal with a code of its own, and what undici would let pass
 * although no backend should see it is refused as well.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { isFieldValue, isToken } from './field-syntax.ts';
import type { FlatHeaders } from './forward-contract.ts';
import { rememberNames } from './name-memory.ts';

/** @param path canonical path and query; @param headers without Host and Content-Length, which are added at the dispatch */
export function admit(method: string, path: string, host: string | null, headers: FlatHeaders): Verdict | null {
  if (!plainMethods.has(method)) {
    if (!isToken(method)) return verdict('badRequest', 'the method is not a token');
    if (refusedMethods.has(method.toUpperCase())) return verdict('methodNotAllowed', `${method} is never forwarded`);
  }
  if (!requestTarget.test(path)) return verdict('pathNotCanonical', 'the path is not a slash and visible ASCII');
  if (host !== null && !isFieldValue(host)) return verdict('badRequest', 'the host is not a field value');
  if (headers.length % 2 !== 0) return verdict('badRequest', 'a header name stands without its value');
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!sendable.of(name)) return verdict('badRequest', 'a header name is not a token or belongs to the connection');
    if (!isFieldValue(headers[i + 1] ?? '')) return verdict('badRequest', `header ${name} has a forbidden character`);
  }
  return null;
}

const plainMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

/**
 * CONNECT makes a tunnel, TRACE and IIS' TRACK show the identity headers to the client's scripts, PRI opens HTTP/2
 * (RFC 9113 section 11.6). Compared without case, as careless backends do.
 */
const refusedMethods: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK', 'PRI']);

/** Origin form (RFC 9112 section 3.2.1). So `OPTIONS *` and absolute URLs do not pass, nor does a fragment. */
const requestTarget = /^\/[\u0021\u0022\u0024-\u007e]*$/;

/** What undici writes itself or refuses. */
const ofTheConnection: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

/** A fact about the name alone, so one memory serves everybody. */
const sendable = rememberNames((name) => isToken(name) && !ofTheConnection.has(name.toLowerCase()));
