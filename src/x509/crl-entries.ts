/**
 * Finds a certificate among the entries of a CRL by the index that a scan has left: a few steps, whatever the size of the
 * list. What an entry means is decided in `revocation/`.
 */
import { maximumSerialLength } from './certificate.ts';
import type { CrlEntries, CrlEntry, CrlIndex } from './crl-contract.ts';
import { entryRulesOf, parseEntry } from './crl-entry.ts';
import type { CrlFrame } from './crl-header.ts';
import { issuerAt, issuerNumbers } from './crl-issuers.ts';
import { hasSerial } from './crl-scan.ts';
import { DerReader } from './der.ts';
import type { Name } from './name.ts';
import { hashSerial, hashWordsOf } from './serial-hash.ts';

export function entriesOf(der: Buffer, { header, span }: CrlFrame, index: CrlIndex): CrlEntries {
  const rules = entryRulesOf(header);
  const slots = new Uint32Array(index.table);
  const mask = slots.length - 1;
  const switches = new Uint32Array(index.switches);
  const words = hashWordsOf(index.seed);
  const numberOf = issuerNumbers(der, header.issuer, index);

  function find(serial: Buffer, certificateIssuer: Name): CrlEntry | null {
    const issuer = numberOf(certificateIssuer);
    if (issuer === -1 || serial.length > maximumSerialLength) return null;
    const hash = hashSerial(words, serial, 0, serial.length, issuer);
    let slot = (hash * 2) & mask;
    for (let entry = slots[slot] ?? 0; entry !== 0; entry = slots[slot] ?? 0) {
      if (
        slots[slot + 1] === hash &&
        hasSerial(der, entry, serial, 0, serial.length) &&
        issuerAt(switches, entry) === issuer
      ) {
        const { revocationDate, reason, invalidityDate } = parseEntry(new DerReader(der, entry, span.end), rules);
        return { revocationDate, reason, invalidityDate };
      }
      slot = (slot + 2) & mask;
    }
    return null;
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
