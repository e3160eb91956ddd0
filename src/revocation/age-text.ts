/**
 * How old something is, in words that fit into a sentence.
 */
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import { durationText } from '../base/duration.ts';

/** `issued 2026-11-22T11:00:00.000Z, 1h ago, next update 2026-11-22T13:00:00.000Z` */
export function ageText(thisUpdate: Instant, nextUpdate: Instant | null, at: Instant): string {
  const seconds = Math.floor(Math.abs(at - thisUpdate) / 1000) * 1000;
  const distance = at < thisUpdate ? `${durationText(seconds)} ahead` : `${durationText(seconds)} ago`;
  const next = nextUpdate === null ? 'without next update' : `next update ${isoText(nextUpdate)}`;
  return `issued ${isoText(thisUpdate)}, ${distance}, ${next}`;
}
