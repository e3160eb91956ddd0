/**
 * What changes in the directory is seen by connections that live on, within one poll: nobody has to log on again, wait for a cache, or
 * be forgotten by hand. One test for each kind of change, on real sockets with the embedded directory.
 */
import { once } from 'node:events';
import https from 'node:https';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { adUser } from '../../src/lab/directory-entries.ts';
import { labDomain } from '../../src/lab/accounts.ts';
import { ask, testGateway, testLab, type TestAnswer, type TestGateway } from '../support/gateway.ts';

const users = 'CN=Users,DC=lab,DC=example,DC=test';
const alice = `CN=alice,${users}`;
const payroll = `CN=Payroll,${users}`;
const restricted = (yaml: string): string =>
  yaml.replace(
    '        maximumAge: 10m\n',
    "        maximumAge: 10m\n        authorize: { groups: ['LAB\\Payroll'] }\n",
  );

await t.test('a live connection sees', { timeout: 240_000 }, async (t) => {
  const lab = await testLab(t);
  const { directory } = lab;
  const before = directory.snapshot();
  // Long intervals everywhere else: only a poll can be what tells of a change.
  const start = (t: Test, configure: (yaml: string) => string = (yaml) => yaml) => {
    directory.restore(before);
    return testGateway(t, {
      lab,
      configure: (yaml) =>
        `${configure(yaml)}\nlimits: { recheck: 24d }\nmapping: { cache: { positive: 1d, negative: 1d } }\n`,
      pollInterval: '1s',
    });
  };

  /** Milliseconds until the next search. */
  const pause = async (): Promise<number> => {
    const began = performance.now();
    await directory.reached(directory.searches + 1);
    return performance.now() - began;
  };
  /** What a gateway asks when it starts comes close together; then there are polls. */
  const quiet = async (): Promise<void> => {
    while ((await pause()) < 700);
  };

  /** One client whose connection is kept: asks, and knows whether it is still the connection of the first time. */
  const client = (t: Test, to: TestGateway) => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    const socket = () => Object.values(agent.freeSockets).flat()[0];
    return {
      get: (): Promise<TestAnswer> => ask(to, 'upFront', { as: 'alice', agent }),
      async ended(): Promise<void> {
        const live = socket();
        if (live !== undefined && !live.destroyed) await once(live, 'close');
      },
      socket,
    };
  };
  const verdictOf = (to: TestGateway): unknown => to.log.at(-1)?.['code'];
  const accountOf = (to: TestGateway) => to.gateway.setup.mapper;

  /** Passes, then something happens, then the connection is ended and who connects again is told why. */
  const endedBy = async (t: Test, change: () => void, why: string, configure?: (yaml: string) => string) => {
    const to = await start(t, configure);
    const one = client(t, to);
    t.equal((await one.get()).status, 200);
    await quiet();
    change();
    await one.ended();
    const again = await one.get();
    t.not(again.status, 200);
    t.equal((await to.logged(again.headers['x-request-id']))['code'], why);
    return { to, one };
  };

  await t.test('that its account is disabled, and who comes back that it is enabled again', async (t) => {
    const { one } = await endedBy(t, () => directory.replace(alice, 'userAccountControl', ['514']), 'accountDisabled');
    directory.replace(alice, 'userAccountControl', ['512']);
    for (let status = 0; status !== 200; await turn()) ({ status } = await one.get());
    t.pass('a refusal that was to be kept for a day does not outlive its reason');
  });

  await t.test('that its mapping is another, and who comes back that it is there again', async (t) => {
    const [entry] = lab.directory.snapshot().objects.filter(({ entry: { dn } }) => dn === alice);
    const values = entry?.entry.attributes['altSecurityIdentities'] ?? [];
    const { one } = await endedBy(
      t,
      () => directory.replace(alice, 'altSecurityIdentities', ['X509:<SKI>00']),
      'weakMapping',
    );
    directory.replace(alice, 'altSecurityIdentities', values);
    for (let status = 0; status !== 200; await turn()) ({ status } = await one.get());
    t.pass('a value that comes back makes an old "nobody" wrong');
  });

  await t.test('that a second account has its value, and who comes back that it is gone', async (t) => {
    const [entry] = lab.directory.snapshot().objects.filter(({ entry: { dn } }) => dn === alice);
    const values = (entry?.entry.attributes['altSecurityIdentities'] ?? []).map(String);
    const twin = adUser({ ...labDomain, rid: 9001, name: 'twin', altSecurityIdentities: values });
    const { one } = await endedBy(t, () => directory.add(twin), 'ambiguous');
    directory.replace(twin.dn, 'altSecurityIdentities', []);
    for (let status = 0; status !== 200; await turn()) ({ status } = await one.get());
    t.pass('and one account is one account again');
  });

  await t.test('that it is not in the group any more, and who comes back that it is', async (t) => {
    const change = () => directory.replace(payroll, 'member', []);
    const { one } = await endedBy(t, change, 'notAuthorised', restricted);
    directory.replace(payroll, 'member', [alice]);
    for (let status = 0; status !== 200; await turn()) ({ status } = await one.get());
    t.pass('everybody may be in a group that has changed');
  });

  await t.test('that its account is deleted', async (t) => {
    await endedBy(t, () => directory.delete(alice), 'notMapped');
  });

  await t.test('that its account was moved: it goes on under its new name', async (t) => {
    const to = await start(t);
    const one = client(t, to);
    t.equal((await one.get()).status, 200);
    await quiet();
    const live = one.socket();
    const reads = () => accountOf(to)?.size;
    t.equal(reads(), 1);
    const moved = alice.replace('CN=Users', 'OU=New');
    const { searches } = directory;
    directory.move(alice, moved);
    await directory.reached(searches + 6);
    for (let name = ''; name !== moved; await turn()) {
      await one.get();
      const explained = to.gateway.setup.directory?.forests[0];
      const located = await explained?.locate(
        [{ attribute: 'userPrincipalName', value: 'alice@lab.example.test' }],
        to.settings.mapping.deadline,
      );
      name = located?.kind === 'answered' ? (located.accounts[0]?.dn ?? '') : '';
    }
    t.equal(one.socket(), live, 'nothing that decides has changed');
    t.equal(verdictOf(to), 'authorised');
  });

  await t.test('nothing when nothing has changed, for one search a poll', async (t) => {
    const to = await start(t);
    const one = client(t, to);
    t.equal((await one.get()).status, 200);
    await quiet();
    const { searches } = directory;
    for (let poll = 1; poll <= 3; poll += 1) {
      t.equal((await one.get()).status, 200);
      t.equal(directory.searches, searches + poll - 1, 'requests cost none');
      t.ok((await pause()) > 300, 'and polls one each, an interval apart');
    }
  });
});
