/**
 * One entry of a CRL (RFC 5280 sections 5.1.2.6 and 5.3), read whole. `crl-scan.ts` passes over the usual ones without this;
 * what it does not recognise, and what has been found, comes here.
 */
import { parseSerial } from './certificate.ts';
import type { CrlEntry, CrlHeader, CrlReason } from './crl-contract.ts';
import { DerError, tags, type DerReader } from './der.ts';
import { integerOf, timeOf } from './der-values.ts';
import { parseExtensionList } from './extension-list.ts';
import { parseGeneralNames } from './general-names.ts';
import type { Name } from './name.ts';
import { extensionOids } from './oid.ts';

/** What the list around an entry permits inside it. */
export interface EntryRules {
  /** Version 1 knows no extensions. */
  readonly extensions: boolean;
  /** removeFromCRL is a reason in delta CRLs alone (5.3.1): anywhere else it would hide a revocation. */
  readonly delta: boolean;
  /** certificateIssuer belongs to indirect CRLs (5.3.3): anywhere else it would take entries away from the issuer. */
  readonly indirect: boolean;
}

export interface ReadEntry extends CrlEntry {
  readonly serial: Buffer;
  readonly certificateIssuer: Name | null;
  readonly unknownCritical: string | null;
}

/** Octets: room for a certificateIssuer with a long name. */
const maximumEntrySize = 16_384;

export function entryRulesOf(header: CrlHeader): EntryRules {
  return {
    extensions: header.version === 2,
    delta: header.baseCrlNumber !== null,
    indirect: header.issuingDistributionPoint?.indirect ?? false,
  };
}

/** Reads the next element. */
export function parseEntry(list: DerReader, rules: EntryRules): ReadEntry {
  const element = list.take(tags.sequence, 'entry');
  if (element.end - element.content > maximumEntrySize) {
    throw new DerError(element.start, `entry of more than ${maximumEntrySize} octets`);
  }
  const entry = list.inside(element);
  const serial = parseSerial(entry);
  const revocationDate = timeOf(entry, entry.any('revocationDate'), 'revocationDate');
  const draft: Draft = { reason: 0, invalidityDate: null, certificateIssuer: null, unknownCritical: null };
  if (!entry.done) {
    if (!rules.extensions) throw new DerError(entry.offset, 'entry extensions in a version 1 CRL');
    const all = parseExtensionList(entry, 'crlEntryExtensions', ({ oid }, inside) =>
      readKnown(draft, oid, inside, rules),
    );
    draft.unknownCritical = all.find(({ oid, critical }) => critical && !known.has(oid))?.oid ?? null;
  }
  entry.finish('entry');
  return { serial, revocationDate, ...draft };
}

/** CRLReason (5.3.1); 7 is not used. */
export function isReason(value: number): value is CrlReason {
  return value >= 0 && value <= 10 && value !== 7;
}

type Draft = { -readonly [Key in keyof Omit<ReadEntry, 'serial' | 'revocationDate'>]: ReadEntry[Key] };

const known: ReadonlySet<string> = new Set([
  extensionOids.reasonCode,
  extensionOids.invalidityDate,
  extensionOids.certificateIssuer,
]);

/** False when we do not know the extension. */
function readKnown(draft: Draft, oid: string, reader: DerReader, rules: EntryRules): boolean {
  switch (oid) {
    case extensionOids.reasonCode:
      draft.reason = parseReason(reader, rules, 'reasonCode');
      return true;
    case extensionOids.invalidityDate: {
      const element = reader.take(tags.generalizedTime, 'invalidityDate');
      draft.invalidityDate = timeOf(reader, element, 'invalidityDate');
      return true;
    }
    case extensionOids.certificateIssuer:
      draft.certificateIssuer = parseCertificateIssuer(reader, rules, 'certificateIssuer');
      return true;
    default:
      return false;
  }
}

function parseReason(reader: DerReader, rules: EntryRules, what: string): CrlReason {
  const element = reader.take(tags.enumerated, what);
  const octets = integerOf(reader, element, what);
  const reason = octets[0] ?? -1;
  if (octets.length > 1 || !isReason(reason)) throw new DerError(element.content, `${what}: no such reason`);
  if (reason === 8 && !rules.delta) throw new DerError(element.content, `${what}: removeFromCRL in a complete CRL`);
  return reason;
}

/** The certificate's issuer is one distinguished name; which of two were meant could not be told. */
function parseCertificateIssuer(reader: DerReader, rules: EntryRules, what: string): Name {
  const element = reader.take(tags.sequence, what);
  if (!rules.indirect) throw new DerError(element.start, `${what} in a CRL that is not indirect`);
  const [name, another] = parseGeneralNames(reader.inside(element), what).directoryNames;
  if (name === undefined) throw new DerError(element.start, `${what}: no directoryName inside`);
  if (another !== undefined) throw new DerError(element.start, `${what}: more than one directoryName`);
  return name;
}
