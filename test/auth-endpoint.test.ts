/**
 * Other proxies ask: how each of them writes a certificate, who may ask about what, what is answered, and that nothing that a client or a
 * caller says leads to a weaker rule than its own.
 */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import type { Test } from 'tap';
import { createAuthority } from '../src/lab/authority.ts';
import { listenOnPath } from '../src/tls/socket-file.ts';
import { createConfigWorld } from './support/config-world.ts';
import { checkClient, tlsCredentials, type CheckResponse } from './support/auth-grpc-client.ts';
import type { Clock } from '../src/base/clock.ts';
import type { Instant } from '../src/base/brand.ts';
import { callersAt } from '../src/gateway/auth-callers.ts';
import { readForm } from '../src/gateway/auth-certificate-forms.ts';
import { maximumText } from '../src/gateway/auth-certificate-text.ts';
import { readCheck } from '../src/gateway/auth-check.ts';
import { certificateForms } from '../src/gateway/auth-endpoint-settings.ts';
import { field, readFields } from '../src/gateway/auth-wire.ts';
import {
  askAuth,
  base64,
  certificatesIn,
  forms,
  sha256,
  type AskWhere,
  type FormHeaders,
} from './support/auth-questions.ts';
import { testGateway, testLab, type TestGateway, type TestGatewayOptions } from './support/gateway.ts';

const alice = 'CN=alice,CN=Users,DC=lab,DC=example,DC=test';
const secretOf = (caller: string): string => `${caller}-`.padEnd(40, 'x');

interface World extends TestGateway {
  /** Where an endpoint listens. */
  at(endpoint: string): AskWhere;
  /** Target of a gRPC client. */
  target(endpoint: string): string;
  /** Headers by which a caller proves itself. */
  proof(caller: string): FormHeaders;
}

interface WorldOptions extends TestGatewayOptions {
  /** `limits: {...}` of the endpoint `tcp`. */
  readonly limits?: string;
  /** PEM of the CA of callers, and the thumbprint of one. */
  readonly callers?: { readonly ca: string; readonly thumbprint: string };
}

/** Endpoints of a Unix socket, of TCP with a caller for each form, of TLS where there is a CA for callers, and of gRPC. */
async function world(t: Test, options: WorldOptions = {}): Promise<World> {
  const names = [...certificateForms, 'pinned', 'other', 'prefixed', 'mesh', 'othermesh'];
  for (const name of names) process.env[`AUTH_${name.toUpperCase()}`] = secretOf(name);
  const lab = options.lab ?? (await testLab(t));
  const folder = await mkdtemp(join(tmpdir(), 'dsmapper-callers-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'ca.pem'), options.callers?.ca ?? '');
  const { limits = '', callers, configure, ...rest } = options;
  const to = await testGateway(t, {
    ...rest,
    lab,
    configure(yaml) {
      const upFront = /endpoint: (\S+) +# asks in the first/.exec(yaml)?.[1] ?? '';
      const file = (name: string) => new RegExp(`file:[^"]*${name}`).exec(yaml)?.[0] ?? '';
      const caller = (name: string, more = '', form = name, sites = 'Lab') =>
        `      - { name: ${name}, form: ${form}, bindings: ["${upFront}"], sites: [${sites}], secret: "env:AUTH_${name.toUpperCase()}"${more} }`;
      const text = yaml.replace(
        '\nsites:\n',
        `\nsites:\n  - name: Other\n    bindings: ["${upFront}"]\n    hosts: [other.example.test]\n    upstream: ${lab.echo.url}\n`,
      );
      const tls = `{ cert: "${file('gateway.pem')}", key: "${file('gateway.key')}", ca: ["file:${folder}/ca.pem"] }`;
      const named = `
      - { name: byThumbprint, form: envoy, bindings: ["${upFront}"], sites: [Lab], thumbprints: ["${callers?.thumbprint ?? ''}"] }
      - { name: byName, form: envoy, bindings: ["${upFront}"], sites: [Lab], dnsNames: [proxy.example.test] }`;
      const overTls = ['http', 'grpc'].map(
        (protocol) => `
  - name: tls-${protocol}
    listen: 127.0.0.1:0
    protocol: ${protocol}
    tls: ${tls}
    callers: ${named}`,
      );
      const endpoints = `
authEndpoints:
  - name: local
    socket: run/auth.sock
    callers:
      - { name: edge, form: nginx, bindings: ["${upFront}"], sites: [Lab] }
  - name: tcp
    listen: 127.0.0.1:0
    ${limits}
    callers:
${certificateForms.map((form) => caller(form)).join('\n')}
${caller('pinned', ', location: /payroll', 'rfc9440')}
${caller('other', '', 'rfc9440', 'Other')}
${caller('prefixed', ', pathPrefix: /auth', 'envoy')}
  - name: grpc
    listen: 127.0.0.1:0
    protocol: grpc
    ${limits}
    callers:
${caller('mesh', '', 'envoy')}
${caller('othermesh', '', 'envoy', 'Other')}
${callers === undefined ? '' : overTls.join('')}
`;
      return (configure?.(text) ?? text) + endpoints;
    },
  });
  const address = (endpoint: string) =>
    to.gateway.auth.addresses().find((one) => one.endpoint === endpoint)?.address ?? '';
  return {
    ...to,
    at(endpoint) {
      const found = address(endpoint);
      return found.startsWith('127.') ? { port: Number(found.split(':')[1]) } : { socketPath: found };
    },
    target: address,
    proof: (caller) => [['X-DSMapper-Secret', secretOf(caller)]],
  };
}

/** Where the request is told in a form. */
function told(form: string, uri: string, host = 'localhost', method = 'GET'): FormHeaders {
  if (form === 'envoy') return [['Host', host]];
  const prefix = form === 'traefik' ? 'X-Forwarded' : 'X-Original';
  return [
    [`${prefix}-Host`, host],
    [`${prefix}-Uri`, uri],
    [`${prefix}-Method`, method],
  ];
}

/** Goes on as soon as the condition holds; the test's own time-out ends a condition that never does. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

function shiftableClock(): Clock & { shift(milliseconds: number): void } {
  let offset = 0;
  return {
    now: () => (Date.now() + offset) as Instant,
    monotonic: () => performance.now() + offset,
    shift: (milliseconds) => (offset += milliseconds),
  };
}

/** Asks in a form, as somebody or as nobody, and with what else is said. */
function asking(to: World, caller: string, form = caller) {
  return (as: string | null, uri: string, more: FormHeaders = [], host = 'localhost') =>
    askAuth(to.at('tcp'), {
      path: form === 'envoy' ? uri : '/',
      headers: [
        ...to.proof(caller),
        ...told(form, uri, host),
        ...(as === null ? [] : (forms[form]?.(to.identity(as).cert) ?? [])),
        ...more,
      ],
    });
}

/** Writes octets and reads until the other end closes. */
function raw(where: AskWhere, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket =
      where.socketPath === undefined ? net.connect(where.port ?? 0, '127.0.0.1') : net.connect(where.socketPath);
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    socket.on('error', () => {});
    socket.once('close', () => resolve(Buffer.concat(pieces).toString('latin1')));
    socket.write(text);
  });
}

await t.test('questions and answers', { timeout: 120_000 }, async (t) => {
  const lab = await testLab(t);
  const to = await world(t, { lab });

  for (const form of certificateForms)
    await t.test(`form ${form}: who the client is`, async (t) => {
      const ask = asking(to, form);
      const good = await ask('alice', '/payroll/x?y=1');
      t.equal(good.status, 200, JSON.stringify(to.log.at(-1)));
      t.equal(good.headers['x-remote-user'], 'LAB\\alice');
      t.equal(good.headers['x-client-verify'], 'SUCCESS');
      t.equal(good.headers['cache-control'], 'no-store');
      t.equal(good.headers['x-dsmapper-code'], 'authorised');
      t.equal(good.body, '');
      const [leaf] = certificatesIn(to.identity('alice').cert);
      t.equal(good.headers['x-arr-clientcert'], base64(leaf ?? Buffer.alloc(0)));
      t.match(await to.logged(good.headers['x-request-id']), {
        ...{ endpoint: 'tcp', caller: form, via: form, site: 'Lab', location: '/payroll', path: '/payroll/x' },
        ...{ account: 'LAB\\alice', code: 'authorised', status: 200, revocation: 'good', method: 'GET' },
      });
      const none = await ask(null, '/payroll');
      t.equal(none.status, 403);
      t.equal(none.headers['x-dsmapper-verdict'], '403.7');
      t.equal(none.headers['x-dsmapper-status'], '403');
      t.equal(none.headers['x-remote-user'], undefined);
      t.equal((await ask('revoked', '/payroll')).headers['x-dsmapper-verdict'], '403.13');
      t.equal((await ask('foreign', '/payroll')).headers['x-dsmapper-verdict'], '403.16');
      t.equal((await ask('expired', '/payroll')).headers['x-dsmapper-verdict'], '403.17');
      const anonymous = await ask(null, '/');
      t.equal(anonymous.status, 200);
      t.equal(anonymous.headers['x-client-verify'], 'NONE');
      t.equal(anonymous.headers['x-remote-user'], undefined);
      const clear = (anonymous.headers['x-dsmapper-clear'] as string).split(', ');
      for (const name of [
        'X-Remote-User',
        'X-Remote-Upn',
        'X-Remote-Sid',
        'X-ARR-ClientCert',
        'Client-Cert',
        'X-IIS-LOGON-USER',
      ])
        t.ok(clear.includes(name), name);
      t.notOk(clear.includes('X-Client-Verify'), 'what is written is not cleared');
      const removed = anonymous.headers['x-envoy-auth-headers-to-remove'];
      t.equal(removed, form === 'envoy' ? anonymous.headers['x-dsmapper-clear'] : undefined);
    });

  await t.test('what nobody can believe is not believed', async (t) => {
    const claims: FormHeaders = [
      ['X-SSL-Client-Verify', 'SUCCESS'],
      ['X-Client-Verify', 'SUCCESS'],
      ['X-Remote-User', 'LAB\\administrator'],
      ['X_Remote_User', 'LAB\\administrator'],
      ['X-DSMapper-Verdict', '200'],
      ['X-Request-Id', 'mine'],
    ];
    for (const form of certificateForms) {
      const ask = asking(to, form);
      t.equal((await ask(null, '/payroll', claims)).status, 403, form);
      t.equal((await ask('foreign', '/payroll', claims)).headers['x-dsmapper-verdict'], '403.16', form);
      const good = await ask(null, '/', claims);
      t.equal(good.status, 200, form);
      t.notMatch(JSON.stringify(good.rawHeaders), /administrator|mine|SUCCESS/, form);
    }
    const envoy = await asking(to, 'envoy')('alice', '/payroll', claims);
    t.match(envoy.headers['x-envoy-auth-headers-to-remove'], /x_remote_user/, 'Envoy takes the other spelling away');
  });

  await t.test('two certificates in a question are refused, in whatever spelling', async (t) => {
    const [leaf = Buffer.alloc(0)] = certificatesIn(to.identity('bob').cert);
    const value = base64(leaf);
    for (const form of certificateForms) {
      const own = forms[form]?.(to.identity('alice').cert)[0] ?? ['', ''];
      const others = [
        'Client-Cert',
        'client_cert',
        'X-SSL-Client-Cert',
        'X_SSL_CLIENT_CERT',
        'X-ARR-ClientCert',
        'X-Forwarded-Client-Cert',
      ];
      for (const name of [own[0], own[0].replaceAll('-', '_'), ...others]) {
        for (const as of ['alice', null]) {
          if (as === null && name.toLowerCase() === own[0].toLowerCase()) continue;
          const answer = await asking(to, form)(as, '/payroll', [[name, value]]);
          t.equal(answer.headers['x-dsmapper-status'], '400', `${form}: ${name} beside ${as}`);
          t.equal(answer.status, form === 'nginx' ? 403 : 400);
        }
      }
      const junk = Array.from({ length: 2500 }, (_, index) => [`a${index}`, '1'] as const);
      const late = await asking(to, form)('alice', '/payroll', [...junk, [own[0], 'x']]);
      t.equal(late.headers['x-dsmapper-status'], '400', `${form}: behind two thousand others`);
      const empty = await asking(to, form)('alice', '/payroll', [[own[0], '']]);
      t.equal(empty.headers['x-dsmapper-status'], '400', `${form}: an empty second one`);
      const listed = await asking(to, form)('alice', '/payroll', [['Connection', own[0]]]);
      t.equal(listed.status, 200, `${form}: whoever lists it in Connection has it read all the same`);
    }
  });

  await t.test('a request that is told twice, or not, is refused', async (t) => {
    for (const form of ['nginx', 'traefik', 'apache', 'haproxy', 'rfc9440']) {
      const ask = asking(to, form);
      const prefix = form === 'traefik' ? 'X-Forwarded' : 'X-Original';
      for (const part of ['Host', 'Uri', 'Method'])
        for (const name of [`${prefix}-${part}`, `${prefix.replace('-', '_')}_${part}`])
          t.equal((await ask(null, '/', [[name, '/']])).headers['x-dsmapper-status'], '400', `${form}: ${name}`);
      const certificate = forms[form]?.(to.identity('alice').cert) ?? [];
      for (const missing of ['Host', 'Uri']) {
        const headers = [
          ...to.proof(form),
          ...told(form, '/').filter(([name]) => !name.endsWith(missing)),
          ...certificate,
        ];
        const answer = await askAuth(to.at('tcp'), { path: '/', headers });
        t.equal(answer.headers['x-dsmapper-status'], '400', `${form}: no ${missing}`);
      }
    }
    const twice = await askAuth(to.at('tcp'), {
      headers: [...to.proof('envoy'), ['Host', 'localhost'], ['Host', 'localhost']],
    });
    t.ok([400, 403].includes(twice.status), 'envoy: two Hosts');
    const method = (name: string) =>
      asking(to, 'nginx')(null, '/', []).then(() =>
        askAuth(to.at('tcp'), { headers: [...to.proof('nginx'), ...told('nginx', '/', 'localhost', name)] }),
      );
    t.equal((await method('TRACE')).headers['x-dsmapper-status'], '405');
    t.equal((await method('GE T')).headers['x-dsmapper-status'], '400');
    t.equal((await method('X'.repeat(33))).headers['x-dsmapper-status'], '400');
    t.equal((await method('PROPFIND')).status, 200);
  });

  await t.test('the path is read as the gateway reads it: no spelling leads past a rule', async (t) => {
    for (const form of certificateForms) {
      const ask = asking(to, form);
      for (const uri of [
        '/payroll',
        '/%70ayroll',
        '/PAYROLL/x',
        '//payroll',
        '/x/../payroll',
        '/./payroll;x=1',
        '/payroll?/../',
      ])
        t.equal((await ask(null, uri)).headers['x-dsmapper-verdict'], '403.7', `${form}: ${uri}`);
      for (const uri of [
        '/payroll%00',
        '/%2e%2e/..',
        '/a%5cb',
        '/%2570ayroll',
        '/a%2fb',
        '/..;/payroll',
        '/payroll.',
        '/x#/payroll',
      ])
        t.equal((await ask(null, uri)).headers['x-dsmapper-status'], '400', `${form}: ${uri}`);
    }
    const ask = asking(to, 'nginx');
    t.equal((await ask(null, 'payroll')).headers['x-dsmapper-status'], '400', 'no slash');
    t.equal((await ask(null, 'http://localhost/payroll')).headers['x-dsmapper-verdict'], '403.7', 'absolute form');
    t.equal(
      (await ask(null, 'http://elsewhere/')).headers['x-dsmapper-status'],
      '400',
      'absolute form of another host',
    );
  });

  await t.test('a caller asks about its own sites alone', async (t) => {
    const mine = asking(to, 'rfc9440');
    const theirs = asking(to, 'other', 'rfc9440');
    t.equal((await mine('alice', '/payroll', [], 'anything.example.test')).status, 200, 'Lab answers to every name');
    const foreign = await mine('alice', '/payroll', [], 'other.example.test');
    t.equal(foreign.status, 400);
    t.equal(foreign.headers['x-dsmapper-code'], 'unknownHost');
    t.equal((await theirs('alice', '/payroll', [], 'localhost')).headers['x-dsmapper-code'], 'unknownHost');
    t.equal(
      (await theirs(null, '/', [], 'OTHER.example.test:8443')).headers['x-dsmapper-code'] !== 'unknownHost',
      true,
    );
    for (const host of ['a b', '..', 'a@b', '[::1'])
      t.equal((await mine(null, '/', [], host)).headers['x-dsmapper-code'], 'hostMismatch', host);
    t.equal((await asking(to, 'prefixed', 'envoy')(null, '/auth/payroll')).headers['x-dsmapper-verdict'], '403.7');
    t.equal((await asking(to, 'prefixed', 'envoy')(null, '/payroll')).status, 400, 'without its prefix');
    t.equal((await asking(to, 'prefixed', 'envoy')(null, '/authpayroll')).status, 400, 'the prefix ends at a slash');
    t.equal((await asking(to, 'prefixed', 'envoy')(null, '/evil/')).status, 400, 'another of the same length');
  });

  await t.test('a caller with one location has its rule whatever it says', async (t) => {
    const ask = (headers: FormHeaders) => askAuth(to.at('tcp'), { headers: [...to.proof('pinned'), ...headers] });
    const certificate = forms['rfc9440']?.(to.identity('alice').cert) ?? [];
    t.equal((await ask(certificate)).headers['x-remote-user'], 'LAB\\alice', 'a connection');
    t.equal((await ask([])).headers['x-dsmapper-verdict'], '403.7');
    t.equal(
      (await ask(told('rfc9440', '/'))).headers['x-dsmapper-verdict'],
      '403.7',
      'the rule of / would let it pass',
    );
    t.equal((await ask([...certificate, ...told('rfc9440', '/public/%2e./x')])).status, 200);
    t.equal((await ask([...certificate, ...told('rfc9440', '/%00')])).status, 400);
    t.equal((await ask([...certificate, ...told('rfc9440', '/', 'other.example.test')])).status, 400);
  });

  await t.test('nobody else is answered', async (t) => {
    const strangers = async () => {
      const text = await to.gateway.metrics.text();
      return Number(/^dsmapper_auth_strangers_total\{endpoint="tcp"\} (\d+)/m.exec(text)?.[1] ?? 0);
    };
    const before = await strangers();
    const secret = secretOf('nginx');
    const wrong: readonly FormHeaders[] = [
      [],
      [['X-DSMapper-Secret', '']],
      [['X-DSMapper-Secret', secret.slice(0, -1)]],
      [['X-DSMapper-Secret', `${secret}x`]],
      [['X-DSMapper-Secret', secret.toUpperCase()]],
      [
        ['X-DSMapper-Secret', secret],
        ['X-DSMapper-Secret', secret],
      ],
      [
        ['Authorization', `Bearer ${secret}`],
        ['Authorization', `Bearer ${secret}`],
      ],
      [['Authorization', `Basic ${secret}`]],
      [['X_DSMapper_Secret', secret]],
      [
        ['X-DSMapper-Secret', 'wrong'],
        ['Authorization', `Bearer ${secret}`],
      ],
    ];
    for (const headers of wrong) {
      const answer = await askAuth(to.at('tcp'), { headers: [...headers, ...told('nginx', '/')] });
      t.equal(answer.status, 403, JSON.stringify(headers));
      t.equal(answer.body, '');
      t.strictSame(
        answer.rawHeaders.filter((_, index) => index % 2 === 0).filter((name) => name !== 'Date'),
        ['Content-Length', 'Connection'],
      );
    }
    t.equal((await strangers()) - before, wrong.length);
    t.equal(to.events.filter(({ event }) => event === 'authEndpoint.stranger').length, 1, 'said once a second at most');
    const beside = await askAuth(to.at('tcp'), {
      headers: [
        ...to.proof('nginx'),
        ['Authorization', 'Bearer a'],
        ['Authorization', 'Bearer b'],
        ...told('nginx', '/'),
      ],
    });
    t.equal(beside.status, 200, "the client's own Authorization is beside the point");
    const bearer = await askAuth(to.at('tcp'), {
      headers: [['Authorization', `bearer ${secret}`], ...told('nginx', '/')],
    });
    t.equal(bearer.status, 200);
  });

  await t.test('a Unix socket is for its owner, and answers its only caller', async (t) => {
    const { socketPath = '' } = to.at('local');
    t.equal(statSync(socketPath).mode & 0o777, 0o600);
    const headers = [...told('nginx', '/payroll'), ...(forms['nginx']?.(to.identity('alice').cert) ?? [])];
    t.equal((await askAuth(to.at('local'), { headers })).headers['x-remote-user'], 'LAB\\alice');
    const shared = net.createServer();
    const folder = await mkdtemp(join(tmpdir(), 'dsmapper-socket-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const facts = { path: join(folder, 's'), access: 'group', group: process.getgid?.() ?? 0, key: 'socket' } as const;
    const listen = (server: net.Server) => (path: string) => once(server.listen({ path }), 'listening');
    const remove = await listenOnPath(listen(shared), facts);
    t.equal(statSync(facts.path).mode & 0o777, 0o660);
    await t.rejects(
      listenOnPath(listen(net.createServer()), facts),
      { code: 'socket-file' },
      'one that answers is not replaced',
    );
    await remove();
    t.throws(() => statSync(facts.path));
    shared.close();
    await writeFile(facts.path, 'a file');
    await t.rejects(listenOnPath(listen(net.createServer()), facts), { code: 'socket-file' }, 'nor is a file');
  });

  await t.test('a refusal is a page for the client, without the facts of the case', async (t) => {
    const html = await asking(to, 'traefik')(null, '/payroll');
    t.match(html.headers['content-type'], /^text\/html/);
    t.match(html.body, /403 - Forbidden/);
    t.notMatch(html.body, /403\.7|certificateRequired/);
    const json = await asking(to, 'traefik')(null, '/payroll', [['Accept', 'application/json']]);
    t.match(JSON.parse(json.body), { status: 403, requestId: json.headers['x-request-id'] });
    t.equal((await asking(to, 'nginx')(null, '/payroll')).body, '', 'nginx throws it away');
    const head = await askAuth(to.at('tcp'), {
      method: 'HEAD',
      path: '/payroll',
      headers: [...to.proof('envoy'), ['Host', 'localhost']],
    });
    t.equal(head.status, 403);
  });

  await t.test(
    'questions one behind the other on a connection are answered in order; bodies are not read',
    async (t) => {
      const lines = (headers: FormHeaders) => headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
      const one = (uri: string, more = '') =>
        `GET / HTTP/1.1\r\nHost: x\r\n${lines([...to.proof('nginx'), ...told('nginx', uri)])}${more}\r\n`;
      const text = await raw(to.at('tcp'), one('/payroll') + one('/') + one('/%00', 'Connection: close\r\n'));
      t.strictSame(
        [...text.matchAll(/X-DSMapper-Status: (\d+)/g)].map(([, status]) => status),
        ['403', '200', '400'],
      );
      const announced = [
        `${one('/', 'Content-Length: 5\r\n')}GET /${one('/payroll')}`,
        // Announced and not sent: the next question is no body, and what is left of it no question.
        `${one('/', 'Content-Length: 5\r\n')}${one('/payroll')}`,
        `${one('/', 'Transfer-Encoding: chunked\r\n')}0\r\n\r\n${one('/payroll')}`,
      ];
      for (const text of announced) {
        const answers = [...(await raw(to.at('tcp'), text)).matchAll(/X-DSMapper-Status: (\d+)/g)];
        t.strictSame(
          answers.map(([, status]) => status),
          ['200'],
          'behind a body that was announced nothing is a question',
        );
      }
      const upgrade = await raw(to.at('tcp'), one('/', 'Connection: Upgrade, close\r\nUpgrade: websocket\r\n'));
      t.match(upgrade, /^HTTP\/1\.1 200 /, 'what the client wants to upgrade to is not for us');
      const long = await raw(to.at('tcp'), `${one('/', 'Content-Length: 1000000000\r\n')}${'x'.repeat(1000)}`);
      t.match(long, /^HTTP\/1\.1 200 [^]*Connection: close/, 'a long body ends the connection');
      const chunked = await raw(to.at('tcp'), `${one('/', 'Transfer-Encoding: chunked\r\n')}5\r\nhello\r\n`);
      t.match(chunked, /^HTTP\/1\.1 200 [^]*Connection: close/);
      t.match(
        await raw(to.at('tcp'), one('/', `X: ${'x'.repeat(70_000)}\r\n`)),
        /^HTTP\/1\.1 431 /,
        'headers have a bound',
      );
      t.match(
        await raw(to.at('tcp'), one('/', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')),
        /^HTTP\/1\.1 400 /,
      );
      const bare = one('/').replace('X-Original-Host: localhost', 'X-Original-Host: localhost\rX-Injected: 1');
      t.match(await raw(to.at('tcp'), bare), /^HTTP\/1\.1 400 /, 'a bare CR');
    },
  );

  await t.test('every answer is counted by caller and code', async (t) => {
    const count = async () =>
      Number(
        /^dsmapper_auth_decisions_total\{caller="other",code="unknownHost"\} (\d+)/m.exec(
          await to.gateway.metrics.text(),
        )?.[1] ?? 0,
      );
    const before = await count();
    await asking(to, 'other', 'rfc9440')(null, '/');
    t.equal(await count(), before + 1);
  });

  await t.test('a remembered answer costs the directory nothing', async (t) => {
    const ask = asking(to, 'haproxy');
    await ask('carol', '/payroll');
    const before = lab.directory.searches;
    const again = await ask('carol', '/payroll');
    t.equal(again.headers['x-remote-user'], 'LAB\\carol');
    t.equal(lab.directory.searches, before);
    t.match(await to.logged(again.headers['x-request-id']), { cache: 'connection' });
    const elsewhere = await ask('carol', '/computers');
    t.equal(elsewhere.status, 403, 'what was earned at one location does not hold at another');
    const [carol] = [...to.gateway.auth.connections()].filter(
      ({ presented, caller }) => presented !== null && caller.name === 'haproxy',
    );
    t.ok(carol !== undefined);
  });
});

await t.test('intermediates come from the data plane that tells them', { timeout: 60_000 }, async (t) => {
  const configure = (yaml: string) => yaml.replace(/^ {2}intermediates: .*$/m, '');
  const to = await world(t, { configure });
  for (const form of certificateForms) {
    const answer = await asking(to, form)('alice', '/payroll');
    const whole = form !== 'nginx' && form !== 'apache';
    t.equal(answer.headers['x-dsmapper-code'], whole ? 'authorised' : 'chainIncomplete', form);
  }
});

await t.test('certificates of callers', { timeout: 60_000 }, async (t) => {
  const authority = await createAuthority({ subject: 'CN=Callers' });
  const stranger = await createAuthority({ subject: 'CN=Callers' });
  const named = await authority.issue({ subject: 'CN=edge', dnsNames: ['proxy.example.test', 'x.example.test'] });
  const printed = await authority.issue({ subject: 'CN=edge', dnsNames: ['unnamed.example.test'] });
  const to = await world(t, { callers: { ca: authority.cert, thumbprint: sha256(printed.der) } });
  const ask = (identity: { readonly cert: string; readonly key: string } | null) =>
    askAuth(
      {
        ...to.at('tls-http'),
        tls: { ca: to.ca, ...(identity === null ? {} : { cert: identity.cert, key: identity.key }) },
      },
      { path: '/payroll', headers: [['Host', 'localhost'], ...(forms['envoy']?.(to.identity('alice').cert) ?? [])] },
    );
  const good = await ask(named);
  t.equal(good.headers['x-remote-user'], 'LAB\\alice');
  t.match(await to.logged(good.headers['x-request-id']), { caller: 'byName' });
  const byThumbprint = await ask(printed);
  t.match(await to.logged(byThumbprint.headers['x-request-id']), { caller: 'byThumbprint' });
  const usage = ['1.3.6.1.5.5.7.3.1'];
  const bad: Readonly<Record<string, { readonly cert: string; readonly key: string } | null>> = {
    'no certificate': null,
    'another name': await authority.issue({ subject: 'CN=edge', dnsNames: ['proxy.example.test.evil.test'] }),
    'a wildcard': await authority.issue({ subject: 'CN=edge', dnsNames: ['*.example.test'] }),
    'the name in the subject': await authority.issue({ subject: 'CN=proxy.example.test' }),
    'another CA of the same name': await stranger.issue({ subject: 'CN=edge', dnsNames: ['proxy.example.test'] }),
    'self-signed': await createAuthority({ subject: 'CN=edge', dnsNames: ['proxy.example.test'], ca: false }),
    'for servers': await authority.issue({
      subject: 'CN=edge',
      dnsNames: ['proxy.example.test'],
      extendedKeyUsage: usage,
    }),
    expired: await authority.issue({
      subject: 'CN=edge',
      dnsNames: ['proxy.example.test'],
      notAfter: new Date('2025-01-01'),
    }),
    'a client of the gateway': to.identity('alice'),
  };
  for (const [what, identity] of Object.entries(bad)) {
    const answer = await ask(identity);
    t.equal(answer.status, 403, what);
    t.equal(answer.headers['x-dsmapper-status'], undefined, what);
  }
  const target = to.target('tls-grpc').replace('127.0.0.1', 'localhost');
  const client = checkClient(target, tlsCredentials(to.ca, named));
  t.teardown(() => client.close());
  const certificate = encodeURIComponent(to.identity('alice').cert);
  t.equal((await client.check({ certificate })).status.code, 0, 'gRPC');
  const nobody = checkClient(target, tlsCredentials(to.ca));
  t.teardown(() => nobody.close());
  await t.rejects(nobody.check({ certificate }), { code: 7 });
});

await t.test('what was answered ends when its reason ends', { timeout: 120_000 }, async (t) => {
  const lab = await testLab(t);
  const disable = (t: Test) => {
    lab.directory.replace(alice, 'userAccountControl', ['514']);
    t.teardown(() => lab.directory.replace(alice, 'userAccountControl', ['512']));
  };

  await t.test('a disabled account, with the next round of recheck', async (t) => {
    const to = await world(t, { lab });
    const ask = asking(to, 'traefik');
    t.equal((await ask('alice', '/payroll')).status, 200);
    t.equal(await to.gateway.recheck(), 0);
    t.equal((await ask('alice', '/payroll')).status, 200);
    disable(t);
    t.equal(await to.gateway.recheck(), 1);
    const refused = await ask('alice', '/payroll');
    t.equal(refused.headers['x-dsmapper-code'], 'accountDisabled');
    const ended = to.events.filter(({ event }) => event === 'connection.ended');
    t.match(ended, [{ client: 'caller traefik', code: 'accountDisabled' }]);
  });

  await t.test('by itself within the interval', async (t) => {
    const to = await world(t, { lab, configure: (yaml) => `${yaml}\nlimits: { recheck: 1s }\n` });
    const ask = asking(to, 'nginx');
    t.equal((await ask('alice', '/payroll')).status, 200);
    disable(t);
    while ((await ask('alice', '/payroll')).status === 200) await turn();
    t.pass('the timer ended it');
  });

  await t.test('no answer is remembered longer than the interval', async (t) => {
    const clock = shiftableClock();
    const to = await world(t, { lab, facilities: { clock } });
    const ask = asking(to, 'nginx');
    t.equal((await ask('alice', '/payroll')).status, 200);
    disable(t);
    to.gateway.setup.mapper?.forget();
    clock.shift(55_000);
    t.equal((await ask('alice', '/payroll')).status, 200, 'within the interval');
    clock.shift(6000);
    t.equal((await ask('alice', '/payroll')).status, 403);
  });

  await t.test('whom nobody asks about any more, nobody looks after', async (t) => {
    const clock = shiftableClock();
    const to = await world(t, { lab, facilities: { clock } });
    await asking(to, 'nginx')('alice', '/payroll');
    await asking(to, 'nginx')('carol', '/payroll');
    t.equal([...to.gateway.auth.connections()].length, 2);
    clock.shift(119_000);
    await asking(to, 'nginx')('carol', '/payroll');
    t.equal([...to.gateway.auth.connections()].length, 2);
    clock.shift(2000);
    t.strictSame(
      [...to.gateway.auth.connections()].map(({ askedAt }) => askedAt > 0),
      [true],
    );
  });

  await t.test('the number of clients is bounded, and who is dropped is asked about again', async (t) => {
    const to = await world(t, { lab, limits: 'limits: { maximumClients: 2 }' });
    const ask = asking(to, 'nginx');
    for (const name of ['alice', 'carol', 'smartcard', 'alice'])
      t.equal((await ask(name, '/payroll')).status, 200, name);
    t.equal([...to.gateway.auth.connections()].length, 2);
  });

  await t.test('at once when the configuration changes', async (t) => {
    const to = await world(t, { lab });
    const ask = asking(to, 'nginx');
    t.equal((await ask('alice', '/payroll')).status, 200);
    const authEndpoints = to.settings.authEndpoints.map((endpoint) => ({
      ...endpoint,
      callers: endpoint.callers.filter(({ name }) => name !== 'nginx'),
    }));
    await to.gateway.reload({ ...to.settings, authEndpoints });
    t.equal(
      (await ask('alice', '/payroll')).headers['x-dsmapper-status'],
      undefined,
      'the caller may not ask any more',
    );
    t.equal((await asking(to, 'apache')('alice', '/payroll')).status, 200, 'others may');
    t.equal([...to.gateway.auth.connections()].length, 1, 'what was remembered under the older setup is gone');
  });

  await t.test('a question that began before the configuration changed is answered by the new one', async (t) => {
    const to = await world(t, { lab });
    const session = http2.connect(`http://${to.target('grpc')}`);
    t.teardown(() => session.destroy());
    const begin = async (caller: string) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/envoy.service.auth.v3.Authorization/Check',
        'content-type': 'application/grpc',
        'x-dsmapper-secret': secretOf(caller),
      });
      // An answer to what was sent later: the headers of the stream have been read.
      await new Promise((resolve) => session.ping(resolve));
      return stream;
    };
    const end = async (stream: http2.ClientHttp2Stream): Promise<void> => {
      const request = Buffer.concat([field(2, 'GET'), field(4, '/'), field(5, 'other.example.test')]);
      const message = field(1, field(4, field(2, request)));
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(message.length, 1);
      stream.resume().end(Buffer.concat([prefix, message]));
      await once(stream, 'close');
    };
    const change = (callers: (name: string) => object | null) =>
      to.settings.authEndpoints.map((endpoint) => ({
        ...endpoint,
        callers: endpoint.callers.flatMap((caller) => {
          const other = callers(caller.name);
          return other === null ? [] : { ...caller, ...other };
        }),
      }));
    const [kept, gone] = [await begin('othermesh'), await begin('mesh')];
    const authEndpoints = change((name) => (name === 'mesh' ? null : name === 'othermesh' ? { sites: ['Lab'] } : {}));
    await to.gateway.reload({ ...to.settings, authEndpoints });
    await end(kept);
    t.match(to.log.at(-1), { caller: 'othermesh', generation: 2, code: 'unknownHost' });
    const lines = to.log.length;
    await end(gone);
    t.equal(to.log.length, lines, 'who may not ask any more is not answered');
    await end(await begin('othermesh'));
    t.match(to.log.at(-1), { caller: 'othermesh', code: 'unknownHost' }, 'nor does it widen what is asked after it');
  });

  await t.test('a listener that stays as it was believes no proof that it cannot show', async (t) => {
    const to = await world(t, { lab });
    const statusFor = async (endpoint: string, headers: FormHeaders) => {
      const certificate = forms['nginx']?.(to.identity('alice').cert) ?? [];
      const question = { headers: [...headers, ...told('nginx', '/payroll'), ...certificate] };
      return (await askAuth(to.at(endpoint), question)).headers['x-dsmapper-status'];
    };
    const [local, tcp] = to.settings.authEndpoints;
    const [edge] = local?.callers ?? [];
    if (local === undefined || tcp === undefined || edge === undefined) throw new Error('no endpoint');
    const reload = (...authEndpoints: (typeof local)[]) => to.gateway.reload({ ...to.settings, authEndpoints });
    await reload({ ...tcp, listen: local.listen, callers: [edge] });
    t.equal(await statusFor('tcp', []), undefined, 'an address is not the socket that needs no proof');
    const certificate = { dnsNames: ['proxy.example.test'], thumbprints: [] };
    const proven = { ...edge, proof: { secret: null, certificate } };
    const withCa = (ca: string) => ({ ...tcp, tls: { cert: '', key: '', authorities: [ca] }, callers: [proven] });
    t.strictSame(callersAt(withCa('former'), [withCa('present')]), [], 'a CA that was taken away proves nothing');
    t.strictSame(callersAt(withCa('same'), [withCa('same')]), [proven]);
    await reload({ ...tcp, protocol: 'grpc' });
    t.equal(await statusFor('tcp', to.proof('nginx')), undefined, 'nor is it read otherwise than its callers write');
    await reload({ ...tcp, limits: { ...tcp.limits, maximumClients: 7 } }, local);
    t.equal(await statusFor('tcp', to.proof('nginx')), '200');
    t.equal(await statusFor('local', []), '200');
  });

  await t.test('more questions than are allowed at once are refused, and none is left behind', async (t) => {
    const to = await world(t, { lab, limits: 'limits: { maximumQuestions: 2 }' });
    const ask = asking(to, 'rfc9440');
    lab.directory.faults.hold = true;
    const waiting = [ask('alice', '/payroll'), ask('carol', '/payroll')];
    await until(() => to.gateway.auth.inFlight === 2);
    const third = await ask(null, '/');
    t.equal(third.status, 503);
    t.equal(third.headers['retry-after'], '5');
    t.equal((await asking(to, 'nginx')(null, '/')).status, 503, 'also for nginx, which makes 500 of it');
    lab.directory.faults.hold = false;
    t.strictSame(
      (await Promise.all(waiting)).map(({ status }) => status),
      [200, 200],
    );
    t.equal(to.gateway.auth.inFlight, 0);
    t.equal((await ask(null, '/')).status, 200);
  });

  await t.test('connections have a number, and questions a time to arrive', async (t) => {
    const to = await world(t, { lab, limits: 'limits: { maximumConnections: 1, questionTimeout: 200ms }' });
    const first = net.connect(to.at('tcp').port ?? 0, '127.0.0.1');
    await once(first, 'connect');
    t.equal(await raw(to.at('tcp'), 'GET / HTTP/1.1\r\n\r\n'), '', 'the second is closed');
    let text = '';
    first.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
    first.write('GET / HTTP/1.1\r\nHost: ');
    await once(first, 'close');
    t.match(text, /^HTTP\/1\.1 408 /);
    const mute = net.connect(Number(to.target('grpc').split(':')[1]), '127.0.0.1');
    await once(mute.resume(), 'close');
    const session = http2.connect(`http://${to.target('grpc')}`);
    t.teardown(() => session.destroy());
    const path = '/envoy.service.auth.v3.Authorization/Check';
    const secret = { 'x-dsmapper-secret': secretOf('mesh') };
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', ...secret });
    stream.on('error', () => {}).resume();
    stream.write(Buffer.alloc(3));
    await new Promise((resolve) => stream.once('close', resolve));
    t.not(session.closed, true, 'only the stream ends');
    const many = Object.fromEntries(Array.from({ length: 1200 }, (_, index) => [`a${index}`, '1']));
    const wide = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      ...secret,
      ...many,
    });
    wide.on('error', () => {}).resume();
    let status: unknown = null;
    wide.on('response', (headers) => (status = headers['grpc-status']));
    await new Promise((resolve) => wide.once('close', resolve));
    t.equal(status, null, 'header fields have a number over HTTP/2');
  });

  await t.test('a directory that is silent is not a refusal for good, nor a pass', async (t) => {
    const to = await world(t, { lab, configure: (yaml) => `${yaml}\nmapping: { deadline: 300ms }\n` });
    lab.directory.faults.hold = true;
    const answer = await asking(to, 'rfc9440')('alice', '/payroll');
    lab.directory.faults.hold = false;
    t.equal(answer.status, 503);
    t.equal(answer.headers['x-remote-user'], undefined);
  });
});

await t.test('gRPC: what Envoy asks and is answered', { timeout: 60_000 }, async (t) => {
  const to = await world(t);
  const client = checkClient(to.target('grpc'));
  t.teardown(() => client.close());
  const secret = { 'x-dsmapper-secret': secretOf('mesh') };
  const certificate = encodeURIComponent(to.identity('alice').cert);
  const header = (response: CheckResponse, name: string) =>
    (response.ok_response ?? response.denied_response)?.headers.find(({ header }) => header.key === name);

  const good = await client.check(
    {
      certificate,
      headers: {
        accept: '*/*',
        'x-remote-user': 'forged',
        x_remote_sid: 'S-1',
        'x.remote.user': 'forged',
        x_other: '1',
      },
    },
    secret,
  );
  t.equal(good.status.code, 0);
  t.match(header(good, 'x-remote-user'), {
    header: { key: 'x-remote-user', value: 'LAB\\alice' },
    append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
  });
  const removed = good.ok_response?.headers_to_remove ?? [];
  for (const name of ['x_remote_sid', 'x.remote.user', 'client-cert', 'x-iis-logon-user'])
    t.ok(removed.includes(name), name);
  for (const name of ['x-remote-user', 'x-forwarded-client-cert', 'x_other', 'accept'])
    t.notOk(removed.includes(name), name);
  t.notMatch(JSON.stringify(good), /forged/);
  t.match(to.log.at(-1), { caller: 'mesh', via: 'grpc', client: '192.0.2.7', account: 'LAB\\alice', path: '/payroll' });

  const refused = await client.check({ headers: { accept: 'application/json' } }, secret);
  t.equal(refused.status.code, 7);
  t.equal(refused.denied_response?.status.code, 403);
  t.match(JSON.parse(refused.denied_response?.body ?? ''), { status: 403 });
  t.equal(header(refused, 'x-dsmapper-verdict')?.header.value, '403.7');
  const foreign = await client.check({ certificate: encodeURIComponent(to.identity('foreign').cert) }, secret);
  t.equal(header(foreign, 'x-dsmapper-verdict')?.header.value, '403.16');
  t.equal(
    (await client.check({ path: '/', headers: { 'x-forwarded-client-cert': `Cert="${certificate}"` } }, secret)).status
      .code,
    0,
  );
  t.equal(
    header(
      await client.check({ headers: { 'x-forwarded-client-cert': `Cert="${certificate}"` } }, secret),
      'x-dsmapper-verdict',
    )?.header.value,
    '403.7',
    'only the peer certificate counts',
  );
  for (const path of ['/%00', '', 'payroll'])
    t.equal((await client.check({ certificate, path }, secret)).denied_response?.status.code, 400, path);
  t.equal((await client.check({ certificate, host: 'other.example.test' }, secret)).denied_response?.status.code, 400);
  t.equal((await client.check({ certificate, host: '' }, secret)).denied_response?.status.code, 400);
  t.equal((await client.check({ certificate: `${certificate}%00` }, secret)).denied_response?.status.code, 400);
  t.equal(
    (await client.check({ path: '/' }, { authorization: `Bearer ${secretOf('othermesh')}` })).denied_response?.status
      .code,
    400,
    'the other caller has another site',
  );

  await t.rejects(client.check({ certificate }), { code: 7 }, 'nobody');
  await t.rejects(client.check({ certificate }, { 'x-dsmapper-secret': `${secretOf('mesh')}x` }), { code: 7 });
  await t.rejects(client.check({ rawBody: Buffer.alloc(300 * 1024) }, secret), { code: 8 }, 'a message has a bound');
  t.equal((await client.check({ path: '/' }, secret)).status.code, 0, 'and the connection lives on');

  const call = (path: string, frame: Buffer, more: Readonly<Record<string, string>> = {}) =>
    new Promise<string>((resolve) => {
      const session = http2.connect(`http://${to.target('grpc')}`);
      session.on('error', () => {});
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        ...secret,
        ...more,
      });
      let status = '';
      stream.on('response', (headers) => (status = String(headers['grpc-status'] ?? '')));
      stream.on('trailers', (headers) => (status = String(headers['grpc-status'])));
      stream.on('error', () => {});
      stream.once('close', () => {
        session.destroy();
        resolve(status);
      });
      stream.resume();
      stream.end(frame);
    });
  const frame = (message: Buffer, flag = 0, length = message.length) => {
    const head = Buffer.alloc(5);
    head.writeUInt8(flag);
    head.writeUInt32BE(length, 1);
    return Buffer.concat([head, message]);
  };
  const path = '/envoy.service.auth.v3.Authorization/Check';
  t.equal(
    await call(path, frame(Buffer.alloc(0))),
    '0',
    'an empty message is a question without anything, which is refused as one',
  );
  t.equal(await call('/envoy.service.auth.v2.Authorization/Check', frame(Buffer.alloc(0))), '12');
  t.equal(await call(path, frame(Buffer.alloc(0), 1)), '12', 'compressed');
  t.equal(await call(path, frame(Buffer.alloc(0), 0, 9)), '3', 'shorter than it says');
  t.equal(await call(path, Buffer.concat([frame(Buffer.alloc(0)), frame(Buffer.alloc(0))])), '3', 'two messages');
  t.equal(await call(path, Buffer.alloc(3)), '3');
  t.equal(await call(path, frame(Buffer.from('ffffffffffffffffffffff', 'hex'))), '3', 'no message');
  t.equal(await call(path, frame(Buffer.alloc(0)), { 'content-type': 'application/json' }), '2');
});

await t.test('messages: strict, bounded, never thrown at', async (t) => {
  const field = (number: number, value: Buffer | string) =>
    Buffer.concat([Buffer.from([number * 8 + 2, Buffer.byteLength(value)]), Buffer.from(value)]);
  const inHttp = (...fields: readonly Buffer[]) => field(1, field(4, field(2, Buffer.concat(fields))));
  t.match(readCheck(inHttp(field(2, 'GET'), field(4, '/a'), field(5, 'h'))), {
    question: { method: 'GET', uri: '/a', host: 'h', leaf: '' },
  });
  for (const number of [2, 4, 5])
    t.match(readCheck(inHttp(field(number, 'a'), field(number, 'a'))), { question: { code: 'badRequest' } });
  t.match(readCheck(field(1, Buffer.concat([field(1, field(5, 'a')), field(1, field(5, 'b'))]))), {
    question: { code: 'badRequest' },
  });
  t.match(
    readCheck(
      inHttp(
        field(3, Buffer.concat([field(1, 'X-A'), field(2, 'b')])),
        field(13, field(1, Buffer.concat([field(1, 'c'), field(3, 'd')]))),
      ),
    ),
    { clientHeaders: ['x-a', 'b', 'c', 'd'] },
  );
  t.equal(readCheck(inHttp(field(4, Buffer.from([0xff])))), null, 'not UTF-8');
  for (const hex of [
    '00',
    '0a',
    '0a05',
    '0b',
    '0c',
    '0e',
    '0f',
    '0a80',
    '0affffffffffffffffff7f',
    '0880808080808080808080',
    'f8ffffffff7f00',
    '0d0000',
  ])
    t.equal(readCheck(Buffer.from(hex, 'hex')), null, hex);
  t.notOk(
    readFields(Buffer.alloc(30_000, Buffer.from([8, 1])), () => {}),
    'fields are counted',
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      readCheck(Buffer.from(octets));
      readCheck(field(1, Buffer.from(octets.slice(0, 120))));
      return true;
    }),
  );
});

await t.test('certificates as text: one reading or none', async (t) => {
  const authority = await createAuthority({ subject: 'CN=a' });
  const other = await authority.issue({ subject: 'CN=b' });
  const [a, b] = [authority.cert, other.cert];
  const [x, y] = [base64(authority.der), base64(other.der)];
  const escaped = encodeURIComponent;
  const good: readonly (readonly [form: Parameters<typeof readForm>[0], leaf: string, chain: string, count: number])[] =
    [
      ['nginx', '', '', 0],
      ['nginx', escaped(a), '', 1],
      ['nginx', escaped(a + b), '', 2],
      ['nginx', escaped(a.replaceAll('\n', '\r\n')), '', 1],
      ['apache', '(null)', '', 0],
      ['apache', a.replaceAll('\n', ' '), '', 1],
      ['apache', escaped(a), '', 1],
      ['traefik', x, '', 1],
      ['traefik', `${x},${y}`, '', 2],
      ['envoy', `Cert="${escaped(a)}"`, '', 1],
      ['envoy', `By=spiffe://x;Hash=00;Subject="CN=\\"x\\"";Chain="${escaped(a + b)}";DNS=c;DNS=d`, '', 2],
      ['envoy', `cert=${escaped(a)};Chain="${escaped(a + b)}"`, '', 2],
      ['haproxy', x, '', 1],
      ['haproxy', x, base64(Buffer.concat([other.der])), 2],
      ['haproxy', x, base64(Buffer.concat([authority.der, other.der])), 2],
      ['rfc9440', `:${x}:`, '', 1],
      ['rfc9440', `:${x}:`, `:${y}:,  :${y}:`, 3],
    ];
  for (const [form, leaf, chain, count] of good) {
    const read = readForm(form, leaf, chain, 3);
    t.equal(typeof read === 'string' ? read : read.length, count, `${form} ${leaf.slice(0, 40)}`);
    if (typeof read !== 'string' && count > 0) t.ok(read[0]?.equals(authority.der), form);
  }
  const end = '-----END CERTIFICATE-----';
  const bad: readonly (readonly [form: Parameters<typeof readForm>[0], leaf: string, chain: string])[] = [
    ['nginx', a, ''],
    ['nginx', 'x', ''],
    ['nginx', ' ', ''],
    ['nginx', `${escaped(a)}%0d%0aX-Remote-User:%20root`, ''],
    ['nginx', `X%0a${escaped(a)}`, ''],
    ['nginx', `${escaped(a)}%00`, ''],
    ['nginx', escaped(a.replace(end, `%00${end}`)), ''],
    ['nginx', escaped(a).replace('%0A', '%C0%8A'), ''],
    ['nginx', escaped(a).replace('%0A', '%0'), ''],
    ['nginx', escaped(escaped(a)), ''],
    ['nginx', escaped(a.replaceAll('CERTIFICATE', 'PUBLIC KEY')), ''],
    ['nginx', escaped(a.replace(end, '')), ''],
    ['nginx', escaped(`${a}${a}${a}${a}`), ''],
    ['nginx', escaped(a.replace('M', '*')), ''],
    ['nginx', 'x'.repeat(maximumText + 1), ''],
    ['apache', 'null', ''],
    ['apache', a.replaceAll('\n', '_'), ''],
    ['traefik', `${x},`, ''],
    ['traefik', `,${x}`, ''],
    ['traefik', escaped(x).replace('%', '%25'), ''],
    ['traefik', `${x} `, ''],
    ['traefik', [x, x, x, x].join(), ''],
    ['envoy', 'Hash=00', ''],
    ['envoy', `Cert="${escaped(a)}",Cert="${escaped(b)}"`, ''],
    ['envoy', `By=x,By=y;Cert="${escaped(a)}"`, ''],
    ['envoy', `Cert="${escaped(a)}";Cert="${escaped(a)}"`, ''],
    ['envoy', `Cert="${escaped(a)}";cert="${escaped(b)}"`, ''],
    ['envoy', `Cert="${escaped(b)}";Chain="${escaped(a + b)}"`, ''],
    ['envoy', `Cert="${escaped(a + b)}"`, ''],
    ['envoy', `Cert="${escaped(a)}`, ''],
    ['envoy', `Cert="${escaped(a)}";`, ''],
    ['envoy', `Cert="${escaped(a)}"x`, ''],
    ['haproxy', `${x.slice(0, -4)}!`, ''],
    ['haproxy', x, 'QUFB'],
    ['haproxy', x, base64(Buffer.concat([other.der, Buffer.from([0])]))],
    ['haproxy', x, base64(other.der.subarray(0, -1))],
    ['haproxy', x, base64(Buffer.concat([other.der, other.der, other.der]))],
    ['haproxy', '', x],
    ['rfc9440', x, ''],
    ['rfc9440', `:${x}:;a=1`, ''],
    ['rfc9440', `:${x}:, :${y}:`, ''],
    ['rfc9440', `::`, ''],
    ['rfc9440', `:${x}:`, `:${y}`],
    ['rfc9440', '', `:${y}:`],
  ];
  for (const [form, leaf, chain] of bad)
    t.type(
      readForm(form, leaf, chain, 3),
      'string',
      `${form} ${leaf.slice(0, 60)} ... ${leaf.slice(-30)} ${chain.slice(0, 20)}`,
    );
  const big = base64(Buffer.concat([Buffer.from('30824100', 'hex'), Buffer.alloc(0x4100)]));
  for (const [form, leaf, chain] of [
    ['traefik', big, ''],
    ['haproxy', x, big],
  ] as const)
    t.match(readForm(form, leaf, chain, 3), /longer than 16384 octets/, form);
});

await t.test('a certificate with octets behind it does not parse', { timeout: 60_000 }, async (t) => {
  const to = await world(t, { limits: 'limits: { maximumChain: 2 }' });
  const [leaf = Buffer.alloc(0), ...above] = certificatesIn(to.identity('alice').cert);
  const ask = (value: string, chain = '') =>
    askAuth(to.at('tcp'), {
      headers: [
        ...to.proof('rfc9440'),
        ...told('rfc9440', '/'),
        ['Client-Cert', `:${value}:`],
        ...(chain === '' ? [] : [['Client-Cert-Chain', chain] as const]),
      ],
    });
  t.equal((await ask(base64(leaf))).status, 200);
  t.equal((await ask(base64(Buffer.concat([leaf, Buffer.from([0])])))).status, 400);
  t.equal((await ask(base64(Buffer.concat([leaf, leaf])))).status, 400);
  t.equal((await ask(base64(Buffer.from('3000', 'hex')))).status, 400);
  t.equal((await ask(base64(leaf), `:${base64(Buffer.from('3000', 'hex'))}:`)).status, 400, 'above the leaf, too');
  t.equal(
    (await ask(base64(leaf), [...above, ...above].map((der) => `:${base64(der)}:`).join(','))).status,
    above.length * 2 + 1 > 2 ? 400 : 200,
    'a chain has a bound',
  );
});

const configuration = await createConfigWorld();

await t.test('a configuration that would let anybody ask, or about anything, is a mistake', async (t) => {
  const base = `
bindings:
  - endpoint: 0.0.0.0:443
    certificate: { cert: file:tls/web.pem, key: file:tls/web.key }
    verifyClientCertificateRevocation: disabled
  - endpoint: 0.0.0.0:444
    certificate: { cert: file:tls/web.pem, key: file:tls/web.key }
    verifyClientCertificateRevocation: disabled
  - endpoint: 0.0.0.0:80
sites:
  - { name: One, bindings: ["0.0.0.0:443", "0.0.0.0:80"], upstream: "http://127.0.0.1:8080", locations: { /payroll: {} } }
  - { name: Two, bindings: ["0.0.0.0:444"], hosts: [two.example.test], upstream: "http://127.0.0.1:8080" }
  - { name: Three, bindings: ["0.0.0.0:443", "0.0.0.0:444"], hosts: [three.example.test], upstream: "http://127.0.0.1:8080" }
trust: { roots: [file:trust/root.pem] }
authEndpoints:
`;
  for (const [name, content] of Object.entries({
    good: 'x'.repeat(32),
    same: 'x'.repeat(32),
    other: 'y'.repeat(32),
    short: 'x'.repeat(31),
    blank: `${'x'.repeat(40)} y`,
  }))
    configuration.files.set(`secrets/${name}`, content);
  configuration.files.set('/etc/group', 'root:x:0:\nwww-data:x:33:nginx\n');
  const caller = (facts: Readonly<Record<string, string>> = {}) => {
    const all = {
      name: 'a',
      form: 'nginx',
      bindings: '["0.0.0.0:443"]',
      sites: '[One]',
      secret: 'file:secrets/good',
      ...facts,
    };
    return `{ ${Object.entries(all)
      .filter(([, value]) => value !== '')
      .map(([key, value]) => `${key}: ${value}`)
      .join(', ')} }`;
  };
  const endpoint = (where: string, ...callers: readonly string[]) =>
    `  - { name: e, ${where}, callers: [${callers.join(', ')}] }\n`;
  const tls = 'tls: { cert: file:tls/web.pem, key: file:tls/web.key, ca: [file:trust/root.pem] }';
  const ca = 'tls: { cert: file:tls/web.pem, key: file:tls/web.key }';
  const local = 'listen: 127.0.0.1:9443';
  const good: readonly string[] = [
    endpoint('socket: run/s', caller({ secret: '' })),
    endpoint('socket: run/s, socketAccess: group, socketGroup: www-data', caller({ secret: '' })),
    endpoint(local, caller(), caller({ name: 'b', secret: 'file:secrets/other' })),
    endpoint('listen: "[::1]:9443"', caller()),
    endpoint(`listen: 0.0.0.0:9443, ${tls}`, caller(), caller({ name: 'b', secret: '', dnsNames: '[a.example.test]' })),
    endpoint(`${local}, protocol: grpc`, caller({ form: 'envoy' })),
    endpoint(local, caller({ location: '/payroll' })),
    endpoint(local, caller({ bindings: '["0.0.0.0:443", "0.0.0.0:444"]', sites: '[Two]' })),
  ];
  for (const text of good) t.notMatch(await configuration.outcome(base + text), /^error/, text);
  const again = 'f'.repeat(64);
  const bad: readonly (readonly [text: string, complaint: RegExp])[] = [
    [endpoint(local, caller({ secret: '' })), /callers\[0\]: anybody could ask in its name/],
    [endpoint('socket: run/s', caller({ secret: '' }), caller({ name: 'b' })), /callers\[0\]: anybody could ask/],
    [endpoint(`listen: 0.0.0.0:9443, ${tls}`, caller({ secret: '' })), /anybody could ask/],
    [endpoint('listen: 0.0.0.0:9443', caller()), /0\.0\.0\.0 can be reached from elsewhere, and there is no `tls`/],
    [endpoint('listen: 192.0.2.1:9443', caller()), /can be reached from elsewhere/],
    [endpoint(local, caller({ secret: 'file:secrets/short' })), /the secret has 31 bytes, it needs at least 32/],
    [endpoint(local, caller({ secret: 'file:secrets/blank' })), /characters that cannot stand in a header/],
    [endpoint(local, caller({ secret: `"${'z'.repeat(40)}"` })), /a secret cannot stand in this file/],
    [
      endpoint(local, caller(), caller({ name: 'b', secret: 'file:secrets/same' })),
      /callers\[1\]\.secret: another caller has the same secret/,
    ],
    [endpoint(local, caller(), caller({ secret: 'file:secrets/other' })), /another caller has the same name/],
    [
      endpoint(
        `${local}, ${tls}`,
        caller({ secret: '', thumbprints: `["${again}"]` }),
        caller({ name: 'b', secret: '', thumbprints: `["${again.toUpperCase()}"]` }),
      ),
      /thumbprints: another caller has one of them/,
    ],
    [
      endpoint(
        `${local}, ${tls}`,
        caller({ secret: '', dnsNames: '[a.test]' }),
        caller({ name: 'b', secret: '', dnsNames: '[A.test]' }),
      ),
      /dnsNames: another caller has one of them/,
    ],
    [endpoint(`${local}, ${ca}`, caller({ dnsNames: '[a.test]' })), /no certificate is asked for/],
    [
      endpoint(`${local}, ${tls}`, caller({ thumbprints: `["${'f'.repeat(40)}"]` })),
      /openssl x509 -fingerprint -sha256/,
    ],
    [endpoint(`${local}, ${tls}`, caller({ dnsNames: '["*.test"]' })), /is not a DNS name/],
    [endpoint(local, caller({ bindings: '["0.0.0.0:80"]' })), /binding 0\.0\.0\.0:80 is plain http/],
    [endpoint(local, caller({ bindings: '["0.0.0.0:445"]' })), /is not an endpoint under bindings/],
    [endpoint(local, caller({ sites: '[Won]' })), /`Won` is not a site/],
    [endpoint(local, caller({ sites: '[Two]' })), /site Two is on none of the bindings/],
    [
      endpoint(local, caller({ bindings: '["0.0.0.0:443", "0.0.0.0:444"]', sites: '[Three]' })),
      /three\.example\.test of site Three is answered to on more than one/,
    ],
    [
      endpoint(local, caller({ bindings: '["0.0.0.0:443", "0.0.0.0:444"]', sites: '[One, Two]' })),
      /is answered to on more than one/,
    ],
    [
      endpoint(local, caller({ bindings: '["0.0.0.0:443", "0.0.0.0:444"]', sites: '[Two, One]' })),
      /is answered to on more than one/,
    ],
    [endpoint(local, caller({ location: '/payrol' })), /site One has no location `\/payrol`/],
    [endpoint(local, caller({ sites: '[One, Three]', location: '/payroll' })), /a location belongs to one site/],
    [endpoint(local, caller({ form: 'nginks' })), /did you mean `nginx`/],
    [endpoint(`${local}, protocol: grpc`, caller()), /over grpc only Envoy asks/],
    [
      endpoint(`${local}, protocol: grpc`, caller({ form: 'envoy', pathPrefix: '/auth' })),
      /only questions of the form envoy over http have a prefix/,
    ],
    [endpoint(local, caller({ pathPrefix: '/auth' })), /only questions of the form envoy/],
    [endpoint(local, caller({ form: 'envoy', pathPrefix: '/auth/' })), /is not a prefix/],
    ['  - { name: e, callers: [] }\n', /the list is empty/],
    [endpoint('socketAccess: group', caller()), /`listen` and `socket` are missing/],
    [endpoint(`${local}, socket: run/s`, caller()), /stands beside `socket`/],
    [endpoint('socket: run/s, socketGroup: 33', caller()), /means nothing while only the owner may connect/],
    [
      endpoint('socket: run/s, socketAccess: group, socketGroup: nobodies', caller()),
      /\/etc\/group has no group `nobodies`/,
    ],
    [endpoint(`socket: ${'s'.repeat(120)}`, caller()), /has at most 107 bytes/],
    [
      endpoint('socket: a', caller()) + endpoint('socket: b', caller()),
      /authEndpoints\[1\]\.name: authEndpoints\[0\] has the same name/,
    ],
  ];
  for (const [text, complaint] of bad) {
    const outcome = await configuration.outcome(base + text);
    t.match(outcome, complaint, text);
    t.match(outcome, /^config\.yaml:\d+:\d+: authEndpoints/m, `${text}: with its line`);
    t.notMatch(outcome, /x{20}|z{20}/, 'no secret is shown');
  }
});
