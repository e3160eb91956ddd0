/**
 * Two connections spliced octet by octet: what comes in here goes out there, with back-pressure both ways, until both have ended or one has broken.
 * It neither reads nor judges what passes.
 */
import type { Duplex } from 'node:stream';

/** What is known of a tunnel while it is open, and after. */
export interface Tunnel {
  readonly protocol: string;
  /** Octets from the client to the upstream, and back. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** How long it was open; 0 while it is. */
  readonly milliseconds: number;
  /** Null while it is open. */
  readonly end: TunnelEnd | null;
}

/** `ended`: both sides, in good order; `client`, `upstream`: this side broke off; `idle`: silence for too long. */
export type TunnelEnd = 'ended' | 'client' | 'upstream' | 'idle';

export interface TunnelFacts {
  readonly protocol: string;
  readonly client: Duplex;
  readonly upstream: Duplex;
  /** What the client sent before the tunnel was open, in order. */
  readonly early: readonly Buffer[];
  /** Milliseconds of silence in both directions after which it ends; 0: none. */
  readonly idleTimeout: number;
  /** The same, where not 0, once one side has ended: the other has little left to say. */
  readonly halfOpenTimeout?: number;
  /** Called once, when both connections are closed. */
  readonly onEnd: (tunnel: Tunnel) => void;
}

const usualHalfOpenTimeout = 30_000;

export function openTunnel(facts: TunnelFacts): Tunnel {
  const tunnel = new Splice(facts);
  tunnel.begin();
  return tunnel;
}

class Splice implements Tunnel {
  readonly protocol: string;
  bytesIn = 0;
  bytesOut = 0;
  milliseconds = 0;
  end: TunnelEnd | null = null;
  readonly #facts: TunnelFacts;
  #timer: NodeJS.Timeout | null = null;
  #open = 2;
  readonly #since: number;
  #reason: TunnelEnd = 'ended';

  constructor(facts: TunnelFacts) {
    this.protocol = facts.protocol;
    this.#facts = facts;
    this.#since = performance.now();
  }

  begin(): void {
    const { client, upstream, early, idleTimeout } = this.#facts;
    this.#allowSilence(idleTimeout);
    // A side may end its half and still listen; before the end was seen this can be said of a stream.
    client.allowHalfOpen = true;
    upstream.allowHalfOpen = true;
    this.#watch('client', client, upstream);
    this.#watch('upstream', upstream, client);
    let room = true;
    for (const piece of early) {
      this.bytesIn += piece.length;
      room = upstream.write(piece);
    }
    this.#pour(client, upstream, (octets) => (this.bytesIn += octets));
    this.#pour(upstream, client, (octets) => (this.bytesOut += octets));
    // Both were read in other ways before, and may stand still.
    if (room) client.resume();
    else client.pause();
    upstream.resume();
  }

  #allowSilence(milliseconds: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = milliseconds === 0 ? null : setTimeout(() => this.#break('idle'), milliseconds);
  }

  #pour(from: Duplex, to: Duplex, count: (octets: number) => void): void {
    from.on('data', (chunk: Buffer) => {
      count(chunk.length);
      this.#timer?.refresh();
      if (to.writable && !to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      this.#timer?.refresh();
      from.resume();
    });
    from.on('end', () => {
      const { idleTimeout, halfOpenTimeout = usualHalfOpenTimeout } = this.#facts;
      this.#allowSilence(idleTimeout === 0 ? halfOpenTimeout : Math.min(idleTimeout, halfOpenTimeout));
      to.end();
    });
  }

  #watch(name: 'client' | 'upstream', side: Duplex, other: Duplex): void {
    const lost = () => {
      this.#open -= 1;
      // What a side has said before it ended in good order is still delivered; the idle timer bounds that too.
      if (!side.readableEnded || !side.writableFinished) this.#break(name);
      else if (other.writableFinished && other.readableEnded) other.destroy();
      if (this.#open === 0) this.#finish();
    };
    side.on('error', () => this.#break(name));
    // Of one that is closed already `close` does not come again.
    if (side.closed) setImmediate(lost);
    else side.once('close', lost);
  }

  #break(reason: TunnelEnd): void {
    if (this.#reason === 'ended') this.#reason = reason;
    this.#facts.client.destroy();
    this.#facts.upstream.destroy();
  }

  #finish(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.milliseconds = performance.now() - this.#since;
    this.end = this.#reason;
    this.#facts.onEnd(this);
  }
}
