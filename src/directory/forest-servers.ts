/**
 * The servers of one forest: how each is connected, and which belong together. Decides what a server has to say of itself before it is asked
 * for anybody; which group is asked for what is decided in `forest.ts`.
 */
import type { LookupFunction } from 'node:net';
import type { Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { BindGates } from './bind-gates.ts';
import { Controller } from './controller.ts';
import type { BindCredentials, DiscoverySettings, ForestSettings, SearchRecord } from './directory.ts';
import { discover, type Questions } from './discovery.ts';
import { createDnsLookup, type DnsLookup } from './dns-lookup.ts';
import { parseEndpoint, type Endpoint } from './endpoint.ts';
import type { ObjectPlace, ObjectServer } from './object-reader.ts';
import { openConnection } from './opening.ts';
import { readRootDse, type RootDse } from './root-dse.ts';
import { createDiscoveredList, createFixedList, type ServerList } from './server-list.ts';
import { createServerGroup, type ServerGroup } from './server-group.ts';

export interface DirectoryFacilities {
  readonly clock: Clock;
  /** 0 inclusive to 1 exclusive; spreads attempts to connect again. */
  readonly random: () => number;
  /** For every search that went over the wire, those in the background too. */
  readonly onSearch?: (record: SearchRecord) => void;
}

export interface GroupSettings {
  /** DNS name of the domain, or `globalCatalog`. */
  readonly name: string;
  readonly urls: readonly string[];
  readonly discovery: DiscoverySettings | null;
  readonly bind: BindCredentials;
  /** Why a server is not the one that is meant; null when it is. @param named DNS has named it, nobody else */
  readonly examine: (rootDse: RootDse, named: boolean) => string | null;
  /** Where to look in DNS, as soon as that is known. Settles in bounded time. */
  readonly place: (site: string | null) => Promise<DnsPlace | { readonly reason: string }>;
}

/** What is asked for in DNS, and inside of which domains the servers have to be. */
export interface DnsPlace {
  readonly questions: Questions;
  readonly suffixes: readonly string[];
}

export interface ForestServers {
  /** Begins to connect at once, in the background. */
  group(settings: GroupSettings): { readonly group: ServerGroup; readonly place: ObjectPlace };
  /** After the groups have been closed. */
  close(): void;
}

export function createForestServers(
  settings: ForestSettings,
  { clock, random, onSearch = () => {} }: DirectoryFacilities,
  gates: BindGates,
): ForestServers {
  const { certificateAuthorities, connectTimeout, searchTimeout, maximumQueue } = settings;
  const monotonic = (): number => clock.monotonic();
  const lookups: DnsLookup[] = [];
  const openings = new WeakMap<Controller, Opening>();

  function connect(endpoint: Endpoint, { bind, examine }: GroupSettings, dns: DnsLookup | null): Controller {
    const gate = gates.gateFor(bind, endpoint.url);
    const lookup = dns?.lookup;
    const opening = { endpoint, certificateAuthorities, gate, ...(lookup === undefined ? {} : { lookup }) };
    let scoped = false;
    const controller = new Controller({
      ...opening,
      connectTimeout,
      searchTimeout,
      maximumQueue,
      connections: connectionsOf(settings),
      monotonic,
      random,
      onSearch,
      scoped: () => scoped,
      async greet(connection) {
        const rootDse = await readRootDse(connection, endpoint.url, searchTimeout, monotonic, onSearch);
        if (typeof rootDse === 'string') return rootDse;
        scoped = rootDse.knowsDomainScope;
        return examine(rootDse, dns !== null);
      },
    });
    openings.set(controller, opening);
    return controller;
  }

  function listOf(group: GroupSettings): ServerList {
    const configured = group.urls.map((url) => connect(parseEndpoint(url), group, null));
    const { discovery } = group;
    if (discovery === null) return createFixedList(configured);
    const dns = createDnsLookup(discovery.resolver);
    lookups.push(dns);
    return createDiscoveredList({
      configured,
      source: `srv:${group.name}`,
      async discover(inUse) {
        const place = await group.place(discovery.site);
        if ('reason' in place) return { kind: 'nothing', reason: place.reason };
        const suffixes = [...place.suffixes, ...discovery.names];
        return await discover(place.questions, { dns, suffixes, random }, inUse);
      },
      connect: (endpoint) => connect(endpoint, group, dns),
      refresh: discovery.refresh,
      random,
    });
  }

  function objectServer(controller: Controller): ObjectServer {
    return {
      url: controller.url,
      host: controller.host,
      get up() {
        return controller.state === 'up';
      },
      open(limits, timeout, signal, heard = () => {}) {
        const opening = openings.get(controller);
        if (opening === undefined) return Promise.resolve({ kind: 'failed', reason: 'it is not known any more' });
        const patience = Math.min(connectTimeout, timeout) as Millis;
        return openConnection({ ...opening, connectTimeout: patience, limits }, { heard, ended: () => {} }, signal);
      },
    };
  }

  return {
    group(own) {
      const list = listOf(own);
      const group = createServerGroup(own.name, list, monotonic);
      const place = {
        group,
        get servers() {
          return list.current.map(objectServer);
        },
      };
      return { group, place };
    },
    close() {
      for (const dns of lookups) dns.close();
    },
  };
}

interface Opening {
  readonly endpoint: Endpoint;
  readonly certificateAuthorities: readonly string[];
  readonly gate: ReturnType<BindGates['gateFor']>;
  readonly lookup?: LookupFunction;
}

/** One connection that hangs or dies must not stop everything. */
export function connectionsOf({ connections }: ForestSettings): number {
  return Math.max(2, connections);
}
