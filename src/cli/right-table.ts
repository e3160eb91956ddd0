/**
 * Which right of the bind account lets it read what (docs/directory-account.md). Property sets by their names in the security dialog and their
 * rightsGuid (the published schema of Active Directory; MS-ADA1 to MS-ADA3).
 */

/** What to grant; one clause that ends a sentence. */
const sets = {
  public: 'read of the property set Public Information (e48d0154-bcf8-11d1-8702-00c04fb96050)',
  general: 'read of the property set General Information (59ba2f42-79a2-11d0-9020-00c04fc2d3cf)',
  account: 'read of the property set Account Restrictions (4c164200-20c0-11d0-a768-00aa006e0529)',
  logon: 'read of the property set Logon Information (5f202010-79a5-11d0-9020-00c04fc2d4cf)',
  remote: 'read of the property set Remote Access Information (037088f8-0ae1-11d2-b422-00a0c968f939)',
  host: 'read of the property set DNS Host Name Attributes (72e39547-7b18-11d1-adef-00c04fd8d5cd)',
} as const;

export interface AttributeRight {
  readonly right: string;
  /** Every account has it: one where it is missing is one where it may not be read. */
  readonly always: boolean;
  /** Accounts are found by it. */
  readonly searched: boolean;
}

/** By the attributes that accounts are read with (`accountAttributes`). */
export const attributeRights: ReadonlyMap<string, AttributeRight> = new Map([
  ['objectClass', { right: sets.public, always: true, searched: true }],
  ['objectGUID', { right: sets.public, always: true, searched: true }],
  ['objectSid', { right: sets.general, always: true, searched: false }],
  ['sAMAccountName', { right: sets.general, always: true, searched: true }],
  ['userPrincipalName', { right: sets.public, always: false, searched: true }],
  ['userAccountControl', { right: sets.account, always: true, searched: false }],
  ['msDS-User-Account-Control-Computed', { right: sets.account, always: true, searched: false }],
  ['accountExpires', { right: sets.account, always: true, searched: false }],
  ['logonHours', { right: sets.logon, always: false, searched: false }],
  [
    'whenCreated',
    { right: 'read of whenCreated (bf967a78-0de6-11d0-a285-00aa003049e2)', always: true, searched: false },
  ],
  ['altSecurityIdentities', { right: sets.public, always: false, searched: true }],
  ['servicePrincipalName', { right: sets.public, always: false, searched: true }],
  ['dNSHostName', { right: sets.host, always: false, searched: false }],
]);

export const otherRights = {
  list: 'List Contents on the containers of the accounts, and List Object where that mode is on (dSHeuristics)',
  groups: sets.remote,
  changes: 'read of uSNChanged (bf967a6f-0de6-11d0-a285-00aa003049e2)',
  sites: 'read of CN=Sites in the configuration, which Authenticated Users have',
} as const;
