/**
 * Whether everything that a certificate marks as critical is understood and processed (RFC 5280 section 4.2). What these
 * extensions say is checked elsewhere.
 */
import type { Certificate } from '../x509/certificate.ts';
import { extensionOids, oidName, oids } from '../x509/oid.ts';

export function findCriticalFault({ extensions }: Certificate): string | null {
  const critical = extensions.all.filter((extension) => extension.critical);
  const forbidden = critical.find(({ oid }) => neverCritical.has(oid));
  if (forbidden !== undefined) return `extension ${nameAndOid(forbidden.oid)} must not be critical`;
  const unknown = critical.find(({ oid }) => !processed.has(oid));
  if (unknown !== undefined) return `critical extension ${nameAndOid(unknown.oid)} is not understood`;
  if (!critical.some(({ oid }) => oid === extensionOids.certificatePolicies)) return null;
  const qualifier = (extensions.certificatePolicies ?? [])
    .flatMap(({ qualifiers }) => qualifiers)
    .find((oid) => oid !== oids.cpsQualifier && oid !== oids.userNoticeQualifier);
  return qualifier === undefined ? null : `critical policies have a qualifier ${qualifier} that is not understood`;
}

/**
 * Distribution points and names of the issuer's choosing are read elsewhere in the product; nothing in them can be
 * violated by a path.
 */
const processed: ReadonlySet<string> = new Set([
  extensionOids.authorityKeyIdentifier,
  extensionOids.basicConstraints,
  extensionOids.certificatePolicies,
  extensionOids.crlDistributionPoints,
  extensionOids.extendedKeyUsage,
  extensionOids.inhibitAnyPolicy,
  extensionOids.keyUsage,
  extensionOids.microsoftApplicationPolicies,
  extensionOids.microsoftSid,
  extensionOids.nameConstraints,
  extensionOids.ocspNoCheck,
  extensionOids.policyConstraints,
  extensionOids.policyMappings,
  extensionOids.subjectAltName,
  extensionOids.subjectKeyIdentifier,
]);

/** RFC 5280 sections 4.2.2.1 and 4.2.1.15: whoever says otherwise means something that we do not know. */
const neverCritical: ReadonlySet<string> = new Set([extensionOids.authorityInfoAccess, extensionOids.freshestCrl]);

function nameAndOid(oid: string): string {
  const name = oidName(oid);
  return name === oid ? oid : `${name} (${oid})`;
}
