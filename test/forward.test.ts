/**
 * The forward room without sockets: what passes, what is written, what is refused.
 */
import { Readable } from 'node:stream';
import t from 'tap';
import { Failure } from '../src/base/failure.ts';
import { admit } from '../src/forward/admission.ts';
import { answerHead, hintsOf, trailersOf } from '../src/forward/answer-head.ts';
import { checkHeaderNames, defaultHeaderNames } from '../src/forward/dialects.ts';
import { foldName, isFieldValue, isToken } from '../src/forward/field-syntax.ts';
import { forwardedHeaders } from '../src/forward/forwarded.ts';
import type { ClientRequest } from '../src/forward/forward-contract.ts';
import { headerText, textOfHeader } from '../src/forward/header-text.ts';
import { rememberNames } from '../src/forward/name-memory.ts';
import { protectedNames } from '../src/forward/protected-names.ts';
import { RequestBody } from '../src/forward/request-body.ts';
import { createSanitizer } from '../src/forward/sanitize.ts';
import { failureOf, isLostConnection } from '../src/forward/upstream-failure.ts';
import { createUpstream } from '../src/forward/upstream.ts';
import { patient } from './support/bare-gateway.ts';

const sanitizer = createSanitizer({ names: defaultHeaderNames });

/** `Name: value` lines as the flat list that headers travel in. */
const fields = (...lines: readonly string[]) =>
  lines.flatMap((line) => /^(:?[^:]+): ?(.*)$/s.exec(line)?.slice(1) ?? []);

/** The headers that pass, or the code of the refusal. */
function passed(...raw: string[]): readonly string[] | string {
  const clean = sanitizer.request(raw);
  return 'code' in clean ? clean.code : clean.headers;
}

await t.test('names fold the way CGI folds them', async (t) => {
  for (const name of ['X-Remote-User', 'x_remote_user', 'X.Remote!User', 'X_REMOTE-uSER.', 'x-remote-user_.~ ']) {
    t.equal(foldName(name), 'x-remote-user', name);
  }
  t.equal(foldName('X--Remote-User'), 'x--remote-user', 'separators are not collapsed: no backend does that');
  t.equal(foldName('...'), '');
});

await t.test('the grammar of fields is that of RFC 9110', async (t) => {
  for (let code = 0; code < 256; code += 1) {
    const character = String.fromCharCode(code);
    t.equal(isToken(`a${character}`), /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character), `token with ${code}`);
    const value = code === 9 || (code >= 32 && code !== 127);
    t.equal(isFieldValue(`a${character}`), value, `value with ${code}`);
  }
  t.notOk(isToken(''));
  t.notOk(isToken('naïve'));
  t.notOk(isFieldValue('Ā'), 'what has no octet');
});

await t.test('every identity header that any gateway writes is removed, in use or not', async (t) => {
  const names = `
    X-Remote-User X-Remote-Upn X-Remote-Sid X-Remote-Groups Remote-User REMOTE_USER Remote-Groups
    X-Client-Verify X-ARR-ClientCert X-Client-Cert MS-ASPNETCORE-CLIENTCERT MS-ASPNETCORE-TOKEN
    MS-ASPNETCORE-WINAUTHTOKEN Client-Cert Client-Cert-Chain X-Forwarded-Client-Cert X-SSL-Client-DN
    X-SSL-Client-Verify SSL_CLIENT_S_DN ssl-client-cert X-Forwarded-Tls-Client-Cert
    X-Forwarded-Tls-Client-Cert-Info X-MS-CLIENT-PRINCIPAL X-MS-CLIENT-PRINCIPAL-NAME X-DSMapper-Verdict
    X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-User Forwarded X-Real-IP
    X-Original-URL X-Rewrite-URL Proxy X-WEBAUTH-USER`;
  for (const name of names.trim().split(/\s+/)) {
    const spellings = [
      name,
      name.toLowerCase(),
      name.toUpperCase(),
      name.replaceAll('-', '_'),
      `${name}.`,
      `${name}_-.`,
    ];
    for (const spelled of spellings) t.strictSame(passed(spelled, 'forged', 'Accept', 'a'), ['Accept', 'a'], spelled);
  }
});

await t.test('what only looks like an identity header passes', async (t) => {
  for (const name of [
    'X-Remote',
    'X-Client',
    'X-User',
    'X_Custom',
    'Accept',
    'Authorization',
    'X-MS-Version',
    'Client',
  ]) {
    t.strictSame(passed(name, 'v'), [name, 'v'], name);
  }
});

await t.test('renamed headers are protected beside the defaults, and the operator may add more', async (t) => {
  const isProtected = protectedNames({ ...defaultHeaderNames, user: 'SSO-Account' }, ['Staff-Id', 'Corp-*', 'Lab.*']);
  for (const name of ['SSO_account', 'X-Remote-User', 'x-arr-clientcert', 'staff_id', 'Corp-Role', 'lab-x']) {
    t.ok(isProtected(foldName(name)), name);
  }
  for (const name of ['SSO-Accounts', 'Staff-Id-2', 'Corporate', 'label']) t.notOk(isProtected(foldName(name)), name);
});

await t.test('a star after a letter takes the family with and without a dash', async (t) => {
  const isProtected = protectedNames(defaultHeaderNames, ['Corp*']);
  t.ok(isProtected('corporate'));
  t.ok(isProtected('corp-x'));
});

await t.test('fields of the connection go, also those the client lists itself', async (t) => {
  const raw = [
    'Keep-Alive',
    '1',
    'Proxy-Connection',
    'x',
    'Proxy-Authorization',
    'x',
    'TE',
    'trailers',
    'Trailer',
    'x',
  ];
  t.strictSame(passed(...raw, 'Upgrade', 'websocket', 'HTTP2-Settings', 'x', 'Accept', 'a'), ['Accept', 'a']);
  t.strictSame(
    passed(
      'A',
      '1',
      'X-Trace',
      '2',
      'x_trace',
      '3',
      'Connection',
      'close, X-Trace',
      'connection',
      'keep-alive',
      'B',
      '4',
    ),
    ['A', '1', 'B', '4'],
  );
  t.strictSame(passed('Connection', 'keep-alive, Upgrade , ,', 'A', '1'), ['A', '1']);
});

await t.test('other spellings of the fields that frame a message go', async (t) => {
  for (const name of [
    'Content_Length',
    'content-length.',
    'Transfer_Encoding',
    'Host_',
    'Keep_Alive',
    'Proxy_X',
    'Expect.',
  ]) {
    t.strictSame(passed(name, '5', 'Accept', 'a'), ['Accept', 'a'], name);
  }
});

await t.test('framing is told apart from what passes', async (t) => {
  t.match(sanitizer.request(['host', 'a', 'Content-Length', '12', 'Expect', '100-Continue', 'X', 'y']), {
    headers: ['X', 'y'],
    host: 'a',
    contentLength: 12,
    chunked: false,
    expectContinue: true,
  });
  t.match(sanitizer.request(['Transfer-Encoding', 'Chunked']), { host: null, contentLength: null, chunked: true });
});

await t.test('what could be read in two ways is refused', async (t) => {
  const refused: readonly (readonly [code: string, ...raw: string[]])[] = [
    ['badRequest', 'Host', 'a', 'host', 'a'],
    ['badRequest', 'Content-Length', '1', 'content-length', '1'],
    ['badRequest', 'Content-Length', '+1'],
    ['badRequest', 'Content-Length', '1, 1'],
    ['badRequest', 'Content-Length', ''],
    ['badRequest', 'Content-Length', '9999999999999999'],
    ['badRequest', 'Content-Length', '1', 'Transfer-Encoding', 'chunked'],
    ['badRequest', 'Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'],
    ['badRequest', 'Transfer-Encoding', 'gzip, chunked'],
    ['badRequest', 'Transfer-Encoding', 'identity'],
    ['expectationFailed', 'Expect', '200-ok'],
    ['hostMismatch', ':authority', 'a', 'host', 'b'],
    ['badRequest', 'X-Remote-User ', 'v'],
    ['badRequest', '', 'v'],
    ['badRequest', 'X\r\nY', 'v'],
    ['badRequest', 'X', 'v\r\nX-Remote-User: admin'],
    ['badRequest', 'X', 'v\n'],
    ['badRequest', 'X', 'v\0'],
    ['badRequest', 'X-Remote-User', 'v\n'],
  ];
  for (const [code, ...raw] of refused) t.equal(passed(...raw), code, JSON.stringify(raw));
});

await t.test('HTTP/2: pseudo fields are not forwarded and cookie crumbs become one field', async (t) => {
  const clean = sanitizer.request(
    fields(
      ':method: GET',
      ':path: /',
      ':authority: www.example.test',
      ':scheme: https',
      ':protocol: x',
      'cookie: a=1',
      'accept: x',
      'cookie: b=2',
      'cookie: c=3',
    ),
  );
  t.match(clean, { headers: ['cookie', 'a=1; b=2; c=3', 'accept', 'x'], host: 'www.example.test' });
  t.match(sanitizer.request([':authority', 'A.test', 'host', 'a.TEST']), { host: 'a.TEST' });
});

await t.test('trailers lose identity, framing and whatever RFC 9110 forbids there', async (t) => {
  const raw = [
    'X-Sum',
    '1',
    'x_remote_user',
    'admin',
    'Content-Length',
    '1',
    'Host',
    'a',
    'Authorization',
    'b',
    'Cookie',
    'c',
  ];
  t.strictSame(sanitizer.trailers([...raw, 'Transfer-Encoding', 'chunked', 'Cache_Control', 'x']), ['X-Sum', '1']);
  t.match(sanitizer.trailers(['X', 'a\0']), { code: 'badRequest' });
  t.match(sanitizer.trailers(['X Y', 'a']), { code: 'badRequest' });
});

await t.test('the memory for names is bounded in number and length', async (t) => {
  let decided = 0;
  const memory = rememberNames((name) => {
    decided += 1;
    return name.length;
  });
  for (let i = 0; i < 3000; i += 1) memory.of(`X-Invented-${i}`);
  t.ok(memory.size > 0 && memory.size <= 1000);
  decided = 0;
  for (let i = 0; i < 3; i += 1) t.equal(memory.of('Accept'), 6);
  t.equal(decided, 1, 'decided once');
  const { size } = memory;
  t.equal(memory.of('x'.repeat(65)), 65);
  t.equal(memory.size, size);
});

await t.test('a flood of invented names does not make it forget how to judge', async (t) => {
  for (let i = 0; i < 3000; i += 1) passed(`X-Invented-${i}`, '1');
  t.strictSame(passed('x_remote_user', 'forged', 'X-Invented-1', '1'), ['X-Invented-1', '1']);
});

await t.test('text in a header: one encoding, made and undone', async (t) => {
  const cases: readonly (readonly [text: string, value: string])[] = [
    ['LAB\\alice', 'LAB\\alice'],
    ['LAB\\jürgen', 'LAB\\j%C3%BCrgen'],
    ['LAB\\50%', 'LAB\\50%25'],
    ['LAB\\j%C3%BCrgen', 'LAB\\j%25C3%25BCrgen'],
    ['a b', 'a b'],
    [' a ', '%20a%20'],
    ['  a', '%20 a'],
    ['a\r\nX: y', 'a%0D%0AX: y'],
    ['\u0000\u007f\t', '%00%7F%09'],
    ['𝕏', '%F0%9D%95%8F'],
    ['', ''],
    [' ', '%20'],
  ];
  for (const [text, value] of cases) {
    t.equal(headerText(text), value);
    t.equal(textOfHeader(value), text);
  }
  t.equal(headerText('\ud800'), '%ED%A0%80', 'half a surrogate pair stays apart from U+FFFD');
  for (const alien of ['ü', '%zz', '%ED%A0%80', '%', '%c3%bc']) t.equal(textOfHeader(alien), null, alien);
});

await t.test('header names of a configuration are checked', async (t) => {
  t.doesNotThrow(() => checkHeaderNames(defaultHeaderNames));
  for (const user of ['X User', '', 'Höst', 'Host', 'content_length', 'X-Forwarded-For', 'x_client_verify']) {
    t.throws(() => checkHeaderNames({ ...defaultHeaderNames, user }), { code: 'header-name', exitCode: 2 }, user);
  }
});

await t.test('X-Forwarded headers say what the backend cannot see', async (t) => {
  t.strictSame(
    forwardedHeaders(['x-forwarded'], { remoteAddress: '::ffff:192.0.2.1', encrypted: true, host: 'www.example.test' }),
    fields('X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: www.example.test'),
  );
  t.strictSame(
    forwardedHeaders(['x-forwarded'], { remoteAddress: '2001:db8::1', encrypted: false, host: null }),
    fields('X-Forwarded-For: 2001:db8::1', 'X-Forwarded-Proto: http'),
  );
});

await t.test('admission: every method passes but those that no backend should see', async (t) => {
  for (const method of ['GET', 'POST', 'PROPFIND', 'PURGE', 'QUERY', 'M-SEARCH', 'get', 'X-ANY', 'MKCOL']) {
    t.equal(admit(method, '/', null, []), null, method);
  }
  for (const method of ['CONNECT', 'TRACE', 'trace', 'Track', 'PRI']) {
    t.match(admit(method, '/', null, []), { code: 'methodNotAllowed' }, method);
  }
  for (const method of ['', 'G ET', 'GET\r\n', 'GÉT', 'GET/']) {
    t.match(admit(method, '/', null, []), { code: 'badRequest' }, JSON.stringify(method));
  }
});

await t.test('admission: only paths in origin form', async (t) => {
  for (const path of ['/', '/a/b?c=d&e', '/%C3%BC', '//x', "/~!$&'()*+,;=:@", '/a\\b']) {
    t.equal(admit('GET', path, null, []), null, path);
  }
  for (const path of ['*', '', 'a', 'http://x/', '/ü', '/a b', '/a\tb', '/a#b', '/a\r\nX: y', '/\u007f', '/\0']) {
    t.match(admit('OPTIONS', path, null, []), { code: 'pathNotCanonical' }, JSON.stringify(path));
  }
});

await t.test('admission: only headers that can be sent', async (t) => {
  t.equal(admit('GET', '/', 'a', ['X', 'y', 'Accept', 'ü']), null);
  const refused = [
    ['X'],
    ['X Y', '1'],
    ['', '1'],
    ['X', 'a\nb'],
    ['X', 'Ā'],
    ...['Connection', 'content-length', 'Expect', 'HOST', 'Keep-Alive', 'transfer-encoding', 'Upgrade'].map((name) => [
      name,
      '1',
    ]),
  ];
  for (const headers of refused)
    t.match(admit('GET', '/', 'a', headers), { code: 'badRequest' }, JSON.stringify(headers));
  t.match(admit('GET', '/', 'a\r\n', []), { code: 'badRequest' });
});

await t.test('a body whose client left is broken off, although its stream ended', async (t) => {
  // node:http2 ends a stream that was reset with NO_ERROR as if END_STREAM had come.
  for (const aborted of [false, true]) {
    const request = Object.assign(Readable.from([Buffer.from('abc')]), { aborted }) as unknown as ClientRequest;
    const facts = { request, prefix: [], length: 'chunked', maximum: 0, onFirstRead() {} } as const;
    const body = new RequestBody(facts);
    const read: string[] = [];
    body.on('data', (chunk: Buffer) => read.push(chunk.toString()));
    const how = await new Promise((resolve) =>
      body.on('end', () => resolve('end')).on('error', () => resolve('error')),
    );
    t.equal(how, aborted ? 'error' : 'end');
    t.match(body.refusal, aborted ? { code: 'badRequest' } : null);
    t.strictSame(read, ['abc']);
  }
});

const raw = (...texts: string[]) => texts.map((text) => Buffer.from(text, 'latin1'));
const facts = { status: 200, trailers: true, ours: [], noStore: false };

await t.test('answers lose what belongs to the upstream connection and what only the gateway says', async (t) => {
  const upstream = raw(
    ...fields(
      'Server: x',
      'Connection: keep-alive, X-Private',
      'Keep-Alive: 5',
      'X-Private: 1',
      'Transfer-Encoding: chunked',
      'Upgrade: h2c',
      'Proxy-Connection: x',
      'Proxy-Authenticate: Basic',
      'TE: x',
      'HTTP2-Settings: x',
      'X-DSMapper-Verdict: 200',
      'x_dsmapper_x: 1',
      'X-REQUEST-ID: theirs',
      'Set-Cookie: a',
      'set-cookie: b\xfc',
    ),
  );
  t.strictSame(answerHead(upstream, { ...facts, ours: ['x-request-id', 'ours'] }), {
    headers: ['Server', 'x', 'Set-Cookie', 'a', 'set-cookie', 'bü', 'x-request-id', 'ours'],
    sized: false,
  });
});

await t.test('an answer that depends on the certificate is not stored unless the upstream says so', async (t) => {
  t.strictSame(answerHead(raw('A', '1'), { ...facts, noStore: true }).headers, ['A', '1', 'Cache-Control', 'no-store']);
  t.strictSame(
    answerHead(raw('cache-control', 'max-age=1'), { ...facts, noStore: true }).headers,
    fields('cache-control: max-age=1'),
  );
  t.strictSame(answerHead(raw('A', '1'), facts).headers, ['A', '1']);
  const listed = raw('Cache-Control', 'public', 'Connection', 'cache-control');
  t.strictSame(answerHead(listed, { ...facts, noStore: true }).headers, ['Cache-Control', 'no-store']);
});

await t.test('Content-Length tells whether the answer is sized, and goes from a 204', async (t) => {
  t.strictSame(answerHead(raw('Content-Length', '5'), facts), { headers: ['Content-Length', '5'], sized: true });
  t.strictSame(answerHead(raw('Content-Length', '5'), { ...facts, status: 204 }), { headers: [], sized: false });
});

await t.test('Trailer announces trailers only where they can come', async (t) => {
  t.strictSame(answerHead(raw('Trailer', 'X'), facts).headers, ['Trailer', 'X']);
  t.strictSame(answerHead(raw('Trailer', 'X'), { ...facts, trailers: false }).headers, []);
  t.strictSame(answerHead(raw('trailer', 'X', 'Content-Length', '1'), facts).headers, ['Content-Length', '1']);
});

await t.test('trailers and hints of the upstream are filtered and grouped', async (t) => {
  t.strictSame(
    trailersOf(raw('X-A', '1', 'Set-Cookie', 'x', 'x-a', '2', 'Connection', 'x', 'Date', 'x', 'X-DSMapper-A', '1')),
    {
      'x-a': ['1', '2'],
    },
  );
  t.strictSame(trailersOf(raw('X B', '1', 'X-C', 'a\x01', '__proto__', 'p')), Object.fromEntries([['__proto__', 'p']]));
  t.strictSame(hintsOf(raw('Link', '</a>', 'Keep-Alive', '1', 'link', '</b>')), { link: ['</a>', '</b>'] });
});

await t.test('errors of the upstream have their verdicts', async (t) => {
  const error = (code: string) => Object.assign(new Error('x'), { code });
  const code = (name: string, started: boolean) => failureOf(error(name), started, 'http://b').code;
  t.equal(code('ECONNREFUSED', false), 'upstreamUnavailable');
  t.equal(code('UND_ERR_CONNECT_TIMEOUT', false), 'upstreamTimeout');
  t.equal(code('DEPTH_ZERO_SELF_SIGNED_CERT', false), 'upstreamUnavailable');
  t.equal(code('UND_ERR_HEADERS_TIMEOUT', true), 'upstreamTimeout');
  t.equal(code('HPE_INVALID_CONSTANT', true), 'upstreamFailed');
  t.equal(code('UND_ERR_INVALID_ARG', false), 'internalError');
  t.match(failureOf(new Error('x\r\ny'), true, 'http://b').detail, /^http:\/\/b: x y$/, 'on one line');
  t.ok(isLostConnection(error('ECONNRESET')));
  t.notOk(isLostConnection(error('UND_ERR_HEADERS_TIMEOUT')));
});

await t.test('an upstream is an origin and nothing else', async (t) => {
  for (const origin of ['http://a/b', 'ftp://a', 'a:80', 'http://u:p@a', 'http://a?x', '']) {
    t.throws(() => createUpstream({ ...patient, origin }), Failure, origin);
  }
  for (const origin of ['http://127.0.0.1:8080', 'https://b.example.test', 'http://[::1]:81', 'http://a/']) {
    t.doesNotThrow(() => createUpstream({ ...patient, origin }), origin);
  }
});
