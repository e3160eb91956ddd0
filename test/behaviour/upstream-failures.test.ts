/**
 * Everything that a server can do wrong, at each stage of a request, for clients of both versions: each has its verdict, nobody is left
 * waiting, nobody gets a piece of another answer, and nothing is left behind.
 */
import http2 from 'node:http2';
import type net from 'node:net';
import { Readable } from 'node:stream';
import t from 'tap';
import { endStream } from '../../src/forward/client-answer.ts';
import { answering, ask, ask2, ms, ok, until, type Answer, type Ask } from '../support/bare-clients.ts';
import { connectRaw, listen, startBareGateway, startRawBackend } from '../support/bare-gateway.ts';
import { failures, leakRun } from '../support/upstream-failures.ts';

/** What the client saw: a verdict, `whole N`, or `broken`. */
async function outcomeOf(asked: Promise<Answer>): Promise<string> {
  try {
    const { status, headers, body } = await asked;
    return String(headers['x-verdict'] ?? `whole ${status} ${body.length}`);
  } catch {
    return 'broken';
  }
}

t.jobs = 8; // side by side: many of them are about waiting

for (const failure of failures) {
  void t.test(failure.title, { buffered: true }, async (t) => {
    let good = false;
    const backend = await startRawBackend((socket) => {
      socket.on('data', () => {});
      if (good) answering((to) => to.write(ok))(socket);
      else failure.script(socket);
    });
    const gateway = await startBareGateway({
      upstream: {
        origin: failure.tls === true ? backend.origin.replace('http:', 'https:') : backend.origin,
        maximumConnections: 2,
        connectTimeout: ms(1500),
        queueTimeout: ms(10_000),
        headersTimeout: ms(1500),
        bodyTimeout: ms(1500),
      },
    });
    t.teardown(async () => {
      await gateway.stop();
      await backend.stop();
    });
    const session = gateway.h2();
    for (const method of ['GET', 'POST'] as const) {
      const what = (): Ask => {
        if (method === 'GET') return {};
        const body = new Readable({ read() {} });
        body.push('first');
        if (failure.whileSending !== true) body.push(null);
        return { method, body };
      };
      const outcomes = await Promise.all([outcomeOf(ask(gateway, what())), outcomeOf(ask2(session, what()))]);
      for (const outcome of outcomes) t.match(outcome, failure.outcome, method);
    }
    await until(() => gateway.upstream.stats.busy === 0);
    t.match(gateway.upstream.stats, { busy: 0, queued: 0 });
    if (failure.tls === true) return;
    good = true;
    // Whatever the failures left on kept connections, the next answers are those to the next requests.
    for (let count = 0; count < 4; count += 1) {
      const answers = await Promise.all([ask(gateway, { method: 'PUT' }), ask2(session, { method: 'PUT' })]);
      for (const { body, headers } of answers) t.equal(headers['x-verdict'] ?? body.toString(), 'ok');
    }
  });
}

void t.test('nobody listens, and nobody answers where it should', { buffered: true }, async (t) => {
  const backend = await startRawBackend(() => {});
  await backend.stop();
  const gateway = await startBareGateway({ upstream: { origin: backend.origin } });
  t.teardown(() => gateway.stop());
  const session = gateway.h2();
  t.equal(await outcomeOf(ask(gateway)), 'upstreamUnavailable');
  t.equal(await outcomeOf(ask2(session, { method: 'POST', body: Buffer.from('x') })), 'upstreamUnavailable');
  const nowhere = await startBareGateway({ upstream: { origin: 'http://nowhere.invalid' } });
  t.teardown(() => nowhere.stop());
  t.equal(await outcomeOf(ask(nowhere)), 'upstreamUnavailable');
});

void t.test('a client’s connection is not used on where its answer broke off', { buffered: true }, async (t) => {
  const backend = await startRawBackend(
    answering((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf')),
  );
  const gateway = await startBareGateway({ upstream: { origin: backend.origin } });
  t.teardown(async () => {
    await gateway.stop();
    await backend.stop();
  });
  const raw = connectRaw(gateway.port, 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await raw.closed;
  t.equal(text.match(/HTTP\/1\.1 /g)?.length, 1, 'the second has no answer rather than a mixed one');
  t.match(text, /half$/);
});

void t.test(
  'an answer before the end of the request closes the connection it came on',
  { buffered: true },
  async (t) => {
    for (const close of ['', 'Connection: close\r\n']) {
      const sockets: net.Socket[] = [];
      const backend = await startRawBackend((socket) => {
        sockets.push(socket);
        socket.once('data', () => socket.write(`HTTP/1.1 413 X\r\n${close}Content-Length: 2\r\n\r\nno`));
      });
      const gateway = await startBareGateway({ upstream: { origin: backend.origin, maximumConnections: 1 } });
      t.teardown(async () => {
        await gateway.stop();
        await backend.stop();
      });
      const endless = () => {
        const body = new Readable({ read() {} });
        body.push('first');
        return { method: 'POST', body };
      };
      const asked = [ask(gateway, endless()), ask2(gateway.h2(), endless())];
      for (const answer of asked) t.equal((await answer).status, 413);
      t.equal(sockets.length, 2, 'each on its own connection');
      await until(() => backend.sockets.size === 0);
    }
  },
);

void t.test('an answer to a request whose body has arrived and is not wanted ends', { buffered: true }, async (t) => {
  const server = http2.createServer((request, response) => {
    request.on('data', () => {});
    setTimeout(() => {
      request.pause();
      response.writeHead(413);
      endStream(response);
    }, 5);
  });
  const session = http2.connect(`http://127.0.0.1:${await listen(server)}`);
  t.teardown(() => {
    session.destroy();
    server.close();
  });
  const body = Buffer.from('first');
  const asked = Array.from({ length: 8 }, () => ask2(session, { method: 'POST', body }));
  for (const answer of asked) t.equal((await answer).status, 413);
});

void t.test('thousands of failures leave nothing behind', { buffered: true }, async (t) => {
  const run = await leakRun({ requests: 5000, concurrency: 64, seed: Math.trunc(Math.random() * 2 ** 31) });
  t.comment(JSON.stringify(run));
  t.equal(run.unanswered, 0, `seed ${run.seed}: each request has an end`);
  t.equal(run.mixed, 0, 'and never a piece of another answer');
  t.strictSame(run.after.stats, { open: 0, busy: 0, queued: 0 });
  t.ok(run.after.sockets <= run.before.sockets, `sockets ${run.before.sockets} -> ${run.after.sockets}`);
  t.ok(run.after.timers <= run.before.timers, `timers ${run.before.timers} -> ${run.after.timers}`);
});
