/**
 * What forwarding takes and gives. Mapping rules and TLS are unknown here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Millis } from '../base/brand.ts';
import type { Verdict } from '../base/verdict.ts';

/** In the order in which they are documented; what each writes is said in `forward/dialects.ts`. */
export const dialectNames = [
  'remote-user',
  'rfc9440',
  'xfcc',
  'arr',
  'aspnetcore',
  'ancm',
  'traefik',
  'nginx',
  'iis',
  'ms-client-principal',
  'assertion',
] as const;

export type DialectName = (typeof dialectNames)[number];

/** Header names of the dialects; defaults in `forward/dialects.ts`, each can be renamed in configuration. */
export interface HeaderNames {
  readonly user: string;
  readonly upn: string;
  readonly sid: string;
  readonly groups: string;
  readonly groupSids: string;
  readonly verify: string;
  readonly clientCert: string;
  readonly clientCertChain: string;
  readonly xfcc: string;
  readonly arr: string;
  readonly aspnetcore: string;
  readonly ancmClientCert: string;
  readonly ancmToken: string;
  readonly traefikCert: string;
  readonly traefikInfo: string;
  readonly nginxCert: string;
  readonly nginxVerify: string;
  readonly nginxSubject: string;
  readonly nginxIssuer: string;
  readonly nginxSerial: string;
  readonly nginxFingerprint: string;
  /** Not a name: what stands before the server variables of IIS. */
  readonly iisPrefix: string;
  readonly msPrincipal: string;
  readonly msPrincipalId: string;
  readonly msPrincipalName: string;
  readonly msPrincipalIdp: string;
  readonly assertion: string;
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
  /** How long an upgraded connection may be silent in both directions; 0: for ever; absent: five minutes. */
  readonly tunnelTimeout?: Millis;
  /** How long a request may wait in the queue before the answer is 503; absent: as long as `connectTimeout`. */
  readonly queueTimeout?: Millis;
  /** Path of a Unix socket to connect to; `origin` then only gives scheme and host. */
  readonly socketPath?: string;
  /** What the connection begins with: the client's address (PROXY protocol). Such a connection belongs to one client. Absent: nothing. */
  readonly proxyProtocol?: 'v1' | 'v2';
  /** Offer HTTP/2 to an https origin; without a PROXY protocol also for requests. What stays on HTTP/1.1 is said in `alpn-client.ts`. */
  readonly http2?: boolean;
  /** How an https origin is trusted and how we show ourselves to it; absent: Node's own roots, no certificate. */
  readonly tls?: UpstreamTls;
}

export interface UpstreamTls {
  /** PEM; replaces the roots that come with Node. */
  readonly ca?: string;
  /** The name the backend's certificate must have and that is sent as SNI; absent: the origin's host. */
  readonly serverName?: string;
  /** PEM: the gateway's own client certificate. */
  readonly certificate?: { readonly cert: string; readonly key: string };
}

/** The servers that a location's requests may go to. */
export interface UpstreamGroupSettings {
  /** For logs, metrics and messages: as named under `upstreams`, or the origin. */
  readonly name: string;
  /** At least one. */
  readonly servers: readonly UpstreamSettings[];
  /** Null: a server is believed to be there until a connection fails. */
  readonly healthCheck: HealthCheckSettings | null;
  /** Which Host the backend sees: the one the client asked for, or that of the server's origin. */
  readonly hostHeader: 'client' | 'server';
}

export interface HealthCheckSettings {
  /** Request target of the GET that asks, with its slash. */
  readonly path: string;
  readonly interval: Millis;
  readonly timeout: Millis;
  /** Lowest and highest status that is an answer of health. */
  readonly status: { readonly from: number; readonly to: number };
  /** So many failures in a row take a server out, so many successes bring it back. */
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
}

/** A client's connection, as far as connections to upstreams depend on it. */
export interface ForwardClient {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Place for the forward room's own memory: upstream connections that belong to this client alone. */
  pins: unknown;
  /** Calls `listener` once when the connection is closed; at the next turn where it is closed already. */
  onceClosed(listener: () => void): void;
}

/** Flat list of name, value, name, value, as undici and node:http take it. */
export type FlatHeaders = readonly string[];

/** What forwarding needs of a request; `IncomingMessage` has it, and so has `Http2ServerRequest`. */
export interface ClientRequest extends Readable {
  readonly httpVersionMajor: number;
  readonly httpVersionMinor: number;
  /** Everything has arrived. */
  readonly complete: boolean;
  readonly aborted: boolean;
  readonly socket: IncomingMessage['socket'];
}

/** What forwarding needs of the answer to an HTTP/2 request; `Http2ServerResponse` has it. */
export interface StreamResponse {
  readonly stream: {
    readonly destroyed: boolean;
    readonly closed: boolean;
    /** RFC 9113 section 7; undefined while the stream is open. */
    readonly rstCode: number | undefined;
    readonly endAfterHeaders: boolean;
    /** `remoteClose` is 1 when the client has said all it will say. */
    readonly state: { readonly remoteClose?: number | undefined };
    respond(headers: readonly string[], options: { readonly waitForTrailers: boolean }): void;
    additionalHeaders(headers: Record<string, string | string[]>): void;
    close(code: number): void;
    destroy(error: Error): unknown;
    on(event: 'close' | 'drain', listener: () => void): unknown;
    removeListener(event: 'close' | 'drain', listener: () => void): unknown;
  };
  readonly headersSent: boolean;
  write(chunk: Uint8Array): boolean;
  end(): unknown;
  addTrailers(trailers: Record<string, string | string[]>): void;
  writeContinue(): unknown;
}

export type ClientResponse = ServerResponse | StreamResponse;

/** `none`, the number of octets, or `chunked` where only the end of the body tells. */
export type BodyLength = number | 'none' | 'chunked';

export interface ForwardLimits {
  /** Octets of the largest body that is passed on; 0: no limit. Beyond: `bodyTooLarge`. */
  readonly maximumBody: number;
  /** How long and how many octets of a body are still read after the upstream has answered without wanting it. */
  readonly lingerTimeout: Millis;
  readonly lingerBytes: number;
}

export type ForwardResult =
  /** The whole answer is with the client's system. `bytes` counts the body. */
  | { readonly kind: 'answered'; readonly status: number; readonly bytes: number }
  /** The connection was handed to the upstream, and both are closed now. */
  | { readonly kind: 'tunnelled' }
  /** Nothing was sent: the caller answers. */
  | { readonly kind: 'refused'; readonly verdict: Verdict }
  /** Ended in the middle; `status` is 0 where the answer had not begun. The connection or stream is gone. */
  | {
      readonly kind: 'aborted';
      readonly by: 'client' | 'upstream';
      readonly status: number;
      readonly bytes: number;
      readonly reason: string;
    };
