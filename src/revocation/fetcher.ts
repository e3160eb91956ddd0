/**
 * Everything that revocation checking gets over a network or from a file. Decides nothing itself: what may be asked is decided in
 * `fetch-target.ts`, how long one retrieval may take in `retrieval.ts`, how many go on at once in `fetch-gate.ts`, and each kind of
 * source has a file of its own.
 */
import type { Clock } from '../base/clock.ts';
import type { ObjectReader } from '../directory/object-read.ts';
import { createAllowedHosts } from './allowed-hosts.ts';
import { createFetchGate, type GateSettings } from './fetch-gate.ts';
import { filePath, targetOf, type FetchTarget, type Reach } from './fetch-target.ts';
import { fetchFile } from './file-fetch.ts';
import { createHostLookup } from './host-lookup.ts';
import { fetchHttp } from './http-fetch.ts';
import { fetchLdap } from './ldap-fetch.ts';
import { retrieve, type Fetched, type Retrieval } from './retrieval.ts';
import type { Fetcher, FetchOptions, FetchOutcome } from './revocation-contract.ts';

export interface FetcherSettings {
  /** As `createAllowedHosts` reads them. */
  readonly allowedHosts: readonly string[];
  /** Sources of the configuration that are files: `file:///...` or absolute paths. No other file is ever read. */
  readonly files?: readonly string[];
  /** For `ldap:///...` and for URLs that name one of its servers. */
  readonly directory: ObjectReader | null;
  /** PEM texts that certificates of https servers must chain to; default: Node's roots. */
  readonly certificateAuthorities?: readonly string[];
  readonly limits?: Partial<GateSettings>;
}

/** Retrievals at once. One client's certificate needs two or three; those of many join in the stores above. */
const defaultLimits: GateSettings = { overall: 16, perHost: 4, waiting: 1000 };

/** @throws Failure `revocation-hosts` for a host that is none */
export function createFetcher(settings: FetcherSettings, clock: Clock): Fetcher {
  const { directory, allowedHosts, files = [], certificateAuthorities = [] } = settings;
  const reach: Reach = {
    hosts: createAllowedHosts(allowedHosts),
    files: new Set(files.map(filePath).filter((path) => path !== null)),
    serves: directory === null ? null : (host) => directory.serves(host),
  };
  const gate = createFetchGate({ ...defaultLimits, ...settings.limits });
  const http = {
    gate,
    clock,
    certificateAuthorities,
    lookup: createHostLookup(),
    targetOf: (url: string) => targetOf(url, reach),
  };
  const closing = new AbortController();
  const underWay = new Set<Promise<unknown>>();

  /** Its end is waited for by `close`, even where its outcome has been given before. */
  function tracked<T>(work: Promise<T>): Promise<T> {
    underWay.add(work);
    const forget = (): void => void underWay.delete(work);
    work.then(forget, forget);
    return work;
  }

  function work(target: FetchTarget, options: FetchOptions, retrieval: Retrieval): Promise<Fetched> {
    if (target.kind === 'http') return fetchHttp(target, options, retrieval, http);
    if (target.kind === 'file') return fetchFile(target.path, options, retrieval);
    return gate.pass(target.server?.url ?? 'the directory', retrieval.signal, () =>
      fetchLdap(target, options.maximumBytes, retrieval, directory, clock),
    );
  }

  return {
    async fetch(url, options): Promise<FetchOutcome> {
      const target = targetOf(url, reach);
      if (target.kind === 'refused') return { kind: 'failed', code: target.code, detail: target.why };
      const { signal, timeout } = options;
      const signals = signal === undefined ? [closing.signal] : [closing.signal, signal];
      return retrieve(
        (retrieval) => tracked(work(target, options, retrieval)),
        timeout,
        signals,
        () => clock.monotonic(),
      );
    },
    refusalOf(url) {
      const target = targetOf(url, reach);
      return target.kind === 'refused' ? target.why : null;
    },
    async close() {
      closing.abort();
      await Promise.allSettled(underWay);
    },
  };
}
