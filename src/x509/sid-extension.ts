/**
 * Microsoft's security extension 1.3.6.1.4.1.311.25.2 (MS-WCCE 2.2.2.7.7.4): the SID of the account a certificate was
 * issued to. On the wire it is a GeneralNames with one otherName whose value is the SID's text in an OCTET STRING.
 * Anything else is refused, never ignored: a certificate whose SID cannot be read must not pass as one without.
 */
import type { Sid } from '../base/brand.ts';
import { DerError, tags, type DerReader } from './der.ts';
import { parseOtherName } from './general-names.ts';
import { oids } from './oid.ts';

export function parseSidExtension(reader: DerReader, what: string): Sid {
  const names = reader.enter(tags.sequence, what);
  const other = names.take(0xa0, what);
  names.finish(`${what}: more than one name`);
  const { oid, value, valueReader } = parseOtherName(names, other, what);
  if (oid !== oids.objectSid) throw new DerError(other.content, `${what}: otherName of type ${oid}`);
  if (value.tag !== tags.octetString) throw new DerError(value.start, `${what}: the SID is not an OCTET STRING`);
  const text = valueReader.contentOf(value).toString('latin1');
  if (!isAccountSid(text)) throw new DerError(value.content, `${what}: not the text of an account's SID`);
  return text;
}

/** `S-1-5-21-` and what belongs to a domain or an account in it: canonical decimal numbers of 32 bits. */
function isAccountSid(text: string): text is Sid {
  if (!/^S-1-5-21(?:-(?:0|[1-9]\d{0,9})){3,14}$/.test(text)) return false;
  return text
    .split('-')
    .slice(4)
    .every((part) => Number(part) <= 0xffffffff);
}
