/**
 * `remote-user`, our own: `X-Remote-User` (`DOMAIN\user`), `X-Remote-Upn` (absent where the account has none), `X-Remote-Sid`, and
 * `X-Client-Verify`: `SUCCESS` where the chain was validated, else `NONE`. Where the location tells groups, `X-Remote-Group-Sids`, and with names
 * `X-Remote-Groups` beside it: lists with commas, in which a comma within a name is escaped as well.
 */
import type { Dialect, Group } from '../dialect-contract.ts';
import type { HeaderNames } from '../forward-contract.ts';
import { headerText } from '../header-text.ts';

export const remoteUser: Dialect = (headers, client, { headers: names }) => {
  if (client !== 'none' && client.identity !== null) {
    const { account } = client.identity;
    headers.push(names.user, headerText(account.name));
    if (account.upn !== null) headers.push(names.upn, headerText(account.upn));
    headers.push(names.sid, headerText(account.sid));
    if (client.groups !== null) pushGroups(headers, client.groups, names);
  }
  headers.push(names.verify, client === 'none' ? 'NONE' : 'SUCCESS');
};

/** Groups whose name is not known are in the list of SIDs alone. */
function pushGroups(headers: string[], groups: readonly Group[], names: HeaderNames): void {
  headers.push(names.groupSids, groups.map(({ sid }) => listText(sid)).join(','));
  const named = groups.flatMap(({ name }) => (name === null ? [] : [listText(name)]));
  if (named.length > 0) headers.push(names.groups, named.join(','));
}

function listText(text: string): string {
  return headerText(text).replaceAll(',', '%2C');
}
