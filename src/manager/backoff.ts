/** Doubling delays for requests that keep failing, in µs. */
export interface BackoffLimits {
  readonly firstUs: number;
  readonly maxUs: number;
}

/** The delay after `failures` failures in a row (1 or more). */
export function backoffDelay(failures: number, limits: BackoffLimits): number {
  return Math.min(limits.maxUs, limits.firstUs * 2 ** Math.min(failures - 1, 30));
}

/** True for the 1st, 2nd, 4th, 8th, … failure: what is worth a line in the log. */
export function worthReporting(failures: number): boolean {
  return (failures & (failures - 1)) === 0;
}
