/**
 * GeneralNames (RFC 5280 section 4.2.1.6) and the subtrees of name constraints (4.2.1.10), sorted by kind. Whether a
 * name is well formed for its kind, and whether it is constrained, is decided in `trust/`.
 */
import { isAscii } from 'node:buffer';
import { DerError, tags, type DerElement, type DerReader } from './der.ts';
import { oidOf } from './der-values.ts';
import type { GeneralNames, GeneralSubtrees, OtherName } from './certificate.ts';
import { parseName, type Name } from './name.ts';
import { oids } from './oid.ts';
import { decodeText } from './text.ts';

/** The same shape while it is being filled. */
interface Collected {
  rfc822Names: string[];
  dnsNames: string[];
  uris: string[];
  directoryNames: Name[];
  ipAddresses: Buffer[];
  otherNames: OtherName[];
  upns: string[];
  unsupported: number[];
}

/** Octets of an address here; in a constraint each is followed by a mask of the same length. */
type AddressLengths = readonly [number, number];

const plain: AddressLengths = [4, 16];
const masked: AddressLengths = [8, 32];

/** Reads all of `reader`: the inside of a GeneralNames, which holds at least one name. */
export function parseGeneralNames(reader: DerReader, what: string): GeneralNames {
  if (reader.done) throw new DerError(reader.offset, `${what}: no name inside`);
  const names = nothing();
  while (!reader.done) collect(reader, names, plain, what);
  return names;
}

/** NameConstraints: at least one of the two lists; minimum and maximum are not used on the Internet (RFC 5280 4.2.1.10). */
export function parseNameConstraints(reader: DerReader, what: string): GeneralSubtrees {
  const inner = reader.enter(tags.sequence, what);
  const permitted = inner.optional(0xa0, what);
  const excluded = inner.optional(0xa1, what);
  inner.finish(what);
  if (permitted === null && excluded === null)
    throw new DerError(inner.offset, `${what}: neither permitted nor excluded`);
  return {
    permitted: permitted === null ? null : parseSubtrees(inner.inside(permitted), what),
    excluded: excluded === null ? null : parseSubtrees(inner.inside(excluded), what),
  };
}

function parseSubtrees(reader: DerReader, what: string): GeneralNames {
  if (reader.done) throw new DerError(reader.offset, `${what}: no subtree inside`);
  const names = nothing();
  while (!reader.done) {
    const subtree = reader.enter(tags.sequence, what);
    collect(subtree, names, masked, what);
    subtree.finish(`${what}: minimum and maximum must be absent`);
  }
  return names;
}

function nothing(): Collected {
  return {
    rfc822Names: [],
    dnsNames: [],
    uris: [],
    directoryNames: [],
    ipAddresses: [],
    otherNames: [],
    upns: [],
    unsupported: [],
  };
}

function collect(reader: DerReader, names: Collected, addressLengths: AddressLengths, what: string): void {
  const element = reader.any(what);
  switch (element.tag) {
    case 0xa0:
      collectOtherName(reader, element, names, what);
      return;
    case 0x81:
      names.rfc822Names.push(ia5(reader, element, what));
      return;
    case 0x82:
      names.dnsNames.push(ia5(reader, element, what));
      return;
    case 0x86:
      names.uris.push(ia5(reader, element, what));
      return;
    case 0xa4: {
      const inner = reader.inside(element);
      names.directoryNames.push(parseName(inner, `${what}: directoryName`));
      inner.finish(`${what}: directoryName`);
      return;
    }
    case 0x87: {
      const address = reader.contentOf(element);
      if (!addressLengths.includes(address.length)) {
        throw new DerError(element.content, `${what}: iPAddress of ${address.length} octets`);
      }
      names.ipAddresses.push(address);
      return;
    }
    case 0x88:
      oidOf(reader, element, `${what}: registeredID`);
      names.unsupported.push(8);
      return;
    case 0xa3:
    case 0xa5:
      reader.checkNested(element, what);
      names.unsupported.push(element.tag & 0x1f);
      return;
    default:
      throw new DerError(element.start, `${what}: no GeneralName has tag 0x${element.tag.toString(16)}`);
  }
}

function collectOtherName(reader: DerReader, element: DerElement, names: Collected, what: string): void {
  const { oid, value, valueReader } = parseOtherName(reader, element, what);
  names.otherNames.push({ oid, value: valueReader.wholeOf(value) });
  if (oid !== oids.userPrincipalName) return;
  const upn = decodeText(value.tag, valueReader.contentOf(value));
  if (upn === null) throw new DerError(value.start, `${what}: UPN is not text`);
  names.upns.push(upn);
}

/** The content of otherName: a type and exactly one value of any kind inside an explicit [0]. */
export function parseOtherName(
  reader: DerReader,
  element: DerElement,
  what: string,
): { oid: string; value: DerElement; valueReader: DerReader } {
  const inner = reader.inside(element);
  const oid = oidOf(inner, inner.take(tags.oid, what), what);
  const valueReader = inner.enter(0xa0, what);
  inner.finish(what);
  const value = valueReader.any(what);
  valueReader.finish(what);
  valueReader.checkNested(value, what);
  return { oid, value, valueReader };
}

function ia5(reader: DerReader, element: DerElement, what: string): string {
  const raw = reader.contentOf(element);
  if (!isAscii(raw)) throw new DerError(element.content, `${what}: not an IA5String`);
  return raw.toString('latin1');
}
