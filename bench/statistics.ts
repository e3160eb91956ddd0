/**
 * What a handful of noisy runs allow to say.
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** 95 % interval of the median by the order statistics of the binomial distribution: no assumption about the noise. */
export function medianInterval(values: readonly number[]): readonly [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  let low = 0;
  let tail = 2 ** -count;
  let term = tail;
  while (low + 1 < count / 2) {
    term = (term * (count - low)) / (low + 1);
    if (tail + term > 0.025) break;
    tail += term;
    low += 1;
  }
  return [sorted[low] ?? Number.NaN, sorted[count - 1 - low] ?? Number.NaN];
}
