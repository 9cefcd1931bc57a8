import type { Clock } from "./clock.ts";
import type { Loop } from "./loop.ts";
import type { TimerId, TimerOwner, TimerWheel } from "./timer_wheel.ts";

export interface ThrottleOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
  /** How long after the first request the task runs, so that a burst of requests is one. µs. */
  readonly delayUs: number;
  /** The least time between two runs, µs. */
  readonly gapUs: number;
  readonly task: () => void;
}

/** Runs a task soon after it is asked for, however often that is, and never in quick succession. */
export class Throttle implements TimerOwner {
  runs = 0;
  readonly #timer: TimerId;
  #lastRunAt = -Infinity;

  constructor(private readonly options: ThrottleOptions) {
    this.#timer = options.wheel.add(this);
  }

  /** Asks for a run. Every request is followed by a run that begins after it. */
  request(): void {
    const { clock, wheel, loop, delayUs, gapUs } = this.options;
    if (wheel.isArmed(this.#timer)) return;
    wheel.arm(this.#timer, Math.max(clock.now() + delayUs, this.#lastRunAt + gapUs));
    loop.wake();
  }

  stop(): void {
    this.options.wheel.cancel(this.#timer);
  }

  due(_timer: TimerId, now: number): void {
    this.#lastRunAt = now;
    this.runs++;
    this.options.task();
  }
}
