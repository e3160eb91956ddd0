/**
 * How messages, logs and metrics call a server.
 */
import type { UpstreamSettings } from './forward-contract.ts';

/** Its origin, or `unix:` and the path of its socket. */
export function serverLabel({ origin, socketPath }: Pick<UpstreamSettings, 'origin' | 'socketPath'>): string {
  return socketPath === undefined ? origin : `unix:${socketPath}`;
}
