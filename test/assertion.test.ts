/**
 * Signed assertions: what they say, with which keys, and that nobody is ever shown one whose key could not be known.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { calculateJwkThumbprint, createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import t from 'tap';
import type { Test } from 'tap';
import { startAdmin } from '../src/admin/surface.ts';
import { setAlarm } from '../src/base/alarm.ts';
import type { Instant, Millis, Sid } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { Failure } from '../src/base/failure.ts';
import { loadConfiguration } from '../src/config/load.ts';
import type { AssertionFacts, AssertionSettings, AssertionSigner } from '../src/forward/assertion-contract.ts';
import { createAssertionSigner, type AssertionFacilities } from '../src/forward/assertion.ts';
import { openKeyDirectory } from '../src/forward/key-directory.ts';
import { keyFileText } from '../src/forward/key-file.ts';
import { createMemoryKeyStore } from '../src/forward/key-store.ts';
import { makeSigningKey } from '../src/forward/signing-key.ts';
import type { Gateway } from '../src/gateway/gateway.ts';
import { createMetrics, silentGauges } from '../src/gateway/metrics.ts';
import { createSetup } from '../src/gateway/setup.ts';
import {
  assertionFacts,
  assertionSettings,
  clientCertificate,
  domainSid,
  hour,
  second,
  stopTime,
  type StoppedTime,
} from './support/assertion-world.ts';
import { createConfigWorld } from './support/config-world.ts';
import { testGateway, testLab } from './support/gateway.ts';

const seed = Number(process.env['DSMAPPER_SEED'] ?? randomInt(2 ** 31));
t.comment(`DSMAPPER_SEED=${seed}`);

const start = Date.UTC(2026, 11, 1, 12) as Instant;
const day = 24 * hour;
const end = (start + 7 * day) as Instant;
const leaf = await clientCertificate();

function signerAt(
  time: StoppedTime,
  settings: Partial<AssertionSettings> = {},
  facilities: Partial<AssertionFacilities> = {},
): AssertionSigner {
  const { clock, setAlarm } = time;
  return createAssertionSigner(
    { ...assertionSettings, ...settings },
    { clock, setAlarm, report: () => {}, ...facilities },
  );
}

async function tokenOf(signer: AssertionSigner, facts: AssertionFacts, now: number): Promise<string> {
  const signed = await signer.sign(facts, now as Instant);
  if (signed.kind !== 'signed') throw new Error(signed.kind);
  return signed.token;
}

async function kidNow(signer: AssertionSigner, now: number): Promise<string> {
  return decodeProtectedHeader(await tokenOf(signer, assertionFacts(leaf), now)).kid ?? '';
}

function claimsIn(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
}

function kidsOf(signer: AssertionSigner, now: number): readonly string[] {
  return signer.jwks(now as Instant).keys.map(({ kid = '' }) => kid);
}

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'dsm-keys-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const keyFiles = (path: string) => readdirSync(path).toSorted();

for (const algorithm of ['EdDSA', 'ES256'] as const)
  void t.test(`${algorithm}: a verifier that knows nothing but the key set reads what was said`, async (t) => {
    const time = stopTime(start + 250);
    const signer = signerAt(time, { algorithm });
    const now = time.clock.now();
    const token = await tokenOf(signer, assertionFacts(leaf), now);
    const verified = await jwtVerify(token, createLocalJWKSet({ keys: [...signer.jwks(now).keys] as [] }), {
      issuer: 'gateway.example.test',
      audience: 'payroll',
      typ: 'dsmapper+jwt',
      algorithms: [algorithm],
      currentDate: new Date(now),
    });
    const { jti, ...payload } = verified.payload;
    t.match(jti, /^[\w-]{22}$/);
    t.same(payload, {
      iss: 'gateway.example.test',
      sub: `${domainSid}-1104`,
      aud: 'payroll',
      iat: start / 1000,
      nbf: start / 1000,
      exp: start / 1000 + 60,
      name: 'LAB\\alice',
      upn: 'alice@lab.example.test',
      dsmapper_method: 'X509SKI',
      dsmapper_strength: 'strong',
      dsmapper_strength_by: 'method',
      cnf: { 'x5t#S256': Buffer.from(leaf.digest, 'hex').toString('base64url') },
    });
    t.same(Object.keys(verified.protectedHeader).toSorted(), ['alg', 'kid', 'typ']);
    const again = await tokenOf(signer, assertionFacts(leaf), now);
    t.not(claimsIn(again)['jti'], jti, 'no two are the same');
  });

void t.test('an assertion does not outlive what it is about, and is renewed at half of its life', async (t) => {
  const signer = signerAt(stopTime(start));
  const until = async (notAfter: number) =>
    signer.sign(assertionFacts(leaf, {}, { notAfter: notAfter as Instant }), start);
  const short = await until(start + 10_900);
  t.equal(short.kind === 'signed' && claimsIn(short.token)['exp'], start / 1000 + 10, 'whole seconds, never above');
  t.equal(short.kind === 'signed' && short.renewAt, start + 5 * second);
  const whole = await until(start + day);
  t.equal(whole.kind === 'signed' && whole.renewAt, start + 30 * second);
  t.same(await until(start), { kind: 'outlived' });
  t.same(await until(start - day), { kind: 'outlived' });
  t.same(await until(start + 900), { kind: 'outlived' }, 'an assertion that ends in the second it begins is none');
});

void t.test('groups are named by SID, and by name beside it; whose name is not known is still there', async (t) => {
  const signer = signerAt(stopTime(start));
  const claims = async (facts: Partial<AssertionFacts>) =>
    claimsIn(await tokenOf(signer, assertionFacts(leaf, {}, facts), start));
  const group = (rid: number, name: string | null) => ({ sid: `${domainSid}-${rid}` as Sid, name });
  const none = await claims({ groups: null });
  t.notOk('groups' in none || 'dsmapper_group_names' in none, 'not asked for');
  t.same((await claims({ groups: [] }))['groups'], [], 'asked for, and member of nothing');
  const sids = await claims({ groups: [group(512, null), group(1200, null)] });
  t.same(sids['groups'], [`${domainSid}-512`, `${domainSid}-1200`]);
  t.notOk('dsmapper_group_names' in sids);
  const named = await claims({ groups: [group(512, 'LAB\\Domain Admins'), group(1200, null)] });
  t.same(named['groups'], [`${domainSid}-512`, `${domainSid}-1200`]);
  t.same(named['dsmapper_group_names'], ['LAB\\Domain Admins']);
});

void t.test('text stays what it is, and an account without a UPN has none', async (t) => {
  const signer = signerAt(stopTime(start));
  const name = 'ЛАБ\\Jürgen "山田" \u{1f511}\u0000\u2028';
  const claims = claimsIn(await tokenOf(signer, assertionFacts(leaf, { name, upn: null }), start));
  t.equal(claims['name'], name);
  t.notOk('upn' in claims);
});

void t.test('what would be too long is refused, not shortened', async (t) => {
  const groups = Array.from({ length: 300 }, (_, index) => ({
    sid: `${domainSid}-${2000 + index}` as Sid,
    name: null,
  }));
  const facts = assertionFacts(leaf, {}, { groups });
  const { length } = await tokenOf(signerAt(stopTime(start), { maximumBytes: 100_000 }), facts, start);
  const exact = await signerAt(stopTime(start), { maximumBytes: length }).sign(facts, start);
  t.equal(exact.kind, 'signed');
  t.same(await signerAt(stopTime(start), { maximumBytes: length - 1 }).sign(facts, start), {
    kind: 'tooLarge',
    bytes: length,
    limit: length - 1,
  });
});

void t.test('the key set has public members alone, named by their thumbprint', async (t) => {
  for (const algorithm of ['EdDSA', 'ES256'] as const) {
    const time = stopTime(start);
    const signer = signerAt(time, { algorithm });
    time.moveTo(start + 7 * day - hour);
    const { keys } = signer.jwks(time.clock.now());
    t.equal(keys.length, 2, 'the next one is announced');
    for (const key of keys) {
      const expected = algorithm === 'EdDSA' ? ['crv', 'kty', 'x'] : ['crv', 'kty', 'x', 'y'];
      t.same(Object.keys(key).toSorted(), ['alg', ...expected, 'kid', 'use'].toSorted());
      t.match(key, { alg: algorithm, use: 'sig', kid: await calculateJwkThumbprint(key) });
    }
    t.same(signer.jwks(time.clock.now()), { keys }, 'in a stable order');
    t.equal(keys[0]?.['kid'], await kidNow(signer, time.clock.now()), 'the one that signs comes first');
    signer.close();
  }
});

void t.test('a key is published before it signs, signs, is published for a while and is gone', async (t) => {
  const time = stopTime(start);
  const signer = signerAt(time);
  const [first = ''] = kidsOf(signer, start);
  const change = start + 7 * day;
  time.moveTo(change - hour);
  const [, next = ''] = kidsOf(signer, time.clock.now());
  t.ok(next !== '' && next !== first);
  time.moveTo(change - 1);
  t.equal(await kidNow(signer, time.clock.now()), first);
  time.moveTo(change);
  t.equal(await kidNow(signer, change), next);
  time.moveTo(change + hour + 59 * 1000);
  t.same(kidsOf(signer, time.clock.now()), [next, first]);
  time.moveTo(change + 2 * hour);
  t.same(kidsOf(signer, time.clock.now()), [next]);
});

interface World {
  readonly overlap: number;
  readonly lifetime: number;
  /** Rotation in overlaps. */
  readonly turns: number;
  /** So many times longer is that of every second gateway: it does not know when the first makes keys. */
  readonly slower: number;
  readonly algorithm: AssertionSettings['algorithm'];
  readonly other: AssertionSettings['algorithm'];
  readonly gateways: number;
  /** Each: how long passes, who signs, whose key set is fetched, whether alarms ring in time. */
  readonly moves: readonly (readonly [number, number, number, boolean])[];
}

void t.test('who keeps a key set for less than the overlap never meets a key that is not in it', async (t) => {
  const worlds: fc.Arbitrary<World> = fc.record({
    overlap: fc.integer({ min: 1000, max: 5_000_000 }),
    lifetime: fc.integer({ min: 1000, max: 600_000 }),
    turns: fc.double({ min: 2, max: 20, noNaN: true }),
    slower: fc.double({ min: 1, max: 3, noNaN: true }),
    algorithm: fc.constantFrom('EdDSA', 'ES256'),
    other: fc.constantFrom('EdDSA', 'ES256'),
    gateways: fc.integer({ min: 1, max: 3 }),
    moves: fc.array(fc.tuple(fc.double({ min: 0, max: 1.5, noNaN: true }), fc.nat(2), fc.nat(2), fc.boolean()), {
      minLength: 20,
      maxLength: 60,
    }),
  });
  let met = 0;
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => {
      const { overlap, turns, slower, gateways, moves, algorithm, other } = world;
      const lifetime = Math.min(world.lifetime, overlap) as Millis;
      const terms = { overlap: overlap as Millis, lifetime, rotation: Math.ceil(overlap * turns) as Millis };
      const time = stopTime(start);
      const memoryKeys = createMemoryKeyStore();
      const signers = Array.from({ length: gateways }, (_, index) =>
        signerAt(
          time,
          index === 1
            ? { ...terms, algorithm: other, rotation: Math.ceil(terms.rotation * slower) as Millis }
            : { ...terms, algorithm },
          { memoryKeys },
        ),
      );
      // Fetched at the beginning, so that nothing is to be learnt later without a fetch. With several gateways the very first key signs at once.
      let cache: { at: number; kids: readonly string[] } | null = null;
      for (const [part, who, from, ring] of moves) {
        const to = Math.floor(time.clock.now() + part * overlap);
        // Others that share the keys need their alarms to see them.
        if (ring || gateways > 1) time.moveTo(to);
        else time.sleepUntil(to);
        const [signing, published] = [signers[who % gateways], signers[from % gateways]];
        if (signing === undefined || published === undefined) throw new Error('nobody signs');
        const now = time.clock.now();
        if (cache === null || now - cache.at >= overlap) cache = { at: now, kids: kidsOf(published, now) };
        const kid = await kidNow(signing, now);
        if (!cache.kids.includes(kid)) return false;
        // And what was signed stays believable to its end, also by who fetches only then.
        const end = signerAt(stopTime(now + lifetime), { ...terms, algorithm }, { memoryKeys: copyOf(memoryKeys) });
        if (!kidsOf(end, now + lifetime).includes(kid)) return false;
        met += 1;
      }
      for (const signer of signers) signer.close();
      return memoryKeys.read().length <= 8;
    }),
    { seed, numRuns: 150, endOnFailure: true },
  );
  t.ok(met > 1000, `${met} assertions were looked at`);
});

function copyOf(store: ReturnType<typeof createMemoryKeyStore>): ReturnType<typeof createMemoryKeyStore> {
  const copy = createMemoryKeyStore();
  for (const key of store.read()) copy.add(key);
  return copy;
}

void t.test(
  'after a change of algorithm the old key signs until the new one is known, and is published to its end',
  async (t) => {
    const path = folder(t);
    const time = stopTime(start);
    const before = signerAt(time, { keyDirectory: path });
    const [old = ''] = kidsOf(before, start);
    before.close();
    time.moveTo(start + hour);
    const signer = signerAt(time, { keyDirectory: path, algorithm: 'ES256' });
    const kids = kidsOf(signer, time.clock.now());
    t.equal(kids.length, 2, 'both are published');
    t.equal(await kidNow(signer, time.clock.now()), old);
    time.moveTo(start + hour + 1.25 * hour);
    const header = decodeProtectedHeader(await tokenOf(signer, assertionFacts(leaf), time.clock.now()));
    t.match(header, { alg: 'ES256', kid: kids.find((kid) => kid !== old) ?? '' });
    time.moveTo(start + 7 * day);
    t.ok(kidsOf(signer, time.clock.now()).includes(old));
    time.moveTo(start + 7 * day + 2 * hour);
    t.notOk(kidsOf(signer, time.clock.now()).includes(old));
    t.notOk(
      keyFiles(path).some((name) => name.startsWith('EdDSA')),
      'its file is gone',
    );
    signer.close();
  },
);

void t.test(
  'a key whose time is over when the algorithm changes signs and stays until the new one is known',
  async (t) => {
    const memoryKeys = createMemoryKeyStore();
    const before = signerAt(stopTime(start), {}, { memoryKeys });
    const [old = ''] = kidsOf(before, start);
    before.close();
    const time = stopTime(end + hour);
    const signer = signerAt(time, { algorithm: 'ES256' }, { memoryKeys });
    const change = end + hour + 1.25 * hour;
    time.moveTo(change - 1);
    t.equal(await kidNow(signer, time.clock.now()), old);
    time.moveTo(change + hour);
    t.not(await kidNow(signer, time.clock.now()), old);
    t.ok(kidsOf(signer, time.clock.now()).includes(old));
    time.moveTo(change + 2 * hour);
    t.notOk(kidsOf(signer, time.clock.now()).includes(old));
    signer.close();
  },
);

void t.test('a key that is due at once is announced all the same', async (t) => {
  const memoryKeys = createMemoryKeyStore();
  const before = signerAt(stopTime(start), {}, { memoryKeys });
  const [old] = kidsOf(before, start);
  before.close();
  const time = stopTime(start + 3 * day);
  const signer = signerAt(time, { rotation: day as Millis }, { memoryKeys });
  t.equal(kidsOf(signer, time.clock.now()).length, 2);
  time.moveTo(start + 3 * day + hour);
  t.equal(await kidNow(signer, time.clock.now()), old);
  time.moveTo(start + 3 * day + 1.25 * hour);
  t.not(await kidNow(signer, time.clock.now()), old);
  signer.close();
});

void t.test('after a sleep in which no alarm rang, keys are looked after with the first request', (t) => {
  const time = stopTime(start);
  const signer = signerAt(time);
  time.sleepUntil(start + 30 * day);
  t.equal(kidsOf(signer, time.clock.now()).length, 2);
  signer.close();
  t.end();
});

void t.test(
  'a clock that is set back leaves a key that signs, and one that ran ahead does not stop rotation',
  async (t) => {
    const memoryKeys = createMemoryKeyStore();
    signerAt(stopTime(start), {}, { memoryKeys }).close();
    const back = stopTime(start - day);
    const signer = signerAt(back, {}, { memoryKeys });
    t.ok(await kidNow(signer, start - day));
    const ahead = createMemoryKeyStore();
    ahead.add(makeSigningKey({ algorithm: 'EdDSA', number: 1, created: start, signsFrom: start, signsUntil: end }));
    const far = makeSigningKey({
      algorithm: 'EdDSA',
      number: 2,
      created: start,
      signsFrom: (start + 9000 * day) as Instant,
      signsUntil: (start + 9001 * day) as Instant,
    });
    ahead.add(far);
    const time = stopTime(start);
    const rotating = signerAt(time, {}, { memoryKeys: ahead });
    time.moveTo(start + 30 * day);
    t.not(
      await kidNow(rotating, time.clock.now()),
      kidsOf(signerAt(stopTime(start), {}, { memoryKeys: copyOf(ahead) }), start)[1],
    );
    t.notOk(kidsOf(rotating, time.clock.now()).includes(far.kid));
    t.ok(
      ahead.read().some(({ number }) => number > 4),
      'keys go on being made',
    );
  },
);

void t.test('keys outlive a restart, in files that nobody else can read', async (t) => {
  const path = join(folder(t), 'made', 'here');
  for (const algorithm of ['EdDSA', 'ES256'] as const) {
    const keyDirectory = join(path, algorithm);
    const before = signerAt(stopTime(start), { keyDirectory, algorithm });
    const kids = kidsOf(before, start);
    before.close();
    t.same(keyFiles(keyDirectory), [`${algorithm}-000001.pem`], 'nothing is left over');
    const file = join(keyDirectory, `${algorithm}-000001.pem`);
    t.equal(statSync(file).mode & 0o777, 0o600);
    t.equal(statSync(keyDirectory).mode & 0o777, 0o700);
    t.ok(createPrivateKey(readFileSync(file)), 'other programs read it as it is');
    t.match(
      readFileSync(file, 'utf8'),
      `kid: ${kids[0]}\nalg: ${algorithm}\ncreated: 2026-12-01T12:00:00.000Z\nsigns from: 2026-12-01T12:00:00.000Z\nsigns until: 2026-12-08T12:00:00.000Z\n`,
    );
    const after = signerAt(stopTime(start + day), { keyDirectory, algorithm });
    t.same(kidsOf(after, start + day), kids);
    after.close();
  }
});

void t.test('a file that is done is deleted, and one that somebody deletes no longer signs', async (t) => {
  const keyDirectory = folder(t);
  const time = stopTime(start);
  const signer = signerAt(time, { keyDirectory });
  time.moveTo(start + 7 * day + 2 * hour);
  t.same(keyFiles(keyDirectory), ['EdDSA-000002.pem']);
  const kid = await kidNow(signer, time.clock.now());
  rmSync(join(keyDirectory, 'EdDSA-000002.pem'));
  time.moveTo(time.clock.now() + hour);
  t.notOk(kidsOf(signer, time.clock.now()).includes(kid));
  t.equal(kidsOf(signer, time.clock.now()).length, 1);
  t.ok(await kidNow(signer, time.clock.now()));
  signer.close();
});

void t.test('broken and hostile key files are named, and left as they are', async (t) => {
  const written = (facts: { algorithm?: 'EdDSA' | 'ES256' } = {}) =>
    keyFileText(
      makeSigningKey({ algorithm: 'EdDSA', number: 1, created: start, signsFrom: start, signsUntil: end, ...facts }),
    );
  const good = written();
  const foreign = (pem: string) => good.replace(/-----BEGIN[^]*/, pem);
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(pkcs8);
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export(pkcs8);
  const other = generateKeyPairSync('ed25519').privateKey.export(pkcs8);
  const contents: Readonly<Record<string, readonly [string, RegExp]>> = {
    empty: ['', /not written as/],
    'cut short': [good.slice(0, -40), /not written as/],
    'with something after it': [`${good}more`, /not written as/],
    'for another algorithm': [written({ algorithm: 'ES256' }), /a key for ES256, against its name/],
    'with an RSA key': [foreign(rsa), /not one for EdDSA/],
    'with a key of another curve': [foreign(p384), /not one for EdDSA/],
    "with somebody else's key": [foreign(other), /not the thumbprint/],
    'with letters for a key': [
      good.replace(/(PRIVATE KEY-----\n).{12}/, '$1AAAAAAAAAAAA'),
      /private key cannot be read/,
    ],
    'without a date': [good.replace('2026-12-01T12', '2026-13-01T12'), /a date in it is none/],
    'with another spelling of a date': [good.replace('12:00:00.000Z', '12:00:00Z'), /a date in it is none/],
    large: [good + 'x'.repeat(5000), /larger than a key/],
  };
  for (const [what, [content, reason]] of Object.entries(contents)) {
    const keyDirectory = folder(t);
    const file = join(keyDirectory, 'EdDSA-000001.pem');
    writeFileSync(file, content, { mode: 0o600 });
    t.throws(() => signerAt(stopTime(start), { keyDirectory }), { message: file, code: 'assertion-keys' }, what);
    t.throws(() => signerAt(stopTime(start), { keyDirectory }), { message: reason }, what);
    t.equal(readFileSync(file, 'utf8'), content, 'nothing is replaced');
    t.same(keyFiles(keyDirectory), ['EdDSA-000001.pem']);
  }
  const scenes: Readonly<Record<string, readonly [(directory: string, file: string) => void, RegExp]>> = {
    'a file that the group can read': [
      (_, file) => (writeFileSync(file, good), chmodSync(file, 0o640)),
      /used by others/,
    ],
    'a directory that the group can write': [
      (directory) => chmodSync(directory, 0o770),
      /written by others \(mode 770\)/,
    ],
    'a directory that everybody can write': [(directory) => chmodSync(directory, 0o1777), /written by others/],
    'a link to a good key': [
      (directory, file) => {
        writeFileSync(join(directory, 'elsewhere'), good, { mode: 0o600 });
        symlinkSync(join(directory, 'elsewhere'), file);
      },
      /is a symbolic link/,
    ],
    'a pipe': [(_, file) => void execFileSync('mkfifo', ['-m', '600', file]), /not a plain file/],
    'a key of another curve in the place of one for ES256': [
      (directory) => {
        const key = makeSigningKey({
          algorithm: 'ES256',
          number: 1,
          created: start,
          signsFrom: start,
          signsUntil: end,
        });
        const file = join(directory, 'ES256-000001.pem');
        writeFileSync(file, keyFileText(key).replace(/-----BEGIN[^]*/, p384), { mode: 0o600 });
      },
      /not one for ES256/,
    ],
    ...(process.geteuid?.() === 0 && {
      'a file of another user': [
        (_: string, file: string) => {
          writeFileSync(file, good, { mode: 0o600 });
          chownSync(file, 12_345, 12_345);
        },
        /another user \(uid 12345\)/,
      ] as const,
      'a directory of another user': [
        (directory: string) => chownSync(directory, 12_345, 12_345),
        /another user \(uid 12345\)/,
      ] as const,
    }),
    'a directory in place of a file': [(_, file) => mkdirSync(file), /not a plain file/],
    'too many keys': [
      (directory) => {
        for (let number = 1; number <= 101; number += 1)
          writeFileSync(join(directory, `ES256-${String(number).padStart(6, '0')}.pem`), '', { mode: 0o600 });
      },
      /holds 101 keys/,
    ],
  };
  for (const [what, [set, reason]] of Object.entries(scenes)) {
    const keyDirectory = folder(t);
    set(keyDirectory, join(keyDirectory, 'EdDSA-000001.pem'));
    t.throws(() => signerAt(stopTime(start), { keyDirectory }), { message: reason, code: 'assertion-keys' }, what);
  }
  const file = join(folder(t), 'file');
  writeFileSync(file, '');
  t.throws(() => signerAt(stopTime(start), { keyDirectory: file }), { message: file, code: 'assertion-keys' });
});

void t.test('other files in the directory are left alone; what a crash left over goes after a while', async (t) => {
  const keyDirectory = folder(t);
  const others = ['README', 'EdDSA-1.pem', 'EdDSA-0000001.pem', 'EdDSA-000000.pem', 'RS256-000001.pem', 'x.tmp'];
  for (const name of others) writeFileSync(join(keyDirectory, name), 'x');
  const [old, fresh] = [`.${'a'.repeat(16)}.tmp`, `.${'b'.repeat(16)}.tmp`];
  for (const name of [old, fresh]) writeFileSync(join(keyDirectory, name), 'x');
  utimesSync(join(keyDirectory, old), (start - 2 * hour) / 1000, (start - 2 * hour) / 1000);
  utimesSync(join(keyDirectory, fresh), (start - 10) / 1000, (start - 10) / 1000);
  signerAt(stopTime(start), { keyDirectory }).close();
  t.same(keyFiles(keyDirectory), [fresh, 'EdDSA-000001.pem', ...others].toSorted());
});

void t.test('gateways that start at once in one directory come to one key', async (t) => {
  const keyDirectory = folder(t);
  const code = `
    import { createAssertionSigner } from '${new URL('../src/forward/assertion.ts', import.meta.url).href}';
    const signer = createAssertionSigner(${JSON.stringify({ ...assertionSettings, keyDirectory })},
      { clock: { now: () => Date.now() }, setAlarm: () => () => {}, report: console.error });
    console.log(signer.jwks(Date.now()).keys.map(({ kid }) => kid).join());`;
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  const answers = await Promise.all(
    children.map(async (child) => {
      const [said, [status]] = await Promise.all([text(child.stdout), once(child, 'close')]);
      t.equal(status, 0);
      return said.trim();
    }),
  );
  t.equal(new Set(answers).size, 1, answers.join(' '));
  t.match(answers[0], /^[\w-]{43}$/);
  t.same(keyFiles(keyDirectory), ['EdDSA-000001.pem']);
});

void t.test('of two keys for one place the first counts', (t) => {
  const path = folder(t);
  for (const store of [createMemoryKeyStore(), openKeyDirectory(path, stopTime(start).clock)]) {
    const key = () =>
      makeSigningKey({ algorithm: 'ES256', number: 3, created: start, signsFrom: start, signsUntil: end });
    const [first, second] = [key(), key()];
    t.equal(store.add(first), true);
    t.equal(store.add(second), false);
    t.same(
      store.read().map(({ kid, number }) => [kid, number]),
      [[first.kid, 3]],
    );
    store.remove(first);
    store.remove(first);
    t.same(store.read(), []);
  }
  t.same(keyFiles(path), [], 'nothing is left over');
  t.end();
});

void t.test('what goes wrong while serving is told, and the known keys serve on', async (t) => {
  const keyDirectory = folder(t);
  const time = stopTime(start);
  const told: Readonly<Record<string, unknown>>[] = [];
  const signer = signerAt(time, { keyDirectory }, { report: (record) => told.push(record) });
  const [kid] = kidsOf(signer, start);
  chmodSync(keyDirectory, 0o777);
  time.moveTo(start + hour);
  t.ok(told.length > 0 && told.length < 10, `told ${told.length} times`);
  t.match(told[0], { event: 'assertionKeys', detail: keyDirectory });
  t.same(kidsOf(signer, time.clock.now()), [kid]);
  time.moveTo(start + 9 * day);
  t.equal(
    await kidNow(signer, time.clock.now()),
    kid,
    'also when another should sign: one that is not stored is not used',
  );
  chmodSync(keyDirectory, 0o700);
  time.moveTo(start + 9 * day + 3 * hour);
  t.not(await kidNow(signer, time.clock.now()), kid);
  signer.close();
});

void t.test('without a key nothing is signed', async (t) => {
  const empty = { read: () => [], add: () => false, remove: () => {} };
  t.throws(() => signerAt(stopTime(start), {}, { memoryKeys: empty }), {
    code: 'assertion-keys',
    message: /come to rest/,
  });
  const memoryKeys = createMemoryKeyStore();
  const time = stopTime(start);
  let broken = false;
  const add: typeof memoryKeys.add = (key) => {
    if (broken) throw new Failure('the disk is full', { code: 'assertion-keys', hint: '' });
    return memoryKeys.add(key);
  };
  const signer = signerAt(time, {}, { memoryKeys: { ...memoryKeys, add } });
  broken = true;
  for (const key of memoryKeys.read()) memoryKeys.remove(key);
  time.moveTo(start + hour);
  await t.rejects(signer.sign(assertionFacts(leaf), time.clock.now()), { code: 'assertion-keys' });
  t.same(signer.jwks(time.clock.now()), { keys: [] });
});

void t.test('a closed signer waits for nothing', (t) => {
  const time = stopTime(start);
  const signer = signerAt(time);
  t.equal(time.waiting, 1);
  time.moveTo(start + day);
  t.equal(time.waiting, 1);
  signer.close();
  t.equal(time.waiting, 0);
  t.end();
});

void t.test('a command beside a gateway touches no key and signs with its own', async (t) => {
  const keyDirectory = join(folder(t), 'keys');
  const signer = signerAt(stopTime(start), { keyDirectory }, { readOnly: true });
  t.ok(await kidNow(signer, start));
  t.notOk(existsSync(keyDirectory));
  signer.close();
});

void t.test('the admin listener publishes the keys, for less than the overlap', async (t) => {
  const time = stopTime(start);
  const signer = signerAt(time);
  let assertions: AssertionSigner | null = signer;
  const setup = {
    clock: time.clock,
    get assertions() {
      return assertions;
    },
  };
  const admin = await startAdmin({ listen: { address: '127.0.0.1', port: 0 }, socket: null }, {
    setup,
  } as unknown as Gateway);
  t.teardown(() => admin.close());
  const url = `http://${admin.address}/.well-known/jwks.json`;
  const answer = await fetch(url);
  t.equal(answer.status, 200);
  t.match(answer.headers.get('content-type'), 'application/jwk-set+json');
  t.equal(answer.headers.get('cache-control'), 'public, max-age=1800');
  t.same(await answer.json(), signer.jwks(start));
  assertions = null;
  const none = await fetch(url);
  t.equal(none.status, 404);
  await none.body?.cancel();
});

void t.test('a setup has a signer where the configuration asks for one, and closes it', async (t) => {
  const world = await createConfigWorld();
  const yaml = readFileSync(new URL('cases/config/admin-taken/config.yaml', import.meta.url), 'utf8').replace(
    /^admin:.*$/m,
    '',
  );
  const facilities = { clock: systemClock, random: Math.random, metrics: createMetrics(silentGauges) };
  const settingsOf = async (more: string) =>
    (await loadConfiguration('config.yaml', world.facilities(`${yaml}${more}`))).settings;
  const without = createSetup(await settingsOf(''), 1, facilities);
  t.equal(without.assertions, null);
  await without.close();
  const settings = await settingsOf('identity: { assertion: { algorithm: ES256, issuer: gw } }\n');
  t.match(settings.identity.assertion, {
    algorithm: 'ES256',
    issuer: 'gw',
    lifetime: 60_000,
    maximumBytes: 8000,
    keyDirectory: null,
  });
  const bounds = await settingsOf('identity: { assertion: { lifetime: 10m, overlap: 10m, rotation: 20m } }\n');
  t.match(bounds.identity.assertion, { lifetime: 600_000, overlap: 600_000, rotation: 1_200_000 });
  const assertionKeys = createMemoryKeyStore();
  const [setup, next] = [1, 2].map((generation) => createSetup(settings, generation, { ...facilities, assertionKeys }));
  const now = systemClock.now();
  t.equal(setup?.assertions?.jwks(now).keys[0]?.['alg'], 'ES256');
  t.same(next?.assertions?.jwks(now), setup?.assertions?.jwks(now), 'keys in memory outlive a reload');
  await Promise.all([setup?.close(), next?.close()]);
});

await t.test('a reload keeps keys that live in memory', { timeout: 60_000 }, async (t) => {
  const lab = await testLab(t);
  const to = await testGateway(t, {
    lab,
    configure: (yaml) => `${yaml.replace(/^identity:.*\n(?: .*\n)*/m, '')}\nidentity: { assertion: {} }\n`,
  });
  const before = to.gateway.setup;
  const keys = before.assertions?.jwks(systemClock.now()).keys ?? [];
  t.equal(keys.length, 1);
  await to.gateway.reload(to.settings);
  t.not(to.gateway.setup, before);
  t.same(to.gateway.setup.assertions?.jwks(systemClock.now()).keys, keys);
});

// Node's own timers: an alarm that keeps the process alive would hang this file.
createAssertionSigner(assertionSettings, { clock: systemClock, setAlarm, report: () => {} });
