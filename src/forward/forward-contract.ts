/**
 * What forwarding takes and gives. Mapping rules and TLS are unknown here.
 */
import type { Millis } from '../base/brand.ts';

export type DialectName = 'remote-user' | 'arr';

/** Header names of the dialects; defaults in `forward/dialects.ts`, each can be renamed in configuration. */
export interface HeaderNames {
  readonly user: string;
  readonly upn: string;
  readonly sid: string;
  readonly verify: string;
  readonly arr: string;
}

export interface UpstreamSettings {
  /** `http://host:port` or `https://host:port`; a path prefix is not allowed. */
  readonly origin: string;
  /** undici clients, each with one connection, among which the least busy is chosen. */
  readonly maximumConnections: number;
  /** Requests waiting for a connection beyond which the answer is 503 at once. */
  readonly maximumQueue: number;
  readonly connectTimeout: Millis;
  /** From the last byte of the request to the answer's headers. */
  readonly headersTimeout: Millis;
  /** Between two pieces of the answer's body; 0: none (server-sent events). */
  readonly bodyTimeout: Millis;
}

/** Flat list of name, value, name, value, as undici and node:http take it. */
export type FlatHeaders = readonly string[];
