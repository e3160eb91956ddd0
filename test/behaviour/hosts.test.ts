/**
 * What a request says about where it wants to go: server name, Host, `:authority`, absolute form and method. Whatever it says, the answer
 * is the gateway's own, logged and with a request id.
 */
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { OutgoingHttpHeaders } from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import { ask, testGateway } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';
import { rawGet, sendRaw } from '../support/raw-http.ts';

/** Two host endpoints on the port of the up-front address endpoint, each with a site; the third serves what is left. */
function withHosts(yaml: string): string {
  const port = /endpoint: 127\.0\.0\.1:(\d+) .*first handshake/.exec(yaml)?.[1] ?? '';
  const certificate = /certificate: (\{.*\})/.exec(yaml)?.[1] ?? '';
  const upstream = /upstream: (\S+)/.exec(yaml)?.[1] ?? '';
  const binding = (name: string, negotiate: string) => `  - endpoint: ${name}.example.test:${port}
    certificate: ${certificate}
    dsMapperUsage: enabled
    negotiateClientCertificate: ${negotiate}
    verifyClientCertificateRevocation: disabled
`;
  const site = (name: string) => `  - name: ${name}
    bindings: ["${name}.example.test:${port}"]
    upstream: ${upstream}
    locations:
      /:
        access: { sslFlags: [Ssl] }
        authentication: { anonymous: fallback }
`;
  return yaml
    .replace('bindings:\n', `bindings:\n${binding('one', 'enabled')}${binding('two', 'disabled')}`)
    .replace('sites:\n', `sites:\n${site('one')}${site('two')}`);
}

interface Told {
  readonly status: number;
  readonly site: unknown;
  readonly code: unknown;
}

/** A request over TLS with this server name and these lines; the answer's line in the log. */
async function tell(to: TestGateway, serverName: string, lines: string): Promise<Told> {
  const port = to.ports.upFront;
  const options = { port, host: '127.0.0.1', ca: to.ca, checkServerIdentity: () => undefined };
  const socket = tls.connect({ ...options, ...(serverName === '' ? {} : { servername: serverName }) });
  await once(socket, 'secureConnect');
  socket.write(`${lines.replaceAll('PORT', String(port))}\r\nConnection: close\r\n\r\n`);
  let text = '';
  for await (const piece of socket) text += String(piece);
  return toldBy(to, text);
}

async function toldBy(to: TestGateway, text: string): Promise<Told> {
  const line = await to.logged(/^x-request-id: (\S+)/im.exec(text)?.[1] ?? `no request id in ${text}`);
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), site: line['site'], code: line['code'] };
}

await t.test('server name, Host and binding', { timeout: 60_000 }, async (t) => {
  const to = await testGateway(t, { configure: withHosts });
  const good = (site: string): Told => ({ status: 200, site, code: 'anonymous' });
  const refused = (status: number, code: string): Told => ({ status, site: null, code });
  const cases: readonly (readonly [serverName: string, lines: string, told: Told])[] = [
    ['one.example.test', 'GET / HTTP/1.1\r\nHost: one.example.test', good('one')],
    ['one.example.test', 'GET / HTTP/1.1\r\nHost: ONE.example.test.:PORT', good('one')],
    ['two.example.test', 'GET / HTTP/1.1\r\nHost: two.example.test', good('two')],
    ['', 'GET / HTTP/1.1\r\nHost: 127.0.0.1', good('Lab')],
    ['', 'GET / HTTP/1.1\r\nHost: other.example.test', good('Lab')],
    ['other.example.test', 'GET / HTTP/1.1\r\nHost: other.example.test', good('Lab')],
    ['one.example.test', 'GET / HTTP/1.1\r\nHost: two.example.test', refused(421, 'misdirected')],
    ['two.example.test', 'GET / HTTP/1.1\r\nHost: one.example.test', refused(421, 'misdirected')],
    ['one.example.test', 'GET / HTTP/1.1\r\nHost: 127.0.0.1', refused(421, 'misdirected')],
    ['one.example.test', 'GET / HTTP/1.1\r\nHost: other.example.test', refused(421, 'misdirected')],
    ['', 'GET / HTTP/1.1\r\nHost: one.example.test', refused(421, 'misdirected')],
    ['', 'GET / HTTP/1.1\r\nHost: one.example.test:1', refused(421, 'misdirected')],
    ['other.example.test', 'GET / HTTP/1.1\r\nHost: Two.Example.Test', refused(421, 'misdirected')],
    ['one.example.test', 'GET http://one.example.test/ HTTP/1.1\r\nHost: one.example.test', good('one')],
    [
      'one.example.test',
      'GET http://two.example.test/ HTTP/1.1\r\nHost: one.example.test',
      refused(400, 'hostMismatch'),
    ],
    [
      'one.example.test',
      'GET http://two.example.test/ HTTP/1.1\r\nHost: two.example.test',
      refused(421, 'misdirected'),
    ],
    [
      'one.example.test',
      'GET / HTTP/1.1\r\nHost: one.example.test\r\nHost: one.example.test',
      refused(400, 'hostMismatch'),
    ],
    ['one.example.test', 'GET / HTTP/1.1', refused(400, 'hostMismatch')],
    ['one.example.test', 'GET / HTTP/1.0', refused(400, 'hostMismatch')],
    ['one.example.test', 'GET / HTTP/1.1\r\nHost: one.example.test@two.example.test', refused(400, 'hostMismatch')],
    ['one.example.test', 'GET / HTTP/1.1\r\nHost: one.example.test, two.example.test', refused(400, 'hostMismatch')],
    ['one.example.test', 'GET / HTTP/1.1\r\nHost:', refused(400, 'hostMismatch')],
  ];
  for (const [serverName, lines, told] of cases)
    t.strictSame(
      await tell(to, serverName, lines),
      told,
      `SNI ${serverName || 'none'}, ${lines.replaceAll('\r\n', ', ')}`,
    );
  t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200, 'the address endpoint still maps');
});

await t.test('a binding that answers to names only', async (t) => {
  const to = await testGateway(t, {
    configure: (yaml) => yaml.replace('name: Lab\n', 'name: Lab\n    hosts: [gateway.lab.example.test]\n'),
  });
  for (const [host, status, code] of [
    ['gateway.lab.example.test', 200, 'anonymous'],
    ['GATEWAY.lab.example.test.:1', 200, 'anonymous'],
    ['127.0.0.1', 400, 'unknownHost'],
    ['lab.example.test', 400, 'unknownHost'],
  ] as const) {
    const answer = await ask(to, 'upFront', { path: '/', headers: { host }, tls: { servername: '' } });
    t.equal(answer.status, status, host);
    t.match(await to.logged(answer.headers['x-request-id']), { code }, host);
  }
});

/** One HTTP/2 request, whose body is left open unless it is said to end. Status 0: the stream was reset. */
async function ask2(t: Test, to: TestGateway, headers: OutgoingHttpHeaders, body: 'open' | 'ended' = 'open') {
  const session = connect(`https://127.0.0.1:${to.ports.upFront}`, { ca: to.ca });
  session.on('error', () => {});
  t.teardown(() => session.destroy());
  const stream = session.request(headers);
  let status = 0;
  let id: unknown;
  let text = '';
  stream.on('error', () => {});
  stream.on('response', (answer) => {
    status = answer[':status'] ?? 0;
    id = answer['x-request-id'];
  });
  stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  if (body === 'ended') stream.end();
  await once(stream, 'close');
  session.close();
  return { status, id, body: text };
}

await t.test('what the application framework would refuse itself ends in the flow, with our page', async (t) => {
  const to = await testGateway(t);
  const target = (line: string, more = '') =>
    sendRaw(to, { binding: 'upFront' }, `${line} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}Connection: close\r\n\r\n`);
  const cases: readonly (readonly [line: string, status: number, code: string, more?: string])[] = [
    ['GET /%', 400, 'pathNotCanonical'],
    ['GET /%zz', 400, 'pathNotCanonical'],
    ['GET /%c0%af', 400, 'pathNotCanonical'],
    ['GET /%00', 400, 'pathNotCanonical'],
    [`GET /${'x'.repeat(5000)}%`, 400, 'pathNotCanonical'],
    ['OPTIONS *', 400, 'pathNotCanonical'],
    ['GET *', 400, 'pathNotCanonical'],
    ['TRACE /', 405, 'methodNotAllowed'],
    ['GET /', 417, 'expectationFailed', 'Expect: something\r\n'],
    ['PROPFIND /payroll', 403, 'certificateRequired'],
    ['PURGE /payroll', 403, 'certificateRequired'],
    ['QUERY /payroll', 403, 'certificateRequired', 'Content-Length: 0\r\n'],
    ['GET /payroll', 403, 'certificateRequired', 'Upgrade: websocket\r\n'],
    ['POST /payroll', 403, 'certificateRequired', 'Content-Type: ;;;\r\nContent-Length: 0\r\n'],
    ['POST /payroll', 403, 'certificateRequired', 'Content-Type: application/json\r\nContent-Length: 0\r\n'],
    ['GET /payroll', 403, 'certificateRequired', 'Accept-Version: 2.x\r\n'],
  ];
  for (const [line, status, code, more] of cases) {
    const answer = await target(line, more);
    const id = /^x-request-id: (\S+)/im.exec(answer.head)?.[1] ?? '';
    const name = `${line.slice(0, 40)} ${more ?? ''}`;
    t.equal(answer.status, status, name);
    t.match(await to.logged(id), { code, status }, name);
    t.match(answer.body, id, 'the page carries the request id');
    t.match(answer.body, code, 'and the code');
  }
  const trace = await target('TRACE /');
  t.match(trace.head, /^allow: GET, /im);

  for (const [headers, status, code] of [
    [{ ':path': '/%' }, 400, 'pathNotCanonical'],
    [{ ':path': '/%c0%af' }, 400, 'pathNotCanonical'],
    [{ ':path': '*', ':method': 'OPTIONS' }, 400, 'pathNotCanonical'],
    [{ ':path': '/payroll', ':method': 'WHATEVER' }, 403, 'certificateRequired'],
    [{ ':path': '/', ':method': 'TRACE' }, 405, 'methodNotAllowed'],
    [{ ':path': '/', expect: 'something' }, 417, 'expectationFailed'],
    [{ ':path': '/', ':authority': '127.0.0.1', host: 'other.example.test' }, 400, 'hostMismatch'],
    [{ ':path': '/', ':authority': 'a..b' }, 400, 'hostMismatch'],
    [{ ':path': '/payroll', 'content-type': ';;;', ':method': 'POST' }, 403, 'certificateRequired'],
  ] as const) {
    const answer = await ask2(t, to, headers);
    const name = `HTTP/2 ${JSON.stringify(headers)}`;
    t.equal(answer.status, status, name);
    t.match(await to.logged(answer.id), { code, http: '2.0' }, name);
    t.match(answer.body, code, name);
  }
  t.equal(to.lab.echo.requests, 0, 'nothing of this reached the backend');
});

await t.test('a stream whose body turns out too long is answered and closed, though its client goes on', async (t) => {
  const to = await testGateway(t, { configure: (yaml) => `${yaml}\nlimits: { maximumBody: 1KiB }\n` });
  const session = connect(`https://127.0.0.1:${to.ports.upFront}`, { ca: to.ca });
  session.on('error', () => {});
  t.teardown(() => session.destroy());
  const stream = session.request({ ':path': '/', ':method': 'POST' });
  stream.on('error', () => {});
  let status = 0;
  stream.on('response', (answer) => (status = answer[':status'] ?? 0));
  stream.resume();
  stream.write(Buffer.alloc(5000));
  await once(stream, 'close');
  t.equal(status, 413);
  t.equal(stream.rstCode, 0, 'without an error');
});

await t.test('methods without a meaning of their own go through', async (t) => {
  const to = await testGateway(t);
  for (const method of ['PROPFIND', 'PURGE', 'OPTIONS', 'DELETE', 'REPORT']) {
    const answer = await ask(to, 'upFront', { path: '/', method });
    t.equal(answer.status, 200, method);
    t.equal(answer.echo().method, method);
  }
  const odd = await ask2(t, to, { ':path': '/', ':method': 'WHATEVER' }, 'ended');
  t.match(await to.logged(odd.id), { status: odd.status, method: 'WHATEVER' }, 'whatever the backend thinks of it');
  t.equal(odd.status, 400, 'Node, as the backend, does not know the method');
});

await t.test('CONNECT opens nothing', async (t) => {
  const to = await testGateway(t);
  const before = to.lab.echo.requests;
  const authority = `127.0.0.1:${to.lab.echo.port}`;
  const raw = await sendRaw(to, { binding: 'upFront' }, `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  t.ok(raw.status === 0 || raw.status === 405, `HTTP/1.1: ${raw.status}`);
  const plain = net.connect(to.ports.http, '127.0.0.1');
  plain.on('error', () => {});
  plain.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n`);
  plain.resume();
  await once(plain, 'close');
  const session = connect(`https://127.0.0.1:${to.ports.upFront}`, { ca: to.ca });
  session.on('error', () => {});
  t.teardown(() => session.destroy());
  const stream = session.request({ ':method': 'CONNECT', ':authority': authority }, { endStream: false });
  stream.on('error', () => {});
  let status = 0;
  stream.on('response', (answer) => (status = answer[':status'] ?? 0));
  stream.resume();
  const answered = once(stream, 'close');
  stream.end();
  await answered;
  t.ok(status === 0 || status === 405, `HTTP/2: ${status}`);
  t.equal(to.lab.echo.requests, before);
  t.equal((await rawGet(to, { binding: 'upFront' }, '/')).status, 200, 'the gateway goes on');
});
