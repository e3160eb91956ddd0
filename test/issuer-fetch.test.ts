/**
 * Issuers that nobody has presented: read from what authorities publish, fetched where certificates say, within bounds.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Instant, Millis } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { type Authority, createAuthority, type Issued } from '../src/lab/authority.ts';
import { createFetcher } from '../src/revocation/fetcher.ts';
import { createIssuerFetch, type ChainQuestion } from '../src/revocation/issuer-fetch.ts';
import type { Fetcher, FetchOutcome } from '../src/revocation/revocation-contract.ts';
import { createTrustStore } from '../src/trust/trust-store.ts';
import { parseCertificateBundle } from '../src/x509/certificate-bundle.ts';
import { extensionOids, oids } from '../src/x509/oid.ts';
import { certificateOf, judge, outcome, productionSettings, type Recipe } from './support/chains.ts';
import { element, integer, oid, sequence, set, text } from './support/der-shapes.ts';
import { handClock } from './support/directory-world.ts';
import { untilTrue } from './support/front.ts';
import { answer, startScriptedHttp } from './support/scripted-http.ts';

const key = 'ed25519';
const root = await createAuthority({ subject: 'O=Lab,CN=Root', key });
const other = await createAuthority({ subject: 'O=Lab,CN=Other', key });

/** certs-only SignedData (RFC 5652 section 5.1). */
interface SignedParts {
  readonly type?: string;
  readonly content?: Buffer;
  readonly certificates?: readonly Buffer[];
  readonly crls?: Buffer;
  readonly signers?: Buffer;
  readonly tail?: Buffer;
}

function signedData({ type = oids.signedData, content, certificates = [], crls, signers, tail }: SignedParts): Buffer {
  const signed = sequence(
    integer('01'),
    set(),
    sequence(oid('1.2.840.113549.1.7.1'), ...(content === undefined ? [] : [element(0xa0, content)])),
    element(0xa0, ...certificates),
    ...(crls === undefined ? [] : [element(0xa1, crls)]),
    set(...(signers === undefined ? [] : [signers])),
    ...(tail === undefined ? [] : [tail]),
  );
  return sequence(oid(type), element(0xa0, signed));
}

/** An extension that says where the issuer is. */
function issuersAt(...urls: readonly string[]): Pick<Recipe, 'extensions'> {
  const descriptions = urls.map((url) => sequence(oid('1.3.6.1.5.5.7.48.2'), text(0x86, url)));
  return {
    extensions: [{ oid: extensionOids.authorityInfoAccess, critical: false, value: sequence(...descriptions) }],
  };
}

await t.test('a bundle is what authorities publish', async (t) => {
  const pair = (...parts: Buffer[]) => sequence(...parts);
  const both = [root.der, other.der];
  const bundles: Record<string, [Buffer, readonly Buffer[]]> = {
    'one certificate': [root.der, [root.der]],
    'values of cACertificate': [Buffer.concat(both), both],
    PEM: [Buffer.from(`some words\n${root.cert}${other.cert}`), both],
    base64: [Buffer.from(root.der.toString('base64')), [root.der]],
    'a SignedData without signers': [signedData({ certificates: both }), both],
    'the same in base64': [Buffer.from(signedData({ certificates: both }).toString('base64')), both],
    'a SignedData with CRLs': [signedData({ certificates: [root.der], crls: sequence() }), [root.der]],
    'an attribute certificate beside': [
      signedData({ certificates: [root.der, element(0xa2, sequence())] }),
      [root.der],
    ],
    'a crossCertificatePair': [pair(element(0xa0, root.der), element(0xa1, other.der)), both],
    'half a crossCertificatePair': [pair(element(0xa1, other.der)), [other.der]],
  };
  for (const [what, [bytes, expected]] of Object.entries(bundles)) {
    const parsed = parseCertificateBundle(bytes);
    if (parsed.kind === 'malformed') t.fail(`${what}: ${parsed.reason}`);
    else
      t.strictSame(
        parsed.certificates.map(({ der }) => der.toString('hex')),
        expected.map((der) => der.toString('hex')),
        what,
      );
  }
  const signed = signedData({ certificates: both });
  const wrong: Record<string, [Buffer, RegExp]> = {
    nothing: [Buffer.alloc(0), /base64/],
    'a page': [Buffer.from('<html>404</html>'), /base64/],
    'octets behind': [Buffer.concat([root.der, Buffer.of(0)]), /tag/],
    'half a certificate': [root.der.subarray(0, 200), /announced/],
    'another content type': [signedData({ type: '1.2.840.113549.1.7.3', certificates: both }), /not signedData/],
    content: [signedData({ content: sequence(), certificates: both }), /no content/],
    'a signer': [signedData({ certificates: both, signers: sequence() }), /signerInfos/],
    'more than there is': [signedData({ certificates: both, tail: sequence() }), /too many/],
    'no certificates': [signedData({ certificates: [element(0xa2, Buffer.alloc(200))] }), /no certificate/],
    'indefinite lengths': [Buffer.concat([Buffer.of(0x30, 0x80), signed.subarray(4), Buffer.of(0, 0)]), /indefinite/],
    'a broken certificate': [signedData({ certificates: [root.der, sequence(sequence())] }), /certificate/],
    'an empty pair': [Buffer.concat([root.der, pair()]), /neither/],
    'too many': [Buffer.concat(Array.from({ length: 33 }, () => root.der)), /more than 32/],
    'too many, signed': [signedData({ certificates: Array.from({ length: 33 }, () => root.der) }), /more than 32/],
  };
  for (const [what, [bytes, reason]] of Object.entries(wrong))
    t.match(parseCertificateBundle(bytes), { kind: 'malformed', reason }, what);

  // Whatever the octets, it is a value.
  const change = fc.tuple(fc.nat({ max: signed.length - 1 }), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = Buffer.from(signed);
      for (const [at, octet] of changes) bytes[at] = octet;
      const parsed = parseCertificateBundle(bytes);
      return parsed.kind === 'malformed' ? parsed.offset <= bytes.length : parsed.certificates.length > 0;
    }),
  );
});

const at = Date.parse('2026-11-22T12:00:00Z') as Instant;

function questionFor(presented: readonly Pick<Issued, 'der'>[], more: Partial<ChainQuestion> = {}): ChainQuestion {
  return {
    presented: presented.map(certificateOf),
    store: createTrustStore([certificateOf(root)], []),
    settings: productionSettings,
    at,
    timeout: 20_000 as Millis,
    ...more,
  };
}

/** Answers from a table; records what was asked. */
function tableFetcher(
  table: Record<string, Buffer | Promise<FetchOutcome>>,
): Pick<Fetcher, 'fetch' | 'refusalOf'> & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    refusalOf: (url) => (url.startsWith('http://allowed/') ? null : 'not allowed'),
    async fetch(url) {
      asked.push(url);
      const found = table[url];
      if (found === undefined) return { kind: 'failed', code: 'httpStatus', detail: 'allowed answered 404 Not Found' };
      if (!Buffer.isBuffer(found)) return found;
      const validators = { etag: null, lastModified: null };
      return { kind: 'fetched', bytes: found, from: url, validators, maximumAge: null };
    },
  };
}

const names = (certificates: readonly { readonly der: Buffer }[]) => certificates.map(({ der }) => der.toString('hex'));

await t.test('a chain is completed over the network, and then judged like any other', async (t) => {
  const served = new Map<string, Buffer>();
  const server = await startScriptedHttp(t, ({ path }, socket) => {
    const body = served.get(path);
    socket.write(body === undefined ? answer(404) : answer(200, body));
  });
  const fetcher = createFetcher({ allowedHosts: [server.place], directory: null }, systemClock);
  t.teardown(() => fetcher.close());
  const policy = await root.subordinate({ subject: 'O=Lab,CN=Policy', key });
  const issuing = await policy.subordinate({
    subject: 'O=Lab,CN=Issuing',
    key,
    ...issuersAt(`${server.url}policy.p7c`),
  });
  const leaf = await issuing.issue({
    subject: 'CN=alice',
    key,
    ...issuersAt('ldap:///CN=x?cACertificate', `${server.url}issuing.crt`),
  });
  served.set('/policy.p7c', signedData({ certificates: [other.der, policy.der] })).set('/issuing.crt', issuing.der);

  const issuers = createIssuerFetch({ fetcher, clock: systemClock });
  t.match(outcome(judge({ presented: [leaf], roots: [root] })), /^chainIncomplete/);
  const found = await issuers.completeChain(questionFor([leaf]));
  t.strictSame(names(found.certificates), names([issuing, other, policy]));
  t.strictSame(found.notes, [
    `1 certificates from ${server.url}issuing.crt`,
    `2 certificates from ${server.url}policy.p7c`,
  ]);
  t.equal(outcome(judge({ presented: [leaf, ...found.certificates], roots: [root] })), 'accepted');
  t.equal(
    outcome(judge({ presented: [leaf, ...found.certificates], roots: [other] })).split(':')[0],
    'chainIncomplete',
    'no trust comes with it',
  );
  await issuers.completeChain(questionFor([leaf]));
  t.equal(server.requests.length, 2, 'what was found is kept');
});

await t.test('only what is missing is asked for, where it may be, once', async (t) => {
  const clock = handClock();
  const policy = await root.subordinate({ subject: 'O=Lab,CN=Policy', key });
  const issuing = await policy.subordinate({ subject: 'O=Lab,CN=Issuing', key, ...issuersAt('http://allowed/policy') });
  const leafAt = (...urls: string[]) => issuing.issue({ subject: 'CN=alice', key, ...issuersAt(...urls) });
  const complete = async (
    leaf: Issued,
    table: Record<string, Buffer>,
    more: Partial<ChainQuestion> = {},
    beside: Authority[] = [],
  ) => {
    const fetcher = tableFetcher(table);
    const issuers = createIssuerFetch({ fetcher, clock });
    const found = await issuers.completeChain(questionFor([leaf, ...beside], more));
    return { asked: fetcher.asked, found: names(found.certificates), notes: found.notes };
  };

  await t.test('a chain that is whole asks nobody', async (t) => {
    const { asked } = await complete(await leafAt('http://allowed/issuing'), {}, {}, [issuing, policy]);
    t.strictSame(asked, []);
  });
  await t.test('nor does one with a detour that leads nowhere', async (t) => {
    const stranger = await createAuthority({ subject: 'CN=Stranger', key });
    const cross = {
      subject: 'O=Lab,CN=Issuing',
      key,
      reuseKeyOf: issuing,
      ...issuersAt('http://allowed/stranger'),
    } as const;
    const detour = await stranger.subordinate(cross);
    const leaf = await leafAt('http://allowed/issuing');
    const judgement = judge({ presented: [leaf, detour, issuing, policy], roots: [root] });
    t.match(judgement, { kind: 'trusted', deadEnds: [{ code: 'chainIncomplete' }] });
    t.strictSame((await complete(leaf, {}, {}, [detour, issuing, policy])).asked, []);
  });
  await t.test('the dead end of what was presented, not every certificate', async (t) => {
    const { asked, found } = await complete(
      await leafAt('http://allowed/issuing'),
      { 'http://allowed/policy': policy.der },
      {},
      [issuing],
    );
    t.strictSame(asked, ['http://allowed/policy']);
    t.strictSame(found, names([policy]));
  });
  await t.test('nothing above a root that is not trusted', async (t) => {
    const stranger = await createAuthority({ subject: 'CN=Stranger', key, ...issuersAt('http://allowed/root') });
    const leaf = await stranger.issue({ subject: 'CN=alice', key, ...issuersAt('http://allowed/stranger') });
    const { asked } = await complete(leaf, {}, {}, [stranger]);
    t.strictSame(asked, []);
  });
  await t.test('the dead end of a configured intermediate', async (t) => {
    const store = createTrustStore([certificateOf(root)], [certificateOf(issuing)]);
    const { asked } = await complete(await leafAt('http://allowed/issuing'), {}, { store });
    t.strictSame(asked, ['http://allowed/policy']);
  });
  await t.test('no host that is not allowed', async (t) => {
    const { asked } = await complete(
      await leafAt('http://evil/issuing', 'file:///etc/passwd', 'http://allowed/issuing'),
      {},
    );
    t.strictSame(asked, ['http://allowed/issuing']);
  });
  await t.test('eight places at most', async (t) => {
    const urls = Array.from({ length: 20 }, (_, index) => `http://allowed/${index}`);
    const { asked, notes } = await complete(await leafAt(...urls), {});
    t.strictSame(asked, urls.slice(0, 8));
    t.match(notes, [/no issuer from http:\/\/allowed\/0: allowed answered 404/]);
  });
  await t.test('three rounds at most', async (t) => {
    const table: Record<string, Buffer> = {};
    let above: Authority = root;
    for (let depth = 6; depth >= 0; depth -= 1) {
      const recipe = depth === 6 ? {} : issuersAt(`http://allowed/${depth + 1}`);
      above = await above.subordinate({ subject: `CN=CA ${depth}`, key, ...recipe });
      table[`http://allowed/${depth}`] = above.der;
    }
    const leaf = await above.issue({ subject: 'CN=alice', key, ...issuersAt('http://allowed/0') });
    const { asked } = await complete(leaf, table);
    t.strictSame(asked, ['http://allowed/0', 'http://allowed/1', 'http://allowed/2']);
  });
  await t.test('circles end', async (t) => {
    // Two authorities without a root that name each other as issuers.
    const first = await createAuthority({ subject: 'CN=A', key });
    const second = await first.subordinate({ subject: 'CN=B', key, ...issuersAt('http://allowed/a') });
    const back = await second.subordinate({
      subject: 'CN=A',
      key,
      reuseKeyOf: first,
      ...issuersAt('http://allowed/b'),
    });
    const leaf = await back.issue({ subject: 'CN=alice', key, ...issuersAt('http://allowed/a') });
    const { asked, notes } = await complete(leaf, { 'http://allowed/a': back.der, 'http://allowed/b': second.der });
    t.strictSame(asked, ['http://allowed/a', 'http://allowed/b']);
    t.equal(notes.length, 2);
  });
  await t.test('what is no certificate is left', async (t) => {
    const { found, notes } = await complete(await leafAt('http://allowed/page'), {
      'http://allowed/page': Buffer.from('<html>'),
    });
    t.strictSame(found, []);
    t.match(notes, [/no issuer from .*base64/]);
  });
  await t.test('64 KB of a place at most', async (t) => {
    let maximum = 0;
    const fetcher: Pick<Fetcher, 'fetch' | 'refusalOf'> = {
      refusalOf: () => null,
      fetch(_url, { maximumBytes }) {
        maximum = maximumBytes;
        return Promise.resolve({ kind: 'failed', code: 'tooLarge', detail: 'too large' });
      },
    };
    await createIssuerFetch({ fetcher, clock }).completeChain(questionFor([await leafAt('http://allowed/x')]));
    t.equal(maximum, 65_536);
  });
});

await t.test('failures are kept for a while, findings for longer, and fetches are joined', async (t) => {
  const clock = handClock();
  const issuing = await root.subordinate({ subject: 'O=Lab,CN=Issuing', key });
  const leaf = await issuing.issue({ subject: 'CN=alice', key, ...issuersAt('http://allowed/issuing') });
  const table: Record<string, Buffer> = {};
  const fetcher = tableFetcher(table);
  const issuers = createIssuerFetch({ fetcher, clock, positive: 1000 as Millis, negative: 100 as Millis });
  const ask = () => issuers.completeChain(questionFor([leaf]));
  await Promise.all([ask(), ask()]);
  t.equal(fetcher.asked.length, 1, 'joined');
  table['http://allowed/issuing'] = issuing.der;
  clock.advance(99);
  t.match(await ask(), { certificates: { length: 0 } });
  clock.advance(1);
  t.match(await ask(), { certificates: { length: 1 } });
  t.equal(fetcher.asked.length, 2);
  clock.advance(999);
  await ask();
  t.equal(fetcher.asked.length, 2);
  clock.advance(1);
  await ask();
  t.equal(fetcher.asked.length, 3);
});

await t.test('nobody is waited for longer than asked', async (t) => {
  const silence = Promise.withResolvers<FetchOutcome>();
  const issuing = await root.subordinate({ subject: 'O=Lab,CN=Issuing', key });
  const leaf = await issuing.issue({ subject: 'CN=alice', key, ...issuersAt('http://allowed/slow') });
  const fetcher = tableFetcher({ 'http://allowed/slow': silence.promise });
  const issuers = createIssuerFetch({ fetcher, clock: systemClock });
  t.match(await issuers.completeChain(questionFor([leaf], { timeout: 30 as Millis })), {
    certificates: { length: 0 },
    notes: ['no answer in time from http://allowed/slow'],
  });
});

await t.test('strangers take no more than two places of a host, and the crowd fails alone', async (t) => {
  const silence = Promise.withResolvers<FetchOutcome>();
  const asked: string[] = [];
  const fetcher: Pick<Fetcher, 'fetch' | 'refusalOf'> = {
    refusalOf: () => null,
    fetch: (url) => (asked.push(url), silence.promise),
  };
  const issuers = createIssuerFetch({ fetcher, clock: systemClock });
  const questions = await Promise.all(
    Array.from({ length: 20 }, async (_, chain) => {
      const urls = Array.from({ length: 8 }, (__, index) => `http://allowed/${chain}/${index}`);
      return questionFor([await root.issue({ subject: 'CN=alice', key, ...issuersAt(...urls) })], {
        timeout: 50 as Millis,
        store: createTrustStore([certificateOf(other)], []),
      });
    }),
  );
  const all = await Promise.all(questions.map((question) => issuers.completeChain(question)));
  t.equal(asked.length, 2);
  t.match(all.at(-1)?.notes, [/100 retrievals are waiting/]);
  silence.resolve({ kind: 'failed', code: 'notFound', detail: 'nothing' });
  await untilTrue(() => asked.length > 100);
  const [last] = questions.slice(-1);
  if (last === undefined) throw new Error('no question');
  t.notMatch((await issuers.completeChain(last)).notes, [/waiting/], 'that there was no place is not kept');
});
