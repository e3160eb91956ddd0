/**
 * Which CA names clients are sent with the request for their certificate (`sendTrustedIssuerList`). They are hints: nobody is
 * trusted for being among them. Their size is bounded, because every handshake carries them and a longer list than
 * a TLS message holds ends every handshake.
 */
import { assertsCa } from '../trust/authority-role.ts';
import type { TrustStore } from '../trust/judgement.ts';
import { nameKey } from '../x509/name-comparison.ts';
import { pemText } from '../x509/pem.ts';
import type { BindingDraft } from './bindings.ts';
import type { Reading } from './reading.ts';

/** Octets of the names, each with its length of two octets (RFC 5246 section 7.4.4). A list ends at 65,535, the message soon after. */
export const maximumHintBytes = 61_440;

/**
 * @param asks whether clients of the binding can be asked for certificates
 * @returns one certificate for each name, as PEM; empty: no names are sent
 */
export function issuerHints(
  { written, path }: BindingDraft,
  asks: boolean,
  store: TrustStore,
  reading: Reading,
): readonly string[] {
  if (!written.sendTrustedIssuerList) return [];
  if (!asks)
    reading.warn([...path, 'sendTrustedIssuerList'], 'means nothing: no location of this binding wants certificates');
  // As Windows does since 2012: the store that the binding names, else its roots; CAs alone.
  const certificates = (store.list?.certificates ?? store.anchors).filter(
    (certificate) => certificate.version < 3 || assertsCa(certificate),
  );
  const names = [...new Map(certificates.map((certificate) => [nameKey(certificate.subject), certificate])).values()];
  const size = names.reduce((sum, { subject }) => sum + 2 + subject.der.length, 0);
  const what = `${names.length} CA names are ${size} bytes`;
  if (size > maximumHintBytes)
    reading.mistake([...path, 'sendTrustedIssuerList'], `the ${what}, more than the ${maximumHintBytes} that fit`, {
      hint: 'name a smaller store by `ctlStoreName`, or write `disabled`',
    });
  return names.map(({ der }) => pemText(der));
}
