/**
 * Issuers that nobody has presented or configured, from where the certificates below them say (caIssuers of RFC 5280 section 4.2.2.1).
 * Decides what is fetched for one chain and how much of it: only at the dead ends of a judgement that has found no path, only from allowed
 * hosts, never the same place twice, and a few small answers altogether. What comes back is put behind the presented chain and judged like
 * it; it gets no trust from here.
 *
 * Whoever presents a certificate decides by it what is asked of the allowed hosts, before anything about it has been proven.
 * So nobody calls this unless the configuration says so.
 */
import { LRUCache } from 'lru-cache';
import type { Digest, Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { reasonOf } from '../base/failure.ts';
import { noSteps } from '../base/steps.ts';
import { settlesWithin } from '../directory/patience.ts';
import { judgeChain, type JudgeInput } from '../trust/judge.ts';
import { parseCertificateBundle } from '../x509/certificate-bundle.ts';
import type { Certificate } from '../x509/certificate.ts';
import { createFetchGate } from './fetch-gate.ts';
import type { Fetcher } from './revocation-contract.ts';

export interface ChainQuestion extends Omit<JudgeInput, 'steps' | 'budget'> {
  /** Bound on all fetching for this chain. */
  readonly timeout: Millis;
}

export interface ChainCompletion {
  /** To be put behind what was presented; empty where nothing was found. */
  readonly certificates: readonly Certificate[];
  /** One clause for each place that was asked. */
  readonly notes: readonly string[];
}

export interface IssuerFetch {
  /** For a chain that was refused as `chainIncomplete`. Never rejects, settles within `timeout`. */
  completeChain(question: ChainQuestion): Promise<ChainCompletion>;
}

export interface IssuerFetchSettings {
  readonly fetcher: Pick<Fetcher, 'fetch' | 'refusalOf'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** How long what was found is kept. */
  readonly positive?: Millis;
  /** How long a failure is. */
  readonly negative?: Millis;
}

/** Certificates that a path may lack. */
const maximumRounds = 3;
const maximumFetches = 8;
const maximumBytes = 65_536;
/** Places remembered, a bundle or a failure each. */
const maximumPlaces = 200;
/** Of what may be fetched at once, so that lists and OCSP answers have places that no stranger takes. */
const strangersShare = { overall: 4, perHost: 2, waiting: 100 };
/** Bound on one fetch, which others may have joined. */
const fetchTimeout = 15_000 as Millis;

export function createIssuerFetch(settings: IssuerFetchSettings): IssuerFetch {
  const { fetcher, clock, positive = 3_600_000, negative = 60_000 } = settings;
  const gate = createFetchGate(strangersShare);
  const places = new LRUCache<string, Place>({ max: maximumPlaces });

  /** Joins a fetch of the same place that is under way or was lately. */
  function bundleOf(url: string): Promise<Bundle> {
    const known = places.get(url);
    if (known !== undefined && clock.monotonic() < known.until) return known.bundle;
    const place: Place = { bundle: fetchBundle(url), until: Infinity };
    places.set(url, place);
    void place.bundle.then(({ certificates }) => {
      place.until = clock.monotonic() + (certificates.length > 0 ? positive : negative);
    });
    return place.bundle;
  }

  async function fetchBundle(url: string): Promise<Bundle> {
    const none = (why: string): Bundle => ({ certificates: [], note: `no issuer from ${url}: ${why}` });
    const work = () => fetcher.fetch(url, { timeout: fetchTimeout, maximumBytes });
    const outcome = await gate.pass(hostOf(url), AbortSignal.timeout(fetchTimeout), work).catch(reasonOf);
    if (typeof outcome === 'string') {
      // Others took the places: the next one may have more luck.
      places.delete(url);
      return none(outcome);
    }
    if (outcome.kind !== 'fetched') return none(outcome.kind === 'failed' ? outcome.detail : 'not modified');
    const parsed = parseCertificateBundle(outcome.bytes);
    if (parsed.kind === 'malformed') return none(parsed.reason);
    const { certificates } = parsed;
    return { certificates, note: `${certificates.length} certificates from ${url}` };
  }

  return {
    async completeChain(question) {
      const deadline = clock.monotonic() + question.timeout;
      const found = new Map<Digest, Certificate>();
      const asked = new Set<string>();
      const notes: string[] = [];
      for (let round = 0; round < maximumRounds; round += 1) {
        const presented = [...question.presented, ...found.values()];
        const urls = wantedPlaces(question, presented).filter(
          (url) => !asked.has(url) && fetcher.refusalOf(url) === null,
        );
        const before = found.size;
        const pending = urls.slice(0, maximumFetches - asked.size).map(async (url) => {
          asked.add(url);
          const bundle = bundleOf(url);
          const inTime = await settlesWithin(bundle, deadline - clock.monotonic());
          const { certificates, note } = inTime
            ? await bundle
            : { certificates: [], note: `no answer in time from ${url}` };
          notes.push(note);
          for (const certificate of certificates) found.set(certificate.digest, certificate);
        });
        await Promise.all(pending);
        if (found.size === before || deadline <= clock.monotonic()) break;
      }
      return { certificates: [...found.values()], notes };
    },
  };
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? '';
}

interface Place {
  readonly bundle: Promise<Bundle>;
  /** Monotonic milliseconds. */
  until: number;
}

interface Bundle {
  /** Empty: it could not be had. */
  readonly certificates: readonly Certificate[];
  readonly note: string;
}

/** Where the certificates say their issuers are at which no path goes on; nothing when there is a path. */
function wantedPlaces(question: ChainQuestion, presented: readonly Certificate[]): readonly string[] {
  const judgement = judgeChain({ ...question, presented, steps: noSteps });
  if (judgement.kind === 'trusted') return [];
  const ends = new Set(
    judgement.deadEnds.filter(({ code }) => code === 'chainIncomplete').map(({ thumbprint }) => thumbprint),
  );
  const urls = [...presented, ...question.store.intermediates]
    .filter(({ thumbprint }) => ends.has(thumbprint))
    .flatMap(({ extensions }) => extensions.authorityInfoAccess.caIssuers);
  return [...new Set(urls)];
}
