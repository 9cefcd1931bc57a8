import type { Event } from "./event.ts";

/** Says to a follower that it was too slow, or asked for more than is kept. */
export interface Gap {
  /** Events that it will not see. */
  readonly lost: number;
}

/**
 * One reader of the event log. It keeps at most `backlog` unread events; when more come the oldest are
 * lost, and the reader is told how many before it gets the next one.
 */
export class Follower implements AsyncIterableIterator<Event | Gap> {
  readonly #backlog: number;
  readonly #onClose: (follower: Follower) => void;
  #queue: Event[] = [];
  #head = 0;
  #lost = 0;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(backlog: number, onClose: (follower: Follower) => void) {
    this.#backlog = backlog;
    this.#onClose = onClose;
  }

  push(event: Event): void {
    if (this.#closed) return;
    this.#queue.push(event);
    if (this.#queue.length - this.#head > this.#backlog) {
      this.#head++;
      this.#lost++;
      this.#compact();
    }
    this.#signal();
  }

  /** Counts events that this reader cannot get. */
  lose(count: number): void {
    this.#lost += count;
  }

  /** The next event, or the gap before it; waits for one. `done` after {@linkcode close}. */
  async next(): Promise<IteratorResult<Event | Gap, undefined>> {
    for (;;) {
      const value = this.#take();
      if (value !== undefined) return { done: false, value };
      if (this.#closed) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  return(): Promise<IteratorResult<Event | Gap, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends it: the queue is dropped and a waiting {@linkcode next} ends. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#head = 0;
    this.#lost = 0;
    this.#onClose(this);
    this.#signal();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): Event | Gap | undefined {
    if (this.#lost > 0) {
      const gap = { lost: this.#lost };
      this.#lost = 0;
      return gap;
    }
    if (this.#head === this.#queue.length) return undefined;
    const event = this.#queue[this.#head++];
    this.#compact();
    return event;
  }

  // Reading by index and cutting now and then keeps both ends cheap.
  #compact(): void {
    if (this.#head < 256 || this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #signal(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
