/**
 * Whole certificates as header values are made of them: base64 of the DER on one line, and PEM with percent escapes.
 */

/** Base64 with padding and without line breaks (RFC 4648 section 4). */
export function base64Of(der: Uint8Array): string {
  return Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
}

/** PEM (RFC 7468) with everything but unreserved characters escaped (RFC 3986 section 2.3), as nginx and Envoy write it. */
export function escapedPem(der: Uint8Array): string {
  const lines = base64Of(der).match(/.{1,64}/g) ?? [];
  return encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`);
}
