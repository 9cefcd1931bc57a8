/** The three arithmetic rules that intervals follow; all durations in whole microseconds. */

/** Limits within which intervals are kept whatever either side asks for. */
export interface Bounds {
  readonly minTxFloorUs: number;
  readonly maxTxCeilUs: number;
  readonly backoffMaxUs: number;
}

/** `us` kept within [floor, ceiling]. */
export function clampInterval(us: number, bounds: Bounds): number {
  if (us < bounds.minTxFloorUs) return bounds.minTxFloorUs;
  if (us > bounds.maxTxCeilUs) return bounds.maxTxCeilUs;
  return us;
}

/** The interval between transmissions while Down: it grows with `factor` up to the cap. */
export function backedOff(intervalUs: number, factor: number, bounds: Bounds): number {
  return Math.min(intervalUs * factor, bounds.backoffMaxUs);
}

/** The shortest time between two periodic packets, in intervals. See {@linkcode jittered}. */
export const LEAST_SPACING = 0.92;

/**
 * Applies jitter, so that sessions do not march in step (RFC 5880 §6.8.7 asks for 0–25 % reduction; the
 * reference spreads by ±10 %). `fraction` is uniform in [0, 1). Ours is ±8 %: between a packet that left a
 * little late and the next one that is prompt there is still 90 % of the interval.
 */
export function jittered(intervalUs: number, fraction: number): number {
  return Math.round(intervalUs * (LEAST_SPACING + 2 * (1 - LEAST_SPACING) * fraction));
}
