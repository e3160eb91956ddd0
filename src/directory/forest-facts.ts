/**
 * What is true of the whole forest, read from its configuration naming context at any controller. Decides to which forest this directory
 * belongs: NTAuth of one forest must not vouch for accounts of another, so a server of a second forest is not taken.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Digest, Millis } from '../base/brand.ts';
import { domainOfDn, sameDn } from './dn.ts';
import { createFact, type Fact, type FactSettings, type Reading } from './fact.ts';
import { readNtAuth } from './nt-auth.ts';
import { readPartitions, type Partitions } from './partitions.ts';
import { settlesWithin } from './patience.ts';
import type { RootDse } from './root-dse.ts';
import type { ServerGroup } from './server-group.ts';

export interface ForestFacts {
  readonly ntAuth: Fact<ReadonlySet<Digest>>;
  readonly partitions: Fact<Partitions>;
  /** Why a server is not one of this forest; null when it is. The first server that is asked says which forest it is. @param mustSay one that says nothing is none */
  foreign(rootDse: RootDse, mustSay?: boolean): string | null;
  /** DNS name of the forest, which is that of its root domain, as soon as a server has told it; empty when none has until the end. */
  readonly root: Promise<string>;
  /** Either may be another now: both are read again at once. */
  renew(): void;
  /** NetBIOS name of a domain, waited for until `deadline` (monotonic milliseconds); else why it is not known. */
  netbiosName(domain: string, deadline: number): Promise<{ readonly name: string } | { readonly reason: string }>;
  close(): Promise<void>;
}

export interface ForestFactsSettings extends FactSettings {
  /** Told when what was read is not what was read before. */
  readonly changed: (what: 'ntAuth' | 'partitions') => void;
  /** The domains' controllers. */
  readonly groups: readonly ServerGroup[];
  /** Bound on one reading. */
  readonly timeout: Millis;
}

export function createForestFacts(settings: ForestFactsSettings): ForestFacts {
  const { groups, clock, timeout } = settings;
  let configuration: string | null = null;
  const root = Promise.withResolvers<string>();

  type Read<T> = (group: ServerGroup, configuration: string, deadline: number) => Promise<Reading<T>>;
  /** From the first domain that gives it: the configuration is on every controller of the forest. */
  const fromAny =
    <T>(read: Read<T>) =>
    async (): Promise<Reading<T>> => {
      const reasons: string[] = [];
      for (const group of groups) {
        const deadline = clock.monotonic() + timeout;
        if (!(await group.ready(deadline))) reasons.push(`no controller of ${group.name} is up`);
        else if (configuration === null) reasons.push(`${group.name} names no configuration naming context`);
        else {
          const reading = await read(group, configuration, deadline);
          if (reading.kind === 'read') return reading;
          reasons.push(reading.reason);
        }
      }
      return { kind: 'unknown', reason: reasons.join('; ') };
    };
  const ntAuth = createFact(fromAny(readNtAuth), settings, (before, after) => {
    if (before.size !== after.size || [...before].some((one) => !after.has(one))) settings.changed('ntAuth');
  });
  const partitions = createFact(fromAny(readPartitions), settings, (before, after) => {
    if (!isDeepStrictEqual(inOrder(before), inOrder(after))) settings.changed('partitions');
  });
  /** A domain keeps its NetBIOS name: one that was ever read stays true. */
  const names = new Map<string, string>();

  return {
    ntAuth,
    partitions,
    root: root.promise,
    foreign({ configurationNamingContext }, mustSay = false) {
      if (configurationNamingContext === null)
        return mustSay ? 'the server does not say which forest it belongs to' : null;
      configuration ??= configurationNamingContext;
      root.resolve(domainOfDn(configuration) ?? '');
      // Facts that could not be read while nobody was up are read now.
      setImmediate(() => {
        ntAuth.nudge();
        partitions.nudge();
      });
      if (sameDn(configuration, configurationNamingContext)) return null;
      return `the server belongs to another forest, ${configurationNamingContext}: this one is ${configuration}`;
    },
    renew() {
      ntAuth.renew();
      partitions.renew();
    },
    async netbiosName(domain, deadline) {
      const known = names.get(domain);
      if (known !== undefined) return { name: known };
      const current = partitions.current();
      if (!(await settlesWithin(current, deadline - clock.monotonic())))
        return { reason: 'the names of the domains were not read in time' };
      const answer = await current;
      if (answer.kind === 'unknown') return { reason: answer.reason };
      const name = answer.value.netbiosNames.get(domain);
      if (name === undefined) return { reason: `CN=Partitions of ${answer.server} does not list ${domain}` };
      names.set(domain, name);
      return { name };
    },
    async close() {
      root.resolve('');
      await Promise.all([ntAuth.close(), partitions.close()]);
    },
  };
}

/** The server names them in no order of its own. */
function inOrder({ netbiosNames, upnSuffixes }: Partitions): Partitions {
  return { netbiosNames, upnSuffixes: upnSuffixes.toSorted() };
}
