/** The last `capacity` items pushed. Memory is taken as items come, never more than `capacity`. */
export class Ring<T> {
  readonly #items: T[] = [];
  readonly #capacity: number;
  // Where the oldest item lies once the ring is full.
  #oldest = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Adds an item; returns the one that it replaces once the ring is full. */
  push(item: T): T | undefined {
    if (this.#items.length < this.#capacity) {
      this.#items.push(item);
      return undefined;
    }
    const replaced = this.#items[this.#oldest];
    this.#items[this.#oldest] = item;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
    return replaced;
  }

  /** All items, oldest first. */
  toArray(): T[] {
    return [...this.#items.slice(this.#oldest), ...this.#items.slice(0, this.#oldest)];
  }
}
