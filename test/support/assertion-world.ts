/**
 * What signing needs, without a gateway: a client with a certificate and an account, and time that moves only when it is told to.
 */
import type { SetAlarm } from '../../src/base/alarm.ts';
import type { Instant, Millis, Sid } from '../../src/base/brand.ts';
import type { Account } from '../../src/base/identity.ts';
import type { AssertionFacts, AssertionSettings } from '../../src/forward/assertion-contract.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';

export const second = 1000;
export const hour = 3_600_000;
export const domainSid = 'S-1-5-21-1004336348-1177238915-682003330';

export const assertionSettings: AssertionSettings = {
  algorithm: 'EdDSA',
  issuer: 'gateway.example.test',
  lifetime: (60 * second) as Millis,
  rotation: (7 * 24 * hour) as Millis,
  overlap: hour as Millis,
  maximumBytes: 8000,
  keyDirectory: null,
};

/** A clock, and alarms that ring while it is moved. */
export interface StoppedTime {
  readonly clock: { now(): Instant };
  readonly setAlarm: SetAlarm;
  /** How many wait. */
  readonly waiting: number;
  /** Goes there; alarms on the way ring at their own moment. */
  moveTo(instant: number): void;
  /** Goes there; what should have rung meanwhile is late and has not rung yet. */
  sleepUntil(instant: number): void;
}

export function stopTime(start: number): StoppedTime {
  let now = start;
  let alarms: readonly { readonly at: number; readonly work: () => void }[] = [];
  return {
    clock: { now: () => now as Instant },
    setAlarm(work, delay) {
      const alarm = { at: now + delay, work };
      alarms = [...alarms, alarm];
      return () => {
        alarms = alarms.filter((other) => other !== alarm);
      };
    },
    get waiting() {
      return alarms.length;
    },
    moveTo(instant) {
      for (;;) {
        const [first] = alarms.toSorted((a, b) => a.at - b.at);
        if (first === undefined || first.at > instant) break;
        alarms = alarms.filter((other) => other !== first);
        now = Math.max(now, first.at);
        first.work();
      }
      now = instant;
    },
    sleepUntil(instant) {
      now = instant;
    },
  };
}

export async function clientCertificate(subject = 'CN=alice'): Promise<Certificate> {
  const root = await createAuthority({ subject: 'O=Lab,CN=Root' });
  const parsed = parseCertificate(Buffer.from((await root.issue({ subject })).der));
  if (parsed.kind !== 'parsed') throw new Error(parsed.reason);
  return parsed.certificate;
}

export function assertionFacts(
  leaf: Certificate,
  account: Partial<Account> = {},
  facts: Partial<AssertionFacts> = {},
): AssertionFacts {
  return {
    identity: {
      account: { ...alice, ...account },
      method: 'X509SKI',
      methods: ['X509SKI'],
      strength: 'strong',
      strengthBy: 'method',
    },
    leaf,
    groups: null,
    audience: 'payroll',
    notAfter: Date.UTC(2100, 0, 1) as Instant,
    ...facts,
  };
}

const alice: Account = {
  sid: `${domainSid}-1104` as Sid,
  name: 'LAB\\alice',
  samAccountName: 'alice',
  domain: 'LAB',
  upn: 'alice@lab.example.test',
  dn: 'CN=alice,DC=lab,DC=example,DC=test' as Account['dn'],
  guid: '00'.repeat(16),
  kind: 'user',
  userAccountControl: 0x200,
  disabled: false,
  locked: false,
  expires: null,
  logonHours: null,
  passwordExpired: false,
  whenCreated: null,
  altSecurityIdentities: [],
  servicePrincipalNames: [],
  dnsHostName: null,
  fingerprint: '0'.repeat(16),
  readAt: 0 as Instant,
  server: 'dc1.lab.example.test',
};
