/**
 * Envoy's `envoy.service.auth.v3.Authorization/Check`: its request as a question, our answer as its response. Field numbers are those of
 * envoy/service/auth/v3/attribute_context.proto and external_auth.proto; fields that are not read may change as they like.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { FlatHeaders } from '../forward/forward-contract.ts';
import type { AuthAnswer } from './auth-answer.ts';
import type { AuthQuestion } from './auth-question.ts';
import { field, numberField, readFields, textOf, type TakeField } from './auth-wire.ts';

export interface CheckQuestion {
  readonly question: AuthQuestion | Verdict;
  /** Address of the client as Envoy knows it; null: it is not told. */
  readonly client: string | null;
  /** Name, value, name, value: the client's own headers. */
  readonly clientHeaders: FlatHeaders;
}

/** @returns null where the octets are no CheckRequest */
export function readCheck(message: Buffer): CheckQuestion | null {
  const found: Found = { headers: [], texts: new Map(), broken: false };
  const read = readFields(message, inMessage(found, { 1: ['attributes', attributes] }));
  if (!read || found.broken) return null;
  const { texts, headers } = found;
  const told = (name: string) => texts.get(name) || null;
  const client = told('address');
  const repeated = ['certificate', 'host', 'path', 'method'].find((name) => texts.get(`${name} again`) !== undefined);
  if (repeated !== undefined)
    return {
      question: verdict('badRequest', `the question has more than one ${repeated}`),
      client,
      clientHeaders: headers,
    };
  const accept = headers.findIndex((name, index) => index % 2 === 0 && name === 'accept');
  const question: AuthQuestion = {
    host: told('host'),
    uri: told('path'),
    method: told('method'),
    leaf: texts.get('certificate') ?? '',
    chain: '',
    accept: accept < 0 ? undefined : headers[accept + 1],
  };
  return { question, client, clientHeaders: headers };
}

interface Found {
  readonly headers: string[];
  readonly texts: Map<string, string>;
  broken: boolean;
}

/** By field number: a text and its name, or a message and what is inside. */
interface Fields {
  readonly [number: number]: readonly [name: string, inside?: Fields | 'header'];
}

/** SocketAddress has its address in field 2. */
const peer: Fields = { 1: ['address', { 1: ['socket', { 2: ['address'] }] }], 5: ['certificate'] };
/** `headers` (3) is a map; `header_map` (13) is what newer Envoys send in its place where they are told to. */
const http: Fields = {
  2: ['method'],
  3: ['headers', 'header'],
  4: ['path'],
  5: ['host'],
  13: ['header_map', { 1: ['headers', 'header'] }],
};
const attributes: Fields = { 1: ['source', peer], 4: ['request', { 2: ['http', http] }] };

/** A message that comes twice is read as the format says: the later one adds to the earlier. Texts are never replaced unseen. */
function inMessage(found: Found, fields: Fields): TakeField {
  return (number, value) => {
    const known = fields[number];
    if (known === undefined) return;
    const [name, inside] = known;
    if (inside === 'header') takeHeader(found, value);
    else if (inside !== undefined) {
      if (!readFields(value, inMessage(found, inside))) found.broken = true;
    } else {
      const text = textOf(value);
      if (text === null) found.broken = true;
      found.texts.set(found.texts.has(name) ? `${name} again` : name, text ?? '');
    }
  };
}

/** A map's entry has its key in 1 and its value in 2; HeaderValue too, with octets that need not be UTF-8 in 3. */
function takeHeader({ headers }: Found, entry: Buffer): void {
  let [name, value] = ['', ''];
  readFields(entry, (number, octets) => {
    if (number === 1) name = octets.toString('latin1');
    else if (number === 2 || number === 3) value = octets.toString('latin1');
  });
  headers.push(name.toLowerCase(), value);
}

/** google.rpc.Code. */
const codes = { ok: 0, permissionDenied: 7, unavailable: 14, unauthenticated: 16 };

/** OK goes to the backend with the identity headers; everything else goes to the client, with the status it is to see. */
export function checkResponse({ status, page, identity, facts, clear }: AuthAnswer, id: string): Buffer {
  if (status === 200) {
    const ok = [...optionsOf(identity), ...clear.map((name) => field(5, name.toLowerCase()))];
    return Buffer.concat([statusOf(codes.ok), field(3, Buffer.concat(ok))]);
  }
  const code = status === 401 ? codes.unauthenticated : status >= 500 ? codes.unavailable : codes.permissionDenied;
  const headers = [
    ...[...facts, 'X-Request-Id', id, 'Cache-Control', 'no-store'],
    ...(page === null ? [] : ['Content-Type', page.contentType]),
  ];
  const denied = [field(1, numberField(1, status)), ...optionsOf(headers), field(3, page?.body ?? '')];
  return Buffer.concat([statusOf(code), field(2, Buffer.concat(denied))]);
}

function statusOf(code: number): Buffer {
  return field(1, numberField(1, code));
}

/**
 * HeaderValueOption: OVERWRITE_IF_EXISTS_OR_ADD in `append_action` (3), because its default appends. Envoys that do not know the field yet
 * overwrite by themselves.
 */
function optionsOf(headers: FlatHeaders): readonly Buffer[] {
  const options: Buffer[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase();
    const header = Buffer.concat([field(1, name), field(2, headers[index + 1] ?? '')]);
    options.push(field(2, Buffer.concat([field(1, header), numberField(3, overwrite)])));
  }
  return options;
}

const overwrite = 2;
