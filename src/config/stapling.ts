/**
 * For which server certificates of ours OCSP answers are stapled (RFC 6066 section 8): where the certificate names a responder
 * that may be asked, and its issuer is at hand, because the question names it.
 */
import { createAllowedHosts } from '../revocation/allowed-hosts.ts';
import { targetOf } from '../revocation/fetch-target.ts';
import type { OcspQuestion } from '../revocation/revocation-contract.ts';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import { sameName } from '../x509/name-comparison.ts';
import type { BindingDraft } from './bindings.ts';
import type { Reading } from './reading.ts';

/**
 * @param chain DER of what the binding shows: its certificate and those above it
 * @param allowed `revocation.hosts` and what is configured beside
 * @returns null where nothing is stapled
 */
export function staplingOf(
  { written, path }: BindingDraft,
  chain: readonly Buffer[],
  allowed: readonly string[],
  reading: Reading,
): OcspQuestion | null {
  const own = [...path, 'disableOcspStapling'];
  if (written.disableOcspStapling) return null;
  const [certificate, ...others] = chain.flatMap(parsed);
  const named = certificate?.extensions.authorityInfoAccess.ocsp ?? [];
  const hosts = createAllowedHosts(allowed);
  const responders = named.filter((url) => targetOf(url, { hosts, files: new Set(), serves: null }).kind === 'http');
  if (certificate === undefined || responders.length === 0) {
    const why =
      named.length === 0 ? 'names no OCSP responder' : 'names a responder that `revocation.hosts` does not have';
    if (reading.source.has(own)) reading.warn(own, `nothing is stapled: the server certificate ${why}`);
    return null;
  }
  const issuer = others.find(({ subject }) => sameName(subject, certificate.issuer));
  if (issuer !== undefined) return { certificate, issuer, responders, signers: [] };
  reading.warn(own, 'nothing is stapled: the certificate of the issuer does not stand below the server certificate');
  return null;
}

function parsed(der: Buffer): readonly Certificate[] {
  const result = parseCertificate(der);
  return result.kind === 'parsed' ? [result.certificate] : [];
}
