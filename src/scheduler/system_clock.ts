import type { Clock } from "./clock.ts";

/** The real clock. One timer of the runtime is enough: it always stands for the earliest wish. */
export class SystemClock implements Clock {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #wakeAt = Infinity;
  #wake: () => void = () => {};

  now(): number {
    return Math.floor(performance.now() * 1_000);
  }

  wall(): number {
    return Date.now();
  }

  wakeAt(at: number, wake: () => void): void {
    this.#wake = wake;
    this.#wakeAt = at;
    // A timer that fires too early is re-armed then: cheaper than replacing it for every postponement.
    if (at < this.#timerAt) this.#arm(at);
    else if (at === Infinity) this.#disarm();
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(this.#fire, Math.max(0, Math.ceil((at - this.now()) / 1_000)));
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  readonly #fire = () => {
    this.#timerAt = Infinity;
    this.#timer = undefined;
    if (this.now() < this.#wakeAt) return this.#arm(this.#wakeAt);
    this.#wakeAt = Infinity;
    this.#wake();
  };
}
