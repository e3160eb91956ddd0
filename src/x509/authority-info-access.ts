/**
 * Authority Information Access (RFC 5280 section 4.2.2.1): where OCSP responders and issuers' certificates are. All of it
 * has to be well formed; of what it offers only URIs are kept. Whether one is ever fetched is decided in `revocation/`.
 */
import type { AuthorityInfoAccess } from './crl-contract.ts';
import { DerError, tags, type DerReader } from './der.ts';
import { oidOf } from './der-values.ts';
import { parseGeneralNames } from './general-names.ts';
import { oids } from './oid.ts';

/** Far above what real certificates hold (two or three); each could become a request. */
const maximumDescriptions = 64;

export const noAuthorityInfoAccess: AuthorityInfoAccess = { ocsp: [], caIssuers: [] };

export function parseAuthorityInfoAccess(reader: DerReader, what: string): AuthorityInfoAccess {
  const list = reader.enter(tags.sequence, what);
  if (list.done) throw new DerError(list.offset, `${what}: no description inside`);
  const ocsp: string[] = [];
  const caIssuers: string[] = [];
  for (let count = 1; !list.done; count += 1) {
    if (count > maximumDescriptions) throw new DerError(list.offset, `${what}: more than ${maximumDescriptions}`);
    const description = list.enter(tags.sequence, what);
    const method = oidOf(description, description.take(tags.oid, what), what);
    const location = description.any(what);
    description.finish(what);
    // One GeneralName is a GeneralNames of one, without the SEQUENCE around it.
    const { uris } = parseGeneralNames(description.only(location), what);
    if (method === oids.ocspAccess) ocsp.push(...uris);
    if (method === oids.caIssuersAccess) caIssuers.push(...uris);
  }
  return { ocsp, caIssuers };
}
