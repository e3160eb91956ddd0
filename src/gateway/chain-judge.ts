/**
 * From what a client showed to a path that satisfies every check but revocation, through the certificate cache.
 *
 * Key: digest of the whole presented chain, trust digest, judge settings. Holds the parsed leaf and the judgement. Ends: bounded
 * LRU; a judgement is used only inside its validity window, checked on every use. Only chains from completed handshakes get
 * here, so nobody fills it without holding the private keys.
 *
 * A resumed session carries the leaf alone. The intermediates that its client once sent are kept by leaf and trust, and put
 * back before it is judged like any other chain; otherwise whoever needs them would be refused until its ticket ends.
 */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Digest, Instant } from '../base/brand.ts';
import { digestOf } from '../base/bytes.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { judgeChain } from '../trust/judge.ts';
import type { Judgement, TrustedPath } from '../trust/judgement.ts';
import type { Certificate } from '../x509/certificate.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { Presented } from '../tls/connection.ts';
import type { BindingTrust } from './settings.ts';

export interface ChainJudge {
  /**
   * @param shown with at least one certificate
   * @param excluded certificates that no path may contain: CAs that were found revoked
   */
  judge(
    shown: Presented,
    trust: BindingTrust,
    now: Instant,
    steps: Steps,
    excluded: ReadonlySet<Digest>,
  ): JudgedChain | Verdict;
  readonly size: number;
  clear(): void;
}

export interface JudgedChain {
  readonly path: TrustedPath;
  /** All that was presented and parses. */
  readonly presented: readonly Certificate[];
}

type PresentedChain = Pick<Presented, 'chain' | 'digest'> & Partial<Pick<Presented, 'resumed'>>;

interface Entry {
  readonly judgement: Judgement;
  readonly presented: readonly Certificate[];
  /** The judgement holds from here to there, in milliseconds. */
  readonly from: number;
  readonly until: number;
}

/** @param maximum entries kept */
export function createChainJudge(maximum: number): ChainJudge {
  const cache = new LRUCache<string, Entry>({ max: maximum });
  /** The chain of the path by which a leaf was trusted last, as far as others than the leaf were needed. */
  const chains = new LRUCache<string, PresentedChain>({ max: maximum });

  function completed(shown: PresentedChain, trust: BindingTrust): PresentedChain {
    const [leaf, ...others] = shown.chain;
    if (shown.resumed !== true || leaf === undefined || others.length > 0) return shown;
    return chains.get(`${hash('sha256', leaf, 'hex')}${trust.store.digest}`) ?? shown;
  }

  function keepChain(shown: PresentedChain, { judgement }: Entry, trust: BindingTrust, fresh: boolean): void {
    if (shown.chain.length === 1 || judgement.kind !== 'trusted') return;
    const { certificates } = judgement.path;
    const key = `${certificates[0]?.digest}${trust.store.digest}`;
    if (!fresh && chains.get(key) !== undefined) return;
    const chain = certificates.map(({ der }) => der);
    chains.set(key, { chain, digest: digestOf(...chain) });
  }

  return {
    judge(shownNow, trust, now, steps, excluded) {
      const shown = completed(shownNow, trust);
      const key = keyOf(shown, trust, excluded);
      const known = cache.get(key);
      const fresh = known === undefined || steps.recording || now < known.from || now > known.until;
      const entry = fresh ? judgeAnew(shown.chain, trust, now, steps, excluded) : known;
      if (fresh) cache.set(key, entry);
      keepChain(shown, entry, trust, fresh);
      const { judgement, presented } = entry;
      return judgement.kind === 'trusted' ? { path: judgement.path, presented } : judgement.verdict;
    },
    get size() {
      return cache.size;
    },
    clear() {
      cache.clear();
      chains.clear();
    },
  };
}

function keyOf(shown: PresentedChain, trust: BindingTrust, excluded: ReadonlySet<Digest>): string {
  const { usageCheck, minimumRsaBits, allowSha1, allowCaAsClient } = trust.judge;
  return `${shown.digest}${trust.store.digest}${usageCheck}${minimumRsaBits}${allowSha1}${allowCaAsClient}${[...excluded].join('')}`;
}

function judgeAnew(
  chain: readonly Buffer[],
  trust: BindingTrust,
  now: Instant,
  steps: Steps,
  excluded: ReadonlySet<Digest>,
): Entry {
  const presented: Certificate[] = [];
  for (const [depth, der] of chain.entries()) {
    const parsed = parseCertificate(der);
    if (parsed.kind === 'parsed') presented.push(parsed.certificate);
    else if (depth === 0) return malformedLeaf(parsed.reason, steps);
    else steps.note('judge', 'ignored', `certificate ${depth} of the presented chain does not parse: ${parsed.reason}`);
  }
  const judgement = judgeChain({ presented, store: trust.store, settings: trust.judge, at: now, steps, excluded });
  if (judgement.kind === 'refused') steps.note('judge', judgement.verdict.code, judgement.verdict.detail);
  return { judgement, presented, ...windowOf(judgement, presented, now) };
}

/** A refusal may turn when any date of the presented certificates passes; until then it stands. */
function windowOf(
  judgement: Judgement,
  presented: readonly Certificate[],
  now: Instant,
): { from: number; until: number } {
  if (judgement.kind === 'trusted') return { from: judgement.path.validFrom, until: judgement.path.validUntil };
  const refusalLife = 60_000;
  const dates = presented.flatMap((certificate) => [certificate.notBefore, certificate.notAfter]);
  return {
    from: now,
    until: Math.min(...dates.filter((date) => date > now), now + refusalLife),
  };
}

function malformedLeaf(reason: string, steps: Steps): Entry {
  const refused = verdict('certificateMalformed', `the client certificate does not parse: ${reason}`);
  steps.note('judge', refused.code, refused.detail);
  return {
    judgement: { kind: 'refused', verdict: refused, deadEnds: [] },
    presented: [],
    from: -Infinity,
    until: Infinity,
  };
}
