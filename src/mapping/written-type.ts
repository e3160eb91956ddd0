/**
 * What people write for an attribute type of a distinguished name, and what Windows prints for it. Names that OpenSSL,
 * certificate dialogs and RFC 4519 use are known here only to say which one would have been right.
 */
import { shortNames } from './ad-short-names.ts';

export interface WrittenType {
  /** Dotted decimal; null when nobody here knows the name. */
  readonly oid: string | null;
  /** What Windows prints; as written when it is not known. */
  readonly windows: string;
  /** Whether that is what was written, but for case. */
  readonly right: boolean;
}

export function readType(written: string): WrittenType {
  const oid = oidOf(written);
  if (oid === null) return { oid, windows: written, right: false };
  const windows = windowsType(oid);
  return { oid, windows, right: windows.toLowerCase() === written.toLowerCase() };
}

function windowsType(oid: string): string {
  return shortNames.get(oid) ?? `OID.${oid}`;
}

function oidOf(written: string): string | null {
  const dotted = /^(?:oid\.)?(\d+(?:\.\d+)+)$/i.exec(written)?.[1];
  return dotted ?? windowsNames.get(written.toLowerCase()) ?? otherNames.get(written.toLowerCase()) ?? null;
}

const windowsNames: ReadonlyMap<string, string> = new Map(
  Array.from(shortNames, ([oid, name]) => [name.toLowerCase(), oid]),
);

/** Lower case. `SN` is not here: to Windows it is the surname, so it is never wrong by itself. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ['commonname', '2.5.4.3'],
  ['surname', '2.5.4.4'],
  ['countryname', '2.5.4.6'],
  ['localityname', '2.5.4.7'],
  ['st', '2.5.4.8'],
  ['sp', '2.5.4.8'],
  ['stateorprovincename', '2.5.4.8'],
  ['streetaddress', '2.5.4.9'],
  ['organizationname', '2.5.4.10'],
  ['organizationalunitname', '2.5.4.11'],
  ['title', '2.5.4.12'],
  ['businesscategory', '2.5.4.15'],
  ['postaladdress', '2.5.4.16'],
  ['telephonenumber', '2.5.4.20'],
  ['x121address', '2.5.4.24'],
  ['name', '2.5.4.41'],
  ['gn', '2.5.4.42'],
  ['givenname', '2.5.4.42'],
  ['initials', '2.5.4.43'],
  ['generationqualifier', '2.5.4.44'],
  ['x500uniqueidentifier', '2.5.4.45'],
  ['houseidentifier', '2.5.4.51'],
  ['pseudonym', '2.5.4.65'],
  ['organizationidentifier', '2.5.4.97'],
  ['uid', '0.9.2342.19200300.100.1.1'],
  ['userid', '0.9.2342.19200300.100.1.1'],
  ['mail', '0.9.2342.19200300.100.1.3'],
  ['rfc822mailbox', '0.9.2342.19200300.100.1.3'],
  ['domaincomponent', '0.9.2342.19200300.100.1.25'],
  ['email', '1.2.840.113549.1.9.1'],
  ['emailaddress', '1.2.840.113549.1.9.1'],
  ['unstructuredname', '1.2.840.113549.1.9.2'],
  ['unstructuredaddress', '1.2.840.113549.1.9.8'],
  ['jurisdictionl', '1.3.6.1.4.1.311.60.2.1.1'],
  ['jurisdictionst', '1.3.6.1.4.1.311.60.2.1.2'],
  ['jurisdictionc', '1.3.6.1.4.1.311.60.2.1.3'],
]);
