/**
 * A certificate revocation list as a value (RFC 5280 section 5), read strictly: what cannot be read is malformed, whether it
 * is to be believed is for `revocation/` to say. Header and entries can be read apart: the header is cheap whatever the size
 * of the list, and the scan of the entries may run on another thread.
 *
 * Octets are never copied: they must not change afterwards. Nothing here throws for any input.
 */
import { hash, randomInt } from 'node:crypto';
import type { Digest } from '../base/brand.ts';
import type { Crl, CrlIndex, Malformed, ParsedCrl, ParsedCrlHeader, ScannedCrl } from './crl-contract.ts';
import { entriesOf } from './crl-entries.ts';
import { readCrlFrame, type CrlFrame } from './crl-header.ts';
import { scanEntries } from './crl-scan.ts';
import { DerError } from './der.ts';

/** One list and nothing after it. */
export function parseCrl(der: Buffer): ParsedCrl {
  return orMalformed(() => {
    const frame = readCrlFrame(der);
    return { kind: 'parsed', crl: crlOf(der, frame, indexOf(der, frame)) };
  });
}

/** The same without the entries, which are neither looked at nor checked. */
export function parseCrlHeader(der: Buffer): ParsedCrlHeader {
  return orMalformed(() => ({ kind: 'parsed', header: readCrlFrame(der).header }));
}

/** All checks of `parseCrl`; yields what `adoptCrl` needs, of which nothing is copied between threads. */
export function scanCrl(der: Buffer): ScannedCrl {
  return orMalformed(() => ({ kind: 'scanned', index: indexOf(der, readCrlFrame(der)) }));
}

/** @param index what `scanCrl` made of the same octets; that they are the same is not checked again */
export function adoptCrl(der: Buffer, index: CrlIndex): ParsedCrl {
  return orMalformed(() => ({ kind: 'parsed', crl: crlOf(der, readCrlFrame(der), index) }));
}

function crlOf(der: Buffer, frame: CrlFrame, index: CrlIndex): Crl {
  return { ...frame.header, der, digest: index.digest, entries: entriesOf(der, frame, index) };
}

function indexOf(der: Buffer, frame: CrlFrame): CrlIndex {
  const index = scanEntries(der, frame, randomInt(2 ** 48 - 1));
  return { digest: hash('sha256', der, 'hex') as Digest, ...index };
}

function orMalformed<T>(read: () => T): T | Malformed {
  try {
    return read();
  } catch (error) {
    if (error instanceof DerError) return { kind: 'malformed', reason: error.message, offset: error.offset };
    throw error;
  }
}
