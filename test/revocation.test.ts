/**
 * The policy of revocation: who is looked at, what is asked first, how long a request waits, and what unknown means. The two methods are
 * scripted here; how lists and OCSP answers are read is tested in `crl-status.test.ts` and `ocsp.test.ts`.
 */
import t from 'tap';
import type { Test } from 'tap';
import type { Instant, Millis } from '../src/base/brand.ts';
import { noSteps, recordSteps } from '../src/base/steps.ts';
import { verdict } from '../src/base/verdict.ts';
import { createJudge } from '../src/gateway/judge.ts';
import { createAuthority } from '../src/lab/authority.ts';
import type { Finding, Method, Subject } from '../src/revocation/method.ts';
import { authenticateOcsp } from '../src/revocation/ocsp-answer.ts';
import { createOcspMethod } from '../src/revocation/ocsp-method.ts';
import type {
  RevocationAnswer,
  RevocationQuestion,
  RevocationSettings,
} from '../src/revocation/revocation-contract.ts';
import { createRevocation } from '../src/revocation/revocation.ts';
import { createTrustStore } from '../src/trust/trust-store.ts';
import { nameKey } from '../src/x509/name-comparison.ts';
import { parseOcspResponse } from '../src/x509/ocsp-response.ts';
import { extensionOids } from '../src/x509/oid.ts';
import { createCrlMethod } from '../src/revocation/crl-method.ts';
import { certificateOf, judge, productionSettings } from './support/chains.ts';
import { listOf, noon, sceneOf } from './support/crl-scene.ts';
import { issuingDistributionPoint } from './support/crl-writer.ts';
import { openStore, until } from './support/crl-store-world.ts';
import { element, sequence, text } from './support/der-shapes.ts';
import { writeOcspResponse } from './support/ocsp-writer.ts';

const key = 'ed25519';
const root = await createAuthority({ subject: 'O=Lab,CN=Root', key });
const issuing = await root.subordinate({ subject: 'O=Lab,CN=Issuing CA', key });
const alice = await issuing.issue({ subject: 'O=Lab,CN=alice', key });
const at = Date.parse('2026-11-22T12:00:00Z') as Instant;
const judgement = judge({ presented: [alice, issuing], roots: [root] });
if (judgement.kind !== 'trusted') throw new Error('no path');
const { path } = judgement;
const [leaf, ca] = [alice, issuing].map(certificateOf);
if (leaf === undefined || ca === undefined) throw new Error('no certificates');

const standard: RevocationSettings = {
  mode: 'online',
  scope: 'chain',
  prefer: 'crl',
  freshnessTime: 0 as Millis,
  retrievalTimeout: 200 as Millis,
  whenUnknown: 'refuse',
  maximumStale: 0 as Millis,
  noDistributionPoint: 'accept',
  issuers: [],
  rules: { clockSkew: 0 as Millis, maximumAge: null, allowSha1: false, minimumRsaBits: 2048, nonce: 'never' },
};

const hour = 3_600_000;
const provenance = {
  source: 'http://crl.test/a.crl',
  thisUpdate: (at - hour) as Instant,
  nextUpdate: (at + hour) as Instant,
  fetchedAt: (at - hour) as Instant,
};
const good: Finding = { status: 'good', until: (at + hour) as Instant, detail: 'not on the list', ...provenance };
const revoked: Finding = { status: 'revoked', detail: 'revoked for keyCompromise', ...provenance };
const unknown: Finding = { status: 'unknown', why: 'no list is held' };

type Scripted = Method & { readonly fetches: string[]; readonly held: Finding[]; readonly stales: number[] };

/** @param held by depth; @param fetched by depth: what is held after a fetch, `silent` never ends by itself */
function scripted(
  name: Method['name'],
  held: readonly Finding[],
  fetched: readonly (Finding | 'silent' | undefined)[] = [],
  options: { readonly names?: boolean; readonly stale?: Finding } = {},
): Scripted {
  const now = [...held];
  const fetches: string[] = [];
  const stales: number[] = [];
  return {
    name,
    held: now,
    fetches,
    stales,
    names: () => options.names ?? true,
    look({ depth }, _question, staleFor) {
      const finding = now[depth] ?? unknown;
      if (staleFor > 0) stales.push(staleFor);
      return finding.status === 'unknown' && staleFor > 0 && options.stale !== undefined ? options.stale : finding;
    },
    async fetch({ depth }: Subject, _question, timeout) {
      fetches.push(`${depth}`);
      const next = fetched[depth];
      if (next === 'silent') {
        await new Promise((resolve) => setTimeout(resolve, timeout));
        return [`${name} source of ${depth} did not answer`];
      }
      if (next === undefined) return [`${name} source of ${depth} is down`];
      now[depth] = next;
      return [];
    },
  };
}

const noPolicy: Subject['policy'] = { nameKey: '', keyDigest: null, policy: 'required', crls: [], ocsp: [] };
const nothing = (name: Method['name']) => scripted(name, [], [], { names: false });

interface Asked {
  readonly settings?: Partial<RevocationSettings>;
  readonly crl?: Scripted;
  readonly ocsp?: Scripted;
  readonly steps?: RevocationQuestion['steps'];
}

function ask(asked: Asked): {
  readonly answer: RevocationAnswer | Promise<RevocationAnswer>;
  readonly counted: string[];
} {
  const counted: string[] = [];
  const clock = { now: () => at, monotonic: () => performance.now() };
  const revocation = createRevocation({
    clock,
    crl: asked.crl ?? nothing('crl'),
    ocsp: asked.ocsp ?? nothing('ocsp'),
    version: () => 1,
    onChecked: (method, status) => counted.push(`${method} ${status}`),
  });
  const answer = revocation.check({
    path,
    presented: [leaf as never, ca as never],
    store: createTrustStore([certificateOf(root)], []),
    settings: { ...standard, ...asked.settings },
    at,
    steps: asked.steps ?? noSteps,
  });
  return { answer, counted };
}

/** `good`, or code and who is to blame. */
async function outcome(asked: Asked): Promise<string> {
  const answer = await ask(asked).answer;
  if (answer.kind === 'good') return 'good';
  return `${answer.verdict.code} of ${answer.certificate.digest === leaf?.digest ? 'alice' : 'the CA'}`;
}

async function evidenceOf(asked: Asked): Promise<readonly string[]> {
  const { evidence } = await ask(asked).answer;
  return evidence.map(({ depth, status, method, detail }) => `${depth} ${status} ${method}: ${detail}`);
}

await t.test('what is held answers at once, and nothing is fetched', async (t) => {
  const crl = scripted('crl', [good, good]);
  const { answer, counted } = ask({ crl });
  t.notOk(answer instanceof Promise, 'no promise: the request does not wait');
  const given = await answer;
  t.equal(given.kind, 'good');
  if (given.kind === 'good') t.equal(given.until, at + hour);
  t.strictSame(crl.fetches, []);
  t.strictSame(counted, ['crl good', 'crl good']);
});

await t.test('the answer holds until the first of its parts ends', async (t) => {
  const sooner: Finding = { ...good, until: (at + 60_000) as Instant };
  const answer = await ask({ crl: scripted('crl', [good, sooner]) }).answer;
  t.equal(answer.kind === 'good' && answer.until, at + 60_000);
});

await t.test('whoever is revoked is refused, whatever else is unknown', async (t) => {
  t.equal(await outcome({ crl: scripted('crl', [revoked, good]) }), 'certificateRevoked of alice');
  t.equal(await outcome({ crl: scripted('crl', [good, revoked]) }), 'certificateRevoked of the CA');
  t.equal(
    await outcome({ crl: scripted('crl', [revoked, revoked]) }),
    'certificateRevoked of the CA',
    'nearest to the anchor',
  );
  const crl = scripted('crl', [unknown, revoked]);
  t.notOk(ask({ crl }).answer instanceof Promise, 'nobody waits for more');
  t.strictSame(crl.fetches, []);
  t.equal(
    await outcome({ crl: scripted('crl', [unknown, good], [revoked]) }),
    'certificateRevoked of alice',
    'found by fetching',
  );
  t.equal(
    await outcome({ crl: scripted('crl', [good, good]), ocsp: scripted('ocsp', [revoked, unknown]) }),
    'certificateRevoked of alice',
    'the other method knows it',
  );
});

await t.test('unknown is refused, with every reason', async (t) => {
  const answer = await ask({ crl: scripted('crl', [unknown, good]) }).answer;
  if (answer.kind !== 'refused') {
    t.fail('refused');
    return;
  }
  t.equal(answer.verdict.code, 'revocationUnknown');
  t.match(
    answer.verdict.detail,
    /^certificate 0 \(CN=alice,O=Lab, thumbprint [0-9a-f]{40}\): no list is held; crl source of 0 is down$/,
  );
});

await t.test('of several that are unknown all are named, the nearest to the anchor first', async (t) => {
  const answer = await ask({ crl: scripted('crl', [unknown, unknown]) }).answer;
  const told = answer.kind === 'refused' ? answer.verdict.detail : '';
  t.match(
    told,
    /^certificate 1 \(CN=Issuing CA,.*crl source of 1 is down; certificate 0 \(CN=alice,.*crl source of 0 is down$/,
  );
  const both = await ask({ crl: scripted('crl', [unknown, revoked]) }).answer;
  t.notMatch(both.kind === 'refused' && both.verdict.detail, /certificate 0/, 'who is refused for less is not');
});

await t.test('what is missing is fetched before the answer', async (t) => {
  const crl = scripted('crl', [unknown, unknown], [good, good]);
  t.equal(await outcome({ crl }), 'good');
  t.strictSame(crl.fetches, ['0', '1']);
});

await t.test('the preferred method is asked first, the other only when it does not know', async (t) => {
  const [crl, ocsp] = [scripted('crl', [unknown, good], [good]), scripted('ocsp', [unknown, unknown], [good])];
  t.equal(await outcome({ crl, ocsp, settings: { prefer: 'ocsp' } }), 'good');
  t.strictSame([crl.fetches, ocsp.fetches], [[], ['0']]);
  const fallback = scripted('crl', [unknown, good], [good]);
  const down = scripted('ocsp', [unknown, unknown]);
  t.equal(await outcome({ crl: fallback, ocsp: down, settings: { prefer: 'ocsp' } }), 'good');
  t.strictSame([fallback.fetches, down.fetches], [['0'], ['0']]);
});

await t.test('a silent source does not use up the time of the other', async (t) => {
  const crl = scripted('crl', [unknown, good], [good]);
  const ocsp = scripted('ocsp', [unknown, unknown], ['silent']);
  t.equal(await outcome({ crl, ocsp, settings: { prefer: 'ocsp' } }), 'good');
});

await t.test('nobody waits longer than the retrieval time-out', async (t) => {
  const timeouts: number[] = [];
  const crl = scripted('crl', [unknown, unknown], ['silent', 'silent']);
  const watched: Scripted = {
    ...crl,
    fetch: (subject, question, timeout) => (timeouts.push(timeout), crl.fetch(subject, question, timeout)),
  };
  t.equal(await outcome({ crl: watched }), 'revocationUnknown of the CA');
  t.equal(timeouts.length, 2);
  for (const timeout of timeouts) t.ok(timeout <= standard.retrievalTimeout, `${timeout}`);
});

await t.test('cached only: nothing is ever fetched', async (t) => {
  const crl = scripted('crl', [unknown, good], [good]);
  const settings = { mode: 'cachedOnly', freshnessTime: 1 as Millis } as const;
  t.equal(await outcome({ crl, settings }), 'revocationUnknown of alice');
  t.match((await evidenceOf({ crl, settings }))[0], /nothing is fetched on this binding \(cached only\)$/);
  t.strictSame(crl.fetches, []);
  t.equal(await outcome({ crl: scripted('crl', [good, good]), settings }), 'good');
});

await t.test('disabled: nobody is looked at', async (t) => {
  const crl = scripted('crl', [revoked, revoked]);
  t.equal(await outcome({ crl, settings: { mode: 'disabled' } }), 'good');
  t.strictSame(await evidenceOf({ crl, settings: { mode: 'disabled' } }), []);
  const steps = recordSteps(() => 0);
  await ask({ crl, settings: { mode: 'disabled' }, steps }).answer;
  t.match(steps.list, [{ outcome: 'revocation notChecked', detail: 'revocation is disabled for this binding' }]);
});

await t.test('the leaf alone, where that is set', async (t) => {
  const crl = scripted('crl', [good, revoked]);
  t.equal(await outcome({ crl, settings: { scope: 'leaf' } }), 'good');
  t.equal((await evidenceOf({ crl, settings: { scope: 'leaf' } })).length, 1);
});

await t.test('a certificate that names no source', async (t) => {
  const crl = () => scripted('crl', [], [], { names: false });
  t.equal(await outcome({ crl: crl() }), 'good');
  t.match((await evidenceOf({ crl: crl() }))[0], /^0 notChecked none: it names no source/);
  t.equal(
    await outcome({ crl: crl(), settings: { noDistributionPoint: 'refuse' } }),
    'revocationNotCheckable of the CA',
  );
  t.equal(
    await outcome({ crl: scripted('crl', [revoked], [], { names: false }) }),
    'certificateRevoked of alice',
    'what is held counts all the same',
  );
});

await t.test('whenUnknown', async (t) => {
  const crl = () => scripted('crl', [unknown, good]);
  t.equal(await outcome({ crl: crl(), settings: { whenUnknown: 'accept' } }), 'good');
  t.match(
    (await evidenceOf({ crl: crl(), settings: { whenUnknown: 'accept' } }))[0],
    /accepted: whenUnknown is accept$/,
  );
  const stale = { whenUnknown: 'acceptStale', maximumStale: hour as Millis } as const;
  t.equal(await outcome({ crl: crl(), settings: stale }), 'revocationUnknown of alice', 'nothing stale is held');
  const withStale = scripted('crl', [unknown, good], [], { stale: good });
  t.equal(await outcome({ crl: withStale, settings: stale }), 'good');
  t.strictSame(withStale.fetches, ['0'], 'but first it was fetched');
  t.ok(
    withStale.stales.every((limit) => limit === hour),
    'the limit is handed on',
  );
  t.match(
    (await evidenceOf({ crl: withStale, settings: stale }))[0],
    /^0 good crl: not on the list; out of date, accepted/,
  );
  t.equal(
    await outcome({ crl: scripted('crl', [unknown, good], [], { stale: revoked }), settings: stale }),
    'certificateRevoked of alice',
    'revoked on an old list is revoked',
  );
  t.equal(await outcome({ crl: withStale }), 'revocationUnknown of alice', 'refuse takes nothing stale');
});

await t.test('the policy of an issuer', async (t) => {
  const policy = (
    kind: 'required' | 'ifAvailable' | 'never',
    keyDigest = ca.publicKey.digest,
  ): Partial<RevocationSettings> => ({
    issuers: [{ nameKey: nameKey(ca.subject), keyDigest, policy: kind, crls: [], ocsp: [] }],
  });
  const crl = () => scripted('crl', [unknown, good]);
  t.equal(await outcome({ crl: crl(), settings: policy('ifAvailable') }), 'good');
  t.equal(
    await outcome({ crl: scripted('crl', [revoked, good]), settings: policy('ifAvailable') }),
    'certificateRevoked of alice',
  );
  t.equal(await outcome({ crl: scripted('crl', [revoked, good]), settings: policy('never') }), 'good');
  const never = scripted('crl', [unknown, good], [good]);
  await outcome({ crl: never, settings: policy('never') });
  t.strictSame(never.fetches, [], 'never asks nobody');
  t.equal(
    await outcome({ crl: crl(), settings: { ...policy('required'), whenUnknown: 'refuse' } }),
    'revocationUnknown of alice',
  );
  t.equal(
    await outcome({ crl: crl(), settings: policy('ifAvailable', leaf.publicKey.digest) }),
    'revocationUnknown of alice',
    'another key of the same name has its own policy',
  );
});

await t.test('what is held but no longer fresh is renewed behind the back of the request', async (t) => {
  const crl = scripted('crl', [good, good], [revoked]);
  const { answer } = ask({ crl, settings: { freshnessTime: (hour / 2) as Millis } });
  t.notOk(answer instanceof Promise);
  t.strictSame(crl.fetches, ['0', '1']);
  t.equal(
    await outcome({ crl, settings: { freshnessTime: (2 * hour) as Millis } }),
    'certificateRevoked of alice',
    'the next one sees it',
  );
});

await t.test('the steps tell what was found, and where', async (t) => {
  const steps = recordSteps(() => 0);
  await ask({ crl: scripted('crl', [good, unknown]), steps }).answer;
  t.strictSame(
    steps.list.map(
      ({ outcome: word, detail }) => `${word}: ${detail.replaceAll(/thumbprint [0-9a-f]+/g, 'thumbprint')}`,
    ),
    [
      'revocation good: certificate 0 (CN=alice,O=Lab, thumbprint): not on the list',
      'revocation unknown: certificate 1 (CN=Issuing CA,O=Lab, thumbprint): no list is held; crl source of 1 is down',
    ],
  );
});

await t.test('whoever is found revoked is asked about again when that is no longer fresh', async (t) => {
  const crl = scripted('crl', [revoked, good], [good, good]);
  const settings = { freshnessTime: (hour / 2) as Millis };
  t.equal(await outcome({ crl, settings }), 'certificateRevoked of alice');
  t.strictSame(crl.fetches, ['0', '1'], 'a hold may have been lifted');
  t.equal(await outcome({ crl, settings }), 'good');
});

await t.test('an answer is used again until something that it rests on ends or changes', async (t) => {
  let looks = 0;
  let version = 1;
  const counted: string[] = [];
  const build = (crl: Scripted, ocsp = nothing('ocsp')) => {
    const looking: Scripted = { ...crl, look: (...asked) => ((looks += 1), crl.look(...asked)) };
    const revocation = createRevocation({
      clock: { now: () => at, monotonic: () => performance.now() },
      crl: looking,
      ocsp,
      version: () => version,
      onChecked: (method, status) => counted.push(`${method} ${status}`),
    });
    const store = createTrustStore([certificateOf(root)], []);
    return (
      instant: number = at,
      settings: RevocationSettings = standard,
      steps: RevocationQuestion['steps'] = noSteps,
    ) => revocation.check({ path, presented: [], store, settings, at: instant as Instant, steps });
  };
  const asksAnew = (ask: () => unknown) => {
    const before = looks;
    ask();
    return looks > before;
  };

  const ask = build(scripted('crl', [good, good]));
  t.ok(
    asksAnew(() => ask()),
    'the first time',
  );
  const before = counted.length;
  t.notOk(
    asksAnew(() => ask()),
    'not the second',
  );
  t.equal(counted.length, before + 2, 'but it is counted');
  t.notOk(
    asksAnew(() => ask(at + 299_999)),
    'for five minutes',
  );
  t.ok(
    asksAnew(() => ask(at + 300_000)),
    'then anew',
  );
  const sooner = build(scripted('crl', [good, { ...good, until: (at + 60_000) as Instant }]));
  void sooner();
  t.notOk(
    asksAnew(() => sooner(at + 59_999)),
    'until its end',
  );
  t.ok(
    asksAnew(() => sooner(at + 60_000)),
    'then anew',
  );
  void ask();
  t.ok(
    asksAnew(() => ask(at - 1)),
    'and before it was given',
  );
  void ask();
  version += 1;
  t.ok(
    asksAnew(() => ask()),
    'when a list came',
  );
  const others = { ...standard, scope: 'leaf' } as const;
  t.ok(
    asksAnew(() => ask(at, others)),
    'for a binding with other settings',
  );
  void ask(at, others);
  t.ok(
    asksAnew(() =>
      ask(
        at,
        others,
        recordSteps(() => 0),
      ),
    ),
    'when somebody wants to know why',
  );

  const fresh = { ...standard, freshnessTime: (2 * hour) as Millis };
  void ask(at, fresh);
  t.notOk(asksAnew(() => ask(at + 299_999, fresh)));
  const short = { ...standard, freshnessTime: (hour + 60_000) as Millis };
  void ask(at, short);
  t.ok(
    asksAnew(() => ask(at + 60_000, short)),
    'when it is no longer fresh',
  );

  const byOcsp = build(scripted('crl', [good, unknown]), scripted('ocsp', [unknown, good]));
  void byOcsp();
  t.ok(
    asksAnew(() => byOcsp()),
    'OCSP answers are looked at each time',
  );
  const refusing = build(scripted('crl', [good, revoked]));
  void refusing();
  t.ok(
    asksAnew(() => refusing()),
    'refusals are not kept',
  );
});

await t.test('a list that comes while another is waited for counts at once, and later', async (t) => {
  let version = 1;
  const crl = scripted('crl', [good, unknown], [undefined, good]);
  const revocation = createRevocation({
    clock: { now: () => at, monotonic: () => performance.now() },
    crl: {
      ...crl,
      async fetch(...asked) {
        crl.held[0] = revoked;
        version += 1;
        return await crl.fetch(...asked);
      },
    },
    ocsp: nothing('ocsp'),
    version: () => version,
    onChecked: () => {},
  });
  const store = createTrustStore([certificateOf(root)], []);
  for (const turn of ['the one who waited', 'whoever comes next']) {
    const answer = await revocation.check({ path, presented: [], store, settings: standard, at, steps: noSteps });
    t.match(answer, { kind: 'refused', verdict: { code: 'certificateRevoked' } }, turn);
  }
});

const base = 'http://crl.test/base.crl';
const changes = 'http://crl.test/delta.crl';
const bob = await issuing.issue({ subject: 'O=Lab,CN=bob', key, crlDistributionPoints: [base] });

const refusalOf = (url: string) => (url.startsWith('ldap:') ? 'the configuration does not allow that' : null);

/** The lists about bob: a store that is empty at first, and what it says of him. */
function listsAboutBob(t: Test, settings: Partial<RevocationSettings> = {}, configured: readonly string[] = []) {
  const world = openStore(t);
  const method = createCrlMethod({ store: world.store, clock: world.time, refusalOf, configured });
  const { path: ofBob, scene } = sceneOf({ chain: [bob, issuing, root], at: noon });
  const question: RevocationQuestion = {
    path: ofBob,
    presented: scene.presented,
    store: scene.store,
    settings: { ...standard, ...settings },
    at,
    steps: noSteps,
  };
  const subject: Subject = { depth: 0, certificate: certificateOf(bob), issuer: ca as never, policy: noPolicy };
  const patience = 10_000 as Millis;
  return {
    world,
    method,
    subject,
    question,
    look: () => method.look(subject, question, 0 as Millis).status,
    fetch: () => method.fetch(subject, question, patience),
    asked: (url: string) => world.fetcher.asked.filter((each) => each.url === url).length,
  };
}

await t.test('a delta that builds on a newer list has that fetched as well', async (t) => {
  const lists = listsAboutBob(t);
  lists.world.fetcher.give(base, listOf(issuing, { crlNumber: 5, freshest: [changes] }));
  lists.world.fetcher.give(
    changes,
    listOf(issuing, { crlNumber: 6, baseCrlNumber: 5, nextUpdate: '2026-11-22T13:00:00Z' }),
  );
  await lists.fetch();
  t.equal(lists.look(), 'good');
  lists.world.fetcher.give(base, listOf(issuing, { crlNumber: 7, freshest: [changes] }));
  lists.world.fetcher.give(changes, listOf(issuing, { crlNumber: 8, baseCrlNumber: 7 }));
  lists.world.time.advance(59 * 60_000);
  await until(() => lists.asked(changes) === 2 && lists.look() === 'unknown');
  t.strictSame(await lists.fetch(), []);
  t.equal(lists.look(), 'good');
});

await t.test('a list that decides counts as used', async (t) => {
  const { world, fetch, subject, question } = listsAboutBob(t);
  world.fetcher.give(base, listOf(issuing));
  await fetch();
  const used: string[] = [];
  const store = { ...world.store, from: (source: string) => (used.push(source), world.store.from(source)) };
  const method = createCrlMethod({ store, clock: world.time, refusalOf, configured: [] });
  t.equal(method.look(subject, question, 0 as Millis).status, 'good');
  t.strictSame(used, [base]);
});

await t.test('whoever is sent to other paths does not wait longer', async (t) => {
  const timeouts: (number | undefined)[] = [];
  const hands = { monotonic: 0 };
  const authorities = await Promise.all(
    [1, 2, 3, 4].map(() => root.subordinate({ subject: 'O=Lab,CN=Issuing CA', key })),
  );
  const judged = createJudge(
    {
      judge: (_shown, _trust, _now, _steps, excluded) => ({
        path: { ...path, certificates: [leaf, certificateOf(authorities[excluded.size] ?? root), certificateOf(root)] },
        presented: [],
      }),
      size: 0,
      clear: () => {},
    },
    {
      async check(question) {
        timeouts.push(question.timeout);
        hands.monotonic += 150;
        const blamed = question.path.certificates[1] ?? leaf;
        return { kind: 'refused', verdict: verdict('revocationUnknown', ''), evidence: [], certificate: blamed };
      },
    },
    null,
    { monotonic: () => hands.monotonic },
  ).judge(
    { chain: [leaf.der], digest: leaf.digest, how: 'upFront', resumed: false },
    { store: createTrustStore([certificateOf(root)], []), judge: productionSettings, revocation: standard },
    at,
    noSteps,
  );
  t.match(await judged, { code: 'revocationUnknown' });
  t.strictSame(timeouts, [200, 50, 0, 0]);
});

await t.test('whoever is told to wait less than the settings say does', async (t) => {
  const timeouts: number[] = [];
  const crl = scripted('crl', [unknown, unknown]);
  const revocation = createRevocation({
    clock: { now: () => at, monotonic: () => 0 },
    crl: { ...crl, fetch: async (_subject, _question, timeout) => (timeouts.push(timeout), []) },
    ocsp: nothing('ocsp'),
    version: () => 1,
    onChecked: () => {},
  });
  const store = createTrustStore([certificateOf(root)], []);
  const question = { path, presented: [], store, settings: standard, at, steps: noSteps };
  await revocation.check({ ...question, timeout: 20 as Millis });
  t.strictSame(timeouts, [20, 20]);
});

await t.test('an OCSP answer and what it rests on are waited for once', async (t) => {
  const hands = { monotonic: 0 };
  const timeouts: number[] = [];
  const signer = await issuing.issue({ subject: 'CN=OCSP', key, extendedKeyUsage: ['1.3.6.1.5.5.7.3.9'] });
  const answer = parseOcspResponse(
    writeOcspResponse({ signer, singles: [{ certificate: alice, issuer: issuing }], certificates: [signer] }),
  );
  if (answer.kind === 'malformed') throw new Error(answer.reason);
  const authentic = authenticateOcsp(answer.response, { certificate: leaf, issuer: ca, signers: [], nonce: null });
  if (authentic.kind === 'refused') throw new Error(authentic.why);
  let fetchedAt = (at - 5000) as Instant;
  const stored = () => ({ ...authentic.answer, source: 'http://ocsp.test', fetchedAt });
  const crl = scripted('crl', []);
  const ocsp = createOcspMethod(
    {
      answerFor: stored,
      async refresh(_question, { timeout }) {
        timeouts.push(timeout);
        hands.monotonic += 150;
        return { kind: 'taken', stored: stored() };
      },
      watch: () => () => {},
      states: () => [],
      close: async () => {},
    },
    { ...crl, fetch: async (_subject, _question, timeout) => (timeouts.push(timeout), ['down']) },
    { monotonic: () => hands.monotonic },
  );
  const policy = { ...noPolicy, ocsp: ['http://ocsp.test'] };
  const store = createTrustStore([certificateOf(root)], []);
  const question = { path, presented: [], store, settings: standard, at, steps: noSteps };
  const subject = { depth: 0, certificate: leaf, issuer: ca, policy };
  t.strictSame(await ocsp.fetch(subject, question, 200 as Millis), ['down']);
  t.strictSame(timeouts, [200, 50]);
  fetchedAt = (at - 4999) as Instant;
  t.strictSame(await ocsp.fetch(subject, question, 200 as Millis), ['down']);
  t.strictSame(timeouts, [200, 50, 200], 'an answer that has just come is not asked for again');
});

await t.test('a responder whose certificate names no place to ask about it', async (t) => {
  const signer = await issuing.issue({ subject: 'CN=OCSP', key, extendedKeyUsage: ['1.3.6.1.5.5.7.3.9'] });
  const answer = parseOcspResponse(
    writeOcspResponse({ signer, singles: [{ certificate: alice, issuer: issuing }], certificates: [signer] }),
  );
  if (answer.kind === 'malformed') throw new Error(answer.reason);
  const authentic = authenticateOcsp(answer.response, { certificate: leaf, issuer: ca, signers: [], nonce: null });
  if (authentic.kind === 'refused') throw new Error(authentic.why);
  const look = (crl: Scripted, noDistributionPoint: RevocationSettings['noDistributionPoint']) => {
    const ocsp = createOcspMethod(
      {
        answerFor: () => ({ ...authentic.answer, source: 'http://ocsp.test', fetchedAt: at }),
        refresh: () => Promise.reject(new Error('not asked')),
        watch: () => () => {},
        states: () => [],
        close: async () => {},
      },
      crl,
      { monotonic: () => 0 },
    );
    const store = createTrustStore([certificateOf(root)], []);
    const settings = { ...standard, noDistributionPoint };
    const subject = { depth: 0, certificate: leaf, issuer: ca, policy: noPolicy };
    return ocsp.look(subject, { path, presented: [], store, settings, at, steps: noSteps }, 0 as Millis).status;
  };
  t.equal(look(nothing('crl'), 'accept'), 'good', 'is treated as clients are');
  t.equal(look(nothing('crl'), 'refuse'), 'unknown');
  t.equal(look(scripted('crl', [unknown]), 'accept'), 'unknown', 'it names one, and what is there is not known');
  t.equal(look(scripted('crl', [revoked], [], { names: false }), 'accept'), 'unknown', 'it is known to be revoked');
});

await t.test('a list that came and says nothing is not fetched again for every request', async (t) => {
  const lists = listsAboutBob(t);
  lists.world.fetcher.give(base, listOf(issuing, { scope: issuingDistributionPoint({ only: 'ca' }) }));
  for (let turn = 0; turn < 5; turn += 1) {
    t.strictSame(await lists.fetch(), []);
    t.equal(lists.look(), 'unknown');
  }
  t.equal(lists.asked(base), 1);
  lists.world.time.advance(5001);
  lists.world.fetcher.give(base, listOf(issuing, { crlNumber: 2 }));
  await lists.fetch();
  t.equal(lists.look(), 'good');
  t.equal(lists.asked(base), 2);
});

await t.test('no time is left: nobody is asked, and that is said', async (t) => {
  const lists = listsAboutBob(t);
  t.strictSame(await lists.method.fetch(lists.subject, lists.question, 0 as Millis), [
    'http://crl.test/base.crl: no time was left to ask it',
  ]);
  t.equal(lists.asked(base), 0);
});

await t.test('issuers are looked for once for a connection, until some time has passed', async (t) => {
  let completions = 0;
  const hands = { monotonic: 0 };
  const judging = createJudge(
    { judge: () => verdict('chainIncomplete', ''), size: 0, clear: () => {} },
    { check: () => ({ kind: 'good', evidence: [], until: at }) },
    { completeChain: async () => ((completions += 1), { certificates: [], notes: [] }) },
    { monotonic: () => hands.monotonic },
  );
  const store = createTrustStore([certificateOf(root)], []);
  const trust = { store, judge: productionSettings, revocation: standard };
  const connect = () => ({ chain: [leaf.der], digest: leaf.digest, how: 'upFront', resumed: false }) as const;
  const shown = connect();
  const ask = async (from = shown, by = trust) => await judging.judge(from, by, at, noSteps);
  for (let turn = 0; turn < 3; turn += 1) t.match(await ask(), { code: 'chainIncomplete' });
  await Promise.all([ask(), ask()]);
  t.equal(completions, 1);
  await ask(shown, { ...trust });
  t.equal(completions, 2, 'by another trust');
  await ask(connect());
  t.equal(completions, 3, 'on another connection');
  await ask();
  t.equal(completions, 4);
  hands.monotonic += 4999;
  await ask();
  t.equal(completions, 4);
  hands.monotonic += 1;
  await ask();
  t.equal(completions, 5);
});

await t.test('of several places for one list those that may not be asked are passed over', async (t) => {
  const pointAt = (...urls: readonly string[]) => ({
    oid: extensionOids.crlDistributionPoints,
    critical: false,
    value: sequence(sequence(element(0xa0, element(0xa0, ...urls.map((url) => text(0x86, url)))))),
  });
  const lists = listsAboutBob(t);
  lists.world.fetcher.give(base, listOf(issuing));
  const fetchFor = async (...urls: readonly string[]) => {
    const carol = await issuing.issue({ subject: 'O=Lab,CN=carol', key, extensions: [pointAt(...urls)] });
    return lists.method.fetch({ ...lists.subject, certificate: certificateOf(carol) }, lists.question, 1000 as Millis);
  };
  t.strictSame(await fetchFor('ldap:///CN=CA?certificateRevocationList', base), []);
  t.strictSame(
    lists.world.store.states().map(({ source }) => source),
    [base],
    'operators need not hear of the other',
  );
  t.equal((await fetchFor('ldap://dc.test/CN=CA?certificateRevocationList')).length, 1);
  t.equal(lists.world.store.states().length, 2, 'but of one without which there is none');
});
