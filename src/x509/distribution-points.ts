/**
 * CRL distribution points (RFC 5280 section 4.2.1.13), as far as certificates are judged without revocation: the
 * structure is checked whole, the URIs are kept.
 */
import { DerError, tags, type DerElement, type DerReader } from './der.ts';
import { bitsOf } from './der-values.ts';
import { parseGeneralNames } from './general-names.ts';
import { parseRelativeName } from './name.ts';

/** URIs of all full names, in encoded order. */
export function parseDistributionPoints(reader: DerReader, what: string): readonly string[] {
  const points = reader.enter(tags.sequence, what);
  if (points.done) throw new DerError(points.offset, `${what}: no distribution point inside`);
  const uris: string[] = [];
  while (!points.done) {
    const point = points.enter(tags.sequence, what);
    const name = point.optional(0xa0, what);
    const reasons = point.optional(0x81, what);
    const issuer = point.optional(0xa2, what);
    point.finish(what);
    if (name === null && issuer === null) throw new DerError(point.offset, `${what}: neither a name nor an issuer`);
    if (name !== null) uris.push(...parseName(point, name, what));
    if (reasons !== null) bitsOf(point, reasons, what);
    if (issuer !== null) parseGeneralNames(point.inside(issuer), what);
  }
  return uris;
}

function parseName(point: DerReader, element: DerElement, what: string): readonly string[] {
  const choice = point.inside(element);
  const full = choice.optional(0xa0, what);
  const uris = full === null ? relative(choice, what) : parseGeneralNames(choice.inside(full), what).uris;
  choice.finish(what);
  return uris;
}

/** nameRelativeToCRLIssuer: an RDN, no URI. */
function relative(choice: DerReader, what: string): readonly string[] {
  parseRelativeName(choice, choice.take(0xa1, what), what);
  return [];
}
