/**
 * Goes once over the entries of a CRL, checks each, and leaves an index of their serials behind, without an object for any
 * usual entry. Runs on any thread: what it leaves is plain data and shared memory.
 */
import type { CrlIndex } from './crl-contract.ts';
import { entryRulesOf, parseEntry } from './crl-entry.ts';
import type { CrlFrame, EntriesSpan } from './crl-header.ts';
import { IssuerTrack } from './crl-issuers.ts';
import { EntryTable } from './crl-table.ts';
import { endOfUsualEntry } from './crl-usual-entry.ts';
import { DerError, DerReader, tags } from './der.ts';
import { hashSerial, hashWordsOf } from './serial-hash.ts';

/** Entries; the table for them has 256 MiB. */
const maximumEntries = 2 ** 24;

/**
 * @param seed key of the hash
 * @throws {DerError}
 */
export function scanEntries(
  der: Buffer,
  { header, span }: CrlFrame,
  seed: number,
  maximum = maximumEntries,
): Omit<CrlIndex, 'digest'> {
  const rules = entryRulesOf(header);
  const count = countEntries(der, span, maximum);
  const words = hashWordsOf(seed);
  const issuers = new IssuerTrack(der, header.issuer);
  const severity = (entry: number) => severityOf(parseEntry(new DerReader(der, entry, span.end), rules).reason);
  const table = new EntryTable(
    count,
    (entry, other) => haveSameSerial(der, entry, other) && issuers.at(entry) === issuers.at(other),
    (entry, other) => severity(entry) > severity(other),
  );
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
    table.add(entry, hashSerial(words, der, serial, serial + (der[serial - 1] ?? 0), issuers.current));
  }
  table.settle();
  return { count, unknownCritical, table: table.memory, seed, ...issuers.finish() };
}

/** Where the content octets of an entry's serial begin; the octet before them is their number. */
export function serialStart(der: Buffer, entry: number): number {
  const length = der[entry + 1] ?? 0;
  return entry + 4 + (length < 0x80 ? 0 : length & 0x7f);
}

function haveSameSerial(der: Buffer, entry: number, other: number): boolean {
  const a = serialStart(der, entry);
  const b = serialStart(der, other);
  const length = der[a - 1] ?? 0;
  return der[b - 1] === length && der.compare(der, b, b + length, a, a + length) === 0;
}

/**
 * Neither RFC 5280 nor X.509 says what several entries about one certificate mean, and not knowing never counts as good: one
 * that is revoked for good comes before one that is on hold, and that before one that was taken off the list (RFC 5280
 * section 5.3.1); among equals the first one holds.
 */
function severityOf(reason: number): number {
  return reason === 8 ? 0 : reason === 6 ? 1 : 2;
}

/** Steps over the entries without a check of any: the table can then be made at once in its final size. */
function countEntries(der: Buffer, span: EntriesSpan, maximum: number): number {
  let count = 0;
  for (let at = span.start; at < span.end; count += 1) {
    if (count === maximum) throw new DerError(at, `more than ${maximum} entries`);
    const length = der[at + 1] ?? 0;
    at =
      der[at] === tags.sequence && length < 0x80
        ? at + 2 + length
        : new DerReader(der, at, span.end).take(tags.sequence, 'entry').end;
  }
  return count;
}
