import type { Clock } from "../../src/scheduler/clock.ts";

/** Something that happens at one moment of simulated time. Made once, scheduled as often as needed. */
export abstract class SimulatedEvent {
  /** When it fires, µs. Written by {@linkcode EventQueue}. */
  at = 0;
  /** Ties at the same moment fire in the order in which they were scheduled. */
  order = 0;
  /** Place in the queue; -1 while not scheduled. */
  place = -1;
  abstract fire(): void;
}

/** An event that calls a function: for what is rare enough to afford a closure. */
export class Call extends SimulatedEvent {
  constructor(readonly fire: () => void) {
    super();
  }
}

/**
 * The one queue of a world: an indexed binary heap, so that an event can be moved or cancelled. It
 * allocates nothing per event.
 */
export class EventQueue {
  /** Simulated time in whole µs since the world began. */
  now = 0;
  /** Events fired so far. */
  fired = 0;
  #order = 0;
  readonly #heap: SimulatedEvent[] = [];

  /** Schedules `event`, or moves it when it is already scheduled. The past means now. */
  schedule(event: SimulatedEvent, at: number): void {
    event.at = at > this.now ? Math.ceil(at) : this.now;
    event.order = this.#order++;
    if (event.place < 0) {
      event.place = this.#heap.length;
      this.#heap.push(event);
    }
    this.#settle(event);
  }

  /** Takes `event` out; nothing happens when it is not scheduled. */
  cancel(event: SimulatedEvent): void {
    const place = event.place;
    if (place < 0) return;
    event.place = -1;
    const last = this.#heap.pop()!;
    if (last === event) return;
    last.place = place;
    this.#heap[place] = last;
    this.#settle(last);
  }

  /** Calls `action` once at `at`. */
  call(at: number, action: () => void): void {
    this.schedule(new Call(action), at);
  }

  /** Fires the next event if it is due at or before `until`; false when there is none. */
  step(until: number): boolean {
    const next = this.#heap[0];
    if (next === undefined || next.at > until) return false;
    this.now = next.at;
    this.fired++;
    this.cancel(next);
    next.fire();
    return true;
  }

  #settle(event: SimulatedEvent): void {
    const heap = this.#heap;
    let place = event.place;
    while (place > 0) {
      const parent = heap[(place - 1) >> 1]!;
      if (!before(event, parent)) break;
      heap[place] = parent;
      parent.place = place;
      place = (place - 1) >> 1;
    }
    for (let child = 2 * place + 1; child < heap.length; child = 2 * place + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      const smaller = heap[child]!;
      if (!before(smaller, event)) break;
      heap[place] = smaller;
      smaller.place = place;
      place = child;
    }
    heap[place] = event;
    event.place = place;
  }
}

function before(a: SimulatedEvent, b: SimulatedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** How one daemon's clock differs from simulated time. */
export interface ClockSettings {
  /** Reading at the world's beginning, µs: no daemon may depend on where a monotonic clock starts. */
  readonly start: number;
  /** Parts per million that it runs fast. */
  readonly skewPpm: number;
}

/** Milliseconds since the Unix epoch at which every world begins. */
const WALL_START = Date.UTC(2030, 0, 1);

/** One process's clock. While the process is stalled or dead its timer wakes nobody. */
export class SimulatedClock extends SimulatedEvent implements Clock {
  #wake: (() => void) | null = null;
  #target = Infinity;
  #due = false;
  #running = true;

  constructor(readonly queue: EventQueue, readonly settings: ClockSettings) {
    super();
  }

  now(): number {
    return Math.floor(
      this.settings.start + this.queue.now * (1 + this.settings.skewPpm / 1e6),
    );
  }

  wall(): number {
    return WALL_START + Math.floor(this.queue.now / 1000);
  }

  wakeAt(at: number, wake: () => void): void {
    this.#wake = wake;
    this.#target = at;
    this.#due = false;
    if (at === Infinity) this.queue.cancel(this);
    else this.queue.schedule(this, this.#worldTime(at));
  }

  /** Fires the timer unless rounding made it early; holds it back while the process does not run. */
  fire(): void {
    if (this.now() < this.#target) return this.queue.schedule(this, this.queue.now + 1);
    if (!this.#running) {
      this.#due = true;
      return;
    }
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** The process stops running: time goes on, nothing wakes it. */
  stall(): void {
    this.#running = false;
  }

  /** The process runs again: a timer that came due meanwhile fires now. */
  resume(): void {
    this.#running = true;
    if (!this.#due) return;
    this.#due = false;
    this.fire();
  }

  /** The process is gone: its timer never fires. */
  stop(): void {
    this.queue.cancel(this);
    this.#wake = null;
    this.#due = false;
  }

  #worldTime(at: number): number {
    return Math.ceil((at - this.settings.start) / (1 + this.settings.skewPpm / 1e6));
  }
}
