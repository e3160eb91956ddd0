/**
 * `ms-client-principal`: what authentication of Azure App Service tells an application: `X-MS-CLIENT-PRINCIPAL` (base64 of JSON in UTF-8:
 * `auth_typ`, `claims` of `typ` and `val`, `name_typ`, `role_typ`), and beside it `-ID` (the SID), `-NAME` (`DOMAIN\user`) and `-IDP`.
 */
import type { Dialect, DressedClient } from '../dialect-contract.ts';
import { headerText } from '../header-text.ts';
import type { MappedIdentity } from '../../mapping/mapper-contract.ts';

export const msClientPrincipal: Dialect = (headers, client, { headers: names }) => {
  if (client === 'none' || client.identity === null) return;
  const { account } = client.identity;
  const principal = {
    auth_typ: provider,
    claims: claimsOf(client, client.identity),
    name_typ: claimTypes.name,
    role_typ: claimTypes.role,
  };
  headers.push(names.msPrincipal, Buffer.from(JSON.stringify(principal), 'utf8').toString('base64'));
  headers.push(names.msPrincipalId, headerText(account.sid));
  headers.push(names.msPrincipalName, headerText(account.name));
  headers.push(names.msPrincipalIdp, provider);
};

const provider = 'dsmapper';

/** System.Security.Claims.ClaimTypes of .NET. */
const claimTypes = {
  name: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name',
  nameIdentifier: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier',
  upn: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn',
  primarySid: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/primarysid',
  groupSid: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/groupsid',
  role: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role',
} as const;

interface Claim {
  readonly typ: string;
  readonly val: string;
}

/** Groups by SID, and where names are known also as roles, which is what `IsInRole` asks for. */
function claimsOf({ groups }: DressedClient, { account }: MappedIdentity): readonly Claim[] {
  const named = groups?.flatMap(({ name }) => (name === null ? [] : [{ typ: claimTypes.role, val: name }])) ?? [];
  return [
    { typ: claimTypes.nameIdentifier, val: account.sid },
    { typ: claimTypes.primarySid, val: account.sid },
    { typ: claimTypes.name, val: account.name },
    ...(account.upn === null ? [] : [{ typ: claimTypes.upn, val: account.upn }]),
    ...(groups ?? []).map(({ sid }) => ({ typ: claimTypes.groupSid, val: sid })),
    ...named,
  ];
}
