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

/**
 * Applies ±10 % jitter, so that sessions do not march in step (RFC 5880 §6.8.7 asks for 0–25 %
 * reduction; the reference spreads both ways). `fraction` is uniform in [0, 1).
 */
export function jittered(intervalUs: number, fraction: number): number {
  return Math.round(intervalUs * (0.9 + 0.2 * fraction));
}
