/**
 * A scene for tests of mapping: one certificate of a lab CA, a directory in memory and a mapper whose clock stands
 * still until it is moved.
 */
import type { Instant, Millis } from '../../src/base/brand.ts';
import { noSteps } from '../../src/base/steps.ts';
import type { DomainNames } from '../../src/directory/directory.ts';
import { createMapper } from '../../src/mapping/mapper.ts';
import type {
  KdcEvent,
  MapAnswer,
  MapOptions,
  MappingCacheSettings,
  MappingSettings,
  MappingSubject,
} from '../../src/mapping/mapper-contract.ts';
import { writeCertificate, type WrittenCertificate } from './certificate-writer.ts';
import { createFakeDirectory, fakeAccount, type AccountFacts } from './fake-directory.ts';
import { parsed, strictSettings, subjectFor } from './mapping-cases.ts';

export const issuerName = ['DC=test', 'DC=example', 'DC=lab', 'CN=Lab CA'];
export const I = 'X509:<I>DC=test,DC=example,DC=lab,CN=Lab CA';
export const start = Date.parse('2026-11-22T12:00:00Z') as Instant;
export const minute = 60_000;
export const options: MapOptions = { maximumAge: null, steps: noSteps };
export const cached: MappingCacheSettings = {
  positive: (15 * minute) as Millis,
  negative: minute as Millis,
  stale: (10 * minute) as Millis,
  maximum: 1000,
};

export interface Scene {
  readonly certificate?: Partial<WrittenCertificate>;
  readonly accounts?: readonly AccountFacts[];
  readonly domains?: readonly DomainNames[];
  readonly settings?: Partial<MappingSettings>;
}

/** One certificate of the lab CA, a directory, and a mapper with a clock that stands still. */
export function setScene({ certificate, accounts = [], domains, settings }: Scene) {
  const subject = subjectOf(certificate);
  const directory = createFakeDirectory({
    accounts: accounts.map(fakeAccount),
    issuers: [subject.issuer.digest],
    ...(domains === undefined ? {} : { domains }),
  });
  const time = { monotonic: 0 };
  const clock = { now: () => (start + time.monotonic) as Instant, monotonic: () => time.monotonic };
  let searches = 0;
  const events: KdcEvent[] = [];
  const mapper = createMapper({
    directory,
    settings: { ...strictSettings, ...settings },
    clock,
    onSearches: (records) => (searches += records.length),
    onEvent: (event) => events.push(event),
  });
  return {
    subject,
    directory,
    mapper,
    clock,
    advance: (millis: number) => (time.monotonic += millis),
    map: (more: Partial<MapOptions> = {}, what: MappingSubject = subject) =>
      mapper.map(what, clock.now(), { ...options, ...more }),
    searches: () => searches,
    events: events as readonly KdcEvent[],
  };
}

export function subjectOf(certificate: Partial<WrittenCertificate> = {}): MappingSubject {
  const der = writeCertificate({ issuer: issuerName, subject: ['CN=alice'], serial: '2a', ...certificate });
  return subjectFor(parsed(der), issuerName);
}

export const bySerial = `${I}<SR>2a`;
export const alice: AccountFacts = { name: 'LAB\\alice', rid: 1105, altSecurityIdentities: [bySerial], readAt: start };

export async function outcomeOf(scene: Scene): Promise<string> {
  return outcome(await setScene(scene).map());
}

/** `LAB\alice by UPN`, or a kind and a verdict's code. */
export function outcome({ result }: MapAnswer): string {
  return result.kind === 'mapped'
    ? `${result.identity.account.name} by ${result.identity.methods.join(', ')}`
    : `${result.kind} ${result.verdict.code}`;
}

export function detail({ result }: MapAnswer): string {
  return result.kind === 'mapped' ? '' : result.verdict.detail;
}

/** Lets everything that waits for a settled promise run. */
export async function settled(): Promise<void> {
  await new Promise<void>((done) => setImmediate(done));
}
