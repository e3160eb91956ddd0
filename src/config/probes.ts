/**
 * The probes of a site: paths that can be asked for, each once.
 */
import type { ProbeSettings } from '../gateway/settings.ts';
import { locationSegments } from './location-path.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

type WrittenSite = Language['sites'][number];

export function readProbes(site: WrittenSite, sitePath: Path, reading: Reading): readonly ProbeSettings[] {
  const seen = new Set<string>();
  for (const [index, { path: written }] of site.probes.entries()) {
    const path = [...sitePath, 'probes', index, 'path'];
    const key = keyOf(written, site.pathCase);
    if (typeof key !== 'string') {
      reading.mistake(path, key.wrong.replace(/^a location /, 'the path of a probe '), { hint: key.hint });
      continue;
    }
    if (key === '[]')
      reading.mistake(path, 'the start page of the site could not be reached any more', {
        hint: 'choose a path that the backend does not need, for example /healthz',
      });
    if (seen.has(key))
      reading.mistake(path, 'is the path of another probe of the site', { hint: 'name each path once' });
    seen.add(key);
    const location = Object.keys(site.locations).find((other) => keyOf(other, site.pathCase) === key);
    if (location !== undefined && key !== '[]')
      reading.warn(path, `is also location ${location}: GET and HEAD never get there, other methods do`);
  }
  return site.probes;
}

function keyOf(written: string, pathCase: WrittenSite['pathCase']) {
  const segments = locationSegments(written, pathCase);
  return Array.isArray(segments) ? JSON.stringify(segments) : segments;
}
