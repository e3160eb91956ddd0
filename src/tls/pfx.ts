/**
 * Whether a PKCS#12 file opens and holds a key with its certificate. Node has no other reader of PKCS#12 than the TLS
 * context that will use it.
 */
import { createSecureContext } from 'node:tls';

export type PfxResult =
  | {
      readonly kind: 'opened';
      /** DER of the certificate that belongs to the key. */
      readonly certificate: Buffer;
      /** DER of its issuer's certificate; null when the file does not hold it. */
      readonly issuer: Buffer | null;
    }
  /** `passphrase`: wrong or missing; `malformed`: no PKCS#12, or without key or certificate. */
  | { readonly kind: 'passphrase' | 'malformed'; readonly reason: string };

/** @param passphrase empty where there is none */
export function openPfx(pfx: Buffer, passphrase: string): PfxResult {
  try {
    const { context } = createSecureContext({ pfx, passphrase }) as { readonly context: NativeContext };
    const certificate = context.getCertificate();
    if (certificate === null) return { kind: 'malformed', reason: 'it holds no certificate' };
    return { kind: 'opened', certificate, issuer: context.getIssuer() ?? null };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (/mac verify failure|bad decrypt/i.test(reason))
      return { kind: 'passphrase', reason: 'the passphrase does not open it' };
    if (/private key/i.test(reason)) return { kind: 'malformed', reason: 'it holds no private key' };
    return { kind: 'malformed', reason: `it is not PKCS#12 (${reason})` };
  }
}

/** What Node's own tests call on a context; not in its documentation. */
interface NativeContext {
  getCertificate(): Buffer | null;
  getIssuer(): Buffer | null | undefined;
}
