/**
 * What one request leaves in the log: verdict, account, thumbprint, timings. Never a secret, never a header's value.
 */
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import type { Verdict } from '../base/verdict.ts';
import { thumbprintOf } from '../base/bytes.ts';
import type { ServerState } from '../forward/upstream-group.ts';
import type { Tunnel } from '../forward/tunnel.ts';
import { answerOf } from '../iis/verdict-table.ts';
import type { Connection } from '../tls/connection.ts';
import type { Exchange } from './exchange.ts';
import type { Evidence } from '../revocation/revocation-contract.ts';
import type { Settings } from './settings.ts';
import type { Setup } from './setup.ts';

/** Long paths are cut in the log, not on the way upstream. */
const maximumPath = 2048;

export function recordOf(exchange: Exchange, ending: Verdict, setup: Setup): Readonly<Record<string, unknown>> {
  const { rule, outgoing, connection } = exchange;
  const answer = answerOf(ending.code, setup.settings.outcomes);
  const account = outgoing?.authorised.mapped.identity?.account ?? ending.account ?? null;
  const wouldRefuse = outgoing?.authorised.wouldRefuse ?? null;
  const names = !setup.settings.log.omitNames;
  return {
    time: isoText(setup.clock.now()),
    requestId: exchange.id,
    generation: setup.generation,
    binding: connection.binding.name,
    site: rule?.site.name ?? null,
    location: rule?.location.path ?? null,
    client: connection.remoteAddress,
    protocol: connection.protocol,
    http: exchange.request.httpVersion,
    method: exchange.method,
    path: (rule?.path.path ?? pathOnly(exchange.url)).slice(0, maximumPath),
    status: exchange.status,
    subStatus: answer.subStatus,
    win32: answer.win32,
    code: ending.code,
    ...(answer.status >= 400 && names ? { detail: ending.detail } : {}),
    ...(wouldRefuse === null
      ? {}
      : { wouldRefuse: { code: wouldRefuse.code, ...(names ? { detail: wouldRefuse.detail } : {}) } }),
    account: names ? (account?.name ?? null) : null,
    sid: names ? (account?.sid ?? null) : null,
    thumbprint: thumbprint(exchange),
    revocation: connection.presented === null ? null : revocationOf(exchange, ending, setup),
    cache: exchange.cache,
    ...(exchange.tunnel === null ? {} : { tunnel: tunnelOf(exchange.tunnel) }),
    ...(isIgnoredUpgrade(exchange) ? { upgrade: 'ignored' } : {}),
    ms: exchange.timings(),
  };
}

/** Asked for, and served like any request: not listed, several protocols, or not the place for one (docs/upgrades.md). */
function isIgnoredUpgrade({ request, rule, upgrade }: Exchange): boolean {
  return rule !== null && upgrade === null && request.headers.upgrade !== undefined;
}

/** Written when it has ended: one line tells of the request and of what became of it. */
function tunnelOf({ protocol, bytesIn, bytesOut, milliseconds, end }: Tunnel): Readonly<Record<string, unknown>> {
  return { protocol, bytesIn, bytesOut, ms: Math.round(milliseconds), end };
}

/** A live connection lost its identity, without a request. */
export function endingRecord(connection: Connection, why: Verdict, setup: Setup): Readonly<Record<string, unknown>> {
  const names = !setup.settings.log.omitNames;
  const leaf = connection.presented?.chain[0];
  return {
    time: isoText(setup.clock.now()),
    event: 'connection.ended',
    binding: connection.binding.name,
    client: connection.remoteAddress,
    code: why.code,
    ...(names ? { detail: why.detail } : {}),
    thumbprint: leaf === undefined ? null : thumbprintOf(leaf),
  };
}

/** Null where the request did not get that far. */
function revocationOf(
  { outgoing, trusted, connection }: Exchange,
  { code }: Verdict,
  { settings }: Setup,
): string | null {
  if (code === 'certificateRevoked') return 'revoked';
  if (code === 'revocationUnknown') return 'unknown';
  const { evidence } = outgoing?.authorised.mapped.trusted ?? trusted ?? { evidence: [] };
  return certaintyOf(evidence, connection.binding.name, settings);
}

/** Events do not reach the syslog server: the one place where that is said. */
export function troubleRecord(reason: string, now: Instant): Readonly<Record<string, unknown>> {
  return { time: isoText(now), event: 'syslog.lost', reason };
}

/** A server of an upstream was lost or came back. */
export function healthRecord(
  upstream: string,
  { server, healthy, reason }: ServerState,
  now: Instant,
): Readonly<Record<string, unknown>> {
  return { time: isoText(now), event: healthy ? 'upstream.healthy' : 'upstream.unhealthy', upstream, server, reason };
}

/** The least certain of what is known about a chain; null where nothing was looked at. */
export function certaintyOf(evidence: readonly Evidence[], binding: string, { trust }: Settings): string | null {
  if (trust.get(binding)?.revocation.mode === 'disabled') return 'disabled';
  return certainties.find((status) => evidence.some((each) => each.status === status)) ?? null;
}

const certainties = ['unknown', 'notChecked', 'good'] as const;

/** Neither the query nor the authority of an absolute form: both may hold secrets. */
function pathOnly(url: string): string {
  const path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  const mark = path.search(/[?#]/);
  return mark < 0 ? path : path.slice(0, mark);
}

const thumbprints = new WeakMap<object, string>();

function thumbprint({ connection }: Exchange): string | null {
  const { presented } = connection;
  const leaf = presented?.chain[0];
  if (presented === null || leaf === undefined) return null;
  const known = thumbprints.get(presented);
  if (known !== undefined) return known;
  const made = thumbprintOf(leaf);
  thumbprints.set(presented, made);
  return made;
}
