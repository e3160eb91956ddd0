/**
 * The moment in which a request becomes a tunnel: the upstream has said 101, and from here on its connection and the client's belong together. Nothing
 * of a 101 that is not an answer to the client's very offer reaches the client.
 */
import type { Duplex } from 'node:stream';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { RawHeaders } from './answer-head.ts';
import { answerHead } from './answer-head.ts';
import type { FlatHeaders, UpstreamSettings } from './forward-contract.ts';
import { openTunnel, type Tunnel } from './tunnel.ts';
import { faultOfSwitch, type UpgradeOffer } from './upgrade-offer.ts';

/** A request that may become a tunnel. */
export interface UpgradeRequest {
  readonly offer: UpgradeOffer;
  /** Takes the client's connection away from HTTP, for good. @returns why that cannot be */
  take(): ClientSide | Verdict;
  /** Called when the tunnel is open; must not throw. */
  readonly onOpen: (tunnel: Tunnel) => void;
}

export interface ClientSide {
  readonly socket: Duplex;
  /** What the client has sent behind its request, in order. */
  readonly early: readonly Buffer[];
}

/** Milliseconds. */
const usualTunnelTimeout = 300_000;

export interface Switching {
  readonly request: UpgradeRequest;
  readonly status: number;
  readonly raw: RawHeaders;
  /** What came behind the upstream's head is in it. */
  readonly upstream: Duplex;
  readonly origin: string;
  readonly settings: Pick<UpstreamSettings, 'tunnelTimeout'>;
  /** Added to the 101. */
  readonly answerHeaders: FlatHeaders;
  readonly onEnd: (tunnel: Tunnel) => void;
}

/** @returns why there is no tunnel, and the upstream's connection is gone then; null: there is one, and `onEnd` will be called */
export function switchProtocols(facts: Switching): Verdict | null {
  const { request, status, raw, upstream, origin } = facts;
  upstream.on('error', () => upstream.destroy());
  const fields = raw.map((octets) => octets.toString('latin1'));
  const fault = faultOfSwitch(request.offer, status, fields);
  const client =
    fault === null ? request.take() : verdict('upstreamFailed', `${origin}: the 101 is not an answer: ${fault}`);
  if ('code' in client) {
    upstream.destroy();
    return client;
  }
  client.socket.write(headOf(facts), 'latin1');
  const { socket, early } = client;
  const { offer, onOpen } = request;
  const idleTimeout = facts.settings.tunnelTimeout ?? usualTunnelTimeout;
  onOpen(openTunnel({ protocol: offer.protocol, client: socket, upstream, early, idleTimeout, onEnd: facts.onEnd }));
  return null;
}

function headOf({ request, raw, answerHeaders }: Switching): string {
  const { headers } = answerHead(raw, { status: 101, trailers: false, ours: answerHeaders, noStore: false });
  const fields = [...headers, 'Connection', 'Upgrade', 'Upgrade', request.offer.protocol];
  let head = 'HTTP/1.1 101 Switching Protocols\r\n';
  for (let i = 0; i + 1 < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${head}\r\n`;
}
