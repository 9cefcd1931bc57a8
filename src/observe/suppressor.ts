interface Window<T> {
  readonly key: string;
  readonly start: number;
  admitted: number;
  suppressed: number;
  /** The last line held back. */
  last: T | null;
  /** The window that began next. */
  next: Window<T> | null;
}

/** How many identical lines pass in one window. */
const BURST = 5;
/** Length of a window, milliseconds. */
const WINDOW_MS = 10_000;
/** Kinds of lines remembered at one time. */
const KEYS = 4_096;

/**
 * Holds identical lines back when they come too often. Nothing is lost in silence: the count of what
 * was held back goes out with the next such line, or by itself when any other comes later.
 */
export class Suppressor<T> {
  readonly #windows = new Map<string, Window<T>>();
  // A chain in the order of their beginning. The map has that order as well, but looks for its first
  // entry among all those that were deleted.
  #oldest: Window<T> | null = null;
  #newest: Window<T> | null = null;
  readonly #emit: (last: T, suppressed: number) => void;

  /** `emit` is given the last line held back of a window that ended, and how many there were. */
  constructor(emit: (last: T, suppressed: number) => void) {
    this.#emit = emit;
  }

  /**
   * Judges the line `item`, identical to others of the same key; `now` in milliseconds. Returns how many
   * like it were held back before when it may go out, and `null` when it is to be held back.
   */
  judge(key: string, item: T, now: number): number | null {
    const before = this.#expire(now, key);
    const window = this.#windows.get(key);
    if (window === undefined) {
      if (this.#windows.size >= KEYS) this.#report(this.#takeOldest());
      this.#begin(key, now);
      return before;
    }
    if (window.admitted < BURST) {
      window.admitted++;
      return 0;
    }
    window.suppressed++;
    window.last = item;
    return null;
  }

  /** Reports all that was held back, for the end of the program. */
  finish(): void {
    while (this.#oldest !== null) this.#report(this.#takeOldest());
  }

  /** Ends the windows whose time is over and reports what they held back; of that of `key`, to the caller. */
  #expire(now: number, key: string): number {
    let heldBack = 0;
    while (this.#oldest !== null && ended(this.#oldest, now)) {
      const window = this.#takeOldest();
      if (window.key === key) heldBack = window.suppressed;
      else this.#report(window);
    }
    return heldBack;
  }

  #begin(key: string, start: number): void {
    const window = { key, start, admitted: 1, suppressed: 0, last: null, next: null };
    if (this.#newest === null) this.#oldest = window;
    else this.#newest.next = window;
    this.#newest = window;
    this.#windows.set(key, window);
  }

  /** There must be one. */
  #takeOldest(): Window<T> {
    const window = this.#oldest!;
    this.#oldest = window.next;
    if (window.next === null) this.#newest = null;
    this.#windows.delete(window.key);
    return window;
  }

  #report({ last, suppressed }: Window<T>): void {
    if (last !== null) this.#emit(last, suppressed);
  }
}

// A wall clock may jump back: then the window has ended, too, rather than lasting for years.
function ended(window: { readonly start: number }, now: number): boolean {
  return now >= window.start + WINDOW_MS || now < window.start;
}
