/**
 * What a KDC would have written to its System log about a certificate (KB5014754: events 39, 40 and 41 of
 * Kerberos-Key-Distribution-Center), as one record for the log: the fields of that event, and what was looked for besides.
 */
import type { Instant } from '../base/brand.ts';
import { hexOf } from '../base/bytes.ts';
import { isoText } from '../base/clock.ts';
import type { Candidate, KdcEvent } from '../mapping/mapper-contract.ts';
import { serialText } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';

export type KdcRecord = Readonly<Record<string, string | readonly string[] | null>> & {
  readonly event: string;
  readonly level: KdcEvent['level'];
};

/** A certificate of 64 KB may name thousands. */
const maximumListed = 32;
const maximumText = 512;

/** @param names false: what says whose certificate it is is left out */
export function kdcRecord(event: KdcEvent, now: Instant, names: boolean): KdcRecord {
  const { id, level, account, leaf, certificateSid, matched, candidates } = event;
  const named = (text: string | null) => (names && text !== null ? cut(text) : null);
  const listed = (list: readonly Candidate[]) =>
    list.slice(0, maximumListed).map(({ method, value }) => (names ? cut(`${method}: ${value}`) : method));
  return {
    time: isoText(now),
    event: `kdc.${id}`,
    level,
    text: sentences[id],
    user: named(account.name),
    userSid: named(account.sid),
    certificateSubject: named(rfc4514Text(leaf.subject)),
    certificateIssuer: cut(rfc4514Text(leaf.issuer)),
    serial: serialText(leaf),
    // How it stands in altSecurityIdentities behind <SR>, where whoever copies it from here wants it.
    serialReversed: hexOf(Buffer.from(serialText(leaf), 'hex').reverse()),
    thumbprint: leaf.thumbprint,
    certificateSid: named(certificateSid),
    notBefore: isoText(leaf.notBefore),
    whenCreated: account.whenCreated === null ? null : isoText(account.whenCreated),
    matched: listed(matched),
    candidates: listed(candidates),
  };
}

const sentences: Readonly<Record<KdcEvent['id'], string>> = {
  39: 'The certificate is valid, but it could not be mapped to the user in a strong way.',
  40: 'The certificate is valid and mapped in a weak way, and it was issued before the user existed.',
  41: 'The certificate is valid, but its SID is not that of the user it is mapped to.',
};

function cut(text: string): string {
  return text.length <= maximumText ? text : `${text.slice(0, maximumText)}...`;
}
