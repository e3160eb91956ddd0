/**
 * Requests that two readers of HTTP/1.1 could read in two ways, with what becomes of each. A table; `smuggling.test.ts` sends them.
 */

/** One attack. `{host}` stands for the host and port of the binding in all texts. */
export interface Row {
  /** The class of the attack, or its advisory. */
  readonly name: string;
  /** What the client sends; the next piece only after an answer. */
  readonly sends: readonly string[];
  /** Status of each answer, interim ones too. */
  readonly answers: readonly number[];
  /** Whether the connection is over then, or takes another request. */
  readonly after: 'closed' | 'goes on';
  /** The whole of what the backend received for it, with `{id}` for the request's id. */
  readonly backend: string;
  /** The backend may have received only the beginning of that: the request never became whole. */
  readonly unfinished?: true;
  /** Answers have no body. */
  readonly toHead?: boolean;
}

/** What is hidden behind most attacks: it must never become a request of its own. */
export const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: {host}\r\nX-Remote-User: LAB\\administrator\r\n\r\n';

/** Lines of a head, with the empty line behind them. */
export function head(...lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** A head that names the host first. */
function ask(line: string, ...fields: readonly string[]): string {
  return head(line, 'Host: {host}', ...fields);
}

/** A head as the gateway writes it: its own fields behind those of the client, and what frames the body last. */
export function sent(line: string, fields: readonly string[] = [], framing: readonly string[] = []): string {
  const kept = framing.includes('connection: close');
  return head(
    `${line} HTTP/1.1`,
    'host: {host}',
    kept ? 'connection: close' : 'connection: keep-alive',
    ...fields,
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-Proto: {scheme}',
    'X-Forwarded-Host: {host}',
    'X-Request-Id: {id}',
    'X-Client-Verify: NONE',
    ...framing.filter((field) => field !== 'connection: close'),
  );
}

/** Refused, nothing reaches the backend, and what follows is not read as a request. */
function refused(name: string, bytes: string, status = 400): Row {
  return { name, sends: [bytes], answers: [status], after: 'closed', backend: '' };
}

/** Refused as a request, well framed: the connection goes on. */
function declined(name: string, bytes: string, status = 400): Row {
  return { name, sends: [bytes], answers: [status], after: 'goes on', backend: '' };
}

/** Made harmless: the backend gets this and nothing else. */
function harmless(name: string, bytes: string, backend: string, answers: readonly number[] = [200]): Row {
  return { name, sends: [bytes], answers, after: 'goes on', backend };
}

/** As `harmless`, but nothing more is read on the connection. */
function last(name: string, bytes: string, backend: string): Row {
  return { ...harmless(name, bytes, backend), after: 'closed' };
}

/** The connection ends without an answer, the backend gets nothing. */
function nothing(name: string, bytes: string): Row {
  return { name, sends: [bytes], answers: [], after: 'closed', backend: '' };
}

const te = (value: string) => ask('POST /te HTTP/1.1', `Transfer-Encoding: ${value}`) + `0\r\n\r\n${smuggled}`;
const cl = (value: string) => ask('POST /cl HTTP/1.1', `Content-Length: ${value}`) + `hello${smuggled}`;
const chunks = (body: string) => ask('POST /chunks HTTP/1.1', 'Transfer-Encoding: chunked') + body + smuggled;
const get = (field: string) => ask('GET /field HTTP/1.1', field) + smuggled;
const line = (text: string) => ask(text) + smuggled;
const host = (...fields: readonly string[]) => head('GET /host HTTP/1.1', ...fields);

const both = (order: 'cl' | 'te') => {
  const fields = ['Content-Length: 6', 'Transfer-Encoding: chunked'];
  return ask('POST /both HTTP/1.1', ...(order === 'cl' ? fields : fields.toReversed())) + `0\r\n\r\nG`;
};

export const framing: readonly Row[] = [
  refused('CL.TE: Content-Length before Transfer-Encoding', both('cl') + smuggled),
  refused('TE.CL: Transfer-Encoding before Content-Length', both('te') + smuggled),
  refused(
    'CL.TE with a Content-Length of zero',
    ask('POST /x HTTP/1.1', 'Content-Length: 0', 'Transfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    'TE.CL in a GET',
    ask('GET /x HTTP/1.1', 'Transfer-Encoding: chunked', 'Content-Length: 3') + `0\r\n\r\n${smuggled}`,
  ),
  refused('TE: xchunked', te('xchunked')),
  refused('TE: chunked behind a vertical tab', te('\x0bchunked')),
  refused('TE: chunked before a vertical tab', te('chunked\x0b')),
  refused('TE: chunked, identity', te('chunked, identity')),
  refused('TE: identity, chunked', te('identity, chunked')),
  refused('TE: identity', te('identity')),
  refused('TE: gzip, chunked', te('gzip, chunked')),
  refused('TE: chunked, chunked', te('chunked, chunked')),
  refused('TE: trailing comma', te('chunked,')),
  refused('TE: leading comma', te(',chunked')),
  refused('TE: quoted', te('"chunked"')),
  refused('TE: with a parameter', te('chunked;foo=bar')),
  refused('TE: NUL behind chunked', te('chunked\0')),
  refused('TE: empty', te('')),
  refused('TE: cow', te('cow')),
  refused(
    'TE twice',
    ask('POST /te HTTP/1.1', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    'TE twice, identity last',
    ask('POST /te HTTP/1.1', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    'TE twice, cow first',
    ask('POST /te HTTP/1.1', 'Transfer-Encoding: cow', 'Transfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused('TE on a folded line', ask('POST /te HTTP/1.1', 'Transfer-Encoding:\r\n chunked') + `0\r\n\r\n${smuggled}`),
  refused(
    'TE folded into another field',
    ask('POST /te HTTP/1.1', 'X: y\r\n Transfer-Encoding: chunked', 'Content-Length: 0') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    'TE with a blank before the colon',
    ask('POST /te HTTP/1.1', 'Transfer-Encoding : chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    'TE behind a blank',
    ask('POST /te HTTP/1.1', 'X: y', ' Transfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    'TE with a tab before the colon',
    ask('POST /te HTTP/1.1', 'Transfer-Encoding\t: chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused('TE behind a bare CR', ask('POST /te HTTP/1.1', 'X: y\rTransfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`),
  refused('TE behind a bare LF', ask('POST /te HTTP/1.1', 'X: y\nTransfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`),
  refused(
    'TE in HTTP/1.0',
    head('POST /te HTTP/1.0', 'Host: {host}', 'Connection: keep-alive', 'Transfer-Encoding: chunked') +
      `0\r\n\r\n${smuggled}`,
  ),
  refused(
    'CL beside gzip, chunked',
    ask('POST /te HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: gzip, chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    'CL beside identity',
    ask('POST /te HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: identity') + `hello${smuggled}`,
  ),
  harmless(
    'TE: CHUNKED in capitals',
    ask('POST /te HTTP/1.1', 'Transfer-Encoding: CHUNKED') + '5\r\nhello\r\n0\r\n\r\n',
    sent('POST /te', [], ['transfer-encoding: chunked']) + '5\r\nhello\r\n0\r\n\r\n',
  ),
  harmless(
    'TE: chunked behind a tab',
    ask('POST /te HTTP/1.1', 'Transfer-Encoding:\tchunked') + '5\r\nhello\r\n0\r\n\r\n',
    sent('POST /te', [], ['transfer-encoding: chunked']) + '5\r\nhello\r\n0\r\n\r\n',
  ),
  harmless(
    'Transfer_Encoding beside Content-Length',
    ask('POST /te HTTP/1.1', 'Transfer_Encoding: chunked', 'Content-Length: 5') + 'hello',
    sent('POST /te', [], ['content-length: 5']) + 'hello',
  ),
  harmless('Transfer.Encoding beside nothing', ask('GET /te HTTP/1.1', 'Transfer.Encoding: chunked'), sent('GET /te')),
  harmless('Content_Length beside nothing', ask('GET /cl HTTP/1.1', 'Content_Length: 500'), sent('GET /cl')),
  harmless(
    'Content-Length. beside Content-Length',
    ask('POST /cl HTTP/1.1', 'Content-Length.: 0', 'Content-Length: 5') + 'hello',
    sent('POST /cl', [], ['content-length: 5']) + 'hello',
  ),
  refused(
    'CL twice, the same',
    ask('POST /cl HTTP/1.1', 'Content-Length: 5', 'Content-Length: 5') + `hello${smuggled}`,
  ),
  refused(
    'CL twice, different',
    ask('POST /cl HTTP/1.1', 'Content-Length: 0', 'Content-Length: 5') + `hello${smuggled}`,
  ),
  refused('CL as a list', cl('5, 5')),
  refused('CL as a list of different numbers', cl('0, 5')),
  refused('CL with a plus', cl('+5')),
  refused('CL with a minus', cl('-5')),
  refused('CL with a blank inside', cl('5 0')),
  refused('CL in hex', cl('0x5')),
  refused('CL with a fraction', cl('5.0')),
  refused('CL with an exponent', cl('5e0')),
  refused('CL with an underscore', cl('5_0')),
  refused('CL quoted', cl('"5"')),
  refused('CL empty', cl('')),
  refused('CL beyond 64 bits', cl('18446744073709551621')),
  refused('CL of forty digits', cl('5'.repeat(40))),
  refused('CL in full-width digits', cl('\xef\xbc\x95')),
  refused('CL behind a NUL', cl('\x005')),
  refused('CL on a folded line', ask('POST /cl HTTP/1.1', 'Content-Length:\r\n 5') + `hello${smuggled}`),
  refused('CL with a blank before the colon', ask('POST /cl HTTP/1.1', 'Content-Length : 5') + `hello${smuggled}`),
  refused('CL behind a vertical tab', cl('\x0b5')),
  harmless(
    'CL with leading zeros',
    ask('POST /cl HTTP/1.1', 'Content-Length: 0000000005') + 'hello',
    sent('POST /cl', [], ['content-length: 5']) + 'hello',
  ),
  harmless(
    'CL among blanks',
    ask('POST /cl HTTP/1.1', 'Content-Length: \t 5 \t') + 'hello',
    sent('POST /cl', [], ['content-length: 5']) + 'hello',
  ),
  harmless(
    'CL with GET: the body stays a body, and the backend is told to close',
    ask('GET /cl HTTP/1.1', 'Content-Length: 14') + 'GET /x HTTP/1.',
    sent('GET /cl', [], ['connection: close', 'content-length: 14']) + 'GET /x HTTP/1.',
  ),
  harmless(
    'a whole request as body of a GET',
    ask('GET /cl HTTP/1.1', 'Content-Length: 26') + 'GET /smuggled HTTP/1.1\r\n\r\n',
    sent('GET /cl', [], ['connection: close', 'content-length: 26']) + 'GET /smuggled HTTP/1.1\r\n\r\n',
  ),
  harmless(
    'chunks with DELETE',
    ask('DELETE /cl HTTP/1.1', 'Transfer-Encoding: chunked') + '3\r\nabc\r\n0\r\n\r\n',
    sent('DELETE /cl', [], ['connection: close', 'transfer-encoding: chunked']) + '3\r\nabc\r\n0\r\n\r\n',
  ),
];

export const chunkRows: readonly Row[] = [
  ...(
    [
      ['size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
      ['size with a plus', '+5\r\nhello\r\n0\r\n\r\n'],
      ['negative size', '-5\r\nhello\r\n0\r\n\r\n'],
      ['size behind a blank', ' 5\r\nhello\r\n0\r\n\r\n'],
      ['size before a blank', '5 \r\nhello\r\n0\r\n\r\n'],
      ['size before a tab', '5\t\r\nhello\r\n0\r\n\r\n'],
      ['size beyond 64 bits', 'ffffffffffffffff5\r\nhello\r\n0\r\n\r\n'],
      ['size that is no number', 'g\r\nhello\r\n0\r\n\r\n'],
      ['empty size', '\r\nhello\r\n0\r\n\r\n'],
      ['underscore in the size', '0_5\r\nhello\r\n0\r\n\r\n'],
      ['bare LF behind the size', '5\nhello\r\n0\r\n\r\n'],
      ['bare LF behind the data', '5\r\nhello\n0\r\n\r\n'],
      ['no CRLF behind the data', '5\r\nhello0\r\n\r\n'],
      ['data longer than its size', '5\r\nhelloX\r\n0\r\n\r\n'],
      ['bare CR behind the size', '5\rhello\r\n0\r\n\r\n'],
      ['bare LF in an extension (CVE-2025-49826 and kin)', '5;a\nhello\r\n0\r\n\r\n'],
      ['bare CR in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
      ['NUL in an extension', '5;a\0\r\nhello\r\n0\r\n\r\n'],
      ['trailing garbage behind the last size', '0x\r\n\r\n'],
      ['bare LF at the end', '0\n\n'],
      ['bare LF behind the last size', '0\n\r\n'],
      ['trailer on a folded line', '0\r\nA: b\r\n c\r\n\r\n'],
      ['trailer without a colon', '0\r\nA\r\n\r\n'],
      ['trailer with a blank before its colon', '0\r\nA : b\r\n\r\n'],
      ['trailer with a bare CR', '0\r\nA: b\rc\r\n\r\n'],
      ['trailer with a bare LF', '0\r\nA: b\nc: d\r\n\r\n'],
      ['trailer with a NUL', '0\r\nA: b\0\r\n\r\n'],
      ['Content-Length as trailer', '5\r\nhello\r\n0\r\nContent-Length: 0\r\n\r\n'],
      ['Transfer-Encoding as trailer', '5\r\nhello\r\n0\r\nTransfer-Encoding: identity\r\n\r\n'],
    ] as const
  ).map(([name, body]) => broken(name, body)),
  harmless(
    'chunk extensions are not passed on',
    chunksAlone('5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n'),
    sentChunks('5\r\nhello\r\n0\r\n\r\n'),
  ),
  harmless(
    'chunk size with leading zeros',
    chunksAlone('0000005\r\nhello\r\n00\r\n\r\n'),
    sentChunks('5\r\nhello\r\n0\r\n\r\n'),
  ),
  harmless(
    'trailers that name identity headers',
    chunksAlone('5\r\nhello\r\n0\r\nX-Remote-User: LAB\\root\r\nx_client_verify: SUCCESS\r\n\r\n'),
    sentChunks('5\r\nhello\r\n0\r\n\r\n'),
  ),
  harmless(
    'trailers that route',
    chunksAlone('5\r\nhello\r\n0\r\nHost: evil\r\nAuthorization: x\r\nCookie: a=b\r\n\r\n'),
    sentChunks('5\r\nhello\r\n0\r\n\r\n'),
  ),
];

function chunksAlone(body: string): string {
  return ask('POST /chunks HTTP/1.1', 'Transfer-Encoding: chunked') + body;
}

function sentChunks(body: string): string {
  return sent('POST /chunks', [], ['transfer-encoding: chunked']) + body;
}

/** A chunk that was sound may have gone upstream when the body turns out broken; the request never becomes whole there. */
function broken(name: string, body: string): Row {
  return { ...refused(`chunk: ${name}`, chunks(body)), backend: sentChunks('5\r\nhello'), unfinished: true };
}

export const fields: readonly Row[] = [
  refused('obs-fold', get('A: b\r\n c')),
  refused('obs-fold with a tab', get('A: b\r\n\tc')),
  refused('obs-fold of the Host', head('GET /fold HTTP/1.1', 'Host:\r\n {host}') + smuggled),
  refused('obs-fold of an identity header', get('X: y\r\n X-Remote-User: LAB\\administrator')),
  refused('blank before the first field', head('GET /x HTTP/1.1', ' Host: {host}') + smuggled),
  refused('line of blanks among the fields', ask('GET /x HTTP/1.1', ' ', 'A: b') + smuggled),
  refused('bare CR in a value', get('A: b\rX-Remote-User: LAB\\administrator')),
  refused('bare LF in a value', get('A: b\nX-Remote-User: LAB\\administrator')),
  refused('bare LF at the end of a line', `GET /x HTTP/1.1\r\nHost: {host}\nA: b\r\n\r\n${smuggled}`),
  refused('bare LF at the end of the head', `GET /x HTTP/1.1\r\nHost: {host}\r\n\n${smuggled}`),
  refused('lines that all end with LF', `GET /x HTTP/1.1\nHost: {host}\n\n${smuggled}`),
  refused('CR CR LF', `GET /x HTTP/1.1\r\nHost: {host}\r\r\n\r\n${smuggled}`),
  refused('NUL in a value', get('A: b\0c')),
  refused('NUL in a name', get('A\0: b')),
  refused('DEL in a value', get('A: b\x7fc')),
  refused('vertical tab in a value', get('A: b\x0bc')),
  refused('escape in a value', get('A: b\x1bc')),
  refused('blank before a colon', get('X-Remote-User : LAB\\administrator')),
  refused('tab before a colon', get('X-Remote-User\t: LAB\\administrator')),
  refused('line without a colon', get('X-Remote-User')),
  refused('empty name', get(': b')),
  refused('blank in a name', get('A B: c')),
  refused('octet beyond ASCII in a name', get('\xc3\xa4: b')),
  refused('slash in a name', get('A/B: c')),
  refused('quote in a name', get('"A": c')),
  refused('name of a pseudo header', get(':authority: evil')),
  refused('Expect: something else', ask('POST /expect HTTP/1.1', 'Expect: 200-ok', 'Content-Length: 5') + `hello`, 417),
  refused(
    'Expect: a list',
    ask('POST /expect HTTP/1.1', 'Expect: 100-continue, x', 'Content-Length: 5') + `hello`,
    417,
  ),
];

export const connectionRows: readonly Row[] = [
  harmless(
    'Connection names identity headers',
    get0('Connection: X-Remote-User, X-Client-Verify, X-Forwarded-For'),
    sent('GET /field'),
  ),
  harmless(
    'Connection names Host, Content-Length and X-Request-Id',
    ask(
      'POST /field HTTP/1.1',
      'Connection: Host, Content-Length, Transfer-Encoding, X-Request-Id',
      'Content-Length: 5',
    ) + 'hello',
    sent('POST /field', [], ['content-length: 5']) + 'hello',
  ),
  harmless(
    'Connection names Cookie and Authorization, which go',
    get0('Connection: cookie, authorization', 'Cookie: a=b', 'Authorization: c', 'D: e'),
    sent('GET /field', ['D: e']),
  ),
  harmless(
    'Connection names a field in another spelling',
    get0('Connection: x_secret', 'X-Secret: a'),
    sent('GET /field'),
  ),
  harmless(
    'Keep-Alive, Proxy-Connection, Proxy-Authorization',
    get0('Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'Proxy-Authorization: Basic eDp5'),
    sent('GET /field'),
  ),
  harmless('TE: trailers and Trailer', get0('TE: trailers', 'Trailer: X-Remote-User'), sent('GET /field')),
  harmless('httpoxy (CVE-2016-5385)', get0('Proxy: http://evil.test:80'), sent('GET /field')),
  harmless(
    'method override headers reach the backend: they say what is done, not by whom',
    get0('X-HTTP-Method-Override: DELETE', 'X-Method-Override: DELETE', 'X-HTTP-Method: DELETE'),
    sent('GET /field', ['X-HTTP-Method-Override: DELETE', 'X-Method-Override: DELETE', 'X-HTTP-Method: DELETE']),
  ),
  harmless(
    'headers that name another path (X-Original-URL and kin)',
    get0(
      'X-Original-URL: /payroll',
      'X-Rewrite-URL: /payroll',
      'X_Original_Url: /payroll',
      'X-Original-Uri: /payroll',
      'X-Original-Host: evil',
      'X-Forwarded-Prefix: /payroll',
      'X-Forwarded-Path: /payroll',
    ),
    sent('GET /field'),
  ),
  harmless(
    'Cookie twice becomes one field',
    get0('Cookie: a=b', 'Cookie: c=d'),
    sent('GET /field', ['Cookie: a=b; c=d']),
  ),
  {
    ...harmless(
      'Expect: 100-continue twice',
      ask('POST /expect HTTP/1.1', 'Expect: 100-continue', 'Expect: 100-continue', 'Content-Length: 5') + 'hello',
      sent('POST /expect', [], ['content-length: 5']) + 'hello',
      [100, 200],
    ),
  },
  last('Expect: 100-continue with a GET that has no body', get0('Expect: 100-continue'), sent('GET /field')),
  last(
    'Upgrade: h2c with HTTP2-Settings, and a request behind it',
    get0('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__') + smuggled,
    sent('GET /field'),
  ),
  nothing('Connection: close with a request behind it', get0('Connection: close') + smuggled),
  nothing('HTTP/1.0 with a request behind it', head('GET /x HTTP/1.0', 'Host: {host}') + smuggled),
  last('HTTP/1.0 that wants no more', head('GET /x HTTP/1.0', 'Host: {host}'), sent('GET /x')),
  harmless('obs-text in a value', get0('A: \xff\x80'), sent('GET /field', ['A: \xff\x80'])),
];

function get0(...list: readonly string[]): string {
  return ask('GET /field HTTP/1.1', ...list);
}

export const targets: readonly Row[] = [
  harmless('two blanks in the request line (RFC 9112 section 3)', ask('GET  /x HTTP/1.1'), sent('GET /x')),
  harmless('two blanks before the version', ask('GET /x  HTTP/1.1'), sent('GET /x')),
  refused('tab in the request line', line('GET\t/x HTTP/1.1')),
  refused('blank in the path', line('GET /x y HTTP/1.1')),
  refused('blank behind the version', line('GET /x HTTP/1.1 ')),
  refused('HTTP/1.2', line('GET /x HTTP/1.2')),
  refused('HTTP/2.0', ask('GET /x HTTP/2.0', 'Connection: keep-alive') + smuggled),
  refused('HTTP/0.9', ask('GET /x HTTP/0.9', 'Connection: keep-alive') + smuggled),
  refused('HTTP/0.9 without a version', `GET /x\r\n${smuggled}`),
  refused('HTTP/1.10', line('GET /x HTTP/1.10')),
  refused('HTTP/01.1', line('GET /x HTTP/01.1')),
  refused('http/1.1 in lower case', line('GET /x http/1.1')),
  refused('another protocol: ICE/1.0', line('GET /x ICE/1.0')),
  harmless(
    'another protocol whose version is 1.0 is HTTP/1.0: RTSP',
    ask('GET /x RTSP/1.0', 'Connection: keep-alive'),
    sent('GET /x'),
  ),
  refused('PRI, the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + smuggled),
  refused('method in lower case', line('get /x HTTP/1.1')),
  refused('method that nobody knows', line('FROBNICATE /x HTTP/1.1')),
  refused('method with a NUL', line('GE\0T /x HTTP/1.1')),
  declined('TRACE', ask('TRACE /x HTTP/1.1'), 405),
  refused('TRACK', line('TRACK /x HTTP/1.1')),
  nothing('CONNECT', line('CONNECT {host} HTTP/1.1')),
  declined('absolute form with another host', ask('GET http://evil.test/x HTTP/1.1')),
  declined('absolute form with a user', ask('GET http://user@{host}/x HTTP/1.1')),
  declined('absolute form with another scheme', ask('GET ftp://{host}/x HTTP/1.1')),
  declined('absolute form with another port', ask('GET http://127.0.0.1:1/x HTTP/1.1')),
  declined('absolute form without Host', head('GET http://{host}/x HTTP/1.1')),
  harmless('absolute form with the same host', ask('GET http://{host}/x HTTP/1.1'), sent('GET /x')),
  harmless('//host/path is a path', ask('GET //evil.test/x HTTP/1.1'), sent('GET /evil.test/x')),
  declined('backslashes', ask('GET /\\evil.test/x HTTP/1.1')),
  refused('target without a slash', ask('GET x HTTP/1.1')),
  declined('fragment', ask('GET /x#y HTTP/1.1')),
  declined('encoded NUL', ask('GET /x%00y HTTP/1.1')),
  declined('encoded CR LF', ask('GET /x%0d%0aX-Remote-User:root HTTP/1.1')),
  declined('climbing above the root', ask('GET /%2e%2e/x HTTP/1.1')),
  harmless('encoded dots are resolved', ask('GET /a/%2e%2e/x HTTP/1.1'), sent('GET /x')),
  declined('dot segments with parameters', ask('GET /a/..;b/x HTTP/1.1')),
  harmless('path parameters stay', ask('GET /x;a=b HTTP/1.1'), sent('GET /x;a=b')),
  refused('raw UTF-8', ask('GET /\xc3\xa4 HTTP/1.1')),
  harmless('encoded UTF-8', ask('GET /%c3%a4 HTTP/1.1'), sent('GET /%C3%A4')),
  declined('OPTIONS *', ask('OPTIONS * HTTP/1.1')),
  harmless(
    'CR LF in a query stays encoded',
    ask('GET /x?a=%0d%0aHost:%20evil HTTP/1.1'),
    sent('GET /x?a=%0d%0aHost:%20evil'),
  ),
  refused('leading blank', ` ${line('GET /x HTTP/1.1')}`),
  refused('leading NUL', `\0${line('GET /x HTTP/1.1')}`),
  harmless('leading empty line (RFC 9112 section 2.2)', `\r\n${ask('GET /x HTTP/1.1')}`, sent('GET /x')),
];

export const hosts: readonly Row[] = [
  declined('two Host fields, the same', host('Host: {host}', 'Host: {host}')),
  declined('two Host fields, different', host('Host: {host}', 'Host: evil.test')),
  declined('Host and host', host('Host: {host}', 'host: evil.test')),
  declined('no Host', host('A: b')),
  declined('no Host in HTTP/1.0', head('GET /host HTTP/1.0', 'Connection: keep-alive')),
  declined('empty Host', host('Host:')),
  declined('Host with a comma', host('Host: {host},evil.test')),
  declined('Host with a blank', host('Host: {host} evil.test')),
  declined('Host with a tab', host('Host: {host}\tevil.test')),
  declined('Host with a user', host('Host: user@{host}')),
  declined('Host with a user in the port', host('Host: 127.0.0.1:x@evil.test')),
  declined('Host with a port that is no number', host('Host: 127.0.0.1:80evil')),
  declined('Host with two ports', host('Host: 127.0.0.1:80:80')),
  declined('Host with a path', host('Host: {host}/x')),
  declined('Host with a query', host('Host: {host}?x')),
  declined('Host with a backslash', host('Host: 127.0.0.1\\evil')),
  declined('Host with a percent sign', host('Host: 127.0.0.1%00')),
  declined('Host with empty labels', host('Host: a..b')),
  declined('Host with letters beyond ASCII', host('Host: \xc3\xa4')),
  declined('Host with CR LF encoded', host('Host: 127.0.0.1%0d%0aX-Remote-User:root')),
  refused('Host with a bare CR', host('Host: {host}\rX-Remote-User: root') + smuggled),
  harmless('Host among blanks', host('Host: \t {host} \t'), sent('GET /host')),
  harmless('Host_ beside Host', host('Host: {host}', 'Host_: evil.test', 'Host.: evil.test'), sent('GET /host')),
];

const many = (count: number) => Array.from({ length: count }, (_, index) => `A${index}: b`);

export const sizes: readonly Row[] = [
  refused('a head beyond its limit', get(`A: ${'b'.repeat(40_000)}`), 431),
  refused('a name beyond the limit of heads', get(`${'A'.repeat(40_000)}: b`), 431),
  refused('a path beyond the limit of heads', line(`GET /${'a'.repeat(40_000)} HTTP/1.1`), 431),
  refused('too many fields', ask('GET /x HTTP/1.1', ...many(250)) + smuggled, 431),
  refused('chunk extensions without end', chunks(`5;${'a'.repeat(40_000)}\r\nhello\r\n0\r\n\r\n`), 413),
  refused('trailers without end', chunks(`0\r\nA: ${'b'.repeat(40_000)}\r\n\r\n`), 431),
  refused('too many trailers', chunks(`0\r\n${many(250).join('\r\n')}\r\n\r\n`), 431),
  refused('CL beyond the largest body', cl('99999999999'), 413),
];

export const pipelines: readonly Row[] = [
  harmless(
    'two requests at once are two requests',
    ask('GET /one HTTP/1.1') + ask('GET /two HTTP/1.1'),
    sent('GET /one') + sent('GET /two'),
    [200, 200],
  ),
  {
    ...declined(
      'a request behind one that is declined is one of its own',
      ask('GET /x%00 HTTP/1.1') + ask('GET /two HTTP/1.1'),
    ),
    answers: [400, 200],
    backend: sent('GET /two'),
  },
  nothing(
    'requests around a broken one, in one piece',
    ask('GET /one HTTP/1.1') + ask('GET /x HTTP/1.1', 'A : b') + smuggled,
  ),
  {
    ...refused('a broken request and one behind it, after a good one', ask('GET /one HTTP/1.1')),
    sends: [ask('GET /one HTTP/1.1'), ask('GET /x HTTP/1.1', 'A : b') + smuggled],
    answers: [200, 400],
    backend: sent('GET /one'),
  },
  harmless(
    'client-side desync: a POST with a request as body',
    ask('POST /one HTTP/1.1', 'Content-Length: 24') + 'GET /smuggled HTTP/1.1\r\n',
    sent('POST /one', [], ['content-length: 24']) + 'GET /smuggled HTTP/1.1\r\n',
  ),
  {
    ...harmless(
      'HEAD with a body',
      ask('HEAD /one HTTP/1.1', 'Content-Length: 5') + 'hello',
      sent('HEAD /one', [], ['connection: close', 'content-length: 5']) + 'hello',
    ),
    toHead: true,
  },
];
