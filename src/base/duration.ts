/**
 * Durations as people write them in configuration: `15s`, `10m`, `1h30m`, `250ms`, `0s`.
 */
import type { Millis } from './brand.ts';

const unitMillis: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Null when the text is not a duration; the longest accepted is 3650 days. */
export function parseDuration(text: string): Millis | null {
  if (!/^(?:\d{1,10}(?:ms|s|m|h|d))+$/.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    total += Number(amount) * (unitMillis[unit ?? ''] ?? 0);
  return total <= 3650 * 86_400_000 ? (total as Millis) : null;
}

/** `90000` becomes `1m30s`; the inverse of `parseDuration`. */
export function durationText(millis: number): string {
  if (millis === 0) return '0s';
  let rest = millis;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = unitMillis[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
