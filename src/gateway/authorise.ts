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
import { unmetDemand } from './certificate-demands.ts';
import { hasEarned } from './memory.ts';
import type { Membership } from './membership.ts';
import { membershipOf } from './membership.ts';
import type { Way } from './exchange.ts';
import type { Setup } from './setup.ts';
import type { Authorised, Mapped } from './stages.ts';

/** How long a location that only reports goes on before it asks again for groups that were not known, in milliseconds. */
export const unknownLife = 5000;

/** At once where no groups have to be read. */
export function authorise(
  mapped: Mapped,
  way: Pick<Way, 'connection'>,
  setup: Setup,
  now: Instant,
  steps: Steps,
): Authorised | Verdict | Promise<Authorised | Verdict> {
  const { identity, trusted } = mapped;
  const { location } = trusted.presented.rule;
  if (identity === null) {
    steps.note('authorise', 'allowed', 'anonymous is allowed here');
    return { mapped, wouldRefuse: null, until: never };
  }
  const { account } = identity;
  if (trusted.path === null) return verdict('internalError', `${account.name} without a trusted path`, account);
  const refused = unmetDemand(identity, trusted.path, location);
  if (refused !== null) return concluded({ refusal: refused, readAt: null }, mapped, now, steps);
  const again = way.connection !== null && hasEarned(way.connection, location);
  const membership = membershipOf({
    account,
    location,
    rule: setup.principals.of(location),
    mapper: setup.mapper,
    now,
    steps,
    // Half of it, so that a round of rechecks finds those of the round before too old, and its own good for all connections of an account.
    freshFor: again ? ((setup.settings.limits.recheck / 2) as Millis) : null,
  });
  return membership instanceof Promise
    ? membership.then((late) => concluded(late, mapped, now, steps))
    : concluded(membership, mapped, now, steps);
}

const never = Infinity as Instant;

function concluded({ refusal, readAt }: Membership, mapped: Mapped, now: Instant, steps: Steps): Authorised | Verdict {
  const { location } = mapped.trusted.presented.rule;
  const { maximumAge } = location;
  const until = readAt === null || maximumAge === null ? never : ((readAt + maximumAge) as Instant);
  if (refusal === null) {
    if (steps.recording)
      steps.note('authorise', 'allowed', `${mapped.identity?.account.name} may use ${location.path}`);
    return { mapped, wouldRefuse: null, until };
  }
  if (!location.authorize.reportOnly) {
    steps.note('authorise', refusal.code, refusal.detail);
    return refusal;
  }
  if (steps.recording) steps.note('authorise', 'reportOnly', `would be refused (${refusal.code}): ${refusal.detail}`);
  const askAgain = refusal.code === 'groupsUnknown' ? ((now + unknownLife) as Instant) : until;
  return { mapped, wouldRefuse: refusal, until: askAgain };
}
