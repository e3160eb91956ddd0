/**
 * Listeners where other proxies ask who a client is and whether it may pass, and the proxies that may ask there.
 */
import type { Millis } from '../base/brand.ts';

/** How a caller writes the certificate of its client, and where it tells of the request; the table is in `auth-question.ts`. */
export const certificateForms = ['nginx', 'traefik', 'envoy', 'haproxy', 'apache', 'rfc9440'] as const;
export type CertificateForm = (typeof certificateForms)[number];

export interface AuthEndpointSettings {
  readonly name: string;
  readonly listen: AuthListen;
  /** Null: no TLS; then a Unix socket or a loopback address. */
  readonly tls: AuthTls | null;
  /** `http`: each request is a question; `grpc`: `envoy.service.auth.v3.Authorization/Check` over HTTP/2. */
  readonly protocol: 'http' | 'grpc';
  readonly callers: readonly AuthCallerSettings[];
  readonly limits: AuthEndpointLimits;
}

export type AuthListen =
  | {
      readonly kind: 'socket';
      readonly path: string;
      readonly access: 'owner' | 'group';
      readonly group: number | null;
    }
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number };

export interface AuthTls {
  /** PEM: the certificate first, then its intermediates. */
  readonly cert: string;
  readonly key: string;
  /** PEM of the CAs that certificates of callers must chain to; empty: callers are not asked for one. */
  readonly authorities: readonly string[];
}

export interface AuthCallerSettings {
  readonly name: string;
  readonly form: CertificateForm;
  /** Names of the bindings whose trust judges the clients. No host is answered to on two of them. */
  readonly bindings: readonly string[];
  /** Names of the sites that the caller may ask about. */
  readonly sites: readonly string[];
  /** Path of the one location whose rule holds whatever the caller says, of the one site; null: by host and path. */
  readonly location: string | null;
  /** Removed from the front of the path of a question in the form `envoy`; empty: nothing is. */
  readonly pathPrefix: string;
  readonly proof: CallerProof;
}

/** What a caller has to show. Everything that is set must hold; where nothing is, it is the only caller of a Unix socket. */
export interface CallerProof {
  /** SHA-256 of the shared secret. */
  readonly secret: Buffer | null;
  /** Null: no certificate. */
  readonly certificate: {
    /** Lower case; one of them stands among the dNSNames of the certificate, to the letter. */
    readonly dnsNames: readonly string[];
    /** SHA-256 of certificates, lower-case hex; the certificate is one of them. */
    readonly thumbprints: readonly string[];
  } | null;
}

/** Bounds of one listener; counts are per process. */
export interface AuthEndpointLimits {
  readonly maximumConnections: number;
  /** Questions without an answer yet; beyond: 503. */
  readonly maximumQuestions: number;
  readonly maximumHeaderBytes: number;
  /** From the beginning of a question to its end. */
  readonly questionTimeout: Millis;
  /** Certificates of one client. */
  readonly maximumChain: number;
  /** Clients whose answers are remembered. */
  readonly maximumClients: number;
}
