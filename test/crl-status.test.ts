/**
 * What CRLs say about a certificate: scope, reasons, deltas, currency, and who may sign them. How a list is read is tested in
 * `x509-crl.test.ts`, how one is fetched and kept in `crl-store.test.ts`.
 */
import t from 'tap';
import type { Instant } from '../src/base/brand.ts';
import { createAuthority, type Authority, type Issued } from '../src/lab/authority.ts';
import { signersFor } from '../src/revocation/crl-signers.ts';
import type { TrustStore } from '../src/trust/judgement.ts';
import { extensionOids, oids } from '../src/x509/oid.ts';
import { certificateOf, type Made, type Recipe } from './support/chains.ts';
import { crlOf, listsOf, statusAt } from './support/crl-judge.ts';
import {
  ask,
  askStored,
  crlPoints,
  listOf,
  sceneOf,
  storedList,
  type CrlScene,
  type WrittenPoint,
} from './support/crl-scene.ts';
import { distributionPoints, issuingDistributionPoint, signerOf, writeCrl } from './support/crl-writer.ts';
import { attribute, element, hex, name, oid, sequence } from './support/der-shapes.ts';

const key = 'ed25519';
const day = 86_400_000;
const root = await createAuthority({ subject: 'O=Lab,CN=Root', key });
const issuing = await root.subordinate({ subject: 'O=Lab,CN=Issuing CA', key });
const alice = await issuing.issue({ subject: 'O=Lab,CN=alice', key, serial: '0a11ce' });
const chain = [alice, issuing, root];
const good = 'good until 2026-12-22T12:00:00.000Z';
const listed = { serial: '0a11ce', reason: 1 };
const emptyList = listOf(issuing);
const listWithAlice = listOf(issuing, { entries: [listed] });

const asks = (lists: readonly Buffer[], rest: Partial<CrlScene> = {}): string => ask({ chain, lists, ...rest });
/** A leaf of the issuing CA with these distribution points, and the rest of its chain. */
const chainWith = async (...points: readonly WrittenPoint[]): Promise<readonly Made[]> => [
  await issuing.issue({ subject: 'O=Lab,CN=alice', key, serial: '0a11ce', extensions: [crlPoints(...points)] }),
  issuing,
  root,
];
const labName = (commonName: string): Buffer => name(['2.5.4.10', 12, 'Lab'], ['2.5.4.3', 12, commonName]);

await t.test('a list of the issuer: good when it does not mention the certificate, else revoked', (t) => {
  t.equal(asks([emptyList]), good);
  t.equal(asks([listOf(issuing, { entries: [{ serial: '0a11cf' }] })]), good);
  t.equal(asks([listWithAlice]), 'revoked 1 by list 0');
  t.equal(asks([listOf(issuing, { entries: [{ serial: '0a11ce' }] })]), 'revoked 0 by list 0');
  t.equal(asks([]), 'unknown: no CRL of CN=Issuing CA,O=Lab is held');
  t.equal(asks([listOf(root)]), 'unknown: no CRL of CN=Issuing CA,O=Lab is held');
  t.equal(asks([listOf(root)], { depth: 1 }), good, 'the CA above it by the list of the root');
  t.end();
});

await t.test('a list counts from thisUpdate to nextUpdate, both with the difference of clocks', (t) => {
  const list = listOf(issuing, { thisUpdate: '2026-11-22T12:00:00Z', nextUpdate: '2026-11-23T12:00:00Z' });
  const at = (time: string, clockSkew = 0) => asks([list], { at: time, rules: { clockSkew: clockSkew as never } });
  t.equal(at('2026-11-22T12:00:00.000Z'), 'good until 2026-11-23T12:00:00.000Z');
  t.equal(at('2026-11-23T12:00:00.000Z'), 'good until 2026-11-23T12:00:00.000Z');
  t.match(at('2026-11-22T11:59:59.999Z'), /^unknown: .* from list 0: it is not valid before 2026-11-22T12:00:00.000Z$/);
  t.match(at('2026-11-23T12:00:00.001Z'), /^unknown: .* from list 0: it has expired, nextUpdate 2026-11-23T12:00:00/);
  t.equal(at('2026-11-22T11:59:00.000Z', 60_000), 'good until 2026-11-23T12:01:00.000Z');
  t.equal(at('2026-11-23T12:01:00.000Z', 60_000), 'good until 2026-11-23T12:01:00.000Z');
  t.match(at('2026-11-22T11:58:59.999Z', 60_000), /^unknown: /);
  t.match(at('2026-11-23T12:01:00.001Z', 60_000), /^unknown: /);
  t.end();
});

await t.test('a list without nextUpdate counts for ever, or as long as the longest age allows', (t) => {
  const endless = listOf(issuing, { nextUpdate: null });
  const aged = { rules: { maximumAge: day as never } };
  t.equal(asks([endless]), 'good until for ever');
  t.equal(asks([endless], aged), 'good until 2026-11-23T00:00:00.000Z');
  t.equal(asks([emptyList], aged), 'good until 2026-11-23T00:00:00.000Z', 'a nextUpdate does not lengthen it');
  t.match(
    asks([endless], { ...aged, at: '2026-11-23T00:00:00.001Z' }),
    /^unknown: .*it has expired, nextUpdate is absent/,
  );
  t.end();
});

await t.test('stale lists count as long as is accepted, and are called stale', (t) => {
  const list = listOf(issuing, { nextUpdate: '2026-11-22T06:00:00Z' });
  const hours = (count: number) => asks([list], { staleFor: count * 3_600_000 });
  t.equal(hours(6), 'good until 2026-11-22T12:00:00.000Z, stale');
  t.match(hours(5), /^unknown: /);
  t.equal(asks([emptyList], { staleFor: day }), good, 'a current one is not stale');
  t.match(asks([listOf(issuing, { thisUpdate: '2026-11-22T13:00:00Z' })], { staleFor: day }), /^unknown: /);
  t.end();
});

await t.test('a revocation stays true after its list has expired; a hold may have been lifted', (t) => {
  const nextUpdate = '2026-11-22T06:00:00Z';
  const expired = (reason: number) => asks([listOf(issuing, { nextUpdate, entries: [{ serial: '0a11ce', reason }] })]);
  t.equal(expired(1), 'revoked 1 by list 0');
  t.equal(expired(0), 'revoked 0 by list 0');
  t.match(expired(6), /^unknown: .*it has expired/);
  t.equal(asks([listOf(issuing, { entries: [{ serial: '0a11ce', reason: 6 }] })]), 'revoked 6 by list 0');
  t.end();
});

await t.test('a list with a critical part that is not understood says nothing', (t) => {
  const unknown = { oid: '1.2.3.4', critical: true, value: hex('0500') };
  t.match(
    asks([listOf(issuing, { extensions: [unknown] })]),
    /^unknown: .*critical extension 1\.2\.3\.4 is not understood$/,
  );
  t.match(asks([listOf(issuing, { entries: [{ ...listed, extensions: [unknown] }] })]), /^unknown: .*1\.2\.3\.4/);
  t.equal(asks([listOf(issuing, { extensions: [unknown], entries: [listed] }), emptyList]), good);
  t.equal(asks([listOf(issuing, { extensions: [{ ...unknown, critical: false }] })]), good);
  t.end();
});

await t.test('a list signed with SHA-1 counts where SHA-1 is allowed', (t) => {
  const sha1 = sequence(oid(oids.sha1WithRsa), hex('0500'));
  const stored = storedList(listOf(issuing, { parts: { innerAlgorithm: sha1, outerAlgorithm: sha1 } }), issuing);
  t.match(askStored({ chain }, [stored]), /^unknown: .* from a file: signed with SHA-1/);
  t.equal(askStored({ chain, rules: { allowSha1: true } }, [stored]), good);
  t.end();
});

await t.test('of lists with one scope the newest counts: by thisUpdate, then by number', (t) => {
  const hold = { entries: [{ serial: '0a11ce', reason: 6 }] };
  const older = listOf(issuing, { ...hold, thisUpdate: '2026-11-21T00:00:00Z', crlNumber: 5 });
  const newer = listOf(issuing, { crlNumber: 4 });
  t.equal(asks([older, newer]), good, 'a restored authority counts from below');
  t.equal(asks([newer, older]), good);
  const numbered = [listOf(issuing, { ...hold, crlNumber: 7 }), listOf(issuing, { crlNumber: 8 })];
  t.equal(asks(numbered), good);
  t.equal(asks(numbered.toReversed()), good);
  t.equal(asks([listOf(issuing, { ...hold, crlNumber: 9 }), ...numbered]), 'revoked 6 by list 0');
  const shortLived = listOf(issuing, { nextUpdate: '2026-11-22T06:00:00Z', crlNumber: 3 });
  const before = listOf(issuing, { thisUpdate: '2026-11-21T00:00:00Z' });
  t.equal(asks([shortLived, before]), good, 'where the newest has expired, one before it that has not');
  t.end();
});

await t.test('across scopes a revocation counts, whatever other lists say', (t) => {
  const users = issuingDistributionPoint({ only: 'user' });
  const lists = [emptyList, listOf(issuing, { scope: users, entries: [listed], thisUpdate: '2026-11-01T00:00:00Z' })];
  t.equal(asks(lists), 'revoked 1 by list 1');
  t.equal(asks(lists.toReversed()), 'revoked 1 by list 0');
  t.equal(
    asks([emptyList, listOf(issuing, { scope: users, nextUpdate: '2026-12-01T00:00:00Z' })]),
    'good until 2026-12-01T00:00:00.000Z',
  );
  t.end();
});

await t.test('lists for users, for CAs and for attribute certificates', (t) => {
  const only = (kind: 'user' | 'ca' | 'attribute', by: Authority) =>
    listOf(by, { scope: issuingDistributionPoint({ only: kind }) });
  t.equal(asks([only('user', issuing)]), good);
  t.match(
    asks([only('ca', issuing)]),
    /^unknown: the CRL of CN=Issuing CA,O=Lab from list 0: it is not about this certificate$/,
  );
  t.match(asks([only('attribute', issuing)]), /not about this certificate/);
  t.equal(asks([only('ca', root)], { depth: 1 }), good);
  t.match(asks([only('user', root)], { depth: 1 }), /not about this certificate/);
  t.match(asks([only('attribute', root)], { depth: 1 }), /not about this certificate/);
  t.end();
});

await t.test('a list with names is about those whose distribution point shares one', async (t) => {
  const named = (...uris: readonly string[]) => listOf(issuing, { scope: issuingDistributionPoint({ uris }) });
  const [a, b] = ['http://crl.test/a', 'http://crl.test/b'];
  const atA = await chainWith({ uri: a });
  t.equal(ask({ chain: atA, lists: [named(a)] }), good);
  t.equal(ask({ chain: atA, lists: [named(b, a)] }), good);
  t.match(ask({ chain: atA, lists: [named(b)] }), /not about this certificate/);
  t.match(ask({ chain: atA, lists: [named('http://crl.test/A')] }), /not about this certificate/);
  t.match(asks([named(a)]), /not about this certificate/, 'nor about one without points');
  t.equal(ask({ chain: atA, lists: [emptyList] }), good, 'a list without names is about all');
  t.equal(ask({ chain: await chainWith({ uri: b }, { uri: a }), lists: [named(a)] }), good, 'any of the points');

  const directory = listOf(issuing, { scope: issuingDistributionPoint({ directoryName: labName('Point') }) });
  t.equal(ask({ chain: await chainWith({ directoryName: labName('  POINT') }), lists: [directory] }), good);
  t.match(ask({ chain: await chainWith({ directoryName: labName('Other') }), lists: [directory] }), /not about/);
  const issuerNamed = listOf(issuing, { scope: issuingDistributionPoint({ directoryName: labName('Issuing CA') }) });
  t.equal(asks([issuerNamed]), good, 'the assumed point has the name of the issuer');
});

await t.test('names relative to the issuer of the list', async (t) => {
  const rdn = attribute(['2.5.4.3', 12, 'Point 1']);
  const full = sequence(
    ...['Lab', 'Issuing CA', 'Point 1'].map((value, index) =>
      element(0x31, attribute([index === 0 ? '2.5.4.10' : '2.5.4.3', 12, value])),
    ),
  );
  const relative = {
    oid: extensionOids.issuingDistributionPoint,
    critical: true,
    value: sequence(element(0xa0, element(0xa1, rdn))),
  };
  const chains = { relative: await chainWith({ relativeName: rdn }), full: await chainWith({ directoryName: full }) };
  const scopes = { relative, full: issuingDistributionPoint({ directoryName: full }) };
  for (const points of ['relative', 'full'] as const)
    for (const scope of ['relative', 'full'] as const)
      t.equal(
        ask({ chain: chains[points], lists: [listOf(issuing, { scope: scopes[scope] })] }),
        good,
        `${points}, ${scope}`,
      );
  const other = await chainWith({ relativeName: attribute(['2.5.4.3', 12, 'Point 2']) });
  t.match(ask({ chain: other, lists: [listOf(issuing, { scope: relative })] }), /not about this certificate/);
});

await t.test('lists of some reasons: good when together they cover all of them', async (t) => {
  const some = (reasons: readonly number[], what = {}) =>
    listOf(issuing, { scope: issuingDistributionPoint({ reasons }), ...what });
  const compromise = some([1, 2]);
  const others = some([3, 4, 5, 6, 7, 8], { nextUpdate: '2026-12-01T00:00:00Z' });
  t.equal(asks([compromise, others]), 'good until 2026-12-01T00:00:00.000Z');
  const stale = some([3, 4, 5, 6, 7, 8], { nextUpdate: '2026-11-22T06:00:00Z' });
  t.equal(asks([compromise, stale], { staleFor: day }), 'good until 2026-11-23T06:00:00.000Z, stale');
  t.equal(asks([stale, compromise], { staleFor: day }), 'good until 2026-11-23T06:00:00.000Z, stale');
  t.match(asks([compromise]), /^unknown: .* from list 0: it is only about some reasons of revocation$/);
  t.match(asks([compromise, some([3, 4, 5, 6, 7])]), /only about some reasons/);
  t.equal(
    asks([compromise, some([3], { entries: [listed] })]),
    'revoked 1 by list 1',
    'whatever the reason that it lists',
  );
  t.equal(asks([compromise, emptyList]), good);

  // The reasons of a distribution point limit what a list with its name covers: bits 1 and 2, then 3 to 8.
  const [a, b] = ['http://crl.test/a', 'http://crl.test/b'];
  const named = (uri: string) => listOf(issuing, { scope: issuingDistributionPoint({ uris: [uri] }) });
  const split = await chainWith({ uri: a, reasons: '0560' }, { uri: b, reasons: '071f80' });
  t.match(ask({ chain: split, lists: [named(a)] }), /only about some reasons/);
  t.match(ask({ chain: split, lists: [named(b)] }), /only about some reasons/);
  t.equal(ask({ chain: split, lists: [named(a), named(b)] }), good);
});

await t.test('a delta adds to its complete list and takes holds away', (t) => {
  const base = (...entries: readonly { serial: string; reason: number }[]) =>
    listOf(issuing, { crlNumber: 10, entries });
  const delta = (...entries: readonly { serial: string; reason: number }[]) =>
    listOf(issuing, { baseCrlNumber: 10, crlNumber: 11, nextUpdate: '2026-11-23T00:00:00Z', entries });
  const held = { serial: '0a11ce', reason: 6 };
  const lifted = { serial: '0a11ce', reason: 8 };
  t.equal(asks([base(), delta()]), 'good until 2026-11-23T00:00:00.000Z with list 1');
  t.equal(asks([base(), delta(listed)]), 'revoked 1 by list 1');
  t.equal(asks([base(held), delta(lifted)]), 'good until 2026-11-23T00:00:00.000Z with list 1');
  t.equal(asks([base(held), delta(listed)]), 'revoked 1 by list 1');
  t.equal(asks([base(held), delta()]), 'revoked 6 by list 0');
  t.match(asks([delta(listed)]), /^unknown: no CRL/, 'alone it says nothing');
  const newest = listOf(issuing, {
    baseCrlNumber: 9,
    crlNumber: 12,
    thisUpdate: '2026-11-22T06:00:00Z',
    entries: [lifted],
  });
  t.equal(asks([base(held), delta(), newest]), `${good} with list 2`, 'the newest of several');
  t.equal(asks([base(held), newest, delta()]), `${good} with list 1`);
  t.end();
});

await t.test('a delta belongs to a complete list by number, scope, key and key identifier', async (t) => {
  const base = listOf(issuing, { crlNumber: 10 });
  const changes = (what: object, signer: Pick<Issued, 'der' | 'key'> = issuing) =>
    asks([base, listOf(signer, { baseCrlNumber: 10, crlNumber: 11, entries: [listed], ...what })]);
  t.equal(changes({}), 'revoked 1 by list 1');
  t.equal(changes({ baseCrlNumber: 3 }), 'revoked 1 by list 1');
  t.equal(changes({ crlNumber: 10 }), 'revoked 1 by list 1', 'published together');
  t.equal(changes({ baseCrlNumber: 11 }), good, 'there is a gap between them');
  t.equal(changes({ baseCrlNumber: 3, crlNumber: 9 }), good, 'older than the complete list');
  t.equal(changes({ crlNumber: null }), good, 'without a number');
  t.equal(changes({ scope: issuingDistributionPoint({ only: 'user' }) }), good, 'of another scope');
  const anonymous = writeCrl({
    signer: { ...signerOf(issuing), keyIdentifier: null },
    baseCrlNumber: 10,
    crlNumber: 11,
    entries: [listed],
  });
  t.equal(asks([base, anonymous]), good, 'without the key identifier of the complete list');
  const renewed = await root.subordinate({ subject: 'O=Lab,CN=Issuing CA', key });
  const signer = { ...signerOf(renewed), keyIdentifier: signerOf(issuing).keyIdentifier };
  const foreign = writeCrl({ signer, baseCrlNumber: 10, crlNumber: 11, entries: [listed] });
  t.equal(asks([base, foreign], { intermediates: [renewed] }), good, 'signed with another key');
  t.equal(
    asks([
      listOf(issuing, { crlNumber: null }),
      listOf(issuing, { baseCrlNumber: 1, crlNumber: 2, entries: [listed] }),
    ]),
    good,
  );
});

await t.test('an expired complete list is as good as new with a delta; an expired delta still revokes', (t) => {
  const past = '2026-11-22T06:00:00Z';
  const base = listOf(issuing, { crlNumber: 10, nextUpdate: past });
  const delta = (what: object) => listOf(issuing, { baseCrlNumber: 10, crlNumber: 11, ...what });
  t.equal(asks([base, delta({})]), `${good} with list 1`);
  t.match(asks([base, delta({ nextUpdate: past })]), /^unknown: .*it has expired/);
  t.match(asks([base, delta({ thisUpdate: '2026-11-23T00:00:00Z' })]), /^unknown: .*it has expired/);
  t.equal(
    asks([base, delta({ nextUpdate: past })], { staleFor: day }),
    'good until 2026-11-23T06:00:00.000Z with list 1, stale',
  );

  const fresh = listOf(issuing, { crlNumber: 10, entries: [{ serial: '0a11ce', reason: 6 }] });
  const late = (reason: number) => delta({ nextUpdate: past, entries: [{ serial: '0a11ce', reason }] });
  t.equal(asks([fresh, late(8)]), 'revoked 6 by list 0', 'an expired delta lifts nothing');
  t.equal(asks([listOf(issuing, { crlNumber: 10 }), late(1)]), 'revoked 1 by list 1');
  t.match(
    asks([listOf(issuing, { crlNumber: 10 }), late(6)]),
    /^unknown: .* from list 1: it puts this certificate on hold, but has expired$/,
    'it may have been lifted or not',
  );
  t.equal(
    asks([listOf(issuing, { crlNumber: 10 }), delta({ nextUpdate: past })], { staleFor: day }),
    `${good} with list 1`,
    'what the complete list says is not stale',
  );
  t.equal(asks([listOf(issuing, { crlNumber: 10 }), late(6)], { staleFor: day }), 'revoked 6 by list 1');
  const unknown = { oid: '1.2.3.4', critical: true, value: hex('0500') };
  t.equal(asks([listOf(issuing, { crlNumber: 10 }), delta({ entries: [listed], extensions: [unknown] })]), good);
  t.end();
});

await t.test('the issuer signs its lists with the key of the path, and only if its keyUsage lets it', async (t) => {
  const caWith = async (recipe: Recipe) => {
    const ca = await root.subordinate({ subject: 'O=Lab,CN=CA', key, ...recipe });
    return { ca, chain: [await ca.issue({ subject: 'O=Lab,CN=bob', key }), ca, root] };
  };
  const silent = await caWith({ keyUsage: [] });
  t.equal(ask({ chain: silent.chain, lists: [listOf(silent.ca)] }), good, 'without keyUsage');
  const forbidden = await caWith({ keyUsage: ['keyCertSign'] });
  t.match(ask({ chain: forbidden.chain, lists: [listOf(forbidden.ca)] }), /^unknown: no CRL/);
  const stored = storedList(listOf(forbidden.ca), forbidden.ca);
  t.match(
    askStored({ chain: forbidden.chain }, [stored]),
    /^unknown: .*its signer is not known to be allowed to sign it$/,
  );
  const stranger = await createAuthority({ subject: 'O=Lab,CN=Issuing CA', key });
  t.match(asks([listOf(stranger, { entries: [listed] })]), /^unknown: no CRL/, 'another key is not even tried');
  t.match(
    askStored({ chain }, [storedList(listOf(stranger, { entries: [listed] }), stranger)]),
    /^unknown: .*its signer/,
  );
  const permitted = await root.subordinate({ subject: 'O=Lab,CN=CA', key, reuseKeyOf: forbidden.ca });
  const lists = [listOf(permitted)];
  t.equal(
    ask({ chain: forbidden.chain, lists, intermediates: [permitted] }),
    good,
    'a certificate of the same key that may',
  );
});

const adCs = { oid: extensionOids.microsoftCaVersion, critical: false, value: hex('020100') };

await t.test('an AD CS that was renewed with a new key: each list is about the certificates of its key', async (t) => {
  const recipe: Recipe = { extensions: [adCs] };
  const subject = 'O=Lab,CN=AD CS';
  const [old, renewed] = [
    await root.subordinate({ subject, key, ...recipe }),
    await root.subordinate({ subject, key, ...recipe }),
  ];
  const chainOf = async (ca: Authority) => [await ca.issue({ subject: 'O=Lab,CN=bob', key, serial: '0b0b' }), ca, root];
  const [before, after] = [await chainOf(old), await chainOf(renewed)];
  const intermediates = [old, renewed];
  const bob = { entries: [{ serial: '0b0b', reason: 1 }] };
  const both = [listOf(old), listOf(renewed)];
  t.equal(ask({ chain: before, intermediates, lists: both }), good);
  t.equal(ask({ chain: after, intermediates, lists: both }), good);
  const why = /^unknown: .*it does not list this certificate, but is signed with another key than its issuer's$/;
  t.match(ask({ chain: before, intermediates, lists: [listOf(renewed)] }), why);
  t.match(ask({ chain: after, intermediates, lists: [listOf(old)] }), why);
  t.equal(ask({ chain: before, intermediates, lists: [listOf(old, bob), listOf(renewed)] }), 'revoked 1 by list 0');
  t.equal(ask({ chain: before, intermediates, lists: [listOf(old), listOf(renewed, bob)] }), 'revoked 1 by list 1');

  const byName = issuingDistributionPoint({ directoryName: labName('AD CS') });
  t.match(
    ask({ chain: before, intermediates, lists: [listOf(renewed, { scope: byName })] }),
    why,
    'every list has its name',
  );

  // Its cross certificate: the new key certified with the old one, and a path that leads over it.
  const cross = await old.issue({ subject, key, ca: true, reuseKeyOf: renewed, ...recipe });
  const over = [after[0], cross, old, root].filter((one) => one !== undefined);
  t.match(ask({ chain: over, lists: [listOf(old)] }), why);
  t.equal(ask({ chain: over, lists: [listOf(old), listOf(renewed)] }), good);
  t.match(ask({ chain: before, presented: [cross], lists: [listOf(renewed)] }), why);
});

await t.test(
  'elsewhere a key that one of the two certified speaks for both, and so does a list made for the point',
  async (t) => {
    const subject = 'O=Lab,CN=Rolling CA';
    const old = await root.subordinate({ subject, key });
    const renewed = await root.subordinate({ subject, key });
    const newWithOld = await old.issue({ subject, key, ca: true, reuseKeyOf: renewed });
    const point = 'http://crl.test/rolling';
    const extensions = [distributionPoints([point])];
    const bob = await old.issue({ subject: 'O=Lab,CN=bob', key, serial: '0b0b', extensions });
    const carol = await renewed.issue({ subject: 'O=Lab,CN=carol', key });
    t.equal(ask({ chain: [carol, newWithOld, old, root], lists: [listOf(old)] }), good, 'it stands above');
    t.equal(
      ask({ chain: [bob, old, root], presented: [newWithOld], lists: [listOf(renewed)] }),
      good,
      'the issuer certified it',
    );
    t.match(
      ask({ chain: [bob, old, root], intermediates: [renewed], lists: [listOf(renewed)] }),
      /^unknown: .*another key/,
    );
    const made = listOf(renewed, { scope: issuingDistributionPoint({ uris: [point] }) });
    t.equal(
      ask({ chain: [bob, old, root], intermediates: [renewed], lists: [made] }),
      good,
      'its list names the point',
    );
    const general = listOf(renewed, { scope: issuingDistributionPoint({ only: 'user' }) });
    t.match(ask({ chain: [bob, old, root], intermediates: [renewed], lists: [general] }), /^unknown: .*another key/);
  },
);

await t.test('a key for lists alone: from a CA above, under the same anchor, and not revoked', async (t) => {
  const subject = 'O=Lab,CN=Issuing CA';
  const forLists: Recipe = { subject, key, ca: false, keyUsage: ['cRLSign'], extendedKeyUsage: [] };
  const delegate = (by: Authority, rest: Recipe = {}) => by.issue({ ...forLists, subject, ...rest });
  const signer = await delegate(root, { serial: '51' });
  const asked = (made: Pick<Issued, 'der' | 'key'>, rest: Partial<CrlScene> = {}, lists: readonly Buffer[] = []) =>
    asks([listOf(made), ...lists], { presented: [made], ...rest });
  t.equal(asked(signer), good);
  t.equal(asked(signer, { presented: [], intermediates: [signer] }), good, 'from the trust store');
  t.equal(asks([listOf(signer, { entries: [listed] })], { presented: [signer] }), 'revoked 1 by list 0');
  t.equal(asked(await delegate(issuing)), good, 'from the CA itself');
  t.equal(asked(signer, {}, [listOf(root, { entries: [{ serial: '52' }] })]), good);
  t.match(
    asked(signer, {}, [listOf(root, { entries: [{ serial: '51' }] })]),
    /^unknown: .*the certificate CN=Issuing CA,O=Lab, thumbprint [0-9a-f]{40}, of its signer is revoked$/,
  );
  t.match(asked(await delegate(root, { keyUsage: ['digitalSignature'] })), /^unknown: no CRL/);
  t.match(asked(await delegate(root, { keyUsage: [] })), /^unknown: .*its signer/, 'it must say so in so many words');
  t.match(asked(await delegate(root, { notAfter: new Date('2026-11-01') })), /^unknown: no CRL/);
  t.match(
    asked(await delegate(root, { extensions: [distributionPoints(['http://crl.test/root'])] })),
    /^unknown: .*whether .* of its signer is revoked is unknown: no CRL of CN=Root,O=Lab is held$/,
  );

  const sibling = await root.subordinate({ subject: 'O=Lab,CN=Sibling', key });
  const borrowed = await delegate(sibling);
  t.match(
    asked(borrowed, { presented: [borrowed, sibling] }),
    /^unknown: .*the certificate of its signer was issued by a CA that is not above this certificate$/,
  );
  const elsewhere = await createAuthority({ subject: 'O=Lab,CN=Other Root', key });
  const foreign = await delegate(elsewhere);
  t.match(asked(foreign, { otherAnchors: [elsewhere] }), /^unknown: no CRL/);
  t.match(
    askStored({ chain, presented: [foreign], otherAnchors: [elsewhere] }, [storedList(listOf(foreign), foreign)]),
    /^unknown: .*its signer is not known/,
  );
});

await t.test('lists about the signers of lists: a circle ends, and a long chain of them does not count', async (t) => {
  const subject = 'O=Lab,CN=Issuing CA';
  const point = { extensions: [distributionPoints(['http://crl.test/x'])] };
  const delegate = (serial: string) =>
    issuing.issue({ subject, key, serial, ca: false, keyUsage: ['cRLSign'], extendedKeyUsage: [], ...point });
  const [a, b] = [await delegate('0a'), await delegate('0b')];
  const presented = [a, b];
  t.equal(asks([listOf(a)], { presented }), good, 'a list may speak about its own signer');
  t.match(asks([listOf(a, { entries: [{ serial: '0a' }] })], { presented }), /^unknown: .*of its signer is revoked$/);
  t.equal(asks([listOf(a), listOf(b)], { presented }), good);
  t.match(
    asks([listOf(a), listOf(issuing, { entries: [{ serial: '0a' }] })], { presented }),
    /^good/,
    "the issuer's own list is enough",
  );
  t.match(
    asks([listOf(a, { entries: [listed] }), listOf(issuing, { entries: [{ serial: '0a' }] })], { presented }),
    /^good/,
  );

  // alice by a's list, a by b's, and b by a's again.
  const [x, y] = ['http://crl.test/x', 'http://crl.test/y'];
  const delegateAt = (serial: string, uri: string) =>
    issuing.issue({
      ...{ subject, key, serial, ca: false, keyUsage: ['cRLSign'], extendedKeyUsage: [] },
      extensions: [distributionPoints([uri])],
    });
  const [atX, atY] = [await delegateAt('1a', x), await delegateAt('1b', y)];
  const at = (uri: string, entries: readonly { serial: string }[] = []) => ({
    scope: issuingDistributionPoint({ uris: [uri] }),
    entries,
  });
  const circle = { chain: await chainWith({ uri: y }), presented: [atX, atY] };
  t.equal(ask({ ...circle, lists: [listOf(atX, at(y)), listOf(atY, at(x))] }), good);
  t.match(ask({ ...circle, lists: [listOf(atX, at(y)), listOf(atY, at(x, [{ serial: '1a' }]))] }), /^unknown: /);
  t.match(ask({ ...circle, lists: [listOf(atX, at(y, [{ serial: '1b' }])), listOf(atY, at(x))] }), /^unknown: /);
  t.match(ask({ ...circle, lists: [listOf(atX, at(y))] }), /^unknown: .*of its signer is revoked is unknown/);

  const ca = await root.subordinate({ subject: 'O=Lab,CN=CA', key, ...point });
  const own = await ca.issue({ subject: 'O=Lab,CN=CA', key, ca: false, keyUsage: ['cRLSign'], extendedKeyUsage: [] });
  const bob = await ca.issue({ subject: 'O=Lab,CN=bob', key });
  t.equal(
    ask({ chain: [bob, ca, root], presented: [own], lists: [listOf(own)] }),
    good,
    'whether a CA on the path is revoked is asked where the path is checked',
  );

  // a's status hangs on b, b's on c, and so on: each is listed for others only, by indirect lists.
  const signers: Issued[] = [];
  const lists: Buffer[] = [];
  for (const number of [1, 2, 3, 4, 5]) {
    const crlIssuer = labName(`Lists ${number + 1}`);
    const extensions = [crlPoints({ crlIssuer })];
    signers.push(await root.issue({ subject: `O=Lab,CN=Lists ${number}`, key, keyUsage: ['cRLSign'], extensions }));
  }
  for (const signer of signers) lists.push(listOf(signer, { scope: issuingDistributionPoint({ indirect: true }) }));
  const last = await root.issue({ subject: 'O=Lab,CN=Lists 6', key, keyUsage: ['cRLSign'] });
  lists.push(listOf(last, { scope: issuingDistributionPoint({ indirect: true }) }));
  const startAt = async (number: number) =>
    ask({ chain: await chainWith({ crlIssuer: labName(`Lists ${number}`) }), lists, presented: [...signers, last] });
  t.equal(await startAt(4), good, 'three signers');
  t.match(await startAt(3), /^unknown: .*the chain of CRL signers is too long/);
});

await t.test('indirect lists: signed by whom the distribution point names', async (t) => {
  const lists = await root.issue({ subject: 'O=Lab,CN=Lists', key, keyUsage: ['cRLSign'] });
  const byName = await chainWith({ crlIssuer: labName('Lists') });
  const presented = [lists];
  const scope = issuingDistributionPoint({ indirect: true });
  const about = (what: object) => ask({ chain: byName, lists: [listOf(lists, { scope, ...what })], presented });
  const certificateIssuer = labName('Issuing CA');
  t.equal(about({}), good);
  t.equal(about({ entries: [{ serial: '0a11ce', reason: 1, certificateIssuer }] }), 'revoked 1 by list 0');
  t.equal(about({ entries: [listed] }), good, "an entry without an issuer is the list's own");
  t.equal(about({ entries: [{ ...listed, certificateIssuer: labName('Other') }] }), good);
  t.match(
    about({ scope: issuingDistributionPoint({ only: 'user' }) }),
    /not about this certificate/,
    'not called indirect',
  );
  t.match(ask({ chain: byName, lists: [listOf(lists)], presented }), /not about this certificate/, 'nor scoped at all');
  const ownKey = writeCrl({ signer: { ...signerOf(issuing), name: labName('Lists') }, scope });
  t.match(
    askStored({ chain: byName, presented }, [storedList(ownKey, issuing)]),
    /^unknown: .*its signer is not known/,
    "the issuer's key, but under a name that it does not have",
  );
  const expired = listOf(issuing, { nextUpdate: '2026-11-22T06:00:00Z' });
  t.match(
    ask({ chain: byName, lists: [expired, listOf(lists)], presented }),
    /^unknown: .* from list 0: it has expired/,
    'of several reasons the one nearest to an answer is said',
  );
  t.match(
    ask({ chain, lists: [listOf(lists, { scope })], presented }),
    /^unknown: no CRL of CN=Issuing CA,O=Lab is held$/,
  );
  const elsewhere = await createAuthority({ subject: 'O=Lab,CN=Other Root', key });
  const foreign = await elsewhere.issue({ subject: 'O=Lab,CN=Lists', key, keyUsage: ['cRLSign'] });
  t.match(
    ask({ chain: byName, lists: [listOf(foreign, { scope })], presented: [foreign], otherAnchors: [elsewhere] }),
    /^unknown: no CRL/,
  );
  const byRoot = await chainWith({ crlIssuer: labName('Root') });
  t.equal(ask({ chain: byRoot, lists: [listOf(root, { scope })] }), good, 'a CA above it');
  t.equal(asks([listOf(issuing, { scope })]), good, 'and the issuer itself, about its own certificates');
  const point = 'http://crl.test/lists';
  const scoped = issuingDistributionPoint({ indirect: true, uris: [point] });
  const pointed = await chainWith({ uri: point, crlIssuer: labName('Lists') });
  t.equal(ask({ chain: pointed, lists: [listOf(lists, { scope: scoped })], presented }), good);
  const wrong = issuingDistributionPoint({ indirect: true, uris: ['http://crl.test/other'] });
  t.match(ask({ chain: pointed, lists: [listOf(lists, { scope: wrong })], presented }), /not about this certificate/);
  const rdn = attribute(['2.5.4.3', 12, 'Point 1']);
  const below = sequence(element(0xa0, element(0xa1, rdn)), element(0x84, hex('ff')));
  const relative = { oid: extensionOids.issuingDistributionPoint, critical: true, value: below };
  const relatively = await chainWith({ relativeName: rdn, crlIssuer: labName('Lists') });
  t.equal(
    ask({ chain: relatively, lists: [listOf(lists, { scope: relative })], presented }),
    good,
    'below its CRL issuer',
  );
  const nameless = issuingDistributionPoint({ indirect: true, directoryName: labName('Lists') });
  t.equal(
    ask({ chain: byName, lists: [listOf(lists, { scope: nameless })], presented }),
    good,
    'a point without a name has that of its CRL issuer',
  );
});

await t.test('keys to verify a list with: by key identifier, ours first, and no stranger among them', async (t) => {
  const subject = 'O=Lab,CN=Issuing CA';
  const renewed = await root.subordinate({ subject, key });
  const unmarked = await root.subordinate({ subject, key, subjectKeyIdentifier: false });
  const stranger = await createAuthority({ subject, key });
  const shown = await root.subordinate({ subject, key });
  const { path, scene } = sceneOf({ chain, presented: [stranger, shown], intermediates: [renewed, unmarked] });
  const keysOf = (list: Buffer) =>
    crlOf(list).flatMap((crl) => signersFor(crl, { ...scene, path }).map(({ digest }) => digest));
  const digests = (...made: readonly Made[]) => made.map((one) => certificateOf(one).publicKey.digest);
  t.strictSame(keysOf(listOf(issuing)), digests(issuing, unmarked, renewed, shown));
  t.strictSame(keysOf(listOf(renewed)), digests(renewed, unmarked, issuing, shown));
  t.strictSame(keysOf(listOf(shown))[0], digests(shown)[0]);
  t.strictSame(keysOf(listOf(root)), digests(root));
  const many = await Promise.all(Array.from({ length: 12 }, () => root.subordinate({ subject, key })));
  const crowd = sceneOf({ chain, intermediates: many });
  const [list] = crlOf(emptyList);
  if (list === undefined) throw new Error('no list');
  t.equal(signersFor(list, { ...crowd.scene, path: crowd.path }).length, 8, 'of many with one name a few are tried');
});

await t.test(
  'the usual list costs no search; a signer is searched for once, and again after a while when there was none',
  async (t) => {
    const subject = 'O=Lab,CN=Issuing CA';
    const signer = await root.issue({ subject, key, ca: false, keyUsage: ['cRLSign'], extendedKeyUsage: [] });
    const { path, scene } = sceneOf({ chain, presented: [signer] });
    let searches = 0;
    const counting: TrustStore = {
      ...scene.store,
      issuers: { issuersOf: (child) => ((searches += 1), scene.store.issuers.issuersOf(child)) },
    };
    const statusBy = (list: Buffer, by: Made, at = scene.at) =>
      statusAt(0, path, listsOf([storedList(list, by)]), { ...scene, store: counting, at }).status;
    t.equal(statusBy(emptyList, issuing), 'good');
    t.equal(searches, 0);
    t.equal(statusBy(listOf(signer), signer), 'good');
    t.ok(searches > 0);
    const once = searches;
    t.equal(statusBy(listOf(signer), signer), 'good');
    t.equal(searches, once, 'remembered for the path');

    const notAfter = new Date('2026-11-25T00:00:00Z');
    const ending = await root.issue({ subject, key, ca: false, keyUsage: ['cRLSign'], extendedKeyUsage: [], notAfter });
    const short = sceneOf({ chain, presented: [ending] });
    const endingAt = (at: number) => {
      const lists = listsOf([storedList(listOf(ending), ending)]);
      return statusAt(0, short.path, lists, { ...short.scene, at: at as Instant }).status;
    };
    t.equal(endingAt(scene.at), 'good');
    t.equal(endingAt(notAfter.getTime() + 999), 'good');
    t.equal(endingAt(notAfter.getTime() + 1000), 'unknown', 'and no longer than its certificate is good');

    const stranger = await createAuthority({ subject, key });
    t.equal(statusBy(listOf(stranger), stranger), 'unknown');
    const negative = searches;
    t.equal(statusBy(listOf(stranger), stranger, (scene.at + 60_000) as Instant), 'unknown');
    t.equal(searches, negative);
    t.equal(statusBy(listOf(stranger), stranger, (scene.at + 60_001) as Instant), 'unknown');
    t.ok(searches > negative);
  },
);
