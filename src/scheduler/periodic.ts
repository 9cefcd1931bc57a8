import type { Loop } from "./loop.ts";
import type { TimerId, TimerOwner, TimerWheel } from "./timer_wheel.ts";

const LONG_US = 1_000_000;

/** Does something every `intervalUs`, counted from the end of the turn in which it was due. */
export class Periodic implements TimerOwner {
  readonly #timer: TimerId;

  constructor(
    private readonly wheel: TimerWheel,
    private readonly loop: Loop,
    private readonly intervalUs: number,
    private readonly task: () => void,
  ) {
    this.#timer = wheel.add(this);
  }

  start(): void {
    this.wheel.arm(this.#timer, this.loop.now + this.intervalUs);
  }

  stop(): void {
    this.wheel.cancel(this.#timer);
  }

  due(_timer: TimerId, now: number): void {
    this.wheel.arm(this.#timer, now + this.intervalUs);
    this.task();
  }

  /** A little early costs no wake-up of its own; of a short interval it would be much. */
  dueSoon(timer: TimerId, now: number): void {
    if (this.intervalUs >= LONG_US) this.due(timer, now);
  }
}
