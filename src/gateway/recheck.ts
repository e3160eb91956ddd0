/**
 * Live connections are judged, mapped and authorised again every `recheck`, after their accounts have been read again: one whose identity no longer holds is ended, also in
 * the middle of a stream. Not knowing ends nothing before its time, which is the location's `maximumAge`: what a silent directory or revocation server
 * means for the next request is decided when it comes.
 */
import { reasonOf } from '../base/failure.ts';
import { noSteps } from '../base/steps.ts';
import type { Verdict, VerdictCode } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { Connection } from '../tls/connection.ts';
import type { Front } from '../tls/front.ts';
import { unwatched } from './exchange.ts';
import { decide } from './flow.ts';
import type { LiveAccounts } from './live-accounts.ts';
import { earnedBy, expire, forgetEarned } from './memory.ts';
import { renewed } from './renewed.ts';
import type { Setup } from './setup.ts';
import type { Outgoing, Presented } from './stages.ts';
import { isVerdict } from './stages.ts';

export interface Recheck {
  /** One round over all connections, now; what the timer calls. @returns how many were ended */
  run(): Promise<number>;
  stop(): void;
}

/**
 * @param report told of every connection that is ended, and why
 * @param accounts those of live connections, read again at the beginning of each round
 * @param older requests in hand that began under an older setup
 */
export function startRecheck(
  front: Pick<Front, 'connections'>,
  setup: () => Setup,
  report: (connection: Connection, why: Verdict) => void,
  accounts: Pick<LiveAccounts, 'readAgain'>,
  older: () => readonly OlderRequest[] = () => [],
): Recheck {
  let running: Promise<number> | null = null;
  let next: Promise<number> | null = null;
  const start = () =>
    (running ??= accounts
      .readAgain(Infinity)
      .then(() => round(front, setup(), report, older()))
      .finally(() => (running = null)));
  // A round under way may be past connections that whatever has just changed concerns: whoever asks gets one that begins after it.
  const afterwards = (former: Promise<number>) =>
    (next ??= former.then(() => {
      next = null;
      return start();
    }));
  const run = () => (running === null ? start() : afterwards(running));
  const timer = setInterval(() => void start(), setup().settings.limits.recheck);
  timer.unref();
  return { run, stop: () => clearInterval(timer) };
}

/** A request that is being served and was let in under an older setup than the newest. */
export interface OlderRequest {
  readonly connection: Connection;
  readonly presented: Presented;
}

/**
 * Few connections at a time, so that a round of thousands never stands in the way of requests; but several, so that one silent domain
 * does not keep the rest of a round waiting.
 */
const atATime = 16;

async function round(
  front: Pick<Front, 'connections'>,
  setup: Setup,
  report: (connection: Connection, why: Verdict) => void,
  older: readonly OlderRequest[],
): Promise<number> {
  const requests = Map.groupBy(older, ({ connection }) => connection);
  const waiting = [...front.connections()].values();
  let ended = 0;
  async function work(): Promise<void> {
    for (const connection of waiting) {
      const why = connection.closed ? null : await faultOf(connection, requests.get(connection) ?? [], setup);
      if (why === null) continue;
      connection.end('atOnce');
      ended += 1;
      report(connection, why);
    }
  }
  await Promise.all(Array.from({ length: atATime }, work));
  return ended;
}

/** What was not found out, and may be in the next round. */
const unknowns: ReadonlySet<VerdictCode> = new Set(['directoryUnavailable', 'groupsUnknown', 'revocationUnknown']);

/** What cannot be said now stays in the connection's memory, out of date, and is asked again in the next round. */
async function faultOf(connection: Connection, older: readonly OlderRequest[], setup: Setup): Promise<Verdict | null> {
  const earned = earnedBy(connection);
  expire(connection);
  try {
    for (const { authorised } of earned) {
      const again = await decideAgain(authorised.mapped.trusted.presented, connection, setup);
      if (isVerdict(again) && (!unknowns.has(again.code) || isTooOld(authorised, setup))) return again;
    }
    for (const { presented } of older) {
      const again = await decideAgain(presented, connection, setup);
      if (isVerdict(again) && !unknowns.has(again.code)) return again;
    }
    return null;
  } catch (error) {
    // A bug in a step: an identity that cannot be confirmed does not live on.
    return verdict('internalError', `unexpected: ${reasonOf(error)}`);
  }
}

/** A stream has no next request that `maximumAge` could refuse: what rests on an account that was read too long ago ends here. */
function isTooOld({ mapped }: Outgoing['authorised'], { clock }: Setup): boolean {
  const { maximumAge } = mapped.trusted.presented.rule.location;
  const account = mapped.identity?.account;
  return account !== undefined && maximumAge !== null && clock.now() - account.readAt > maximumAge;
}

/** Under the rule that the newest setup has for the place. */
async function decideAgain(presented: Presented, connection: Connection, setup: Setup): Promise<Outgoing | Verdict> {
  const { location } = presented.rule;
  const now = setup.sites.holds(location) ? presented : renewed(presented, connection, setup);
  if (isVerdict(now)) return now;
  const again = await decide(now, { connection, current: true, ...unwatched }, setup, noSteps);
  if (now !== presented && !isVerdict(again)) forgetEarned(connection, location);
  return again;
}
