import type { Clock } from "../../../src/scheduler/clock.ts";
import type { Drained } from "../../../src/scheduler/loop.ts";

/** A clock that stands still until it is moved; its one timer fires when time passes it. */
export class FakeClock implements Clock {
  #now: number;
  #wakeAt = Infinity;
  #wake: () => void = () => {};

  constructor(start = 1_000_000) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return Date.UTC(2030, 0, 1) + this.#now / 1_000;
  }

  wakeAt(at: number, wake: () => void): void {
    this.#wakeAt = at;
    this.#wake = wake;
  }

  /** When the timer fires; Infinity while it is not armed. */
  get wakesAt(): number {
    return this.#wakeAt;
  }

  /** Time passes and nothing runs, as when the process is held up. */
  stall(us: number): void {
    this.#now += us;
  }

  /** Moves to the timer's moment if that is at or before `until` and fires it; false when it is not. */
  fireUntil(until: number): boolean {
    if (this.#wakeAt > until) return false;
    this.#now = Math.max(this.#now, this.#wakeAt);
    this.#wakeAt = Infinity;
    this.#wake();
    return true;
  }

  /** Time passes, and the timer fires whenever it is due. */
  advance(us: number): void {
    const until = this.#now + us;
    while (this.fireUntil(until));
    this.#now = Math.max(this.#now, until);
  }
}

/** What the loop drives, with a record of what it was asked to do. */
export class FakeDrained implements Drained {
  received = 0;
  /** The next answers of `drain`; true when none are left. */
  answers: boolean[] = [];
  readonly calls: string[] = [];
  onDrain: () => void = () => {};

  drain(): boolean {
    this.calls.push("drain");
    this.onDrain();
    return this.answers.shift() ?? true;
  }

  flush(): void {
    this.calls.push("flush");
  }

  wakeOnArrival(on: boolean): void {
    this.calls.push(`wakeOnArrival ${on}`);
  }
}
