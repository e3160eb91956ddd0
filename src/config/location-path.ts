/**
 * The path of a location as it must be written: in the one spelling that the gateway itself gives to a request's path. Any
 * other would never be found, or would look as if it were another location.
 */
import { canonicalPath, foldSegment } from '../gateway/canonical-path.ts';
import type { SiteSettings } from '../gateway/settings.ts';
import type { Wrong } from './scalars.ts';

/** @returns the segments under which the path is compared */
export function locationSegments(location: string, pathCase: SiteSettings['pathCase']): string[] | Wrong {
  if (!location.startsWith('/')) return { wrong: 'a location starts with a slash', hint: `write \`/${location}\`` };
  if (/[?#]/.test(location)) return { wrong: 'a location is a path, without ? and #', hint: null };
  const spelled = canonicalPath(encodeOdd(location), 'refuse');
  if (typeof spelled === 'string')
    return { wrong: `the path ${spelled}`, hint: 'a request for it is refused before any location is looked for' };
  const tidy = spelled.segments.length === 0 ? '/' : spelled.path.replace(/\/$/, '').replaceAll(/;[^/]*/g, '');
  if (tidy !== location) return { wrong: 'this is not the canonical spelling of the path', hint: `write \`${tidy}\`` };
  return spelled.segments.map((segment) => (pathCase === 'ignore' ? foldSegment(segment) : segment));
}

/** Characters that cannot stand in a request, as a browser would encode them. */
function encodeOdd(location: string): string {
  return location.replaceAll(/[^\u0021-\u007e]+/g, (odd) => encodeURIComponent(odd.toWellFormed()));
}
