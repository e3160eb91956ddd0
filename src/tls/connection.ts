/**
 * A client's connection as the rest of the product sees it: which binding took it, what the client presented, and the
 * means to ask for a certificate later. One object per TCP connection, found from any request's socket.
 */
import type { Digest, Millis } from '../base/brand.ts';
import type { BindingSettings } from './binding.ts';

/** What the client showed in the newest handshake that we started. */
export interface Presented {
  /** DER, leaf first; empty when the client showed nothing. A resumed connection has the leaf only. */
  readonly chain: readonly Buffer[];
  /** SHA-256 over the whole list, null when it is empty. */
  readonly digest: Digest | null;
  readonly how: 'upFront' | 'renegotiated';
  readonly resumed: boolean;
}

export type AskFailure = 'closed' | 'timeout' | 'unsupported' | 'failed';

export interface Connection {
  /** Unique within the process. */
  readonly id: number;
  readonly binding: BindingSettings;
  readonly encrypted: boolean;
  /** `TLSv1.3`, `TLSv1.2`, or null for plain http. */
  readonly protocol: string | null;
  /** Negotiated at the handshake; never read from the socket afterwards (it turns false on renegotiation). */
  readonly alpn: string | null;
  /** server_name of the ClientHello, lower case, null when absent. */
  readonly serverName: string | null;
  /** The client's: as a listed proxy told it (PROXY protocol), else the socket's. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The socket's own, whatever a proxy told: it chooses the binding. */
  readonly localAddress: string;
  readonly localPort: number;
  /** Address of the proxy that had to send a PROXY protocol header; null, or absent, where the client connected by itself. */
  readonly throughProxy?: string | null;
  /** Null until a certificate was asked for: at once on up-front bindings, after `ask` on others. */
  readonly presented: Presented | null;
  /**
   * Asks for the certificate by TLS 1.2 renegotiation, at most once per connection; later calls share the promise.
   * The request's body must have been read. Never rejects. After a failure the socket is destroyed.
   */
  ask(timeout: Millis): Promise<Presented | AskFailure>;
  readonly closed: boolean;
  /** Ends the connection: at once, or (`gently`) when its requests in flight are answered. */
  end(how: 'atOnce' | 'gently'): void;
  /** Place for the gateway's own per-connection memory; the tls room never looks inside. */
  memory: unknown;
  /** The same for the forward room. */
  pins: unknown;
  /** Calls `listener` once when the connection is closed; at the next turn where it is closed already. */
  onceClosed(listener: () => void): void;
}
