/**
 * Where the lab publishes what: the same paths are written into its certificates and answered by its revocation server. Names are
 * those of AD CS: `+` marks the delta CRL, `(1)` what belongs to the CA's second key.
 */
export interface RevocationAddresses {
  readonly crl: string;
  readonly deltaCrl: string;
  readonly certificate: string;
  readonly ocsp: string;
}

/** Where the lab's certificates point to unless a caller says otherwise. */
export const usualRevocationUrl = 'http://127.0.0.1:8088';

/** @param url of the server, without a slash at its end; empty gives the paths alone */
export function addressesOf(url: string, publishedAs: string): RevocationAddresses {
  return {
    crl: `${url}/crl/${publishedAs}.crl`,
    deltaCrl: `${url}/crl/${publishedAs}+.crl`,
    certificate: `${url}/ca/${publishedAs}.crt`,
    ocsp: `${url}/ocsp`,
  };
}
