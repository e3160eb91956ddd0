/**
 * What a location demands of an account and its certificate that needs no directory: the kind of account, the strength of the
 * mapping, who issued the certificate, for which policies and usages its path is good. Memberships are decided in `membership.ts`.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { MappedIdentity } from '../mapping/mapper-contract.ts';
import { isSameAuthority } from '../trust/authority-role.ts';
import type { TrustedPath } from '../trust/judgement.ts';
import { isValidFor } from '../trust/policy-graph.ts';
import { rfc4514Text } from '../x509/name.ts';
import { oidName } from '../x509/oid.ts';
import type { AuthorizeRule } from './settings.ts';

/** @param place the location's path, for messages @returns the first demand that is not met; null: all are */
export function unmetDemand(
  identity: MappedIdentity,
  path: TrustedPath,
  authorize: AuthorizeRule,
  place: string,
): Verdict | null {
  const { account, methods, strengthBy } = identity;
  const refuse = (code: Verdict['code'], detail: string) => verdict(code, detail, account);

  if (!authorize.accounts.includes(account.kind))
    return refuse(
      'notAuthorised',
      `${account.name} is a ${account.kind} account, location ${place} accepts ${authorize.accounts.join(', ')}`,
    );
  if (authorize.minimumStrength === 'strong' && !strong.has(strengthBy))
    return refuse(
      'strengthRequired',
      `location ${place} asks for a strong mapping, ${account.name} was found by ${methods.join(', ')}: ${weakness[strengthBy]}`,
    );
  // Section 6.1 of RFC 5280 numbers a path from the anchor; ours begins with the leaf, which is nobody's issuer.
  const issuers = path.certificates.slice(1);
  if (
    authorize.issuers.length > 0 &&
    !authorize.issuers.some((wanted) => issuers.some((one) => isSameAuthority(one, wanted)))
  )
    return refuse(
      'issuerNotAccepted',
      `location ${place} accepts certificates below ${listOf(namesOf(authorize.issuers))} (by name and key), above this one stand ${listOf(namesOf(issuers))}`,
    );
  if (authorize.issuancePolicies.length > 0 && !isValidFor(path.policies, authorize.issuancePolicies))
    return refuse(
      'policyRequired',
      `location ${place} asks for a path that is valid for the policy ${listOf(authorize.issuancePolicies, ' or ')}, this one is valid for ${listOf([...path.policies.oids])}`,
    );
  const missing = authorize.extendedKeyUsages.filter((usage) => !path.usages.has(usage));
  if (missing.length > 0)
    return refuse(
      'policyRequired',
      `location ${place} asks for the extended key usages ${listOf(authorize.extendedKeyUsages.map(oidName))}, the certificate and those above it allow by name ${listOf([...path.usages].map(oidName))}`,
    );
  return null;
}

/** KB5014754: strong by itself, by a rule of the KDC, or because the certificate names the account's SID. */
const strong: ReadonlySet<MappedIdentity['strengthBy']> = new Set([
  'method',
  'nameBasedRule',
  'sidExtension',
  'sidUri',
]);

const weakness: Readonly<Record<MappedIdentity['strengthBy'], string>> = {
  method: 'strong',
  nameBasedRule: 'strong by a name-based rule',
  sidExtension: 'strong by the SID extension',
  sidUri: 'strong by the SID in a URI',
  age: 'weak, and let pass because the certificate is not older than the account',
  notEnforced: 'weak, and let pass because StrongCertificateBindingEnforcement is 0',
  rcmp: 'weak, and let pass because the method never asks for strength',
};

function namesOf(certificates: TrustedPath['certificates']): readonly string[] {
  return certificates.map(({ subject }) => rfc4514Text(subject));
}

/** More are not of use in a sentence, and a certificate may hold thousands. */
const maximumListed = 8;

export function listOf(items: readonly string[], separator = ', '): string {
  if (items.length === 0) return 'none';
  const more = items.length > maximumListed ? ` and ${items.length - maximumListed} more` : '';
  return `${items.slice(0, maximumListed).join(separator)}${more}`;
}
