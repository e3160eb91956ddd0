/**
 * One forest: its configured domains, and its global catalogs where there are any. Decides which servers belong together and what they
 * share; who is asked for what is in `locate.ts`.
 */
import type { Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { Failure, reasonOf } from '../base/failure.ts';
import type { BindGate } from './bind-gate.ts';
import { faultOfCredentials } from './authentication.ts';
import { createBindGates, type BindGates } from './bind-gates.ts';
import type { DirectorySearch } from './connection.ts';
import { Controller, pipelined } from './controller.ts';
import type {
  BindCredentials,
  ControllerHealth,
  DomainNames,
  Forest,
  ForestSettings,
  Located,
  SearchRecord,
} from './directory.ts';
import { dnOfDomain, domainOfDn } from './dn.ts';
import { createDomain } from './domain.ts';
import { parseEndpoint } from './endpoint.ts';
import { createForestFacts, type ForestFacts } from './forest-facts.ts';
import { createGlobalCatalog } from './global-catalog.ts';
import { readGroups } from './groups.ts';
import { locateAccounts, type Places } from './locate.ts';
import type { ObjectReader } from './object-read.ts';
import { createObjectReader, type ObjectPlace, type ObjectServer } from './object-reader.ts';
import { openConnection } from './opening.ts';
import { createPrincipalReader } from './principals.ts';
import { createAccountReader } from './read-again.ts';
import { readRootDse, wrongCatalog, wrongDomain, type RootDse } from './root-dse.ts';
import { createServerGroup, type GroupAnswer, type ServerGroup } from './server-group.ts';

export interface DirectoryFacilities {
  readonly clock: Clock;
  /** 0 inclusive to 1 exclusive; spreads attempts to connect again. */
  readonly random: () => number;
  /** For every search that went over the wire, those in the background too. */
  readonly onSearch?: (record: SearchRecord) => void;
}

export interface LiveForest extends Forest, ObjectReader {
  /**
   * One search as a server answers it, for whoever looks at what may be read there. Never rejects, settles within `patience`.
   * @param place DNS name of a configured domain, or `globalCatalog`
   */
  ask(place: string, request: DirectorySearch, patience: Millis): Promise<GroupAnswer>;
  health(): Promise<readonly ControllerHealth[]>;
  close(): Promise<void>;
  /** Tries refused and failed servers again now: an operator has corrected the bind account or the network. */
  retry(): void;
}

/**
 * Begins to connect at once, in the background.
 * @throws Failure `directory-settings` or `directory-url` for settings that cannot work
 */
export function createForest(
  settings: ForestSettings,
  facilities: DirectoryFacilities,
  gates: BindGates = createBindGates(() => facilities.clock.monotonic()),
): LiveForest {
  check(settings);
  const { clock } = facilities;
  const places: ObjectPlace[] = [];
  const groupOf = (name: string, urls: readonly string[], bind: BindCredentials, examine: Examine): ServerGroup => {
    const controllers = urls.map((url) =>
      createController(url, gates.gateFor(bind, url), settings, facilities, examine),
    );
    const group = createServerGroup(name, controllers, () => clock.monotonic());
    places.push({
      group,
      servers: controllers.map((one) => objectServer(one, gates.gateFor(bind, one.url), settings)),
    });
    return group;
  };
  const groups = settings.domains.map(({ name, controllers, bind }) =>
    groupOf(name, controllers, bind, (rootDse) => wrongDomain(rootDse, dnOfDomain(name)) ?? facts.foreign(rootDse)),
  );
  const facts: ForestFacts = createForestFacts({
    groups,
    refresh: settings.refresh,
    timeout: (settings.connectTimeout + 2 * settings.searchTimeout) as Millis,
    clock,
    random: facilities.random,
  });
  const batches = {
    window: connectionsOf(settings) * pipelined,
    maximumQueue: settings.maximumQueue,
    monotonic: () => clock.monotonic(),
  };
  const domains = new Map(
    groups.map((group) => {
      const facilities = { ...batches, clock, netbiosName: (name: string, at: number) => facts.netbiosName(name, at) };
      return [group.name, createDomain(group.name, group, facilities)];
    }),
  );
  const [first] = settings.domains;
  const catalogs =
    first === undefined || settings.globalCatalog.length === 0
      ? null
      : groupOf(
          'globalCatalog',
          settings.globalCatalog,
          first.bind,
          (rootDse) => wrongCatalog(rootDse) ?? facts.foreign(rootDse),
        );
  const catalog = catalogs === null ? null : createGlobalCatalog(catalogs, domains, batches);
  const everyGroup = catalogs === null ? groups : [...groups, catalogs];
  const monotonic = (): number => clock.monotonic();
  const accounts = createAccountReader(domains, monotonic);
  const principals = createPrincipalReader({
    domains: groups,
    catalog: catalogs,
    partitions: () => facts.partitions.current(),
    netbiosName: (name, at) => facts.netbiosName(name, at),
    monotonic,
  });
  // A global catalog holds no CRLs: they are not in its partial attribute set.
  const reader = createObjectReader(
    places.filter(({ group }) => group !== catalogs),
    () => clock.monotonic(),
  );

  return {
    name: settings.name,
    locate: (assertions, deadline) =>
      withinDeadline({ domains, catalog }, assertions, deadline, () => clock.monotonic()),
    async ntAuth() {
      const known = await facts.ntAuth.current();
      if (known.kind === 'unknown') return known;
      return { kind: 'read', issuers: known.value, readAt: known.readAt, server: known.server };
    },
    async domains() {
      const known = await facts.partitions.current();
      if (known.kind === 'unknown') return known;
      const names: DomainNames[] = [];
      for (const dnsName of domains.keys()) {
        const netbiosName = known.value.netbiosNames.get(dnsName);
        if (netbiosName === undefined)
          return { kind: 'unknown', reason: `CN=Partitions of ${known.server} does not list ${dnsName}` };
        const upnSuffixes = [...new Set([dnsName, ...known.value.upnSuffixes])];
        names.push({ dnsName, netbiosName, upnSuffixes });
      }
      return { kind: 'read', domains: names };
    },
    ...accounts,
    ...principals,
    async groupsOf(account, deadline) {
      const domain = domains.get(domainOfDn(account.dn) ?? '');
      if (domain === undefined)
        return { kind: 'unknown', reason: `${account.dn} is in a domain that is not configured` };
      return await readGroups(account, domain.group, monotonic() + deadline, clock);
    },
    async ask(place, request, patience) {
      const group = everyGroup.find(({ name }) => name === place);
      if (group === undefined) return { kind: 'unanswered', reason: `${place} is not configured` };
      return await group.search(request, monotonic() + patience, []);
    },
    serves: (host) => reader.serves(host),
    readObject: (request) => reader.readObject(request),
    async health() {
      return (await Promise.all(everyGroup.map((group) => group.health()))).flat();
    },
    retry() {
      gates.reopen();
      for (const group of everyGroup) group.retry();
    },
    async close() {
      reader.close();
      gates.close();
      await Promise.all([...everyGroup.map((group) => group.close()), facts.close()]);
    },
  };
}

/** Why a server is not the one that the configuration means; null when it is. */
type Examine = (rootDse: RootDse) => string | null;

function createController(
  url: string,
  gate: BindGate,
  settings: ForestSettings,
  { clock, random, onSearch = () => {} }: DirectoryFacilities,
  examine: Examine,
): Controller {
  const endpoint = parseEndpoint(url);
  const { certificateAuthorities, connectTimeout, searchTimeout, maximumQueue } = settings;
  const monotonic = (): number => clock.monotonic();
  return new Controller({
    endpoint,
    certificateAuthorities,
    gate,
    connectTimeout,
    searchTimeout,
    maximumQueue,
    connections: connectionsOf(settings),
    monotonic,
    random,
    onSearch,
    async greet(connection) {
      const rootDse = await readRootDse(connection, endpoint.url, searchTimeout, monotonic, onSearch);
      return typeof rootDse === 'string' ? rootDse : examine(rootDse);
    },
  });
}

function objectServer(controller: Controller, gate: BindGate, settings: ForestSettings): ObjectServer {
  const { url } = controller;
  const endpoint = parseEndpoint(url);
  const { certificateAuthorities, connectTimeout } = settings;
  return {
    url,
    host: endpoint.host,
    get up() {
      return controller.state === 'up';
    },
    open(limits, timeout, signal) {
      const patience = Math.min(connectTimeout, timeout) as Millis;
      const opening = { endpoint, certificateAuthorities, gate, connectTimeout: patience, limits };
      return openConnection(opening, { heard: () => {}, ended: () => {} }, signal);
    },
  };
}

/** One connection that hangs or dies must not stop everything. */
function connectionsOf({ connections }: ForestSettings): number {
  return Math.max(2, connections);
}

/** The caller's deadline holds whatever happens below; what is asked below ends a little earlier, to say why. */
function withinDeadline(
  places: Places,
  assertions: Parameters<Forest['locate']>[0],
  deadline: Millis,
  monotonic: () => number,
): Promise<Located> {
  const { promise, resolve } = Promise.withResolvers<Located>();
  const searches: SearchRecord[] = [];
  const unknown = (reason: string): void => resolve({ kind: 'unknown', reason, searches: [...searches] });
  const timer = setTimeout(() => unknown(`no complete answer within ${deadline} ms`), deadline);
  const inner = monotonic() + deadline - Math.min(50, deadline / 10);
  locateAccounts(places, assertions, inner, searches)
    .then(
      (answer) => {
        if (answer.kind === 'unknown') unknown(answer.reason);
        else resolve({ kind: 'answered', accounts: answer.accounts, searches: [...searches] });
      },
      (error: unknown) => unknown(`internal error: ${reasonOf(error)}`),
    )
    .finally(() => clearTimeout(timer));
  return promise;
}

function check({ domains }: ForestSettings): void {
  const refuse = (message: string, hint: string): Failure =>
    new Failure(message, { code: 'directory-settings', hint, exitCode: 2 });
  if (domains.length === 0) throw refuse('no domain is configured', 'name at least one Active Directory domain');
  for (const { name, controllers, bind } of domains) {
    if (!/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(name))
      throw refuse(
        `${JSON.stringify(name)} is not the DNS name of a domain`,
        'write it in lower case, like lab.example.test',
      );
    if (domains.filter((domain) => domain.name === name).length > 1)
      throw refuse(`the domain ${name} is configured twice`, 'put all its controllers into one entry');
    if (controllers.length === 0) throw refuse(`${name} has no controllers`, 'give at least one ldaps:// URL');
    const fault = faultOfCredentials(bind);
    if (fault !== null)
      throw refuse(`the bind of ${name} ${fault}`, 'anonymous and unauthenticated binds are not used');
  }
}
