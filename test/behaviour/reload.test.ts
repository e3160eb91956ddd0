/**
 * Another configuration in a running gateway: what is being served goes on, new requests fall under the new rules, and what has lost its right
 * ends.
 */
import { readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import type { Instant } from '../../src/base/brand.ts';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { systemFacilities } from '../../src/config/facilities.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { ask, testGateway, testLab, type TestGateway } from '../support/gateway.ts';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

async function reload(to: TestGateway, change: (yaml: string) => string): Promise<void> {
  const file = join(to.folder, 'dsmapper.yaml');
  await writeFile(file, change(await readFile(file, 'utf8')));
  const { settings } = await loadConfiguration(file, systemFacilities(systemClock, process.env));
  await to.gateway.reload(settings);
}

/** A backend whose answers last until it is told to say more, or to end them. */
async function openBackend(t: Test) {
  const open = new Set<http.ServerResponse>();
  const server = http.createServer((request, response) => {
    if (request.url === '/short') return void response.end('that is all');
    open.add(response);
    response.on('close', () => open.delete(response));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: begun\n\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open,
    say: (text: string) => {
      for (const response of open) response.write(`data: ${text}\n\n`);
    },
  };
}

/** A stream that alice reads; `ended` tells how it ended. */
async function streamTo(to: TestGateway, path: string, as: string, agent: https.Agent | false = false) {
  const heard: string[] = [];
  let ended: 'open' | 'whole' | 'cut' = 'open';
  const request = https.request({
    host: '127.0.0.1',
    port: to.ports.upFront,
    path,
    ca: to.ca,
    agent,
    ...to.identity(as),
  });
  request.on('error', () => (ended = 'cut'));
  request.on('response', (response) => {
    response.on('data', (piece: Buffer) => heard.push(piece.toString('utf8')));
    response.on('end', () => (ended = 'whole'));
    response.on('error', () => (ended = 'cut'));
  });
  request.end();
  await until(() => heard.length > 0 || ended !== 'open');
  return { heard, ending: () => ended, destroy: () => request.destroy() };
}

const toBackend = (origin: string) => (yaml: string) => yaml.replace(/upstream: http\S+/, `upstream: ${origin}`);
const belowSite = (lines: string) => (yaml: string) => yaml.replace('      /payroll:\n', `${lines}      /payroll:\n`);
const strict = `      /live:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
        authorize: { users: ['LAB\\bob'] }
`;

await t.test('reload', { timeout: 60_000 }, async (t) => {
  const lab = await testLab(t);

  await t.test('new requests take the new rules on a kept connection; the generation tells', async (t) => {
    const to = await testGateway(t, { lab });
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    t.equal((await ask(to, 'upFront', { as: 'alice', path: '/other', agent })).status, 200);
    await reload(to, belowSite(strict));
    const refused = await ask(to, 'upFront', { as: 'alice', path: '/live', agent });
    t.equal(refused.status, 403);
    t.match(await to.logged(refused.headers['x-request-id']), { generation: 2, code: 'notAuthorised' });
    t.equal((await ask(to, 'upFront', { as: 'bob', path: '/live' })).status, 200);
    t.equal(Object.values(agent.freeSockets).flat().length, 1, 'the connection lives on');
    t.match(await to.gateway.metrics.text(), /^dsmapper_setup_generation 2$|^dsmapper_generation 2$/m);
  });

  await t.test('a stream goes on under a rule that stays, and ends by one that takes its right away', async (t) => {
    const backend = await openBackend(t);
    const to = await testGateway(t, { lab, configure: toBackend(backend.origin) });
    const stream = await streamTo(to, '/live', 'alice');
    await reload(to, (yaml) => yaml.replace('verdictHeader: true', 'verdictHeader: false'));
    backend.say('still here');
    await until(() => stream.heard.length > 1);
    t.equal(to.gateway.setup.generation, 2);
    t.equal(stream.ending(), 'open');
    await reload(to, belowSite(strict));
    await until(() => stream.ending() !== 'open');
    t.equal(stream.ending(), 'cut');
    t.match(
      to.events.filter(({ event }) => event === 'connection.ended'),
      [{ code: 'notAuthorised' }],
    );
    await until(() => backend.open.size === 0);
  });

  await t.test('the request in hand is asked, whatever else its connection did at the same location', async (t) => {
    const backend = await openBackend(t);
    const to = await testGateway(t, { lab, configure: toBackend(backend.origin) });
    // Both under `/` before: what the connection remembers of `/` is the place of the first request.
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    t.equal((await ask(to, 'upFront', { as: 'alice', path: '/short', agent })).status, 200);
    const stream = await streamTo(to, '/live/deep', 'alice', agent);
    t.equal(to.gateway.connectionCount(), 1);
    await reload(to, belowSite(strict.replace('/live', '/LIVE/Deep')));
    await until(() => stream.ending() !== 'open');
    t.equal(stream.ending(), 'cut');
  });

  await t.test('an anonymous stream ends where a certificate is demanded from now on', async (t) => {
    const backend = await openBackend(t);
    const to = await testGateway(t, { lab, configure: toBackend(backend.origin) });
    let cut = false;
    const request = https.request({
      host: '127.0.0.1',
      port: to.ports.upFront,
      path: '/live',
      ca: to.ca,
      agent: false,
    });
    request.on('error', () => (cut = true));
    const begun = Promise.withResolvers<void>();
    request.on('response', (response) => {
      response.on('data', () => begun.resolve());
      response.on('error', () => (cut = true));
    });
    request.end();
    await begun.promise;
    await reload(to, belowSite(strict));
    await until(() => cut);
    t.match(to.events.at(-1), { event: 'connection.ended', code: 'certificateRequired' });
  });

  await t.test('what cannot be used is refused, and the old one serves on', async (t) => {
    const to = await testGateway(t, { lab });
    const taken = http.createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    t.teardown(() => taken.close());
    const port = (taken.address() as AddressInfo).port;
    const file = join(to.folder, 'dsmapper.yaml');
    const before = await readFile(file, 'utf8');
    await t.rejects(
      reload(to, (yaml) => yaml.replaceAll(`127.0.0.1:${to.ports.http}`, `127.0.0.1:${port}`)),
      { code: 'listen-failed' },
    );
    t.equal(to.gateway.setup.generation, 1);
    t.match(to.events.at(-1), {
      event: 'setup.refused',
      generation: 2,
      detail: /already in use|EADDRINUSE|cannot listen/,
    });
    t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200);
    t.equal((await ask(to, 'http', { path: '/' })).status, 403, 'also where the listener had been closed to make room');
    await writeFile(file, before);
    await t.rejects(reload(to, belowSite(strict.replace('bob', 'nobody-of-that-name'))), { code: 'principal' });
    t.equal(to.gateway.setup.generation, 1);
  });

  await t.test('an older setup is closed when its last request has ended', async (t) => {
    const backend = await openBackend(t);
    const to = await testGateway(t, { lab, configure: toBackend(backend.origin) });
    const stream = await streamTo(to, '/live', 'alice');
    const [old] = to.gateway.setup.upstreams();
    await reload(to, (yaml) => yaml.replace('verdictHeader: true', 'verdictHeader: false'));
    t.not([...to.gateway.setup.upstreams()][0], old);
    t.equal(old?.servers[0]?.stats.busy, 1);
    stream.destroy();
    await until(() => to.gateway.requestsInFlight() === 0);
    t.equal(old?.servers[0]?.acquire({ begin: () => {}, giveUp: () => {} }), 'closed');
  });

  await t.test('reloads at the same time happen one after the other, and none after the end', async (t) => {
    const to = await testGateway(t, { lab });
    await Promise.all([to.gateway.reload(to.settings), to.gateway.reload(to.settings), to.gateway.reload(to.settings)]);
    t.equal(to.gateway.setup.generation, 4);
    t.match(to.events.at(-1), { event: 'setup.taken', generation: 4 });
    t.equal((await ask(to, 'late', { as: 'alice' })).status, 200);
    await to.gateway.close();
    await t.rejects(to.gateway.reload(to.settings), { code: 'ending' });
  });

  await t.test(
    'a stream ends when its account was read longer ago than maximumAge, though the directory is silent',
    async (t) => {
      const backend = await openBackend(t);
      let offset = 0;
      const clock: Clock = {
        now: () => (Date.now() + offset) as Instant,
        monotonic: () => performance.now() + offset,
      };
      const configure = (yaml: string) => `${toBackend(backend.origin)(yaml)}\nmapping: { deadline: 300ms }\n`;
      const to = await testGateway(t, { lab, configure, facilities: { clock } });
      const stream = await streamTo(to, '/payroll', 'alice');
      lab.directory.faults.hold = true;
      t.teardown(() => (lab.directory.faults.hold = false));
      offset = 9 * 60_000;
      t.equal(await to.gateway.recheck(), 0, 'not knowing ends nothing before');
      t.equal(stream.ending(), 'open');
      offset = 11 * 60_000;
      t.equal(await to.gateway.recheck(), 1);
      await until(() => stream.ending() === 'cut');
      t.match(to.events.at(-1), { event: 'connection.ended', code: 'directoryUnavailable' });
    },
  );
});
