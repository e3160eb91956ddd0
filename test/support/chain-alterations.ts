/**
 * What can be done to a good chain and its CRLs. Each alteration picks its place at random and says where it was, or null where it found
 * none. Anchors are position 0, the leaf comes last.
 */
import { oids, usageOids } from '../../src/x509/oid.ts';
import {
  draftCertificate,
  draftList,
  randomKey,
  serialOf,
  type Draft,
  type DraftList,
  type World,
} from './chain-drafts.ts';
import { crlPoints } from './crl-scene.ts';
import { distributionPoints, issuingDistributionPoint } from './crl-writer.ts';
import { hex, name } from './der-shapes.ts';
import {
  generalName,
  inhibitAnyPolicy,
  nameConstraints,
  policyConstraints,
  policyMappings,
  type ShapedExtension,
} from './extension-shapes.ts';

type Alteration = (world: World) => string | null;

const past = '2026-11-21T00:00:00Z';
const future = '2026-11-23T00:00:00Z';
const unknown: ShapedExtension = { oid: '1.2.3.4', critical: true, value: hex('0500') };
const policyP = '1.3.6.1.4.1.311.21.8.1';
const policyQ = '1.3.6.1.4.1.311.21.8.2';

/** One of the path, from `first` on. */
function anyOf(world: World, change: (draft: Draft) => void, first = 0, last = world.path.length): string | null {
  const at = first + (last > first ? world.random(last - first) : 0);
  const draft = world.path[at];
  if (draft === undefined || at >= last) return null;
  change(draft);
  return `at ${at}`;
}

const anyCa = (world: World, change: (draft: Draft) => void, first = 0) =>
  anyOf(world, change, first, world.path.length - 1);

function leafOf({ path }: World, change: (leaf: Draft) => void): string | null {
  const leaf = path.at(-1);
  if (leaf !== undefined) change(leaf);
  return '';
}

/** The list of one authority, and whom that one issued on the path. */
function anyList(world: World, change: (list: DraftList, child: Draft) => void): string | null {
  const at = world.random(world.path.length - 1);
  const issuer = world.path[at];
  const child = world.path[at + 1];
  const list = world.lists.find((one) => one.issuer === issuer);
  if (child === undefined || list === undefined) return null;
  change(list, child);
  return `at ${at}`;
}

function pick<T>({ random }: World, values: readonly [T, ...T[]]): T {
  return values[random(values.length)] ?? values[0];
}

function add(world: World, list: DraftList, changes: Partial<DraftList>): DraftList {
  const more = { ...list, entries: [...list.entries], extensions: [...list.extensions], ...changes };
  world.lists.push(more);
  return more;
}

const point = 'http://crl.test/here';
const certificateAlterations: Readonly<Record<string, Alteration>> = {
  expired: (world) => anyOf(world, (draft) => void (draft.notAfter = past)),
  notYetValid: (world) => anyOf(world, (draft) => void (draft.notBefore = future)),
  pathLength: (world) =>
    anyCa(world, (draft) => void (draft.basicConstraints = { ca: true, pathLength: world.random(3) })),
  noBasicConstraints: (world) => anyCa(world, (draft) => void (draft.basicConstraints = null)),
  caFalse: (world) => anyCa(world, (draft) => void (draft.basicConstraints = { ca: false, pathLength: null })),
  noCertSign: (world) => anyCa(world, (draft) => void (draft.keyUsage = 0x0200)),
  noCrlSign: (world) => anyCa(world, (draft) => void (draft.keyUsage = 0x0400)),
  noKeyUsage: (world) => anyOf(world, (draft) => void (draft.keyUsage = null)),
  leafKeyUsage: (world) =>
    leafOf(world, (leaf) => void (leaf.keyUsage = pick(world, [0x8000, 0x4000, 0x2000, 0x0800, 0xa000]))),
  leafUsages: (world) => leafOf(world, (leaf) => void (leaf.usages = pick(world, leafUsages))),
  caUsages: (world) => anyCa(world, (draft) => void (draft.usages = pick(world, caUsages))),
  leafIsCa: (world) => leafOf(world, (leaf) => void (leaf.basicConstraints = { ca: true, pathLength: null })),
  names: (world) =>
    leafOf(
      world,
      (leaf) =>
        void (leaf.altNames = [generalName.dns(pick(world, dnsNames)), generalName.mail(pick(world, mailNames))]),
    ),
  constraints: (world) => anyCa(world, (draft) => void draft.others.push(nameConstraints(randomConstraints(world)))),
  criticalExtension: (world) => anyOf(world, (draft) => void draft.others.push(unknown)),
  brokenSignature: (world) => anyOf(world, (draft) => void (draft.brokenSignature = true), 1),
  withheld: (world) => anyCa(world, (draft) => void world.withheld.add(draft), 1),
  wrongKeyIdentifier: (world) =>
    anyOf(world, (draft) => void (draft.authorityKeyIdentifier = randomKey('nobody').identifier), 1),
  otherAnchor: (world) =>
    anyOf(
      world,
      (draft) => void (draft.issuer = { ...draftCertificate('root', null), key: randomKey('stranger') }),
      1,
      2,
    ),
  policies(world) {
    for (const draft of world.path.slice(1)) draft.policies = pick(world, policySets);
    world.policies = {
      acceptable: pick(world, [[], [policyP], [policyQ]]),
      explicit: world.random(2) === 0,
      inhibitMapping: world.random(4) === 0,
      inhibitAny: world.random(4) === 0,
    };
    return '';
  },
  policyLimits: (world) =>
    anyCa(
      world,
      (draft) =>
        void draft.others.push(
          pick(world, [
            policyConstraints({ explicit: world.random(3) }),
            policyConstraints({ mapping: world.random(2) }),
            inhibitAnyPolicy(world.random(2)),
          ]),
        ),
      1,
    ),
  mapping: (world) => anyCa(world, (draft) => void draft.others.push(policyMappings([policyP, policyQ])), 1),
  strangers(world) {
    const stranger = draftCertificate('stranger', null);
    world.others.push(stranger, draftCertificate('other leaf', stranger));
    world.lists.push(draftList(stranger));
    return '';
  },
  /** A second certificate of a CA, by the same issuer or by one that nobody trusts, with other limits. */
  twin: (world) =>
    anyCa(
      world,
      (draft) => {
        const other = { ...draft, serial: draft.serial + 1, others: [...draft.others] };
        other.notAfter = pick(world, [past, draft.notAfter]);
        world.others.push(other);
      },
      1,
    ),
};

const leafUsages: readonly [readonly string[] | null, ...(readonly string[] | null)[]] = [
  null,
  [usageOids.clientAuth, usageOids.serverAuth],
  [usageOids.serverAuth],
  [usageOids.any],
  [usageOids.any, usageOids.clientAuth],
  [usageOids.smartCardLogon],
];
const caUsages: typeof leafUsages = [
  [usageOids.clientAuth],
  [usageOids.serverAuth],
  [usageOids.any],
  [usageOids.ocspSigning, usageOids.clientAuth],
];
const dnsNames = ['a.test', 'b.a.test', 'b.test'] as const;
const mailNames = ['x@a.test', 'y@a.test', 'x@b.test'] as const;
const policySets: readonly [readonly string[], ...(readonly string[])[]] = [
  [policyP],
  [policyP],
  [policyP, policyQ],
  [policyQ],
  [oids.anyPolicy],
  [],
];

function randomConstraints(world: World) {
  const base = pick(world, [
    generalName.dns('a.test'),
    generalName.dns('b.test'),
    generalName.mail('a.test'),
    generalName.mail('x@a.test'),
    generalName.mail('.test'),
    generalName.directory(['2.5.4.10', 12, 'Lab']),
    generalName.directory(['2.5.4.10', 12, 'lab'], ['2.5.4.3', 12, 'LEAF']),
    generalName.directory(['2.5.4.10', 12, 'Elsewhere']),
    generalName.ip('c0000200ffffff00'),
  ]);
  return world.random(2) === 0 ? { permitted: [base] } : { excluded: [base] };
}

/** Lists by a key of its own, certified by whoever certified the authority, or by the anchor for itself. */
function separateKey(world: World, keyUsage: number): string | null {
  return anyList(world, (list) => {
    const signer = draftCertificate('list key', list.issuer.issuer ?? list.issuer);
    signer.subject = list.issuer.subject;
    signer.basicConstraints = null;
    signer.keyUsage = keyUsage;
    world.others.push(signer);
    list.key = signer.key;
  });
}

const reasons = [0, 1, 2, 3, 4, 5, 6, 9] as const;

const listAlterations: Readonly<Record<string, Alteration>> = {
  missingList: (world) => anyList(world, (list) => void world.lists.splice(world.lists.indexOf(list), 1)),
  expiredList: (world) => anyList(world, (list) => void (list.nextUpdate = past)),
  futureList: (world) => anyList(world, (list) => void (list.thisUpdate = future)),
  endlessList: (world) => anyList(world, (list) => void (list.nextUpdate = null)),
  oldFormatList: (world) => anyList(world, (list) => void (list.version = 1)),
  foreignList: (world) => anyList(world, (list) => void (list.key = randomKey('stranger'))),
  revoked: (world) =>
    anyList(world, (list, child) => void list.entries.push({ serial: serialOf(child), reason: pick(world, reasons) })),
  hold: (world) => anyList(world, (list, child) => void list.entries.push({ serial: serialOf(child), reason: 6 })),
  revokedByExpired: (world) =>
    anyList(world, (list, child) => {
      list.nextUpdate = past;
      list.entries.push({ serial: serialOf(child), reason: pick(world, reasons) });
    }),
  scopeOfKind: (world) =>
    anyList(
      world,
      (list) => void (list.scope = issuingDistributionPoint({ only: pick(world, ['user', 'ca', 'attribute']) })),
    ),
  point: (world) =>
    anyList(world, (list, child) => {
      if (world.random(3) > 0) child.others.push(distributionPoints([pick(world, [point, 'http://crl.test/there'])]));
      if (world.random(3) > 0) list.scope = issuingDistributionPoint({ uris: [point] });
    }),
  reasons: (world) =>
    anyList(world, (list, child) => {
      list.scope = issuingDistributionPoint({ reasons: [1, 2, 3] });
      const rest = add(world, list, {
        scope: issuingDistributionPoint({
          reasons: pick(world, [
            [4, 5, 6, 7, 8],
            [4, 5],
          ]),
        }),
      });
      if (world.random(3) === 0) rest.entries.push({ serial: serialOf(child), reason: 5 });
    }),
  delta: (world) =>
    anyList(world, (list, child) => {
      const serial = serialOf(child);
      list.freshest = ['http://crl.test/delta'];
      const [before, after] = [pick(world, [0, 0, 1, 6]), pick(world, [0, 1, 6, 8])];
      if (before > 0) list.entries.push({ serial, reason: before });
      if (world.random(3) === 0) list.nextUpdate = past;
      const delta = add(
        world,
        { ...list, entries: [{ serial: '7f02' }] },
        {
          baseCrlNumber: pick(world, [10, 10, 9, 11]),
          crlNumber: pick(world, [12, 12, 12, 9]),
          thisUpdate: '2026-11-20T12:00:00Z',
          nextUpdate: pick(world, ['2026-11-24T00:00:00Z', '2026-11-24T00:00:00Z', past]),
          freshest: [],
        },
      );
      if (after > 0) delta.entries.push({ serial, reason: after });
      if (world.random(8) === 0) delta.scope = issuingDistributionPoint({ only: 'user' });
    }),
  criticalList: (world) => anyList(world, (list) => void list.extensions.push(unknown)),
  criticalEntry: (world) => anyList(world, (list) => void list.entries.push({ serial: '7f03', extensions: [unknown] })),
  olderList: (world) =>
    anyList(world, (list, child) => {
      const older = add(world, list, { thisUpdate: '2026-11-10T00:00:00Z', crlNumber: 8 });
      if (world.random(2) === 0) older.entries.push({ serial: serialOf(child), reason: pick(world, reasons) });
    }),
  secondScope: (world) =>
    anyList(world, (list, child) => {
      const second = add(world, list, { scope: issuingDistributionPoint({ only: pick(world, ['user', 'ca']) }) });
      if (world.random(2) === 0) second.entries.push({ serial: serialOf(child), reason: 1 });
    }),
  listKey: (world) => separateKey(world, 0x0200),
  unfitListKey: (world) => separateKey(world, 0x8000),
  /** The authority has a second key and certificate, and its lists are by that one. */
  renewedAuthority: (world) =>
    anyList(world, (list) => {
      if (list.issuer.issuer === null) return;
      const renewed = { ...list.issuer, key: randomKey('renewed'), serial: list.issuer.serial + 2 };
      world.others.push(renewed);
      if (world.random(2) === 0) add(world, list, { key: renewed.key });
      else list.key = renewed.key;
    }),
  indirect: (world) =>
    anyList(world, (list, child) => {
      const signer = draftCertificate('lists', world.path[0] ?? null);
      signer.basicConstraints = null;
      signer.keyUsage = 0x0200;
      world.others.push(signer);
      child.others.push(crlPoints({ crlIssuer: name(...signer.subject) }));
      const certificateIssuer = name(...list.issuer.subject);
      const entries = world.random(3) === 0 ? [{ serial: serialOf(child), reason: 1, certificateIssuer }] : [];
      if (world.random(4) > 0) world.lists.splice(world.lists.indexOf(list), 1);
      world.lists.push({ ...draftList(signer), entries, scope: issuingDistributionPoint({ indirect: true }) });
    }),
};

export const alterations: Readonly<Record<string, Alteration>> = { ...certificateAlterations, ...listAlterations };
