/**
 * A request's head as HTTP/2 has it, and the fields of an answer as the rest of this room takes them (RFC 9113 section 8.3). What is in
 * them has been decided before; here only their form changes.
 */
import type { FlatHeaders } from './forward-contract.ts';

export interface HeadFacts {
  readonly method: string;
  /** Canonical path and query. */
  readonly path: string;
  /** Of the server: its host and port, for a request without Host. */
  readonly authority: string;
  /** With Host, where the client's is wanted. */
  readonly headers: FlatHeaders;
  readonly hasBody: boolean;
}

/** @returns name, value, name, value; pseudo-header fields first, names in lower case */
export function requestFields({ method, path, authority, headers, hasBody }: HeadFacts): string[] {
  const pseudo = [':method', method, ':scheme', 'https', ':authority', authority, ':path', path];
  const fields: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase();
    const value = headers[i + 1] ?? '';
    if (name === 'host') pseudo[5] = value;
    else if (!ofTheConnection.has(name) && (name !== 'te' || value.toLowerCase() === 'trailers')) {
      fields.push(name, value);
    }
  }
  // As over HTTP/1.1 (RFC 9110 section 8.6).
  if (!hasBody && methodsWithBody.has(method)) fields.push('content-length', '0');
  return [...pseudo, ...fields];
}

/** Without pseudo-header fields. @param raw name, value, name, value */
export function answerFields(raw: readonly string[]): Buffer[] {
  const fields: Buffer[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (!name.startsWith(':')) fields.push(Buffer.from(name, 'latin1'), Buffer.from(raw[i + 1] ?? '', 'latin1'));
  }
  return fields;
}

/** RFC 9113 section 8.2.2: a server must take a request with any of them for malformed. */
const ofTheConnection: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
const methodsWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
