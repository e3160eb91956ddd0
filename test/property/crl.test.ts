/**
 * Claims about the CRL reader that hold for all input: what was written is what is found, a damaged list is read or refused
 * with a reason, and the quick way over usual entries sees exactly what the thorough one sees. Seeds are printed;
 * DSMAPPER_SEED repeats a run, DSMAPPER_ROUNDS makes it longer.
 */
import { randomInt } from 'node:crypto';
import t from 'tap';
import { adoptCrl, parseCrl, parseCrlHeader, scanCrl } from '../../src/x509/crl.ts';
import type { Crl, CrlEntry } from '../../src/x509/crl-contract.ts';
import { entryRulesOf, parseEntry } from '../../src/x509/crl-entry.ts';
import { readCrlFrame } from '../../src/x509/crl-header.ts';
import { DerError, DerReader } from '../../src/x509/der.ts';
import { sameName } from '../../src/x509/name-comparison.ts';
import { parseName, type Name } from '../../src/x509/name.ts';
import {
  issuingDistributionPoint,
  plainSigner,
  writeCrl,
  type WrittenCrl,
  type WrittenEntry,
} from '../support/crl-writer.ts';
import { hex, name, text } from '../support/der-shapes.ts';
import { mutate, randomFrom, rounds, watchCost } from '../support/mutation.ts';

const seed = Number(process.env['DSMAPPER_SEED'] ?? randomInt(2 ** 31));
t.comment(`DSMAPPER_SEED=${seed} DSMAPPER_ROUNDS=${rounds}`);

type Random = (bound: number) => number;

const signer = plainSigner();
const nameOf = (der: Buffer): Name => parseName(new DerReader(der), 'name');
const ca = nameOf(name(['2.5.4.3', 12, 'CA']));

/** Three issuers in two spellings each; the first is the list's own. */
const spellings = ['CA', 'Other', 'Third'].map((commonName) =>
  [
    [12, commonName],
    [19, ` ${commonName.toUpperCase()} `],
  ].map(([tag, value]) => name(['2.5.4.3', Number(tag), String(value)])),
);
const issuers = spellings.map(([der = Buffer.alloc(0)]) => nameOf(der));

/** Few enough for many to meet. */
const serials = ['00', '01', '02', '7f', '0080', '80', 'ff', '0100', '7f00', '01'.repeat(16), '7f'.repeat(20)];
serials.push(`00${'ff'.repeat(20)}`, '02'.repeat(16));

const reasons = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10] as const;

interface Expected {
  readonly serial: string;
  readonly issuer: number;
  readonly entry: CrlEntry;
}

interface Described {
  readonly what: Omit<WrittenCrl, 'signer'>;
  readonly expected: readonly Expected[];
}

/** A list of any kind, and what stands in it. */
function describe(random: Random): Described {
  const one = <T>(list: readonly [T, ...T[]] | readonly T[]): T => list[random(list.length)] as T;
  const indirect = random(2) === 0;
  const delta = random(3) === 0;
  const version = !indirect && !delta && random(4) === 0 ? 1 : 2;
  const expected: Expected[] = [];
  const entries: WrittenEntry[] = [];
  let issuer = 0;
  for (let count = random(20); count > 0; count -= 1) {
    const serial = one(serials);
    const date = new Date(Date.UTC(1950 + random(150), random(12), 1 + random(28), random(24), random(60), random(60)));
    const reason = version === 1 || random(2) === 0 ? undefined : one(delta ? reasons : reasons.filter((n) => n !== 8));
    const invalidity = version === 2 && random(5) === 0 ? new Date(Date.UTC(1990 + random(50), 1, 28)) : undefined;
    const odd = version === 2 && random(5) === 0;
    const next = indirect && random(3) === 0 ? random(3) : null;
    issuer = next ?? issuer;
    entries.push({
      serial,
      date: date.toISOString(),
      ...(reason === undefined ? {} : { reason }),
      ...(invalidity === undefined ? {} : { invalidityDate: invalidity.toISOString() }),
      ...(next === null ? {} : { certificateIssuer: one(spellings[next] ?? []) }),
      ...(odd
        ? { extensions: [{ oid: '1.2.3', critical: random(2) === 0, value: Buffer.alloc(random(150), 5) }] }
        : {}),
    });
    expected.push({
      serial,
      issuer,
      entry: {
        revocationDate: date.getTime() as CrlEntry['revocationDate'],
        reason: reason ?? 0,
        invalidityDate: (invalidity?.getTime() ?? null) as CrlEntry['invalidityDate'],
      },
    });
  }
  return {
    expected,
    what: {
      version,
      entries,
      ...(delta ? { baseCrlNumber: 1 } : {}),
      ...(indirect ? { scope: issuingDistributionPoint({ indirect }) } : {}),
    },
  };
}

/** Looks through the whole list, and lets the most severe entry hold: revoked, on hold, taken off. */
function lookThrough(entries: readonly CrlEntry[]): CrlEntry | null {
  for (const kind of [(reason: number) => reason !== 6 && reason !== 8, (reason: number) => reason === 6, () => true]) {
    const found = entries.find(({ reason }) => kind(reason));
    if (found !== undefined) return found;
  }
  return null;
}

function read(der: Buffer): Crl {
  const result = parseCrl(der);
  if (result.kind === 'malformed') throw new Error(`${result.reason} at ${result.offset}: ${der.toString('hex')}`);
  return result.crl;
}

const listCount = Math.ceil(rounds / 20);
await t.test(`in ${listCount} random lists is found what was written, and nothing else`, (t) => {
  const random = randomFrom(seed);
  let hits = 0;
  let misses = 0;
  for (let round = 0; round < listCount; round += 1) {
    const { what, expected } = describe(random);
    const der = writeCrl({ signer, ...what });
    const crl = read(der);
    if (crl.entries.count !== expected.length) t.equal(crl.entries.count, expected.length, der.toString('hex'));
    for (const serial of serials) {
      for (const [number, issuer] of issuers.entries()) {
        const about = expected.filter((one) => one.serial === serial && one.issuer === number);
        const wanted = lookThrough(about.map(({ entry }) => entry));
        const found = crl.entries.find(hex(serial), issuer);
        if (JSON.stringify(found) !== JSON.stringify(wanted))
          t.same(found, wanted, `${serial} of ${number} in ${der.toString('hex')}`);
        if (wanted === null) misses += 1;
        else hits += 1;
      }
    }
  }
  t.comment(`${hits} found, ${misses} not there`);
  t.ok(hits > listCount && misses > listCount);
  t.end();
});

/** All entries by the thorough way alone; null when one of them is refused. */
function thoroughly(der: Buffer): { serial: Buffer; issuer: Name; entry: CrlEntry }[] | null {
  try {
    const { header, span } = readCrlFrame(der);
    const rules = entryRulesOf(header);
    const reader = new DerReader(der, span.start, span.end);
    const all = [];
    let issuer = header.issuer;
    while (!reader.done) {
      const { serial, revocationDate, reason, invalidityDate, certificateIssuer } = parseEntry(reader, rules);
      issuer = certificateIssuer ?? issuer;
      all.push({ serial, issuer, entry: { revocationDate, reason, invalidityDate } });
    }
    return all;
  } catch (error) {
    if (error instanceof DerError) return null;
    throw error;
  }
}

/** What a list answers about everything that stands in it and some that may not. */
function answers(crl: Crl, thorough: NonNullable<ReturnType<typeof thoroughly>>): string[] {
  const asked = [...thorough.map(({ serial }) => serial), ...serials.map(hex)];
  return asked.flatMap((serial) =>
    [crl.issuer, ...issuers].map((issuer) => JSON.stringify(crl.entries.find(serial, issuer))),
  );
}

function wantedAnswers(crl: Crl, thorough: NonNullable<ReturnType<typeof thoroughly>>): string[] {
  const asked = [...thorough.map(({ serial }) => serial), ...serials.map(hex)];
  return asked.flatMap((serial) =>
    [crl.issuer, ...issuers].map((issuer) => {
      const about = thorough.filter((one) => one.serial.equals(serial) && sameName(one.issuer, issuer));
      return JSON.stringify(lookThrough(about.map(({ entry }) => entry)));
    }),
  );
}

function differs(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}

await t.test(`${rounds} damaged lists are read or refused with a reason, in one way by all readers`, (t) => {
  const random = randomFrom(seed + 1);
  const sources = Array.from({ length: 50 }, () => writeCrl({ signer, ...describe(random).what }));
  sources.push(
    writeCrl({
      signer: { ...signer, keyIdentifier: hex('0102') },
      scope: issuingDistributionPoint({ uris: ['http://a'], directoryName: ca.der, reasons: [1, 8], indirect: true }),
      freshest: ['http://b', 'http://c'],
      entries: [{ serial: '01', certificateIssuer: issuers[1]?.der ?? ca.der }, { serial: '02' }],
      extensions: [{ oid: '1.3.6.1.4.1.311.21.4', critical: false, value: text(0x17, '261123000000Z') }],
    }),
  );
  const cost = watchCost();
  const counts = { refused: 0, headerOnly: 0, read: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const der = mutate(sources[round % sources.length] ?? Buffer.alloc(0), random);
    const shown = `round ${round}: ${der.toString('hex')}`;
    const parsed = cost.run(() => parseCrl(der));
    const header = parseCrlHeader(der);
    const scanned = scanCrl(der);
    const thorough = thoroughly(der);
    if (parsed.kind === 'malformed') {
      counts.refused += 1;
      if (parsed.reason === '' || parsed.offset < 0 || parsed.offset > der.length) t.fail(shown);
      if (differs(parsed, scanned)) t.same(scanned, parsed, shown);
      if (header.kind === 'parsed') counts.headerOnly += 1;
      else if (differs(parsed, header)) t.same(header, parsed, shown);
      if (thorough !== null) t.fail(`the thorough way reads it: ${shown}`);
      continue;
    }
    counts.read += 1;
    const { crl } = parsed;
    if (thorough === null) {
      t.fail(`the thorough way refuses it: ${shown}`);
      continue;
    }
    if (header.kind !== 'parsed' || header.header.crlNumber !== crl.crlNumber) t.fail(shown);
    const wanted = wantedAnswers(crl, thorough);
    if (differs(answers(crl, thorough), wanted)) t.same(answers(crl, thorough), wanted, shown);
    const adopted = scanned.kind === 'scanned' ? adoptCrl(der, scanned.index) : null;
    if (adopted?.kind !== 'parsed') t.fail(shown);
    else if (differs(answers(adopted.crl, thorough), wanted)) t.same(answers(adopted.crl, thorough), wanted, shown);
    if ([...crl.entries.list()].length !== crl.entries.count) t.fail(shown);
  }
  t.comment(`${counts.refused} refused, of them ${counts.headerOnly} for their entries, ${counts.read} read`);
  t.strictSame(cost.findings(), []);
  t.comment(cost.text);
  t.ok(counts.refused > rounds / 4 && counts.headerOnly > rounds / 50 && counts.read > rounds / 50);
  t.end();
});
