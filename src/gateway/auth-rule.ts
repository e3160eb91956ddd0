/**
 * Which rule holds for a question. What the caller is pinned to decides: the host it tells must be one of its sites' on one of its bindings, the
 * path is read as the gateway reads paths, and no word of the caller leads to a rule that its pins do not have.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { isToken } from '../forward/field-syntax.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { AuthCallerSettings } from './auth-endpoint-settings.ts';
import type { AuthQuestion } from './auth-question.ts';
import { hostOf, requestTarget } from './authority.ts';
import { canonicalPath } from './canonical-path.ts';
import { ruleAt } from './rule.ts';
import type { LocationSettings, SiteSettings } from './settings.ts';
import type { Setup } from './setup.ts';
import type { Rule } from './stages.ts';
import { isVerdict } from './stages.ts';

/** A caller's pins, looked up in a setup. */
export interface CallerPins {
  readonly bindings: readonly BindingSettings[];
  readonly sites: ReadonlySet<string>;
  /** The rule that holds whatever is asked; null: by host and path. */
  readonly fixed: { readonly site: SiteSettings; readonly location: LocationSettings } | null;
}

/** @returns null where the setup has not what the caller is pinned to: then nothing may pass */
export function pinsOf(caller: AuthCallerSettings, { settings }: Setup): CallerPins | null {
  const bindings = settings.bindings.filter(({ name }) => caller.bindings.includes(name));
  const sites = settings.sites.filter(({ name }) => caller.sites.includes(name));
  const [site] = sites;
  if (site === undefined || bindings.length !== caller.bindings.length || sites.length !== caller.sites.length)
    return null;
  const pins = { bindings, sites: new Set(caller.sites) };
  if (caller.location === null) return { ...pins, fixed: null };
  const location = site.locations.find(({ path }) => path === caller.location);
  return location === undefined ? null : { ...pins, fixed: { site, location } };
}

export function ruleFor(question: AuthQuestion, pins: CallerPins, setup: Setup): Rule | Verdict {
  const { method, host, uri } = question;
  if (method !== null && (method.length > longestMethod || !isToken(method)))
    return verdict('badRequest', 'the method that the question tells is none');
  if (method === 'CONNECT' || method === 'TRACE') return verdict('methodNotAllowed', `${method} is served nowhere`);
  if (pins.fixed !== null) return fixedRule(pins.fixed, question, pins, setup);
  if (host === null) return verdict('hostMismatch', 'the question tells no host');
  if (uri === null) return verdict('badRequest', 'the question tells no URI');
  const named = requestTarget(uri, ['Host', host]);
  if (isVerdict(named)) return named;
  const binding = bindingFor(named.host, pins, setup);
  return isVerdict(binding) ? binding : ruleAt(binding, named.host, named.target, setup);
}

const longestMethod = 32;

/** What is told all the same must be right: a caller that tells of another host has been set up for another place. */
function fixedRule(
  { site, location }: NonNullable<CallerPins['fixed']>,
  { host, uri }: AuthQuestion,
  pins: CallerPins,
  setup: Setup,
): Rule | Verdict {
  const named = host === null ? (site.hosts[0] ?? 'localhost') : hostOf(host);
  if (named === null) return verdict('hostMismatch', 'the host that the question tells is not a host name or address');
  const binding = bindingFor(named, pins, setup);
  if (isVerdict(binding)) return binding;
  const target = uri === null ? { target: location.path } : requestTarget(uri, ['Host', host ?? named]);
  if (isVerdict(target)) return target;
  const path = canonicalPath(target.target, site.encodedSlash);
  if (typeof path === 'string') return verdict('pathNotCanonical', `the path ${path}`);
  return { binding, site, location, host: named, path, whoami: false };
}

/** The configuration sees to it that at most one of several bindings answers to a host. */
function bindingFor(host: string, { bindings, sites }: CallerPins, setup: Setup): BindingSettings | Verdict {
  for (const binding of bindings) {
    const site = setup.sites.site(binding.name, host);
    if (site !== null && sites.has(site.settings.name)) return binding;
  }
  return verdict('unknownHost', `no site of the caller answers to ${host}`);
}
