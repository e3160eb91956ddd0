/**
 * From what a client showed to a validated chain, through the certificate cache.
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
import type { Instant } from '../base/brand.ts';
import { digestOf } from '../base/bytes.ts';
import { isoText } from '../base/clock.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { judgeChain } from '../trust/judge.ts';
import type { Judgement, TrustedPath } from '../trust/judgement.ts';
import type { Certificate } from '../x509/certificate.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { Presented } from '../tls/connection.ts';
import type { BindingTrust } from './settings.ts';

export interface Judge {
  /** @param shown with at least one certificate */
  judge(shown: Presented, trust: BindingTrust, now: Instant, steps: Steps): TrustedPath | Verdict;
  readonly size: number;
  clear(): void;
}

type PresentedChain = Pick<Presented, 'chain' | 'digest'> & Partial<Pick<Presented, 'resumed'>>;

interface Entry {
  readonly judgement: Judgement;
  /** The judgement holds from here to there, in milliseconds. */
  readonly from: number;
  readonly until: number;
}

/** @param maximum entries kept */
export function createJudge(maximum: number): Judge {
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
    judge(presented, trust, now, steps) {
      const shown = completed(presented, trust);
      const key = keyOf(shown, trust);
      const known = cache.get(key);
      const fresh = known === undefined || steps.recording || now < known.from || now > known.until;
      const entry = fresh ? judgeAnew(shown.chain, trust, now, steps) : known;
      if (fresh) cache.set(key, entry);
      keepChain(shown, entry, trust, fresh);
      return entry.judgement.kind === 'trusted' ? entry.judgement.path : entry.judgement.verdict;
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

function keyOf(shown: PresentedChain, trust: BindingTrust): string {
  const { usageCheck, minimumRsaBits, allowSha1, allowCaAsClient } = trust.judge;
  return `${shown.digest}${trust.store.digest}${usageCheck}${minimumRsaBits}${allowSha1}${allowCaAsClient}`;
}

function judgeAnew(chain: readonly Buffer[], trust: BindingTrust, now: Instant, steps: Steps): Entry {
  const presented: Certificate[] = [];
  for (const [depth, der] of chain.entries()) {
    const parsed = parseCertificate(der);
    if (parsed.kind === 'parsed') presented.push(parsed.certificate);
    else if (depth === 0) return malformedLeaf(parsed.reason, steps);
    else steps.note('judge', 'ignored', `certificate ${depth} of the presented chain does not parse: ${parsed.reason}`);
  }
  const judgement = judgeChain({ presented, store: trust.store, settings: trust.judge, at: now, steps });
  if (steps.recording) noteResult(judgement, steps);
  return { judgement, ...windowOf(judgement, presented, now) };
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
  return { judgement: { kind: 'refused', verdict: refused, deadEnds: [] }, from: -Infinity, until: Infinity };
}

function noteResult(judgement: Judgement, steps: Steps): void {
  if (judgement.kind === 'refused') {
    steps.note('judge', judgement.verdict.code, judgement.verdict.detail);
    return;
  }
  const { certificates, validFrom, validUntil } = judgement.path;
  const text = `chain of ${certificates.length} is good from ${isoText(validFrom)} to ${isoText(validUntil)}; revocation is not checked (disabled for this binding)`;
  steps.note('judge', 'trusted', text);
}
