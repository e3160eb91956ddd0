/**
 * What a resumed session carries over, and where a session must not be resumed at all.
 */
import { exec } from 'node:child_process';
import { promisify } from 'node:util';
import type { ConnectionOptions } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import type { Digest, Instant } from '../../src/base/brand.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { BindingSettings } from '../../src/tls/binding.ts';
import { talkTls, testBinding, testFront, testPki } from '../support/front.ts';
import type { Described, TestFront } from '../support/front.ts';

const { alice, issuing } = await testPki();
const aliceChain = { cert: alice.cert + issuing.cert, key: alice.key };
const base64 = (...ders: readonly Buffer[]) => ders.map((der) => der.toString('base64'));
const versions = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof versions)[number];

interface Visit {
  readonly described: Described | null;
  /** What the client says: whether its session was taken. */
  readonly reused: boolean;
  /** For the next visit. */
  readonly session: Buffer | undefined;
}

/** One connection with one request, at the end of which the session's ticket has come. */
async function visit(port: number, maxVersion: Version, options: ConnectionOptions = {}): Promise<Visit> {
  const client = await talkTls(port, { ...aliceChain, maxVersion, ...options });
  const reused = client.socket.isSessionReused();
  const described = await client.get('/');
  const session = client.socket.getSession();
  client.socket.destroy();
  return { described, reused, session };
}

function resuming(session: Buffer | undefined): ConnectionOptions {
  return session === undefined ? {} : { session };
}

for (const version of versions)
  await t.test(`by ${version}`, async (t) => {
    const tickets = { clientCertificate: 'upFront' as const, enableSessionTicket: true };

    await t.test('a resumed connection says so, and shows the leaf alone', async (t) => {
      const { port } = await testFront(t, { bindings: [tickets] });
      const first = await visit(port(), version);
      t.match(first.described?.presented, { resumed: false, how: 'upFront' });
      t.same(first.described?.presented?.chain, base64(alice.der, issuing.der));
      const second = await visit(port(), version, resuming(first.session));
      t.equal(second.reused, true);
      t.match(second.described?.presented, { resumed: true, how: 'upFront' });
      t.same(second.described?.presented?.chain, base64(alice.der));
      t.not(second.described?.presented?.digest, first.described?.presented?.digest);
      t.not(second.described?.id, first.described?.id);
    });

    await t.test('a session without a certificate resumes without one, whatever the client holds now', async (t) => {
      const { port } = await testFront(t, { bindings: [tickets] });
      const bare = { cert: undefined, key: undefined };
      const first = await visit(port(), version, bare);
      t.match(first.described?.presented, { chain: [], resumed: false });
      const second = await visit(port(), version, resuming(first.session));
      t.match(second.described?.presented, { chain: [], digest: null, resumed: true });
    });

    await t.test('where tickets are not enabled every handshake is a full one', async (t) => {
      for (const clientCertificate of ['upFront', 'never'] as const) {
        const { port } = await testFront(t, { bindings: [{ clientCertificate }] });
        const first = await visit(port(), version);
        const second = await visit(port(), version, resuming(first.session));
        t.equal(second.reused, false, clientCertificate);
        t.same(second.described?.presented, first.described?.presented);
      }
    });

    await t.test('a ticket is worth nothing', async (t) => {
      const base = await testBinding({ name: 'one', ...tickets });
      /** Visits, changes the front, visits again with the session. */
      const worthless = async (
        t: Test,
        bindings: readonly BindingSettings[],
        later: (front: TestFront) => Promise<number>,
      ) => {
        const front = await testFront(t, { bindings });
        const { session } = await visit(front.port('one'), version);
        const control = await visit(front.port('one'), version, resuming(session));
        t.equal(control.reused, true, 'it is a good ticket where it came from');
        const second = await visit(await later(front), version, resuming(session));
        t.equal(second.reused, false);
        return second.described;
      };

      await t.test('at another binding', async (t) => {
        const other = { ...base, name: 'other' };
        const described = await worthless(t, [base, other], ({ port }) => Promise.resolve(port('other')));
        t.same(described?.presented?.chain, base64(alice.der, issuing.der), 'its client is asked and judged anew');
      });

      await t.test('at the same binding under another trust', async (t) => {
        const described = await worthless(t, [base], async ({ front, port }) => {
          await front.replaceBindings([{ ...base, trustDigest: 'trust two' as Digest }]);
          return port('one');
        });
        t.same(described?.presented?.chain, base64(alice.der, issuing.der));
      });

      await t.test('at the same binding once it asks for certificates', async (t) => {
        const never: BindingSettings = { ...base, clientCertificate: 'never' };
        const described = await worthless(t, [never], async ({ front, port }) => {
          await front.replaceBindings([base]);
          return port('one');
        });
        t.same(described?.presented?.chain, base64(alice.der, issuing.der), 'a session that was never asked is asked');
      });
    });

    await t.test("processes that share the secret resume each other's sessions, others do not", async (t) => {
      const start = (secret: number) => testFront(t, { bindings: [tickets], secret: Buffer.alloc(32, secret) });
      const [one, same, other] = [await start(1), await start(1), await start(2)];
      const { session } = await visit(one.port(), version);
      t.equal((await visit(same.port(), version, resuming(session))).reused, true);
      t.equal((await visit(other.port(), version, resuming(session))).reused, false);
    });

    await t.test('no chain of renewed tickets outlives the hour', async (t) => {
      let now = 1_800_000_000_000 - (1_800_000_000_000 % 3_600_000);
      const clock: Clock = { now: () => now as Instant, monotonic: () => now };
      const { port } = await testFront(t, { bindings: [tickets], clock });
      const first = await visit(port(), version);
      now += 59 * 60_000;
      const renewed = await visit(port(), version, resuming(first.session));
      t.equal(renewed.reused, true);
      now += 60_000;
      for (const { session } of [first, renewed]) {
        const late = await visit(port(), version, resuming(session));
        t.equal(late.reused, false);
        t.equal(late.described?.presented?.chain.length, 2);
      }
      const fresh = await visit(port(), version);
      t.equal((await visit(port(), version, resuming(fresh.session))).reused, true, 'and the next hour has its own');
    });
  });

await t.test('a ticket announces a life of one hour', async (t) => {
  const { port } = await testFront(t, { bindings: [{ clientCertificate: 'upFront', enableSessionTicket: true }] });
  const { stdout } = await promisify(exec)(`openssl s_client -connect 127.0.0.1:${port()} -tls1_2 </dev/null 2>&1`);
  t.match(stdout, /lifetime hint: 3600 \(seconds\)/);
});

await t.test('a late binding never resumes, so that its client is always asked', async (t) => {
  const { port } = await testFront(t, { bindings: [{ clientCertificate: 'late', enableSessionTicket: true }] });
  const first = await talkTls(port(), aliceChain);
  const before = first.socket.getSession();
  t.match((await first.get('/ask'))?.asked, { how: 'renegotiated' });
  const after = first.socket.getSession();
  first.socket.destroy();
  for (const session of [before, after]) {
    const next = await talkTls(port(), { ...aliceChain, ...resuming(session) });
    t.equal(next.socket.isSessionReused(), false);
    t.match(await next.get('/'), { presented: null });
    t.same((await next.get('/ask'))?.presented?.chain, base64(alice.der, issuing.der));
    next.socket.destroy();
  }
});

await t.test('a session of an up-front binding does not spare a late one the asking', async (t) => {
  const { port } = await testFront(t, {
    bindings: [{ clientCertificate: 'upFront', enableSessionTicket: true }, { clientCertificate: 'late' }],
  });
  const { session } = await visit(port('upFront'), 'TLSv1.2');
  const late = await talkTls(port('late'), { ...aliceChain, ...resuming(session) });
  t.equal(late.socket.isSessionReused(), false);
  t.match(await late.get('/'), { presented: null, binding: 'late' });
  late.socket.destroy();
});
