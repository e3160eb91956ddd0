/**
 * Fetching revocation data: from where, how much, how long, and what comes of servers that fail in every way they can.
 */
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { pemText } from '../src/x509/pem.ts';
import { plainSigner, writeCrl } from './support/crl-writer.ts';
import type { Instant, Millis } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { createAuthority } from '../src/lab/authority.ts';
import { createAllowedHosts } from '../src/revocation/allowed-hosts.ts';
import { createFetcher, type FetcherSettings } from '../src/revocation/fetcher.ts';
import { targetOf } from '../src/revocation/fetch-target.ts';
import { createHostLookup } from '../src/revocation/host-lookup.ts';
import { maximumAgeOf, validatorsOf } from '../src/revocation/http-freshness.ts';
import { parseLdapUrl } from '../src/revocation/ldap-url.ts';
import type { Fetcher, FetchOptions, FetchOutcome } from '../src/revocation/revocation-contract.ts';
import { createSharedBytes } from '../src/revocation/shared-bytes.ts';
import {
  base,
  childOptions,
  openDirectory,
  readyDirectory,
  settingsFor,
  startDc,
  twoDomains,
  until,
} from './support/directory-world.ts';
import { type Script, startScriptedLdap, startSilentServer } from './support/scripted-ldap.ts';
import { answer, type HttpScript, type ScriptedHttp, startScriptedHttp } from './support/scripted-http.ts';

const patient = 20_000;

type Options = Partial<Omit<FetchOptions, 'timeout'>> & { readonly timeout?: number };

function open(
  t: Test,
  settings: Partial<FetcherSettings>,
): Fetcher & { get(url: string, options?: Options): Promise<FetchOutcome> } {
  const fetcher = createFetcher({ allowedHosts: [], directory: null, ...settings }, systemClock);
  t.teardown(() => fetcher.close());
  return Object.assign(fetcher, {
    get: (url: string, { timeout = patient, ...options }: Options = {}) =>
      fetcher.fetch(url, { maximumBytes: 1_000_000, timeout: timeout as Millis, ...options }),
  });
}

/** One server that does as `script` says, and what becomes of a fetch from it. */
async function fetched(
  t: Test,
  script: HttpScript,
  options: Options = {},
): Promise<{ outcome: FetchOutcome; server: ScriptedHttp }> {
  const server = await startScriptedHttp(t, script);
  const fetcher = open(t, { allowedHosts: [server.place] });
  return { outcome: await fetcher.get(`${server.url}list.crl`, options), server };
}

await t.test('hosts are allowed by the name and port of the URL', async (t) => {
  const allowed = [
    'crl.example.com',
    'Other.Example.COM.:8080',
    '127.0.0.1:9000',
    '[2001:DB8:0::1]:8080',
    '.below.example.com',
    'https://secure.example.com',
  ];
  const hosts = createAllowedHosts(allowed);
  const verdictOf = (url: string): string => {
    const target = targetOf(url, { hosts, files: new Set(), serves: null });
    return target.kind === 'refused' ? target.code : target.kind === 'file' ? 'file' : target.url;
  };
  const table: Record<string, string> = {
    // the same place in other spellings
    'http://crl.example.com/a.crl': 'http://crl.example.com/a.crl',
    'HTTP://CRL.EXAMPLE.COM/a.crl': 'http://crl.example.com/a.crl',
    'http://crl.example.com:80/a.crl': 'http://crl.example.com/a.crl',
    'http://crl.example.com./a.crl': 'http://crl.example.com/a.crl',
    'http://crl.example.com': 'http://crl.example.com/',
    'http://crl.example.com?x=1': 'http://crl.example.com/?x=1',
    'http://crl.example.com/a b.crl?c d': 'http://crl.example.com/a%20b.crl?c%20d',
    'http://crl.example.com/x/../a%20b.crl': 'http://crl.example.com/a%20b.crl',
    'http://other.example.com:8080/': 'http://other.example.com:8080/',
    'http://127.0.0.1:9000/': 'http://127.0.0.1:9000/',
    'http://[2001:db8::1]:8080/x': 'http://[2001:db8::1]:8080/x',
    'http://[2001:0db8:0:0:0:0:0:1]:8080/x': 'http://[2001:db8::1]:8080/x',
    'http://a.below.example.com/': 'http://a.below.example.com/',
    'http://a.b.below.example.com/': 'http://a.b.below.example.com/',
    'https://secure.example.com/': 'https://secure.example.com/',
    'ldap://crl.example.com/CN=x?certificateRevocationList': 'ldap://crl.example.com/CN=x?certificateRevocationList',
    // other places
    'http://crl.example.com:8080/': 'hostNotAllowed',
    'http://other.example.com/': 'hostNotAllowed',
    'http://evil.example/': 'hostNotAllowed',
    'http://crl.example.com.evil.example/': 'hostNotAllowed',
    'http://evilcrl.example.com/': 'hostNotAllowed',
    'http://127.0.0.1/': 'hostNotAllowed',
    'http://127.0.0.2:9000/': 'hostNotAllowed',
    'http://localhost:9000/': 'hostNotAllowed',
    'http://[::1]:9000/': 'hostNotAllowed',
    'http://[::ffff:127.0.0.1]:9000/': 'hostNotAllowed',
    'http://below.example.com/': 'hostNotAllowed',
    'http://evilbelow.example.com/': 'hostNotAllowed',
    'https://crl.example.com/': 'hostNotAllowed',
    'https://crl.example.com:80/': 'hostNotAllowed',
    'http://secure.example.com/': 'hostNotAllowed',
    'http://secure.example.com:443/': 'hostNotAllowed',
    'ldap://evil.example/CN=x?certificateRevocationList': 'hostNotAllowed',
    'ldap://crl.example.com:390/CN=x?certificateRevocationList': 'hostNotAllowed',
    // spellings that two readers could read in two ways
    'http://crl.example.com@evil.example/': 'unsupportedUrl',
    'http://user:password@crl.example.com/': 'unsupportedUrl',
    'http://evil.example#@crl.example.com/': 'unsupportedUrl',
    'http://crl.example.com#@evil.example/': 'unsupportedUrl',
    'http://crl.example.com/a#b': 'unsupportedUrl',
    'http://evil.example\\@crl.example.com/': 'unsupportedUrl',
    'http://crl.example.com\\@evil.example/': 'unsupportedUrl',
    'http://crl.example.com/\\evil': 'unsupportedUrl',
    'http:\\\\crl.example.com/': 'unsupportedUrl',
    'http:/crl.example.com/': 'unsupportedUrl',
    'http:crl.example.com/': 'unsupportedUrl',
    'http:///crl.example.com/': 'unsupportedUrl',
    'http://crl.example.com%2fevil/': 'unsupportedUrl',
    'http://crl%2eexample.com/': 'unsupportedUrl',
    'http://crl.example.com:/': 'unsupportedUrl',
    'http://crl.example.com:080080/': 'unsupportedUrl',
    'http://crl.example.com:0/': 'unsupportedUrl',
    'http://crl.example.com:65536/': 'unsupportedUrl',
    'http://crl.example.com:80:80/': 'unsupportedUrl',
    'http://crl..example.com/': 'unsupportedUrl',
    'http://crl.example.com../': 'unsupportedUrl',
    'http://.below.example.com/': 'unsupportedUrl',
    'http://*.below.example.com/': 'unsupportedUrl',
    'http://crl.example.com /': 'unsupportedUrl',
    ' http://crl.example.com/': 'unsupportedUrl',
    'http://crl.exam\tple.com/': 'unsupportedUrl',
    'http://crl.example.com/a\nb': 'unsupportedUrl',
    'http://crl.example.com/ä': 'unsupportedUrl',
    'http://crl。example.com/': 'unsupportedUrl',
    'http://ｃrl.example.com/': 'unsupportedUrl',
    'http://127.1:9000/': 'unsupportedUrl',
    'http://2130706433:9000/': 'unsupportedUrl',
    'http://0x7f.0.0.1:9000/': 'unsupportedUrl',
    'http://0x7f000001:9000/': 'unsupportedUrl',
    'http://0177.0.0.1:9000/': 'unsupportedUrl',
    'http://127.0.0.01:9000/': 'unsupportedUrl',
    'http://[::1%25eth0]:8080/': 'unsupportedUrl',
    'http://2001:db8::1:8080/': 'unsupportedUrl',
    'http://[2001:db8::1/': 'unsupportedUrl',
    [`http://crl.example.com/${'a'.repeat(5000)}`]: 'unsupportedUrl',
    // other schemes
    'ftp://crl.example.com/': 'unsupportedUrl',
    'gopher://crl.example.com/': 'unsupportedUrl',
    'ldaps://crl.example.com/CN=x?certificateRevocationList': 'unsupportedUrl',
    'data:,x': 'unsupportedUrl',
    'javascript:x': 'unsupportedUrl',
    'file:///etc/passwd': 'unsupportedUrl',
    '/etc/passwd': 'unsupportedUrl',
    'crl.example.com/a.crl': 'unsupportedUrl',
    '//crl.example.com/a.crl': 'unsupportedUrl',
    '': 'unsupportedUrl',
    'ldap:///CN=x?certificateRevocationList': 'unsupportedUrl',
  };
  for (const [url, expected] of Object.entries(table))
    t.equal(verdictOf(url), expected, JSON.stringify(url.slice(0, 80)));
  const xn = createAllowedHosts(['xn--bcher-kva.example']);
  t.match(targetOf('http://XN--bcher-kva.example/', { hosts: xn, files: new Set(), serves: null }), { kind: 'http' });
  for (const entry of [
    '',
    '*',
    '*.example.com',
    'http://crl.example.com',
    'crl.example.com/x',
    'a b',
    'bücher.example',
    '.',
    '.1',
    '.[::1]',
    '127.1',
    'a:0',
    'ldap://x',
  ])
    t.throws(() => createAllowedHosts([entry]), { code: 'revocation-hosts' }, `${JSON.stringify(entry)} is no host`);
});

await t.test('a refusal says why, without what could act on a terminal', async (t) => {
  const fetcher = open(t, { allowedHosts: ['crl.example.com'] });
  t.equal(fetcher.refusalOf('http://crl.example.com/a.crl'), null);
  t.equal(
    fetcher.refusalOf('http://evil.example/a.crl'),
    '"http://evil.example/a.crl" is not fetched: the configuration does not allow http://evil.example',
  );
  t.notMatch(fetcher.refusalOf('http://x/\u001b[31m\u009b\u202e'), /[^ -~]/);
  const long = fetcher.refusalOf(`http://x/${'y'.repeat(100_000)}`) ?? '';
  t.ok(long.length < 400);
});

await t.test('LDAP URLs name one attribute of one object', async (t) => {
  const dn = 'CN=Lab%20CA,CN=dc1,CN=CDP,CN=Public%20Key%20Services,CN=Services,CN=Configuration,DC=lab,DC=test';
  const object = 'CN=Lab CA,CN=dc1,CN=CDP,CN=Public Key Services,CN=Services,CN=Configuration,DC=lab,DC=test';
  const list = { server: null, dn: object, attribute: 'certificateRevocationList' };
  const good: Record<string, unknown> = {
    [`ldap:///${dn}?certificateRevocationList?base?objectClass=cRLDistributionPoint`]: list,
    [`ldap:///${dn}?certificateRevocationList?base?(objectClass=cRLDistributionPoint)`]: list,
    [`LDAP:///${dn}?CERTIFICATEREVOCATIONLIST;binary?BASE?(objectclass=*)`]: list,
    [`ldap:///${dn}?certificateRevocationList`]: list,
    [`ldap:///${dn}?certificateRevocationList??`]: list,
    [`ldap:///${dn}?deltaRevocationList?base`]: { ...list, attribute: 'deltaRevocationList' },
    [`ldap:///${dn}?cACertificate?base?objectClass=certificationAuthority`]: { ...list, attribute: 'cACertificate' },
    [`ldap:///${dn}?authorityRevocationList;binary`]: { ...list, attribute: 'authorityRevocationList' },
    [`ldap:///${dn}?crossCertificatePair`]: { ...list, attribute: 'crossCertificatePair' },
    [`ldap://DC1.lab.test/${dn}?certificateRevocationList`]: { ...list, server: { host: 'dc1.lab.test', port: 389 } },
    [`ldap://[::1]:3389/${dn}?certificateRevocationList`]: { ...list, server: { host: '::1', port: 3389 } },
    'ldap:///CN=%C3%84,DC=test?certificateRevocationList': { ...list, dn: 'CN=Ä,DC=test' },
    'ldap:///CN=a%2Cb%3F%5C2C,DC=test?certificateRevocationList': { ...list, dn: String.raw`CN=a,b?\2C,DC=test` },
    'ldap:///2.5.4.3=x?certificateRevocationList': { ...list, dn: '2.5.4.3=x' },
  };
  for (const [url, expected] of Object.entries(good)) t.strictSame(parseLdapUrl(url), expected, url);
  const bad: Record<string, RegExp> = {
    'ldap:CN=x?certificateRevocationList': /form/,
    'ldaps:///CN=x?certificateRevocationList': /form/,
    'ldap://host?certificateRevocationList': /form/,
    'ldap:///CN=x y?certificateRevocationList': /form/,
    'ldap:///CN=x?certificateRevocationList#y': /form/,
    'ldap:///CN=ä?certificateRevocationList': /form/,
    'ldap:///CN="x"?certificateRevocationList': /form/,
    'ldap:///CN=x?certificateRevocationList????': /form/,
    'ldap://user@host/CN=x?certificateRevocationList': /host/,
    'ldap://ho%73t/CN=x?certificateRevocationList': /host/,
    'ldap://host:0/CN=x?certificateRevocationList': /host/,
    'ldap:///?certificateRevocationList': /distinguished name/,
    'ldap:///x?certificateRevocationList': /distinguished name/,
    'ldap:///%3CSID=S-1-5%3E?certificateRevocationList': /distinguished name/,
    'ldap:///CN=%00?certificateRevocationList': /distinguished name/,
    'ldap:///CN=%0A?certificateRevocationList': /distinguished name/,
    'ldap:///CN=%FF?certificateRevocationList': /distinguished name/,
    'ldap:///CN=%C0%80?certificateRevocationList': /distinguished name/,
    'ldap:///CN=%4?certificateRevocationList': /distinguished name/,
    'ldap:///CN=%zz?certificateRevocationList': /distinguished name/,
    [`ldap:///CN=${'x'.repeat(2050)}?certificateRevocationList`]: /distinguished name/,
    'ldap:///CN=x': /one attribute/,
    'ldap:///CN=x?': /one attribute/,
    'ldap:///CN=x?*': /one attribute/,
    'ldap:///CN=x?userPassword': /one attribute/,
    'ldap:///CN=x?certificateRevocationList,userPassword': /one attribute/,
    'ldap:///CN=x?certificateRevocationList;binary;binary': /one attribute/,
    'ldap:///CN=x?certificateRevocationList;range=0-1': /one attribute/,
    'ldap:///CN=x?certificateRevocationList?sub': /scope/,
    'ldap:///CN=x?certificateRevocationList?one': /scope/,
    'ldap:///CN=x?certificateRevocationList?base?(cn=*)': /filter/,
    'ldap:///CN=x?certificateRevocationList?base?(%26(objectClass=*)(userPassword=a*))': /filter/,
    'ldap:///CN=x?certificateRevocationList?base?(objectClass=*)?!bindname=x': /extensions/,
    'ldap:///CN=x?certificateRevocationList?base?(objectClass=*)?e': /extensions/,
  };
  for (const [url, why] of Object.entries(bad)) t.match(parseLdapUrl(url), why, url);
});

await t.test('what HTTP says about keeping an answer', async (t) => {
  const now = Date.parse('2026-11-22T12:00:00Z') as Instant;
  const date = 'Sun, 22 Nov 2026 12:00:00 GMT';
  const table: [Record<string, string | string[]>, number | null][] = [
    [{}, null],
    [{ 'cache-control': 'public' }, null],
    [{ 'cache-control': 'max-age=600, public, no-transform, must-revalidate' }, 600_000],
    [{ 'cache-control': 'Max-Age="60"' }, 60_000],
    [{ 'cache-control': ['max-age=600', 'max-age=30'] }, 30_000],
    [{ 'cache-control': 'max-age=600', age: '100' }, 500_000],
    [{ 'cache-control': 'max-age=600', age: '1000' }, 0],
    [{ 'cache-control': 'max-age=soon' }, 0],
    [{ 'cache-control': 'max-age=-1' }, 0],
    [{ 'cache-control': 'max-age=99999999999999999999' }, 365 * 86_400_000],
    [{ 'cache-control': 'no-store, max-age=600' }, 0],
    [{ 'cache-control': 'no-cache' }, 0],
    [{ 'cache-control': 'x-max-age=600' }, null],
    [{ 'cache-control': 'max-age=600', expires: '0' }, 600_000],
    [{ expires: 'Sun, 22 Nov 2026 13:00:00 GMT', date }, 3_600_000],
    [{ expires: 'Sun, 22 Nov 2026 13:00:00 GMT' }, 3_600_000],
    [{ expires: 'Sun, 22 Nov 2026 11:00:00 GMT', date }, 0],
    [{ expires: '0' }, 0],
    [{ expires: 'never' }, 0],
  ];
  for (const [headers, expected] of table) t.equal(maximumAgeOf(headers, now), expected, JSON.stringify(headers));
  t.strictSame(validatorsOf({ etag: 'W/"a-1"', 'last-modified': date }), { etag: 'W/"a-1"', lastModified: date });
  for (const etag of ['a', '"a', '"a b"', '"a"\r\nx: y', `"${'a'.repeat(300)}"`, '"ä"'])
    t.equal(validatorsOf({ etag }).etag, null, JSON.stringify(etag.slice(0, 20)));
  t.equal(validatorsOf({ 'last-modified': 'x\r\ny' }).lastModified, null);
});

await t.test('octets are collected where another thread can read them', async (t) => {
  for (const size of [0, 1, 65_536, 65_537, 1_048_575, 1_048_576, 5_000_000]) {
    const whole = Buffer.from(Array.from({ length: size }, (_, index) => index * 7));
    const bytes = createSharedBytes(5_000_000);
    for (let at = 0; at < size; at += 30_011) t.ok(bytes.add(whole.subarray(at, at + 30_011)));
    const finished = bytes.finish();
    t.ok(finished.equals(whole), `${size} octets`);
    t.ok(finished.buffer instanceof SharedArrayBuffer);
  }
  const bounded = createSharedBytes(10);
  t.ok(bounded.add(Buffer.alloc(10)));
  t.notOk(bounded.add(Buffer.alloc(1)), 'no octet more than the maximum');
  t.equal(bounded.finish().length, 10);
});

await t.test('over HTTP', async (t) => {
  await t.test('a list comes with what is needed to ask for the next', async (t) => {
    const list = Buffer.from([0x30, 0x03, 0x02, 0x01, 0xff]);
    const headers = {
      etag: '"one"',
      'last-modified': 'Sun, 22 Nov 2026 12:00:00 GMT',
      'cache-control': 'max-age=600',
      'content-encoding': 'identity',
    };
    const { outcome, server } = await fetched(t, (_request, socket) => socket.write(answer(200, list, headers)));
    t.match(outcome, {
      kind: 'fetched',
      bytes: list,
      from: `${server.url}list.crl`,
      validators: { etag: '"one"', lastModified: headers['last-modified'] },
      maximumAge: 600_000,
    });
    t.ok(outcome.kind === 'fetched' && outcome.bytes.buffer instanceof SharedArrayBuffer);
    t.match(server.requests, [
      { method: 'GET', path: '/list.crl', headers: { host: server.place, 'accept-encoding': 'identity' } },
    ]);
    await until(() => server.open === 0);
    t.pass('the connection ends with the answer');
  });

  await t.test('an answer that has not changed is not sent again', async (t) => {
    const validators = { etag: '"one"', lastModified: 'Sun, 22 Nov 2026 12:00:00 GMT' };
    const same: HttpScript = (_request, socket) => socket.write('HTTP/1.1 304 Not Modified\r\n\r\n');
    const { outcome, server } = await fetched(t, same, { validators });
    t.strictSame(outcome, { kind: 'notModified' });
    t.match(server.requests[0]?.headers, {
      'if-none-match': '"one"',
      'if-modified-since': 'Sun, 22 Nov 2026 12:00:00 GMT',
    });
    const unasked = await fetched(t, same);
    t.match(unasked.outcome, { kind: 'failed', code: 'httpStatus', detail: /304 Not Modified/ });
  });

  await t.test('a question is posted', async (t) => {
    const body = { bytes: Buffer.from([1, 2, 3]), contentType: 'application/ocsp-request' };
    const validators = { etag: '"one"', lastModified: null };
    const { outcome, server } = await fetched(t, (_request, socket) => socket.write(answer(200, 'yes')), {
      body,
      validators,
    });
    t.match(outcome, { kind: 'fetched', bytes: Buffer.from('yes') });
    t.match(server.requests, [{ method: 'POST', body: body.bytes, headers: { 'content-type': body.contentType } }]);
    t.equal(server.requests[0]?.headers['if-none-match'], undefined);
  });

  const failures: Record<string, [HttpScript, code: string, detail: RegExp, Options?]> = {
    'status 404': [(_, socket) => socket.write(answer(404, 'x')), 'httpStatus', /404 Not Found/],
    'status 500': [(_, socket) => socket.write(answer(500, 'x')), 'httpStatus', /500/],
    'status 206': [(_, socket) => socket.write(answer(206, 'x')), 'httpStatus', /206/],
    'status 204': [(_, socket) => socket.write('HTTP/1.1 204 No\r\n\r\n'), 'httpStatus', /204/],
    'status 300': [(_, socket) => socket.write(answer(300, 'x', { location: '/a' })), 'httpStatus', /300/],
    'a length that is too large': [
      (_, socket) => socket.write(answer(200, '', { 'content-length': '1000001' })),
      'tooLarge',
      /1000001 octets are announced/,
    ],
    'a body that is too large': [
      (_, socket) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        const more = (): boolean => !socket.destroyed && socket.write(Buffer.alloc(65_536));
        socket.on('drain', more);
        while (more());
      },
      'tooLarge',
      /more than 1000000 octets/,
    ],
    'chunks that are too large': [
      (_, socket) =>
        socket.write(
          Buffer.concat([
            Buffer.from(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${(1_000_001).toString(16)}\r\n`),
            Buffer.alloc(1_000_001),
            Buffer.from('\r\n0\r\n\r\n'),
          ]),
        ),
      'tooLarge',
      /more than 1000000 octets/,
    ],
    'a body cut off': [
      (_, socket) => socket.end(answer(200, 'half', { 'content-length': '8' })),
      'cutOff',
      /ended after \d octets/,
    ],
    'chunks cut off': [
      (_, socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nhalf'),
      'cutOff',
      /ended after \d octets/,
    ],
    'a connection reset in the body': [
      (_, socket) => socket.write(answer(200, 'half', { 'content-length': '8' }), () => socket.resetAndDestroy()),
      'cutOff',
      /ended after \d octets/,
    ],
    'a compressed answer': [
      (_, socket) => socket.write(answer(200, gzipSync(Buffer.alloc(500_000)), { 'content-encoding': 'gzip' })),
      'malformedAnswer',
      /Content-Encoding: gzip/,
    ],
    'a compressed transfer': [
      (_, socket) => socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n'),
      'malformedAnswer',
      /Transfer-Encoding: gzip/,
    ],
    'no HTTP': [
      (_, socket) => socket.write('220 mail.example.com ESMTP\r\n'),
      'malformedAnswer',
      /not answer with HTTP/,
    ],
    'an endless head': [
      (_, socket) => {
        socket.write('HTTP/1.1 200 OK\r\n');
        const more = (): boolean => !socket.destroyed && socket.write(`x: ${'y'.repeat(10_000)}\r\n`);
        socket.on('drain', more);
        while (more());
      },
      'malformedAnswer',
      /not answer with HTTP/,
    ],
    'no answer': [(_, socket) => socket.end(), 'unreachable', /gave no answer/],
    silence: [() => {}, 'timeout', /not complete within 150 ms/, { timeout: 150 }],
    'a head without end': [
      (_, socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-'),
      'timeout',
      /not complete within 150 ms/,
      { timeout: 150 },
    ],
    'an octet at a time': [
      (_, socket) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
        const timer = setInterval(() => socket.write('x'), 5);
        socket.on('close', () => clearInterval(timer));
      },
      'timeout',
      /not complete within 150 ms/,
      { timeout: 150 },
    ],
    'redirects in a circle': [
      ({ path }, socket) => socket.write(answer(302, '', { location: path === '/a' ? '/list.crl' : '/a' })),
      'tooManyRedirects',
      /circle/,
    ],
    'redirects without end': [
      ({ path }, socket) => socket.write(answer(302, '', { location: `${path}x` })),
      'tooManyRedirects',
      /more than 5 redirects/,
    ],
    'a slow chain of redirects': [
      ({ path }, socket) => void setTimeout(() => socket.write(answer(302, '', { location: `${path}x` })), 60),
      'timeout',
      /150 ms/,
      { timeout: 150 },
    ],
    'a redirect to nowhere': [(_, socket) => socket.write(answer(302)), 'malformedAnswer', /without a usable Location/],
    'a redirect with a backslash': [
      (_, socket) => socket.write(answer(302, '', { location: '\\\\evil.example\\x' })),
      'malformedAnswer',
      /Location/,
    ],
    'a redirect to a host that is not allowed': [
      (_, socket) => socket.write(answer(302, '', { location: 'http://evil.example/x' })),
      'hostNotAllowed',
      /redirects; "http:\/\/evil.example\/x" is not fetched/,
    ],
    'a redirect to such a host, without scheme': [
      (_, socket) => socket.write(answer(302, '', { location: '//evil.example/x' })),
      'hostNotAllowed',
      /evil.example/,
    ],
    'a redirect to a user at an allowed host': [
      (_, socket) => socket.write(answer(302, '', { location: 'http://127.0.0.1@evil.example/' })),
      'unsupportedUrl',
      /plain URL/,
    ],
    'a redirect to a file': [
      (_, socket) => socket.write(answer(302, '', { location: 'file:///etc/passwd' })),
      'unsupportedUrl',
      /a file is only read where/,
    ],
    'a redirect to LDAP': [
      (_, socket) => socket.write(answer(302, '', { location: 'ldap:///CN=x?certificateRevocationList' })),
      'unsupportedUrl',
      /no directory/,
    ],
    'a redirect of a question that would not be asked again': [
      (_, socket) => socket.write(answer(302, '', { location: '/a' })),
      'httpStatus',
      /302/,
      { body: { bytes: Buffer.from('?'), contentType: 'text/plain' } },
    ],
  };
  for (const [what, [script, code, detail, options]] of Object.entries(failures))
    await t.test(`fails by name: ${what}`, async (t) => {
      const { outcome, server } = await fetched(t, script, options);
      t.match(outcome, { kind: 'failed', code, detail });
      await until(() => server.open === 0);
      t.pass('nothing is left open');
    });

  await t.test('a redirect to a configured file or a configured directory is still none', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'dsmapper-fetch-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'a.crl'), 'x');
    for (const location of [`file://${folder}/a.crl`, 'ldap:///CN=x?certificateRevocationList']) {
      const server = await startScriptedHttp(t, (_request, socket) => socket.write(answer(302, '', { location })));
      const directory = { serves: () => true, readObject: () => Promise.reject(new Error('asked')) };
      const fetcher = open(t, { allowedHosts: [server.place], files: [join(folder, 'a.crl')], directory });
      t.match(
        await fetcher.get(server.url),
        { code: 'unsupportedUrl', detail: /redirects stay within http/ },
        location,
      );
    }
  });

  await t.test('redirects within the rules are followed, for a question those that keep it', async (t) => {
    const there = await startScriptedHttp(t, (_request, socket) => socket.write(answer(200, 'there')));
    const script: HttpScript = ({ path }, socket) =>
      socket.write(
        answer(path === '/list.crl' ? 308 : 307, '', { location: path === '/list.crl' ? 'b/../c' : `${there.url}d` }),
      );
    const here = await startScriptedHttp(t, script);
    const fetcher = open(t, { allowedHosts: [here.place, there.place] });
    t.match(await fetcher.get(`${here.url}list.crl`), {
      kind: 'fetched',
      bytes: Buffer.from('there'),
      from: `${there.url}d`,
    });
    const body = { bytes: Buffer.from('?'), contentType: 'text/plain' };
    t.match(await fetcher.get(`${here.url}list.crl`, { body }), { kind: 'fetched' });
    t.strictSame(
      there.requests.map(({ method, body }) => [method, body.toString()]),
      [
        ['GET', ''],
        ['POST', '?'],
      ],
    );
  });

  await t.test('a page is passed on as it is: whether it is a list is for others to say', async (t) => {
    const { outcome } = await fetched(t, (_request, socket) => socket.write(answer(200, '<html>')));
    t.match(outcome, { kind: 'fetched', bytes: Buffer.from('<html>') });
  });

  await t.test('nobody there', async (t) => {
    const silent = await startSilentServer();
    const port = Number(new URL(silent.url).port);
    await silent.close();
    const fetcher = open(t, { allowedHosts: [`127.0.0.1:${port}`, 'does-not-exist.invalid'] });
    t.match(await fetcher.get(`http://127.0.0.1:${port}/`), { code: 'unreachable', detail: /ECONNREFUSED/ });
    t.match(await fetcher.get('http://does-not-exist.invalid/'), { code: 'unreachable' });
  });

  await t.test('whoever asked ends it, before and during', async (t) => {
    const server = await startScriptedHttp(t, () => {});
    const fetcher = open(t, { allowedHosts: [server.place] });
    t.match(await fetcher.get(server.url, { signal: AbortSignal.abort() }), { code: 'aborted' });
    t.equal(server.accepted, 0);
    const asked = new AbortController();
    const outcome = fetcher.get(server.url, { signal: asked.signal });
    await until(() => server.requests.length === 1);
    asked.abort();
    t.match(await outcome, { code: 'aborted' });
    await until(() => server.open === 0);
    const last = fetcher.get(server.url);
    await until(() => server.requests.length === 2);
    let ended = false;
    void last.then(() => (ended = true));
    await fetcher.close();
    t.ok(ended, 'the end waits for what it has ended');
    t.match(await last, { code: 'aborted' });
    t.match(await fetcher.get(server.url), { code: 'aborted' }, 'nothing after the end');
    t.match(await open(t, { allowedHosts: [server.place] }).get(server.url, { timeout: 0 }), { code: 'timeout' });
  });

  await t.test('only so many at once, overall and at one host, and waiting counts', async (t) => {
    const held: (() => void)[] = [];
    const hold: HttpScript = (_request, socket) => held.push(() => socket.write(answer(200, 'x')));
    const [one, other] = [await startScriptedHttp(t, hold), await startScriptedHttp(t, hold)];
    const limits = { overall: 3, perHost: 2, waiting: 3 };
    const fetcher = open(t, { allowedHosts: [one.place, other.place], limits });
    const outcomes = [0, 1, 2, 3].map((index) => fetcher.get(`${one.url}${index}`));
    await until(() => one.requests.length === 2);
    const elsewhere = [0, 1].map((index) => fetcher.get(`${other.url}${index}`));
    await until(() => other.requests.length === 1);
    t.match(await fetcher.get(other.url), { code: 'unreachable', detail: /3 retrievals are waiting/ });
    t.equal(one.accepted + other.accepted, 3);
    held.pop()?.();
    await until(() => other.requests.length === 2);
    t.equal(one.requests.length, 2, 'the place at the other host is not one at this');
    for (let answered = 0; answered < 5; answered += 1) {
      await until(() => held.length > 0);
      t.ok(one.open <= 2 && one.open + other.open <= 3);
      held.shift()?.();
    }
    for (const outcome of await Promise.all([...outcomes, ...elsewhere])) t.match(outcome, { kind: 'fetched' });

    const late = [0, 1].map((index) => fetcher.get(`${one.url}${index}`, { timeout: 60_000 }));
    await until(() => held.length === 2);
    for (let index = 0; index < 4; index += 1)
      t.match(await fetcher.get(one.url, { timeout: 20 }), { code: 'timeout' }, 'waiting is part of the time');
    for (const resume of held) resume();
    await Promise.all(late);
    t.equal(one.requests.length, 6, 'who gave up waiting is not sent');
  });

  await t.test('https where it is listed, to the server that it says', async (t) => {
    const authority = await createAuthority({ subject: 'CN=Web CA' });
    const recipe = { subject: 'CN=web', extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] };
    const right = await authority.issue({ ...recipe, ipAddresses: ['127.0.0.1'] });
    const wrong = await authority.issue({ ...recipe, dnsNames: ['other.example.com'] });
    const reply: HttpScript = (_request, socket) => socket.write(answer(200, 'x'));
    for (const [tls, authorities, expected] of [
      [right, [authority.cert], { kind: 'fetched' }],
      [wrong, [authority.cert], { code: 'unreachable', detail: /altnames/ }],
      [right, [], { code: 'unreachable', detail: /self-signed|unable to/ }],
    ] as const) {
      const server = await startScriptedHttp(t, reply, { tls });
      const fetcher = open(t, { allowedHosts: [`https://${server.place}`], certificateAuthorities: authorities });
      t.match(await fetcher.get(server.url), expected);
      t.match(await fetcher.get(server.url.replace('https', 'http')), { code: 'hostNotAllowed' });
    }
  });

  await t.test('over IPv6', async (t) => {
    const server = await startScriptedHttp(t, (_request, socket) => socket.write(answer(200, 'x')), { host: '::1' });
    const fetcher = open(t, { allowedHosts: [`[0:0:0:0:0:0:0:1]:${server.port}`] });
    t.match(await fetcher.get(server.url), { kind: 'fetched' });
    t.equal(server.requests[0]?.headers['host'], server.place);
  });
});

await t.test('a name is looked up once at a time', async (t) => {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const lookup = createHostLookup((host, answered) => {
    asked.push(host);
    answers.push(() => answered(null, host === 'none' ? [] : [{ address: '127.0.0.1', family: 4 }]));
  });
  const find = (host: string, all: boolean) =>
    new Promise((resolve) =>
      lookup(host, { all }, (error, address, family) => resolve(error === null ? [address, family] : error.message)),
    );
  const found = [find('a', false), find('a', true), find('none', true), find('a', false)];
  t.strictSame(asked, ['a', 'none']);
  for (const answered of answers) answered();
  t.strictSame(await Promise.all(found), [
    ['127.0.0.1', 4],
    [[{ address: '127.0.0.1', family: 4 }], undefined],
    'none has no address',
    ['127.0.0.1', 4],
  ]);
  const again = find('a', false);
  t.strictSame(asked, ['a', 'none', 'a'], 'answers are not kept');
  answers.at(-1)?.();
  await again;
});

await t.test('from files', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'dsmapper-fetch-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const list = Buffer.from(Array.from({ length: 2_500_000 }, (_, index) => index));
  const path = join(folder, 'a b.crl');
  writeFileSync(path, list);
  writeFileSync(join(folder, 'other.crl'), 'x');
  const url = `file://${folder}/a%20b.crl`;
  const fetcher = open(t, { files: [url, folder, join(folder, 'missing.crl')] });
  const whole = { maximumBytes: 2_500_000 };

  const outcome = await fetcher.get(url, whole);
  if (outcome.kind !== 'fetched') return void t.fail(outcome.kind);
  t.equal(outcome.from, path);
  t.ok(outcome.bytes.equals(list) && outcome.bytes.buffer instanceof SharedArrayBuffer);
  t.match(await fetcher.get(path, whole), { kind: 'fetched' }, 'a path is as good as its URL');
  const { validators } = outcome;
  t.strictSame(await fetcher.get(path, { ...whole, validators }), { kind: 'notModified' });
  writeFileSync(path, list.subarray(1));
  const changed = await fetcher.get(path, { ...whole, validators });
  t.equal(changed.kind === 'fetched' ? changed.bytes.length : changed.kind, list.length - 1);
  t.match(await fetcher.get(path, { maximumBytes: 2_499_998 }), { code: 'tooLarge' });
  const crl = writeCrl({ signer: plainSigner(), entries: [{ serial: '01' }] });
  const pem = Buffer.from(pemText(crl, 'X509 CRL'));
  writeFileSync(path, pem);
  const decoded = await fetcher.get(path, whole);
  if (decoded.kind !== 'fetched') return void t.fail(decoded.kind);
  t.ok(decoded.bytes.equals(crl) && decoded.bytes.buffer instanceof SharedArrayBuffer, 'PEM, as openssl writes it');
  writeFileSync(path, Buffer.concat([pem, pem]));
  const two = await fetcher.get(path, whole);
  t.ok(two.kind === 'fetched' && two.bytes.length === 2 * pem.length, 'what is no single list is left as it is');
  writeFileSync(path, list);
  let touched = 0;
  const touching = setInterval(() => utimesSync(path, 1, (touched += 1)), 0);
  let torn = await fetcher.get(path, whole);
  while (torn.kind === 'fetched') torn = await fetcher.get(path, whole);
  clearInterval(touching);
  t.match(torn, { code: 'cutOff', detail: /changed while it was read/ });
  t.match(await fetcher.get(join(folder, 'missing.crl')), { code: 'notFound' });
  t.match(await fetcher.get(folder), { code: 'unreachable', detail: /not a regular file/ });
  for (const other of ['other.crl', 'x/../other.crl', 'a%20b.crl'])
    t.match(await fetcher.get(join(folder, other)), { code: 'unsupportedUrl' }, 'no file that is not configured');
  for (const spelling of [
    `file://localhost${path}`,
    `file:${path}`,
    `${url}?x`,
    `${url}#x`,
    `file://${folder}/a%2520b.crl`,
    `${path}\0`,
  ])
    t.match(await fetcher.get(spelling), { code: 'unsupportedUrl' }, JSON.stringify(spelling));
});

await t.test('from a directory', async (t) => {
  const cdp = `CN=CDP,CN=Public Key Services,CN=Services,CN=Configuration,${base}`;
  const dn = `CN=Lab CA,CN=dc1,${cdp}`;
  const list = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index * 13));
  const objects = [{ dn: `CN=dc1,${cdp}`, attributes: { objectClass: ['container'] } }];
  const point = (attributes: Record<string, Buffer[]>) => ({
    dn,
    attributes: { objectClass: ['cRLDistributionPoint'], ...attributes },
  });
  const attributes = { certificateRevocationList: [list], cACertificate: [Buffer.from('one'), Buffer.from('two')] };
  const urlOf = (attribute: string, host = '', name = dn) =>
    `ldap://${host}/${encodeURIComponent(name).replaceAll('%3D', '=').replaceAll('%2C', ',')}?${attribute}?base?objectClass=cRLDistributionPoint`;

  await t.test('the configured one, by URLs with and without a server', async (t) => {
    const dc = await startDc(t, [...objects, point(attributes)]);
    const directory = await readyDirectory(t, settingsFor([dc.url]));
    const fetcher = open(t, { directory });
    for (const host of ['', '127.0.0.1']) {
      const url = urlOf('certificateRevocationList', host);
      const outcome = await fetcher.get(url);
      t.match(outcome, {
        kind: 'fetched',
        from: url,
        validators: { etag: null, lastModified: null },
        maximumAge: null,
      });
      t.ok(
        outcome.kind === 'fetched' && outcome.bytes.equals(list) && outcome.bytes.buffer instanceof SharedArrayBuffer,
      );
    }
    t.match(await fetcher.get(urlOf('certificateRevocationList;binary')), { kind: 'fetched' });
    t.match(await fetcher.get(urlOf('cACertificate')), { bytes: Buffer.from('onetwo') }, 'all certificates');
    t.match(await fetcher.get(urlOf('deltaRevocationList')), { code: 'notFound', detail: /no deltaRevocationList/ });
    t.match(await fetcher.get(urlOf('certificateRevocationList', '', `CN=None,${cdp}`)), {
      code: 'notFound',
      detail: /noSuchObject/,
    });
    t.match(await fetcher.get(urlOf('certificateRevocationList'), { maximumBytes: 299_999 }), { code: 'tooLarge' });
    t.match(
      await fetcher.get(urlOf('certificateRevocationList'), { maximumBytes: 200_000 }),
      { code: 'tooLarge', detail: /more than an answer may hold/ },
      'not even received',
    );
    t.match(await fetcher.get(urlOf('certificateRevocationList', '127.0.0.2')), { code: 'hostNotAllowed' });
    await until(() => dc.connections === 2);
    t.pass('only the connections of the pool are left');
  });

  await t.test('searches for accounts go on while a list does not come', async (t) => {
    const dc = await startDc(t, [...objects, point(attributes)]);
    const directory = await readyDirectory(t, settingsFor([dc.url], { searchTimeout: 300 as Millis }));
    const fetcher = open(t, { directory });
    dc.faults.judge = (search) => {
      if (search.base === dn) dc.faults.silent = true;
      return null;
    };
    dc.faults.hold = true;
    const outcome = fetcher.get(urlOf('certificateRevocationList'), { timeout: 500 });
    await dc.reached(dc.searches + 1);
    t.match(await outcome, { kind: 'failed', code: /^(?:timeout|unreachable)$/ });
    t.match(await directory.health(), [{ state: 'up' }], 'and the server is not given up for it');
    dc.faults.hold = false;
  });

  await t.test('the next controller where one does not answer', async (t) => {
    const [first, second] = [
      await startDc(t, [...objects, point(attributes)]),
      await startDc(t, [...objects, point(attributes)]),
    ];
    const directory = await readyDirectory(t, settingsFor([first.url, second.url]));
    const fetcher = open(t, { directory });
    first.faults.judge = ({ base }) => (base === dn ? 52 : null);
    t.match(await fetcher.get(urlOf('certificateRevocationList')), { kind: 'fetched' });
    second.faults.judge = ({ base }) => (base === dn ? 10 : null);
    t.match(await fetcher.get(urlOf('certificateRevocationList')), {
      code: 'unreachable',
      detail: /unavailable.*referral/,
    });
  });

  await t.test('no controller that is not up', async (t) => {
    const silent = await startSilentServer();
    t.teardown(() => silent.close());
    const dc = await startDc(t, [...objects, point(attributes)]);
    const directory = openDirectory(t, settingsFor([silent.url, dc.url]));
    await until(() => dc.searches > 0 && silent.accepted > 0);
    const { accepted } = silent;
    t.match(await open(t, { directory }).get(urlOf('certificateRevocationList')), { kind: 'fetched' });
    t.equal(silent.accepted, accepted);
  });

  await t.test('first the domain that the name belongs to', async (t) => {
    const [lab, child] = [await startDc(t, []), await startDc(t, [], childOptions)];
    const fetcher = open(t, { directory: await readyDirectory(t, twoDomains([lab.url], [child.url])) });
    const before = lab.searches;
    t.match(await fetcher.get(urlOf('certificateRevocationList', '', `CN=x,DC=child,${base}`)), { code: 'notFound' });
    t.equal(lab.searches, before);
  });

  await t.test('reads end with the directory', async (t) => {
    const dc = await startDc(t, [...objects, point(attributes)]);
    const directory = await readyDirectory(t, settingsFor([dc.url]));
    dc.faults.hold = true;
    const outcome = open(t, { directory }).get(urlOf('certificateRevocationList'));
    await dc.reached(dc.searches + 1);
    await directory.close();
    t.match(await outcome, { code: 'unreachable', detail: /given up/ });
  });

  await t.test('a forest that is away is not waited for longer than asked', async (t) => {
    const silent = await startSilentServer();
    t.teardown(() => silent.close());
    const fetcher = open(t, { directory: openDirectory(t, settingsFor([silent.url])) });
    const outcome = await fetcher.get(urlOf('certificateRevocationList'), { timeout: 100 });
    t.match(outcome, { kind: 'failed', code: /^(?:timeout|unreachable)$/ });
  });

  await t.test('another one that is allowed, as nobody', async (t) => {
    const script: Script = {
      search(request, connection) {
        connection.entry(request.id, request.base, { 'certificateRevocationList;binary': [list] });
        connection.done(request.id);
        return true;
      },
    };
    const server = await startScriptedLdap(null, script);
    t.teardown(() => server.close());
    const place = `127.0.0.1:${server.port}`;
    const url = urlOf('certificateRevocationList', place);
    const fetcher = open(t, { allowedHosts: [place] });
    const outcome = await fetcher.get(url);
    t.ok(outcome.kind === 'fetched' && outcome.bytes.equals(list) && outcome.from === url);
    t.match(server.searches, [{ base: dn, scope: 'base', attributes: ['certificateRevocationList'] }]);
    t.equal(server.binds, 0);
    t.match(await fetcher.get(url, { maximumBytes: 299_999 }), { code: 'tooLarge' });
    server.script = { search: () => true };
    const silent = await fetcher.get(url, { timeout: 101 });
    t.match(silent, { kind: 'failed', code: /^(?:timeout|unreachable)$/ });
    server.script = { search: (_request, connection) => (connection.raw(Buffer.from('HTTP/1.1 400\r\n\r\n')), true) };
    t.match(await fetcher.get(url), { code: 'unreachable', detail: /not LDAP/ });
    const asked = new AbortController();
    server.script = { search: () => (asked.abort(), true) };
    t.match(await fetcher.get(url, { signal: asked.signal }), { code: 'aborted' });
    await until(() => server.open === 0);
    await server.close();
    t.match(await fetcher.get(url), { code: 'unreachable', detail: /ECONNREFUSED/ });
  });

  await t.test('Active Directory tells nobody anything', async (t) => {
    const dc = await startDc(t, [...objects, point(attributes)], { tls: null });
    const place = `127.0.0.1:${dc.port}`;
    const outcome = await open(t, { allowedHosts: [place] }).get(urlOf('certificateRevocationList', place));
    t.match(outcome, { code: 'unreachable', detail: /operationsError/ });
    t.equal(dc.binds, 0);
  });
});
