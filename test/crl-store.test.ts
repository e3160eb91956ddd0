/**
 * The store of CRLs: what it takes up and what it refuses, who waits for whom, when it asks again, and what it keeps on disk. Time stands
 * still; the sources answer what the test says.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  copyFile,
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import type { Millis } from '../src/base/brand.ts';
import { startCrlWorker } from '../src/revocation/crl-examiner.ts';
import { refreshDelay, retryDelay } from '../src/revocation/crl-schedule.ts';
import { listKeyOf } from '../src/revocation/crl-lists.ts';
import { expectCollection, isExpected } from '../src/revocation/shared-garbage.ts';
import { parseCrl, parseCrlHeader } from '../src/x509/crl.ts';
import { bulkEntries, bulkSerial, issuingDistributionPoint } from './support/crl-writer.ts';
import {
  day,
  hour,
  listAuthority,
  listOf,
  minute,
  numbersOf,
  openStore,
  outcome,
  scratchFolder,
  shared,
  start,
  trusting,
  until,
} from './support/crl-store-world.ts';
import { bits, hex, oid, sequence } from './support/der-shapes.ts';

const url = 'http://pki.test/ca.crl';
const mirror = 'ldap://dc.test/CN=CA?certificateRevocationList';

await t.test('a list is fetched, verified, and there for its issuer and its source', async (t) => {
  const world = openStore(t);
  const ca = listAuthority();
  world.fetcher.give(url, listOf(ca, { entries: [{ serial: '1234', reason: 1 }], crlNumber: 7 }));
  t.strictSame(world.store.issuedBy(ca.nameKey), []);
  t.equal(world.store.from(url), null);
  const refreshed = await world.refresh(url, [ca]);
  t.match(refreshed, {
    kind: 'taken',
    stored: { source: url, fetchedAt: start, signerKey: ca.publicKey.digest, crl: { crlNumber: 7n } },
  });
  const [stored] = world.store.issuedBy(ca.nameKey);
  t.equal(world.store.from(url), stored);
  t.match(stored?.crl.entries.find(hex('1234'), stored.crl.issuer), { reason: 1 });
  t.equal(stored?.crl.entries.find(hex('1235'), stored.crl.issuer), null);
  t.strictSame(world.store.issuedBy(listAuthority('other').nameKey), []);
  t.match(world.store.states(), [
    { source: url, kind: 'crl', issuer: 'CN=CA', entries: 1, crlNumber: '7', fetchedAt: start, lastError: null },
  ]);
  t.match(world.store.figures(), { sources: 1, lists: 1, entries: 1 });
  t.ok(world.store.figures().bytes >= (stored?.crl.der.length ?? Infinity));
});

await t.test('the main thread neither scans nor hashes nor verifies', async (t) => {
  const jobs: unknown[] = [];
  const { startWorker } = watchWorkers((job, _, post) => {
    jobs.push(job);
    post(job);
  });
  const world = openStore(t, { startWorker });
  const ca = listAuthority();
  const der = shared(listOf(ca, { entries: bulkEntries(1000) }));
  world.fetcher.give(url, der);
  const refreshed = await world.refresh(url, [ca]);
  t.equal(jobs.length, 1);
  t.ok(refreshed.kind === 'taken' && refreshed.stored.crl.der.buffer instanceof SharedArrayBuffer);
  t.equal(
    refreshed.kind === 'taken' && refreshed.stored.crl.der.buffer,
    (jobs[0] as { der: Buffer }).der.buffer,
    'both threads look at the same octets',
  );
  // Every other way to a list is closed to the rooms that run on the main thread.
  for (const file of ['store', 'taking', 'intake', 'examiner', 'lists', 'sources', 'disk', 'file', 'background'])
    t.notMatch(
      readFileSync(new URL(`../src/revocation/crl-${file}.ts`, import.meta.url), 'utf8'),
      /\b(?:scanCrl|parseCrl|verifySignature|examineCrl)\b/,
      file,
    );
});

await t.test('what is refused, and why', async (t) => {
  const ca = listAuthority();
  const impostor = listAuthority();
  const good = listOf(ca);
  const cases: readonly (readonly [what: string, der: Buffer, code: string, detail: RegExp])[] = [
    ['HTML', Buffer.from('<html>not found</html>'), 'malformed', /octet 0/],
    ['nothing', Buffer.alloc(0), 'malformed', /missing/],
    ['cut off', good.subarray(0, good.length - 1), 'malformed', /announced/],
    ['a broken entry', listOf(ca, { entries: Buffer.from('30040201013000', 'hex') }), 'malformed', /octet/],
    ['an authority that is not known', listOf(listAuthority('Stranger')), 'wrongSigner', /no authority is known/],
    ['the same name with another key', listOf(impostor), 'wrongSigner', /none of 1 known keys/],
    ['a changed octet', changed(good, good.length - 1), 'wrongSigner', /none of 1/],
    ['thisUpdate to come', listOf(ca, { thisUpdate: '2026-11-22T12:00:01Z' }), 'notYetValid', /12:00:01/],
    ['an unknown critical extension', listOf(ca, { extensions: [unknown(true)] }), 'unknownCritical', /1\.2\.3/],
    [
      'an entry with an unknown critical extension',
      listOf(ca, { entries: [{ serial: '01', extensions: [unknown(true)] }] }),
      'unknownCritical',
      /critical entry extension 1\.2\.3/,
    ],
    ['MD5', withAlgorithm(ca, '1.2.840.113549.1.1.4'), 'weakAlgorithm', /md5/],
    ['SHA-1', withAlgorithm(ca, '1.2.840.113549.1.1.5'), 'weakAlgorithm', /sha1/],
    ['an algorithm of somebody else', withAlgorithm(ca, '1.2.3.4'), 'weakAlgorithm', /1\.2\.3\.4 is not taken/],
  ];
  for (const [what, der, code, detail] of cases) {
    const world = openStore(t);
    world.fetcher.give(url, der);
    const refreshed = await world.refresh(url, [ca]);
    t.match(refreshed, { kind: 'failed', code, detail }, what);
    t.strictSame(world.store.issuedBy(ca.nameKey), [], `${what}: not in use`);
    t.match(world.store.states(), [{ issuer: null, lastError: { at: start, code, detail } }], `${what}: told`);
    t.match(world.changes, [{ kind: 'failed', source: url, code }]);
  }
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { extensions: [unknown(false)] }));
  t.equal(outcome(await world.refresh(url, [ca])), 'taken', 'an unknown extension that is not critical');
});

await t.test('clocks may differ by as much as is said', async (t) => {
  const ca = listAuthority();
  const skew = { clockSkew: (5 * minute) as Millis };
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { thisUpdate: '2026-11-22T12:05:00Z' }));
  t.equal(outcome(await world.refresh(url, [ca])), 'notYetValid');
  t.equal(outcome(await world.refresh(url, [ca], skew)), 'taken', 'who is more lenient need not wait');
  const late = openStore(t);
  late.fetcher.give(mirror, listOf(ca, { nextUpdate: '2026-11-22T11:55:00Z' }));
  t.equal(outcome(await late.refresh(mirror, [ca], skew)), 'taken');
  late.fetcher.give(url, listOf(ca, { nextUpdate: '2026-11-22T11:54:59Z' }));
  t.equal(outcome(await late.refresh(url, [ca], skew)), 'expired');
});

await t.test('SHA-1 is taken where it is allowed', async (t) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ca = listAuthority('Old CA', privateKey);
  const world = openStore(t);
  world.fetcher.give(url, signedWithSha1(ca));
  t.equal(outcome(await world.refresh(url, [ca])), 'weakAlgorithm');
  t.equal(outcome(await world.refresh(url, [ca])), 'weakAlgorithm');
  t.equal(world.fetcher.asked.length, 1, 'the same asker is not worth another fetch');
  t.equal(outcome(await world.refresh(url, [ca], { allowSha1: true })), 'taken', 'one who allows it is');
});

await t.test('an older list never replaces a newer one, unless an operator says so', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  const give = (crlNumber: number | null, thisUpdate: string) =>
    world.fetcher.give(url, listOf(ca, { crlNumber, thisUpdate }));
  const ask = async (options = {}) => outcome(await world.refresh(url, [ca], { force: true, ...options }));
  give(5, '2026-11-21T12:00:00Z');
  t.equal(await ask(), 'taken');
  give(4, '2026-11-22T12:00:00Z');
  t.equal(await ask(), 'older', 'a lower number, although issued later: a restored CA');
  give(6, '2026-11-21T11:59:59Z');
  t.equal(await ask(), 'older', 'issued earlier, although the number is higher');
  give(null, '2026-11-21T11:59:59Z');
  t.equal(await ask(), 'older', 'without a number the date alone counts');
  t.strictSame(numbersOf(world, ca), [5]);
  t.match(world.store.states(), [{ crlNumber: '5', lastError: { code: 'older' } }]);
  give(5, '2026-11-21T12:00:01Z');
  t.equal(await ask(), 'taken', 'issued again under its number');
  give(4, '2026-11-20T12:00:00Z');
  t.equal(await ask(), 'older');
  t.equal(await ask({ allowOlder: true }), 'taken');
  t.strictSame(numbersOf(world, ca), [4]);
  give(3, '2026-11-20T12:00:00Z');
  t.equal(await ask(), 'older', 'the order counts once');
  t.strictSame(numbersOf(world, ca), [4]);
});

await t.test('the order to take an older list is not obeyed again by the background', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { crlNumber: 5 }));
  await world.refresh(url, [ca]);
  world.fetcher.give(url, listOf(ca, { crlNumber: 4 }));
  t.equal(outcome(await world.refresh(url, [ca], { allowOlder: true })), 'taken');
  world.fetcher.give(url, listOf(ca, { crlNumber: 3 }));
  world.time.advance((world.store.states()[0]?.nextAttempt ?? 0) - start);
  await until(() => world.heard('failed') === 1);
  t.match(world.store.states(), [{ crlNumber: '4', lastError: { code: 'older' } }]);
});

await t.test('an operator is heard although the source has just failed', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { crlNumber: 5 }));
  await world.refresh(url, [ca]);
  world.fetcher.give(url, listOf(ca, { crlNumber: 4 }));
  t.equal(outcome(await world.refresh(url, [ca])), 'older');
  t.equal(outcome(await world.refresh(url, [ca], { allowOlder: true })), 'taken');
});

await t.test('issuer, key, scope and kind keep lists apart; within them the newest counts', async (t) => {
  const world = openStore(t);
  const old = listAuthority();
  const renewed = listAuthority();
  const users = issuingDistributionPoint({ only: 'user' });
  const authorities = issuingDistributionPoint({ only: 'ca' });
  const lists = {
    old: listOf(old, { crlNumber: 50 }),
    renewed: listOf(renewed, { crlNumber: 1 }),
    users: listOf(renewed, { crlNumber: 2, scope: users }),
    authorities: listOf(renewed, { crlNumber: 3, scope: authorities }),
    delta: listOf(renewed, { crlNumber: 4, baseCrlNumber: 1 }),
    deltaOfUsers: listOf(renewed, { crlNumber: 5, baseCrlNumber: 2, scope: users }),
    other: listOf(listAuthority('Other', renewed.key), { crlNumber: 6 }),
  };
  const known = [old, renewed, { ...listAuthority('Other', renewed.key) }];
  for (const [place, der] of Object.entries(lists)) {
    world.fetcher.give(place, der);
    t.equal(outcome(await world.refresh(place, known)), 'taken', place);
  }
  t.strictSame(
    [...numbersOf(world, old)].toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 50],
  );
  t.strictSame(numbersOf(world, known[2] ?? old), [6]);
  world.fetcher.give('users', listOf(renewed, { crlNumber: 7, scope: users }));
  t.equal(outcome(await world.refresh('users', known)), 'taken');
  t.strictSame(
    [...numbersOf(world, old)].toSorted((a, b) => a - b),
    [1, 3, 4, 5, 7, 50],
  );
  const keys = Object.values(lists).map((der) => {
    const parsed = parseCrlHeader(der);
    return parsed.kind === 'parsed' ? listKeyOf(parsed.header, old.publicKey.digest) : '';
  });
  t.equal(new Set(keys).size, keys.length - 1, 'all but old and renewed, which differ in their key alone');
});

await t.test('readers keep the array that they were given', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  await world.refresh(url, [ca]);
  const before = world.store.issuedBy(ca.nameKey);
  t.equal(world.store.issuedBy(ca.nameKey), before, 'no array is made for a question');
  world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  await world.refresh(url, [ca]);
  t.equal(before[0]?.crl.crlNumber, 1n);
  t.equal(world.store.issuedBy(ca.nameKey)[0]?.crl.crlNumber, 2n);
});

await t.test('an expired list is used when there is no newer one, and asked for again', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  const expired = { thisUpdate: '2026-11-01T00:00:00Z', nextUpdate: '2026-11-22T11:59:59Z' };
  world.fetcher.give(url, listOf(ca, { crlNumber: 5, ...expired }));
  t.match(await world.refresh(url, [ca]), { kind: 'failed', code: 'expired', detail: /11:59:59/ });
  t.strictSame(numbersOf(world, ca), [5], 'for those who accept stale answers');
  t.match(world.store.states(), [{ crlNumber: '5', lastError: { code: 'expired' } }]);
  t.equal(world.store.states()[0]?.nextAttempt, start + retryDelay(1, () => 0.5));
  world.fetcher.give(url, listOf(ca, { crlNumber: 4, ...expired }));
  t.equal(outcome(await world.refresh(url, [ca], { force: true })), 'older');
  world.fetcher.give(url, listOf(ca, { crlNumber: 6 }));
  world.time.advance(minute);
  await until(() => numbersOf(world, ca)[0] === 6);
  t.match(world.store.states(), [{ lastError: null }]);
  world.fetcher.give(url, listOf(ca, { crlNumber: 7, ...expired, thisUpdate: '2026-11-01T00:00:00Z' }));
  t.equal(outcome(await world.refresh(url, [ca], { force: true })), 'older', 'good is not replaced by expired');
});

await t.test('one fetch, however many ask', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca));
  world.fetcher.hold = true;
  const asking = Array.from({ length: 1000 }, () => world.refresh(url, [ca]));
  await until(() => world.fetcher.waiting === 1);
  world.fetcher.release();
  const outcomes = new Set((await Promise.all(asking)).map((refreshed) => refreshed));
  t.equal(outcomes.size, 1, 'the same answer for all');
  t.equal(world.fetcher.asked.length, 1);
});

await t.test('who joins with less patience fails alone', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca));
  world.fetcher.hold = true;
  const patient = world.refresh(url, [ca], { timeout: (10 * minute) as Millis });
  const hurried = world.refresh(url, [ca], { timeout: 100 as Millis });
  await until(() => world.fetcher.waiting === 1);
  world.time.advance(100);
  t.match(await hurried, { kind: 'failed', code: 'timeout', detail: /100 ms/ });
  t.match(world.store.states(), [{ lastError: null }], 'the source has done nothing wrong');
  world.fetcher.release();
  t.equal(outcome(await patient), 'taken');
  t.equal(world.fetcher.asked.length, 1);
});

await t.test('who comes later does not wait again for a source that is silent', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca));
  world.fetcher.hold = true;
  const patience = { timeout: 10_000 as Millis };
  const first = world.refresh(url, [ca], patience);
  await until(() => world.fetcher.waiting === 1);
  world.time.advance(6000);
  const second = world.refresh(url, [ca], patience);
  world.time.advance(4000);
  t.equal(outcome(await first), 'timeout');
  t.equal(outcome(await second), 'timeout', 'what was left of the ten seconds');
  const third = world.refresh(url, [ca], patience);
  world.time.advance(0);
  t.equal(outcome(await third), 'timeout', 'at once');
  world.fetcher.release();
  await until(() => world.store.from(url) !== null);
  t.equal(world.fetcher.asked.length, 1);
});

await t.test('a fetch goes on after the last asker has gone', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca));
  world.fetcher.hold = true;
  const hurried = world.refresh(url, [ca], { timeout: 1 as Millis });
  world.time.advance(1);
  t.equal(outcome(await hurried), 'timeout');
  await until(() => world.fetcher.waiting === 1);
  world.fetcher.release();
  await until(() => world.store.from(url) !== null);
  t.equal(world.fetcher.asked.length, 1);
});

await t.test('a source that failed is left alone for a while, longer each time', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  const next = () => world.store.states()[0]?.nextAttempt ?? 0;
  t.equal(outcome(await world.refresh(url, [ca])), 'unreachable');
  const delays: number[] = [];
  for (let failures = 1; failures <= 10; failures += 1) {
    const planned = next();
    const delay = planned - world.time.now();
    delays.push(delay);
    t.match(await world.refresh(url, [ca]), { kind: 'failed', code: 'unreachable', detail: 'scripted unreachable' });
    world.time.advance(delay - 1);
    t.equal(outcome(await world.refresh(url, [ca])), 'unreachable');
    t.equal(world.fetcher.asked.length, failures, 'answered from memory');
    if (failures === 10) world.fetcher.give(url, listOf(ca));
    world.time.advance(1);
    await until(() => next() !== planned);
    t.equal(world.fetcher.asked.length, failures + 1, 'it was wanted, so it is asked in the background');
  }
  t.strictSame(
    delays,
    [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600].map((seconds) => seconds * 750),
  );
  t.match(world.store.states(), [{ issuer: 'CN=CA', lastError: null }]);
});

await t.test('a source that failed and that nobody wants is not asked', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  t.equal(outcome(await world.refresh(url, [ca])), 'unreachable');
  world.time.advance(day);
  await settled();
  t.equal(world.fetcher.asked.length, 1);
  t.equal(outcome(await world.refresh(url, [ca])), 'unreachable');
  t.equal(world.fetcher.asked.length, 2);
});

await t.test('force asks during the back-off', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  t.equal(outcome(await world.refresh(url, [ca])), 'unreachable');
  world.fetcher.give(url, listOf(ca));
  t.equal(outcome(await world.refresh(url, [ca])), 'unreachable');
  t.equal(outcome(await world.refresh(url, [ca], { force: true })), 'taken');
});

await t.test('an asker who does not know the signer silences nobody who does', async (t) => {
  const ca = listAuthority();
  const namesake = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { entries: bulkEntries(5000) }));
  world.fetcher.hold = true;
  const first = world.refresh(url, [namesake]);
  const joined = world.refresh(url, [ca, namesake]);
  const same = world.refresh(url, [namesake]);
  await until(() => world.fetcher.waiting === 1);
  world.fetcher.release();
  t.equal(outcome(await first), 'wrongSigner');
  t.equal(outcome(await same), 'wrongSigner');
  t.equal(outcome(await joined), 'taken', 'who joined the wrong one asks again');
  t.equal(world.fetcher.asked.length, 2);
  t.equal(outcome(await world.refresh(url, [namesake])), 'wrongSigner');
  t.equal(world.fetcher.asked.length, 3);
  t.equal(outcome(await world.refresh(url, [namesake])), 'wrongSigner');
  t.equal(world.fetcher.asked.length, 3);
  t.equal(outcome(await world.refresh(url, [ca])), 'unchanged', 'not even during the back-off');
});

await t.test('a list that has not changed is not sent again, or at least not examined again', async (t) => {
  const ca = listAuthority();
  const examined: string[] = [];
  const { startWorker } = watchWorkers((job, worker, post) => {
    worker.once('message', ({ kind }: { kind: string }) => examined.push(kind));
    post(job);
  });
  const world = openStore(t, { startWorker, cacheDirectory: scratchFolder() });
  world.fetcher.give(url, listOf(ca));
  await world.refresh(url, [ca]);
  const first = world.store.from(url);
  world.time.advance(hour);
  world.fetcher.give(url, 'notModified');
  t.match(await world.refresh(url, [ca]), { kind: 'unchanged', stored: { fetchedAt: start + hour } });
  t.strictSame(world.fetcher.asked.at(-1)?.validators, { etag: '"1"', lastModified: null });
  world.fetcher.give(url, first?.crl.der ?? Buffer.alloc(0));
  world.time.advance(hour);
  t.match(await world.refresh(url, [ca]), { kind: 'unchanged', stored: { fetchedAt: start + 2 * hour } });
  t.equal(world.store.from(url)?.crl, first?.crl, 'the one in use stays');
  world.fetcher.give(url, 'notModified');
  await world.refresh(url, [ca]);
  t.strictSame(world.fetcher.asked.at(-1)?.validators, { etag: '"3"', lastModified: null });
  t.strictSame(examined, ['verified', 'held'], 'its digest was enough');
  await world.store.close();
  t.strictSame(
    world.changes.map(({ kind }) => kind),
    ['taken', 'kept'],
    'nor is it written again',
  );
});

await t.test('a list that is replaced from elsewhere during a fetch is not confirmed by it', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  for (const one of [url, mirror]) {
    world.fetcher.give(one, listOf(ca, { crlNumber: 2 }));
    await world.refresh(one, [ca]);
  }
  world.fetcher.hold = true;
  world.fetcher.give(url, listOf(ca, { crlNumber: 3, entries: bulkEntries(1000) }));
  const both = [world.refresh(url, [ca]), world.refresh(mirror, [ca])];
  await until(() => world.fetcher.waiting === 2);
  world.fetcher.release();
  t.strictSame((await Promise.all(both)).map(outcome), ['taken', 'older']);
  t.strictSame(numbersOf(world, ca), [3]);

  world.fetcher.give(url, 'notModified');
  world.fetcher.hold = true;
  const late = world.refresh(url, [ca]);
  await until(() => world.fetcher.waiting === 1);
  t.not(world.fetcher.asked.at(-1)?.validators, null);
  world.fetcher.hold = false;
  world.fetcher.give(mirror, listOf(ca, { crlNumber: 4 }));
  t.equal(outcome(await world.refresh(mirror, [ca], { force: true })), 'taken');
  world.fetcher.release();
  t.equal(outcome(await late), 'httpStatus');
  t.strictSame(numbersOf(world, ca), [4]);
  t.equal(world.store.from(url)?.source, mirror);
});

await t.test('of a refused list nothing large is remembered, not even for those who might take it', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  const extensions = [{ oid: '1.2.3', critical: false, value: Buffer.alloc(17_000, 5) }];
  world.fetcher.give(url, listOf(ca, { extensions }));
  t.equal(outcome(await world.refresh(url, [listAuthority()])), 'wrongSigner');
  t.equal(outcome(await world.refresh(url, [ca])), 'wrongSigner');
  t.equal(world.fetcher.asked.length, 1);
});

await t.test('a bound on the keys that are tried', async (t) => {
  const ca = listAuthority();
  const namesakes = Array.from({ length: 32 }, () => listAuthority());
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca));
  t.match(await world.refresh(url, [...namesakes, ca]), { code: 'wrongSigner', detail: /none of 32 known keys/ });
  t.equal(outcome(await world.refresh(url, [...namesakes.slice(1), ca], { force: true })), 'taken');
});

await t.test('that nothing has changed is not believed of a list that is not in use', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, 'notModified');
  t.equal(outcome(await world.refresh(url, [ca])), 'httpStatus');
  const other = openStore(t);
  other.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  other.fetcher.give(mirror, listOf(ca, { crlNumber: 2 }));
  await other.refresh(url, [ca]);
  await other.refresh(mirror, [ca]);
  await other.refresh(url, [ca]);
  t.equal(other.fetcher.asked.at(-1)?.validators, null, 'of the list that was replaced nothing is asked');
});

await t.test('mirrors stand for one list; the newest counts, wherever it came from', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  world.fetcher.give(mirror, listOf(ca, { crlNumber: 2 }));
  t.equal(outcome(await world.refresh(url, [ca])), 'taken');
  const { crl } = world.store.from(url) ?? {};
  t.equal(outcome(await world.refresh(mirror, [ca])), 'unchanged');
  t.equal(world.store.from(mirror)?.crl, crl);
  t.match(world.store.figures(), { sources: 2, lists: 1 });
  world.fetcher.give(mirror, listOf(ca, { crlNumber: 1 }));
  t.equal(outcome(await world.refresh(mirror, [ca])), 'older', 'one lags behind');
  t.equal(world.store.from(mirror)?.crl, crl);
  world.fetcher.give(mirror, listOf(ca, { crlNumber: 3 }));
  t.equal(outcome(await world.refresh(mirror, [ca], { force: true })), 'taken');
  t.equal(world.store.from(url)?.crl.crlNumber, 3n);
});

await t.test('a list is asked for again before it runs out', async (t) => {
  const seconds = { thisUpdate: start - day, nextUpdate: start + 9 * day, nextPublish: null };
  const at = (when: number, random: number, list: object = {}) =>
    refreshDelay({ ...seconds, ...list } as Parameters<typeof refreshDelay>[0], when as never, () => random);
  t.equal(at(start, 0), 8 * day, 'when nine tenths of the validity have passed');
  t.equal(at(start, 0.5), 7.5 * day, 'or somewhat earlier, at random');
  t.equal(at(start + 8.5 * day, 0), day / 8, 'when that is over: a share of what is left');
  t.equal(at(start + 9 * day, 0.5), 5000, 'but not at once');
  t.equal(at(start, 0, { nextPublish: start + 6 * day }), 6 * day, 'when a Microsoft CA says so');
  t.equal(at(start, 0.5, { nextPublish: start + 6 * day }) / hour, 147.6, 'and shortly after it');
  t.equal(at(start, 0, { nextPublish: start + 20 * day }), 8 * day, 'unless that were too late');
  t.equal(at(start + 6.5 * day, 0, { nextPublish: start + 6 * day }), (2.5 * day) / 4);
  t.equal(at(start, 0, { nextUpdate: start + 3650 * day }), 30 * day, 'a list of ten years: monthly');
  t.equal(at(start, 0.5, { nextUpdate: null }), hour, 'without nextUpdate: hourly');
  t.equal(
    refreshDelay({ ...seconds } as never, start, () => 0, minute as Millis),
    minute,
    'an interval that is set',
  );
  t.equal(
    retryDelay(1, () => 0),
    30_000,
  );
  t.equal(
    retryDelay(1, () => 1),
    15_000,
  );
  t.equal(
    retryDelay(1000, () => 0),
    hour,
  );
});

await t.test('the background asks in time, by whom the list was taken up', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  await world.refresh(url, [ca]);
  const planned = world.store.states()[0]?.nextAttempt ?? 0;
  t.ok(planned > start && planned < Date.parse('2026-11-24T12:00:00Z'));
  world.time.advance(planned - start - 1);
  await settled();
  t.equal(world.fetcher.asked.length, 1);
  world.fetcher.give(url, listOf(ca, { crlNumber: 2, nextUpdate: '2026-11-30T12:00:00Z' }));
  world.time.advance(1);
  await until(() => numbersOf(world, ca)[0] === 2);
  t.ok((world.store.states()[0]?.nextAttempt ?? 0) > planned);
});

await t.test('the background asks for him whose authorities signed, not for him who asked first', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  t.equal(outcome(await world.refresh(url, [listAuthority()])), 'wrongSigner');
  t.equal(outcome(await world.refresh(url, [ca])), 'taken');
  world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  world.time.advance((world.store.states()[0]?.nextAttempt ?? 0) - start);
  await until(() => numbersOf(world, ca)[0] === 2);
  t.equal(world.heard('failed'), 1);
});

await t.test(
  'a machine that slept asks when it wakes; one whose clock was set back does not wait for it',
  async (t) => {
    for (const step of [3 * day, -300 * day]) {
      const ca = listAuthority();
      const world = openStore(t);
      world.fetcher.give(url, listOf(ca, { thisUpdate: '2026-01-01T00:00:00Z', nextUpdate: '2026-11-25T12:00:00Z' }));
      await world.refresh(url, [ca]);
      const wait = (world.store.states()[0]?.nextAttempt ?? 0) - start;
      world.time.step(step);
      world.time.advance(step > 0 ? minute : wait);
      await until(() => world.fetcher.asked.length === 2);
      t.pass(`${step}`);
    }
  },
);

await t.test('the background asks at most four at once', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  const urls = Array.from({ length: 9 }, (_, index) => `http://pki.test/${index}.crl`);
  for (const one of urls) {
    world.fetcher.give(one, listOf(ca, { scope: issuingDistributionPoint({ uris: [one] }) }));
    await world.refresh(one, [ca]);
  }
  world.fetcher.hold = true;
  world.time.advance(3 * day);
  await until(() => world.fetcher.waiting === 4);
  await settled();
  world.time.advance(minute);
  t.equal(world.fetcher.waiting, 4);
  world.fetcher.release();
  await until(() => {
    world.time.advance(0);
    return world.fetcher.asked.length === 18;
  });
});

await t.test('a crowd of sources is not asked all at once', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.hold = true;
  const asking = Array.from({ length: 33 }, (_, index) => world.refresh(`http://pki${index % 5}.test/${index}`, [ca]));
  await until(() => world.fetcher.waiting === 32);
  await settled();
  t.equal(world.fetcher.asked.length, 32);
  world.fetcher.release();
  t.strictSame(new Set((await Promise.all(asking)).map(outcome)), new Set(['unreachable']));
  t.equal(world.fetcher.asked.length, 33, 'the last has its turn');
});

await t.test('a host that hangs leaves room for others, and its crowd waits no longer than it will', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.hold = true;
  const asking = Array.from({ length: 40 }, (_, index) => world.refresh(`http://pki.test:80/${index}`, [ca]));
  await until(() => world.fetcher.waiting === 8);
  await settled();
  t.equal(world.fetcher.waiting, 8);
  world.fetcher.hold = false;
  world.fetcher.give('http://elsewhere.test/ca.crl', listOf(ca));
  t.equal(outcome(await world.refresh('http://elsewhere.test/ca.crl', [ca])), 'taken');
  world.time.advance(minute);
  t.match(await asking[39], { code: 'timeout', detail: /too many other sources/ });
});

await t.test('a source of the configuration is asked until it gives a list, and not forgotten', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  t.equal(outcome(await world.refresh(url, [ca], { standing: true })), 'unreachable');
  world.fetcher.give(url, listOf(ca, { nextUpdate: '2046-11-30T12:00:00Z' }));
  world.time.advance(minute);
  await until(() => world.store.from(url) !== null);
  for (let days = 0; days < 45; days += 1) {
    world.time.advance(day);
    await settled();
  }
  t.equal(world.heard('dropped'), 0);
  t.equal(world.store.states().length, 1);
});

await t.test('two who both do not know the signer do not wake the source for each other', async (t) => {
  const [one, another] = [listAuthority(), listAuthority()];
  const world = openStore(t);
  world.fetcher.give(url, listOf(listAuthority()));
  for (let turn = 0; turn < 5; turn += 1)
    for (const ca of [one, another]) t.equal(outcome(await world.refresh(url, [ca])), 'wrongSigner');
  t.equal(world.fetcher.asked.length, 2, 'each key is tried once');
  world.fetcher.give(url, listOf(another));
  world.time.advance(minute);
  t.equal(outcome(await world.refresh(url, [one])), 'wrongSigner', 'another list');
  t.equal(outcome(await world.refresh(url, [another])), 'taken', 'for which all keys count again');
});

await t.test('what nobody uses for a month is dropped, from memory and disk', async (t) => {
  const ca = listAuthority();
  const other = listAuthority('Other');
  const cacheDirectory = scratchFolder();
  const world = openStore(t, { cacheDirectory });
  const forever = { nextUpdate: '2046-11-30T12:00:00Z' };
  world.fetcher.give(url, listOf(ca, forever));
  world.fetcher.give(mirror, listOf(other, forever));
  await world.refresh(url, [ca]);
  await world.refresh(mirror, [other]);
  await until(() => world.heard('kept') === 2);
  for (let days = 0; days < 45; days += 1) {
    world.time.advance(day);
    world.store.issuedBy(ca.nameKey);
    await settled();
  }
  t.match(world.store.states(), [{ source: url }], 'looking at a list is using it');
  t.strictSame(world.store.issuedBy(other.nameKey), []);
  t.match(
    world.changes.filter(({ kind }) => kind === 'dropped'),
    [{ source: mirror, detail: /30 days/ }],
  );
  await world.store.close();
  t.equal((await readdir(cacheDirectory)).length, 1);
});

await t.test('a thousand sources are remembered, those used last', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const world = openStore(t, { cacheDirectory });
  world.fetcher.give('http://pki.test/1', listOf(ca));
  for (let index = 0; index < 1000; index += 1) {
    world.time.advance(1);
    await world.refresh(`http://pki.test/${index}`, [ca]);
  }
  world.store.from('http://pki.test/0');
  world.time.advance(1);
  world.store.from('http://pki.test/0');
  await world.refresh(url, [ca]);
  const known = new Set(world.store.states().map(({ source }) => source));
  t.equal(known.size, 1000);
  t.ok(known.has(url) && known.has('http://pki.test/0'));
  t.notOk(known.has('http://pki.test/1'));
  await world.store.close();
  t.equal(world.heard('kept'), 1);
  t.strictSame(await readdir(cacheDirectory), [], 'nor is its list kept on disk');
});

await t.test('all lists together keep within their bound', async (t) => {
  const world = openStore(t, { maximumBytes: 100_000, maximumHeldBytes: 300_000 });
  const authorities = Array.from({ length: 6 }, (_, index) => listAuthority(`CA ${index}`));
  for (const [index, ca] of authorities.entries()) {
    world.time.advance(1000);
    world.fetcher.give(`http://pki.test/${index}`, listOf(ca, { entries: bulkEntries(1500) }));
    t.equal(outcome(await world.refresh(`http://pki.test/${index}`, [ca])), 'taken');
    world.time.advance(1000);
    world.store.issuedBy(authorities[0]?.nameKey ?? '');
    t.ok(world.store.figures().bytes <= 300_000, `${world.store.figures().bytes}`);
  }
  t.same(
    authorities.map((ca) => world.store.issuedBy(ca.nameKey).length),
    [1, 0, 0, 0, 1, 1].slice(0, 6),
    'the first is looked at all the time',
  );
  const mirrored = openStore(t, { maximumBytes: 200_000, maximumHeldBytes: 100_000 });
  const [ca = listAuthority()] = authorities;
  mirrored.fetcher.give(mirror, listOf(ca, { entries: bulkEntries(1500) }));
  await mirrored.refresh(mirror, [ca]);
  mirrored.fetcher.give(url, listOf(ca, { entries: bulkEntries(2000), crlNumber: 2 }));
  t.equal(outcome(await mirrored.refresh(url, [ca])), 'taken', 'one that is too large alone stays');
  t.equal(mirrored.store.states().length, 2, 'and nothing is dropped in vain');
});

await t.test('a source that brings a list of another key leaves the old one in use until it runs out', async (t) => {
  const old = listAuthority();
  const renewed = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(old, { crlNumber: 1 }));
  await world.refresh(url, [old]);
  world.fetcher.give(url, listOf(renewed, { crlNumber: 2, nextUpdate: '2026-12-30T12:00:00Z' }));
  t.equal(outcome(await world.refresh(url, [old, renewed])), 'taken');
  t.strictSame(numbersOf(world, old), [1, 2]);
  t.equal(world.store.from(url)?.crl.crlNumber, 2n);
  world.time.advance(2 * day + minute);
  await settled();
  t.strictSame(numbersOf(world, old), [2]);
});

await t.test('a thread that dies costs the list that it was at, and no other', async (t) => {
  const ca = listAuthority();
  let dying = true;
  // Ended when the job has just begun.
  const { workers, startWorker } = watchWorkers((job, worker, post) => (dying ? void worker.terminate() : post(job)));
  const world = openStore(t, { startWorker });
  world.fetcher.give(url, listOf(ca, { entries: bulkEntries(1000) }));
  world.fetcher.give(mirror, listOf(ca, { crlNumber: 9 }));
  const first = world.refresh(url, [ca]);
  await until(() => workers.length === 1);
  dying = false;
  const second = world.refresh(mirror, [ca]);
  t.match(await first, { kind: 'failed', code: 'aborted', detail: /examination ended early: its thread ended/ });
  t.equal(outcome(await second), 'taken');
  t.equal(workers.length, 2);
  t.equal(outcome(await world.refresh(url, [ca], { force: true })), 'older');
  t.equal(workers.length, 2, 'the new one goes on');
});

await t.test('a thread that is killed in the middle of a large list does no harm', async (t) => {
  const ca = listAuthority();
  const { workers, startWorker } = watchWorkers();
  const world = openStore(t, { startWorker });
  world.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  await world.refresh(url, [ca]);
  world.fetcher.give(url, listOf(ca, { crlNumber: 2, entries: bulkEntries(400_000) }));
  const refreshed = world.refresh(url, [ca]);
  await until(() => world.fetcher.asked.length === 2);
  await settled();
  await workers[0]?.terminate();
  t.match(await refreshed, { kind: 'failed', code: 'aborted' });
  t.strictSame(numbersOf(world, ca), [1], 'what was in use still is');
  t.equal(outcome(await world.refresh(url, [ca], { force: true })), 'taken');
  const [stored] = world.store.issuedBy(ca.nameKey);
  t.equal(stored?.crl.entries.count, 400_000);
  t.match(stored?.crl.entries.find(bulkSerial(399_999), stored.crl.issuer), { reason: 1 });
});

await t.test('a thread that hangs is ended', async (t) => {
  const ca = listAuthority();
  let deaf = true;
  const { workers, startWorker } = watchWorkers((job, _, post) => (deaf ? undefined : post(job)));
  const world = openStore(t, { startWorker });
  world.fetcher.give(url, listOf(ca));
  const asking = world.refresh(url, [ca], { timeout: hour as Millis });
  await until(() => workers.length === 1);
  deaf = false;
  world.time.advance(90_000);
  t.match(await asking, { kind: 'failed', code: 'aborted', detail: /not done within 90000 ms/ });
  const again = world.refresh(url, [ca], { force: true });
  // No turn of the event loop: the first thread has not ended yet.
  for (let turn = 0; turn < 1000 && workers.length < 2; turn += 1) await Promise.resolve();
  t.ok(workers[0]?.emit('message', { kind: 'wrongSigner' }));
  t.equal(outcome(await again), 'taken', 'what it says too late is about another list');
  await until(() => workers[0]?.threadId === -1);
});

await t.test('an idle thread ends, and is started again', async (t) => {
  const ca = listAuthority();
  const { workers, startWorker } = watchWorkers();
  const world = openStore(t, { startWorker });
  t.equal(workers.length, 0, 'nobody starts it for nothing');
  world.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  await world.refresh(url, [ca]);
  world.time.advance(5000);
  await until(() => workers[0]?.threadId === -1);
  world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  t.equal(outcome(await world.refresh(url, [ca])), 'taken');
  t.equal(workers.length, 2);
});

await t.test('a thread that has seen much is replaced, because it keeps what it has seen', async (t) => {
  const ca = listAuthority();
  const { workers, startWorker } = watchWorkers();
  const world = openStore(t, { startWorker });
  const large = listOf(ca, { crlNumber: 1, entries: bulkEntries(450_000) });
  t.ok(large.length > 16 * 1024 * 1024);
  world.fetcher.give(url, large);
  world.fetcher.give(mirror, listOf(ca, { crlNumber: 2 }));
  t.equal(outcome(await world.refresh(url, [ca])), 'taken');
  await until(() => workers[0]?.threadId === -1);
  t.equal(outcome(await world.refresh(mirror, [ca])), 'taken');
  t.equal(outcome(await world.refresh(mirror, [ca])), 'unchanged');
  t.equal(workers.length, 2);
});

await t.test('shared memory that nobody needs is given back without being asked for', async (t) => {
  const returned: number[] = [];
  const registry = new FinalizationRegistry((round: number) => returned.push(round));
  let rounds = 0;
  for (; rounds < 200 && returned.length === 0; rounds += 1) {
    const memory = new SharedArrayBuffer(32 * 1024 * 1024);
    expectCollection(memory, memory.byteLength);
    registry.register(memory, rounds);
    await settled();
  }
  t.ok(returned.length > 0, `within ${rounds} buffers of 32 MB`);
});

await t.test('lists that were replaced, refused or dropped are given back, and no others', async (t) => {
  const ca = listAuthority();
  const other = listAuthority('Other');
  const world = openStore(t, { maximumHeldBytes: 3_000_000 });
  const entries = bulkEntries(40_000);
  const expected = () => world.fetcher.delivered.map(({ buffer }) => isExpected(buffer));
  const ask = async (der: Buffer, source = url) => {
    world.fetcher.give(source, der);
    return outcome(await world.refresh(source, [ca, other], { force: true }));
  };
  t.equal(await ask(listOf(ca, { crlNumber: 2, entries })), 'taken');
  t.strictSame(expected(), [false]);
  t.equal(await ask(listOf(ca, { crlNumber: 2, entries })), 'unchanged');
  t.strictSame(expected(), [false, true]);
  t.equal(await ask(listOf(ca, { crlNumber: 1, entries })), 'older');
  t.equal(await ask(listOf(listAuthority(), { entries })), 'wrongSigner');
  t.strictSame(expected(), [false, true, true, true]);
  t.equal(await ask(listOf(ca, { crlNumber: 3, entries })), 'taken');
  t.strictSame(expected(), [true, true, true, true, false]);
  t.equal(await ask(listOf(other, { entries }), mirror), 'taken');
  t.equal(world.heard('dropped'), 1);
  t.strictSame(expected(), [true, true, true, true, true, false]);
});

await t.test('an answer ends what is closed', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca));
  world.fetcher.hold = true;
  const asking = world.refresh(url, [ca]);
  await until(() => world.fetcher.waiting === 1);
  await world.store.close();
  t.match(await asking, { kind: 'failed', code: 'aborted' });
  t.match(await world.refresh(url, [ca]), { kind: 'failed', code: 'aborted', detail: 'the store was closed' });
  world.time.advance(30 * day);
  await settled();
  t.equal(world.fetcher.asked.length, 1, 'nothing goes on');
});

await t.test('a signers function that throws is a failure of its asker', async (t) => {
  const ca = listAuthority();
  const world = openStore(t);
  world.fetcher.give(url, listOf(ca));
  const options = { timeout: minute as Millis, allowSha1: false, clockSkew: 0 as Millis };
  const refreshed = await world.store.refresh(
    url,
    () => {
      throw new Error('no trust');
    },
    options,
  );
  t.match(refreshed, { kind: 'failed', code: 'aborted', detail: 'no trust' });
});

await t.test('lists outlive the process', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const before = openStore(t, { cacheDirectory });
  before.fetcher.give(url, listOf(ca, { crlNumber: 3, entries: bulkEntries(3000) }));
  await before.refresh(url, [ca]);
  await before.store.close();
  t.equal((await stat(cacheDirectory)).mode & 0o777, 0o700);
  const [file = ''] = await readdir(cacheDirectory);
  t.match(file, /^[0-9a-f]{64}\.crl$/);
  t.equal((await stat(join(cacheDirectory, file))).mode & 0o777, 0o600);

  const restored = openStore(t, { cacheDirectory });
  restored.time.advance(hour);
  await restored.store.restore(trusting(ca));
  t.equal(restored.fetcher.asked.length, 0);
  const stored = restored.store.from(url);
  t.match(stored, { source: url, fetchedAt: start, signerKey: ca.publicKey.digest, crl: { crlNumber: 3n } });
  t.ok(stored?.crl.der.buffer instanceof SharedArrayBuffer);
  t.match(stored?.crl.entries.find(bulkSerial(2999), stored.crl.issuer), { reason: 1 });
  restored.fetcher.give(url, 'notModified');
  t.equal(outcome(await restored.refresh(url, [ca])), 'unchanged');
  t.strictSame(restored.fetcher.asked[0]?.validators, { etag: '"1"', lastModified: null });

  const asked = openStore(t, { cacheDirectory });
  t.match(await asked.refresh(url, [ca]), { kind: 'taken', stored: { crl: { crlNumber: 3n } } });
  t.equal(asked.fetcher.asked.length, 0, 'the disk is asked first');
  const forced = openStore(t, { cacheDirectory });
  forced.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  t.equal(outcome(await forced.refresh(url, [ca], { force: true })), 'older', 'what is on disk counts as held');
  t.equal(forced.fetcher.asked.length, 1);
  t.strictSame(numbersOf(forced, ca), [3]);
});

await t.test('whoever only looks into the folder of another leaves it as it is', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const owner = openStore(t, { cacheDirectory });
  owner.fetcher.give(url, listOf(ca, { crlNumber: 3 }));
  await owner.refresh(url, [ca]);
  await owner.store.close();
  const [kept = ''] = await readdir(cacheDirectory);
  await writeFile(join(cacheDirectory, kept.replace('.crl', '.tmp')), 'being written');
  await writeFile(join(cacheDirectory, `${'0'.repeat(64)}.crl`), 'damaged');
  const files = (await readdir(cacheDirectory)).toSorted();
  const before = await readFile(join(cacheDirectory, kept));

  const onlooker = openStore(t, { cacheDirectory, readOnly: true });
  await onlooker.store.restore(trusting(ca));
  t.strictSame(numbersOf(onlooker, ca), [3], 'but sees what is there');
  onlooker.fetcher.give(url, listOf(ca, { crlNumber: 4 }));
  t.equal(outcome(await onlooker.refresh(url, [ca], { force: true })), 'taken');
  await onlooker.store.close();
  t.strictSame((await readdir(cacheDirectory)).toSorted(), files);
  t.ok(before.equals(await readFile(join(cacheDirectory, kept))));
  t.equal(onlooker.heard('cacheProblem'), 1, 'damage is reported');

  const nowhere = join(cacheDirectory, 'not-there');
  const early = openStore(t, { cacheDirectory: nowhere, readOnly: true });
  await early.store.restore(trusting(ca));
  await t.rejects(stat(nowhere), { code: 'ENOENT' });
});

await t.test('who insists is not content with what others get from disk', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const before = openStore(t, { cacheDirectory });
  before.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  await before.refresh(url, [ca]);
  await before.store.close();
  const world = openStore(t, { cacheDirectory });
  world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  const content = world.refresh(url, [ca]);
  const insisting = world.refresh(url, [ca], { force: true });
  t.match(await content, { kind: 'taken', stored: { crl: { crlNumber: 1n } } });
  t.match(await insisting, { kind: 'taken', stored: { crl: { crlNumber: 2n } } });
});

await t.test('restoring keeps within the bound of memory, and does nothing twice', async (t) => {
  const authorities = Array.from({ length: 4 }, (_, index) => listAuthority(`CA ${index}`));
  const cacheDirectory = scratchFolder();
  const before = openStore(t, { cacheDirectory });
  for (const [index, ca] of authorities.entries()) {
    before.fetcher.give(`http://pki.test/${index}`, listOf(ca, { entries: bulkEntries(1500) }));
    await before.refresh(`http://pki.test/${index}`, [ca]);
  }
  await before.store.close();
  const jobs: unknown[] = [];
  const { startWorker } = watchWorkers((job, _, post) => {
    jobs.push(job);
    post(job);
  });
  const world = openStore(t, { cacheDirectory, startWorker, maximumHeldBytes: 200_000 });
  await world.store.restore(trusting(...authorities));
  t.equal(world.store.figures().lists, 2);
  t.equal(world.heard('dropped'), 0, 'nothing was read in vain');
  t.equal(jobs.length, 2);
  const roomy = openStore(t, { cacheDirectory, startWorker });
  await roomy.store.restore(trusting(...authorities));
  await roomy.store.restore(trusting(...authorities));
  t.equal(roomy.store.figures().lists, 4);
  t.equal(jobs.length, 2 + 4);
});

await t.test('what an operator took up in place of a newer list is what comes back', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const world = openStore(t, { cacheDirectory });
  for (const one of [url, mirror]) {
    world.fetcher.give(one, listOf(ca, { crlNumber: 9 }));
    await world.refresh(one, [ca]);
  }
  world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  t.equal(outcome(await world.refresh(url, [ca], { allowOlder: true })), 'taken');
  await world.store.close();
  const restored = openStore(t, { cacheDirectory });
  await restored.store.restore(trusting(ca));
  t.strictSame(numbersOf(restored, ca), [2]);
});

await t.test('what is on disk is verified like what is fetched', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const old = listAuthority('Old CA', privateKey);
  const before = openStore(t, { cacheDirectory });
  before.fetcher.give(url, listOf(ca));
  before.fetcher.give(mirror, signedWithSha1(old));
  await before.refresh(url, [ca]);
  await before.refresh(mirror, [old], { allowSha1: true });
  await before.store.close();

  const stranger = openStore(t, { cacheDirectory });
  await stranger.store.restore(trusting(listAuthority()));
  t.strictSame(stranger.store.states(), [], 'a list of nobody that is trusted now stays where it is');
  t.match(stranger.changes, []);
  t.equal((await readdir(cacheDirectory)).length, 2);
  stranger.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  t.equal(outcome(await stranger.refresh(url, [ca])), 'taken', 'and harms nobody');

  const strict = openStore(t, { cacheDirectory });
  await strict.store.restore(trusting(ca, old));
  t.equal(strict.store.from(mirror), null);
  await strict.store.restore(trusting(ca, old), { allowSha1: true, clockSkew: 0 as Millis });
  t.not(strict.store.from(mirror), null);

  const late = openStore(t, { cacheDirectory });
  late.time.advance(10 * day);
  await late.store.restore(trusting(ca));
  t.equal(late.store.issuedBy(ca.nameKey).length, 1, 'expired, for those who accept stale answers');
  t.match(late.store.states(), [{ lastError: { code: 'expired' } }]);
  const asking = openStore(t, { cacheDirectory });
  asking.time.advance(10 * day);
  asking.fetcher.give(url, listOf(ca, { crlNumber: 8, nextUpdate: '2027-01-01T00:00:00Z' }));
  t.equal(outcome(await asking.refresh(url, [ca])), 'taken', 'an expired one on disk is no reason not to ask');
  t.equal(asking.fetcher.asked.length, 1);
});

await t.test('a refresh during the restoring waits for it, and asks when the disk was of no use', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const before = openStore(t, { cacheDirectory });
  before.fetcher.give(url, listOf(ca, { entries: bulkEntries(2000) }));
  await before.refresh(url, [ca]);
  await before.store.close();
  for (const trusted of [ca, listAuthority()]) {
    const world = openStore(t, { cacheDirectory });
    world.fetcher.give(url, listOf(ca, { crlNumber: 5 }));
    const restoring = world.store.restore(trusting(trusted));
    await until(() => world.store.states().length === 1);
    t.equal(outcome(await world.refresh(url, [ca])), 'taken');
    t.equal(world.fetcher.asked.length, 0);
    await restoring;
    t.equal(world.store.issuedBy(ca.nameKey).length, 1);
  }
});

await t.test('damaged files are set aside with a reason, and never believed', async (t) => {
  const ca = listAuthority();
  const pattern = scratchFolder();
  const before = openStore(t, { cacheDirectory: pattern });
  before.fetcher.give(url, listOf(ca, { entries: bulkEntries(100) }));
  await before.refresh(url, [ca]);
  await before.store.close();
  const [file = ''] = await readdir(pattern);
  const good = await readFile(join(pattern, file));
  const headEnd = 12 + good.readUInt32BE(8);
  const withHead = (edit: (head: Record<string, unknown>) => unknown) => {
    const head = Buffer.from(JSON.stringify(edit(JSON.parse(good.toString('utf8', 12, headEnd)) as never)));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(head.length);
    return Buffer.concat([good.subarray(0, 8), length, head, good.subarray(headEnd)]);
  };
  const cases: readonly (readonly [what: string, bytes: Buffer, reason: RegExp])[] = [
    ['empty', Buffer.alloc(0), /does not begin as/],
    ['something else', Buffer.from('{"this":"is something else"}'), /does not begin as/],
    ['a bare list', good.subarray(headEnd), /does not begin as/],
    ['a huge head', Buffer.concat([good.subarray(0, 8), Buffer.alloc(4, 0x7f), good.subarray(12)]), /head has \d+/],
    ['half a head', good.subarray(0, 20), /head is cut off/],
    ['a head that is no JSON', changed(good, 12), /head cannot be read/],
    ['a head without a digest', withHead((head) => ({ ...head, digest: undefined })), /head cannot be read/],
    ['a head with a strange digest', withHead((head) => ({ ...head, digest: 'x' })), /head cannot be read/],
    ['a head with a strange time', withHead((head) => ({ ...head, fetchedAt: 'now' })), /head cannot be read/],
    ['a head with a length below zero', withHead((head) => ({ ...head, length: -1 })), /head cannot be read/],
    ['a head without validators', withHead((head) => ({ ...head, validators: null })), /head cannot be read/],
    ['a head with a strange tag', withHead((head) => ({ ...head, validators: { etag: 1 } })), /head cannot be read/],
    [
      'a length that is too large',
      withHead((head) => ({ ...head, length: 1e9 })),
      /1000000000 octets, \d+ are allowed/,
    ],
    ['half a list', good.subarray(0, good.length - 10), /in place of/],
    ['more than a list', Buffer.concat([good, Buffer.alloc(1)]), /in place of/],
    ['a list of another source', withHead((head) => ({ ...head, source: mirror })), /another source/],
    ['one changed octet', changed(good, good.length - 100), /not the one that was written/],
    ['a changed first octet', changed(good, headEnd), /not the one that was written/],
    ['a changed signature', changed(good, good.length - 1), /not the one that was written/],
  ];
  for (const [what, bytes, reason] of cases) {
    for (const way of what.includes('changed') ? ['restore', 'refresh'] : ['restore']) {
      const cacheDirectory = scratchFolder();
      await mkdir(cacheDirectory);
      await writeFile(join(cacheDirectory, file), bytes);
      const world = openStore(t, { cacheDirectory });
      world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
      if (way === 'restore') await world.store.restore(trusting(ca));
      else t.equal(outcome(await world.refresh(url, [ca])), 'taken', `${what}: fetched instead`);
      t.equal(world.store.issuedBy(ca.nameKey).length, way === 'restore' ? 0 : 1, `${what}: not believed`);
      const [problem] = world.changes.filter(({ kind }) => kind === 'cacheProblem');
      t.match(problem, { detail: reason }, `${what}: told`);
      t.ok((await readdir(cacheDirectory)).includes(file.replace('.crl', '.damaged')), `${what}: set aside`);
    }
  }
});

await t.test('leftovers of a crash are removed at the start, and nothing else', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const before = openStore(t, { cacheDirectory });
  before.fetcher.give(url, listOf(ca));
  await before.refresh(url, [ca]);
  await before.store.close();
  const [file = ''] = await readdir(cacheDirectory);
  const stem = file.replace('.crl', '');
  await copyFile(join(cacheDirectory, file), join(cacheDirectory, `${stem}.tmp`));
  await truncate(join(cacheDirectory, `${stem}.tmp`), 50);
  await writeFile(join(cacheDirectory, `${stem}.damaged`), 'x');
  await writeFile(join(cacheDirectory, 'README'), 'somebody else');
  const world = openStore(t, { cacheDirectory });
  await world.store.restore(trusting(ca));
  t.strictSame((await readdir(cacheDirectory)).toSorted(), [file, 'README'].toSorted());
  t.equal(world.store.issuedBy(ca.nameKey).length, 1);
});

await t.test('a thousand files are read and no more', async (t) => {
  const cacheDirectory = scratchFolder();
  await mkdir(cacheDirectory, { recursive: true });
  for (let index = 0; index < 1001; index += 1)
    await writeFile(join(cacheDirectory, `${index.toString(16).padStart(64, '0')}.crl`), '');
  const world = openStore(t, { cacheDirectory });
  await world.store.restore(trusting());
  const problems = world.changes.map((change) => (change.kind === 'cacheProblem' ? change.detail : change.kind));
  t.match(problems[0], /holds 1001 lists: only 1000/);
  t.equal(problems.filter((detail) => detail.includes('damaged')).length, 1000);
});

await t.test('a link in the folder is not followed', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const before = openStore(t, { cacheDirectory });
  before.fetcher.give(url, listOf(ca));
  await before.refresh(url, [ca]);
  await before.store.close();
  const [file = ''] = await readdir(cacheDirectory);
  await rename(join(cacheDirectory, file), join(cacheDirectory, 'elsewhere'));
  await symlink(join(cacheDirectory, 'elsewhere'), join(cacheDirectory, file));
  const world = openStore(t, { cacheDirectory });
  await world.store.restore(trusting(ca));
  t.equal(world.store.from(url), null);
  t.match(world.changes, [{ kind: 'cacheProblem', detail: /ELOOP/ }]);
});

await t.test('a disk that cannot be written is told of, and the list is used', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  // Not even root can make a folder where a file is.
  await writeFile(cacheDirectory, 'a file');
  const world = openStore(t, { cacheDirectory });
  world.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  t.equal(outcome(await world.refresh(url, [ca])), 'taken');
  await until(() => world.heard('cacheProblem') >= 2);
  t.match(
    world.changes.find(({ kind }) => kind === 'cacheProblem'),
    { source: null, detail: /cannot be used/ },
  );
  await rm(cacheDirectory);
  world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  t.equal(outcome(await world.refresh(url, [ca])), 'taken');
  await until(() => world.heard('kept') === 1);
  await rm(cacheDirectory, { recursive: true });
  const told = world.heard('cacheProblem');
  for (const crlNumber of [3, 4]) {
    world.fetcher.give(url, listOf(ca, { crlNumber }));
    t.equal(outcome(await world.refresh(url, [ca])), 'taken');
    if (crlNumber === 3) await until(() => world.heard('cacheProblem') > told);
  }
  await until(() => world.heard('kept') === 2);
  t.pass('a folder that was taken away is made again');
});

await t.test('a list that waits to be written is as good as written', async (t) => {
  const authorities = Array.from({ length: 3 }, (_, index) => listAuthority(`CA ${index}`));
  const world = openStore(t, { cacheDirectory: scratchFolder(), maximumHeldBytes: 100_000 });
  const gate = Promise.withResolvers<void>();
  await replaceWrite(t, async (write) => await gate.promise.then(write));
  for (const [index, ca] of authorities.entries()) {
    world.fetcher.give(`http://pki.test/${index}`, listOf(ca, { entries: bulkEntries(1500) }));
    await world.refresh(`http://pki.test/${index}`, [ca]);
  }
  t.equal(world.heard('dropped'), 2);
  t.equal(outcome(await world.refresh('http://pki.test/1', authorities)), 'taken');
  t.equal(world.fetcher.asked.length, 3, 'not fetched again');
  gate.resolve();
  await world.store.close();
  t.equal(world.heard('kept'), 3);
});

await t.test('a full disk is told of; the list is used, and the file from before stays', async (t) => {
  const ca = listAuthority();
  const cacheDirectory = scratchFolder();
  const world = openStore(t, { cacheDirectory });
  world.fetcher.give(url, listOf(ca, { crlNumber: 1 }));
  await world.refresh(url, [ca]);
  await until(() => world.heard('kept') === 1);
  let written = 0;
  const repair = await replaceWrite(t, async (write) => {
    written += 1;
    if (written > 1) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    return await write();
  });
  world.fetcher.give(url, listOf(ca, { crlNumber: 2 }));
  t.equal(outcome(await world.refresh(url, [ca])), 'taken');
  await until(() => world.heard('cacheProblem') === 1);
  repair();
  t.match(world.changes.at(-1), { kind: 'cacheProblem', source: url, detail: /not kept on disk: ENOSPC/ });
  t.strictSame(numbersOf(world, ca), [2]);
  t.strictSame(
    (await readdir(cacheDirectory)).map((name) => name.slice(64)),
    ['.crl'],
  );
  const restored = openStore(t, { cacheDirectory });
  await restored.store.restore(trusting(ca));
  t.strictSame(numbersOf(restored, ca), [1]);
});

/** Has all files write in another way. @returns makes it good again */
async function replaceWrite(t: Test, how: (write: () => Promise<unknown>) => Promise<unknown>): Promise<() => void> {
  const handle = await open(import.meta.filename);
  const files = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const unbroken = Object.getOwnPropertyDescriptor(files, 'write') ?? {};
  const repair = () => void Object.defineProperty(files, 'write', unbroken);
  t.teardown(repair);
  Object.defineProperty(files, 'write', {
    ...unbroken,
    value: async function (this: FileHandle, ...args: unknown[]): Promise<unknown> {
      return await how(() => Reflect.apply(unbroken.value as (...args: unknown[]) => Promise<unknown>, this, args));
    },
  });
  return repair;
}

/** Threads that a test can look at and kill, and what they are told on the way. */
function watchWorkers(
  tell: (job: unknown, worker: Worker, post: (job: unknown) => void) => void = (job, _, post) => post(job),
) {
  const workers: Worker[] = [];
  const startWorker = () => {
    const worker = startCrlWorker();
    workers.push(worker);
    const post = worker.postMessage.bind(worker);
    worker.postMessage = (job) => tell(job, worker, (told) => post(told, []));
    return worker;
  };
  return { workers, startWorker };
}

/** Everything that was started without a wait has had its turn. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

function unknown(critical: boolean) {
  return { oid: '1.2.3', critical, value: Buffer.of(5, 0) };
}

/** The right signature under a wrong name. */
function withAlgorithm(ca: ReturnType<typeof listAuthority>, type: string): Buffer {
  const algorithm = sequence(oid(type));
  return listOf(ca, { parts: { innerAlgorithm: algorithm, outerAlgorithm: algorithm } });
}

function signedWithSha1(ca: ReturnType<typeof listAuthority>): Buffer {
  const algorithm = sequence(oid('1.2.840.113549.1.1.5'), hex('0500'));
  const parts = { innerAlgorithm: algorithm, outerAlgorithm: algorithm };
  const unsigned = parseCrl(listOf(ca, { parts }));
  if (unsigned.kind === 'malformed') throw new Error(unsigned.reason);
  return listOf(ca, { parts: { ...parts, signature: bits(0, sign('sha1', unsigned.crl.tbs, ca.key)) } });
}
