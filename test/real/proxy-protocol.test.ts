/**
 * HAProxy in front, passing TCP on with the PROXY protocol in both versions: certificates are asked for through it, up front and by renegotiation,
 * and the backend hears of the client's address.
 */
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import type { Test } from 'tap';
import type { EchoAnswer } from '../../src/lab/echo.ts';
import { inTime, untilTrue } from '../support/front.ts';
import { testGateway } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';
import { freePort, listening, startDaemon } from '../support/processes.ts';
import { peerTest } from '../support/real-peers.ts';

/** Where the client comes from, so that it is told from HAProxy. */
const client = '127.0.0.77';
type Where = 'late' | 'upFront' | 'http';

const ways = [
  ['version 1', 'send-proxy'],
  ['version 2', 'send-proxy-v2'],
  ['version 2 with additions', 'send-proxy-v2 proxy-v2-options crc32c,unique-id,authority'],
] as const;

await peerTest('HAProxy', ['haproxy'], 'haproxy', async (t) => {
  const to = await testGateway(t, {
    configure: (yaml) =>
      yaml
        .replaceAll(/^( {2}- endpoint: .*)$/gm, '$1\n    proxyProtocol: { from: ["127.0.0.1"] }')
        .replace('sslFlags: [Ssl] }', 'sslFlags: [] }'),
  });
  const fronts = ways.flatMap(([name, options]) =>
    (['late', 'upFront', 'http'] as const).map((where) => ({ name, options, where })),
  );
  const ports = await startHaproxy(t, to, fronts);
  for (const [index, { name, where }] of fronts.entries()) {
    const { status, headers, id } = await ask(to, where, ports[index] ?? 0);
    const title = `${name}, ${where}`;
    t.equal(status, 200, title);
    t.equal(headers.get('x-forwarded-for'), client, `${title}: the client's address`);
    if (where !== 'http') t.equal(headers.get('x-remote-user'), 'LAB\\alice', `${title}: the identity`);
    t.match(
      await to.logged(id),
      { client, protocol: { late: 'TLSv1.2', upFront: 'TLSv1.3', http: null }[where] },
      title,
    );
  }
  t.equal((await ask(to, 'upFront', to.ports.upFront)).status, 200, 'who is not listed comes without a header');
  // They come as LOCAL in version 2, and tell nobody.
  await untilTrue(() => to.log.some((line) => line['path'] === '/check' && line['client'] === '127.0.0.1'));
  t.pass("HAProxy's own checks come from itself");
});

async function ask(to: TestGateway, where: Where, port: number) {
  const options = { host: '127.0.0.1', port, localAddress: client, agent: false };
  const sent =
    where === 'http'
      ? http.get({ ...options, path: '/' })
      : https.get({ ...options, path: '/payroll', ca: to.ca, ...to.identity('alice') });
  const answer = await inTime(
    'an answer',
    new Promise<http.IncomingMessage>((resolve, reject) => sent.once('response', resolve).once('error', reject)),
  );
  const echo = (await json(answer)) as EchoAnswer;
  const headers = new Map(echo.headers.map(([name, value]) => [name.toLowerCase(), value]));
  return { status: answer.statusCode, headers, id: answer.headers['x-request-id'] };
}

/** @returns the port of each front; HAProxy ends with the test */
async function startHaproxy(
  t: Test,
  to: TestGateway,
  fronts: readonly { readonly options: string; readonly where: Where }[],
): Promise<readonly number[]> {
  const ports = await Promise.all(fronts.map(() => freePort('127.0.0.1')));
  const blocks = fronts.map(
    ({ options, where }, index) => `listen f${index}
  bind 127.0.0.1:${ports[index]}
  unique-id-format %ci:%cp
  server gateway 127.0.0.1:${to.ports[where]} ${options}`,
  );
  const check = `backend checked
  option httpchk
  http-check send meth GET uri /check ver HTTP/1.1 hdr Host 127.0.0.1
  server gateway 127.0.0.1:${to.ports.http} send-proxy-v2 check inter 200ms`;
  const defaults = 'defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s';
  const file = join(to.folder, 'haproxy.cfg');
  await writeFile(file, `${[defaults, ...blocks, check].join('\n\n')}\n`);
  const haproxy = startDaemon('haproxy', ['-f', file, '-db']);
  t.teardown(() => haproxy.stop());
  for (const port of ports) await listening(haproxy, '127.0.0.1', port);
  return ports;
}
