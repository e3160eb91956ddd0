/**
 * The rule of a location about accounts, for `dsmapper check`: as values, and as words for people.
 */
import type { AuthorizeRule } from '../gateway/settings.ts';
import { rfc4514Text } from '../x509/name.ts';
import { oidName } from '../x509/oid.ts';
import { principalText } from './principals.ts';

/** As in `AuthorizeRule`, with names in place of values. */
export interface AuthorizeText extends Pick<
  AuthorizeRule,
  'accounts' | 'minimumStrength' | 'issuancePolicies' | 'extendedKeyUsages' | 'reportOnly'
> {
  /** Subjects. */
  readonly issuers: readonly string[];
  readonly groups: readonly string[];
  readonly users: readonly string[];
  readonly alsoRequires: AuthorizeText | null;
}

export function authorizeText(rule: AuthorizeRule): AuthorizeText {
  const { accounts, minimumStrength, issuancePolicies, extendedKeyUsages, reportOnly } = rule;
  return {
    accounts,
    minimumStrength,
    issuancePolicies,
    extendedKeyUsages,
    issuers: rule.issuers.map(({ subject }) => rfc4514Text(subject)),
    groups: rule.groups.map(principalText),
    users: rule.users.map(principalText),
    reportOnly,
    alsoRequires: rule.alsoRequires === null ? null : authorizeText(rule.alsoRequires),
  };
}

/** Parts of a line; what asks for nothing is left out. */
export function authorizeWords(rule: AuthorizeText): readonly string[] {
  const { issuancePolicies, extendedKeyUsages, issuers, alsoRequires } = rule;
  return [
    `accounts ${rule.accounts.join(', ') || 'none'}`,
    ...(rule.minimumStrength === 'weak' ? [] : ['a strong mapping']),
    ...listed('policy', issuancePolicies, ' or '),
    ...listed('usages', extendedKeyUsages.map(oidName), ' and '),
    ...listed('issuer', issuers, ' or '),
    ...listed(
      'one of',
      [...rule.groups.map((name) => `group ${name}`), ...rule.users.map((name) => `user ${name}`)],
      ', ',
    ),
    ...(rule.reportOnly ? ['REPORTED ONLY: whom this refuses is served'] : []),
    ...(alsoRequires === null ? [] : [`and also (${authorizeWords(alsoRequires).join('; ')})`]),
  ];
}

function listed(what: string, items: readonly string[], between: string): readonly string[] {
  return items.length === 0 ? [] : [`${what} ${items.join(between)}`];
}
