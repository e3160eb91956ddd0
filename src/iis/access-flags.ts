/**
 * `access@sslFlags` of system.webServer/security (reference: IIS configuration, WMI AccessSection): names, numbers and
 * what they ask for.
 */
export const accessFlagBits = {
  None: 0,
  Ssl: 8,
  SslNegotiateCert: 32,
  SslRequireCert: 64,
  SslMapCert: 128,
  Ssl128: 256,
} as const;

export type AccessFlag = keyof typeof accessFlagBits;

export interface AccessRule {
  readonly flags: readonly AccessFlag[];
  /** https is required (403.4 without). */
  readonly ssl: boolean;
  /** Keys of 128 bits or more are required (403.5 without). */
  readonly ssl128: boolean;
  /** Ignore: never asked. Accept: asked, absence is fine. Require: absence is 403.7. */
  readonly clientCertificate: 'ignore' | 'accept' | 'require';
}

/** SslRequireCert without SslNegotiateCert is undocumented: it is taken as both, as IIS' own tools always write both. */
export function accessRule(flags: readonly AccessFlag[]): AccessRule {
  const has = (flag: AccessFlag) => flags.includes(flag);
  return {
    flags,
    ssl: has('Ssl') || has('Ssl128'),
    ssl128: has('Ssl128'),
    clientCertificate: has('SslRequireCert') ? 'require' : has('SslNegotiateCert') ? 'accept' : 'ignore',
  };
}
