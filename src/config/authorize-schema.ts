/**
 * The part of the configuration language that says which mapped accounts pass at a location.
 */
import { z } from 'zod';
import { extendedKeyUsage, policyOid } from './identifiers.ts';
import { group, listOrNull, maybe } from './keys.ts';
import { principal } from './principals.ts';
import { certificatesReference } from './references.ts';
import { choice, flag } from './scalars.ts';

export const authorize = group(
  {
    accounts: z
      .array(choice(['user', 'computer']))
      .min(1)
      .optional()
      .describe('kinds of accounts that may pass. / has [user]'),
    minimumStrength: maybe(
      choice(['weak', 'strong']),
      'strong: the mapping must be strong by KB5014754, whatever is enforced elsewhere. / has weak',
    ),
    issuancePolicies: listOrNull(
      policyOid,
      'OIDs, for one of which the path of the certificate must be valid. / has null: none is asked for',
    ),
    extendedKeyUsages: listOrNull(
      extendedKeyUsage,
      'usages that the certificate must have, all of them. / has null: none is asked for',
    ),
    issuers: listOrNull(
      certificatesReference,
      'CAs, one of which, by name and key, must stand above the certificate. / has null: any',
    ),
    groups: listOrNull(
      principal,
      'groups whose members pass, nested ones too; with `users` one list: being in either is enough, and writing one leaves what is inherited of the other. / has null: with no users either everybody passes',
    ),
    users: listOrNull(principal, 'accounts that pass, beside the members of `groups`. / has null'),
    reportOnly: maybe(
      flag,
      'serve whom this rule would refuse, and record it: to try a rule out. It does not protect. / has false',
    ),
  },
  'which mapped accounts pass; everything that is asked for must hold. Inherits key by key',
);
