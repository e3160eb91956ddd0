/**
 * Whether a request may become a tunnel, by what it says itself and what its location allows. Everything that holds for other requests is decided
 * in the flow and holds here too: an upgrade opens no way around it.
 *
 * A server may ignore `Upgrade` (RFC 9110 section 7.8). So does this one where the location does not list the protocol, where the request
 * leaves a choice, and where it cannot be taken up on this connection; the request goes on without the field. A WebSocket that is let in by
 * its location but does not open as RFC 6455 section 4.2.1 demands is refused.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { ClientSide } from '../forward/switch-protocols.ts';
import type { UpgradeOffer } from '../forward/upgrade-offer.ts';
import {
  neverUpgraded,
  protocolAsked,
  readWebSocketOffer,
  valuesOf,
  webSocketVersion,
} from '../forward/upgrade-offer.ts';
import { heldUpgradeOf } from '../tls/held-upgrade.ts';
import type { ClientRequest } from './exchange.ts';
import type { Rule } from './stages.ts';

/** @returns what is offered to the upstream; null: this is a request like others; a verdict: it is not let in */
export function upgradeOf({ location, whoami }: Rule, request: ClientRequest): UpgradeOffer | Verdict | null {
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor === 0 || whoami) return null;
  const protocol = protocolAsked(request.rawHeaders);
  if (protocol === null || neverUpgraded(protocol) || !location.upgrades.includes(protocol)) return null;
  if (protocol !== 'websocket') return heldUpgradeOf(request) === null ? null : { protocol, webSocket: null };

  if (request.method !== 'GET') return refused(`a WebSocket is opened with GET, not with ${request.method ?? ''}`);
  if (hasBody(request.rawHeaders)) return refused('a WebSocket is opened without a body');
  const webSocket = readWebSocketOffer(request.rawHeaders);
  if (typeof webSocket === 'string') return refused(webSocket);
  const fault = faultOfOrigin(request.rawHeaders, location.webSocketOrigins);
  if (fault !== null) return verdict('originRefused', fault);
  return heldUpgradeOf(request) === null ? null : { protocol, webSocket };
}

/** Takes the client's connection away from HTTP. */
export function takeClient(request: ClientRequest): ClientSide | Verdict {
  const taken = heldUpgradeOf(request)?.take() ?? 'closed';
  if (taken === 'closed') return verdict('clientClosed', 'the client left before the tunnel was open');
  if (taken === 'early') return refused('the client sent too much before the tunnel was open');
  return taken;
}

/** What a client of another version of the protocol is told with its refusal (RFC 6455 section 4.4). */
export function versionField({ rawHeaders }: ClientRequest): readonly string[] {
  const versions = valuesOf(rawHeaders, 'sec-websocket-version');
  const other = versions.length > 0 && versions.join() !== webSocketVersion;
  return other ? ['Sec-WebSocket-Version', webSocketVersion] : [];
}

function hasBody(raw: readonly string[]): boolean {
  return (
    valuesOf(raw, 'transfer-encoding').length > 0 || valuesOf(raw, 'content-length').some((value) => value !== '0')
  );
}

/**
 * Browsers send cookies and certificates with a WebSocket whichever page opens it, and ask nobody (no CORS); `Origin` alone tells (RFC 6455 section
 * 10.2). They always send it, so where a list is set one must be there.
 */
function faultOfOrigin(raw: readonly string[], origins: readonly string[] | null): string | null {
  if (origins === null) return null;
  const [origin, ...more] = valuesOf(raw, 'origin');
  if (origin === undefined) return 'the WebSocket names no origin';
  if (more.length > 0) return 'the WebSocket names more than one origin';
  return origins.includes(origin) ? null : `pages of ${origin} may not open WebSockets here`;
}

function refused(detail: string): Verdict {
  return verdict('badRequest', detail);
}
