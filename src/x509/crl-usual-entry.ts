/**
 * The entries that nearly every CRL consists of: a serial number, a date, and at most a reason. They are recognised octet by
 * octet, without an object for any of them; all others, good or bad, are for `crl-entry.ts`. Nothing is recognised here that
 * would be refused there, or read differently.
 */
import { maximumSerialLength } from './certificate.ts';
import type { CrlEntry } from './crl-contract.ts';
import { isReason, type EntryRules } from './crl-entry.ts';
import { tags } from './der.ts';
import { instantAt, timeFault } from './der-values.ts';

/** `30 0c 30 0a 06 03 55 1d 15 04 03 0a 01`: extensions with nothing but a reasonCode, which follows. */
const onlyReason = Buffer.from('300c300a0603551d1504030a01', 'hex');

/** The end of the entry that begins here; 0 when it is not a usual one. */
export function endOfUsualEntry(der: Buffer, entry: number, limit: number, rules: EntryRules): number {
  const length = der[entry + 1] ?? 0;
  const end = entry + 2 + length;
  if (der[entry] !== tags.sequence || length >= 0x80 || end > limit) return 0;
  const serialLength = der[entry + 3] ?? 0;
  const first = der[entry + 4] ?? 0;
  const second = der[entry + 5] ?? 0;
  if (der[entry + 2] !== tags.integer || serialLength === 0 || serialLength > maximumSerialLength) return 0;
  if (serialLength > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) return 0;
  const date = entry + 4 + serialLength;
  const utc = der[date] === tags.utcTime;
  if (!utc && der[date] !== tags.generalizedTime) return 0;
  const dateEnd = date + 2 + (der[date + 1] ?? 0);
  if (timeFault(der, date + 2, dateEnd, utc) !== null) return 0;
  if (dateEnd === end) return end;
  if (!rules.extensions || end - dateEnd !== onlyReason.length + 1) return 0;
  for (let at = 0; at < onlyReason.length; at += 1) if (der[dateEnd + at] !== onlyReason[at]) return 0;
  const reason = der[end - 1] ?? 0;
  return isReason(reason) && (reason !== 8 || rules.delta) ? end : 0;
}

/** What an entry says that `endOfUsualEntry` has recognised. */
export function usualEntryOf(der: Buffer, entry: number, end: number): CrlEntry {
  const date = entry + 4 + (der[entry + 3] ?? 0);
  const dateEnd = date + 2 + (der[date + 1] ?? 0);
  const reason = dateEnd === end ? 0 : (der[end - 1] ?? 0);
  return {
    revocationDate: instantAt(der, date + 2, der[date] === tags.utcTime),
    reason: isReason(reason) ? reason : 0,
    invalidityDate: null,
  };
}
