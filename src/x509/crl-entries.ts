/**
 * Finds a certificate among the entries of a CRL by the index that a scan has left: a few steps, whatever the size of the
 * list. What an entry means is decided in `revocation/`.
 */
import type { CrlEntries, CrlEntry, CrlIndex } from './crl-contract.ts';
import { entryRulesOf, parseEntry } from './crl-entry.ts';
import type { CrlFrame } from './crl-header.ts';
import { issuerAt, issuerNumbers } from './crl-issuers.ts';
import { serialStart } from './crl-scan.ts';
import { findEntry } from './crl-table.ts';
import { endOfUsualEntry, usualEntryOf } from './crl-usual-entry.ts';
import { DerReader } from './der.ts';
import type { Name } from './name.ts';
import { hashSerial, hashWordsOf } from './serial-hash.ts';

export function entriesOf(der: Buffer, { header, span }: CrlFrame, index: CrlIndex): CrlEntries {
  const rules = entryRulesOf(header);
  const slots = new Uint32Array(index.table);
  const switches = new Uint32Array(index.switches);
  const words = hashWordsOf(index.seed);
  const numberOf = issuerNumbers(der, header.issuer, index);

  function find(serial: Buffer, certificateIssuer: Name): CrlEntry | null {
    const issuer = numberOf(certificateIssuer);
    if (issuer === -1) return null;
    const hash = hashSerial(words, serial, 0, serial.length, issuer);
    const entry = findEntry(slots, hash, (at) => hasSerial(der, at, serial) && issuerAt(switches, at) === issuer);
    return entry === 0 ? null : entryAt(entry);
  }

  function entryAt(entry: number): CrlEntry {
    const end = endOfUsualEntry(der, entry, span.end, rules);
    if (end !== 0) return usualEntryOf(der, entry, end);
    const { revocationDate, reason, invalidityDate } = parseEntry(new DerReader(der, entry, span.end), rules);
    return { revocationDate, reason, invalidityDate };
  }

  function* list(): ReturnType<CrlEntries['list']> {
    const reader = new DerReader(der, span.start, span.end);
    let holder = header.issuer;
    while (!reader.done) {
      const { serial, revocationDate, reason, invalidityDate, certificateIssuer } = parseEntry(reader, rules);
      holder = certificateIssuer ?? holder;
      yield { serial, certificateIssuer: holder, revocationDate, reason, invalidityDate };
    }
  }

  return { count: index.count, unknownCritical: index.unknownCritical, find, list };
}

function hasSerial(der: Buffer, entry: number, serial: Buffer): boolean {
  const start = serialStart(der, entry);
  if (der[start - 1] !== serial.length) return false;
  for (let at = 0; at < serial.length; at += 1) if (der[start + at] !== serial[at]) return false;
  return true;
}
