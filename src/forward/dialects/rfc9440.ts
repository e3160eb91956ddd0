/**
 * `rfc9440`: `Client-Cert`, and `Client-Cert-Chain` where the client presented more than its own certificate: a byte sequence and a list of
 * byte sequences (RFC 9440 section 2, RFC 8941 sections 3.1 and 3.3.5).
 */
import type { Dialect } from '../dialect-contract.ts';
import { base64Of } from './certificate-text.ts';

export const rfc9440: Dialect = (headers, client, { headers: names }) => {
  if (client === 'none') return;
  headers.push(names.clientCert, byteSequence(client.leaf.der));
  if (client.presentedChain.length > 0)
    headers.push(names.clientCertChain, client.presentedChain.map(byteSequence).join(', '));
};

function byteSequence(der: Uint8Array): string {
  return `:${base64Of(der)}:`;
}
