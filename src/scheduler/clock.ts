/**
 * The clock seam. Session arithmetic uses only `now`; `wall` is for what people read.
 */
export interface Clock {
  /** Monotonic time in whole microseconds since an arbitrary start. */
  now(): number;
  /** Wall-clock time in milliseconds since the Unix epoch. Display only: it may jump. */
  wall(): number;
  /**
   * Arms the one wake-up timer: calls `wake` once, at or soon after `at` (µs of {@linkcode now}).
   * A later call replaces an earlier one; `Infinity` disarms.
   */
  wakeAt(at: number, wake: () => void): void;
}
