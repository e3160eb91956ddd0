/**
 * What a load process is told, and what it tells.
 */
export interface LoadSettings {
  readonly url: string;
  readonly ca: string;
  readonly identities: readonly { readonly cert: string; readonly key: string }[];
  /** At the same time. */
  readonly connections: number;
  /** Requests in all. */
  readonly count: number;
  readonly tls?: 'TLSv1.2' | 'TLSv1.3';
  /** Keeps TLS sessions and offers them again: what is measured is resumption. */
  readonly resume?: boolean;
}

export interface LoadResult {
  readonly done: number;
  readonly failed: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}
