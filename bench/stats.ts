/** The little arithmetic of a measurement. */

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  if (!Number.isInteger(half)) return sorted[Math.floor(half)]!;
  return (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Rounded for people: as many decimals as asked for. */
export function rounded(value: number, decimals = 1): number {
  return Number(value.toFixed(decimals));
}
