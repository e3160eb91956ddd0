/**
 * Logon with certificates by clients of other people: curl, gnutls-cli, openssl, Chromium, and Node as the one that is always
 * there. Each on a binding that asks late and on one that asks up front; the log of the gateway says what was spoken.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import type { EchoAnswer } from '../../src/lab/echo.ts';
import { ask, testGateway } from '../support/gateway.ts';
import {
  autoSelectCertificates,
  chromium,
  curl,
  gnutlsCli,
  renegotiatingClient,
  sClient,
  whyNoPolicies,
  type ClientAnswer,
  type ClientRequest,
} from '../support/real-clients.ts';
import { peerTest } from '../support/real-peers.ts';

type Where = 'late' | 'upFront';
type Send = (request: ClientRequest) => Promise<ClientAnswer>;
/** What a client does, and what the gateway must have seen it speak. */
type Way = readonly [title: string, where: Where, protocol: 'TLSv1.2' | 'TLSv1.3', http: '1.1' | '2.0', send: Send];

const to = await testGateway(t);
const rootFile = fileOf('root').chainFile;
const bindingOf = { late: `127.0.0.1:${to.ports.late}`, upFront: `127.0.0.1:${to.ports.upFront}` };
const using =
  <T>(client: (request: ClientRequest, options: T) => Promise<ClientAnswer>, options: T): Send =>
  (request) =>
    client(request, options);

const expect = ['-H', 'Expect: 100-continue'];
const noExpect = ['-H', 'Expect:'];
const chunked = ['-H', 'Transfer-Encoding: chunked'];

await peerTest('curl', ['curl'], 'curl', async (t) => {
  const options = (...list: string[]) => using(curl, list);
  await logon(t, [
    ['HTTP/1.1, TLS 1.2', 'late', 'TLSv1.2', '1.1', options('--http1.1', '--tls-max', '1.2')],
    ['HTTP/2 and TLS 1.3 offered', 'late', 'TLSv1.2', '1.1', options('--http2', '--tlsv1.2')],
    ['HTTP/1.1, TLS 1.2', 'upFront', 'TLSv1.2', '1.1', options('--http1.1', '--tls-max', '1.2')],
    ['HTTP/1.1, TLS 1.3', 'upFront', 'TLSv1.3', '1.1', options('--http1.1', '--tlsv1.3')],
    ['HTTP/2, TLS 1.2', 'upFront', 'TLSv1.2', '2.0', options('--http2', '--tls-max', '1.2')],
    ['HTTP/2, TLS 1.3', 'upFront', 'TLSv1.3', '2.0', options('--http2', '--tlsv1.3')],
  ]);
  await body(t, using(curl, []));

  await t.test('Expect: 100-continue is answered before the certificate is asked for', async (t) => {
    const answer = await curl({ ...requestFor('alice', 'late'), body: pattern(40_960) }, expect);
    t.strictSame([answer.status, answer.interim], [200, [100]]);
    t.equal((JSON.parse(answer.body) as EchoAnswer).bodyBytes, 40_960);
  });

  for (const [title, options, interim] of [
    ['without Expect', noExpect, []],
    ['with Expect, which is not answered with 100', expect, []],
    ['in chunks, without Expect', [...noExpect, ...chunked], []],
    ['in chunks, with Expect, whose size shows too late', [...expect, ...chunked], [100]],
  ] as const)
    await t.test(`a body too large to be read before the certificate, ${title}: 413 is received`, async (t) => {
      const answer = await curl({ ...requestFor('alice', 'late'), body: pattern(1_048_576) }, options);
      t.strictSame([answer.status, answer.interim], [413, interim]);
      t.match(answer.body, /bodyTooLarge/);
      t.match(await line(answer), { code: 'bodyTooLarge', account: null });
    });
});

await peerTest('gnutls-cli', ['gnutls-cli'], 'gnutls-bin', async (t) => {
  const only = (version: string) => using(gnutlsCli, `NORMAL:-VERS-ALL:+VERS-TLS${version}`);
  await logon(t, [
    ['as it comes', 'late', 'TLSv1.2', '1.1', using(gnutlsCli, 'NORMAL')],
    ['TLS 1.2', 'upFront', 'TLSv1.2', '1.1', only('1.2')],
    ['TLS 1.3', 'upFront', 'TLSv1.3', '1.1', only('1.3')],
  ]);
  await body(t, using(gnutlsCli, 'NORMAL'));
});

await peerTest('openssl s_client', ['openssl'], 'openssl', async (t) => {
  await logon(t, [
    ['as it comes', 'late', 'TLSv1.2', '1.1', using(sClient, [])],
    ['TLS 1.2', 'upFront', 'TLSv1.2', '1.1', using(sClient, ['-tls1_2'])],
    ['TLS 1.3', 'upFront', 'TLSv1.3', '1.1', using(sClient, ['-tls1_3'])],
  ]);
  await body(t, using(sClient, []));
  for (const where of ['late', 'upFront'] as const)
    await t.test(`${where}: is disconnected when it renegotiates on its own, whoever it has been`, async (t) => {
      const before = await refusedConnections();
      const { output, remarks } = await renegotiatingClient(requestFor('alice', where));
      t.match(output, /HTTP\/1\.1 200 [^]*LAB\\\\alice/, 'it had its answer');
      t.match(remarks, /RENEGOTIATING/);
      t.equal(await refusedConnections(), before + 1, 'by the gateway, not of its own accord');
    });
});

await t.test('Node', async (t) => {
  const version = (where: Where, version?: 'TLSv1.2' | 'TLSv1.3') => async (request: ClientRequest) => {
    const tls = version === undefined ? {} : { minVersion: version, maxVersion: version };
    const answer = await ask(to, where, { ...(request.identity === null ? {} : { as: 'alice' }), tls });
    return { ...answer, headers: new Map(Object.entries(answer.headers).map(([k, v]) => [k, String(v)])), interim: [] };
  };
  await logon(t, [
    ['as it comes', 'late', 'TLSv1.2', '1.1', version('late')],
    ['TLS 1.2', 'upFront', 'TLSv1.2', '1.1', version('upFront', 'TLSv1.2')],
    ['TLS 1.3', 'upFront', 'TLSv1.3', '1.1', version('upFront', 'TLSv1.3')],
    ['HTTP/2', 'upFront', 'TLSv1.3', '2.0', askHttp2],
  ]);
});

const browserPrograms = ['chromium', 'certutil', 'pk12util', 'openssl'];
const browserPackages = 'chromium libnss3-tools openssl';

await peerTest('Chromium without a certificate shows the page 403.7', browserPrograms, browserPackages, async (t) => {
  const browser = await chromium(t, rootFile, null);
  await both(async (where) => {
    const dom = await browser.dom(urlOf(where));
    t.match(dom, /<h1>HTTP Error 403\.7 - Forbidden/, where);
    t.match(newestFrom(where), { code: 'certificateRequired' }, where);
  });
});

const certificateLogon = 'Chromium with a certificate in its NSS store logs on';
const notice = whyNoPolicies();
if (notice === null) await peerTest(certificateLogon, browserPrograms, browserPackages, chromiumLogon);
else await t.test(certificateLogon, { skip: notice }, () => {});

async function chromiumLogon(t: Test): Promise<void> {
  await autoSelectCertificates(
    t,
    [urlOf('late'), urlOf('upFront')].map((url) => new URL(url).origin),
  );
  const browser = await chromium(t, rootFile, fileOf('alice'));
  await both(async (where) => {
    const dom = await browser.dom(urlOf(where));
    t.match(dom, /\["X-Remote-User","LAB\\\\alice"\]/i, where);
    const spoken = where === 'late' ? { protocol: 'TLSv1.2', http: '1.1' } : { protocol: 'TLSv1.3', http: '2.0' };
    t.match(newestFrom(where), { code: 'authorised', account: 'LAB\\alice', ...spoken }, where);
  });
}

async function logon(t: Test, ways: readonly Way[]): Promise<void> {
  for (const [title, where, protocol, http, send] of ways) {
    await t.test(`${where}, ${title}: with a certificate is the account, without one is 403.7`, async (t) => {
      const spoken = { binding: bindingOf[where], protocol, http };
      const known = await send(requestFor('alice', where));
      t.equal(known.status, 200, known.body);
      t.equal(echoed(known, 'x-remote-user'), 'LAB\\alice');
      t.match(await line(known), { ...spoken, code: 'authorised', account: 'LAB\\alice' });
      const stranger = await send(requestFor(null, where));
      t.equal(stranger.status, 403);
      t.equal(stranger.headers.get('x-dsmapper-verdict'), '403.7');
      t.match(await line(stranger), { ...spoken, code: 'certificateRequired' });
    });
  }
}

async function body(t: Test, send: Send): Promise<void> {
  await t.test('a body of 40 KB before a late certificate arrives whole', async (t) => {
    const sent = pattern(40_960);
    const answer = await send({ ...requestFor('alice', 'late'), body: sent });
    t.equal(answer.status, 200, answer.body);
    const echo = JSON.parse(answer.body) as EchoAnswer;
    t.equal(echo.bodyBytes, sent.length);
    t.equal(echo.bodySha256, createHash('sha256').update(sent).digest('hex'));
    t.equal(echoed(answer, 'x-remote-user'), 'LAB\\alice');
  });
}

async function askHttp2({ path, identity }: ClientRequest): Promise<ClientAnswer> {
  const tls = { ca: to.ca, ...(identity === null ? {} : to.identity('alice')) };
  const session = http2.connect(`https://${bindingOf.upFront}`, tls);
  try {
    const stream = session.request({ ':path': path });
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    const list = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
    const { ':status': status = 0 } = headers as { ':status'?: number };
    return { status, headers: new Map(list), body: await text(stream), interim: [] };
  } finally {
    session.destroy();
  }
}

async function refusedConnections(): Promise<number> {
  const metrics = await to.gateway.metrics.text();
  return Number(/^dsmapper_connections_total\{event="refused"\} (\d+)$/m.exec(metrics)?.[1]);
}

async function both(look: (where: Where) => Promise<void>): Promise<void> {
  await Promise.all([look('late'), look('upFront')]);
}

function requestFor(name: string | null, where: Where): ClientRequest {
  return {
    port: to.ports[where],
    path: '/payroll',
    identity: name === null ? null : fileOf(name),
    rootFile,
  };
}

function urlOf(where: Where): string {
  return `https://${bindingOf[where]}/payroll`;
}

function fileOf(name: string) {
  const found = to.lab.pki.certificates.get(name);
  if (found === undefined) throw new TypeError(`no certificate ${name}`);
  return found;
}

function echoed(answer: ClientAnswer, name: string): string | null {
  const { headers } = JSON.parse(answer.body) as EchoAnswer;
  return headers.find(([other]) => other.toLowerCase() === name)?.[1] ?? null;
}

/** What the gateway logged of the request. */
function line(answer: ClientAnswer): Promise<unknown> {
  return to.logged(answer.headers.get('x-request-id'));
}

/** Of a browser, which may have asked for more than the page. */
function newestFrom(where: Where): unknown {
  return to.log.findLast((record) => record['binding'] === bindingOf[where] && record['path'] === '/payroll');
}

/** ASCII in which a lost or moved piece shows. */
function pattern(size: number): string {
  return Array.from({ length: Math.ceil(size / 8) }, (_, index) => `${String(index).padStart(7, '0')}\n`)
    .join('')
    .slice(0, size);
}
