/**
 * The trust store, path building, its budget, and which of several failures becomes the verdict. The checks of a complete
 * path are tested in `trust-checks.test.ts`.
 */
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { recordSteps } from '../src/base/steps.ts';
import { createAuthority, type Authority, type Issued } from '../src/lab/authority.ts';
import type { Judgement, TrustMode } from '../src/trust/judgement.ts';
import { createSearchBudget, searchAllowances } from '../src/trust/search-budget.ts';
import { createTrustStore } from '../src/trust/trust-store.ts';
import type { Certificate } from '../src/x509/certificate.ts';
import { certificateOf, judge, outcome, shapeSigned, withBrokenSignature, type Made } from './support/chains.ts';
import { hex, octets, oid, sequence } from './support/der-shapes.ts';
import { generalName, nameConstraints } from './support/extension-shapes.ts';

const key = 'ed25519';
const root = await createAuthority({ subject: 'C=US,O=Lab,CN=Root', key });
const issuing = await root.subordinate({ subject: 'C=US,O=Lab,CN=Issuing CA', key });
const alice = await issuing.issue({ subject: 'C=US,O=Lab,CN=alice', upn: 'alice@lab.example.test', key });

const thumbprintOf = (made: Made) => certificateOf(made).thumbprint;
const codesOf = ({ deadEnds }: Judgement) => deadEnds.map(({ depth, code }) => `${depth} ${code}`);

/** Thumbprints of an accepted path, leaf first. */
function pathOf(judgement: Judgement): readonly string[] | string {
  return judgement.kind === 'trusted'
    ? judgement.path.certificates.map(({ thumbprint }) => thumbprint)
    : outcome(judgement);
}

const thumbprints = (...made: readonly Made[]) => made.map(thumbprintOf);

/** The issuer's certificate for its name and key from another authority. */
const crossSigned = (by: Authority, subject: Issued, name: string, notAfter = new Date('2049-01-01')) =>
  by.issue({ subject: name, ca: true, key, reuseKeyOf: subject, notAfter });

await t.test('the trust store', (t) => {
  const [a, b] = [root, issuing].map(certificateOf);
  if (a === undefined || b === undefined) throw new Error('no certificates');
  const digest = createTrustStore([a], [b]).digest;
  t.equal(createTrustStore([a, a], [b, b]).digest, digest, 'repetition does not change its digest');
  t.equal(createTrustStore([a, b], []).digest, createTrustStore([b, a], []).digest, 'nor does order');
  t.not(createTrustStore([b], [a]).digest, digest, 'the roles do');
  t.not(createTrustStore([a], []).digest, digest, 'a missing intermediate does');
  t.not(createTrustStore([], [b]).digest, digest, 'a missing root does');
  const both = createTrustStore([a], [a, b]);
  t.equal(both.digest, digest, 'what is a root needs no second role');
  t.strictSame(both.intermediates, [b]);
  t.ok(both.isAnchor(a));
  t.notOk(both.isAnchor(b));
  t.end();
});

await t.test('the trust store warns of roots that share a name and not the key', async (t) => {
  const subject = 'C=us,O=LAB,CN=root';
  const other = await createAuthority({ subject, key });
  const renewed = await createAuthority({ subject, key, reuseKeyOf: root });
  const roots = [root, other].map(certificateOf);
  t.strictSame(createTrustStore(roots, []).warnings, [
    `2 trusted roots are named CN=Root,O=Lab,C=US and have different keys: ${thumbprintOf(root)}, ${thumbprintOf(other)}`,
  ]);
  t.strictSame(
    createTrustStore([root, renewed].map(certificateOf), []).warnings,
    [],
    'renewal with the old key is normal',
  );
});

await t.test('a chain is accepted with its path, issuer, window and steps', (t) => {
  const steps = recordSteps(() => 0);
  const judgement = judge({ presented: [alice, issuing], roots: [root], steps });
  t.strictSame(pathOf(judgement), thumbprints(alice, issuing, root));
  t.strictSame(judgement.deadEnds, []);
  if (judgement.kind === 'trusted') t.equal(judgement.path.issuer.thumbprint, thumbprintOf(issuing));
  t.strictSame(
    steps.list.map(({ step, outcome, detail }) => [step, outcome, detail]),
    [
      [
        'judge',
        'accepted',
        'CN=alice,O=Lab,C=US <- CN=Issuing CA,O=Lab,C=US <- CN=Root,O=Lab,C=US; good from 2020-01-01T00:00:00.000Z to 2049-12-31T00:00:00.999Z',
      ],
    ],
  );
  t.end();
});

await t.test(
  'intermediates come from the client or from the store, in any order, with anything beside them',
  async (t) => {
    const policy = await root.subordinate({ subject: 'CN=Policy CA', key });
    const deep = await policy.subordinate({ subject: 'CN=Deep CA', key });
    const bob = await deep.issue({ subject: 'CN=bob', key });
    const path = thumbprints(bob, deep, policy, root);
    t.strictSame(pathOf(judge({ presented: [bob, policy, alice, root, deep, deep], roots: [root] })), path);
    t.strictSame(pathOf(judge({ presented: [bob], roots: [root], intermediates: [issuing, policy, deep] })), path);
    t.strictSame(pathOf(judge({ presented: [bob, deep], roots: [root], intermediates: [policy] })), path);
    t.match(
      outcome(judge({ presented: [bob, deep], roots: [root] })),
      /^chainIncomplete: certificate 1 .* its issuer CN=Policy CA with key identifier [0-9a-f]{40} is neither configured nor presented$/,
    );
  },
);

await t.test('an anchor need not be self-signed, and ends the path', (t) => {
  const judgement = judge({ presented: [alice, root], roots: [issuing], intermediates: [root] });
  t.strictSame(pathOf(judgement), thumbprints(alice, issuing));
  t.end();
});

await t.test('a leaf that is itself an anchor is a path of its own, with its limits', async (t) => {
  const alone = await createAuthority({ subject: 'CN=kiosk', key, ca: false, notAfter: new Date('2030-01-01') });
  const judgement = judge({ presented: [alone], roots: [alone] });
  t.strictSame(pathOf(judgement), thumbprints(alone));
  if (judgement.kind === 'trusted') t.equal(judgement.path.issuer.thumbprint, thumbprintOf(alone));
  t.match(
    outcome(judge({ presented: [alone], roots: [alone], at: '2030-06-01' })),
    /^certificateExpired: certificate 0 /,
  );
  t.match(outcome(judge({ presented: [root], roots: [root] })), /^caAsClient: certificate 0 /);
});

await t.test('nobody is accepted without a certificate or without an anchor', (t) => {
  t.match(outcome(judge({ presented: [], roots: [root] })), /^certificateRequired: no certificate/);
  t.match(
    outcome(judge({ presented: [alice, issuing, root] })),
    /^untrustedRoot: certificate 2 .* the 0 trusted roots$/,
  );
  t.end();
});

await t.test('a self-signed end that is no anchor is an untrusted root; namesakes are told apart', async (t) => {
  const impostor = await createAuthority({ subject: 'C=US,O=Lab,CN=Root', key, subjectKeyIdentifier: false });
  const issued = await impostor.issue({ subject: 'CN=mallory', key });
  const judgement = judge({ presented: [issued, impostor], roots: [root] });
  t.equal(
    outcome(judgement),
    `untrustedRoot: certificate 1 (CN=Root,O=Lab,C=US, thumbprint ${thumbprintOf(impostor)}): self-signed and not among the 1 trusted roots; ` +
      `the certificate with thumbprint ${thumbprintOf(root)} of that name has another key`,
  );
  const another = await createAuthority({ subject: 'C=US,O=Lab,CN=Root', key });
  t.match(
    outcome(judge({ presented: [issued, impostor], roots: [root, another] })),
    /; the certificate with thumbprint [0-9a-f]{40} and 1 more of that name have another key$/,
  );
  const leaf = await createAuthority({ subject: 'CN=self', key, ca: false });
  t.match(outcome(judge({ presented: [leaf], roots: [root] })), /^untrustedRoot: certificate 0 /);
});

await t.test('a missing issuer is told from a wrong signature by the key identifiers', async (t) => {
  const renewed = await createAuthority({ subject: 'C=US,O=Lab,CN=Root', key });
  const bob = await renewed.issue({ subject: 'CN=bob', key });
  t.match(
    outcome(judge({ presented: [bob], roots: [root] })),
    new RegExp(
      `^chainIncomplete: certificate 0 .* its issuer CN=Root,O=Lab,C=US with key identifier [0-9a-f]{40} is neither configured nor presented; the certificate with thumbprint ${thumbprintOf(root)} of that name has another key$`,
    ),
  );
  t.match(
    outcome(judge({ presented: [withBrokenSignature(alice), issuing], roots: [root] })),
    new RegExp(
      `^signatureInvalid: certificate 0 .* not by the key of its issuer CN=Issuing CA,O=Lab,C=US, thumbprint ${thumbprintOf(issuing)}$`,
    ),
  );
  t.match(
    outcome(judge({ presented: [alice, withBrokenSignature(issuing)], roots: [root] })),
    /^signatureInvalid: certificate 1 /,
  );
});

await t.test('a self-issued certificate with a broken signature is no root', async (t) => {
  const rollover = await root.issue({ subject: 'C=US,O=Lab,CN=Root', ca: true, key });
  t.match(outcome(judge({ presented: [rollover], roots: [issuing] })), /^chainIncomplete: certificate 0 /);
});

await t.test('a signature algorithm that is not taken is weak, not wrong', (t) => {
  const md5 = sequence(oid('1.2.840.113549.1.1.4'), hex('0500'));
  const unknown = sequence(oid('1.2.3.4'));
  const leaf = (algorithm: Uint8Array) =>
    shapeSigned(
      { issuer: certificateOf(root).subject.der, innerAlgorithm: algorithm, outerAlgorithm: algorithm },
      root,
    );
  t.match(
    outcome(judge({ presented: [leaf(md5)], roots: [root] })),
    /^weakAlgorithm: .* signed with MD5, which is not/,
  );
  t.match(
    outcome(judge({ presented: [leaf(unknown)], roots: [root] })),
    /^weakAlgorithm: .* 1\.2\.3\.4 .* not supported$/,
  );
  t.end();
});

await t.test('of CAs with one name and different keys the one that signed is found', async (t) => {
  const subject = 'CN=Twins';
  const first = await root.subordinate({ subject, key, subjectKeyIdentifier: false });
  const second = await root.subordinate({ subject, key, subjectKeyIdentifier: false });
  const [one, two] = [await first.issue({ subject: 'CN=one', key }), await second.issue({ subject: 'CN=two', key })];
  for (const presented of [
    [one, second, first],
    [two, first, second],
  ]) {
    const judgement = judge({ presented, roots: [root] });
    t.strictSame(pathOf(judgement), thumbprints(...presented.filter((_, at) => at !== 1), root));
    t.strictSame(codesOf(judgement), [], 'one that was passed over on the way is no dead end');
  }
});

await t.test('after a failed path the search goes on with the next one, and tells of both', async (t) => {
  const old = await createAuthority({ subject: 'CN=Old Root', key, notAfter: new Date('2025-01-01') });
  const viaOld = await crossSigned(old, issuing, 'C=US,O=Lab,CN=Issuing CA');
  const steps = recordSteps(() => 0);
  const judgement = judge({ presented: [alice, viaOld, issuing], roots: [old, root], steps });
  t.strictSame(pathOf(judgement), thumbprints(alice, issuing, root));
  t.strictSame(codesOf(judgement), ['2 certificateExpired']);
  t.strictSame(
    steps.list.map(({ outcome }) => outcome),
    ['dead end', 'accepted'],
  );
  t.match(steps.list[0]?.detail, /^certificate 2 \(CN=Old Root, .* \[certificateExpired\]$/);
});

await t.test('a certificate that is excluded is on no path; another one to an anchor is still found', async (t) => {
  const old = await createAuthority({ subject: 'C=US,O=Lab,CN=Old Root', key });
  const viaOld = await crossSigned(old, issuing, 'C=US,O=Lab,CN=Issuing CA');
  const ask = (...excluded: readonly Made[]) =>
    pathOf(
      judge({
        presented: [alice, issuing, viaOld],
        roots: [root, old],
        excluded: new Set(excluded.map((made) => certificateOf(made).digest)),
      }),
    );
  t.strictSame(ask(issuing), thumbprints(alice, viaOld, old));
  t.strictSame(ask(viaOld), thumbprints(alice, issuing, root));
  t.strictSame(ask(root), thumbprints(alice, viaOld, old), 'an anchor may be excluded as well');
  t.match(ask(issuing, viaOld), /^chainIncomplete: certificate 0 /);
  t.match(ask(alice), /^chainIncomplete: there is no path/, 'and the leaf itself');
});

await t.test('candidates: matching key identifiers first, then anchors, then what is valid, then CAs', async (t) => {
  const subject = 'CN=Crowd';
  const crowd = await Promise.all(Array.from({ length: 40 }, () => root.subordinate({ subject, key })));
  const last = crowd.at(-1);
  if (last === undefined) throw new Error('no crowd');
  const leaf = await last.issue({ subject: 'CN=bob', key });
  const budget = createSearchBudget();
  t.equal(outcome(judge({ presented: [leaf, ...crowd], roots: [root], budget })), 'accepted');
  t.equal(budget.spent('signatureChecks'), 2, 'none of the 39 others was tried');

  const versions = { subject: 'CN=Versions', key } as const;
  const good = await root.subordinate(versions);
  const stale = await root.issue({ ...versions, ca: true, reuseKeyOf: good, notAfter: new Date('2025-01-01') });
  const noCa = await root.issue({ ...versions, ca: false, reuseKeyOf: good });
  const bob = await good.issue({ subject: 'CN=bob', key });
  const tried = (presented: readonly Made[], ...roots: readonly Made[]) => {
    const judgement = judge({ presented: [bob, ...presented], roots });
    return [codesOf(judgement), pathOf(judgement)].flat();
  };
  t.strictSame(tried([stale, good], root), thumbprints(bob, good, root), 'valid before expired');
  t.strictSame(tried([noCa, good], root), thumbprints(bob, good, root), 'a CA before none');
  t.strictSame(
    tried([good], root, noCa),
    ['1 basicConstraints', '1 basicConstraints', ...thumbprints(bob, good, root)],
    'an anchor first',
  );
});

await t.test('a key identifier that does not match only comes last', async (t) => {
  const odd = await root.subordinate({
    subject: 'CN=Odd',
    key,
    subjectKeyIdentifier: false,
    extensions: [{ oid: '2.5.29.14', critical: false, value: octets(hex('0102')) }],
  });
  const bob = await odd.issue({ subject: 'CN=bob', key });
  t.equal(outcome(judge({ presented: [bob, odd], roots: [root] })), 'accepted');
});

await t.test('a warm judgement costs one signature check; only accepted paths warm the store', async (t) => {
  const store = createTrustStore([certificateOf(root)], [certificateOf(issuing)]);
  const checks = (presented: readonly Made[]) => {
    const budget = createSearchBudget();
    const result = outcome(judge({ presented, store, budget })).replace(/:.*$/, '');
    return `${result} ${budget.spent('signatureChecks')}`;
  };
  const bob = await issuing.issue({ subject: 'CN=bob', key });
  const usage = await issuing.issue({ subject: 'CN=bob', key, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] });
  t.equal(checks([usage]), 'wrongUsage 2');
  t.equal(checks([usage]), 'wrongUsage 2', 'a refused path is not remembered');
  t.equal(checks([alice]), 'accepted 2');
  t.equal(checks([bob]), 'accepted 1');
  t.equal(checks([bob]), 'accepted 1', 'the signature of a leaf is never remembered');
  t.equal(checks([usage]), 'wrongUsage 1');
});

await t.test('precedence: a path that failed a check before a dead end', async (t) => {
  const foreign = await createAuthority({ subject: 'CN=Foreign', key });
  const cross = await crossSigned(foreign, issuing, 'C=US,O=Lab,CN=Issuing CA');
  const expired = await issuing.issue({ subject: 'CN=bob', key, notAfter: new Date('2025-01-01') });
  const judgement = judge({ presented: [expired, cross, foreign, issuing], roots: [root] });
  t.match(outcome(judgement), /^certificateExpired: certificate 0 /);
  t.strictSame(codesOf(judgement), ['0 certificateExpired', '2 untrustedRoot'].toReversed());
});

await t.test('precedence: the chain itself before dates before usage, within a path and among paths', async (t) => {
  const past = { notAfter: new Date('2025-01-01') };
  const serverOnly = { extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] };
  const critical = { extensions: [{ oid: '1.2.3', critical: true, value: hex('0500') }] };
  const leafWith = (recipe: object) => issuing.issue({ subject: 'CN=bob', key, ...recipe });
  const code = (leaf: Made) => outcome(judge({ presented: [leaf, issuing], roots: [root] })).replace(/:.*$/, '');
  t.equal(code(await leafWith({ ...past, ...serverOnly })), 'certificateExpired');
  t.equal(code(await leafWith({ ...past, ...serverOnly, ...critical })), 'criticalExtension');
  t.equal(code(await leafWith(serverOnly)), 'wrongUsage');

  const expiredRoot = await createAuthority({ subject: 'CN=Expired Root', key, ...past });
  const viaExpired = await crossSigned(expiredRoot, issuing, 'C=US,O=Lab,CN=Issuing CA');
  const limited = await createAuthority({ subject: 'CN=Limited Root', key, ca: { pathLength: 0 } });
  const viaLimited = await crossSigned(limited, issuing, 'C=US,O=Lab,CN=Issuing CA');
  const presented = [await leafWith(serverOnly), viaExpired, viaLimited, issuing];
  const judgement = judge({ presented, roots: [root, expiredRoot, limited] });
  t.match(outcome(judgement), /^basicConstraints: certificate 2 \(CN=Limited Root/);
  t.match(
    outcome(judge({ presented, roots: [root, expiredRoot] })),
    /^certificateExpired: certificate 2 \(CN=Expired Root/,
  );
});

await t.test(
  'precedence: among dead ends a wrong signature, then a missing issuer, then an untrusted root',
  async (t) => {
    const foreign = await createAuthority({ subject: 'CN=Foreign', key });
    const missing = await createAuthority({ subject: 'CN=Missing', key });
    const [toForeign, toMissing] = await Promise.all(
      [foreign, missing].map((by) => crossSigned(by, issuing, 'C=US,O=Lab,CN=Issuing CA')),
    );
    if (toForeign === undefined || toMissing === undefined) throw new Error('no certificates');
    const broken = withBrokenSignature(issuing);
    const ask = (...presented: readonly Made[]) =>
      outcome(judge({ presented: [alice, foreign, ...presented], roots: [root] })).replace(/:.*$/, '');
    t.equal(ask(toForeign, toMissing, broken), 'signatureInvalid');
    t.equal(ask(toForeign, toMissing), 'chainIncomplete');
    t.equal(ask(toForeign), 'untrustedRoot');
  },
);

await t.test('a candidate that was wrong where another was right is listed, and never the verdict', async (t) => {
  const namesake = await root.subordinate({ subject: 'C=US,O=Lab,CN=Issuing CA', key, subjectKeyIdentifier: false });
  const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
  const unusable = shapeSigned(
    {
      issuer: certificateOf(root).subject.der,
      subject: certificateOf(issuing).subject.der,
      publicKey: koblitz.export({ type: 'spki', format: 'der' }),
    },
    root,
  );
  const foreign = await createAuthority({ subject: 'CN=Foreign', key });
  const cross = await crossSigned(foreign, issuing, 'C=US,O=Lab,CN=Issuing CA');
  const judgement = judge({ presented: [alice, cross, namesake, unusable, foreign], roots: [root] });
  t.match(outcome(judgement), /^untrustedRoot: certificate 2 /);
  t.strictSame(codesOf(judgement), ['2 untrustedRoot', '0 signatureInvalid', '0 weakAlgorithm']);
  const details = judgement.deadEnds.map(({ detail }) => detail);
  t.match(details[1], new RegExp(`thumbprint ${thumbprintOf(namesake)}, which has its name: its key did not sign`));
  t.match(details[2], new RegExp(`thumbprint ${thumbprintOf(unusable)}, which has its name: .* is not supported$`));
});

await t.test('a certificate is tried once, however often it is presented or stored', async (t) => {
  const subject = 'C=US,O=Lab,CN=Issuing CA';
  const expired = await root.issue({ subject, ca: true, key, reuseKeyOf: issuing, notAfter: new Date('2025-01-01') });
  const namesake = await root.subordinate({ subject, key });
  const budget = createSearchBudget();
  const presented = [alice, expired, namesake, expired, expired];
  t.match(
    outcome(judge({ presented, roots: [root], intermediates: [expired, expired], budget })),
    /^certificateExpired: certificate 1 /,
  );
  t.equal(budget.spent('completePaths'), 1);
  t.equal(budget.spent('signatureChecks'), 3, 'two links, and one to the namesake');
});

await t.test('a path may reach its anchor at position 10 and no later', async (t) => {
  const chain: Authority[] = [root];
  for (let depth = 1; depth <= 10; depth += 1) {
    const above = chain.at(-1);
    if (above !== undefined) chain.push(await above.subordinate({ subject: `CN=CA ${depth}`, key }));
  }
  const [ninth, tenth] = [chain[9], chain[10]];
  if (ninth === undefined || tenth === undefined) throw new Error('no chain');
  const presentedBelow = async (issuer: Authority) => [
    await issuer.issue({ subject: 'CN=bob', key }),
    ...chain.slice(1),
  ];
  const long = judge({ presented: await presentedBelow(ninth), roots: [root] });
  t.equal(pathOf(long).length, 11);
  t.match(
    outcome(judge({ presented: await presentedBelow(tenth), roots: [root] })),
    /^searchExhausted: certificate 10 \(CN=CA 1, .* no trusted root up to position 10 of the path/,
  );
});

await t.test('CAs that certify each other end in a dead end (CVE-2024-0567)', async (t) => {
  const a = await createAuthority({ subject: 'CN=A', key });
  const b = await createAuthority({ subject: 'CN=B', key });
  const [aByB, bByA] = [await crossSigned(b, a, 'CN=A'), await crossSigned(a, b, 'CN=B')];
  const leaf = await a.issue({ subject: 'CN=bob', key });
  const budget = createSearchBudget();
  t.match(
    outcome(judge({ presented: [leaf, aByB, bByA], roots: [root], budget })),
    /^chainIncomplete: certificate 2 \(CN=B, .* issued by CN=A, which is on the path already$/,
  );
  t.equal(budget.spent('nodes'), 3);
  t.equal(budget.spent('signatureChecks'), 2);

  const namesake = await createAuthority({ subject: 'CN=A', key });
  t.match(
    outcome(judge({ presented: [leaf, aByB, bByA, namesake], roots: [root] })),
    /^chainIncomplete: certificate 2 \(CN=B, .* its issuer CN=A with key identifier [0-9a-f]{40} is neither/,
    'there may be another A, whose certificate is missing',
  );
});

await t.test('nothing is told twice', async (t) => {
  const foreign = await createAuthority({ subject: 'CN=Foreign', key });
  const middle = await foreign.subordinate({ subject: 'CN=Middle', key });
  const direct = await crossSigned(foreign, issuing, 'C=US,O=Lab,CN=Issuing CA');
  const around = await crossSigned(middle, issuing, 'C=US,O=Lab,CN=Issuing CA');
  const judgement = judge({ presented: [alice, direct, around, middle, foreign], roots: [root] });
  t.strictSame(codesOf(judgement), ['2 untrustedRoot'], 'although the root was reached at position 3 as well');
});

await t.test('budget: a mesh of ten cross-signed CAs ends by the certificates tried', async (t) => {
  const names = Array.from({ length: 10 }, (_, at) => `CN=Mesh ${at}`);
  const mesh = await Promise.all(names.map((subject) => createAuthority({ subject, key })));
  const links = await Promise.all(
    mesh.flatMap((by) => mesh.flatMap((of, at) => (of === by ? [] : [crossSigned(by, of, names[at] ?? '')]))),
  );
  const leaf = await mesh[0]?.issue({ subject: 'CN=bob', key });
  if (leaf === undefined) throw new Error('no leaf');
  const budget = createSearchBudget();
  const store = createTrustStore([certificateOf(root)], []);
  let lookups = 0;
  const issuers = { issuersOf: (child: Certificate) => ((lookups += 1), store.issuers.issuersOf(child)) };
  const judgement = judge({ presented: [leaf, ...links], store: { ...store, issuers }, budget });
  t.ok(lookups <= 1 + links.length, 'candidates of each certificate were looked up once');
  t.match(
    outcome(judgement),
    /^searchExhausted: the search for a path ended after 1000 certificates were tried in a path/,
  );
  t.equal(budget.exhausted, 'nodes');
  t.equal(budget.spent('nodes'), searchAllowances.nodes + 1);
  t.ok(budget.spent('signatureChecks') <= 90, 'each link was checked once');
});

await t.test("budget: a crowd of CAs with the issuer's name ends by signature checks", async (t) => {
  const subject = 'C=US,O=Lab,CN=Issuing CA';
  const crowd = await Promise.all(
    Array.from({ length: 110 }, () => root.issue({ subject, ca: true, key, subjectKeyIdentifier: false })),
  );
  const budget = createSearchBudget();
  const judgement = judge({ presented: [alice, ...crowd], roots: [root], budget });
  t.equal(outcome(judgement), 'searchExhausted: the search for a path ended after 100 signature checks');
  t.equal(budget.spent('signatureChecks'), searchAllowances.signatureChecks + 1);
  t.equal(budget.spent('nodes'), 1);

  const rollover = await root.issue({ subject: 'C=US,O=Lab,CN=Root', key });
  const namesakes = await Promise.all(
    Array.from({ length: 100 }, () => root.issue({ subject: 'C=US,O=Lab,CN=Root', ca: true, key })),
  );
  t.strictSame(
    judge({ presented: [rollover, ...namesakes], roots: [issuing] }).deadEnds,
    [],
    'not even whether it is a root',
  );
});

await t.test('budget: many complete paths that fail end by their number, and the first failure is told', async (t) => {
  const subject = 'C=US,O=Lab,CN=Issuing CA';
  const notAfter = new Date('2025-01-01');
  const versions = await Promise.all(
    Array.from({ length: 60 }, () => root.issue({ subject, ca: true, key, reuseKeyOf: issuing, notAfter })),
  );
  const budget = createSearchBudget();
  const judgement = judge({ presented: [alice, ...versions], roots: [root], budget });
  t.match(
    outcome(judgement),
    /^searchExhausted: the search for a path ended after 50 complete paths; until then: certificate 1 .* expired: /,
  );
  t.equal(budget.spent('completePaths'), searchAllowances.completePaths + 1);
  t.equal(judgement.deadEnds.length, searchAllowances.completePaths);
});

await t.test('budget: names times constraints end by comparisons', async (t) => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => `host${at}.example.test`);
  const limited = await root.subordinate({
    subject: 'CN=Limited',
    key,
    extensions: [nameConstraints({ permitted: many(600).map(generalName.dns) })],
  });
  const issue = (count: number) => limited.issue({ subject: 'CN=bob', key, dnsNames: many(count) });
  const budget = createSearchBudget();
  const judgement = judge({ presented: [await issue(600), limited], roots: [root], budget });
  t.match(outcome(judgement), /^searchExhausted: .* ended after 250000 comparisons with name constraints/);
  t.equal(budget.exhausted, 'nameComparisons');
  t.equal(budget.spent('nameComparisons'), 417 * 600, 'it ended with the first name that did not fit');
  t.equal(outcome(judge({ presented: [await issue(400), limited], roots: [root] })), 'accepted');
});

await t.test('the issuer list', async (t) => {
  const partner = await root.subordinate({ subject: 'C=US,O=Lab,CN=Partner CA', key });
  const other = await createAuthority({ subject: 'C=US,O=Other,CN=Other Root', key });
  const bob = await partner.issue({ subject: 'CN=bob', key });
  const carol = await other.issue({ subject: 'CN=carol', key });
  const intermediates = [issuing, partner].map(certificateOf);
  const storeOf = (mode: TrustMode, listed: readonly Made[], roots: readonly Made[] = [root, other]) =>
    createTrustStore(roots.map(certificateOf), intermediates, {
      name: 'Partners',
      mode,
      certificates: listed.map(certificateOf),
    });
  const ask = (mode: TrustMode, listed: readonly Made[], leaf: Made, roots?: readonly Made[]) =>
    judge({ presented: [leaf], store: storeOf(mode, listed, roots) });

  await t.test('machine trust: some issuer on the path must be listed', (t) => {
    t.equal(outcome(ask('machineTrust', [partner], bob)), 'accepted', 'the issuer itself');
    t.equal(outcome(ask('machineTrust', [root], bob)), 'accepted', 'one above it');
    t.equal(
      outcome(ask('machineTrust', [partner], alice)),
      `untrustedIssuer: certificate 1 (CN=Issuing CA,O=Lab,C=US, thumbprint ${thumbprintOf(issuing)}): neither it nor an issuer above it is in the store Partners`,
    );
    t.match(outcome(ask('machineTrust', [partner], bob, [other])), /^chainIncomplete/, 'a listed CA is no anchor');
    t.match(outcome(ask('machineTrust', [], bob)), /^untrustedIssuer/, 'an empty list lets nobody in');
    t.match(outcome(ask('machineTrust', [alice], alice)), /^untrustedIssuer/, 'a client is no issuer of itself');
    t.end();
  });

  await t.test('machine trust: a renewed or cross-signed issuer is the same issuer, a namesake is not', async (t) => {
    const name = 'C=US,O=Lab,CN=Partner CA';
    const cross = await crossSigned(other, partner, name);
    t.equal(outcome(ask('machineTrust', [cross], bob)), 'accepted');
    const namesake = await other.subordinate({ subject: name, key });
    t.match(outcome(ask('machineTrust', [namesake], bob)), /^untrustedIssuer/);
  });

  await t.test('machine trust: another path through a listed issuer is found', async (t) => {
    const cross = await crossSigned(other, issuing, 'C=US,O=Lab,CN=Issuing CA');
    const store = storeOf('machineTrust', [other]);
    t.strictSame(
      pathOf(judge({ presented: [alice, cross], store })),
      thumbprints(alice, cross, other),
      'the straight path ends in a root that is not listed',
    );
  });

  await t.test('exclusive root: a path ends in a root of the list, whatever else is trusted', (t) => {
    t.equal(outcome(ask('exclusiveRoot', [root], bob)), 'accepted');
    t.equal(outcome(ask('exclusiveRoot', [other], carol, [])), 'accepted', 'that is no root of the machine');
    t.equal(
      outcome(ask('exclusiveRoot', [other], bob)),
      `untrustedIssuer: certificate 2 (CN=Root,O=Lab,C=US, thumbprint ${thumbprintOf(root)}): a trusted root, but paths may only end in the store Partners`,
    );
    t.match(outcome(ask('exclusiveRoot', [partner, other], bob)), /^untrustedIssuer/, 'an intermediate is no root');
    t.end();
  });

  await t.test('exclusive CA: a path ends in the first CA of the list', (t) => {
    t.strictSame(pathOf(ask('exclusiveCa', [partner], bob)), thumbprints(bob, partner), 'a partial chain');
    t.strictSame(pathOf(ask('exclusiveCa', [partner], bob, [])), thumbprints(bob, partner), 'without any root');
    t.strictSame(pathOf(ask('exclusiveCa', [root], bob)), thumbprints(bob, partner, root));
    t.match(outcome(ask('exclusiveCa', [partner], alice)), /^untrustedIssuer: certificate 2 .*Root/);
    t.match(outcome(ask('exclusiveCa', [bob], carol)), /^untrustedIssuer: certificate 1 .*Other Root/);
    t.end();
  });

  await t.test('other purposes than logging on are not narrowed by machine trust', (t) => {
    const store = storeOf('machineTrust', [partner]);
    t.equal(outcome(judge({ presented: [alice], store, purpose: 'any' })), 'accepted');
    t.end();
  });

  await t.test('the digest follows list and mode', (t) => {
    const plain = createTrustStore([root, other].map(certificateOf), intermediates).digest;
    const digests = [
      plain,
      storeOf('machineTrust', [root]).digest,
      storeOf('machineTrust', [other]).digest,
      storeOf('exclusiveRoot', [root]).digest,
      storeOf('exclusiveCa', [root]).digest,
      storeOf('exclusiveRoot', [root, partner]).digest,
    ];
    t.equal(new Set(digests).size, digests.length);
    t.equal(storeOf('machineTrust', [other, root]).digest, storeOf('machineTrust', [root, other]).digest);
    t.end();
  });
});
