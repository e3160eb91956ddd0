/**
 * The rows of the conformance run, made from dimensions: methods, bodies of requests, statuses, framings of answers, fields, targets,
 * and the ways in which either side may leave or be slow.
 */
import type { Field } from './conformance-octets.ts';
import type { AnswerShape, RequestShape, Shape, Way } from './conformance-shape.ts';
import { plainAnswer, plainRequest } from './conformance-shape.ts';

interface Draft {
  readonly request?: Partial<RequestShape>;
  readonly answer?: Partial<AnswerShape>;
  readonly ways?: readonly Way[];
}

const kibibyte = 1024;
const mebibyte = 1_048_576;

/** Of all others every fifth goes the late way as well: each of them is a handshake and a renegotiation. */
const lateEvery = 5;

export function conformanceShapes(): readonly Shape[] {
  const drafts: (readonly [name: string, draft: Draft])[] = [
    ...requestBodies(),
    ...statuses(),
    ...answerFramings(),
    ...answerFields(),
    ...requestFields(),
    ...targets(),
    ...expectations(),
    ...endings(),
    ...paces(),
    ...large(),
  ];
  return drafts.map(([name, { request, answer, ways }], index) => ({
    name,
    request: { ...plainRequest, ...request },
    answer: { ...plainAnswer, ...answer },
    ways: ways ?? (index % lateEvery === 0 ? ['http1', 'http2', 'late'] : ['http1', 'http2']),
  }));
}

type Drafts = Generator<readonly [name: string, draft: Draft]>;

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'];
const otherMethods = ['PURGE', 'MKCOL', 'LOCK', 'M-SEARCH', 'FROBNICATE', 'get', "ODD!#$%&'*+-.^_`|~9"];

function* requestBodies(): Drafts {
  const sizes = [0, 1, 16 * kibibyte + 1];
  for (const method of [...methods, ...otherMethods]) {
    yield [`${method} without a body`, { request: { method } }];
    for (const body of methods.includes(method) ? sizes : [1])
      yield [`${method} with ${body} octets`, { request: { method, body } }];
    for (const body of methods.includes(method) ? sizes : [1])
      yield [`${method} with ${body} octets in chunks`, { request: { method, body, framing: 'chunked' } }];
  }
  for (const body of [2, 16 * kibibyte - 1, 16 * kibibyte, 65_535, 65_536, mebibyte])
    for (const framing of ['length', 'chunked', 'extended'] as const)
      yield [`POST with ${body} octets, ${framing}`, { request: { method: 'POST', body, framing } }];
  yield ['POST with extended empty chunks', { request: { method: 'POST', body: 0, framing: 'extended' } }];
  const trailers: Field[] = [
    ['X-Checksum', 'abc'],
    ['X-Remote-User', 'LAB\\admin'],
  ];
  yield ['POST with trailers', { request: { method: 'POST', body: 10, framing: 'chunked', trailers } }];
  yield [
    'PUT with announced trailers',
    {
      request: { method: 'PUT', body: 10, framing: 'chunked', trailers, fields: [['Trailer', 'X-Checksum']] },
    },
  ];
}

function* statuses(): Drafts {
  const codes = [
    200, 201, 202, 203, 206, 207, 208, 226, 299, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406,
    407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499,
    500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 599, 600, 999,
  ];
  for (const status of codes) {
    yield [`${status}`, { answer: { status, reason: `Reason ${status}` } }];
    yield [
      `${status} to a POST, in chunks`,
      {
        request: { method: 'POST', body: 5 },
        answer: { status, framing: 'chunked', reason: '' },
      },
    ];
    if (status % 3 === 0)
      yield [`${status} to a HEAD`, { request: { method: 'HEAD' }, answer: { status, framing: 'announced' } }];
  }
  for (const status of [204, 304]) {
    for (const method of ['GET', 'HEAD', 'PUT']) {
      yield [`${status} to ${method}`, { request: { method }, answer: { status, framing: 'bare', body: null } }];
      yield [
        `${status} to ${method} with a stray length`,
        { request: { method }, answer: { status, framing: 'announced' } },
      ];
    }
  }
  yield ['205 with an empty body', { answer: { status: 205, body: 0 } }];
  yield ['205 with a body', { answer: { status: 205, body: 7 } }];
  yield ['a reason with odd octets', { answer: { reason: 'Tr\u00e8s bien, "so"' } }];
  yield ['no reason', { answer: { reason: '' } }];
}

function* answerFramings(): Drafts {
  const sizes = [0, 1, 16 * kibibyte - 1, 16 * kibibyte, 16 * kibibyte + 1, 65_536, 65_537, mebibyte];
  for (const framing of ['length', 'chunked', 'extended', 'close'] as const)
    for (const body of sizes) yield [`answer of ${body} octets, ${framing}`, { answer: { framing, body } }];
  for (const framing of ['length', 'close'] as const)
    yield [`answer of HTTP/1.0, ${framing}`, { answer: { framing, version: '1.0', body: 70_000 } }];
  yield [
    'answer to HEAD, announced',
    { request: { method: 'HEAD' }, answer: { framing: 'announced', body: mebibyte } },
  ];
  yield ['answer to HEAD, chunked', { request: { method: 'HEAD' }, answer: { framing: 'chunked' } }];
  yield ['answer to HEAD, neither', { request: { method: 'HEAD' }, answer: { framing: 'bare' } }];
  yield ['answer to HEAD of length 0', { request: { method: 'HEAD' }, answer: { framing: 'announced', body: 0 } }];
  const trailers: Field[] = [
    ['X-Digest', 'abc'],
    ['X-Twice', '1'],
    ['X-Twice', '2'],
  ];
  yield ['answer with trailers', { answer: { framing: 'chunked', trailers } }];
  yield [
    'answer with announced trailers',
    { answer: { framing: 'chunked', trailers, fields: [['Trailer', 'X-Digest, X-Twice']] } },
  ];
  yield [
    'answer to HEAD with announced trailers',
    {
      request: { method: 'HEAD' },
      answer: { framing: 'chunked', trailers, fields: [['Trailer', 'X-Digest, X-Twice']] },
    },
  ];
  yield ['answer with trailers only', { answer: { framing: 'chunked', body: 0, trailers } }];
  yield [
    'answer with trailers that may not be',
    {
      answer: {
        framing: 'chunked',
        trailers: [
          ['Set-Cookie', 'a=b'],
          ['Content-Type', 'text/html'],
          ['X-Kept', '1'],
        ],
      },
    },
  ];
  yield [
    'answer with a length among the trailers',
    { answer: { framing: 'chunked', trailers: [['Content-Length', '3']] } },
  ];
  const hint: Field[] = [
    ['Link', '</a.css>; rel=preload'],
    ['Link', '</b.js>; rel=preload'],
  ];
  yield ['early hints', { answer: { hints: [hint] } }];
  yield ['early hints, several', { answer: { hints: [hint, [['X-Progress', '50']], hint] } }];
  yield ['early hints to a POST', { request: { method: 'POST', body: 3 }, answer: { hints: [hint] } }];
  yield ['early hints to HTTP/1.0', { request: { version: '1.0' }, answer: { hints: [] }, ways: ['http1', 'late'] }];
}

function* answerFields(): Drafts {
  const cases: readonly (readonly [string, readonly Field[]])[] = [
    ['none', []],
    [
      'several Set-Cookie',
      [
        ['Set-Cookie', 'a=1; Path=/'],
        ['Set-Cookie', 'b=2; HttpOnly'],
        ['set-cookie', 'c=3, 4'],
      ],
    ],
    [
      'duplicates',
      [
        ['X-A', '1'],
        ['Vary', 'Accept'],
        ['X-A', '2'],
        ['Vary', 'Cookie'],
      ],
    ],
    [
      'an empty value',
      [
        ['X-Empty', ''],
        ['X-After', '1'],
      ],
    ],
    [
      'octets above ASCII',
      [
        ['X-Latin', 'caf\u00e9 \u00ff'],
        ['X-Utf8', 'caf\u00c3\u00a9'],
      ],
    ],
    ['a value of 16 KB', [['X-Long', 'v'.repeat(16_000)]]],
    ['a value of 60 KB', [['X-Long', 'v'.repeat(60_000)]]],
    ['150 fields', Array.from({ length: 150 }, (_, i): Field => [`X-Field-${i}`, String(i)])],
    ['a long name', [[`X-${'n'.repeat(1000)}`, '1']]],
    [
      'odd names',
      [
        ["x!#$%&'*+-.^_`|~9", 'v'],
        ['X_Under', 'v'],
      ],
    ],
    ['blanks and tabs within', [['X-Blank', 'a  b\tc']]],
    ['a date of its own', [['Date', 'Tue, 15 Nov 1994 08:12:31 GMT']]],
    ['its own Cache-Control', [['Cache-Control', 'public, max-age=60']]],
    [
      'two Cache-Control',
      [
        ['Cache-Control', 'private'],
        ['cache-control', 'max-age=0'],
      ],
    ],
    [
      'a coding',
      [
        ['Content-Encoding', 'gzip'],
        ['Vary', 'Accept-Encoding'],
      ],
    ],
    ['an unknown coding', [['Content-Encoding', 'x-none, br']]],
    ['Location', [['Location', 'http://127.0.0.1/elsewhere?a=b#c']]],
    [
      'challenges',
      [
        ['WWW-Authenticate', 'Basic realm="a"'],
        ['WWW-Authenticate', 'Negotiate'],
      ],
    ],
    [
      'Server and Via',
      [
        ['Server', 'Old/1.0 (x)'],
        ['Via', '1.1 backend'],
      ],
    ],
    [
      'a range',
      [
        ['Content-Range', 'bytes 0-99/1000'],
        ['Accept-Ranges', 'bytes'],
      ],
    ],
    [
      'ETag and friends',
      [
        ['ETag', 'W/"a\u00e9"'],
        ['Last-Modified', 'Tue, 15 Nov 1994 08:12:31 GMT'],
      ],
    ],
    [
      'Connection that lists a field',
      [
        ['Connection', 'x-hop, close'],
        ['X-Hop', 'gone'],
        ['X-Kept', 'here'],
      ],
    ],
    [
      'Keep-Alive',
      [
        ['Connection', 'keep-alive'],
        ['Keep-Alive', 'timeout=5'],
      ],
    ],
    [
      'Upgrade',
      [
        ['Upgrade', 'h2c'],
        ['Connection', 'Upgrade'],
      ],
    ],
    ['Proxy-Authenticate', [['Proxy-Authenticate', 'Basic realm="x"']]],
    ['Alt-Svc', [['Alt-Svc', 'h3=":443"']]],
    ['a request id of its own', [['X-Request-Id', 'backend-7']]],
    [
      'what only the gateway says',
      [
        ['X-DSMapper-Verdict', 'forged'],
        ['X-Dsmapper-Else', 'forged'],
      ],
    ],
    [
      'security fields',
      [
        ['Strict-Transport-Security', 'max-age=1'],
        ['Content-Security-Policy', "default-src 'self'; a\u00a0b"],
      ],
    ],
    [
      'event stream',
      [
        ['Content-Type', 'text/event-stream'],
        ['X-Accel-Buffering', 'no'],
      ],
    ],
    [
      'JSON names in lower case',
      [
        ['content-type', 'application/json'],
        ['x-lower', '1'],
        ['X-UPPER', '2'],
      ],
    ],
  ];
  for (const [name, fields] of cases) {
    yield [`answer: ${name}`, { answer: { fields } }];
    yield [`answer in chunks: ${name}`, { answer: { fields, framing: 'chunked' } }];
  }
}

function* requestFields(): Drafts {
  const cases: readonly (readonly [string, readonly Field[]])[] = [
    [
      'common ones',
      [
        ['Accept', '*/*'],
        ['User-Agent', 'conformance/1'],
        ['Accept-Encoding', 'gzip, br'],
        ['Accept-Language', 'cy'],
      ],
    ],
    [
      'case of names',
      [
        ['x-lower', '1'],
        ['X-UPPER', '2'],
        ['X-MiXeD', '3'],
      ],
    ],
    [
      'duplicates',
      [
        ['X-A', '1'],
        ['X-B', 'x'],
        ['X-A', '2'],
        ['Accept', 'a/b'],
        ['Accept', 'c/d'],
      ],
    ],
    [
      'an empty value',
      [
        ['X-Empty', ''],
        ['X-After', '1'],
      ],
    ],
    [
      'octets above ASCII',
      [
        ['X-Latin', 'caf\u00e9 \u00ff'],
        ['X-Utf8', 'caf\u00c3\u00a9'],
      ],
    ],
    ['a value of 16 KB', [['X-Long', 'v'.repeat(16_000)]]],
    ['a value near the limit', [['X-Long', 'v'.repeat(31_000)]]],
    ['150 fields', Array.from({ length: 150 }, (_, i): Field => [`X-Field-${i}`, String(i)])],
    ['more fields than allowed', Array.from({ length: 250 }, (_, i): Field => [`X-Field-${i}`, String(i)])],
    ['more octets than allowed', [['X-Long', 'v'.repeat(40_000)]]],
    ['one cookie field', [['Cookie', 'a=1; b=2; c="3"']]],
    [
      'cookies in crumbs',
      [
        ['Cookie', 'a=1'],
        ['X-Between', '1'],
        ['Cookie', 'b=2'],
        ['Cookie', 'c=3'],
      ],
    ],
    ['Authorization', [['Authorization', 'Basic YTpi']]],
    [
      'conditions',
      [
        ['If-None-Match', '"a", W/"b"'],
        ['If-Modified-Since', 'Tue, 15 Nov 1994 08:12:31 GMT'],
      ],
    ],
    ['a range', [['Range', 'bytes=0-99,200-']]],
    [
      'Content-Type and coding',
      [
        ['Content-Type', 'text/plain; charset=utf-8'],
        ['Content-Encoding', 'gzip'],
      ],
    ],
    ['Connection: close', [['Connection', 'close']]],
    [
      'Connection: keep-alive',
      [
        ['Connection', 'keep-alive'],
        ['Keep-Alive', '300'],
      ],
    ],
    [
      'Connection that lists a field',
      [
        ['Connection', 'x-hop'],
        ['X-Hop', 'gone'],
        ['X-Kept', 'here'],
      ],
    ],
    ['TE', [['TE', 'trailers']]],
    [
      'Upgrade that nobody follows',
      [
        ['Upgrade', 'h2c'],
        ['Connection', 'Upgrade'],
      ],
    ],
    [
      'Proxy fields',
      [
        ['Proxy-Authorization', 'Basic x'],
        ['Proxy-Connection', 'keep-alive'],
      ],
    ],
    [
      'forged identity',
      [
        ['X-Remote-User', 'LAB\\admin'],
        ['X-ARR-ClientCert', 'AAAA'],
        ['X_Remote_User', 'LAB\\x'],
      ],
    ],
    [
      'forged forwarding',
      [
        ['X-Forwarded-For', '10.0.0.1'],
        ['X-Forwarded-Proto', 'gopher'],
        ['Forwarded', 'for=10.0.0.1'],
      ],
    ],
    ['a request id of its own', [['X-Request-Id', 'client-7']]],
    [
      'Via and Max-Forwards',
      [
        ['Via', '1.0 fred'],
        ['Max-Forwards', '10'],
      ],
    ],
    [
      'Origin and preflight',
      [
        ['Origin', 'https://a.test'],
        ['Access-Control-Request-Method', 'PUT'],
      ],
    ],
    [
      'trace context',
      [
        ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
        ['baggage', 'a=b;c=d'],
      ],
    ],
    [
      'odd names',
      [
        ["x!#$%&'*+-.^_`|~9", 'v'],
        ['X_Under', 'v'],
      ],
    ],
    ['blanks and tabs within', [['X-Blank', 'a  b\tc']]],
    ['Priority', [['Priority', 'u=1, i']]],
    ['HTTP2-Settings', [['HTTP2-Settings', 'AAMAAABkAAQCAAAAAAIAAAAA']]],
    [
      'fetch metadata',
      [
        ['Sec-Fetch-Mode', 'cors'],
        ['Sec-Fetch-Site', 'same-origin'],
      ],
    ],
    [
      'Content-Length spelled otherwise',
      [
        ['Content_Length', '9'],
        ['Transfer_Encoding', 'chunked'],
      ],
    ],
  ];
  for (const [name, fields] of cases) {
    yield [`request: ${name}`, { request: { fields } }];
    if (fields.length < 10)
      yield [`POST: ${name}`, { request: { fields, method: 'POST', body: 20, framing: 'chunked' } }];
  }
}

function* targets(): Drafts {
  const list = [
    '/',
    '/a',
    '/a/',
    '/payroll',
    '/payroll/',
    '/payroll/?',
    '/payroll/a?b',
    '/payroll/a?b=c&d=e',
    '/payroll/a?',
    '/payroll/a??',
    '/payroll/a?b=%20%2f%5c%00',
    "/payroll/a?q='()*!$,;:@/?-._~",
    '/payroll/a?{}|^`"<>[]\\',
    '/payroll/a?b=c%',
    '/payroll/a?%zz',
    `/payroll/${'x'.repeat(8000)}`,
    `/payroll/a?${'q=1&'.repeat(2000)}`,
    `/payroll${'/s'.repeat(2000)}`,
    '/payroll/%7euser',
    '/payroll/~user',
    '/payroll/%e4%bd%a0',
    '/payroll/%E4%BD%A0',
    '/payroll/a%20b',
    '/payroll/a+b',
    '/payroll//a',
    '/payroll/./a',
    '/payroll/b/../a',
    '/payroll/a;v=1',
    '/payroll/a:b@c',
    "/payroll/!$&'()*+,=",
    '/payroll/a.b.c',
    '/payroll/[x]',
    '/payroll/{x}',
    '/payroll/x|y',
    '/payroll/%2e%2e/a',
    '/payroll/a%2fb',
    '/payroll/a%5cb',
    '/payroll/a\\b',
    '/payroll/%00',
    '/payroll/a%',
    '/payroll/%252e',
    '/payroll/a./b',
    '/..',
    '/payroll/\u00e9',
    '/payroll/%C3',
    '/PAYROLL/A',
    '/payroll/*',
    '*',
    'http://127.0.0.1/payroll/a?b',
    'http://127.0.0.1',
    'https://127.0.0.1/payroll/a',
  ];
  for (const target of list) {
    const name = target.length > 40 ? `${target.slice(0, 20)}... (${target.length})` : target;
    yield [`target ${name}`, { request: { target } }];
  }
  yield ['OPTIONS *', { request: { method: 'OPTIONS', target: '*' } }];
  yield ['HTTP/1.0', { request: { version: '1.0' }, ways: ['http1', 'late'] }];
  yield [
    'HTTP/1.0, answer until the end',
    { request: { version: '1.0' }, answer: { framing: 'close', body: 70_000 }, ways: ['http1', 'late'] },
  ];
  yield ['HTTP/1.0 with a body', { request: { version: '1.0', method: 'POST', body: 9 }, ways: ['http1', 'late'] }];
  yield [
    'HTTP/1.0 keep-alive',
    { request: { version: '1.0', fields: [['Connection', 'keep-alive']] }, ways: ['http1'] },
  ];
}

function* expectations(): Drafts {
  for (const body of [1, 16 * kibibyte, mebibyte])
    for (const framing of ['length', 'chunked'] as const)
      yield [`Expect, ${body} octets, ${framing}`, { request: { method: 'PUT', expect: true, body, framing } }];
  const refuses = { status: 417, reason: 'Expectation Failed', early: true } as const;
  yield ['Expect, 417 by the backend', { request: { method: 'PUT', expect: true, body: 100 }, answer: refuses }];
  yield [
    'Expect, 413 by the backend',
    { request: { method: 'PUT', expect: true, body: 100_000 }, answer: { ...refuses, status: 413 } },
  ];
  yield ['Expect of something else', { request: { method: 'PUT', fields: [['Expect', 'tea']], body: 0 } }];
  for (const body of [10, 100_000, mebibyte])
    yield [
      `answer before a body of ${body} octets`,
      {
        request: { method: 'POST', body },
        answer: { early: true, status: 403 },
      },
    ];
}

function* endings(): Drafts {
  const big = 4 * mebibyte;
  for (const framing of ['length', 'chunked'] as const) {
    yield [
      `the client leaves in its body, ${framing}`,
      { request: { method: 'POST', body: mebibyte, framing, leaves: 'inBody' }, ways: ['http1', 'http2'] },
    ];
    yield [
      `the client leaves in the answer, ${framing}`,
      {
        request: { leaves: 'inAnswer' },
        answer: { body: big, framing, stalls: 'inBody' },
      },
    ];
    yield [`the backend breaks off its answer, ${framing}`, { answer: { body: 200_000, framing, breaks: 'inBody' } }];
    yield [`the backend breaks off a small answer, ${framing}`, { answer: { body: 10, framing, breaks: 'inBody' } }];
  }
  for (const method of ['GET', 'POST', 'HEAD'])
    yield [
      `the client leaves before the answer to ${method}`,
      {
        request: { method, leaves: 'beforeAnswer', body: method === 'POST' ? 50 : null },
        answer: { stalls: 'beforeHead' },
      },
    ];
  yield [
    'the client leaves before the answer to 1 MiB',
    {
      request: { method: 'PUT', body: mebibyte, leaves: 'beforeAnswer' },
      answer: { stalls: 'beforeHead' },
      ways: ['http1', 'http2'],
    },
  ];
  yield [
    'the backend breaks off instead of answering',
    { request: { method: 'POST', body: 5 }, answer: { breaks: 'beforeHead' } },
  ];
  yield ['the backend breaks off in its head', { request: { method: 'POST', body: 5 }, answer: { breaks: 'inHead' } }];
  yield [
    'the backend breaks off after hints',
    { request: { method: 'POST', body: 5 }, answer: { breaks: 'beforeHead', hints: [[['Link', '</a>']]] } },
  ];
  yield [
    'the backend breaks off an answer that its end delimits',
    { answer: { framing: 'close', body: 200_000, breaks: 'inBody' } },
  ];
}

function* paces(): Drafts {
  yield ['a client of single octets', { request: { slow: true } }];
  yield ['a client of single octets with a body', { request: { slow: true, method: 'POST', body: 300 } }];
  yield [
    'a client of single octets in chunks',
    { request: { slow: true, method: 'POST', body: 300, framing: 'extended' } },
  ];
  yield ['a backend of single octets', { answer: { slow: true, body: 300 } }];
  yield [
    'a backend of single octets in chunks',
    { answer: { slow: true, body: 300, framing: 'extended', trailers: [['X-T', '1']] } },
  ];
  yield ['a backend of single octets, close', { answer: { slow: true, body: 300, framing: 'close' } }];
  yield ['both of single octets', { request: { slow: true, method: 'PUT', body: 100 }, answer: { slow: true } }];
}

function* large(): Drafts {
  const twenty = 20_000_000;
  const twoHundred = 200_000_000;
  const up = (body: number, framing: 'length' | 'chunked'): Draft => ({
    request: { method: 'PUT', body, framing },
    ways: ['http1', 'http2'],
  });
  const down = (body: number, framing: 'length' | 'chunked'): Draft => ({
    answer: { body, framing },
    ways: ['http1', 'http2', 'late'],
  });
  yield ['20 MB up', up(twenty, 'length')];
  yield ['20 MB up in chunks', up(twenty, 'chunked')];
  yield ['20 MB down in chunks', down(twenty, 'chunked')];
  yield ['20 MB up, late', { request: { method: 'PUT', body: twenty }, ways: ['late'] }];
  yield ['200 MB up', { ...up(twoHundred, 'length'), ways: ['http1'] }];
  yield ['200 MB down', { ...down(twoHundred, 'length'), ways: ['http2'] }];
}
