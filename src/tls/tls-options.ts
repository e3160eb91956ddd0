/**
 * How a binding speaks TLS: versions, suites, what it asks of clients and what it lets them resume. The three kinds of
 * listener (up-front, late, never) differ here and nowhere else; HTTP is decided in `http-options.ts`.
 */
import { constants } from 'node:crypto';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { Failure } from '../base/failure.ts';
import type { BindingSettings } from './binding.ts';
import { sessionContextOf } from './ticket-keys.ts';

/** Seconds a session may be resumed, counted from its full handshake. */
const sessionLifeSeconds = 3600;

/** Forward secrecy and AEAD only. The TLS 1.3 suites first; the rest is ECDHE of TLS 1.2 (RFC 9325 section 4.2). */
const cipherSuites = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** @throws Failure when the binding's settings contradict each other */
export function tlsOptionsOf(binding: BindingSettings): TlsOptions {
  const late = binding.clientCertificate === 'late';
  const newest = late || binding.disableTls13 ? 'TLSv1.2' : 'TLSv1.3';
  const oldest = binding.disableTls12 ? 'TLSv1.3' : 'TLSv1.2';
  if (oldest > newest)
    throw new Failure(`binding ${binding.name}: no TLS version is left`, {
      code: 'binding-protocols',
      hint: late
        ? 'a binding that asks for certificates late needs TLS 1.2: leave it on, or negotiate up front'
        : 'leave TLS 1.2 or TLS 1.3 on',
      exitCode: 2,
    });
  return {
    ...certificateOf(binding),
    minVersion: oldest,
    maxVersion: newest,
    ciphers: cipherSuites,
    honorCipherOrder: true,
    ecdhCurve: 'auto',
    secureOptions: secureOptionsOf(binding),
    requestCert: binding.clientCertificate === 'upFront',
    // The gateway judges; OpenSSL's verdict is stale after a renegotiation and on resumption.
    rejectUnauthorized: false,
    // Only hints to the client: without any, Java, Go and wget offer what they have.
    ca: [...(binding.issuerHints ?? [])],
    sessionIdContext: sessionContextOf(binding),
    sessionTimeout: sessionLifeSeconds,
  };
}

/** Tickets only where the binding wants them, and never where a session could stand in for being asked. */
export function resumes(binding: BindingSettings): boolean {
  return binding.enableSessionTicket && binding.clientCertificate !== 'late';
}

function secureOptionsOf(binding: BindingSettings): number {
  const always = constants.SSL_OP_NO_COMPRESSION;
  const tickets = resumes(binding) ? 0 : constants.SSL_OP_NO_TICKET;
  // A client that resumes inside a renegotiation is not asked for a certificate.
  const renegotiation =
    binding.clientCertificate === 'late'
      ? constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION
      : constants.SSL_OP_NO_RENEGOTIATION;
  return always | tickets | renegotiation;
}

function certificateOf({ name, certificate }: BindingSettings): SecureContextOptions {
  // Node takes empty text for "none" and would open a server that refuses every handshake.
  const empty = certificate === null || ('cert' in certificate && (certificate.cert === '' || certificate.key === ''));
  if (empty)
    throw new Failure(`binding ${name} has no server certificate`, {
      code: 'binding-certificate',
      hint: 'give the binding a certificate, or serve it as plain http',
      exitCode: 2,
    });
  return { ...certificate };
}
