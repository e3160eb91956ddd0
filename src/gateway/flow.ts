/**
 * One request, from connection to upstream: the drawing of docs/life-of-a-request.md as code.
 *
 *   Connection -> rule -> Presented -> judge -> Trusted -> map -> Mapped -> authorise -> Authorised -> dress -> Outgoing
 *
 * Each step takes the value of the step before it and yields the next one, or a verdict that ends the way. Nothing
 * here knows of formats, caches, LDAP or DER.
 */
import type { Instant } from '../base/brand.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { Presented as PresentedChain } from '../tls/connection.ts';
import { authorise } from './authorise.ts';
import { dress } from './dress.ts';
import type { Exchange, Way } from './exchange.ts';
import { fallsBack, identify } from './identify.ts';
import { remember, remembered } from './memory.ts';
import { answerPreflight } from './preflight.ts';
import { answerProbe } from './probes.ts';
import { looksAtCertificates, ruleOf } from './rule.ts';
import type { Setup } from './setup.ts';
import { trustOf } from './setup.ts';
import type { Mapped, Outgoing, Presented, Rule, Trusted } from './stages.ts';
import { isVerdict } from './stages.ts';
import { upgradeOf } from './upgrade.ts';
import { whoami } from './whoami.ts';

/** The whole way of a request. @returns how it ended; a good verdict means that the upstream's answer was passed on */
export async function handle(exchange: Exchange, setup: Setup, steps: Steps): Promise<Verdict> {
  const rule = ruleOf(exchange, exchange, setup);
  exchange.mark('rule');
  if (isVerdict(rule)) return rule;
  exchange.rule = rule;
  if (rule.probe !== undefined) return answerProbe(rule.probe, exchange, setup);
  const answered = answerPreflight(rule, exchange, setup);
  if (answered !== null) return answered;
  const upgrade = upgradeOf(rule, exchange.request);
  if (upgrade !== null && isVerdict(upgrade)) return upgrade;
  exchange.upgrade = upgrade;

  const presented = await present(rule, exchange, setup, steps);
  exchange.mark('present');
  if (isVerdict(presented)) return presented;

  const outgoing = await decide(presented, exchange, setup, steps);
  if (isVerdict(outgoing)) return outgoing;
  exchange.outgoing = outgoing;

  const ending = rule.whoami ? whoami(exchange, outgoing, setup) : await exchange.forward(outgoing, setup);
  exchange.mark('forward');
  return ending;
}

/** From what the client presented to what goes upstream: also what explain and recheck walk. */
export async function decide(presented: Presented, way: Way, setup: Setup, steps: Steps): Promise<Outgoing | Verdict> {
  const now = setup.clock.now();
  const endings = setup.mapper?.endings;
  const earned = remembered(way.connection, presented, setup, now);
  if (earned !== null) {
    if (earned.authorised.mapped.identity !== null) way.answeredBy('connection');
    return earned;
  }

  const trusted = await judge(presented, setup, now, steps);
  way.mark('judge');
  if (isVerdict(trusted)) return trusted;
  way.judged(trusted);

  const mapped = await map(trusted, way, setup, now, steps);
  way.mark('map');
  if (isVerdict(mapped)) return mapped;

  const authorised = await authorise(mapped, way, setup, now, steps);
  way.mark('authorise');
  if (isVerdict(authorised)) return authorised;

  const outgoing = await dress(authorised, way, setup, now, steps);
  way.mark('dress');
  if (isVerdict(outgoing)) return outgoing;
  return remember(way.connection, outgoing, setup, now, setup.mapper?.endings === endings);
}

async function present(rule: Rule, exchange: Exchange, setup: Setup, steps: Steps): Promise<Presented | Verdict> {
  if (!looksAtCertificates(rule)) return { rule, shown: null };
  const shown = exchange.connection.presented ?? (await askLate(rule, exchange, setup));
  if (shown !== null && isVerdict(shown)) return shown;
  return demand({ rule, shown: shown === null || shown.chain.length === 0 ? null : shown }, steps);
}

/** Renegotiates on bindings that ask late; the body is read first, or both sides would wait for each other. */
async function askLate(rule: Rule, exchange: Exchange, setup: Setup): Promise<PresentedChain | Verdict | null> {
  if (rule.binding.clientCertificate !== 'late') return null;
  const refused = await exchange.readAhead(setup);
  if (refused !== null) return refused;
  const answer = await exchange.ask(setup.settings.limits.renegotiationTimeout);
  if (typeof answer !== 'string') return answer;
  return verdict('renegotiationFailed', `the client did not complete the renegotiation: ${answer}`);
}

/** Whether what was shown is enough to go on with. */
export function demand(presented: Presented, steps: Steps): Presented | Verdict {
  const { rule, shown } = presented;
  const count = shown?.chain.length ?? 0;
  const text = shown === null ? 'no certificate' : `${count} certificate${count === 1 ? '' : 's'}, ${shown.how}`;
  if (shown !== null || rule.location.access.clientCertificate !== 'require') {
    steps.note('presented', shown === null ? 'none' : 'certificate', `${text} on binding ${rule.binding.name}`);
    return presented;
  }
  const refused = verdict(
    'certificateRequired',
    `location ${rule.location.path} requires a certificate, the client showed none`,
  );
  steps.note('presented', refused.code, refused.detail);
  return refused;
}

/** Whether the chain that was shown is good and nobody on it is revoked. */
async function judge(presented: Presented, setup: Setup, now: Instant, steps: Steps): Promise<Trusted | Verdict> {
  const { shown, rule } = presented;
  if (shown === null) return { presented, path: null, evidence: [], until: now };
  const judged = await setup.judge.judge(shown, trustOf(rule.binding, setup), now, steps);
  return isVerdict(judged) ? judged : { presented, ...judged };
}

async function map(trusted: Trusted, way: Way, setup: Setup, now: Instant, steps: Steps): Promise<Mapped | Verdict> {
  const { location } = trusted.presented.rule;
  const anonymous: Mapped = { trusted, identity: null };
  if (location.anonymous === 'suppressesMapping') return anonymous;
  const mapped = await identify(trusted, way, setup, now, steps);
  if (!isVerdict(mapped)) return mapped;
  if (!fallsBack(trusted, mapped, setup)) return mapped;
  steps.note('map', 'anonymous', mapped.detail);
  return anonymous;
}
