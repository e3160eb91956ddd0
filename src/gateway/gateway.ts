/**
 * The running gateway: a front, an application, a setup, and what watches over them. Owns every resource it opens and gives all of
 * them back on `close`.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { setAlarm } from '../base/alarm.ts';
import type { Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { isoText, systemClock } from '../base/clock.ts';
import { reasonOf } from '../base/failure.ts';
import { noSteps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { Directory } from '../directory/directory.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { Connection } from '../tls/connection.ts';
import { connectionOf } from '../tls/live-connection.ts';
import type { Front } from '../tls/front.ts';
import { startFront } from '../tls/front.ts';
import { createSecureSender } from '../tls/secure-sender.ts';
import type { AccessLog } from './access-log.ts';
import { createAccessLog, openLog } from './access-log.ts';
import { endingRecord, recordOf, troubleRecord } from './access-record.ts';
import type { App } from './app.ts';
import { createApp } from './app.ts';
import { watchDirectory } from './directory-watch.ts';
import type { ClientRequest, ClientResponse } from './exchange.ts';
import { Exchange } from './exchange.ts';
import { handle } from './flow.ts';
import { kdcRecord } from './kdc-event.ts';
import type { Metrics } from './metrics.ts';
import { createMetrics } from './metrics.ts';
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
  connectionCount(): number;
  requestsInFlight(): number;
  /** Judges, maps and authorises every live connection again, now. @returns how many were ended */
  recheck(): Promise<number>;
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
  let inFlight = 0;
  const metrics = createMetrics({
    connections: () => countOf(front?.connections() ?? []),
    requestsInFlight: () => inFlight,
    logLinesDropped: () => log.dropped,
    syslogDropped: () => syslog?.dropped ?? 0,
    generation: () => setup.generation,
    mappingCacheEntries: () => setup.mapper?.size ?? 0,
    certificateCacheEntries: () => setup.chains.size,
    upstreamBusy: () =>
      [...setup.upstreams()].flatMap(({ servers }) => servers).reduce((sum, { stats }) => sum + stats.busy, 0),
    revocationSources: () => setup.revocation.states(),
    now: () => facilities.clock.now(),
  });
  const setup = await createSetupOr(() => closeLogs(), settings, {
    ...facilities,
    metrics,
    report: (record) => log.write(record),
    onKdcEvent(event) {
      const record = kdcRecord(event, facilities.clock.now(), !settings.log.omitNames);
      metrics.countKdcEvent(event.id);
      log.write(record);
      syslog?.write(record);
    },
  });
  const bindingFor = (connection: Connection, host: string): BindingSettings | null =>
    front?.bindingFor(host, connection.localAddress, connection.localPort) ?? null;
  const nextId = requestIds();

  function serve(request: ClientRequest, response: ClientResponse): void {
    const connection = connectionOf(request);
    const monotonic = () => facilities.clock.monotonic();
    const renegotiated = () => metrics.countConnection('renegotiated');
    const facts = { id: nextId(), connection, request, response, bindingFor, monotonic, renegotiated };
    void finish(new Exchange(facts), setup);
  }

  async function finish(exchange: Exchange, current: Setup): Promise<void> {
    inFlight += 1;
    const ending = await endingOf(exchange, current);
    try {
      if (!exchange.answered) refuse(exchange, ending, current);
      metrics.countVerdict(ending.code);
      const wouldRefuse = exchange.outgoing?.authorised.wouldRefuse ?? null;
      if (wouldRefuse !== null) metrics.countReportOnly(wouldRefuse.code);
      exchange.observe(metrics);
      log.write(recordOf(exchange, ending, current));
    } catch (error) {
      // Nobody waits for this promise: what is thrown here would end the process.
      exchange.connection.end('atOnce');
      metrics.countVerdict('internalError');
      log.write({ requestId: exchange.id, code: 'internalError', detail: `while ending: ${reasonOf(error)}` });
    } finally {
      inFlight -= 1;
    }
  }

  let app: App | null = null;
  try {
    await Promise.all([setup.revocation.start(startTimeout), setup.principals.start(startTimeout)]);
    app = await createApp(serve);
    front = await startFront({
      bindings: settings.bindings,
      limits: settings.limits.connections,
      handler: app.route,
      events: {
        connection: () => metrics.countConnection('accepted'),
        refused: () => metrics.countConnection('refused'),
        tlsError: () => metrics.countConnection('tlsError'),
        closed: () => metrics.countConnection('ended'),
      },
      secret: randomBytes(32),
      staplerOf: (binding) => setup.revocation.staplerOf(binding),
    });
  } catch (error) {
    await Promise.all([app?.close(), setup.close(), closeLogs()]);
    throw error;
  }
  const [opened, application] = [front, app];
  const accounts = createLiveAccounts(opened, () => setup);
  const recheck = startRecheck(
    opened,
    () => setup,
    (connection, why) => log.write(endingRecord(connection, why, setup)),
    accounts,
  );
  setup.revocation.onTaken(() => void recheck.run());
  watchDirectory(setup, accounts, recheck, (record) => {
    log.write({ time: isoText(facilities.clock.now()), ...record });
  });
  let closing: Promise<void> | null = null;
  return {
    setup,
    metrics,
    addresses: () => opened.addresses(),
    readiness: async () => (closing === null ? readinessOf(setup) : drainingOf(setup)),
    connectionCount: () => countOf(opened.connections()),
    requestsInFlight: () => inFlight,
    recheck: () => recheck.run(),
    close: () => (closing ??= closeAll()),
  };

  async function closeAll(): Promise<void> {
    recheck.stop();
    await drain(opened, settings.limits.drainTimeout);
    await opened.close();
    await application.close();
    await setup.close();
    // What was cut off still writes its line.
    await untilZero(() => inFlight, 1000);
    await closeLogs();
  }

  async function closeLogs(): Promise<void> {
    await Promise.all([log.close(), syslog?.close()]);
  }
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

function countOf(items: Iterable<unknown>): number {
  let count = 0;
  for (const _ of items) count += 1;
  return count;
}

/** Lets every connection finish what it is doing; idle ones end at once, also those whose handshake ends only now. */
async function drain(front: Front, timeout: number): Promise<void> {
  front.stopAccepting();
  const told = new WeakSet<Connection>();
  await untilZero(() => {
    for (const connection of front.connections()) {
      if (!told.has(connection)) connection.end('gently');
      told.add(connection);
    }
    return countOf(front.connections());
  }, timeout);
}

/** @param timeout milliseconds after which the rest is not waited for */
async function untilZero(count: () => number, timeout: number): Promise<void> {
  const deadline = performance.now() + timeout;
  while (count() > 0 && performance.now() < deadline) await setTimeout(20);
}
