/**
 * Everything a request needs, built from settings, immutable, with a generation number. A request keeps the setup it
 * began with to its end.
 */
import { setAlarm } from '../base/alarm.ts';
import type { Clock } from '../base/clock.ts';
import { createDirectory } from '../directory/forests.ts';
import type { Directory } from '../directory/directory.ts';
import type { AssertionSigner } from '../forward/assertion-contract.ts';
import { createAssertionSigner } from '../forward/assertion.ts';
import type { KeyStore } from '../forward/key-store.ts';
import { createSanitizer, type Sanitizer } from '../forward/sanitize.ts';
import { createUpstreamGroup, type ServerState, type UpstreamGroup } from '../forward/upstream-group.ts';
import type { KdcEvent, Mapper } from '../mapping/mapper-contract.ts';
import { createMapper } from '../mapping/mapper.ts';
import { healthRecord } from './access-record.ts';
import type { ChainJudge } from './chain-judge.ts';
import { createChainJudge } from './chain-judge.ts';
import type { Judge } from './judge.ts';
import { createJudge } from './judge.ts';
import type { Metrics } from './metrics.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { PinnedPrincipals } from './pinned-principals.ts';
import { createPinnedPrincipals } from './pinned-principals.ts';
import type { RevocationSetup } from './revocation-setup.ts';
import { createRevocationSetup } from './revocation-setup.ts';
import type { BindingTrust, LocationSettings, Settings } from './settings.ts';
import type { SiteIndex } from './site-index.ts';
import { createSiteIndex } from './site-index.ts';

export interface Setup {
  readonly generation: number;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly sites: SiteIndex;
  /** The certificate cache. */
  readonly chains: ChainJudge;
  readonly revocation: RevocationSetup;
  readonly judge: Judge;
  /** Null when no location maps. */
  readonly mapper: Mapper | null;
  readonly directory: Directory | null;
  /** Whom locations name. */
  readonly principals: PinnedPrincipals;
  readonly sanitizer: Sanitizer;
  /** Null when `identity.assertion` is not set. */
  readonly assertions: AssertionSigner | null;
  upstreamOf(location: LocationSettings): UpstreamGroup;
  upstreams(): Iterable<UpstreamGroup>;
  /** No new request will come: what only those need, health checks and the making of keys, ends. */
  retire(): void;
  close(): Promise<void>;
}

export interface SetupFacilities {
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: Metrics;
  /** For commands that may run beside a gateway of the same configuration: nothing of it is written. */
  readonly readOnly?: boolean;
  /** Takes what the log should tell beside requests. */
  readonly report?: (record: Readonly<Record<string, unknown>>) => void;
  /** Told what a KDC would have logged about a logon. */
  readonly onKdcEvent?: (event: KdcEvent) => void;
  /** Keys of assertions that live in memory alone: whoever makes several setups gives all of them the same. */
  readonly assertionKeys?: KeyStore;
  /** Stands in for the real directory in tests. */
  readonly directory?: Directory;
}

export function createSetup(settings: Settings, generation: number, facilities: SetupFacilities): Setup {
  const { clock, random, metrics, readOnly = false, report = () => {}, onKdcEvent } = facilities;
  // First, because its keys may be unusable: nothing else is open then.
  const assertions =
    settings.identity.assertion &&
    createAssertionSigner(settings.identity.assertion, {
      clock,
      setAlarm,
      report,
      readOnly,
      ...(facilities.assertionKeys && { memoryKeys: facilities.assertionKeys }),
    });
  const forest =
    settings.directory === null || facilities.directory !== undefined
      ? null
      : createDirectory(settings.directory, { clock, random, onSearch: () => metrics.countSearch() });
  const directory = facilities.directory ?? forest;
  const mapper =
    directory === null
      ? null
      : createMapper({ directory, settings: settings.mapping, clock, ...(onKdcEvent && { onEvent: onKdcEvent }) });
  const principals = createPinnedPrincipals(settings.sites, {
    forests: directory?.forests ?? [],
    clock,
    random,
    setAlarm,
    onGroups: (groups) => mapper?.pin(groups),
  });
  const chains = createChainJudge(settings.limits.maximumCertificates);
  const revocation = createRevocationSetup(settings, { clock, random, metrics, directory: forest, readOnly, report });
  const upstreams = new Map<string, UpstreamGroup>();
  const onHealth = (name: string, state: ServerState) => report(healthRecord(name, state, clock.now()));
  for (const { upstream } of settings.sites.flatMap((site) => site.locations)) {
    const key = JSON.stringify(upstream);
    if (!upstreams.has(key))
      upstreams.set(key, createUpstreamGroup(upstream, {}, { clock, random, setAlarm, onHealth }));
  }
  if (!readOnly) for (const upstream of upstreams.values()) upstream.watch();
  const byLocation = new Map(
    settings.sites.flatMap((site) =>
      site.locations.map((location) => [location, upstreams.get(JSON.stringify(location.upstream))] as const),
    ),
  );
  return {
    generation,
    settings,
    clock,
    sites: createSiteIndex(settings.sites),
    chains,
    revocation,
    judge: createJudge(chains, revocation.engine, revocation.issuers, clock),
    mapper,
    directory,
    principals,
    sanitizer: createSanitizer({ names: settings.identity.headers }),
    assertions,
    upstreamOf(location) {
      const upstream = byLocation.get(location);
      if (upstream === undefined) throw new TypeError(`location ${location.path} belongs to another setup`);
      return upstream;
    },
    upstreams: () => upstreams.values(),
    retire() {
      for (const upstream of upstreams.values()) upstream.unwatch();
      // The newest setup looks after the keys by its own terms.
      assertions?.close();
    },
    async close() {
      assertions?.close();
      principals.close();
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
      await revocation.close();
      await directory?.close();
    },
  };
}

/** The trust that judges a binding's clients. */
export function trustOf(binding: BindingSettings, setup: Setup): BindingTrust {
  const trust = setup.settings.trust.get(binding.name);
  if (trust === undefined) throw new TypeError(`binding ${binding.name} has no trust in this setup`);
  return trust;
}
