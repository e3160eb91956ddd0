/**
 * Everything of a setup that knows about revocation: what fetches, what holds lists and OCSP answers, and what decides. Owns them all,
 * and with them the thread that reads lists.
 */
import { randomBytes } from 'node:crypto';
import type { Millis } from '../base/brand.ts';
import { isoText, type Clock } from '../base/clock.ts';
import type { ObjectReader } from '../directory/object-read.ts';
import { createCrlMethod } from '../revocation/crl-method.ts';
import { createCrlStore, type CrlChange } from '../revocation/crl-store.ts';
import { createFetcher } from '../revocation/fetcher.ts';
import { createIssuerFetch, type IssuerFetch } from '../revocation/issuer-fetch.ts';
import { createOcspCache } from '../revocation/ocsp-cache.ts';
import { createOcspMethod } from '../revocation/ocsp-method.ts';
import type { Fetcher, OcspRefreshed, Refreshed, SourceState } from '../revocation/revocation-contract.ts';
import { createRevocation, type Revocation } from '../revocation/revocation.ts';
import { createStapler } from '../revocation/stapler.ts';
import type { BindingSettings } from '../tls/binding.ts';
import { rfc4514Text } from '../x509/name.ts';
import type { Metrics } from './metrics.ts';
import {
  configuredSources,
  isWanted,
  loosestRules,
  namedSources,
  ocspQuestions,
  signersOf,
} from './revocation-sources.ts';
import type { Settings } from './settings.ts';

export interface RevocationSetup {
  readonly engine: Revocation;
  /** Null unless the configuration wants issuers fetched. */
  readonly issuers: IssuerFetch | null;
  /** Takes over what is on disk and reads the lists that the configuration names; waits `timeout` for those that are far away. */
  start(timeout: Millis): Promise<void>;
  /** Every source that was ever asked. */
  states(): readonly SourceState[];
  /** An operator's order: asks now, and may take an older list than the one held. */
  refresh(source: string, allowOlder: boolean): Promise<Refreshed>;
  /**
   * Asks every source that can be known without a client's certificate: lists of the configuration, those that its CA certificates name
   * and those that were in use before; OCSP responders about CA certificates and about our own. Takes over what is good.
   */
  contact(): Promise<readonly Contacted[]>;
  /** What gives the OCSP answer that is stapled to a binding's certificate; null when nothing is. Asked once for each binding. */
  staplerOf(binding: BindingSettings): (() => Buffer | null) | null;
  /** `listener` is told whenever a list came into use. */
  onTaken(listener: () => void): void;
  close(): Promise<void>;
}

export type Contacted =
  | { readonly kind: 'crl'; readonly source: string; readonly refreshed: Refreshed }
  | { readonly kind: 'ocsp'; readonly source: string; readonly refreshed: OcspRefreshed };

export interface RevocationFacilities {
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: Metrics;
  readonly directory: ObjectReader | null;
  /** For commands beside a gateway: what is on disk belongs to that, and is only read. */
  readonly readOnly: boolean;
  /** What becomes of each source, for the log. */
  readonly report: (record: Readonly<Record<string, unknown>>) => void;
}

/** How long an operator waits for what was ordered. */
const orderTimeout = 60_000 as Millis;

/** Nobody waits for what is stapled. */
const staplingTimeout = 15_000 as Millis;
const staplingRules = { maximumAge: null, minimumRsaBits: 2048, nonce: 'never' } as const;

export function createRevocationSetup(settings: Settings, facilities: RevocationFacilities): RevocationSetup {
  const { clock, random, metrics, directory, readOnly, report } = facilities;
  const { hosts, cacheDirectory, maximumCrlBytes, aia } = settings.revocation;
  const configured = configuredSources(settings);
  const files = configured.filter((source) => source.startsWith('file:'));
  const fetcher = createFetcher({ allowedHosts: hosts, files, directory }, clock);
  /** Of what is held. */
  let version = 0;
  const listeners = new Set<() => void>();
  const crls = createCrlStore({
    fetcher: counted(fetcher, 'crl', metrics),
    clock,
    random,
    cacheDirectory,
    readOnly,
    maximumBytes: maximumCrlBytes,
    onChange(change) {
      if (change.kind === 'taken' || change.kind === 'dropped') version += 1;
      if (change.kind === 'taken') for (const listener of listeners) listener();
      report(recordOf(change, clock));
    },
  });
  const ocsp = createOcspCache({
    fetcher: counted(fetcher, 'ocsp', metrics),
    clock,
    random,
    randomBytes,
    onChange: () => (version += 1),
  });
  const crl = createCrlMethod({
    store: crls,
    clock,
    refusalOf: (url) => fetcher.refusalOf(url),
    configured: settings.revocation.crls,
  });
  const engine = createRevocation({
    clock,
    crl,
    ocsp: createOcspMethod(ocsp, crl, clock),
    version: () => version,
    onChecked: (method, status) => metrics.countRevocationCheck(method, status),
  });
  const signers = signersOf(settings);
  const rules = loosestRules(settings);

  return {
    engine,
    issuers: aia ? createIssuerFetch({ fetcher, clock }) : null,
    async start(timeout) {
      if (!isWanted(settings)) return;
      await crls.restore(signers, rules);
      await Promise.all(
        configured.map((source) => crls.refresh(source, signers, { timeout, ...rules, standing: true })),
      );
    },
    states: () => [...crls.states(), ...ocsp.states()],
    async refresh(source, allowOlder) {
      const known = [...configured, ...namedSources(settings, fetcher), ...crls.states().map((state) => state.source)];
      if (!known.includes(source))
        return { kind: 'failed', code: 'notFound', detail: 'no CRL source of this name is known' };
      const refreshed = await crls.refresh(source, signers, {
        timeout: orderTimeout,
        ...rules,
        allowOlder,
        force: true,
      });
      const outcome = refreshed.kind === 'failed' ? refreshed.code : refreshed.kind;
      report({ time: isoText(clock.now()), event: 'revocation.ordered', source, allowOlder, outcome });
      return refreshed;
    },
    async contact() {
      if (!isWanted(settings)) return [];
      await crls.restore(signers, rules);
      const sources = new Set([
        ...configured,
        ...namedSources(settings, fetcher),
        ...crls.states().map(({ source }) => source),
      ]);
      const options = { timeout: orderTimeout, ...rules, force: true };
      const lists = [...sources].map(async (source): Promise<Contacted> => {
        return { kind: 'crl', source, refreshed: await crls.refresh(source, signers, options) };
      });
      const asked = { timeout: orderTimeout, rules: { ...rules, ...staplingRules }, force: true };
      const answers = ocspQuestions(settings).map(async (question): Promise<Contacted> => {
        return { kind: 'ocsp', source: question.responders[0] ?? '', refreshed: await ocsp.refresh(question, asked) };
      });
      return Promise.all([...lists, ...answers]);
    },
    staplerOf({ name }) {
      const question = settings.stapling.get(name);
      if (question === undefined) return null;
      const options = { timeout: staplingTimeout, rules: { ...rules, ...staplingRules } };
      const stapler = createStapler(question, options, { store: ocsp, clock });
      return () => stapler.staple();
    },
    onTaken: (listener) => void listeners.add(listener),
    async close() {
      await Promise.all([crls.close(), ocsp.close()]);
      await fetcher.close();
    },
  };
}

function recordOf(change: CrlChange, clock: Clock): Readonly<Record<string, unknown>> {
  const { kind, ...facts } = change;
  const head = { time: isoText(clock.now()), event: `revocation.${kind}` };
  if (change.kind !== 'taken') return { ...head, ...facts };
  const { source, crl } = change.stored;
  return {
    ...head,
    source,
    issuer: rfc4514Text(crl.issuer),
    crlNumber: crl.crlNumber === null ? null : String(crl.crlNumber),
    entries: crl.entries.count,
    thisUpdate: isoText(crl.thisUpdate),
    nextUpdate: crl.nextUpdate === null ? null : isoText(crl.nextUpdate),
  };
}

function counted(fetcher: Fetcher, kind: SourceState['kind'], metrics: Metrics): Fetcher {
  return {
    ...fetcher,
    async fetch(url, options) {
      const outcome = await fetcher.fetch(url, options);
      metrics.countRevocationFetch(kind, outcome.kind);
      return outcome;
    },
  };
}
