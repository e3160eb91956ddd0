/**
 * Whether a mapped account may use a location: everything that its rule demands must hold. What must hold is decided in
 * `certificate-demands.ts` and `membership.ts`; here, what becomes of a refusal: under `reportOnly` the request is served as if it had
 * passed, and what would have been is remembered beside it. Anonymous requests are not asked: whether there may be any
 * was decided before.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { rulesOf } from './authorize-rules.ts';
import { unmetDemand } from './certificate-demands.ts';
import { hasEarned } from './memory.ts';
import { membershipOf } from './membership.ts';
import type { Way } from './exchange.ts';
import type { Setup } from './setup.ts';
import type { Authorised, Mapped } from './stages.ts';

/** How long a location that only reports goes on before it asks again for groups that were not known, in milliseconds. */
export const unknownLife = 5000;

/** @returns a verdict when a rule that does not only report refuses */
export async function authorise(
  mapped: Mapped,
  way: Pick<Way, 'connection'>,
  setup: Setup,
  now: Instant,
  steps: Steps,
): Promise<Authorised | Verdict> {
  const { identity, trusted } = mapped;
  const { location } = trusted.presented.rule;
  if (identity === null) {
    steps.note('authorise', 'allowed', 'anonymous is allowed here');
    return { mapped, wouldRefuse: null, until: never };
  }
  const { path } = trusted;
  const { account } = identity;
  if (path === null) return verdict('internalError', `${account.name} without a trusted path`, account);
  const again = way.connection !== null && hasEarned(way.connection, location);
  // Half of it, so that a round of rechecks finds what the round before read too old, and what it reads itself good for all connections of an account.
  const freshFor = again ? ((setup.settings.limits.recheck / 2) as Millis) : null;

  let wouldRefuse: Verdict | null = null;
  let until = never;
  for (const rule of rulesOf(location.authorize)) {
    const unmet = unmetDemand(identity, path, rule, location.path);
    const members = setup.principals.of(rule, account);
    const { refusal, readAt } =
      unmet === null
        ? await membershipOf({ account, location, members, mapper: setup.mapper, now, steps, freshFor })
        : { refusal: unmet, readAt: null };
    if (refusal !== null && !rule.reportOnly) {
      steps.note('authorise', refusal.code, refusal.detail);
      return refusal;
    }
    until = Math.min(until, endOf(refusal, readAt, location.maximumAge, now)) as Instant;
    if (refusal === null) continue;
    wouldRefuse ??= refusal;
    if (steps.recording) steps.note('authorise', 'reportOnly', `would be refused (${refusal.code}): ${refusal.detail}`);
  }
  if (steps.recording && wouldRefuse === null)
    steps.note('authorise', 'allowed', `${account.name} may use ${location.path}`);
  return { mapped, wouldRefuse, until };
}

const never = Infinity as Instant;

/** From when on the rule is to be asked again, apart from the recheck interval. */
function endOf(refusal: Verdict | null, readAt: Instant | null, maximumAge: Millis | null, now: Instant): number {
  if (refusal?.code === 'groupsUnknown') return now + unknownLife;
  return readAt === null || maximumAge === null ? never : readAt + maximumAge;
}
