/**
 * The frame that extensions have in common, be they of a certificate, a CRL, an entry of one or an OCSP response (RFC 5280
 * section 4.1): each is there at most once. What one says is read by whoever knows it.
 */
import type { RawExtension } from './certificate.ts';
import { DerError, tags, type DerReader } from './der.ts';
import { booleanOf, oidOf } from './der-values.ts';
import { oidName } from './oid.ts';

/**
 * Reads the next element as Extensions, at least one, in encoded order.
 *
 * @param read is shown the content of each; false when it does not know the extension: its content is then its issuer's
 *   business, and may be anything. A known one has to be read to its end.
 */
export function parseExtensionList(
  reader: DerReader,
  what: string,
  read: (raw: RawExtension, inside: DerReader) => boolean,
): readonly RawExtension[] {
  const list = reader.enter(tags.sequence, what);
  if (list.done) throw new DerError(list.offset, `${what}: no extension inside`);
  const all: RawExtension[] = [];
  const seen = new Set<string>();
  while (!list.done) {
    const at = list.offset;
    const { raw, inside } = parseExtension(list);
    if (seen.has(raw.oid)) throw new DerError(at, `extension ${oidName(raw.oid)} appears twice`);
    seen.add(raw.oid);
    all.push(raw);
    if (read(raw, inside)) inside.finish(oidName(raw.oid));
  }
  return all;
}

/** An explicit `critical FALSE` is not DER, but many issuers write it and it means the same. */
function parseExtension(list: DerReader): { raw: RawExtension; inside: DerReader } {
  const extension = list.enter(tags.sequence, 'extension');
  const oid = oidOf(extension, extension.take(tags.oid, 'extension'), 'extension');
  const flag = extension.optional(tags.boolean, 'extension');
  const critical = flag === null ? false : booleanOf(extension, flag, `${oidName(oid)}: critical`);
  const value = extension.take(tags.octetString, oidName(oid));
  extension.finish(oidName(oid));
  return { raw: { oid, critical, value: extension.contentOf(value) }, inside: extension.inside(value) };
}
