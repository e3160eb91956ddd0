/**
 * From an origin, or the name of an entry of `upstreams`, to a group of servers.
 */
import type { UpstreamGroupSettings, UpstreamSettings } from '../forward/forward-contract.ts';
import type { Language } from './schema.ts';

/** What a location or site says of its backend, limits inherited. */
export interface WrittenUpstream {
  /** As `upstreamReference` read it. */
  readonly reference: string;
  readonly limits: Omit<UpstreamSettings, 'origin'>;
}

export type UpstreamsByName = ReadonlyMap<string, UpstreamGroupSettings>;

export function readUpstreams(_written: Language['upstreams']): UpstreamsByName {
  return new Map();
}

export function upstreamGroupOf({ reference, limits }: WrittenUpstream): UpstreamGroupSettings {
  return {
    name: reference,
    servers: [{ origin: reference, ...limits }],
    healthCheck: null,
    hostHeader: 'client',
  };
}
