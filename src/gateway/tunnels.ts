/**
 * The tunnels that are open, and what has passed through all there were: for metrics, summed up when somebody asks.
 */
import type { Tunnel } from '../forward/tunnel.ts';

export interface Tunnels {
  opened(tunnel: Tunnel): void;
  ended(tunnel: Tunnel): void;
  readonly open: number;
  /** Octets from clients to upstreams and back, those of open tunnels included. */
  bytes(): { readonly in: number; readonly out: number };
}

export function createTunnels(): Tunnels {
  const open = new Set<Tunnel>();
  let former = { in: 0, out: 0 };
  const add = (sum: typeof former, { bytesIn, bytesOut }: Tunnel) => ({
    in: sum.in + bytesIn,
    out: sum.out + bytesOut,
  });
  return {
    opened: (tunnel) => void open.add(tunnel),
    ended(tunnel) {
      if (open.delete(tunnel)) former = add(former, tunnel);
    },
    get open() {
      return open.size;
    },
    bytes: () => [...open].reduce(add, former),
  };
}
