/**
 * Whether and how a location asks the mapper, and when "nobody" may become "anonymous". What the mapper finds is
 * decided in `mapping/`.
 */
import type { Instant } from '../base/brand.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { Way } from './exchange.ts';
import type { Setup } from './setup.ts';
import { trustOf } from './setup.ts';
import type { Mapped, Trusted } from './stages.ts';

/** @returns who the client is, or why that could not be said; anonymous only where the location does not map at all */
export async function identify(
  trusted: Trusted,
  way: Way,
  setup: Setup,
  now: Instant,
  steps: Steps,
): Promise<Mapped | Verdict> {
  const { path, presented } = trusted;
  const { location, binding } = presented.rule;
  if (!location.clientCertificateMapping && location.anonymous === 'fallback') return { trusted, identity: null };
  if (path === null) return verdict('notMapped', 'the client showed no certificate and nothing else identifies it');
  if (!location.clientCertificateMapping)
    return verdict('mappingDisabled', `mapping is off at location ${location.path}`);
  if (!binding.dsMapperUsage || setup.mapper === null) {
    return verdict('mappingDisabled', `dsMapperUsage is disabled on binding ${binding.name}`);
  }
  const [leaf] = path.certificates;
  if (leaf === undefined) return verdict('internalError', 'a trusted path without a leaf');
  const subject = {
    leaf,
    issuer: path.issuer,
    path: path.certificates,
    trustDigest: trustOf(binding, setup).store.digest,
  };
  const answer = setup.mapper.map(subject, now, {
    maximumAge: location.maximumAge,
    fresh: steps.recording,
    current: way.current === true,
    steps,
  });
  const { result, cache } = answer instanceof Promise ? await answer : answer;
  way.answeredBy(cache);
  return result.kind === 'mapped' ? { trusted, identity: result.identity } : result.verdict;
}

/**
 * Safe outcomes: only a client that showed no certificate is anonymous; whoever shows one is its account or is
 * refused. IIS outcomes: anonymous is the user of every request that no module gave a user (rows 4 and 22 to 30 of the outcome
 * table), whatever the reason was.
 */
export function fallsBack(trusted: Trusted, refusal: Verdict, setup: Setup): boolean {
  if (trusted.presented.rule.location.anonymous !== 'fallback' || refusal.code === 'internalError') return false;
  return trusted.path === null || setup.settings.outcomes === 'iis';
}
