/**
 * Requests in HTTP/2 that would be others in HTTP/1.1, with what becomes of each. A table; `smuggling.test.ts` sends them.
 */
import { block, data, endHeaders, endStream, frame, headers } from '../support/http2-wire.ts';
import type { Fields } from '../support/http2-wire.ts';
import { sent } from './http1-rows.ts';

export interface Http2Row {
  readonly name: string;
  /** Frames of stream 1. `{host}` in fields is replaced by the host and port of the binding. */
  readonly sends: (host: string) => readonly Buffer[];
  /** A status, or how stream 1 ended without one. */
  readonly ends: number | 'reset' | 'gone';
  /** The whole of what the backend received. */
  readonly backend: string;
  readonly unfinished?: true;
}

type Change = (fields: Fields) => Fields;

function base(host: string, method = 'GET', path = '/h2'): Fields {
  return [
    [':method', method],
    [':scheme', 'https'],
    [':authority', host],
    [':path', path],
  ];
}

const set =
  (name: string, value: string): Change =>
  (fields) =>
    fields.map((field) => (field[0] === name ? [name, value] : field));
const add =
  (...more: Fields): Change =>
  (fields) => [...fields, ...more];
const without =
  (name: string): Change =>
  (fields) =>
    fields.filter(([other]) => other !== name);

/** A request without a body. */
function row(name: string, change: Change, ends: Http2Row['ends'], backend = ''): Http2Row {
  const named = (fields: Fields, host: string): Fields =>
    fields.map(([key, value]) => [key, value.replace('{host}', host)]);
  return { name: `HTTP/2: ${name}`, sends: (host) => [headers(1, named(change(base(host)), host))], ends, backend };
}

/** nghttp2 leaves out a regular field that is malformed (RFC 9113 section 8.2.1 lets a server treat it so or reset): it is nobody's field then. */
function dropped(name: string, change: Change): Http2Row {
  return row(name, change, 200, sent('GET /h2'));
}

/** A request with a body. */
function post(name: string, fields: Fields, frames: readonly Buffer[], ends: Http2Row['ends'], backend = ''): Http2Row {
  return {
    name: `HTTP/2: ${name}`,
    sends: (host) => [headers(1, [...base(host, 'POST'), ...fields], true), ...frames],
    ends,
    backend,
  };
}

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

export const http2Rows: readonly Http2Row[] = [
  dropped('CR LF in a value', add(['a', `b\r\nX-Remote-User: root`])),
  dropped('LF in a value', add(['a', 'b\nc'])),
  dropped('CR in a value', add(['a', 'b\rc'])),
  dropped('NUL in a value', add(['a', 'b\0c'])),
  dropped('a request in a value', add(['a', `b\r\n\r\n${smuggled}`])),
  dropped('blank before a value', add(['a', ' b'])),
  dropped('blank behind a value', add(['a', 'b '])),
  dropped('CR LF in a name', add(['a: b\r\nx-remote-user', 'root'])),
  dropped('colon in a name', add(['x-remote-user: root\r\na', 'b'])),
  dropped('blank in a name', add(['x-remote-user ', 'root'])),
  dropped('NUL in a name', add(['a\0', 'b'])),
  dropped('empty name', add(['', 'b'])),
  row('upper case in a name', add(['X-Remote-User', 'root']), 'reset'),
  dropped('octet beyond ASCII in a name', add(['\xe4', 'b'])),
  row('transfer-encoding: chunked', add(['transfer-encoding', 'chunked']), 'reset'),
  row('connection: close', add(['connection', 'close']), 'reset'),
  row('connection names x-request-id', add(['connection', 'x-request-id']), 'reset'),
  row('keep-alive', add(['keep-alive', 'timeout=5']), 'reset'),
  row('proxy-connection', add(['proxy-connection', 'close']), 'reset'),
  row('upgrade: h2c', add(['upgrade', 'h2c']), 'reset'),
  row('te: gzip', add(['te', 'gzip']), 'reset'),
  row('te: trailers', add(['te', 'trailers']), 200, sent('GET /h2')),
  row('transfer_encoding', add(['transfer_encoding', 'chunked']), 200, sent('GET /h2')),
  row('http2-settings', add(['http2-settings', 'AAMAAABkAAQAAP__']), 200, sent('GET /h2')),
  row(':method twice', add([':method', 'POST']), 'reset'),
  row(':path twice', add([':path', '/smuggled']), 'reset'),
  row(':authority twice', add([':authority', 'evil.test']), 'reset'),
  row('pseudo header behind a regular one', (fields) => [['a', 'b'], ...fields], 'reset'),
  row('unknown pseudo header', add([':remote-user', 'root']), 'reset'),
  row(':status in a request', add([':status', '200']), 'reset'),
  row(':protocol without extended CONNECT', add([':protocol', 'websocket']), 'reset'),
  row('no :method', without(':method'), 'reset'),
  row('no :path', without(':path'), 'reset'),
  row('no :scheme', without(':scheme'), 'reset'),
  row('neither :authority nor host', without(':authority'), 'reset'),
  row(':path without a slash', set(':path', 'h2'), 'reset'),
  row(':path empty', set(':path', ''), 'reset'),
  row(':path with a blank', set(':path', '/h2 HTTP/1.1'), 'reset'),
  row(':path with CR LF', set(':path', `/h2 HTTP/1.1\r\nX-Remote-User: root\r\n\r\n${smuggled}`), 'reset'),
  row(':path with a NUL', set(':path', '/h2\0'), 'reset'),
  row(':path that is a URL', set(':path', 'http://evil.test/h2'), 'reset'),
  row(':path that is an asterisk', set(':path', '*'), 'reset'),
  row(':path with a fragment', set(':path', '/h2#x'), 400),
  row(':path with letters beyond ASCII', set(':path', '/h\xe4'), 400),
  row(':method with a blank', set(':method', 'GET /smuggled HTTP/1.1'), 'reset'),
  row(':method with CR LF', set(':method', `GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\nGET`), 'reset'),
  row(':method empty', set(':method', ''), 'reset'),
  row(':method TRACE', set(':method', 'TRACE'), 405),
  row(':method TRACK', set(':method', 'TRACK'), 405),
  row(':method trace', set(':method', 'trace'), 405),
  row(':method PRI', set(':method', 'PRI'), 405),
  row(':method CONNECT', set(':method', 'CONNECT'), 'reset'),
  row(':scheme with a URL', set(':scheme', 'http://evil.test/x?'), 'reset'),
  row(':scheme that is none', set(':scheme', 'ftp'), 200, sent('GET /h2')),
  row(':scheme http over TLS', set(':scheme', 'http'), 200, sent('GET /h2')),
  row(':scheme with CR LF', set(':scheme', 'https\r\na'), 'reset'),
  row(':authority with a user', set(':authority', 'user@127.0.0.1'), 'reset'),
  row(':authority with a path', set(':authority', '127.0.0.1/x'), 'reset'),
  row(':authority with a blank', set(':authority', '127.0.0.1 x'), 'reset'),
  row(':authority with CR LF', set(':authority', '127.0.0.1\r\nX-Remote-User: root'), 'reset'),
  row(':authority and another host', add(['host', 'evil.test']), 400),
  row('host twice', (fields) => [...without(':authority')(fields), ['host', '{host}'], ['host', 'evil.test']], 'reset'),
  row('host alone', (fields) => [...without(':authority')(fields), ['host', '{host}']], 200, sent('GET /h2')),
  row('crumbs of a cookie', add(['cookie', 'a=b'], ['cookie', 'c=d']), 200, sent('GET /h2', ['cookie: a=b; c=d'])),
  row('content-length without a body', add(['content-length', '5']), 'reset'),
  row('content-length that is no number', add(['content-length', '5, 5']), 'reset'),
  row('content-length twice', add(['content-length', '0'], ['content-length', '5']), 'reset'),
  row('expect: 100-continue and no body', add(['expect', '100-continue']), 200, sent('GET /h2')),
  row('expect: something else', add(['expect', '200-ok']), 417),
  post('H2.CL: content-length shorter than the body', [['content-length', '0']], [data(1, smuggled)], 'gone'),
  post(
    'H2.CL: content-length shorter than the body, not zero',
    [['content-length', '5']],
    [data(1, `hello${smuggled}`)],
    'gone',
  ),
  {
    ...post(
      'H2.CL: content-length longer than the body',
      [['content-length', '500']],
      [data(1, 'hello')],
      'reset',
      sent('POST /h2', [], ['content-length: 500']) + 'hello',
    ),
    unfinished: true,
  },
  post(
    'H2.TE: transfer-encoding with a body',
    [['transfer-encoding', 'chunked']],
    [data(1, `0\r\n\r\n${smuggled}`)],
    'reset',
  ),
  post(
    'a body that looks like chunks and a request is a body',
    [],
    [data(1, `0\r\n\r\n${smuggled}`)],
    200,
    `${sent('POST /h2', [], ['transfer-encoding: chunked'])}28\r\n0\r\n\r\n${smuggled}\r\n0\r\n\r\n`,
  ),
  post(
    'trailers that name identity headers',
    [],
    [
      data(1, 'hello', true),
      headers(1, [
        ['x-remote-user', 'root'],
        ['x_client_verify', 'SUCCESS'],
      ]),
    ],
    200,
    `${sent('POST /h2', [], ['transfer-encoding: chunked'])}5\r\nhello\r\n0\r\n\r\n`,
  ),
  {
    ...post(
      'pseudo header among the trailers',
      [],
      [data(1, 'hello', true), headers(1, [[':path', '/smuggled']])],
      'reset',
      `${sent('POST /h2', [], ['transfer-encoding: chunked'])}5\r\nhello\r\n`,
    ),
    unfinished: true,
  },
  row('header list beyond its limit', add(['a', 'b'.repeat(16_000)], ['c', 'd'.repeat(20_000)]), 'gone'),
  row(
    'a list of many fields',
    add(...Array.from({ length: 300 }, (_, index): [string, string] => [`a${index}`, 'b'])),
    'reset',
  ),
  {
    name: 'HTTP/2: CONTINUATION flood (CVE-2024-27316 and kin)',
    sends: (host) => [
      frame('headers', endStream, 1, block(base(host))),
      ...Array.from({ length: 200 }, () => frame('continuation', 0, 1, block([['a', 'b'.repeat(1000)]]))),
    ],
    ends: 'gone',
    backend: '',
  },
  {
    name: 'HTTP/2: a head in many CONTINUATION frames',
    sends: (host) => [
      frame('headers', endStream, 1, block(base(host))),
      frame('continuation', 0, 1, block([['a', 'b']])),
      frame('continuation', endHeaders, 1, block([['x-remote-user', 'root']])),
    ],
    ends: 200,
    backend: sent('GET /h2', ['a: b']),
  },
  {
    name: 'HTTP/2: DATA before HEADERS',
    sends: () => [data(1, smuggled)],
    ends: 'gone',
    backend: '',
  },
];
