import { Histogram, WAIT_BOUNDS } from "./histogram.ts";

/**
 * How late the loop was: the moment it ran minus the moment it meant to. The maximum is kept besides
 * the histogram, because one late turn among a million is what loses sessions.
 */
export class LoopLag {
  /** Every observation, in seconds. */
  readonly histogram: Histogram = new Histogram(WAIT_BOUNDS);
  // [since the last take, since the start], seconds.
  readonly #max = new Float64Array(2);

  /** Counts one turn of the loop; seconds, early is 0. Allocates nothing. */
  observe(seconds: number): void {
    this.histogram.observe(seconds);
    if (seconds > this.#max[0]!) this.#max[0] = seconds;
    if (seconds > this.#max[1]!) this.#max[1] = seconds;
  }

  /** The maximum since the last call, in seconds, which starts the next period. */
  takeMax(): number {
    const max = this.#max[0]!;
    this.#max[0] = 0;
    return max;
  }

  /** The maximum since the start, in seconds. */
  get max(): number {
    return this.#max[1]!;
  }
}
