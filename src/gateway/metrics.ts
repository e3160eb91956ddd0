/**
 * The metric set. The only file that knows prom-client; everything else counts through the functions here, which touch
 * no label map on the hot path.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { VerdictCode } from '../base/verdict.ts';
import { verdictCodes } from '../base/verdict.ts';
import type { Evidence, SourceState } from '../revocation/revocation-contract.ts';
import type { CacheOutcome, KdcEvent } from '../mapping/mapper-contract.ts';
import type { RefusalReason } from '../tls/reception.ts';

export const stages = ['rule', 'present', 'judge', 'map', 'authorise', 'dress', 'forward'] as const;
export type Stage = (typeof stages)[number];

export interface Metrics {
  countVerdict(code: VerdictCode): void;
  /** One request that was served although its location's rule would have refused it. */
  countReportOnly(code: VerdictCode): void;
  countKdcEvent(id: KdcEvent['id']): void;
  /** @param milliseconds time the stage took */
  observeStage(stage: Stage, milliseconds: number): void;
  countSearch(): void;
  /** `connection`: the connection itself remembered. */
  countMapping(outcome: CacheOutcome | 'connection'): void;
  countConnection(event: ConnectionEvent): void;
  /** A connection that we ended, or did not let begin. */
  countRefusal(reason: RefusalReason): void;
  /** One certificate whose revocation was looked at. */
  countRevocationCheck(method: Evidence['method'], status: Evidence['status']): void;
  /** One attempt to fetch revocation data. */
  countRevocationFetch(kind: SourceState['kind'], result: FetchResult): void;
  /** One question of a proxy that was answered. */
  countAuthDecision(caller: string, code: VerdictCode): void;
  /** One question of nobody that is known, at an auth endpoint. */
  countAuthStranger(endpoint: string): void;
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>;
  readonly contentType: string;
}

const connectionEvents = ['accepted', 'refused', 'tlsError', 'renegotiated', 'ended'] as const;
export type ConnectionEvent = (typeof connectionEvents)[number];

/** What `authorise` can refuse. */
const reportableCodes: readonly VerdictCode[] = [
  'groupsUnknown',
  'issuerNotAccepted',
  'notAuthorised',
  'policyRequired',
  'strengthRequired',
];

const checkMethods: readonly Evidence['method'][] = ['crl', 'ocsp', 'none'];
const checkStatuses: readonly Evidence['status'][] = ['good', 'revoked', 'unknown', 'notChecked'];

const fetchResults = ['fetched', 'notModified', 'failed'] as const;
export type FetchResult = (typeof fetchResults)[number];

const cacheOutcomes: readonly (CacheOutcome | 'connection')[] = [
  'connection',
  'hit',
  'negative',
  'stale',
  'miss',
  'joined',
  'bypass',
];

/** Read at scrape time, so that nothing has to be kept in step. */
export interface Gauges {
  readonly connections: () => number;
  readonly requestsInFlight: () => number;
  readonly logLinesDropped: () => number;
  readonly syslogDropped: () => number;
  readonly generation: () => number;
  readonly mappingCacheEntries: () => number;
  readonly certificateCacheEntries: () => number;
  readonly upstreamBusy: () => number;
  readonly tunnels: () => number;
  /** Octets from clients to upstreams and back, ever. */
  readonly tunnelBytes: () => { readonly in: number; readonly out: number };
  /** The servers of every upstream. */
  readonly upstreamServers: () => Iterable<{
    readonly upstream: string;
    readonly server: string;
    readonly healthy: boolean;
  }>;
  readonly revocationSources: () => readonly SourceState[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** For commands that serve nobody. */
export const silentGauges: Gauges = {
  connections: () => 0,
  requestsInFlight: () => 0,
  logLinesDropped: () => 0,
  syslogDropped: () => 0,
  generation: () => 0,
  mappingCacheEntries: () => 0,
  certificateCacheEntries: () => 0,
  upstreamBusy: () => 0,
  tunnels: () => 0,
  tunnelBytes: () => ({ in: 0, out: 0 }),
  upstreamServers: () => [],
  revocationSources: () => [],
  now: () => 0,
};

export function createMetrics(gauges: Gauges): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const verdicts = childrenOf(
    new Counter({
      name: 'dsmapper_verdicts_total',
      help: 'Requests by verdict code (docs/verdicts.md)',
      labelNames: ['code'],
      registers,
    }),
    verdictCodes,
  );
  const reportedChildren = childrenOf(
    new Counter({
      name: 'dsmapper_report_only_total',
      help: 'Requests served that the rule of their location would have refused, by verdict code',
      labelNames: ['code'],
      registers,
    }),
    reportableCodes,
  );
  const kdcEvents = childrenOf(
    new Counter({
      name: 'dsmapper_kdc_events_total',
      help: 'Lookups that a KDC would have logged as event 39, 40 or 41',
      labelNames: ['id'],
      registers,
    }),
    ['39', '40', '41'],
  );
  const stageSeconds = new Histogram({
    name: 'dsmapper_stage_seconds',
    help: 'Time a request spent in each step of the flow',
    labelNames: ['stage'],
    buckets: [0.00001, 0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2, 10],
    registers,
  });
  const stageChildren = new Map(stages.map((stage) => [stage, stageSeconds.labels(stage)]));
  const searches = new Counter({
    name: 'dsmapper_ldap_searches_total',
    help: 'Searches sent to directory servers',
    registers,
  });
  const mappings = childrenOf(
    new Counter({
      name: 'dsmapper_mapping_cache_total',
      help: 'Mapping questions by how the cache answered',
      labelNames: ['result'],
      registers,
    }),
    cacheOutcomes,
  );
  const connections = childrenOf(
    new Counter({
      name: 'dsmapper_connections_total',
      help: 'Client connections by event',
      labelNames: ['event'],
      registers,
    }),
    connectionEvents,
  );
  const checks = new Counter({
    name: 'dsmapper_revocation_checks_total',
    help: 'Certificates whose revocation was looked at, by what decided and how',
    labelNames: ['method', 'status'],
    registers,
  });
  const checkChildren = new Map(
    checkMethods.flatMap((method) =>
      checkStatuses.map((status) => [`${method} ${status}`, checks.labels(method, status)]),
    ),
  );
  const fetches = new Counter({
    name: 'dsmapper_revocation_fetch_total',
    help: 'Attempts to fetch revocation data',
    labelNames: ['kind', 'result'],
    registers,
  });
  for (const kind of ['crl', 'ocsp']) for (const result of fetchResults) fetches.inc({ kind, result }, 0);
  const authDecisions = new Counter({
    name: 'dsmapper_auth_decisions_total',
    help: 'Questions of other proxies by who asked and verdict code (docs/verdicts.md)',
    labelNames: ['caller', 'code'],
    registers,
  });
  const refusals = new Counter({
    name: 'dsmapper_connections_refused_total',
    help: 'Connections that were ended or not let begin, by reason',
    labelNames: ['reason'],
    registers,
  });
  const authStrangers = new Counter({
    name: 'dsmapper_auth_strangers_total',
    help: 'Questions at auth endpoints that no caller has proved to be its own',
    labelNames: ['endpoint'],
    registers,
  });
  const countDecision = countByPair((caller, code) => authDecisions.labels(caller, code));
  addSourceGauges(registers, gauges);
  gauge(registers, 'dsmapper_connections', 'Client connections open now', gauges.connections);
  gauge(registers, 'dsmapper_requests_in_flight', 'Requests without an answer yet', gauges.requestsInFlight);
  gauge(registers, 'dsmapper_log_lines_dropped', 'Request lines that never reached the log', gauges.logLinesDropped);
  const syslogDropped = new Counter({
    name: 'dsmapper_syslog_dropped_total',
    help: 'Events that never reached the syslog server',
    registers: [],
    collect() {
      this.reset();
      this.inc(gauges.syslogDropped());
    },
  });
  registry.registerMetric(syslogDropped);
  gauge(registers, 'dsmapper_setup_generation', 'Generation of the setup that new requests take', gauges.generation);
  gauge(registers, 'dsmapper_mapping_cache_entries', 'Entries of the mapping cache', gauges.mappingCacheEntries);
  gauge(
    registers,
    'dsmapper_certificate_cache_entries',
    'Entries of the certificate cache',
    gauges.certificateCacheEntries,
  );
  gauge(registers, 'dsmapper_tunnels', 'Upgraded connections open now', gauges.tunnels);
  addTunnelBytes(registry, gauges);
  gauge(registers, 'dsmapper_upstream_busy', 'Upstream connections with a request on them', gauges.upstreamBusy);
  addHealthGauge(registers, gauges);
  return {
    countVerdict: (code) => verdicts.get(code)?.inc(),
    countReportOnly: (code) => reportedChildren.get(code)?.inc(),
    countKdcEvent: (id) => kdcEvents.get(`${id}`)?.inc(),
    observeStage: (stage, milliseconds) => stageChildren.get(stage)?.observe(milliseconds / 1000),
    countSearch: () => searches.inc(),
    countMapping: (outcome) => mappings.get(outcome)?.inc(),
    countConnection: (event) => connections.get(event)?.inc(),
    countRefusal(reason) {
      connections.get('refused')?.inc();
      refusals.labels(reason).inc();
    },
    countRevocationCheck: (method, status) => checkChildren.get(`${method} ${status}`)?.inc(),
    countRevocationFetch: (kind, result) => fetches.inc({ kind, result }),
    countAuthDecision: countDecision,
    countAuthStranger: (endpoint) => authStrangers.labels(endpoint).inc(),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** One series for each source that is known now; those that went leave with it. */
function addSourceGauges(registers: Registry[], { revocationSources, now }: Gauges): void {
  const add = (name: string, help: string, valueOf: (state: SourceState) => number | null) => {
    const series = new Gauge({
      name: `dsmapper_revocation_source_${name}`,
      help,
      labelNames: ['source', 'kind'],
      registers: [],
      collect() {
        this.reset();
        for (const state of revocationSources()) {
          const value = valueOf(state);
          if (value !== null) this.set({ source: state.source, kind: state.kind }, value);
        }
      },
    });
    for (const registry of registers) registry.registerMetric(series);
  };
  const seconds = (instant: number | null) => (instant === null ? null : instant / 1000);
  add('age_seconds', 'Time since what is held was issued', ({ thisUpdate }) =>
    thisUpdate === null ? null : (now() - thisUpdate) / 1000,
  );
  add('next_update_seconds', 'Unix time at which what is held ends', ({ nextUpdate }) => seconds(nextUpdate));
  add('entries', 'Entries of the list that is held', ({ entries }) => entries);
  add('last_error', '1 while the last attempt failed, else 0', ({ lastError }) => (lastError === null ? 0 : 1));
}

/** One series for each server of an upstream, though several locations may have connections of their own to it: the worst counts. */
function addHealthGauge(registers: Registry[], { upstreamServers }: Gauges): void {
  const health = new Gauge({
    name: 'dsmapper_upstream_healthy',
    help: '1 while a server of an upstream is believed to take requests, else 0',
    labelNames: ['upstream', 'server'],
    registers: [],
    collect() {
      this.reset();
      const servers = [...upstreamServers()].toSorted((a, b) => Number(b.healthy) - Number(a.healthy));
      for (const { upstream, server, healthy } of servers) this.set({ upstream, server }, Number(healthy));
    },
  });
  for (const registry of registers) registry.registerMetric(health);
}

/** Children of two labels, looked up once each; both come from configuration and code, so that there are not many. */
function countByPair(child: (one: string, other: string) => { inc(): void }) {
  const known = new Map<string, Map<string, { inc(): void }>>();
  return (one: string, other: string) => {
    const row = known.get(one) ?? new Map<string, { inc(): void }>();
    known.set(one, row);
    const found = row.get(other) ?? child(one, other);
    row.set(other, found);
    found.inc();
  };
}

/** Counted by the tunnels themselves, also while they are open. */
function addTunnelBytes(registry: Registry, { tunnelBytes }: Gauges): void {
  const bytes = new Counter({
    name: 'dsmapper_tunnel_bytes_total',
    help: 'Octets through upgraded connections, to upstreams (in) and to clients (out)',
    labelNames: ['direction'],
    registers: [],
    collect() {
      this.reset();
      const sums = tunnelBytes();
      this.inc({ direction: 'in' }, sums.in);
      this.inc({ direction: 'out' }, sums.out);
    },
  });
  registry.registerMetric(bytes);
}

/** One child per label value, looked up once; they start at 0 so that every series exists from the first scrape on. */
function childrenOf<Value extends string>(counter: Counter, values: readonly Value[]) {
  return new Map(
    values.map((value) => {
      const child = counter.labels(value);
      child.inc(0);
      return [value, child];
    }),
  );
}

function gauge(registers: Registry[], name: string, help: string, read: () => number): void {
  const gauge = new Gauge({
    name,
    help,
    registers: [],
    collect() {
      this.set(read());
    },
  });
  for (const registry of registers) registry.registerMetric(gauge);
}
