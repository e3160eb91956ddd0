/**
 * nginx, HAProxy and Apache with the files of deploy/, each asking the auth endpoint of a gateway: the backend gets the identity that the gateway has
 * mapped and nothing that a client says about itself, whatever the proxy thinks of the certificate.
 */
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { defaultHeaderNames, writtenNames } from '../../src/forward/dialects.ts';
import { foldName } from '../../src/forward/field-syntax.ts';
import { formHeaders } from '../../src/gateway/auth-certificate-forms.ts';
import type { EchoAnswer } from '../../src/lab/echo.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { certificatesIn, forms } from '../support/auth-questions.ts';
import {
  meetingPlace,
  proxyNames,
  proxyPackages,
  startProxy,
  type MeetingPlace,
  type Proxy,
} from '../support/auth-proxies.ts';
import { testGateway, testLab, type TestGateway } from '../support/gateway.ts';
import { findProgram, peerTest } from '../support/real-peers.ts';
import { sambaTest, startSamba } from '../support/samba.ts';
import { groupLdif, userDn } from '../support/samba-accounts.ts';
import { gatewayAt } from '../support/samba-gateway.ts';

interface Asked {
  readonly as?: string;
  /** PEM in place of a certificate of the lab. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly path?: string;
  /** Name, value, name, value, sent as they are. */
  readonly headers?: readonly string[];
}

interface Answered {
  /** 0: the connection was refused or broken off. */
  readonly status: number;
  readonly body: string;
  /** What arrived at the backend; null where nothing did. */
  readonly arrived: EchoAnswer | null;
  header(name: string): string | null;
}

/** A gateway with endpoints, and the proxies that are installed. */
interface Bed {
  readonly to: TestGateway;
  readonly lab: Lab;
  readonly proxies: readonly Proxy[];
  readonly ask: (proxy: Proxy, asked: Asked) => Promise<Answered>;
}

/** @param start from the change of the configuration to a gateway */
async function bedOf(
  t: Test,
  lab: Lab,
  wanted: readonly Proxy['name'][],
  start: (configure: (yaml: string) => string) => Promise<TestGateway>,
): Promise<Bed> {
  const place = await meetingPlace(t);
  const to = await start((yaml) => withEndpoints(yaml, place));
  const { cert, key } = to.identity('gateway');
  const facts = { place, backendPort: lab.echo.port, server: cert + key, clientCas: to.ca };
  const proxies: Proxy[] = [];
  for (const name of wanted) proxies.push(await startProxy(t, name, facts));
  return { to, lab, proxies, ask: (proxy, asked) => askProxy(to, lab, proxy, asked) };
}

function withEndpoints(yaml: string, place: MeetingPlace): string {
  const upFront = /endpoint: (\S+) +# asks in the first/.exec(yaml)?.[1] ?? '';
  return yaml + place.endpoints(upFront);
}

async function askProxy(to: TestGateway, lab: Lab, proxy: Proxy, asked: Asked): Promise<Answered> {
  const { as, tls = as === undefined ? {} : to.identity(as), path = '/payroll', headers = [] } = asked;
  const before = lab.echo.requests;
  const [status, body] = await new Promise<readonly [number, string]>((resolve) => {
    const sent = https.request({
      host: '127.0.0.1',
      port: proxy.port,
      servername: 'localhost',
      ca: to.ca,
      ...tls,
      path,
      headers: headers.some((name) => /^host$/i.test(name)) ? headers : ['Host', 'localhost', ...headers],
      agent: false,
    });
    sent.once('error', (error) => resolve([0, String(error)]));
    sent.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.once('error', (error) => resolve([0, String(error)]));
      response.once('end', () => resolve([response.statusCode ?? 0, text]));
    });
    sent.end();
  });
  const arrived = lab.echo.requests > before ? (JSON.parse(body) as EchoAnswer) : null;
  const header = (name: string) =>
    arrived?.headers.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1] ?? null;
  return { status, body, arrived, header };
}

/** Each is /payroll to some backend. */
const spellings = [
  ...['/payroll', '/PAYROLL', '//payroll', '/x/../payroll', '/./payroll', '/%70ayroll', '/payroll;x', '/payroll/'],
  ...['/payrol%6C', '/x/%2e%2e/payroll', '/payroll?x=/', '/payroll/../payroll', '/x/..;/payroll', '/%2Fpayroll'],
  ...[
    '/x%2f..%2fpayroll',
    '/%5cpayroll',
    '/payroll%00',
    '/payroll%20',
    '/payroll.',
    '/%2570ayroll',
    '/pa%EF%BD%99roll',
  ],
  ...['/payroll%3Bx', '/payroll/.', '/x/..%2fpayroll', '/payroll::$DATA', '/payroll;x/y', '/payroll//'],
];

const installed = proxyNames.filter((name) => findProgram(proxyPackages[name][0]) !== null);

/** What no client may say to a backend, folded. */
const identityNames = writtenNames(defaultHeaderNames).map(([name]) => name);
const controlNames = ['Secret', 'Status', 'Verdict', 'Code', 'Clear', 'Would-Refuse'].map((end) => `X-DSMapper-${end}`);
const questionNames = ['X-Original-URI', 'X-Original-Host', 'X-Original-Method', 'X-SSL-Client-DER'];
const guarded = [...identityNames, ...controlNames, ...questionNames, 'X-SSL-Client-Chain-DER'];
const guardedFolded = new Set(guarded.map(foldName));

/** Of somebody without an account. */
const anonymous = { 'x-client-verify': 'NONE' };

/** Headers at the backend that only the gateway may write. */
function identityIn(answered: Answered): Readonly<Record<string, string>> {
  const found = (answered.arrived?.headers ?? []).filter(([name]) => guardedFolded.has(foldName(name)));
  return Object.fromEntries(found.map(([name, value]) => [name.toLowerCase(), value]));
}

/** Nothing reached the backend, and the client was told so. */
function refused(t: Test, answered: Answered, statuses: readonly number[], what: string): void {
  t.equal(answered.arrived, null, `${what}: nothing at the backend`);
  t.ok(statuses.includes(answered.status), `${what}: ${answered.status} is one of ${statuses.join(', ')}`);
}

/** What holds whatever the directory is. */
async function logOn(t: Test, { proxies, ask }: Bed): Promise<void> {
  for (const proxy of proxies)
    await t.test(proxy.name, async (t) => {
      const alice = await ask(proxy, { as: 'alice' });
      t.equal(alice.status, 200, `${alice.body} ${proxy.output()}`);
      t.equal(alice.header('x-remote-user'), 'LAB\\alice');
      t.match(alice.header('x-remote-sid'), /^S-1-5-21-/);
      t.equal(alice.arrived?.url, '/payroll');
      t.equal((await ask(proxy, { as: 'alice', path: '/staff?a=b' })).arrived?.url, '/staff?a=b', 'a member');
      const carol = await ask(proxy, { as: 'carol' });
      t.equal(carol.header('x-remote-user'), 'LAB\\carol');
      refused(t, await ask(proxy, { as: 'carol', path: '/staff' }), [403], 'not a member');
      refused(t, await ask(proxy, {}), [403], 'no certificate');
      const nobody = await ask(proxy, { path: '/' });
      t.equal(nobody.status, 200, 'where anonymous may pass');
      t.strictSame(identityIn(nobody), anonymous, 'without an identity');
    });
}

await t.test('files of deploy/ name the headers that the gateway writes, and its endpoints', (t) => {
  const file = (path: string) => readFileSync(join(import.meta.dirname, '../../deploy', path), 'utf8');
  const [ask, forward] = [file('nginx/ask.conf'), file('nginx/forward.conf')];
  const wanted: Readonly<Record<string, (name: string) => string>> = {
    'haproxy/dsmapper.lua': (name) => `  '${name}',\n`,
    'apache/dsmapper.lua': (name) => `  '${name}',\n`,
    'apache/dsmapper-unset.conf': (name) => `RequestHeader unset ${name} early\n`,
  };
  for (const [path, line] of Object.entries(wanted))
    for (const name of guarded) t.ok(file(path).includes(line(name)), `${path}: ${name}`);
  for (const name of identityNames) {
    const variable = name.toLowerCase().replaceAll('-', '_');
    t.ok(ask.includes(`auth_request_set $dsmapper_${variable} $upstream_http_${variable};\n`), `ask.conf: ${name}`);
    t.ok(forward.includes(`proxy_set_header ${name} $dsmapper_${variable};\n`), `forward.conf: ${name}`);
  }
  for (const name of [...controlNames, ...questionNames])
    t.ok(forward.includes(`proxy_set_header ${name} "";\n`), `forward.conf: ${name}`);

  const traefik = parse(file('traefik/dynamic.yaml')) as Traefik;
  const { middlewares, routers } = traefik.http;
  t.strictSame(routers['intranet']?.middlewares, ['dsmapper-forged', 'dsmapper-certificate', 'dsmapper']);
  const deleted = middlewares['dsmapper-forged']?.headers?.customRequestHeaders ?? {};
  t.strictSame(deleted, Object.fromEntries(identityNames.map((name) => [name, ''])));
  const asks = middlewares['dsmapper']?.forwardAuth;
  t.strictSame(asks?.authResponseHeaders, identityNames);
  t.equal(asks?.trustForwardHeader, false);
  t.match(asks?.authRequestHeaders.map(foldName), ['accept', formHeaders.traefik.leaf]);
  const regex = new RegExp(asks?.authResponseHeadersRegex.replace('(?i)', '') ?? '$^', 'i');
  for (const name of identityNames) t.match(name.replaceAll('-', '_'), regex);

  for (const [path, port] of [
    ['envoy/envoy.yaml', 9446],
    ['envoy/envoy-grpc.yaml', 9447],
  ] as const) {
    const text = file(path);
    const { clusters } = (parse(text) as Envoy).static_resources;
    t.match(JSON.stringify(clusters.find(({ name }) => name === 'dsmapper')), `"port_value":${port}`);
    for (const key of ['failure_mode_allow: false', 'forward_client_cert_details: SANITIZE_SET', 'ACCEPT_UNTRUSTED'])
      t.ok(text.includes(key), `${path}: ${key}`);
    t.match(text, new RegExp(`^# +listen: 127\\.0\\.0\\.1:${port}$`, 'm'));
    if (port !== 9446) t.match(text, 'include_peer_certificate: true');
    else for (const name of identityNames) t.ok(text.includes(`{ exact: ${name.toLowerCase()}, `), `${path}: ${name}`);
  }
  t.end();
});

interface Traefik {
  readonly http: {
    readonly routers: Readonly<Record<string, { readonly middlewares: readonly string[] }>>;
    readonly middlewares: Readonly<
      Record<
        string,
        {
          readonly headers?: { readonly customRequestHeaders: Readonly<Record<string, string>> };
          readonly forwardAuth?: {
            readonly trustForwardHeader: boolean;
            readonly authRequestHeaders: readonly string[];
            readonly authResponseHeaders: readonly string[];
            readonly authResponseHeadersRegex: string;
          };
        }
      >
    >;
  };
}

interface Envoy {
  readonly static_resources: { readonly clusters: readonly { readonly name: string }[] };
}

for (const name of proxyNames) {
  const [program, packages] = proxyPackages[name];
  await peerTest(`${name} is there`, [program], packages, async (t) => void t.pass(await Promise.resolve(name)));
}

await peerTest(
  'proxies ask',
  installed.length === 0 ? ['nginx'] : [],
  'nginx-light haproxy apache2 lua-socket',
  async (t) => {
    const lab = await testLab(t);
    const bed = await bedOf(t, lab, installed, (configure) =>
      testGateway(t, {
        lab,
        pollInterval: '1s',
        configure: (yaml) => `${configure(yaml)}\nlimits: { recheck: 2s }\n`,
      }),
    );
    const { to, ask, proxies } = bed;

    await t.test('identities and rules', (t) => logOn(t, bed));

    for (const proxy of proxies) {
      await t.test(`${proxy.name}: a certificate is judged by the gateway`, async (t) => {
        // nginx and Apache break off, with a page or in the handshake, where the date has passed; Apache where the purpose is another.
        for (const name of ['revoked', 'expired', 'not-yet', 'foreign', 'server-only', 'disabled', 'locked', 'twice'])
          refused(
            t,
            await ask(proxy, { as: name }),
            ['expired', 'not-yet', 'server-only'].includes(name) ? [0, 400, 403] : [403],
            name,
          );
        refused(t, await ask(proxy, { as: 'nobody' }), [401, 403], 'nobody');
      });

      await t.test(`${proxy.name}: every spelling of a path has its rule`, async (t) => {
        t.equal((await ask(proxy, { path: '/other' })).status, 200, 'elsewhere everybody may');
        for (const path of spellings) {
          const without = await ask(proxy, { path });
          t.equal(without.arrived, null, `${path} without a certificate`);
          t.ok([0, 400, 403, 404].includes(without.status), `${path}: ${without.status}`);
          const alice = await ask(proxy, { as: 'alice', path });
          if (alice.arrived !== null) t.equal(alice.header('x-remote-user'), 'LAB\\alice', `${path} with alice's`);
        }
      });

      await t.test(`${proxy.name}: forged headers reach nobody and change nothing`, (t) => forge(t, bed, proxy));
    }

    await t.test('over HTTP/2', async (t) => {
      for (const proxy of proxies.filter(({ name }) => name !== 'apache')) {
        const alice = await askHttp2(to, proxy, 'alice', { ':path': '/payroll' });
        t.equal(alice.status, 200, proxy.name);
        t.match(alice.body, /"x-remote-user","LAB\\\\alice"/i);
        const before = lab.echo.requests;
        const [[name, value] = ['', '']] = forms['nginx']?.(to.identity('alice').cert) ?? [];
        const forged = {
          ':path': '/payroll',
          [name.toLowerCase()]: value,
          'x-original-uri': '/',
          x_remote_user: 'LAB\\alice',
        };
        t.equal((await askHttp2(to, proxy, null, forged)).status, 403, proxy.name);
        t.equal(lab.echo.requests, before);
      }
    });

    await t.test('an account that is disabled is refused within a poll', async (t) => {
      const dn = 'CN=carol,CN=Users,DC=lab,DC=example,DC=test';
      for (const proxy of proxies) {
        t.equal((await ask(proxy, { as: 'carol' })).status, 200, proxy.name);
        lab.directory.replace(dn, 'userAccountControl', ['514']);
        while ((await ask(proxy, { as: 'carol' })).status === 200) await wait(50);
        refused(t, await ask(proxy, { as: 'carol' }), [403], proxy.name);
        lab.directory.replace(dn, 'userAccountControl', ['512']);
        while ((await ask(proxy, { as: 'carol' })).status !== 200) await wait(50);
      }
    });

    await t.test('without the endpoint nothing passes', async (t) => {
      await to.gateway.close();
      for (const proxy of proxies)
        for (const path of ['/', '/payroll'])
          refused(t, await ask(proxy, { as: 'alice', path }), [503], `${proxy.name} ${path}`);
    });
  },
);

async function forge(t: Test, { to, ask }: Bed, proxy: Proxy): Promise<void> {
  const aliceCert = to.identity('alice').cert;
  const shown = Object.values(forms).flatMap((form) => form(aliceCert));
  const honest = identityIn(await ask(proxy, { as: 'carol' }));
  t.equal(honest['x-remote-user'], 'LAB\\carol');
  const spelled: Readonly<Record<string, (name: string) => readonly string[]>> = {
    'as they are': (name) => [name],
    'in lower case, twice': (name) => [name.toLowerCase(), name],
    'with underscores': (name) => [name.replaceAll('-', '_')],
    'with a dot': (name) => [name.replace('-', '.')],
    'with one underscore and a mark behind it': (name) => [`${name.replace('-', '_')}!`],
  };
  for (const [how, spell] of Object.entries(spelled))
    for (const value of ['forged', '', 'LAB\\alice']) {
      const headers = guarded.flatMap((name) => spell(name).flatMap((each) => [each, value]));
      // Apache takes 100 headers.
      for (let at = 0; at < headers.length; at += 160) {
        const piece = headers.slice(at, at + 160);
        const carol = await ask(proxy, { as: 'carol', headers: piece });
        t.strictSame(
          [carol.status, identityIn(carol)],
          [200, honest],
          `${how}, ${JSON.stringify(value)}: with carol's certificate`,
        );
        const nobody = await ask(proxy, { path: '/', headers: piece });
        t.strictSame(
          [nobody.status, identityIn(nobody)],
          [200, anonymous],
          `${how}, ${JSON.stringify(value)}: with none`,
        );
        refused(t, await ask(proxy, { headers: piece }), [403], `${how}, ${JSON.stringify(value)}`);
      }
    }

  for (const [name, value] of shown) {
    refused(t, await ask(proxy, { headers: [name, value] }), [403], `${name} of alice from nobody`);
    refused(t, await ask(proxy, { headers: [name, value, name, value] }), [403], `${name} of alice twice`);
    const other = await ask(proxy, { as: 'carol', headers: [name, value] });
    t.strictSame(identityIn(other), honest, `${name} of alice from carol`);
    refused(t, await ask(proxy, { as: 'carol', path: '/staff', headers: [name, value] }), [403], `${name} for a group`);
    refused(t, await ask(proxy, { headers: [name.replaceAll('-', '_'), value] }), [403], `${name} with underscores`);
  }
  for (const name of [
    'X-Original-URI',
    'X-Original-Uri',
    'x_original_uri',
    'X-Forwarded-Uri',
    'X-Rewrite-URL',
    'X-Original-URL',
  ])
    refused(t, await ask(proxy, { headers: [name, '/'] }), [403], `${name}: /`);
  for (const headers of [
    ['X-Original-Host', 'other.example.test'],
    ['X-DSMapper-Secret', 'kept-between-haproxy-and-the-gateway-only'],
    ['X-DSMapper-Status', '200'],
    ['X-SSL-Client-Verify', 'SUCCESS'],
    ['Authorization', 'Bearer kept-between-haproxy-and-the-gateway-only'],
    ['X-Original-Method', 'OPTIONS'],
    ['X-HTTP-Method-Override', 'OPTIONS'],
  ])
    refused(t, await ask(proxy, { headers }), [403], headers.join(': '));

  // RFC 9110 section 7.6.1: the next proxy takes away what is listed.
  for (const listed of ['X-Remote-User', 'close, x-remote-user, X-Remote-Sid', 'X-ARR-ClientCert']) {
    const carol = await ask(proxy, { as: 'carol', headers: ['Connection', listed] });
    t.strictSame([carol.status, identityIn(carol)], [200, honest], `Connection: ${listed}`);
    t.notMatch(carol.header('connection') ?? '', /remote|arr/i, 'and is not listed to the backend');
    refused(t, await ask(proxy, { headers: ['Connection', 'X-SSL-Client-Cert, X-Original-URI'] }), [403], 'nobody');
  }
}

async function askHttp2(
  to: TestGateway,
  proxy: Proxy,
  as: string | null,
  headers: http2.OutgoingHttpHeaders,
): Promise<{ readonly status: number; readonly body: string }> {
  const session = http2.connect(`https://localhost:${proxy.port}`, {
    host: '127.0.0.1',
    ca: to.ca,
    ...(as === null ? {} : to.identity(as)),
  });
  try {
    return await new Promise((resolve, reject) => {
      session.once('error', reject);
      const stream = session.request({ ':authority': 'localhost', ...headers });
      let status = 0;
      let body = '';
      stream.once('error', reject);
      stream.once('response', (head) => (status = Number(head[':status'])));
      stream.setEncoding('utf8').on('data', (piece: string) => (body += piece));
      stream.once('end', () => resolve({ status, body }));
      stream.end();
    });
  } finally {
    session.close();
  }
}

await peerTest(
  'intermediates that only the client has',
  installed.length === 0 ? ['nginx'] : [],
  'nginx-light haproxy apache2 lua-socket',
  async (t) => {
    const lab = await testLab(t);
    const { to, ask, proxies } = await bedOf(t, lab, installed, (configure) =>
      testGateway(t, {
        lab,
        configure: (yaml) => configure(yaml).replace(/^ {2}intermediates: .*\n/m, ''),
      }),
    );
    const { cert, key } = to.identity('alice');
    const leaf = /-----BEGIN[^]+?-----END CERTIFICATE-----\n/.exec(cert)?.[0] ?? '';
    t.not(leaf, cert, 'the lab has an intermediate');
    for (const proxy of proxies) {
      const whole = await ask(proxy, { as: 'alice' });
      if (proxy.name === 'nginx') refused(t, whole, [403], 'nginx tells the leaf alone');
      else t.equal(whole.header('x-remote-user'), 'LAB\\alice', `${proxy.name} tells the chain`);
      refused(t, await ask(proxy, { tls: { cert: leaf, key } }), [403], `${proxy.name}, the leaf alone`);
    }
  },
);

await sambaTest('proxies ask about accounts of a Samba domain', async (t) => {
  const lab = await testLab(t);
  const key = (name: string) => {
    const der = certificatesIn(lab.pki.certificates.get(name)?.chain ?? '')[0] ?? Buffer.alloc(0);
    return [`X509:<SHA1-PUKEY>${new X509Certificate(der).fingerprint.replaceAll(':', '').toLowerCase()}`];
  };
  const issuing = lab.pki.certificates.get('issuing')?.der ?? Buffer.alloc(0);
  const users = ['alice', 'carol'].map((name) => ({ name, altSecurityIdentities: key(name) }));
  const ldif = groupLdif('Staff', [userDn({ name: 'alice' })]);
  const samba = await startSamba(t, { ntAuth: [issuing], users, ldif });
  const bed = await bedOf(t, lab, installed, (configure) =>
    gatewayAt(t, samba, lab, '  pollInterval: 1s\n', configure),
  );
  await logOn(t, bed);
  for (const proxy of bed.proxies) {
    t.equal((await bed.ask(proxy, { as: 'carol' })).status, 200);
  }
  await samba.modify(
    `dn: ${userDn({ name: 'carol' })}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 546\n`,
  );
  for (const proxy of bed.proxies) {
    while ((await bed.ask(proxy, { as: 'carol' })).status === 200) await wait(50);
    refused(t, await bed.ask(proxy, { as: 'carol' }), [403], `${proxy.name}: disabled in the domain`);
  }
});
