/**
 * What of a client's header fields may go upstream. Removed are the names that only this gateway writes (in every
 * spelling, `protected-names.ts`), fields that belong to the client's own connection (RFC 9110 section 7.6.1, also those
 * it lists itself in `Connection`), HTTP/2 pseudo fields, and other spellings of the fields that frame a message. A
 * message that two parties could read in two ways is refused, never repaired. `X-HTTP-Method-Override` and its kin pass: they change what is asked
 * of the backend, not who asks, and no rule of the gateway depends on the method.
 *
 * What the gateway adds is added afterwards, so that a client cannot have it removed again.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { foldName, isFieldValue, isToken } from './field-syntax.ts';
import type { FlatHeaders, HeaderNames } from './forward-contract.ts';
import type { NameMemory } from './name-memory.ts';
import { rememberNames } from './name-memory.ts';
import { protectedNames } from './protected-names.ts';

export interface SanitizerSettings {
  readonly names: HeaderNames;
  /** Further names that no client may send; exact, or with a star at the end. */
  readonly protectedNames?: readonly string[];
}

/** A request's fields without what may not pass, and what the removed ones said about the message. */
export interface CleanHeaders {
  /** Belongs to the caller from now on: what the gateway writes is pushed to it. */
  readonly headers: string[];
  /** The Host field, in HTTP/2 the authority; null when there is neither. */
  readonly host: string | null;
  readonly contentLength: number | null;
  /** Transfer-Encoding was `chunked`. */
  readonly chunked: boolean;
  /** The client waits for a 100 before it sends its body. */
  readonly expectContinue: boolean;
}

export interface Sanitizer {
  /** @param raw name, value, name, value as they arrived (`rawHeaders`) */
  request(raw: FlatHeaders): CleanHeaders | Verdict;
  /** @param raw as `rawTrailers`; the fields of RFC 9110 section 6.5.1 that are no trailers go too */
  trailers(raw: FlatHeaders): string[] | Verdict;
}

export function createSanitizer(settings: SanitizerSettings): Sanitizer {
  const isProtected = protectedNames(settings.names, settings.protectedNames);
  const actions = rememberNames((name) => actionFor(name, isProtected));
  return {
    request: (raw) => cleanRequest(raw, actions),
    trailers: (raw) => cleanTrailers(raw, actions),
  };
}

/** What becomes of a field, known from its name alone. */
type Action =
  | 'keep'
  | 'drop'
  | 'malformed'
  | 'authority'
  | 'host'
  | 'content-length'
  | 'transfer-encoding'
  | 'connection'
  | 'cookie'
  | 'expect';

function actionFor(name: string, isProtected: (folded: string) => boolean): Action {
  if (name.startsWith(':')) return name === ':authority' ? 'authority' : 'drop';
  // RFC 9112 section 5.1: a blank between name and colon must be refused, whoever let it come this far.
  if (!isToken(name)) return 'malformed';
  const lower = name.toLowerCase();
  const special = specialFields.get(lower);
  if (special !== undefined) return special;
  const folded = foldName(name);
  if (isProtected(folded) || connectionFields.has(folded) || folded.startsWith('proxy-')) return 'drop';
  // `Content_Length` and the like: to a CGI backend the same variable as the field that frames the message.
  return specialFields.has(folded) ? 'drop' : 'keep';
}

const specialFields: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['connection', 'connection'],
  ['content-length', 'content-length'],
  ['cookie', 'cookie'],
  ['expect', 'expect'],
  ['host', 'host'],
  ['transfer-encoding', 'transfer-encoding'],
]);

/** RFC 9110 section 7.6.1, and RFC 7540 section 3.2.1 for HTTP2-Settings. */
const connectionFields: ReadonlySet<string> = new Set(['http2-settings', 'keep-alive', 'te', 'trailer', 'upgrade']);

function cleanRequest(raw: FlatHeaders, actions: NameMemory<Action>): CleanHeaders | Verdict {
  const headers: string[] = [];
  let host: string | null = null;
  let authority: string | null = null;
  let contentLength: number | null = null;
  let chunked = false;
  let expectContinue = false;
  let cookieAt = -1;
  let listed: Set<string> | null = null;

  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    const action = actions.of(name);
    if (action === 'malformed' || !isFieldValue(value)) return bad('a header field is not well-formed');
    switch (action) {
      case 'keep':
        headers.push(name, value);
        break;
      case 'drop':
        break;
      case 'authority':
        authority = value;
        break;
      case 'host':
        if (host !== null) return bad('there is more than one Host field');
        host = value;
        break;
      case 'content-length':
        if (contentLength !== null) return bad('there is more than one Content-Length field');
        if (!/^\d{1,15}$/.test(value)) return bad('Content-Length is not a number');
        contentLength = Number(value);
        break;
      case 'transfer-encoding':
        if (chunked || value.toLowerCase() !== 'chunked') return bad('the transfer coding is not plain chunked');
        chunked = true;
        break;
      case 'connection':
        listed = addListed(listed, value);
        break;
      case 'cookie':
        // RFC 9113 section 8.2.3: crumbs of HTTP/2 become one field again before they enter HTTP/1.1.
        if (cookieAt < 0) cookieAt = headers.push(name, value) - 1;
        else headers[cookieAt] += `; ${value}`;
        break;
      case 'expect':
        if (value.toLowerCase() !== '100-continue')
          return verdict('expectationFailed', 'Expect asks for something else');
        expectContinue = true;
        break;
    }
  }
  // RFC 9112 section 6.1: both at once is how requests are smuggled.
  if (chunked && contentLength !== null) return bad('there are both Transfer-Encoding and Content-Length');
  if (host !== null && authority !== null && host.toLowerCase() !== authority.toLowerCase()) {
    return verdict('hostMismatch', 'the Host field and the :authority of the request differ');
  }
  return {
    headers: listed === null ? headers : withoutListed(headers, listed),
    host: host ?? authority,
    contentLength,
    chunked,
    expectContinue,
  };
}

function cleanTrailers(raw: FlatHeaders, actions: NameMemory<Action>): string[] | Verdict {
  const trailers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    const action = actions.of(name);
    if (action === 'malformed' || !isFieldValue(value)) return bad('a trailer field is not well-formed');
    if (action === 'keep' && !neverTrailers.has(foldName(name))) trailers.push(name, value);
  }
  return trailers;
}

/** RFC 9110 section 6.5.1: framing, routing, authentication, request modifiers, and what describes the content. */
export const neverTrailers: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expires',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'location',
  'max-forwards',
  'pragma',
  'range',
  'retry-after',
  'set-cookie',
  'vary',
  'warning',
  'www-authenticate',
]);

/** Options that only speak of the connection name nothing that is not dropped anyway. */
const plainOptions: ReadonlySet<string> = new Set(['close', 'keep-alive', 'upgrade', 'te', 'http2-settings', '']);

function addListed(listed: Set<string> | null, value: string): Set<string> | null {
  let names = listed;
  for (const option of value.split(',')) {
    const folded = foldName(option.trim());
    if (!plainOptions.has(folded)) (names ??= new Set()).add(folded);
  }
  return names;
}

function withoutListed(headers: readonly string[], listed: ReadonlySet<string>): string[] {
  const rest: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!listed.has(foldName(name))) rest.push(name, headers[i + 1] ?? '');
  }
  return rest;
}

function bad(detail: string): Verdict {
  return verdict('badRequest', detail);
}
