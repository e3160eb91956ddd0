/**
 * Object identifiers that certificates contain: dotted text by constant name, and names for people. Unknown ones stay
 * dotted text; nothing is decided here.
 */

/** Extensions of certificates (RFC 5280 section 4.2, MS-WCCE 2.2.2.7.7), of CRLs (5.2) and of their entries (5.3). */
export const extensionOids = {
  subjectDirectoryAttributes: '2.5.29.9',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  issuerAltName: '2.5.29.18',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  invalidityDate: '2.5.29.24',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  freshestCrl: '2.5.29.46',
  inhibitAnyPolicy: '2.5.29.54',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  subjectInfoAccess: '1.3.6.1.5.5.7.1.11',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
  certificateTransparency: '1.3.6.1.4.1.11129.2.4.2',
  netscapeCertType: '2.16.840.1.113730.1.1',
  microsoftTemplateName: '1.3.6.1.4.1.311.20.2',
  microsoftCaVersion: '1.3.6.1.4.1.311.21.1',
  microsoftPreviousCaHash: '1.3.6.1.4.1.311.21.2',
  microsoftNextPublish: '1.3.6.1.4.1.311.21.4',
  microsoftTemplate: '1.3.6.1.4.1.311.21.7',
  microsoftApplicationPolicies: '1.3.6.1.4.1.311.21.10',
  microsoftSid: '1.3.6.1.4.1.311.25.2',
} as const;

/** Values of extendedKeyUsage and Application Policies. */
export const usageOids = {
  any: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
  pkinitClientAuth: '1.3.6.1.5.2.3.4',
  pkinitKdc: '1.3.6.1.5.2.3.5',
  smartCardLogon: '1.3.6.1.4.1.311.20.2.2',
  microsoftAnyPurpose: '1.3.6.1.4.1.311.10.12.1',
  microsoftEncryptingFileSystem: '1.3.6.1.4.1.311.10.3.4',
} as const;

/** otherName types, policies, keys and signatures that the product looks for. */
export const oids = {
  anyPolicy: '2.5.29.32.0',
  userPrincipalName: '1.3.6.1.4.1.311.20.2.3',
  objectSid: '1.3.6.1.4.1.311.25.2.1',
  signedData: '1.2.840.113549.1.7.2',
  emailAddress: '1.2.840.113549.1.9.1',
  ocspAccess: '1.3.6.1.5.5.7.48.1',
  caIssuersAccess: '1.3.6.1.5.5.7.48.2',
  cpsQualifier: '1.3.6.1.5.5.7.2.1',
  userNoticeQualifier: '1.3.6.1.5.5.7.2.2',
  dsa: '1.2.840.10040.4.1',
  dsaWithSha1: '1.2.840.10040.4.3',
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsaPss: '1.2.840.113549.1.1.10',
  mgf1: '1.2.840.113549.1.1.8',
  ecPublicKey: '1.2.840.10045.2.1',
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  p521: '1.3.132.0.35',
  ed25519: '1.3.101.112',
  ed448: '1.3.101.113',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
  md5WithRsa: '1.2.840.113549.1.1.4',
  sha1WithRsa: '1.2.840.113549.1.1.5',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
  ecdsaWithSha1: '1.2.840.10045.4.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
} as const;

/** Attribute types with the short names of RFC 4514 section 3, and LDAP's names for others that certificates carry. */
export const attributeNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'sn',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.13': 'description',
  '2.5.4.17': 'postalCode',
  '2.5.4.41': 'name',
  '2.5.4.42': 'givenName',
  '2.5.4.43': 'initials',
  '2.5.4.44': 'generationQualifier',
  '2.5.4.46': 'dnQualifier',
  '2.5.4.65': 'pseudonym',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
};

const names: ReadonlyMap<string, string> = new Map([
  ...[extensionOids, usageOids, oids].flatMap((group) =>
    Object.entries(group).map(([name, oid]): [string, string] => [oid, name]),
  ),
  ...Object.entries(attributeNames),
]);

/** A name for people (`clientAuth`), or the dotted text itself. */
export function oidName(oid: string): string {
  return names.get(oid) ?? oid;
}

/** Dotted text by content octets, so that the hot path need not decode what it meets in every certificate. */
const byContent: ReadonlyMap<string, string> = new Map([...names.keys()].map((oid) => [contentKey(oid), oid]));

/** Dotted text of an OID in this file whose content octets lie between two offsets; null for every other one. */
export function knownOid(bytes: Buffer, start: number, end: number): string | null {
  return byContent.get(bytes.toString('latin1', start, end)) ?? null;
}

function contentKey(oid: string): string {
  const [first = 0, second = 0, ...rest] = oid.split('.').map(Number);
  return [first * 40 + second, ...rest].map((arc) => String.fromCharCode(...base128(arc))).join('');
}

function base128(arc: number): number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift(0x80 | (rest % 128));
  return octets;
}
