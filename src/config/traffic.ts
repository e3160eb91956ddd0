/**
 * What locations, sites and bindings say of upgrades, preflights, probes and proxies in front of us.
 */
import type { LocationSettings, PreflightSettings } from '../gateway/settings.ts';
import type { Language } from './schema.ts';

type WrittenLocation = Language['sites'][number]['locations'][string];
export type LocationTraffic = Pick<LocationSettings, 'upgrades' | 'webSocketOrigins' | 'preflight'>;

/** What `/` has where nothing is written. */
export const rootTraffic: LocationTraffic = { upgrades: ['websocket'], webSocketOrigins: null, preflight: null };

export function inheritTraffic(own: WrittenLocation, above: LocationTraffic): LocationTraffic {
  return {
    upgrades: own.upgrades ?? above.upgrades,
    webSocketOrigins: own.webSocketOrigins === undefined ? above.webSocketOrigins : own.webSocketOrigins,
    preflight: own.preflight === undefined ? above.preflight : own.preflight && preflightSettings(own.preflight),
  };
}

function preflightSettings(written: NonNullable<WrittenLocation['preflight']>): PreflightSettings {
  const { origins, methods, headers } = written;
  return { ...written, origins: unique(origins), methods: unique(methods), headers: unique(headers) };
}

function unique(words: readonly string[]): readonly string[] {
  return [...new Set(words)];
}
