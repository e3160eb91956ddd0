/**
 * What a hit in the mapping cache costs, and what a kept identity weighs without its groups: at a thousand and at a million of them. The
 * budgets are 2 µs of CPU and 1 KB of heap.
 *
 *   node bench/mapping-cache.ts [entries ...]
 */
import { hash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Digest, Millis } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import type { Account } from '../src/base/identity.ts';
import { noSteps } from '../src/base/steps.ts';
import type { MappingSubject } from '../src/mapping/mapper-contract.ts';
import { defaultMappingSettings } from '../src/mapping/mapper-contract.ts';
import { createMapper } from '../src/mapping/mapper.ts';
import { writeCertificate } from '../test/support/certificate-writer.ts';
import { createFakeDirectory, fakeAccount } from '../test/support/fake-directory.ts';
import { parsed, subjectFor } from '../test/support/mapping-cases.ts';

const sizes = process.argv.slice(2).map(Number);
const collect = garbageCollector();
const issuerName = ['DC=test', 'DC=example', 'DC=lab', 'CN=Lab Issuing CA 1'];
const subject = subjectFor(
  parsed(writeCertificate({ issuer: issuerName, subject: ['CN=employee'], serial: '2a0000000123456789ab' })),
  issuerName,
);
const options = { maximumAge: null, steps: noSteps };

// What is compiled and loaded on the way belongs to no entry.
await measure(2000);
for (const entries of sizes.length === 0 ? [1000, 1_000_000] : sizes)
  console.log(JSON.stringify({ scenario: 'mapping-cache', n: entries, ...(await measure(entries)) }));

async function measure(entries: number) {
  const directory = createFakeDirectory({ issuers: [subject.issuer.digest] });
  const day = 86_400_000 as Millis;
  const cache = { positive: day, negative: day, stale: day, maximum: entries };
  const mapper = createMapper({ directory, settings: { ...defaultMappingSettings, cache }, clock: systemClock });
  const value = mapper.candidates(subject.leaf).find(({ method }) => method === 'X509IssuerSerialNumber')?.value ?? '';
  const heap = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  for (let rid = 0; rid < entries; rid += 1) {
    directory.accounts = [employee(rid, value)];
    directory.asked.length = 0;
    await mapper.map(subjectOf(rid), systemClock.now(), options);
  }
  directory.accounts = [];
  directory.asked.length = 0;
  const bytes = (heap() - before) / entries;
  if (mapper.size !== entries) throw new Error(`${mapper.size} of ${entries} are kept`);

  // Connections that come back bring the leaf that was parsed before; as many as a busy server has, spread over all.
  const live = Array.from({ length: Math.min(entries, 10_000) }, (_, index) =>
    subjectOf(Math.floor((index * entries) / Math.min(entries, 10_000))),
  );
  const round = (): void => {
    const now = systemClock.now();
    for (const one of live) if (mapper.map(one, now, options) instanceof Promise) throw new Error('a miss');
  };
  for (let warm = 0; warm < 30; warm += 1) round();
  const times: number[] = [];
  for (let turn = 0; turn < 21; turn += 1) {
    const started = process.cpuUsage();
    for (let again = 0; again < 10; again += 1) round();
    const { user, system } = process.cpuUsage(started);
    times.push((user + system) / (10 * live.length));
  }
  times.sort((a, b) => a - b);
  return { microsecondsPerHit: rounded(times[10] ?? 0), bytesPerIdentity: Math.round(bytes) };
}

function subjectOf(rid: number): MappingSubject {
  return { ...subject, leaf: { ...subject.leaf, digest: hash('sha256', `${rid}`, 'hex') as Digest } };
}

/** As long as real ones are, each text its own. */
function employee(rid: number, value: string): Account {
  const name = `employee${String(rid).padStart(8, '0')}`;
  const guid = hash('sha256', name, 'hex').slice(0, 32);
  return fakeAccount({
    name: `LAB\\${name}`,
    rid: 1_000_000 + rid,
    upn: Buffer.from(`${name}@lab.example.test`).toString(),
    guid,
    fingerprint: guid.slice(0, 16),
    altSecurityIdentities: [value],
    readAt: systemClock.now(),
  });
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
