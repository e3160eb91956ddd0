/**
 * The gateway room: how a path and a host are read, which rule they find, what a refusal looks like, what is logged, and what a connection
 * remembers for how long. Logons as such are in `test/behaviour/logon.test.ts`.
 */
import fc from 'fast-check';
import { once } from 'node:events';
import { connect } from 'node:http2';
import https from 'node:https';
import { connect as tcpConnect } from 'node:net';
import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import tls from 'node:tls';
import t from 'tap';
import { isoText } from '../src/base/clock.ts';
import { startRecheck } from '../src/gateway/recheck.ts';
import type { Test } from 'tap';
import type { Instant, Sid } from '../src/base/brand.ts';
import type { Clock } from '../src/base/clock.ts';
import type { Account } from '../src/base/identity.ts';
import { noSteps } from '../src/base/steps.ts';
import { verdictCodes } from '../src/base/verdict.ts';
import type { Again, DirectoryChange } from '../src/directory/directory.ts';
import { createAccessLog, openLog } from '../src/gateway/access-log.ts';
import { hostOf, requestTarget } from '../src/gateway/authority.ts';
import { canonicalPath, foldSegment } from '../src/gateway/canonical-path.ts';
import { unwatched } from '../src/gateway/exchange.ts';
import { watchDirectory } from '../src/gateway/directory-watch.ts';
import { startGateway, systemFacilities } from '../src/gateway/gateway.ts';
import { createLiveAccounts } from '../src/gateway/live-accounts.ts';
import { heldBytes } from '../src/gateway/read-ahead.ts';
import { decide } from '../src/gateway/flow.ts';
import { earnedBy, remember, remembered } from '../src/gateway/memory.ts';
import { readinessOf } from '../src/gateway/readiness.ts';
import type { LocationSettings, SiteSettings } from '../src/gateway/settings.ts';
import type { Setup } from '../src/gateway/setup.ts';
import { createSiteIndex } from '../src/gateway/site-index.ts';
import type { Outgoing, Presented } from '../src/gateway/stages.ts';
import { accessRule } from '../src/iis/access-flags.ts';
import { errorPage, prefersJson } from '../src/iis/error-page.ts';
import { escapeHtml } from '../src/iis/html-page.ts';
import { answerOf, isGood, statusText } from '../src/iis/verdict-table.ts';
import type { MapAnswer, Mapper } from '../src/mapping/mapper-contract.ts';
import type { Connection } from '../src/tls/connection.ts';
import type { Front } from '../src/tls/front.ts';
import { createFakeDirectory, fakeAccount, joinForests, type AccountFacts } from './support/fake-directory.ts';
import { ask, testGateway, testLab } from './support/gateway.ts';
import type { TestGateway } from './support/gateway.ts';
import { rawGet, sendRaw } from './support/raw-http.ts';

const alice = 'CN=alice,CN=Users,DC=lab,DC=example,DC=test';

void t.test('an instant is written as JavaScript writes it, however near the one before was', async (t) => {
  const spread = fc.integer({ min: -2e14, max: 2e14 });
  const steps = fc.array(fc.oneof(fc.integer({ min: -1500, max: 1500 }), fc.constant(0.5)), { maxLength: 8 });
  fc.assert(
    fc.property(spread, steps, (start, offsets) =>
      [0, ...offsets].every(
        (offset) => isoText((start + offset) as Instant) === new Date(start + offset).toISOString(),
      ),
    ),
  );
  for (const instant of [-1, -0.5, -1]) t.equal(isoText(instant as Instant), new Date(instant).toISOString());
  t.equal(isoText(Number.NaN as Instant), 'invalid date');
  t.equal(isoText(8.65e15 as Instant), 'invalid date');
});

/** Goes on as soon as the condition holds; the test's own time-out ends a condition that never does. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** A directory that was out of reach, or not asked for a year, is known again. */
async function ready(to: TestGateway, clock: ReturnType<typeof shiftableClock>): Promise<void> {
  while (!(await to.gateway.readiness()).ready) {
    clock.shift(200);
    await ask(to, 'upFront', { path: '/' });
  }
}

function shiftableClock(): Clock & { shift(milliseconds: number): void } {
  let offset = 0;
  return {
    now: () => (Date.now() + offset) as Instant,
    monotonic: () => performance.now() + offset,
    shift: (milliseconds) => (offset += milliseconds),
  };
}

await t.test('a path has one spelling', async (t) => {
  const spellings: readonly (readonly [sent: string, path: string, segments: readonly string[], query?: string])[] = [
    ['/', '/', []],
    ['/a', '/a', ['a']],
    ['/a/', '/a/', ['a']],
    ['/a/b_c-D9', '/a/b_c-D9', ['a', 'b_c-D9']],
    ['/a?', '/a', ['a'], '?'],
    ['/a?x=/../%2e#', '', []],
    ['/a?x=/../%zz\\', '/a', ['a'], '?x=/../%zz\\'],
    ['//a', '/a', ['a']],
    ['///a//b///', '/a/b/', ['a', 'b']],
    ['/./a', '/a', ['a']],
    ['/a/.', '/a/', ['a']],
    ['/a/..', '/', []],
    ['/a/b/../c', '/a/c', ['a', 'c']],
    ['/a/%2e%2E/c', '/c', ['c']],
    ['/%61%5f%7E', '/a_~', ['a_~']],
    ['/%c3%a9', '/%C3%A9', ['é']],
    ['/a%20b', '/a%20b', ['a b']],
    ['/a;x=1', '/a;x=1', ['a']],
    ['/a%3bx', '/a%3Bx', ['a']],
    ['/a%3fx', '/a%3Fx', ['a']],
    ['/a%23x', '/a%23x', ['a']],
    ['/;x/a', '/;x/a', ['a']],
    ['/100%25', '/100%25', ['100%']],
    ['/a|b"<>^`{}', '/a%7Cb%22%3C%3E%5E%60%7B%7D', ['a|b"<>^`{}']],
    ['/.well-known/x', '/.well-known/x', ['.well-known', 'x']],
    ['/..a', '/..a', ['..a']],
    ['/a.b', '/a.b', ['a.b']],
    ['/users:batch', '/users:batch', ['users:batch']],
    ['/%e2%80%a6x', '/%E2%80%A6x', ['…x']],
  ];
  for (const [sent, path, segments, query = ''] of spellings) {
    if (path === '') t.type(canonicalPath(sent, 'refuse'), 'string', sent);
    else t.strictSame(canonicalPath(sent, 'refuse'), { path, segments, query }, sent);
  }

  const kept: readonly (readonly [sent: string, path: string, segments: readonly string[]])[] = [
    ['/a%2fb', '/a%2Fb', ['a', 'b']],
    ['/a%2Fb;x/c', '/a%2Fb;x/c', ['a', 'b', 'c']],
    ['/a;x%2fb', '/a;x%2Fb', ['a', 'b']],
  ];
  for (const [sent, path, segments] of kept)
    t.strictSame(canonicalPath(sent, 'keep'), { path, segments, query: '' }, `${sent} with encodedSlash keep`);
});

await t.test('a path that can be read in two ways is refused, with the reason', async (t) => {
  const refusals: readonly (readonly [reason: RegExp, ...sent: string[]])[] = [
    [/start with a slash/, '', '*', 'a', '?x', 'a/../b'],
    [/may not stand/, '/a#b', '/a b', '/a\tb', '/a\u0000', '/é', '/a?b c', '/a?#', '/a?é', '/\u007f'],
    [/backslash/, '/a\\b', '/\\..\\a', '/a%5cb', '/%5C'],
    [/encodes nothing/, '/%', '/a%2', '/%zz', '/%u0070', '/a%2g'],
    [/not UTF-8/, '/%c0%af', '/%ff', '/%c3', '/%ed%a0%80', '/%e0%80%af'],
    [/control character/, '/%00', '/a%0d%0ab', '/%09', '/%7f', '/%c2%85'],
    [/encoded twice/, '/%2561', '/%252e%252e', '/%25%36%31', '/%25u0070'],
    [/above the root/, '/..', '/../a', '/a/../..', '/%2e%2e/a', '/a/../../b'],
    [/path parameters/, '/..;/a', '/.;x', '/a/..;b=c/d', '/..%3b/a', '/..%23', '/..%3fx'],
    [
      /ends with a dot or a blank/,
      '/a.',
      '/a..',
      '/...',
      '/a%2e',
      '/a%20',
      '/a./b',
      '/a%20/b',
      '/a.;x',
      '/a.%3fx',
      '/.%e2%80%8b./a',
    ],
    [/NTFS stream/, '/a::$DATA', '/a%3a%3a$data', '/a:$I30:$INDEX_ALLOCATION/b', '/a:x:$DATA'],
    [/encoded slash/, '/a%2fb', '/%2Fa', '/a%2F', '/a/%2e%2e%2fb'],
    [
      /separator/,
      '/a%ef%bc%8fb',
      '/%ef%bc%8f',
      '/a%ef%bc%bcb',
      '/a%ef%bc%85b',
      '/a%ef%bc%9bx',
      '/%e2%84%80',
      '/a%ef%bc%9a%ef%bc%84DATA',
    ],
    [/ignore or replace/, '/a/%ef%bc%8e%ef%bc%8e/b', '/%e2%80%a5/b', '/%e2%80%8b/a', '/%ef%bc%8e'],
  ];
  for (const [reason, ...targets] of refusals)
    for (const sent of targets) t.match(canonicalPath(sent, 'refuse'), reason, JSON.stringify(sent));
  const keeping: readonly (readonly [reason: RegExp, ...sent: string[]])[] = [
    [
      /hides a dot segment/,
      '/a%2f..',
      '/..%2fa',
      '/a%2f%2e%2e%2fb',
      '/%2fa',
      '/a%2f',
      '/a%2f%2fb',
      '/..;x%2fa',
      '/a%2f;x',
    ],
    [/ends with a dot or a blank/, '/a.%2fb', '/a%20%2fb', '/a%2fb.', '/a.;x%2fb'],
    [/encoded twice/, '/a%252fb'],
    [/NTFS stream/, '/a%2fb:$I30:$INDEX_ALLOCATION'],
  ];
  for (const [reason, ...targets] of keeping)
    for (const sent of targets) t.match(canonicalPath(sent, 'keep'), reason, `${sent} with encodedSlash keep`);
});

await t.test('what comes out of the reading reads the same again', async (t) => {
  const piece = fc.oneof(
    fc.constantFrom(
      'a',
      'B',
      '.',
      '..',
      '/',
      '//',
      ';',
      '%2e',
      '%2F',
      '%5c',
      '%41',
      '%c3%a9',
      '%',
      '?',
      '#',
      '~',
      '|',
      ' ',
    ),
    fc.string({ maxLength: 3 }),
  );
  const target = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);
  const seed = Date.now();
  t.comment(`seed ${seed}`);
  fc.assert(
    fc.property(target, fc.constantFrom('refuse' as const, 'keep' as const), (sent, encodedSlash) => {
      const once = canonicalPath(sent, encodedSlash);
      if (typeof once === 'string') return;
      const twice = canonicalPath(once.path + once.query, encodedSlash);
      if (typeof twice === 'string') throw new Error(`${once.path} ${twice}`);
      if (twice.path !== once.path || twice.segments.join('\n') !== once.segments.join('\n'))
        throw new Error(`${sent} -> ${once.path} -> ${twice.path}`);
      if (!/^\/[\u0021\u0024-\u007e]*$/.test(once.path)) throw new Error(`not plain: ${once.path}`);
      if (/(?:^|\/)\.{1,2}(?:\/|$)|\/\//.test(once.path)) throw new Error(`left to resolve: ${once.path}`);
    }),
    { numRuns: 3000, seed },
  );
  t.pass('3000 targets');
});

await t.test('a request names one host', async (t) => {
  const ours = (host: string, target: string) => ({ host, target });
  const mismatch = { code: 'hostMismatch' };
  const cases: readonly (readonly [url: string, headers: readonly string[], result: object])[] = [
    ['/a', ['Host', 'www.example.test'], ours('www.example.test', '/a')],
    ['/a', ['hOST', 'WWW.Example.Test'], ours('www.example.test', '/a')],
    ['/a', ['Host', 'a:8443'], ours('a', '/a')],
    ['/a', ['Host', 'a.'], ours('a', '/a')],
    ['/a', ['Host', 'a.:443'], ours('a', '/a')],
    ['/a', ['Host', '127.0.0.1:443'], ours('127.0.0.1', '/a')],
    ['/a', ['Host', '[::1]:443'], ours('[::1]', '/a')],
    ['/a', [':authority', 'a', ':path', '/b'], ours('a', '/a')],
    ['/a', [':authority', 'a', 'host', 'A'], ours('a', '/a')],
    ['http://a/b?c', ['Host', 'a'], ours('a', '/b?c')],
    ['HTTPS://A/b', ['Host', 'a'], ours('a', '/b')],
    ['http://a', ['Host', 'a'], ours('a', '/')],
    ['http://a?x', ['Host', 'a'], ours('a', '/?x')],
    ['/a', [], mismatch],
    ['http://a/', [], mismatch],
    ['/a', ['Host', 'a', 'Host', 'a'], mismatch],
    ['/a', ['Host', 'a', 'HOST', 'b'], mismatch],
    ['/a', [':authority', 'a', 'host', 'b'], mismatch],
    ['http://b/', ['Host', 'a'], mismatch],
    ['http://a:80/', ['Host', 'a'], mismatch],
    ['http://a@b/', ['Host', 'b'], mismatch],
    ['http:///x', ['Host', ''], mismatch],
    ['ftp://a/', ['Host', 'a'], { code: 'pathNotCanonical' }],
    ['*', ['Host', 'a'], { code: 'pathNotCanonical' }],
    ['a:443', ['Host', 'a'], { code: 'pathNotCanonical' }],
  ];
  for (const [url, headers, result] of cases)
    t.match(requestTarget(url, headers), result, `${url} ${headers.join(' ')}`);
  for (const bad of [
    '',
    'a b',
    'a/b',
    'a\\b',
    'a@b',
    'a,b',
    'a..b',
    '.a',
    '..',
    '-a',
    'a:',
    'a:123456',
    'a:x',
    '[::1',
    '::1',
    'é',
    'a%2eb',
    '[::1].',
    'a..',
  ])
    t.match(requestTarget('/', ['Host', bad]), mismatch, JSON.stringify(bad));
  t.equal(hostOf('A.Example:1'), 'a.example');
  const told = requestTarget('http://me:secret@a/', ['Host', 'a']);
  t.notMatch(JSON.stringify(told), /secret/, 'a password in a URL is not told on');
});

function site(more: Partial<SiteSettings>, locations: readonly Partial<LocationSettings>[]): SiteSettings {
  const base = { exact: false, access: accessRule([]), anonymous: 'fallback' } as unknown as LocationSettings;
  return {
    name: 'one',
    bindings: ['b'],
    hosts: [],
    pathCase: 'ignore',
    encodedSlash: 'refuse',
    probes: [],
    locations: locations.map((location) => ({ ...base, ...location })),
    ...more,
  };
}

await t.test('the nearest location wins, and one that loosens only by its own spelling', async (t) => {
  const found = (settings: SiteSettings, target: string) => {
    const path = canonicalPath(target, settings.encodedSlash);
    if (typeof path === 'string') throw new TypeError(path);
    const location = createSiteIndex([settings]).site('b', 'any')?.location(path);
    return `${location?.path}${location?.exact === true ? ' exact' : ''}`;
  };
  const locations = [
    { path: '/pay/public', exact: true },
    { path: '/pay/public', exact: false },
    { path: '/open', exact: true },
    { path: '/pay/deep/er' },
    { path: '/pay' },
    { path: '/' },
  ];
  const ignore = site({}, locations);
  for (const [target, location] of [
    ['/', '/'],
    ['/x', '/'],
    ['/payx', '/'],
    ['/pa', '/'],
    ['/pay', '/pay'],
    ['/pay/', '/pay'],
    ['/PAY/x', '/pay'],
    ['/pay/deep', '/pay'],
    ['/pay/deep/er/x', '/pay/deep/er'],
    ['/pay;x/deep;y/er', '/pay/deep/er'],
    ['/%ef%bd%90ay', '/pay'],
    ['/pa%c2%ady', '/pay'],
    ['/pay%3fx', '/pay'],
    ['/pay/public', '/pay/public exact'],
    ['/pay/public/x', '/pay/public exact'],
    ['/x/../pay/./public', '/pay/public exact'],
    ['/PAY/Public', '/pay/public exact'],
    ['/pay/public;x', '/pay/public'],
    ['/pay;x/public', '/pay/public'],
    ['/pay/publi%ef%bd%83', '/pay/public'],
    ['/pay/publicx', '/pay'],
    ['/open/x', '/open exact'],
    ['/open;x', '/'],
    ['/%ef%bd%8fpen', '/'],
  ] as const)
    t.equal(found(ignore, target), location, target);
  const exact = site({ pathCase: 'exact' }, locations);
  for (const [target, location] of [
    ['/pay', '/pay'],
    ['/PAY', '/'],
    ['/pay/public', '/pay/public exact'],
    ['/pay/Public', '/pay'],
    ['/OPEN', '/'],
  ] as const)
    t.equal(found(exact, target), location, `${target} with pathCase exact`);
  t.equal(
    found(site({ encodedSlash: 'keep' }, locations), '/pay%2Fdeep/er'),
    '/pay/deep/er',
    'a kept slash parts names',
  );
  t.equal(foldSegment('ﬀＡ\u00adß'), foldSegment('FFaß'), 'width, ligatures and the invisible are folded');
  t.throws(() => createSiteIndex([site({}, [{ path: '/x' }])]), /no location \//);
});

await t.test('the host chooses the site', async (t) => {
  const root = [{ path: '/' }];
  const index = createSiteIndex([
    site({ name: 'named', hosts: ['www.example.test'] }, root),
    site({ name: 'rest' }, root),
    site({ name: 'other', bindings: ['c'], hosts: ['www.example.test'] }, root),
  ]);
  t.equal(index.site('b', 'www.example.test')?.settings.name, 'named');
  t.equal(index.site('b', 'x')?.settings.name, 'rest');
  t.equal(index.site('c', 'www.example.test')?.settings.name, 'other');
  t.equal(index.site('c', 'x'), null, 'unknown host');
  t.equal(index.site('d', 'www.example.test'), null, 'unknown binding');
});

await t.test('the verdict table', async (t) => {
  for (const code of verdictCodes) {
    for (const outcomes of ['safe', 'iis'] as const) {
      const answer = answerOf(code, outcomes);
      t.ok(answer.status >= 200 && answer.status <= 504, `${code} has a status`);
      t.match(answer.text, /^[A-Z].*[.]$/, `${code} has a sentence`);
      t.equal(Object.hasOwn(answer, 'iis'), false);
      const page = errorPage(answer, { requestId: 'r', detail: null, json: false });
      if (answer.status >= 400) t.notMatch(page.body, /- Error</, `${answer.status} has a title`);
    }
  }
  const mapperRefusals = [
    'accountDisabled',
    'accountExpired',
    'accountLocked',
    'accountRefused',
    'ambiguous',
    'certificatePredatesAccount',
    'issuerNotInNtAuth',
    'outsideLogonHours',
    'passwordExpired',
    'sidMismatch',
    'weakMapping',
  ];
  const differing = verdictCodes.filter(
    (code) => statusText(answerOf(code, 'safe')) !== statusText(answerOf(code, 'iis')),
  );
  t.strictSame(
    differing.toSorted(),
    [
      ...mapperRefusals,
      'directoryUnavailable',
      'groupsUnknown',
      'issuerNotAccepted',
      'notAuthorised',
      'policyRequired',
      'strengthRequired',
    ].toSorted(),
    'IIS differs where no token reached it, and nowhere else',
  );
  for (const code of differing) t.match(answerOf(code, 'iis'), { status: 401, subStatus: 2, win32: 5 }, code);
  for (const code of mapperRefusals) t.equal(statusText(answerOf(code as 'ambiguous', 'safe')), '403.12', code);
  for (const [code, text, win32] of [
    ['certificateRequired', '403.7', 5],
    ['sslRequired', '403.4', 5],
    ['certificateExpired', '403.17', 0x800b0101],
    ['untrustedRoot', '403.16', 0x800b0109],
    ['notMapped', '401.2', 5],
    ['directoryUnavailable', '503', 0x80090311],
    ['bodyTooLarge', '413', 0],
    ['misdirected', '421', 0],
    ['upstreamUnavailable', '502.3', 12029],
  ] as const) {
    t.equal(statusText(answerOf(code, 'safe')), text);
    t.equal(answerOf(code, 'safe').win32, win32);
  }
  t.strictSame(verdictCodes.filter(isGood), ['anonymous', 'authorised', 'notJudged', 'trusted'], 'only these go on');
});

await t.test('error pages', async (t) => {
  const hostile = `<script>alert("1")</script>&'\u0000`;
  const detail = { code: 'weakMapping', text: hostile };
  const remote = (code: 'weakMapping' | 'ambiguous' | 'wrongUsage' | 'certificateRequired', json = false) =>
    errorPage(answerOf(code, 'safe'), { requestId: hostile, detail: null, json }).body;

  await t.test('remote callers cannot tell one sub-status from another', async (t) => {
    t.equal(remote('weakMapping'), remote('wrongUsage'));
    t.equal(remote('weakMapping'), remote('certificateRequired'));
    t.equal(remote('weakMapping', true), remote('ambiguous', true));
    t.notMatch(remote('weakMapping'), /403\.\d|mapping|0x/);
    t.strictSame(JSON.parse(remote('weakMapping', true)), {
      status: 403,
      title: 'Forbidden: Access is denied.',
      requestId: hostile,
    });
  });

  await t.test('local callers get the detail', async (t) => {
    const facts = { requestId: 'id-1', detail, json: false };
    const { body, contentType } = errorPage(answerOf('weakMapping', 'safe'), facts);
    t.equal(contentType, 'text/html; charset=utf-8');
    t.match(body, 'HTTP Error 403.12 - Forbidden');
    t.match(body, 'weakMapping');
    t.match(body, '0x00000005');
    t.match(body, 'id-1');
    const json = errorPage(answerOf('weakMapping', 'safe'), { ...facts, json: true });
    t.equal(json.contentType, 'application/json; charset=utf-8');
    t.strictSame(JSON.parse(json.body), {
      status: 403,
      title: 'Forbidden: Access is denied.',
      requestId: 'id-1',
      subStatus: 12,
      win32: 5,
      code: 'weakMapping',
      detail: hostile,
    });
  });

  await t.test('everything is escaped', async (t) => {
    const { body } = errorPage(answerOf('weakMapping', 'safe'), { requestId: hostile, detail, json: false });
    t.notMatch(body, '<script');
    t.notMatch(body, 'alert("1")');
    t.equal(escapeHtml(`<>&"'`), '&lt;&gt;&amp;&quot;&#39;');
  });

  await t.test('JSON for who prefers it', async (t) => {
    for (const [accept, json] of [
      [undefined, false],
      ['*/*', false],
      ['text/html', false],
      ['application/json', true],
      ['Application/JSON; q=0.9, text/html;q=0.5', true],
      ['application/json;q=0.5, text/html', false],
      ['application/json;q=0', false],
      ['application/json;q=x', false],
      ['text/html, application/json', false],
      [`application/json,${'x'.repeat(1000)}`, false],
    ] as const)
      t.equal(prefersJson(accept), json, String(accept));
  });
});

/** A stream that takes what it gets, breaks, or never gets done. */
function sink(behaviour: 'takes' | 'breaks' | 'sticks') {
  const written: string[] = [];
  const held: (() => void)[] = [];
  const stream = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString('utf8'));
      if (behaviour === 'breaks') done(new Error('ENOSPC'));
      else if (behaviour === 'sticks') held.push(done);
      else done();
    },
  });
  return { stream, written, release: () => held.splice(0).forEach((done) => done()) };
}

await t.test('access log', async (t) => {
  await t.test('one line of JSON per record, written together', async (t) => {
    const { stream, written } = sink('takes');
    const log = createAccessLog({ stream, owned: true });
    log.write({ a: 1 });
    log.write({ b: 'x\ny\u0007' });
    t.strictSame(written, [], 'nothing yet');
    await log.close();
    t.equal(written.join(''), '{"a":1}\n{"b":"x\\ny\\u0007"}\n');
    t.ok(stream.destroyed, 'an owned stream is ended');
    t.equal(log.dropped, 0);
  });

  await t.test('lines go out by themselves after a moment, or at once when there are many', async (t) => {
    const { stream, written } = sink('takes');
    const log = createAccessLog({ stream, owned: false });
    log.write({ big: 'x'.repeat(70_000) });
    t.equal(written.length, 1);
    log.write({ small: 1 });
    // The log's own timer does not keep the process; this one does.
    const alive = setInterval(() => {}, 1000);
    t.teardown(() => clearInterval(alive));
    await until(() => written.length === 2);
    await log.close();
    t.notOk(stream.destroyed, 'a stream of somebody else stays open');
  });

  await t.test('a broken stream drops and counts, and never throws', async (t) => {
    const { stream } = sink('breaks');
    const log = createAccessLog({ stream, owned: true });
    log.write({ a: 1 });
    log.flush();
    await turn();
    for (let count = 0; count < 5; count += 1) log.write({ count });
    t.equal(log.dropped, 5);
    await log.close();
  });

  await t.test('a log that broke is opened again, and says what was lost', async (t) => {
    const { stream } = sink('breaks');
    const second = sink('takes');
    let now = 0;
    let opened = 0;
    const reopen = () => {
      opened += 1;
      return opened === 1
        ? Promise.reject(new Error('ENOSPC'))
        : Promise.resolve({ stream: second.stream, owned: false });
    };
    const log = createAccessLog({ stream, owned: true, reopen }, () => now);
    log.write({ a: 1 });
    log.flush();
    await turn();
    log.write({ a: 2 });
    log.write({ a: 3 });
    await turn();
    t.equal(opened, 1, 'tried once, not for every line');
    now += 5000;
    log.write({ a: 4 });
    await turn();
    t.equal(opened, 2);
    log.write({ a: 5 });
    log.flush();
    t.same(second.written.join('').split('\n'), ['{"droppedLogLines":3}', '{"a":5}', '']);
    await log.close();
  });

  await t.test('what waits when the stream breaks is counted too', async (t) => {
    const { stream } = sink('takes');
    const log = createAccessLog({ stream, owned: true });
    log.write({ a: 1 });
    log.write({ a: 2 });
    stream.destroy(new Error('EIO'));
    await turn();
    log.flush();
    t.equal(log.dropped, 2);
    await log.close();
  });

  await t.test('a stream that does not get done costs bounded memory, and the gap is told', async (t) => {
    const { stream, written, release } = sink('sticks');
    const log = createAccessLog({ stream, owned: false });
    const line = { big: 'x'.repeat(100_000) };
    for (let count = 0; count < 400; count += 1) log.write(line);
    t.ok(log.dropped > 200, `${log.dropped} dropped`);
    t.ok(stream.writableLength < 17 * 1024 * 1024);
    const { dropped } = log;
    while (stream.writableLength > 0) {
      release();
      await turn();
    }
    log.write({ again: true });
    log.flush();
    release();
    await turn();
    t.match(written.join('').split('\n').slice(-3), [`{"droppedLogLines":${dropped}}`, '{"again":true}', '']);
  });

  await t.test('a file that cannot be opened says so', async (t) => {
    const file = t.testdir({ folder: {} });
    const failing = openLog({ file: `${file}/folder`, omitNames: false, syslog: null });
    await t.rejects(failing, { name: 'Failure', code: 'log-file' });
  });
});

await t.test('the running gateway', { timeout: 240_000 }, async (t) => {
  const lab = await testLab(t);
  const inLab = (t: Test, configure?: (yaml: string) => string, clock?: Clock) =>
    testGateway(t, {
      lab,
      ...(configure === undefined ? {} : { configure }),
      ...(clock === undefined ? {} : { facilities: { clock } }),
    });
  const keptAgent = (t: Test) => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    return agent;
  };
  const connectionsOf = (agent: https.Agent) => Object.values(agent.freeSockets).flat().length;

  await t.test('a log line has what the contract says, and no secret', async (t) => {
    const to = await inLab(t);
    const answer = await ask(to, 'late', {
      as: 'alice',
      path: '/Payroll?token=s3cret',
      headers: { authorization: 'Basic s3cret', cookie: 'session=s3cret' },
    });
    const line = await to.logged(answer.headers['x-request-id']);
    t.match(line, {
      time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
      requestId: answer.headers['x-request-id'],
      generation: 1,
      binding: `127.0.0.1:${to.ports.late}`,
      site: 'Lab',
      location: '/payroll',
      client: '127.0.0.1',
      protocol: 'TLSv1.2',
      http: '1.1',
      method: 'GET',
      path: '/Payroll',
      status: 200,
      subStatus: 0,
      win32: 0,
      code: 'authorised',
      account: 'LAB\\alice',
      sid: /^S-1-5-21-\d/,
      thumbprint: /^[0-9a-f]{40}$/,
      revocation: 'good',
      cache: 'miss',
      ms: { rule: Number, present: Number, judge: Number, map: Number, dress: Number, forward: Number },
    });
    const refused = await ask(to, 'late', { as: 'disabled' });
    t.match(await to.logged(refused.headers['x-request-id']), {
      status: 403,
      subStatus: 12,
      win32: 5,
      code: 'accountDisabled',
      account: 'LAB\\dora',
      detail: /disabled/,
    });
    await rawGet(to, { binding: 'http' }, `http://me:s3cret@127.0.0.1:${to.ports.http}/x?s3cret`);
    await until(() => to.log.length === 3);
    t.match(to.log[2], { code: 'hostMismatch', path: '/x', site: null, location: null, thumbprint: null, cache: null });
    t.notMatch(JSON.stringify(to.log), 's3cret');
    t.equal(to.log.length, 3, 'one line per request');
  });

  await t.test('omitNames leaves out who it was', async (t) => {
    const to = await inLab(t, (yaml) => yaml.replace('log: { file: "-" }', 'log: { file: "-", omitNames: true }'));
    for (const as of ['alice', 'disabled', 'twice', 'workstation']) await ask(to, 'upFront', { as });
    await until(() => to.log.length === 4);
    for (const line of to.log) t.match(line, { account: null, sid: null, thumbprint: /./ });
    t.notMatch(JSON.stringify(to.log), /alice|dora|tina|WS1|S-1-5|lab\.example/i);
  });

  await t.test('a body before a late certificate is bounded, announced or not', async (t) => {
    const to = await inLab(t, (yaml) => `${yaml}\nlimits: { uploadReadAheadSize: 2000, uploadReadAheadTotal: 3000 }\n`);
    const body = (size: number) => Buffer.alloc(size, 'b');
    const post = (size: number, headers = {}) =>
      ask(to, 'late', { as: 'alice', method: 'POST', body: body(size), headers });
    t.equal((await post(2000)).echo().bodyBytes, 2000, 'the limit itself passes');
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const refused = await post(2001, headers);
      t.equal(refused.status, 413);
      t.equal(refused.headers['connection'], 'close');
      t.equal(refused.headers['x-dsmapper-verdict'], '413');
    }
    await until(() => heldBytes() === 0);

    lab.directory.faults.hold = true;
    t.teardown(() => (lab.directory.faults.hold = false));
    to.gateway.setup.mapper?.forget();
    const first = post(1500);
    await until(() => to.gateway.requestsInFlight() === 1 && heldBytes() === 1500);
    const second = await post(1501);
    t.equal(second.status, 503, 'all bodies together');
    t.equal(second.headers['retry-after'], '5');
    t.match(await to.logged(second.headers['x-request-id']), { code: 'overloaded' });
    lab.directory.faults.hold = false;
    t.equal((await first).status, 200, 'who holds one is served');
    await until(() => heldBytes() === 0);
  });

  await t.test('bytes held for requests in a pipeline are given back when their client goes', async (t) => {
    const to = await inLab(t);
    lab.directory.faults.hold = true;
    t.teardown(() => (lab.directory.faults.hold = false));
    const socket = tls.connect({ port: to.ports.late, host: '127.0.0.1', ca: to.ca, ...to.identity('bob') });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    const { searches } = lab.directory;
    const post = `POST /payroll HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(1000)}`;
    socket.write(post.repeat(5));
    await until(() => heldBytes() === 5000);
    // Renegotiated, and now waiting for the directory.
    await lab.directory.reached(searches + 1);
    socket.destroy();
    await until(() => to.gateway.connectionCount() === 0);
    lab.directory.faults.hold = false;
    await until(() => to.gateway.requestsInFlight() === 0);
    t.equal(heldBytes(), 0);
  });

  await t.test('Expect before a late certificate', async (t) => {
    const to = await inLab(t);
    const head = (version: string, expect: string) =>
      `POST /payroll HTTP/${version}\r\nHost: 127.0.0.1\r\nExpect: ${expect}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc`;
    const good = await sendRaw(to, { binding: 'late', as: 'alice' }, head('1.1', '100-Continue'));
    t.equal(good.status, 100);
    t.match(good.body, /^HTTP\/1\.1 200 /);
    const old = await sendRaw(to, { binding: 'late', as: 'alice' }, head('1.0', '100-continue'));
    t.equal(old.status, 200, 'HTTP/1.0 knows no interim answer');
    const odd = await sendRaw(to, { binding: 'late' }, head('1.1', '200-maybe'));
    t.equal(odd.status, 417, 'anything else is refused before a certificate is asked for');
  });

  await t.test('a client that still sends reads its refusal', async (t) => {
    const to = await inLab(t);
    const size = 8_000_000;
    const answer = await ask(to, 'upFront', { method: 'POST', body: Buffer.alloc(size, 'b') });
    t.equal(answer.status, 403);
    const late = tls.connect({ port: to.ports.upFront, host: '127.0.0.1', ca: to.ca });
    let ended = false;
    let heard = '';
    late.setEncoding('utf8').on('data', (piece: string) => (heard += piece));
    late.once('end', () => (ended = true)).on('error', () => {});
    await once(late, 'secureConnect');
    late.write('POST /payroll HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n12345');
    await until(() => heard.includes('</html>'));
    for (let count = 0; count < 5; count += 1) await ask(to, 'upFront', { path: '/' });
    t.equal(ended, false, 'the connection stays until the body has been read');
    late.write('67890');
    await until(() => ended);
    late.destroy();

    const slow = await inLab(t, (yaml) => `${yaml}\nlimits: { lingerTimeout: 1ms }\n`);
    const socket = tls.connect({ port: slow.ports.upFront, host: '127.0.0.1', ca: slow.ca });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    socket.write('POST /payroll HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nx');
    let text = '';
    for await (const piece of socket) text += String(piece);
    t.match(text, /^HTTP\/1\.1 403 /, 'patience ends with lingerTimeout, and the answer has arrived');
    const few = await inLab(t, (yaml) => `${yaml}\nlimits: { lingerBytes: 1KiB, lingerTimeout: 5m }\n`);
    const endless = tls.connect({ port: few.ports.upFront, host: '127.0.0.1', ca: few.ca });
    endless.on('error', () => {});
    await once(endless, 'secureConnect');
    endless.write('POST /payroll HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n');
    const more = setInterval(() => endless.write(Buffer.alloc(2048)), 5);
    t.teardown(() => clearInterval(more));
    endless.resume();
    // Not by `once`, which fails on the error that a write after the end is.
    await new Promise((resolve) => endless.once('close', resolve));
    t.pass('or with lingerBytes');
  });

  await t.test('a refusal that has been read whole keeps the connection', async (t) => {
    const to = await inLab(t);
    const agent = keptAgent(t);
    t.equal((await ask(to, 'upFront', { as: 'nobody', agent })).status, 401);
    t.equal((await ask(to, 'upFront', { as: 'nobody', agent, path: '/x%' })).status, 400);
    t.equal(connectionsOf(agent), 1);
    const noCertificate = await ask(to, 'upFront', { agent: keptAgent(t) });
    t.equal(
      noCertificate.headers['connection'],
      'close',
      'whoever showed no certificate needs a new handshake to show one',
    );
  });

  await t.test('HEAD, and pages as JSON', async (t) => {
    const to = await inLab(t);
    const head = await ask(to, 'upFront', { method: 'HEAD' });
    t.equal(head.status, 403);
    t.equal(head.body, '');
    t.ok(Number(head.headers['content-length']) > 100);
    const json = await ask(to, 'upFront', { as: 'weak', headers: { accept: 'application/json' } });
    t.match(JSON.parse(json.body), { status: 403, subStatus: 12, code: 'weakMapping' });
    t.equal(json.headers['x-content-type-options'], 'nosniff');
    t.match(json.headers['content-security-policy'], "default-src 'none'");
    t.equal(json.headers['cache-control'], 'no-store');
  });

  await t.test('a stream that is reset while its refusal is decided harms nobody', async (t) => {
    const to = await inLab(t);
    lab.directory.faults.hold = true;
    t.teardown(() => (lab.directory.faults.hold = false));
    const session = connect(`https://127.0.0.1:${to.ports.upFront}`, { ca: to.ca, ...to.identity('nobody') });
    session.on('error', () => {});
    t.teardown(() => session.destroy());
    const streams = Array.from({ length: 5 }, () => session.request({ ':path': '/payroll' }));
    for (const stream of streams) stream.on('error', () => {});
    await until(() => to.gateway.requestsInFlight() === 5);
    for (const stream of streams) stream.close(8);
    await Promise.all(streams.map((stream) => once(stream, 'close')));
    lab.directory.faults.hold = false;
    await until(() => to.gateway.requestsInFlight() === 0 && to.log.length === 5);
    t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200);
  });

  await t.test('what is earned at /payroll does not show at / on the same connection', async (t) => {
    const to = await inLab(t);
    for (const where of ['late', 'upFront'] as const) {
      const agent = keptAgent(t);
      const get = (path: string) => ask(to, where, { as: 'alice', path, agent });
      for (const path of ['/payroll', '/', '/payroll', '/x', '/PAYROLL/x']) {
        const answer = await get(path);
        const earned = path.toLowerCase().startsWith('/payroll');
        t.equal(answer.backendHeader('x-remote-user'), earned ? 'LAB\\alice' : null, `${where} ${path}`);
        t.equal(answer.backendHeader('x-arr-clientcert') !== null, earned);
        t.equal(answer.backendHeader('x-client-verify'), earned ? 'SUCCESS' : 'NONE');
        t.equal(answer.headers['cache-control'], earned ? 'no-store' : undefined);
        t.match(await to.logged(answer.headers['x-request-id']), { account: earned ? 'LAB\\alice' : null });
      }
      const line = to.log.at(-1);
      t.equal(line?.['cache'], 'connection', 'the connection itself remembered');
      const refused = await get('/computers');
      t.equal(refused.status, 403, 'nor does it open another location');
    }
    t.match(await to.gateway.metrics.text(), /dsmapper_connections_total\{event="renegotiated"\} 1/);
    const plain = tcpConnect(to.ports.upFront, '127.0.0.1', () => plain.write('GET / HTTP/1.1\r\n\r\n'));
    await once(plain.resume(), 'close');
    t.match(await to.gateway.metrics.text(), /dsmapper_connections_refused_total\{reason="plainHttp"\} 1/);
  });

  await t.test('a live connection ends when its account is disabled', async (t) => {
    const to = await inLab(t);
    const agent = keptAgent(t);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
    t.equal((await ask(to, 'upFront', { path: '/' })).status, 200);
    t.equal(await to.gateway.recheck(), 0, 'nothing has changed');
    t.equal(connectionsOf(agent), 1);
    lab.directory.replace(alice, 'userAccountControl', ['514']);
    t.teardown(() => lab.directory.replace(alice, 'userAccountControl', ['512']));
    const [socket] = Object.values(agent.freeSockets).flat();
    t.equal(await to.gateway.recheck(), 1);
    if (socket !== undefined && !socket.destroyed) await once(socket, 'close');
    await until(() => connectionsOf(agent) === 0);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 403);
  });

  await t.test('or when the entry of the cache expires, within the interval and by itself', async (t) => {
    const clock = shiftableClock();
    const to = await inLab(
      t,
      (yaml) => `${yaml}\nlimits: { recheck: 1s }\nmapping: { cache: { positive: 1m, stale: 0s } }\n`,
      clock,
    );
    const agent = keptAgent(t);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
    lab.directory.replace(alice, 'userAccountControl', ['514']);
    t.teardown(() => lab.directory.replace(alice, 'userAccountControl', ['512']));
    clock.shift(61_000);
    await until(() => connectionsOf(agent) === 0);
    t.pass('the timer ended it');
  });

  await t.test('a connection remembers no longer than the interval, whether or not a round has come by', async (t) => {
    const clock = shiftableClock();
    const to = await inLab(t, undefined, clock);
    const agent = keptAgent(t);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
    lab.directory.replace(alice, 'userAccountControl', ['514']);
    t.teardown(() => lab.directory.replace(alice, 'userAccountControl', ['512']));
    to.gateway.setup.mapper?.forget();
    clock.shift(55_000);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200, 'within the interval');
    clock.shift(6000);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 403);
  });

  await t.test('a stream in the middle is ended too', async (t) => {
    const to = await inLab(t);
    const request = https.get({
      host: '127.0.0.1',
      port: to.ports.upFront,
      path: '/payroll?delay=never',
      agent: false,
      ca: to.ca,
      ...to.identity('carol'),
    });
    const broken = once(request, 'error');
    await until(() => to.gateway.requestsInFlight() === 1 && (to.gateway.setup.mapper?.size ?? 0) === 1);
    await until(() => lab.echo.connections > 0);
    lab.directory.replace('CN=carol,CN=Users,DC=lab,DC=example,DC=test', 'userAccountControl', ['514']);
    t.teardown(() =>
      lab.directory.replace('CN=carol,CN=Users,DC=lab,DC=example,DC=test', 'userAccountControl', ['512']),
    );
    to.gateway.setup.mapper?.forget();
    t.equal(await to.gateway.recheck(), 1);
    t.match(await broken, [{ code: 'ECONNRESET' }]);
    await until(() => to.gateway.requestsInFlight() === 0);
  });

  await t.test('a silent directory ends nothing, and is asked again in the next round', async (t) => {
    const own = await testLab(t);
    const clock = shiftableClock();
    const to = await testGateway(t, {
      lab: own,
      facilities: { clock },
      configure: (yaml) => `${yaml}\nlimits: { recheck: 24d }\nmapping: { deadline: 1s }\n`,
    });
    const agent = keptAgent(t);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
    await own.directory.stop();
    to.gateway.setup.mapper?.forget();
    t.equal(await to.gateway.recheck(), 0);
    t.equal(connectionsOf(agent), 1);
    own.directory.replace(alice, 'userAccountControl', ['514']);
    await own.directory.start();
    await ready(to, clock);
    t.equal(await to.gateway.recheck(), 1, 'once the directory answers, the connection is judged after all');
  });

  await t.test('a decision ends with the certificate', async (t) => {
    const day = 86_400_000;
    const clock = shiftableClock();
    // The lab's lists are of today, and would have ended long before.
    const endless = (yaml: string) =>
      `${yaml
        .replace('maximumAge: 10m', '')
        .replaceAll('Revocation: enabled', 'Revocation: disabled')}\nlimits: { recheck: 24d }\n`;
    const der = lab.pki.certificates.get('alice')?.cert ?? '';
    const { X509Certificate } = await import('node:crypto');
    clock.shift(new X509Certificate(der).validToDate.getTime() - 5 * day - Date.now());
    const to = await inLab(t, endless, clock);
    await ready(to, clock);
    const agent = keptAgent(t);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
    t.equal(connectionsOf(agent), 1);
    clock.shift(4 * day);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
    clock.shift(2 * day);
    const late = await ask(to, 'upFront', { as: 'alice', agent });
    t.equal(late.headers['x-dsmapper-verdict'], '403.17');
    await to.gateway.recheck();
    await until(() => connectionsOf(agent) === 0);
    t.pass('and recheck ends the connection');
  });

  await t.test('readiness says why not', async (t) => {
    const settings = { labOnly: false, mapping: { ntAuthMethods: ['UPN'] } };
    const unpinned: { sentence: string; wrong: boolean }[] = [];
    const setupWith = (directory: unknown, more = {}) =>
      ({
        settings: { ...settings, ...more },
        directory,
        principals: { unpinned: () => unpinned },
        upstreams: () => [],
      }) as unknown as Setup;
    const directory = (states: readonly (readonly [domain: string, state: string])[], ntAuth = 'read') => ({
      health: () =>
        Promise.resolve(
          states.map(([domain, state], index) => ({
            forest: 'a',
            domain,
            url: `ldaps://${index}`,
            state,
            reason: 'because',
          })),
        ),
      forests: [
        {
          name: 'a',
          ntAuth: () => Promise.resolve({ kind: ntAuth, reason: 'unread', issuers: new Set() }),
          domains: async () => ({ kind: 'unknown' }),
        },
      ],
    });
    t.strictSame(await readinessOf(setupWith(null)), { ready: true, reasons: [], labOnly: false });
    t.strictSame(await readinessOf(setupWith(null, { labOnly: true })), {
      ready: true,
      reasons: ['labOnly: this configuration may weaken decisions; it is not for production'],
      labOnly: true,
    });
    const half = directory([
      ['a', 'down'],
      ['a', 'up'],
    ]);
    t.equal((await readinessOf(setupWith(half))).ready, true, 'one controller of a domain is enough');
    const down = await readinessOf(
      setupWith(
        directory([
          ['a', 'up'],
          ['b', 'refused'],
          ['b', 'down'],
        ]),
      ),
    );
    t.equal(down.ready, false);
    t.strictSame(down.reasons, ['domain b: no controller answers (ldaps://1: because; ldaps://2: because)']);
    const catalogs = {
      ...directory([]),
      health: () =>
        Promise.resolve(
          ['north', 'south'].map((forest) => ({
            forest,
            domain: 'globalCatalog',
            url: `ldaps://${forest}`,
            state: forest === 'north' ? 'up' : 'down',
            reason: 'because',
          })),
        ),
    };
    t.strictSame(
      (await readinessOf(setupWith(catalogs))).reasons,
      ['global catalog of south: no server answers (ldaps://south: because)'],
      'the catalog of one forest does not stand in for that of another',
    );
    const unread = setupWith(directory([['a', 'up']], 'unknown'));
    t.match(await readinessOf(unread), { ready: false, reasons: [/NTAuth of a is not known: unread/] });
    const off = setupWith(directory([['a', 'up']], 'unknown'), { mapping: { ntAuthMethods: [] } });
    t.equal((await readinessOf(off)).ready, true);
    const two = { ...directory([['a', 'up']]) };
    two.forests = [...two.forests, { ...directory([], 'unknown').forests[0]!, name: 'b' }];
    t.match(await readinessOf(setupWith(two)), { ready: false, reasons: [/NTAuth of b is not known/] }, 'each forest');
    unpinned.push({ sentence: 'group x cannot be looked up', wrong: false });
    t.match(await readinessOf(setupWith(half)), { ready: false, reasons: ['group x cannot be looked up'] });
  });

  await t.test('closing lets a request in flight finish, says so, and bounds it', async (t) => {
    const to = await inLab(t);
    const pending = ask(to, 'upFront', { as: 'alice', path: '/payroll?delay=300' });
    await until(() => to.gateway.requestsInFlight() === 1);
    const closed = to.gateway.close();
    t.equal(to.gateway.close(), closed, 'closing twice is closing once');
    t.match(await to.gateway.readiness(), { ready: false, reasons: [/ending/] });
    t.equal((await pending).status, 200);
    await closed;
    await t.rejects(ask(to, 'upFront', { path: '/' }), { code: 'ECONNREFUSED' });

    const short = await inLab(t, (yaml) => `${yaml}\nlimits: { drainTimeout: 50ms }\n`);
    const cut = ask(short, 'upFront', { as: 'alice', path: '/payroll?delay=never' });
    await until(() => lab.echo.connections > 0 && short.gateway.requestsInFlight() === 1);
    await Promise.all([t.rejects(cut), short.gateway.close()]);
    t.equal(short.gateway.requestsInFlight(), 0);
    t.equal(short.log.length, 1, 'what was cut off has its line');
  });

  await t.test('20 times up and down leaves nothing behind', async (t) => {
    const to = await inLab(t);
    await to.gateway.close();
    const held = () =>
      process
        .getActiveResourcesInfo()
        .filter((kind) => kind !== 'Immediate')
        .toSorted();
    const quiet = async () => {
      await until(() => lab.directory.connections === 0 && lab.echo.connections === 0);
      await until(() => !held().some((kind) => /Socket|Connect|Close|TLS/.test(kind)));
    };
    const listeners = () => process.stdout.listenerCount('error') + process.listenerCount('exit');
    await quiet();
    const [before, listening] = [held(), listeners()];
    for (let count = 0; count < 20; count += 1) {
      const gateway = await startGateway(to.settings, {
        ...systemFacilities,
        log: createAccessLog({ stream: sink('takes').stream, owned: true }),
      });
      if (count % 5 === 0) t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200);
      await gateway.close();
    }
    await quiet();
    t.strictSame(held(), before);
    t.ok(listeners() <= listening + 1);
    const logged = { ...to.settings, log: { file: '-', omitNames: false, syslog: null } };
    for (let count = 0; count < 12; count += 1) await (await startGateway(logged)).close();
    t.ok(listeners() <= listening + 1, 'not even on standard output');
  });

  await t.test('a start that fails leaves nothing open', async (t) => {
    const to = await inLab(t);
    const before = process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCPServer')).length;
    await t.rejects(
      startGateway(to.settings, {
        ...systemFacilities,
        log: createAccessLog({ stream: sink('takes').stream, owned: true }),
      }),
      {
        code: 'listen-failed',
        message: new RegExp(`127\\.0\\.0\\.1:${to.ports.late}`),
      },
    );
    const servers = () => process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCPServer')).length;
    await until(() => servers() === before);
    const log = createAccessLog({ stream: sink('takes').stream, owned: true });
    let closed = false;
    const watched = { ...log, close: async () => void (closed = true) };
    const sites = to.settings.sites.map((one) => ({ ...one, locations: [] }));
    await t.rejects(startGateway({ ...to.settings, sites }, { ...systemFacilities, log: watched }), /no location/);
    t.ok(closed, 'the log is closed');
  });
});

void t.test('recheck: whoever asks while a round is under way gets one that begins after it', async (t) => {
  let rounds = 0;
  const front = {
    connections: () => {
      rounds += 1;
      return [];
    },
  };
  const setup = { settings: { limits: { recheck: 60_000 } } } as unknown as Setup;
  const recheck = startRecheck(
    front,
    () => setup,
    () => {},
    { readAgain: async () => 0 },
  );
  t.teardown(() => recheck.stop());
  const first = recheck.run();
  const second = recheck.run();
  const third = recheck.run();
  t.not(second, first);
  t.equal(third, second, 'and those who ask together share it');
  await Promise.all([first, second, third]);
  t.equal(rounds, 2);
  await recheck.run();
  t.equal(rounds, 3);
});

void t.test('accounts of live connections', async (t) => {
  const names = Array.from({ length: 40 }, (_, index) => `LAB\\user${index}`);
  const all = names.map((name, index) => fakeAccount({ name, rid: 2000 + index, readAt: index }));
  let walks = 0;
  const front = {
    connections: () => {
      walks += 1;
      return all.map((account) => ({
        closed: false,
        memory: { earned: new Map([['/', { outgoing: { authorised: { mapped: { identity: { account } } } } }]]) },
      }));
    },
  } as unknown as Front;
  const directory = createFakeDirectory({ accounts: all });
  const noted: number[] = [];
  const mapper = {
    noteAgain: async (again: ReadonlyMap<Account, Again>) => noted.push(again.size),
    noteChanges: async () => 0,
  } as unknown as Mapper;
  const setup = { directory, mapper, settings: { mapping: { deadline: 1000 } } } as unknown as Setup;
  const accounts = createLiveAccounts(front, () => setup);

  await t.test('those that were read longest ago are read first, also where all are', async (t) => {
    await accounts.readAgain(Infinity);
    t.same(directory.rereads[0], all);
    const late = fakeAccount({ name: 'LAB\\late', rid: 3000, readAt: -1 });
    all.push(late);
    await accounts.readAgain(Infinity);
    t.equal(directory.rereads[1]?.[0], late, 'what a deadline leaves out is not the same every time');
    await accounts.readAgain(1);
    t.same(directory.rereads[2], [late]);
  });

  await t.test('a poll with thousands of changes goes over the connections once', async (t) => {
    let rounds = 0;
    watchDirectory(setup, accounts, { run: async () => (rounds += 1) }, () => {});
    const change = (guid: string): DirectoryChange => ({
      kind: 'account',
      guid,
      sid: 'S-1-5-21-1' as Sid,
      identifiers: [],
    });
    const strangers = Array.from({ length: 5000 }, (_, index) => change(`stranger ${index}`));
    walks = 0;
    directory.tell(...strangers);
    await new Promise(setImmediate);
    t.equal(walks, 1);
    t.equal(rounds, 0, 'none of them is connected');
    directory.tell(...strangers, change(all[7]?.guid ?? ''));
    await new Promise(setImmediate);
    t.equal(walks, 2);
    t.equal(rounds, 1);
    directory.tell({ kind: 'unseen' });
    await new Promise(setImmediate);
    t.equal(walks, 3, 'who is not told of accounts looks for none');
    t.equal(directory.rereads.at(-1)?.length, all.length);
  });
});

void t.test('what a connection remembers ends with the hours of the account', async (t) => {
  const noon = Date.parse('2026-11-22T12:00:00Z') as Instant;
  const hour = 3_600_000;
  const location = { maximumAge: null } as LocationSettings;
  const presented = { rule: { location }, shown: null } as unknown as Presented;
  const setupWith = (logonHours: boolean) =>
    ({ generation: 1, settings: { limits: { recheck: 24 * hour }, mapping: { logonHours } } }) as unknown as Setup;
  const endOf = (facts: Partial<AccountFacts>, setup: Setup, now: number) => {
    const identity = { account: fakeAccount({ name: 'LAB\\alice', ...facts }) };
    const mapped = { trusted: { presented, path: null }, identity };
    const outgoing = { authorised: { mapped, until: Infinity }, until: Infinity } as unknown as Outgoing;
    const connection = { memory: null } as unknown as Connection;
    remember(connection, outgoing, setup, now as Instant);
    const lives = (at: number) => remembered(connection, presented, setup, (now + at) as Instant) !== null;
    return [1, hour / 2, hour, 24 * hour].findIndex((at) => !lives(at));
  };
  const logonHours = 'ff'.repeat(21);
  t.equal(endOf({ logonHours }, setupWith(true), noon), 2, 'at one');
  t.equal(endOf({ logonHours }, setupWith(true), noon + hour / 2), 1);
  t.equal(endOf({ logonHours }, setupWith(false), noon), 3, 'unless nobody asks for hours');
  t.equal(endOf({}, setupWith(true), noon), 3);
  t.equal(
    endOf({ expires: '2026-11-22T12:20:00Z', logonHours }, setupWith(true), noon),
    1,
    'or before, with the account',
  );
});

void t.test('what was decided while something ended is not remembered', async (t) => {
  const mapper = { endings: 0, result: Promise.withResolvers<MapAnswer>() };
  const account = fakeAccount({ name: 'LAB\\alice' });
  const location = {
    clientCertificateMapping: true,
    maximumAge: null,
    authorize: { accounts: ['user'], issuers: [], issuancePolicies: [], extendedKeyUsages: [], alsoRequires: null },
    dialects: [],
  } as unknown as LocationSettings;
  const binding = { name: 'b', dsMapperUsage: true };
  const presented = { rule: { location, binding }, shown: { chain: [] } } as unknown as Presented;
  const path = { certificates: [{}], validUntil: Infinity };
  const setup = {
    generation: 1,
    clock: { now: () => 0 },
    settings: {
      limits: { recheck: 60_000 },
      mapping: {},
      trust: new Map([['b', { store: {} }]]),
      identity: { headers: {} },
    },
    judge: { judge: () => ({ path, evidence: [], until: Infinity }) },
    mapper: {
      map: () => mapper.result.promise,
      get endings() {
        return mapper.endings;
      },
    },
    principals: { of: () => null },
  } as unknown as Setup;
  const decideOn = async (connection: Connection, meanwhile: () => void) => {
    mapper.result = Promise.withResolvers();
    const decided = decide(presented, { connection, ...unwatched }, setup, noSteps);
    await new Promise(setImmediate);
    meanwhile();
    const result = { kind: 'mapped', identity: { account }, searches: [] } as unknown as MapAnswer['result'];
    mapper.result.resolve({ result, cache: 'miss' });
    t.match(await decided, { authorised: { mapped: { identity: { account } } } }, 'the request that waits is served');
    return remembered(connection, presented, setup, 1 as Instant) !== null;
  };
  const connection = { memory: null } as unknown as Connection;
  t.ok(await decideOn(connection, () => {}));
  const overtaken = { memory: null } as unknown as Connection;
  t.notOk(await decideOn(overtaken, () => (mapper.endings += 1)));
  t.equal(earnedBy(overtaken).length, 1, 'recheck looks at it all the same');
});

void t.test('an upstream that is lost is told, and takes the gateway out only where no other is left', async (t) => {
  const upstream = (name: string, healthCheck: object | null, healthy: boolean) => ({
    name,
    settings: { healthCheck },
    states: () => [{ server: `http://${name}`, healthy, reason: 'because' }],
  });
  const readinessWith = (...upstreams: readonly object[]) =>
    readinessOf({
      settings: { labOnly: false, mapping: { ntAuthMethods: [] } },
      directory: null,
      upstreams: () => upstreams,
    } as unknown as Setup);
  const reasons = ['upstream a: no server is healthy (http://a: because)'];
  const lost = upstream('a', {}, false);
  t.match(await readinessWith(lost, upstream('b', {}, true)), { ready: true, reasons });
  t.match(await readinessWith(lost), { ready: false, reasons });
  t.match(
    await readinessWith(lost, upstream('b', null, false)),
    { ready: false, reasons },
    'unchecked ones do not count',
  );
  t.match(await readinessWith(upstream('b', null, false)), { ready: true, reasons: [] });
});

void t.test('forests whose accounts have the same names are not ready', async (t) => {
  const domain = (dnsName: string, netbiosName: string) => ({ dnsName, netbiosName, upnSuffixes: [] });
  const forests = ['CORP', 'corp', 'OTHER'].map((name, index) =>
    createFakeDirectory({ domains: [domain(`corp.${index}.test`, name)] }),
  );
  const settings = { labOnly: false, mapping: { ntAuthMethods: [] } };
  const readinessWith = (...some: typeof forests) =>
    readinessOf({
      settings,
      directory: joinForests(some),
      principals: { unpinned: () => [] },
      upstreams: () => [],
    } as unknown as Setup);
  const [first, second, third] = forests;
  if (first === undefined || second === undefined || third === undefined) throw new Error('three forests');
  t.match(await readinessWith(first, second), { ready: false, reasons: [/both have a domain corp/] });
  t.match(await readinessWith(first, third), { ready: true, reasons: [] });
});
