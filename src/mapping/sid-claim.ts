/**
 * What a certificate says about the SID of the account it was issued to, and whether that is this account's. A SID never
 * locates an account, it only confirms or vetoes one (MS-PKCA 3.1.5.2.1.6). sIDHistory does not count: nothing says that it does.
 */
import type { Account } from '../base/identity.ts';
import type { Certificate } from '../x509/certificate.ts';

export interface SidClaim {
  readonly by: 'sidExtension' | 'sidUri';
  readonly place: string;
  /** The SIDs it names, for people. */
  readonly sids: string;
  readonly agrees: boolean;
}

const uriTag = 'tag:microsoft.com,2022-09-14:sid:';

/** The URI is looked at only where the extension is missing; several URIs must all name this account. */
export function sidClaim({ extensions: { sid, subjectAltName } }: Certificate, account: Account): SidClaim | null {
  if (sid !== null) return { by: 'sidExtension', place: 'the SID extension', sids: sid, agrees: sid === account.sid };
  const tagged = (subjectAltName?.uris ?? []).filter((uri) => uri.startsWith(uriTag));
  if (tagged.length === 0) return null;
  const sids = tagged.map((uri) => uri.slice(uriTag.length));
  return {
    by: 'sidUri',
    place: 'the SID in a URI of the subjectAltName',
    sids: sids.join(', '),
    agrees: sids.every((named) => named === account.sid),
  };
}
