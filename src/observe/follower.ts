import type { EventRecord } from "./event.ts";

/** Says to a follower that it was too slow, or asked for more than is kept. */
export interface Gap {
  /** Events that it will not see. */
  readonly lost: number;
}

/** Events handed over at one time: to make text of them takes well below a millisecond. */
export const BATCH = 256;

/** What a reader gets at one time: one or more, oldest first. */
export type Batch = (EventRecord | Gap)[];

/**
 * One reader of the event log. It keeps at most `backlog` unread events; when more come the oldest are
 * lost, and the reader is told how many before it gets the next one.
 */
export class Follower implements AsyncIterableIterator<Batch> {
  readonly #backlog: number;
  readonly #onClose: (follower: Follower) => void;
  #queue: EventRecord[] = [];
  #head = 0;
  #lost = 0;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(backlog: number, onClose: (follower: Follower) => void) {
    this.#backlog = backlog;
    this.#onClose = onClose;
  }

  push(record: EventRecord): void {
    if (this.#closed) return;
    this.#queue.push(record);
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

  /** What there is, the gap before it first; waits when there is nothing. `done` after {@linkcode close}. */
  async next(): Promise<IteratorResult<Batch, undefined>> {
    for (;;) {
      const value = this.#take();
      if (value.length > 0) return { done: false, value };
      if (this.#closed) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  return(): Promise<IteratorResult<Batch, undefined>> {
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

  #take(): Batch {
    const end = Math.min(this.#head + BATCH, this.#queue.length);
    const batch: Batch = this.#queue.slice(this.#head, end);
    this.#head = end;
    this.#compact();
    if (this.#lost > 0) batch.unshift({ lost: this.#lost });
    this.#lost = 0;
    return batch;
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
