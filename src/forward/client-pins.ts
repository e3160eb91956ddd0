/**
 * Connections to upstreams that belong to one connection of one client, because the upstream knows who is at the other end of them: NTLM
 * and Negotiate authenticate a connection, not a request (RFC 4559 section 6), and the PROXY protocol tells the client's address once. Such
 * a connection never serves anybody else. Which requests travel on it is decided in `upstream.ts`.
 */
import type { FlatHeaders, ForwardClient } from './forward-contract.ts';
import type { RawHeaders } from './answer-head.ts';
import type { Slot, Waiter } from './upstream.ts';
import type { WaitingLine } from './waiting-line.ts';

/** What one client has of one upstream. */
export class OwnPlaces {
  readonly client: ForwardClient;
  /** Authenticated, or about to be: from then on all of the client's requests travel here, one at a time. */
  bound: Slot | null = null;
  /** Who waits for it. */
  line: WaitingLine<Waiter> | null = null;
  /** Others, without a request; last used on top. */
  readonly idle: Slot[] = [];
  /** All, with those in use. */
  size = 0;
  /** The client has left. */
  closed = false;

  constructor(client: ForwardClient) {
    this.client = client;
  }
}

/** An upstream's side of it: told when the client has left. */
export interface PlaceHolder {
  abandon(own: OwnPlaces): void;
}

/** Null where the client has nothing of this upstream. */
export function placesOf(client: ForwardClient | undefined, holder: PlaceHolder): OwnPlaces | null {
  return client?.pins instanceof Pins ? (client.pins.get(holder) ?? null) : null;
}

/** To be forgotten again by `forgetPlaces` when nothing is left: a client's connection may live longer than an upstream. */
export function makePlaces(client: ForwardClient, holder: PlaceHolder): OwnPlaces {
  const existing = placesOf(client, holder);
  if (existing !== null) return existing;
  const pins = client.pins instanceof Pins ? client.pins : watched(client);
  const own = new OwnPlaces(client);
  pins.set(holder, own);
  return own;
}

export function forgetPlaces(own: OwnPlaces, holder: PlaceHolder): void {
  if (own.client.pins instanceof Pins) own.client.pins.delete(holder);
}

/** Whether an answer asks the client to authenticate the connection it came on. Any status: 401 and 407 are those that count. */
export function asksForConnection(raw: RawHeaders): boolean {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i];
    if (name === undefined || (name.length !== 16 && name.length !== 18)) continue;
    const lower = name.toString('latin1').toLowerCase();
    if (lower !== 'www-authenticate' && lower !== 'proxy-authenticate') continue;
    if (challenge.test(raw[i + 1]?.toString('latin1') ?? '')) return true;
  }
  return false;
}

/** Whether a request authenticates the connection it travels on. */
export function bringsConnection(headers: FlatHeaders): boolean {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (name.length !== 13 || name.toLowerCase() !== 'authorization') continue;
    if (credentials.test(headers[i + 1] ?? '')) return true;
  }
  return false;
}

/** One field may hold several challenges (RFC 9110 section 11.6.1). A quoted one counts as well: to pin too much is harmless. */
const challenge = /(?:^|[\s,"])(?:ntlm|negotiate|nego2)(?:$|[\s,"])/i;
const credentials = /^\s*(?:ntlm|negotiate|nego2)(?:\s|$)/i;

/** What stands in `ForwardClient.pins`: by upstream. */
class Pins extends Map<PlaceHolder, OwnPlaces> {}

function watched(client: ForwardClient): Pins {
  const pins = new Pins();
  client.pins = pins;
  client.onceClosed(() => {
    for (const [holder, own] of pins) {
      own.closed = true;
      holder.abandon(own);
    }
    pins.clear();
  });
  return pins;
}
