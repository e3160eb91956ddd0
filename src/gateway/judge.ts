/**
 * From what a client showed to what the flow calls Trusted: a path that satisfies every check, nobody on which is revoked, with the
 * evidence. Where a CA on the path is revoked, or cannot be asked about, another path to an anchor is looked for; where an issuer is
 * missing, it is fetched if the configuration says so.
 */
import type { Digest, Instant, Millis } from '../base/brand.ts';
import { digestOf } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import type { ChainCompletion, ChainQuestion, IssuerFetch } from '../revocation/issuer-fetch.ts';
import type { Evidence, RevocationAnswer } from '../revocation/revocation-contract.ts';
import type { Revocation } from '../revocation/revocation.ts';
import type { Presented } from '../tls/connection.ts';
import type { TrustedPath } from '../trust/judgement.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { ChainJudge, JudgedChain } from './chain-judge.ts';
import type { BindingTrust } from './settings.ts';
import { isVerdict } from './stages.ts';

export interface Judge {
  /** At once where nothing has to be fetched. @param shown with at least one certificate */
  judge(
    shown: Presented,
    trust: BindingTrust,
    now: Instant,
    steps: Steps,
  ): Judged | Verdict | Promise<Judged | Verdict>;
}

export interface Judged {
  readonly path: TrustedPath;
  /** What was found out about the revocation of each certificate; empty where that is disabled. */
  readonly evidence: readonly Evidence[];
  /** From here on revocation must be asked about again. */
  readonly until: Instant;
}

/** Paths that are tried beside the first; an enterprise has two or three at most. */
const maximumDetours = 3;

interface Completion {
  readonly trust: BindingTrust;
  readonly result: Promise<ChainCompletion>;
  /** Monotonic milliseconds. */
  readonly until: number;
}

/** How long a client has what was found for its chain, in milliseconds: looking for it costs searches that are paid by us. */
const completionLife = 5000;

/** @param issuers fetches issuers that nobody presented; null: that is off */
export function createJudge(
  chains: ChainJudge,
  revocation: Revocation,
  issuers: IssuerFetch | null,
  clock: Pick<Clock, 'monotonic'>,
): Judge {
  const completions = new WeakMap<Presented, Completion>();

  /** Once for what a connection presented, however many requests come. */
  function completed(
    issuers: IssuerFetch,
    shown: Presented,
    trust: BindingTrust,
    rest: Pick<ChainQuestion, 'at' | 'timeout'> & { readonly excluded: ReadonlySet<Digest> },
  ): Promise<ChainCompletion> {
    const known = completions.get(shown);
    const now = clock.monotonic();
    if (known !== undefined && known.trust === trust && now < known.until) return known.result;
    const presented = shown.chain
      .map(parseCertificate)
      .flatMap((one) => (one.kind === 'parsed' ? one.certificate : []));
    const result = issuers.completeChain({ presented, store: trust.store, settings: trust.judge, ...rest });
    if (rest.excluded.size === 0) completions.set(shown, { trust, result, until: now + completionLife });
    return result;
  }

  return {
    judge(presentedNow, trust, now, steps) {
      let shown = presentedNow;
      // One for all that is waited for, however many paths are tried.
      const deadline = clock.monotonic() + trust.revocation.retrievalTimeout;
      const remaining = () => Math.max(0, deadline - clock.monotonic()) as Millis;
      const excluded = new Set<Digest>();
      const attempt = (): Judged | Verdict | Promise<Judged | Verdict> => {
        const judged = chains.judge(shown, trust, now, steps, excluded);
        if (isVerdict(judged)) return judged.code === 'chainIncomplete' ? complete(judged) : judged;
        const answer = check(judged);
        return answer instanceof Promise ? answer.then((late) => settle(judged, late)) : settle(judged, answer);
      };

      /** Once for a chain: what has been fetched stays behind what was presented. */
      function complete(incomplete: Verdict): Verdict | Promise<Judged | Verdict> {
        if (issuers === null || shown !== presentedNow) return incomplete;
        const rest = { at: now, excluded, timeout: remaining() };
        return completed(issuers, shown, trust, rest).then(({ certificates, notes }) => {
          for (const note of notes) steps.note('judge', 'issuer fetched', note);
          if (certificates.length === 0) return incomplete;
          const chain = [...shown.chain, ...certificates.map(({ der }) => der)];
          shown = { ...shown, chain, digest: digestOf(...chain) };
          return attempt();
        });
      }

      function check({ path, presented }: JudgedChain): RevocationAnswer | Promise<RevocationAnswer> {
        const { store, revocation: settings } = trust;
        return revocation.check({ path, presented, store, settings, at: now, steps, timeout: remaining() });
      }

      function settle({ path }: JudgedChain, answer: RevocationAnswer): Judged | Verdict | Promise<Judged | Verdict> {
        if (answer.kind === 'good') return { path, evidence: answer.evidence, until: answer.until };
        const blamed = answer.certificate.digest;
        if (blamed === path.certificates[0]?.digest || excluded.size >= maximumDetours) return answer.verdict;
        excluded.add(blamed);
        const detour = attempt();
        // A detour that leads nowhere says less than why it was needed.
        const better = (other: Judged | Verdict) => (isVerdict(other) ? answer.verdict : other);
        return detour instanceof Promise ? detour.then(better) : better(detour);
      }

      return attempt();
    },
  };
}
