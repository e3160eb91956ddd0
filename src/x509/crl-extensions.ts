/**
 * The extensions of a CRL (RFC 5280 section 5.2) as values. As with certificates, a known one that does not parse makes the
 * whole list malformed; an unknown critical one is named, because the list must then not be used.
 */
import { noAuthorityInfoAccess, parseAuthorityInfoAccess } from './authority-info-access.ts';
import type { CrlHeader, IssuingDistributionPoint } from './crl-contract.ts';
import { DerError, tags, type DerReader } from './der.ts';
import { booleanOf, integerOf, timeOf } from './der-values.ts';
import { parseDistributionPoints, parsePointName, reasonsOf } from './distribution-points.ts';
import { parseExtensionList } from './extension-list.ts';
import { parseAuthorityKeyIdentifier } from './extensions.ts';
import { extensionOids } from './oid.ts';

export type CrlExtensions = Pick<
  CrlHeader,
  | 'authorityKeyIdentifier'
  | 'crlNumber'
  | 'baseCrlNumber'
  | 'issuingDistributionPoint'
  | 'freshestCrl'
  | 'authorityInfoAccess'
  | 'nextPublish'
  | 'unknownCritical'
>;

type Draft = { -readonly [Key in keyof CrlExtensions]: CrlExtensions[Key] };

export const noCrlExtensions: CrlExtensions = Object.freeze(emptyDraft());

/** RFC 5280 5.2.3: octets of a number, beside the one that only carries a sign. */
const maximumNumberLength = 20;

/** Reads all of `reader`: the inside of the explicit [0] of tbsCertList. */
export function parseCrlExtensions(reader: DerReader): CrlExtensions {
  const draft = emptyDraft();
  const all = parseExtensionList(reader, 'crlExtensions', ({ oid, value }, inside) =>
    readKnown(draft, oid, value, inside),
  );
  reader.finish('crlExtensions');
  draft.unknownCritical = all.find(({ oid, critical }) => critical && !mayBeCritical.has(oid))?.oid ?? null;
  return draft;
}

/** Freshest CRL and authority information access must not be critical (5.2.6, 5.2.7): who says so means something else. */
const mayBeCritical: ReadonlySet<string> = new Set([
  extensionOids.authorityKeyIdentifier,
  extensionOids.crlNumber,
  extensionOids.deltaCrlIndicator,
  extensionOids.issuingDistributionPoint,
]);

/** False when we do not know the extension. */
function readKnown(draft: Draft, oid: string, value: Buffer, reader: DerReader): boolean {
  switch (oid) {
    case extensionOids.authorityKeyIdentifier:
      draft.authorityKeyIdentifier = parseAuthorityKeyIdentifier(reader, 'authorityKeyIdentifier');
      return true;
    case extensionOids.crlNumber:
      draft.crlNumber = parseNumber(reader, 'cRLNumber');
      return true;
    case extensionOids.deltaCrlIndicator:
      draft.baseCrlNumber = parseNumber(reader, 'deltaCRLIndicator');
      return true;
    case extensionOids.issuingDistributionPoint:
      draft.issuingDistributionPoint = parseIssuingDistributionPoint(reader, value, 'issuingDistributionPoint');
      return true;
    case extensionOids.freshestCrl:
      draft.freshestCrl = parseDistributionPoints(reader, 'freshestCRL');
      return true;
    case extensionOids.authorityInfoAccess:
      draft.authorityInfoAccess = parseAuthorityInfoAccess(reader, 'authorityInfoAccess');
      return true;
    case extensionOids.microsoftNextPublish:
      draft.nextPublish = timeOf(reader, reader.any('Next CRL Publish'), 'Next CRL Publish');
      return true;
    default:
      return false;
  }
}

function parseNumber(reader: DerReader, what: string): bigint {
  const element = reader.take(tags.integer, what);
  const octets = integerOf(reader, element, what);
  if ((octets[0] ?? 0) >= 0x80) throw new DerError(element.content, `${what}: negative`);
  if (octets.length - (octets[0] === 0 ? 1 : 0) > maximumNumberLength) {
    throw new DerError(element.content, `${what}: more than ${maximumNumberLength} octets`);
  }
  return BigInt(`0x${octets.toString('hex')}`);
}

/** RFC 5280 5.2.5: at most one of the three `only` flags, and something at all. An explicit FALSE says nothing. */
function parseIssuingDistributionPoint(reader: DerReader, value: Buffer, what: string): IssuingDistributionPoint {
  const inner = reader.enter(tags.sequence, what);
  const flag = (tag: number): boolean => {
    const element = inner.optional(tag, what);
    return element !== null && booleanOf(inner, element, what);
  };
  const name = inner.optional(0xa0, what);
  const onlyUserCertificates = flag(0x81);
  const onlyCaCertificates = flag(0x82);
  const reasons = inner.optional(0x83, what);
  const indirect = flag(0x84);
  const onlyAttributeCertificates = flag(0x85);
  inner.finish(what);
  const only = Number(onlyUserCertificates) + Number(onlyCaCertificates) + Number(onlyAttributeCertificates);
  if (only > 1) throw new DerError(inner.offset, `${what}: only one kind, and only another`);
  if (only === 0 && name === null && reasons === null && !indirect) {
    throw new DerError(inner.offset, `${what}: nothing inside`);
  }
  return {
    ...parsePointName(inner, name, what),
    onlyUserCertificates,
    onlyCaCertificates,
    onlyAttributeCertificates,
    onlySomeReasons: reasons === null ? null : reasonsOf(inner, reasons, what),
    indirect,
    value,
  };
}

function emptyDraft(): Draft {
  return {
    authorityKeyIdentifier: null,
    crlNumber: null,
    baseCrlNumber: null,
    issuingDistributionPoint: null,
    freshestCrl: [],
    authorityInfoAccess: noAuthorityInfoAccess,
    nextPublish: null,
    unknownCritical: null,
  };
}
