/**
 * The directory and the caches in front of it, through the whole gateway: what a hit costs, how misses join, and what an outage means for
 * whom.
 */
import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import https from 'node:https';
import t from 'tap';
import type { Instant } from '../../src/base/brand.ts';
import type { Clock } from '../../src/base/clock.ts';
import { ask, testGateway } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';

/** Real time, shifted by hand. */
function shiftableClock(): Clock & { shift(milliseconds: number): void } {
  let offset = 0;
  return {
    now: () => (Date.now() + offset) as Instant,
    monotonic: () => performance.now() + offset,
    shift: (milliseconds) => (offset += milliseconds),
  };
}

const quick = (yaml: string) => `${yaml}\nmapping: { deadline: 1s }\n`;

void t.test('a cache hit makes no search', async (t) => {
  const to = await testGateway(t);
  t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200);
  const before = to.lab.directory.searches;
  for (let count = 0; count < 20; count += 1) t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200);
  t.equal((await ask(to, 'late', { as: 'alice' })).status, 200, 'nor on another binding with the same trust');
  t.equal(to.lab.directory.searches, before);
  t.equal((await ask(to, 'upFront', { as: 'nobody' })).status, 401);
  const known = to.lab.directory.searches;
  t.equal((await ask(to, 'upFront', { as: 'nobody' })).status, 401);
  t.equal(to.lab.directory.searches, known, 'a negative answer is kept too');
});

void t.test('1,000 first requests of one certificate at once search as often as one does', async (t) => {
  const one = await testGateway(t);
  // What is read once, by whoever comes first.
  await ask(one, 'upFront', { as: 'nobody' });
  const idle = one.lab.directory.searches;
  t.equal((await ask(one, 'upFront', { as: 'carol' })).status, 200);
  const searchesOfOne = one.lab.directory.searches - idle;

  const to = await testGateway(t);
  await ask(to, 'upFront', { as: 'nobody' });
  const before = to.lab.directory.searches;
  // Held until all have arrived, otherwise the first answer would serve the rest from the cache.
  to.lab.directory.faults.delay = 500;
  const sessions = Array.from({ length: 10 }, () =>
    connect(`https://127.0.0.1:${to.ports.upFront}`, { ca: to.ca, ...to.identity('carol') }),
  );
  const statuses = await Promise.all(
    sessions.flatMap((session) => Array.from({ length: 100 }, () => statusOf(session))),
  );
  for (const session of sessions) session.destroy();
  t.equal(statuses.filter((status) => status === 200).length, 1000);
  t.equal(to.lab.directory.searches - before, searchesOfOne);
});

function statusOf(session: ClientHttp2Session): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/payroll' });
    let status = 0;
    stream.on('response', (headers) => (status = headers[':status'] ?? 0));
    stream.once('error', reject);
    stream.once('end', () => resolve(status));
    stream.resume();
  });
}

void t.test('an outage in the middle of load', async (t) => {
  const clock = shiftableClock();
  const to = await testGateway(t, { configure: quick, facilities: { clock } });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => agent.destroy());
  t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200);

  const load = { going: true };
  const statuses: number[] = [];
  const loops = Array.from({ length: 8 }, async () => {
    while (load.going) statuses.push((await ask(to, 'upFront', { as: 'alice', agent })).status);
  });
  while (statuses.length < 50) await ask(to, 'upFront', { as: 'alice', path: '/' });
  await to.lab.directory.stop();
  const mark = statuses.length;

  const started = performance.now();
  const strangers = await Promise.all(
    ['bob', 'carol', 'nobody', 'workstation'].map((as) => ask(to, 'upFront', { as })),
  );
  const took = performance.now() - started;
  for (const answer of strangers) {
    t.equal(answer.status, 503, 'who is not in the cache is told to try again');
    t.equal(answer.headers['retry-after'], '5');
    t.equal(codeOf(to, answer.headers['x-request-id']), 'directoryUnavailable');
  }
  t.ok(took < 4000, `answered within the deadline and some scheduling (${Math.round(took)} ms)`);
  while (statuses.length < mark + 50) await ask(to, 'upFront', { as: 'alice', path: '/' });
  load.going = false;
  await Promise.all(loops);
  t.same([...new Set(statuses)], [200], 'who is in the cache goes on');

  clock.shift(9 * 60_000);
  t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200, 'up to maximumAge');
  clock.shift(2 * 60_000);
  t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 503, 'and no longer');
  t.equal((await ask(to, 'upFront', { path: '/' })).status, 200, 'what needs no directory is served all the time');
  const readiness = await to.gateway.readiness();
  t.equal(readiness.ready, false);
  t.match(readiness.reasons.join(), /lab\.example\.test/);

  await to.lab.directory.start();
  let status = 503;
  for (let tries = 0; tries < 200 && status === 503; tries += 1) {
    clock.shift(1000);
    status = (await ask(to, 'upFront', { as: 'carol' })).status;
  }
  t.equal(status, 200, 'mapping resumes by itself');
  t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200);
  t.equal(to.gateway.requestsInFlight(), 0, 'no request is left hanging');
});

function codeOf(to: TestGateway, requestId: unknown): unknown {
  return to.log.findLast((line) => line['requestId'] === requestId)?.['code'];
}
