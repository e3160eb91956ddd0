/**
 * One question from rule to answer: the way of `flow.ts`, for a client that is connected to somebody else. Decides nothing that the gateway
 * itself would decide otherwise.
 */
import { noSteps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { CacheOutcome } from '../mapping/mapper-contract.ts';
import type { AuthClient, AuthClients } from './auth-clients.ts';
import type { AuthQuestion } from './auth-question.ts';
import type { CallerPins } from './auth-rule.ts';
import { ruleFor } from './auth-rule.ts';
import type { Way } from './exchange.ts';
import { decide, demand } from './flow.ts';
import { remembered } from './memory.ts';
import { stages, type Stage } from './metrics.ts';
import { looksAtCertificates } from './rule.ts';
import type { Setup } from './setup.ts';
import type { Outgoing, Presented, Rule, Trusted } from './stages.ts';
import { isVerdict } from './stages.ts';

/** Who asks, as the setup of the moment knows it. */
export interface AskingCaller {
  readonly pins: CallerPins;
  readonly clients: AuthClients;
}

/** @returns at once where the client's answer is remembered */
export function answerQuestion(
  question: AuthQuestion,
  caller: AskingCaller,
  setup: Setup,
  way: AuthWay,
): Outgoing | Verdict | Promise<Outgoing | Verdict> {
  const rule = ruleFor(question, caller.pins, setup);
  way.mark('rule');
  if (isVerdict(rule)) return rule;
  way.rule = rule;
  // Read whatever the location wants to see: a caller that writes what nobody can read is not set up as it was meant.
  const client = caller.clients.client(rule.binding, question.leaf, question.chain);
  if (typeof client === 'string') return verdict('badRequest', `the certificate in the question ${client}`);
  way.connection = client;
  const presented = demand({ rule, shown: looksAtCertificates(rule) ? client.presented : null }, noSteps);
  way.mark('present');
  if (isVerdict(presented)) return presented;
  return earnedBefore(presented, way, setup) ?? decide(presented, way, setup, noSteps);
}

/** The first thing that `decide` looks at, without waiting for a turn. */
function earnedBefore(presented: Presented, way: AuthWay, setup: Setup): Outgoing | null {
  const earned = remembered(way.connection, presented, setup, setup.clock.now());
  if (earned !== null && earned.authorised.mapped.identity !== null) way.answeredBy('connection');
  return earned;
}

/** What became known on the way, for log and metrics. */
export class AuthWay implements Way {
  connection: AuthClient | null = null;
  rule: Rule | null = null;
  trusted: Trusted | null = null;
  cache: CacheOutcome | 'connection' | null = null;
  /** Milliseconds by position in `stages`; -1 where the question did not get. */
  readonly timings: number[] = stages.map(() => -1);
  readonly #monotonic: () => number;
  #last: number;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
    this.#last = monotonic();
  }

  mark(stage: Stage): void {
    const now = this.#monotonic();
    this.timings[stages.indexOf(stage)] = now - this.#last;
    this.#last = now;
  }

  judged(trusted: Trusted): void {
    this.trusted = trusted;
  }

  answeredBy(cache: CacheOutcome | 'connection'): void {
    this.cache = cache;
  }
}
