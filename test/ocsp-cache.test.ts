/**
 * How OCSP answers are fetched, kept, renewed and stapled. The clock stands still and the network is scripted; only stapling is seen
 * through real handshakes.
 */
import { once } from 'node:events';
import { connect } from 'node:tls';
import t from 'tap';
import type { Instant, Millis } from '../src/base/brand.ts';
import { createAuthority } from '../src/lab/authority.ts';
import { readOcspRequest } from '../src/lab/ocsp-messages.ts';
import { createOcspCache, type OcspFacilities } from '../src/revocation/ocsp-cache.ts';
import type {
  AnswerRules,
  FetchFailure,
  FetchOptions,
  FetchOutcome,
  OcspQuestion,
  OcspRefreshed,
} from '../src/revocation/revocation-contract.ts';
import { createStapler } from '../src/revocation/stapler.ts';
import { certificateOf, type Made } from './support/chains.ts';
import { testFront, testPki, untilTrue } from './support/front.ts';
import { errorResponse, ocspTime, writeOcspResponse } from './support/ocsp-writer.ts';
import type { WrittenResponse, WrittenSingle } from './support/ocsp-writer.ts';

const key = 'ed25519';
const issuing = await createAuthority({ subject: 'O=Lab,CN=Issuing CA', key });
const foreign = await createAuthority({ subject: 'O=Elsewhere,CN=Root', key });
const alice = await issuing.issue({ subject: 'CN=alice', key, serial: '05' });
const bob = await issuing.issue({ subject: 'CN=bob', key, serial: '06' });
const start = Date.parse(ocspTime);
const hour = 3_600_000;
const responder = 'http://ocsp.test/a';
const rules: AnswerRules = {
  clockSkew: 0 as Millis,
  maximumAge: null,
  allowSha1: false,
  minimumRsaBits: 2048,
  nonce: 'never',
};
const options = { timeout: 1000 as Millis, rules };
const iso = (offset: number) => new Date(start + offset).toISOString();

interface Fetch {
  readonly url: string;
  readonly options: FetchOptions;
}
type Script = (fetch: Fetch) => Buffer | FetchFailure | Promise<Buffer | FetchFailure>;

/** A store whose network is `script`, and the hands of its clock. */
function world(script: Script, facilities: Partial<OcspFacilities> = {}) {
  const hands = { now: start, monotonic: 0 };
  const fetches: Fetch[] = [];
  const network = { script };
  const cache = createOcspCache({
    clock: { now: () => hands.now as Instant, monotonic: () => hands.monotonic },
    random: () => 0,
    randomBytes: (octets) => Buffer.alloc(octets, 9),
    renewInterval: null,
    fetcher: {
      async fetch(url, fetchOptions): Promise<FetchOutcome> {
        const fetch = { url, options: fetchOptions };
        fetches.push(fetch);
        const said = await network.script(fetch);
        if (typeof said === 'string') return { kind: 'failed', code: said, detail: `it is ${said}` };
        const validators = { etag: null, lastModified: null };
        return { kind: 'fetched', bytes: said, from: url, validators, maximumAge: null };
      },
      refusalOf: () => null,
      close: async () => {},
    },
    ...facilities,
  });
  return {
    cache,
    fetches,
    network,
    hands,
    pass: (millis: number) => {
      hands.now += millis;
      hands.monotonic += millis;
    },
    ask: (changes: Partial<OcspQuestion> = {}, more: Partial<AnswerRules> = {}) =>
      cache.refresh({ ...aboutAlice, ...changes }, { ...options, rules: { ...rules, ...more } }),
    held: (made: Made = alice) => cache.answerFor(certificateOf(made), certificateOf(issuing)),
  };
}

const aboutAlice: OcspQuestion = {
  certificate: certificateOf(alice),
  issuer: certificateOf(issuing),
  responders: [responder],
  signers: [],
};

/** @param since milliseconds after the start at which the answer is made; it ends a day later */
function answer(since = 0, single: Partial<WrittenSingle> = {}, response: Partial<WrittenResponse> = {}): Buffer {
  const dates = { thisUpdate: iso(since), nextUpdate: iso(since + 24 * hour) };
  const about = { certificate: alice, issuer: issuing };
  return writeOcspResponse({
    signer: issuing,
    singles: [{ ...about, ...dates, ...single }],
    producedAt: iso(since),
    ...response,
  });
}

function outcome(refreshed: OcspRefreshed): string {
  return refreshed.kind === 'failed' ? `${refreshed.code}: ${refreshed.detail}` : refreshed.kind;
}

/** What a fetch asked, however it was sent. */
function requestOf({ url, options: { body } }: Fetch) {
  const der = body?.bytes ?? Buffer.from(decodeURIComponent(url.slice(url.lastIndexOf('/') + 1)), 'base64');
  const request = readOcspRequest(der);
  return { serial: request?.asked[0]?.serial.toString('hex'), nonce: request?.nonce ?? null };
}

await t.test('asking', async (t) => {
  await t.test('is by GET, and what comes is kept verified', async (t) => {
    const { ask, held, fetches } = world(() => answer());
    t.equal(held(), null);
    t.equal(outcome(await ask()), 'taken');
    t.match(held(), { source: responder, fetchedAt: start, right: 'issuer', nonceEchoed: false });
    t.equal(held(bob), null);
    const [fetch] = fetches;
    t.match(fetch, { url: /^http:\/\/ocsp\.test\/a\/[A-Za-z0-9%]+$/ });
    t.equal(fetch?.options.body, undefined);
    t.equal(fetch?.options.maximumBytes, 65_536);
    t.strictSame(fetch && requestOf(fetch), { serial: '05', nonce: null });
  });

  await t.test('is by POST where the URL would be too long or has a query', async (t) => {
    const { ask, fetches } = world(() => answer());
    await ask();
    const appended = (fetches[0]?.url.length ?? 0) - responder.length;
    const padded = (length: number) => `http://ocsp.test/${'a'.repeat(length - appended - 'http://ocsp.test/'.length)}`;
    for (const url of [padded(255), padded(256), `${responder}?x=y`]) await ask({ responders: [url] });
    t.strictSame(
      fetches.map(({ options: { body } }) => body?.contentType),
      [undefined, undefined, 'application/ocsp-request', 'application/ocsp-request'],
    );
    t.equal(fetches[1]?.url.length, 255);
    t.strictSame(
      fetches.slice(2).map(({ url }) => url),
      [padded(256), `${responder}?x=y`],
    );
    t.strictSame(
      fetches.map(requestOf).map(({ serial }) => serial),
      ['05', '05', '05', '05'],
    );
    await ask({ responders: ['http://ocsp.test/'] });
    t.match(fetches.at(-1)?.url, /^http:\/\/ocsp\.test\/[^/]+$/, 'one slash between them');
  });

  await t.test('is tried by POST where GET is not known', async (t) => {
    const { ask, fetches } = world(({ options: { body } }) => (body === undefined ? 'httpStatus' : answer()));
    t.equal(outcome(await ask()), 'taken');
    t.equal(fetches.length, 2);
    const other = world(() => 'timeout');
    t.match(outcome(await other.ask()), /^timeout/);
    t.equal(other.fetches.length, 1, 'but not where the responder is silent');
  });

  await t.test('with a nonce is by POST, and the nonce is compared', async (t) => {
    const echo = (nonce: Buffer | null) => answer(0, {}, nonce === null ? {} : { nonce });
    const { ask, fetches, network, held } = world((fetch) => echo(requestOf(fetch).nonce));
    t.equal(outcome(await ask({}, { nonce: 'require' })), 'taken');
    t.match(fetches, [{ url: responder, options: { body: { contentType: 'application/ocsp-request' } } }]);
    t.strictSame(requestOf(fetches[0] as Fetch).nonce, Buffer.alloc(32, 9));
    t.equal(held()?.nonceEchoed, true);
    network.script = () => echo(Buffer.alloc(32, 8));
    t.match(outcome(await ask({}, { nonce: 'send' })), /^nonce: OCSP responder .* of another request/);
    network.script = () => echo(null);
    t.match(outcome(await ask({ responders: [`${responder}/b`] }, { nonce: 'require' })), /^nonce: .*does not repeat/);
  });

  await t.test('is over http only', async (t) => {
    const { ask, fetches } = world(() => answer());
    for (const url of ['ldap:///CN=x', 'file:///etc/x', 'ocsp.test'])
      t.match(outcome(await ask({ responders: [url] })), /^unsupportedUrl/);
    t.match(outcome(await ask({ responders: [] })), /^notFound: there is no OCSP responder/);
    t.equal(fetches.length, 0);
  });

  await t.test('goes to the next responder after one that fails, with a share of the time for each', async (t) => {
    const { ask, fetches } = world(({ url }) => (url.includes('/a') ? 'unreachable' : answer()));
    t.equal(outcome(await ask({ responders: [responder, 'http://ocsp.test/b'] })), 'taken');
    t.strictSame(
      fetches.map((fetch) => fetch.options.timeout),
      [500, 1000],
    );
  });

  await t.test('ends when the time is used up', async (t) => {
    const slow = world(() => {
      slow.pass(1000);
      return 'timeout';
    });
    t.match(
      outcome(await slow.ask({ responders: [responder, 'http://ocsp.test/b'] })),
      /^timeout: .*\/a: it is timeout; .*\/b: no time was left/,
    );
    t.equal(slow.fetches.length, 1);
  });
});

await t.test('what is not an answer is not kept', async (t) => {
  const cases: readonly (readonly [string, Buffer | FetchFailure, RegExp])[] = [
    ['HTML', Buffer.from('<html>'), /^malformed: OCSP responder http:\/\/ocsp.test\/a: no OCSP response/],
    ['tryLater', errorResponse(3), /^responderError/],
    ['another certificate', answer(0, { certificate: bob }), /^otherCertificate/],
    ['a foreign responder', answer(0, {}, { signer: foreign, certificates: [foreign] }), /^wrongSigner/],
    ['from the future', answer(1000), /^notYetValid/],
    ['ended', answer(-25 * hour), /^expired/],
    ['unknown', answer(0, { status: 'unknown' }), /^unknownCertificate/],
    ['too large', 'tooLarge', /^tooLarge: OCSP responder .* it is tooLarge/],
    ['not allowed', 'hostNotAllowed', /^hostNotAllowed/],
  ];
  for (const [title, reply, expected] of cases) {
    const { ask, held } = world(() => reply);
    t.match(outcome(await ask()), expected, title);
    t.equal(held(), null, title);
  }
});

await t.test('one question is asked once', async (t) => {
  await t.test('however many ask it, for as long as each will wait', async (t) => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const { ask, cache, fetches } = world(() => promise);
    const asked = [ask(), ask(), ask()];
    t.match(outcome(await cache.refresh(aboutAlice, { ...options, timeout: 1 as Millis })), /^timeout/);
    resolve(answer());
    t.strictSame((await Promise.all(asked)).map(outcome), ['taken', 'taken', 'taken']);
    t.equal(fetches.length, 1);
  });

  await t.test('but not by bindings with other rules', async (t) => {
    const { ask, fetches } = world(() => answer(0, { certificate: bob }));
    await Promise.all([
      ask(),
      ask({}, { nonce: 'send' }),
      ask({}, { clockSkew: 1 as Millis }),
      ask({}, { maximumAge: 1 as Millis }),
      ask({}, { allowSha1: true }),
      ask({}, { minimumRsaBits: 1024 }),
      ask({ signers: [certificateOf(foreign)] }),
      ask({ responders: ['http://ocsp.test/b'] }),
      ask({ certificate: certificateOf(bob) }),
    ]);
    t.equal(fetches.length, 9);
  });
});

await t.test('after a failure', async (t) => {
  await t.test('a question that was refused rests, then is asked again; the responder does not rest', async (t) => {
    const { ask, fetches, pass, network } = world(() => errorResponse(6));
    t.match(outcome(await ask()), /^responderError: .*unauthorized/);
    t.match(outcome(await ask()), /^responderError: .*unauthorized/);
    t.equal(fetches.length, 1);
    await ask({ certificate: certificateOf(bob) });
    t.equal(fetches.length, 2);
    pass(30_001);
    network.script = () => answer(0);
    t.equal(outcome(await ask()), 'taken');
    network.script = () => errorResponse(6);
    await ask();
    pass(30_001);
    await ask();
    t.equal(fetches.length, 5, 'the first failure is forgotten: the rest is as short as the first one');
  });

  await t.test('a responder that is down rests for all questions', async (t) => {
    for (const down of ['unreachable', 'timeout', errorResponse(3), errorResponse(2), Buffer.from('x')] as const) {
      const { ask, fetches, pass, cache } = world(() => down);
      const first = outcome(await ask());
      t.match(outcome(await ask({ certificate: certificateOf(bob) })), /it is not asked again yet/);
      t.equal(fetches.length, 1);
      t.match(cache.states(), [
        { source: responder, kind: 'ocsp', lastError: { at: start, code: first.split(':')[0] } },
      ]);
      t.ok((cache.states()[0]?.nextAttempt ?? 0) > start);
      pass(101);
      await ask();
      t.equal(fetches.length, 2, 'the question itself has not failed');
      t.equal(outcome(await cache.refresh(aboutAlice, { ...options, force: true })), first, 'an order is obeyed');
      t.equal(fetches.length, 3);
    }
  });

  await t.test('a responder that says anything at all is up again', async (t) => {
    const { ask, fetches, pass, network } = world(() => 'unreachable');
    for (const rest of [100, 200, 400]) {
      await ask();
      pass(rest);
    }
    t.equal(fetches.length, 3, 'each rest is twice as long');
    network.script = () => errorResponse(6);
    await ask();
    network.script = () => 'unreachable';
    await ask({ certificate: certificateOf(bob) });
    pass(100);
    await ask({ certificate: certificateOf(bob) });
    t.equal(fetches.length, 6);
  });

  await t.test('rests get longer, up to a bound', async (t) => {
    const { ask, fetches, pass } = world(() => errorResponse(6));
    const counts: number[] = [];
    for (let minute = 0; minute < 30; minute += 1) {
      await ask();
      counts.push(fetches.length);
      pass(60_000);
    }
    t.ok(counts.at(-1) === 9, `${counts.join(' ')}: after 30 s, 1, 2, 4 and then every 5 minutes`);
  });

  await t.test('a question that brought an older answer than the one held rests as well', async (t) => {
    const { ask, fetches, pass, network } = world(() => answer(hour));
    pass(hour);
    await ask();
    network.script = () => answer();
    t.equal(outcome(await ask()), 'unchanged');
    t.equal(outcome(await ask()), 'unchanged');
    t.equal(fetches.length, 2);
    pass(30_001);
    network.script = () => answer(hour + 1000);
    t.equal(outcome(await ask()), 'taken');
    t.equal(fetches.length, 3);
  });

  await t.test('what is held stays', async (t) => {
    const { ask, cache, held, network } = world(() => answer());
    await ask();
    for (const reply of ['unreachable', errorResponse(6), Buffer.from('x'), answer(1000)] as const) {
      network.script = () => reply;
      t.equal((await cache.refresh(aboutAlice, { ...options, force: true })).kind, 'failed');
      t.not(held(), null);
    }
  });
});

await t.test('an older answer never takes the place of a newer one', async (t) => {
  const revoked = { status: { revoked: iso(-hour), reason: 1 } } as const;
  const statusHeld = ({ held }: ReturnType<typeof world>) => held()?.singles[0]?.status.kind;

  await t.test('a replayed good does not undo a revocation', async (t) => {
    const here = world(() => answer(0, revoked));
    await here.ask();
    here.network.script = () => answer(-hour);
    t.equal(outcome(await here.ask()), 'unchanged');
    t.equal(statusHeld(here), 'revoked');
    here.pass(30_001);
    here.network.script = () => answer(0);
    t.equal(outcome(await here.ask()), 'unchanged', 'nor one of the same moment');
    t.equal(statusHeld(here), 'revoked');
    here.pass(60_001);
    here.network.script = () => answer(1000);
    t.equal(outcome(await here.ask()), 'taken', 'a newer one does: the CA has changed its mind');
    t.equal(statusHeld(here), 'good');
  });

  await t.test('among answers of one moment the one produced later counts', async (t) => {
    const here = world(() => answer(-hour, {}, { producedAt: iso(-hour / 2) }));
    await here.ask();
    here.network.script = () => answer(-hour);
    t.equal(outcome(await here.ask()), 'unchanged');
    here.pass(30_001);
    here.network.script = () => answer(-hour, {}, { producedAt: iso(0) });
    t.equal(outcome(await here.ask()), 'taken');
  });

  await t.test('and is no answer where the newer one does not count', async (t) => {
    const here = world(() => answer(-1000, { nextUpdate: iso(1000) }));
    await here.ask();
    here.pass(2000);
    here.network.script = () => answer(-2000);
    t.match(outcome(await here.ask()), /^older: OCSP responder .* older than the one held/);
  });

  await t.test('that the responder does not know it any more takes a good back, never a revocation', async (t) => {
    const here = world(() => answer(-1000));
    await here.ask();
    here.network.script = () => answer(-2000, { status: 'unknown' });
    await here.ask();
    t.equal(statusHeld(here), 'good', 'an older word does not');
    here.pass(60_000);
    here.network.script = () => answer(0, { status: 'unknown' });
    t.match(outcome(await here.ask()), /^unknownCertificate/);
    t.equal(statusHeld(here), undefined);
    here.pass(600_000);
    here.network.script = () => answer(1000, revoked);
    await here.ask();
    here.network.script = () => answer(2000, { status: 'unknown' });
    await here.ask();
    t.equal(statusHeld(here), 'revoked');
  });
});

await t.test('renewal', async (t) => {
  await t.test('is before the end, for what was looked at since it came, once', async (t) => {
    const here = world(() => answer(here.hands.now - start));
    await here.ask();
    here.pass(20 * hour);
    here.held();
    await here.cache.renewDue();
    t.equal(here.fetches.length, 1, 'not yet');
    here.pass(2 * hour);
    await here.cache.renewDue();
    t.equal(here.fetches.length, 2);
    t.equal(here.held()?.fetchedAt, start + 22 * hour);
    await here.cache.renewDue();
    t.equal(here.fetches.length, 2, 'once');
  });

  await t.test('is not for what nobody looks at', async (t) => {
    const here = world(() => answer(here.hands.now - start));
    await here.ask();
    here.pass(22 * hour);
    await here.cache.renewDue();
    t.equal(here.fetches.length, 1);
  });

  await t.test('is tried again after a failure, with rests', async (t) => {
    const here = world(() => answer());
    await here.ask();
    here.held();
    here.network.script = () => errorResponse(6);
    here.pass(22 * hour);
    await here.cache.renewDue();
    await here.cache.renewDue();
    t.equal(here.fetches.length, 2);
    here.pass(31_000);
    here.network.script = () => answer(22 * hour);
    await here.cache.renewDue();
    t.equal(here.held()?.fetchedAt, start + 22 * hour + 31_000);
  });

  await t.test('does not hammer a responder that has nothing newer', async (t) => {
    const here = world(() => answer());
    await here.ask();
    here.pass(22 * hour);
    for (let round = 0; round < 60; round += 1) {
      here.held();
      await here.cache.renewDue();
      here.pass(1000);
    }
    t.equal(here.fetches.length, 2, 'a minute is short against the two hours that are left');
    here.network.script = () => answer(-1);
    here.pass(hour);
    for (let round = 0; round < 60; round += 1) {
      here.held();
      await here.cache.renewDue();
      here.pass(1000);
    }
    t.equal(here.fetches.length, 3, 'nor one that has only older ones');
  });

  await t.test('looks by itself, as often as it is told to', async (t) => {
    const here = world(() => answer(here.hands.now - start), { renewInterval: 1 as Millis });
    t.teardown(() => here.cache.close());
    await here.ask();
    here.held();
    here.pass(22 * hour);
    await untilTrue(() => here.held()?.fetchedAt === start + 22 * hour);
    t.equal(here.fetches.length, 2);
  });

  await t.test('does not begin again while it is at it', async (t) => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const here = world(() => answer());
    await here.ask();
    here.held();
    here.pass(22 * hour);
    here.network.script = () => promise;
    const ended: string[] = [];
    const first = here.cache.renewDue().then(() => ended.push('first'));
    void here.cache.renewDue().then(() => ended.push('second'));
    await new Promise(setImmediate);
    t.strictSame(ended, ['second']);
    t.equal(here.fetches.length, 2);
    resolve(answer(22 * hour));
    await first;
    t.equal(here.held()?.fetchedAt, start + 22 * hour);
  });

  await t.test('is a few at a time', async (t) => {
    const made = await Promise.all(Array.from({ length: 20 }, () => issuing.issue({ subject: 'CN=x', key })));
    let open = 0;
    let most = 0;
    const here = world(async (fetch) => {
      open += 1;
      most = Math.max(most, open);
      await new Promise(setImmediate);
      open -= 1;
      const { serial } = requestOf(fetch);
      const certificate = made.find((one) => certificateOf(one).serial.toString('hex') === serial) ?? alice;
      return answer(here.hands.now - start, { certificate });
    });
    for (const one of made) await here.ask({ certificate: certificateOf(one) });
    for (const one of made) here.held(one);
    here.pass(22 * hour);
    most = 0;
    await Promise.all([here.cache.renewDue(), here.cache.renewDue()]);
    t.equal(here.fetches.length, 40);
    t.equal(most, 4);
  });
});

await t.test('the store is bounded by octets', async (t) => {
  const about = (fetch: Fetch) => answer(0, { certificate: requestOf(fetch).serial === '05' ? alice : bob });
  const here = world(about, { maximumOctets: 8192 });
  await here.ask();
  await here.ask({ certificate: certificateOf(bob) });
  t.equal(here.held(alice), null);
  t.not(here.held(bob), null);
});

await t.test('the store is bounded', async (t) => {
  const here = world((fetch) => answer(0, { certificate: requestOf(fetch).serial === '05' ? alice : bob }), {
    maximum: 1,
  });
  await here.ask();
  await here.ask({ certificate: certificateOf(bob) });
  t.equal(here.held(alice), null);
  t.not(here.held(bob), null);
});

await t.test('an issuer is its name and its key', async (t) => {
  const renewed = await createAuthority({ subject: 'O=Lab,CN=Issuing CA', key });
  const here = world(() => answer());
  await here.ask();
  t.equal(here.cache.answerFor(certificateOf(alice), certificateOf(renewed)), null);
  const renamed = await createAuthority({ subject: 'O=Lab,CN=Other CA', key, reuseKeyOf: issuing });
  t.equal(here.cache.answerFor(certificateOf(alice), certificateOf(renamed)), null);
});

await t.test('states tell an operator about each responder', async (t) => {
  const { ask, cache } = world(() => answer());
  await ask();
  t.match(cache.states(), [
    {
      source: responder,
      kind: 'ocsp',
      issuer: 'CN=Issuing CA,O=Lab',
      thisUpdate: start,
      nextUpdate: start + 24 * hour,
      fetchedAt: start,
      nextAttempt: null,
      lastError: null,
    },
  ]);
});

await t.test('the last error is forgotten when an answer comes', async (t) => {
  const { ask, cache, network, pass } = world(() => 'unreachable');
  await ask();
  t.match(cache.states(), [{ lastError: { code: 'unreachable' } }]);
  pass(1000);
  network.script = () => answer();
  await ask();
  t.match(cache.states(), [{ lastError: null }]);
});

await t.test('closing ends what is under way and answers what comes after', async (t) => {
  const { promise, resolve } = Promise.withResolvers<FetchFailure>();
  const here = world(({ options: { signal } }) => {
    signal?.addEventListener('abort', () => resolve('aborted'));
    return promise;
  });
  const asked = here.ask();
  await here.cache.close();
  t.match(outcome(await asked), /^aborted/);
  t.match(outcome(await here.ask()), /^aborted: the store of OCSP answers is closed/);
  await here.cache.renewDue();
  t.equal(here.fetches.length, 1);
});

await t.test('stapling', async (t) => {
  const question = aboutAlice;
  const stapled = (here: ReturnType<typeof world>) =>
    createStapler(
      question,
      { ...options, rules: { ...rules, nonce: 'require', clockSkew: hour as Millis } },
      {
        store: here.cache,
        clock: { now: () => here.hands.now as Instant, monotonic: () => here.hands.monotonic },
      },
    );
  const settled = () => new Promise(setImmediate);

  await t.test('gives a good answer that has not ended for anybody, fetched without a nonce', async (t) => {
    const here = world(() => answer());
    const stapler = stapled(here);
    t.equal(stapler.staple(), null, 'not there yet');
    await settled();
    t.same(stapler.staple(), answer());
    t.equal(here.fetches[0]?.options.body, undefined);
    here.pass(24 * hour);
    t.same(stapler.staple(), answer());
    here.pass(1);
    t.equal(stapler.staple(), null, 'our own tolerance is not that of clients');
  });

  await t.test('gives nothing for a revoked certificate', async (t) => {
    const here = world(() => answer(0, { status: { revoked: iso(-hour) } }));
    const stapler = stapled(here);
    await settled();
    t.not(here.held(), null);
    t.equal(stapler.staple(), null);
  });

  await t.test('keeps its answer current although nobody comes, until it is closed', async (t) => {
    const here = world(() => answer(here.hands.now - start));
    const stapler = stapled(here);
    await settled();
    here.pass(23 * hour);
    await here.cache.renewDue();
    t.equal(here.fetches.length, 2);
    here.pass(23 * hour);
    await here.cache.renewDue();
    t.equal(here.fetches.length, 3);
    stapler.close();
    here.pass(23 * hour);
    await here.cache.renewDue();
    t.equal(here.fetches.length, 3);
    here.pass(-hour);
    t.same(stapler.staple(), answer(46 * hour));
  });

  await t.test('goes into handshakes of the bindings that staple, of every kind', async (t) => {
    const { root, server } = await testPki();
    const response = writeOcspResponse({
      signer: root,
      singles: [{ certificate: { der: derOf(server.cert) }, issuer: root }],
    });
    let current: Buffer | null = response;
    const asked: string[] = [];
    const on = (address: string) => ({ kind: 'address', address, port: 0 }) as const;
    const { port } = await testFront(t, {
      bindings: [
        { name: 'h2', endpoint: on('127.0.0.1') },
        { name: 'h1', endpoint: on('127.0.0.2'), disableHttp2: true },
        { name: 'late', endpoint: on('127.0.0.3'), clientCertificate: 'late' },
        { name: 'without', endpoint: on('127.0.0.4') },
      ],
      staplerOf: ({ name }) => {
        asked.push(name);
        return name === 'without' ? null : () => current;
      },
    });
    t.strictSame(asked, ['h2', 'h1', 'late', 'without']);
    const staple = async (binding: string, host: string) => {
      const socket = connect({
        port: port(binding),
        host,
        rejectUnauthorized: false,
        requestOCSP: true,
        ALPNProtocols: ['h2', 'http/1.1'],
      });
      t.teardown(() => socket.destroy());
      const [[stapledNow]] = (await Promise.all([once(socket, 'OCSPResponse'), once(socket, 'secureConnect')])) as [
        [Buffer | null],
        unknown,
      ];
      return stapledNow;
    };
    t.same(await staple('h2', '127.0.0.1'), response);
    t.same(await staple('h1', '127.0.0.2'), response);
    t.same(await staple('late', '127.0.0.3'), response);
    t.equal(await staple('without', '127.0.0.4'), null);
    current = null;
    t.equal(await staple('h2', '127.0.0.1'), null, 'a handshake without an answer goes on all the same');
  });
});

/** Of the first certificate in a PEM text. */
function derOf(pem: string): Buffer {
  return Buffer.from(/-----BEGIN CERTIFICATE-----([^-]+)/.exec(pem)?.[1] ?? '', 'base64');
}
