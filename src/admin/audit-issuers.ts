/**
 * Whether the issuer that a value names is one of NTAuthCertificates, by its name. Values are not taken apart: their beginning is
 * compared with every name of the store, in every spelling.
 */
import { foldText } from '../mapping/ad-text.ts';
import { adNameSpellings } from '../mapping/ad-name.ts';
import type { Certificate } from '../x509/certificate.ts';

export interface NtAuthNames {
  /** URL of the server that gave the store. */
  readonly server: string;
  /** Null for values without an issuer. */
  has(value: string): boolean | null;
}

export function createNtAuthNames(store: readonly Certificate[], server: string): NtAuthNames {
  const beginnings = [
    ...new Set(store.flatMap(({ subject }) => adNameSpellings(subject)).filter((text) => text !== '')),
  ].map((text) => foldText(`X509:<I>${text}<`));
  return {
    server,
    has(value) {
      const folded = foldText(value);
      return folded.startsWith('x509:<i>') ? beginnings.some((beginning) => folded.startsWith(beginning)) : null;
    },
  };
}
