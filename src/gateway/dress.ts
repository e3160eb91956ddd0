/**
 * The headers that an authorised request carries to its backend: what the dialects of its location write of certificate, account, groups and a
 * signed assertion. How each is written is decided in `forward/dialects.ts`. What cannot be told as it is, is not told in part: groups that are
 * not known, headers that are too long and an assertion that cannot be signed refuse the request.
 */
import type { Instant } from '../base/brand.ts';
import type { Steps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { DressedClient, Group } from '../forward/dialect-contract.ts';
import { groupDialects, identityHeaders } from '../forward/dialects.ts';
import type { FlatHeaders } from '../forward/forward-contract.ts';
import { headerBytes } from '../forward/header-bytes.ts';
import { timeRefusalFrom } from '../mapping/account-state.ts';
import type { MappedIdentity } from '../mapping/mapper-contract.ts';
import type { TrustedPath } from '../trust/judgement.ts';
import { dressedGroups } from './dressed-groups.ts';
import type { Way } from './exchange.ts';
import type { LocationSettings } from './settings.ts';
import type { Setup } from './setup.ts';
import type { Authorised, Outgoing } from './stages.ts';
import { isVerdict } from './stages.ts';

/** At once where neither groups nor an assertion are wanted. */
export function dress(
  authorised: Authorised,
  way: Pick<Way, 'connection'>,
  setup: Setup,
  now: Instant,
  steps: Steps,
): Outgoing | Verdict | Promise<Outgoing | Verdict> {
  const { identity, trusted } = authorised.mapped;
  const { location } = trusted.presented.rule;
  const { path } = trusted;
  const leaf = path?.certificates[0];
  if (path === null || leaf === undefined) return finished({ authorised, client: 'none', until: never }, setup, steps);
  const presentedChain = trusted.presented.shown?.chain.slice(1) ?? [];
  const client: DressedClient = { leaf, presentedChain, identity, groups: null, assertion: null };
  const tellsGroups = location.groups !== 'none' && location.dialects.some((dialect) => groupDialects.has(dialect));
  if (identity === null || !(tellsGroups || location.dialects.includes('assertion')))
    return finished({ authorised, client, until: never }, setup, steps);
  return dressMapped({ authorised, client, identity, path, location, tellsGroups }, way, setup, now, steps);
}

interface Draft {
  readonly authorised: Authorised;
  readonly client: DressedClient | 'none';
  readonly until: Instant;
}

interface MappedDraft {
  readonly authorised: Authorised;
  readonly client: DressedClient;
  readonly identity: MappedIdentity;
  readonly path: TrustedPath;
  readonly location: LocationSettings;
  readonly tellsGroups: boolean;
}

async function dressMapped(
  draft: MappedDraft,
  way: Pick<Way, 'connection'>,
  setup: Setup,
  now: Instant,
  steps: Steps,
): Promise<Outgoing | Verdict> {
  const { authorised, identity, location, tellsGroups } = draft;
  const { maximum, whenTooMany } = setup.settings.identity.groupLimits;
  let groups: readonly Group[] | null = null;
  let until = never;
  if (tellsGroups) {
    const read = await dressedGroups(identity.account, location, way, setup, now, steps);
    if (isVerdict(read)) return refusal(read, steps);
    until = read.until;
    if (read.groups.length > maximum && whenTooMany === 'refuse') {
      const detail = `${identity.account.name} is in ${read.groups.length} groups, location ${location.path} tells ${maximum} at most (identity.groupLimits)`;
      return refusal(verdict('identityTooLarge', detail, identity.account), steps);
    }
    groups = read.groups.length > maximum ? null : read.groups;
  }
  const whole = await withAssertion(draft, groups, until, setup, now, steps);
  if (!isVerdict(whole) || whole.code !== 'identityTooLarge' || groups === null || whenTooMany === 'refuse')
    return isVerdict(whole) ? refusal(whole, steps) : whole;
  const without = await withAssertion({ ...draft, authorised }, null, until, setup, now, steps);
  return isVerdict(without) ? refusal(without, steps) : without;
}

/** Signs where the location wants it, and writes the headers. */
async function withAssertion(
  { authorised, client, identity, path, location }: MappedDraft,
  groups: readonly Group[] | null,
  until: Instant,
  setup: Setup,
  now: Instant,
  steps: Steps,
): Promise<Outgoing | Verdict> {
  const dressed = { ...client, groups };
  if (!location.dialects.includes('assertion')) return finished({ authorised, client: dressed, until }, setup, steps);
  const { account } = identity;
  if (setup.assertions === null)
    return verdict('internalError', `location ${location.path} wants an assertion, and nothing signs any`, account);
  const notAfter = endOf(identity, path, location, setup, now);
  const audience = location.audience ?? location.upstream.name;
  const signed = await setup.assertions.sign({ identity, leaf: client.leaf, groups, audience, notAfter }, now);
  if (signed.kind === 'tooLarge') {
    const detail = `the assertion for ${account.name} has ${signed.bytes} bytes, ${signed.limit} are allowed`;
    return verdict('identityTooLarge', detail, account);
  }
  if (signed.kind === 'outlived')
    return path.validUntil <= notAfter
      ? verdict(
          'certificateExpired',
          `the certificate of ${account.name}, or one above it, expires at this moment`,
          account,
        )
      : verdict('accountExpired', `the account ${account.name} may log on no longer than this moment`, account);
  const soonest = Math.min(until, signed.renewAt) as Instant;
  return finished({ authorised, client: { ...dressed, assertion: signed.token }, until: soonest }, setup, steps);
}

/** From when on the identity may be another; an account that is read again within seconds may be told until then. */
function endOf({ account }: MappedIdentity, path: TrustedPath, location: LocationSettings, setup: Setup, now: Instant) {
  const age = location.maximumAge === null ? Infinity : Math.max(account.readAt + location.maximumAge, now + 2000);
  return Math.min(path.validUntil, timeRefusalFrom(account, now, setup.settings.mapping), age) as Instant;
}

function finished({ authorised, client, until }: Draft, setup: Setup, steps: Steps): Outgoing | Verdict {
  const { settings } = setup;
  const { mapped } = authorised;
  const { location } = mapped.trusted.presented.rule;
  const headers = identityHeaders(location.dialects, client, settings.identity);
  const bytes = headerBytes(headers);
  const { maximumBytes } = settings.identity;
  if (bytes > maximumBytes) {
    const whose = mapped.identity === null ? 'the certificate' : mapped.identity.account.name;
    const detail = `the identity headers for ${whose} have ${bytes} bytes, ${maximumBytes} are allowed (identity.maximumBytes)`;
    return verdict('identityTooLarge', detail, mapped.identity?.account);
  }
  if (steps.recording) steps.note('dress', 'headers', headers.filter((_, index) => index % 2 === 0).join(', '));
  return { authorised, identityHeaders: headers, until };
}

/** The headers for people to look at: what would let whoever reads it pass for the gateway is left out. */
export function shownHeaders(
  { identityHeaders: headers }: Outgoing,
  { settings }: Pick<Setup, 'settings'>,
): FlatHeaders {
  const { assertion, ancmToken } = settings.identity.headers;
  const hidden = new Map([
    [assertion, '(signed, not shown)'],
    [ancmToken, '(secret, not shown)'],
  ]);
  return headers.map((part, index) => (index % 2 === 1 ? (hidden.get(headers[index - 1] ?? '') ?? part) : part));
}

function refusal(refused: Verdict, steps: Steps): Verdict {
  steps.note('dress', refused.code, refused.detail);
  return refused;
}

const never = Infinity as Instant;
