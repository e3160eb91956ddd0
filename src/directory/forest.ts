/**
 * One forest: its configured domains, and its global catalogs where there are any. Decides which servers belong together and what they
 * share; who is asked for what is in `locate.ts`.
 */
import type { Millis } from '../base/brand.ts';
import { Failure, reasonOf } from '../base/failure.ts';
import { faultOfCredentials } from './authentication.ts';
import { createBindGates, type BindGates } from './bind-gates.ts';
import type { DirectorySearch } from './connection.ts';
import { startChangePoll } from './change-poll.ts';
import { pipelined } from './controller.ts';
import type {
  ControllerHealth,
  DirectoryChange,
  DomainNames,
  Forest,
  ForestSettings,
  Located,
  SearchRecord,
} from './directory.ts';
import { dnOfDomain, domainOfDn } from './dn.ts';
import { questionsForCatalog, questionsForDomain } from './discovery.ts';
import { createDomain } from './domain.ts';
import { createForestFacts, type ForestFacts } from './forest-facts.ts';
import { connectionsOf, createForestServers, type DirectoryFacilities, type ForestServers } from './forest-servers.ts';
import { createGlobalCatalog } from './global-catalog.ts';
import { readGroups } from './groups.ts';
import { locateAccounts, type Places } from './locate.ts';
import type { ObjectReader } from './object-read.ts';
import { createObjectReader } from './object-reader.ts';
import { settlesWithin } from './patience.ts';
import { createPrincipalReader } from './principals.ts';
import { createAccountReader } from './read-again.ts';
import { createAccountScan } from './scan.ts';
import { wrongCatalog, wrongDomain } from './root-dse.ts';
import type { GroupAnswer, ServerGroup } from './server-group.ts';
import { maximumValues } from './search.ts';

export type { DirectoryFacilities };

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
  shared?: BindGates,
): LiveForest {
  check(settings);
  const { clock } = facilities;
  const monotonic = (): number => clock.monotonic();
  const gates = shared ?? createBindGates(monotonic);
  const servers = createForestServers(settings, facilities, gates);
  const inDomains = settings.domains.map((domain) =>
    servers.group({
      ...domain,
      urls: domain.controllers,
      examine: (rootDse, named) =>
        wrongDomain(rootDse, dnOfDomain(domain.name), named) ?? facts.foreign(rootDse, named),
      place: (site) => Promise.resolve({ questions: questionsForDomain(domain.name, site), suffixes: [domain.name] }),
    }),
  );
  const groups = inDomains.map(({ group }) => group);
  const listeners: ((changes: readonly DirectoryChange[]) => void)[] = [];
  const tell = (changes: readonly DirectoryChange[]): void => {
    if (changes.length > 0) for (const listener of listeners) listener(changes);
  };
  const facts: ForestFacts = createForestFacts({
    groups,
    refresh: settings.refresh,
    timeout: (settings.connectTimeout + 2 * settings.searchTimeout) as Millis,
    clock,
    random: facilities.random,
    changed: (what) => tell([{ kind: 'forest', what }]),
  });
  const batches = {
    window: connectionsOf(settings) * pipelined,
    maximumQueue: settings.maximumQueue,
    maximumValues: settings.batching ? maximumValues : 1,
    monotonic,
  };
  const domains = new Map(
    groups.map((group) => {
      const facilities = { ...batches, clock, netbiosName: (name: string, at: number) => facts.netbiosName(name, at) };
      return [group.name, createDomain(group.name, group, facilities)];
    }),
  );
  const catalogs = catalogGroup(settings, servers, facts);
  const catalog = catalogs === null ? null : createGlobalCatalog(catalogs, domains, batches);
  const everyGroup = catalogs === null ? groups : [...groups, catalogs];
  const accounts = createAccountReader(domains, monotonic);
  const principals = createPrincipalReader({
    domains: groups,
    catalog: catalogs,
    partitions: () => facts.partitions.current(),
    netbiosName: (name, at) => facts.netbiosName(name, at),
    monotonic,
  });
  const scan = createAccountScan({
    places: inDomains.map(({ place }) => place),
    netbiosName: (name, at) => facts.netbiosName(name, at),
    timeout: settings.searchTimeout,
    clock,
    onSearch: facilities.onSearch ?? (() => {}),
  });
  const polls = inDomains.map(({ group, place }) =>
    startChangePoll({
      domain: group.name,
      group,
      servers: () => place.servers,
      interval: settings.pollInterval,
      timeout: settings.searchTimeout,
      clock,
      onSearch: facilities.onSearch ?? (() => {}),
      factsChanged: () => facts.renew(),
      tell,
    }),
  );
  // A global catalog holds no CRLs: they are not in its partial attribute set.
  const reader = createObjectReader(
    inDomains.map(({ place }) => place),
    monotonic,
  );

  return {
    name: settings.name,
    locate: (assertions, deadline) => withinDeadline({ domains, catalog }, assertions, deadline, monotonic),
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
    ...scan,
    async groupsOf(account, deadline) {
      const domain = domains.get(domainOfDn(account.dn) ?? '');
      if (domain === undefined)
        return { kind: 'unknown', reason: `${account.dn} is in a domain that is not configured` };
      return await readGroups(account, domain.group, monotonic() + deadline, clock);
    },
    onChanges: (listener) => void listeners.push(listener),
    async ask(place, request, patience) {
      const group = everyGroup.find(({ name }) => name === place);
      if (group === undefined) return { kind: 'unanswered', reason: `${place} is not configured`, overSearch: false };
      return await group.search(request, monotonic() + patience, []);
    },
    serves: (host) => reader.serves(host),
    readObject: (request) => reader.readObject(request),
    async health() {
      const { name } = settings;
      const healths = await Promise.all(everyGroup.map((group) => group.health()));
      return healths.flat().map((health) => ({ forest: name, ...health }));
    },
    retry() {
      gates.reopen();
      for (const group of everyGroup) group.retry();
    },
    async close() {
      reader.close();
      if (shared === undefined) gates.close();
      servers.close();
      await Promise.all([...polls, ...everyGroup, facts].map((one) => one.close()));
    },
  };
}

/** The global catalogs; null where there are none. */
function catalogGroup(settings: ForestSettings, servers: ForestServers, facts: ForestFacts): ServerGroup | null {
  const [first] = settings.domains;
  const { globalCatalog, globalCatalogDiscovery } = settings;
  if (first === undefined || (globalCatalog.length === 0 && globalCatalogDiscovery === null)) return null;
  return servers.group({
    name: 'globalCatalog',
    urls: globalCatalog,
    discovery: globalCatalogDiscovery,
    bind: first.bind,
    examine: (rootDse, named) => wrongCatalog(rootDse) ?? facts.foreign(rootDse, named),
    async place(site) {
      // Catalogs are registered under the name of the forest, which a controller has to tell.
      const told = await settlesWithin(facts.root, settings.connectTimeout + settings.searchTimeout);
      const root = told ? await facts.root : '';
      if (root === '') return { reason: 'no controller has told the name of the forest, which catalogs are found by' };
      const suffixes = [root, ...settings.domains.map(({ name }) => name)];
      return { questions: questionsForCatalog(root, site), suffixes };
    },
  }).group;
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

function check({ domains, globalCatalogDiscovery }: ForestSettings): void {
  const refuse = (message: string, hint: string): Failure =>
    new Failure(message, { code: 'directory-settings', hint, exitCode: 2 });
  if (domains.length === 0) throw refuse('no domain is configured', 'name at least one Active Directory domain');
  for (const site of [...domains.map(({ discovery }) => discovery?.site), globalCatalogDiscovery?.site])
    if (typeof site === 'string' && !/^[a-z0-9_-]{1,63}$/i.test(site))
      throw refuse(`${JSON.stringify(site)} is not the name of a site`, 'letters, digits and hyphens, 63 at most');
  for (const { name, controllers, discovery, bind } of domains) {
    if (!/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(name))
      throw refuse(
        `${JSON.stringify(name)} is not the DNS name of a domain`,
        'write it in lower case, like lab.example.test',
      );
    if (domains.filter((domain) => domain.name === name).length > 1)
      throw refuse(`the domain ${name} is configured twice`, 'put all its controllers into one entry');
    if (controllers.length === 0 && discovery === null)
      throw refuse(`${name} has no controllers`, 'give at least one ldaps:// URL, or let DNS name them');
    const fault = faultOfCredentials(bind);
    if (fault !== null)
      throw refuse(`the bind of ${name} ${fault}`, 'anonymous and unauthenticated binds are not used');
  }
}
