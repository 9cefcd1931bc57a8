/** The last `capacity` items pushed. Memory is taken as items come, never more than `capacity`. */
export class Ring<T> {
  readonly #items: T[] = [];
  readonly #capacity: number;
  // Where the oldest item lies once the ring is full.
  #oldest = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Adds an item; once the ring is full, in place of the oldest. */
  push(item: T): void {
    if (this.#items.length < this.#capacity) {
      this.#items.push(item);
      return;
    }
    this.#items[this.#oldest] = item;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
  }

  /** All items, oldest first. */
  toArray(): T[] {
    return [...this.#items.slice(this.#oldest), ...this.#items.slice(0, this.#oldest)];
  }
}
