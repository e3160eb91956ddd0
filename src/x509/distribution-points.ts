/**
 * CRL distribution points (RFC 5280 section 4.2.1.13) and the parts of them that a CRL's own issuing distribution point
 * repeats (5.2.5). Which CRL belongs to which point is decided in `revocation/`.
 */
import type { DistributionPoint } from './crl-contract.ts';
import { DerError, tags, type DerElement, type DerReader } from './der.ts';
import { bitsOf } from './der-values.ts';
import { parseGeneralNames } from './general-names.ts';
import { parseRelativeName } from './name.ts';

/** Of one extension; each point may cost a search and each URI a request. Real certificates hold a handful. */
const maximumPoints = 64;
const maximumUris = 128;

/** In encoded order, at least one. */
export function parseDistributionPoints(reader: DerReader, what: string): readonly DistributionPoint[] {
  const list = reader.enter(tags.sequence, what);
  if (list.done) throw new DerError(list.offset, `${what}: no distribution point inside`);
  const points: DistributionPoint[] = [];
  let uris = 0;
  while (!list.done) {
    const at = list.offset;
    if (points.length === maximumPoints) throw new DerError(at, `${what}: more than ${maximumPoints} points`);
    const point = parsePoint(list.enter(tags.sequence, what), what);
    uris += point.fullName?.uris.length ?? 0;
    if (uris > maximumUris) throw new DerError(at, `${what}: more than ${maximumUris} URIs`);
    points.push(point);
  }
  return points;
}

function parsePoint(point: DerReader, what: string): DistributionPoint {
  const name = point.optional(0xa0, what);
  const reasons = point.optional(0x81, what);
  const issuer = point.optional(0xa2, what);
  point.finish(what);
  if (name === null && issuer === null) throw new DerError(point.offset, `${what}: neither a name nor an issuer`);
  return {
    ...parsePointName(point, name, what),
    reasons: reasons === null ? null : reasonsOf(point, reasons, what),
    crlIssuer: issuer === null ? null : parseGeneralNames(point.inside(issuer), what),
  };
}

/** DistributionPointName inside the [0] around it; both null when that is absent. */
export function parsePointName(
  reader: DerReader,
  element: DerElement | null,
  what: string,
): Pick<DistributionPoint, 'fullName' | 'relativeName'> {
  if (element === null) return { fullName: null, relativeName: null };
  const choice = reader.inside(element);
  const full = choice.optional(0xa0, what);
  const relative = full === null ? choice.take(0xa1, what) : null;
  choice.finish(what);
  return {
    fullName: full === null ? null : parseGeneralNames(choice.inside(full), what),
    relativeName: relative === null ? null : parseRelativeName(choice, relative, what),
  };
}

/**
 * ReasonFlags as a number whose bit n stands for reason n. Bit 0 is called unused, and those above 8 have no meaning: none of
 * them covers anything, nor does a set without bits.
 */
export function reasonsOf(reader: DerReader, element: DerElement, what: string): number {
  const { bits } = bitsOf(reader, element, what);
  const [first = 0, second = 0] = bits;
  let reasons = 0;
  for (let reason = 1; reason <= 7; reason += 1) if ((first & (0x80 >> reason)) !== 0) reasons |= 1 << reason;
  return (second & 0x80) === 0 ? reasons : reasons | (1 << 8);
}
