/**
 * A binding as configured: one endpoint, its server certificate and what it asks of clients.
 * Names follow `netsh http show sslcert`.
 */
import type { Digest, Millis } from '../base/brand.ts';

export type Endpoint =
  /** `0.0.0.0:443`, `[::]:443`, `127.0.0.1:8443`. */
  | { readonly kind: 'address'; readonly address: string; readonly port: number }
  /** `www.example.test:443`: chosen by SNI; listens where the address bindings of that port do, else on `listen`. */
  | { readonly kind: 'host'; readonly host: string; readonly port: number; readonly listen: string };

export interface ServerCertificate {
  /** PEM: leaf first, then intermediates. */
  readonly cert: string;
  /** PEM, unencrypted; or a PKCS#12 in `pfx` instead of both. */
  readonly key: string;
}

export interface PfxCertificate {
  readonly pfx: Buffer;
  readonly passphrase: string;
}

export interface BindingSettings {
  /** The endpoint as written in the configuration: the binding's name everywhere. */
  readonly name: string;
  readonly endpoint: Endpoint;
  /** Null: a plain http binding. */
  readonly certificate: ServerCertificate | PfxCertificate | null;
  readonly dsMapperUsage: boolean;
  /** `upFront`: CertificateRequest in the first handshake. `late`: by renegotiation, TLS 1.2 and HTTP/1.1 only. `never`: no location of its sites wants one. */
  readonly clientCertificate: 'upFront' | 'late' | 'never';
  readonly disableHttp2: boolean;
  readonly disableTls13: boolean;
  readonly disableTls12: boolean;
  readonly enableSessionTicket: boolean;
  /** PEM of the CAs whose names clients are sent with a request for their certificate; none: no names are sent. */
  readonly issuerHints?: readonly string[];
  /** Who may, and must, begin a connection with a PROXY protocol header; absent: nobody. Shared by all bindings of an address and port. */
  readonly proxyProtocol?: ProxyProtocolSettings;
  /** Changes with the trust that judges this binding's clients; tickets and session ids are bound to it. */
  readonly trustDigest: Digest;
}

export interface ProxyProtocolSettings {
  /** Addresses and networks (`192.0.2.0/24`) of the proxies. */
  readonly from: readonly string[];
}

/** Bounds on what a stranger can make us hold. Counts are per process. */
export interface ConnectionLimits {
  readonly maximumConnections: number;
  readonly maximumConnectionsPerAddress: number;
  /** Connections between accept and the end of their handshake. */
  readonly maximumHandshakes: number;
  /** From accept to the end of the handshake. */
  readonly handshakeTimeout: Millis;
  /** Bytes of ClientHello read before giving up. */
  readonly maximumClientHello: number;
  readonly headersTimeout: Millis;
  readonly requestTimeout: Millis;
  readonly keepAliveTimeout: Millis;
  /** No byte in either direction for so long ends the connection. */
  readonly idleTimeout: Millis;
  readonly maximumHeaderBytes: number;
  readonly maximumHeaderCount: number;
  /** HTTP/2 streams open at once on one connection. */
  readonly maximumStreams: number;
  readonly maximumRequestsPerConnection: number;
}
