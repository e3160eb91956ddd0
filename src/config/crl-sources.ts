/**
 * Where revocation data comes from besides what certificates say: files, folders and URLs. Files must be there; what is in
 * them is looked at when they are used, because CRLs are replaced while the gateway runs.
 */
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { quoted } from './complaint.ts';
import type { Reading } from './reading.ts';
import { listReferenced, parseReference, readReferenced, resolvePath, type Reference } from './references.ts';
import { text, type Read, type Scalar } from './scalars.ts';
import { readSourceUrl, type SourceUrl } from './source-hosts.ts';
import type { Path } from './source.ts';

export type CrlSource = Reference | ({ readonly kind: 'url' } & SourceUrl);

const crlForms = 'file:path, dir:path, http://... or ldap://...';

export const crlSource: Scalar<CrlSource> = text<CrlSource>(crlForms, (raw) => {
  // An authority part makes it a URL, which is not how files are named here.
  const found = raw.startsWith('file://') ? null : parseReference(raw, ['file', 'dir']);
  if (found !== null) return { value: found };
  if (raw.startsWith('file://'))
    return { wrong: `${quoted(raw)} is not ${crlForms}`, hint: `write \`file:${raw.slice('file://'.length)}\`` };
  if (/^[\w./\\-]+$/.test(raw)) return { wrong: `${quoted(raw)} is not ${crlForms}`, hint: `write \`file:${raw}\`` };
  return urlOf(raw, crlForms, ({ url, host }) => ({ kind: 'url', url, host }));
});

export const responderUrl: Scalar<SourceUrl> = text<SourceUrl>('http://...', (raw) =>
  /^https?:/i.test(raw)
    ? urlOf(raw, 'http://host/path', (source) => source)
    : { wrong: `${quoted(raw)} is not http://...`, hint: 'OCSP is asked over HTTP: write http://host/path' },
);

function urlOf<T>(raw: string, forms: string, valueOf: (source: SourceUrl) => T): Read<T> {
  const read = readSourceUrl(raw);
  if ('url' in read) return { value: valueOf(read) };
  // It may hold a password.
  if (raw.includes('@')) return { wrong: `cannot be fetched: ${read.why}`, hint: `write ${forms}`, hidden: true };
  const hint = /^ldaps:/i.test(raw)
    ? `write \`${raw.replace(/^ldaps/i, 'ldap')}\`: what is fetched is signed`
    : `write ${forms}`;
  return { wrong: `${quoted(raw)} cannot be fetched: ${read.why}`, hint };
}

const extensions = ['.crl', '.pem', '.der'];

/**
 * As URLs, files too; a folder stands for the CRL files in it now.
 * @param maximumBytes of one file
 */
export async function sourceUrls(
  sources: readonly CrlSource[],
  maximumBytes: number,
  path: Path,
  reading: Reading,
): Promise<readonly string[]> {
  const urls = new Set<string>();
  for (const [index, source] of sources.entries()) {
    const own = [...path, index];
    if (source.kind === 'url') urls.add(source.url);
    if (source.kind !== 'file' && source.kind !== 'dir') continue;
    const files = source.kind === 'file' ? [source.path] : await filesInside(source.path, own, reading);
    for (const file of files)
      if ((await readReferenced(file, maximumBytes, own, reading)) !== null)
        urls.add(pathToFileURL(resolvePath(file, reading)).href);
  }
  return [...urls];
}

async function filesInside(directory: string, path: Path, reading: Reading): Promise<readonly string[]> {
  const names = await listReferenced(directory, path, reading);
  const files = (names ?? []).filter((name) => extensions.includes(extname(name).toLowerCase()));
  if (names !== null && files.length === 0)
    reading.warn(path, `no CRLs in ${quoted(directory)}: files that end in ${extensions.join(', ')} are read`);
  return files.map((name) => join(directory, name));
}

/** Entries of `revocation.hosts` that allow what is configured: whoever writes a URL means that it is fetched. */
export function hostsOf(sources: readonly (CrlSource | SourceUrl)[]): readonly string[] {
  return sources.flatMap((source) => ('host' in source && source.host !== null ? [source.host] : []));
}
