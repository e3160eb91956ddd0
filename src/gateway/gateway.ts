/**
 * The running gateway: a front, an application, a setup, and what watches over them. Owns every resource it opens and gives all of
 * them back on `close`.
 */
import { randomBytes } from 'node:crypto';
import { setAlarm } from '../base/alarm.ts';
import type { Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { isoText, systemClock } from '../base/clock.ts';
import { Failure, reasonOf } from '../base/failure.ts';
import { noSteps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { Directory } from '../directory/directory.ts';
import { createMemoryKeyStore } from '../forward/key-store.ts';
import type { Tunnel } from '../forward/tunnel.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { Connection } from '../tls/connection.ts';
import { holdUpgrade } from '../tls/held-upgrade.ts';
import { connectionOf } from '../tls/live-connection.ts';
import type { Front } from '../tls/front.ts';
import { startFront } from '../tls/front.ts';
import { createSecureSender } from '../tls/secure-sender.ts';
import type { AccessLog } from './access-log.ts';
import { createAccessLog, openLog } from './access-log.ts';
import { endingRecord, recordOf, troubleRecord } from './access-record.ts';
import type { App } from './app.ts';
import type { AuthEndpoints } from './auth-endpoint.ts';
import { startAuthEndpoints } from './auth-endpoint.ts';
import { createApp } from './app.ts';
import { watchDirectory } from './directory-watch.ts';
import { countOf, drain, untilZero } from './draining.ts';
import type { ClientRequest, ClientResponse } from './exchange.ts';
import { Exchange } from './exchange.ts';
import { handle } from './flow.ts';
import type { Generation } from './generations.ts';
import { createGenerations, olderRequests } from './generations.ts';
import { kdcRecord } from './kdc-event.ts';
import type { Metrics } from './metrics.ts';
import { createMetrics } from './metrics.ts';
import { staplerOf } from './newest-stapler.ts';
import type { Readiness } from './readiness.ts';
import { drainingOf, readinessOf } from './readiness.ts';
import { createLiveAccounts } from './live-accounts.ts';
import { startRecheck } from './recheck.ts';
import { refuse } from './refusal.ts';
import type { Settings, SyslogSettings } from './settings.ts';
import type { Setup, SetupFacilities } from './setup.ts';
import { createSetup } from './setup.ts';
import type { Syslog } from './syslog.ts';
import { createSyslog } from './syslog.ts';
import { createTunnels } from './tunnels.ts';

export interface GatewayFacilities {
  readonly clock: Clock;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
  /** Stands in for the directory of the settings, in tests. */
  readonly directory?: Directory;
  readonly log?: AccessLog;
}

export interface Gateway {
  readonly setup: Setup;
  readonly metrics: Metrics;
  addresses(): readonly { readonly binding: string; readonly address: string; readonly port: number }[];
  readiness(): Promise<Readiness>;
  /** Listeners where other proxies ask. */
  readonly auth: AuthEndpoints;
  connectionCount(): number;
  requestsInFlight(): number;
  /** Judges, maps and authorises every live connection again, now. @returns how many were ended */
  recheck(): Promise<number>;
  /**
   * Takes up other settings: a whole new setup is built and swapped in; requests in hand keep the one they began with, and what they and live
   * connections have earned is asked again at once. Limits of connections, the log and the admin surface stay as they were at the start.
   * @throws Failure when the new settings cannot be used; nothing has changed then
   */
  reload(settings: Settings): Promise<void>;
  /** Stops accepting, lets requests in flight finish within `drainTimeout`, then closes everything. Idempotent. */
  close(): Promise<void>;
}

/** How long the start waits for lists and names of the configuration that are far away; they are waited for further by whoever needs them. */
const startTimeout = 5000 as Millis;

export const systemFacilities: GatewayFacilities = { clock: systemClock, random: Math.random };

/** @throws Failure when a port, a log file or a key cannot be used; nothing stays open then */
export async function startGateway(
  settings: Settings,
  facilities: GatewayFacilities = systemFacilities,
): Promise<Gateway> {
  const log = facilities.log ?? createAccessLog(await openLog(settings.log));
  const syslog = openSyslog(settings.log.syslog, facilities, (reason) =>
    log.write(troubleRecord(reason, facilities.clock.now())),
  );
  let front: Front | null = null;
  const inHand = new Map<Exchange, Generation>();
  const tunnels = createTunnels();
  const metrics = createMetrics({
    connections: () => countOf(front?.connections() ?? []),
    requestsInFlight: () => inHand.size,
    logLinesDropped: () => log.dropped,
    syslogDropped: () => syslog?.dropped ?? 0,
    generation: () => newest().generation,
    mappingCacheEntries: () => newest().mapper?.size ?? 0,
    certificateCacheEntries: () => newest().chains.size,
    upstreamBusy: () =>
      [...newest().upstreams()].flatMap(({ servers }) => servers).reduce((sum, { stats }) => sum + stats.busy, 0),
    upstreamServers: () =>
      [...newest().upstreams()].flatMap((group) => group.states().map((state) => ({ upstream: group.name, ...state }))),
    revocationSources: () => newest().revocation.states(),
    tunnels: () => tunnels.open,
    tunnelBytes: () => tunnels.bytes(),
    now: () => facilities.clock.now(),
  });
  const means: SetupFacilities = {
    ...facilities,
    metrics,
    assertionKeys: createMemoryKeyStore(),
    report: (record) => log.write(record),
    onKdcEvent(event) {
      const record = kdcRecord(event, facilities.clock.now(), !settings.log.omitNames);
      metrics.countKdcEvent(event.id);
      log.write(record);
      syslog?.write(record);
    },
  };
  const first = await createSetupOr(() => closeLogs(), settings, means);
  const generations = createGenerations(first);
  const newest = () => generations.setup;
  const bindingFor = (connection: Connection, host: string): BindingSettings | null =>
    front?.bindingFor(host, connection.localAddress, connection.localPort) ?? null;
  const nextId = requestIds();
  const monotonic = () => facilities.clock.monotonic();
  const renegotiated = () => metrics.countConnection('renegotiated');
  const tunnelled = (tunnel: Tunnel) => tunnels.opened(tunnel);

  function serve(request: ClientRequest, response: ClientResponse): void {
    const connection = connectionOf(request);
    const facts = { id: nextId(), connection, request, response, bindingFor, monotonic, renegotiated, tunnelled };
    void finish(new Exchange(facts), generations.enter());
  }

  async function finish(exchange: Exchange, generation: Generation): Promise<void> {
    const current = generation.setup;
    inHand.set(exchange, generation);
    const ending = await endingOf(exchange, current);
    try {
      if (!exchange.answered) refuse(exchange, ending, current);
      metrics.countVerdict(ending.code);
      const wouldRefuse = exchange.outgoing?.authorised.wouldRefuse ?? null;
      if (wouldRefuse !== null) metrics.countReportOnly(wouldRefuse.code);
      exchange.observe(metrics);
      if (exchange.tunnel !== null) tunnels.ended(exchange.tunnel);
      log.write(recordOf(exchange, ending, current));
    } catch (error) {
      // Nobody waits for this promise: what is thrown here would end the process.
      exchange.connection.end('atOnce');
      metrics.countVerdict('internalError');
      log.write({ requestId: exchange.id, code: 'internalError', detail: `while ending: ${reasonOf(error)}` });
    } finally {
      inHand.delete(exchange);
      generations.leave(generation);
    }
  }

  let app: App | null = null;
  let auth: AuthEndpoints | null = null;
  try {
    await begin(first);
    app = await createApp(serve);
    auth = await startAuthEndpoints(settings.authEndpoints, {
      ...{ clock: facilities.clock, metrics, log, nextId, newest },
      enter: () => generations.enter(),
      leave: (generation: Generation) => generations.leave(generation),
    });
    front = await startFront({
      bindings: settings.bindings,
      limits: settings.limits.connections,
      handler: app.route,
      upgrade: (request, socket, head) => app?.route(request, holdUpgrade(request, socket, head)),
      events: {
        connection: () => metrics.countConnection('accepted'),
        refused: (reason) => metrics.countRefusal(reason),
        tlsError: () => metrics.countConnection('tlsError'),
        closed: () => metrics.countConnection('ended'),
      },
      secret: randomBytes(32),
      staplerOf: (binding) => staplerOf(binding, newest),
    });
  } catch (error) {
    await Promise.all([app?.close(), auth?.close(0), generations.close(), closeLogs()]);
    throw error;
  }
  const [opened, application, asked] = [front, app, auth];
  // Clients that are connected to other proxies are looked after like our own.
  const clients = { connections: () => [...opened.connections(), ...asked.connections()] };
  const accounts = createLiveAccounts(clients, newest);
  const recheck = startRecheck(
    clients,
    newest,
    (connection, why) => log.write(endingRecord(connection, why, newest())),
    accounts,
    () => olderRequests(inHand, newest()),
  );
  watch(first);
  let closing: Promise<void> | null = null;
  let turn: Promise<void> = Promise.resolve();
  return {
    get setup() {
      return newest();
    },
    metrics,
    addresses: () => opened.addresses(),
    auth: asked,
    readiness: async () => (closing === null ? readinessOf(newest()) : drainingOf(newest())),
    connectionCount: () => countOf(opened.connections()),
    requestsInFlight: () => inHand.size,
    recheck: () => recheck.run(),
    reload(wanted) {
      const mine = turn.then(() => takeUp(wanted));
      turn = mine.catch(() => {});
      return mine;
    },
    close: () => (closing ??= closeAll()),
  };

  async function takeUp(next: Settings): Promise<void> {
    if (closing !== null) throw new Failure('the gateway is ending', { code: 'ending', hint: 'start it again' });
    const setup = createSetup(next, newest().generation + 1, means);
    try {
      await begin(setup);
      await opened.replaceBindings(next.bindings);
    } catch (error) {
      await setup.close();
      tell({ event: 'setup.refused', generation: setup.generation, detail: reasonOf(error) });
      throw error;
    }
    generations.replace(setup);
    watch(setup);
    tell({ event: 'setup.taken', generation: setup.generation });
    await recheck.run();
  }

  /** What the world outside does to a setup, as long as that is the newest. */
  function watch(setup: Setup): void {
    const current = { run: async () => (setup === newest() ? recheck.run() : 0) };
    setup.revocation.onTaken(() => void current.run());
    watchDirectory(setup, accounts, current, tell);
  }

  /** What the log tells beside requests. */
  function tell(record: Readonly<Record<string, unknown>>): void {
    log.write({ time: isoText(facilities.clock.now()), ...record });
  }

  async function closeAll(): Promise<void> {
    recheck.stop();
    await turn;
    const { drainTimeout } = newest().settings.limits;
    await Promise.all([drain(opened, drainTimeout), asked.close(drainTimeout)]);
    await opened.close();
    await application.close();
    await generations.close();
    // What was cut off still writes its line.
    await untilZero(() => inHand.size + asked.inFlight, 1000);
    await closeLogs();
  }

  async function closeLogs(): Promise<void> {
    await Promise.all([log.close(), syslog?.close()]);
  }
}

async function begin({ revocation, principals }: Setup): Promise<void> {
  await Promise.all([revocation.start(startTimeout), principals.start(startTimeout)]);
}

function openSyslog(
  settings: SyslogSettings | null,
  { random }: GatewayFacilities,
  onTrouble: (reason: string) => void,
): Syslog | null {
  if (settings === null) return null;
  return createSyslog(settings, createSecureSender(settings, { random, setAlarm, onTrouble }));
}

async function createSetupOr(
  giveUp: () => Promise<void>,
  settings: Settings,
  facilities: SetupFacilities,
): Promise<Setup> {
  try {
    return createSetup(settings, 1, facilities);
  } catch (error) {
    await giveUp();
    throw error;
  }
}

/** A bug in a step must not leave a client without an answer. */
async function endingOf(exchange: Exchange, setup: Setup): Promise<Verdict> {
  try {
    return await handle(exchange, setup, noSteps);
  } catch (error) {
    return verdict('internalError', `unexpected: ${reasonOf(error)}`);
  }
}

/** Unique within all processes for practical purposes, short, and free of anything a client sent. */
function requestIds(): () => string {
  const prefix = randomBytes(5).toString('hex');
  let count = 0;
  return () => `${prefix}-${(count += 1).toString(36)}`;
}
