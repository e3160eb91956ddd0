/**
 * Headless Firefox and Chromium against both kinds of binding: a page that was loaded with a certificate posts 20 KB with it; who has none, or a revoked
 * one, is told so.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { firefox } from '../support/firefox.ts';
import { testGateway } from '../support/gateway.ts';
import { autoSelectCertificates, chromium, whyNoPolicies, type ClientIdentity } from '../support/real-clients.ts';
import { peerTest } from '../support/real-peers.ts';

type Where = 'late' | 'upFront';
const bindings = ['late', 'upFront'] as const;
/** Shows a page until something has happened. */
type Visit = (url: string, until: () => boolean) => Promise<unknown>;
/** A browser whose store holds this certificate. */
type Start = (t: Test, identity: ClientIdentity | null) => Promise<Visit>;

const size = 20_480;
/** The image is there when all is done: until then the page is not loaded. */
const page = `<!doctype html><meta charset="utf-8"><title>page</title><script>
fetch('/payroll/post', { method: 'POST', body: 'x'.repeat(${size}) }).then(() => fetch('/payroll/done'));
</script><img src="/payroll/hold">`;

interface Seen {
  readonly user: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly bytes: number;
}

const backend = await pageServer();
const to = await testGateway(t, { configure: (yaml) => yaml.replace(/upstream: \S+/, `upstream: ${backend.url}`) });
const pki = (name: string) => `${to.lab.pki.folder}/${name}`;
const originOf = (where: Where) => `https://127.0.0.1:${to.ports[where]}`;

const startFirefox: Start = async (t, identity) => {
  const browser = await firefox(t, pki('root.pem'), identity);
  return (url, until) => browser.visit(url, until);
};
const startChromium: Start = async (t, identity) => {
  const browser = await chromium(t, pki('root.pem'), identity);
  return (url) => browser.dom(url);
};

const store = ['certutil', 'pk12util', 'openssl'];
await peerTest('Firefox', ['firefox-esr', ...store], 'firefox-esr libnss3-tools openssl', (t) =>
  logsOn(t, startFirefox),
);

const notice = whyNoPolicies();
if (notice !== null) await t.test('Chromium', { skip: notice }, () => {});
else
  await peerTest('Chromium', ['chromium', ...store], 'chromium libnss3-tools openssl', async (t) => {
    await autoSelectCertificates(t, bindings.map(originOf));
    await logsOn(t, startChromium);
  });

async function logsOn(t: Test, start: Start): Promise<void> {
  const refused = [
    [null, 'certificateRequired'],
    ['revoked', 'certificateRevoked'],
  ] as const;
  for (const [name, code] of refused)
    await t.test(`${name ?? 'nobody'}: ${code}`, async (t) => {
      const visit = await start(t, name === null ? null : fileOf(name));
      for (const where of bindings) {
        const before = linesOf(where).length;
        const told = () =>
          linesOf(where)
            .slice(before)
            .find((line) => line['code'] === code);
        await visit(`${originOf(where)}/payroll/page`, () => told() !== undefined);
        t.match(told(), { status: 403, path: '/payroll/page' }, where);
      }
    });

  await t.test('alice: a page and what it posts', async (t) => {
    const visit = await start(t, fileOf('alice'));
    for (const where of bindings) {
      const before = to.log.length;
      const seen = backend.begin();
      await visit(`${originOf(where)}/payroll/page`, () => seen.some(({ path }) => path === '/payroll/done'));
      // Beside it, /favicon.ico is nobody's: no location asked who it is.
      const own = seen.filter(({ path }) => path.startsWith('/payroll/'));
      for (const one of own) t.equal(one.user, 'LAB\\alice', `${where}, ${one.path}`);
      t.match(
        own.filter(({ path }) => path === '/payroll/post'),
        [{ method: 'POST', bytes: size }],
        `${where}: once`,
      );
      const spoken = where === 'late' ? { protocol: 'TLSv1.2', http: '1.1' } : { protocol: 'TLSv1.3', http: '2.0' };
      const lines = to.log.slice(before).filter(({ path }) => path === '/payroll/post');
      t.match(lines, [{ ...spoken, code: 'authorised', account: 'LAB\\alice' }], where);
    }
  });
}

function linesOf(where: Where) {
  return to.log.filter((line) => line['binding'] === `127.0.0.1:${to.ports[where]}`);
}

function fileOf(name: string): ClientIdentity {
  return { chainFile: pki(`${name}.pem`), keyFile: pki(`${name}.key`) };
}

/** The page, what it asks for, and what arrived of that since `begin`. */
async function pageServer() {
  let seen: Seen[] = [];
  let done = Promise.withResolvers<void>();
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url: path = '', headers } = request;
    const { length: bytes } = await buffer(request);
    seen.push({ user: headers['x-remote-user'] as string | undefined, method, path, bytes });
    if (path === '/payroll/page') response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    else if (path === '/payroll/hold') void done.promise.then(() => response.writeHead(204).end());
    else response.writeHead(path === '/favicon.ico' ? 404 : 204).end();
    if (path === '/payroll/done') done.resolve();
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    begin(): readonly Seen[] {
      done = Promise.withResolvers();
      return (seen = []);
    },
  };
}
