/**
 * What the mapper keeps, for how long and for whom, and that waiting requests share one question.
 */
import { hash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import type { Digest, Dn, Millis, Sid } from '../src/base/brand.ts';
import type { Account } from '../src/base/identity.ts';
import { noSteps, recordSteps } from '../src/base/steps.ts';
import type { Assertion, DirectoryChange, Groups } from '../src/directory/directory.ts';
import { maximumRefreshes, pauseAfterSilence } from '../src/mapping/refreshes.ts';
import { sweepStride } from '../src/mapping/sweep.ts';
import type {
  MapAnswer,
  MapOptions,
  MappedIdentity,
  MappingCacheSettings,
  MappingSubject,
} from '../src/mapping/mapper-contract.ts';
import { writeCertificate } from './support/certificate-writer.ts';
import { fakeAccount, labSid, type AccountFacts } from './support/fake-directory.ts';
import { parsed } from './support/mapping-cases.ts';
import {
  I,
  alice,
  bySerial,
  cached,
  issuerName,
  minute,
  options,
  outcome,
  setScene,
  settled,
  start,
  subjectOf,
} from './support/mapping-scene.ts';

await t.test('a hit is synchronous, gives the same identity every time and asks nobody', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  const first = scene.map();
  t.ok(first instanceof Promise);
  t.match(await first, { cache: 'miss', result: { searches: [{ server: 'dc.test' }] } });
  const hit = scene.map();
  t.notOk(hit instanceof Promise);
  t.match(hit, { cache: 'hit', result: { kind: 'mapped', searches: [] } });
  t.equal(identityOf(scene.map()), identityOf(hit));
  t.equal(scene.directory.asked.length, 1);
  t.equal(scene.mapper.size, 1);
});

await t.test('what is kept is what was found', async (t) => {
  const scene = setScene({
    accounts: [
      {
        ...alice,
        upn: 'a.müller@lab.example.test',
        expires: '2027-01-01T00:00:00Z',
        dnsHostName: 'a.lab.example.test',
        userAccountControl: 0x210,
        server: 'dc2.test',
        guid: '0123456789abcdef0123456789abcdef',
      },
      { name: 'LAB\\pc1$', rid: 7, altSecurityIdentities: ['X509:<SKI>01'], readAt: start },
    ],
    settings: { cache: cached },
  });
  for (const subject of [scene.subject, subjectOf({ serial: '99', subjectKeyIdentifier: '01' })]) {
    const found = await scene.map({}, subject);
    const kept = await scene.map({}, subject);
    t.equal(found.result.kind, 'mapped');
    t.strictSame({ ...kept.result, searches: [] }, { ...found.result, searches: [] });
    t.equal(kept.cache, 'hit');
  }
});

await t.test('a thousand first requests of one certificate ask as often as one', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  scene.directory.mood = 'held';
  const answers = Array.from({ length: 1000 }, async () => scene.map());
  await settled();
  scene.directory.release();
  const outcomes = (await Promise.all(answers)).map(({ cache }) => cache);
  t.equal(outcomes.filter((cache) => cache === 'miss').length, 1);
  t.equal(outcomes.filter((cache) => cache === 'joined').length, 999);
  t.equal(scene.directory.asked.length, 1);
});

await t.test('leaf, issuer and trust are parts of the key', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  const otherIssuer = parsed(writeCertificate({ issuer: issuerName, subject: issuerName, keyLabel: 'renewed' }));
  const others: readonly MappingSubject[] = [
    subjectOf({ serial: '2b' }),
    { ...scene.subject, trustDigest: '01' as Digest },
    { ...scene.subject, trustDigest: '01' as Digest, issuer: otherIssuer },
  ];
  for (const other of others) t.equal((await scene.map({}, other)).cache, 'miss');
  t.equal(scene.mapper.size, 4);
  t.equal((await scene.map({}, subjectOf())).cache, 'hit', 'not the object but its bytes');
});

await t.test('a refusal is kept for its own time', async (t) => {
  const scene = setScene({ settings: { cache: cached } });
  await scene.map();
  scene.advance(minute - 1);
  t.match(await scene.map(), { cache: 'negative', result: { kind: 'refused', verdict: { code: 'notMapped' } } });
  scene.directory.accounts = [fakeAccount(alice)];
  scene.advance(1);
  t.match(await scene.map(), { cache: 'miss', result: { kind: 'mapped' } });
});

await t.test('a crowd of unmapped certificates does not drive out a mapped one', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: { ...cached, maximum: 20 } } });
  await scene.map();
  for (let serial = 0x1000; serial < 0x1080; serial += 1)
    t.match(await scene.map({}, subjectOf({ serial: serial.toString(16) })), { result: { kind: 'refused' } });
  t.equal((await scene.map()).cache, 'hit');
  t.equal(scene.mapper.size, 3, 'one account and a tenth of the places for refusals');
});

await t.test('the cache is bounded and forgets what was used longest ago', async (t) => {
  const scene = setScene({ settings: { cache: { ...cached, maximum: 2 } } });
  const subjects = ['10', '11', '12'].map((serial) => subjectOf({ serial }));
  scene.directory.accounts = [
    fakeAccount({ ...alice, altSecurityIdentities: ['10', '11', '12'].map((serial) => `${I}<SR>${serial}`) }),
  ];
  for (const subject of subjects) await scene.map({}, subject);
  t.equal(scene.mapper.size, 2);
  t.equal((await scene.map({}, subjects[2])).cache, 'hit');
  t.equal((await scene.map({}, subjects[0])).cache, 'miss');
});

await t.test('maximum 0, or no time to live, keeps nothing', async (t) => {
  const zero = 0 as Millis;
  for (const cache of [
    { ...cached, maximum: 0 },
    { ...cached, positive: zero, negative: zero, stale: zero },
  ])
    for (const accounts of [[alice], []]) {
      const scene = setScene({ accounts, settings: { cache } });
      await scene.map();
      t.equal(scene.mapper.size, 0);
      t.equal((await scene.map()).cache, 'miss');
    }
});

await t.test('a stale answer is served while one new answer is fetched', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.advance(15 * minute - 1);
  t.match(scene.map(), { cache: 'hit' });
  scene.advance(1);
  scene.directory.mood = 'held';
  scene.directory.accounts = [fakeAccount({ ...alice, upn: 'new@lab.example.test', readAt: scene.clock.now() })];
  for (let count = 0; count < 5; count += 1)
    t.match(scene.map(), { cache: 'stale', result: { kind: 'mapped', identity: { account: { upn: null } } } });
  await settled();
  t.equal(scene.directory.asked.length, 2);
  scene.directory.release();
  await settled();
  t.match(scene.map(), { cache: 'hit', result: { identity: { account: { upn: 'new@lab.example.test' } } } });
  t.equal(scene.searches(), 2, 'the search in the background is counted');
});

await t.test('what a new answer refuses is refused at once afterwards', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.advance(16 * minute);
  scene.directory.accounts = [fakeAccount({ ...alice, disabled: true })];
  t.match(scene.map(), { cache: 'stale' });
  await settled();
  t.match(scene.map(), { cache: 'negative', result: { verdict: { code: 'accountDisabled' } } });
  scene.advance(minute);
  scene.directory.mood = 'silent';
  t.equal(outcome(await scene.map()), 'unknown directoryUnavailable', 'and the old account does not come back');
});

await t.test('a silent directory: the stale answer serves until stale ends, then nothing is known', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.directory.mood = 'silent';
  scene.advance(25 * minute - 1);
  t.match(scene.map(), { cache: 'stale', result: { kind: 'mapped' } });
  await settled();
  t.equal(scene.directory.asked.length, 2);
  t.match(scene.map(), { cache: 'stale' }, 'the silence took nothing away');
  scene.advance(1);
  t.match(await scene.map(), { cache: 'miss', result: { kind: 'unknown' } });
  t.equal(scene.mapper.size, 0);
});

await t.test('a directory that breaks in the background leaves the stale answer and no rejection', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.directory.mood = 'broken';
  scene.advance(16 * minute);
  t.match(scene.map(), { cache: 'stale' });
  await settled();
  t.match(scene.map(), { cache: 'stale' });
});

await t.test('after a silence the directory is left alone for a moment', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.directory.mood = 'silent';
  scene.advance(16 * minute);
  const askAndCount = async () => {
    t.match(scene.map(), { cache: 'stale' });
    await settled();
    return scene.directory.asked.length;
  };
  t.equal(await askAndCount(), 2);
  scene.advance(pauseAfterSilence - 1);
  t.equal(await askAndCount(), 2);
  scene.advance(1);
  t.equal(await askAndCount(), 3);
});

await t.test('a location with a maximumAge gets no older answer, stale or not', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  const maximumAge = (10 * minute) as Millis;
  await scene.map();
  scene.advance(10 * minute);
  t.match(scene.map({ maximumAge }), { cache: 'hit' }, 'exactly as old as allowed');
  scene.advance(1);
  scene.directory.mood = 'silent';
  t.match(await scene.map({ maximumAge }), { cache: 'miss', result: { kind: 'unknown' } });
  t.match(scene.map(), { cache: 'hit' }, 'other locations still get it');
  scene.directory.mood = 'well';
  scene.directory.accounts = [fakeAccount({ ...alice, readAt: scene.clock.now() })];
  t.match(await scene.map({ maximumAge }), { cache: 'miss', result: { kind: 'mapped' } });
  t.match(scene.map({ maximumAge }), { cache: 'hit' }, 'the new answer is kept');
  scene.advance(16 * minute);
  t.match(await scene.map({ maximumAge }), { cache: 'miss' }, 'no stale answer either');
});

await t.test('maximumAge counts from when the directory read the account, not from when we kept it', async (t) => {
  const scene = setScene({
    accounts: [{ ...alice, readAt: start - 9 * minute }],
    settings: { cache: cached },
  });
  await scene.map();
  scene.advance(2 * minute);
  t.match(await scene.map({ maximumAge: (10 * minute) as Millis }), { cache: 'miss' });
});

await t.test('maximumAge holds for refusals too', async (t) => {
  const scene = setScene({ settings: { cache: cached } });
  await scene.map();
  scene.advance(2);
  t.match(await scene.map({ maximumAge: 1 as Millis }), { cache: 'miss' });
});

await t.test('unknown is never kept', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  scene.directory.mood = 'silent';
  await scene.map();
  t.equal(scene.mapper.size, 0);
  scene.directory.mood = 'well';
  t.match(await scene.map(), { cache: 'miss', result: { kind: 'mapped' } });
});

await t.test('an account that expires while its answer is kept is refused from that moment', async (t) => {
  const scene = setScene({
    accounts: [{ ...alice, expires: '2026-11-22T12:05:00Z' }],
    settings: { cache: cached },
  });
  await scene.map();
  scene.advance(5 * minute - 1);
  t.match(scene.map(), { cache: 'hit', result: { kind: 'mapped' } });
  scene.advance(1);
  t.match(scene.map(), { cache: 'hit', result: { kind: 'refused', verdict: { code: 'accountExpired' } } });
});

await t.test('fresh asks whatever the cache holds, and keeps the answer', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  scene.directory.accounts = [];
  t.match(await scene.map({ fresh: true }), { cache: 'bypass', result: { kind: 'refused' } });
  t.match(scene.map(), { cache: 'negative' });
  scene.directory.mood = 'silent';
  t.match(await scene.map({ fresh: true }), { cache: 'bypass', result: { kind: 'unknown' } });
  t.match(scene.map(), { cache: 'negative' }, 'a silence takes nothing away');
});

await t.test('a hit and a join tell their step', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  const steps = recordSteps(() => 0);
  await Promise.all([scene.map(), scene.map({ steps })]);
  await scene.map({ steps });
  scene.advance(16 * minute);
  await scene.map({ steps });
  await settled();
  t.strictSame(
    steps.list.map(({ outcome }) => outcome),
    ['joined', 'hit', 'stale'],
  );
  t.match(steps.list[1]?.detail, /read 2026-11-22T12:00:00\.000Z: LAB\\alice/);
});

await t.test('forget drops everything, or what belongs to one account', async (t) => {
  const scene = setScene({
    accounts: [
      alice,
      { name: 'LAB\\bob', rid: 2, altSecurityIdentities: [`${I}<SR>10`] },
      { name: 'LAB\\carol', rid: 3, disabled: true, altSecurityIdentities: [`${I}<SR>11`] },
    ],
    settings: { cache: cached },
  });
  const bob = subjectOf({ serial: '10' });
  const carol = subjectOf({ serial: '11' });
  for (const subject of [scene.subject, bob, carol]) await scene.map({}, subject);
  t.equal(scene.mapper.forget(`${labSid}-2`), 1);
  t.equal((await scene.map()).cache, 'hit');
  t.equal((await scene.map({}, bob)).cache, 'miss');
  t.equal(scene.mapper.forget(`${labSid}-3`), 1, 'a refusal belongs to the account that it names');
  t.equal((await scene.map({}, carol)).cache, 'miss');
  t.equal(scene.mapper.forget(), 3);
  t.equal(scene.mapper.size, 0);
});

await t.test('what was asked before forget is not kept', async (t) => {
  for (const fresh of [false, true]) {
    const scene = setScene({ accounts: [alice], settings: { cache: cached } });
    scene.directory.mood = 'held';
    const before = scene.map({ fresh });
    await settled();
    scene.mapper.forget(`${labSid}-1105`);
    scene.directory.accounts = [];
    scene.directory.mood = 'well';
    t.match(await scene.map(), { cache: 'miss', result: { kind: 'refused' } }, 'nobody joins it either');
    scene.directory.release();
    t.match(await before, { result: { kind: 'mapped' } });
    t.match(scene.map(), { cache: 'negative' });
  }
});

await t.test('a question from before forget does not keep others from joining the one after it', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  scene.directory.mood = 'held';
  const before = scene.map();
  await settled();
  scene.mapper.forget();
  const after = scene.map();
  await settled();
  scene.directory.release(1);
  await before;
  const third = scene.map();
  await settled();
  scene.directory.release();
  t.match(await after, { cache: 'miss' });
  t.match(await third, { cache: 'joined' });
});

await t.test('no timer outlives its question', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const scene = setScene({ accounts: [alice] });
  await scene.map();
  scene.directory.mood = 'broken';
  await scene.map();
  t.equal(timers(), before);
});

await t.test('changes of accounts', async (t) => {
  const guidOf = (rid: number) => String(rid).padStart(32, '0');
  const account = (rid: number, ...identifiers: readonly Assertion[]): DirectoryChange => ({
    kind: 'account',
    guid: guidOf(rid),
    sid: `${labSid}-${rid}` as Sid,
    identifiers,
  });
  const explicit = (value: string): Assertion => ({ attribute: 'altSecurityIdentities', value });

  await t.test('end the answers about that account, good and bad, and no others', async (t) => {
    const bob = subjectOf({ serial: '10' });
    const scene = setScene({
      accounts: [alice, { name: 'LAB\\bob', rid: 2, disabled: true, altSecurityIdentities: [`${I}<SR>10`] }],
      settings: { cache: cached },
    });
    for (const subject of [scene.subject, bob]) await scene.map({}, subject);
    t.equal(await scene.mapper.noteChanges([account(7), account(2)]), 1);
    t.equal((await scene.map()).cache, 'hit');
    t.equal((await scene.map({}, bob)).cache, 'miss');
    t.equal(await scene.mapper.noteChanges([account(1105)]), 1);
    t.equal((await scene.map()).cache, 'miss');
    t.equal(await scene.mapper.noteChanges([]), 0);
  });

  await t.test('end every answer that was looked for by what the account has now', async (t) => {
    const upn = subjectOf({ serial: '11', upns: ['carol@lab.example.test'] });
    const host = subjectOf({ serial: '12', dnsNames: ['web01.lab.example.test'] });
    const changes: readonly (readonly [MappingSubject, Assertion])[] = [
      [subjectOf(), explicit(bySerial.toUpperCase().replace('X509', 'x509'))],
      [upn, { attribute: 'userPrincipalName', value: 'Carol@LAB.example.test' }],
      [upn, { attribute: 'sAMAccountName', value: 'CAROL', domain: 'other.example.test' }],
      [host, { attribute: 'sAMAccountName', value: 'WEB01$', domain: 'lab.example.test' }],
      [host, { attribute: 'servicePrincipalName', value: 'HOST/web01.lab.example.test' }],
    ];
    for (const [subject, identifier] of changes) {
      const scene = setScene({ accounts: [alice], settings: { cache: cached } });
      await scene.map({}, subject);
      const near = { ...identifier, value: `${identifier.value}x` };
      t.equal(await scene.mapper.noteChanges([account(9, near)]), 0, near.value);
      t.equal(await scene.mapper.noteChanges([account(9, explicit('other'), identifier)]), 1, identifier.value);
      t.equal((await scene.map({}, subject)).cache, 'miss');
    }
  });

  await t.test('end every "several": the one that is left may be found now', async (t) => {
    const scene = setScene({
      accounts: [alice, { ...alice, name: 'LAB\\twin', rid: 2 }],
      settings: { cache: cached },
    });
    t.equal(outcome(await scene.map()), 'refused ambiguous');
    scene.directory.accounts = [fakeAccount(alice)];
    t.equal(await scene.mapper.noteChanges([account(2)]), 1);
    t.match(await scene.map(), { cache: 'miss', result: { kind: 'mapped' } });
  });

  await t.test('reach answers that are on their way', async (t) => {
    const scene = setScene({ accounts: [alice], settings: { cache: cached } });
    scene.directory.mood = 'held';
    const before = scene.map();
    await settled();
    await scene.mapper.noteChanges([account(1105)]);
    scene.directory.release();
    t.match(await before, { result: { kind: 'mapped' } });
    t.equal(scene.mapper.size, 0);
  });

  await t.test('are looked for among thousands without standing in anybody’s way', async (t) => {
    const scene = setScene({ settings: { cache: { ...cached, maximum: 100_000 } } });
    const { leaf } = scene.subject;
    for (let index = 0; index < sweepStride + 10; index += 1)
      await scene.map({}, { ...scene.subject, leaf: { ...leaf, digest: hash('sha256', `${index}`, 'hex') as Digest } });
    let turns = 0;
    const count = () => {
      turns += 1;
      handle = setImmediate(count);
    };
    let handle = setImmediate(count);
    t.equal(await scene.mapper.noteChanges([account(9, explicit(bySerial))]), sweepStride + 10);
    clearImmediate(handle);
    t.ok(turns >= 1);
    t.equal(scene.mapper.size, 0);
  });

  await t.test('other domains, issuers and restored controllers: what depends on them ends', async (t) => {
    for (const what of ['ntAuth', 'partitions'] as const) {
      const scene = setScene({ accounts: [alice], settings: { cache: cached } });
      await scene.map();
      t.equal(
        await scene.mapper.noteChanges([
          { kind: 'unsure', reason: '' },
          { kind: 'forest', what },
        ]),
        1,
      );
      t.equal((await scene.map()).cache, 'miss');
    }
    const scene = setScene({ accounts: [alice], settings: { cache: cached } });
    await scene.map();
    const refused = subjectOf({ serial: '99' });
    await scene.map({}, refused);
    t.equal(await scene.mapper.noteChanges([{ kind: 'unseen' }]), 0);
    scene.advance(1);
    t.equal(await scene.mapper.noteChanges([{ kind: 'unsure', reason: '' }]), 2);
    t.equal((await scene.map({}, refused)).cache, 'miss', 'a refusal does not outlive its certainty');
    scene.advance(1);
    t.match(scene.map(), { cache: 'stale' });
    await settled();
    t.match(scene.map(), { cache: 'hit' }, 'and what was asked after it is as good as ever');
    scene.advance(0.6);
    await scene.map({ fresh: true });
    scene.advance(0.3);
    await scene.mapper.noteChanges([{ kind: 'unsure', reason: '' }]);
    t.match(scene.map(), { cache: 'stale' }, 'also what was kept less than a millisecond before');
    await settled();
    scene.advance(0.1);
    scene.directory.mood = 'silent';
    await scene.mapper.noteChanges([{ kind: 'unsure', reason: '' }]);
    scene.advance(10 * minute - 1);
    t.match(scene.map(), { cache: 'stale' });
    scene.advance(1);
    t.match(await scene.map(), { result: { kind: 'unknown' } }, 'stale begins where it became unsure');
  });

  await t.test('a crowd that goes out of date together is not asked for together', async (t) => {
    const scene = setScene({ settings: { cache: { ...cached, maximum: 1000 } } });
    const serials = Array.from({ length: maximumRefreshes + 20 }, (_, index) => (0x10 + index).toString(16));
    scene.directory.accounts = [
      fakeAccount({ ...alice, altSecurityIdentities: serials.map((serial) => `${I}<SR>${serial}`) }),
    ];
    const subjects = serials.map((serial) => subjectOf({ serial }));
    for (const subject of subjects) await scene.map({}, subject);
    await scene.mapper.noteChanges([{ kind: 'unsure', reason: '' }]);
    scene.directory.mood = 'held';
    const before = scene.directory.asked.length;
    for (const subject of subjects) t.match(scene.map({}, subject), { cache: 'stale' });
    await settled();
    t.equal(scene.directory.asked.length - before, maximumRefreshes);
    scene.advance(1);
    scene.directory.release();
    await settled();
    for (const subject of subjects) void scene.map({}, subject);
    await settled();
    t.equal(scene.directory.asked.length - before, subjects.length, 'the rest at another time');
    scene.directory.release();
  });
});

await t.test('who decides while something ends can see it', async (t) => {
  const { mapper, directory } = setScene({ accounts: [alice], settings: { cache: cached } });
  const [own] = directory.accounts as [Account];
  const moved = async (work: () => unknown) => {
    const before = mapper.endings;
    await work();
    return mapper.endings - before;
  };
  const account = { kind: 'account', guid: own.guid, sid: own.sid, identifiers: [] } as const;
  for (const change of [
    account,
    { kind: 'group', sid: own.sid, dn: own.dn, within: null },
    { kind: 'forest', what: 'ntAuth' },
    { kind: 'unsure', reason: '' },
  ] as const)
    t.equal(await moved(() => mapper.noteChanges([change])), 2, change.kind);
  const before = mapper.endings;
  const noted = mapper.noteChanges([account]);
  t.equal(mapper.endings, before + 1, 'as soon as it begins, and once more when all has been looked at');
  await noted;
  t.equal(await moved(() => mapper.noteChanges([{ kind: 'unseen' }])), 0);
  t.equal(await moved(() => mapper.noteAgain(new Map([[own, { kind: 'read', account: own }]]))), 0);
  t.equal(await moved(() => mapper.noteAgain(new Map([[own, { kind: 'gone', reason: '' }]]))), 1);
  t.equal(await moved(() => mapper.forget(own.sid)), 1);
});

await t.test('accounts that were read again', async (t) => {
  const scene = setScene({
    accounts: [
      alice,
      { name: 'LAB\\bob', rid: 2, disabled: true, altSecurityIdentities: [`${I}<SR>10`], readAt: start },
    ],
    settings: { cache: cached },
  });
  const bob = subjectOf({ serial: '10' });
  for (const subject of [scene.subject, bob]) await scene.map({}, subject);
  const [own, other] = scene.directory.accounts as [Account, Account];
  const maximumAge = minute as Millis;
  scene.advance(2 * minute);
  const readAt = scene.clock.now();

  t.equal(await scene.mapper.noteAgain(new Map([[own, { kind: 'unknown', reason: '' }]])), 0);
  const copy = { ...own, domain: 'COPY' };
  t.equal(await scene.mapper.noteAgain(new Map([[copy, { kind: 'gone', reason: '' }]])), 0, 'that is another account');
  t.equal(await scene.mapper.noteAgain(new Map([[own, { kind: 'read', account: { ...own, readAt } }]])), 0);
  t.match(scene.map({ maximumAge }), { cache: 'hit', result: { identity: { account: { readAt } } } }, 'as if read now');
  scene.advance(13 * minute);
  t.match(scene.map(), { cache: 'stale' }, 'but it is no younger to those who ask whether there is a second one');
  await settled();

  await scene.map({}, bob);
  t.equal(
    await scene.mapper.noteAgain(new Map([[other, { kind: 'read', account: { ...other, fingerprint: 'f' } }]])),
    1,
  );
  t.equal((await scene.map({}, bob)).cache, 'miss');
  scene.directory.mood = 'held';
  const asked = scene.map({ fresh: true });
  await settled();
  t.equal(await scene.mapper.noteAgain(new Map([[own, { kind: 'gone', reason: '' }]])), 1);
  scene.directory.release();
  await asked;
  t.equal(scene.mapper.size, 1, 'what was asked before is not kept');
});

await t.test('whoever needs a current answer waits for it, and takes the old one where there is none', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  t.match(scene.map({ current: true }), { cache: 'hit' });
  scene.advance(16 * minute);
  scene.directory.mood = 'silent';
  t.match(await scene.map({ current: true }), { cache: 'stale', result: { kind: 'mapped' } });
  scene.directory.mood = 'well';
  scene.directory.accounts = [];
  t.match(await scene.map({ current: true }), { cache: 'miss', result: { kind: 'refused' } });
});

await t.test('groups', async (t) => {
  const sid = (rid: number) => `${labSid}-${rid}` as Sid;
  const [first, second] = [fakeAccount(alice), fakeAccount({ name: 'LAB\\bob', rid: 2 })];
  const set = (more: Partial<MappingCacheSettings> = {}) => {
    const scene = setScene({ accounts: [alice], settings: { cache: { ...cached, ...more } } });
    const { directory, mapper, clock } = scene;
    directory.now = () => clock.now();
    directory.groups = new Map([
      [first.sid, new Set([sid(10), sid(11)])],
      [second.sid, new Set([sid(11)])],
    ]);
    const groupsOf = (account = first, options: Partial<MapOptions> = {}) =>
      mapper.groupsOf(account, clock.now(), { maximumAge: null, steps: noSteps, ...options });
    return { ...scene, groupsOf, reads: () => directory.groupReads.length };
  };
  const change = (rid: number, within: readonly number[] | null = []): DirectoryChange => ({
    kind: 'group',
    sid: sid(rid),
    dn: '' as Dn,
    within: within === null ? null : new Set(within.map(sid)),
  });

  await t.test('are read once for all who wait, then remembered', async (t) => {
    const scene = set();
    const all = await Promise.all([scene.groupsOf(), scene.groupsOf(), scene.groupsOf()]);
    t.match(all[2], { kind: 'read', sids: new Set([sid(10), sid(11)]), server: 'dc.test' });
    t.notOk(scene.groupsOf() instanceof Promise);
    t.equal(scene.reads(), 1);
    t.ok(scene.groupsOf(second) instanceof Promise);
    t.match(await scene.groupsOf(first, { fresh: true }), { kind: 'read' });
    t.equal(scene.reads(), 3, 'explain asks whatever is remembered');
  });

  await t.test('that are unknown are forgotten', async (t) => {
    const scene = set();
    scene.directory.groups = new Map();
    t.match(await scene.groupsOf(), { kind: 'unknown' });
    t.match(await scene.groupsOf(), { kind: 'unknown' });
    t.equal(scene.reads(), 2);
    scene.directory.holds = () => false;
    t.match(await scene.groupsOf(), { kind: 'unknown', reason: /none of the configured domains/ });
    scene.directory.holds = () => true;
    scene.directory.groupsOf = () => Promise.reject(new Error('a broken promise'));
    t.match(await scene.groupsOf(), { kind: 'unknown', reason: /a broken promise/ });
  });

  await t.test('grow old: served while they are read again, never older than a location wants', async (t) => {
    const scene = set();
    await scene.groupsOf();
    scene.advance(5 * minute);
    t.ok(scene.groupsOf(first, { maximumAge: minute as Millis }) instanceof Promise);
    await settled();
    scene.advance(15 * minute);
    t.notOk(scene.groupsOf() instanceof Promise);
    await settled();
    t.equal(scene.reads(), 3, 'in the background');
    scene.directory.mood = 'silent';
    scene.advance(15 * minute);
    t.match(await scene.groupsOf(first, { current: true }), { kind: 'read' }, 'the old ones where there are no others');
    t.match(scene.groupsOf(), { kind: 'read' });
    scene.advance(10 * minute);
    t.match(await scene.groupsOf(), { kind: 'unknown' });
    const none = set({ maximum: 0 });
    await none.groupsOf();
    t.ok(none.groupsOf() instanceof Promise, 'no memory, nothing remembered');
  });

  await t.test('end with a change of a group that they contain', async (t) => {
    const scene = set();
    await Promise.all([scene.groupsOf(), scene.groupsOf(second)]);
    t.equal(await scene.mapper.noteChanges([change(99, null)]), 0, 'nobody asks for any');
    t.equal(await scene.mapper.noteChanges([change(10)]), 1);
    t.ok(scene.groupsOf() instanceof Promise);
    t.notOk(scene.groupsOf(second) instanceof Promise);
  });

  await t.test('end for all with a change of a group that somebody asks for, or of one inside of it', async (t) => {
    for (const [changed, dropped] of [
      [change(50), 2],
      [change(99, [60, 50]), 2],
      [change(99, null), 2],
      [change(99, [60]), 0],
    ] as const) {
      const scene = set();
      scene.mapper.pin([sid(50)]);
      await Promise.all([scene.groupsOf(), scene.groupsOf(second)]);
      t.equal(await scene.mapper.noteChanges([changed]), dropped);
    }
  });

  await t.test('are forgotten when somebody begins to ask for another group', async (t) => {
    const scene = set();
    scene.mapper.pin([sid(50)]);
    await scene.groupsOf();
    t.equal(await scene.mapper.noteChanges([change(60)]), 0, 'whoever came into it has an old list');
    scene.mapper.pin([sid(50)]);
    t.notOk(scene.groupsOf() instanceof Promise);
    scene.mapper.pin([sid(50), sid(60)]);
    t.ok(scene.groupsOf() instanceof Promise);
  });

  await t.test('of a copy of the account in another forest are its own', async (t) => {
    const scene = set();
    const copy = { ...first, domain: 'COPY', sid: second.sid };
    const sidsOf = async (groups: Groups | Promise<Groups>) => {
      const answer = await groups;
      return answer.kind === 'read' ? [...answer.sids] : [];
    };
    t.same(await sidsOf(scene.groupsOf()), [sid(10), sid(11)]);
    t.same(await sidsOf(scene.groupsOf(copy)), [sid(11)]);
    scene.mapper.forget();
    t.same(await Promise.all([sidsOf(scene.groupsOf()), sidsOf(scene.groupsOf(copy))]), [
      [sid(10), sid(11)],
      [sid(11)],
    ]);
  });

  await t.test('that are on their way are kept when accounts were read again and none has changed', async (t) => {
    const scene = set();
    scene.directory.mood = 'held';
    const asked = scene.groupsOf();
    await settled();
    await scene.mapper.noteAgain(new Map([[first, { kind: 'read', account: first }]]));
    scene.directory.release();
    await asked;
    t.notOk(scene.groupsOf() instanceof Promise);
  });

  await t.test('end with a change of their account, of the forest, and when nothing is sure', async (t) => {
    const scene = set();
    const both = () => Promise.all([scene.groupsOf(), scene.groupsOf(second)]);
    await both();
    const account = { kind: 'account', guid: first.guid, sid: first.sid, identifiers: [] } as const;
    t.equal(await scene.mapper.noteChanges([account]), 1);
    await both();
    t.equal(await scene.mapper.noteAgain(new Map([[first, { kind: 'gone', reason: '' }]])), 1);
    await both();
    t.equal(await scene.mapper.noteChanges([{ kind: 'forest', what: 'partitions' }]), 2);
    await both();
    const before = scene.reads();
    t.equal(await scene.mapper.noteChanges([{ kind: 'unsure', reason: '' }]), 2);
    t.notOk(scene.groupsOf() instanceof Promise, 'served, and read again');
    await settled();
    t.equal(scene.reads(), before + 1);
    scene.mapper.forget();
    t.ok(scene.groupsOf() instanceof Promise);
  });

  await t.test('that are on their way when something changes are not kept', async (t) => {
    const scene = set();
    scene.directory.mood = 'held';
    const before = scene.groupsOf();
    await settled();
    await scene.mapper.noteChanges([change(98)]);
    const after = scene.groupsOf();
    t.equal(scene.reads(), 2, 'nor joined');
    scene.directory.release(1);
    t.match(await before, { kind: 'read' });
    t.ok(scene.groupsOf() instanceof Promise);
    scene.directory.release();
    await after;
    t.notOk(scene.groupsOf() instanceof Promise);
  });

  await t.test('weigh by how many they are', async (t) => {
    const scene = set({ maximum: 2 });
    const crowd = (from: number, count: number) =>
      new Set(Array.from({ length: count }, (_, index) => sid(from + index)));
    scene.directory.groups = new Map([
      [first.sid, crowd(1000, 30)],
      [second.sid, crowd(2000, 30)],
    ]);
    await scene.groupsOf();
    await scene.groupsOf(second);
    t.notOk(scene.groupsOf(second) instanceof Promise);
    t.ok(scene.groupsOf() instanceof Promise, 'forty SIDs for two accounts is all there is room for');
  });
});

await t.test('measured: a cache hit, and what an entry weighs', async (t) => {
  const scene = setScene({ accounts: [alice], settings: { cache: cached } });
  await scene.map();
  const now = scene.clock.now();
  const rounds = 200_000;
  const run = () => {
    for (let count = 0; count < rounds; count += 1) void scene.mapper.map(scene.subject, now, options);
  };
  run();
  const began = process.hrtime.bigint();
  run();
  const nanos = Number(process.hrtime.bigint() - began) / rounds;
  t.equal(scene.directory.asked.length, 1);

  const entries = 10_000;
  const crowd = setScene({ settings: { cache: { ...cached, maximum: entries } } });
  const { leaf } = crowd.subject;
  const collect = garbageCollector();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let rid = 0; rid < entries; rid += 1) {
    crowd.directory.accounts = [fakeAccount(crowdMember(rid))];
    await crowd.map({}, { ...crowd.subject, leaf: { ...leaf, digest: hash('sha256', `${rid}`, 'hex') as Digest } });
  }
  crowd.directory.accounts = [];
  crowd.directory.asked.length = 0;
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / entries;
  t.equal(crowd.mapper.size, entries);
  t.comment(`a hit takes ${nanos.toFixed(0)} ns, an entry ${bytes.toFixed(0)} bytes`);
});

/** As long as real ones are, each text its own, with many values that nobody needs afterwards. */
function crowdMember(rid: number): AccountFacts {
  const name = `employee${String(rid).padStart(8, '0')}`;
  return {
    name: `LAB\\${name}`,
    rid: 100_000 + rid,
    upn: Buffer.from(`${name}@lab.example.test`).toString(),
    altSecurityIdentities: [
      bySerial,
      ...Array.from({ length: 20 }, (_, index) => `X509:<SKI>${rid}${'0'.repeat(40)}${index}`),
    ],
    readAt: start,
  };
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

function identityOf(answer: MapAnswer | Promise<MapAnswer>): MappedIdentity | null {
  return answer instanceof Promise || answer.result.kind !== 'mapped' ? null : answer.result.identity;
}
