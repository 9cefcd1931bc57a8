import type { KernelChange, KernelChangeListener } from "./change.ts";

/** Those who want to be told of changes. */
export class Subscribers {
  readonly #listeners = new Map<symbol, KernelChangeListener>();

  get size(): number {
    return this.#listeners.size;
  }

  /** Adds a listener until the answer is disposed of, which then calls `left`. */
  add(listener: KernelChangeListener, left: () => void = () => {}): Disposable {
    const key = Symbol();
    this.#listeners.set(key, listener);
    return {
      [Symbol.dispose]: () => {
        if (this.#listeners.delete(key)) left();
      },
    };
  }

  /** Tells all who are there now; one that leaves meanwhile is not told any more. */
  tell(change: KernelChange): void {
    for (const listener of this.#listeners.values()) listener(change);
  }

  clear(): void {
    this.#listeners.clear();
  }
}
