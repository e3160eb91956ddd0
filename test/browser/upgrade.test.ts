/**
 * A page in headless Chromium opens a WebSocket and an EventSource to where it came from, over the renegotiated and the up-front binding, with
 * the certificate that the browser has chosen.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import t, { type Test } from 'tap';
import { streamEvents } from '../../src/lab/event-stream.ts';
import { echoWebSocket } from '../../src/lab/web-socket.ts';
import { testGateway } from '../support/gateway.ts';
import { autoSelectCertificates, chromium, whyNoPolicies } from '../support/real-clients.ts';
import { peerTest } from '../support/real-peers.ts';

type Where = 'late' | 'upFront';

/** What the page tells of itself when it is done; it is loaded only then, because the browser prints it at that moment. */
const page = `<!doctype html><meta charset="utf-8"><pre></pre><script>
const told = document.querySelector('pre');
const tell = (line) => told.append(line + '\\n');
const name = (text) => JSON.parse(text).headers.find(([name]) => name.toLowerCase() === 'x-remote-user')?.[1];
const socket = new Promise((done) => {
  const socket = new WebSocket('wss://' + location.host + '/payroll/socket');
  const long = 'x'.repeat(70000);
  let count = 0;
  socket.onmessage = ({ data }) => {
    count += 1;
    if (count === 1) { tell('socket: open as ' + name(data)); socket.send('Größe'); }
    else if (count === 2) { socket.send(long); told.append('socket: ' + data + ' '); }
    else { tell(data === long ? data.length : 'wrong'); socket.close(1000); }
  };
  socket.onerror = () => tell('socket: error');
  socket.onclose = ({ code }) => { tell('socket: closed ' + code); done(); };
});
socket.then(() => new Promise((done) => {
  const events = new EventSource('/payroll/events');
  events.addEventListener('request', ({ data }) => tell('events: request as ' + name(data)));
  events.onmessage = ({ data }) => { tell('events: ' + data); if (data === '2') { events.close(); done(); } };
  events.onerror = () => { tell('events: error'); events.close(); done(); };
})).then(() => fetch('/payroll/done'));
</script><img src="/payroll/hold">`;

const title = 'a page in Chromium echoes over a WebSocket and listens to events';
const notice = whyNoPolicies();
if (notice === null)
  await peerTest(title, ['chromium', 'certutil', 'pk12util', 'openssl'], 'chromium libnss3-tools openssl', pages);
else await t.test(title, { skip: notice }, () => {});

async function pages(t: Test): Promise<void> {
  const backend = await pageServer(t);
  const to = await testGateway(t, {
    configure: (yaml) =>
      yaml
        .replace(/upstream: \S+/, `upstream: ${backend.url}`)
        .replace(
          '        maximumAge: 10m\n',
          '        maximumAge: 10m\n        webSocketOrigins: ["ORIGIN-late", "ORIGIN-upFront"]\n',
        )
        .replace('ORIGIN-late', `https://127.0.0.1:${/127\.0\.0\.1:(\d+) .*late/.exec(yaml)?.[1]}`)
        .replace('ORIGIN-upFront', `https://127.0.0.1:${/127\.0\.0\.1:(\d+) .*first handshake/.exec(yaml)?.[1]}`),
  });
  const pki = (name: string) => `${to.lab.pki.folder}/${name}`;
  const originOf = (where: Where) => `https://127.0.0.1:${to.ports[where]}`;
  await autoSelectCertificates(t, [originOf('late'), originOf('upFront')]);
  const browser = await chromium(t, pki('root.pem'), { chainFile: pki('alice.pem'), keyFile: pki('alice.key') });

  for (const where of ['late', 'upFront'] as const) {
    const dom = await browser.dom(`${originOf(where)}/payroll/page`);
    const told = /<pre>(.*)<\/pre>/s.exec(dom)?.[1] ?? dom;
    t.match(told, 'socket: open as LAB\\alice', where);
    t.match(told, 'socket: Größe 70000', where);
    t.match(told, 'socket: closed 1000', where);
    t.match(told, /events: request as LAB\\alice\nevents: 1\nevents: 2/, where);
    const lines = to.log.filter(({ binding }) => binding === `127.0.0.1:${to.ports[where]}`);
    const spoken = { protocol: where === 'late' ? 'TLSv1.2' : 'TLSv1.3', http: '1.1' };
    const tunnel = lines.find(({ path }) => path === '/payroll/socket');
    t.match(tunnel, {
      ...spoken,
      status: 101,
      code: 'authorised',
      account: 'LAB\\alice',
      tunnel: { protocol: 'websocket' },
    });
  }
}

/** The page, what it opens, and an image that comes when the page is done. */
async function pageServer(t: Test): Promise<{ readonly url: string }> {
  let done = Promise.withResolvers<void>();
  const describe = ({ rawHeaders }: IncomingMessage) => {
    const headers = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1]]] : []));
    return JSON.stringify({ headers });
  };
  const server = createServer((request, response) => {
    switch (request.url ?? '') {
      case '/payroll/page':
        done = Promise.withResolvers();
        response.writeHead(200, { 'content-type': 'text/html' }).end(page);
        return;
      case '/payroll/events':
        streamEvents(response, { description: describe(request), count: null, interval: 20 });
        return;
      case '/payroll/hold':
        void done.promise.then(() => response.writeHead(204).end());
        return;
      case '/payroll/done':
        response.writeHead(204).end();
        done.resolve();
        return;
      default:
        response.writeHead(404).end();
    }
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
    echoWebSocket(request, socket, head, { greeting: describe(request) }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
