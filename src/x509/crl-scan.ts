/**
 * Goes over the entries of a CRL and leaves an index of their serials behind: an open-addressing table in shared memory,
 * without an object for any entry. Usual entries are recognised octet by octet; all others are read by `crl-entry.ts`, so
 * that both refuse the same ones.
 *
 * A slot is two 32-bit numbers: the offset of an entry, 0 for none, and the hash of its serial and issuer. At least half of
 * the slots stay empty.
 */
import { maximumSerialLength } from './certificate.ts';
import type { CrlIndex } from './crl-contract.ts';
import { entryRulesOf, isReason, parseEntry, type EntryRules } from './crl-entry.ts';
import type { CrlFrame, EntriesSpan } from './crl-header.ts';
import { IssuerTrack } from './crl-issuers.ts';
import { DerError, DerReader, tags } from './der.ts';
import { timeFault } from './der-values.ts';
import { hashSerial, hashWordsOf } from './serial-hash.ts';

/** Entries; the table for them has 256 MiB. */
export const maximumEntries = 2 ** 24;

/** @throws {DerError} */
export function scanEntries(
  der: Buffer,
  { header, span }: CrlFrame,
  seed: number,
  maximum = maximumEntries,
): Omit<CrlIndex, 'digest'> {
  const rules = entryRulesOf(header);
  const count = countEntries(der, span, maximum);
  const table = new SharedArrayBuffer(slotsFor(count) * 2 * Uint32Array.BYTES_PER_ELEMENT);
  const slots = new Uint32Array(table);
  const words = hashWordsOf(seed);
  const issuers = new IssuerTrack(der, header.issuer);
  let unknownCritical: string | null = null;
  for (let at = span.start; at < span.end;) {
    const entry = at;
    at = endOfUsualEntry(der, entry, span.end, rules);
    if (at === 0) {
      const reader = new DerReader(der, entry, span.end);
      const read = parseEntry(reader, rules);
      at = reader.offset;
      if (read.certificateIssuer !== null) issuers.change(entry, read.certificateIssuer);
      unknownCritical ??= read.unknownCritical;
    }
    const serial = serialStart(der, entry);
    const hash = hashSerial(words, der, serial, serial + (der[serial - 1] ?? 0), issuers.current);
    insert(der, slots, entry, hash, rules, issuers);
  }
  return { count, unknownCritical, table, seed, ...issuers.finish() };
}

/** Where the content octets of an entry's serial begin; the octet before them is their number. */
export function serialStart(der: Buffer, entry: number): number {
  const length = der[entry + 1] ?? 0;
  return entry + 4 + (length < 0x80 ? 0 : length & 0x7f);
}

/** Whether the entry is about this serial number. */
export function hasSerial(der: Buffer, entry: number, serial: Buffer, start: number, end: number): boolean {
  const own = serialStart(der, entry);
  if (der[own - 1] !== end - start) return false;
  for (let at = start; at < end; at += 1) if (der[own + at - start] !== serial[at]) return false;
  return true;
}

function slotsFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(count, 4) * 2));
}

/** Steps over the entries only: the table can then be made at once in its final size. */
function countEntries(der: Buffer, span: EntriesSpan, maximum: number): number {
  let count = 0;
  for (let at = span.start; at < span.end; count += 1) {
    if (count === maximum) throw new DerError(at, `more than ${maximum} entries`);
    const length = der[at + 1] ?? 0;
    const end = at + 2 + length;
    at =
      der[at] === tags.sequence && length < 0x80 && end <= span.end
        ? end
        : new DerReader(der, at, span.end).take(tags.sequence, 'entry').end;
  }
  return count;
}

/** `30 0c 30 0a 06 03 55 1d 15 04 03 0a 01`: extensions with nothing but a reasonCode, which follows. */
const onlyReason = Buffer.from('300c300a0603551d1504030a01', 'hex');

/**
 * The end of an entry that has a short length, a serial, a date and at most a reason, all of it as it has to be; 0 when it
 * is anything else, good or bad.
 */
function endOfUsualEntry(der: Buffer, entry: number, limit: number, rules: EntryRules): number {
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
  const dateLength = der[date + 1] ?? 0;
  const dateEnd = date + 2 + dateLength;
  if (dateLength >= 0x80 || dateEnd > end || timeFault(der, date + 2, dateEnd, utc) !== null) return 0;
  if (dateEnd === end) return end;
  if (!rules.extensions || end - dateEnd !== onlyReason.length + 1) return 0;
  for (let at = 0; at < onlyReason.length; at += 1) if (der[dateEnd + at] !== onlyReason[at]) return 0;
  const reason = der[end - 1] ?? 0;
  return isReason(reason) && (reason !== 8 || rules.delta) ? end : 0;
}

/**
 * Of several entries about one certificate only one is kept, which bounds the steps of every later search: the most severe,
 * and among equals the first. Neither RFC 5280 nor X.509 says what such a list means, and not knowing never counts as good.
 */
function insert(
  der: Buffer,
  slots: Uint32Array,
  entry: number,
  hash: number,
  rules: EntryRules,
  issuers: IssuerTrack,
): void {
  const mask = slots.length - 1;
  const serial = serialStart(der, entry);
  let slot = (hash * 2) & mask;
  for (let other = slots[slot] ?? 0; other !== 0; other = slots[slot] ?? 0) {
    if (
      slots[slot + 1] === hash &&
      hasSerial(der, other, der, serial, serial + (der[serial - 1] ?? 0)) &&
      issuers.at(other) === issuers.current
    ) {
      if (severity(der, entry, rules) > severity(der, other, rules)) slots[slot] = entry;
      return;
    }
    slot = (slot + 2) & mask;
  }
  slots[slot] = entry;
  slots[slot + 1] = hash;
}

/** A certificate that is revoked for good, before one that is on hold, before one that was taken off the list (5.3.1). */
function severity(der: Buffer, entry: number, rules: EntryRules): number {
  const { reason } = parseEntry(new DerReader(der, entry), rules);
  return reason === 8 ? 0 : reason === 6 ? 1 : 2;
}
