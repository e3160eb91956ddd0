/**
 * The bits of CertificateMappingMethods, the value under `SecurityProviders\SCHANNEL` that says how Schannel finds accounts (KB5014754). The
 * upper two ask the KDC (S4U2Self), the lower three a domain controller by MS-RCMP, which never asks how strong a mapping is.
 */
export const methodBits = {
  /** RCMP: `<I>` and `<S>` together. */
  subjectIssuer: 0x1,
  /** RCMP: `<I>` alone, of the leaf's issuer and of every further issuer up the path. */
  issuer: 0x2,
  /** RCMP: DNS name or UPN of the subjectAltName. */
  upn: 0x4,
  /** KDC: UPN and DNS name of the subjectAltName. */
  s4u2Self: 0x8,
  /** KDC: altSecurityIdentities. */
  s4u2SelfExplicit: 0x10,
} as const;
