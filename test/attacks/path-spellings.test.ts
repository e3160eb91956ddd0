/**
 * A rule on /payroll holds for every spelling of /payroll: each is refused as ambiguous or falls under the same rule, and what reaches the
 * backend is the path that chose the rule.
 */
import t from 'tap';
import type { EchoAnswer } from '../../src/lab/echo.ts';
import { testGateway } from '../support/gateway.ts';
import { http2Request, rawGet } from '../support/raw-http.ts';

/** Spellings that some server, framework or file system would take for /payroll or something below it. */
const spellings: readonly string[] = [
  ...['/payroll', '/payroll/', '/PAYROLL', '/Payroll', '/pAyRoLl/x', '/payroll?x=1', '/payroll/?', '/payroll/a/b'],
  ...[
    '/%70ayroll',
    '/%50AYROLL',
    '/p%61yroll',
    '/payrol%6c',
    '/%70%61%79%72%6f%6c%6c',
    '/payroll%2fx',
    '/payroll%2Fx',
    '/%2fpayroll',
  ],
  ...[
    '//payroll',
    '///payroll//',
    '/./payroll',
    '/././payroll/.',
    '/x/../payroll',
    '/x/y/../../payroll',
    '/x/%2e%2e/payroll',
  ],
  ...[
    '/x/.%2e/payroll',
    '/x/%2E%2E/PAYROLL',
    '/payroll/x/..',
    '/payroll/./x',
    '/../payroll',
    '/%2e%2e/payroll',
    '/.;/payroll',
  ],
  ...[
    '/..;/payroll',
    '/x/..;/payroll',
    '/x/..;a=b/payroll',
    '/;/payroll',
    '/;x/payroll',
    '/payroll;',
    '/payroll;x=1',
    '/payroll;x/y',
  ],
  ...[
    '/payroll%3bx',
    '/payroll.',
    '/payroll..',
    '/payroll%2e',
    '/payroll%20',
    '/payroll%20/',
    '/payroll%09',
    '/payroll%00',
    '/payroll%00.png',
  ],
  ...[
    '/payroll::$DATA',
    '/payroll::$INDEX_ALLOCATION',
    '/payroll%3a%3a$DATA',
    '/\\payroll',
    '/x\\..\\payroll',
    '/%5cpayroll',
    '/x%5c..%5cpayroll',
  ],
  ...[
    '/%2570ayroll',
    '/%25%37%30ayroll',
    '/x/%252e%252e/payroll',
    '/payroll%252f',
    '/%c0%afpayroll',
    '/%e0%80%afpayroll',
    '/%u0070ayroll',
  ],
  ...[
    '/%ef%bd%90ayroll',
    '/payrol%e2%84%93',
    '/%f0%9d%96%95ayroll',
    '/payroll%',
    '/payroll%zz',
    '/payroll#x',
    '/payroll%23x',
    '/payroll/%2e%2e%2fx',
  ],
  ...['http://HOST/payroll', 'http://HOST/PAYROLL', 'https://HOST//payroll', 'http://HOST/x/../payroll'],
];

/** What the laxest backend could make of a target: decoded, lower case, without parameters, empty names dropped. */
function plainest(url: string): string {
  const names = decodeURIComponent(url.replace(/\?.*$/, ''))
    .split('/')
    .map((name) => name.replace(/[;?#].*$/, ''))
    .filter((name) => name !== '');
  return `/${names.join('/')}`.normalize('NFKC').toLowerCase();
}

const underPayroll = /^\/payroll(?:\/|$)/;

void t.test('60 spellings and more of a protected path', async (t) => {
  const to = await testGateway(t);
  t.ok(new Set(spellings).size >= 60);
  const authority = `127.0.0.1:${to.ports.upFront}`;
  const shown: string[] = [];
  for (const spelling of spellings) {
    const target = spelling.replace('HOST', authority);
    const stranger = await rawGet(to, { binding: 'upFront' }, target);
    t.ok(
      stranger.status === 400 || stranger.status === 403,
      `HTTP/1.1 ${spelling}: ${stranger.status} without a certificate`,
    );
    const alice = await rawGet(to, { binding: 'upFront', as: 'alice' }, target);
    t.equal(alice.status === 400, stranger.status === 400, 'one reading, whoever asks');
    if (alice.status !== 400) {
      t.equal(alice.status, 200, alice.head);
      const { url } = JSON.parse(alice.body) as EchoAnswer;
      shown.push(`${spelling} -> ${url}`);
      t.match(plainest(url), underPayroll, `the backend got ${url}`);
      t.notMatch(url, /\/\.\.?(?:\/|$)|\/\/|%2e|%70|\\/i, 'nothing is left to resolve');
    }
  }
  for (const spelling of spellings.filter((text) => text.startsWith('/'))) {
    const stranger = await http2Request(to, undefined, { ':path': spelling });
    t.ok([0, 400, 403].includes(stranger.status), `HTTP/2 ${spelling}: ${stranger.status} without a certificate`);
    const alice = await http2Request(to, 'alice', { ':path': spelling });
    if (alice.status !== 200) t.ok([0, 400].includes(alice.status), `HTTP/2 ${spelling}: ${alice.status}`);
    else t.match(plainest((JSON.parse(alice.body) as EchoAnswer).url), underPayroll);
  }
  t.comment(shown.join('\n'));
  t.ok(shown.length >= 20, 'a good part of them is served under the rule');
});
