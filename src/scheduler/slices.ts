import type { Clock } from "./clock.ts";
import type { Loop } from "./loop.ts";
import type { TimerOwner, TimerWheel } from "./timer_wheel.ts";

/** Items handled in one go: about a millisecond's work. */
export const SLICE = 1_024;
/** From the end of a slice to the next, µs: a turn of the loop fits in between. */
const BREATH_US = 1_000;

export interface SlicesOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
}

/** Goes through many items without holding up the loop: after each slice it lets the loop turn. */
export class Slices {
  constructor(private readonly options: SlicesOptions) {}

  /**
   * Handles the items in order; the first slice at once, so that a few are done when this returns.
   * Resolves when all are handled; rejects with what `handle` throws.
   */
  run<T>(items: Iterable<T>, handle: (item: T) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const { clock, wheel, loop } = this.options;
      const iterator = items[Symbol.iterator]();
      const owner: TimerOwner = {
        due() {
          try {
            if (handleSlice(iterator, handle)) return end(resolve);
          } catch (error) {
            return end(() => reject(error));
          }
          wheel.arm(timer, clock.now() + BREATH_US);
          loop.wake();
        },
      };
      const timer = wheel.add(owner);
      const end = (settle: () => void) => {
        wheel.remove(timer);
        loop.stirred++;
        settle();
      };
      owner.due(timer, clock.now());
    });
  }
}

/** Returns true when there are no more. */
function handleSlice<T>(iterator: Iterator<T>, handle: (item: T) => void): boolean {
  for (let i = 0; i < SLICE; i++) {
    const next = iterator.next();
    if (next.done) return true;
    handle(next.value);
  }
  return false;
}
