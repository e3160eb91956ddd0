/**
 * Every check of a complete path, one subtest each; those of names are in `trust-names.test.ts`.
 */
import type { Certificate } from '../src/x509/certificate.ts';
import { generateKeyPairSync } from 'node:crypto';
import { findWeakKey } from '../src/trust/algorithm-strength.ts';
import { DerReader } from '../src/x509/der.ts';
import { parsePublicKey } from '../src/x509/public-key.ts';
import t from 'tap';
import { createAuthority, type Authority } from '../src/lab/authority.ts';
import { isValidFor, type PolicyRequirements } from '../src/trust/policy-graph.ts';
import {
  certificateOf,
  createQuestioner,
  judge,
  outcome,
  publicKeyOf,
  shapeSigned,
  type Asked,
  type Made,
  type Recipe,
} from './support/chains.ts';
import { element, hex, oid, sequence, text } from './support/der-shapes.ts';
import {
  applicationPolicies,
  generalName,
  inhibitAnyPolicy,
  policyConstraints,
  policyMappings,
  subjectAltName,
} from './support/extension-shapes.ts';

const key = 'ed25519';
const { root, issuing, ask, askRoot } = await createQuestioner();

await t.test('dates: whole seconds, both ends included, at every depth', async (t) => {
  const window = { notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2026-01-31T00:00:00Z') };
  const table: readonly (readonly [at: string, expected: RegExp])[] = [
    [
      '2025-12-31T23:59:59.999Z',
      /^certificateNotYetValid: .* notBefore 2026-01-01T00:00:00.000Z, judged at 2025-12-31T23:59:59.999Z$/,
    ],
    ['2026-01-01T00:00:00.000Z', /^accepted$/],
    ['2026-01-31T00:00:00.999Z', /^accepted$/],
    [
      '2026-01-31T00:00:01.000Z',
      /^certificateExpired: .* notAfter 2026-01-31T00:00:00.000Z, judged at 2026-01-31T00:00:01.000Z$/,
    ],
  ];
  for (const [at, expected] of table) {
    t.match(await ask(window, {}, { at }), expected, `leaf at ${at}`);
    t.match(await ask({}, window, { at }), expected, `CA at ${at}`);
    t.match(await askRoot(window, {}, { at }), expected, `root at ${at}`);
  }
});

await t.test('the window of a path is that of its shortest certificates', async (t) => {
  const ca = await root.subordinate({
    subject: 'CN=CA',
    key,
    notBefore: new Date('2026-03-01'),
    notAfter: new Date('2027-01-01'),
  });
  const leaf = await ca.issue({
    subject: 'CN=alice',
    key,
    notBefore: new Date('2026-02-01'),
    notAfter: new Date('2026-12-01'),
  });
  const judgement = judge({ presented: [leaf, ca], roots: [root] });
  t.match(judgement, {
    kind: 'trusted',
    path: { validFrom: Date.parse('2026-03-01'), validUntil: Date.parse('2026-12-01T00:00:00.999Z') },
  });
});

await t.test('only CAs issue: basicConstraints and keyUsage', async (t) => {
  t.match(await ask({}, { ca: false }), /^basicConstraints: certificate 1 .* basicConstraints say cA FALSE$/);
  t.match(
    await ask({}, { keyUsage: ['digitalSignature', 'cRLSign'] }),
    /^basicConstraints: certificate 1 .* lacks keyCertSign/,
  );
  t.equal(await ask({}, { keyUsage: [] }), 'accepted', 'without keyUsage nothing is restricted');
  t.match(
    await askRoot({ ca: false }),
    /^basicConstraints: certificate 1 /,
    'a root is a certificate with all its limits',
  );
  t.match(await askRoot({ keyUsage: ['cRLSign'] }), /^basicConstraints: certificate 1 /);
});

await t.test('versions 1 and 2 cannot say that they are CAs: believed of a root, not of an intermediate', async (t) => {
  const subject = certificateOf(issuing).subject.der;
  const shape = (version: Uint8Array, tail = Buffer.alloc(0)) =>
    shapeSigned(
      { version, issuer: certificateOf(root).subject.der, subject, publicKey: publicKeyOf(issuing), tail },
      root,
    );
  const leaf = await issuing.issue({ subject: 'CN=alice', key });
  const v1 = shape(Buffer.alloc(0));
  const v2 = shape(hex('a003 020101'));
  const v3 = shape(hex('a003 020102'));
  for (const [version, ca] of [v1, v2].entries()) {
    t.equal(outcome(judge({ presented: [leaf], roots: [ca] })), 'accepted');
    t.match(
      outcome(judge({ presented: [leaf, ca], roots: [root] })),
      new RegExp(`^basicConstraints: certificate 1 .* a version ${version + 1} certificate below the root`),
    );
  }
  t.match(outcome(judge({ presented: [leaf], roots: [v3] })), /^basicConstraints: .* it has no basicConstraints$/);
  t.match(
    outcome(judge({ presented: [leaf, v3], roots: [root] })),
    /^basicConstraints: .* it has no basicConstraints$/,
  );
});

await t.test('pathLenConstraint counts the CAs below, not the leaf and not the self-issued', async (t) => {
  const below = async (top: Authority, self: boolean) => {
    const middle = await top.subordinate({ subject: self ? 'CN=Limited' : 'CN=Middle', key });
    const leaf = await middle.issue({ subject: 'CN=alice', key });
    return { middle, leaf };
  };
  const limited = await root.subordinate({ subject: 'CN=Limited', key, ca: { pathLength: 0 } });
  const direct = await limited.issue({ subject: 'CN=alice', key });
  t.equal(outcome(judge({ presented: [direct, limited], roots: [root] })), 'accepted');
  const other = await below(limited, false);
  t.match(
    outcome(judge({ presented: [other.leaf, other.middle, limited], roots: [root] })),
    /^basicConstraints: certificate 2 \(CN=Limited, .* its pathLenConstraint is 0, but 1 CA certificates follow it$/,
  );
  const self = await below(limited, true);
  t.equal(outcome(judge({ presented: [self.leaf, self.middle, limited], roots: [root] })), 'accepted');
  t.match(
    outcome(judge({ presented: [other.leaf, other.middle], roots: [limited] })),
    /^basicConstraints: certificate 2 /,
    'a root limits too',
  );
  const leafCa = await limited.issue({
    subject: 'CN=CA',
    key,
    ca: true,
    keyUsage: ['digitalSignature', 'keyCertSign'],
  });
  t.equal(
    outcome(judge({ presented: [leafCa, limited], roots: [root], settings: { allowCaAsClient: true } })),
    'accepted',
    'the last certificate is not counted, whatever it is',
  );
});

await t.test('keyUsage of the leaf: digitalSignature or keyAgreement, when there is one', async (t) => {
  t.match(
    await ask({ keyUsage: ['keyEncipherment'] }),
    /^wrongUsage: certificate 0 .* neither digitalSignature nor keyAgreement$/,
  );
  t.equal(await ask({ keyUsage: ['keyAgreement'] }), 'accepted');
  t.equal(await ask({ keyUsage: [] }), 'accepted');
  t.match(await ask({ keyUsage: ['keyEncipherment'] }, {}, { settings: { usageCheck: false } }), /^wrongUsage/);
  t.equal(
    await ask({ keyUsage: ['keyEncipherment'], extendedKeyUsage: [] }, {}, { purpose: 'serverAuth' }),
    'accepted',
  );
  t.match(
    await ask({ keyUsage: ['digitalSignature', 'keyCertSign'] }),
    /^basicConstraints: certificate 0 .* not a CA certificate$/,
  );
});

await t.test('a CA certificate logs on as a client only where that is allowed', async (t) => {
  const ca = { ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] } as const;
  t.match(await ask(ca), /^caAsClient: certificate 0 /);
  t.equal(await ask(ca, {}, { settings: { allowCaAsClient: true } }), 'accepted');
});

await t.test('a leaf has a name: its subject, or a critical subjectAltName', async (t) => {
  const upn = generalName.upn('alice@lab.example.test');
  t.match(
    await ask({ subject: '', upn: 'alice@lab.example.test' }),
    /^certificateMalformed: certificate 0 \(empty subject, /,
  );
  t.match(await ask({ subject: '' }), /^certificateMalformed/);
  t.equal(await ask({ subject: '', extensions: [subjectAltName(true, upn)] }), 'accepted');
});

await t.test('critical extensions are understood or refused, at every depth', async (t) => {
  const odd = (critical: boolean) => ({ extensions: [{ oid: '1.3.6.1.4.1.99999.1', critical, value: hex('0500') }] });
  const refused = (depth: number) =>
    new RegExp(`^criticalExtension: certificate ${depth} .* 1\\.3\\.6\\.1\\.4\\.1\\.99999\\.1 is not understood$`);
  t.match(await ask(odd(true)), refused(0));
  t.match(await ask({}, odd(true)), refused(1));
  t.match(await askRoot(odd(true)), refused(1));
  t.equal(await ask(odd(false), odd(false)), 'accepted');
  t.match(
    await ask({ extensions: [{ oid: '2.5.29.18', critical: true, value: sequence(text(0x82, 'a.test')) }] }),
    /^criticalExtension: .* issuerAltName \(2\.5\.29\.18\) is not understood$/,
  );
  const point = sequence(element(0xa0, element(0xa0, text(0x86, 'http://a'))));
  const access = sequence(sequence(oid('1.2.3'), text(0x86, 'http://a')));
  const known = (type: string, value: Uint8Array, critical = true) =>
    ask({ extensions: [{ oid: type, critical, value }] });
  t.equal(await known('2.5.29.31', sequence(point)), 'accepted', 'distribution points may be critical');
  t.equal(await known('1.3.6.1.5.5.7.48.1.5', hex('0500')), 'accepted', 'so may ocspNoCheck');
  for (const [type, value] of [
    ['2.5.29.46', sequence(point)],
    ['1.3.6.1.5.5.7.1.1', access],
  ] as const) {
    t.match(await known(type, value), /^criticalExtension: .* must not be critical$/, type);
    t.equal(await known(type, value, false), 'accepted', type);
  }
});

await t.test('a critical policy with a qualifier that is not understood is refused', async (t) => {
  const policies = (critical: boolean, qualifier: string) => ({
    extensions: [
      {
        oid: '2.5.29.32',
        critical,
        value: sequence(sequence(oid('1.2.3'), sequence(sequence(oid(qualifier), text(0x16, 'x'))))),
      },
    ],
  });
  t.match(
    await ask(policies(true, '1.2.3.4')),
    /^criticalExtension: .* a qualifier 1\.2\.3\.4 that is not understood$/,
  );
  t.equal(await ask(policies(false, '1.2.3.4')), 'accepted');
  t.equal(await ask(policies(true, '1.3.6.1.5.5.7.2.1')), 'accepted');
});

await t.test('SHA-1 is refused unless allowed, but never in the signature of a root itself', async (t) => {
  const old = await createAuthority({ subject: 'CN=Old Root', key: 'p256', hash: 'SHA-1' });
  const sha1 = await old.issue({ subject: 'CN=alice', key, hash: 'SHA-1' });
  const sha256 = await old.issue({ subject: 'CN=alice', key });
  t.match(outcome(judge({ presented: [sha1], roots: [old] })), /^weakAlgorithm: certificate 0 .* signed with SHA-1/);
  t.equal(outcome(judge({ presented: [sha1], roots: [old], settings: { allowSha1: true } })), 'accepted');
  t.equal(outcome(judge({ presented: [sha256], roots: [old] })), 'accepted');
});

await t.test('keys: RSA by its length, curves by name, at every depth', async (t) => {
  const short = { minimumRsaBits: 1024 };
  t.match(
    await ask({ key: 'rsa1024' }),
    /^weakAlgorithm: certificate 0 .* RSA key of 1024 bits, at least 2048 are demanded$/,
  );
  t.equal(await ask({ key: 'rsa1024' }, {}, { settings: short }), 'accepted');
  t.match(await ask({}, { key: 'rsa1024' }), /^weakAlgorithm: certificate 1 /);
  t.match(await askRoot({ key: 'rsa1024' }), /^weakAlgorithm: certificate 1 /);
  t.match(await ask({ key: 'rsa2048' }, {}, { settings: { minimumRsaBits: 3072 } }), /^weakAlgorithm: certificate 0 /);
  for (const good of ['p256', 'p384', 'p521', 'rsa2048'] as const) t.equal(await ask({ key: good }), 'accepted', good);
  const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  const leaf = shapeSigned({ issuer: certificateOf(root).subject.der, publicKey: koblitz }, root);
  t.match(
    outcome(judge({ presented: [leaf], roots: [root] })),
    /^weakAlgorithm: certificate 0 .* key cannot be used: curve 1\.3\.132\.0\.10$/,
  );
});

const usages = {
  any: '2.5.29.37.0',
  client: '1.3.6.1.5.5.7.3.2',
  microsoftAny: '1.3.6.1.4.1.311.10.12.1',
  server: '1.3.6.1.5.5.7.3.1',
  smartCard: '1.3.6.1.4.1.311.20.2.2',
};

await t.test('extended key usage: client authentication, smart-card logon, any, or none', async (t) => {
  for (const usage of [usages.client, usages.smartCard, usages.any, usages.microsoftAny])
    t.equal(await ask({ extendedKeyUsage: [usages.server, usage] }), 'accepted', usage);
  t.equal(await ask({ extendedKeyUsage: [] }), 'accepted', 'without the extension all usages are good');
  const refused = await ask({ extendedKeyUsage: [usages.server] });
  t.match(
    refused,
    /^wrongUsage: certificate 0 .* extendedKeyUsage allows only serverAuth; the path needs clientAuth or smartCardLogon$/,
  );
  t.equal(await ask({ extendedKeyUsage: [usages.server] }, {}, { settings: { usageCheck: false } }), 'accepted');
  t.equal(await ask({ extendedKeyUsage: [usages.server] }, {}, { purpose: 'any' }), 'accepted');
  t.match(await ask({ extendedKeyUsage: [usages.client] }, {}, { purpose: 'serverAuth' }), /^wrongUsage/);
  const many = Array.from({ length: 10 }, (_, at) => `1.2.3.${at}`);
  t.match(await ask({ extendedKeyUsage: many.slice(0, 8) }), /1\.2\.3\.7; the path needs/);
  t.match(await ask({ extendedKeyUsage: many }), /1\.2\.3\.7 and 2 more; the path needs/);
});

await t.test('extended key usage is nested: one usage runs through the whole path', async (t) => {
  t.match(await ask({}, { extendedKeyUsage: [usages.server] }), /^wrongUsage: certificate 1 /);
  t.equal(await ask({}, { extendedKeyUsage: [usages.server, usages.client] }), 'accepted');
  t.equal(await ask({}, { extendedKeyUsage: [usages.any] }), 'accepted');
  t.match(
    await ask({ extendedKeyUsage: [usages.smartCard] }, { extendedKeyUsage: [usages.client] }),
    /^wrongUsage: certificate 0 .* extendedKeyUsage allows only smartCardLogon; the path needs clientAuth$/,
  );
  t.match(await askRoot({ extendedKeyUsage: [usages.server] }), /^wrongUsage: certificate 1 /, "a root's counts");
});

await t.test('Application Policies act like extended key usage, and both must allow (ESC15)', async (t) => {
  const policies = (...list: readonly string[]) => ({ extensions: [applicationPolicies(...list)] });
  const none = { extendedKeyUsage: [] };
  t.match(
    await ask({ ...none, ...policies(usages.server) }),
    /^wrongUsage: .* Application Policies allows only serverAuth/,
  );
  t.equal(await ask({ ...none, ...policies(usages.smartCard) }), 'accepted');
  t.equal(await ask({ ...none, ...policies(usages.microsoftAny) }), 'accepted');
  t.match(
    await ask({ extendedKeyUsage: [usages.server], ...policies(usages.client) }),
    /^wrongUsage: .* extendedKeyUsage/,
  );
  t.match(await ask({ extendedKeyUsage: [usages.client], ...policies(usages.server) }), /^wrongUsage: .* Application/);
  t.match(await ask({}, policies(usages.server)), /^wrongUsage: certificate 1 /);
});

const [gold, silver, other] = ['1.2.3.1', '1.2.3.2', '1.2.3.3'] as const;
const anyPolicy = '2.5.29.32.0';
const demand = (changes: Partial<PolicyRequirements>): Pick<Asked, 'policies'> => ({
  policies: {
    acceptable: new Set([anyPolicy]),
    explicitPolicy: false,
    inhibitMapping: false,
    inhibitAnyPolicy: false,
    ...changes,
  },
});
const explicit = demand({ explicitPolicy: true });
const noPolicy = /^policyInvalid: certificate \d .* an explicit policy is required and none/;

await t.test('policies: nothing is demanded unless the caller or a certificate demands it', async (t) => {
  t.equal(await ask({ policies: [gold] }, { policies: [silver] }), 'accepted');
  t.match(await ask({ policies: [gold] }, { policies: [silver] }, explicit), noPolicy);
  t.match(await ask({}, { policies: [silver] }, explicit), noPolicy);
  t.equal(await ask({ policies: [gold, silver] }, { policies: [silver] }, explicit), 'accepted');
  t.match(
    await ask({ policies: [gold] }, undefined, explicit),
    /^policyInvalid: certificate 1 .* none is valid up to here$/,
    'it ends with the first certificate that has none',
  );
  const required = { extensions: [policyConstraints({ explicit: 0 })] };
  t.match(await ask({ policies: [gold] }, { policies: [silver], ...required }), noPolicy);
  t.equal(await ask({ policies: [silver] }, { policies: [silver], ...required }), 'accepted');
  const later = { extensions: [policyConstraints({ explicit: 1 })] };
  t.match(await ask({}, { policies: [silver], ...later }), noPolicy, 'the count ends at the leaf');
  const never = { extensions: [policyConstraints({ explicit: 2 })] };
  t.equal(await ask({}, { policies: [silver], ...never }), 'accepted');
  t.match(await ask({ extensions: [policyConstraints({ explicit: 0 })] }), noPolicy, 'a leaf may demand it for itself');
});

await t.test('policies: what is acceptable is named in the terms of the root', async (t) => {
  const only = (policy: string) => demand({ explicitPolicy: true, acceptable: new Set([policy]) });
  t.equal(await ask({ policies: [gold] }, { policies: [gold] }, only(gold)), 'accepted');
  t.match(await ask({ policies: [gold] }, { policies: [gold] }, only(silver)), noPolicy);
  t.equal(await ask({ policies: [gold] }, { policies: [anyPolicy] }, only(gold)), 'accepted');
  t.equal(await ask({ policies: [anyPolicy] }, { policies: [anyPolicy] }, only(gold)), 'accepted');
  const mapping = { policies: [gold], extensions: [policyMappings([gold, silver])] };
  t.equal(await ask({ policies: [silver] }, mapping, only(gold)), 'accepted');
  t.match(await ask({ policies: [silver] }, mapping, only(silver)), noPolicy);
  t.match(await ask({ policies: [gold] }, mapping, only(gold)), noPolicy, 'a mapped policy has no longer its own name');
});

await t.test('policies: what an accepted path is valid for, in the terms of the root', async (t) => {
  const validFor = async (leaf: Recipe, ca: Recipe, acceptable: readonly string[]) => {
    const authority = await root.subordinate({ subject: 'O=Lab,CN=CA', key, ...ca });
    const issued = await authority.issue({ subject: 'O=Lab,CN=alice', key, ...leaf });
    const judgement = judge({ presented: [issued, authority], roots: [root] });
    return judgement.kind === 'trusted' && isValidFor(judgement.path.policies, acceptable);
  };
  const any = { policies: [anyPolicy] };
  t.equal(await validFor({ policies: [gold] }, { policies: [gold] }, [gold]), true);
  t.equal(await validFor({ policies: [gold] }, { policies: [gold] }, [silver, gold]), true, 'one of them is enough');
  t.equal(await validFor({ policies: [gold] }, { policies: [gold] }, [silver]), false);
  t.equal(await validFor({ policies: [gold] }, { policies: [silver] }, [gold]), false, "the leaf's own claim alone");
  t.equal(await validFor({ policies: [gold] }, {}, [gold]), false, 'a CA without policies vouches for none');
  t.equal(await validFor({}, { policies: [gold] }, [gold]), false);
  t.equal(await validFor({ policies: [gold] }, any, [gold]), true, 'a CA may vouch for all');
  t.equal(await validFor(any, { policies: [gold] }, [gold]), true);
  t.equal(await validFor(any, { policies: [gold] }, [silver]), false);
  t.equal(await validFor(any, any, [silver]), true, 'anyPolicy all the way');
  t.equal(await validFor(any, { ...any, extensions: [inhibitAnyPolicy(0)] }, [silver]), false);
  t.equal(await validFor({ policies: [gold] }, { policies: [gold] }, [anyPolicy]), true, 'any at all');
  t.equal(await validFor({}, {}, [anyPolicy]), false, 'but one');
  t.equal(await validFor(any, any, []), false);
  const mapping = { policies: [gold], extensions: [policyMappings([gold, silver])] };
  t.equal(await validFor({ policies: [silver] }, mapping, [gold]), true);
  t.equal(await validFor({ policies: [silver] }, mapping, [silver]), false, 'that is what the CA calls it');
});

await t.test('usages: those that the leaf names and all above it allow', async (t) => {
  const named = async (leaf: Recipe, ca: Recipe) => {
    const authority = await root.subordinate({ subject: 'O=Lab,CN=CA', key, ...ca });
    const issued = await authority.issue({ subject: 'O=Lab,CN=alice', key, ...leaf });
    const judgement = judge({ presented: [issued, authority], roots: [root] });
    return judgement.kind === 'trusted' ? [...judgement.path.usages].toSorted() : judgement.verdict.code;
  };
  const both = [usages.smartCard, usages.client];
  t.same(await named({ extendedKeyUsage: both }, {}), both);
  t.same(await named({ extendedKeyUsage: both }, { extendedKeyUsage: [usages.client] }), [usages.client]);
  t.same(await named({ extendedKeyUsage: both }, { extendedKeyUsage: [usages.any] }), both);
  t.same(await named({ extendedKeyUsage: [usages.any] }, {}), [], 'anyExtendedKeyUsage names none');
  t.same(await named({ extendedKeyUsage: [usages.any] }, { extendedKeyUsage: both }), []);
  t.same(
    await named({ extendedKeyUsage: [] }, { extendedKeyUsage: both }),
    [],
    'nor does a leaf without the extension',
  );
  const narrow = [applicationPolicies(usages.client)];
  t.same(await named({ extendedKeyUsage: both, extensions: narrow }, {}), [usages.client]);
  t.same(await named({ extendedKeyUsage: [], extensions: narrow }, {}), [], 'Application Policies only narrow');
});

await t.test('policies: mapping, and where it is inhibited', async (t) => {
  const mapping = policyMappings([gold, silver]);
  const ca = { policies: [gold], extensions: [mapping] };
  t.equal(await ask({ policies: [silver] }, ca, explicit), 'accepted');
  t.match(await ask({ policies: [silver] }, ca, demand({ explicitPolicy: true, inhibitMapping: true })), noPolicy);
  const beside = { policies: [gold], extensions: [policyMappings([silver, other])] };
  t.match(await ask({ policies: [other] }, beside, explicit), noPolicy, 'what is not valid cannot be mapped');
  const mappingDemanded = { policies: [gold], extensions: [mapping, policyConstraints({ explicit: 0 })] };
  t.equal(
    await ask({ policies: [silver] }, mappingDemanded),
    'accepted',
    'mapping is allowed unless somebody inhibits it',
  );
  const viaAny = { policies: [anyPolicy], extensions: [mapping] };
  t.equal(
    await ask({ policies: [silver] }, viaAny, demand({ explicitPolicy: true, acceptable: new Set([gold]) })),
    'accepted',
  );
  for (const [from, to] of [
    [anyPolicy, gold],
    [gold, anyPolicy],
  ] as const) {
    const forbidden = { policies: [gold], extensions: [policyMappings([from, to])] };
    t.match(await ask({}, forbidden), /^policyInvalid: certificate 1 .* maps anyPolicy, which is forbidden$/);
  }

  const top = (extensions: Recipe['extensions']) =>
    root.subordinate({ subject: 'CN=Top', key, policies: [gold], ...(extensions === undefined ? {} : { extensions }) });
  const under = async (above: Authority) => {
    const low = await above.subordinate({ subject: 'CN=Low', key, policies: [gold], extensions: [mapping] });
    const leaf = await low.issue({ subject: 'CN=alice', key, policies: [silver] });
    return outcome(judge({ presented: [leaf, low, above], roots: [root], ...explicit }));
  };
  t.equal(await under(await top(undefined)), 'accepted');
  t.match(await under(await top([policyConstraints({ mapping: 0 })])), noPolicy);
  t.equal(await under(await top([policyConstraints({ mapping: 1 })])), 'accepted');
  const counted = await top([policyConstraints({ mapping: 1 })]);
  const middle = await counted.subordinate({ subject: 'CN=Middle', key, policies: [gold] });
  const low = await middle.subordinate({ subject: 'CN=Low', key, policies: [gold], extensions: [mapping] });
  const leaf = await low.issue({ subject: 'CN=alice', key, policies: [silver] });
  const presented = [leaf, low, middle, counted];
  t.match(outcome(judge({ presented, roots: [root], ...explicit })), noPolicy, 'each CA in between counts');
});

await t.test('policies: anyPolicy, and where it is inhibited', async (t) => {
  const inhibited = demand({ explicitPolicy: true, inhibitAnyPolicy: true });
  t.equal(await ask({ policies: [gold] }, { policies: [anyPolicy] }, explicit), 'accepted');
  t.match(await ask({ policies: [gold] }, { policies: [anyPolicy] }, inhibited), noPolicy);
  t.match(
    await ask({ policies: [anyPolicy] }, { policies: [gold], extensions: [inhibitAnyPolicy(0)] }, explicit),
    noPolicy,
  );
  t.equal(
    await ask({ policies: [anyPolicy] }, { policies: [gold], extensions: [inhibitAnyPolicy(1)] }, explicit),
    'accepted',
  );

  const demanded = { policies: [gold], extensions: [policyConstraints({ explicit: 0 })] };
  t.equal(await ask({ policies: [anyPolicy] }, demanded), 'accepted', 'it counts unless somebody inhibits it');
  const counted = await root.subordinate({ subject: 'CN=C', key, policies: [gold], extensions: [inhibitAnyPolicy(1)] });
  const middle = await counted.subordinate({ subject: 'CN=Middle', key, policies: [gold] });
  const low = await middle.issue({ subject: 'CN=alice', key, policies: [anyPolicy] });
  t.match(
    outcome(judge({ presented: [low, middle, counted], roots: [root], ...explicit })),
    noPolicy,
    'each CA in between counts',
  );

  const top = await root.subordinate({ subject: 'CN=Top', key, policies: [gold], extensions: [inhibitAnyPolicy(0)] });
  const rollover = await top.subordinate({ subject: 'CN=Top', key, policies: [anyPolicy] });
  const leaf = await rollover.issue({ subject: 'CN=alice', key, policies: [gold] });
  t.equal(
    outcome(judge({ presented: [leaf, rollover, top], roots: [root], ...explicit })),
    'accepted',
    'self-issued is exempt',
  );
  const last = await top.issue({ subject: 'CN=Top', key, policies: [anyPolicy] });
  t.match(outcome(judge({ presented: [last, top], roots: [root], ...explicit })), noPolicy, 'but not as the leaf');
});

await t.test('policies: self-issued CAs are not counted', async (t) => {
  const top = await root.subordinate({
    subject: 'CN=Top',
    key,
    policies: [gold],
    extensions: [policyConstraints({ explicit: 2 })],
  });
  const below = async (subject: string) => {
    const middle = await top.subordinate({ subject, key, policies: [gold] });
    const leaf = await middle.issue({ subject: 'CN=alice', key });
    return outcome(judge({ presented: [leaf, middle, top], roots: [root] }));
  };
  t.match(await below('CN=Middle'), noPolicy);
  t.equal(await below('CN=Top'), 'accepted');

  const next = { policies: [gold], extensions: [policyConstraints({ explicit: 1 })] };
  t.match(await ask({ subject: 'O=Lab,CN=CA' }, next), noPolicy, 'but a self-issued leaf is');
});

await t.test("policies: a root's own count, and a root without them restricts nothing", async (t) => {
  const leaf = { policies: [silver] };
  t.equal(await askRoot({}, leaf, explicit), 'accepted');
  t.match(await askRoot({ policies: [gold] }, leaf, explicit), noPolicy);
  t.equal(await askRoot({ policies: [gold, silver] }, leaf, explicit), 'accepted');
  t.match(await askRoot({ extensions: [policyConstraints({ explicit: 0 })] }, {}), noPolicy);
  t.equal(
    await askRoot({ policies: [gold], extensions: [policyMappings([gold, silver])] }, leaf, explicit),
    'accepted',
  );
  t.match(await askRoot({ extensions: [inhibitAnyPolicy(0)] }, { policies: [anyPolicy] }, explicit), noPolicy);

  const kiosk = await createAuthority({ subject: 'CN=kiosk', key, ca: false, policies: [anyPolicy] });
  const alone = (policies: Pick<Asked, 'policies'>) =>
    outcome(judge({ presented: [kiosk], roots: [kiosk], ...policies }));
  t.equal(alone(explicit), 'accepted', 'so do those of a leaf that is itself an anchor');
  t.match(alone(demand({ explicitPolicy: true, inhibitAnyPolicy: true })), noPolicy);
  t.equal(alone(demand({ inhibitAnyPolicy: true })), 'accepted');
});

await t.test('policies: a thicket of mappings costs no more than its size (CVE-2023-0464)', async (t) => {
  const names = Array.from({ length: 16 }, (_, at) => `1.2.3.100.${at}`);
  const everyToEvery = names.flatMap((from) => names.map((to) => [from, to] as const));
  const chain: Authority[] = [root];
  for (let depth = 1; depth <= 8; depth += 1) {
    const above = chain.at(-1) ?? root;
    chain.push(
      await above.subordinate({
        subject: `CN=CA ${depth}`,
        key,
        policies: names,
        extensions: [policyMappings(...everyToEvery)],
      }),
    );
  }
  const leaf = await (chain.at(-1) ?? root).issue({ subject: 'CN=alice', key, policies: [other] });
  const presented: readonly Made[] = [leaf, ...chain.slice(1)];
  // As a tree this has 16 to the power of 8 leaves, and the test would not end.
  t.match(outcome(judge({ presented, roots: [root], ...explicit })), noPolicy);
});

await t.test('a DSA key is legacy: refused unless SHA-1 is allowed too', (t) => {
  const { publicKey } = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const reader = new DerReader(spki);
  const certificate = { publicKey: parsePublicKey(reader, 'key') } as Certificate;
  const settings = { usageCheck: true, minimumRsaBits: 2048, allowSha1: false, allowCaAsClient: false };
  t.match(findWeakKey(certificate, settings), /DSA key/);
  t.equal(findWeakKey(certificate, { ...settings, allowSha1: true }), null);
  t.end();
});
