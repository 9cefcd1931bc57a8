/**
 * Upper bounds in seconds for times that people wait for: convergence, loop lag. A superset of the
 * Prometheus default, so that dashboards made for that carry over.
 */
export const WAIT_BOUNDS: readonly number[] = [
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  30,
  60,
];

/** Upper bounds in seconds for the handling of one packet, with the Prometheus default above them. */
export const HANDLING_BOUNDS: readonly number[] = [
  0.000001,
  0.0000025,
  0.000005,
  0.00001,
  0.000025,
  0.00005,
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
];

/** What the metrics registry reads of a histogram. */
export interface HistogramData {
  /** Upper bounds, strictly ascending, without +Inf. */
  readonly bounds: readonly number[];
  /** Observations per bucket, not cumulative; one more than `bounds`, the last is +Inf. */
  readonly counts: ArrayLike<number>;
  /** Sum of all observations, in seconds. */
  readonly sum: number;
}

/** A histogram with fixed buckets whose {@linkcode observe} allocates nothing. */
export class Histogram implements HistogramData {
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  // A typed array, because a plain field that holds a fraction may be boxed anew on every write.
  readonly #sum = new Float64Array(1);

  /** @throws {RangeError} when the bounds do not strictly ascend */
  constructor(bounds: readonly number[] = WAIT_BOUNDS) {
    for (let i = 1; i < bounds.length; i++) {
      if (!(bounds[i]! > bounds[i - 1]!)) {
        throw new RangeError(`histogram bounds must ascend, but ${bounds[i]} is not the greater`);
      }
    }
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  get sum(): number {
    return this.#sum[0]!;
  }

  /** Counts one observation, in seconds. What is negative or not a number counts as 0. */
  observe(seconds: number): void {
    const value = seconds > 0 ? seconds : 0;
    const { bounds, counts } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i++;
    counts[i]!++;
    this.#sum[0]! += value;
  }
}
