/**
 * The servers of one upstream, and which of them takes the next request: among those that are not known to be away the one with the fewest
 * outstanding requests. How a request gets a connection there is decided in `upstream.ts`.
 */
import type { UpstreamGroupSettings } from './forward-contract.ts';
import { createUpstream, type Upstream, type UpstreamEvents } from './upstream.ts';

export interface UpstreamGroup {
  readonly name: string;
  readonly settings: UpstreamGroupSettings;
  readonly servers: readonly Upstream[];
  /**
   * The server for the next request.
   * @param tried those that have failed this request already
   * @returns null when none is left; with no server known to be healthy one is chosen all the same
   */
  choose(tried?: ReadonlySet<Upstream>): Upstream | null;
  /** A connection to the server could not be made. */
  failed(server: Upstream, reason: string): void;
  /** Takes no new requests; resolves when those in hand are answered and all connections closed. */
  close(): Promise<void>;
  destroy(): Promise<void>;
}

export function createUpstreamGroup(settings: UpstreamGroupSettings, events: UpstreamEvents = {}): UpstreamGroup {
  const servers = settings.servers.map((server) => createUpstream(server, events));
  return {
    name: settings.name,
    settings,
    servers,
    choose(tried) {
      let best: Upstream | null = null;
      let least = Infinity;
      for (const server of servers) {
        if (tried?.has(server) === true) continue;
        const { busy, queued } = server.stats;
        if (busy + queued < least) [best, least] = [server, busy + queued];
      }
      return best;
    },
    failed() {},
    close: async () => void (await Promise.all(servers.map((server) => server.close()))),
    destroy: async () => void (await Promise.all(servers.map((server) => server.destroy()))),
  };
}
