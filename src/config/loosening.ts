/**
 * Whether a location asks less of a client than the one above it, more, or both. Only what opens or closes the door counts:
 * where the request goes and which headers it carries does not.
 */
import type { Millis } from '../base/brand.ts';
import type { AnonymousRule, AuthorizeRule, LocationSettings } from '../gateway/settings.ts';
import { accessRule } from '../iis/access-flags.ts';
import { bothRules, compareRules, noChange, type Change } from './authorize-comparison.ts';

/** How much each rule keeps out; more is stricter. */
const anonymousRank: Readonly<Record<AnonymousRule, number>> = { suppressesMapping: 0, fallback: 1, disabled: 2 };
const certificateRank = { ignore: 0, accept: 1, require: 2 } as const;

export function loosening(above: LocationSettings, below: LocationSettings): Change {
  const looser: string[] = [];
  const stricter: string[] = [];
  for (const { what, rank } of demands) {
    const difference = rank(below) - rank(above);
    if (difference < 0) looser.push(what);
    if (difference > 0) stricter.push(what);
  }
  const rules = maps(above) ? compareRules(above.authorize, below.authorize) : noChange;
  return { looser: [...looser, ...rules.looser], stricter: [...stricter, ...rules.stricter] };
}

/** What both rules demand together; headers and upstream are those of `below`. */
export function strictestOf(above: LocationSettings, below: LocationSettings): LocationSettings {
  const flags = [...new Set([...above.access.flags, ...below.access.flags])].filter((flag) => flag !== 'None');
  const ages = [above, below].filter(maps).flatMap(({ maximumAge }) => maximumAge ?? []);
  return {
    ...below,
    exact: false,
    access: accessRule(flags),
    anonymous: anonymousRank[above.anonymous] > anonymousRank[below.anonymous] ? above.anonymous : below.anonymous,
    clientCertificateMapping: above.clientCertificateMapping || below.clientCertificateMapping,
    authorize: ruleOfBoth(above, below),
    maximumAge: ages.length === 0 ? null : (Math.min(...ages) as Millis),
  };
}

/** Where nobody is mapped, what accounts must be and their age demand nothing. */
function maps({ anonymous, clientCertificateMapping }: LocationSettings): boolean {
  return clientCertificateMapping && anonymous !== 'suppressesMapping';
}

function ruleOfBoth(above: LocationSettings, below: LocationSettings): AuthorizeRule {
  if (!maps(above)) return below.authorize;
  return maps(below) ? bothRules(above.authorize, below.authorize) : above.authorize;
}

/** Neither anonymous nor mapping: nobody gets in, whatever else is demanded. */
export function refusesAll({ anonymous, clientCertificateMapping }: LocationSettings): boolean {
  return anonymous === 'disabled' && !clientCertificateMapping;
}

const demands: readonly { readonly what: string; readonly rank: (rule: LocationSettings) => number }[] = [
  { what: 'Ssl', rank: ({ access }) => Number(access.ssl) },
  { what: 'Ssl128', rank: ({ access }) => Number(access.ssl128) },
  { what: 'client certificate', rank: ({ access }) => certificateRank[access.clientCertificate] },
  { what: 'anonymous', rank: ({ anonymous }) => anonymousRank[anonymous] },
  { what: 'clientCertificateMapping', rank: (rule) => Number(rule.clientCertificateMapping) },
  { what: 'maximumAge', rank: (rule) => -((maps(rule) ? rule.maximumAge : null) ?? Number.MAX_SAFE_INTEGER) },
];
