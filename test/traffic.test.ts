/**
 * What the gateway answers itself before anybody is asked for a certificate, CORS preflights and probes, and what it tells backends of the
 * client's address.
 */
import http from 'node:http';
import http2 from 'node:http2';
import t from 'tap';
import { forwardedHeaders, type ForwardedStyle } from '../src/forward/forwarded.ts';
import { listen } from './support/bare-gateway.ts';
import { ask, testGateway, testLab, type TestRequest } from './support/gateway.ts';

const app = 'https://app.example.test';
const preflight = `preflight: { origins: ["${app}"], methods: [GET, PUT], headers: [Content-Type, X-Asked-With], maximumAge: 1h }`;

const lab = await testLab(t);
/** A backend whose health the tests set. */
let health = 200;
const backend = http.createServer((request, response) => {
  response.writeHead(request.url === '/health' ? health : 200).end(request.url);
});
const backendPort = await listen(backend);
t.teardown(() => {
  backend.closeAllConnections();
  backend.close();
});

/** Nobody listens there. */
const dead = http.createServer();
const deadPort = await listen(dead);
await new Promise((resolve) => dead.close(resolve));

const to = await testGateway(t, {
  lab,
  configure: (yaml) =>
    yaml
      .replace(
        '    locations:\n',
        '    probes: [{ path: /live, answers: alive }, { path: /payroll/ready }]\n    locations:\n',
      )
      .replace('      /payroll:\n', `      /payroll:\n        ${preflight}\n`)
      .replace(
        '      /computers:\n',
        [
          '      /public: { access: { sslFlags: [None] }, identity: { forwarded: [forwarded] } }',
          `      /both: { identity: { forwarded: [x-forwarded, forwarded] }, ${preflight.replace('maximumAge: 1h', 'credentials: false')} }`,
          '      /silent: { identity: { forwarded: [] } }',
          '      /app: { upstream: app }',
          '      /pair: { upstream: pair }',
          '      /named: { upstream: named }',
          '      /computers:\n',
        ].join('\n'),
      )
      .concat(
        [
          'upstreams:',
          '  app:',
          `    servers: ["http://127.0.0.1:${backendPort}"]`,
          '    healthCheck: { path: /health, interval: 100ms, unhealthyAfter: 1, healthyAfter: 1 }',
          `  pair: { servers: ["http://127.0.0.1:${deadPort}", "${lab.echo.url}"] }`,
          `  named: { servers: ["${lab.echo.url}"], hostHeader: server }`,
          '',
        ].join('\n'),
      ),
});

const asking = { Origin: app, 'Access-Control-Request-Method': 'PUT' };
const options = (headers: http.OutgoingHttpHeaders, more: TestRequest = {}) => ({
  method: 'OPTIONS',
  headers,
  ...more,
});

async function reached(work: () => Promise<unknown>): Promise<number> {
  const before = lab.echo.requests;
  await work();
  return lab.echo.requests - before;
}

function allowHeaders(headers: http.IncomingHttpHeaders): readonly string[] {
  return Object.keys(headers).filter((name) => name.startsWith('access-control-'));
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (const where of ['late', 'upFront'] as const)
  await t.test(`a preflight is answered from the list, without a certificate, on the ${where} binding`, async (t) => {
    const requests = await reached(async () => {
      const answer = await ask(
        to,
        where,
        options({ ...asking, 'Access-Control-Request-Headers': 'content-type, X-ASKED-WITH' }),
      );
      t.equal(answer.status, 204);
      t.equal(answer.body, '');
      t.match(answer.headers, {
        'access-control-allow-origin': app,
        'access-control-allow-methods': 'GET, PUT',
        'access-control-allow-headers': 'content-type, x-asked-with',
        'access-control-allow-credentials': 'true',
        'access-control-max-age': '3600',
        vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      });
      t.notOk('content-length' in answer.headers || 'content-type' in answer.headers, 'RFC 9110 section 8.6');
      const line = await to.logged(answer.headers['x-request-id']);
      t.match(line, { status: 204, code: 'anonymous', location: '/payroll', account: null, thumbprint: null });
    });
    t.equal(requests, 0, 'nothing went upstream');
  });

await t.test('a preflight over HTTP/2 is answered as well, and the session goes on', async (t) => {
  const session = http2.connect(`https://127.0.0.1:${to.ports.upFront}`, { ca: to.ca });
  t.teardown(() => session.destroy());
  const send = (headers: http2.OutgoingHttpHeaders, body?: string) =>
    new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
      const stream = session.request(headers, { endStream: body === undefined });
      stream.on('error', reject).on('response', resolve).resume();
      if (body !== undefined) stream.end(body);
    });
  const question = {
    ':method': 'OPTIONS',
    ':path': '/payroll/x',
    origin: app,
    'access-control-request-method': 'GET',
  };
  t.match(await send(question), { ':status': 204, 'access-control-allow-origin': app });
  t.match(await send(question, 'a body'), { ':status': 400 });
  t.match(await send({ ':path': '/live' }), { ':status': 200 });
});

await t.test(
  'a preflight that the list does not cover is 403 without a word of permission, and never forwarded',
  async (t) => {
    const requests = await reached(async () => {
      for (const headers of [
        { ...asking, Origin: 'https://evil.example.test' },
        { ...asking, Origin: 'null' },
        { ...asking, Origin: `${app}.evil.test` },
        { ...asking, Origin: app.toUpperCase() },
        { ...asking, Origin: '' },
        { ...asking, 'Access-Control-Request-Method': 'DELETE' },
        { ...asking, 'Access-Control-Request-Method': 'put' },
        { ...asking, 'Access-Control-Request-Method': ['PUT', 'PUT'] },
        { ...asking, 'Access-Control-Request-Headers': 'content-type, authorization' },
        { ...asking, 'Access-Control-Request-Headers': '*' },
      ]) {
        const answer = await ask(to, 'late', options(headers));
        t.equal(answer.status, 403, JSON.stringify(headers));
        t.strictSame(allowHeaders(answer.headers), []);
        t.match(await to.logged(answer.headers['x-request-id']), { code: 'preflightRefused' });
      }
    });
    t.equal(requests, 0);
  },
);

await t.test('a preflight with a body is refused and never forwarded', async (t) => {
  const requests = await reached(async () => {
    for (const framing of [{ 'Content-Length': 1 }, { 'Transfer-Encoding': 'chunked' }]) {
      const answer = await ask(to, 'late', options({ ...asking, ...framing }, { body: 'x' }));
      t.equal(answer.status, 400);
      t.strictSame(allowHeaders(answer.headers), []);
    }
  });
  t.equal(requests, 0);
});

await t.test('what is no preflight, or stands where none are answered, goes the usual way', async (t) => {
  const lacking = [{ Origin: app }, { 'Access-Control-Request-Method': 'PUT' }, {}];
  for (const headers of lacking)
    t.equal((await ask(to, 'late', options(headers))).status, 403, JSON.stringify(headers));
  t.equal((await ask(to, 'late', { headers: asking })).status, 403, 'GET');
  t.equal((await ask(to, 'late', options(asking, { path: '/computers' }))).status, 403, 'a location without a list');
  const known = await ask(to, 'late', options({ Origin: app }, { as: 'alice' }));
  t.equal(known.echo().method, 'OPTIONS', 'with a certificate it is forwarded');
  t.equal((await ask(to, 'late', options(asking, { path: '/' }))).echo().method, 'OPTIONS');
});

await t.test(
  'a preflight with a certificate earns nothing, and credentials are allowed only where that is said',
  async (t) => {
    const answer = await ask(to, 'upFront', options(asking, { as: 'alice' }));
    t.equal(answer.status, 204);
    t.match(await to.logged(answer.headers['x-request-id']), { account: null, cache: null });
    const other = await ask(to, 'upFront', options(asking, { path: '/both' }));
    t.match(other, { status: 204, headers: { 'access-control-max-age': '600' } });
    t.notOk('access-control-allow-credentials' in other.headers);
  },
);

await t.test('over plain http a preflight is refused where Ssl is demanded', async (t) => {
  const answer = await ask(to, 'http', options(asking));
  t.equal(answer.status, 403);
  t.strictSame(allowHeaders(answer.headers), []);
});

for (const where of ['late', 'upFront', 'http'] as const)
  await t.test(`probes are answered without a certificate on the ${where} binding`, async (t) => {
    const requests = await reached(async () => {
      for (const [path, body] of [
        ['/live', 'alive\n'],
        ['/LIVE?x', 'alive\n'],
        ['/x/../live', 'alive\n'],
        ['/payroll/ready', 'ready\n'],
      ] as const) {
        const answer = await ask(to, where, { path });
        t.equal(answer.status, 200, path);
        t.equal(answer.body, body);
        t.match(answer.headers, { 'cache-control': 'no-store', 'content-type': 'text/plain; charset=utf-8' });
      }
      const head = await ask(to, where, { path: '/live', method: 'HEAD' });
      t.match(head, { status: 200, body: '', headers: { 'content-length': '6' } });
      t.match(await to.logged(head.headers['x-request-id']), { code: 'anonymous', status: 200, account: null });
    });
    t.equal(requests, 0, 'nothing went upstream');
  });

await t.test('other methods, bodies and paths are requests like others', async (t) => {
  t.equal((await ask(to, 'late', { path: '/live', method: 'POST' })).echo().method, 'POST');
  t.equal(
    (await ask(to, 'late', { path: '/live', headers: { 'Content-Length': '1' }, body: 'x' })).echo().bodyBytes,
    1,
  );
  t.equal((await ask(to, 'late', { path: '/live/x' })).echo().url, '/live/x');
  t.equal(
    (await ask(to, 'late', { path: '/payroll/ready', method: 'POST' })).status,
    403,
    'who is asked for a certificate',
  );
  t.equal((await ask(to, 'http', { path: '/live', method: 'POST' })).status, 403, 'Ssl is demanded there');
});

await t.test(
  'an upstream whose health checks fail makes the gateway unready, and says why to operators alone',
  async (t) => {
    await until(async () => (await to.gateway.readiness()).ready, 'ready');
    const label = `upstream="app",server="http://127.0.0.1:${backendPort}"`;
    t.match(await to.gateway.metrics.text(), `dsmapper_upstream_healthy{${label}} 1`);
    t.match(
      await to.gateway.metrics.text(),
      `dsmapper_upstream_healthy{upstream="${lab.echo.url}",server="${lab.echo.url}"} 1`,
    );
    health = 503;
    await until(async () => !(await to.gateway.readiness()).ready, 'not ready');
    const { reasons } = await to.gateway.readiness();
    t.match(reasons, [
      /^upstream app: no server is healthy \(http:.*health check GET \/health: answers 503, not 200 to 399\)$/,
    ]);
    t.match(await to.gateway.metrics.text(), `dsmapper_upstream_healthy{${label}} 0`);
    await until(async () => (await ask(to, 'http', { path: '/payroll/ready' })).status === 503, 'the probe says so');
    t.equal((await ask(to, 'http', { path: '/payroll/ready' })).body, 'not ready\n', 'without the reason');
    t.equal((await ask(to, 'http', { path: '/live' })).status, 200, 'alive all the same');
    t.match(await ask(to, 'late', { path: '/app' }), { status: 200, body: '/app' }, 'checks alone refuse nobody');
    health = 200;
    await until(async () => (await ask(to, 'http', { path: '/payroll/ready' })).status === 200, 'ready again');
    t.match(
      to.events.filter(({ upstream }) => upstream === 'app'),
      [
        { event: 'upstream.unhealthy', server: `http://127.0.0.1:${backendPort}`, reason: /answers 503/ },
        { event: 'upstream.healthy', reason: 'it answers again' },
      ],
    );
  },
);

await t.test('an upstream without health checks says nothing about readiness', async (t) => {
  const group = [...to.gateway.setup.upstreams()].find(({ settings }) => settings.healthCheck === null);
  const [server] = group?.servers ?? [];
  if (group === undefined || server === undefined) throw new Error('no upstream');
  group.failed(server, 'away');
  t.match(group.states(), [{ healthy: false }]);
  t.ok((await to.gateway.readiness()).ready);
  t.equal((await ask(to, 'late', { path: '/' })).status, 200, 'it is tried all the same');
});

await t.test('a dead server among several costs no request, and is reported once', async (t) => {
  for (let turn = 0; turn < 6; turn += 1) t.equal((await ask(to, 'late', { path: '/pair' })).echo().url, '/pair');
  t.match(
    to.events.filter(({ upstream }) => upstream === 'pair'),
    [{ event: 'upstream.unhealthy', server: `http://127.0.0.1:${deadPort}`, reason: /ECONNREFUSED/ }],
  );
});

await t.test('the Host of an upstream is that of the client, or its own', async (t) => {
  const host = async (path: string) => (await ask(to, 'late', { path })).backendHeader('host');
  t.equal(await host('/pair'), `127.0.0.1:${to.ports.late}`);
  t.equal(await host('/named'), new URL(lab.echo.url).host);
});

await t.test('however often a probe is asked for, readiness is found out once a second', async (t) => {
  const { directory } = to.gateway.setup;
  if (directory === null) throw new Error('no directory');
  const asked = t.capture(directory, 'health', directory.health.bind(directory));
  const begin = performance.now();
  for (let turn = 0; turn < 20; turn += 1) await ask(to, 'http', { path: '/payroll/ready' });
  const seconds = Math.ceil((performance.now() - begin) / 1000);
  const count = asked().length;
  t.ok(count <= seconds + 1, `${count} times in ${seconds} seconds`);
});

await t.test('a location chooses how the address of the client is told; a forged one never passes', async (t) => {
  const forged = {
    Forwarded: 'for=192.0.2.66',
    'X-Forwarded-For': '192.0.2.66',
    'X-Forwarded-Host': 'evil.example.test',
  };
  const told = async (where: 'late' | 'http', path: string) => {
    const answer = await ask(to, where, { path, headers: forged });
    return answer.echo().headers.filter(([name]) => /forwarded/i.test(name));
  };
  const port = to.ports.late;
  t.strictSame(await told('late', '/public'), [['Forwarded', `for=127.0.0.1;proto=https;host="127.0.0.1:${port}"`]]);
  t.strictSame(await told('http', '/public'), [
    ['Forwarded', `for=127.0.0.1;proto=http;host="127.0.0.1:${to.ports.http}"`],
  ]);
  t.strictSame(await told('late', '/both'), [
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', `127.0.0.1:${port}`],
    ['Forwarded', `for=127.0.0.1;proto=https;host="127.0.0.1:${port}"`],
  ]);
  t.strictSame(await told('late', '/silent'), []);
});

await t.test('Forwarded is written as RFC 7239 has it', (t) => {
  const written = (remoteAddress: string, host: string | null, encrypted = true) =>
    forwardedHeaders(['forwarded'], { remoteAddress, host, encrypted });
  const rows: readonly (readonly [string, string | null, string])[] = [
    ['192.0.2.1', 'www.example.test', 'for=192.0.2.1;proto=https;host=www.example.test'],
    ['::ffff:192.0.2.1', null, 'for=192.0.2.1;proto=https'],
    ['2001:db8::1', 'www.example.test:8443', 'for="[2001:db8::1]";proto=https;host="www.example.test:8443"'],
    ['fe80::1%eth0', '[2001:db8::2]:443', 'for="[fe80::1]";proto=https;host="[2001:db8::2]:443"'],
    ['::ffff:0:1', 'a', 'for="[::ffff:0:1]";proto=https;host=a'],
    ['', 'a"b\\c;d', 'for=unknown;proto=https;host="a\\"b\\\\c;d"'],
    ['::1', '', 'for="[::1]";proto=https;host=""'],
  ];
  for (const [address, host, value] of rows) t.strictSame(written(address, host), ['Forwarded', value]);
  const styles: readonly ForwardedStyle[] = [];
  t.strictSame(forwardedHeaders(styles, { remoteAddress: '192.0.2.1', host: 'a', encrypted: false }), []);
  t.end();
});
