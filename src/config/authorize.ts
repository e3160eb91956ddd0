/**
 * What locations write under `authorize`, read: certificates from their files, names with their domains looked at. What is
 * inherited is decided in `locations.ts`.
 */
import type { AuthorizeRule } from '../gateway/settings.ts';
import type { PrincipalName } from '../directory/directory.ts';
import { assertsCa } from '../trust/authority-role.ts';
import { rfc4514Text } from '../x509/name.ts';
import { readCertificates } from './certificates.ts';
import { printable } from './complaint.ts';
import { principalText } from './principals.ts';
import type { Reading } from './reading.ts';
import type { Reference } from './references.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';
import { nearest } from './suggestion.ts';

export type WrittenAuthorize = NonNullable<Language['sites'][number]['locations'][string]['authorize']>;

/** What one location writes itself; nothing for what it leaves to the one above. */
export type OwnRule = Partial<AuthorizeRule>;

/** Whoever was mapped passes if the kind of account is right. */
export const rootAuthorize: AuthorizeRule = {
  accounts: ['user'],
  minimumStrength: 'weak',
  issuancePolicies: [],
  extendedKeyUsages: [],
  issuers: [],
  groups: [],
  users: [],
  reportOnly: false,
  alsoRequires: null,
};

/** @param domains DNS names of the configured domains; null where they are not known, which is complained of elsewhere */
export async function readAuthorizes(
  sites: readonly (Language['sites'][number] | null)[],
  domains: readonly string[] | null,
  reading: Reading,
): Promise<ReadonlyMap<WrittenAuthorize, OwnRule>> {
  const rules = new Map<WrittenAuthorize, OwnRule>();
  for (const [index, site] of sites.entries())
    for (const [location, { authorize }] of Object.entries(site?.locations ?? {}))
      if (authorize !== undefined)
        rules.set(
          authorize,
          await readAuthorize(authorize, domains, ['sites', index, 'locations', location, 'authorize'], reading),
        );
  return rules;
}

async function readAuthorize(
  {
    accounts,
    minimumStrength,
    issuancePolicies,
    extendedKeyUsages,
    issuers,
    groups,
    users,
    reportOnly,
  }: WrittenAuthorize,
  domains: readonly string[] | null,
  path: Path,
  reading: Reading,
): Promise<OwnRule> {
  if (domains !== null) {
    checkDomains(groups ?? [], domains, [...path, 'groups'], reading);
    checkDomains(users ?? [], domains, [...path, 'users'], reading);
  }
  return {
    ...(accounts === undefined ? {} : { accounts: unique(accounts) }),
    ...(minimumStrength === undefined ? {} : { minimumStrength }),
    ...(issuancePolicies === undefined ? {} : { issuancePolicies: unique(issuancePolicies ?? []) }),
    ...(extendedKeyUsages === undefined ? {} : { extendedKeyUsages: unique(extendedKeyUsages ?? []) }),
    ...(issuers === undefined ? {} : { issuers: await readIssuers(issuers ?? [], [...path, 'issuers'], reading) }),
    ...(groups === undefined ? {} : { groups: uniqueNames(groups ?? []) }),
    ...(users === undefined ? {} : { users: uniqueNames(users ?? []) }),
    ...(reportOnly === undefined ? {} : { reportOnly }),
  };
}

async function readIssuers(
  references: readonly Reference[],
  path: Path,
  reading: Reading,
): Promise<AuthorizeRule['issuers']> {
  const read = await readCertificates(references, path, reading);
  for (const { certificate, where, path: own } of read)
    if (certificate.version === 3 && !assertsCa(certificate))
      reading.warn(
        own,
        `${printable(where)}, ${printable(rfc4514Text(certificate.subject))}, is not a CA certificate: nothing stands below it`,
      );
  return [...new Map(read.map(({ certificate }) => [certificate.digest, certificate])).values()];
}

/** A NetBIOS name can only be compared when the directory has been asked for its domains. */
function checkDomains(names: readonly PrincipalName[], domains: readonly string[], path: Path, reading: Reading): void {
  for (const [index, name] of names.entries()) {
    if (name.kind === 'sid' || !name.domain.includes('.') || domains.includes(name.domain)) continue;
    const guess = nearest(name.domain, domains);
    reading.mistake([...path, index], `no domain of \`directory\` is named ${printable(name.domain)}`, {
      hint: guess === null ? `the domains are ${domains.join(', ')}` : `did you mean \`${guess}\`?`,
    });
  }
}

function uniqueNames(names: readonly PrincipalName[]): readonly PrincipalName[] {
  const key = (name: PrincipalName) => principalText(name).toLowerCase();
  return names.filter((name, index) => names.findIndex((other) => key(other) === key(name)) === index);
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
