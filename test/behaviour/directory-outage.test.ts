/**
 * Forest servers that die, hang, refuse, lie half-way or come back, under the eyes of people who want to log on. Nobody waits
 * longer than asked, nothing that is not known counts as an answer, and one bad server does not take the others along.
 */
import type { Socket } from 'node:net';
import t from 'tap';
import type { Millis } from '../../src/base/brand.ts';
import { ConnectionPool } from '../../src/directory/connection-pool.ts';
import type { Assertion, Forest, Located } from '../../src/directory/directory.ts';
import { parseEndpoint } from '../../src/directory/endpoint.ts';
import type { DirectoryServer } from '../../src/lab/directory-server.ts';
import {
  authority,
  bind,
  domain,
  gateFor,
  handClock,
  openDirectory,
  readyDirectory,
  settingsFor,
  startDc,
  startScript,
  until,
  user,
} from '../support/directory-world.ts';
import { asksFor, startSilentServer } from '../support/scripted-ldap.ts';

const patience = 20_000 as Millis;
const long = 60_000 as Millis;

function alt(value: string): Assertion[] {
  return [{ attribute: 'altSecurityIdentities', value }];
}

const alice = user(1001, 'alice', { altSecurityIdentities: ['A'] });
const people = Array.from({ length: 50 }, (_, index) =>
  user(2000 + index, `user${index}`, { altSecurityIdentities: [`X${index}`] }),
);

/** `alice`, or `unknown`: all that matters in most of these stories. */
function outcome(located: Located): string {
  if (located.kind === 'unknown') return 'unknown';
  return located.accounts.map(({ samAccountName }) => samAccountName).join() || 'nobody';
}

function reasonIn(located: Located): string {
  return located.kind === 'unknown' ? located.reason : `not unknown but ${outcome(located)}`;
}

/** Until the directory has both its connections: one carries four searches at a time, the fifth needs the other. */
async function bothLive(server: DirectoryServer, forest: Forest): Promise<void> {
  const start = server.searches;
  server.faults.hold = true;
  const held: Promise<Located>[] = [];
  for (let index = 1; index <= 5; index++) {
    held.push(forest.locate(alt('nobody'), patience));
    await server.reached(start + index);
  }
  server.faults.hold = false;
  await Promise.all(held);
}

await t.test('a server that stops and starts again', async (t) => {
  await t.test('200 lookups while it dies: each settles, none with a wrong answer', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    server.faults.hold = true;
    const before = server.searches;
    const located = Array.from({ length: 200 }, async (_, index) => {
      if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      return await forest.locate(alt(`X${index % 50}`), patience);
    });
    await server.reached(before + 3);
    await server.stop();
    const outcomes = (await Promise.all(located)).map(outcome);
    t.ok(
      outcomes.every((one) => one === 'unknown'),
      'all were held, none was answered',
    );
    server.faults.hold = false;
    t.equal(outcomes.length, 200);
  });

  await t.test('lookups through stops and starts: right or unknown, and right again at the end', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const seen = new Set<string>();
    let asked = 0;
    const rounds = { over: false };
    const clients = Array.from({ length: 20 }, async (_, client) => {
      while (!rounds.over) {
        const which = (client + asked++) % 50;
        const one = outcome(await forest.locate(alt(`X${which}`), patience));
        seen.add(one === `user${which}` ? 'right' : one);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    for (let round = 0; round < 3; round++) {
      const from = asked;
      await until(() => asked > from + 50);
      await server.stop();
      await until(async () => (await forest.health())[0]?.state === 'down');
      await server.start();
      await until(async () => (await forest.health())[0]?.state === 'up');
    }
    rounds.over = true;
    await Promise.all(clients);
    t.strictSame([...seen].toSorted(), ['right', 'unknown'], 'never nobody, never somebody else');
    t.equal(outcome(await forest.locate(alt('X7'), patience)), 'user7');
    t.ok(
      forest.records.every(({ result }) => !result.includes('operationsError')),
      'no search ever ran without a bind',
    );
  });

  await t.test('a connection that dies under a search costs nothing but a second try on another', async (t) => {
    const server = await startDc(t, [alice]);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    server.faults.dropNext = 1;
    const located = await forest.locate(alt('A'), patience);
    t.equal(outcome(located), 'alice');
    t.match(located.searches, [{ result: /closed|ended|disconnected|reset/i }, { result: '1 entry' }]);
    await bothLive(server, forest);
    server.faults.dropNext = 2;
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice', 'both connections may be dead');
    await bothLive(server, forest);
    server.faults.dropNext = 3;
    t.match(reasonIn(await forest.locate(alt('A'), patience)), /clos|reset/, 'but a new one is tried once');
    await until(async () => outcome(await forest.locate(alt('A'), patience)) === 'alice');
  });

  await t.test('connections that the server closes while idle are opened again before they are needed', async (t) => {
    const server = await startDc(t, [alice]);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    await until(() => server.connections === 2);
    const { accepted } = server;
    await server.stop();
    await server.start();
    await until(() => server.accepted >= accepted + 2 && server.connections === 2);
    await until(async () => (await forest.health())[0]?.state === 'up');
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    t.equal(server.binds, server.accepted, 'each connection is bound');
  });

  await t.test('half a message is not half an answer', async (t) => {
    const server = await startDc(t, [alice]);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    server.faults.halfMessage = true;
    t.match(reasonIn(await forest.locate(alt('A'), patience)), /middle of a message|closed/);
    server.faults.halfMessage = false;
    await until(async () => outcome(await forest.locate(alt('A'), patience)) === 'alice');
  });

  await t.test('a server that drops every connection after its greeting is not hammered', async (t) => {
    const server = await startScript(t, {
      search(request, connection) {
        if (request.base !== '') connection.socket.destroy();
        return request.base !== '';
      },
    });
    const forest = openDirectory(t, settingsFor([server.url]));
    for (let turn = 0; turn < 50; turn++) {
      t.equal(outcome(await forest.locate(alt('A'), patience)), 'unknown');
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.ok(server.accepted < 20, `${server.accepted} connections for 50 lookups`);
  });
});

await t.test('a server that is silent', async (t) => {
  await t.test(
    'takes connections but speaks no TLS: nobody waits longer than asked, then nobody waits at all',
    async (t) => {
      const silent = await startSilentServer();
      t.teardown(() => silent.close());
      // The pause after a failure is without end here: whatever is connected after it is connected for a lookup.
      const facilities = { random: () => 1_000_000 };
      const forest = openDirectory(t, settingsFor([silent.url], { connectTimeout: 150 as Millis }), facilities);
      t.match(reasonIn(await forest.locate(alt('A'), 50 as Millis)), /connecting/);
      t.match(await forest.health(), [{ state: 'down', reason: /no TLS connection within 150 ms/ }]);
      const { accepted } = silent;
      for (let index = 0; index < 100; index++)
        t.match(
          reasonIn(await forest.locate(alt('A'), long)),
          /down: no TLS connection/,
          'at once, although it could wait a minute',
        );
      t.equal(silent.accepted, accepted, 'and without a connection for each');
    },
  );

  await t.test('never answers the bind', async (t) => {
    const server = await startScript(t, { bind: () => true });
    const forest = openDirectory(t, settingsFor([server.url], { connectTimeout: 150 as Millis }));
    t.match(await forest.health(), [{ state: 'down', reason: /no answer to the bind within 150 ms/ }]);
    t.match(reasonIn(await forest.locate(alt('A'), long)), /down/);
  });

  await t.test('never answers the rootDSE', async (t) => {
    const server = await startScript(t, { search: () => true });
    const forest = openDirectory(t, settingsFor([server.url], { searchTimeout: 100 as Millis }));
    t.match(await forest.health(), [{ state: 'down', reason: /rootDSE was not read: no answer within 100 ms/ }]);
  });

  await t.test(
    'answers nothing after a good start: the deadline holds, then it is given up, then it is found again',
    async (t) => {
      const server = await startDc(t, [alice]);
      const forest = await readyDirectory(
        t,
        settingsFor([server.url], { searchTimeout: 300 as Millis, connectTimeout: 300 as Millis }),
      );
      server.faults.silent = true;
      t.match(reasonIn(await forest.locate(alt('A'), 60 as Millis)), /did not answer|no complete answer/);
      t.match(await forest.health(), [{ state: 'up' }], 'one impatient caller is no proof');
      t.match(reasonIn(await forest.locate(alt('A'), patience)), /no answer within 300 ms/);
      t.match(await forest.health(), [{ state: 'down', reason: /no answer within 300 ms/ }]);
      t.match(reasonIn(await forest.locate(alt('A'), long)), /is down/);
      server.faults.silent = false;
      await until(async () => outcome(await forest.locate(alt('A'), patience)) === 'alice');
    },
  );

  await t.test(
    'one search without an answer costs its own connection; the others on it are answered elsewhere',
    async (t) => {
      let stuck = 0;
      const server = await startScript(t, {
        search(request, connection) {
          if (asksFor(request, 'never')) {
            stuck = connection.number;
            return true;
          }
          // On the connection that hangs nothing is answered any more, on the other everything is.
          return connection.number === stuck;
        },
      });
      const forest = openDirectory(t, settingsFor([server.url], { searchTimeout: 400 as Millis }));
      await Promise.all([forest.ntAuth(), forest.domains()]);
      const never = forest.locate(alt('never'), patience);
      await until(() => stuck !== 0);
      const others: Promise<Located>[] = [];
      for (let index = 0; index < 12; index++) {
        others.push(forest.locate(alt(`other${index}`), patience));
        await until(() => server.searches.some((request) => asksFor(request, `other${index}`)));
      }
      t.equal(outcome(await never), 'unknown');
      t.strictSame(
        (await Promise.all(others)).map(outcome),
        others.map(() => 'nobody'),
        'answered, each of them',
      );
      t.match(await forest.health(), [{ state: 'up' }], 'the server spoke meanwhile: it lives');
    },
  );
});

await t.test('several controllers', async (t) => {
  await t.test(
    'the next one is asked within the deadline, and from then on the silent one costs nobody anything',
    async (t) => {
      const first = await startDc(t, [alice]);
      const second = await startDc(t, [alice]);
      const forest = await readyDirectory(t, settingsFor([first.url, second.url], { searchTimeout: 60_000 as Millis }));
      await until(async () => (await forest.health()).every(({ state }) => state === 'up'));
      first.faults.silent = true;
      const searches = second.searches;
      const located = await forest.locate(alt('A'), 1000 as Millis);
      t.equal(outcome(located), 'alice', 'half of the time for the first, the rest for the second');
      t.match(located, { accounts: [{ server: second.url }] });
      const before = first.searches;
      for (let index = 0; index < 50; index++) t.equal(outcome(await forest.locate(alt('A'), 1000 as Millis)), 'alice');
      t.equal(first.searches, before, 'the doubtful one is not asked while there is a better one');
      t.equal(second.searches - searches, 51);
    },
  );

  await t.test('one that is still connecting is not waited for while another is up', async (t) => {
    const silent = await startSilentServer();
    t.teardown(() => silent.close());
    const good = await startDc(t, [alice]);
    const forest = openDirectory(t, settingsFor([silent.url, good.url], { connectTimeout: long }));
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
  });

  await t.test(
    'one that is down, busy or drops what it is asked is followed by the next, in the order of preference',
    async (t) => {
      const first = await startDc(t, [alice]);
      const second = await startDc(t, [alice]);
      const forest = await readyDirectory(t, settingsFor([first.url, second.url]));
      await until(async () => (await forest.health()).every(({ state }) => state === 'up'));
      const serverOf = async (): Promise<string> => {
        const located = await forest.locate(alt('A'), patience);
        return located.kind === 'answered' ? (located.accounts[0]?.server ?? '') : located.reason;
      };
      t.equal(await serverOf(), first.url);
      first.faults.resultCode = 51;
      t.equal(await serverOf(), second.url, 'busy');
      first.faults.resultCode = null;
      first.faults.dropNext = 3;
      t.equal(await serverOf(), second.url, 'every connection died');
      await first.stop();
      t.equal(await serverOf(), second.url, 'stopped');
      await first.start();
      await until(async () => (await serverOf()) === first.url);
    },
  );

  await t.test('a result about the search is the answer: another server would say the same', async (t) => {
    const first = await startDc(t, [alice]);
    const second = await startDc(t, [alice]);
    const forest = await readyDirectory(t, settingsFor([first.url, second.url]));
    const before = second.searches;
    first.faults.resultCode = 32;
    t.match(reasonIn(await forest.locate(alt('A'), patience)), /noSuchObject/);
    t.equal(second.searches, before);
  });

  await t.test('when all are down the reason names each', async (t) => {
    const servers = await Promise.all([startDc(t, []), startDc(t, [])]);
    const forest = await readyDirectory(t, settingsFor(servers.map(({ url }) => url)));
    await Promise.all(servers.map((server) => server.stop()));
    await until(async () => (await forest.health()).every(({ state }) => state === 'down'));
    const reason = reasonIn(await forest.locate(alt('A'), long));
    for (const { url } of servers) t.ok(reason.includes(`${url} is down: `), reason);
  });
});

await t.test('a bind account that is refused', async (t) => {
  const wrong = { ...bind, password: 'wrong' };
  const settingsWith = (urls: readonly string[], credentials = wrong) => ({
    ...settingsFor(urls),
    domains: [{ name: domain, controllers: urls, discovery: null, bind: credentials }],
  });

  await t.test('one bind is sent, to one server, and none for all that follows', async (t) => {
    const first = await startDc(t, [alice]);
    const second = await startDc(t, [alice]);
    const forest = openDirectory(t, { ...settingsWith([first.url, second.url]), globalCatalog: [] });
    t.match(await forest.health(), [
      { state: 'refused', reason: /invalidCredentials \(49\).*data 52e/ },
      { state: 'refused', reason: /invalidCredentials/ },
    ]);
    t.equal(first.binds + second.binds, 1, 'a wrong password counts towards the lockout on all controllers together');
    for (let index = 0; index < 100; index++)
      t.match(reasonIn(await forest.locate(alt('A'), long)), /is refused: .*invalidCredentials/);
    t.match(await forest.ntAuth(), { kind: 'unknown' });
    t.equal(first.binds + second.binds, 1);
    t.equal(first.accepted + second.accepted, 2, 'nor is anything connected');
  });

  await t.test('told that the account is mended, it binds again and works', async (t) => {
    const server = await startDc(t, [alice]);
    server.faults.refuseBind = true;
    const forest = openDirectory(t, settingsFor([server.url]));
    t.match(await forest.health(), [{ state: 'refused' }]);
    forest.retry();
    t.match(await forest.health(), [{ state: 'refused' }], 'not mended yet');
    t.equal(server.binds, 2);
    server.faults.refuseBind = false;
    forest.retry();
    t.match(await forest.health(), [{ state: 'up', reason: '' }]);
    t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
  });

  await t.test(
    'a password that stops being good: what is bound goes on, what has to bind again asks once in all',
    async (t) => {
      const server = await startDc(t, [alice]);
      const forest = await readyDirectory(t, settingsFor([server.url]));
      await bothLive(server, forest);
      server.faults.refuseBind = true;
      t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
      server.faults.dropNext = 1;
      t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice', 'on the connection that is left');
      await until(() => server.binds === 3);
      await until(async () => (await forest.health())[0]?.reason !== '');
      t.match(await forest.health(), [{ state: 'up', reason: /opens no more: .*invalidCredentials/ }]);
      t.equal(outcome(await forest.locate(alt('A'), patience)), 'alice');
      const { binds, accepted } = server;
      await server.stop();
      await server.start();
      await until(async () => (await forest.health())[0]?.state === 'refused');
      for (let index = 0; index < 20; index++) t.match(reasonIn(await forest.locate(alt('A'), long)), /refused/);
      t.strictSame([server.binds, server.accepted], [binds, accepted], 'the refusal is known by now');
    },
  );

  await t.test('an account that is locked out for now is tried again, at leisure', async (t) => {
    let locked = true;
    const message = '80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data 775, v4563';
    const server = await startScript(t, {
      bind(request, connection) {
        if (locked) connection.bound(request.id, 49, message);
        return locked;
      },
    });
    const forest = openDirectory(t, settingsFor([server.url]));
    t.match(await forest.health(), [{ state: 'down', reason: /data 775/ }]);
    locked = false;
    await until(async () => (await forest.health())[0]?.state === 'up');
    t.ok(server.binds < 20, `${server.binds} binds`);
  });

  await t.test("other answers to a bind are the server's trouble, not the account's", async (t) => {
    for (const code of [8, 51, 53]) {
      const server = await startScript(t, {
        bind(request, connection) {
          connection.bound(request.id, code, 'no');
          return true;
        },
      });
      const forest = openDirectory(t, settingsFor([server.url]));
      t.match(await forest.health(), [{ state: 'down', reason: new RegExp(`\\(${code}\\): no`) }]);
    }
  });
});

await t.test('bounds', async (t) => {
  await t.test('connections that have answered may end: that is no failure of the server', async (t) => {
    /** Connections that have carried a search: the directory knows that it has them. */
    const used = new Set<Socket>();
    const server = await startScript(t, {
      search(request, { socket }) {
        if (request.base === '') return false;
        used.add(socket);
        socket.on('close', () => used.delete(socket));
        return false;
      },
    });
    const forest = await readyDirectory(t, settingsFor([server.url]), { clock: handClock() });
    const lookUp = async (): Promise<string> => outcome(await forest.locate(alt('A'), patience));
    const bothUsed = async (): Promise<boolean> => {
      const first = lookUp();
      await new Promise((resolve) => setImmediate(resolve));
      await Promise.all([first, lookUp()]);
      return used.size === 2;
    };
    const dropAll = (): void => {
      for (const socket of used) socket.destroy();
    };
    await until(bothUsed);
    dropAll();
    t.equal(await lookUp(), 'nobody', 'it had answered: it is connected again at once');
    dropAll();
    t.equal(await lookUp(), 'nobody', 'and again');
  });

  await t.test('a connection that nobody used may end too, once it has lasted', async (t) => {
    const sockets = new Set<Socket>();
    const server = await startScript(t, {
      bind(_request, { socket }) {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        return false;
      },
    });
    const clock = handClock();
    const health: string[] = [];
    const pool = new ConnectionPool({
      endpoint: parseEndpoint(server.url),
      certificateAuthorities: [authority.cert],
      gate: gateFor(bind),
      connectTimeout: patience,
      connections: 2,
      monotonic: () => clock.monotonic(),
      random: () => 0,
      greet: () => Promise.resolve(null),
      changed: () => void health.push(pool.state),
    });
    t.teardown(() => pool.close());
    const bothLive = (): boolean => [...pool.connections].length === 2;
    const dropAll = async (): Promise<void> => {
      await until(bothLive);
      health.length = 0;
      for (const socket of sockets) socket.destroy();
      await until(() => pool.state !== 'up');
      await until(bothLive);
    };
    await until(bothLive);
    clock.advance(5000);
    await dropAll();
    t.notOk(health.includes('down'), 'it had lasted: it is connected again at once');
    await dropAll();
    t.ok(health.includes('down'), 'it had not: it is left alone for a while');
  });

  await t.test('connections that end as soon as they are made open the breaker', async (t) => {
    const server = await startScript(t, {
      search(_request, { socket }) {
        setImmediate(() => socket.destroy());
        return false;
      },
    });
    const forest = openDirectory(t, settingsFor([server.url]), { clock: handClock() });
    await until(async () => (await forest.health())[0]?.state === 'down');
    t.match(reasonIn(await forest.locate(alt('A'), long)), /is down/);
  });

  await t.test('the port closes what it takes', async (t) => {
    const server = await startDc(t, []);
    server.faults.refuseConnections = true;
    const forest = openDirectory(t, settingsFor([server.url], { connectTimeout: long }));
    t.match(await forest.health(), [{ state: 'down', reason: /ECONNRESET|disconnected|closed/ }]);
  });

  await t.test('what waits is bounded: one lookup more is unknown at once', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url], { maximumQueue: 10 }));
    await until(() => server.connections === 2);
    const start = server.searches;
    server.faults.hold = true;
    const held: Promise<Located>[] = [];
    // Each turn of the event loop makes one search, until the window is full.
    for (let index = 0; index < 8; index++) {
      held.push(forest.locate(alt(`X${index}`), patience));
      await server.reached(start + index + 1);
    }
    for (let index = 8; index < 18; index++) held.push(forest.locate(alt(`X${index}`), patience));
    const refused = await Promise.all(Array.from({ length: 100 }, () => forest.locate(alt('X1'), long)));
    for (const one of refused) t.match(reasonIn(one), /10 lookups waiting already/);
    t.equal(server.searches - start, 8, 'nothing more travels');
    server.faults.hold = false;
    const outcomes = (await Promise.all(held)).map(outcome);
    t.strictSame(
      outcomes,
      held.map((_, index) => `user${index}`),
    );
    t.equal(server.searches - start, 9, 'what waited travelled together');
  });

  await t.test('a server has two connections at least and never more than asked, whatever the load', async (t) => {
    const server = await startDc(t, people);
    const forest = openDirectory(t, settingsFor([server.url], { connections: 1 }));
    await Promise.all(Array.from({ length: 500 }, (_, index) => forest.locate(alt(`X${index % 50}`), patience)));
    await until(() => server.connections === 2);
    t.equal(server.accepted, 2, 'a burst at the very start opens no socket of its own');
    t.equal(server.binds, 2);
    const wide = openDirectory(t, settingsFor([server.url], { connections: 5 }));
    await wide.health();
    await until(() => server.connections === 7);
    t.equal(server.accepted, 7);
  });

  await t.test('200 lookups at a server that falls silent settle by their own deadlines', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url], { searchTimeout: long }));
    server.faults.silent = true;
    let late = 0;
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const deadline = (100 + (index % 10) * 40) as Millis;
        const { promise, resolve } = Promise.withResolvers<'late'>();
        // A timer that is set later and for later fires later: no clock is read.
        const lookup = forest.locate(alt(`X${index % 50}`), deadline);
        const timer = setTimeout(() => resolve('late'), deadline + 100);
        const first = await Promise.race([lookup.then(outcome), promise]);
        clearTimeout(timer);
        if (first !== 'unknown') late += 1;
      }),
    );
    t.equal(late, 0);
  });
});

await t.test('the end', async (t) => {
  await t.test('closing settles what is under way, and leaves no socket and no timer', async (t) => {
    const server = await startDc(t, people);
    const silent = await startSilentServer();
    t.teardown(() => silent.close());
    const resources = (): string =>
      process
        .getActiveResourcesInfo()
        .filter((name) => /Timeout|TLS/.test(name))
        .toSorted()
        .join();
    const before = resources();
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const connecting = openDirectory(t, settingsFor([silent.url], { connectTimeout: long }));
    server.faults.hold = true;
    const start = server.searches;
    const lookups = [forest, connecting].map((one) => one.locate(alt('X1'), long));
    await server.reached(start + 1);
    const waiting = [connecting.health(), connecting.ntAuth(), connecting.domains()];
    await Promise.all([forest.close(), connecting.close()]);
    for (const located of await Promise.all(lookups)) t.match(reasonIn(located), /closed/);
    await Promise.all(waiting);
    server.faults.hold = false;
    t.match(reasonIn(await forest.locate(alt('X1'), long)), /the directory was closed/);
    forest.retry();
    t.match(await forest.health(), [{ state: 'down', reason: 'the directory was closed' }]);
    await until(() => server.connections === 0 && resources() === before);
    await Promise.all([forest.close(), connecting.close()]);
  });

  await t.test('a server that is just being greeted is let go too', async (t) => {
    const greeted = Promise.withResolvers<Socket>();
    const server = await startScript(t, { search: (_request, { socket }) => (greeted.resolve(socket), true) });
    const forest = openDirectory(t, settingsFor([server.url], { searchTimeout: long }));
    const socket = await greeted.promise;
    await forest.close();
    await until(() => socket.destroyed);
    t.match(await forest.health(), [{ state: 'down', reason: 'the directory was closed' }]);
  });

  await t.test('a wrong authority is said in so many words', async (t) => {
    const server = await startDc(t, [alice]);
    const forest = openDirectory(t, settingsFor([server.url], { certificateAuthorities: [] }));
    t.match(await forest.health(), [{ state: 'down', reason: /certificate/ }]);
    t.match(reasonIn(await forest.locate(alt('A'), long)), /certificate/);
    t.equal(server.binds, 0);
  });
});
